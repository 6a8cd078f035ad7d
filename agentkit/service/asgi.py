"""The service as an ASGI application: bytes from a connection to `Service.handle`, and its answer back, as it comes."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import re
import sys
import time
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.datastructures import Headers

from agentkit import json
from agentkit.errors import UsageError
from agentkit.service.app import MAX_BODY_BYTES, ConnectionCut, HTTPAnswer, Service, failure_answer
from agentkit.service.exchanges import Exchanges, printable
from agentkit.service.loading import LoadedScript
from agentkit.service.misbehaviour import Misbehaviour
from agentkit.service.replies import failure
from agentkit.service.sse import Wire
from agentkit.service.validation import SAMBANOVA, Rules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import Message, Receive, Scope, Send

    from agentkit.json import JSON
    from agentkit.service.exchanges import Exchange
    from agentkit.service.replies import Failure
    from agentkit.service.script import Script

LogFormat = Literal["text", "json"]
CLOSE_EXTENSION = "agentkit.close"
"""In the scope's extensions: a function that closes the connection, given by our own server (`http`)."""

_ORIGIN = re.compile(rb"[a-z][a-z0-9+.-]*://[^/]*", re.IGNORECASE)
_READ_S = 60.0
"""How long the next piece of a request's body is waited for."""
_LINGER_S = 2.0
"""How long a body that was refused is read on, so that its sender gets to read why."""


def make_app(
    script: Script | LoadedScript,
    *,
    models: Sequence[str] | None = None,
    rules: Rules | None = SAMBANOVA,
    done: bool | None = None,
    fault_rate: float | None = None,
    fault_seed: int | None = None,
    faults: Sequence[str] | None = None,
    api_key: str | None = None,
    requests_per_minute: int | None = None,
    exchanges: Exchanges | None = None,
    log: LogFormat | None = None,
    write: Callable[[str], object] | None = None,
) -> Starlette:
    """Return the ASGI application of a service that answers from `script`.

    `models`, `done` (a trailing `[DONE]`), `fault_rate` (0 to 1), `fault_seed` and `faults` (names or kinds) are
    those of a script file where they are None. `requests_per_minute` is a limit to keep; None: none, and the
    rate-limit headers name a large one. `exchanges` keeps what was asked. `log` gives `write`, stderr by
    default, a line per request.
    """
    loaded = script if isinstance(script, LoadedScript) else LoadedScript(lambda: script)

    def start() -> Service:
        return Service(
            loaded.make(),
            rules=rules,
            models=loaded.models if models is None else models,
            wire=Wire(done=loaded.done if done is None else done),
            keep_requests=False,
            misbehaviour=Misbehaviour(
                rate=loaded.fault_rate if fault_rate is None else fault_rate,
                seed=loaded.fault_seed if fault_seed is None else fault_seed,
                faults=loaded.faults if faults is None else faults,
            ),
        )

    return app_of(
        start,
        api_key=api_key,
        requests_per_minute=requests_per_minute,
        exchanges=exchanges,
        log=log,
        write=write,
    )


class Answering(Protocol):
    """What stands behind the connections: a `Service`, or a recording."""

    async def handle(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, exchange: Exchange | None = None
    ) -> HTTPAnswer:
        """Answer one request. Raises `ConnectionCut` where the connection is to fail before an answer."""


def app_of(
    start: Callable[[], Answering],
    *,
    api_key: str | None = None,
    requests_per_minute: int | None = None,
    exchanges: Exchanges | None = None,
    log: LogFormat | None = None,
    write: Callable[[str], object] | None = None,
) -> Starlette:
    """Return the ASGI application around what `start` gives; it is asked anew where everything is to begin again."""
    endpoint = _Endpoint(
        start,
        api_key=api_key,
        limits=_Limits(requests_per_minute),
        exchanges=exchanges or Exchanges(),
        log=log,
        write=write or write_stderr,
    )
    app = Starlette()
    # not a route: those begin with a slash, and `*` or `http://host/v1/responses` would find none
    app.router.default = endpoint
    return app


