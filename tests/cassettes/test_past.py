"""Recorded conversations to go on from."""

from __future__ import annotations

from pathlib import Path

import pytest

import agentkit.cassettes
from agentkit import Agent, Client, RetryPolicy, Transcript, UsageError, tool
from agentkit.cassettes.files import write
from agentkit.cassettes.interaction import ToolResult
from agentkit.cassettes.review.past import conversation_until, open_past, read_past
from agentkit.testing import ScriptedModel, cut, failure, reasoning, reply
from agentkit.testing import call as scripted_call
from tests.cassettes.made import Recorder, answered, asking, call, message, output, plain, recorded, user

RAN: list[str] = []


@tool
def weather(city: str) -> str:
    """Current weather."""
    RAN.append(city)
    return f"7 C in {city}"


async def at_once(_: float) -> None:
    pass


def recorder_of_a_run(*, deltas: bool = True) -> tuple[Recorder, Transcript]:
    """Two calls in a turn with a retry before it, another call, an answer, and a second prompt."""
    script = [
        failure(429, code="queue_full", message="busy"),
        reply("Half", cut()),
        [reasoning("Hm."), scripted_call("weather", {"city": "Oslo"}), scripted_call("weather", {"city": "Rome"})],
        scripted_call("weather", {"city": "Bonn"}),
        "Take a coat.",
        "Yes, in Rome too.",
    ]
    recorder = Recorder(script, deltas=deltas)
    agent = make_agent(recorder.client(retry=RetryPolicy(attempts=5, sleep=at_once)))
    with agent.stream_sync("Coat?") as run:
        for _ in run:
            pass
    result = agent.run_sync("Rome too?", transcript=run.transcript)
    return recorder, result.transcript


def make_agent(client: Client) -> Agent[str]:
    return Agent(model="m", instructions="Be brief.", tools=[weather], client=client)


@pytest.mark.parametrize("deltas", [True, False])
def test_each_turn_gives_the_transcript_of_the_run_there(deltas: bool) -> None:
    recorder, whole = recorder_of_a_run(deltas=deltas)
    recording = recorder.recording
    assert len(recording) == 6
    for turn, answers in ((0, 0), (3, 1), (4, 2), (5, 3), (6, 4)):
        past = read_past(recording, turn=turn, name="x.yaml")
        assert past.transcript.items == whole.fork(turn=answers).items
        assert past.transcript.usage == whole.fork(turn=answers).usage
        assert past.transcript.instructions is None


def test_what_was_said_next_is_known() -> None:
    recorder, _ = recorder_of_a_run()
    assert read_past(recorder.recording, turn=4, name="x").following == ()
    assert [i["content"] for i in read_past(recorder.recording, turn=5, name="x").following] == ["Rome too?"]


def test_going_on_asks_from_there_and_runs_no_tool_again() -> None:
    recorder, _ = recorder_of_a_run()
    RAN.clear()
    model = ScriptedModel(["A jacket will do."])
    transcript = read_past(recorder.recording, turn=4, name="x").transcript
    result = make_agent(model.client()).replace(instructions="Be kind.").run_sync(None, transcript=transcript)
    assert result.output == "A jacket will do."
    assert RAN == []
    assert model.requests[0]["instructions"] == "Be kind."
    assert model.requests[0].last_output == "7 C in Bonn"


def test_open_calls_are_run_anew() -> None:
    recorder, _ = recorder_of_a_run()
    RAN.clear()
    model = ScriptedModel(["Fine."])
    transcript = read_past(recorder.recording, turn=3, name="x").open
    assert [each.name for each in transcript.open_calls] == ["weather", "weather"]
    make_agent(model.client()).run_sync(None, transcript=transcript)
    assert sorted(RAN) == ["Oslo", "Rome"]


def test_an_edited_transcript_goes_on() -> None:
    recorder, _ = recorder_of_a_run()
    transcript = read_past(recorder.recording, turn=3, name="x").transcript.replace(0, user("Umbrella?"))
    model = ScriptedModel(["No."])
    make_agent(model.client()).run_sync(None, transcript=transcript)
    assert model.requests[0]["input"][0]["content"] == "Umbrella?"


