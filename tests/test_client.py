"""The client: options, retries as a reader sees them, streaming, and use over loops, threads and forks."""

import asyncio
import gc
import json
import logging
import os
import subprocess
import sys
import textwrap
import threading

import httpx
import pytest

from agentkit.client import Client
from agentkit.errors import (
    AuthenticationError,
    BadRequest,
    NotFound,
    ProtocolError,
    ServerError,
    StreamBroken,
    TransportError,
    UsageError,
)
from agentkit.events import AttemptDiscarded, ResponseFinished, RetryWaiting, TextDelta
from agentkit.profile import OPENAI
from agentkit.retry import RetryPolicy
from tests.byte_server import (
    LAST_CHUNK,
    OPENED,
    STREAM_HEAD,
    byte_server,
    chunk,
    completed,
    delta,
    event,
    http,
    once,
    plain,
    refused,
    response,
    serve,
    streamed,
)

BODY = {"model": "m", "input": "hi"}


@pytest.fixture(autouse=True)
def nothing_left():
    """Unclosed sockets and forgotten coroutines warn when they are collected, and warnings are errors."""
    yield
    gc.collect()


def instantly(waits=None, **policy):
    """A policy that notes its waits instead of waiting."""

    async def sleep(seconds):
        if waits is not None:
            waits.append(seconds)

    return RetryPolicy(sleep=sleep, random=lambda: 1.0, **policy)


def make(server, *args, **options):
    return Client(server.url, *args, trust_env=False, **options)


def events_of(client):
    """Return what a stream shows, by name, with the text of deltas."""
    return [e.text if isinstance(e, TextDelta) else type(e).__name__ for e in client.stream_sync(BODY)]


# Streaming is streaming


def test_the_first_delta_arrives_while_the_server_is_held():
    held = threading.Event()
    script = once(STREAM_HEAD, chunk(OPENED + delta("H")), lambda _: held.wait(5), chunk(completed()), LAST_CHUNK)

    async def main(server):
        async with make(server) as client:
            seen = []
            async for e in client.stream(BODY):
                seen.append((type(e).__name__, held.is_set()))
                held.set()
            return seen

    expected = [("TextDelta", False), ("ResponseFinished", True)]
    with byte_server(script) as server:
        assert asyncio.run(main(server)) == expected
    held.clear()
    seen = []
    with byte_server(script) as server, make(server) as client:
        for e in client.stream_sync(BODY):
            seen.append((type(e).__name__, held.is_set()))
            held.set()
    assert seen == expected


def test_a_plain_answer_to_a_stream_is_shown_as_one():
    with byte_server(serve(plain("Hi"))) as server, make(server) as client:
        assert events_of(client) == ["Hi", "ResponseFinished"]


# Loops, threads, forks


def test_two_loops_one_client():
    with byte_server(serve(plain())) as server:
        client = make(server)
        for _ in range(2):
            assert asyncio.run(client.respond(BODY)).output_text == "Hi"
        assert server.connections == 2
        client.close()


