"""The service over HTTP, on uvicorn: `serve` for a terminal, `running` for tests.

    with running(["Hello"]) as server:
        OpenAI(base_url=server.base_url, api_key="any").responses.create(model="m", input="Hi")
        assert server.requests[0]["body"]["input"] == "Hi"

Needs the extra `server`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import logging
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentkit import __version__, json
from agentkit.errors import UsageError
from agentkit.service.app import failure_answer
from agentkit.service.exchanges import Exchanges
from agentkit.service.replies import failure
from agentkit.service.validation import SAMBANOVA

try:
    import h11
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    from agentkit.service.asgi import CLOSE_EXTENSION, make_app, write_stderr
except ImportError as exc:
    raise UsageError(
        f"the server needs {exc.name}, of the extra 'server'. In the checkout: pip install -e '.[server]'"
    ) from exc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send
    from uvicorn.protocols.http.h11_impl import RequestResponseCycle
    from uvicorn.server import ServerState

    from agentkit.json import JSONObject
    from agentkit.service.asgi import LogFormat
    from agentkit.service.loading import LoadedScript
    from agentkit.service.replies import Failure
    from agentkit.service.script import Script
    from agentkit.service.validation import Rules

__all__ = ["RunningServer", "make_app", "running", "serve"]

_HEADERS_S = 60.0
"""How long a connection may take to say what it wants."""
SERVER = f"agentkit-serve/{__version__}"
"""What the header `server` of each answer says, so that a recording can tell who was asked."""
_HALF_CLOSED_S = 1.0
"""How long a client that has ended its side of the connection is answered."""
_GRACE_S = 2
"""How long answers under way are waited for at the end."""


def serve(
    script: Script | LoadedScript,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    models: Sequence[str] | None = None,
    done: bool | None = None,
    fault_rate: float | None = None,
    fault_seed: int | None = None,
    faults: Sequence[str] | None = None,
    api_key: str | None = None,
    requests_per_minute: int | None = None,
    rules: Rules | None = SAMBANOVA,
    log: LogFormat | None = "text",
    write: Callable[[str], object] | None = None,
    on_ready: Callable[[str], object] | None = None,
) -> None:
    """Serve a script (see `loading.load_script`) until Ctrl-C or SIGTERM, then return.

    The options are those of `make_app`. `port=0` takes a free one. `write` takes what is to be told, stderr by
    default; `on_ready` is called with the base URL as soon as it can be asked. Raises `UsageError`, also where
    the port is taken.
    """
    tell = write or write_stderr
    app = make_app(
        script,
        models=models,
        rules=rules,
        done=done,
        fault_rate=fault_rate,
        fault_seed=fault_seed,
        faults=faults,
        api_key=api_key,
        requests_per_minute=requests_per_minute,
        log=log,
        write=tell,
    )
    serve_app(app, host=host, port=port, log=log, write=tell, on_ready=on_ready)


def serve_app(
    app: ASGIApp,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    log: LogFormat | None = "text",
    write: Callable[[str], object] = write_stderr,
    on_ready: Callable[[str], object] | None = None,
) -> None:
    """Serve an application until Ctrl-C or SIGTERM, then return; see `serve`."""
    listener = _listen(host, port)
    base_url = _base_url(listener)
    if on_ready is not None:
        on_ready(base_url)
    else:
        told = json.encode({"listening": base_url}).decode() if log == "json" else f"listening on {base_url}"
        write(f"{told}\n")
    with contextlib.suppress(KeyboardInterrupt), _sigterm_as_return():
        asyncio.run(_server(app).serve(sockets=[listener]))


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server in a thread of this process."""

    base_url: str
    """What a client is given: `http://127.0.0.1:54321/v1`."""
    exchanges: Exchanges

    @property
    def requests(self) -> list[JSONObject]:
        """What it was asked and what came of it, as `GET /requests` gives it."""
        return self.exchanges.as_json()


@contextlib.contextmanager
def running(
    script: Script | LoadedScript,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    models: Sequence[str] | None = None,
    done: bool | None = None,
    fault_rate: float | None = None,
    fault_seed: int | None = None,
    faults: Sequence[str] | None = None,
    api_key: str | None = None,
    requests_per_minute: int | None = None,
    rules: Rules | None = SAMBANOVA,
    log: LogFormat | None = None,
    write: Callable[[str], object] | None = None,
    patience_s: float = _HEADERS_S,
) -> Iterator[RunningServer]:
    """Serve a script from a thread as long as the `with` block runs; for tests, of any client.

    The options are those of `make_app`; `patience_s` is how long a connection may take to say what it wants.
    Answers still under way at the end are broken off.
    """
    exchanges = Exchanges()
    app = make_app(
        script,
        models=models,
        rules=rules,
        done=done,
        fault_rate=fault_rate,
        fault_seed=fault_seed,
        faults=faults,
        api_key=api_key,
        requests_per_minute=requests_per_minute,
        exchanges=exchanges,
        log=log,
        write=write,
    )
    with running_app(app, exchanges, host=host, port=port, patience_s=patience_s) as server:
        yield server


