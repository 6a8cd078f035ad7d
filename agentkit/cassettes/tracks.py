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
from agentkit.errors import ProtocolError, TransportError
from agentkit.tape import Lane

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Sequence
    from datetime import datetime

    from agentkit.cassettes.matching import RequestState
    from agentkit.cassettes.outputs import Output
    from agentkit.cassettes.session import Cassette
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
    parent: Entry | None
    """The exchange that the request goes on with."""
    index: int | None = None
    """Where the cassette holds it; None: it is live."""
    interaction: Interaction | None = None
    """What is recorded of it; None while it is under way, and for what was played."""
    results: dict[int, ToolResult] = field(default_factory=dict)
    """What its calls gave, by position."""
    is_journaled: bool = False


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

    def __init__(self, cassette: Cassette, lane: Lane, ordinal: int) -> None:
        self._cassette = cassette
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
        return self._cassette.now()

    def random(self, place: str) -> random.Random:
        """Return the recorded source of chance."""
        return self._cassette.random(f"{self._place}.{place}")

    def play(self, method: str, url: str, body: bytes) -> Answer | None:
        """Return the recorded answer, or None where the request is to go out."""
        recorded = self.take(method, url, body)
        if recorded is None:
            return None
        if recorded.status is None and recorded.failure is not None:
            raise error_of(recorded.failure, url)
        return PlayedAnswer(recorded, speed=self._cassette.speed)

    def take(self, method: str, url: str, body: bytes) -> Interaction | None:
        """Return what is recorded of a request, or None where the request is to go out."""
        cassette = self._cassette
        asked = self._read(method, url, body)
        entry = cassette.find(asked, self)
        self.has_played = entry is not None
        if entry is None or entry.index is None:
            self._last = asked
            return None
        self._remember(replace(asked, entry=entry))
        return cassette.restored(cassette.store.interaction(entry.index))

    def begin(self, method: str, url: str, body: bytes) -> NewTake:
        """Return where the exchange of a request that goes out is put down."""
        asked = self._last if self._last is not None and self._last.raw == body else self._read(method, url, body)
        take = NewTake(self._cassette, asked, self.lane)
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
        """Return what the call gave when it was recorded, or None where it is to be run."""
        if self._cassette.tools != "recorded":
            return None
        return self._recorded_output(call, index)

    def settle_output(
        self, call: FunctionCall, index: int, output: str | list[JSON], outcome: Outcome, full: str | None
    ) -> Output | None:
        """Take notice of what a call gave that was run; return what goes to the model instead, or None."""
        entry = self.last_entry
        if entry is None:
            return None
        if entry.index is None:
            self._cassette.note_result(entry, index, call, output, outcome, full)
            return None
        if self._cassette.tools != "verify":
            return None
        recorded = self._recorded_output(call, index)
        if recorded is not None:
            self._cassette.compare_output(entry, call, output, recorded)
        return recorded

    def _recorded_output(self, call: FunctionCall, index: int) -> Output | None:
        entry = self.last_entry
        if entry is None:
            return self._cassette.output_of_open_call(call)
        return None if entry.index is None else self._cassette.output_of(entry.index, call, index)

    def _remember(self, asked: Asked) -> None:
        self._last = asked
        self._cassette.remember(self, asked)

    def _read(self, method: str, url: str, raw: bytes) -> Asked:
        """Read a request; of one that only adds to an earlier one, only what it adds."""
        cassette = self._cassette
        for earlier in (self._last, *cassette.tips(self)):
            if earlier is None or (tail := earlier.grown_tail(method, url, raw)) is None:
                continue
            if tail == b"]}":
                return replace(earlier, parent=earlier.entry, entry=None)
            clean = cassette.cleaner.tail(tail)
            state = cassette.rules.grown(earlier.state, clean)
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
        clean = cassette.cleaner.body(raw)
        state = cassette.rules.state(method, url, clean)
        return Asked(method, url, raw, Body(raw), Body(clean), state, parent=self.last_entry)


class NewTake:
    """An exchange being recorded."""

    def __init__(self, cassette: Cassette, asked: Asked, lane: str) -> None:
        self._cassette = cassette
        self._asked = asked
        self._lane = lane
        self.entry = cassette.begin(asked)

    def end(
        self, head: AnswerHead | None, chunks: Sequence[bytes], at_ms: Sequence[int], failure: Failure | None
    ) -> None:
        """Hand over what came; `head` is None where no answer began."""
        asked, cleaner = self._asked, self._cassette.cleaner
        interaction = Interaction(
            method=asked.method,
            uri=cleaner.uri(asked.uri),
            body=asked.clean,
            status=None if head is None else head.status,
            headers=() if head is None else cleaner.headers(head.headers),
            chunks=cleaner.chunks(tuple(chunks)),
            failure=failure,
            lane=self._lane,
            at_ms=tuple(at_ms) if self._cassette.timings else (),
        )
        self._cassette.keep(self.entry, interaction)