@pytest.mark.parametrize("stream", [False, True])
def test_eight_threads_one_client(stream):
    def work(client, found):
        async def main():
            for _ in range(25):
                found.append((await client.respond(BODY)).output_text)

        asyncio.run(main())
        for _ in range(25):
            found.append(client.respond_sync(BODY).output_text)

    found = []
    with byte_server(serve(streamed() if stream else plain())) as server, make(server) as client:
        threads = [threading.Thread(target=work, args=(client, found)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        stats = client.stats
    assert found == ["Hi"] * 400
    assert (stats.requests, stats.attempts, stats.failures, stats.in_flight) == (400, 400, 0, 0)


def test_a_bound_holds_over_threads():
    lock, now, most = threading.Lock(), 0, 0

    def script(connection):
        nonlocal now, most
        while connection.request() is not None:
            with lock:
                now += 1
                most = max(most, now)
            with lock:
                now -= 1
            connection.send(plain())

    with byte_server(script) as server, make(server, max_concurrency=2) as client:

        async def main():
            await asyncio.gather(*(client.respond(BODY) for _ in range(10)))

        threads = [threading.Thread(target=lambda: asyncio.run(main())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert len(server.requests) == 40
    assert most <= 2


FORKS = """
import asyncio, os, sys
from agentkit import Client, RetryPolicy

BODY = {"model": "m", "input": "hi"}
client = Client(sys.argv[1], trust_env=False, max_concurrency=1, retry=RetryPolicy.none())
held = []

def use():
    if sys.argv[2] == "sync":
        return client.respond_sync(BODY).output_text
    return asyncio.run(client.respond(BODY)).output_text

if sys.argv[3] == "used":
    assert use() == "Hi"
if sys.argv[3] == "in_flight":
    stream = client.stream_sync(BODY)  # holds the only place, and a connection
    next(stream)
child = os.fork()
assert sys.argv[3] == "in_flight" and child or use() == "Hi"
if child == 0:
    sys.exit(7)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 7
if sys.argv[3] == "in_flight":
    assert [type(event).__name__ for event in stream] == ["ResponseFinished"]
assert use() == "Hi"
client.close()
"""


@pytest.mark.parametrize("state", ["unused", "used", "in_flight"])
@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_fork_with_a_request_in_both(way, state):
    with byte_server(serve(streamed())) as server:
        command = [sys.executable, "-W", "error", "-c", FORKS, server.url, way, state]
        run = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


# Retries


def test_every_attempt_is_the_same_request():
    waits = []
    replies = [refused(503), refused(429, "rate_limit_exceeded", "Retry-After: 3"), plain()]
    with byte_server(serve(*replies)) as server, make(server, retry=instantly(waits)) as client:
        assert client.respond_sync(BODY).output_text == "Hi"
        assert client.stats.failures == 2
    assert waits == pytest.approx([0.5, 3.3])
    assert len({r.body for r in server.requests}) == 1
    assert len({r.headers["x-client-request-id"] for r in server.requests}) == 1
    assert [r.headers["x-attempt"] for r in server.requests] == ["1", "2", "3"]


def test_waits_are_events_and_the_long_ones_warnings(caplog):
    replies = [refused(500), refused(500, None, "Retry-After-Ms: 1500", "Retry-After: 9"), streamed()]
    with (
        byte_server(serve(*replies)) as server,
        make(server, retry=instantly()) as client,
        caplog.at_level(logging.WARNING, "agentkit"),
    ):
        events = list(client.stream_sync(BODY))
    assert [type(e) for e in events] == [RetryWaiting, RetryWaiting, TextDelta, ResponseFinished]
    assert [(e.attempt, e.wait_s) for e in events[:2]] == [(1, 0.5), (2, pytest.approx(1.65))]
    assert [record.args[0] for record in caplog.records] == [2]


def test_giving_up_tells_every_attempt():
    with (
        byte_server(serve(refused(500))) as server,
        make(server, retry=instantly()) as client,
        pytest.raises(ServerError) as caught,
    ):
        client.respond_sync(BODY)
    assert [(a.number, a.wait_s) for a in caught.value.attempts] == [(1, 0.5), (2, 1.0), (3, 2.0), (4, None)]
    assert caught.value.attempts[-1].error is caught.value


def test_a_broken_stream_is_discarded_and_begun_again():
    broken = once(STREAM_HEAD, chunk(OPENED + delta("Hel")), lambda c: c.reset())
    with byte_server(broken, serve(streamed("Hello"))) as server, make(server, retry=instantly()) as client:
        events = list(client.stream_sync(BODY))
    assert [type(e) for e in events] == [TextDelta, AttemptDiscarded, RetryWaiting, TextDelta, ResponseFinished]
    assert (events[0].text, events[3].text, events[4].response.output_text) == ("Hel", "Hello", "Hello")


@pytest.mark.parametrize(
    "tail",
    [b"", b"data: [DONE]\n\n", b"data: {nonsense\n\n", b'{"error": "oops"}\n'],
    ids=["end", "done", "bad", "stray"],
)
def test_a_stream_without_its_terminal_event_is_no_answer(tail):
    reply = once(STREAM_HEAD, chunk(OPENED + delta("Hel") + tail), LAST_CHUNK)
    with (
        byte_server(reply) as server,
        make(server, retry=RetryPolicy.none()) as client,
        pytest.raises((StreamBroken, ProtocolError)),
    ):
        list(client.stream_sync(BODY))


def test_an_error_event_is_retried_by_its_code():
    failed = STREAM_HEAD + chunk(event("error", code="server_error", message="oh")) + LAST_CHUNK
    with byte_server(serve(failed, streamed())) as server, make(server, retry=instantly()) as client:
        assert events_of(client) == ["RetryWaiting", "Hi", "ResponseFinished"]
    failed = STREAM_HEAD + chunk(event("error", code="invalid_prompt", message="oh")) + LAST_CHUNK
    with (
        byte_server(serve(failed)) as server,
        make(server, retry=instantly()) as client,
        pytest.raises(BadRequest, match="code invalid_prompt: oh"),
    ):
        events_of(client)


FAILED = {"status": "failed", "error": {"code": "server_error", "message": "oh"}, "output": []}


@pytest.mark.parametrize("stream", [False, True])
def test_a_failed_response_is_retried_and_comes_back_in_the_end(stream):
    whole = http(200, json.dumps(FAILED).encode(), "Retry-After: 2")
    failed = (STREAM_HEAD + chunk(event("response.failed", response=FAILED)) + LAST_CHUNK) if stream else whole
    waits = []
    with byte_server(serve(failed)) as server, make(server, retry=instantly(waits)) as client:
        assert client.respond_sync(BODY).status == "failed"
    assert len(server.requests) == 4
    assert waits == pytest.approx([0.5, 1.0, 2.0] if stream else [2.2, 2.2, 2.2])


def test_a_failed_response_with_a_final_code_comes_back_at_once():
    final = {**FAILED, "error": {"code": "invalid_prompt", "message": "no"}}
    with byte_server(serve(http(200, json.dumps(final).encode()))) as server, make(server) as client:
        assert client.respond_sync(BODY).error == {"code": "invalid_prompt", "message": "no"}
    assert len(server.requests) == 1


def test_two_resamples_of_an_unreadable_call():
    with (
        byte_server(serve(refused(400, "adapter_mapping_failed"))) as server,
        make(server, retry=instantly()) as client,
        pytest.raises(BadRequest),
    ):
        client.respond_sync(BODY)
    assert len(server.requests) == 3


def test_a_client_without_budget_left_fails_at_once():
    """Four requests that fail four times each would be sixteen."""
    policy = instantly(budget_ratio=0.5, budget_burst=2)
    with byte_server(serve(refused(503))) as server, make(server, retry=policy) as client:
        left, sent = [], []
        for _ in range(4):
            with pytest.raises(ServerError):
                client.respond_sync(BODY)
            left.append(client.stats.retries_left)
            sent.append(len(server.requests))
    assert (left, sent) == ([0.0, 0.5, 0.0, 0.5], [3, 4, 6, 7])


def test_complaints_of_the_server_lower_the_concurrency_and_answers_raise_it():
    async def main(server):
        async with make(server, retry=instantly(attempts=2, budget_burst=100), max_concurrency=8) as client:
            seen = [client.stats.concurrency]
            await asyncio.gather(*(client.respond(BODY) for _ in range(8)))
            seen.append(client.stats.concurrency)
            await asyncio.gather(*(client.respond(BODY) for _ in range(60)))
            return [*seen, client.stats.concurrency, client.stats.failures]

    with byte_server(serve(refused(429, "queue_full"), plain())) as server:
        before, after, later, failures = asyncio.run(main(server))
    assert (before, later) == (8, 8)
    assert 2 <= after <= 7
    assert failures >= 8


def test_a_complaint_within_an_answer_counts():
    failed = {"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow"}, "output": []}
    with (
        byte_server(serve(http(200, json.dumps(failed).encode()))) as server,
        make(server, retry=RetryPolicy.none(), max_concurrency=8) as client,
    ):
        client.respond_sync(BODY)
        assert client.stats.concurrency == 4


def test_cancelling_a_wait():
    waiting = asyncio.Event()

    async def sleep(seconds):
        waiting.set()
        await asyncio.Event().wait()

    async def main(server):
        async with make(server, retry=RetryPolicy(sleep=sleep)) as client:
            task = asyncio.create_task(client.respond(BODY))
            await waiting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert client.stats.in_flight == 0

    with byte_server(serve(refused(503))) as server:
        asyncio.run(main(server))


# Keys


def test_a_key_from_a_function_is_fetched_anew_when_refused():
    keys = iter(["old", "new"])

    async def key():
        return next(keys)

    with byte_server(serve(refused(401), plain())) as server, make(server, key, retry=instantly()) as client:
        assert client.respond_sync(BODY).output_text == "Hi"
    assert [r.headers["authorization"] for r in server.requests] == ["Bearer old", "Bearer new"]


def test_a_refused_key_is_fetched_anew_only_once():
    with (
        byte_server(serve(refused(401))) as server,
        make(server, lambda: "k", retry=instantly()) as client,
        pytest.raises(AuthenticationError),
    ):
        client.respond_sync(BODY)
    assert len(server.requests) == 2
    with (
        byte_server(serve(refused(401))) as server,
        make(server, "k", retry=instantly()) as client,
        pytest.raises(AuthenticationError),
    ):
        client.respond_sync(BODY)
    assert len(server.requests) == 1


def test_no_key_sends_none():
    for key in (None, ""):
        with byte_server(serve(plain())) as server, make(server, key) as client:
            client.respond_sync(BODY)
        assert "authorization" not in server.requests[0].headers


def test_azure_takes_its_keys_in_a_header_of_its_own():
    with byte_server(serve(plain())) as server:
        with make(server, "k", profile="azure") as client:
            client.respond_sync(BODY)
        with make(server, lambda: "token", profile="azure") as client:
            client.respond_sync(BODY)
    first, second = (r.headers for r in server.requests)
    assert (first["api-key"], "authorization" in first) == ("k", False)
    assert second["authorization"] == "Bearer token"


@pytest.mark.parametrize("key", ["secret\n", "secret\r\nX: y", " secret", "secr\u00e9t", "a\x00b"])
def test_keys_that_would_break_a_header(key):
    with pytest.raises(UsageError, match="api_key") as caught:
        Client("http://x/v1", key)
    assert "secr" not in str(caught.value)
    with Client("http://x/v1", lambda: key, trust_env=False) as client, pytest.raises(UsageError, match="api_key"):
        client.respond_sync(BODY)


@pytest.mark.parametrize(
    "base_url", ["http://[::1]:80/v1", "http://b\u00fccher.de/v1", "http://a_b.local:65535", "http://1.2.3.4"]
)
def test_hosts_of_many_kinds(base_url):
    Client(base_url)


def test_a_key_function_that_raises_is_named_and_its_words_are_not():
    def key():
        raise KeyError("sk-secret")

    async def later():
        raise OSError("sk-secret")

    for function, name in ((key, "KeyError"), (later, "OSError")):
        said = rf"api_key\(\) raised {name}"
        with (
            Client("http://x/v1", function, trust_env=False) as client,
            pytest.raises(UsageError, match=said) as caught,
        ):
            client.respond_sync(BODY)
        assert "secret" not in str(caught.value)
        assert type(caught.value.__cause__).__name__ == name


@pytest.mark.parametrize("request_", [3, None, "hi", [BODY]], ids=str)
def test_a_request_that_is_none_is_refused(request_):
    with Client("http://x/v1", trust_env=False) as client:
        for ask in (client.respond_sync, lambda request: list(client.stream_sync(request))):
            with pytest.raises(UsageError, match="the request is a"):
                ask(request_)


def test_the_key_does_not_print():
    client = Client("https://x/v1?api-version=1&key=query-secret", "sk-secret", headers={"x-key": "other-secret"})
    assert repr(client) == "Client('https://x/v1?***', api_key='***', profile='other')"


# Options


@pytest.mark.parametrize(
    ("base_url", "line"),
    [
        ("", "/responses"),
        ("/v1", "/v1/responses"),
        ("/v1/", "/v1/responses"),
        ("/v1/responses", "/v1/responses"),
        ("/v1/responses/", "/v1/responses"),
        ("/v1?api-version=2025&x=a%20b", "/v1/responses?api-version=2025&x=a%20b"),
        ("/a%2Fb/v1", "/a%2Fb/v1/responses"),
    ],
)
def test_where_requests_go(base_url, line):
    with (
        byte_server(serve(plain())) as server,
        Client(server.url.removesuffix("/v1") + base_url, trust_env=False) as client,
    ):
        client.respond_sync(BODY)
    assert server.requests[0].line == f"POST {line} HTTP/1.1"
    assert server.requests[0].headers["host"] == server.url[len("http://") : -len("/v1")]


@pytest.mark.parametrize(
    ("base_url", "found"),
    [
        ("localhost:8000/v1", "no http or https URL"),
        ("api.sambanova.ai/v1", "no http or https URL"),
        ("", "no http or https URL"),
        ("ftp://user:pw-secret@x/v1", "no http or https URL"),
        ("user:pw-secret@x/v1?key=pw-secret", "no"),
        ("http://", "no http or https URL"),
        ("http://exa mple/v1", "'exa%20mple' is no name of a host"),
        ("http://a<b/v1", "is no name of a host"),
        ("http://x:99999/v1", "port 99999; allowed is 1 to 65535"),
        ("http://x:0/v1", "port 0; allowed"),
        ("http://user:pw-secret@x/v1", "user name or password"),
        ("http://[::1/v1?key=pw-secret", "is no URL"),
        ("http://x\n.y/v1", "is no URL"),
        (None, "a NoneType"),
        (b"http://x", "a bytes"),
        (5, "an? int"),
    ],
)
def test_base_urls_that_are_none(base_url, found):
    with pytest.raises(UsageError, match=found) as caught:
        Client(base_url)
    assert "pw-secret" not in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"x": "a\nb"}},
        {"headers": {"x": " a"}},
        {"headers": {"x y": "a"}},
        {"headers": {"x": 5}},
        {"max_concurrency": 0},
        {"max_concurrency": True},
        {"max_concurrency": 1.5},
        {"reasoning": "all"},
        {"profile": "nobody"},
        {"api_key": 5},
        {"timeouts": 30},
        {"retry": 3},
    ],
    ids=str,
)
def test_senseless_options_are_refused(options):
    with pytest.raises(UsageError):
        Client("http://x/v1", **options)


