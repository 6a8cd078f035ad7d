"""The service over HTTP: what a connection sees, and what the server survives."""

import asyncio
import contextlib
import gzip
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest

pytest.importorskip("starlette", reason="needs the extra 'server'")
pytest.importorskip("uvicorn", reason="needs the extra 'server'")

from agentkit import Agent, Client, RetryPolicy, UsageError, tool
from agentkit.errors import AuthenticationError, NotFound, RateLimited
from agentkit.service.faults import FAULTS
from agentkit.service.http import make_app, running, serve
from agentkit.service.replies import call, cut, disconnect, failure, hold, reasoning, reply, rewrite, text
from agentkit.testing import ScriptedModel

HELLO = {"model": "m", "input": "hi"}


def hello(_request):
    return "Hello"


@pytest.fixture(scope="module")
def server():
    with running(hello) as found:
        yield found


@pytest.fixture
def http():
    with httpx.Client(timeout=20, trust_env=False) as client:
        yield client


def connect(server, receive_bytes=None):
    sock = socket.socket()
    if receive_bytes is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.settimeout(20)
    host, port = re.search(r"//(.*):(\d+)/", server.base_url).groups()
    sock.connect((host, int(port)))
    return contextlib.closing(sock)


def post_bytes(body, *headers, path="/v1/responses"):
    raw = json.dumps(body).encode() if isinstance(body, dict) else body
    lines = [f"POST {path} HTTP/1.1", "host: test", f"content-length: {len(raw)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + raw


def read_all(sock):
    pieces = []
    while piece := sock.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def read_until(sock, mark):
    data = b""
    while mark not in data:
        piece = sock.recv(65536)
        assert piece, f"{mark!r} never came: {data!r}"
        data += piece
    return data


def error_of(response):
    body = response.json()
    assert re.fullmatch(r"[0-9a-f-]{36}", body.pop("request_id"))
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"message", "type", "param", "code"}
    return body["error"]


# --- paths and methods ---


@pytest.mark.parametrize("path", ["", "/v1", "/a/b"])
def test_responses_are_below_any_prefix(server, http, path):
    response = http.post(server.base_url.removesuffix("/v1") + path + "/responses?api-version=3", json=HELLO)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert response.json()["output"][0]["content"][0]["text"] == "Hello"


def test_models(server, http):
    assert [each["id"] for each in http.get(f"{server.base_url}/models").json()["data"]] == ["gpt-oss-120b"]
    assert http.get(f"{server.base_url}/models/gpt-oss-120b").json()["object"] == "model"
    assert error_of(http.get(f"{server.base_url}/models/other"))["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/responses", 405, "POST"),
        ("PUT", "/responses", 405, "POST"),
        ("HEAD", "/responses", 405, "POST"),
        ("OPTIONS", "/responses", 204, "POST, OPTIONS"),
        ("OPTIONS", "/models", 204, "GET, HEAD, OPTIONS"),
        ("OPTIONS", "/requests", 204, "GET, HEAD, DELETE, OPTIONS"),
        ("POST", "/requests", 405, "GET, HEAD, DELETE, OPTIONS"),
        ("HEAD", "/models", 200, None),
        ("HEAD", "/requests", 200, None),
        ("GET", "/responses/resp_1", 404, None),
        ("POST", "/chat/completions", 404, None),
        ("OPTIONS", "/chat/completions", 404, None),
        ("DELETE", "/models/gpt-oss-120b", 405, "GET"),
        ("BREW", "/models", 405, "GET"),
    ],
)
def test_methods(server, http, method, path, status, allow):
    response = http.request(method, server.base_url + path)
    assert (response.status_code, response.headers.get("allow")) == (status, allow)
    if method == "HEAD":
        assert response.content == b""
        assert int(response.headers["content-length"]) > 0
    elif status == 404:
        assert response.json() == {"error": "Not found"}
    elif status == 405:
        assert response.json() == {"error": "Method not allowed"}


# --- streaming ---


