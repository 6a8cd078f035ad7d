"""One connection to a server, on an asyncio transport, and the connections that an event loop keeps."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import select
import ssl
import weakref
from collections import deque
from typing import TYPE_CHECKING, TypedDict, cast

from agentkit.errors import AgentkitError, Timeout, TransportError
from agentkit.http1 import AnswerReader
from agentkit.status import escape

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

PIECE_BYTES = 2**20
"""As much as is written of a body before the answer is looked for."""
SMALL_BYTES = 256 * 2**10
"""As much as is copied behind its head, to be sent at one go."""
HELD_BYTES = 256 * 2**10
"""As much as is held of an answer that nobody reads; the server is then made to wait."""
KEEP_S = 30.0
"""How long a connection is kept that nobody uses."""
STAGGER_S = 0.25
"""How long an address is tried before the next one is tried as well (RFC 8305)."""


class Connection(asyncio.Protocol):
    """A connection, used by one request at a time.

    An answer is heard while the request is still being sent: a server that won't take a large body (413, 400) says
    so at once and closes, and whoever only sends then gets a broken pipe instead of the answer.
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._raw: asyncio.Transport | None = None  # the same one, or what is below its TLS
        self._reader: AnswerReader | None = None
        self._body: list[bytes] = []
        self._held = 0  # bytes in _body
        self._early = b""  # what came before the first request
        self._failure: AgentkitError | None = None
        self._wake: asyncio.Future[None] | None = None
        self._is_full = False  # whether what was written waits in the transport
        self._is_paused = False  # whether nothing is read
        self._is_sent = True
        self._has_served = False
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self.idle_since = 0.0
        """When the last answer ended, on the loop's clock."""

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._raw = self._raw or self._transport
        self._transport.set_write_buffer_limits(high=1)  # 0 makes asyncio's TLS pause and go on by turns

    def secured(self, transport: asyncio.Transport, raw: asyncio.Transport) -> None:
        """Go on over TLS, which runs over `raw`."""
        self._raw = raw
        self.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if reader is None and not self._has_served and len(self._early) < HELD_BYTES:
            self._early += data  # the server speaks first: "102 Processing", or a refusal
            return
        if reader is None or reader.is_over:  # nobody asked
            if reader is not None:
                reader.keeps = False
            self.abort()
            return
        try:
            body = reader.feed(data)
        except AgentkitError as exc:
            self._fail(exc)
            self.abort()
            return
        if body:
            self._body.append(body)
            self._held += len(body)
            if self._held > HELD_BYTES and not reader.is_over:
                self._is_paused = True
                self._transport.pause_reading()  # type: ignore[union-attr]
        if self._wake is not None and (body or reader.status):
            self._rouse()

    def eof_received(self) -> None:
        """The server says no more. It may not read on either, and what is to be sent then keeps the socket open."""
        if (error := self._cut(None)) is not None:
            self._fail(error)
        if self._reader is not None:
            self.abort()
            self._rouse()

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        if not self._is_sent:
            self._rouse()

    def connection_lost(self, exc: Exception | None) -> None:
        self._read_rest()
        self._transport = self._raw = None
        if self._failure is None and (error := self._cut(exc)) is not None:
            self._fail(error)
        if not self._closed.done():
            self._closed.set_result(None)
        self._rouse()

    # What a request calls.

    @property
    def is_usable(self) -> bool:
        """Whether a request can be sent, as far as is known."""
        return self._transport is not None and not self._transport.is_closing()

    async def send(self, head: bytes, body: bytes, write_s: float | None) -> AnswerReader:
        """Send a request, and return its answer as soon as the headers are there."""
        self._reader = reader = AnswerReader()
        if self._early:
            early, self._early = self._early, b""
            self.data_received(early)
        if self._transport is None:
            if (error := self._cut(None)) is not None:
                self._fail(error)
        elif len(body) <= SMALL_BYTES:
            self._transport.write(head + body)
            if self._is_full:
                await self._send_rest(b"", write_s)
        else:
            self._transport.write(head)
            await self._send_rest(body, write_s)
        while not reader.status:
            if self._failure is not None:
                raise self._failure
            await self._event()
        self._has_served = True
        return reader

    async def next_piece(self) -> bytes:
        """Return the next bytes of the answer's body; empty at its end."""
        while not self._body:
            if cast("AnswerReader", self._reader).is_over:
                return b""
            if self._failure is not None:
                raise self._failure
            await self._event()
        body, self._body, self._held = self._body, [], 0
        if self._is_paused:
            self._is_paused = False
            if self._transport is not None:
                self._transport.resume_reading()
        return body[0] if len(body) == 1 else b"".join(body)

    @property
    def is_at_end(self) -> bool:
        """Whether the whole answer has been read."""
        return not self._body and self._reader is not None and self._reader.is_over

    def release(self) -> bool:
        """End the request, wherever it is; return whether the connection can serve again."""
        reader, self._reader = self._reader, None
        keeps = reader is not None and reader.is_over and reader.keeps and self._is_sent and self.is_usable
        self._body, self._held = [], 0
        if keeps:
            self.idle_since = self._loop.time()
            if self._is_paused:
                self._is_paused = False
                cast("asyncio.Transport", self._transport).resume_reading()
        else:
            self.abort()
        return keeps

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    async def closed(self) -> None:
        """Wait until the socket is closed, after `abort`."""
        await asyncio.shield(self._closed)

    # In between.

    def _cut(self, exc: Exception | None) -> TransportError | None:
        """Return the error that the end of the connection is; None where nothing was waited for any more."""
        reader = self._reader
        if reader is None or reader.is_over:
            return None
        error = TransportError(f"the connection broke: {_said(exc)}") if exc is not None else None
        if error is None:
            try:
                reader.finish()
            except TransportError as cut:
                error = cut
        if error is not None and not reader.has_begun and self._has_served:
            error.kind = "stale"  # a server may close a kept connection at any moment
        return error

    async def _send_rest(self, body: bytes, write_s: float | None) -> None:
        """Send a body piece by piece, until it is sent or answered."""
        self._is_sent = False
        view = memoryview(body)
        try:
            async with asyncio.timeout(write_s):
                for start in range(0, len(body), PIECE_BYTES):
                    while self.has_news():  # noqa: ASYNC110  (the loop hears what is there at its next turn)
                        await asyncio.sleep(0)
                    if await self._is_cut_short():
                        return
                    cast("asyncio.Transport", self._transport).write(view[start : start + PIECE_BYTES])
                    self._read_rest()
                if await self._is_cut_short():
                    return
        except TimeoutError as exc:
            raise Timeout(f"{self._place}: sending took too long. See Client(timeouts=Timeouts(...)).") from exc
        self._is_sent = True

    async def _is_cut_short(self) -> bool:
        """Wait until the transport has room; tell whether there is no use in sending more."""
        while self.is_usable and self._failure is None and not cast("AnswerReader", self._reader).status:
            if not self._is_full:
                return False
            await self._event()
        return True

    def has_news(self) -> bool:
        """Tell whether the socket has something to read: writing to one that was closed loses it."""
        sock = self._transport.get_extra_info("socket") if self._transport is not None else None
        if sock is None or self._is_paused:
            return False
        if not hasattr(select, "poll"):
            return bool(select.select([sock], [], [], 0)[0])
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))

    def _read_rest(self) -> None:
        """Read what had come when sending failed: it may be the answer that tells why. asyncio doesn't read on."""
        raw = self._raw
        if self._is_sent or raw is None or not raw.is_closing():
            return
        sock, data = raw.get_extra_info("socket"), b""
        if sock is not None:
            with contextlib.suppress(OSError):  # nothing there, or it is closed
                data = os.read(sock.fileno(), PIECE_BYTES)
        protocol = raw.get_protocol()
        if data and hasattr(protocol, "buffer_updated"):  # TLS, of asyncio or uvloop
            _feed(cast("asyncio.BufferedProtocol", protocol), data)
        elif data:
            cast("asyncio.Protocol", protocol).data_received(data)

    async def _event(self) -> None:
        """Wait until something has changed."""
        self._wake = self._loop.create_future()
        try:
            await self._wake
        finally:
            self._wake = None

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _fail(self, error: AgentkitError) -> None:
        failure = type(error)(f"{self._place}: {error}.")
        failure.__dict__.update(error.__dict__)
        self._failure = failure
        self._rouse()


