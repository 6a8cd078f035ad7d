"""Groups H and B: statuses, headers and bodies, over real sockets where bytes matter."""

# ruff: noqa: SIM117  (server, client and expectation are three things)

from __future__ import annotations

import json
import logging

import pytest

from agentkit import Agent, Client, ProtocolError, RetryPolicy, Settings, TextDelta, ToolContext, Transcript, tool
from agentkit.errors import RateLimited, StreamBroken
from tests.byte_server import (
    LAST_CHUNK,
    OPENED,
    STREAM_HEAD,
    Connection,
    Received,
    byte_server,
    chunk,
    completed,
    event,
    http,
    once,
    plain,
    refused,
    serve,
)

BODY = {"model": "m", "input": "hi"}


def waiting(waits: list[float]) -> RetryPolicy:
    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    return RetryPolicy(sleep=sleep, random=lambda: 1.0)


def ask(*replies: bytes, stream: bool = False) -> tuple[object, list[float], list[Received]]:
    """Return what came of a request, the waits, and what the server received."""
    waits: list[float] = []
    left = list(replies)

    def script(connection: Connection) -> None:
        while connection.request() is not None:
            connection.send(left.pop(0) if len(left) > 1 else left[0])

    with byte_server(script) as server:
        with Client(server.url, "sk-very-secret", retry=waiting(waits), trust_env=False) as client:
            try:
                if stream:
                    result: object = list(client.stream_sync(BODY))
                else:
                    result = client.respond_sync(BODY).output_text
            except Exception as exc:  # noqa: BLE001
                result = exc
    return result, waits, server.requests


# H


def test_a_date_to_wait_for_counts_from_the_servers_own_clock() -> None:
    headers = ["Date: Sun, 06 Nov 1994 08:49:30 GMT", "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT"]
    result, waits, _ = ask(refused(429, None, *headers), plain())
    assert (result, waits) == ("Hi", [pytest.approx(7.7)])


@pytest.mark.parametrize(
    "reply",
    [
        http(200, b"<html>hello</html>", kind="text/html"),
        http(204),
        http(200),
        b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
        http(200, b'{"id": "x", "output": null}'),
        http(200, b"{'output': []}"),
        http(200, b'{"output": []} trailing'),
        plain(status="in_progress"),
    ],
    ids=["html", "204", "empty", "205", "output null", "single quotes", "trailing", "in progress"],
)
def test_what_breaks_the_protocol_is_asked_for_once_more(reply: bytes) -> None:
    result, waits, requests = ask(reply)
    assert isinstance(result, ProtocolError)
    assert (len(requests), waits) == (2, [0.5])
    result, _, _ = ask(reply, plain())
    assert result == "Hi"


def test_the_place_of_a_mistake_in_the_json_is_named() -> None:
    result, _, _ = ask(http(200, b'{"output": [}'))
    assert "character 12" in str(result)


def test_a_redirect_to_itself_is_followed_no_more_than_any_other() -> None:
    with byte_server(serve(http(307, b"", "Location: /v1/responses"))) as server:
        with Client(server.url, retry=RetryPolicy.none(), trust_env=False) as client:
            with pytest.raises(ProtocolError, match="pointing to the same host"):
                client.respond_sync(BODY)
    assert len(server.requests) == 1


