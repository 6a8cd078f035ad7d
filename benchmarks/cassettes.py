"""What a cassette costs: to open, to play, to keep, and to review.

    python -m benchmarks.cassettes            # half a minute
    python -m benchmarks.cassettes --save     # also writes benchmarks/results/cassettes.json
    python -m benchmarks.cassettes --record   # records cassettes/benchmarks/journey.yaml anew, over HTTP

Times are CPU time of this process, all its threads together; medians. They are those of the whole turn in replay, the
agent's loop included. `journey.yaml` is a streaming session of 30 turns against the reference server.
"""

# ruff: noqa: T201  (printing is what it is for)

from __future__ import annotations

import difflib
import itertools
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import agentkit
from agentkit import Agent, Client, Limits, tool
from agentkit.cassettes.format import form
from agentkit.cassettes.format.compiled import FOLDER
from agentkit.cassettes.interaction import Body, Interaction, Recording
from agentkit.service.http import running
from agentkit.testing import ScriptedModel, call, random_ids
from benchmarks.surroundings import Figure, describe, print_table, save

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentkit.service.requests import ReceivedRequest

JOURNEY = Path(__file__).parent.parent / "cassettes" / "benchmarks" / "journey.yaml"
TURNS = 30
PLACES = ("Oslo", "Hamar", "Lillehammer", "Dombås", "Oppdal", "Trondheim", "Steinkjer", "Mosjøen", "Mo i Rana", "Bodø")


@tool
def timetable(start: str, end: str) -> list[dict[str, object]]:
    """Trains from one place to another, with all stops.

    Args:
        start: Where the journey begins.
        end: Where it ends.
    """
    hours = range(6, 22, 3)
    return [{"from": start, "to": end, "leaves": f"{h:02}:{len(start):02}", "arrives": f"{h + 2:02}:40"} for h in hours]


def travel(request: ReceivedRequest) -> object:
    """Ask for one leg after the other, then tell the way."""
    leg = sum(item.get("type") == "function_call_output" for item in request["input"])
    if leg == TURNS - 1:
        return " ".join(f"From {a} to {b} there is a train every three hours." for a, b in itertools.pairwise(PLACES))
    start, end = PLACES[leg % len(PLACES)], PLACES[(leg + 1) % len(PLACES)]
    return call("timetable", {"start": start, "end": end})


def run_journey(client: Client | None, prompt: str = "How do I get from Oslo to Bodø by train, leg by leg?") -> None:
    agent = Agent(model="gpt-oss-120b", instructions="Plan journeys by train.", tools=[timetable])
    with agent.stream_sync(prompt, client=client) as run:
        for _ in run:
            pass


def record(path: Path, mode: str, prompt: str | None = None) -> None:
    with running(travel) as server, agentkit.cassette(path, mode):  # type: ignore[arg-type]
        run_journey(Client(server.base_url, trust_env=False), *([] if prompt is None else [prompt]))


def sizes(folder: Path) -> list[Figure]:
    """Hold the committed session to stock vcrpy's file of the same."""
    import vcr

    stock = folder / "stock.yaml"
    with running(travel) as server, vcr.VCR().use_cassette(stock):
        run_journey(Client(server.base_url, trust_env=False))
    ours, theirs = JOURNEY.stat().st_size, stock.stat().st_size
    return [
        Figure(f"{TURNS}-turn streaming session, KB", ours / 1024),
        Figure("the same in stock vcrpy, KB", theirs / 1024),
        Figure("part of stock vcrpy's", ours / theirs, 1 / 7),
    ]


def changes(folder: Path) -> list[Figure]:
    """Count the lines that change when a session is recorded again."""
    path = folder / "again.yaml"
    record(path, "record")
    before = path.read_text(encoding="utf-8")
    record(path, "rewrite")
    same = changed_lines(before, path.read_text(encoding="utf-8"))
    record(path, "rewrite", "How do I get from Oslo to Bodø by coach, leg by leg?")
    word = changed_lines(before, path.read_text(encoding="utf-8"))
    return [
        Figure("lines changed: recorded again, unchanged", float(same), 0),
        Figure("lines changed: one word of the first message", float(word), 1),
    ]


