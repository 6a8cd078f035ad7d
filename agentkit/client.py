"""One server: sends requests, reads answers, tries again. Knows nothing of tools or conversations."""

# ruff: noqa: SLF001  (the classes here are parts of one)

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import inspect
import itertools
import logging
import math
import os
import re
import secrets
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

from agentkit import __version__, json
from agentkit.address import parse_address
from agentkit.budget import Budget
from agentkit.closing import closing
from agentkit.echo import Echoes
from agentkit.errors import (
    AgentkitError,
    ProtocolError,
    ResponseFailed,
    StreamBroken,
    UsageError,
)
from agentkit.events import AttemptDiscarded, Event, ResponseFinished, RetryWaiting
from agentkit.fold import ResponseFold, deltas_of
from agentkit.gate import Gate
from agentkit.profile import find_profile
from agentkit.request import Request
from agentkit.response import Response
from agentkit.retry import Attempts, RetryPolicy, is_overload
from agentkit.sse import SSEDecoder
from agentkit.status import RATE_LIMIT_HEADERS, escape, retry_after, status_error
from agentkit.tape import begin_track, find_tape
from agentkit.wire import Answer, Timeouts, Wire, within

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
    from types import TracebackType

    import httpx

    from agentkit.address import Address
    from agentkit.json import JSON, JSONObject
    from agentkit.profile import Profile
    from agentkit.tape import Track
    from agentkit.view import ReasoningMode

    ApiKey: TypeAlias = str | Callable[[], str | Awaitable[str]]
    Batch: TypeAlias = tuple[Event, ...]

T = TypeVar("T")

ERROR_GRACE_S = 1.0
"""How long the `response.failed` that should follow an `error` event is waited for."""
DRAIN_S = 0.02
"""How long the end of a finished stream is waited for, so that its connection can be used again."""

