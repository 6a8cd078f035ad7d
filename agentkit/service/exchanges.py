"""What a server was asked and what it answered: kept for asserts, and told in one line each."""

from __future__ import annotations

import datetime
import re
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl, quote

from agentkit import json
from agentkit.json import JSONError
from agentkit.service.hidden import HIDDEN, escaped
from agentkit.service.replies import Answer, Call, Disconnect, Failure, Reasoning, Refusal, Text

if TYPE_CHECKING:
    from agentkit.json import JSON, JSONObject
    from agentkit.service.requests import ReceivedRequest

MAX_KEPT_BYTES = 256 * 2**20
"""Bodies kept altogether; the oldest requests are forgotten beyond that."""

_LINE_CHARACTERS = 200
_SECRET = re.compile(r"auth|token|secret|cookie|password|(?<!idempotency-)(?<!idempotency_)key", re.IGNORECASE)
_UNSAFE = re.compile(f"[\x00-\x1f{HIDDEN}]")


@dataclass(slots=True)
class Exchange:
    """One request and what came of it."""

    number: int
    """Counted from 1."""
    time: float
    """When it came, in Unix seconds."""
    method: str
    path: str
    """With its query; values that may be secret are `***`."""
    headers: Mapping[str, str]
    """Names in lower case; values that may be secret are `***`."""
    raw: bytes = b""
    """The body as it came; empty where it was too large."""
    status: int | None = None
    """The status sent; None where none was."""
    outcome: Literal["open", "answered", "cut", "client left", "stopped"] = "open"
    reply: tuple[str, ...] = ()
    """What was answered: the items, or the code of the error."""
    faults: tuple[str, ...] = ()
    """The faults that bent the answer, by header or by chance."""
    duration_s: float = 0.0
    asked: JSONObject = field(default_factory=dict)
    """What a request for a response is about: its model, how many items of input, whether streamed."""

    def note_request(self, request: ReceivedRequest) -> None:
        """Keep what the line about it says."""
        self.asked = {
            "model": request.get("model"),
            "items": len(request.input_items),
            "stream": request.get("stream") is True,
        }

    @property
    def body(self) -> JSON:
        """The body as JSON; as a string where it is none."""
        # parsed when asked for: parsed bodies take several times the memory of their bytes
        try:
            return json.decode(self.raw) if self.raw else None
        except JSONError:
            return self.raw.decode(errors="replace")

    def as_json(self) -> JSONObject:
        """Return it as `GET /requests` shows it."""
        return {
            "number": self.number,
            "time": self.time,
            "method": self.method,
            "path": self.path,
            "headers": dict(self.headers),
            "body": self.body,
            **self._answered(),
        }

    def as_line(self) -> str:
        """Return it as one line for a terminal."""
        clock = datetime.datetime.fromtimestamp(self.time).astimezone().strftime("%H:%M:%S")
        words = [clock, self.method, self.path[:_LINE_CHARACTERS]]
        if self.asked:
            count = self.asked["items"]
            words += [str(self.asked["model"])[:_LINE_CHARACTERS], f"{count} item{'s' if count != 1 else ''}"]
            words += ["streamed"] if self.asked["stream"] else []
        told = [str(self.status or "-"), ", ".join(self.reply), *(f"fault {name}" for name in self.faults)]
        if self.outcome != "answered":
            told.append(self.outcome)
        told.append(f"{self.duration_s:.2f} s")
        return printable(f"{' '.join(words)} -> {'; '.join(part for part in told if part)}")

    def as_log(self) -> str:
        """Return it as one line of JSON, without headers and body."""
        stamp = datetime.datetime.fromtimestamp(self.time, datetime.UTC).isoformat(timespec="milliseconds")
        told = {"time": stamp, "number": self.number, "method": self.method, "path": self.path}
        return json.encode({**told, **self.asked, **self._answered()}).decode()

    def _answered(self) -> JSONObject:
        return {
            "status": self.status,
            "outcome": self.outcome,
            "reply": list(self.reply),
            "faults": list(self.faults),
            "duration_s": round(self.duration_s, 6),
        }


class Exchanges:
    """The last exchanges of a server. Safe to use from several threads."""

    def __init__(self, most: int = 1000) -> None:
        self._most = most
        self._kept: deque[Exchange] = deque()
        self._count = 0
        self._lock = threading.Lock()

    def open(self, *, time: float, method: str, path: str, headers: Mapping[str, str]) -> Exchange:
        """Return the record of a request that has come."""
        shown = {name.lower(): _masked(name, value) for name, value in headers.items()}
        with self._lock:
            self._count += 1
            exchange = Exchange(self._count, time, method, _without_secrets(path), shown)
            self._kept.append(exchange)
            self._forget_oldest()
        return exchange

    def read(self, exchange: Exchange, raw: bytes) -> None:
        """Add the body of a request."""
        exchange.raw = raw
        with self._lock:
            self._forget_oldest()

    def as_json(self, last: int | None = None) -> list[JSONObject]:
        """Return them, oldest first; of many only the `last` ones."""
        return [exchange.as_json() for exchange in self._last(last)]

    def encode(self, last: int | None = None) -> bytes:
        """Return the same as JSON. One after the other: for 45 MB it takes seconds, best spent in a thread."""
        return b"[" + b",".join(json.encode(exchange.as_json()) for exchange in self._last(last)) + b"]"

    def clear(self) -> None:
        """Forget them and count from 1 again."""
        with self._lock:
            self._kept.clear()
            self._count = 0

    def _last(self, count: int | None) -> list[Exchange]:
        with self._lock:
            kept = list(self._kept)
        return kept if count is None else kept[max(0, len(kept) - count) :]

    def _forget_oldest(self) -> None:
        size = sum(len(exchange.raw) for exchange in self._kept)
        while self._kept and (len(self._kept) > self._most or size > MAX_KEPT_BYTES):
            size -= len(self._kept.popleft().raw)


def describe(answer: Answer | Failure | Disconnect) -> tuple[str, ...]:
    """Say what an answer consists of: `("reasoning", "function_call weather")`."""
    match answer:
        case Disconnect():
            return ("disconnect",)
        case Failure(body=body):
            error = body.get("error") if isinstance(body, Mapping) else body
            code = error.get("code") or error.get("message") if isinstance(error, dict) else error
            return (str(code),)
    words = [word for part in answer.parts if (word := _describe_part(part))]
    return (*words, *(() if answer.status == "completed" else (answer.status,)))


def _describe_part(part: object) -> str | None:
    match part:
        case str() | Text():
            return "message"
        case Refusal():
            return "refusal"
        case Reasoning():
            return "reasoning"
        case Call(name):
            return f"function_call {name}"
        case Mapping():
            return str(part.get("type"))
        case _:
            return None


def printable(text: str) -> str:
    """Return a text with its control and hidden characters as escapes, in one line."""
    return _UNSAFE.sub(lambda found: escaped(found[0]), text)


def _masked(name: str, value: str) -> str:
    return "***" if _SECRET.search(name) else value


def _without_secrets(path: str) -> str:
    """Return a path with the values of its query masked: any of them may be a key."""
    place, mark, query = path.partition("?")
    shown = (
        f"{quote(name)}={quote(value) if name == 'api-version' else '***'}"
        for name, value in parse_qsl(query, keep_blank_values=True)
    )
    return place + mark + "&".join(shown)
