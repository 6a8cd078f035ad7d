"""How many retries a client may still make: what keeps many clients from burying a server that is down.

Attempts bound one request; four of them still make four times the traffic when every request fails. So retries are
paid from a bucket that all requests of a client fill: a tenth of a retry each, and never more than ten in it. While
little fails, each request has its retries; when everything does, the bucket is soon empty, and failures are told at
once. A client stands for one server, so its bucket is that server's; another client has another one.
"""

from __future__ import annotations

import threading

FULL = 1e-9
"""What rounding may have taken of a whole retry: ten tenths are one."""


class Budget:
    """A bucket of retries. It starts full; `earn` for each request, `spend` for each retry."""

    __slots__ = ("_lock", "_ratio", "_size", "left")

    def __init__(self, ratio: float, size: float) -> None:
        self._ratio = ratio
        self._size = size
        self._lock = threading.RLock()
        self.left = float(size)
        """Retries that it would pay for."""

    def earn(self) -> None:
        """Put in what one request is worth."""
        with self._lock:
            self.left = min(self._size, self.left + self._ratio)

    def spend(self) -> bool:
        """Take out one retry; tell whether there was one."""
        with self._lock:
            if self.left < 1 - FULL:
                return False
            self.left = max(0.0, self.left - 1)
            return True
