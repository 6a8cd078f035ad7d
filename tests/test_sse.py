"""Bytes to events: the same whatever the pieces they come in."""

from __future__ import annotations

import time

import pytest

from agentkit.errors import ProtocolError
from agentkit.sse import MAX_EVENT_BYTES, ServerEvent, SSEDecoder


def decode(*chunks: bytes) -> list[ServerEvent]:
    decoder = SSEDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.finish()


STREAMS = [
    ("one event", b"event: a\ndata: 1\n\n", [("a", b"1")]),
    ("two events", b"data: 1\n\ndata: 2\n\n", [("", b"1"), ("", b"2")]),
    ("CRLF", b"event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n", [("a", b"1"), ("", b"2")]),
    ("CR", b"event: a\rdata: 1\r\rdata: 2\r\r", [("a", b"1"), ("", b"2")]),
    ("mixed line ends", b"data: 1\r\n\ndata: 2\r\r\ndata: 3\n\r\n", [("", b"1"), ("", b"2"), ("", b"3")]),
    ("several data lines", b"data: a\ndata: b\r\ndata:\n\n", [("", b"a\nb\n")]),
    ("no space after the colon", b"event:a\ndata:1\n\n", [("a", b"1")]),
    ("only one space is taken", b"data:  1 \n\n", [("", b" 1 ")]),
    ("a colon in the value", b'data: {"a": "b: c"}\n\n', [("", b'{"a": "b: c"}')]),
    ("no colon", b"data\n\n", [("", b"")]),
    ("byte order mark", b"\xef\xbb\xbfdata: 1\n\n", [("", b"1")]),
    ("comments", b": ping\n\n:\ndata: 1\n: ping\n\n", [("", b"1")]),
    ("id and retry", b"id: 5\nretry: 1000\ndata: 1\n\n", [("", b"1")]),
    ("the last name wins", b"event: a\nevent: b\ndata: 1\n\n", [("b", b"1")]),
    ("a name without data is no event", b"event: a\n\ndata: 1\n\n", [("", b"1")]),
    ("no blank line at the end", b"data: 1\n\ndata: 2\n", [("", b"1"), ("", b"2")]),
    ("no line end at the end", b"data: 1\n\ndata: 2", [("", b"1"), ("", b"2")]),
    ("many blank lines", b"\n\n\r\n\rdata: 1\n\n\n\n\n", [("", b"1")]),
    ("separators that end no line", "data: a\u2028b\u2029c\u0085d\x0b\x0c\x1c\n\n".encode(), None),
    ("characters of several bytes", "data: æ€😀\n\n".encode(), [("", "æ€😀".encode())]),
    ("NUL", b"data: a\x00b\n\n", [("", b"a\x00b")]),
    ("nothing", b"", []),
]


@pytest.mark.parametrize(("name", "stream", "expected"), STREAMS, ids=[row[0] for row in STREAMS])
def test_events_are_the_same_however_they_are_split(name: str, stream: bytes, expected: list | None):
    wanted = [("", "a\u2028b\u2029c\u0085d\x0b\x0c\x1c".encode())] if expected is None else expected
    assert decode(stream) == wanted
    assert decode(*(stream[i : i + 1] for i in range(len(stream)))) == wanted
    for first in range(len(stream) + 1):
        for second in range(first, len(stream) + 1):
            assert decode(stream[:first], stream[first:second], b"", stream[second:]) == wanted


def test_an_event_comes_out_with_its_blank_line():
    """Not one chunk later: what waits for the next read shows late."""
    decoder = SSEDecoder()
    assert decoder.feed(b"data: 1\n") == []
    assert decoder.feed(b"\n") == [("", b"1")]
    assert SSEDecoder().feed(b"data: 1\r\r") == [("", b"1")]


@pytest.mark.parametrize(
    ("name", "stream", "stray"),
    [
        ("a bare JSON error", b'{"error":{"message":"boom"}}\n', b'{"error":{"message":"boom"}}'),
        ("after an event", b"data: 1\n\nInternal Server Error", b"Internal Server Error"),
        ("over several lines", b'{\n  "error": "boom"\n}\n', b'{\n  "error": "boom"\n}'),
        ("only fields", b": c\nid: 1\nretry: 2\nevent: a\ndata: b\n\n", b""),
        ("very long", b"x" * 1000 + b"\n" + b"y" * 1000, b"x" * 500),
    ],
)
def test_lines_that_are_no_fields_are_kept_for_the_message(name: str, stream: bytes, stray: bytes):
    decoder = SSEDecoder()
    decoder.feed(stream)
    decoder.finish()
    assert decoder.stray == stray


def test_a_line_of_16_mb_in_small_pieces_takes_linear_time():
    piece = b"x" * 64
    started = time.perf_counter()
    decoder = SSEDecoder()
    decoder.feed(b"data: ")
    for _ in range((MAX_EVENT_BYTES - 64) // 64):
        decoder.feed(piece)
    [event] = decoder.feed(b"\n\n")
    assert len(event.data) == MAX_EVENT_BYTES - 64
    assert time.perf_counter() - started < 10  # 0.2 s; a quadratic decoder needs minutes


@pytest.mark.parametrize(
    ("name", "chunk", "times"),
    [
        ("a line that never ends", b"x" * 2**20, 17),
        ("a line that ends", b"data: " + b"x" * MAX_EVENT_BYTES + b"\n", 1),
        ("many data lines", b"data: " + b"x" * 2**20 + b"\n", 17),
        ("many empty data lines", b"data:\n" * 2**20, 4),
        ("a comment that never ends", b":" * 2**20, 17),
    ],
)
def test_a_larger_event_is_refused(name: str, chunk: bytes, times: int):
    with pytest.raises(ProtocolError, match="an event of more than 16777216 bytes"):
        decode(*[chunk] * times)


def test_events_below_the_cap_do_not_add_up():
    decoder = SSEDecoder()
    for _ in range(40):
        assert len(decoder.feed(b"data: " + b"x" * 2**20 + b"\n\n")) == 1


@pytest.mark.parametrize("end", [b"d", b"data", b"eve", b"i", b"\xef\xbb"])
def test_a_stream_cut_within_the_name_of_a_field_holds_no_stray_line(end: bytes):
    decoder = SSEDecoder()
    assert decoder.feed(b"data: 1\n\n" + end) == [ServerEvent("", b"1")]
    assert decoder.finish() == []
    assert decoder.stray == b""


def test_a_cut_line_of_another_kind_is_stray():
    decoder = SSEDecoder()
    decoder.feed(b'{"error": "oh"')
    assert decoder.finish() == []
    assert decoder.stray == b'{"error": "oh"'
