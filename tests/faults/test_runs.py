"""Groups S, T and X where a whole run shows them: readers that leave, calls that repeat, tools that change."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator

import httpx
import pytest

from agentkit import Agent, AttemptDiscarded, Client, Limits, Refused, Settings, TextDelta, Toolset, tool
from agentkit.testing import ScriptedModel, call, cut, hold, refusal, text
from tests.byte_server import OPENED, completed, delta, event
from tests.faults.virtual_time import run

BODY = {"model": "m", "input": "hi"}


class Chunks(httpx.AsyncByteStream):
    """A body that counts what was taken of it, and notes that it was closed."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks
        self.taken = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._chunks:
            self.taken += 1
            yield piece

    async def aclose(self) -> None:
        self.closed = True


def client_of(*bodies: Chunks) -> Client:
    left = list(bodies)
    headers = {"content-type": "text/event-stream"}
    answer = httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, stream=left.pop(0)))
    return Client("http://x/v1", transport=answer)


async def fail_at_the_first(stream: AsyncIterator[object]) -> None:
    async for _ in stream:
        raise ZeroDivisionError


# Streams


def test_a_slow_reader_holds_the_server_up_and_nothing_piles_up() -> None:
    body = Chunks(OPENED, *(delta("x") for _ in range(1000)), completed("x" * 1000))

    async def main() -> None:
        async with client_of(body) as client:
            seen = 0
            async for _ in client.stream(BODY):
                seen += 1
                assert body.taken <= seen + 1  # the event that opens the item shows nothing
                await asyncio.sleep(10)  # in virtual time: past every deadline in the end

    run(main)


@pytest.mark.parametrize("leave", ["break", "raise", "drop"])
def test_a_reader_that_leaves_ends_the_response(leave: str) -> None:
    body = Chunks(OPENED, delta("a"), delta("b"), completed("ab"))

    async def main() -> None:
        client = client_of(body)
        stream = client.stream(BODY)
        if leave == "raise":
            with pytest.raises(ZeroDivisionError):
                await fail_at_the_first(stream)
        else:
            async for _ in stream:
                break
        if leave == "drop":
            del stream
        else:
            await stream.aclose()
        await asyncio.sleep(0.5)
        assert (body.closed, body.taken, client.stats.in_flight) == (True, 2, 0)

    run(main)


def test_a_cancel_between_the_last_delta_and_the_end_leaves_the_conversation_as_it_was() -> None:
    async def main() -> None:
        gate = asyncio.Event()
        model = ScriptedModel([text("Hello", hold(gate))])
        going = Agent(model="m").stream("?", client=model.client())
        while not isinstance(await anext(going), TextDelta):
            pass
        waiting = asyncio.create_task(anext(going))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await waiting
        assert [entry.items for entry in caught.value.transcript.entries] == [  # type: ignore[attr-defined]
            [{"type": "message", "role": "user", "content": "?"}]
        ]
        await going.aclose()

    asyncio.run(main())


def test_the_first_of_two_ends_counts() -> None:
    failed = {"status": "failed", "error": {"code": "server_error", "message": "no"}, "output": []}
    body = Chunks(OPENED, delta("Hi"), completed("Hi") + event("response.failed", response=failed), delta("more"))

    async def main() -> str:
        async with client_of(body) as client:
            return (await client.respond(BODY)).output_text

    assert run(main) == "Hi"


def test_the_words_of_a_broken_attempt_never_join_the_next_ones() -> None:
    model = ScriptedModel([text("Once upon", cut()), "Hello"])
    with Agent(model="m").stream_sync("?", client=model.client()) as going:
        said: list[str] = []
        for seen in going:
            if isinstance(seen, AttemptDiscarded):
                said.clear()
            elif isinstance(seen, TextDelta):
                said.append(seen.text)
    assert "".join(said) == going.result.output == "Hello"


