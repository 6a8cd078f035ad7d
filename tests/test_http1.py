"""HTTP/1.1 from bytes alone: answers fed whole, byte by byte and in two parts; what is refused; what is left over."""

import time

import pytest

from agentkit.errors import ProtocolError, TransportError
from agentkit.http1 import MAX_HEAD_BYTES, MAX_LINE_BYTES, AnswerReader, encode_head

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

# name: (bytes, status, body, whether the connection may serve again)
ANSWERS = {
    "length": (OK + b"Content-Length: 5\r\n\r\nhello", 200, b"hello", True),
    "no body": (OK + b"Content-Length: 0\r\n\r\n", 200, b"", True),
    "the same length twice": (OK + b"Content-Length: 5\r\nContent-Length: 5, 5\r\n\r\nhello", 200, b"hello", True),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "no reason": (b"HTTP/1.1 500\r\nContent-Length: 2\r\n\r\nno", 500, b"no", True),
    "close": (OK + b"Connection: Close\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi", False),
    "1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi", False),
    "bare line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", 200, b"hi", True),
    "interim answers": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi",
        200,
        b"hi",
        True,
    ),
    "chunks": (CHUNKED + b"5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n", 200, b"hello world", True),
    "a chunk that holds line ends": (CHUNKED + b"4\r\n\r\n\r\n\r\n0\r\n\r\n", 200, b"\r\n\r\n", True),
    "extensions and trailers": (CHUNKED + b'00A ;a="b"\r\n0123456789\r\n0;x\r\nT: 1\r\n\r\n', 200, b"0123456789", True),
    "chunks and a length": (
        OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        200,
        b"hi",
        True,
    ),
}


def read(parts):
    reader = AnswerReader()
    body = b"".join(reader.feed(part) for part in parts if part)
    return reader, body


@pytest.mark.parametrize(("data", "status", "body", "keeps"), ANSWERS.values(), ids=ANSWERS.keys())
def test_answers_split_anywhere(data, status, body, keeps):
    bytewise = [data[i : i + 1] for i in range(len(data))]
    halves = [[data[:at], data[at:]] for at in range(len(data) + 1)]
    for parts in ([data], bytewise, *halves):
        reader, got = read(parts)
        assert (reader.status, got, reader.is_over, reader.keeps) == (status, body, True, keeps)


@pytest.mark.parametrize(("data", "status", "body", "keeps"), ANSWERS.values(), ids=ANSWERS.keys())
def test_an_answer_that_is_cut_short_anywhere_is_an_error(data, status, body, keeps):
    for at in range(len(data)):
        reader, _ = read([data[:at]])
        if not reader.is_over:
            with pytest.raises(TransportError, match="closed the connection"):
                reader.finish()
            assert not reader.keeps


def test_a_body_without_length_ends_with_the_connection():
    reader, body = read([OK + b"\r\nhel", b"lo"])
    assert (body, reader.is_over) == (b"hello", False)
    reader.finish()
    assert (reader.is_over, reader.keeps) == (True, False)


def test_headers_as_they_came():
    reader, _ = read([OK + b"X-Odd:  caf\xe9 \t\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nFolded: a\r\n  b\r\n\r\n"])
    assert reader.headers == [("x-odd", "caf\xe9"), ("set-cookie", "a=b"), ("set-cookie", "c=d"), ("folded", "a b")]


