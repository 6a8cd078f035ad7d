"""Bytes on a loopback socket: what breaks, what is refused, what is kept, proxies, TLS, and nothing left behind."""

import asyncio
import gc
import gzip
import json
import logging
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import types
import weakref
import zlib

import httpx
import pytest

from agentkit.address import parse_address
from agentkit.client import Client
from agentkit.connection import Unheard, connect
from agentkit.errors import (
    BadRequest,
    ProtocolError,
    RateLimited,
    ServerError,
    Timeout,
    TransportError,
    UsageError,
)
from agentkit.http1 import encode_head
from agentkit.retry import RetryPolicy
from agentkit.wire import MAX_BODY_BYTES, Timeouts, Wire, is_watched
from tests.byte_server import (
    LAST_CHUNK,
    OPENED,
    STREAM_HEAD,
    byte_server,
    chunk,
    completed,
    delta,
    http,
    once,
    plain,
    refused,
    response,
    serve,
    streamed,
)

pytestmark = pytest.mark.cassette(mode="off")
BODY = {"model": "m", "input": "hi"}
KEY = "sk-very-secret"


@pytest.fixture(autouse=True)
def nothing_left():
    """Unclosed sockets and forgotten coroutines warn when they are collected, and warnings are errors."""
    yield
    gc.collect()


async def settle():
    """Let generators and sockets do what is left to do: it takes a few turns of the loop, and no time."""
    for _ in range(10):
        await asyncio.sleep(0)


def ask(server, *, retry=None, request=BODY, **options):
    """Return the text of one plain answer, or raise."""

    async def main():
        async with Client(server.url, KEY, retry=retry or RetryPolicy.none(), trust_env=False, **options) as client:
            answer = await client.respond(request)
            await settle()
            assert asyncio.all_tasks() == {asyncio.current_task()}
            return answer.output_text

    return asyncio.run(main())


def instantly(**policy):
    """A policy that waits for nothing."""

    async def sleep(seconds):
        pass

    return RetryPolicy(sleep=sleep, **policy)


GOOD = json.dumps(response()).encode()
PACKED = gzip.compress(GOOD)

WHOLE = {
    "plain": plain(),
    "bom": http(200, b"\xef\xbb\xbf" + GOOD),
    "charset": http(200, GOOD, kind="Application/JSON; charset=utf-8"),
    "html type": http(200, GOOD, kind="text/html"),
    "gzip": http(200, PACKED, "Content-Encoding: GZip"),
    "gzip in members": http(200, gzip.compress(GOOD[:9]) + gzip.compress(GOOD[9:]), "Content-Encoding: gzip"),
    "identity": http(200, GOOD, "Content-Encoding: identity"),
    "until closed": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + GOOD,
    "1xx": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + plain(),
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + chunk(GOOD[:7])
    + chunk(GOOD[7:])
    + LAST_CHUNK,
    "sse unasked": streamed(),
    "obs-text": plain("Hi", "X-Odd: caf\xe9", "Set-Cookie: a=b"),
}


@pytest.mark.parametrize("reply", WHOLE.values(), ids=WHOLE.keys())
def test_answers_of_many_shapes(reply):
    with byte_server(once(reply)) as server:
        assert ask(server) == "Hi"


def test_a_dripped_answer():
    with byte_server(once(lambda connection: connection.drip(plain()))) as server:
        assert ask(server) == "Hi"