def test_outputs_that_no_request_holds_come_from_the_file() -> None:
    results = (ToolResult("call_1", "late", "timeout", "very late"), ToolResult("call_2", "2"))
    answer = answered([call("call_1", "a"), call("call_2", "b")])
    recording = recorded(plain(asking([user("Hi")]), answer, tool_results=results))
    entry = read_past(recording, turn=1, name="x").transcript.entries[-1]
    assert [(r.call_id, r.name, r.outcome, r.full) for r in entry.records] == [  # type: ignore[union-attr]
        ("call_1", "a", "timeout", "very late"),
        ("call_2", "b", "ok", None),
    ]


def test_calls_without_a_recorded_output_stay_open() -> None:
    answer = answered([call("call_1", "a"), call("call_2", "b")])
    recording = recorded(plain(asking([user("Hi")]), answer, tool_results=(ToolResult("call_1", "1"),)))
    past = read_past(recording, turn=1, name="x")
    assert past.transcript == past.open
    assert [each.call_id for each in past.transcript.open_calls] == ["call_1", "call_2"]


def test_an_answer_that_was_edited_is_taken_as_it_was_sent() -> None:
    edited = [user("Hi"), message("Good day."), user("Again?")]
    recording = recorded(
        plain(asking([user("Hi")]), answered([message("Hello.")])),
        plain(asking(edited), answered([message("Yes.")]), parent=0),
    )
    items = read_past(recording, turn=2, name="x").transcript.items
    assert [item["content"] for item in items if item["role"] == "user"] == ["Hi", "Again?"]
    assert items[1]["content"] == message("Good day.")["content"]


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (3, "x.yaml: turn 3 asked for; it has 2. Give one of 0 to 2."),
        (-1, "turn -1 asked for"),
        (1, r"x.yaml: turn 1 has no answer to go on from \(HTTP 500: no\). Give one that has"),
    ],
)
def test_turns_that_cant_be_gone_on_from(turn: int, words: str) -> None:
    recording = recorded(
        plain(asking("Hi"), b'{"error": "no"}', status=500), plain(asking("Hi"), answered([message("x")]))
    )
    with pytest.raises(UsageError, match=words):
        read_past(recording, turn=turn, name="x.yaml")


def test_an_output_without_its_call_is_named() -> None:
    """As in a recording of a client that left the history to the server."""
    recording = recorded(plain(asking([output("call_1", "7")]), answered([message("x")])))
    with pytest.raises(UsageError, match=r"x\.yaml: its conversation isn't whole: items\[0\]"):
        read_past(recording, turn=1, name="x.yaml")


def test_a_file_is_read_and_its_placeholders_are_this_machines_places(tmp_path: Path) -> None:
    called = [user("Read <cwd>/a"), call("call_1", "read"), output("call_1", "from <cwd>/a")]
    recording = recorded(
        plain(asking(called[:1]), answered([call("call_1", "read")])),
        plain(asking(called), answered([message("It is <cwd>/a.")])),
        plain(asking([*called, message("It is <cwd>/a."), user("And <cwd>/b?")]), answered([message("No.")])),
    )
    write(tmp_path / "x.yaml", recording)
    here = str(Path.cwd())
    told = conversation_until(tmp_path / "x.yaml", turn=2)
    assert [item.get("content") or item.get("output") for item in told.items if "arguments" not in item][:2] == [
        f"Read {here}/a",
        f"from {here}/a",
    ]
    assert told.entries[-1].response.output_text == f"It is {here}/a."  # type: ignore[union-attr]
    assert [item["content"] for item in open_past(tmp_path / "x.yaml", turn=2).following] == [f"And {here}/b?"]
    assert [each.name for each in conversation_until(tmp_path / "x.yaml", turn=1, open_calls=True).open_calls] == [
        "read"
    ]
    assert agentkit.cassettes.conversation_until is conversation_until
