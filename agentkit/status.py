"""What a server's no means: error bodies of every shape, read into one of ours. Pure.

Servers answer with SambaNova's envelope (`{"error": {message, type, param, code}, "request_id"}`), with
`{"error": "text"}`, `{"detail": ...}`, plain text, or a gateway's HTML. Reading an error never fails.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from agentkit import json
from agentkit.errors import (
    AuthenticationError,
    BadRequest,
    ContextOverflow,
    NotFound,
    RateLimited,
    ServerError,
    StatusError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEAD = 2000
"""Characters kept of an error body."""

CONTEXT_CODES = {
    "context_length_exceeded",
    "string_above_max_length",
    "context_window_exceeded",
    "exceed_context_size_error",  # llama.cpp: the type; its code is 400
}
RATE_CODES = {"rate_limit_exceeded", "rate_limit", "queue_full", "insufficient_quota", "too_many_requests"}
SERVER_CODES = {"server_error", "internal_server_error", "internal_error", "overloaded", "slow_down", "maintenance"}
AUTH_CODES = {"invalid_api_key", "invalid_authentication"}
UNREADABLE_CALL = "adapter_mapping_failed"
"""SambaNova's code where the model wrote a tool call that the server couldn't read."""
NOT_FOUND_CODES = {"model_not_found", "model_deprecated"}


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an error body says."""

    message: str
    code: str | None = None
    """The error's code, else its type."""
    kind: str | None = None
    """The error's type, where the server gives one."""
    param: str | None = None
    request_id: str | None = None
    model_output: str | None = None
    """What the model wrote and the server couldn't read (SambaNova's `error_model_output`)."""


def read_error(body: bytes) -> ErrorBody:
    """Read an error body of any shape; what has none becomes its own message."""
    text = body.decode(errors="replace")[:HEAD].strip()
    try:
        value = json.decode(body)
    except json.JSONError:
        return ErrorBody(text or "an empty body")
    if isinstance(value, list) and len(value) == 1:
        value = value[0]  # Google's gateway wraps the object in a list
    outer = value if isinstance(value, dict) else {"error": value}
    said = outer.get("error") or outer.get("detail") or outer
    if isinstance(said, dict):
        error, message = said, _text(said.get("message")) or text
    else:
        error, message = outer, said if isinstance(said, str) else json.encode(said).decode()
    kind = _text(error.get("type"))
    return ErrorBody(
        message=message[:HEAD],
        code=_code(error.get("code")) or kind,
        kind=kind,
        param=_text(error.get("param")),
        request_id=_text(outer.get("request_id")),
        model_output=_sendable(_text(error.get("error_model_output")) or _text(outer.get("error_model_output")) or "")
        or None,
    )


def error_class(status: int, code: str | None, kind: str | None = None) -> type[StatusError]:
    """Return which error a status and a body's code and type stand for. With 200 and 400 the code decides."""
    if code in CONTEXT_CODES or kind in CONTEXT_CODES:
        return ContextOverflow
    if status in (200, 400):
        for codes, cls in (
            (RATE_CODES, RateLimited),
            (SERVER_CODES, ServerError),
            (AUTH_CODES, AuthenticationError),
            (NOT_FOUND_CODES, NotFound),
        ):
            if code in codes:
                return cls
    if status == 200 and code is None:
        return ServerError  # an error inside an answer that says no more: it was accepted, so it isn't the request
    if status == 429:
        return RateLimited
    if status in (401, 403):
        return AuthenticationError
    if status in (404, 410):
        return NotFound
    return BadRequest if 200 <= status < 500 else ServerError


def status_error(
    status: int,
    body: bytes,
    headers: Sequence[tuple[str, str]],
    *,
    now: float,
    place: str,
    model: str | None = None,
) -> StatusError:
    """Return the typed error of a server's answer.

    `headers` are lower-cased pairs, `now` is Unix time, `place` names the request for the message.
    """
    said = read_error(body)
    first = dict(reversed(headers))
    if status == 200 and said.code and re.fullmatch("[45][0-9][0-9]", said.code):
        status = int(said.code)  # a gateway that passes on what its provider answered
    code = said.kind if said.code == str(status) else said.code  # a status said again says less than the type
    cls = error_class(status, code, said.kind)
    shown_code = f", code {code}" if code else ""
    asked = f" (model {model!r})" if cls is NotFound and model else ""
    request_id = first.get("x-request-id") or said.request_id
    trace = f" [request id {request_id}]" if request_id else ""
    kind = first.get("content-type", "")
    shown = f"{kind or 'unknown'} body: {said.message}" if "html" in kind else said.message
    error = cls(
        escape(f"{place} answered {status}{shown_code}{asked}: {shown}{trace}"),
        status=status,
        code=code,
        param=said.param,
        request_id=request_id,
        retry_after_s=retry_after(headers, now),
        body=body.decode(errors="replace")[:HEAD],
    )
    hint = first.get("x-should-retry", "").lower()
    error.should_retry = {"true": True, "false": False}.get(hint)
    error.model_output = said.model_output
    return error


def retry_after(headers: Sequence[tuple[str, str]], now: float) -> float | None:
    """Return the seconds that a server asks to wait: `retry-after-ms`, else the first valid `retry-after`.

    A date counts from the server's own `date`, so that a wrong clock here doesn't matter. Values that make no
    sense (nothing, zero, negative, NaN, infinite, words, a date that is over) are no hint: what waits then is
    our own backoff, and not a loop at full speed.
    """
    ms = [_number(value) / 1000 for name, value in headers if name == "retry-after-ms"]
    sent = [_timestamp(value) for name, value in headers if name == "date"]
    since = sent[0] if sent and sent[0] is not None else now
    seconds = [
        _number(value) or (_timestamp(value) or since) - since for name, value in headers if name == "retry-after"
    ]
    return next((hint for hint in (*ms, *seconds) if hint > 0), None)


def _sendable(text: str) -> str:
    """Return the head of a text that goes back to the model, with what UTF-8 can't carry written out."""
    return text[:HEAD].encode(errors="backslashreplace").decode()


def escape(text: str) -> str:
    """Return text with control characters and line ends escaped: a server can't write into a log or a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _number(value: str) -> float:
    """Return a plain decimal number; 0 for everything else, for float() takes `nan`, `1e999` and `1_0` too."""
    number = float(value) if re.fullmatch(r"\s*[0-9]+(\.[0-9]*)?\s*", value) else 0.0
    return number if math.isfinite(number) else 0.0


def _timestamp(value: str) -> float | None:
    """Return a date (also in asctime's form) as Unix time."""
    try:
        from email.utils import parsedate_to_datetime  # seldom needed, and slow to import

        date = parsedate_to_datetime(value)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _code(value: object) -> str | None:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


RATE_LIMIT_HEADERS: Mapping[str, str] = {
    # "x-ratelimit-limit-requests ... and the same with -day" (SambaNova, rate limits)
    f"x-ratelimit-{what}-requests{period}": f"{what}_requests{period.replace('-', '_')}"
    for what in ("limit", "remaining", "reset")
    for period in ("", "-day")
}
