"""Events to the bytes of a `text/event-stream`, in the ways that servers are known to write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentkit import json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentkit.json import JSONObject

_INDEXES = frozenset({"output_index", "content_index", "summary_index"})


@dataclass(frozen=True, slots=True)
class Wire:
    """How events are written. The default is SambaNova's form; each field is a way in which servers differ."""

    event_lines: bool = True
    """An `event: <type>` line before each `data:` line; some gateways and local servers send none."""
    sequence_numbers: bool = True
    """`sequence_number` in every event; llama.cpp and gateways send none."""
    indexes: bool = True
    """`output_index`, `content_index` and `summary_index`; llama.cpp sends none."""
    done: bool = False
    """A last `data: [DONE]`, which the Open Responses specification asks for and SambaNova doesn't."""
    newline: str = "\n"
    """The line end: LF, CRLF or CR, all legal in an event stream."""
    comment: str | None = None
    """A comment line before each event, as keep-alives are."""
    chunk_bytes: int | None = None
    """Bytes per chunk, to split events anywhere, also inside UTF-8 sequences. None: one chunk per event."""


def encode_event(event: JSONObject, wire: Wire) -> bytes:
    """Return one event as a frame: comment, `event:` and `data:` lines as `wire` has them, and a blank line."""
    end = wire.newline.encode()
    dropped = (frozenset() if wire.sequence_numbers else frozenset({"sequence_number"})) | (
        frozenset() if wire.indexes else _INDEXES
    )
    if dropped:
        event = {key: value for key, value in event.items() if key not in dropped}
    lines = []
    if wire.comment is not None:
        lines.append(f": {wire.comment}".encode())
    if wire.event_lines and "type" in event:
        lines.append(f"event: {event['type']}".encode())
    lines.append(b"data: " + json.encode(event))
    return end.join(lines) + end + end


def encode_done(wire: Wire) -> bytes:
    """Return the `[DONE]` frame that some servers end their streams with."""
    return f"data: [DONE]{wire.newline * 2}".encode()


def split_bytes(frame: bytes, size_bytes: int | None) -> Iterator[bytes]:
    """Yield `frame` in chunks of `size_bytes`; whole for None."""
    if size_bytes is None:
        yield frame
        return
    for start in range(0, len(frame), size_bytes):
        yield frame[start : start + size_bytes]
