"""What tests of agents need: a scripted model in place of a server, and a guard against the network.

model = ScriptedModel([call("weather", {"city": "Oslo"}), "Take a coat."])
result = agent.run_sync("Do I need a coat in Oslo?", client=model.client())
assert model.requests[1].last_output == "7 C, rain"
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import ipaddress
import os
import socket
import sys
import threading
import time
from asyncio import proactor_events
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ContextDecorator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, ParamSpec, Protocol, TypeVar

import anyio
import httpx

from agentkit.errors import CassetteMismatch, UsageError
from agentkit.service.app import ConnectionCut, HTTPAnswer, Service
from agentkit.service.faults import (
    adapter_mapping_failed,
    arguments_only_when_done,
    context_length_exceeded,
    cut_after_first_delta,
    cut_before_first_delta,
    internal_error,
    maintenance,
    one_output_index,
    queue_full,
    rate_limited,
    request_timeout,
    without_terminal_event,
)
from agentkit.service.ids import position_ids, random_ids
from agentkit.service.replies import (
    Reply,
    call,
    cut,
    disconnect,
    event,
    failed,
    failure,
    hold,
    incomplete,
    reasoning,
    refusal,
    reply,
    rewrite,
    structured,
    text,
    wait,
)
from agentkit.service.requests import ReceivedRequest
from agentkit.service.script import Script
from agentkit.service.sse import Wire
from agentkit.service.validation import OPEN_RESPONSES, SAMBANOVA, Rules

if TYPE_CHECKING:
    from os import PathLike
    from types import TracebackType

    from agentkit.client import Client
    from agentkit.service.ids import Ids

__all__ = [
    "OPEN_RESPONSES",
    "SAMBANOVA",
    "LiveCallBlocked",
    "ReceivedRequest",
    "RecordedModel",
    "Reply",
    "Rules",
    "Script",
    "ScriptedModel",
    "Wire",
    "adapter_mapping_failed",
    "arguments_only_when_done",
    "block_live",
    "call",
    "context_length_exceeded",
    "cut",
    "cut_after_first_delta",
    "cut_before_first_delta",
    "disconnect",
    "event",
    "example_client",
    "failed",
    "failure",
    "hold",
    "incomplete",
    "internal_error",
    "maintenance",
    "one_output_index",
    "position_ids",
    "queue_full",
    "random_ids",
    "rate_limited",
    "reasoning",
    "refusal",
    "reply",
    "request_timeout",
    "rewrite",
    "structured",
    "text",
    "wait",
    "without_terminal_event",
]


class _Served(Protocol):
    """What answers in place of a server."""

    async def handle(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> HTTPAnswer: ...


class _Model(httpx.AsyncBaseTransport):
    """A Responses service in process, as an httpx transport."""

    def __init__(self, service: _Served) -> None:
        self._service = service

    def client(self, **options: object) -> Client:
        """Return a client whose requests go to this model; `options` are those of `Client`."""
        from agentkit.client import Client

        given = {"base_url": "http://scripted.test/v1", "transport": self, **options}
        return Client(**given)  # type: ignore[arg-type]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request of an httpx client."""
        body = await request.aread()
        try:
            answer = await self._service.handle(request.method, request.url.raw_path.decode(), request.headers, body)
        except ConnectionCut:
            raise httpx.RemoteProtocolError(
                "Server disconnected without sending a response.", request=request
            ) from None
        if isinstance(answer.body, bytes):
            return httpx.Response(answer.status, headers=list(answer.headers), content=answer.body, request=request)
        chunks = _Chunks(answer.body, request)
        return httpx.Response(answer.status, headers=list(answer.headers), stream=chunks, request=request)