def test_own_headers_go_before_ours():
    headers = {"User-Agent": "mine", "Authorization": "Basic abc", "X-Team": "blue"}
    with byte_server(serve(plain())) as server, make(server, "key", headers=headers) as client:
        client.respond_sync(BODY)
    sent = server.requests[0].headers
    assert (sent["user-agent"], sent["authorization"], sent["x-team"]) == ("mine", "Basic abc", "blue")
    assert server.requests[0].head.lower().count(b"authorization:") == 1


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Connection"])
def test_headers_that_frame_the_request_are_the_clients_business(name):
    with pytest.raises(UsageError, match="how the request is framed"):
        Client("http://x/v1", headers={name: "3"})


def test_profiles_are_given_or_guessed():
    assert Client("https://api.sambanova.ai/v1").profile.name == "sambanova"
    assert Client("https://me.openai.azure.com/openai/v1").profile.name == "azure"
    assert Client("https://notopenai.com/v1").profile.name == "other"
    assert Client("https://x/v1", profile="openai").profile is OPENAI
    assert Client("https://x/v1", profile=OPENAI).profile is OPENAI


def test_stats_show_rate_limits():
    headers = ["X-RateLimit-Remaining-Requests: 9", "x-ratelimit-limit-requests-day: 100"]
    with byte_server(serve(plain("Hi", *headers))) as server, make(server) as client:
        client.respond_sync(BODY)
        assert client.stats.rate_limits == {"remaining_requests": "9", "limit_requests_day": "100"}


