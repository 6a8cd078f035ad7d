"""The loop, entered in its four ways: the same scenario, the same transcript."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest
from pydantic import BaseModel

from agentkit import (
    Agent,
    AttemptDiscarded,
    BadRequest,
    Image,
    Incomplete,
    InputEntry,
    LimitReached,
    Limits,
    OutputInvalid,
    OutputRejected,
    OutputsEntry,
    Prices,
    Prompt,
    ProtocolError,
    ReasoningDelta,
    Refused,
    ResponseEntry,
    ResponseFailed,
    ResponseFinished,
    RetryPolicy,
    RetryWaiting,
    Settings,
    Text,
    TextDelta,
    ToolContext,
    ToolFinished,
    ToolProgress,
    ToolStarted,
    Transcript,
    TranscriptError,
    UsageError,
    tool,
)
from agentkit.testing import (
    ScriptedModel,
    adapter_mapping_failed,
    call,
    cut,
    failed,
    failure,
    hold,
    incomplete,
    rate_limited,
    reasoning,
    refusal,
    reply,
    text,
)
from tests.conftest import Enter


@tool
def weather(city: str, unit: Literal["C", "F"] = "C") -> dict[str, object]:
    """Current weather in a city."""
    return {"city": city, "temperature": 7, "unit": unit}


@tool
async def time_in(city: str) -> str:
    """Local time in a city."""
    await asyncio.sleep(0)
    return f"12:00 in {city}"


ASSISTANT = Agent(model="test", instructions="Answer briefly.", tools=[weather, time_in])
QUESTION = {"type": "message", "role": "user", "content": "Do I need a coat in Oslo?"}


def answer(said: str, position: int) -> dict[str, object]:
    """A message as the scripted model sends it."""
    part = {"type": "output_text", "text": said, "annotations": [], "logprobs": []}
    return {
        "id": f"msg_{position}",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }


def quick() -> RetryPolicy:
    """A policy whose waits take no time."""

    async def no_sleep(seconds: float) -> None:
        await asyncio.sleep(0)

    return RetryPolicy(sleep=no_sleep, random=lambda: 1.0)


class TestAnswers:
    def test_one_question_one_answer(self, enter: Enter) -> None:
        model = ScriptedModel(["Yes."])
        seen = enter(ASSISTANT, "Do I need a coat in Oslo?", client=model.client())
        assert seen.result is not None
        assert seen.result.output == seen.result.text == "Yes."
        assert seen.transcript.items == [QUESTION, answer("Yes.", 1)]
        assert (seen.result.turns, len(model.requests)) == (1, 1)

    def test_calls_are_run_and_answered_in_call_order(self, enter: Enter) -> None:
        model = ScriptedModel([[call("weather", {"city": "Oslo"}), call("time_in", {"city": "Oslo"})], "Take a coat."])
        seen = enter(ASSISTANT, "Do I need a coat in Oslo?", client=model.client())
        assert seen.transcript.items[1:] == [
            {
                "id": "fc_1",
                "type": "function_call",
                "call_id": "call_1",
                "name": "weather",
                "arguments": '{"city":"Oslo"}',
                "status": "completed",
            },
            {
                "id": "fc_2",
                "type": "function_call",
                "call_id": "call_2",
                "name": "time_in",
                "arguments": '{"city":"Oslo"}',
                "status": "completed",
            },
            {
                "type": "function_call_output",
                "call_id": "call_1",
                "output": '{"city":"Oslo","temperature":7,"unit":"C"}',
            },
            {"type": "function_call_output", "call_id": "call_2", "output": "12:00 in Oslo"},
            answer("Take a coat.", 5),
        ]
        assert model.requests[1]["input"] == seen.transcript.items[:-1]

    def test_tools_run_before_a_message_in_the_same_response_counts(self, enter: Enter) -> None:
        model = ScriptedModel([[text("Let me look."), call("weather", {"city": "Oslo"})], "Take a coat."])
        seen = enter(ASSISTANT, "Coat?", client=model.client())
        assert seen.result is not None
        assert seen.result.output == "Take a coat."
        assert [item["type"] for item in seen.transcript.items] == [
            "message",
            "message",
            "function_call",
            "function_call_output",
            "message",
        ]

    def test_reasoning_goes_back_as_it_came(self, enter: Enter) -> None:
        model = ScriptedModel([[reasoning("Oslo is cold."), call("weather", {"city": "Oslo"})], "Yes."])
        seen = enter(ASSISTANT, "Coat?", client=model.client())
        assert model.requests[1]["input"][1] == seen.transcript.items[1]
        assert seen.transcript.items[1]["content"] == [{"type": "reasoning_text", "text": "Oslo is cold."}]

    @pytest.mark.parametrize("mode", ["drop", "summary"])
    def test_reasoning_goes_back_as_the_client_says(self, enter: Enter, mode: Literal["drop", "summary"]) -> None:
        model = ScriptedModel([[reasoning("Cold."), call("weather", {"city": "Oslo"})], "Yes."])
        seen = enter(ASSISTANT, "Coat?", client=model.client(reasoning=mode))
        sent = [item["type"] for item in model.requests[1]["input"]]
        assert ("reasoning" in sent) == (mode == "summary")
        assert seen.transcript.items[1]["type"] == "reasoning"

    def test_the_conversation_is_continued(self, enter: Enter) -> None:
        model = ScriptedModel(["Yes.", "No."])
        client = model.client()
        first = enter(ASSISTANT, "Coat in Oslo?", client=client)
        second = enter(ASSISTANT, "And in Rome?", client=client, transcript=first.transcript)
        assert [item["role"] for item in second.transcript.items] == ["user", "assistant", "user", "assistant"]
        assert model.requests[1]["input"] == second.transcript.items[:-1]
        assert second.result is not None
        assert len(second.result.new_items) == 2
        assert second.result.usage != second.transcript.usage

    def test_a_finished_conversation_without_input_is_its_own_answer(self, enter: Enter) -> None:
        model = ScriptedModel(["Yes."])
        first = enter(ASSISTANT, "Coat?", client=model.client())
        again = enter(ASSISTANT, transcript=first.transcript, client=model.client())
        assert again.result is not None
        assert (again.result.output, again.result.turns, len(model.requests)) == ("Yes.", 0, 1)

    def test_an_interrupted_conversation_goes_on_where_it_was(self, enter: Enter) -> None:
        model = ScriptedModel(["Take a coat."])
        items = [
            QUESTION,
            {"type": "function_call", "call_id": "c", "name": "weather", "arguments": '{"city": "Oslo"}'},
        ]
        seen = enter(ASSISTANT, transcript=Transcript.from_items(items), client=model.client())
        assert seen.result is not None
        assert model.requests[0]["input"][2]["output"] == '{"city":"Oslo","temperature":7,"unit":"C"}'
        assert model.requests[0]["instructions"] == "Answer briefly."

    def test_open_calls_can_be_answered_by_hand(self, enter: Enter) -> None:
        model = ScriptedModel(["Take a coat."])
        opened = Transcript.from_items(
            [QUESTION, {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"}]
        )
        by_hand = {"type": "function_call_output", "call_id": "c", "output": "cold"}
        seen = enter(ASSISTANT, [by_hand], transcript=opened, client=model.client())
        assert seen.result is not None
        assert model.requests[0]["input"][2] == by_hand


class TestRequests:
    def test_the_body_holds_what_was_set_and_nothing_else(self, enter: Enter) -> None:
        model = ScriptedModel(["ok"])
        agent = Agent(model="m", instructions="i", settings=Settings(temperature=0, extra={"seed": 1}))
        seen = enter(agent, "hi", client=model.client())
        assert seen.error is None
        body = dict(model.requests[0])
        body.pop("stream")
        assert body == {
            "model": "m",
            "instructions": "i",
            "temperature": 0,
            "seed": 1,
            "store": False,
            "input": [{"type": "message", "role": "user", "content": "hi"}],
        }

    def test_run_uses_the_plain_wire_and_stream_the_streamed_one(self, enter: Enter) -> None:
        model = ScriptedModel(["ok", "ok"])
        seen = enter(Agent(model="m"), "hi", client=model.client())
        assert model.requests[0]["stream"] is bool(seen.events)
        forced = enter(Agent(model="m", settings=Settings(stream=True)), "hi", client=model.client())
        assert forced.error is None
        assert model.requests[1]["stream"] is True

    def test_a_forced_tool_choice_goes_back_to_auto_after_the_call(self, enter: Enter) -> None:
        model = ScriptedModel([[call("weather", {"city": "Oslo"})], "Yes."])
        seen = enter(ASSISTANT, "Coat?", client=model.client(), settings=Settings(tool_choice="weather"))
        assert seen.error is None
        assert model.requests[0]["tool_choice"] == {"type": "function", "name": "weather"}
        assert "tool_choice" not in model.requests[1]

    def test_a_forced_tool_choice_that_is_ignored_is_asked_for_once_more(self, enter: Enter) -> None:
        model = ScriptedModel(["No need.", "Really not."])
        seen = enter(ASSISTANT, "Coat?", client=model.client(), settings=Settings(tool_choice="required"))
        assert seen.result is not None
        assert seen.result.output == "Really not."
        assert [request["tool_choice"] for request in model.requests] == ["required", "required"]

    def test_tool_choice_none_keeps_tools_from_running(self, enter: Enter) -> None:
        model = ScriptedModel([[call("weather", {"city": "Oslo"})], "ok"], rules=None)
        seen = enter(ASSISTANT, "Coat?", client=model.client(), settings=Settings(tool_choice="none"))
        assert seen.result is not None
        assert seen.result.tool_calls[0].outcome == "not_run"
        assert "may not be called" in seen.result.tool_calls[0].output

    def test_parts_become_one_user_message(self, enter: Enter) -> None:
        model = ScriptedModel(["A square."])
        image = Image.from_bytes(b"\x89PNG\r\n\x1a\n")
        seen = enter(Agent(model="m"), ["What is it?", image, Text("Be brief.")], client=model.client())
        assert seen.error is None
        assert model.requests[0]["input"] == [
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is it?"},
                    {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="},
                    {"type": "input_text", "text": "Be brief."},
                ],
            }
        ]

    def test_a_picture_by_address_is_refused_where_the_server_fetches_none(self, enter: Enter) -> None:
        model = ScriptedModel(["never"])
        image = Image.from_url("https://example.com/a.png")
        seen = enter(Agent(model="m"), image, client=model.client(profile="sambanova"))
        assert isinstance(seen.error, UsageError)
        assert "Image.from_path" in str(seen.error)
        assert not model.requests


@dataclass
class User:
    name: str
    city: str


class TestInstructions:
    def test_a_prompt_is_filled_from_the_fields_of_deps(self, enter: Enter) -> None:
        model = ScriptedModel(["ok"])
        agent = Agent(model="m", instructions=Prompt("You help {{ name }} in {{ city }}."), deps_type=User)
        seen = enter(agent, "hi", deps=User("Ada", "{{ name }}"), client=model.client())
        assert seen.error is None
        assert model.requests[0]["instructions"] == "You help Ada in {{ name }}."

    def test_a_function_of_deps_writes_them(self, enter: Enter) -> None:
        model = ScriptedModel(["ok"])
        agent = Agent(model="m", instructions=lambda deps: f"Help {deps.name}.", deps_type=User)
        assert enter(agent, "hi", deps=User("Ada", "Oslo"), client=model.client()).error is None
        assert model.requests[0]["instructions"] == "Help Ada."

    def test_text_is_never_a_template(self, enter: Enter) -> None:
        model = ScriptedModel(["ok"])
        assert enter(Agent(model="m", instructions="{{ x }}"), "hi", client=model.client()).error is None
        assert model.requests[0]["instructions"] == "{{ x }}"

    def test_going_on_without_a_prompt_keeps_the_instructions_in_force(self, enter: Enter) -> None:
        model = ScriptedModel([incomplete(text("So")), "Done."])
        cut = enter(Agent(model="m", instructions="first"), "hi", client=model.client())
        assert isinstance(cut.error, Incomplete)
        enter(Agent(model="m", instructions="second"), transcript=cut.transcript, client=model.client())
        assert [request["instructions"] for request in model.requests] == ["first", "first"]

    def test_deps_of_the_wrong_type_are_refused(self, enter: Enter) -> None:
        agent = Agent(model="m", deps_type=User)
        for deps in (None, "Ada"):
            seen = enter(agent, "hi", deps=deps, client=ScriptedModel([]).client())
            assert isinstance(seen.error, UsageError)
            assert "User" in str(seen.error)


class City(BaseModel):
    name: str
    people: int


class TestStructuredOutput:
    def test_the_answer_is_read_into_the_type(self, enter: Enter) -> None:
        model = ScriptedModel(['{"name": "Oslo", "people": 709037}'])
        seen = enter(Agent(model="m", output_type=City), "Where?", client=model.client())
        assert seen.result is not None
        assert seen.result.output == City(name="Oslo", people=709037)
        sent = model.requests[0]["text"]["format"]
        assert (sent["type"], sent["name"], sent["strict"]) == ("json_schema", "City", True)

    @pytest.mark.parametrize(
        ("output_type", "said", "expected"),
        [
            (int, '{"value": 3}', 3),
            (list[str], '{"value": ["a", "b"]}', ["a", "b"]),
            (Literal["yes", "no"], '{"value": "yes"}', "yes"),
            (City | None, '{"value": null}', None),
        ],
    )
    def test_types_that_are_no_objects_are_wrapped(
        self, enter: Enter, output_type: type, said: str, expected: object
    ) -> None:
        model = ScriptedModel([said])
        seen = enter(Agent(model="m", output_type=output_type), "?", client=model.client())
        assert seen.result is not None, seen.error
        assert seen.result.output == expected
        assert model.requests[0]["text"]["format"]["schema"]["type"] == "object"

    def test_a_wrong_answer_is_sent_back_with_the_reason(self, enter: Enter) -> None:
        model = ScriptedModel(['{"name": "Oslo"}', '{"name": "Oslo", "people": 1}'])
        seen = enter(Agent(model="m", output_type=City), "Where?", client=model.client())
        assert seen.result is not None
        assert seen.result.output == City(name="Oslo", people=1)
        assert seen.result.turns == 2
        told = model.requests[1]["input"][2]
        assert told["role"] == "user"
        assert "people" in told["content"]
        if seen.events:
            assert [type(e) for e in seen.events].count(OutputRejected) == 1

    def test_the_tries_are_bounded_and_the_answers_kept(self, enter: Enter) -> None:
        model = ScriptedModel(["no", "no", "no"])
        seen = enter(Agent(model="m", output_type=City, output_retries=2), "Where?", client=model.client())
        assert isinstance(seen.error, OutputInvalid)
        assert seen.transcript.turns == 3

    def test_it_goes_together_with_tools(self, enter: Enter) -> None:
        model = ScriptedModel([[call("weather", {"city": "Oslo"})], '{"name": "Oslo", "people": 7}'])
        seen = enter(Agent(model="m", tools=[weather], output_type=City), "?", client=model.client())
        assert seen.result is not None
        assert seen.result.output == City(name="Oslo", people=7)

    def test_as_a_tool_for_servers_without_schemas(self, enter: Enter) -> None:
        model = ScriptedModel([[call("final_answer", {"name": "Oslo", "people": 7})]])
        agent = Agent(model="m", tools=[weather], output_type=City, output_mode="tool")
        seen = enter(agent, "?", client=model.client())
        assert seen.result is not None, seen.error
        assert seen.result.output == City(name="Oslo", people=7)
        assert "text" not in model.requests[0]
        assert [t["name"] for t in model.requests[0]["tools"]] == ["weather", "final_answer"]

    def test_as_a_tool_a_wrong_final_answer_is_repaired(self, enter: Enter) -> None:
        model = ScriptedModel(
            [
                [call("final_answer", {"name": "Oslo", "people": "many"})],
                "In words: Oslo.",
                [call("final_answer", {"name": "Oslo", "people": 7})],
            ]
        )
        seen = enter(Agent(model="m", output_type=City, output_mode="tool"), "?", client=model.client())
        assert seen.result is not None, seen.error
        assert seen.result.output == City(name="Oslo", people=7)

    def test_as_json_object_the_schema_is_in_the_instructions(self, enter: Enter) -> None:
        model = ScriptedModel(['{"name": "Oslo", "people": 7}'])
        agent = Agent(model="m", instructions="Be exact.", output_type=City, output_mode="json_object")
        seen = enter(agent, "?", client=model.client())
        assert seen.result is not None
        assert model.requests[0]["text"] == {"format": {"type": "json_object"}}
        assert model.requests[0]["instructions"].startswith("Be exact.\n\nAnswer with one JSON object")
        assert '"people"' in model.requests[0]["instructions"]

    def test_a_final_tool_ends_the_run(self, enter: Enter) -> None:
        @tool(final=True)
        def report(summary: str) -> str:
            return summary.upper()

        model = ScriptedModel([[call("report", {"summary": "done"})]])
        seen = enter(Agent(model="m", tools=[report]), "?", client=model.client())
        assert seen.result is not None, seen.error
        assert seen.result.output == "DONE"
        assert (seen.result.turns, seen.transcript.open_calls) == (1, [])


class TestEndings:
    def test_a_refusal(self, enter: Enter) -> None:
        seen = enter(ASSISTANT, "?", client=ScriptedModel([refusal("I can't do that.")]).client())
        assert isinstance(seen.error, Refused)
        assert seen.error.refusal == "I can't do that."
        assert seen.transcript.turns == 1

    def test_a_response_cut_short_keeps_what_came_and_runs_nothing(self, enter: Enter) -> None:
        ran: list[str] = []

        @tool
        def note(word: str) -> None:
            ran.append(word)

        model = ScriptedModel([incomplete(text("So far"), call("note", '{"word": "a')), "Done."])
        agent = Agent(model="m", tools=[note])
        seen = enter(agent, "?", client=model.client())
        assert isinstance(seen.error, Incomplete)
        assert seen.error.reason == "max_output_tokens"
        assert not ran
        assert [item["type"] for item in seen.transcript.items] == ["message", "message"]
        assert isinstance(seen.transcript.entries[-1], ResponseEntry)
        assert len(seen.transcript.entries[-1].items) == 2
        again = enter(agent, transcript=seen.transcript, client=model.client())
        assert again.result is not None
        assert again.result.output == "Done."

    def test_a_failed_response_says_why(self, enter: Enter) -> None:
        model = ScriptedModel([failed(code="invalid_prompt", message="no such thing")])
        seen = enter(ASSISTANT, "?", client=model.client(retry=quick()))
        assert isinstance(seen.error, ResponseFailed)
        assert "no such thing" in str(seen.error)
        assert seen.error.code == "invalid_prompt"

    def test_no_answer_is_asked_for_once_more(self, enter: Enter) -> None:
        model = ScriptedModel([[reasoning("hm")], "Yes."])
        seen = enter(ASSISTANT, "?", client=model.client())
        assert seen.result is not None
        assert seen.result.turns == 2

    def test_no_answer_twice_is_an_error(self, enter: Enter) -> None:
        model = ScriptedModel([[reasoning("hm")], [text("")]])
        seen = enter(ASSISTANT, "?", client=model.client())
        assert isinstance(seen.error, ProtocolError)
        assert seen.transcript.turns == 2

    def test_nothing_to_ask_is_a_usage_error(self, enter: Enter) -> None:
        seen = enter(ASSISTANT, client=ScriptedModel([]).client())
        assert isinstance(seen.error, UsageError)

    def test_a_prompt_over_open_calls_is_refused(self, enter: Enter) -> None:
        opened = Transcript.from_items(
            [QUESTION, {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"}]
        )
        seen = enter(ASSISTANT, "next?", transcript=opened, client=ScriptedModel([]).client())
        assert isinstance(seen.error, TranscriptError)
        assert seen.transcript == opened

    @pytest.mark.parametrize("wrong", [b"bytes", 3, [], ["text", {"role": "user"}], [1]])
    def test_an_input_of_the_wrong_kind_is_refused(self, enter: Enter, wrong: object) -> None:
        seen = enter(ASSISTANT, wrong, client=ScriptedModel([]).client())
        assert isinstance(seen.error, UsageError)


class TestLimits:
    def test_turns(self, enter: Enter) -> None:
        model = ScriptedModel(lambda request: [call("weather", {"city": "Oslo"})])
        seen = enter(ASSISTANT, "?", client=model.client(), limits=Limits(turns=3))
        assert isinstance(seen.error, LimitReached)
        assert "turns: 3 made, 3 allowed" in str(seen.error)
        assert len(model.requests) == 3
        assert seen.transcript.open_calls == []

    def test_tool_calls_leave_the_next_calls_open(self, enter: Enter) -> None:
        model = ScriptedModel([[call("weather", {"city": "Oslo"}), call("weather", {"city": "Rome"})], "ok"])
        seen = enter(ASSISTANT, "?", client=model.client(), limits=Limits(tool_calls=1))
        assert isinstance(seen.error, LimitReached)
        assert [c.call_id for c in seen.transcript.open_calls] == ["call_1", "call_2"]
        again = enter(ASSISTANT, transcript=seen.transcript, client=model.client())
        assert again.result is not None
        assert len(again.result.tool_calls) == 2

    def test_tokens_are_summed_over_turns(self, enter: Enter) -> None:
        looping = reply(call("weather", {"city": "Oslo"}), usage={"output_tokens": 40, "total_tokens": 60})
        seen = enter(ASSISTANT, "?", client=ScriptedModel([looping] * 5).client(), limits=Limits(output_tokens=100))
        assert isinstance(seen.error, LimitReached)
        assert seen.transcript.turns == 3
        assert "output_tokens: 120 used, 100 allowed" in str(seen.error)

    def test_cost(self, enter: Enter) -> None:
        looping = reply(call("weather", {"city": "Oslo"}), usage={"input_tokens": 1_000_000, "output_tokens": 0})
        limits = Limits(cost=2.0, prices=Prices(input=1.0, output=2.0))
        seen = enter(ASSISTANT, "?", client=ScriptedModel([looping] * 5).client(), limits=limits)
        assert isinstance(seen.error, LimitReached)
        assert seen.transcript.turns == 2

    def test_limits_without_usage_are_said_to_go_unchecked(
        self, enter: Enter, caplog: pytest.LogCaptureFixture
    ) -> None:
        model = ScriptedModel([reply(call("weather", {"city": "Oslo"}), usage=None), reply("ok", usage=None)])
        with caplog.at_level(logging.WARNING, "agentkit"):
            seen = enter(ASSISTANT, "?", client=model.client(), limits=Limits(total_tokens=1))
        assert seen.result is not None, seen.error
        assert [r.getMessage() for r in caplog.records] == [
            "the server reports no usage: the limits on tokens and cost go unchecked"
        ]

    def test_seconds_end_a_request_that_hangs(self, enter: Enter) -> None:
        gate = threading.Event()
        model = ScriptedModel([text("So", hold(gate), " far")])
        started = time.monotonic()
        seen = enter(ASSISTANT, "?", client=model.client(), limits=Limits(seconds=0.05))
        gate.set()
        assert isinstance(seen.error, LimitReached)
        assert time.monotonic() - started < 1
        assert seen.transcript.items == [{"type": "message", "role": "user", "content": "?"}]

    def test_seconds_end_a_tool_that_hangs(self, enter: Enter) -> None:
        @tool
        async def hang() -> None:
            await asyncio.Event().wait()

        model = ScriptedModel([[call("hang", {})]])
        seen = enter(Agent(model="m", tools=[hang]), "?", client=model.client(), limits=Limits(seconds=0.05))
        assert isinstance(seen.error, LimitReached)
        assert seen.transcript.open_calls == []
        assert "cancelled" in str(seen.transcript.items[-1]["output"])

    def test_a_nested_run_counts_for_the_one_around_it(self, enter: Enter) -> None:
        inner = ScriptedModel(lambda request: reply("42", usage={"output_tokens": 500}))

        @tool
        async def ask_expert(question: str) -> str:
            return (await Agent(model="inner").run(question, client=inner.client())).output

        outer = ScriptedModel([reply(call("ask_expert", {"question": "?"}), usage={"output_tokens": 1}), "never"])
        agent = Agent(model="m", tools=[ask_expert])
        seen = enter(agent, "?", client=outer.client(), limits=Limits(output_tokens=100))
        assert isinstance(seen.error, LimitReached)
        assert "501 used" in str(seen.error)

    def test_runs_nested_too_deep_end_them_all(self, enter: Enter) -> None:
        model = ScriptedModel(lambda request: [call("again", {})])
        client = model.client()

        @tool
        async def again() -> str:
            return (await Agent(model="m", tools=[again]).run("again", client=client)).output

        seen = enter(Agent(model="m", tools=[again]), "go", client=client)
        assert isinstance(seen.error, UsageError)
        assert "nested 16 deep" in str(seen.error)
        assert len(model.requests) == 16


class TestEvents:
    def test_they_come_in_the_order_in_which_things_happen(self) -> None:
        model = ScriptedModel([[reasoning("Hm."), call("weather", {"city": "Oslo"})], "Yes."])
        with ASSISTANT.stream_sync("?", client=model.client()) as run:
            events = list(run)
        kinds = [type(event) for event in events]
        first = [ReasoningDelta, ReasoningDelta, ResponseFinished, ToolStarted, ToolFinished]
        assert kinds == [*first, TextDelta, TextDelta, ResponseFinished]
        assert "".join(e.text for e in events if isinstance(e, TextDelta)) == run.result.output == "Yes."

    def test_a_delta_arrives_while_the_server_holds_the_rest(self) -> None:
        gate = threading.Event()
        model = ScriptedModel([text("Hel", hold(gate), "lo")])
        with Agent(model="m").stream_sync("?", client=model.client()) as run:
            deltas = run.text_deltas()
            assert next(deltas) == "Hel"
            assert not gate.is_set()
            gate.set()
            assert "".join(deltas) == "lo"

    def test_a_delta_arrives_while_the_server_holds_the_rest_async(self) -> None:
        async def main() -> str:
            gate = asyncio.Event()
            model = ScriptedModel([text("Hel", hold(gate), "lo")])
            async with Agent(model="m").stream("?", client=model.client()) as run:
                deltas = run.text_deltas()
                assert await anext(deltas) == "Hel"
                gate.set()
                return "".join([delta async for delta in deltas])

        assert asyncio.run(main()) == "lo"

    def test_progress_shows_while_the_tool_runs(self) -> None:
        go_on = threading.Event()

        @tool
        def work(ctx: ToolContext[None]) -> str:
            ctx.emit("half")
            go_on.wait(5)
            return "whole"

        model = ScriptedModel([[call("work", {})], "ok"])
        with Agent(model="m", tools=[work]).stream_sync("?", client=model.client()) as run:
            for event in run:
                if isinstance(event, ToolProgress):
                    assert (event.data, event.name) == ("half", "work")
                    go_on.set()
        assert run.result.tool_calls[0].output == "whole"

    def test_a_broken_stream_is_discarded_and_started_again(self) -> None:
        model = ScriptedModel([[text("Hello", cut(), " there")], "Hello there"])
        with Agent(model="m").stream_sync("?", client=model.client(retry=quick())) as run:
            events = list(run)
        kinds = [type(event) for event in events]
        assert kinds[1:3] == [AttemptDiscarded, RetryWaiting]
        assert run.result.output == "Hello there"
        assert model.requests[0].raw == model.requests[1].raw

    def test_retries_show(self) -> None:
        model = ScriptedModel([rate_limited(retry_after_s=2), "ok"])
        with Agent(model="m").stream_sync("?", client=model.client(retry=quick())) as run:
            waits = [event for event in run if isinstance(event, RetryWaiting)]
        assert [(wait.wait_s, wait.attempt) for wait in waits] == [(pytest.approx(2.2), 1)]


class TestObservers:
    def test_they_see_every_entry_before_the_next_effect(self, enter: Enter) -> None:
        log: list[str] = []

        @tool
        def note() -> None:
            log.append("tool")

        def script(request: object) -> object:
            log.append("request")
            return "ok" if log.count("request") > 1 else [call("note", {})]

        async def observe(entry: object) -> None:
            await asyncio.sleep(0)
            log.append(type(entry).__name__)

        agent = Agent(model="m", tools=[note])
        seen = enter(agent, "?", client=ScriptedModel(script).client(), observers=[observe])
        assert seen.error is None
        assert log == ["InputEntry", "request", "ResponseEntry", "tool", "OutputsEntry", "request", "ResponseEntry"]

    @pytest.mark.parametrize("kind", [InputEntry, ResponseEntry, OutputsEntry])
    def test_an_exception_of_one_stops_the_run_before_the_next_effect(self, enter: Enter, kind: type) -> None:
        ran: list[str] = []

        @tool
        def note() -> None:
            ran.append("tool")

        def observe(entry: object) -> None:
            if isinstance(entry, kind):
                raise OSError("disk full")

        model = ScriptedModel([[call("note", {})], "ok"])
        seen = enter(Agent(model="m", tools=[note]), "?", client=model.client(), observers=[observe])
        assert isinstance(seen.error, OSError)
        assert isinstance(seen.transcript.entries[-1], kind)
        assert len(model.requests) == (0 if kind is InputEntry else 1)
        assert bool(ran) == (kind is OutputsEntry)


class TestEndingEarly:
    def test_break_ends_the_run_and_frees_the_server(self) -> None:
        gate = threading.Event()
        model = ScriptedModel([text("Hel", hold(gate), "lo")])
        with Agent(model="m").stream_sync("?", client=model.client()) as run:
            for event in run:
                assert isinstance(event, TextDelta)
                break
        gate.set()
        assert run.transcript.turns == 0
        with pytest.raises(UsageError, match="no result"):
            _ = run.result

    def test_break_between_tools_answers_every_call(self) -> None:
        first_done = threading.Event()

        @tool
        def quick_one() -> str:
            first_done.set()
            return "done"

        @tool
        async def slow_one() -> None:
            await asyncio.Event().wait()

        model = ScriptedModel([[call("quick_one", {}), call("slow_one", {})]])
        with Agent(model="m", tools=[quick_one, slow_one]).stream_sync("?", client=model.client()) as run:
            for event in run:
                if isinstance(event, ToolFinished):
                    break
        outputs = [item["output"] for item in run.transcript.items if item["type"] == "function_call_output"]
        assert outputs == ["done", "cancelled; it was running, so the outcome is unknown"]

    def test_cancel_from_another_thread_stops_the_iteration(self) -> None:
        gate = threading.Event()
        model = ScriptedModel([text("Hel", hold(gate), "lo")])
        with Agent(model="m").stream_sync("?", client=model.client()) as run:
            seen = []
            for event in run:
                seen.append(event)
                threading.Thread(target=run.cancel).start()
        gate.set()
        assert len(seen) == 1
        assert run.transcript.turns == 0

    def test_a_cancelled_task_answers_every_call_within_a_second(self) -> None:
        started = threading.Event()

        @tool
        async def stubborn() -> None:
            started.set()
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    if gave_up.is_set():
                        raise

        gave_up = threading.Event()

        async def main() -> None:
            model = ScriptedModel([[call("stubborn", {})]])
            task = asyncio.create_task(Agent(model="m", tools=[stubborn]).run("?", client=model.client()))
            await asyncio.to_thread(started.wait)
            before = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert time.monotonic() - before < 1
            transcript = caught.value.transcript  # type: ignore[attr-defined]
            assert transcript.items[-1]["output"] == "cancelled; it was running, so the outcome is unknown"
            gave_up.set()

        asyncio.run(main())

    def test_a_cancel_during_a_request_changes_nothing(self) -> None:
        async def main() -> None:
            gate = asyncio.Event()
            model = ScriptedModel([text("Hel", hold(gate), "lo")])
            run = Agent(model="m").stream("?", client=model.client())
            task = asyncio.create_task(anext(run))
            await task
            task = asyncio.create_task(anext(run))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert caught.value.transcript.turns == 0  # type: ignore[attr-defined]
            await run.aclose()

        asyncio.run(main())

    def test_an_abandoned_stream_leaves_nothing(self) -> None:
        model = ScriptedModel(["Hello"])
        run = Agent(model="m").stream_sync("?", client=model.client())
        next(run)
        del run
        gc.collect()

    def test_an_abandoned_stream_cancels_its_tools(self) -> None:
        cancelled = threading.Event()

        @tool
        async def hang(ctx: ToolContext[None]) -> None:
            ctx.emit("begun")
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        model = ScriptedModel([[call("hang", {})]])
        run = Agent(model="m", tools=[hang]).stream_sync("?", client=model.client())
        assert any(isinstance(event, ToolProgress) for event in run)
        assert not cancelled.is_set()
        del run
        gc.collect()
        assert cancelled.wait(2)


class TestManyAtOnce:
    def test_runs_of_one_agent_do_not_mix(self) -> None:
        model = ScriptedModel(lambda request: f"you said {request.last_text}")
        client = model.client()

        async def main() -> list[str]:
            results = await asyncio.gather(*(ASSISTANT.run(f"number {n}", client=client) for n in range(50)))
            return [result.output for result in results]

        assert asyncio.run(main()) == [f"you said number {n}" for n in range(50)]

    def test_run_sync_works_inside_a_running_loop(self) -> None:
        async def main() -> str:
            return ASSISTANT.run_sync("?", client=ScriptedModel(["ok"]).client()).output

        assert asyncio.run(main()) == "ok"

    def test_run_sync_inside_a_run_on_the_background_loop_is_refused(self) -> None:
        @tool
        async def nested() -> str:
            return ASSISTANT.run_sync("?", client=ScriptedModel(["ok"]).client()).output

        model = ScriptedModel([[call("nested", {})], "ok"])
        result = Agent(model="m", tools=[nested]).run_sync("?", client=model.client())
        assert "UsageError" in result.tool_calls[0].output
        assert "await agent.run" in result.tool_calls[0].output

    def test_one_run_iterated_by_two_tasks_is_refused(self) -> None:
        async def main() -> None:
            gate = asyncio.Event()
            model = ScriptedModel([text("Hel", hold(gate), "lo")])
            async with Agent(model="m").stream("?", client=model.client()) as run:
                await anext(run)
                first = asyncio.create_task(anext(run))
                await asyncio.sleep(0)
                with pytest.raises(UsageError, match="two tasks"):
                    await anext(run)
                gate.set()
                await first

        asyncio.run(main())


class TestAgent:
    def test_it_does_not_change(self) -> None:
        with pytest.raises(AttributeError, match="replace"):
            ASSISTANT.model = "other"
        assert ASSISTANT.replace(model="other").model == "other"
        assert ASSISTANT.model == "test"
        with pytest.raises(UsageError, match="temperature"):
            ASSISTANT.replace(temperature=1)

    @pytest.mark.parametrize(
        "options",
        [
            {"model": ""},
            {"model": "m", "output_mode": "yaml"},
            {"model": "m", "output_retries": -1},
            {"model": "m", "instructions": 3},
            {"model": "m", "settings": {"temperature": 1}},
            {"model": "m", "limits": 3},
            {"model": "m", "tools": [weather, weather]},
            {"model": "m", "tools": [lambda x: x]},
            {"model": "m", "client": ScriptedModel([])},
            {"model": "m", "settings": Settings(tool_choice="no_such_tool")},
            {"model": "m", "settings": Settings(tool_choice="required")},
        ],
    )
    def test_mistakes_are_found_when_it_is_made(self, options: dict[str, object]) -> None:
        with pytest.raises(UsageError):
            Agent(**options)

    def test_plain_functions_are_tools_too(self, enter: Enter) -> None:
        def double(n: int) -> int:
            """Twice n."""
            return 2 * n

        model = ScriptedModel([[call("double", {"n": 4})], "8"])
        seen = enter(Agent(model="m", tools=[double]), "?", client=model.client())
        assert seen.result is not None
        assert seen.result.tool_calls[0].output == "8"

    def test_without_a_server_the_error_names_the_variables(
        self, enter: Enter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AGENTKIT_BASE_URL", "SAMBANOVA_API_KEY", "OPENAI_API_KEY"):
            monkeypatch.delenv(name, raising=False)
        seen = enter(Agent(model="m"), "hi")
        assert isinstance(seen.error, UsageError)
        for name in ("AGENTKIT_BASE_URL", "SAMBANOVA_API_KEY", "OPENAI_API_KEY"):
            assert name in str(seen.error)


def test_a_response_that_failed_each_time_tells_of_its_attempts(enter: Enter) -> None:
    model = ScriptedModel([failed(code="server_error", message="no luck")] * 2)
    policy = RetryPolicy(attempts=2, sleep=quick().sleep)
    seen = enter(Agent(model="m"), "?", client=model.client(retry=policy))
    assert isinstance(seen.error, ResponseFailed)
    assert [attempt.number for attempt in seen.error.attempts] == [1, 2]


class TestCallsThatTheServerCannotRead:
    """SambaNova's `adapter_mapping_failed`: two resamples, then one word to the model, then the error."""

    TOLD: ClassVar = {
        "type": "message",
        "role": "user",
        "content": "Your tool call could not be read, and was not run. Write it again, its arguments as valid JSON. "
        "You wrote: weather(",
    }

    def test_the_model_is_told_once_what_it_wrote(self, enter: Enter) -> None:
        unread = adapter_mapping_failed("weather(")
        model = ScriptedModel([unread, unread, unread, [call("weather", {"city": "Oslo"})], "Yes."])
        seen = enter(ASSISTANT, "Coat?", client=model.client(retry=quick()))
        assert seen.result is not None
        assert (seen.result.output, seen.result.turns) == ("Yes.", 2)
        assert [len(request["input"]) for request in model.requests] == [1, 1, 1, 2, 4]
        assert model.requests[3]["input"][1] == self.TOLD
        assert seen.transcript.items[1] == self.TOLD

    def test_after_that_it_is_an_error(self, enter: Enter) -> None:
        model = ScriptedModel([adapter_mapping_failed("weather(")] * 9)
        seen = enter(ASSISTANT, "Coat?", client=model.client(retry=quick()))
        assert isinstance(seen.error, BadRequest)
        assert (seen.error.code, seen.error.model_output) == ("adapter_mapping_failed", "weather(")
        assert len(model.requests) == 4
        assert seen.transcript.items == [{**QUESTION, "content": "Coat?"}, self.TOLD]

    def test_after_a_response_the_count_begins_anew(self, enter: Enter) -> None:
        unread = [adapter_mapping_failed("weather(")] * 3
        model = ScriptedModel([*unread, [call("weather", {"city": "Oslo"})], *unread, "Yes."])
        seen = enter(ASSISTANT, "Coat?", client=model.client(retry=quick()))
        assert seen.result is not None, seen.error
        assert sum(item == self.TOLD for item in seen.transcript.items) == 2

    def test_what_the_model_wrote_may_be_unknown(self, enter: Enter) -> None:
        unread = failure(400, code="adapter_mapping_failed", message="x")
        model = ScriptedModel([unread] * 3 + ["Yes."])
        seen = enter(ASSISTANT, "Coat?", client=model.client(retry=quick()))
        assert seen.result is not None
        assert "You wrote" not in seen.transcript.items[1]["content"]