def write_stderr(text: str) -> None:
    """Write to stderr; whoever reads it may have gone, and the server goes on."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


class _TooLarge(Exception):
    """A body beyond `MAX_BODY_BYTES`."""


class _ClientLeft(Exception):
    """The client closed the connection before its request was whole."""


class _Limits:
    """SambaNova's rate-limit headers, over fixed windows of a minute and a day."""

    def __init__(self, per_minute: int | None) -> None:
        if per_minute is not None and per_minute < 1:
            raise UsageError(f"requests_per_minute={per_minute}; allowed is 1 or more.")
        self._kept = per_minute is not None
        self._most = per_minute or 1_000_000
        self._windows = {"requests": 0, "requests-day": 0}
        self._counts = {"requests": 0, "requests-day": 0}

    def count(self, now: float) -> tuple[dict[str, str], Failure | None]:
        """Count one request: the headers of its answer, and its refusal if it is one too many."""
        headers: dict[str, str] = {}
        refused = False
        for name, length_s in (("requests", 60), ("requests-day", 86400)):
            window, most = int(now // length_s), self._most * (length_s // 60)
            if window != self._windows[name]:
                self._windows[name], self._counts[name] = window, 0
            refused |= self._kept and self._counts[name] >= most
            self._counts[name] += not refused
            headers[f"x-ratelimit-limit-{name}"] = str(most)
            headers[f"x-ratelimit-remaining-{name}"] = str(max(0, most - self._counts[name]))
            headers[f"x-ratelimit-reset-{name}"] = str((window + 1) * length_s)
        if not refused:
            return headers, None
        wait = max(1, int(headers["x-ratelimit-reset-requests"]) - int(now))
        return headers, failure(
            429,
            code="insufficient_quota",
            message="Rate limit exceeded.",
            type="rate_limit_error",
            headers={"retry-after": str(wait)},
        )


class _Endpoint:
    """Takes every request: what it is asked, what came of it, and the service between them."""

    def __init__(
        self,
        start: Callable[[], Answering],
        *,
        api_key: str | None,
        limits: _Limits,
        exchanges: Exchanges,
        log: LogFormat | None,
        write: Callable[[str], object],
    ) -> None:
        if log not in ("text", "json", None):
            raise UsageError(f"log={log!r}; allowed are 'text', 'json' and None.")
        self._start = start
        self._service = start()
        self._api_key = api_key
        self._limits = limits
        self._exchanges = exchanges
        self._log = log
        self._write = write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1003})
            return
        headers = Headers(scope=scope)
        path = _path(scope)
        place, _, query = path.partition("?")
        if place.rstrip("/").endswith("/requests"):
            await self._show(scope["method"], query, headers, send)
            return
        exchange = self._exchanges.open(time=time.time(), method=scope["method"], path=path, headers=headers)
        started = time.perf_counter()
        connection = _Connection(scope, receive, send, exchange)
        try:
            await self._exchange(connection, headers, path)
        except asyncio.CancelledError:
            # the server stops; nothing but the connection waits for this task
            if exchange.outcome == "open":
                exchange.outcome = "stopped"
            connection.close()
        finally:
            exchange.duration_s = time.perf_counter() - started
            self._tell(exchange)

    async def _exchange(self, connection: _Connection, headers: Headers, path: str) -> None:
        exchange = connection.exchange
        try:
            limits, refusal = self._limits.count(exchange.time)
            connection.headers = limits
            refusal = _key_refusal(headers, self._api_key) or refusal
            body = b"" if refusal else await connection.read_body(headers)
        except _TooLarge:
            await connection.refuse_body()
            return
        except TimeoutError:
            await connection.refuse(failure(408, body={"error": "Request timeout"}))
            return
        except _ClientLeft:
            exchange.outcome = "client left"
            return
        self._exchanges.read(exchange, body)
        method = exchange.method.upper()
        if refusal is None and method == "POST":
            refusal = _encoding_refusal(headers)
        if refusal is not None:
            await connection.refuse(refusal)
            return
        await connection.until_client_leaves(self._answer(connection, method, path, headers, body))

    async def _answer(self, connection: _Connection, method: str, path: str, headers: Headers, body: bytes) -> None:
        exchange = connection.exchange
        try:
            asked = "GET" if method == "HEAD" else method
            answer = await self._service.handle(asked, path, headers, body, exchange=exchange)
            await connection.send_answer(_options(answer) if method == "OPTIONS" else answer)
        except ConnectionCut:
            exchange.outcome = "cut"
            connection.close()
        except Exception as exc:  # noqa: BLE001 - a script may raise anything, and the server goes on
            # a mistake in a YAML script says where it is; one in a script's code needs the way to it
            said = printable(str(exc)) if isinstance(exc, UsageError) else f"\n{traceback.format_exc()}"
            self._write(f"the script failed on request {exchange.number}: {said}")
            exchange.reply = (f"{type(exc).__name__}",)
            if exchange.status is not None:
                exchange.outcome = "cut"
                connection.close()
                return
            message = f"The script raised {type(exc).__name__}: {exc}"
            given = {"x-should-retry": "false"}
            told = failure(500, code="script_error", message=message, type="server_error", headers=given)
            await connection.refuse(told)

    async def _show(self, method: str, query: str, headers: Headers, send: Send) -> None:
        last = dict(parse_qsl(query)).get("last")
        refused = _key_refusal(headers, self._api_key) or _last_refusal(last)
        if refused is not None:
            answer = failure_answer(refused)
            await _send_whole(
                send, answer.status, answer.headers, answer.body if isinstance(answer.body, bytes) else b""
            )
        elif method in ("GET", "HEAD"):
            count = None if last is None else int(last)
            await _send_whole(send, 200, (), await asyncio.to_thread(self._exchanges.encode, count))
        elif method == "DELETE":
            self._exchanges.clear()
            self._service = self._start()
            await _send_whole(send, 204, (), b"")
        elif method == "OPTIONS":
            await _send_whole(send, 204, (("allow", "GET, HEAD, DELETE, OPTIONS"),), b"")
        else:
            body: JSON = {"error": "Method not allowed"}
            await _send_whole(send, 405, (("allow", "GET, HEAD, DELETE, OPTIONS"),), json.encode(body))

    def _tell(self, exchange: Exchange) -> None:
        if self._log is not None:
            self._write((exchange.as_log() if self._log == "json" else exchange.as_line()) + "\n")