_NOTHING = Request(b"")
_USER_AGENT = f"agentkit/{__version__}".encode()

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
    concurrency: int | None = None
    """HTTP requests that may be under way at once: `max_concurrency`, and less while the server has too much to do
    (429, 503, queue_full). None: any number, until it first complains."""
    retries_left: float = 0.0
    """Retries that the client's budget would pay for; see `RetryPolicy`."""
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
        self._url = parse_address(base_url)
        if reasoning not in ("raw", "summary", "drop"):
            raise UsageError(f"reasoning={reasoning!r}; allowed are 'raw', 'summary' and 'drop'.")
        self.profile = find_profile(profile, str(self._url))
        self.reasoning: ReasoningMode = reasoning
        self.tool_output_parts = tool_output_parts
        self.retry = _checked_type("retry", retry, RetryPolicy) or RetryPolicy()
        self.timeouts = _checked_type("timeouts", timeouts, Timeouts) or Timeouts()
        self.stats = Stats()
        self._counting = threading.RLock()  # the garbage collector may end a request in the middle of a count
        self._api_key = _checked_key(api_key)
        self._headers = _checked_headers(headers or {})
        self._gate = Gate(_checked_limit(max_concurrency), patience_s=self.timeouts.pool)
        self._budget = Budget(self.retry.budget_ratio, self.retry.budget_burst)
        self._echoes = Echoes()
        self._count()
        self._wire = Wire(self._url, transport=transport, verify=verify, trust_env=trust_env, timeouts=self.timeouts)
        self._responses_url = self._url.endpoint("responses")
        self._models_url = self._url.endpoint("models")
        _clients.add(self)

    @classmethod
    def from_env(cls, **options: object) -> Client:
        """Make a client of the environment.

        `AGENTKIT_BASE_URL` and `AGENTKIT_API_KEY`, else `SAMBANOVA_API_KEY` (and `SAMBANOVA_BASE_URL`), else
        `OPENAI_API_KEY` (and `OPENAI_BASE_URL`). Raises `UsageError` where none of them is set. Under a cassette that
        only plays it is the recorded server, which is never reached, and no key is looked for.
        """
        base_url, api_key = _recorded_server() or _find_in_env(os.environ)
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
        async with closing(self.exchange(self._request(request, stream=False), track=begin_track())) as events:
            async for came in events:
                if isinstance(came, Response):
                    return came
        raise ProtocolError("no response")  # pragma: no cover  (exchange ends with a response or raises)

    async def stream(self, request: Request | Mapping[str, JSON]) -> AsyncGenerator[Event]:
        """Send a request and yield what comes, as it comes; the last event is `ResponseFinished`."""
        async with closing(self.exchange(self._request(request, stream=True), track=begin_track())) as events:
            async for came in events:
                for event in (ResponseFinished(came, turn=1),) if isinstance(came, Response) else came:
                    yield event

    async def models(self) -> list[JSONObject]:
        """Return the server's models, `[{"id": ...}, ...]`; servers add what they like."""
        async with closing(self._retried(self._ask_models, track=begin_track())) as events:
            async for event in events:
                if isinstance(event, list):
                    return event
        raise ProtocolError("no models")  # pragma: no cover  (as above)

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
        shown = str(self._url).partition("?")[0] + ("?***" if self._url.query else "")
        return f"Client({shown!r}, api_key={key}, profile={self.profile.name!r})"

    def _request(self, request: Request | Mapping[str, JSON], *, stream: bool) -> Request:
        if isinstance(request, Request):
            return request
        if not isinstance(request, Mapping):
            raise UsageError(f"the request is a {type(request).__name__}; give a Request, or the body as a mapping.")
        return Request.of(request, stream=stream, profile=self.profile)

    def exchange(
        self, request: Request, *, resample: bool = True, track: Track | None = None
    ) -> AsyncGenerator[Batch | Response]:
        """Send a request until it is answered or given up: yields events as they come, those together that came
        together, then the response.

        Every attempt sends the same bytes under the same client request id. `resample=False`: a call that the server
        couldn't read (`adapter_mapping_failed`) is an error at once. `track` is the way through the cassette in force.
        """
        return self._retried(functools.partial(self._ask, request), track=track, resample=resample)

    async def _retried(
        self,
        ask: Callable[[Track | None, str, int], AsyncGenerator[T]],
        *,
        track: Track | None,
        resample: bool = True,
    ) -> AsyncGenerator[T | Batch | Response]:
        """Ask until it works or the policy gives up. `ask` takes the client request id and the attempt's number."""
        self._budget.earn()
        self._count(requests=1)
        trace = secrets.token_hex(16)
        attempts: Attempts | None = None
        for number in itertools.count(1):
            started = self.retry.clock()
            shown = False
            try:
                async with closing(ask(track, trace, number)) as events:
                    async for event in events:
                        yield event
                        shown = True
            except AgentkitError as exc:
                error = exc
            else:
                return
            attempts = attempts or Attempts(
                self.retry,
                self.profile,
                budget=self._budget,
                refreshable_key=callable(self._api_key),
                resample=resample,
            )
            wait = attempts.next_wait(error, self.retry.clock() - started)
            self._count(failures=1)
            error.attempts = tuple(attempts.failed)
            if wait is None:
                if isinstance(error, ResponseFailed) and error.response is not None:
                    yield dataclasses.replace(error.response, attempts=error.attempts)
                    return
                raise error
            if shown:
                yield (AttemptDiscarded(number, error), RetryWaiting(wait, number, error))
            else:
                yield (RetryWaiting(wait, number, error),)
            if wait and not (track is not None and track.has_played):
                await self.retry.sleep(wait)

    async def _ask(
        self, request: Request, track: Track | None, trace: str, number: int
    ) -> AsyncGenerator[Batch | Response]:
        """Send a request once: yields events as they come, then the response."""
        async with _Asking(self, "POST", self._responses_url, request, track, trace, number) as (answer, deadline):
            if _is_stream(answer, request):
                async with closing(self._read_events(answer, request, deadline)) as events:
                    async for event in events:
                        yield event
                return
            response = await self._read_whole(answer, request, deadline)
        if request.stream and (deltas := tuple(itertools.chain.from_iterable(map(deltas_of, response.output)))):
            yield deltas
        yield response

    async def _ask_models(self, track: Track | None, trace: str, number: int) -> AsyncGenerator[list[JSONObject]]:
        async with _Asking(self, "GET", self._models_url, _NOTHING, track, trace, number) as (answer, deadline):
            body = await within(deadline, "the whole answer", answer.read(), kind="final")
        yield _listed_models(_decoded(body, answer, self._echoes))

    async def _read_whole(self, answer: Answer, request: Request, deadline: float | None) -> Response:
        """Read a plain answer, also one that comes although a stream was asked for."""
        if request.stream:
            deadline = _after(self.timeouts.total)
        body = await within(deadline, "the whole answer", answer.read(), kind="final")
        raw = _decoded(body, answer, self._echoes)
        if isinstance(raw, dict) and raw.get("error") and "output" not in raw:
            raise self._status_error(answer, body, "POST", self._responses_url, request.model)
        response = Response.parse(raw, request_id=answer.header("x-request-id") or None, replayed=answer.replayed)
        if response.status in ("in_progress", "queued"):
            raise ProtocolError(f"the answer has status {response.status!r}; a stateless server can't be asked later.")
        return _checked_response(response, answer)

    async def _read_events(
        self, answer: Answer, request: Request, deadline: float | None
    ) -> AsyncGenerator[Batch | Response]:
        """Read a stream to its terminal event. A plain answer's deadline holds where none was asked for."""
        decoder, fold = SSEDecoder(), ResponseFold(self._echoes)
        timeouts, clock = self.timeouts, asyncio.get_running_loop().time
        silent_since = clock()
        while True:
            now = clock()
            limits = (
                deadline,
                None if timeouts.idle is None else now + timeouts.idle,
                None if timeouts.event is None else silent_since + timeouts.event,
            )
            soonest = min((limit for limit in limits if limit is not None), default=None)
            try:
                chunk = await within(soonest, "the next event of the stream", answer.next_chunk())
            except AgentkitError:
                if fold.error is None:
                    raise
                chunk = b""  # the server has said what went wrong, and that holds
            server_events = decoder.feed(chunk) if chunk else decoder.finish()
            events, failure = fold.feed_all(server_events)
            if events:
                yield events
            if failure is not None:
                raise failure
            if server_events:
                silent_since = clock()  # from when the reader came back: its own time isn't the server's silence
            if fold.response is not None:
                break
            if fold.error is not None:
                deadline = min(deadline or math.inf, now + ERROR_GRACE_S)
            if not chunk:
                raise self._stream_end(answer, decoder, fold, request)
        if fold.mismatch:
            _log.warning("the stream's events and its final response differ; the final response holds")
        if fold.gap:
            _log.warning("events of the stream are missing; the final response is whole, and holds")
        if fold.repeats:
            _log.info("%d events of the stream came twice, and count once", fold.repeats)
        await _drain(answer)  # before the response: whoever takes that closes this generator, and the connection
        request_id = answer.header("x-request-id") or None
        yield _checked_response(Response(fold.response.raw, request_id, replayed=answer.replayed), answer)

    def _stream_end(self, answer: Answer, decoder: SSEDecoder, fold: ResponseFold, request: Request) -> AgentkitError:
        """Return the error that the end of a stream without a response is."""
        if fold.error is not None:
            return self._status_error(answer, json.encode(fold.error), "POST", self._responses_url, request.model)
        if decoder.stray:
            return ProtocolError(
                f"the stream ended without a response, and held a line that is no event: {decoder.stray[:200]!r}"
            )
        return StreamBroken("the stream ended before its terminal event (response.completed, .incomplete or .failed)")

    async def _key(self) -> str | None:
        key = self._api_key
        if callable(key):
            try:
                found = key()
                key = await found if inspect.isawaitable(found) else found
            except Exception as exc:
                # what it says may hold the key: that is left to the cause
                raise UsageError(f"api_key() raised {type(exc).__name__}, and no key. Mend the function.") from exc
            _check_header("api_key()", key)
        return key

    async def _header_list(self, trace: str, number: int, *, stream: bool) -> list[tuple[bytes, bytes]]:
        headers = {
            b"host": self._url.netloc.encode(),
            b"accept": b"text/event-stream" if stream else b"application/json",
            b"accept-encoding": b"gzip",
            b"content-type": b"application/json",
            b"user-agent": _USER_AGENT,
            b"x-client-request-id": trace.encode(),
            b"x-attempt": b"%d" % number,
        }
        if (key := await self._key()) is not None:
            if self.profile.key_header != "authorization" and isinstance(self._api_key, str):
                headers[self.profile.key_header.encode()] = key.encode()
            else:  # what a function brings is a token, also where keys have a header of their own
                headers[b"authorization"] = b"Bearer " + key.encode()
        headers |= self._headers
        return list(headers.items())

    def _count(self, *, requests: int = 0, attempts: int = 0, failures: int = 0, in_flight: int = 0) -> None:
        """Add to `stats`; requests may run in several threads."""
        stats = self.stats
        with self._counting:
            stats.requests += requests
            stats.attempts += attempts
            stats.failures += failures
            stats.in_flight += in_flight
            stats.concurrency = self._gate.limit
            stats.retries_left = self._budget.left

    def _after_fork(self) -> None:
        """Begin anew in a forked child: connections and requests under way belong to the parent."""
        self._wire.abandon()
        self._gate = Gate(self._gate.most, patience_s=self.timeouts.pool)
        self._budget = Budget(self.retry.budget_ratio, self.retry.budget_burst)
        self._counting = threading.RLock()
        self.stats.in_flight = 0

    def _note_rate_limits(self, answer: Answer) -> None:
        for name, value in answer.headers:
            if name in RATE_LIMIT_HEADERS:
                self.stats.rate_limits[RATE_LIMIT_HEADERS[name]] = value

    async def _refusal(self, answer: Answer, method: str, url: Address, model: str | None) -> AgentkitError:
        """Return the error that any status but 200 stands for."""
        place = f"{method} {url.netloc}{url.path}"
        if 300 <= answer.status < 400:
            target = _host_of(answer.header("location")) or "the same host"
            return ProtocolError(f"{place} answered {answer.status}, pointing to {target}; redirects aren't followed.")
        if not 400 <= answer.status < 600:
            return ProtocolError(f"{place} answered {answer.status}, which holds no response.")
        body = await answer.read_head(self.timeouts.idle)
        if "event-stream" in answer.header("content-type").lower():
            body = _first_event(body)
        return self._status_error(answer, body, method, url, model)

    def _status_error(self, answer: Answer, body: bytes, method: str, url: Address, model: str | None) -> AgentkitError:
        place = f"{method} {url.netloc}{url.path}"
        return status_error(answer.status, body, answer.headers, now=time.time(), place=place, model=model)


