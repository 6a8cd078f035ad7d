"""What a server's no means: error bodies of every shape, read into one of ours. Pure.

Servers answer with SambaNova's envelope (`{"error": {message, type, param, code}, "request_id"}`), with
`{"error": "text"}`, `{"detail": ...}`, plain text, or a gateway's HTML. Reading an error never fails.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
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

CONTEXT_CODES = {"context_length_exceeded", "string_above_max_length", "context_window_exceeded"}
RATE_CODES = {"rate_limit_exceeded", "rate_limit", "queue_full", "insufficient_quota", "too_many_requests"}
SERVER_CODES = {"server_error", "internal_server_error", "internal_error", "overloaded", "slow_down", "maintenance"}
AUTH_CODES = {"invalid_api_key", "invalid_authentication"}
NOT_FOUND_CODES = {"model_not_found", "model_deprecated"}


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an error body says."""

    message: str
    code: str | None = None
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
    outer = value if isinstance(value, dict) else {"error": value}
    error = outer.get("error", outer.get("detail", outer))
    if not isinstance(error, dict):
        message = error if isinstance(error, str) else json.encode(error).decode()
        return ErrorBody(message[:HEAD] or "an empty body", request_id=_text(outer.get("request_id")))
    code = error.get("code")
    return ErrorBody(
        message=(_text(error.get("message")) or text)[:HEAD],
        code=str(code) if isinstance(code, str | int) and not isinstance(code, bool) else _text(error.get("type")),
        param=_text(error.get("param")),
        request_id=_text(outer.get("request_id")),
        model_output=_text(error.get("error_model_output")) or _text(outer.get("error_model_output")),
    )


def error_class(status: int, code: str | None) -> type[StatusError]:
    """Return which error a status and a body code stand for. The code decides where the status is 200 or 400."""
    if code in CONTEXT_CODES:
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
    cls = error_class(status, said.code)
    code = f", code {said.code}" if said.code else ""
    asked = f" (model {model!r})" if cls is NotFound and model else ""
    request_id = first.get("x-request-id") or said.request_id
    trace = f" [request id {request_id}]" if request_id else ""
    kind = first.get("content-type", "")
    shown = f"{kind or 'unknown'} body: {said.message}" if "html" in kind else said.message
    error = cls(
        f"{place} answered {status}{code}{asked}: {escape(shown)}{trace}",
        status=status,
        code=said.code,
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
    sense (negative, NaN, infinite, words) are no hint.
    """
    for value in (v for k, v in headers if k == "retry-after-ms"):
        if (ms := _positive(value)) is not None:
            return ms / 1000
    for value in (v for k, v in headers if k == "retry-after"):
        if (seconds := _positive(value)) is not None:
            return seconds
        if (date := _timestamp(value)) is not None:
            sent = next((_timestamp(v) for k, v in headers if k == "date"), None)
            return max(0.0, date - (now if sent is None else sent))
    return None


def escape(text: str) -> str:
    """Return text with control characters escaped, so that a server can't write into a log or a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def _positive(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _timestamp(value: str) -> float | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError):
        return _asctime(value)
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def _asctime(value: str) -> float | None:
    try:
        return datetime.strptime(value.strip(), "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


RATE_LIMIT_HEADERS: Mapping[str, str] = {
    # "x-ratelimit-limit-requests ... and the same with -day" (SambaNova, rate limits)
    f"x-ratelimit-{what}-requests{period}": f"{what}_requests{period.replace('-', '_')}"
    for what in ("limit", "remaining", "reset")
    for period in ("", "-day")
}
