"""Group N: the network between the client and the server. What tests/test_wire.py doesn't hold already."""

# ruff: noqa: SIM117  (server, client and expectation are three things)

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from agentkit import Client, RetryPolicy, RetryWaiting, Timeout, Timeouts, TransportError
from agentkit.errors import BadRequest
from tests.byte_server import (
    OPENED,
    STREAM_HEAD,
    Connection,
    byte_server,
    chunk,
    completed,
    once,
    plain,
    refused,
    serve,
)
from tests.byte_server import response as response_of

BODY = {"model": "m", "input": "hi"}
KEY = "sk-very-secret"


async def no_sleep(seconds: float) -> None:
    pass


QUICK = RetryPolicy(sleep=no_sleep)


def test_a_reset_before_the_answer_is_told_and_tried_again() -> None:
    with byte_server(once(lambda c: c.reset()), serve(plain())) as server:
        with Client(server.url, KEY, retry=QUICK, trust_env=False) as client:
            events = list(client.stream_sync(BODY))
            assert (client.stats.attempts, client.stats.failures) == (2, 1)
    assert [type(event).__name__ for event in events] == ["RetryWaiting", "TextDelta", "ResponseFinished"]
    assert isinstance(events[0], RetryWaiting)
    assert isinstance(events[0].error, TransportError)


@pytest.mark.cassette(mode="off")
def test_a_name_is_looked_up_anew_for_each_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first address is dead; the second look-up gives another."""
    asked: list[str] = []
    look_up = socket.getaddrinfo

    def moving(host: object, *args: object, **options: object) -> object:
        if host in ("moving.test", b"moving.test"):
            asked.append(str(host))
            return look_up("127.0.0.2" if len(asked) == 1 else "127.0.0.1", *args, **options)  # type: ignore[arg-type]
        return look_up(host, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", moving)

    async def main(port: str) -> str:
        async with Client(f"http://moving.test:{port}/v1", retry=QUICK, trust_env=False) as client:
            return (await client.respond(BODY)).output_text

    with byte_server(serve(plain())) as server:
        port = server.url.removesuffix("/v1").rpartition(":")[2]
        assert asyncio.run(main(port)) == "Hi"
    assert len(asked) == 2


def test_a_host_that_takes_no_connections_is_given_up_at_the_connect_deadline() -> None:
    """A listener whose queue is full drops the handshake: what a black hole looks like from here."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        filling = [socket.socket() for _ in range(4)]
        try:
            for sock in filling:
                sock.setblocking(False)
                sock.connect_ex(listener.getsockname())
            time.sleep(0.02)

            async def main() -> None:
                url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
                timeouts = Timeouts(connect=0.1)
                async with Client(url, timeouts=timeouts, retry=RetryPolicy.none(), trust_env=False) as client:
                    await client.respond(BODY)

            started = time.monotonic()
            with pytest.raises(Timeout, match="connecting took too long"):
                asyncio.run(main())
            assert time.monotonic() - started < 2
        finally:
            for sock in filling:
                sock.close()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("hangs_up", [False, True], ids=["stays", "hangs up"])
def test_a_refused_upload_is_told_by_its_answer(authority: Path, secure: bool, hangs_up: bool) -> None:
    """The server answers 413 to the head, and reads no more, or closes: going on to write fails."""

    def refuse(connection: Connection) -> None:
        connection.head()
        connection.send(refused(413, message="too large"))
        if not hangs_up:
            connection.server.seen_closed.wait(2)

    context = certificate(authority, "upload", "-days", "2")
    wrap = (lambda sock: context.wrap_socket(sock, server_side=True)) if secure else None
    with byte_server(refuse, wrap=wrap) as server:
        url = server.url.replace("http:", "https:") if secure else server.url
        with Client(url, KEY, verify=str(authority / "upload.pem"), retry=QUICK, trust_env=False) as client:
            with pytest.raises(BadRequest, match="too large") as caught:
                client.respond_sync({**BODY, "input": "x" * 8_000_000})
            assert len(caught.value.attempts) == 1
        server.seen_closed.set()


