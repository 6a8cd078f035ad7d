"""The way from plain code into async code: one event loop on a background thread, shared by all `_sync` calls.

It works where `asyncio.run` doesn't: inside a running loop (a notebook), from any thread, many at once.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

from agentkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

CLEAN_UP_S = 5.0
"""How long a run that was interrupted may take to put its transcript in order."""
EXIT_S = 1.0
"""How long the end of the process waits for what still runs."""


class Steps(Protocol[T_co]):
    """What is driven step by step: an async generator, or a run."""

    def __anext__(self) -> Awaitable[T_co]: ...
    def aclose(self) -> Coroutine[object, object, None]: ...


class _Portal:
    """A thread that runs an event loop until the process ends."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, name="agentkit-loop", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def stop(self) -> None:
        """End what runs, close the connections that live on the loop, and the loop itself."""
        asyncio.run_coroutine_threadsafe(self._wind_up(), self.loop)
        self.thread.join(EXIT_S)
        if not self.thread.is_alive():
            self.loop.close()

    async def _wind_up(self) -> None:
        running = asyncio.all_tasks() - {asyncio.current_task()}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for generator in tuple(_open):  # from the outside in; all at once, each would find the next one running
            await generator.aclose()
        await self.loop.shutdown_asyncgens()
        self.loop.stop()


_portal: _Portal | None = None
_ended = False
_lock = threading.Lock()
_orphans: list[_Portal] = []
_open: set[Steps[object]] = set()
"""What `iterate_blocking` is in the middle of."""


def _open_portal() -> _Portal:
    global _portal
    with _lock:
        if _ended:
            raise UsageError("a _sync call while the process ends. Make it before, or close the run in time.")
        if _portal is None:
            _portal = _Portal()
            atexit.register(_end)
        if threading.current_thread() is _portal.thread:
            raise UsageError(
                "a _sync call inside async code that a _sync call runs: it would wait for itself. "
                "Use the awaitable form there (await agent.run(...), async with agent.stream(...))."
            )
        return _portal


def _end() -> None:
    """Stop the loop at the end of the process. What comes later must not wait for it."""
    global _ended
    with _lock:
        _ended = True
    if _portal is not None:
        _portal.stop()


def _forget_portal() -> None:
    """In a forked child the thread is gone, and the lock may be held by nobody."""
    global _portal, _lock
    if _portal is not None:
        _orphans.append(_portal)  # its selector is shared with the parent: not even closing it is safe
        atexit.unregister(_end)
    _portal, _lock = None, threading.Lock()
    _open.clear()


os.register_at_fork(after_in_child=_forget_portal)


class _Job(Generic[T]):
    """A coroutine on the background loop, and the thread that waits for it."""

    __slots__ = ("error", "finished", "task", "value")

    def __init__(self) -> None:
        self.finished = threading.Event()
        self.value: T | None = None
        self.error: BaseException | None = None
        self.task: asyncio.Task[None] | None = None

    def begin(self, start: Callable[[], Awaitable[T]]) -> None:
        self.task = asyncio.get_running_loop().create_task(self._run(start))
        # not in _run: a task that is cancelled before its first step never gets there
        self.task.add_done_callback(lambda _: self.finished.set())

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()
        else:  # the interrupt came before the coroutine was handed over: there is nothing to wait for
            self.finished.set()

    async def _run(self, start: Callable[[], Awaitable[T]]) -> None:
        try:
            self.value = await start()
        except BaseException as exc:  # noqa: BLE001  (raised in the waiting thread; here it would end the loop)
            self.error = exc

    def result(self) -> T:
        """Return the value, or raise the error, which isn't kept: with its traceback it would hold on to itself."""
        error, self.error, self.task = self.error, None, None
        try:
            if error is not None:
                raise error
            return cast("T", self.value)
        finally:
            del error


def run_blocking(start: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine on the background loop and return its result. The caller's contextvars hold in it.

    An interrupt (Ctrl-C, a notebook's Stop) cancels the coroutine, waits for its clean-up, and is raised
    again, with the transcript that the run had come to.
    """
    loop = _open_portal().loop
    job: _Job[T] = _Job()
    try:
        loop.call_soon_threadsafe(job.begin, start)
        job.finished.wait()
    except BaseException as interrupt:
        loop.call_soon_threadsafe(job.cancel)
        job.finished.wait(CLEAN_UP_S)
        if (transcript := getattr(job.error, "transcript", None)) is not None:
            interrupt.transcript = transcript  # type: ignore[attr-defined]
        raise
    return job.result()


def iterate_blocking(start: Callable[[], Steps[T]]) -> Generator[T]:
    """Yield what an async generator yields, driving it on the background loop, one step for each item."""
    generator = start()
    _open.add(generator)
    try:
        while True:
            try:
                item = run_blocking(generator.__anext__)
            except StopAsyncIteration:
                return
            yield item
    finally:
        _open.discard(generator)
        _close_blocking(generator)


def _close_blocking(generator: Steps[T]) -> None:
    """Close a generator that the background loop drives, and wait for it where that is possible."""
    if _ended or _portal is None:
        return  # closed with the loop; or it belongs to the parent of this process
    if threading.current_thread() is _portal.thread:  # the garbage collector may run anywhere
        _portal.loop.create_task(generator.aclose())
    else:
        run_blocking(generator.aclose)
