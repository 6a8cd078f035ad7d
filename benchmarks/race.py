"""Clients in processes of their own, asked in turn, so that a slow moment of the machine meets them all."""

# ruff: noqa: S603  (the commands are below)

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from benchmarks.task import HEAVY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from benchmarks.task import Case, Task

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = Path(__file__).parent / "environments"
LOOPS = ("raw_socket", "httpx_async", "httpx_sync", "dumps", "agentkit", "agentkit_sync")
FRAMEWORKS = ("pydantic_ai", "openai_agents", "langgraph", "agno", "strands")
REFERENCE = "httpx_async"
PATIENCE_S = 10.0
"""A client that has worked on a case for longer isn't asked for another round of it."""

Found = dict[str, float]


def cores() -> tuple[int, int]:
    """Return the core of the clients and that of the server."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise SystemExit("client and server need a core each, and this process may use one only.")
    return allowed[0], allowed[-1]


@contextlib.contextmanager
def fake_server() -> Iterator[str]:
    """Run the fake server on its own core; yields its address."""
    command = [sys.executable, "-m", "benchmarks.server", str(cores()[1])]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{int(cast('str', process.stdout.readline()))}"  # type: ignore[union-attr]
        finally:
            process.terminate()


@dataclass
class Racer:
    """One client's process."""

    name: str
    python: str
    versions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        command = [self.python, "-m", "benchmarks.worker", self.name, str(cores()[0])]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.versions = cast("dict[str, str]", self._read()["versions"])

    def measure(self, task: Task, server: str) -> dict[str, object]:
        """Return what the process measured, or what went wrong there."""
        cast("object", self._process.stdin).write(  # type: ignore[attr-defined]
            json.dumps({"task": dataclasses.asdict(task), "server": server}) + "\n"
        )
        self._process.stdin.flush()  # type: ignore[union-attr]
        return self._read()

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.terminate()
        self._process.wait()

    def _read(self) -> dict[str, object]:
        line = self._process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise RuntimeError(f"the process of {self.name} has ended: python -m benchmarks.worker {self.name} 0")
        return json.loads(line)  # type: ignore[no-any-return]


def python_of(name: str) -> str | None:
    """Return the interpreter that a client runs in; None where its environment hasn't been made."""
    if name in LOOPS:
        return sys.executable
    python = ENVIRONMENTS / name / "bin" / "python"
    return str(python) if python.exists() else None


def race(racers: Iterable[Racer], cases: Iterable[Case], rounds: int, server: str) -> dict[str, dict[str, Found]]:
    """Return the medians of each client in each case; a client that can't do a case is left out of it."""
    return {case.name: _race_one(list(racers), case, rounds, server) for case in cases}


def _race_one(racers: list[Racer], case: Case, rounds: int, server: str) -> dict[str, Found]:
    rows: dict[str, list[Found]] = {}
    spent = dict.fromkeys((racer.name for racer in racers), 0.0)
    is_heavy = case.task.calls > HEAVY
    left = [racer for racer in racers if not (is_heavy and racer.name in FRAMEWORKS)]
    for _ in range(rounds):
        for racer in tuple(left):
            started = time.monotonic()
            found = racer.measure(case.task, server)
            spent[racer.name] += time.monotonic() - started
            if "error" in found:
                _tell(f"  {racer.name} leaves {case.name!r}: {found['error']}")
                left.remove(racer)
                rows.pop(racer.name, None)
                continue
            rows.setdefault(racer.name, []).append(cast("Found", found))
            if spent[racer.name] > PATIENCE_S:
                left.remove(racer)
    return {name: _medians(found) for name, found in rows.items()}


def _medians(found: list[Found]) -> Found:
    names = found[0].keys()
    return {name: round(statistics.median(one[name] for one in found), 4) for name in names} | {"rounds": len(found)}


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201