def test_a_large_upload_is_read_whole_whatever_the_server_says_meanwhile() -> None:
    def script(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        while connection.request() is not None:
            connection.send(plain())

    with byte_server(script) as server, Client(server.url, retry=RetryPolicy.none(), trust_env=False) as client:
        for _ in range(2):
            assert client.respond_sync({**BODY, "input": "x" * 8_000_000}).output_text == "Hi"
    assert [len(request.body) > 8_000_000 for request in server.requests] == [True, True]
    assert server.connections == 1


def test_a_thousand_requests_share_a_hundred_places() -> None:
    most = now = 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return httpx.Response(200, json=response_of())

    async def main() -> None:
        async with Client("http://x/v1", transport=httpx.MockTransport(answer), max_concurrency=100) as client:
            tasks = [asyncio.create_task(client.respond(BODY)) for _ in range(1000)]
            await asyncio.sleep(0)
            for task in tasks[500:510]:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert sum(isinstance(result, asyncio.CancelledError) for result in done) == 10
            assert sum(isinstance(result, BaseException) for result in done) == 10
            assert client.stats.in_flight == 0

    asyncio.run(main())
    assert most == 100


def test_a_jump_of_the_wall_clock_moves_no_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time

    def jump(_: object) -> None:
        monkeypatch.setattr(time, "time", lambda: real() + 3600)

    script = once(STREAM_HEAD, chunk(OPENED), jump, chunk(completed()), b"0\r\n\r\n")
    timeouts = Timeouts(first_byte=5, idle=5, event=5, total=5)
    with byte_server(script) as server:
        with Client(server.url, timeouts=timeouts, retry=RetryPolicy.none(), trust_env=False) as client:
            assert [type(event).__name__ for event in client.stream_sync(BODY)] == ["TextDelta", "ResponseFinished"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A throw-away authority, and what it signs."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl isn't installed: it makes the throw-away certificates")
    return tmp_path_factory.mktemp("tls")


def certificate(folder: Path, name: str, *options: str) -> ssl.SSLContext:
    pem, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=throw-away"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(pem)]
    subprocess.run([*command.split(), *options, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return context


def test_an_expired_certificate_is_told_and_not_tried_again(authority: Path) -> None:
    """An authority of its own, since openssl makes expired ones only as a certificate authority."""
    folder = authority / "ca"
    folder.mkdir()
    # Python 3.13 verifies strictly (VERIFY_X509_STRICT): an authority must say what its key is for (RFC 5280, 4.2.1.3)
    context = certificate(authority, "signer", "-days", "2", "-addext", "keyUsage=critical,keyCertSign")
    assert context is not None
    (folder / "index.txt").touch()
    (folder / "serial").write_text("01")
    settings = "[ca]\ndefault_ca=d\n[d]\ndir={0}\nnew_certs_dir={0}\ndatabase={0}/index.txt\nserial={0}/serial\n"
    settings += "default_md=sha256\npolicy=p\nx509_extensions=x\n[p]\ncommonName=supplied\n"
    settings += "[x]\nsubjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n"
    settings += "keyUsage=critical,digitalSignature\nauthorityKeyIdentifier=keyid\n"
    (folder / "ca.cnf").write_text(settings.format(folder))
    key, request, pem = folder / "old.key", folder / "old.csr", folder / "old.pem"
    making = "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=old"
    signing = "openssl ca -batch -startdate 20200101000000Z -enddate 20200102000000Z"
    signer = ["-cert", authority / "signer.pem", "-keyfile", authority / "signer.key"]
    commands: list[list[object]] = [
        [*making.split(), "-keyout", key, "-out", request],
        [*signing.split(), "-config", folder / "ca.cnf", *signer, "-in", request, "-out", pem],
    ]
    for command in commands:
        subprocess.run([str(word) for word in command], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    with byte_server(serve(plain()), wrap=lambda sock: context.wrap_socket(sock, server_side=True)) as server:
        url = server.url.replace("http:", "https:")
        with Client(url, KEY, verify=str(authority / "signer.pem"), retry=QUICK, trust_env=False) as client:
            with pytest.raises(TransportError, match=r"127\.0\.0\.1.*expired") as caught:
                client.respond_sync(BODY)
    assert len(caught.value.attempts) == 1
    assert server.requests == []


def test_http_2_is_not_offered(authority: Path) -> None:
    """So there is no GOAWAY and no REFUSED_STREAM to be told apart."""
    context = certificate(authority, "good", "-days", "2")
    context.set_alpn_protocols(["h2", "http/1.1"])
    with byte_server(serve(plain()), wrap=lambda sock: context.wrap_socket(sock, server_side=True)) as server:
        url = server.url.replace("http:", "https:")
        with Client(url, KEY, verify=str(authority / "good.pem"), trust_env=False) as client:
            assert client.respond_sync(BODY).output_text == "Hi"
    assert server.requests[0].line.endswith("HTTP/1.1")


def test_the_key_is_in_no_error_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Over every way of failing that the loopback server knows best."""
    scripts = [
        once(lambda c: c.reset()),
        once(b"HTTP/1.1 200 OK\r\nConte", lambda c: c.reset()),
        once(plain()[:-9]),
        once(refused(500)),
        serve(refused(401)),
    ]
    headers = {"x-api-key": "other-secret", "cookie": "session-secret"}
    with caplog.at_level(logging.DEBUG), byte_server(*scripts) as server:
        with Client(server.url, KEY, retry=QUICK, headers=headers, trust_env=False) as client:
            for _ in range(2):
                with pytest.raises(Exception, match="127") as caught:
                    client.respond_sync(BODY)
                said = [f"{a.error!r} {a.error} {a.error.__cause__!r}" for a in caught.value.attempts]  # type: ignore[attr-defined]
                assert not any("secret" in text for text in said)
    assert "secret" not in caplog.text