SURPLUS = {
    "length": OK + b"Content-Length: 2\r\n\r\nhi",
    "no body": OK + b"Content-Length: 0\r\n\r\n",
    "chunks": CHUNKED + b"2\r\nhi\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("data", SURPLUS.values(), ids=SURPLUS.keys())
def test_what_follows_an_answer_is_not_part_of_it(data):
    reader, body = read([data + b"HTTP/1.1 200 OK"])
    assert (body in (b"hi", b""), reader.is_over, reader.keeps) == (True, True, False)


REFUSED = {
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a status that is none": b"HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\n\r\n",
    "switching protocols": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
    "a header without a name": OK + b": x\r\n\r\n",
    "a header with a space before the colon": OK + b"Content-Length : 2\r\n\r\n",
    "a header that is none": OK + b"nonsense\r\n\r\n",
    "a NUL": OK + b"X: a\0b\r\n\r\n",
    "a carriage return": OK + b"X: a\rb\r\n\r\n",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n",
    "a negative length": OK + b"Content-Length: -2\r\n\r\n",
    "a length that is none": OK + b"Content-Length: 0x2\r\n\r\n",
    "a length that is none beside chunks": OK + b"Content-Length: -2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a length with a blank that HTTP doesn't know": OK + b"Content-Length: 2\x85\r\n\r\nhi",
    "a coding with a blank that HTTP doesn't know": OK + b"Transfer-Encoding: \xa0chunked\r\n\r\n0\r\n\r\n",
    "an unknown coding of nothing": b"HTTP/1.1 204 X\r\nTransfer-Encoding: gzip\r\n\r\n",
    "an unknown coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    "a chunk size that is none": CHUNKED + b"zz\r\nabc\r\n",
    "a signed chunk size": CHUNKED + b"+2\r\nhi\r\n",
    "a chunk longer than announced": CHUNKED + b"2\r\nhiya\r\n",
    "a chunk longer than announced, later": CHUNKED + b"2\r\nh",
    "a chunk size without end": CHUNKED + b"1" * (MAX_LINE_BYTES + 1),
    "a trailer that is none": CHUNKED + b"0\r\nnonsense\r\n\r\n",
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_http_is_refused(data):
    with pytest.raises(TransportError):
        read([data, b"iy", b"a"])


@pytest.mark.parametrize("begin", [OK, CHUNKED + b"0\r\n"])
def test_a_head_without_end_is_refused(begin):
    with pytest.raises(ProtocolError, match="too long"):
        read([begin, *([b"X: " + b"y" * 1000 + b"\r\n"] * (MAX_HEAD_BYTES // 1000 + 1))])


def in_bytes(data):
    return [data[i : i + 1] for i in range(len(data))]


ALMOST_TOO_LONG = {
    "blanks": [OK + b"X: a" + b" " * 90_000 + b"b\r\nContent-Length: 2\r\n\r\nhi"],
    "folds": [OK + b"X: a\r\n" + b" b\r\n" * 20_000 + b"Content-Length: 2\r\n\r\nhi"],
    "a dripped head": in_bytes(OK + b"X: " + b"y" * 90_000 + b"\r\nContent-Length: 2\r\n\r\nhi"),
    "dripped trailers": in_bytes(CHUNKED + b"2\r\nhi\r\n0\r\n" + b"T: 1\r\n" * 10_000 + b"\r\n"),
}


@pytest.mark.parametrize("parts", ALMOST_TOO_LONG.values(), ids=ALMOST_TOO_LONG.keys())
def test_the_longest_heads_take_no_time(parts):
    """Under 0.3 s each; 12 to 94 s for one that goes over what it has seen again and again (Python 3.11, 2 cores)."""
    started = time.process_time()
    reader, body = read(parts)
    assert (body, reader.is_over, reader.keeps) == (b"hi", True, True)
    assert time.process_time() - started < 5


def test_the_value_of_a_broken_header_is_not_shown():
    with pytest.raises(TransportError) as caught:
        read([OK + b"X-Secret : sk-very-secret\r\n\r\n"])
    assert "sk-very-secret" not in str(caught.value)


def test_heads_of_requests():
    assert encode_head("POST", b"/v1?a=b", [(b"host", b"x"), (b"accept", b"y")], 2) == (
        b"POST /v1?a=b HTTP/1.1\r\nhost: x\r\naccept: y\r\ncontent-length: 2\r\n\r\n"
    )
    assert encode_head("GET", b"/v1/models", [(b"host", b"x")], 0) == b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"
