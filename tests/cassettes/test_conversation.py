"""Recordings as conversations: who said what, in which turn, beneath which call."""

from __future__ import annotations

import pytest

from agentkit import Agent, RetryPolicy, RunStopped, StatusError, ToolContext, tool
from agentkit.cassettes.interaction import Body, Failure, Interaction, ToolResult
from agentkit.cassettes.review.conversation import Turn, read_conversations
from agentkit.testing import call as scripted_call
from agentkit.testing import cut, failure, incomplete, reasoning, refusal, reply
from tests.cassettes.made import (
    EVENT_STREAM,
    URI,
    Recorder,
    answered,
    asking,
    call,
    message,
    output,
    plain,
    recorded,
    user,
)


@tool
def weather(city: str) -> dict[str, int]:
    """Current weather."""
    return {"temp": 7}


def lines(turn: Turn) -> list[tuple[str, str]]:
    return [(said.by, said.text) for said in (*turn.added, *turn.said)]


def fields(turn: Turn) -> dict[str, str]:
    return {f"{said.by} {said.name}".strip(): said.text for said in turn.fields}


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("deltas", [True, False])
def test_a_run_is_one_conversation(streamed: bool, deltas: bool) -> None:
    """Outputs stand with their calls, and what is sent back isn't told twice."""
    look = [reasoning("I look."), "One moment.", scripted_call("weather", {"city": "Oslo"})]
    recorder = Recorder([look, "Take a coat."], deltas=deltas)
    agent = Agent(model="m", instructions="Be brief.", tools=[weather], client=recorder.client())
    if streamed:
        with agent.stream_sync("Coat?") as run:
            for _ in run:
                pass
    else:
        agent.run_sync("Coat?")
    (conversation,) = read_conversations(recorder.recording)
    first, second = conversation.turns
    assert lines(first) == [
        ("user", "Coat?"),
        ("reasoning", "I look."),
        ("assistant", "One moment."),
        ("call", '{"city":"Oslo"}'),
    ]
    assert [(c.name, c.output, c.outcome) for c in first.calls] == [("weather", '{"temp":7}', "ok")]
    assert lines(second) == [("assistant", "Take a coat.")]
    assert fields(first)["model"] == "m"
    assert fields(first)["instructions"] == "Be brief."
    assert fields(first)["tool weather"].startswith("Current weather.\n{")
    assert second.fields == ()
    assert (first.number, second.number) == (1, 2)
    assert second.usage.input_tokens is not None
    assert conversation.usage.output_tokens == (first.usage.output_tokens or 0) + (second.usage.output_tokens or 0)


def test_attempts_are_part_of_their_turn() -> None:
    script = [failure(429, code="queue_full", message="busy"), reply("Half", cut(reset=False)), "Whole."]
    recorder = Recorder(script)
    retry = RetryPolicy(attempts=5, sleep=lambda _: _done())
    agent = Agent(model="m", client=recorder.client(retry=retry))
    with agent.stream_sync("Hi") as run:
        for _ in run:
            pass
    (conversation,) = read_conversations(recorder.recording)
    (turn,) = conversation.turns
    assert [attempt.number for attempt in turn.failed] == [1, 2]
    assert turn.failed[0].problem == "HTTP 429 queue_full: busy"
    assert "stream ended before its terminal event" in turn.failed[1].problem
    assert turn.number == 3
    assert lines(turn) == [("user", "Hi"), ("assistant", "Whole.")]


async def _done() -> None:
    pass


def test_what_went_wrong_last_is_told_with_what_had_come() -> None:
    recorder = Recorder([reply("Half", cut())])
    agent = Agent(model="m", client=recorder.client(retry=RetryPolicy(attempts=1)))
    with pytest.raises(Exception, match="connection"), agent.stream_sync("Hi") as run:
        for _ in run:
            pass
    (conversation,) = read_conversations(recorder.recording)
    assert conversation.turns[0].problem == "ReadError: connection reset by the script"
    assert lines(conversation.turns[0]) == [("user", "Hi"), ("assistant", "Half")]