def test_ten_thousand_headers_are_too_many() -> None:
    headers = b"".join(b"X-Number-%d: y\r\n" % number for number in range(10_000))
    with byte_server(once(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n{}")) as server:
        with Client(server.url, retry=RetryPolicy.none(), trust_env=False) as client:
            with pytest.raises(ProtocolError, match="headers of the answer are too long"):
                client.respond_sync(BODY)


def test_a_servers_line_ends_stay_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A bare CR isn't a header's end to everyone."""
    result, _, _ = ask(http(503, b"oh\r\nERROR forged", "X-Request-Id: a\rERROR: forged", kind="text/plain"))
    assert isinstance(result, Exception)
    assert "\r" not in str(result)
    assert "\n" not in str(result)
    assert not any(line.startswith("ERROR") for line in caplog.text.splitlines())


def test_the_first_event_may_say_that_there_were_too_many_requests() -> None:
    failed = {"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow"}, "output": []}
    head = STREAM_HEAD.replace(b"\r\n\r\n", b"\r\nRetry-After: 7\r\n\r\n")
    limited = head + chunk(event("response.failed", response=failed)) + LAST_CHUNK
    result, waits, _ = ask(limited, plain(), stream=True)
    assert [type(e).__name__ for e in result] == ["RetryWaiting", "TextDelta", "ResponseFinished"]  # type: ignore[attr-defined]
    assert waits == [pytest.approx(7.7)]


def test_an_hour_is_not_waited_for() -> None:
    result, waits, _ = ask(refused(429, None, "Retry-After: 3600"))
    assert isinstance(result, RateLimited)
    assert (result.retry_after_s, waits) == (3600.0, [])


# B


def test_what_encodings_are_asked_for() -> None:
    _, _, requests = ask(plain())
    assert requests[0].headers["accept-encoding"] == "gzip"


UNREADABLE = {
    "NaN": b'{"output": [], "x": NaN}',
    "infinity": b'{"output": [], "x": -Infinity}',
    "1e999": b'{"output": [], "x": 1e999}',
    "deep": b'{"output": [], "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "5,000 digits": b'{"output": [], "x": ' + b"9" * 5000 + b"}",
    "UTF-8": b'{"output": [], "x": "\xff"}',
    "cut": b'{"output": [], "x": ',
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_json_that_isnt_any_is_a_typed_error(body: bytes, stream: bool) -> None:
    framed = STREAM_HEAD + chunk(b'data: {"type": "response.completed", "response": ' + body + b"}\n\n") + LAST_CHUNK
    result, _, requests = ask(framed if stream else http(200, body), stream=stream)
    assert isinstance(result, StreamBroken if stream else ProtocolError)
    assert len(requests) == (4 if stream else 2)  # a stream may have been cut; a plain answer came whole


def test_of_equal_keys_the_last_counts_in_both_modes() -> None:
    body = (
        b'{"status": "failed", "status": "completed", "output": [{"type": "message", "content": "a", "content": "b"}]}'
    )
    framed = STREAM_HEAD + chunk(b'data: {"type": "response.completed", "response": ' + body + b"}\n\n") + LAST_CHUNK
    assert ask(http(200, body))[0] == "b"
    assert ask(framed)[0] == "b"


@pytest.mark.parametrize("odd", ["a\x00b", "\ud800", "\u2028 \x85 \ufeff", "😀\u202e"])
def test_odd_text_goes_there_and_back_and_into_a_file(odd: str) -> None:
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": odd, "new": odd}]}
    whole = http(200, json.dumps({"output": [message]}).encode())
    with byte_server(serve(whole)) as server, Client(server.url, trust_env=False) as client:
        agent = Agent(model="m", client=client)
        first = agent.run_sync("hi")
        kept = Transcript.from_json(first.transcript.to_json())
        agent.run_sync("go on", transcript=kept)
    assert first.output == odd
    assert json.loads(server.requests[1].body)["input"][1] == message
    assert first.transcript.to_json().encode()


def test_what_is_unknown_is_kept_sent_back_and_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    unknown = {"type": "hologram", "id": "h", "depth": 1.0, "mood": "new", "more": [{"x": None}]}
    asked = {
        "type": "function_call",
        "id": "f",
        "call_id": "c",
        "name": "f",
        "arguments": "{ }",
        "status": "odd",
        "z": 1,
    }
    first = {"status": "completed", "new_field": 1, "output": [unknown, asked]}
    again = {"status": "completed", "output": [unknown, {**asked, "call_id": "d"}]}
    replies = [http(200, json.dumps(body).encode()) for body in (first, again)]

    @tool
    def f() -> str:
        return "ok"

    with byte_server(serve(*replies, plain())) as server, Client(server.url, trust_env=False) as client:
        with caplog.at_level(logging.WARNING, "agentkit"):
            result = Agent(model="m", tools=[f], client=client).run_sync("hi")
    assert result.output == "Hi"
    sent = json.loads(server.requests[1].body)["input"]
    assert sent[1:3] == [unknown, asked]
    assert [record.getMessage() for record in caplog.records] == [
        "items of unknown types, kept and sent back as they came: hologram"
    ]


def test_the_model_that_answered_is_recorded_beside_the_one_asked_for() -> None:
    with byte_server(serve(plain(model="m-2026-11-01"))) as server, Client(server.url, trust_env=False) as client:
        result = Agent(model="m", client=client).run_sync("hi")
    assert json.loads(server.requests[0].body)["model"] == "m"
    entry = Transcript.from_json(result.transcript.to_json()).entries[-1]
    assert entry.response.model == "m-2026-11-01"  # type: ignore[union-attr]


def test_a_response_id_that_comes_again_overwrites_nothing() -> None:
    """A proxy that replays: the same ids on every turn."""
    keys: list[str] = []

    @tool
    def pay(ctx: ToolContext[None], amount: int) -> str:
        keys.append(ctx.idempotency_key)
        return f"paid {amount}"

    item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "pay", "arguments": '{"amount": 5}'}
    same = http(200, json.dumps({"id": "resp_1", "status": "completed", "output": [item]}).encode())
    with byte_server(serve(same, same, plain())) as server, Client(server.url, trust_env=False) as client:
        result = Agent(model="m", tools=[pay], client=client).run_sync("hi")
    assert [made.output for made in result.tool_calls] == ["paid 5", "paid 5"]
    assert len(set(keys)) == 2
    assert [item.get("call_id") for item in json.loads(server.requests[2].body)["input"][1:]] == [
        "call_1",
        "call_1",
        "call_1-2",
        "call_1-2",
    ]


@pytest.mark.parametrize("usage", [None, "many", {"input_tokens": None, "output_tokens": "7"}, {"input_tokens": -1}])
def test_a_usage_that_cannot_be_read_is_unknown_and_not_zero(usage: object) -> None:
    with byte_server(serve(plain(usage=usage))) as server, Client(server.url, trust_env=False) as client:
        result = Agent(model="m", client=client).run_sync("hi")
    assert (result.usage.input_tokens, result.usage.output_tokens, result.usage.unreported) == (None, None, 1)


def test_a_stream_is_accepted_in_pieces_of_one_byte() -> None:
    body = OPENED + completed()
    pieces = b"".join(chunk(body[i : i + 1]) for i in range(len(body)))
    result, _, _ = ask(STREAM_HEAD + pieces + LAST_CHUNK, stream=True)
    assert "".join(e.text for e in result if isinstance(e, TextDelta)) == "Hi"  # type: ignore[attr-defined]


def test_a_call_of_a_failed_response_is_not_run() -> None:
    ran: list[int] = []

    @tool
    def f() -> None:
        ran.append(1)

    item = {"type": "function_call", "id": "f", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"}
    failed = {"status": "failed", "error": {"code": "content_policy", "message": "no"}, "output": [item]}
    events = event("response.output_item.done", output_index=0, item=item) + event("response.failed", response=failed)
    with byte_server(serve(STREAM_HEAD + chunk(events) + LAST_CHUNK)) as server:
        with Client(server.url, trust_env=False) as client:
            with pytest.raises(Exception, match="no"):
                Agent(model="m", tools=[f], client=client, settings=Settings(stream=True)).run_sync("hi")
    assert ran == []


def test_a_call_that_was_cut_off_is_not_run_in_either_mode() -> None:
    ran: list[int] = []

    @tool
    def f(x: int) -> None:
        ran.append(x)

    item = {
        "type": "function_call",
        "id": "f",
        "call_id": "c",
        "name": "f",
        "arguments": '{"x": 1',
        "status": "incomplete",
    }
    cut = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": [item]}
    events = event("response.output_item.done", output_index=0, item=item) + event("response.incomplete", response=cut)
    for whole in (http(200, json.dumps(cut).encode()), STREAM_HEAD + chunk(events) + LAST_CHUNK):
        with byte_server(serve(whole)) as server, Client(server.url, trust_env=False) as client:
            with pytest.raises(Exception, match="max_output_tokens"):
                Agent(model="m", tools=[f], client=client).run_sync("hi")
    assert ran == []
