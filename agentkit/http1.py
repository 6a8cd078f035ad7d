"""HTTP/1.1 as a client of one kind of server needs it: a request's head out, an answer's bytes in. No I/O.

Follows RFC 9112. Made for speed where the bytes are many (bodies, chunks), and strict where an answer could be taken
for longer or shorter than it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agentkit.errors import ProtocolError, TransportError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_HEAD_BYTES = 100 * 2**10
"""Largest head accepted."""
MAX_LINE_BYTES = 4 * 2**10
"""Longest line accepted that announces a chunk."""

# "a recipient MAY recognize a single LF as a line terminator" (RFC 9112, 2.2)
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n\0]*)?")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n\0]*)")
_FOLD = re.compile(r"\n[ \t]+")
_BLANKS = " \t"  # str.strip() takes more for blank than HTTP does, and "\xa0chunked" for chunked
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n\0]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*")

_UNTIL_CLOSED = -1
_CHUNKED = -2


def encode_head(method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]], length: int) -> bytes:
    """Return the head of a request whose body has that many bytes. Names and values are the caller's to check."""
    lines = [b"%b %b HTTP/1.1" % (method.encode(), target)]
    lines += [b"%b: %b" % field for field in headers]
    if length or method != "GET":
        lines.append(b"content-length: %d" % length)
    return b"\r\n".join(lines) + b"\r\n\r\n"


class AnswerReader:
    """Takes the bytes of one connection from the request on, and finds the answer in them.

    Raises `TransportError` for what is no HTTP, and `ProtocolError` for a head that is too long.
    """

    __slots__ = ("_left", "_rest", "_searched", "_state", "headers", "is_over", "keeps", "status")

    def __init__(self) -> None:
        self.status = 0
        """The answer's status; 0 until its head has come."""
        self.headers: list[tuple[str, str]] = []
        """Its headers, names in lower case."""
        self.is_over = False
        """Whether all of it has come."""
        self.keeps = False
        """Whether the connection may serve again after it."""
        self._rest = b""  # of a head or a line, as far as it has come
        self._searched = 0  # bytes of a head in which its end isn't
        self._left = 0  # bytes of the body or of a chunk that are missing; of trailers: that are accepted
        self._state = self._take_head

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, at least one; return those of the body among them."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        return self._state(data)

    def finish(self) -> None:
        """Tell that the server has closed the connection. Raises `TransportError` where that cuts the answer."""
        self.keeps = False
        if self._left == _UNTIL_CLOSED and self.status:
            self.is_over = True
        if not self.is_over:
            place = "in the answer" if self.status else "in its headers" if self._rest else "without an answer"
            raise TransportError(f"the server closed the connection {place}")

    @property
    def has_begun(self) -> bool:
        """Whether anything of the answer has come."""
        return bool(self.status or self._rest)

    def _take_head(self, data: bytes) -> bytes:
        while (end := _HEAD_END.search(data, self._searched, MAX_HEAD_BYTES)) is not None:
            is_last = self._read_head(data[: end.start()])
            data, self._searched = data[end.end() :], 0
            if is_last:
                return self._state(data) if data else b""
        if len(data) > MAX_HEAD_BYTES:
            raise ProtocolError("the headers of the answer are too long")
        if data[:7] != b"HTTP/1."[: len(data)]:
            raise TransportError(f"what came is no HTTP/1: {data[:40]!r}")
        self._rest, self._searched = data, max(len(data) - 3, 0)  # the end may be there but for its last byte
        return b""

    def _read_head(self, head: bytes) -> bool:
        """Read a head; return whether it is the answer's, and no interim one's."""
        first, _, rest = head.decode("latin-1").replace("\r\n", "\n").partition("\n")
        if (found := _STATUS_LINE.fullmatch(first)) is None:
            raise TransportError(f"what came is no HTTP/1: {first[:40]!r}")
        status = int(found[2])
        if status == 101:
            raise TransportError("the server switched to another protocol, which nobody asked for")
        headers = _read_fields(rest)
        if status < 200:
            return False
        self.headers, self.status = headers, status
        listed = _listed(headers)
        self._left = _body_length(status, listed)
        closes = "close" in listed["connection"]
        self.keeps = found[1] == "1" and not closes and self._left != _UNTIL_CLOSED
        self.is_over = self._left == 0
        self._state = self._take_size if self._left == _CHUNKED else self._take_body
        return True

    def _take_body(self, data: bytes) -> bytes:
        if self._left == _UNTIL_CLOSED:
            return data
        if len(data) > self._left:
            self.keeps, data = False, data[: self._left]  # what follows would be taken for the next answer
        self._left -= len(data)
        self.is_over = self._left == 0
        return data

    def _take_size(self, data: bytes) -> bytes:
        """Take chunks, beginning with the line that announces one."""
        pieces: list[bytes] = []
        at, end = 0, len(data)
        while True:
            stop = data.find(b"\r\n", at, at + MAX_LINE_BYTES)
            if stop < 0:
                if end - at >= MAX_LINE_BYTES:
                    raise TransportError("the answer is chunked, and a chunk's size has no end")
                self._rest = data[at:]
                break
            if (found := _SIZE.fullmatch(data, at, stop)) is None:
                raise TransportError(f"the answer is chunked, and a chunk's size is {data[at:stop][:40]!r}")
            size, at = int(found[1], 16), stop + 2
            if size == 0:
                self._state, self._left = self._take_trailers, MAX_HEAD_BYTES
                self._take_trailers(data[at:])
                break
            pieces.append(data[at : at + size])
            at += size
            if at + 2 > end:
                self._left = max(at - end, 0)
                self._rest = data[at:]  # half of a line end
                self._state = self._take_chunk
                break
            _check_line_end(data[at : at + 2])
            at += 2
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _take_chunk(self, data: bytes) -> bytes:
        """Take what is missing of a chunk, and its line end."""
        left = self._left
        piece, after = data[:left], left + 2
        if len(data) < after:
            self._left -= len(piece)
            self._rest = data[left:]
            return piece
        _check_line_end(data[left:after])
        self._state = self._take_size
        return piece + self._take_size(data[after:]) if len(data) > after else piece

    def _take_trailers(self, data: bytes) -> bytes:
        """Take the lines after the last chunk, which say nothing here, to the empty one."""
        at = 0
        while (stop := data.find(b"\r\n", at, self._left)) >= 0:
            if stop == at:
                self.is_over = True
                self.keeps = self.keeps and stop + 2 == len(data)
                return b""
            if _TRAILER.fullmatch(data, at, stop) is None:
                raise TransportError(f"the answer is chunked, and ends with {data[at : min(stop, at + 40)]!r}")
            at = stop + 2
        if len(data) >= self._left:
            raise ProtocolError("the trailers of the answer are too long")
        self._rest = data[at:]
        self._left -= at
        return b""