@pytest.mark.parametrize(
    ("answer", "by", "text", "problem"),
    [
        (refusal("I can't."), "refusal", "I can't.", ""),
        (incomplete("A begi"), "assistant", "A begi", "cut short: max_output_tokens"),
        (failure(400, code="bad", message="no such field"), "user", "Hi", "HTTP 400 bad: no such field"),
    ],
)
def test_ends_of_every_kind(answer: object, by: str, text: str, problem: str) -> None:
    recorder = Recorder([answer])
    with pytest.raises((RunStopped, StatusError)):
        Agent(model="m", client=recorder.client(retry=RetryPolicy(attempts=1))).run_sync("Hi")
    (conversation,) = read_conversations(recorder.recording)
    (turn,) = conversation.turns
    assert lines(turn)[-1] == (by, text)
    assert turn.problem == problem


def test_nested_agents_have_a_conversation_of_their_own() -> None:
    first = asking([user("Plan it")])
    inner = asking([user("Look it up")], model="small")
    second = asking([user("Plan it"), call("call_1", "ask"), output("call_1", "42")])
    recording = recorded(
        plain(first, answered([call("call_1", "ask")])),
        plain(inner, answered([message("42")]), lane="call_1"),
        plain(second, answered([message("Done.")])),
    )
    outer, nested = read_conversations(recording)
    assert [turn.number for turn in outer.turns] == [1, 3]
    assert (nested.lane, [turn.number for turn in nested.turns]) == ("call_1", [2])
    assert outer.turns[0].calls[0].output == "42"


def test_conversations_side_by_side_are_told_apart() -> None:
    """Two talks that begin alike, and whose turns alternate in the file."""
    a = [user("Hi"), message("Hello."), user("One?")]
    b = [user("Hi"), message("Hello."), user("Two?")]
    recording = recorded(
        plain(asking([user("Hi")]), answered([message("Hello.")])),
        plain(asking(a), answered([message("1")])),
        plain(asking([user("Other")]), answered([message("Yes?")])),
        plain(asking(b), answered([message("2")])),
        plain(asking([*a, message("1"), user("More?")]), answered([message("1.1")])),
    )
    conversations = read_conversations(recording)
    assert [[turn.number for turn in each.turns] for each in conversations] == [[1, 2, 5], [3], [4]]
    assert [each.follows for each in conversations] == [None, None, 1]
    assert lines(conversations[0].turns[2]) == [("user", "More?"), ("assistant", "1.1")]


def test_an_edited_history_is_a_conversation_of_its_own() -> None:
    edited = [user("Hi"), message("Good day."), user("Again?")]
    recording = recorded(
        plain(asking([user("Hi"), message("Hello.")]), answered([message("x")])),
        plain(asking(edited), answered([message("y")]), parent=0),
    )
    _, second = read_conversations(recording)
    assert lines(second.turns[0]) == [
        ("user", "Hi"),
        ("assistant", "Good day."),
        ("user", "Again?"),
        ("assistant", "y"),
    ]


def test_an_answer_changed_before_it_was_sent_back_is_shown() -> None:
    recording = recorded(
        plain(asking([user("Hi")]), answered([message("Hello.")])),
        plain(asking([user("Hi"), message("Good day."), user("Again?")]), answered([message("y")]), parent=0),
    )
    (conversation,) = read_conversations(recording)
    assert lines(conversation.turns[1]) == [("assistant", "Good day."), ("user", "Again?"), ("assistant", "y")]