@pytest.mark.parametrize("way", ["raw", "agentkit"])
def test_a_held_stream_has_delivered_what_came_before(http, way):
    """The first delta is read while the model is still silent."""
    gate = threading.Event()
    with running([text("Hel", hold(gate), "lo")]) as server:
        if way == "raw":
            with http.stream("POST", f"{server.base_url}/responses", json={**HELLO, "stream": True}) as response:
                lines = response.iter_lines()
                seen = next(line for line in lines if '"delta":"Hel"' in line)
                assert seen
                assert not gate.is_set()
                gate.set()
                rest = list(lines)
            assert any('"delta":"lo"' in line for line in rest)
        else:
            with Client(server.base_url, trust_env=False) as client:
                agent = Agent(model="m", client=client)
                with agent.stream_sync("hi") as run:
                    deltas = run.text_deltas()
                    assert next(deltas) == "Hel"
                    gate.set()
                    assert list(deltas) == ["lo"]


def test_a_stream_is_one_chunk_per_event_in_order(server):
    with connect(server) as sock:
        sock.sendall(post_bytes({**HELLO, "stream": True}, "connection: close"))
        head, _, body = read_all(sock).partition(b"\r\n\r\n")
    assert b"content-type: text/event-stream; charset=utf-8" in head.lower()
    chunks = re.split(rb"(?:^|\r\n)[0-9a-f]+\r\n", body)[1:]
    assert [chunk.split(b"\n")[0].removeprefix(b"event: ").decode() for chunk in chunks[:-1]] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert chunks[-1] == b"\r\n"  # the chunk of length 0


@pytest.mark.parametrize("done", [True, False])
def test_a_trailing_done_is_a_choice(http, done):
    with running(hello, done=done) as server:
        response = http.post(f"{server.base_url}/responses", json={**HELLO, "stream": True})
    assert response.text.endswith("data: [DONE]\n\n") is done


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_stops_the_answer(stream):
    asked, stopped = threading.Event(), threading.Event()

    async def forever():
        asked.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            stopped.set()

    told = []
    with running([text("Hel", hold(forever))], log="text", write=told.append) as server:
        with connect(server) as sock:
            sock.sendall(post_bytes({**HELLO, "stream": stream}))
            assert asked.wait(10)
        assert stopped.wait(10)
    assert "client left" in told[0]


def test_keep_alive_serves_many_requests_on_one_connection(server):
    with connect(server) as sock:
        for _ in range(3):
            sock.sendall(post_bytes({**HELLO, "stream": True}))
            assert read_until(sock, b"0\r\n\r\n").startswith(b"HTTP/1.1 200")


# --- connections that fail ---


@pytest.mark.parametrize(
    ("given", "stream", "last"),
    [
        (text("Hel", cut(), "lo"), True, b'"delta":"Hel"'),
        (text("Hello", cut()), False, b'{"id":"resp_'),
        ([cut(at=2), "Hello"], True, b"response.in_progress"),
    ],
)
def test_a_cut_closes_the_connection_without_ending_the_answer(given, stream, last):
    with running([given]) as server, connect(server) as sock:
        sock.sendall(post_bytes({**HELLO, "stream": stream}))
        data = read_all(sock)
    assert data.startswith(b"HTTP/1.1 200")
    assert last in data
    assert b"response.completed" not in data
    assert not data.endswith(b"0\r\n\r\n")
    assert server.requests[0]["outcome"] == "cut"


def test_an_end_in_good_order_is_another_thing():
    with running([text("Hel", cut(reset=False), "lo")]) as server, connect(server) as sock:
        sock.sendall(post_bytes({**HELLO, "stream": True}))
        assert b"response.completed" not in read_until(sock, b"\r\n0\r\n\r\n")


def test_a_disconnect_sends_nothing():
    with running([disconnect(), "Hello"]) as server:
        with connect(server) as sock:
            sock.sendall(post_bytes(HELLO))
            assert read_all(sock) == b""
        with connect(server) as sock:
            sock.sendall(post_bytes(HELLO, "connection: close"))
            assert read_all(sock).startswith(b"HTTP/1.1 200")
    assert [each["status"] for each in server.requests] == [None, 200]


# --- bodies ---


