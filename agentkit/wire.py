"""The connections of a client: the one module that opens any.

`AsyncHTTPTransport` is driven directly: an `AsyncClient` around it adds a cookie jar, redirects and a second
set of timeouts, none of which may touch a conversation, and the time that they take. Connections
belong to an event loop, so each loop gets its own; they close with it, or with the client.
"""

from __future__ import annotations

import abc
import asyncio
import operator
import os
import ssl
import threading
import urllib.request
import weakref
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import httpcore
import httpx

from agentkit import tape
from agentkit.closing import closing
from agentkit.errors import AgentkitError, ProtocolError, Timeout, TransportError, UsageError
from agentkit.status import escape

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence

T = TypeVar("T")

MAX_BODY_BYTES = 64 * 2**20
"""Largest decoded answer accepted."""
MAX_ERROR_BYTES = 64 * 2**10
"""As much as is read of an error's body."""
PER_POOL = 10
"""Requests at once over one of httpx's pools: its bookkeeping is quadratic in the connections it holds."""
PIECE_BYTES = 64 * 2**10
"""As much as is unpacked at once of a compressed body."""
SMALL_BYTES = 64 * 2**10
"""As much as is sent without listening for an answer meanwhile: a socket's buffer takes it at once."""

_PACKED = ("gzip", "x-gzip")
_abandoned: list[object] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Deadlines in seconds; None: none."""

    connect: float | None = 5.0
    """Connecting, and as long again for TLS."""
    write: float | None = 60.0
    """Sending the request."""
    pool: float | None = None
    """Waiting for a place, where `max_concurrency` bounds them."""
    first_byte: float | None = 120.0
    """Of a stream: until the answer begins."""
    idle: float | None = 60.0
    """Of a stream, and of an error's body: without a byte."""
    event: float | None = 300.0
    """Of a stream: without an event, whatever keep-alives come."""
    total: float | None = 600.0
    """Of a plain answer, from sending to its last byte. Not tried again: it is the caller's patience."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
                raise UsageError(f"{name}={value!r}; allowed are seconds above 0, or None for no deadline.")


async def within(deadline: float | None, what: str, wanted: Awaitable[T], *, kind: str = "transient") -> T:
    """Return what is awaited, or raise `Timeout` once the event loop's clock reaches `deadline`."""
    try:
        async with asyncio.timeout_at(deadline):
            return await wanted
    except TimeoutError as exc:
        error = Timeout(f"waited too long for {what}. See Client(timeouts=Timeouts(...)).")
        error.kind = kind
        raise error from exc


class Answer(abc.ABC):
    """The answer to one request, its body unread. Close it after use."""

    __slots__ = ("headers", "status")

    replayed = False
    """Whether it comes from a cassette."""

    def __init__(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        self.status = status
        self.headers = headers
        """Names in lower case."""

    def header(self, name: str) -> str:
        """Return a header's first value, or the empty string."""
        for key, value in self.headers:
            if key == name:
                return value
        return ""

    @abc.abstractmethod
    async def next_chunk(self) -> bytes:
        """Return the next bytes of the body, decoded; empty at its end."""

    async def read(self, at_most: int = MAX_BODY_BYTES) -> bytes:
        """Return the whole body. Raises `ProtocolError` for one larger than `at_most`."""
        chunks: list[bytes] = []
        size = 0
        while chunk := await self.next_chunk():
            size += len(chunk)
            if size > at_most:
                raise ProtocolError(f"an answer of more than {at_most} bytes; that many are accepted.")
            chunks.append(chunk)
        return b"".join(chunks)

    async def read_head(self, idle_s: float | None) -> bytes:
        """Return the beginning of the body, as far as it can be had: for error messages."""
        body = b""
        loop = asyncio.get_running_loop()
        try:
            while len(body) < MAX_ERROR_BYTES:
                deadline = None if idle_s is None else loop.time() + idle_s
                if not (chunk := await within(deadline, "the body", self.next_chunk())):
                    break
                body += chunk
        except AgentkitError:
            pass  # the status has said what counts
        return body[:MAX_ERROR_BYTES]

    @abc.abstractmethod
    async def aclose(self) -> None:
        """Leave the rest of the body unread."""

    def note_failure(self, exc: BaseException | None) -> None:
        """Take notice of what ended the reading, before the answer is closed: for answers that are recorded."""
        del exc


class _WireAnswer(Answer):
    """An answer that comes over a connection."""

    __slots__ = ("_chunks", "_encoding", "_gunzip", "_pool", "_response")

    def __init__(self, response: httpx.Response, pool: _Pool) -> None:
        headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers.raw]
        super().__init__(response.status_code, headers)
        self._response = response
        self._pool: _Pool | None = pool
        self._chunks = closing(aiter(response.stream))  # type: ignore[arg-type]
        self._encoding = self.header("content-encoding").strip().lower()
        self._gunzip = _Gunzip() if self._encoding in _PACKED else None

    async def next_chunk(self) -> bytes:
        """Return the next bytes of the body, decoded; empty at its end."""
        if self._gunzip is None:
            if self._encoding not in ("", "identity"):
                raise ProtocolError(f"the body is encoded as {self._encoding!r}; asked for was gzip or nothing.")
            return await self._next_raw()
        while not (piece := self._gunzip.take()):
            if raw := await self._next_raw():
                self._gunzip.give(raw)
            else:
                self._gunzip.check_end()
                break
        return piece

    async def _next_raw(self) -> bytes:
        try:
            while (chunk := await anext(self._chunks, None)) is not None:
                if chunk:
                    return chunk
        except httpx.HTTPError as exc:
            raise translated(exc, "reading the answer") from exc
        return b""

    async def aclose(self) -> None:
        """Give the connection back, or close it where the body wasn't read to its end."""
        if self._pool is None:
            return
        self._pool.busy -= 1
        self._pool = None
        try:
            if _has_surplus(self._response):
                await self._response.extensions["network_stream"].aclose()
            await self._chunks.aclose()
            await self._response.stream.aclose()  # type: ignore[union-attr]
        except httpx.HTTPError as exc:
            raise translated(exc, "closing the answer") from exc


