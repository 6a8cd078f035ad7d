"""What a cassette holds: requests, and what came back for each, chunk by chunk. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentkit.entries import Outcome

VERSION = 1
"""The version of the file format that is written."""


class Body:
    """A request's bytes, kept as what was added to an earlier request's.

    Each request of a conversation repeats the one before it: 1,000 of them, kept whole, would take the memory of
    the conversation 500 times over.
    """

    __slots__ = ("kept", "parent", "size", "tail")

    def __init__(self, tail: bytes, parent: Body | None = None, kept: int = 0) -> None:
        """Make a body of the first `kept` bytes of `parent`, and `tail`."""
        self.tail = tail
        self.parent = parent
        self.kept = kept
        self.size = kept + len(tail)

    def __bytes__(self) -> bytes:
        pieces: list[bytes] = []
        body: Body | None = self
        wanted = self.size
        while body is not None and wanted:
            if wanted > body.kept:
                pieces.append(body.tail[: wanted - body.kept])
            wanted = min(wanted, body.kept)
            body = body.parent
        return b"".join(reversed(pieces))

    def __len__(self) -> int:
        return self.size

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Body) and self.size == other.size and bytes(self) == bytes(other)

    __hash__ = None  # type: ignore[assignment]  # compared by value, at the price of joining

    def __repr__(self) -> str:
        return f"Body({self.size} bytes)"


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of the connection, in place of an answer or in the middle of one."""

    kind: str
    """`TransportError`, `Timeout` or `ProtocolError`, as agentkit's client raises it; the name of httpx's class, such
    as `ReadError`, where httpx raised it; `Left` where the reader left before the end."""
    message: str = ""
    retry: str = "transient"
    """How the retry policy took it, see `TransportError.kind`: that depends on more than the error's class."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What no request tells of a call: the output of one that no request followed, or an outcome other than ok."""

    call_id: str
    """The call's id as its response holds it."""
    output: str
    """What the model was, or would have been, told."""
    outcome: Outcome = "ok"
    full: str | None = None
    """The whole output where the model got a cut one."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """One request, and what came back."""

    method: str
    uri: str
    body: Body
    """The request's bytes."""
    status: int | None = None
    """The HTTP status; None where no answer began."""
    headers: tuple[tuple[str, str], ...] = ()
    """The answer's headers that are kept, names in lower case."""
    chunks: tuple[bytes, ...] = ()
    """The answer's body as it came, decoded; no chunk is empty."""
    failure: Failure | None = None
    """What ended the answer, or took its place."""
    parent: int | None = None
    """The index of the interaction whose conversation this request goes on with."""
    lane: str = ""
    """The calls that a nested agent ran beneath, as `call_1` or `call_1/call_4`; empty at the top."""
    at_ms: tuple[int, ...] = ()
    """Milliseconds from the request to each chunk; empty where no times are kept."""
    tool_results: tuple[ToolResult, ...] = ()

    @property
    def answer(self) -> bytes:
        """The answer's body, whole."""
        return b"".join(self.chunks)


@dataclass(frozen=True, slots=True)
class Head:
    """What a cassette says of itself, before its interactions."""

    recorded: str = ""
    """The day, such as `2026-11-27`."""
    server: str = ""
    """Who answered: a base URL, and for the reference server its name."""
    now: str = ""
    """The moment that `ctx.now()` and the template variable `now` give, as ISO 8601; empty: nobody asked."""
    seed: int | None = None
    """What `ctx.random` and `ctx.uuid()` are seeded with; None: nobody asked."""
    keeps_ids: bool = False
    """Whether ids are kept as they came, because something in the file is signed with them."""
    extra: dict[str, object] = field(default_factory=dict)
    """Keys that this version doesn't know, kept as they are."""


@dataclass(frozen=True, slots=True)
class Recording:
    """All that a cassette file holds."""

    head: Head = field(default_factory=Head)
    interactions: tuple[Interaction, ...] = ()

    def __iter__(self) -> Iterator[Interaction]:
        return iter(self.interactions)

    def __len__(self) -> int:
        return len(self.interactions)
