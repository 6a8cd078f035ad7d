"""Threads for sync tools: daemons of our own, one for each call that runs.

asyncio's pool has few threads on a small machine and joins them at exit, so that one hung tool would hold up
other tools, and the end of the process. These are reused while a run lasts and end with it; one that hangs
is left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Job: TypeAlias = tuple[Callable[[], object], Callable[[object], None]]

_numbers = itertools.count(1)


class Workers:
    """The threads of one run. Used from the run's event loop only."""

    __slots__ = ("_closed", "_idle", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle: list[_Worker] = []
        self._closed = False

    def submit(self, work: Callable[[], object], done: Callable[[object], None]) -> None:
        """Run `work`, which must not raise, in a thread; then call `done` with its result on the event loop."""
        if self._idle:
            self._idle.pop().jobs.put((work, done))
        else:
            _Worker(self._loop, self._finish, (work, done))

    def close(self) -> None:
        """Let the threads end, each when its work is done."""
        self._closed = True
        for worker in self._idle:
            worker.jobs.put(None)
        self._idle.clear()

    def _finish(self, worker: _Worker, done: Callable[[object], None], result: object) -> None:
        if self._closed:
            worker.jobs.put(None)
        else:
            self._idle.append(worker)
        done(result)


class _Worker:
    """A thread that works off jobs until it is given None."""

    __slots__ = ("_finish", "_loop", "jobs")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        finish: Callable[[_Worker, Callable[[object], None], object], None],
        first: Job,
    ) -> None:
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.jobs.put(first)  # so that the thread goes to work as soon as it runs
        self._loop = loop
        self._finish = finish
        threading.Thread(target=self._run, name=f"agentkit-tool-{next(_numbers)}", daemon=True).start()

    def _run(self) -> None:
        while (job := self.jobs.get()) is not None:
            work, done = job
            result = work()
            del work, job
            with contextlib.suppress(RuntimeError):  # the loop was closed while the tool still ran
                self._loop.call_soon_threadsafe(self._finish, self, done, result)
                del done, result
                continue
            return
