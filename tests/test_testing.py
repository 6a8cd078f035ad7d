"""ScriptedModel as an httpx transport, and block_live."""

import asyncio
import socket
import threading
import urllib.request
from pathlib import Path

import httpx
import pytest

from agentkit import Agent, testing
from agentkit.errors import CassetteError, CassetteMismatch, UsageError
from agentkit.testing import (
    OPEN_RESPONSES,
    LiveCallBlocked,
    RecordedModel,
    ScriptedModel,
    block_live,
    call,
    cut,
    disconnect,
    failure,
    hold,
    text,
)

URL = "http://scripted.test/v1/responses"
BODY = {"model": "m", "input": "hi"}
# TEST-NET-3, RFC 5737: nobody answers there
REMOTE = "203.0.113.7"


def post(model, **body):
    async def go():
        async with httpx.AsyncClient(transport=model) as client:
            return await client.post(URL, json={**BODY, **body})

    return asyncio.run(go())


def test_a_plain_answer():
    model = ScriptedModel(["Hi"])
    response = post(model)
    assert response.status_code == 200
    assert response.json()["output"][0]["content"][0]["text"] == "Hi"
    assert model.requests == [{"model": "m", "input": "hi"}]


def test_a_function_sees_the_request():
    model = ScriptedModel(lambda request: f"{request.turn}: {request.last_text}")
    assert post(model).json()["output"][0]["content"][0]["text"] == "0: hi"


def test_each_event_is_a_chunk():
    async def go():
        async with (
            httpx.AsyncClient(transport=ScriptedModel([call("f", {"a": 1})])) as client,
            client.stream("POST", URL, json={**BODY, "stream": True}) as response,
        ):
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            return [chunk.split(b"\n")[0].decode() async for chunk in response.aiter_raw()]

    assert asyncio.run(go()) == [
        "event: response.created",
        "event: response.in_progress",
        "event: response.output_item.added",
        "event: response.function_call_arguments.delta",
        "event: response.function_call_arguments.delta",
        "event: response.function_call_arguments.delta",
        "event: response.function_call_arguments.delta",
        "event: response.function_call_arguments.delta",
        "event: response.function_call_arguments.done",
        "event: response.output_item.done",
        "event: response.completed",
    ]


def test_the_first_delta_arrives_while_the_server_is_held():
    gate = threading.Event()

    async def go():
        seen = []
        async with (
            httpx.AsyncClient(transport=ScriptedModel([text("Hel", hold(gate), "lo")])) as client,
            client.stream("POST", URL, json={**BODY, "stream": True}) as response,
        ):
            async for chunk in response.aiter_raw():
                if b".delta" in chunk:
                    seen.append(gate.is_set())
                    gate.set()
        return seen

    assert asyncio.run(go()) == [False, True]


def test_a_cut_is_a_read_error():
    async def go():
        async with (
            httpx.AsyncClient(transport=ScriptedModel([["Hi", cut(at=2)]])) as client,
            client.stream("POST", URL, json={**BODY, "stream": True}) as response,
        ):
            async for chunk in response.aiter_raw():
                got.append(chunk)  # noqa: PERF401 - what came before the cut counts

    got = []
    with pytest.raises(httpx.ReadError, match="connection reset by the script"):
        asyncio.run(go())
    assert len(got) == 2


def test_an_end_without_reset_looks_whole():
    response = post(ScriptedModel([["Hi", cut(at=1, reset=False)]]), stream=True)
    assert response.text.count("data: ") == 1


def test_disconnect_is_a_protocol_error_of_the_connection():
    with pytest.raises(httpx.RemoteProtocolError):
        post(ScriptedModel([disconnect()]))


def test_a_reader_may_leave_in_the_middle():
    async def go():
        transport = ScriptedModel([text("Hel", hold(threading.Event()), "lo"), "Hi"])
        async with httpx.AsyncClient(transport=transport) as client:
            async with client.stream("POST", URL, json={**BODY, "stream": True}) as response:
                async for _ in response.aiter_raw():
                    break
            return (await client.post(URL, json=BODY)).status_code

    assert asyncio.run(go()) == 200