@pytest.mark.parametrize(
    "listed",
    ['{"object": "list", "data": [{"id": "a"}, {"id": "b"}]}', '[{"id": "a"}, {"id": "b"}]', '{"models": ["a", "b"]}'],
)
def test_models(listed):
    with byte_server(serve(http(503), http(200, listed.encode()))) as server, make(server, retry=instantly()) as client:
        assert client.models_sync() == [{"id": "a"}, {"id": "b"}]
    assert [r.line for r in server.requests] == ["GET /v1/models HTTP/1.1"] * 2


def test_models_of_a_server_without():
    with byte_server(serve(refused(404))) as server, make(server) as client, pytest.raises(NotFound, match="GET 127"):
        client.models_sync()
    with (
        byte_server(serve(http(200, b"5"))) as server,
        make(server, retry=RetryPolicy.none()) as client,
        pytest.raises(ProtocolError, match="expected a list of models"),
    ):
        client.models_sync()


def test_a_missing_request_id_is_none():
    with byte_server(serve(plain(), plain("Hi", "X-Request-Id: r1"))) as server, make(server) as client:
        assert client.respond_sync(BODY).request_id is None
        assert client.respond_sync(BODY).request_id == "r1"


# The end


def test_a_closed_client_says_so():
    client = Client("http://x/v1", transport=httpx.MockTransport(lambda _: httpx.Response(200, json=response())))
    assert client.respond_sync(BODY).output_text == "Hi"
    client.close()
    client.close()
    with pytest.raises(UsageError, match="closed"):
        client.respond_sync(BODY)


