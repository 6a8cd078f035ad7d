"""What the hot paths cost, counted instead of timed: calls of agentkit's own functions, and memory.

A bound that is passed says that work was added to every turn or every delta. Where it has to be, raise the bound in
the same commit, and say why; `python -m benchmarks` shows what it costs.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

import agentkit
from agentkit import Agent, Client, Limits, TextDelta, Transcript, tape, tool
from agentkit.entries import InputEntry, encode_items
from agentkit.items import user_message
from agentkit.request import Request, RequestTemplate
from agentkit.settings import Settings
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
    serve,
)

PACKAGE = str(Path(agentkit.__file__).parent)
TURN_CALLS = 328
DELTA_CALLS = 13.1
WHOLE_DELTA_CALLS = 14.1


@pytest.fixture(autouse=True)
def _unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is counted is a program's, and not that of a test run whose network is guarded."""
    monkeypatch.setattr(tape, "refusal", None)


class Counter:
    """Counts the calls of agentkit's Python functions in this thread, each resumption of a generator as one."""

    def __init__(self) -> None:
        self.calls = 0

    def __enter__(self) -> Counter:
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _count(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            self.calls += 1


def call(number: int) -> bytes:
    """Return an answer with one call."""
    item = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}", "name": "look"}
    body = {"id": "r", "status": "completed", "output": [{**item, "arguments": '{"word":"w"}', "status": "completed"}]}
    return http(200, json.dumps(body).encode())


def calls_by_turn(turns: int) -> list[int]:
    """Return how many functions each turn of a run called."""
    counter, marks = Counter(), []

    @tool
    async def look(word: str) -> str:
        marks.append(counter.calls)
        return "x" * 50

    async def main(url: str) -> None:
        async with Client(url, trust_env=False) as client:
            agent = Agent(model="m", tools=[look], limits=Limits(turns=None))
            with counter:
                await agent.run("Go", client=client)

    with byte_server(serve(*map(call, range(turns)), plain())) as server:
        asyncio.run(main(server.url))
    return [after - before for before, after in itertools.pairwise(marks)]


def test_a_turn_makes_the_same_calls_whatever_came_before_it() -> None:
    counted = calls_by_turn(120)
    # now and then an answer comes in two reads, which is a call more
    early, late = statistics.mode(counted[:30]), statistics.mode(counted[-30:])
    assert early == late <= TURN_CALLS


def calls_of_stream(deltas: int, consume: Callable[[str], object]) -> int:
    """Return how many functions a stream with so many deltas called."""
    counter = Counter()
    text = "ab" * deltas
    # one chunk, so that as many bytes come together as the socket gives: calls per read vary, and are few
    body = chunk(OPENED + delta("ab") * deltas + completed(text)) + LAST_CHUNK

    async def main(url: str) -> None:
        async with Client(url, trust_env=False) as client:
            with counter:
                async with Agent(model="m").stream("Go", client=client) as run:
                    async for event in run:
                        if isinstance(event, TextDelta):
                            consume(event.text)

    with byte_server(once(STREAM_HEAD + body)) as server:
        asyncio.run(main(server.url))
    return counter.calls


def test_a_delta_makes_few_calls() -> None:
    few, many = (calls_of_stream(deltas, len) for deltas in (1000, 3000))
    assert (many - few) / 2000 <= DELTA_CALLS


def test_a_delta_that_comes_alone_makes_few_calls_too() -> None:
    """Fed byte by byte of the protocol's smallest unit: one event in each read."""
    from agentkit.fold import ResponseFold
    from agentkit.sse import SSEDecoder

    decoder, fold, counter = SSEDecoder(), ResponseFold(), Counter()
    fold.feed_all(decoder.feed(OPENED))
    piece = delta("ab")
    with counter:
        for _ in range(1000):
            shown, failure = fold.feed_all(decoder.feed(piece))
            assert (len(shown), failure) == (1, None)
    assert counter.calls / 1000 <= WHOLE_DELTA_CALLS


def peak_of(work: Callable[[], object]) -> int:
    """Return the most memory that a piece of work takes beyond what was there."""
    work()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def test_a_request_is_built_with_one_copy_of_the_conversation() -> None:
    chunks = [encode_items([user_message("x" * 1000)]) for _ in range(1000)]
    template = RequestTemplate(
        model="m",
        instructions=None,
        tools=[],
        settings=Settings(),
        text_format=None,
        stream=False,
        profile=Client("http://x/v1").profile,
    )
    made: list[Request] = []

    def build() -> None:
        made[:] = [template.request(chunks)]

    peak = peak_of(build)
    assert peak < 2.2 * len(made[0].body)  # the body, and the join that it is made of


@pytest.mark.parametrize("turns", [100, 1000])
def test_adding_an_entry_copies_no_text(turns: int) -> None:
    transcript = Transcript([InputEntry(encode_items([user_message("x" * 2000)]))] * turns)
    entry = InputEntry(encode_items([user_message("x")]))
    assert peak_of(lambda: transcript.append(entry)) < 16 * turns + 2000


def test_a_transcript_holds_its_text_once() -> None:
    def build() -> Transcript:
        return Transcript([InputEntry(encode_items([user_message(f"{i} " + "x" * 2000)])) for i in range(500)])

    size = len(build().to_json())
    held: list[Transcript] = []
    assert peak_of(lambda: held.append(build())) < 1.2 * size
