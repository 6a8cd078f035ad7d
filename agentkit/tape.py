"""What the loop knows of a cassette: which one is in force, and what a run may ask of it.

The cassettes themselves are in `agentkit.cassettes`, which nothing here imports. A run looks the cassette up once, and
passes its own `Track` on by reference, so that threads, the background loop and nested agents all reach the same one.
"""

from __future__ import annotations

import contextlib
import contextvars
import random
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from agentkit.errors import CassetteError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    from agentkit.entries import Outcome
    from agentkit.items import FunctionCall
    from agentkit.json import JSON, JSONObject
    from agentkit.response import Usage
    from agentkit.wire import Answer


class RecordedOutput(Protocol):
    """What a cassette holds of a call."""

    @property
    def output(self) -> str | list[JSONObject]: ...
    @property
    def outcome(self) -> Outcome: ...
    @property
    def full(self) -> str | None: ...
    @property
    def usage(self) -> Usage | None:
        """What the agents nested in the call had used; None where there were none."""


class Sources(Protocol):
    """Where the moment and chance come from."""

    def now(self) -> datetime:
        """Return the moment, with its time zone."""

    def random(self, place: str) -> random.Random:
        """Return a source of chance; the same one for the same place of a recorded run."""


class Tape(Sources, Protocol):
    """A cassette in force."""

    @property
    def goes_live(self) -> bool:
        """Whether a request may go out."""

    @property
    def server(self) -> str:
        """The base URL that was recorded; empty where there is none."""

    def begin_run(self, lane: Lane) -> Track:
        """Return a run's way through the cassette."""


class Track(Sources, Protocol):
    """One run's way through a cassette. Used by one task at a time."""

    def lane_of(self, call: FunctionCall, place: str) -> Lane:
        """Return where a run is that a call makes; `place` says which call of this run it is."""

    @property
    def has_played(self) -> bool:
        """Whether the last answer came from the cassette."""

    def play(self, method: str, url: str, body: bytes) -> Answer | None:
        """Return the recorded answer, or None for a request that is to go out.

        Raises `CassetteMismatch`, and the error that was recorded in place of an answer.
        """

    def hide(self, values: Iterable[str]) -> None:
        """Keep the values of headers that hold keys out of what is recorded, wherever they turn up."""

    async def record(self, method: str, url: str, body: bytes, sent: Awaitable[Answer]) -> Answer:
        """Await an answer and return it; what is read of it is recorded."""

    def output_of(self, call: FunctionCall, index: int) -> RecordedOutput | None:
        """Return what the call gave when it was recorded, or None where it is to be run.

        `index` is its position among the calls of its response.
        """

    def settle_output(
        self, call: FunctionCall, index: int, output: str | list[JSON], outcome: Outcome, full: str | None
    ) -> RecordedOutput | None:
        """Take notice of what a call gave that was run; return what goes to the model instead, or None."""


class Live:
    """The moment and chance outside of any cassette."""

    def now(self) -> datetime:
        return datetime.now(UTC).astimezone()

    def random(self, place: str) -> random.Random:  # noqa: ARG002
        return random.Random()  # noqa: S311  (whoever needs secrets uses the secrets module)


LIVE = Live()


class Lane(NamedTuple):
    """The calls that a nested run is in."""

    calls: str = ""
    """Their ids, as `call_1/call_4`."""
    places: str = ""
    """The same by position, which no server's ids change from one recording to the next."""


LANE: contextvars.ContextVar[Lane] = contextvars.ContextVar("agentkit_lane", default=Lane())  # noqa: B039  (a tuple)
"""Where the code here runs."""

_UNSET = object()
_OUTSIDE = object()
_in_force: contextvars.ContextVar[object] = contextvars.ContextVar("agentkit_cassette", default=_UNSET)
_open: dict[int, tuple[Tape, threading.Thread]] = {}
"""The cassettes that are open in the process, and who opened them."""
_lock = threading.Lock()

refusal: Callable[[str], Exception | None] | None = None
"""Where the network is refused to agentkit's clients: returns the error for a host, None for one that is allowed."""


class InForce:
    """Puts a cassette, or none (`None`: live, whatever is around it), in force for the code within."""

    __slots__ = ("_tape", "_token")

    def __init__(self, tape: Tape | None) -> None:
        self._tape = tape

    def __enter__(self) -> None:
        self._token = _in_force.set(self._tape)
        if self._tape is not None:
            with _lock:
                _open[id(self)] = (self._tape, threading.current_thread())

    def __exit__(self, *_: object) -> None:
        with _lock:
            _open.pop(id(self), None)
        try:
            _in_force.reset(self._token)
        except ValueError:  # left in another context than entered, as async fixtures are
            _in_force.set(_UNSET)


by_default: Tape | None = None
"""What is in force where nothing else is said: the cassette of the test that runs. Event loops that test runners keep
from test to test, and run fixtures in, have the context of the test that came first."""


@contextlib.contextmanager
def in_force_by_default(tape: Tape | None) -> Iterator[None]:
    """Put a cassette in force, in the whole process, where none is."""
    global by_default
    before, by_default = by_default, tape
    try:
        yield
    finally:
        by_default = before


@contextlib.contextmanager
def outside() -> Iterator[None]:
    """Take the code within out of every cassette around it."""
    token = _in_force.set(_OUTSIDE)
    try:
        with in_force_by_default(None):
            yield
    finally:
        _in_force.reset(token)


def goes_out() -> bool:
    """Tell whether the code here is in a cassette that lets requests out, or is kept out of all by one that is off."""
    if _in_force.get() is None:
        return True
    found = find_tape()
    return found is not None and found.goes_live


def find_tape() -> Tape | None:
    """Return the cassette in force here.

    A thread that was started inside a cassette's block has none of its context (before Python 3.14). Going live there
    would be a surprise that costs money: where one cassette is open it holds, and where there are several it is
    an error.
    """
    found = _in_force.get()
    if found is _OUTSIDE:
        return None
    if found is not _UNSET:
        return found  # type: ignore[return-value]
    if not _open:
        return by_default
    with _lock:
        mine = threading.current_thread()
        others = list({id(tape): tape for tape, thread in _open.values() if thread is not mine}.values())
    if len(others) > 1:
        raise CassetteError(
            f"{len(others)} cassettes are open, and this thread was started without saying which is its own. "
            "Start it with contextvars.copy_context().run, or open a cassette inside it."
        )
    return others[0] if others else by_default


def begin_track() -> Track | None:
    """Return a new run's way through the cassette in force, or None where there is none."""
    tape = find_tape()
    return None if tape is None else tape.begin_run(LANE.get())


def sources() -> Sources:
    """Return where the moment and chance come from here."""
    return find_tape() or LIVE