def test_closing_ends_the_connections_of_all_loops():
    script = once(plain(), lambda c: c.wait_until_closed())

    async def main(server):
        client = make(server)
        await client.respond(BODY)
        await asyncio.to_thread(server.waiting.wait, 1)
        await asyncio.to_thread(client.close)  # on another loop than the connection's
        return await asyncio.to_thread(server.seen_closed.wait, 1)

    with byte_server(script) as server:
        assert asyncio.run(main(server))


def test_a_client_that_is_dropped_closes_its_connections():
    with byte_server(once(plain(), lambda c: c.wait_until_closed())) as server:
        client = make(server)
        client.respond_sync(BODY)
        del client
        gc.collect()
        assert server.seen_closed.wait(1)


def test_closing_the_client_closes_the_given_transport():
    class Transport(httpx.MockTransport):
        closed = 0

        async def aclose(self):
            self.closed += 1

    transport = Transport(lambda _: httpx.Response(200, json=response()))
    with Client("http://x/v1", transport=transport) as client:
        client.respond_sync(BODY)
    assert transport.closed == 1


def test_closing_under_a_request_ends_it():
    async def main(server):
        client = make(server)
        task = asyncio.create_task(client.respond(BODY))
        await asyncio.to_thread(server.waiting.wait, 1)
        await client.aclose()
        with pytest.raises((TransportError, UsageError)):
            await asyncio.wait_for(task, 2)

    with byte_server(once(lambda c: c.wait_until_closed())) as server:
        asyncio.run(main(server))


