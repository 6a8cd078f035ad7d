"""How many requests a client sends at once, over all of its threads and event loops."""

from __future__ import annotations

import asyncio
import threading
from collections import deque


class Gate:
    """Lets at most `limit` in at a time, first come first served; None lets everyone in.

    asyncio's own semaphore belongs to one event loop; a client is shared between several.
    """

    __slots__ = ("_inside", "_lock", "_waiting", "limit")

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._lock = threading.Lock()

    async def __aenter__(self) -> None:
        if self.limit is None:
            return
        with self._lock:
            if self._inside < self.limit:
                self._inside += 1
                return
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            with self._lock:
                if turn in self._waiting:
                    self._waiting.remove(turn)
                    raise
            self._leave()  # the place was given just before the cancel came
            raise

    async def __aexit__(self, *exc: object) -> None:
        if self.limit is not None:
            self._leave()

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
