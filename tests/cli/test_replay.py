"""`agentkit replay` as a user runs it, and the pace it keeps."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from agentkit import Agent, RetryPolicy, tool
from agentkit.cassettes.files import write
from agentkit.cassettes.interaction import Body, Interaction, Recording
from agentkit.cli.replaying import Pace
from agentkit.testing import call as scripted_call
from agentkit.testing import cut, failure, reasoning, reply
from tests.cassettes.made import URI, Recorder, answered, asking, call, message, output, plain, recorded, user

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

pytest.importorskip("yaml")
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")


@tool
def weather(city: str) -> dict[str, int]:
    """Current weather."""
    return {"temp": 7}


async def at_once(_: float) -> None:
    pass


def run_of_an_agent() -> Recording:
    """A refusal, a broken stream, a call, an answer; and a second prompt."""
    look = [reasoning("I look."), "One moment.", scripted_call("weather", {"city": "Oslo"})]
    script = [
        failure(429, code="queue_full", message="busy"),
        reply("Half", cut()),
        look,
        "Take a coat.",
        "Bring boots.",
    ]
    recorder = Recorder(script, at_ms=True)
    client = recorder.client(retry=RetryPolicy(attempts=5, sleep=at_once))
    agent = Agent(model="m", tools=[weather], client=client)
    with agent.stream_sync("Coat?") as run:
        for _ in run:
            pass
    with agent.stream_sync("More?", transcript=run.transcript) as run:
        for _ in run:
            pass
    return recorder.recording


@pytest.fixture
def played(shell: Shell) -> Shell:
    write(shell.folder / "x.yaml", run_of_an_agent())
    return shell


def test_piped_it_is_what_the_runs_wrote(played: Shell) -> None:
    done = played.run("replay", "x.yaml")
    assert done.returncode == 0
    assert done.stdout == "Take a coat.\nBring boots.\n"
    lines = done.stderr.splitlines()
    assert lines[0] == "> Coat?"
    assert lines[1] == "! HTTP 429 queue_full: busy. Trying again."
    assert lines[2] == "! ReadError: connection reset by the script. Trying again."
    assert lines[3] == '▸ weather(city="Oslo") → {"temp":7}'
    assert lines[4].startswith("— 2 turns · ")
    assert lines[4].endswith(" out · as recorded")
    assert lines[5] == "> More?"
    assert lines[6].startswith("— 1 turn · ")
    assert len(lines) == 7


@posix
def test_on_a_terminal_a_key_goes_on(played: Shell) -> None:
    terminal = played.terminal("replay", "x.yaml", "--reasoning", NO_COLOR="1")
    terminal.wait_for("Enter: the next turn. q: the end.")
    before = terminal.text
    assert "> Coat?" in before
    assert "Half" in before
    assert "this answer broke off: what stands above is void." in before
    assert "I look." in before
    assert '▸ weather(city="Oslo") → {"temp":7}' in before
    assert "Take a coat." not in before
    terminal.type("\n", "Take a coat.", "— 2 turns", "Enter: the next turn.")
    assert "Bring boots." not in terminal.text
    terminal.press("q")
    assert terminal.end() == 0
    assert "Bring boots." not in terminal.text


@posix
def test_with_a_speed_it_waits_for_no_key(played: Shell) -> None:
    terminal = played.terminal("replay", "x.yaml", "--speed", "50")
    assert terminal.end() == 0
    assert "Bring boots." in terminal.text
    assert "Enter: the next turn" not in terminal.text


@posix
def test_ctrl_c_ends_it_in_order(played: Shell) -> None:
    terminal = played.terminal("replay", "x.yaml", NO_COLOR="1")
    terminal.wait_for("Enter: the next turn. q: the end.")
    terminal.interrupt()
    assert terminal.end() == 130
    assert "interrupted." in terminal.text
    assert "Traceback" not in terminal.text


def test_nested_agents_stay_behind_their_call(shell: Shell) -> None:
    asked = [user("Plan it"), call("call_1", "ask"), output("call_1", "42")]
    recording = recorded(
        plain(asking(asked[:1]), answered([call("call_1", "ask")])),
        plain(asking([user("Look it up")]), answered([message("42")], tokens=(300, 7)), lane="call_1"),
        plain(asking(asked), answered([message("Done.")], tokens=(20, 1))),
    )
    write(shell.folder / "x.yaml", recording)
    done = shell.run("replay", "x.yaml")
    assert done.stdout == "Done.\n"
    assert "330 tokens in, 13 out" in done.stderr  # what they used is counted, as it was live
    assert "Look it up" not in done.stderr


def test_a_recording_that_ends_without_an_answer(shell: Shell) -> None:
    get = Interaction("GET", "http://x.test/data", Body(b""), 200, (), (b"data",))
    recording = recorded(get, plain(asking([user("Hi")]), b'{"error": "no"}', status=500))
    write(shell.folder / "x.yaml", recording)
    done = shell.run("replay", "x.yaml")
    assert done.stdout == ""
    assert done.stderr.splitlines() == ["GET http://x.test/data → 200", "> Hi", "Error: HTTP 500: no"]
    assert done.returncode == 0
    write(shell.folder / "y.yaml", recorded(plain(asking([user("Hi")]), answered([call("call_1", "ask")]))))
    done = shell.run("replay", "y.yaml")
    assert "▸ ask() ✗ no output was recorded" in done.stderr
    assert "The recording ends here, without an answer." in done.stderr


def test_a_file_that_isnt_there_is_2(shell: Shell) -> None:
    done = shell.run("replay", "none.yaml")
    assert "none.yaml: there is no such file" in done.stderr
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("speed", "at_ms", "expected"),
    [
        (1.0, (100, 300, 1000), [0.1, 0.2, 0.7]),
        (2.0, (100, 300, 1000), [0.05, 0.1, 0.35]),
        (1.0, (), [0.02, 0.02, 0.02]),
        (0.0, (100, 300, 1000), []),
    ],
)
def test_the_pace_is_the_recorded_one_or_a_fixed_one(
    speed: float, at_ms: tuple[int, ...], expected: list[float]
) -> None:
    now = [5.0]
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(round(seconds, 3))
        now[0] += seconds

    pace = Pace(speed, clock=lambda: now[0], sleep=sleep)
    interaction = Interaction("POST", URI, Body(b""), 200, (), (b"1", b"2", b"3"), at_ms=at_ms)
    pace.begin()
    for chunk in range(3):
        pace.wait(interaction, chunk)
    assert waits == expected
