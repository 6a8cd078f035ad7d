"""How many requests a client sends at once, over all of its threads and event loops."""

from __future__ import annotations

import asyncio
import threading
from collections import deque

from agentkit.errors import Timeout


class Gate:
    """Lets at most `limit` in at a time, first come first served; None lets everyone in.

    asyncio's own semaphore belongs to one event loop; a client is shared between several. Who waits longer
    than `patience_s` gets `Timeout`.
    """

    __slots__ = ("_inside", "_lock", "_patience_s", "_waiting", "limit")

    def __init__(self, limit: int | None, *, patience_s: float | None = None) -> None:
        self.limit = limit
        self._patience_s = patience_s
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._lock = threading.RLock()  # the garbage collector may end a visit in the middle of another's step

    async def __aenter__(self) -> None:
        if self.limit is None:
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._inside < self.limit:
                self._inside += 1
                return
            self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._patience_s):
                await turn
        except BaseException as exc:
            self._give_up(turn)
            if isinstance(exc, TimeoutError):
                error = Timeout(
                    f"waited too long for one of max_concurrency={self.limit} places. See Timeouts(pool=...)."
                )
                error.kind = "final"
                raise error from exc
            raise

    async def __aexit__(self, *exc: object) -> None:
        if self.limit is not None:
            self._leave()

    def _give_up(self, turn: asyncio.Future[None]) -> None:
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return
        self._leave()  # the place had been given already

    def _leave(self) -> None:
        with self._lock:
            while self._waiting:
                turn = self._waiting.popleft()
                try:
                    turn.get_loop().call_soon_threadsafe(_give, turn)
                except RuntimeError:
                    continue  # that loop was closed with the request waiting
                return  # the place goes on to it
            self._inside -= 1


def _give(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