@pytest.mark.parametrize(
    ("body", "headers", "code", "word"),
    [
        (b"", {}, None, "not valid JSON"),
        (b"{", {}, None, "not valid JSON"),
        (b'{"model": NaN}', {}, None, "NaN"),
        (b"\xff\xfe{", {}, None, "invalid UTF-8"),
        (b"[" * 100_000, {}, None, "nested"),
        (b'{"a": ' * 5000 + b"1" + b"}" * 5000, {}, None, "nested"),
        (b"[]", {}, "invalid_type", "JSON object"),
        (b"model=m&input=hi", {"content-type": "application/x-www-form-urlencoded"}, None, "not valid JSON"),
        (
            gzip.compress(b'{"model":"m","input":"hi"}'),
            {"content-encoding": "gzip"},
            None,
            "Content-Encoding is 'gzip'",
        ),
        (gzip.compress(b'{"model":"m","input":"hi"}'), {}, None, "invalid UTF-8"),
        ('{"model":"m","input":"hi"}'.encode("utf-16"), {}, None, "UTF-8"),
        (b"{}", {}, "missing_required_field", "model"),
    ],
)
def test_bodies_that_are_no_request(server, http, body, headers, code, word):
    response = http.post(f"{server.base_url}/responses", content=body, headers=headers)
    error = error_of(response)
    assert (response.status_code, error["type"], error["code"]) == (400, "invalid_request_error", code)
    assert word in error["message"]


def test_a_body_of_10_gb_is_refused_unread(server):
    with connect(server) as sock:
        sock.sendall(b"POST /v1/responses HTTP/1.1\r\nhost: t\r\ncontent-length: 10000000000\r\n\r\n")
        head = read_until(sock, b"}")
    assert head.startswith(b"HTTP/1.1 413")
    assert b'"code":"request_too_large"' in head
    assert b"connection: close" in head.lower()


def test_a_body_without_length_is_refused_where_it_gets_too_large(server, http):
    mebibyte = b" " * 2**20
    sent = 0

    def body():
        nonlocal sent
        for _ in range(70):
            sent += 1
            yield mebibyte

    response = http.post(f"{server.base_url}/responses", content=body())
    assert (response.status_code, error_of(response)["code"]) == (413, "request_too_large")
    assert server.requests[-1]["body"] is None


def test_a_body_of_60_mb_is_read(server, http):
    response = http.post(f"{server.base_url}/responses", json={"model": "m", "input": "x" * 60_000_000})
    assert response.status_code == 200
    http.delete(f"{server.base_url}/requests")


def test_a_client_waiting_for_100_continue_gets_it(server):
    body = json.dumps(HELLO).encode()
    with connect(server) as sock:
        sock.sendall(post_bytes(HELLO, "expect: 100-continue").removesuffix(body))
        assert read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 100")
        sock.sendall(body)
        assert read_until(sock, b"}").startswith(b"HTTP/1.1 200")


# --- requests that come in strange ways, or not whole ---


@pytest.mark.parametrize("target", ["http://elsewhere:80/v1/responses", "HTTPS://x/v1/responses?a=b"])
def test_a_target_may_be_absolute(http, target):
    with running(hello) as server:
        with connect(server) as sock:
            sock.sendall(post_bytes(HELLO, "connection: close", path=target))
            assert read_all(sock).startswith(b"HTTP/1.1 200 OK")
        assert server.requests[0]["path"].startswith("/v1/responses")


@pytest.mark.parametrize("target", ["*", "http://x", "v1/nothing"])
def test_a_target_that_is_nowhere_gets_our_404(server, target):
    with connect(server) as sock:
        sock.sendall(post_bytes(HELLO, "connection: close", path=target))
        data = read_all(sock)
    assert data.startswith(b"HTTP/1.1 404")
    assert data.endswith(b'{"error":"Not found"}')


@pytest.mark.parametrize("begun", [b"", b"POST /v1/re"])
def test_a_request_that_stops_in_its_head_gets_a_408(begun):
    with running(hello, patience_s=0.1) as server, connect(server) as sock:
        sock.sendall(begun)
        data = read_all(sock)
    if begun:
        assert data.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert data.endswith(b'{"error":"Request timeout"}')
    else:
        assert data == b""


