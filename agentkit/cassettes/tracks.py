"""One run's way through a cassette: each request read once, played or recorded, its outputs looked up."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agentkit.cassettes.interaction import Body, Failure, Interaction, ToolResult
from agentkit.cassettes.playing import (
    AnswerHead,
    PlayedAnswer,
    RecordedAnswer,
    error_of,
    failure_of,
    milliseconds_since,
)
from agentkit.errors import CassetteError, ProtocolError, TransportError
from agentkit.tape import Lane

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Iterable, Sequence
    from datetime import datetime

    from agentkit.cassettes.exchanges import Exchanges
    from agentkit.cassettes.matching.rules import RequestState
    from agentkit.cassettes.outputs import Output
    from agentkit.entries import Outcome
    from agentkit.items import FunctionCall
    from agentkit.json import JSON
    from agentkit.wire import Answer


@dataclass(eq=False, slots=True)
class Entry:
    """One exchange of a session: what was played, or what is being recorded."""

    number: int
    """By the start of the requests."""
    sent: Body
    """The request as it was sent."""
    clean: Body
    """What a cassette holds of it."""
    parent: Entry | None
    """The exchange that the request goes on with."""
    index: int | None = None
    """Where the cassette holds it; None: it is live."""
    interaction: Interaction | None = None
    """What is recorded of it; None while it is under way, and for what was played."""
    results: dict[int, ToolResult] = field(default_factory=dict)
    """What its calls gave, by position."""
    is_journaled: bool = False
    server: str = ""
    """Who says to have answered: the header `server`."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as matching sees it."""

    method: str
    uri: str
    raw: bytes
    """As it was sent."""
    sent: Body
    """The same, kept as what was added."""
    clean: Body
    """What a cassette holds of it."""
    state: RequestState
    entry: Entry | None = None
    """Its exchange, once there is one."""
    parent: Entry | None = None
    """The exchange that it goes on with."""

    def grown_tail(self, method: str, uri: str, raw: bytes) -> bytes | None:
        """Return what a request adds to this one's list of items, or None where it isn't this one with more."""
        kept = len(self.raw) - 2
        if (method, uri) != (self.method, self.uri) or kept < 0 or not raw.startswith(memoryview(self.raw)[:kept]):
            return None
        tail = raw[kept:]
        return tail if tail[:1] in b"]," and tail.endswith(b"]}") and self.raw.endswith(b"]}") else None


