"""Sixteen sync tools in one response: how many run at once, and how long a run takes against one with one tool."""

from __future__ import annotations

import asyncio
import threading
import time

from agentkit import Agent, Client, tool
from benchmarks.surroundings import Figure
from benchmarks.task import Task

COUNT = 16
SLEEP_S = 0.01
ROUNDS = 9


class Counter:
    """How many calls are inside, and the most that ever were."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self.most = 0

    def work(self) -> str:
        """Sleep, counted."""
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
        time.sleep(SLEEP_S)
        with self._lock:
            self._inside -= 1
        return "x" * 50


def measure(server: str) -> list[Figure]:
    """Return the figures."""
    return asyncio.run(_measure(server))


async def _measure(server: str) -> list[Figure]:
    counter = Counter()

    @tool(name="look_0")
    def look(word: str) -> str:  # noqa: ARG001  (the model gives one)
        """Look a word up."""
        return counter.work()

    agent = Agent(model="m", tools=[look])
    best: dict[int, float] = {}
    for calls in (1, COUNT):
        async with Client(Task(calls=calls, parallel=calls).url(server)) as client:
            await agent.run("Go", client=client)
            walls = []
            for _ in range(ROUNDS):
                started = time.perf_counter()
                await agent.run("Go", client=client)
                walls.append(time.perf_counter() - started)
            best[calls] = min(walls)
    return [
        Figure(f"{COUNT} sync tools of 10 ms: calls not running at once with the others", COUNT - counter.most, 0),
        Figure(f"{COUNT} sync tools of 10 ms: wall of the run / wall of a run with one", best[COUNT] / best[1], 2.5),
        Figure(f"{COUNT} sync tools of 10 ms: wall of the run / 10 ms", best[COUNT] / SLEEP_S, 2.5),
    ]
