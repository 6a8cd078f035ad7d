"""Memory: processes of their own do one thing each, and say what it took.

python -m benchmarks.memory <what> <server>     # one of them, in this process
"""

# ruff: noqa: T201  (printing is how a process answers)

from __future__ import annotations

import asyncio
import gc
import json
import resource
import subprocess
import sys
import time
import tracemalloc

from agentkit import Agent, Client, Limits, TextDelta, Transcript, tool
from benchmarks.surroundings import Figure
from benchmarks.task import Task

AT_ONCE = Task(calls=4, latency_ms=50, at_once=200)
TURNS = 1000
ITEM_BYTES = 2000
DELTAS = (100_000, 1_000_000)


@tool(name="look_0")
async def look(word: str) -> str:  # noqa: ARG001  (the model gives one)
    """Look a word up."""
    return "x" * 50


@tool(name="look_0")
async def look_long(word: str) -> str:  # noqa: ARG001
    """Look a word up."""
    return "x" * ITEM_BYTES


async def run_at_once(server: str) -> dict[str, float]:
    """Make 200 runs at once; return the process's peak."""
    agent = Agent(model="m", tools=[look])
    async with Client(AT_ONCE.url(server)) as client:
        await asyncio.gather(*(agent.run("Go", client=client) for _ in range(AT_ONCE.at_once)))
    return {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


async def hold_transcript(server: str) -> dict[str, float]:
    """Make a run of 1,000 calls with outputs of 2 KB; return what its transcript holds, and its size as JSON."""
    task = Task(calls=TURNS)
    agent = Agent(model="m", tools=[look_long], limits=Limits(turns=None))
    async with Client(task.url(server)) as client:
        await agent.run("Go", client=client)  # imports and caches are not the transcript's
        gc.collect()
        tracemalloc.start()
        transcript: Transcript = (await agent.run("Go", client=client)).transcript
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    return {"held": held, "json": len(transcript.to_json())}


async def read_stream(server: str, deltas: int) -> dict[str, float]:
    """Read a stream of many deltas, keeping none; return CPU time, the most that was held, and the text's size."""
    agent = Agent(model="m")
    async with Client(Task(deltas=deltas).url(server)) as client:
        before = time.process_time()
        size = await _consume(agent, client)
        cpu = time.process_time() - before
        tracemalloc.start()
        await _consume(agent, client)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return {"cpu_s": cpu, "peak": peak, "text": size}


async def _consume(agent: Agent[str], client: Client) -> int:
    size = 0
    async with agent.stream("Go", client=client) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                size += len(event.text)
    if size != len(events.result.output):
        raise RuntimeError("the deltas aren't the answer")
    return size


def measure(server: str) -> list[Figure]:
    """Return the figures, each from a fresh process."""
    at_once, transcript = _ask("at_once", server), _ask("transcript", server)
    few, many = (_ask(f"stream={deltas}", server) for deltas in DELTAS)
    times = DELTAS[1] / DELTAS[0]
    return [
        Figure("200 runs at once: peak RSS, MB", at_once["peak_mb"], 60),
        Figure("transcript of 1000 turns of 2 KB: held / its JSON", transcript["held"] / transcript["json"], 2.5),
        Figure(
            "stream of 1,000,000 deltas: CPU of a delta / in one of 100,000", many["cpu_s"] / few["cpu_s"] / times, 1.3
        ),
        Figure("stream of 1,000,000 deltas: the most held / the text", many["peak"] / many["text"]),
        Figure("stream of 1,000,000 deltas: that ratio / in one of 100,000", _per_text(many) / _per_text(few), 1.3),
    ]


def _per_text(found: dict[str, float]) -> float:
    return found["peak"] / found["text"]


def _ask(what: str, server: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.memory", what, server]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def main(what: str, server: str) -> None:
    """Do one thing, and print what it took."""
    name, _, size = what.partition("=")
    if name == "stream":
        found = asyncio.run(read_stream(server, int(size)))
    else:
        found = asyncio.run({"at_once": run_at_once, "transcript": hold_transcript}[name](server))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
