"""How many requests a client sends at once, over all of its threads and event loops.

The number follows the server: halved when that says it has too much to do, and one more again for each round of
requests that it took. At most once per round it is halved: of fifty requests refused together, all but the first
say nothing new.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque

from agentkit.errors import Timeout


class Gate:
    """Lets at most `limit` in at a time, first come first served; None lets everyone in.

    `most` is the caller's bound, where `limit` begins and which it never passes. Without one there is no limit until
    the server's first complaint.

    asyncio's own semaphore belongs to one event loop; a client is shared between several. Who waits longer
    than `patience_s` gets `Timeout`.
    """

    __slots__ = ("_inside", "_lock", "_patience_s", "_room", "_round", "_waiting", "most")

    def __init__(self, most: int | None, *, patience_s: float | None = None) -> None:
        self.most = most
        self._room: float | None = most
        self._patience_s = patience_s
        self._inside = 0
        self._round = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._lock = threading.RLock()  # the garbage collector may end a visit in the middle of another's step

    @property
    def limit(self) -> int | None:
        """How many may be inside at the moment; None: any number."""
        return None if self._room is None else int(self._room + 1e-9)  # eight eighths are one more

    def narrow(self, entered: int) -> None:
        """Halve the limit: the server had too much to do. `entered` is the round of the request that it told so."""
        with self._lock:
            room = self._inside if self._room is None else self._room
            if entered == self._round and room > 1:
                self._round += 1
                self._room = max(1.0, room / 2)

    def widen(self) -> None:
        """Let a little more in, a whole place for a round of answers: the server took a request."""
        with self._lock:
            if self.limit is None or self._room is None:
                return
            self._room += 1 / self.limit
            if self.most is not None:
                self._room = min(self._room, self.most)
            self._let_in()

    @property
    def _has_place(self) -> bool:
        return self.limit is None or self._inside < self.limit

    async def __aenter__(self) -> int:
        """Wait for a place. Returns the round, for `narrow`."""
        with self._lock:
            if self._has_place and not self._waiting:
                self._inside += 1
                return self._round
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._patience_s):
                await turn
        except BaseException as exc:
            self._give_up(turn)
            if isinstance(exc, TimeoutError):
                given = "" if self.most == self.limit else f", of which the server now takes {self.limit}"
                error = Timeout(
                    f"waited too long for one of max_concurrency={self.most} places{given}. See Timeouts(pool=...)."
                )
                error.kind = "final"
                raise error from exc
            raise
        return self._round

    async def __aexit__(self, *exc: object) -> None:
        self._leave()

    def _give_up(self, turn: asyncio.Future[None]) -> None:
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return
        self._leave()  # the place had been given already

    def _leave(self) -> None:
        with self._lock:
            self._inside -= 1
            self._let_in()

    def _let_in(self) -> None:
        """Give free places to those who wait."""
        while self._waiting and self._has_place:
            turn = self._waiting.popleft()
            try:
                turn.get_loop().call_soon_threadsafe(_give, turn)
            except RuntimeError:
                continue  # that loop was closed with the request waiting
            self._inside += 1


def _give(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