class _Asking:
    """One HTTP request: sends it, holds its answer while that is read, and tells until when that must be.

    Raises a server's no. A class, since a generator would be closed with its event loop, in any order.
    """

    def __init__(
        self,
        client: Client,
        method: str,
        url: Address,
        request: Request,
        track: Track | None,
        trace: str,
        number: int,
    ) -> None:
        self._client = client
        self._method = method
        self._url = url
        self._request = request
        self._track = track
        self._trace = trace
        self._number = number
        self._entered = 0
        self._held = contextlib.AsyncExitStack()

    async def __aenter__(self) -> tuple[Answer, float | None]:
        client, request = self._client, self._request
        async with contextlib.AsyncExitStack() as held:
            self._entered = await held.enter_async_context(client._gate)
            client._count(attempts=1, in_flight=1)
            held.callback(client._count, in_flight=-1)
            held.push(self._note_overload)
            answer, deadline = (self._track is not None and self._play()) or await self._send()
            await held.enter_async_context(contextlib.aclosing(answer))
            if self._track is not None:
                held.push(lambda _kind, exc, _traceback: answer.note_failure(exc))
            client._note_rate_limits(answer)
            if answer.status != 200:
                raise await client._refusal(answer, self._method, self._url, request.model)
            client._gate.widen()
            self._held = held.pop_all()
        return answer, None if request.stream else deadline

    def _play(self) -> tuple[Answer, None] | None:
        """Return the answer that the cassette in force holds, which no deadline is set for."""
        track = cast("Track", self._track)
        if isinstance(key := self._client._api_key, str) and _is_no_word(key):
            track.hide([key])  # where it stands in a prompt, it was hidden when that was recorded
        answer = track.play(self._method, str(self._url), self._request.body)
        return None if answer is None else (answer, None)

    @property
    def _key_header(self) -> bytes:
        return self._client.profile.key_header.encode()

    async def _send(self) -> tuple[Answer, float | None]:
        client, request, track = self._client, self._request, self._track
        headers = await client._header_list(self._trace, self._number, stream=request.stream)
        if track is not None:
            # what is recorded is read by people, and nobody is to read the key
            headers = [(name, b"identity" if name == b"accept-encoding" else value) for name, value in headers]
            track.hide([value.decode() for name, value in headers if name in (b"authorization", self._key_header)])
        deadline = _after(client.timeouts.first_byte if request.stream else client.timeouts.total)
        what, kind = ("the answer to begin", "transient") if request.stream else ("the answer", "final")
        sent = within(deadline, what, client._wire.send(self._method, self._url, headers, request.body), kind=kind)
        if track is not None:
            sent = track.record(self._method, str(self._url), request.body, sent)
        return await sent, deadline

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._held.__aexit__(kind, exc, traceback)

    def _note_overload(
        self, _kind: type[BaseException] | None, exc: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if isinstance(exc, AgentkitError) and is_overload(exc, self._client.profile):
            self._client._gate.narrow(self._entered)


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for client in _clients:
        client._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)