def test_a_held_answer_can_be_cancelled():
    async def go():
        async with httpx.AsyncClient(transport=ScriptedModel([["Hi", hold(threading.Event(), at=0)]])) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.post(URL, json=BODY), 0.02)

    asyncio.run(go())


def test_failures_have_their_headers():
    response = post(ScriptedModel([failure(429, code="queue_full", headers={"Retry-After": "3"})]))
    assert (response.status_code, response.headers["retry-after"]) == (429, "3")


def test_an_exception_of_the_script_reaches_the_caller():
    def model(request):
        assert request["input"] == "something else"

    with pytest.raises(AssertionError, match="something else"):
        post(ScriptedModel(model))


def test_ids_are_predictable():
    response = post(ScriptedModel([call("f")])).json()
    assert response["id"] == "resp_1"
    assert (response["output"][0]["id"], response["output"][0]["call_id"]) == ("fc_1", "call_1")


def test_client_is_a_client_of_this_model():
    async def go():
        async with model.client(api_key="k") as client:
            await client.respond({"model": "m", "input": "hi"})

    model = ScriptedModel(["Hi"])
    asyncio.run(go())
    assert model.requests[0].headers["host"] == "scripted.test"
    assert model.requests[0].headers["authorization"] == "Bearer k"


def test_rules():
    given = [{"role": "user", "content": [{"type": "input_file", "file_id": "x"}]}]
    assert post(ScriptedModel(["Hi"]), input=given).status_code == 400
    assert post(ScriptedModel(["Hi"], rules=OPEN_RESPONSES), input=given).status_code == 200
    assert post(ScriptedModel(["Hi"], rules=None), input=[]).status_code == 200


def test_two_event_loops_and_threads():
    model = ScriptedModel(lambda request: request.last_text)
    wrong = []

    def run(name):
        for asked in (f"{name}{number}" for number in range(50)):
            said = post(model, input=asked).json()["output"][0]["content"][0]["text"]
            if said != asked:
                wrong.append((asked, said))

    threads = [threading.Thread(target=run, args=(name,)) for name in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_all_is_sorted_and_there():
    assert (
        sorted(testing.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)) == testing.__all__
    )
    assert all(hasattr(testing, name) for name in testing.__all__)


# block_live


def connect(host):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.settimeout(0.2)
        sock.connect((host, 9))


def send(host):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", (host, 9))


def send_message(host):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendmsg([b"x"], [], 0, (host, 9))


def fetch(host):
    with urllib.request.urlopen(f"http://{host}:9/", timeout=0.2):
        pass


def fetch_httpx(host):
    httpx.get(f"http://{host}:9/", timeout=0.2, trust_env=False)


def fetch_async(host):
    async def go():
        async with httpx.AsyncClient(timeout=0.2, trust_env=False) as client:
            await client.get(f"http://{host}:9/")

    asyncio.run(go())


def open_connection(host):
    asyncio.run(asyncio.open_connection(host, 9))


@pytest.mark.parametrize("host", [REMOTE, "example.com"])
@pytest.mark.parametrize(
    "attempt",
    [connect, send, send_message, fetch, fetch_httpx, fetch_async, open_connection],
)
def test_live_attempts_are_refused(attempt, host):
    with block_live(), pytest.raises(LiveCallBlocked) as caught:
        attempt(host)
    assert caught.value.host == host
    assert str(caught.value) == (
        f"a connection to '{host}' was attempted under block_live(). "
        "Give the agent a scripted model or a cassette, or leave block_live() to go live."
    )


def test_a_look_up_is_refused():
    with block_live(), pytest.raises(LiveCallBlocked):
        socket.gethostbyname("example.com")


def test_it_is_a_usage_error():
    assert issubclass(LiveCallBlocked, UsageError)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "0.0.0.0", "::ffff:127.0.0.1"])
