"""A process that runs one client: takes tasks as lines of JSON, and gives back what they took.

    python -m benchmarks.worker <adapter> <core>

The environment may be another framework's: nothing of agentkit is imported here.
"""

# ruff: noqa: T201  (printing is how it answers)

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import platform
import resource
import sys
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol

from benchmarks.task import Task

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Runs = Callable[[], Awaitable[str]]


class Adapter(Protocol):
    """A client under measurement: a module of `benchmarks.adapters` has one of this name."""

    PACKAGES: tuple[str, ...]
    """The packages whose versions the results name."""

    async def open(self, task: Task, url: str) -> Runs:
        """Make what isn't measured (client, tools, earlier conversation); return what makes one run."""

    async def close(self) -> None:
        """Close what `open` made."""


async def repeat(task: Task, run: Runs) -> None:
    """Make all runs of a task, and check each answer."""

    async def one() -> None:
        for _ in range(task.repeat):
            answer = await run()
            if answer != "done" and not (task.deltas and answer.count("word") == task.deltas):
                raise RuntimeError(f"expected the scripted answer, got {answer[:80]!r}")

    if task.at_once == 1:
        await one()
    else:
        await asyncio.gather(*(one() for _ in range(task.at_once)))


class Worker:
    """The client, kept open from one round of a task to the next."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._task: tuple[Task, str] | None = None
        self._run: Runs | None = None

    async def measure(self, task: Task, server: str) -> dict[str, float]:
        """Do a task; return the CPU time of all threads, the time that passed, and the memory's peak so far."""
        if self._task != (task, server):
            await self._adapter.close()
            small = task.smaller()
            await repeat(small, await self._adapter.open(small, small.url(server)))
            await self._adapter.close()
            self._run = await self._adapter.open(task, task.url(server))
            self._task = (task, server)
            if not task.calls:
                await self._run()
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        await repeat(task, self._run)  # type: ignore[arg-type]
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return {
            "cpu_ms": cpu / task.turns * 1e3,
            "wall_ms": wall / task.turns * 1e3,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }


async def main(name: str, core: str) -> None:
    """Work until the input ends."""
    os.sched_setaffinity(0, {int(core)})
    adapter: Adapter = importlib.import_module(f"benchmarks.adapters.{name}").Adapter()
    versions = {package: version(package) for package in adapter.PACKAGES}
    print(json.dumps({"versions": {"python": platform.python_version(), **versions}}), flush=True)
    worker = Worker(adapter)
    for line in iter(sys.stdin.readline, ""):
        asked = json.loads(line)
        try:
            found: object = await worker.measure(Task(**asked["task"]), asked["server"])
        except Exception as exc:  # noqa: BLE001  (told to whoever asked; the others go on)
            found = {"error": f"{type(exc).__name__}: {exc}"[:500]}
        print(json.dumps(found), flush=True)
    await adapter.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
