"""The connections of a client: the one module that opens any.

HTTP is spoken by our own connections: httpx and httpcore take five times as long over the same bytes (see
benchmarks/README.md). httpx serves where it knows more: transports that a caller gives, and proxies. Connections belong
to an event loop, so each loop gets its own; they close with it, or with the client.
"""

from __future__ import annotations

import abc
import asyncio
import functools
import os
import ssl
import sys
import threading
import weakref
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from agentkit import tape
from agentkit.connection import Connections, connect
from agentkit.errors import AgentkitError, ProtocolError, Timeout, TransportError, UsageError
from agentkit.http1 import encode_head

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    import httpx

    from agentkit.address import Address
    from agentkit.connection import Connection
    from agentkit.transport import Pool, Pools

T = TypeVar("T")

MAX_BODY_BYTES = 64 * 2**20
"""Largest decoded answer accepted."""
MAX_ERROR_BYTES = 64 * 2**10
"""As much as is read of an error's body."""
PIECE_BYTES = 64 * 2**10
"""As much as is unpacked at once of a compressed body."""

_PACKED = ("gzip", "x-gzip")
_WATCHED = (("httpx", "AsyncHTTPTransport"), ("httpcore", "AsyncConnectionPool"))
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


class Body(Protocol):
    """An answer's body as a connection gives it."""

    @property
    def is_at_end(self) -> bool: ...
    async def next_piece(self) -> bytes: ...
    async def aclose(self) -> None: ...


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

    @property
    @abc.abstractmethod
    def is_at_end(self) -> bool:
        """Whether all of it has been read, as far as is known without waiting."""

    @abc.abstractmethod
    async def aclose(self) -> None:
        """Leave the rest of the body unread."""

    def note_failure(self, exc: BaseException | None) -> None:
        """Take notice of what ended the reading, before the answer is closed: for answers that are recorded."""
        del exc


class _WireAnswer(Answer):
    """An answer that comes over a connection."""

    __slots__ = ("_body", "_encoding", "_gunzip")

    def __init__(self, status: int, headers: Sequence[tuple[str, str]], body: Body) -> None:
        super().__init__(status, headers)
        self._body = body
        self._encoding = self.header("content-encoding").strip().lower()
        self._gunzip = _Gunzip() if self._encoding in _PACKED else None

    @property
    def is_at_end(self) -> bool:
        """Whether all of it has been read, as far as is known without waiting."""
        return self._body.is_at_end

    async def next_chunk(self) -> bytes:
        """Return the next bytes of the body, decoded; empty at its end."""
        if self._gunzip is None:
            if self._encoding not in ("", "identity"):
                raise ProtocolError(f"the body is encoded as {self._encoding!r}; asked for was gzip or nothing.")
            return await self._body.next_piece()
        while not (piece := self._gunzip.take()):
            if raw := await self._body.next_piece():
                self._gunzip.give(raw)
            else:
                self._gunzip.check_end()
                break
        return piece

    async def aclose(self) -> None:
        """Give the connection back, or close it where the body wasn't read to its end."""
        await self._body.aclose()