class TestPreparing:
    @pytest.mark.parametrize(
        "options",
        [
            {"input": 3},
            {"input": "x", "observers": print},
            {"input": "x", "observers": [3]},
            {"input": "x", "client": ScriptedModel([])},
            {"input": "x", "client": ScriptedModel},
            {"input": "x", "settings": Settings(tool_choice="no_such_tool")},
        ],
    )
    def test_mistakes_in_the_call_keep_the_conversation(self, enter: Enter, options: dict[str, object]) -> None:
        begun = Transcript.from_items([QUESTION])
        options = {"client": ScriptedModel([]).client(), **options}
        seen = enter(ASSISTANT, options.pop("input"), transcript=begun, **options)
        assert isinstance(seen.error, UsageError)
        assert seen.transcript == begun

    def test_what_instructions_raise_keeps_the_conversation(self, enter: Enter) -> None:
        begun = Transcript.from_items([QUESTION])
        agent = Agent(model="m", instructions=lambda deps: str(1 // 0))
        seen = enter(agent, "x", transcript=begun, client=ScriptedModel([]).client())
        assert isinstance(seen.error, ZeroDivisionError)
        assert seen.transcript == begun

    def test_instructions_are_no_coroutine(self, enter: Enter) -> None:
        async def late(deps: object) -> str:
            return "never"

        seen = enter(Agent(model="m", instructions=late), "x", client=ScriptedModel([]).client())
        assert isinstance(seen.error, UsageError)


class TestCancelledTwice:
    """A second cancellation cuts the waiting short, never the outputs."""

    @staticmethod
    async def interrupt(steps: int, more: int, ran: list[int]) -> str:
        @tool
        async def slow(n: int) -> str:
            ran.append(n)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return "slow"

        @tool
        def quick(n: int) -> str:
            ran.append(n)
            return "quick"

        agent = Agent(model="m", tools=[slow, quick])
        three = [call("slow", {"n": 1}), call("quick", {"n": 2}), call("slow", {"n": 3})]
        script = [three, call("slow", {"n": 4}), "end"]
        task = asyncio.create_task(agent.run("?", client=ScriptedModel(script).client()))
        for _ in range(steps):
            await asyncio.sleep(0)
        if task.done():
            return "over"
        task.cancel()
        for _ in range(more):
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as exc:
            transcript = getattr(exc, "transcript", None)
            if transcript is not None and transcript.entries:
                await agent.run(transcript=transcript, client=ScriptedModel(lambda request: "end").client())
        return "cancelled"

    @pytest.mark.parametrize("more", [0, 1, 2, 3, 5])
    def test_no_tool_runs_again_on_continuing(self, more: int) -> None:
        async def sweep() -> None:
            for steps in range(200):
                ran: list[int] = []
                if await self.interrupt(steps, more, ran) == "over":
                    return
                assert len(ran) == len(set(ran)), f"cancelled at step {steps}: {ran}"

        asyncio.run(sweep())