class _FailedInBand(ResponseFailed):
    """A response with status failed, as the retry policy sees it; it is returned if that gives up."""

    retry_after_s: float | None = None


def _checked_response(response: Response, answer: Answer) -> Response:
    if response.status != "failed":
        return response
    said = response.error or {}
    code = said.get("code")
    error = _FailedInBand(
        escape(str(said.get("message") or "the response failed")), code=code if isinstance(code, str) else None
    )
    error.response = response
    error.retry_after_s = retry_after(answer.headers, time.time())
    raise error


def _is_stream(answer: Answer, request: Request) -> bool:
    """Status first, then content type: an error may come framed as a stream, and a stream unasked."""
    if answer.status != 200:
        return False
    kind = answer.header("content-type").lower()
    return "event-stream" in kind or (request.stream and "json" not in kind and "html" not in kind)


def _decoded(body: bytes, answer: Answer, echoes: Echoes) -> JSON:
    try:
        return echoes.decode(body)
    except json.JSONError as exc:
        kind = answer.header("content-type") or "no content type"
        raise ProtocolError(f"the answer isn't JSON ({exc}; {kind}): {body[:200]!r}") from exc


async def _drain(answer: Answer) -> None:
    """Read what follows the terminal event (`[DONE]`, the end), so that the connection stays usable."""
    if answer.is_at_end:
        return
    with contextlib.suppress(AgentkitError, TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while await answer.next_chunk():
                pass


def _after(seconds: float | None) -> float | None:
    """Return the moment that many seconds from here, on the event loop's clock."""
    return None if seconds is None else asyncio.get_running_loop().time() + seconds


def _first_event(body: bytes) -> bytes:
    """Return the data of an error that is framed as a stream."""
    decoder = SSEDecoder()
    events = [*decoder.feed(body), *decoder.finish()]
    return events[0].data if events else body


def _listed_models(value: JSON) -> list[JSONObject]:
    """Return the models of `{"data": [...]}`, `{"models": [...]}` or `[...]`; a bare name is an id."""
    listed = value.get("data", value.get("models")) if isinstance(value, dict) else value
    if not isinstance(listed, list):
        raise ProtocolError(f"expected a list of models, got {repr(value)[:200]}")
    named: list[JSON] = [{"id": model} if isinstance(model, str) else model for model in listed]
    return [model for model in named if isinstance(model, dict)]


def _host_of(location: str) -> str:
    import httpx

    try:
        return httpx.URL(location).host
    except httpx.InvalidURL:
        return "an address that is none"


def _checked_type(what: str, value: T | None, wanted: type[T]) -> T | None:
    if value is not None and not isinstance(value, wanted):
        raise UsageError(f"{what} is a {type(value).__name__}; give {what}={wanted.__name__}(...).")
    return value


def _checked_limit(limit: int | None) -> int | None:
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise UsageError(f"max_concurrency={limit!r}; allowed is a whole number from 1, or None.")
    return limit


def _checked_key(key: ApiKey | None) -> ApiKey | None:
    if isinstance(key, str):
        _check_header("api_key", key)
        return key or None
    if key is not None and not callable(key):
        raise UsageError(f"api_key is a {type(key).__name__}; give a string, a function that returns one, or None.")
    return key


def _checked_headers(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    for name, value in headers.items():
        if not isinstance(name, str) or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise UsageError(f"{name!r} is no name of a header. Allowed are letters, digits and hyphens.")
        _check_header(f"headers[{name!r}]", value)
        if name.lower() in FRAMING:
            raise UsageError(f"headers[{name!r}] says how the request is framed, which the client does. Leave it out.")
    return {name.lower().encode(): value.encode() for name, value in headers.items()}


def _check_header(what: str, value: object) -> None:
    """Refuse what would break out of a header line. The value may be a secret: it isn't shown."""
    if not isinstance(value, str):
        raise UsageError(f"{what} is a {type(value).__name__}; give a string.")
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise UsageError(
            f"{what} holds a line break, a control or a non-ASCII character, or a space at an end. "
            "Check it for a stray newline."
        )


FRAMING = frozenset({"connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"})
"""Headers that say how a request stands on its connection."""
_HINT_IN_TESTS = " A test that plays a recording needs none: mark it with @pytest.mark.cassette."
NO_SERVER = "http://recorded.invalid/v1"
"""What stands in for a server where only a cassette answers, and doesn't say who did."""


def _is_no_word(key: str) -> bool:
    """Tell a key from a stand-in such as `test` or `anything`, which may stand in any prompt."""
    return len(key) >= 12 and any(map(str.isdigit, key)) and any(map(str.isalpha, key))


def _recorded_server() -> tuple[str, None] | None:
    """Return the server of a cassette that only plays: no key is needed, and none is looked for."""
    tape = find_tape()
    return None if tape is None or tape.goes_live else (tape.server or NO_SERVER, None)


def _find_in_env(env: Mapping[str, str]) -> tuple[str, str | None]:
    if env.get("AGENTKIT_BASE_URL"):
        return env["AGENTKIT_BASE_URL"], env.get("AGENTKIT_API_KEY")
    if env.get("SAMBANOVA_API_KEY"):
        return env.get("SAMBANOVA_BASE_URL") or "https://api.sambanova.ai/v1", env["SAMBANOVA_API_KEY"]
    if env.get("OPENAI_API_KEY"):
        return env.get("OPENAI_BASE_URL") or "https://api.openai.com/v1", env["OPENAI_API_KEY"]
    hint = " AGENTKIT_API_KEY is set, but not AGENTKIT_BASE_URL." if env.get("AGENTKIT_API_KEY") else ""
    hint += _HINT_IN_TESTS if "pytest" in sys.modules else ""
    raise UsageError(
        "no server: give client=Client(base_url, api_key), or set AGENTKIT_BASE_URL (and AGENTKIT_API_KEY), "
        f"SAMBANOVA_API_KEY, or OPENAI_API_KEY in the environment.{hint}"
    )


_SHARED: dict[tuple[str, str | None], Client] = {}


def shared_client() -> Client:
    """Return the client of the environment, the same one as long as the environment says the same."""
    found = _recorded_server() or _find_in_env(os.environ)
    if found not in _SHARED:
        _SHARED[found] = Client(*found)
    return _SHARED[found]
