"""A server's no: bodies of every shape, which class they become, how long to wait."""

from __future__ import annotations

import json
from itertools import product

import pytest

from agentkit.errors import (
    AuthenticationError,
    BadRequest,
    ContextOverflow,
    NotFound,
    RateLimited,
    ServerError,
    StatusError,
)
from agentkit.status import ErrorBody, error_class, read_error, retry_after, status_error

BODIES = [
    (
        "SambaNova's envelope",
        {
            "error": {"message": "bad", "type": "invalid_request_error", "param": "input[1].role", "code": "c"},
            "request_id": "r",
        },
        ErrorBody("bad", "c", "invalid_request_error", "input[1].role", "r"),
    ),
    ("a text", {"error": "Unauthorized"}, ErrorBody("Unauthorized")),
    ("a text with a code beside it", {"error": "no", "code": "c"}, ErrorBody("no", "c")),
    ("an integer code", {"error": {"message": "bad", "code": 400}}, ErrorBody("bad", "400")),
    ("code null", {"error": {"message": "bad", "code": None, "type": "t"}}, ErrorBody("bad", "t", "t")),
    ("code empty", {"error": {"message": "bad", "code": "", "type": "t"}}, ErrorBody("bad", "t", "t")),
    ("code true", {"error": {"message": "bad", "code": True}}, ErrorBody("bad")),
    ("detail", {"detail": "Not Found"}, ErrorBody("Not Found")),
    ("a list of details", {"detail": [{"loc": ["a"], "msg": "no"}]}, ErrorBody('[{"loc":["a"],"msg":"no"}]')),
    ("flat", {"object": "error", "message": "bad", "code": 404}, ErrorBody("bad", "404")),
    ("error null", {"error": None, "message": "bad"}, ErrorBody("bad")),
    ("wrapped in a list", [{"error": {"message": "bad", "code": 429}}], ErrorBody("bad", "429")),
    ("a list", [1, 2], ErrorBody("[1,2]")),
    ("a string", "boom", ErrorBody("boom")),
    ("no message", {"error": {"code": "c"}}, ErrorBody('{"error": {"code": "c"}}', "c")),
    ("message of a wrong type", {"error": {"message": 5}}, ErrorBody('{"error": {"message": 5}}')),
    ("nothing in it", {}, ErrorBody("{}")),
    (
        "the call that the server couldn't read",
        {"error": {"message": "bad", "code": "adapter_mapping_failed", "error_model_output": "<|call|>"}},
        ErrorBody("bad", "adapter_mapping_failed", model_output="<|call|>"),
    ),
]


@pytest.mark.parametrize(("name", "body", "expected"), BODIES, ids=[row[0] for row in BODIES])
def test_an_error_body_is_read(name: str, body: object, expected: ErrorBody):
    assert read_error(json.dumps(body).encode()) == expected


RAW = [
    ("plain text", b"Internal Server Error", "Internal Server Error"),
    ("empty", b"", "an empty body"),
    ("blank", b" \n", "an empty body"),
    ("null", b"null", "null"),
    ("cut short", b'{"error": {"mess', '{"error": {"mess'),
    ("not UTF-8", b"\xff\xfe", "\ufffd\ufffd"),
    ("too deep", b"[" * 100_000, "[" * 2000),
    ("a byte order mark", b'\xef\xbb\xbf{"error": "x"}', "x"),
    ("200 KB of HTML", b"<html>" + b"x" * 200_000, "<html>" + "x" * 1994),
]


@pytest.mark.parametrize(("name", "body", "message"), RAW, ids=[row[0] for row in RAW])
def test_what_has_no_shape_is_its_own_message(name: str, body: bytes, message: str):
    assert read_error(body).message == message


def test_reading_an_error_never_fails():
    values = [None, 5, -1.5, "", "x", "\ud800", [], [[]], {}, {"message": []}, {"code": {}}, {"type": 5, "param": {}}]
    for error, code, outer in product(values, values, ["error", "detail", "message", "request_id"]):
        body = json.dumps({outer: error, "code": code, "error_model_output": error}).encode()
        assert isinstance(status_error(500, body, [], now=0, place="POST x"), ServerError)


CLASSES = [
    (400, None, BadRequest),
    (400, "invalid_value", BadRequest),
    (400, "context_length_exceeded", ContextOverflow),
    (413, "context_length_exceeded", ContextOverflow),
    (400, "model_not_found", NotFound),
    (400, "invalid_api_key", AuthenticationError),
    (400, "rate_limit_exceeded", RateLimited),
    (401, None, AuthenticationError),
    (403, None, AuthenticationError),
    (404, None, NotFound),
    (410, "model_deprecated", NotFound),
    (408, "request_timeout", BadRequest),
    (422, None, BadRequest),
    (429, "queue_full", RateLimited),
    (429, None, RateLimited),
    (500, None, ServerError),
    (503, "maintenance", ServerError),
    (529, None, ServerError),
    (200, "server_error", ServerError),
    (200, "rate_limit_exceeded", RateLimited),
    (200, "something", BadRequest),
]


