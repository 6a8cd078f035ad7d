"""What is measured: tasks that every client does in the same way, and the cases that the tables show.

No imports but Python's own: the clients of other frameworks run in environments that have no agentkit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["message", "call"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A run against the fake server, made `repeat` times in a row and `at_once` at a time."""

    calls: int = 0
    """Tool calls that the model asks for before it answers."""
    parallel: int = 1
    """How many of them in one response."""
    output_bytes: int = 50
    """What a tool returns."""
    tool_ms: int = 0
    """How long a tool sleeps."""
    tools: int = 1
    """Tools that the agent has."""
    echo: bool = False
    """Whether the server's answers repeat the tools, as real ones do."""
    deltas: int = 0
    """Pieces that the answer is streamed in; 0: it isn't streamed."""
    history_bytes: int = 0
    """Size of the conversation so far."""
    latency_ms: int = 0
    """How long the server thinks."""
    at_once: int = 1
    repeat: int = 1
    new_client: bool = False
    """Whether each run has a client, hence a connection, of its own."""

    @property
    def turns(self) -> int:
        """Responses asked for, all runs together."""
        return (self.calls // self.parallel + 1) * self.at_once * self.repeat

    def url(self, server: str) -> str:
        """Return the base URL under which the server plays this task."""
        calls = f"calls={self.calls},parallel={self.parallel}"
        return f"{server}/{calls},deltas={self.deltas},ms={self.latency_ms},echo={int(self.echo)}/v1"

    def smaller(self) -> Task:
        """Return what warms a client up: imports, connections, caches."""
        calls = min(self.calls, 5 * self.parallel)
        return replace(self, calls=calls, deltas=min(self.deltas, 20), repeat=1)


@dataclass(frozen=True, slots=True)
class Case:
    """A row of the table: a task, and what agentkit's part of the reference's CPU time may be."""

    name: str
    task: Task
    at_most: float | None = None


CASES = (
    Case("text", Task(repeat=50), 1.2),
    Case("loop of 10", Task(calls=10, repeat=5)),
    Case("loop of 50", Task(calls=50), 1.2),
    Case("loop of 200", Task(calls=200), 1.2),
    Case("loop of 1000", Task(calls=1000), 1.2),
    Case("loop of 1000, 2 KB", Task(calls=1000, output_bytes=2000), 1.2),
    Case("20 turns over 1 MB", Task(calls=19, history_bytes=10**6), 1.2),
    Case("16 calls in one response", Task(calls=64, parallel=16, repeat=3)),
    Case("128 tools, echoed", Task(calls=9, tools=128, echo=True, repeat=2), 0.6),
    Case("stream of 2000 deltas", Task(deltas=2000), 0.8),
    Case("200 runs at once", Task(calls=4, latency_ms=50, at_once=200), 0.2),
    Case("new client", Task(new_client=True, repeat=10), 0.2),
)
LOOPS = {10: "loop of 10", 50: "loop of 50", 200: "loop of 200", 1000: "loop of 1000"}
"""Calls to the case that has them: the cost of a turn over the length of the conversation."""
HEAVY = 250
"""Calls and runs above which a case is for loops by hand and agentkit alone: frameworks take minutes."""

QUESTION = "Go"
ANSWER = "done"


def make_output(task: Task) -> str:
    """Return what a tool of this task returns."""
    return "x" * task.output_bytes


def make_history(task: Task) -> list[tuple[str, str]]:
    """Return earlier questions and answers of about a kilobyte each."""
    text = "lorem ipsum " * 83
    return [(f"{i} {text}", f"{i} {text}") for i in range(task.history_bytes // 2200)]


def name_of_tool(index: int) -> str:
    """Return a tool's name; the first is the one that the model calls."""
    return f"look_{index}"