class _Gunzip:
    """Unpacks gzip piece by piece, so that a small body that stands for a giant one is never held whole."""

    __slots__ = ("_begun", "_is_full", "_member", "_packed")

    def __init__(self) -> None:
        self._member = zlib.decompressobj(31)
        self._packed = b""
        self._begun = False
        self._is_full = False  # more may be had of what was given already

    def give(self, packed: bytes) -> None:
        self._packed += packed
        self._begun = True

    def take(self) -> bytes:
        """Return the next piece of what was given, empty where more is needed."""
        while self._packed or self._is_full:
            if self._member.eof:
                self._member = zlib.decompressobj(31)  # "a gzip file consists of a series of members" (RFC 1952)
            try:
                piece = self._member.decompress(self._packed, PIECE_BYTES)
            except zlib.error as exc:
                raise TransportError(f"the compressed body is damaged: {exc}") from exc
            self._packed = self._member.unconsumed_tail or self._member.unused_data
            self._is_full = len(piece) == PIECE_BYTES and not self._member.eof
            if piece:
                return piece
        return b""

    def check_end(self) -> None:
        if self._begun and not self._member.eof:
            raise TransportError("the compressed body is cut short")


class _Pool:
    """A transport, and what is known of its connections."""

    __slots__ = ("busy", "has_answered", "transport")

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self.transport = transport
        self.busy = 0
        """Requests under way."""
        self.has_answered = False
        """Whether it may hold a connection that has served before."""


class _LoopPools:
    """The pools that belong to one event loop."""

    __slots__ = ("_closer", "_pools")

    def __init__(self) -> None:
        self._pools: list[_Pool] = []
        self._closer: AsyncGenerator[None] | None = None

    async def find(self, make: Callable[[], httpx.AsyncBaseTransport]) -> _Pool:
        """Return a pool that has room."""
        if self._closer is None:
            # A loop that shuts down closes its async generators, and closes one that is garbage collected:
            # so the connections end with their loop or with their client, whichever goes first.
            self._closer = _closing(self._pools)
            await anext(self._closer)
        for pool in self._pools:
            if pool.busy < PER_POOL:
                return pool
        self._pools.append(pool := _Pool(make()))
        return pool

    async def aclose(self) -> None:
        if self._closer is not None:
            closer, self._closer = self._closer, None
            await closer.aclose()


async def _closing(pools: list[_Pool]) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        for pool in pools:
            await pool.transport.aclose()
        pools.clear()