@pytest.mark.parametrize(
    ("sent", "status", "word"),
    [
        (post_bytes(HELLO)[:-3], b"HTTP/1.1 400 Bad Request\r\n", b"The request ended before its body."),
        (b"POST /v1/re", b"HTTP/1.1 400 Bad Request\r\n", b"The request ended before its headers."),
        (post_bytes(HELLO), b"HTTP/1.1 200 OK\r\n", b"Hello"),
        (post_bytes({**HELLO, "stream": True}), b"HTTP/1.1 200 OK\r\n", b"event: response.completed"),
    ],
    ids=["body", "head", "whole", "streamed"],
)
def test_a_client_that_ends_its_side_is_answered(server, sent, status, word):
    with connect(server) as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        data = read_all(sock)
    assert data.startswith(status)
    assert word in data


def test_a_number_with_too_many_digits_is_told_in_our_words(server, http):
    response = http.post(f"{server.base_url}/responses", content=b'{"model": ' + b"1" * 5000 + b"}")
    assert error_of(response)["message"] == "The request body is not valid JSON: number with too many digits."


# --- load and abuse ---


def test_200_clients_at_once():
    """All 200 streams are open together: none gets its second half before the last has asked."""
    count = 0
    everyone = threading.Event()

    async def model(_request):
        nonlocal count
        count += 1
        if count == 200:
            everyone.set()
        return text("Hel", hold(everyone), "lo")

    async def main(base_url):
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(timeout=20, limits=limits, trust_env=False) as client:
            asked = (client.post(f"{base_url}/responses", json={**HELLO, "stream": True}) for _ in range(200))
            return await asyncio.gather(*asked)

    with running(model) as server:
        answers = asyncio.run(main(server.base_url))
        assert len(server.requests) == 200
    assert {answer.status_code for answer in answers} == {200}
    assert all("response.completed" in answer.text for answer in answers)
    assert len({re.search("resp_[0-9a-f]+", answer.text)[0] for answer in answers}) == 200


def test_a_slow_reader_holds_up_its_own_answer_only(http):
    """The stream stops where nobody reads it; others are served; read on, it is whole."""
    made = 0

    def counted(steps):
        nonlocal made
        for step in steps:
            made += 1
            yield step

    def model(request):
        if request.last_text == "long":
            return reply(rewrite(counted), "x" * 10_000_000, split=10_000)
        return "Hello"

    with running(model) as server, connect(server, receive_bytes=65536) as sock:
        sock.sendall(post_bytes({"model": "m", "input": "long", "stream": True}, "connection: close"))
        assert sock.recv(1) == b"H"
        before = -1
        while before != made:  # each turn is a whole answer to somebody else
            before = made
            assert http.post(f"{server.base_url}/responses", json=HELLO).status_code == 200
        assert made < 900, "the server ran ahead of its reader"
        data = read_all(sock)
    assert made > 1000
    assert data.endswith(b"0\r\n\r\n")


def test_half_open_connections_take_nothing_from_others(server, http):
    with contextlib.ExitStack() as stack:
        for number in range(200):
            sock = stack.enter_context(connect(server))
            sock.sendall([b"", b"POST /v1/resp", post_bytes(HELLO)[:-3]][number % 3])
        assert http.post(f"{server.base_url}/responses", json=HELLO).status_code == 200
    assert http.post(f"{server.base_url}/responses", json=HELLO).status_code == 200


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        b"\x00" * 1000 + b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST /v1/responses HTTP/1.1\r\ncontent-length: five\r\n\r\n",
        b"POST /v1/responses HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["tls", "zeros", "word", "length", "chunk", "long"],
)
def test_what_is_not_http_gets_a_400_in_the_envelope(server, http, garbage):
    with connect(server) as sock:
        sock.sendall(garbage)
        with contextlib.suppress(ConnectionError):
            data = read_all(sock)
            assert data.startswith(b"HTTP/1.1 400")
            body = json.loads(data.partition(b"\r\n\r\n")[2])
            assert body["error"]["message"] == "Invalid HTTP request received."
    assert http.post(f"{server.base_url}/responses", json=HELLO).status_code == 200


