"""Answers through httpx's transports: one that the caller gives, and those that go through a proxy.

`AsyncHTTPTransport` is driven directly: an `AsyncClient` around it adds a cookie jar, redirects and a second
set of timeouts, none of which may touch a conversation, and the time that they take.
"""

from __future__ import annotations

import asyncio
import operator
import ssl
import weakref
from typing import TYPE_CHECKING

import httpcore
import httpx

from agentkit.closing import closing
from agentkit.errors import AgentkitError, ProtocolError, Timeout, TransportError
from agentkit.status import escape

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator

PER_POOL = 10
"""Requests at once over one of httpx's pools: its bookkeeping is quadratic in the connections it holds."""
PIECE_BYTES = 64 * 2**10
"""As much as is read while a request is being sent."""
SMALL_BYTES = 64 * 2**10
"""As much as is sent without listening for an answer meanwhile: a socket's buffer takes it at once."""


class Body:
    """The body of an answer, unread."""

    __slots__ = ("_chunks", "_pool", "_response")

    def __init__(self, response: httpx.Response, pool: Pool) -> None:
        self._response = response
        self._pool: Pool | None = pool
        self._chunks = closing(aiter(response.stream))  # type: ignore[arg-type]

    @property
    def is_at_end(self) -> bool:
        """Whether the whole answer has been read, as far as is known."""
        return False

    async def next_piece(self) -> bytes:
        """Return the next bytes; empty at the end."""
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


class Pool:
    """A transport, and what is known of its connections."""

    __slots__ = ("busy", "has_answered", "transport")

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self.transport = transport
        self.busy = 0
        """Requests under way."""
        self.has_answered = False
        """Whether it may hold a connection that has served before."""

    async def send(self, request: httpx.Request, place: str) -> httpx.Response:
        """Send a request and return its answer, as soon as the headers are there."""
        self.busy += 1
        try:
            response = await self.transport.handle_async_request(request)
        except httpx.HTTPError as exc:
            self.busy -= 1
            raise translated(exc, place, before_answer=True, maybe_kept=self.has_answered) from exc
        except BaseException:
            self.busy -= 1
            raise
        self.has_answered = True
        return response


class Pools:
    """The pools that belong to one event loop."""

    __slots__ = ("__weakref__", "_closer", "_pools")

    def __init__(self) -> None:
        self._pools: list[Pool] = []
        self._closer: AsyncGenerator[None] | None = None

    async def find(self, make: Callable[[], httpx.AsyncBaseTransport]) -> Pool:
        """Return a pool that has room."""
        if self._closer is None:
            # A loop that shuts down closes its async generators, and closes one that is garbage collected:
            # so the connections end with their loop or with their client, whichever goes first.
            self._closer = _closing(weakref.ref(self), self._pools)
            await anext(self._closer)
        for pool in self._pools:
            if pool.busy < PER_POOL:
                return pool
        self._pools.append(pool := Pool(make()))
        return pool

    def forget(self) -> None:
        """Let go of what knows the loop, which a client would keep otherwise for as long as it lives."""
        self._closer = None

    async def aclose(self) -> None:
        if self._closer is not None:
            closer, self._closer = self._closer, None
            await closer.aclose()


async def _closing(home: weakref.ref[Pools], pools: list[Pool]) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        if (found := home()) is not None:
            found.forget()
        for pool in pools:
            await pool.transport.aclose()
        pools.clear()


def make_transport(*, tls: ssl.SSLContext, proxy: str | None) -> httpx.AsyncHTTPTransport:
    """Return a transport, which may go through a proxy. Raises what httpx raises for one that can't be used."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=PER_POOL, keepalive_expiry=30.0)
    # a proxy that is spoken to over TLS is checked like the server
    through = proxy and httpx.Proxy(proxy, ssl_context=tls if proxy.startswith("https:") else None)
    transport = httpx.AsyncHTTPTransport(verify=tls, limits=limits, proxy=through)
    # httpx has no word for it
    transport._pool._network_backend = _ListeningBackend(transport._pool._network_backend)  # noqa: SLF001
    return transport


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