@contextlib.contextmanager
def running_app(
    app: ASGIApp,
    exchanges: Exchanges,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    patience_s: float = _HEADERS_S,
) -> Iterator[RunningServer]:
    """Serve an application from a thread as long as the `with` block runs; see `running`."""
    listener = _listen(host, port)
    server = _server(app, patience_s)
    # listening already: a request that comes before the loop turns waits in the backlog
    thread = threading.Thread(
        target=lambda: asyncio.run(server.serve(sockets=[listener])), name="agentkit-server", daemon=True
    )
    base_url = _base_url(listener)
    thread.start()
    try:
        yield RunningServer(base_url, exchanges)
    finally:
        server.stop()
        thread.join()


class _Server(uvicorn.Server):
    """Uvicorn, to be stopped from another thread at once."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        self._stopping = False

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        while not self._stopping and not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), 0.1)

    def stop(self) -> None:
        """End, and break off what is under way."""
        self._stopping = self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it ended by itself
                self._loop.call_soon_threadsafe(self._break_off)

    def _break_off(self) -> None:
        if self._stopped is not None:
            self._stopped.set()
        for task in list(self.server_state.tasks):
            task.cancel()


class _Protocol(H11Protocol):
    """Uvicorn's HTTP, with a way to break a connection, patience that ends, and errors in the API's own form."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        patience_s: float = _HEADERS_S,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._patience_s = patience_s
        self._asked = self.app
        self.app = self._ask
        self._patience: asyncio.TimerHandle | None = None

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._wait_no_longer()
        scope["extensions"] = {
            **scope.get("extensions", {}),
            CLOSE_EXTENSION: functools.partial(self._close, self.cycle),
        }
        await self._asked(scope, receive, send)

    def _close(self, cycle: RequestResponseCycle) -> None:
        cycle.disconnected = True
        # what was written is sent, then the connection ends, without the chunk that would end the body
        self.transport.close()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_longer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._wait_for_request()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what was asked, or say what is missing, where the client ends its side of the connection."""
        if self.cycle is not None and not self.cycle.response_complete:
            if self.cycle.more_body:
                self.send_400_response("The request ended before its body.")
                return False
            # who has left altogether looks the same: nobody is waited for long
            self.cycle.keep_alive = False
            self.loop.call_later(_HALF_CLOSED_S, self.transport.close)
            return True
        if self._has_begun:
            self.send_400_response("The request ended before its headers.")
        return False

    @property
    def _has_begun(self) -> bool:
        return self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])

    def send_400_response(self, msg: str) -> None:
        self._refuse(failure(400, message=msg), b"Bad Request")

    def _refuse(self, refused: Failure, reason: bytes) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            told = failure_answer(refused)
            body = told.body if isinstance(told.body, bytes) else b""
            headers = [
                ("content-type", "application/json"),
                ("content-length", str(len(body))),
                ("connection", "close"),
            ]
            start = h11.Response(status_code=told.status, headers=headers, reason=reason)
            for event in (start, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _wait_for_request(self) -> None:
        if self._patience is None and not self.transport.is_closing():
            self._patience = self.loop.call_later(self._patience_s, self._lose_patience)

    def _wait_no_longer(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _lose_patience(self) -> None:
        self._patience = None
        if self.cycle is None or self.cycle.response_complete:
            if self._has_begun:
                self._refuse(failure(408, body={"error": "Request timeout"}), b"Request Timeout")
            self.transport.close()


def _server(app: ASGIApp, patience_s: float = _HEADERS_S) -> _Server:
    # without a handler, logging would write uvicorn's warnings to stderr by itself
    logger = logging.getLogger("uvicorn")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    config = uvicorn.Config(
        app,
        http=functools.partial(_Protocol, patience_s=patience_s),  # type: ignore[arg-type]  # only called
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        headers=[("server", SERVER)],
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return _Server(config)


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
        listener = socket.socket(family, kind, protocol)
        try:
            if sys.platform != "win32":  # where it means to share the port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(2048)
        except BaseException:
            listener.close()
            raise
    except (OSError, OverflowError) as exc:
        taken = isinstance(exc, OSError) and exc.errno == errno.EADDRINUSE
        what = "the port is taken. Give another one, or 0 for any that is free" if taken else f"{exc}"
        raise UsageError(f"can't listen on {host}:{port}: {what}.") from exc
    return listener


def _base_url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


@contextlib.contextmanager
def _sigterm_as_return() -> Iterator[None]:
    """Let uvicorn's raising SIGTERM again, when it has ended, be no more than a return."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