class Wire:
    """Sends requests to one server, from any thread, event loop or forked process."""

    def __init__(
        self,
        url: httpx.URL,
        *,
        transport: httpx.AsyncBaseTransport | None,
        verify: ssl.SSLContext | str | bool,
        trust_env: bool,
        timeouts: Timeouts,
    ) -> None:
        if transport is not None and not hasattr(transport, "handle_async_request"):
            raise UsageError(
                f"transport={transport!r} has no handle_async_request. Give an httpx.AsyncBaseTransport, "
                "for example httpx.MockTransport or agentkit.testing.ScriptedModel."
            )
        self._url = url
        self._given = None if transport is None else _Pool(transport)
        self._verify = _checked_verify(verify)
        self._trust_env = trust_env
        self._extensions = {
            # httpx's read timeout starts anew with every byte: the client has deadlines of its own
            "timeout": {"connect": timeouts.connect, "write": timeouts.write, "read": None, "pool": None}
        }
        self._tls: ssl.SSLContext | None = None
        self._proxy: str | None = None
        self._lock = threading.Lock()
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopPools] = weakref.WeakKeyDictionary()
        self._closed = False

    async def send(self, method: str, url: httpx.URL, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> Answer:
        """Send a request and return its answer, as soon as the headers are there. Close the answer after use."""
        if self._closed:
            raise UsageError("this client is closed. Make a new one, or keep it open around its use.")
        if tape.refusal is not None and self._given is None and (refused := tape.refusal(url.host)) is not None:
            raise refused
        request = httpx.Request(method, url, headers=headers, content=body, extensions=self._extensions)
        pool = self._given or await self._pools().find(self._make_transport)
        pool.busy += 1
        try:
            response = await pool.transport.handle_async_request(request)
        except httpx.HTTPError as exc:
            pool.busy -= 1
            raise translated(exc, self._place, before_answer=True, maybe_kept=pool.has_answered) from exc
        except BaseException:
            pool.busy -= 1
            raise
        pool.has_answered = True
        return _WireAnswer(response, pool)

    async def aclose(self) -> None:
        """Close the connections: those of the running loop at once, those of other loops as soon as these run."""
        self._closed = True
        with self._lock:
            mine = self._loops.pop(asyncio.get_running_loop(), None)
            self._loops.clear()
        if mine is not None:
            await mine.aclose()
        if self._given is not None:
            await self._given.transport.aclose()

    def abandon(self) -> None:
        """Leave the connections to the parent process, in a forked child.

        Sockets and the loop's selector are shared with the parent: not even closing them here is safe.
        """
        _abandoned.append(self._loops)
        self._loops, self._lock = weakref.WeakKeyDictionary(), threading.Lock()

    @property
    def _place(self) -> str:
        proxy = f" through the proxy {httpx.URL(self._proxy).host}" if self._proxy else ""
        return f"{self._url.netloc.decode()}{proxy}"

    def _pools(self) -> _LoopPools:
        loop = asyncio.get_running_loop()
        with self._lock:
            if (pools := self._loops.get(loop)) is None:
                pools = self._loops[loop] = _LoopPools()
            return pools

    def _make_transport(self) -> httpx.AsyncBaseTransport:
        with self._lock:
            if self._tls is None:
                self._proxy = self._find_proxy() if self._trust_env else None
                self._tls = self._make_tls()
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=PER_POOL, keepalive_expiry=30.0)
        proxy: httpx.Proxy | None = None
        try:
            if self._proxy is not None:
                # a proxy that is spoken to over TLS is checked like the server
                tls = self._tls if self._proxy.startswith("https:") else None
                proxy = httpx.Proxy(self._proxy, ssl_context=tls)
            transport = httpx.AsyncHTTPTransport(
                verify=self._tls, limits=limits, trust_env=self._trust_env, proxy=proxy
            )
        except (ValueError, ImportError, httpx.InvalidURL) as exc:
            scheme = str(self._proxy).partition("://")[0]
            raise UsageError(
                f"the environment names a proxy of the kind {scheme!r} that can't be used: {type(exc).__name__}. "
                "Allowed are http:// and https://, and socks5:// with httpx[socks]. See trust_env and NO_PROXY."
            ) from None  # the cause quotes the address, password and all
        # httpx has no word for it
        transport._pool._network_backend = _ListeningBackend(transport._pool._network_backend)  # noqa: SLF001
        return transport

    def _make_tls(self) -> ssl.SSLContext:
        if self._url.scheme == "http" and not (self._proxy or "").startswith("https:"):
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used, and 25 ms cheaper than a real one
        try:
            if isinstance(self._verify, str):
                if Path(self._verify).is_dir():
                    return ssl.create_default_context(capath=self._verify)
                return ssl.create_default_context(cafile=self._verify)
            return httpx.create_ssl_context(verify=self._verify, trust_env=self._trust_env)
        except OSError as exc:  # an ssl.SSLError is one, too
            raise UsageError(f"verify={self._verify!r}: {exc}. Give a file of certificates in PEM format.") from exc

    def _find_proxy(self) -> str | None:
        if urllib.request.proxy_bypass(self._url.netloc.decode("ascii")):
            return None
        proxies = urllib.request.getproxies()
        proxy = proxies.get(self._url.scheme) or proxies.get("all")
        return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def translated(
    exc: httpx.HTTPError, place: str, *, before_answer: bool = False, maybe_kept: bool = False
) -> AgentkitError:
    """Return httpx's error as ours, without URLs, which may hold keys.

    `before_answer`: not a byte of the answer had come; `maybe_kept`: the connection may have served before.
    """
    said = escape(str(exc)) or type(exc).__name__
    if isinstance(exc, httpx.ConnectError):
        return _connect_error(exc, place)
    if isinstance(exc, httpx.TimeoutException):
        what = {httpx.ConnectTimeout: "connecting", httpx.WriteTimeout: "sending"}.get(type(exc), "reading")
        return Timeout(f"{place}: {what} took too long. See Client(timeouts=Timeouts(...)).")
    if isinstance(exc, httpx.ProxyError):
        error = TransportError(f"{place}: the proxy refused: {said}. See trust_env, HTTPS_PROXY and NO_PROXY.")
        if said.startswith("4"):
            error.kind = "final"
        return error
    if "Receive buffer too long" in said:
        return ProtocolError(f"{place}: the headers of the answer are too long.")
    error = TransportError(f"{place}: {said}")
    # A server may close a kept connection at any moment. A clean end before the answer says so by itself; a
    # reset does where the connection had served before.
    closed = isinstance(exc, httpx.RemoteProtocolError) and "without sending a response" in said
    if before_answer and (closed or (maybe_kept and isinstance(exc, httpx.NetworkError))):
        error.kind = "stale"
    return error