def test_this_machine_is_allowed(host):
    """Nobody listens on the port, or there is no such family; either way the operating system says so."""
    with block_live(), pytest.raises(OSError):
        connect(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_can_be_refused_too(host):
    with block_live(allow_loopback=False), pytest.raises(LiveCallBlocked):
        connect(host)


def test_a_loopback_server_works():
    async def serve(reader, writer):
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    async def go():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(f"http://127.0.0.1:{port}/")).text

    with block_live():
        assert asyncio.run(go()) == "ok"


def test_files_as_sockets_are_allowed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server, block_live(allow_loopback=False):
        server.bind("s")
        server.listen()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect("s")


def test_a_scripted_model_is_allowed():
    with block_live(allow_loopback=False):
        assert post(ScriptedModel(["Hi"])).status_code == 200


def touched():
    return (
        "connect" in vars(socket.socket),
        "sendto" in vars(socket.socket),
        socket.getaddrinfo.__module__,
        hasattr(socket.getaddrinfo, "__wrapped__"),
    )


def test_everything_is_put_back():
    before = (touched(), socket.getaddrinfo, socket.gethostbyname)
    with block_live():
        assert "connect" in vars(socket.socket)
    assert (touched(), socket.getaddrinfo, socket.gethostbyname) == before


def test_blocks_nest_and_the_strictest_counts():
    with block_live():
        with block_live(allow_loopback=False), pytest.raises(LiveCallBlocked):
            connect("127.0.0.1")
        with pytest.raises(OSError):
            connect("127.0.0.1")
        with pytest.raises(LiveCallBlocked):
            connect(REMOTE)
    assert "connect" not in vars(socket.socket)


def test_blocks_of_threads_may_overlap_in_any_order():
    first, second = block_live(), block_live(allow_loopback=False)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    with pytest.raises(LiveCallBlocked):
        connect("127.0.0.1")
    second.__exit__(None, None, None)
    assert "connect" not in vars(socket.socket)


def test_what_others_replaced_meanwhile_stays(monkeypatch):
    def theirs(*args, **kwargs):
        return ["theirs"]

    with block_live():
        socket_getaddrinfo = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", theirs)
    assert socket.getaddrinfo is theirs
    # ours, if they call it, passes through
    assert socket_getaddrinfo("127.0.0.1", 9)


def test_it_decorates_functions():
    @block_live()
    def attempt():
        connect(REMOTE)

    with pytest.raises(LiveCallBlocked):
        attempt()
    assert "connect" not in vars(socket.socket)


def test_it_decorates_async_functions():
    @block_live()
    async def attempt(host, *, extra=0):
        """Try."""
        await asyncio.sleep(0)
        connect(host)

    assert attempt.__doc__ == "Try."
    with pytest.raises(LiveCallBlocked):
        asyncio.run(attempt(REMOTE, extra=1))
    assert "connect" not in vars(socket.socket)


def test_an_error_inside_is_passed_on():
    with pytest.raises(ValueError, match="mine"), block_live():
        raise ValueError("mine")
    assert "connect" not in vars(socket.socket)


# A recorded model

HELLO = Path(__file__).parent.parent / "cassettes" / "examples" / "01_hello.yaml"


@pytest.mark.parametrize("times", [1, 2])
def test_a_recorded_model_answers_what_was_asked_then_as_often_as_it_takes(times):
    client = RecordedModel(HELLO).client()
    agent = Agent(model="gpt-oss-120b", instructions="Answer in one sentence.")
    for _ in range(times):
        assert agent.run_sync("Hello!", client=client).output == "Hello! Ask me anything."
    with agent.stream_sync("Hello!", client=client) as run:
        assert "".join(run.text_deltas()) == "Hello! Ask me anything."


def test_a_recorded_model_refuses_what_was_not_asked():
    agent = Agent(model="gpt-oss-120b", instructions="Answer in one sentence.")
    with pytest.raises(CassetteMismatch, match=r"\[-Hello-\]\{\+Goodbye\+\}"):
        agent.run_sync("Goodbye!", client=RecordedModel(HELLO).client())


def test_a_recorded_model_names_a_file_that_is_none(tmp_path):
    with pytest.raises(CassetteError, match=r"nothing\.yaml"):
        RecordedModel(tmp_path / "nothing.yaml")
