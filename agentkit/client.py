"""One server: sends requests, reads answers, tries again. Knows nothing of tools or conversations."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import math
import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, cast

import httpx

from agentkit import json
from agentkit.errors import (
    AgentkitError,
    ProtocolError,
    ResponseFailed,
    StatusError,
    StreamBroken,
    Timeout,
    UsageError,
)
from agentkit.events import AttemptDiscarded, Event, ResponseFinished, RetryWaiting
from agentkit.fold import ResponseFold, deltas_of
from agentkit.gate import Gate
from agentkit.profile import find_profile
from agentkit.request import Request
from agentkit.response import Response
from agentkit.retry import Attempts, RetryPolicy
from agentkit.sse import SSEDecoder
from agentkit.status import RATE_LIMIT_HEADERS, status_error
from agentkit.wire import MAX_BODY_BYTES, Answer, Timeouts, Wire

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
    from types import TracebackType

    from agentkit.json import JSON, JSONObject
    from agentkit.profile import Profile
    from agentkit.transcript import ReasoningMode

    ApiKey: TypeAlias = str | Callable[[], str | Awaitable[str]]

ERROR_GRACE_S = 1.0
"""How long the `response.failed` that should follow an `error` event is waited for."""
DRAIN_S = 0.02
"""How long the end of a finished stream is waited for, so that its connection can be used again."""

_log = logging.getLogger("agentkit")


@dataclass(slots=True)
class Stats:
    """What a client has done so far."""

    requests: int = 0
    """Requests asked for."""
    attempts: int = 0
    """HTTP requests sent, retries included."""
    failures: int = 0
    """HTTP requests that failed."""
    in_flight: int = 0
    """HTTP requests under way."""
    rate_limits: dict[str, str] = field(default_factory=dict)
    """The server's last word on its rate limits, as it wrote it: `limit_requests`, `remaining_requests`,
    `reset_requests`, and the same with `_day`."""


class Client:
    """A server that speaks the Responses API. Usable from any thread and event loop, and across forks.

    `base_url` is what the server's documentation gives, usually ending in `/v1`; its query is kept. `api_key`
    is a string, a function called before each request, or None for a server without keys.
    """

    def __init__(
        self,
        base_url: str,
        api_key: ApiKey | None = None,
        *,
        retry: RetryPolicy | None = None,
        profile: Profile | str | None = None,
        reasoning: ReasoningMode = "raw",
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        verify: ssl.SSLContext | str | bool = True,
        trust_env: bool = True,
        tool_output_parts: bool = False,
        max_concurrency: int | None = None,
    ) -> None:
        self._url = _checked_url(base_url)
        if reasoning not in ("raw", "summary", "drop"):
            raise UsageError(f"reasoning={reasoning!r}; allowed are 'raw', 'summary' and 'drop'.")
        if max_concurrency is not None and max_concurrency < 1:
            raise UsageError(f"max_concurrency={max_concurrency!r}; allowed is a whole number from 1, or None.")
        self.profile = find_profile(profile, base_url)
        self.reasoning: ReasoningMode = reasoning
        self.tool_output_parts = tool_output_parts
        self.retry = retry or RetryPolicy()
        self.timeouts = timeouts or Timeouts()
        self.stats = Stats()
        self._api_key = _checked_key(api_key)
        self._headers = _checked_headers(headers or {})
        self._gate = Gate(max_concurrency)
        self._wire = Wire(self._url, transport=transport, verify=verify, trust_env=trust_env, timeouts=self.timeouts)
        self._responses_url = _endpoint(self._url, "responses")

    @classmethod
    def from_env(cls, **options: object) -> Client:
        """Make a client of the environment.

        `AGENTKIT_BASE_URL` and `AGENTKIT_API_KEY`, else `SAMBANOVA_API_KEY` (and `SAMBANOVA_BASE_URL`), else
        `OPENAI_API_KEY` (and `OPENAI_BASE_URL`). Raises `UsageError` where none of them is set.
        """
        base_url, api_key = _find_in_env(os.environ)
        return cls(base_url, api_key, **options)  # type: ignore[arg-type]

    @property
    def base_url(self) -> str:
        """The server's address."""
        return str(self._url)

    async def respond(self, request: Request | Mapping[str, JSON]) -> Response:
        """Send a request and return the response, whole. A mapping is a body as the API documents it.

        Raises `StatusError`, `TransportError`, `ProtocolError`; a response with status `incomplete` or
        `failed` is returned.
        """
        async with contextlib.aclosing(self.exchange(self._request(request, stream=False))) as events:
            async for event in events:
                if isinstance(event, Response):
                    return event
        raise ProtocolError("no response")  # pragma: no cover  (exchange ends with a response or raises)

    async def stream(self, request: Request | Mapping[str, JSON]) -> AsyncGenerator[Event]:
        """Send a request and yield what comes, as it comes; the last event is `ResponseFinished`."""
        async with contextlib.aclosing(self.exchange(self._request(request, stream=True))) as events:
            async for event in events:
                yield ResponseFinished(event, turn=1) if isinstance(event, Response) else event

    async def models(self) -> list[JSONObject]:
        """Return the server's models, `[{"id": ...}, ...]`; servers add what they like."""
        return await self._retried_models()

    def respond_sync(self, request: Request | Mapping[str, JSON]) -> Response:
        """Send a request and return the response, as `respond` does, outside of async code."""
        from agentkit.portal import run_blocking

        return run_blocking(lambda: self.respond(request))

    def stream_sync(self, request: Request | Mapping[str, JSON]) -> Iterator[Event]:
        """Yield what comes, as `stream` does, outside of async code."""
        from agentkit.portal import iterate_blocking

        return iterate_blocking(lambda: self.stream(request))

    def models_sync(self) -> list[JSONObject]:
        """Return the server's models, as `models` does, outside of async code."""
        from agentkit.portal import run_blocking

        return run_blocking(self.models)

    async def aclose(self) -> None:
        """Close the connections. The client can't be used afterwards."""
        await self._wire.aclose()

    def close(self) -> None:
        """Close the connections, outside of async code."""
        from agentkit.portal import run_blocking

        run_blocking(self.aclose)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        key = "None" if self._api_key is None else "'***'"
        shown = self._url.copy_with(query=b"***" if self._url.query else None)
        return f"Client({str(shown)!r}, api_key={key}, profile={self.profile.name!r})"

    def _request(self, request: Request | Mapping[str, JSON], *, stream: bool) -> Request:
        if isinstance(request, Request):
            return request
        return Request.of(request, stream=stream, profile=self.profile)

    async def exchange(self, request: Request) -> AsyncGenerator[Event | Response]:
        """Send a request until it is answered or given up: yields events as they come, then the response.

        Every attempt sends the same bytes under the same client request id.
        """
        self.stats.requests += 1
        trace = uuid.uuid4().hex
        attempts: Attempts | None = None
        while True:
            number = len(attempts.failed) + 1 if attempts else 1
            started = self.retry.clock()
            shown = False
            try:
                async with contextlib.aclosing(self._attempt(request, trace, number)) as events:
                    async for event in events:
                        if isinstance(event, Response):
                            _check_failed(event)
                            yield event
                            return
                        shown = True
                        yield event
            except AgentkitError as exc:
                self.stats.failures += 1
                attempts = attempts or Attempts(self.retry, self.profile, refreshable_key=callable(self._api_key))
                wait = attempts.next_wait(exc, self.retry.clock() - started)
                exc.attempts = tuple(attempts.failed)
                if wait is None:
                    if isinstance(exc, ResponseFailed) and exc.response is not None:
                        yield exc.response
                        return
                    raise
                error, pause = exc, wait
            if shown:
                yield AttemptDiscarded(number, error)
            yield RetryWaiting(pause, number, error)
            if pause:
                await self.retry.sleep(pause)

    async def _attempt(self, request: Request, trace: str, number: int) -> AsyncGenerator[Event | Response]:
        """Send a request once: yields events as they come, then the response."""
        key = await self._key()
        headers = self._header_list(key, trace, number, stream=request.stream)
        async with self._gate:
            self.stats.attempts += 1
            self.stats.in_flight += 1
            answer: Answer | None = None
            try:
                now = asyncio.get_running_loop().time()
                allowed = self.timeouts.first_byte if request.stream else self.timeouts.total
                deadline = None if allowed is None else now + allowed
                async with _deadline(deadline, "the answer to begin" if request.stream else "the answer"):
                    answer = await self._wire.send("POST", self._responses_url, headers, request.body)
                self._note_rate_limits(answer)
                reader = self._read_events if _is_stream(answer, request) else self._read_whole
                async with contextlib.aclosing(reader(answer, request, deadline)) as events:
                    async for event in events:
                        yield event
            finally:
                self.stats.in_flight -= 1
                if answer is not None:
                    await answer.aclose()

    async def _read_whole(
        self, answer: Answer, request: Request, deadline: float | None
    ) -> AsyncGenerator[Event | Response]:
        """Read a plain answer, also one that comes although a stream was asked for."""
        if request.stream and self.timeouts.total is not None:
            deadline = asyncio.get_running_loop().time() + self.timeouts.total
        async with _deadline(deadline, "the whole answer"):
            if answer.status != 200:
                raise self._status_error(answer, await answer.read_head(), request.model)
            body = await answer.read(MAX_BODY_BYTES)
        raw = _decoded(body, answer)
        if isinstance(raw, dict) and raw.get("error") and "output" not in raw:
            raise self._status_error(answer, body, request.model)
        response = Response.parse(raw, request_id=answer.header("x-request-id") or None)
        if response.status in ("in_progress", "queued"):
            raise ProtocolError(f"the answer has status {response.status!r}; a stateless server can't be asked later.")
        if request.stream:
            for item in response.output:
                for event in deltas_of(item):
                    yield event
        yield response

    async def _read_events(
        self, answer: Answer, request: Request, deadline: float | None
    ) -> AsyncGenerator[Event | Response]:
        """Read a stream to its terminal event."""
        decoder, fold = SSEDecoder(), ResponseFold()
        loop = asyncio.get_running_loop()
        idle, silent = self.timeouts.idle, self.timeouts.event
        last_event = loop.time()
        if request.stream:
            deadline = None
        while fold.response is None:
            now = loop.time()
            limits = [deadline, idle and now + idle, silent and last_event + silent]
            soonest = min((limit for limit in limits if limit is not None), default=None)
            try:
                async with _deadline(soonest, "the next event of the stream"):
                    chunk = await answer.next_chunk()
            except AgentkitError:
                if fold.error is None:
                    raise
                chunk = b""  # the server has said what went wrong, and that holds
            server_events = decoder.feed(chunk) if chunk else decoder.finish()
            if server_events:
                last_event = loop.time()
            for server_event in server_events:
                for event in fold.feed(server_event):
                    yield event
            if fold.error is not None and fold.response is None:
                if not chunk:
                    raise self._status_error(answer, json.encode(fold.error), request.model)
                deadline = min(deadline or math.inf, now + ERROR_GRACE_S)
            elif not chunk and fold.response is None:
                raise _cut(decoder.stray)
        if fold.mismatch:
            _log.warning("the stream's events and its final response differ; the final response holds")
        await _drain(answer)  # before the response: whoever takes that closes this generator, and the connection
        yield Response(fold.response.raw, answer.header("x-request-id") or None)

    async def _key(self) -> str | None:
        key = self._api_key
        if callable(key):
            found = key()
            key = await found if inspect.isawaitable(found) else found
            _check_header("api_key()", key)
        return key

    def _header_list(self, key: str | None, trace: str, number: int, *, stream: bool) -> list[tuple[bytes, bytes]]:
        headers = {
            b"host": self._url.netloc,
            b"accept": b"text/event-stream" if stream else b"application/json",
            b"accept-encoding": b"gzip",
            b"content-type": b"application/json",
            b"user-agent": _user_agent(),
            b"x-client-request-id": trace.encode(),
            b"x-attempt": str(number).encode(),
        }
        if key is not None:
            # Azure takes keys in `api-key`, and tokens, which come from a function, as Bearer.
            if self.profile.name == "azure" and isinstance(self._api_key, str):
                headers[b"api-key"] = key.encode()
            else:
                headers[b"authorization"] = b"Bearer " + key.encode()
        headers |= self._headers
        return list(headers.items())

    def _note_rate_limits(self, answer: Answer) -> None:
        for name, value in answer.headers:
            if name in RATE_LIMIT_HEADERS:
                self.stats.rate_limits[RATE_LIMIT_HEADERS[name]] = value

    def _status_error(self, answer: Answer, body: bytes, model: str | None) -> AgentkitError:
        place = f"POST {self._url.host}{self._responses_url.path}"
        if 300 <= answer.status < 400:
            target = httpx.URL(answer.header("location") or "").host or "the same host"
            return ProtocolError(f"{place} answered {answer.status}, pointing to {target}; redirects aren't followed.")
        if 200 < answer.status < 300:
            return ProtocolError(f"{place} answered {answer.status}, which holds no response.")
        return status_error(answer.status, body, answer.headers, now=time.time(), place=place, model=model)

    async def _retried_models(self) -> list[JSONObject]:
        attempts: Attempts | None = None
        while True:
            started = self.retry.clock()
            try:
                return await self._models_once()
            except AgentkitError as exc:
                attempts = attempts or Attempts(self.retry, self.profile, refreshable_key=callable(self._api_key))
                wait = attempts.next_wait(exc, self.retry.clock() - started)
                exc.attempts = tuple(attempts.failed)
                if wait is None:
                    raise
            await self.retry.sleep(wait)

    async def _models_once(self) -> list[JSONObject]:
        headers = self._header_list(await self._key(), uuid.uuid4().hex, 1, stream=False)
        total = self.timeouts.total
        async with _deadline(None if total is None else asyncio.get_running_loop().time() + total, "the answer"):
            answer = await self._wire.send("GET", _endpoint(self._url, "models"), headers, b"")
            try:
                if answer.status != 200:
                    raise self._status_error(answer, await answer.read_head(), None)
                value = _decoded(await answer.read(), answer)
            finally:
                await answer.aclose()
        listed = value.get("data") if isinstance(value, dict) else value
        if not isinstance(listed, list):
            raise ProtocolError(f"expected a list of models, got {repr(value)[:200]}")
        return [model for model in listed if isinstance(model, dict)]