PACKED_HEAD = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
BROKEN = {
    "reset before the status line": (once(lambda c: c.reset()), TransportError),
    "closed before the status line": (once(), TransportError),
    "reset in the headers": (once(b"HTTP/1.1 200 OK\r\nConte", lambda c: c.reset()), TransportError),
    "closed in the headers": (once(b"HTTP/1.1 200 OK\r\nConte"), TransportError),
    "reset in the body": (once(plain()[:-9], lambda c: c.reset()), TransportError),
    "short body": (once(http(200, GOOD, length=len(GOOD) + 1)), TransportError),
    "bad chunk size": (once(STREAM_HEAD, b"zz\r\nabc\r\n"), TransportError),
    "no last chunk": (once(STREAM_HEAD, chunk(OPENED)), TransportError),
    "cut gzip": (once(PACKED_HEAD, PACKED[:-20]), TransportError),
    "gzip without its check sum": (once(PACKED_HEAD, PACKED[:-8]), TransportError),
    "bad gzip": (once(PACKED_HEAD, b"no gzip at all"), TransportError),
    "damaged gzip": (once(PACKED_HEAD, PACKED[:-6] + b"xx" + PACKED[-4:]), TransportError),
    "not http": (once(b"SSH-2.0-OpenSSH_9.2\r\n"), TransportError),
    "unknown encoding": (once(http(200, b"...", "Content-Encoding: br")), ProtocolError),
    "204": (once(b"HTTP/1.1 204 No Content\r\n\r\n"), ProtocolError),
    "empty": (once(http(200)), ProtocolError),
    "html": (once(http(200, b"<html>hello</html>", kind="text/html")), ProtocolError),
    "a list": (once(http(200, b"[]")), ProtocolError),
    "no output": (once(http(200, b'{"id": "x"}')), ProtocolError),
    "bad utf-8": (once(http(200, b'{"output": ["\xff"]}')), ProtocolError),
    "in progress": (once(plain(status="in_progress")), ProtocolError),
    "101": (once(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), TransportError),
    "a megabyte of headers": (once(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 2**20 + b"\r\n\r\n"), ProtocolError),
    "error in a 200": (once(http(200, b'{"error": {"message": "busy", "code": "server_error"}}')), ServerError),
    "error as a stream": (
        once(http(500, b'event: error\ndata: {"error": {"message": "oh", "code": "x"}}\n\n', kind="text/event-stream")),
        ServerError,
    ),
    "error in an unknown encoding": (once(http(503, b"...", "Content-Encoding: br")), ServerError),
    "413 before the upload ends": (lambda c: (c.head(), c.send(refused(413)), c.wait_until_closed()), BadRequest),
}