def _check_line_end(data: bytes) -> None:
    if data != b"\r\n":
        raise TransportError("the answer is chunked, and a chunk is longer than announced")


def _read_fields(text: str) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    if not text:
        return fields
    # "obs-fold ... replace each received obs-fold with one or more SP" (RFC 9112, 5.2)
    for line in _FOLD.sub(" ", text).split("\n"):
        if (found := _FIELD.fullmatch(line)) is None:
            raise TransportError(f"the answer has a header that is none: {_name_of(line)!r}")
        fields.append((found[1].lower(), found[2].strip(_BLANKS)))
    return fields


def _name_of(line: str) -> str:
    """Return what may be shown of a header: its value may be a secret."""
    return line.partition(":")[0][:40]


def _listed(headers: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the elements of the headers that are about the connection, in lower case."""
    found: dict[str, list[str]] = {"connection": [], "content-length": [], "transfer-encoding": []}
    for name, value in headers:
        if name in found:
            for element in value.lower().split(","):
                found[name].append(element.strip(_BLANKS))
    return found


def _body_length(status: int, listed: dict[str, list[str]]) -> int:
    """Return a body's length, or how its end is told (RFC 9112, 6.3)."""
    lengths, codings = listed["content-length"], listed["transfer-encoding"]
    length = lengths[0] if lengths else "0"
    if lengths != [length] * len(lengths) or not (length.isascii() and length.isdigit()) or len(length) > 15:
        raise TransportError(f"the answer has a content-length that is none: {', '.join(lengths)[:40]!r}")
    if codings not in ([], ["chunked"]):
        raise TransportError(f"the answer is transferred as {', '.join(codings)[:40]!r}; chunked is understood")
    if status in (204, 304):
        return 0
    if codings:
        return _CHUNKED
    return int(length) if lengths else _UNTIL_CLOSED
