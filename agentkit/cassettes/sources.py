"""A cassette's head: the moment and chance, drawn again when it plays as they were drawn then, and who was asked."""

from __future__ import annotations

import random
import secrets
import threading
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from agentkit.errors import CassetteError
from agentkit.tape import LIVE

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentkit.cassettes.interaction import Head


class RecordedSources:
    """The moment and the seed of a cassette's head. One that was never asked for isn't in the head."""

    def __init__(self, head: Head, *, name: str, keep: Callable[[Head], None] | None) -> None:
        """`keep` is given the head when something is drawn that it lacked; None: nothing is kept.

        Raises `CassetteError` for a moment that is none.
        """
        self.head = head
        self._keep = keep
        self._lock = threading.Lock()
        self._moment = _parse(head.now, name) if head.now else None

    def note_server(self, server: str) -> None:
        """Have the head say who was asked, unless it says so already."""
        with self._lock:
            if self._keep is not None and self.head.server != server:
                self.head = replace(self.head, server=server)
                self._keep(self.head)

    def now(self) -> datetime:
        """Return the moment of the recording. It stands still, so that two askers get the same text."""
        with self._lock:
            if self._moment is None:
                moment = LIVE.now().replace(microsecond=0)
                if self._keep is None:
                    return moment  # nobody had asked: where the text holds it, the report will show a moment
                self._moment = moment
                self.head = replace(self.head, now=moment.isoformat())
                self._keep(self.head)
            return self._moment

    def random(self, place: str) -> random.Random:
        """Return the source of chance of a place, the same for every replay."""
        with self._lock:
            if self.head.seed is None:
                if self._keep is None:
                    return LIVE.random(place)
                self.head = replace(self.head, seed=secrets.randbelow(2**32))
                self._keep(self.head)
            return random.Random(f"{self.head.seed}/{place}")  # noqa: S311  (to be drawn again is its purpose)


def _parse(text: str, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise CassetteError(f"{name}: now is {text!r}; allowed is ISO 8601 with a zone, as 2026-11-27T09:30:00+00:00.")
    return moment