def _feed(protocol: asyncio.BufferedProtocol, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        room = memoryview(protocol.get_buffer(len(rest)))
        taken = min(len(room), len(rest))
        room[:taken] = rest[:taken]
        protocol.buffer_updated(taken)
        rest = rest[taken:]


class Unheard(asyncio.Protocol):
    """Stands at a connection until TLS does: whatever is said before is nobody's word, and ends it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=1)

    def data_received(self, data: bytes) -> None:  # noqa: ARG002
        self._transport.abort()


class Stagger(TypedDict, total=False):
    """How addresses of one name are tried."""

    happy_eyeballs_delay: float


async def connect(
    host: str, port: int, *, tls: ssl.SSLContext | None, place: str, timeout_s: float | None
) -> Connection:
    """Return a new connection; the time holds for connecting, and again for TLS."""
    loop = asyncio.get_running_loop()
    connection = Connection(place)
    staggers = isinstance(loop, asyncio.BaseEventLoop) and not _is_address(host)  # uvloop doesn't know how
    options: Stagger = {"happy_eyeballs_delay": STAGGER_S} if staggers else {}
    try:
        async with asyncio.timeout(timeout_s):
            transport, _ = await loop.create_connection(
                lambda: connection if tls is None else Unheard(), host, port, **options
            )
        if tls is not None:
            await _secure(connection, transport, tls, host, timeout_s)
    except TimeoutError as exc:
        raise Timeout(f"{place}: connecting took too long. See Client(timeouts=Timeouts(...)).") from exc
    except OSError as exc:  # an ssl.SSLError is one, too
        raise _connect_error(exc, place) from exc
    return connection


async def _secure(
    connection: Connection, transport: asyncio.Transport, tls: ssl.SSLContext, name: str, timeout_s: float | None
) -> None:
    if transport.is_closing():
        raise ConnectionResetError("it sent plain text before the TLS handshake, or closed the connection")
    try:
        async with asyncio.timeout(timeout_s):
            secured = await asyncio.get_running_loop().start_tls(transport, connection, tls, server_hostname=name)
    except BaseException:
        transport.abort()
        raise
    if secured is None:  # the loop's way to say that the connection went meanwhile
        raise ConnectionResetError("the connection was closed")
    connection.secured(secured, transport)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _connect_error(exc: OSError, place: str) -> TransportError:
    if isinstance(exc, ssl.SSLCertVerificationError):
        error = TransportError(f"{place}: its certificate isn't trusted: {exc.verify_message}. See Client(verify=...).")
        error.kind = "final"
    elif type(exc).__name__ == "gaierror":
        error = TransportError(f"{place}: the host name doesn't resolve. Check base_url and the network.")
        error.kind = "unresolved"
    else:
        error = TransportError(f"{place}: can't connect: {_said(exc)}. Is the server running, and base_url right?")
    return error


def _said(exc: BaseException) -> str:
    return escape(str(exc)) or "the connection was closed"


class Connections:
    """The connections that belong to one event loop."""

    __slots__ = ("__weakref__", "_closer", "_idle", "_open")

    def __init__(self) -> None:
        self._idle: deque[Connection] = deque()  # the one used last stands last
        self._open: set[Connection] = set()
        self._closer: AsyncGenerator[None] | None = None

    def take(self) -> Connection | None:
        """Return a kept connection; None where a new one is needed, which `add` takes in."""
        idle = self._idle
        while idle and idle[0].idle_since < asyncio.get_running_loop().time() - KEEP_S:
            self._drop(idle.popleft())
        while idle:
            connection = idle.pop()
            if connection.is_usable and not connection.has_news():  # an end, or what nobody asked for
                return connection
            self._drop(connection)
        return None

    async def add(self, connection: Connection) -> None:
        """Take a new connection in."""
        self._open.add(connection)
        if self._closer is None:
            # A loop that shuts down closes its async generators, and closes one that is garbage collected:
            # so the connections end with their loop or with their client, whichever goes first.
            self._closer = _closing(weakref.ref(self), self._open)
            await anext(self._closer)

    async def give_back(self, connection: Connection) -> None:
        """Keep a connection after a request, or close it where it can't serve again."""
        if connection.release():
            self._idle.append(connection)
        else:
            self._drop(connection)
            await connection.closed()

    async def aclose(self) -> None:
        """Close them all."""
        self._idle.clear()
        if self._closer is not None:
            closer, self._closer = self._closer, None
            await closer.aclose()

    def forget(self) -> None:
        """Let go of all that knows the loop, which a client would keep otherwise for as long as it lives."""
        self._idle.clear()
        self._closer = None

    def _drop(self, connection: Connection) -> None:
        connection.abort()
        self._open.discard(connection)


async def _closing(home: weakref.ref[Connections], connections: set[Connection]) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        if (found := home()) is not None:
            found.forget()
        left = list(connections)
        connections.clear()
        for connection in left:
            connection.abort()
        for connection in left:
            await connection.closed()