def test_a_process_that_ends_in_the_middle_of_a_stream():
    code = """
        import sys
        from agentkit import Client
        client = Client(sys.argv[1], trust_env=False)
        stream = client.stream_sync({"model": "m", "input": "hi"})
        print(type(next(stream)).__name__)
    """
    script = once(STREAM_HEAD, chunk(OPENED + delta("H")), lambda c: c.wait_until_closed())
    with byte_server(script) as server:
        command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), server.url]
        run = subprocess.run(command, capture_output=True, text=True, timeout=10, env=os.environ)
    assert (run.returncode, run.stdout, run.stderr) == (0, "TextDelta\n", "")


LEAVES = """
import asyncio, gc, sys
from agentkit import Agent, Client

url, how, end = sys.argv[1:]
client = Client(url, trust_env=False)
agent = Agent(model="m", client=client)
body = {"model": "m", "input": "q"}
RUN = {"run": lambda: agent.stream("q"), "text": lambda: agent.stream("q").text_deltas(),
       "client": lambda: client.stream(body)}[how]

async def leave():
    global RUN
    RUN = RUN()
    async for event in RUN:
        break
    if end == "dropped":
        RUN = None
        gc.collect()
        await asyncio.sleep(0.1)

asyncio.run(leave())
"""


@pytest.mark.parametrize("end", ["kept", "dropped"])
@pytest.mark.parametrize("how", ["run", "text", "client"])
def test_a_stream_that_is_left_ends_with_its_loop_in_silence(how, end):
    """The loop closes all async generators at once, and a garbage collector those of a cycle: both in any order."""
    with byte_server(once(STREAM_HEAD, chunk(OPENED), chunk(delta("Hi")), lambda c: c.wait_until_closed())) as server:
        command = [sys.executable, "-W", "error", "-c", LEAVES, server.url, how, end]
        run = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
