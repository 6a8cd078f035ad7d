"""A loopback server that plays literal bytes: one script for each connection, and a record of what it was sent.

A script is a function of its `Connection`, run in a thread of its own; the last one serves all further connections.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

PATIENCE_S = 5.0


@dataclass
class Received:
    """One request as it came."""

    head: bytes
    body: bytes
    connection: int
    """Which connection it came on, from 0."""

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode()

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}


@dataclass
class Connection:
    """The server's end of a connection."""

    sock: socket.socket
    number: int
    server: ByteServer
    _unread: bytes = b""

    def head(self) -> bytes | None:
        """Read a request's head; None where the client closed."""
        while b"\r\n\r\n" not in self._unread:
            if not self._receive():
                return None
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        return head

    def request(self) -> Received | None:
        """Read a whole request; None where the client closed."""
        if (head := self.head()) is None:
            return None
        received = Received(head, b"", self.number)
        length = int(received.headers.get("content-length", 0))
        while len(self._unread) < length:
            if not self._receive():
                return None
        received.body, self._unread = self._unread[:length], self._unread[length:]
        self.server.requests.append(received)
        return received

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def drip(self, data: bytes) -> None:
        """Send a byte at a time, each in a packet of its own."""
        for i in range(len(data)):
            self.sock.sendall(data[i : i + 1])

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def wait_until_closed(self) -> bool:
        """Return whether the client closed its end in time."""
        self.server.waiting.set()
        try:
            while self.sock.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        self.server.seen_closed.set()
        return True

    def _receive(self) -> bool:
        try:
            data = self.sock.recv(65536)
        except OSError:
            return False
        self._unread += data
        return bool(data)


Script = Callable[[Connection], object]


@dataclass
class ByteServer:
    """The running server."""

    url: str
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    waiting: threading.Event = field(default_factory=threading.Event)
    """Set once a script waits for the client to close."""
    seen_closed: threading.Event = field(default_factory=threading.Event)
    """Set once the client has."""


@contextlib.contextmanager
def byte_server(*scripts: Script, wrap: Callable[[socket.socket], socket.socket] | None = None) -> Iterator[ByteServer]:
    """Serve on 127.0.0.1 until the block ends; `wrap` makes a TLS socket of an accepted one."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = ByteServer(f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
    threads: list[threading.Thread] = []
    sockets: list[socket.socket] = []

    def play(sock: socket.socket, number: int) -> None:
        sock.settimeout(PATIENCE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            if wrap is not None:
                sock = wrap(sock)
                sockets.append(sock)
            scripts[min(number, len(scripts) - 1)](Connection(sock, number, server))
        sock.close()

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sockets.append(sock)
            thread = threading.Thread(target=play, args=(sock, server.connections), name="byte-server", daemon=True)
            server.connections += 1
            threads.append(thread)
            thread.start()

    accepting = threading.Thread(target=accept, name="byte-server", daemon=True)
    accepting.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(PATIENCE_S)
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(PATIENCE_S)


def serve(*replies: bytes) -> Script:
    """Return a script that answers the requests of a connection in turn, the last reply again and again."""

    def script(connection: Connection) -> None:
        number = 0
        while connection.request() is not None:
            connection.send(replies[min(number, len(replies) - 1)])
            number += 1

    return script


def once(*acts: bytes | Callable[[Connection], object]) -> Script:
    """Return a script that reads a request, then sends the bytes and does the acts, in order."""

    def script(connection: Connection) -> None:
        connection.request()
        for act in acts:
            if isinstance(act, bytes):
                connection.send(act)
            else:
                act(connection)

    return script


def http(
    status: int, body: bytes = b"", *headers: str, kind: str = "application/json", length: int | None = None
) -> bytes:
    """Return an answer with a content length."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", *headers]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def chunk(data: bytes) -> bytes:
    """Return one chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def response(text: str = "Hi", **fields: object) -> dict[str, object]:
    """Return a response object with one message."""
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"id": "resp_1", "status": "completed", "output": [{**message, "content": content}], **fields}


def plain(text: str = "Hi", *headers: str, **fields: object) -> bytes:
    """Return a plain answer."""
    return http(200, json.dumps(response(text, **fields)).encode(), *headers)


def refused(status: int, code: str | None = None, *headers: str, message: str = "no") -> bytes:
    """Return an error in SambaNova's envelope."""
    body = {"error": {"message": message, "type": "x", "param": None, "code": code}}
    return http(status, json.dumps(body).encode(), *headers)


def event(kind: str, **data: object) -> bytes:
    """Return one event of a stream."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()


def delta(text: str) -> bytes:
    return event("response.output_text.delta", item_id="msg_1", output_index=0, content_index=0, delta=text)


OPENED = event(
    "response.output_item.added",
    output_index=0,
    item={"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []},
)


def completed(text: str = "Hi", **fields: object) -> bytes:
    return event("response.completed", response=response(text, **fields))


def streamed(text: str = "Hi") -> bytes:
    """Return a whole streamed answer, each event a chunk."""
    return STREAM_HEAD + b"".join(map(chunk, (OPENED, delta(text), completed(text)))) + LAST_CHUNK