def test_a_script_that_raises_is_told_and_survived(http):
    told = []

    def model(request):
        if request.last_text == "hi":
            raise KeyError("cities")
        return "Hello"

    with running(model, log="text", write=told.append) as server:
        response = http.post(f"{server.base_url}/responses", json=HELLO)
        assert http.post(f"{server.base_url}/responses", json={"model": "m", "input": "x"}).status_code == 200
    assert (response.status_code, response.headers["x-should-retry"]) == (500, "false")
    assert (error_of(response)["code"], error_of(response)["type"]) == ("script_error", "server_error")
    assert "KeyError: 'cities'" in response.json()["error"]["message"]
    assert "Traceback" in told[0]


# --- keys and limits ---


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"authorization": "Bearer right"}, 200, None),
        ({"authorization": "bearer right"}, 200, None),
        ({"authorization": "Bearer wrong"}, 401, "invalid_api_key"),
        ({"authorization": "Basic right"}, 401, "invalid_api_key"),
        ({}, 401, "invalid_authentication"),
    ],
)
@pytest.mark.parametrize("path", ["/models", "/requests"])
def test_an_api_key_can_be_asked_for(http, headers, status, code, path):
    with running(hello, api_key="right") as server:
        response = http.get(server.base_url + path, headers=headers)
        assert response.status_code == status
        assert code is None or error_of(response)["code"] == code


def test_rate_limits_are_told_with_every_answer(server, http):
    for body, status in ((HELLO, 200), ({**HELLO, "stream": True}, 200), ({}, 400)):
        response = http.post(f"{server.base_url}/responses", json=body)
        assert response.status_code == status
        for window in ("requests", "requests-day"):
            limit = int(response.headers[f"x-ratelimit-limit-{window}"])
            assert 0 < int(response.headers[f"x-ratelimit-remaining-{window}"]) < limit
            assert int(response.headers[f"x-ratelimit-reset-{window}"]) > time.time()


def test_a_rate_limit_is_kept(http):
    with running(hello, requests_per_minute=2) as server:
        answers = []
        while not answers or answers[-1].status_code == 200:  # two of them, or three over a full minute
            answers.append(http.post(f"{server.base_url}/responses", json=HELLO))
    assert 3 <= len(answers) <= 5
    assert error_of(answers[-1])["code"] == "insufficient_quota"
    assert answers[-1].headers["x-ratelimit-remaining-requests"] == "0"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


def test_a_client_reads_the_limits(server):
    with Client(server.base_url, trust_env=False) as client:
        client.respond_sync(HELLO)
        assert client.stats.rate_limits.keys() == {
            f"{what}_requests{day}" for what in ("limit", "remaining", "reset") for day in ("", "_day")
        }


# --- what it was asked ---


def test_requests_are_shown_without_secrets(http):
    with running(hello) as server:
        secrets = {"authorization": "Bearer sk-1", "x-api-key": "sk-2", "cookie": "sk-3", "idempotency-key": "shown"}
        http.post(
            f"{server.base_url}/responses?api-key=sk-4&api-version=1", json={**HELLO, "temperature": 1}, headers=secrets
        )
        http.post(f"{server.base_url}/responses", content=b"{oops")
        http.get(f"{server.base_url}/models")
        shown = http.get(f"{server.base_url}/requests")
    first, second, third = shown.json()
    assert "sk-" not in shown.text
    assert first.keys() == {
        "number",
        "time",
        "method",
        "path",
        "headers",
        "body",
        "status",
        "outcome",
        "reply",
        "faults",
        "duration_s",
    }
    assert (first["number"], first["path"]) == (1, "/v1/responses?api-key=***&api-version=1")
    assert first["headers"]["authorization"] == "***"
    assert first["headers"]["idempotency-key"] == "shown"
    assert first["body"] == {"model": "m", "input": "hi", "temperature": 1}
    assert (first["status"], first["outcome"], first["reply"]) == (200, "answered", ["message"])
    assert (second["status"], second["body"]) == (400, "{oops")
    assert (third["method"], third["path"], third["body"]) == ("GET", "/v1/models", None)


