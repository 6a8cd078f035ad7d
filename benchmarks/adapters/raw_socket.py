"""The floor: bytes over a blocking socket, items encoded once. Knows only the fake server's way to answer."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks.adapters.by_hand import Conversation, Text, encode, make_items

if TYPE_CHECKING:
    from benchmarks.task import Task
    from benchmarks.worker import Runs


class Connection:
    """One connection to the fake server."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._head = (
            f"POST {place.path}/responses HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
            "Content-Length: "
        ).encode()
        self._socket = socket.create_connection((place.hostname, place.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def ask(self, body: bytes) -> list[dict[str, object]]:
        """Return the items of one response."""
        self._socket.sendall(self._head + b"%d\r\n\r\n" % len(body) + body)
        data = self._socket.recv(2**18)
        while b"\r\n\r\n" not in data:
            data += self._socket.recv(2**18)
        head, _, rest = data.partition(b"\r\n\r\n")
        parts, missing = [rest], int(head.rpartition(b"Content-Length: ")[2]) - len(rest)
        while missing:
            parts.append(self._socket.recv(2**18))
            missing -= len(parts[-1])
        return json.loads(b"".join(parts))["output"]  # type: ignore[no-any-return]

    def ask_streamed(self, body: bytes) -> list[dict[str, object]]:
        """Return the items of one streamed response; the framing around the events is skipped by line."""
        self._socket.sendall(self._head + b"%d\r\n\r\n" % len(body) + body)
        text, rest = Text(), b""
        while not rest.endswith(b"\r\n0\r\n\r\n"):
            lines = (rest + self._socket.recv(2**18)).split(b"\n\n")
            rest = lines.pop()
            for lump in lines:
                if (start := lump.find(b"data: ")) >= 0:
                    text.take(lump[start + 6 :])
        if text.items is None or not text.deltas:
            raise RuntimeError("the stream ended without a response")
        return text.items


class Adapter:
    """Keeps one connection, but for tasks that say otherwise."""

    PACKAGES = ()

    def __init__(self) -> None:
        self._connection: Connection | None = None

    async def open(self, task: Task, url: str) -> Runs:
        if task.at_once > 1:
            raise NotImplementedError("one socket makes one run at a time")
        self._connection = kept = Connection(url)
        history = list(map(encode, make_items(task)))

        async def run() -> str:
            connection = Connection(url) if task.new_client else kept
            conversation = Conversation(task, history)
            try:
                while True:
                    items = (connection.ask_streamed if task.deltas else connection.ask)(conversation.body())
                    if (text := conversation.take(items)) is not None:
                        return text
            finally:
                if task.new_client:
                    connection.close()

        return run

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