class _DirectBody:
    """A body over a connection of our own."""

    __slots__ = ("_connection", "_home")

    def __init__(self, connection: Connection, home: Connections) -> None:
        self._connection: Connection | None = connection
        self._home = home

    @property
    def is_at_end(self) -> bool:
        return self._connection is None or self._connection.is_at_end

    async def next_piece(self) -> bytes:
        return b"" if self._connection is None else await self._connection.next_piece()

    async def aclose(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await self._home.give_back(connection)


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


class Wire:
    """Sends requests to one server, from any thread, event loop or forked process."""

    def __init__(
        self,
        url: Address,
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
        self._given: Pool | None = None
        if transport is not None:
            from agentkit.transport import Pool

            self._given = Pool(transport)
        self._verify = _checked_verify(verify)
        self._trust_env = trust_env
        self._timeouts = timeouts
        self._is_ready = False
        self._tls: ssl.SSLContext | None = None
        self._proxy: str | None = None
        self._place = url.netloc
        self._lock = threading.Lock()
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Connections] = weakref.WeakKeyDictionary()
        self._httpx_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Pools] = weakref.WeakKeyDictionary()
        self._closed = False

    async def send(self, method: str, url: Address, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> Answer:
        """Send a request and return its answer, as soon as the headers are there. Close the answer after use."""
        if self._closed:
            raise UsageError("this client is closed. Make a new one, or keep it open around its use.")
        if tape.refusal is not None and self._given is None and (refused := tape.refusal(url.host)) is not None:
            raise refused
        if self._given is None and not self._is_ready:
            self._prepare()
        if self._given is not None or self._proxy is not None or is_watched():
            return await self._send_through_httpx(method, url, headers, body)
        home = self._connections()
        if (connection := home.take()) is None:
            connection = await self._connect()
            await home.add(connection)
        try:
            head = encode_head(method, url.target, headers, len(body))
            reader = await connection.send(head, body, self._timeouts.write)
        except BaseException:
            await home.give_back(connection)
            raise
        return _WireAnswer(reader.status, reader.headers, _DirectBody(connection, home))

    async def _connect(self) -> Connection:
        url = self._url
        return await connect(
            url.host,
            url.port,
            tls=self._tls if url.scheme == "https" else None,
            place=self._place,
            timeout_s=self._timeouts.connect,
        )

    async def _send_through_httpx(
        self, method: str, url: Address, headers: Sequence[tuple[bytes, bytes]], body: bytes
    ) -> Answer:
        import httpx

        from agentkit import transport

        # httpx's read timeout starts anew with every byte: the client has deadlines of its own
        times = {"connect": self._timeouts.connect, "write": self._timeouts.write, "read": None, "pool": None}
        extensions = {"timeout": times, "agentkit": {}}
        request = httpx.Request(method, url.to_httpx(), headers=headers, content=body, extensions=extensions)
        pool = self._given or await self._pools().find(self._make_transport)
        response = await pool.send(request, self._place)
        received = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers.raw]
        return _WireAnswer(response.status_code, received, transport.Body(response, pool))

    async def aclose(self) -> None:
        """Close the connections: those of the running loop at once, those of other loops as soon as these run."""
        self._closed = True
        loop = asyncio.get_running_loop()
        with self._lock:
            mine = [found for kept in (self._loops, self._httpx_loops) if (found := kept.pop(loop, None)) is not None]
            self._loops.clear()
            self._httpx_loops.clear()
        for kept_here in mine:
            await kept_here.aclose()
        if self._given is not None:
            await self._given.transport.aclose()

    def abandon(self) -> None:
        """Leave the connections to the parent process, in a forked child.

        Sockets and the loop's selector are shared with the parent: not even closing them here is safe.
        """
        _abandoned.extend((self._loops, self._httpx_loops))
        self._loops, self._httpx_loops = weakref.WeakKeyDictionary(), weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def _prepare(self) -> None:
        """Find the way to the server, once."""
        with self._lock:
            if not self._is_ready:
                self._proxy = self._find_proxy() if self._trust_env else None
                if self._proxy is not None:
                    self._place += f" through the proxy {_host_of(self._proxy)}"
                if self._url.scheme == "https" or (self._proxy or "").startswith("https:"):
                    self._tls = self._make_tls()
                self._is_ready = True

    def _connections(self) -> Connections:
        loop = asyncio.get_running_loop()
        with self._lock:
            if (found := self._loops.get(loop)) is None:
                found = self._loops[loop] = Connections()
        return found

    def _pools(self) -> Pools:
        from agentkit.transport import Pools

        loop = asyncio.get_running_loop()
        with self._lock:
            if (found := self._httpx_loops.get(loop)) is None:
                found = self._httpx_loops[loop] = Pools()
        return found

    def _make_transport(self) -> httpx.AsyncBaseTransport:
        import httpx

        from agentkit.transport import make_transport

        proxy = self._proxy
        try:
            # one that is never used is 25 ms cheaper than a real one
            return make_transport(tls=self._tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), proxy=proxy)
        except (ValueError, ImportError, httpx.InvalidURL) as exc:
            raise _unusable(proxy or "", exc) from None  # the cause quotes the address, password and all

    def _make_tls(self) -> ssl.SSLContext:
        try:
            context = self._find_tls()
        except OSError as exc:  # an ssl.SSLError is one, too
            where = f"verify={self._verify!r}"
            if self._verify is True and (named := os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")):
                where = f"SSL_CERT_FILE or SSL_CERT_DIR is {named!r}"
            raise UsageError(f"{where}: {exc}. Give a file of certificates in PEM format.") from exc
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _find_tls(self) -> ssl.SSLContext:
        if isinstance(self._verify, str):
            if Path(self._verify).is_dir():
                return ssl.create_default_context(capath=self._verify)
            return ssl.create_default_context(cafile=self._verify)
        if self._verify is True:
            file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
            return _shared_tls(file, folder) if self._trust_env else _shared_tls(None, None)
        return self._verify or _unchecked_tls()

    def _find_proxy(self) -> str | None:
        if sys.platform not in ("darwin", "win32") and not any(n.lower().endswith("_proxy") for n in os.environ):
            return None  # as usual; what is imported below takes 15 ms
        import urllib.request

        # an address of IPv6 is listed there without brackets
        if urllib.request.proxy_bypass(self._url.netloc) or urllib.request.proxy_bypass(self._url.host):
            return None
        proxies = urllib.request.getproxies()
        proxy = proxies.get(self._url.scheme) or proxies.get("all")
        return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def is_watched() -> bool:
    """Tell whether somebody has put something in place of httpx's or httpcore's way to the network.

    Recorders, mocks and tracers (vcrpy, pytest-httpx, respx, OpenTelemetry) do that, and expect to see every request.
    """
    for package, kind in _WATCHED:
        module = sys.modules.get(package)
        if module is not None:
            # a thread may be importing it just now: then nobody has replaced anything yet
            function = getattr(getattr(module, kind, None), "handle_async_request", None)
            if function is None:
                continue
            # by the file that it is from: wrappers copy the name
            written_in = getattr(getattr(function, "__code__", None), "co_filename", "")
            if not written_in.startswith(module.__path__[0]):
                return True
    return False


@functools.lru_cache(maxsize=8)
def _shared_tls(file: str | None, folder: str | None) -> ssl.SSLContext:
    """Return the context that all clients share which trust the same authorities: making one takes 25 ms."""
    import httpx

    return httpx.create_ssl_context(trust_env=file is not None or folder is not None)


def _unchecked_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _host_of(proxy: str) -> str:
    import httpx

    try:
        return httpx.URL(proxy).host
    except httpx.InvalidURL as exc:
        raise _unusable(proxy, exc) from None


def _unusable(proxy: str, exc: Exception) -> UsageError:
    scheme = proxy.partition("://")[0]
    return UsageError(
        f"the environment names a proxy of the kind {scheme!r} that can't be used: {type(exc).__name__}. "
        "Allowed are http:// and https://, and socks5:// with httpx[socks]. See trust_env and NO_PROXY."
    )


def _checked_verify(verify: ssl.SSLContext | str | bool) -> ssl.SSLContext | str | bool:
    if isinstance(verify, bool | ssl.SSLContext):
        return verify
    if isinstance(verify, str | os.PathLike) and Path(verify).exists():
        return os.fspath(verify)
    raise UsageError(f"verify={verify!r}; allowed are True, False, an ssl.SSLContext, or a file of certificates.")