# Calls


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.mark.parametrize("call_id", ["call_1", "", "x" * 10_000, "a'b\"c\nd"], ids=["again", "empty", "10 KB", "odd"])
def test_calls_of_two_turns_under_one_id_are_both_run_and_answered(call_id: str) -> None:
    asked = [[call("add", {"a": n, "b": n}, call_id=call_id)] for n in (1, 2)]
    model = ScriptedModel([*asked, "done"], rules=None)
    result = Agent(model="m", tools=[add]).run_sync("?", client=model.client())
    assert [made.output for made in result.tool_calls] == ["2", "4"]
    sent = model.requests[2]["input"][1:]
    ids = [item["call_id"] for item in sent]
    assert ids[0] == ids[1]
    assert ids[2] == ids[3]
    assert ids[0] != ids[2]
    assert all(0 < len(given) <= 64 for given in ids)
    assert [item["output"] for item in sent[1::2]] == ["2", "4"]
    assert result.transcript.entries[1].call_ids == (call_id,)


def test_a_thousand_calls_run_the_allowed_ones_and_answer_all() -> None:
    most = now = 0
    lock = threading.Lock()

    @tool
    def count(n: int) -> int:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        with lock:
            now -= 1
        return n

    model = ScriptedModel([[call("count", {"n": n}) for n in range(1000)], "done"], rules=None)
    result = Agent(model="m", tools=[count]).run_sync("?", client=model.client())
    outcomes = [made.outcome for made in result.tool_calls]
    assert (outcomes.count("ok"), outcomes.count("not_run")) == (64, 936)
    assert most <= 64
    answered = [item["call_id"] for item in model.requests[1]["input"] if item["type"] == "function_call_output"]
    assert len(set(answered)) == 1000


def test_a_tool_that_the_turn_does_not_allow_is_not_run() -> None:
    ran: list[int] = []

    @tool
    def secret() -> None:
        ran.append(1)

    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "add"}]}
    model = ScriptedModel([[call("secret", {})], "done"], rules=None)
    agent = Agent(model="m", tools=[add, secret])
    result = agent.run_sync("?", client=model.client(), settings=Settings(tool_choice=allowed))
    assert (ran, result.tool_calls[0].outcome) == ([], "not_run")
    assert "allowed are add" in result.tool_calls[0].output


def test_the_same_call_for_ever_is_stopped_by_the_limit() -> None:
    model = ScriptedModel([[call("add", {"a": 1, "b": 1})]] * 50)
    with pytest.raises(Exception, match="tool_calls: 5 made"):
        Agent(model="m", tools=[add]).run_sync("?", client=model.client(), limits=Limits(tool_calls=5))
    assert len(model.requests) == 6


def test_a_refusal_beside_a_call_runs_the_call_first() -> None:
    model = ScriptedModel([[call("add", {"a": 1, "b": 1}), refusal("I'd rather not.")], [refusal("No.")]], rules=None)
    with pytest.raises(Refused) as caught:
        Agent(model="m", tools=[add]).run_sync("?", client=model.client())
    assert caught.value.refusal == "No."
    assert json.dumps(caught.value.transcript.items).count("function_call_output") == 1  # type: ignore[union-attr]


# Tools


def test_a_run_keeps_the_tools_that_it_began_with() -> None:
    """A notebook cell that is run again defines the tool anew, while the model is still thinking."""

    def version(number: int) -> object:
        @tool(name="which")
        def which() -> int:
            return number

        return which

    tools = [version(1)]

    async def main() -> str:
        def answer(request: object) -> object:
            tools[:] = [version(2)]
            return [call("which", {})] if len(model.requests) == 1 else "done"

        model = ScriptedModel(answer)
        result = await Agent(model="m", tools=tools).run("?", client=model.client())
        return result.tool_calls[0].output

    assert asyncio.run(main()) == "1"


def test_what_a_tool_prints_goes_where_prints_go_and_nowhere_else(capsys: pytest.CaptureFixture[str]) -> None:
    @tool
    def chatty() -> str:
        print("hello from the tool")
        return "ok"

    model = ScriptedModel([[call("chatty", {})], "done"])
    result = Agent(model="m", tools=Toolset([chatty])).run_sync("?", client=model.client())
    assert result.tool_calls[0].output == "ok"
    assert "hello from the tool" not in json.dumps(result.transcript.items)
    assert capsys.readouterr().out == "hello from the tool\n"