def changed_lines(before: str, after: str) -> int:
    diff = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    return sum(line.startswith("+") and not line.startswith("+++") for line in diff)


def cpu_ms(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


def play_costs(folder: Path, turns_timed: int = 200, rounds: int = 5) -> list[Figure]:
    """CPU of a turn in replay, over the length of the conversation: of short ones, which last a moment, more rounds."""

    @tool
    def look(word: str) -> str:
        """Look a word up."""
        return word * 10

    figures: list[Figure] = []
    for turns in (1, 10, 100, 1000):
        path = folder / f"loop{turns}.yaml"

        def loop(request: ReceivedRequest, turns: int = turns) -> object:
            asked = len(request["input"]) // 2
            return call("look", {"word": f"w{asked:04}"}) if asked < turns - 1 else "done"

        agent = Agent(model="m", tools=[look], limits=Limits(turns=turns))
        with agentkit.cassette(path, "record"):
            agent.run_sync("go", client=ScriptedModel(loop, ids=random_ids).client())
        found: list[float] = []
        for _ in range(max(rounds, turns_timed // turns)):
            with agentkit.cassette(path):
                found.append(cpu_ms(lambda agent=agent: agent.run_sync("go")) / turns)  # type: ignore[misc]
        figures.append(Figure(f"replay, ms per request, {turns} interactions", statistics.median(found), 1.0))
    figures.append(Figure("1,000 interactions against 10", figures[3].found / figures[1].found))
    return figures


def big_cassette(path: Path) -> None:
    """Write 1,000 interactions that have nothing in common, 5 MB together."""
    journey = form.load(JOURNEY.read_text(encoding="utf-8"), name=str(JOURNEY))
    answer = max((interaction.chunks for interaction in journey), key=lambda chunks: sum(map(len, chunks)))
    text = b"x" * 500
    made = [
        Interaction(
            "POST",
            "http://127.0.0.1/v1/responses",
            Body(b'{"model":"m","input":[{"role":"user","content":"%d %s"}]}' % (number, text)),
            200,
            (("content-type", "text/event-stream"),),
            answer,
        )
        for number in range(1000)
    ]
    path.write_text(form.dump(Recording(interactions=tuple(made))), encoding="utf-8")


def open_costs(folder: Path) -> list[Figure]:
    """CPU of opening a cassette of 1,000 interactions, with the compiled copy and without."""
    path = folder / "big.yaml"
    big_cassette(path)
    without: list[float] = []
    for _ in range(3):
        for copy in (path.parent / FOLDER).glob("big.yaml.*"):
            copy.unlink()
        without.append(cpu_ms(lambda: open_and_close(path)))
    compiled = [cpu_ms(lambda: open_and_close(path)) for _ in range(9)]
    return [
        Figure("a cassette of 1,000 interactions, MB", path.stat().st_size / 2**20),
        Figure("opening it, s", statistics.median(without) / 1000, 3.0),
        Figure("opening it with its compiled copy, s", statistics.median(compiled) / 1000, 0.5),
    ]


def open_and_close(path: Path) -> None:
    with agentkit.cassette(path):
        pass


def client_cost(rounds: int = 51) -> list[Figure]:
    """CPU of making a client and having it play one answer, first request included."""
    with agentkit.cassette(JOURNEY):
        made = [cpu_ms(lambda: Client("https://api.example/v1", "key")) for _ in range(rounds)]
    return [Figure("a client under a cassette, ms", statistics.median(made), 3.0)]


def main() -> None:
    if "--record" in sys.argv:
        record(JOURNEY, "rewrite" if JOURNEY.exists() else "record")
        print(f"recorded {JOURNEY}")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = [*play_costs(folder), *open_costs(folder), *client_cost(), *sizes(folder), *changes(folder)]
    print_table(("figure", "found", "at most", ""), [figure.row() for figure in figures])
    if "--save" in sys.argv:
        save(describe(), {}, figures, name="cassettes")


if __name__ == "__main__":
    main()