def test_the_last_requests_alone_can_be_asked_for(http):
    with running(hello) as server:
        for text_ in ("a", "b", "c"):
            http.post(f"{server.base_url}/responses", json={"model": "m", "input": text_})
        shown = http.get(f"{server.base_url}/requests?last=2").json()
        assert [each["body"]["input"] for each in shown] == ["b", "c"]
        assert http.get(f"{server.base_url}/requests?last=0").json() == []
        assert len(http.get(f"{server.base_url}/requests?last=9").json()) == 3
        assert error_of(http.get(f"{server.base_url}/requests?last=x"))["param"] == "last"


def test_showing_much_keeps_nobody_waiting(http):
    """30 bodies of 1.5 MB that take seconds to encode; whoever asks meanwhile is answered before that ends."""
    body = {"model": "m", "input": "hi", "metadata": {f"{n}": "x" for n in range(100_000)}}
    raw = json.dumps(body).encode()
    with running(hello) as server:
        for _ in range(30):
            assert http.post(f"{server.base_url}/responses", content=raw).status_code == 200
        shown = []
        showing = threading.Thread(target=lambda: shown.append(httpx.get(f"{server.base_url}/requests", timeout=60)))
        showing.start()
        answered = 0
        while showing.is_alive():
            assert http.get(f"{server.base_url}/models").status_code == 200
            answered += 1
        showing.join()
    assert len(shown[0].json()) >= 30
    assert answered > 3


def test_deleting_the_requests_starts_the_script_again(http):
    with running(["One", "Two"]) as server:

        def ask():
            return http.post(f"{server.base_url}/responses", json=HELLO).json()["output"][0]["content"][0]["text"]

        assert [ask(), ask()] == ["One", "Two"]
        assert http.delete(f"{server.base_url}/requests").status_code == 204
        assert http.get(f"{server.base_url}/requests").json() == []
        assert ask() == "One"
        assert [each["number"] for each in server.requests] == [1]


def test_a_line_per_request(http):
    told = []
    script = [[reasoning("x"), call("weather")], failure(429, code="queue_full"), "Hi"]
    with running(script, log="text", write=told.append) as server:
        for body in (HELLO, {**HELLO, "stream": True}, {**HELLO, "model": "\x1b[31m\u202eevil\n"}):
            http.post(f"{server.base_url}/responses", json=body)
        http.get(f"{server.base_url}/nowhere")
    lines = [re.sub(r"^\d\d:\d\d:\d\d |\d+\.\d\d s\n$", "", line) for line in told]
    assert lines == [
        "POST /v1/responses m 1 item -> 200; reasoning, function_call weather; ",
        "POST /v1/responses m 1 item streamed -> 429; queue_full; ",
        "POST /v1/responses \\x1b[31m\\u202eevil\\x0a 1 item -> 200; message; ",
        "GET /v1/nowhere -> 404; Not found; ",
    ]


def test_a_line_of_json_per_request(http):
    told = []
    with running(hello, log="json", write=told.append) as server:
        http.post(f"{server.base_url}/responses", json=HELLO, headers={"x-agentkit-fault": "queue_full"})
    line = json.loads(told[0])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line.pop("time"))
    assert 0 < line.pop("duration_s") < 10
    assert line == {
        "number": 1,
        "method": "POST",
        "path": "/v1/responses",
        "model": "m",
        "items": 1,
        "stream": False,
        "status": 429,
        "outcome": "answered",
        "reply": ["queue_full"],
        "faults": ["queue_full"],
    }


# --- agentkit's own client ---


async def _no_wait(_seconds):
    await asyncio.sleep(0)


def weather_script(request):
    return "Take a coat." if request.last_output else call("weather", {"city": "Oslo"})


@tool
def weather(city: str) -> str:
    """Weather of a city."""
    return f"7 C in {city}"