def _check_failed(response: Response) -> None:
    """Raise a failed response as an error, so that the retry policy sees it; it comes back if that gives up."""
    if response.status == "failed":
        code = (response.error or {}).get("code")
        error = ResponseFailed(
            str((response.error or {}).get("message") or "the response failed"),
            code=code if isinstance(code, str) else None,
        )
        error.response = response
        raise error


def _is_stream(answer: Answer, request: Request) -> bool:
    """Status first, then content type: an error may come framed as a stream, and a stream unasked."""
    if answer.status != 200:
        return False
    kind = answer.header("content-type").lower()
    return "event-stream" in kind or (request.stream and "json" not in kind and "html" not in kind)


def _decoded(body: bytes, answer: Answer) -> JSON:
    try:
        return json.decode(body)
    except json.JSONError as exc:
        kind = answer.header("content-type") or "no content type"
        raise ProtocolError(f"the answer isn't JSON ({exc}; {kind}): {body[:200]!r}") from exc


def _cut(stray: bytes) -> AgentkitError:
    if stray:
        return ProtocolError(f"the stream ended without a response, and held a line that is no event: {stray[:200]!r}")
    return StreamBroken("the stream ended before its terminal event (response.completed, .incomplete or .failed)")


async def _drain(answer: Answer) -> None:
    """Read what follows the terminal event (`[DONE]`, the end), so that the connection stays usable."""
    with contextlib.suppress(AgentkitError, TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while await answer.next_chunk():
                pass


@contextlib.asynccontextmanager
async def _deadline(when: float | None, what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout_at(when):
            yield
    except TimeoutError as exc:
        raise Timeout(f"waited too long for {what}. See Client(timeouts=Timeouts(...)).") from exc


def _checked_url(base_url: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError) as exc:
        raise UsageError(f"base_url={base_url!r} is no URL: {exc}. Example: 'https://api.sambanova.ai/v1'.") from exc
    if url.scheme not in ("http", "https") or not url.host:
        raise UsageError(f"base_url={base_url!r} is no http or https URL. Example: 'http://localhost:8000/v1'.")
    if url.userinfo:
        raise UsageError(f"base_url holds a user name or password for {url.host}. Give the key as api_key=...")
    return url


def _endpoint(url: httpx.URL, name: str) -> httpx.URL:
    path = url.path.rstrip("/").removesuffix("/responses")
    return url.copy_with(path=f"{path}/{name}")


def _checked_key(key: ApiKey | None) -> ApiKey | None:
    if isinstance(key, str):
        _check_header("api_key", key)
        return key or None
    if key is not None and not callable(key):
        raise UsageError(f"api_key is a {type(key).__name__}; give a string, a function that returns one, or None.")
    return key


def _checked_headers(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    for name, value in headers.items():
        if not isinstance(value, str):
            raise UsageError(f"headers[{name!r}] is a {type(value).__name__}; give a string.")
        _check_header(f"headers[{name!r}]", value)
        _check_header("a header's name", name)
    return {name.lower().encode(): value.encode() for name, value in headers.items()}


def _check_header(what: str, value: object) -> None:
    """Refuse what would break out of a header line. The value may be a secret: it isn't shown."""
    if not isinstance(value, str):
        raise UsageError(f"{what} is a {type(value).__name__}; give a string.")
    if not value.isascii() or not value.isprintable():
        raise UsageError(
            f"{what} holds a line break, a control or a non-ASCII character. Check it for a stray newline."
        )


def _find_in_env(env: Mapping[str, str]) -> tuple[str, str | None]:
    if env.get("AGENTKIT_BASE_URL"):
        return env["AGENTKIT_BASE_URL"], env.get("AGENTKIT_API_KEY")
    if env.get("SAMBANOVA_API_KEY"):
        return env.get("SAMBANOVA_BASE_URL") or "https://api.sambanova.ai/v1", env["SAMBANOVA_API_KEY"]
    if env.get("OPENAI_API_KEY"):
        return env.get("OPENAI_BASE_URL") or "https://api.openai.com/v1", env["OPENAI_API_KEY"]
    hint = " AGENTKIT_API_KEY is set, but not AGENTKIT_BASE_URL." if env.get("AGENTKIT_API_KEY") else ""
    raise UsageError(
        "no server: give client=Client(base_url, api_key), or set AGENTKIT_BASE_URL (and AGENTKIT_API_KEY), "
        f"SAMBANOVA_API_KEY, or OPENAI_API_KEY in the environment.{hint}"
    )


_SHARED: dict[tuple[str, str | None], Client] = {}


def shared_client() -> Client:
    """Return the client of the environment, the same one as long as the environment says the same."""
    found = _find_in_env(os.environ)
    if found not in _SHARED:
        _SHARED[found] = Client(*found)
    return _SHARED[found]


def _user_agent() -> bytes:
    from agentkit import __version__

    return f"agentkit/{__version__}".encode()