@pytest.mark.parametrize(("status", "code", "expected"), CLASSES)
def test_status_and_code_make_the_class(status: int, code: str | None, expected: type):
    assert error_class(status, code) is expected


def test_a_type_can_say_that_the_context_is_too_small():
    body = b'{"error": {"code": 400, "message": "too long", "type": "exceed_context_size_error"}}'
    assert type(status_error(400, body, [], now=0, place="POST x")) is ContextOverflow


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [(502, 502, ServerError), ("429", 429, RateLimited), (401, 401, AuthenticationError), (7, 200, BadRequest)],
)
def test_a_status_passed_on_inside_a_200_counts(code: object, status: int, expected: type):
    error = status_error(200, json.dumps({"error": {"code": code, "message": "m"}}).encode(), [], now=0, place="x")
    assert (type(error), error.status) == (expected, status)


def make(body: bytes = b"boom", *headers: tuple[str, str], status: int = 500, **more: str) -> StatusError:
    return status_error(status, body, headers, now=0, place="POST host/v1/responses", **more)


def test_the_message_says_who_answered_what():
    body = b'{"error": {"message": "no such model", "code": "model_not_found"}, "request_id": "req_9"}'
    error = make(body, status=404, model="gpt")
    assert str(error) == (
        "POST host/v1/responses answered 404, code model_not_found (model 'gpt'): no such model [request id req_9]"
    )
    assert (error.status, error.code, error.request_id, error.body) == (404, "model_not_found", "req_9", body.decode())


def test_the_headers_name_the_request_first():
    assert make(b'{"request_id": "body"}', ("x-request-id", "one"), ("x-request-id", "two")).request_id == "one"


def test_html_is_named_as_such():
    assert "text/html body: <html>" in str(make(b"<html>", ("content-type", "text/html")))


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("FALSE", False), ("maybe", None), ("", None)])
def test_the_server_can_say_whether_to_retry(value: str, expected: bool | None):
    assert make(b"", ("x-should-retry", value)).should_retry is expected


def test_a_server_cannot_write_into_a_log():
    body = json.dumps({"error": {"message": "a\nERROR b\x1b[31m\u202e", "code": "c\r\nd"}}).encode()
    assert str(make(body, ("x-request-id", "e\nf"))) == (
        "POST host/v1/responses answered 500, code c\\r\\nd: a\\nERROR b\\x1b[31m\\u202e [request id e\\nf]"
    )


DATE = ("date", "Sun, 06 Nov 1994 08:49:30 GMT")
WAITS = [
    ("seconds", [("retry-after", "7")], 7.0),
    ("a fraction", [("retry-after", " 1.5 ")], 1.5),
    ("milliseconds win", [("retry-after", "9"), ("retry-after-ms", "1500")], 1.5),
    ("milliseconds that make no sense", [("retry-after-ms", "soon"), ("retry-after", "9")], 9.0),
    ("a date from the server's own", [DATE, ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], 7.0),
    ("a date in another zone", [DATE, ("retry-after", "Sun, 06 Nov 1994 09:49:37 +0100")], 7.0),
    ("asctime", [DATE, ("retry-after", "Sun Nov  6 08:49:37 1994")], 7.0),
    ("the long form", [DATE, ("retry-after", "Sunday, 06-Nov-94 08:49:37 GMT")], 7.0),
    ("a date without the server's", [("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], 17.0),
    ("a date with a broken server date", [("date", "x"), ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], 17.0),
    ("a date that is over", [DATE, ("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT")], None),
    ("above a day", [("retry-after", "90000")], 90000.0),
    ("the first valid of two", [("retry-after", "abc"), ("retry-after", "5"), ("retry-after", "6")], 5.0),
    ("an over date before a number", [DATE, ("retry-after", DATE[1]), ("retry-after", "5")], 5.0),
    ("no header", [], None),
]


@pytest.mark.parametrize(("name", "headers", "expected"), WAITS, ids=[row[0] for row in WAITS])
def test_how_long_a_server_asks_to_wait(name: str, headers: list, expected: float | None):
    assert retry_after(headers, now=784111760.0) == expected


NO_HINTS = ["0", "0.0", "-5", "nan", "inf", "-inf", "1e999", "9" * 400, "abc", "", " ", "1_0", "7,9", "0x10", "٣"]
NO_HINTS += ["Mon, 99999999999999999999 Jan 2026 00:00:00 GMT", "Sun, 06 Nov 1994 08:49:37 +99999999", "32 Foo 2026"]


@pytest.mark.parametrize("value", NO_HINTS)
@pytest.mark.parametrize("header", ["retry-after", "retry-after-ms"])
def test_what_makes_no_sense_is_no_hint(header: str, value: str):
    assert retry_after([(header, value)], now=784111760.0) is None
