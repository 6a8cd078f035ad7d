"""The golden stream, cut, reset, stalled and split at every byte: all of it, or a typed error, and no tool twice."""

from __future__ import annotations

from collections import Counter

import pytest

from agentkit import (
    Agent,
    AttemptDiscarded,
    Client,
    ReasoningDelta,
    ResponseFinished,
    RetryPolicy,
    RetryWaiting,
    StreamBroken,
    TextDelta,
    Timeout,
    TransportError,
    tool,
)
from tests.faults.golden import ANSWERED, CALLS, GOLDEN, RESPONSE, TEXT, Line
from tests.faults.virtual_time import run

BODY = {"model": "m", "input": "hi"}
WHOLE = (GOLDEN, len(GOLDEN), "end")
ERRORS = {"cut": StreamBroken, "reset": TransportError, "stall": Timeout}
QUICK = RetryPolicy(base_s=0.0, budget_burst=float("inf"))


def client_of(line: Line) -> Client:
    return Client("http://golden.test/v1", transport=line, retry=QUICK)


@pytest.mark.parametrize("then", ["cut", "reset", "stall", "split"])
def test_a_stream_broken_at_any_byte_is_begun_again_or_whole(then: str) -> None:
    async def read(end: int) -> None:
        line = Line((GOLDEN, end, then), WHOLE)
        said: list[str] = []
        thought: list[str] = []
        failures = []
        async with client_of(line) as client:
            async for event in client.stream(BODY):
                match event:
                    case TextDelta():
                        said.append(event.text)
                    case ReasoningDelta():
                        thought.append(event.text)
                    case AttemptDiscarded():
                        said.clear()
                        thought.clear()
                    case RetryWaiting():
                        failures.append(event.error)
                    case ResponseFinished():
                        assert event.response.raw == RESPONSE
        assert ("".join(said), "".join(thought)) == (TEXT, "hm ✓")
        assert len(failures) == len(line.requests) - 1
        if then == "split":
            assert not failures
        elif failures:
            assert isinstance(failures[0], ERRORS[then])
        else:
            # The line end of the last event isn't needed where the connection ends; where it goes on, it is.
            assert end >= len(GOLDEN) - (4 if then == "cut" else 1)

    async def main() -> None:
        for end in range(len(GOLDEN) + 1):
            await read(end)

    run(main)


def test_tools_run_once_wherever_the_stream_breaks() -> None:
    """The three ways of breaking take turns from byte to byte."""
    ran: Counter[tuple[int, int]] = Counter()

    @tool
    async def add(a: int, b: int) -> int:
        ran[a, b] += 1
        return a + b

    agent = Agent(model="m", tools=[add])

    async def main() -> None:
        for end in range(len(GOLDEN) + 1):
            then = ("cut", "reset", "stall")[end % 3]
            broken = (GOLDEN, end, then)
            line = Line(broken, WHOLE, (ANSWERED, len(ANSWERED), "end"))
            if end >= len(GOLDEN) - (4 if then == "cut" else 1):
                line.bodies.pop(0)
            ran.clear()
            async with client_of(line) as client, agent.stream("hi", client=client) as going:
                async for _ in going:
                    pass
            assert ran == {(1, 2): 1, (3, 4): 1}, end
            items = going.result.transcript.items
            assert [item["type"] for item in items[1:]] == [
                "reasoning",
                "function_call",
                "function_call",
                "message",
                "function_call_output",
                "function_call_output",
                "message",
            ]
            assert [(item["call_id"], item["output"]) for item in items[5:7]] == [("c0", "3"), ("c1", "7")]
            assert items[2:4] == CALLS

    run(main)