def run_weather(client, stream):
    agent = Agent(model="m", tools=[weather], client=client)
    if not stream:
        return agent.run_sync("A coat in Oslo?")
    with agent.stream_sync("A coat in Oslo?") as run:
        list(run)
    return run.result


@pytest.mark.parametrize("stream", [False, True])
def test_an_agent_runs_as_it_does_in_process(stream):
    with running(weather_script) as server, Client(server.base_url, trust_env=False) as client:
        result = run_weather(client, stream)
    scripted = run_weather(ScriptedModel(weather_script).client(), stream)
    assert result.text == scripted.text == "Take a coat."
    kinds = [item["type"] for item in result.transcript.items]
    assert kinds == [item["type"] for item in scripted.transcript.items]
    assert kinds == ["message", "function_call", "function_call_output", "message"]


@pytest.fixture(scope="module")
def weather_server():
    with running(weather_script) as server:
        yield server


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", [name for name, each in FAULTS.items() if each.kind in ("transient", "form")])
def test_an_agent_survives_what_can_be_survived(weather_server, fault, stream):
    pace = "; delay_s=0; tokens_per_s=10000" if fault == "slow" else ""
    headers = {"x-agentkit-fault": f"{fault}{pace}; times=1"}
    retry = RetryPolicy(sleep=_no_wait)
    with Client(weather_server.base_url, headers=headers, retry=retry, trust_env=False) as client:
        result = run_weather(client, stream)
    assert result.text.endswith("Take a coat.")


@pytest.mark.parametrize(("fault", "error"), [("rate_limited", RateLimited), ("context_length_exceeded", Exception)])
def test_a_fault_that_stays_is_an_error(weather_server, fault, error):
    retry = RetryPolicy(sleep=_no_wait)
    headers = {"x-agentkit-fault": fault}
    with Client(weather_server.base_url, headers=headers, retry=retry, trust_env=False) as client, pytest.raises(error):
        client.respond_sync(HELLO)


def test_errors_are_the_clients_own(http):
    with running(hello, api_key="k", models=["a"]) as server:
        with Client(server.base_url, "wrong", trust_env=False) as client, pytest.raises(AuthenticationError):
            client.respond_sync(HELLO)
        with Client(server.base_url, "k", trust_env=False) as client, pytest.raises(NotFound):
            client.respond_sync(HELLO)


# --- serve ---

_SERVE = """
import threading
from agentkit.service.http import serve
from agentkit.service.replies import hold, text
serve(lambda request: text("Hel", hold(threading.Event())), port=0)
print("returned")
"""


@pytest.fixture
def process():
    arguments = [sys.executable, "-W", "error", "-c", _SERVE]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def base_url_of(process):
    return re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+/v1)\n", process.stderr.readline())[1]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_it_even_with_an_answer_under_way(process, http):
    url = f"{base_url_of(process)}/responses"
    with http.stream("POST", url, json={**HELLO, "stream": True}) as response:
        lines = response.iter_lines()
        next(line for line in lines if "delta" in line)
        process.send_signal(signal.SIGINT)
        with pytest.raises(httpx.RemoteProtocolError):
            list(lines)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "returned\n")
    assert re.fullmatch(r"\d\d:\d\d:\d\d POST /v1/responses m 1 item streamed -> 200; message; stopped; .* s\n", err)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_sigterm_ends_it_too(process, http):
    assert http.get(f"{base_url_of(process)}/models").status_code == 200
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "returned\n")


def test_a_taken_port_is_named(server):
    port = int(re.search(r":(\d+)/", server.base_url)[1])
    with pytest.raises(UsageError, match=rf"can't listen on 127.0.0.1:{port}: the port is taken"):
        serve(hello, port=port)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fault_rate": 2}, "a fault rate of 2; allowed is 0 to 1"),
        ({"faults": ["rate_limted"]}, "there is no fault 'rate_limted'. Did you mean 'rate_limited'"),
        ({"requests_per_minute": 0}, "requests_per_minute=0; allowed is 1 or more"),
        ({"log": "xml"}, "log='xml'; allowed are 'text', 'json' and None"),
    ],
)
def test_options_are_checked_before_anything_is_served(options, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        make_app(hello, **options)