def _connect_error(exc: httpx.ConnectError, place: str) -> TransportError:
    causes = [exc, *_causes(exc)]
    untrusted = next((cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), None)
    if untrusted is not None:
        reason = untrusted.verify_message
        error = TransportError(f"{place}: its certificate isn't trusted: {reason}. See Client(verify=...).")
        error.kind = "final"
    elif any(type(cause).__name__ == "gaierror" for cause in causes):
        error = TransportError(f"{place}: the host name doesn't resolve. Check base_url and the network.")
        error.kind = "unresolved"
    else:
        said = escape(str(exc)) or "the connection was closed"
        error = TransportError(f"{place}: can't connect: {said}. Is the server running, and base_url right?")
    return error


def _causes(exc: BaseException) -> Iterator[BaseException]:
    below = exc.__cause__ or exc.__context__
    if below is not None:
        yield below
        yield from _causes(below)


_unread = operator.attrgetter("stream._httpcore_stream._stream._connection._h11_state.trailing_data")


def _has_surplus(response: httpx.Response) -> bool:
    """Tell whether bytes followed the body: httpcore would take them for the beginning of the next answer.

    It keeps them to itself, hence the private way to them. Elsewhere (other transports) the question is theirs.
    """
    try:
        return bool(_unread(response)[0])
    except AttributeError:
        return False


class _ListeningBackend(httpcore.AsyncNetworkBackend):
    """Makes connections that hear an answer which comes before the request is sent."""

    def __init__(self, inner: httpcore.AsyncNetworkBackend) -> None:
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _ListeningStream(await self._inner.connect_tcp(host, port, timeout, local_address, socket_options))


class _ListeningStream(httpcore.AsyncNetworkStream):
    """A connection that reads while it sends a large body.

    A server that won't take one (413, 400) says so at once and closes. Whoever only sends then gets a broken pipe,
    and the answer is thrown away with the connection.
    """

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._early: asyncio.Task[bytes] | None = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        if self._early is None:
            return await self._inner.read(max_bytes, timeout)
        early, self._early = self._early, None
        return await early

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        if len(buffer) <= SMALL_BYTES:
            await self._inner.write(buffer, timeout)
            return
        self._early = asyncio.create_task(self._inner.read(PIECE_BYTES))
        sending = asyncio.create_task(self._inner.write(buffer, timeout))
        try:
            await asyncio.wait({sending, self._early}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done() and _is_answer(self._early):
                raise httpcore.WriteError("answered before the request was sent")  # httpcore reads the answer then
            await sending
        finally:
            if not sending.done():
                sending.cancel()
                await asyncio.wait({sending})

    async def aclose(self) -> None:
        if self._early is not None:
            early, self._early = self._early, None
            early.cancel()
            await asyncio.wait({early})
            if not early.cancelled():
                early.exception()  # told to nobody: the connection is over
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        return _ListeningStream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)


def _is_answer(read: asyncio.Task[bytes]) -> bool:
    """Tell whether what was read ends a request: everything does but "100 Continue" and its like."""
    return read.exception() is not None or not read.result().startswith((b"HTTP/1.1 1", b"HTTP/1.0 1"))


def _checked_verify(verify: ssl.SSLContext | str | bool) -> ssl.SSLContext | str | bool:
    if isinstance(verify, bool | ssl.SSLContext):
        return verify
    if isinstance(verify, str | os.PathLike) and Path(verify).exists():
        return os.fspath(verify)
    raise UsageError(f"verify={verify!r}; allowed are True, False, an ssl.SSLContext, or a file of certificates.")
