"""The connections of a client: the one module that names httpx.

`AsyncHTTPTransport` is driven directly: an `AsyncClient` around it adds a cookie jar, redirects and a second
set of timeouts, none of which may touch a conversation, and a third of the cost of a request. Connections
belong to an event loop, so each loop gets its own; they close with it, or with the client.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
import urllib.request
import weakref
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from agentkit.errors import AgentkitError, ProtocolError, Timeout, TransportError, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence

MAX_BODY_BYTES = 64 * 2**20
"""Largest decoded answer accepted."""
MAX_ERROR_BYTES = 64 * 2**10
"""As much as is read of an error's body."""
PER_POOL = 10
"""Requests at once over one of httpx's pools: its bookkeeping is quadratic in the connections it holds."""

_ENCODINGS = {"", "identity", "gzip"}
_abandoned: list[object] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Deadlines in seconds; None: none."""

    connect: float | None = 5.0
    """Connecting, TLS included."""
    write: float | None = 60.0
    """Each piece of the request being taken."""
    pool: float | None = None
    """Waiting for a connection, where `max_concurrency` bounds them."""
    first_byte: float | None = 120.0
    """Of a stream: until the answer begins."""
    idle: float | None = 60.0
    """Of a stream: without a byte."""
    event: float | None = 300.0
    """Of a stream: without an event, whatever keep-alives come."""
    total: float | None = 600.0
    """Of a plain answer, from sending to its last byte."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
                raise UsageError(f"{name}={value!r}; allowed are seconds above 0, or None for no deadline.")


class Answer:
    """The answer to one request, its body unread."""

    __slots__ = ("_chunks", "_response", "headers", "status")

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers: list[tuple[str, str]] = [
            (k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in response.headers.raw
        ]
        encoding = self.header("content-encoding").lower()
        if encoding not in _ENCODINGS:
            raise ProtocolError(f"the body is encoded as {encoding!r}, asked for was gzip or nothing.")
        # httpx decodes where there is something to decode; the plain stream saves it two generators a chunk
        self._chunks: AsyncIterator[bytes] = (
            response.aiter_bytes() if encoding == "gzip" else aiter(response.stream)  # type: ignore[arg-type]
        )

    def header(self, name: str) -> str:
        """Return a header's first value, or the empty string."""
        return next((value for key, value in self.headers if key == name), "")

    async def next_chunk(self) -> bytes:
        """Return the next bytes of the body, decoded; empty at its end."""
        with translated_errors("reading the answer"):
            return await anext(self._chunks, b"")

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

    async def read_head(self, at_most: int = MAX_ERROR_BYTES) -> bytes:
        """Return the beginning of the body, as far as it can be had: for error messages."""
        body = b""
        try:
            while len(body) < at_most and (chunk := await self.next_chunk()):
                body += chunk
        except AgentkitError:
            pass  # the status has said what counts
        return body[:at_most]

    async def aclose(self) -> None:
        """Give the connection back, or close it where the body wasn't read to its end."""
        with translated_errors("closing the answer"):
            await self._response.aclose()


class _LoopPools:
    """The connections that belong to one event loop."""

    __slots__ = ("_closer", "_make", "_pools")

    def __init__(self, make: _MakeTransport) -> None:
        self._make = make
        self._pools: list[tuple[httpx.AsyncBaseTransport, list[None]]] = []
        self._closer: AsyncGenerator[None] | None = None

    async def acquire(self) -> tuple[httpx.AsyncBaseTransport, list[None]]:
        """Return a transport that has room, and the list that counts its requests."""
        if self._closer is None:
            # A loop that shuts down closes its async generators, and closes one that is garbage collected:
            # so the connections end with their loop or with their client, whichever goes first.
            self._closer = _closing(pools := self._pools)
            del pools
            await anext(self._closer)
        for pool in self._pools:
            if len(pool[1]) < PER_POOL:
                break
        else:
            pool = (self._make(), [])
            self._pools.append(pool)
        pool[1].append(None)
        return pool

    async def aclose(self) -> None:
        if self._closer is not None:
            closer, self._closer = self._closer, None
            await closer.aclose()


async def _closing(pools: list[tuple[httpx.AsyncBaseTransport, list[None]]]) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        for transport, _ in pools:
            await transport.aclose()
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
        self._transport = transport
        self._verify = verify
        self._trust_env = trust_env
        self._timeouts = timeouts
        self._tls: ssl.SSLContext | None = None
        self._proxy: str | None = None
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopPools] = weakref.WeakKeyDictionary()
        self._closed = False

    async def send(self, method: str, url: httpx.URL, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> Answer:
        """Send a request and return its answer, as soon as the headers are there. Close the answer after use."""
        timeout = {
            "connect": self._timeouts.connect,
            "write": self._timeouts.write,
            "pool": self._timeouts.pool,
            "read": None,  # own deadlines: httpx's starts anew with every byte
        }
        request = httpx.Request(method, url, headers=list(headers), content=body, extensions={"timeout": timeout})
        if self._transport is not None:
            with translated_errors(self._place):
                return Answer(await self._transport.handle_async_request(request))
        transport, count = await self._pools().acquire()
        try:
            with translated_errors(self._place):
                response = await transport.handle_async_request(request)
        except BaseException:
            count.pop()
            raise
        response.stream = _Counted(response.stream, count)  # type: ignore[arg-type]
        return Answer(response)

    async def aclose(self) -> None:
        """Close the connections of the running loop; those of others close with their loops."""
        self._closed = True
        with self._lock:
            pools = self._loops.pop(asyncio.get_running_loop(), None)
            self._loops.clear()
        if pools is not None:
            await pools.aclose()

    @property
    def _place(self) -> str:
        proxy = f" through the proxy {httpx.URL(self._proxy).host}" if self._proxy else ""
        return f"{self._url.host}{proxy}"

    def _pools(self) -> _LoopPools:
        with self._lock:
            if self._closed:
                raise UsageError("this client is closed. Make a new one, or keep it open around its use.")
            if os.getpid() != self._pid:
                # Sockets and the selector are shared with the parent: not even closing them here is safe.
                _abandoned.append(self._loops)
                self._loops, self._pid = weakref.WeakKeyDictionary(), os.getpid()
            loop = asyncio.get_running_loop()
            if (pools := self._loops.get(loop)) is None:
                pools = self._loops[loop] = _LoopPools(self._make_transport)
            return pools

    def _make_transport(self) -> httpx.AsyncBaseTransport:
        if self._tls is None:
            self._proxy = self._find_proxy() if self._trust_env else None
            self._tls = self._make_tls()
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=PER_POOL, keepalive_expiry=30.0)
        return httpx.AsyncHTTPTransport(verify=self._tls, limits=limits, trust_env=self._trust_env, proxy=self._proxy)

    def _make_tls(self) -> ssl.SSLContext:
        if self._url.scheme == "http" and not (self._proxy or "").startswith("https"):
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used, and 25 ms cheaper than a real one
        try:
            return httpx.create_ssl_context(verify=self._verify, trust_env=self._trust_env)
        except (OSError, ValueError) as exc:
            raise UsageError(f"verify={self._verify!r}: {exc}. Give True, False or an ssl.SSLContext.") from exc

    def _find_proxy(self) -> str | None:
        if urllib.request.proxy_bypass(self._url.host):
            return None
        proxies = urllib.request.getproxies()
        proxy = proxies.get(self._url.scheme) or proxies.get("all")
        return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


