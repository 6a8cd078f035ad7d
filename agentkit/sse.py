"""Server-sent events: bytes in, events out, no I/O. Follows the WHATWG rules for event streams.

Lines end at LF, CR or CRLF and at nothing else. That is decided on bytes: text-level splitting also breaks
at U+2028, which JSON may hold raw, and cuts the JSON in two.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from agentkit.errors import ProtocolError

MAX_EVENT_BYTES = 16 * 2**20
"""Largest event accepted."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"
_FIELDS = (b"data", b"event", b"id", b"retry", _BOM + b"data")


class ServerEvent(NamedTuple):
    """One event of a stream."""

    name: str
    """The `event:` field, or empty."""
    data: bytes
    """The `data:` lines, joined by LF."""


class SSEDecoder:
    """Turns the chunks of a stream, split anywhere, into events. Linear in the bytes it is fed."""

    __slots__ = ("_data", "_name", "_partial", "_size", "_skip_lf", "_started", "stray")

    def __init__(self) -> None:
        self._partial = bytearray()  # a line whose end hasn't come yet
        self._data: list[bytes] = []
        self._size = 0
        self._name = ""
        self._skip_lf = False
        self._started = False
        self.stray = b""
        """Head of the lines that are no fields of an event stream, for the error message: a server that
        fails in the middle may write a bare JSON error."""

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """Take the next bytes; return the events that they complete. Raises `ProtocolError` for a giant event."""
        if self._skip_lf and chunk:
            self._skip_lf = False
            chunk = chunk.removeprefix(b"\n")
        if not chunk:
            return []
        lines = _LINE_END.split(chunk) if b"\r" in chunk else chunk.split(b"\n")
        rest = lines.pop()
        self._skip_lf = chunk.endswith(b"\r")
        events: list[ServerEvent] = []
        if lines and self._partial:
            lines[0] = bytes(self._partial) + lines[0]
            self._partial.clear()
        for line in lines:
            if not line:
                if self._data:
                    events.append(self._dispatch())
                else:
                    self._name = ""
            elif line.startswith(b"data: ") and not self._data:  # what nearly all lines are
                self._started = True
                self._data.append(line[6:])
                self._size = len(line)
                if self._size > MAX_EVENT_BYTES:
                    self._check_size(self._size)
            else:
                self._take_line(line)
        if rest:
            self._partial += rest
            self._check_size(len(self._partial))
        return events

    def finish(self) -> list[ServerEvent]:
        """Tell that the stream has ended; return an event whose closing blank line never came."""
        if any(name.startswith(self._partial) for name in _FIELDS):
            self._partial.clear()  # cut within the name of a field: no stray line, and nothing to read
        events = self.feed(b"\n") if self._partial else []
        return [*events, self._dispatch()] if self._data else events

    def _take_line(self, line: bytes) -> None:
        if not self._started:
            self._started = True
            line = line.removeprefix(_BOM)
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value[1:] if value[:1] == b" " else value)
            self._size += len(line)
            self._check_size(self._size)
        elif name == b"event":
            self._name = value.removeprefix(b" ").decode(errors="replace")
        elif name not in (b"", b"id", b"retry") and len(self.stray) < 500:
            self.stray = (self.stray + b"\n" + line if self.stray else line)[:500]

    def _dispatch(self) -> ServerEvent:
        event = ServerEvent(self._name, self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
        self._data, self._size, self._name = [], 0, ""
        return event

    def _check_size(self, size: int) -> None:
        if size > MAX_EVENT_BYTES:
            raise ProtocolError(f"an event of more than {MAX_EVENT_BYTES} bytes in the stream; that many are accepted.")
