"""Answers put together at random, cut anywhere, beside what h11 makes of them: the same answer, or neither takes it."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

import h11
import pytest

from agentkit.errors import ProtocolError, TransportError
from agentkit.http1 import AnswerReader

SEEDS = 40
ANSWERS_PER_SEED = 150

STATUS_LINES = (
    *(b"HTTP/1.1 200 OK",) * 12,
    *(b"HTTP/1.1 %d X" % status for status in (201, 204, 304, 400, 413, 429, 500, 503)),
    b"HTTP/1.0 200 OK",
    b"HTTP/1.1 200",
    b"HTTP/1.1 200 ",
    b"HTTP/1.1 200 \xe9t\xe9 of 2",
    b"HTTP/1.1 20 OK",
    b"HTTP/1.1  200 OK",
    b"HTTP/1.1 2000 OK",
    b"http/1.1 200 OK",
    b"HTTP/2 200",
    b" HTTP/1.1 200 OK",
    b"",
)
FIELDS = (
    b"Content-Type: application/json",
    b"X-Odd:\tcaf\xe9 \t",
    b"X-Empty:",
    b"X-Colons: a:b: c",
    b"X-Folded: a\r\n  b\r\n\tc",
    b"Connection: keep-alive",
    b"Connection: Close",
    b"Connection: x, CLOSE",
    b"Connection: x\r\nConnection: close",
    b"Connection: closed",
    b"Set-Cookie: a=b\r\nSet-Cookie: c=d",
    b"!#$%&'*+-.^_`|~: token",
    b"X-Long: " + b"y" * 5000,
)
BROKEN_FIELDS = (
    b"no colon",
    b": no name",
    b"Space : before",
    b"X-Caf\xe9: name",
    b"X-Nul: a\0b",
    b"X-Return: a\rb",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: \xa0chunked",
    b"Transfer-Encoding: chunked\x85",
    *(
        b"Content-Length: " + length
        for length in (b"", b"-1", b"+3", b"0x3", b"3 3", b"3, 4", b"3,", b"3\xa0", b"\xb2")
    ),
)
INTERIM = (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", b"HTTP/1.1 102\r\n\r\n")
# without a blank before ";", which h11 doesn't take ("BWS", RFC 9112, 7.1.1)
SIZE_ENDS = (b"", b"", b"", b" ", b";x", b';a="b;c"', b";")
BROKEN_SIZES = (b"", b"+3", b"-3", b"0x3", b"g", b"3 3", b" 3", b"3\n")
TRAILERS = (b"", b"", b"", b"T: 1\r\n", b"T: 1\r\nU:\r\n", b"no colon\r\n", b": x\r\n")


@dataclass(frozen=True)
class Read:
    """What was made of the bytes of a connection."""

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    keeps: bool = False


REFUSED = None


def chunks(rng: random.Random, body: bytes) -> bytes:
    written, at = b"", 0
    while at < len(body):
        piece = body[at : at + rng.choice((1, 2, 7, 100, 5000))]
        at += len(piece)
        size = b"0" * rng.choice((0, 0, 3)) + rng.choice((b"%x", b"%X")) % len(piece)
        if rng.random() < 0.01:
            size = rng.choice(BROKEN_SIZES)
        end = b"\r\n" if rng.random() < 0.99 else rng.choice((b"", b"\n", b"x\r\n", b"\r\r\n"))
        written += size + rng.choice(SIZE_ENDS) + b"\r\n" + piece + end
    return written + b"0" * rng.choice((1, 1, 4)) + rng.choice(SIZE_ENDS) + b"\r\n" + rng.choice(TRAILERS) + b"\r\n"


def make_answer(rng: random.Random) -> bytes:
    """Return an answer that is right, or has one or two things wrong."""
    body = bytes(rng.choices(b"ab\r\n0:", k=rng.choice((0, 1, 5, 60, 3000))))
    fields = rng.sample(FIELDS, rng.randrange(4))
    framing = rng.choice(("length", "length", "chunked", "chunked", "both", "lengths", "closed"))
    length = len(body) + (rng.choice((-1, 1)) if rng.random() < 0.05 else 0)
    if framing in ("length", "both", "lengths"):
        fields.append(b"Content-Length: %d" % length)
    if framing == "lengths":
        fields.append(b"content-length:%d , %d" % (length, length))
    if framing in ("chunked", "both"):
        fields.append(rng.choice((b"Transfer-Encoding: chunked", b"transfer-encoding:Chunked ")))
        body = chunks(rng, body)
    if rng.random() < 0.1:
        fields.append(rng.choice(BROKEN_FIELDS))
    rng.shuffle(fields)
    end = b"\n" if rng.random() < 0.1 else b"\r\n"
    status_line = rng.choice(STATUS_LINES)
    answer = b"".join(rng.choices(INTERIM, k=rng.choice((0, 0, 0, 1, 2))))
    answer += end.join([status_line, *fields]) + end + end + body
    if rng.random() < 0.1:
        answer = answer[: rng.randrange(len(answer) + 1)]
    if rng.random() < 0.05:
        answer += rng.choice((b"\r\n", b"HTTP/1.1 200 OK\r\n", b"x"))
    return answer


def cut(rng: random.Random, data: bytes) -> list[bytes]:
    places = sorted(rng.choices(range(len(data) + 1), k=rng.choice((0, 1, 3, 40))))
    parts = [data[start:stop] for start, stop in zip([0, *places], [*places, len(data)], strict=True)]
    return [part for part in parts if part]


def read(parts: list[bytes]) -> Read | None:
    reader, body, surplus = AnswerReader(), b"", False
    try:
        for part in parts:
            surplus = surplus or reader.is_over  # a connection drops what comes then
            body += b"" if reader.is_over else reader.feed(part)
        keeps = reader.is_over and reader.keeps and not surplus
        if not reader.is_over:
            reader.finish()
    except (TransportError, ProtocolError):
        return REFUSED
    return Read(reader.status, _without_framing(reader.headers), body, keeps)


def read_with_h11(parts: list[bytes]) -> Read | None:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=100 * 2**10)
    connection.send(h11.Request(method="POST", target="/", headers=[("host", "x"), ("content-length", "0")]))
    connection.send(h11.EndOfMessage())
    status, body = 0, b""
    headers: tuple[tuple[str, str], ...] = ()
    left = [*parts, b""]  # h11 is told so of the end
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(left.pop(0))
            elif isinstance(event, h11.Response):
                status = event.status_code
                headers = _without_framing((name.decode(), value.decode("latin-1")) for name, value in event.headers)
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                is_open = connection.their_state is h11.DONE and left == [b""]  # nothing follows, the end neither
                return Read(status, headers, body, is_open and not connection.trailing_data[0])
            elif isinstance(event, h11.ConnectionClosed):
                return REFUSED
    except h11.RemoteProtocolError:
        return REFUSED


def _without_framing(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return headers without those that h11 rewrites."""
    return tuple(field for field in headers if field[0] not in ("content-length", "transfer-encoding"))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_answers_are_read_as_h11_reads_them(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(ANSWERS_PER_SEED):
        answer = make_answer(rng)
        parts = cut(rng, answer)
        assert read(parts) == read_with_h11(parts), (answer[:600], [len(part) for part in parts])


def test_many_random_answers_are_whole() -> None:
    """The comparison is one of answers, not of refusals alone."""
    rng = random.Random(0)
    answers = [read([make_answer(rng)]) for _ in range(500)]
    assert sum(answer is not REFUSED for answer in answers) > 250
    assert sum(answer is REFUSED for answer in answers) > 50