class _Counted(httpx.AsyncByteStream):
    """A body that takes its request off the pool's count when it is closed."""

    def __init__(self, stream: httpx.AsyncByteStream, count: list[None]) -> None:
        self._stream = stream
        self._count: list[None] | None = count

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        if self._count is not None:
            self._count.pop()
            self._count = None
        await self._stream.aclose()


@contextmanager
def translated_errors(place: str) -> Iterator[None]:
    """Raise httpx's errors as ours, without URLs, which may hold keys."""
    try:
        yield
    except httpx.ConnectError as exc:
        raise _connect_error(exc, place) from exc
    except httpx.TimeoutException as exc:
        what = {
            httpx.ConnectTimeout: "connecting",
            httpx.WriteTimeout: "sending",
            httpx.PoolTimeout: "waiting for a connection",
        }
        raise Timeout(f"{place}: {what.get(type(exc), 'reading')} took too long. See Client(timeouts=...).") from exc
    except httpx.ProxyError as exc:
        raise TransportError(f"{place}: the proxy refused: {exc}. See trust_env, HTTPS_PROXY and NO_PROXY.") from exc
    except httpx.RemoteProtocolError as exc:
        error = TransportError(f"{place}: {exc}")
        if "without sending a response" in str(exc):
            error.kind = "stale"
        raise error from exc
    except httpx.DecodingError as exc:
        raise TransportError(f"{place}: the compressed body is damaged: {exc}") from exc
    except httpx.TransportError as exc:
        raise TransportError(f"{place}: {exc or type(exc).__name__}") from exc


def _connect_error(exc: httpx.ConnectError, place: str) -> TransportError:
    causes = [exc, *_causes(exc)]
    error: TransportError
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        reason = next(c for c in causes if isinstance(c, ssl.SSLCertVerificationError)).verify_message
        error = TransportError(f"{place}: its certificate isn't trusted: {reason}. See Client(verify=...).")
        error.kind = "final"
    elif any(type(cause).__name__ == "gaierror" for cause in causes):
        error = TransportError(f"{place}: the host name doesn't resolve. Check base_url and the network.")
        error.kind = "unresolved"
    else:
        error = TransportError(f"{place}: can't connect: {exc}. Is the server running, and base_url right?")
    return error


def _causes(exc: BaseException) -> Iterator[BaseException]:
    below = exc.__cause__ or exc.__context__
    if below is not None:
        yield below
        yield from _causes(below)


if TYPE_CHECKING:
    from collections.abc import Callable

    _MakeTransport = Callable[[], httpx.AsyncBaseTransport]