class ScriptedModel(_Model):
    """A Responses service in process, as an httpx transport; the model behind it is a script.

    A script is a list of replies, used up in order, or a function from the request to a reply, sync or async.
    Streams are streams: each event is a chunk, made when the reader asks for it. One model serves any number of
    event loops and threads at once. An exception raised by a script function reaches the caller of the run.
    """

    def __init__(
        self,
        script: Script,
        *,
        rules: Rules | None = SAMBANOVA,
        models: Sequence[str] | None = None,
        wire: Wire | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        ids: Ids = position_ids,
        keep_requests: bool = True,
    ) -> None:
        """Make a model from a script; the options are those of the service behind it.

        `rules` say which requests are refused: `SAMBANOVA`, `OPEN_RESPONSES` (files, image URLs, parts as tool
        outputs), or None for none. `models` are the ids it knows, None: it takes any.
        """
        self._scripted = Service(
            script,
            rules=rules,
            models=models,
            wire=wire,
            clock=clock,
            sleep=sleep,
            ids=ids,
            keep_requests=keep_requests,
        )
        super().__init__(self._scripted)

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The bodies of the requests received, oldest first, as dicts; `.headers` and `.raw` hold the rest."""
        return self._scripted.requests


class RecordedModel(_Model):
    """A Responses service in process that answers from a cassette, in its chunks: a scripted model without a script.

    Tools run; what isn't recorded is a `CassetteMismatch`. Equal requests are answered in the order in which they were
    recorded, and then anew from the first; a stream that was asked for may come whole, and the other way round. In
    tests `agentkit.cassette` does more.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        """Read a cassette. Raises `CassetteError` for a file that can't be read."""
        from agentkit.cassettes.files import read
        from agentkit.cassettes.matching.rules import Rules
        from agentkit.cassettes.service import RecordedService

        rules = Rules(ignore=["stream"])  # the client takes either
        super().__init__(RecordedService(read(Path(path)), name=str(path), rules=rules, refuse=_refuse))


def _refuse(report: str) -> NoReturn:
    raise CassetteMismatch(report)


def example_client(recording: str | PathLike[str]) -> Client:
    """Return a client for an example: its recording answers, whatever keys are set, so that it runs anywhere.

    With ``AGENTKIT_LIVE=1`` it is the server of the environment instead; see `Client.from_env`. Which of them it
    is, is said in one line on stderr.
    """
    if os.environ.get("AGENTKIT_LIVE") == "1":
        from agentkit.client import Client

        client = Client.from_env()
        print(f"live: {client.base_url}", file=sys.stderr)  # noqa: T201
        return client
    print("offline: a recording answers; AGENTKIT_LIVE=1 asks a real model", file=sys.stderr)  # noqa: T201
    return RecordedModel(recording).client()


class _Chunks(httpx.AsyncByteStream):
    """The chunks of a body as httpx reads them; a cut is the error that a broken connection gives."""

    def __init__(self, chunks: AsyncIterator[bytes], request: httpx.Request) -> None:
        self._chunks = chunks
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._chunks:
                yield chunk
        except ConnectionCut:
            raise httpx.ReadError("connection reset by the script", request=self._request) from None

    async def aclose(self) -> None:
        if isinstance(self._chunks, AsyncGenerator):
            await self._chunks.aclose()


P = ParamSpec("P")
R = TypeVar("R")


class LiveCallBlocked(UsageError):
    """Something tried to reach the network under `block_live()`, or in a test with cassettes; `.host` is where to."""

    def __init__(
        self,
        host: str,
        found: str = "under block_live()",
        advice: str = " Give the agent a scripted model or a cassette, or leave block_live() to go live.",
    ) -> None:
        super().__init__(f"a connection to {host!r} was attempted {found}.{advice}")
        self.host = host


class block_live(ContextDecorator):  # noqa: N801 - reads as a function: with block_live():
    """Within it, looking up or connecting to anything but this machine raises `LiveCallBlocked`.

        with block_live(): ...

        @block_live()
        async def test_answer() -> None: ...

        @pytest.fixture(autouse=True)
        def offline() -> Iterator[None]:
            with block_live():
                yield

    `allow_loopback=False` refuses 127.0.0.1, ::1 and localhost as well; sockets of the file system stay allowed.
    It holds for the whole process, all threads and event loops; blocks nest, the strictest one counts, and the
    last one to end puts everything back. What is seen: `socket` (so also asyncio, httpx, requests, urllib), and
    uvloop where it was imported before. Not seen: C extensions with sockets of their own, and child processes.
    """

    def __init__(self, *, allow_loopback: bool = True) -> None:
        self._allow_loopback = allow_loopback

    def __enter__(self) -> None:
        _guard.enter(self._allow_loopback)

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _guard.leave(self._allow_loopback)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:  # type: ignore[override]
        """Return `function`, plain or async, run under the block."""
        if not inspect.iscoroutinefunction(function):
            return super().__call__(function)

        @functools.wraps(function)
        async def blocked(*args: P.args, **kwargs: P.kwargs) -> object:
            with self:
                return await function(*args, **kwargs)

        return blocked  # type: ignore[return-value]