class _Connection:
    """One request's side of a connection."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, exchange: Exchange) -> None:
        self.exchange = exchange
        self.headers: dict[str, str] = {}
        """Sent with every answer, unless it has its own of these names."""
        self._scope = scope
        self._receive = receive
        self._send = send

    async def read_body(self, headers: Headers) -> bytes:
        """Return the body; of one that is too large as little as shows it."""
        declared = headers.get("content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared) > MAX_BODY_BYTES:
            raise _TooLarge
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await asyncio.wait_for(self._receive(), _READ_S)
            if message["type"] == "http.disconnect":
                raise _ClientLeft
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > MAX_BODY_BYTES:
                raise _TooLarge
            if not message.get("more_body"):
                return b"".join(chunks)

    async def refuse_body(self) -> None:
        """Answer 413, and read on for a moment: closing at once would reset the connection, answer and all."""
        message = f"Request body too large: at most {MAX_BODY_BYTES} bytes are accepted."
        refused = failure(413, code="request_too_large", message=message, headers={"connection": "close"})
        self._note(refused)
        answer = failure_answer(refused)
        await self._start(answer, size=len(answer.body) if isinstance(answer.body, bytes) else None)
        await self._send({"type": "http.response.body", "body": answer.body, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                while (received := await self._receive())["type"] == "http.request" and received.get("more_body"):
                    pass
        await self._send({"type": "http.response.body", "body": b""})
        self.exchange.outcome = "answered"

    async def refuse(self, refused: Failure) -> None:
        """Answer with an error."""
        self._note(refused)
        await self.send_answer(failure_answer(refused))

    async def send_answer(self, answer: HTTPAnswer) -> None:
        """Send an answer, each chunk when it is made."""
        if isinstance(answer.body, bytes):
            if answer.status >= 400 and not self.exchange.reply:
                self.exchange.reply = _told(answer.body)
            await self._start(answer, size=None if answer.status == 204 else len(answer.body))
            await self._send({"type": "http.response.body", "body": answer.body})
        else:
            await self._start(answer, size=None)
            try:
                async for chunk in answer.body:
                    await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
            finally:
                if isinstance(answer.body, AsyncGenerator):
                    await answer.body.aclose()
            await self._send({"type": "http.response.body", "body": b""})
        self.exchange.outcome = "answered"

    async def until_client_leaves(self, answering: Awaitable[None]) -> None:
        """Let the answer be made and sent, but only as long as there is somebody to read it."""
        answer = asyncio.ensure_future(answering)
        leaving = asyncio.ensure_future(self._left())
        try:
            await asyncio.wait({answer, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                await answer
            else:
                self.exchange.outcome = "client left"
        finally:
            for task in (answer, leaving):
                task.cancel()
            await asyncio.gather(answer, leaving, return_exceptions=True)

    def close(self) -> None:
        """Close the connection without ending the answer."""
        close = self._scope.get("extensions", {}).get(CLOSE_EXTENSION)
        if close is None:
            raise ConnectionCut  # another server than ours: what it makes of an exception has to do
        close()

    async def _start(self, answer: HTTPAnswer, *, size: int | None) -> None:
        self.exchange.status = answer.status
        headers = {**self.headers, **dict(answer.headers)}
        if size is not None:
            headers["content-length"] = str(size)
        await self._send({"type": "http.response.start", "status": answer.status, "headers": _encoded(headers)})

    async def _left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def _note(self, refused: Failure) -> None:
        error = refused.body.get("error") if not isinstance(refused.body, str) else refused.body
        self.exchange.reply = (str(error.get("code") if isinstance(error, dict) else error),)


def _options(answer: HTTPAnswer) -> HTTPAnswer:
    """Turn the refusal of a method, which names those that are allowed, into the answer to OPTIONS."""
    allowed = dict(answer.headers).get("allow")
    if allowed is None:
        return answer
    more = "HEAD, OPTIONS" if allowed == "GET" else "OPTIONS"
    return HTTPAnswer(204, (("allow", f"{allowed}, {more}"),), b"")


def _path(scope: Scope) -> str:
    raw = scope.get("raw_path") or scope["path"].encode()
    query = scope.get("query_string", b"")
    if absolute := _ORIGIN.match(raw):  # "GET http://host/v1/models", as clients ask a proxy (RFC 9112, 3.2.2)
        raw = raw[absolute.end() :] or b"/"
    return bytes(raw + b"?" + query if query else raw).decode("latin-1")


def _key_refusal(headers: Headers, api_key: str | None) -> Failure | None:
    if api_key is None:
        return None
    given = headers.get("authorization", "")
    scheme, _, key = given.partition(" ")
    if scheme.lower() == "bearer" and hmac.compare_digest(key.strip().encode(), api_key.encode()):
        return None
    if given:
        return failure(401, code="invalid_api_key", message="Invalid API key.", type="authentication_error")
    message = "No API key given. Send it in an Authorization header: Bearer <key>."
    return failure(401, code="invalid_authentication", message=message, type="authentication_error")


def _last_refusal(last: str | None) -> Failure | None:
    if last is None or (last.isascii() and last.isdigit() and len(last) < 10):
        return None
    message = f"Invalid value for last: expected a number of requests, but got {last[:80]!r} instead."
    return failure(400, code="invalid_value", message=message, param="last")


def _encoding_refusal(headers: Headers) -> Failure | None:
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("identity", ""):
        return None
    return failure(
        400,
        message=f"The request body is not valid JSON: its Content-Encoding is {encoding[:80]!r}. Send it as it is.",
    )


def _told(body: bytes) -> tuple[str, ...]:
    value = json.decode(body) if body.startswith(b"{") else body.decode()
    error = value.get("error") if isinstance(value, dict) else value
    return (str(error.get("code") or error.get("message") if isinstance(error, dict) else error),)


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


async def _send_whole(send: Send, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
    given = {**({"content-type": "application/json", "content-length": str(len(body))} if status != 204 else {})}
    start: Message = {"type": "http.response.start", "status": status, "headers": _encoded({**given, **dict(headers)})}
    await send(start)
    await send({"type": "http.response.body", "body": body})