def test_fields_are_told_where_they_change() -> None:
    tools = [{"type": "function", "name": "a", "description": "A.", "parameters": {}}]
    recording = recorded(
        plain(asking([user("Hi")], instructions="One.", tools=tools, tool_choice="required"), answered([message("x")])),
        plain(asking([user("Hi"), message("x"), user("y")], instructions="Two."), answered([message("z")]), parent=0),
    )
    (conversation,) = read_conversations(recording)
    assert fields(conversation.turns[1]) == {
        "instructions": "Two.",
        "tool a": "[none]",
        "setting tool_choice": "[none]",
    }


def test_a_call_that_no_request_follows_has_its_output_from_the_file() -> None:
    answer = answered([call("call_1", "a"), call("call_2", "b")])
    results = (ToolResult("call_1", "late", "timeout"),)
    (conversation,) = read_conversations(recorded(plain(asking("Hi"), answer, tool_results=results)))
    assert [(c.output, c.outcome) for c in conversation.turns[0].calls] == [("late", "timeout"), (None, "ok")]


def test_times_are_those_of_the_last_attempt() -> None:
    interaction = Interaction(
        "POST",
        URI,
        Body(asking("Hi")),
        200,
        EVENT_STREAM,
        (b'data: {"type":"response.output_text.delta","delta":"Hi"}\n\n', b": late\n\n"),
        at_ms=(12, 340),
    )
    (conversation,) = read_conversations(recorded(interaction))
    turn = conversation.turns[0]
    assert (turn.first_ms, turn.total_ms, turn.chunks) == (12, 340, 2)


def test_other_exchanges_are_told_by_method_status_and_the_head_of_the_body() -> None:
    get = Interaction("GET", "http://x.test/data?q=1", Body(b""), 200, (), (b"a" * 3000,))
    binary = Interaction("PUT", "http://x.test/file", Body(b"\xff\xfe"), failure=Failure("ConnectError", "refused"))
    first, second = read_conversations(recorded(get, binary))
    assert lines(first.turns[0]) == [
        ("http", "GET http://x.test/data?q=1"),
        ("status", "200"),
        ("body", "a" * 2000 + "… (3000 characters)"),
    ]
    assert lines(second.turns[0]) == [("http", "PUT http://x.test/file"), ("body", "[2 bytes that are no text]")]
    assert second.turns[0].problem == "ConnectError: refused"


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (200, b"<html>", "the answer isn't JSON"),
        (200, b"[1]", "expected a response object"),
        (502, b"<html>bad</html>", "HTTP 502: <html>bad</html>"),
        (500, b"", "HTTP 500: Internal Server Error"),
        (200, b'{"error": {"message": "no"}}', "HTTP 200: no"),
    ],
)
def test_answers_that_are_none(status: int, body: bytes, problem: str) -> None:
    (conversation,) = read_conversations(recorded(plain(asking("Hi"), body, status=status)))
    assert conversation.turns[0].problem.startswith(problem)


def test_a_thousand_turns_are_read_from_what_each_adds() -> None:
    """Each body is read from where it adds to its parent's: reading all of them whole would take minutes."""
    body, interactions = Body(asking([user("0")])), []
    for number in range(1000):
        said = message(f"{number} " + "x" * 2000)
        interactions.append(
            Interaction("POST", URI, body, 200, (), (answered([said]),), parent=number - 1 if number else None)
        )
        added = asking([said, user(str(number + 1))]).partition(b'"input":[')[2]
        body = Body(b"," + added, body, body.size - 2)
    (conversation,) = read_conversations(recorded(*interactions))
    assert len(conversation.turns) == 1000
    assert lines(conversation.turns[999])[0] == ("user", "999")


def test_a_tools_context_is_no_parameter_of_its_definition() -> None:
    @tool
    def ask(ctx: ToolContext[None], question: str) -> str:
        """Ask."""
        return question

    recorder = Recorder(["x"])
    Agent(model="m", tools=[ask], client=recorder.client()).run_sync("Hi")
    (conversation,) = read_conversations(recorder.recording)
    assert "ctx" not in fields(conversation.turns[0])["tool ask"]