class _Guard:
    """The blocks in force, and the functions they replace while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks: list[bool] = []
        self._undo: list[Callable[[], None]] = []

    def enter(self, allow_loopback: bool) -> None:
        with self._lock:
            if not self._blocks:
                self._install()
            self._blocks.append(allow_loopback)

    def leave(self, allow_loopback: bool) -> None:
        with self._lock:
            self._blocks.remove(allow_loopback)
            if not self._blocks:
                while self._undo:
                    self._undo.pop()()

    def check(self, host: object) -> None:
        blocks = tuple(self._blocks)
        if blocks and not (all(blocks) and is_loopback(host)):
            raise LiveCallBlocked(_text(host))

    def check_name(self, host: object, *_: object, **__: object) -> None:
        # an address needs no look-up; connecting to it is what is refused
        if host and _address(host) is None:
            self.check(host)

    def check_address(self, sock: socket.socket, *args: object) -> None:
        address = args[-1] if args else None
        if sock.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
            self.check(address[0])

    def _install(self) -> None:
        for name in ("connect", "connect_ex", "sendto"):
            self._replace(socket.socket, name, self.check_address)
        if hasattr(socket.socket, "sendmsg"):
            self._replace(socket.socket, "sendmsg", self._check_message)
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            self._replace(socket, name, self.check_name)
        # earlier than connect, because it closes its socket for an OSError only
        self._replace(socket, "create_connection", lambda address, *_, **__: self.check(address[0]))
        # Windows connects outside of the socket module
        self._replace(
            proactor_events.BaseProactorEventLoop,
            "sock_connect",
            lambda _loop, sock, address: self.check_address(sock, address),
        )
        # anyio, below httpx, connects in a task group, which would wrap the error in an ExceptionGroup
        self._replace(anyio, "connect_tcp", lambda remote_host, *_, **__: self.check(remote_host))
        if (uvloop := sys.modules.get("uvloop")) is not None:
            self._replace(uvloop.Loop, "getaddrinfo", lambda _loop, host, *_, **__: self.check_name(host))
            self._replace(uvloop.Loop, "sock_connect", lambda _loop, sock, address: self.check_address(sock, address))
            self._replace(uvloop.Loop, "create_connection", self._check_connection)

    def _check_message(self, sock: socket.socket, *args: object) -> None:
        if len(args) > 3:
            self.check_address(sock, args[3])

    def _check_connection(self, _loop: object, _factory: object, host: object = None, *_: object, **__: object) -> None:
        if host is not None:
            self.check(host)

    def _replace(self, owner: object, name: str, check: Callable[..., object]) -> None:
        original = getattr(owner, name)
        inherited = name not in vars(owner)

        @functools.wraps(original)
        def checked(*args: object, **kwargs: object) -> object:
            check(*args, **kwargs)
            return original(*args, **kwargs)

        def undo() -> None:
            # whoever replaced it after us keeps it; without a block in force ours only passes through
            if vars(owner).get(name) is checked:
                if inherited:
                    delattr(owner, name)
                else:
                    setattr(owner, name, original)

        setattr(owner, name, checked)
        self._undo.append(undo)


_guard = _Guard()


def _text(host: object) -> str:
    return host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host)


def _address(host: object) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(_text(host).partition("%")[0])
    except ValueError:
        return None


def is_loopback(host: object) -> bool:
    """Tell whether a host, by name or address, is this machine."""
    address = _address(host)
    if address is None:
        return _text(host).rstrip(".").lower() in {"localhost", ""}
    mapped = getattr(address, "ipv4_mapped", None) or address
    # the unspecified address, as a target, is this machine
    return bool(mapped.is_loopback or mapped.is_unspecified)