@pytest.mark.parametrize(("script", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_answers(script, expected):
    with byte_server(script) as server, pytest.raises(expected) as caught:
        ask(server)
    assert KEY not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert len(caught.value.attempts) == 1


def test_the_message_of_an_error_that_is_framed_as_a_stream():
    reply = BROKEN["error as a stream"][0]
    with byte_server(reply) as server, pytest.raises(ServerError) as caught:
        ask(server)
    assert (caught.value.status, caught.value.code) == (500, "x")
    assert "answered 500, code x: oh" in str(caught.value)


def test_an_error_whose_body_stalls_is_still_that_error():
    script = once(http(503, b"half", length=100), lambda c: c.wait_until_closed())
    with byte_server(script) as server:
        with pytest.raises(ServerError, match="half"):
            ask(server, timeouts=Timeouts(idle=0.05))
        assert server.seen_closed.wait(1)


def test_a_gzip_bomb_is_stopped_unpacked():
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(MAX_BODY_BYTES // 2**20 + 1)) + packer.flush()
    with (
        byte_server(once(http(200, bomb, "Content-Encoding: gzip"))) as server,
        pytest.raises(ProtocolError, match="more than 67108864 bytes"),
    ):
        ask(server)
    with (
        byte_server(once(http(500, bomb, "Content-Encoding: gzip"))) as server,
        pytest.raises(ServerError) as caught,
    ):
        ask(server)
    assert len(caught.value.body) <= 2000


def test_a_gzip_bomb_is_unpacked_in_small_pieces():
    async def bomb():
        yield gzip.compress(bytes(10_000_000))

    async def main():
        transport = httpx.MockTransport(
            lambda _: httpx.Response(200, content=bomb(), headers={"Content-Encoding": "gzip"})
        )
        timeouts = Timeouts()
        address = parse_address("http://x")
        wire = Wire(address, transport=transport, verify=True, trust_env=False, timeouts=timeouts)
        answer = await wire.send("POST", address, [], b"")
        sizes = []
        while piece := await answer.next_chunk():
            sizes.append(len(piece))
        await answer.aclose()
        return sizes

    sizes = asyncio.run(main())
    assert (sum(sizes), max(sizes)) == (10_000_000, 65536)


def test_gzip_of_a_stream_is_unpacked_as_it_comes():
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = STREAM_HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")

    def packed(*events):
        return chunk(packer.compress(b"".join(events)) + packer.flush(zlib.Z_SYNC_FLUSH))

    seen = []

    async def main(server, held):
        async with Client(server.url, trust_env=False) as client:
            async for event in client.stream(BODY):
                seen.append(type(event).__name__)
                held.set()

    held = threading.Event()
    script = once(head, packed(OPENED, delta("Hi")), lambda _: held.wait(5), packed(completed()), LAST_CHUNK)
    with byte_server(script) as server:
        asyncio.run(main(server, held))
    assert seen == ["TextDelta", "ResponseFinished"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status):
    with byte_server(serve(plain())) as elsewhere:
        there = http(status, b"", f"Location: {elsewhere.url}/responses?token=x")
        with (
            byte_server(serve(there)) as server,
            pytest.raises(ProtocolError, match=r"pointing to 127\.0\.0\.1") as caught,
        ):
            ask(server)
        assert elsewhere.connections == 0
    assert "token" not in str(caught.value)


def test_a_redirect_to_nonsense():
    with byte_server(serve(http(302, b"", "Location: http://[::1"))) as server, pytest.raises(ProtocolError):
        ask(server)


def test_cookies_are_not_kept():
    with (
        byte_server(serve(plain("Hi", "Set-Cookie: session=1"))) as server,
        Client(server.url, trust_env=False) as client,
    ):
        client.respond_sync(BODY)
        client.respond_sync(BODY)
    assert "cookie" not in server.requests[1].headers


def test_surplus_bytes_are_not_the_next_answer():
    """What follows a body would be read as the answer to the next request."""
    first, evil, second = plain("first"), plain("evil"), plain("second")
    with byte_server(serve(first + evil), serve(second)) as server, Client(server.url, trust_env=False) as client:
        assert client.respond_sync(BODY).output_text == "first"
        assert client.respond_sync(BODY).output_text == "second"
    assert server.connections == 2


def test_what_comes_between_two_requests_is_not_the_next_answer():
    """The event loop was busy meanwhile, and has read nothing."""
    has_sent = threading.Event()

    def late(connection):
        connection.request()
        connection.send(plain("first"))
        connection.server.waiting.wait()
        connection.send(plain("evil"))
        has_sent.set()
        connection.request()

    async def main(server):
        async with Client(server.url, trust_env=False) as client:
            assert (await client.respond(BODY)).output_text == "first"
            server.waiting.set()
            assert has_sent.wait(5)
            assert (await client.respond(BODY)).output_text == "second"
            assert client.stats.attempts == 2

    with byte_server(late, serve(plain("second"))) as server:
        asyncio.run(main(server))
    assert server.connections == 2


def test_a_client_lets_go_of_loops_that_have_ended():
    loops = []

    async def main(client):
        loops.append(weakref.ref(asyncio.get_running_loop()))
        await client.respond(BODY)

    with byte_server(serve(plain())) as server, Client(server.url, trust_env=False) as client:
        for _ in range(3):
            asyncio.run(main(client))
        gc.collect()
        assert [loop() for loop in loops] == [None] * 3


def test_a_module_that_is_just_being_imported_watches_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx", types.ModuleType("httpx"))
    assert not is_watched()


@pytest.mark.parametrize("reply", [plain(), streamed()], ids=["plain", "streamed"])
@pytest.mark.parametrize("stream", [False, True])
def test_connections_are_kept(reply, stream):
    async def main(server):
        async with Client(server.url, trust_env=False) as client:
            for _ in range(3):
                if stream:
                    assert [type(e).__name__ async for e in client.stream(BODY)] == ["TextDelta", "ResponseFinished"]
                else:
                    await client.respond(BODY)

    with byte_server(serve(reply)) as server:
        asyncio.run(main(server))
    assert (server.connections, len(server.requests)) == (1, 3)


SPOKEN_FIRST = {
    "an interim answer": (b"HTTP/1.1 102 Processing\r\n\r\n", (200, GOOD)),
    "a refusal": (http(503, b"busy"), (503, b"busy")),
}


@pytest.mark.parametrize(("first", "expected"), SPOKEN_FIRST.values(), ids=SPOKEN_FIRST.keys())
def test_a_server_that_speaks_before_it_is_asked(first, expected):
    """What comes on a connection before its first request belongs to the answer."""

    async def main(server):
        address = parse_address(server.url)
        connection = await connect(address.host, address.port, tls=None, place="there", timeout_s=5)
        connection.data_received(first)
        head = encode_head("POST", address.target, [(b"host", b"x")], 2)
        reader = await connection.send(head, b"{}", 5)
        found = reader.status, await connection.next_piece()
        connection.abort()
        await connection.closed()
        return found

    with byte_server(serve(plain())) as server:
        assert asyncio.run(main(server)) == expected


def test_a_stream_that_stays_open_is_not_waited_for():
    """The terminal event ends a response, whatever the server does with the connection."""
    script = once(STREAM_HEAD, chunk(OPENED + delta("Hi") + completed()), lambda c: c.wait_until_closed())
    with byte_server(script) as server:
        assert ask(server) == "Hi"
        assert server.seen_closed.wait(1)


def test_a_stale_connection_costs_no_attempt():
    with (
        byte_server(once(plain("one")), serve(plain("two"))) as server,
        Client(server.url, trust_env=False, retry=instantly(attempts=2)) as client,
    ):
        assert client.respond_sync(BODY).output_text == "one"
        assert client.respond_sync(BODY).output_text == "two"


def test_a_500_and_a_reset_of_the_kept_connection():
    """The first connection answers 500 and is reset; whether the client notices before or after it sends again."""
    script = once(refused(500), lambda c: c.request(), lambda c: c.reset())
    with byte_server(script, serve(plain())) as server:
        assert ask(server, retry=instantly(attempts=2)) == "Hi"
    assert [r.headers["x-attempt"] for r in server.requests] == ["1", "2", "3"]
    assert len({r.headers["x-client-request-id"] for r in server.requests}) == 1
    assert len({r.body for r in server.requests}) == 1

    def resets_at_once(connection):
        connection.request()
        connection.send(refused(500))
        connection.reset()

    with byte_server(resets_at_once, serve(plain())) as server:
        assert ask(server, retry=instantly(attempts=3)) == "Hi"


def test_nobody_listens():
    with byte_server(serve(plain())) as server:
        pass
    with pytest.raises(TransportError, match="can't connect") as caught:
        ask(server, retry=instantly())
    assert len(caught.value.attempts) == 4


def test_a_name_that_does_not_resolve():
    async def main():
        async with Client("http://no-such-host.invalid/v1", retry=instantly(), trust_env=False) as client:
            await client.respond(BODY)

    with pytest.raises(TransportError, match=r"no-such-host\.invalid: the host name doesn't resolve") as caught:
        asyncio.run(main())
    assert len(caught.value.attempts) == 2


# Deadlines

SILENT = once(lambda c: c.wait_until_closed())
LATE = {
    "total": (SILENT, False, "the answer"),
    "total in the body": (once(plain()[:-5], lambda c: c.wait_until_closed()), False, "the whole answer"),
    "first_byte": (SILENT, True, "the answer to begin"),
    "idle": (once(STREAM_HEAD, chunk(OPENED), lambda c: c.wait_until_closed()), True, "the next event"),
}


@pytest.mark.parametrize(("script", "stream", "what"), LATE.values(), ids=LATE.keys())
def test_deadlines(script, stream, what):
    async def main(server):
        timeouts = Timeouts(total=0.05, first_byte=0.05, idle=0.05)
        async with Client(server.url, retry=RetryPolicy.none(), timeouts=timeouts, trust_env=False) as client:
            if stream:
                async for _ in client.stream(BODY):
                    pass
            else:
                await client.respond(BODY)

    with byte_server(script) as server:
        with pytest.raises(Timeout, match=f"waited too long for {what}"):
            asyncio.run(main(server))
        assert server.seen_closed.wait(1)


def test_pings_are_no_events():
    def ping(connection):
        connection.request()
        connection.send(STREAM_HEAD)
        while True:
            connection.send(chunk(b": ping\n\n"))

    async def main(server):
        timeouts = Timeouts(event=0.05, idle=5)
        async with Client(server.url, retry=RetryPolicy.none(), timeouts=timeouts, trust_env=False) as client:
            async for _ in client.stream(BODY):
                pass

    with byte_server(ping) as server, pytest.raises(Timeout):
        asyncio.run(main(server))


def test_a_drip_does_not_hold_off_the_total_deadline():
    def drip(connection):
        connection.request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            connection.send(b" ")

    with byte_server(drip) as server, pytest.raises(Timeout):
        ask(server, timeouts=Timeouts(total=0.1))


def test_a_slow_reader_is_no_silent_server():
    """Between two events the reader takes longer than every deadline, and the server waits for it."""
    back = threading.Event()

    async def main(server):
        timeouts = Timeouts(idle=0.2, event=0.2)
        async with Client(server.url, retry=RetryPolicy.none(), timeouts=timeouts, trust_env=False) as client:
            seen = []
            async for event in client.stream(BODY):
                seen.append(type(event).__name__)
                await asyncio.sleep(0.25)  # the reader's own time is what this is about
                back.set()
            return seen

    rest = (chunk(delta("i")), chunk(completed()), LAST_CHUNK)
    with byte_server(once(STREAM_HEAD, chunk(OPENED), chunk(delta("H")), lambda _: back.wait(5), *rest)) as server:
        assert asyncio.run(main(server)) == ["TextDelta", "TextDelta", "ResponseFinished"]


def test_an_upload_that_stalls():
    request = {**BODY, "input": "x" * 20_000_000}
    with byte_server(lambda c: c.server.seen_closed.wait(2)) as server:
        with pytest.raises(Timeout, match="sending took too long"):
            ask(server, request=request, timeouts=Timeouts(write=0.1))
        server.seen_closed.set()


@pytest.mark.parametrize(("begin", "end"), [(b"", "without an answer"), (http(200, b"{", length=9), "in the answer")])
def test_a_server_that_hangs_up_and_reads_no_more(begin, end):
    """What is still to be sent can't leave, and no answer can come: there is nothing to wait for."""

    def script(connection):
        connection.head()
        connection.send(begin)
        connection.sock.shutdown(socket.SHUT_WR)
        connection.server.seen_closed.wait(5)

    with byte_server(script) as server:
        for _ in range(5):  # the end comes before the sockets are full, or after
            with pytest.raises(TransportError, match=f"closed the connection {end}"):
                ask(server, request={**BODY, "input": "x" * 20_000_000}, timeouts=Timeouts(write=2))
        server.seen_closed.set()


def test_an_answer_that_ends_with_the_connection_before_the_upload():
    begun = threading.Event()

    def script(connection):
        connection.head()
        connection.send(b"HTTP/1.1 413 X\r\n\r\nbe")
        begun.wait(5)
        connection.send(b"gun")
        connection.sock.shutdown(socket.SHUT_WR)
        connection.server.seen_closed.wait(5)

    async def main(server):
        url = parse_address(server.url)
        connection = await connect(url.host, url.port, tls=None, place="here", timeout_s=5)
        body = b"x" * 20_000_000
        answer = await connection.send(encode_head("POST", url.target, [(b"host", b"x")], len(body)), body, 5)
        pieces = [await connection.next_piece()]
        begun.set()
        async with asyncio.timeout(4):
            while piece := await connection.next_piece():
                pieces.append(piece)
        assert not connection.release()
        await connection.closed()
        return answer.status, b"".join(pieces)

    with byte_server(script) as server:
        assert asyncio.run(main(server)) == (413, b"begun")
        server.seen_closed.set()


def test_connecting_takes_too_long():
    """A TLS handshake that is never answered: connecting includes it."""
    with byte_server(SILENT) as server:
        server.url = server.url.replace("http:", "https:")
        with pytest.raises(Timeout, match="connecting took too long"):
            ask(server, timeouts=Timeouts(connect=0.05), verify=False)


CANCELLED = {
    "headers": (SILENT, False),
    "body": (once(plain()[:-5], lambda c: c.wait_until_closed()), False),
    "stream": (once(STREAM_HEAD, chunk(OPENED), lambda c: c.wait_until_closed()), True),
}


@pytest.mark.parametrize(("script", "stream"), CANCELLED.values(), ids=CANCELLED.keys())
def test_cancelling_closes_the_connection(script, stream):
    reached = []

    async def main(server):
        client = Client(server.url, trust_env=False)

        async def consume():
            async for _ in client.stream(BODY):
                pass

        task = asyncio.create_task(consume() if stream else client.respond(BODY))
        await asyncio.to_thread(server.waiting.wait, 1)
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        reached.append(await asyncio.to_thread(server.seen_closed.wait, 1))
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert client.stats.in_flight == 0

    with byte_server(script) as server:
        asyncio.run(main(server))
    assert reached == [True]


def test_a_reader_that_leaves_closes_the_connection():
    async def main(server):
        client = Client(server.url, trust_env=False)
        async for _ in client.stream(BODY):
            break
        closed = await asyncio.to_thread(server.seen_closed.wait, 1)
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return closed, client.stats.in_flight

    script = once(STREAM_HEAD, chunk(OPENED), chunk(delta("H")), lambda c: c.wait_until_closed())
    with byte_server(script) as server:
        assert asyncio.run(main(server)) == (True, 0)
    with byte_server(script) as server:
        client = Client(server.url, trust_env=False)
        for _ in client.stream_sync(BODY):
            break
        assert server.seen_closed.wait(1)
        client.close()


# Proxies


def test_a_proxy_of_the_environment(monkeypatch):
    with byte_server(serve(plain("by proxy"))) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1").replace("//", "//user:pw-secret@"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        with Client("http://api.example/v1") as client:
            assert client.respond_sync(BODY).output_text == "by proxy"
        assert proxy.requests[0].line == "POST http://api.example/v1/responses HTTP/1.1"
        assert proxy.requests[0].headers["host"] == "api.example"


def test_no_proxy(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with byte_server(serve(plain())) as server:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with Client(server.url) as client:
            assert client.respond_sync(BODY).output_text == "Hi"
        monkeypatch.delenv("NO_PROXY")
        with Client(server.url, trust_env=False) as client:
            assert client.respond_sync(BODY).output_text == "Hi"


def test_no_proxy_names_an_address_of_ipv6(monkeypatch):
    """As it is usually written: without the brackets that a URL has around it."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1,::1")
    with Client("http://[::1]:9/v1", retry=RetryPolicy.none()) as client:
        with pytest.raises(TransportError, match=r"^\[::1\]:9: can't connect") as caught:
            client.respond_sync(BODY)
        assert "proxy" not in str(caught.value)


def test_a_dead_proxy_is_named(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://user:pw-secret@127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with (
        Client("http://api.example/v1", retry=RetryPolicy.none()) as client,
        pytest.raises(TransportError, match=r"api\.example through the proxy 127\.0\.0\.1") as caught,
    ):
        client.respond_sync(BODY)
    assert "pw-secret" not in str(caught.value)


def test_a_proxy_that_refuses(monkeypatch):
    monkeypatch.delenv("NO_PROXY", raising=False)
    with byte_server(once(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.removesuffix("/v1"))
        with (
            Client("https://api.example/v1", KEY, retry=instantly()) as client,
            pytest.raises(TransportError, match="the proxy refused: 407") as caught,
        ):
            client.respond_sync(BODY)
    assert len(caught.value.attempts) == 1
    assert KEY.encode() not in proxy.requests[0].head if proxy.requests else True


@pytest.mark.parametrize("address", ["ftp://u:pw-secret@x", "http://[::1", "socks5://u:pw-secret@x"])
def test_a_proxy_that_cannot_be_used(monkeypatch, address):
    monkeypatch.setenv("ALL_PROXY", address)
    for name in ("NO_PROXY", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    with (
        Client("http://api.example/v1", retry=RetryPolicy.none()) as client,
        pytest.raises(UsageError, match="names a proxy") as caught,
    ):
        client.respond_sync(BODY)
    assert "pw-secret" not in f"{caught.value} {caught.value.__cause__}"


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A throw-away certificate for 127.0.0.1, which is its own authority."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl isn't installed: it makes the throw-away certificate")
    folder = tmp_path_factory.mktemp("tls")
    pem, key = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=throw-away"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", pem]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return pem, lambda sock: context.wrap_socket(sock, server_side=True)


def tls_server(certificate, *scripts):
    return byte_server(*scripts, wrap=certificate[1])


def secure(server):
    server.url = server.url.replace("http:", "https:")
    return server


@pytest.mark.parametrize("trusted", ["file", "context", "unchecked"])
def test_a_certificate_that_is_trusted(certificate, trusted):
    pem = str(certificate[0])
    verify = {"file": pem, "context": ssl.create_default_context(cafile=pem), "unchecked": False}[trusted]
    with tls_server(certificate, serve(plain())) as server:
        assert ask(secure(server), verify=verify) == "Hi"


def test_plain_text_before_the_handshake_is_no_answer():
    """Somebody on the way may say anything there, and could wait for the genuine server to do the handshake."""

    async def main(server):
        address = parse_address(server.url)
        transport, _ = await asyncio.get_running_loop().create_connection(Unheard, address.host, address.port)
        while not transport.is_closing():  # noqa: ASYNC110  (the server itself stays, and nothing is told)
            await asyncio.sleep(0)
        server.seen_closed.set()

    def inject(connection):
        connection.send(plain("injected"))
        connection.server.seen_closed.wait(5)

    with byte_server(inject) as server:
        asyncio.run(asyncio.wait_for(main(server), 5))


def test_an_answer_right_behind_the_handshake(certificate):
    """With TLS 1.2, the end of the handshake and what the server says then come in one read."""

    def answer(connection):
        connection.send(refused(503, message="go away"))
        connection.request()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate[0], certificate[0].with_name("key.pem"))
    with byte_server(answer, wrap=lambda sock: context.wrap_socket(sock, server_side=True)) as server:
        for _ in range(5):
            with pytest.raises(ServerError, match="go away"):
                ask(secure(server), verify=str(certificate[0]), retry=RetryPolicy.none())


@pytest.mark.parametrize("in_the_middle", [True, False])
def test_uvloop_over_tls(certificate, in_the_middle):
    """Its start_tls takes turns of the loop, and it has a TLS protocol of its own."""
    uvloop = pytest.importorskip("uvloop", reason="uvloop isn't made for this system")

    def wrap(sock):
        if in_the_middle:
            sock.sendall(plain("injected"))
        return certificate[1](sock)

    def refuse(connection):
        connection.head()
        connection.sock.recv(300_000)
        connection.send(refused(413, message="too large"))

    async def main(server):
        async with Client(
            secure(server).url, verify=str(certificate[0]), retry=RetryPolicy.none(), trust_env=False
        ) as client:
            with pytest.raises(TransportError if in_the_middle else BadRequest) as caught:
                await client.respond({**BODY, "input": "x" * 6_000_000})
            return str(caught.value)

    for _ in range(6):
        with byte_server(refuse, wrap=wrap) as server:
            said = uvloop.run(main(server))
        assert ("can't connect" if in_the_middle else "too large") in said


def test_a_certificate_that_is_not_trusted(certificate):
    with tls_server(certificate, serve(plain())) as server:
        with pytest.raises(TransportError, match="certificate isn't trusted: self-signed") as caught:
            ask(secure(server), retry=instantly())
        assert len(caught.value.attempts) == 1
        server.url = server.url.replace("127.0.0.1", "localhost")
        with pytest.raises(TransportError, match="isn't trusted: Hostname mismatch"):
            ask(server, verify=str(certificate[0]))
    assert server.requests == []


@pytest.mark.parametrize("act", [lambda c: None, lambda c: c.reset(), lambda c: c.send(b"HTTP/1.1 400 No\r\n\r\n")])
def test_a_handshake_that_fails(act):
    with byte_server(lambda c: (c._receive(), act(c))) as server, pytest.raises(TransportError, match="can't connect"):
        ask(secure(server), verify=False)


def test_a_tls_connection_cut_in_the_answer(certificate):
    with tls_server(certificate, once(plain()[:-5], lambda c: c.reset())) as server, pytest.raises(TransportError):
        ask(secure(server), verify=False)


@pytest.mark.parametrize("verify", ["no/such/file.pem", 5, None])
def test_a_verify_that_means_nothing(verify):
    with pytest.raises(UsageError, match="verify="):
        Client("https://api.example/v1", verify=verify)


def test_a_variable_that_names_no_certificates_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    with (
        Client("https://api.example/v1") as client,
        pytest.raises(UsageError, match=r"SSL_CERT_FILE .*none.pem"),
    ):
        client.respond_sync(BODY)


def test_a_file_that_holds_no_certificate(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    with (
        Client("https://api.example/v1", verify=str(tmp_path / "ca.pem"), trust_env=False) as client,
        pytest.raises(UsageError, match="PEM"),
    ):
        client.respond_sync(BODY)


# Secrets and limits


@pytest.mark.parametrize("by_proxy", [False, True])
def test_no_logger_prints_the_key(caplog, monkeypatch, by_proxy):
    """httpcore, through which proxies are reached, logs every step at DEBUG."""
    replies = refused(429, None, "Retry-After: 2"), plain()
    with caplog.at_level(logging.DEBUG), byte_server(serve(*replies)) as server:
        if by_proxy:
            monkeypatch.setenv("HTTP_PROXY", server.url.removesuffix("/v1"))
            monkeypatch.delenv("NO_PROXY", raising=False)
        with Client(server.url, KEY, retry=instantly(), headers={"x-api-key": "other-secret"}) as client:
            assert client.respond_sync(BODY).output_text == "Hi"
    assert any(record.name.startswith("httpcore") for record in caplog.records) == by_proxy
    assert KEY not in caplog.text
    assert "other-secret" not in caplog.text


def test_many_connections_at_once():
    async def main(server):
        async with Client(server.url, trust_env=False) as client:
            return await asyncio.gather(*(client.respond(BODY) for _ in range(35)))

    with byte_server(serve(plain())) as server:
        assert len(asyncio.run(main(server))) == 35


@pytest.mark.parametrize("field", ["connect", "total", "idle"])
@pytest.mark.parametrize("value", [0, -1, True, "5", float("nan")])
def test_senseless_deadlines_are_refused(field, value):
    with pytest.raises(UsageError, match=field):
        Timeouts(**{field: value})


def test_a_transport_that_is_none():
    with pytest.raises(UsageError, match="handle_async_request"):
        Client("http://x/v1", transport=httpx.HTTPTransport())


def test_empty_chunks_of_a_transport_end_nothing():
    async def chunks():
        for part in (b"", GOOD[:5], b"", GOOD[5:], b""):
            yield part

    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=chunks()))

    async def main():
        async with Client("http://x/v1", transport=transport) as client:
            return (await client.respond(BODY)).output_text

    assert asyncio.run(main()) == "Hi"


def test_the_hint_of_a_rate_limit_reaches_the_error():
    with (
        byte_server(serve(refused(429, None, "Retry-After: 3600", "X-Request-Id: r7"))) as server,
        pytest.raises(RateLimited) as caught,
    ):
        ask(server, retry=instantly())
    assert (caught.value.retry_after_s, caught.value.request_id, len(caught.value.attempts)) == (3600.0, "r7", 1)