class RunTrack:
    """One run's way through a cassette. See `agentkit.tape.Track`."""

    def __init__(self, exchanges: Exchanges, lane: Lane, ordinal: int) -> None:
        self._exchanges = exchanges
        self._lane = lane
        self._place = f"{lane.places}/{ordinal}"
        self._last: Asked | None = None
        self.has_played = False

    @property
    def lane(self) -> str:
        """The calls that the run is nested in, by their ids."""
        return self._lane.calls

    @property
    def last_entry(self) -> Entry | None:
        """The exchange before this one."""
        return self._last.entry if self._last is not None else None

    def lane_of(self, call: FunctionCall, place: str) -> Lane:
        """Return where a run is that a call makes."""
        return Lane(f"{self._lane.calls}/{call.call_id}".lstrip("/"), f"{self._place}.{place}")

    def now(self) -> datetime:
        """Return the recorded moment."""
        return self._exchanges.sources.now()

    def random(self, place: str) -> random.Random:
        """Return the recorded source of chance."""
        return self._exchanges.sources.random(f"{self._place}.{place}")

    def play(self, method: str, url: str, body: bytes) -> Answer | None:
        """Return the recorded answer, or None where the request is to go out."""
        recorded = self.take(method, url, body)
        if recorded is None:
            return None
        if recorded.status is None and recorded.failure is not None:
            raise error_of(recorded.failure, url)
        return PlayedAnswer(recorded, speed=self._exchanges.terms.speed)

    def take(self, method: str, url: str, body: bytes) -> Interaction | None:
        """Return what is recorded of a request, or None where the request is to go out."""
        exchanges = self._exchanges
        asked = self._read(method, url, body)
        entry = exchanges.find(asked, self)
        self.has_played = entry is not None
        if entry is None or entry.index is None:
            self._last = asked
            return None
        self._remember(replace(asked, entry=entry))
        return exchanges.terms.cleaner.restored(exchanges.store.interaction(entry.index))

    def hide(self, values: Iterable[str]) -> None:
        """Keep the values of headers that hold keys out of what is recorded."""
        last = self._last
        if self._exchanges.terms.cleaner.hide(value.removeprefix("Bearer ") for value in values) and last is not None:
            self._last = self._read_whole(last.method, last.uri, last.raw, last.parent)

    def begin(self, method: str, url: str, body: bytes) -> NewTake:
        """Return where the exchange of a request that goes out is put down."""
        asked = self._last if self._last is not None and self._last.raw == body else self._read(method, url, body)
        take = NewTake(self._exchanges, asked, self.lane)
        self._remember(replace(asked, entry=take.entry))
        return take

    async def record(self, method: str, url: str, body: bytes, sent: Awaitable[Answer]) -> Answer:
        """Await an answer and return it; what is read of it is recorded."""
        take = self.begin(method, url, body)
        began = time.monotonic()
        try:
            answer = await sent
        except (TransportError, ProtocolError) as exc:
            take.end(None, (), (milliseconds_since(began),), failure_of(exc))
            raise
        return RecordedAnswer(answer, take, began)

    def output_of(self, call: FunctionCall, index: int) -> Output | None:
        """Return what the call gave when it was recorded, or None where it is to be run.

        Raises `CassetteError` where it isn't known: tools aren't run while a cassette plays.
        """
        exchanges, entry = self._exchanges, self.last_entry
        terms = exchanges.terms
        if terms.tools != "recorded" or terms.mode == "compare" or (entry is not None and entry.index is None):
            return None
        recorded = exchanges.output_of(entry, call, index)
        if recorded is None and not terms.goes_live:
            raise CassetteError(
                f"{terms.path} holds no output of the call {call.name}({call.arguments[:200]}), and tools aren't run "
                "while it plays. Run them with tools='live', or record on with mode='extend'."
            )
        ended = entry is not None and entry.index is not None and not exchanges.store.children(entry.index)
        if recorded is not None and recorded.outcome == "cancelled" and ended:
            if terms.goes_live:
                return None  # it is run again
            raise CassetteError(
                f"{terms.path}: when this was recorded, the run ended while {call.name}({call.arguments[:200]}) ran. "
                "Tools aren't run while it plays, so it can't end there again: run them, with tools='live'."
            )
        return recorded

    def settle_output(
        self, call: FunctionCall, index: int, output: str | list[JSON], outcome: Outcome, full: str | None
    ) -> Output | None:
        """Take notice of what a call gave that was run; return what goes to the model instead, or None."""
        exchanges, entry = self._exchanges, self.last_entry
        if entry is None:
            return None
        if entry.index is None:
            exchanges.note_result(entry, index, call, output, outcome, full)
            return None
        if exchanges.terms.tools != "verify":
            return None
        recorded = exchanges.output_of(entry, call, index)
        if recorded is not None:
            exchanges.compare_output(entry, call, output, recorded)
        return recorded

    def _remember(self, asked: Asked) -> None:
        self._last = asked
        self._exchanges.remember(self, asked)

    def _read(self, method: str, url: str, raw: bytes) -> Asked:
        """Read a request; of one that only adds to an earlier one, only what it adds."""
        terms = self._exchanges.terms
        for earlier in (self._last, *self._exchanges.tips(self)):
            if earlier is None or (tail := earlier.grown_tail(method, url, raw)) is None:
                continue
            if tail == b"]}":
                return replace(earlier, parent=earlier.entry, entry=None)
            clean = terms.cleaner.body(tail)
            state = terms.rules.grown(earlier.state, clean)
            if state is not None:
                return Asked(
                    method,
                    url,
                    raw,
                    Body(tail, earlier.sent, len(earlier.raw) - 2),
                    Body(clean, earlier.clean, len(earlier.clean) - 2),
                    state,
                    parent=earlier.entry,
                )
        return self._read_whole(method, url, raw, self.last_entry)

    def _read_whole(self, method: str, url: str, raw: bytes, parent: Entry | None) -> Asked:
        terms = self._exchanges.terms
        clean = terms.cleaner.body(raw)
        state = terms.rules.state(method, terms.cleaner.uri(url), clean)
        return Asked(method, url, raw, Body(raw), Body(clean), state, parent=parent)


class NewTake:
    """An exchange being recorded."""

    def __init__(self, exchanges: Exchanges, asked: Asked, lane: str) -> None:
        self._exchanges = exchanges
        self._asked = asked
        self._lane = lane
        self.entry = exchanges.begin(asked)

    def end(
        self, head: AnswerHead | None, chunks: Sequence[bytes], at_ms: Sequence[int], failure: Failure | None
    ) -> None:
        """Hand over what came; `head` is None where no answer began."""
        asked, terms = self._asked, self._exchanges.terms
        cleaner = terms.cleaner
        self.entry.server = dict(head.headers).get("server", "") if head is not None else ""
        kept, times = cleaner.answer(chunks, at_ms if terms.timings else ())
        interaction = Interaction(
            method=asked.method,
            uri=cleaner.uri(asked.uri),
            body=asked.clean,
            status=None if head is None else head.status,
            headers=() if head is None else cleaner.headers(head.headers),
            chunks=kept,
            failure=failure,
            lane=self._lane,
            at_ms=times,
        )
        self._exchanges.keep(self.entry, interaction)
