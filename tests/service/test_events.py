"""The order and the fields of events, section 7 of the protocol."""

import itertools

import pytest

from agentkit.service.events import insert_at, number_events, response_steps
from agentkit.service.ids import position_ids
from agentkit.service.replies import (
    Cut,
    Hold,
    Wait,
    as_answer,
    call,
    cut,
    event,
    failed,
    hold,
    incomplete,
    reasoning,
    refusal,
    reply,
    text,
    wait,
)
from agentkit.service.requests import ReceivedRequest

REQUEST = ReceivedRequest({"model": "m", "input": "hi", "stream": True})


def steps(given, split=None):
    answer = as_answer(given)
    ticks = itertools.count(100)
    return list(
        number_events(
            response_steps(
                REQUEST, answer, new_id=position_ids(REQUEST), clock=lambda: next(ticks), split=split or answer.split
            )
        )
    )


def inside(given, split=None):
    """The events between the two that open a response and the one that ends it, without their numbers."""
    return [
        {key: value for key, value in step.items() if key != "sequence_number"} if isinstance(step, dict) else step
        for step in steps(given, split)[2:-1]
    ]


def test_a_message():
    part = {"type": "output_text", "text": "Hi you", "annotations": [], "logprobs": []}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    extra = {"logprobs": [], "annotations": []}
    assert inside("Hi you") == [
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**message, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **where, "part": {**part, "text": ""}},
        {"type": "response.output_text.delta", **where, **extra, "delta": "Hi"},
        {"type": "response.output_text.delta", **where, **extra, "delta": " you"},
        {"type": "response.output_text.done", **where, **extra, "text": "Hi you"},
        {"type": "response.content_part.done", **where, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": message},
    ]


def test_a_reasoning_item_then_a_call():
    """Reasoning deltas have no content_index (SambaNova); the item's content is absent until it is done."""
    reasoned = {
        "id": "rs_1",
        "type": "reasoning",
        "status": "completed",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "Hm"}],
    }
    called = {
        "id": "fc_2",
        "type": "function_call",
        "call_id": "call_2",
        "name": "f",
        "arguments": '{"a":1}',
        "status": "completed",
    }
    part = {"item_id": "rs_1", "output_index": 0, "content_index": 0}
    thought = {"item_id": "rs_1", "output_index": 0}
    argued = {"item_id": "fc_2", "output_index": 1}
    assert inside([reasoning("Hm"), call("f", {"a": 1})]) == [
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {"id": "rs_1", "type": "reasoning", "status": "in_progress", "summary": []},
        },
        {"type": "response.content_part.added", **part, "part": {"type": "reasoning_text", "text": ""}},
        {"type": "response.reasoning_text.delta", **thought, "delta": "Hm"},
        {"type": "response.reasoning_text.done", **thought, "text": "Hm"},
        {"type": "response.content_part.done", **part, "part": {"type": "reasoning_text", "text": "Hm"}},
        {"type": "response.output_item.done", "output_index": 0, "item": reasoned},
        {
            "type": "response.output_item.added",
            "output_index": 1,
            "item": {**called, "status": "in_progress", "arguments": ""},
        },
        {"type": "response.function_call_arguments.delta", **argued, "delta": '{"'},
        {"type": "response.function_call_arguments.delta", **argued, "delta": "a"},
        {"type": "response.function_call_arguments.delta", **argued, "delta": '":'},
        {"type": "response.function_call_arguments.delta", **argued, "delta": "1"},
        {"type": "response.function_call_arguments.delta", **argued, "delta": "}"},
        {"type": "response.function_call_arguments.done", **argued, "arguments": '{"a":1}'},
        {"type": "response.output_item.done", "output_index": 1, "item": called},
    ]


def test_a_refusal():
    types = [(each["type"], each.get("delta", each.get("refusal"))) for each in inside(refusal("No."))]
    assert types == [
        ("response.output_item.added", None),
        ("response.content_part.added", None),
        ("response.refusal.delta", "No"),
        ("response.refusal.delta", "."),
        ("response.refusal.done", "No."),
        ("response.content_part.done", None),
        ("response.output_item.done", None),
    ]


def test_a_reasoning_summary():
    where = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}
    part = {"type": "summary_text", "text": "S"}
    assert inside(reasoning(summary=["S"], encrypted_content="gAAA")) == [
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {
                "id": "rs_1",
                "type": "reasoning",
                "status": "in_progress",
                "summary": [],
                "encrypted_content": "gAAA",
            },
        },
        {"type": "response.reasoning_summary_part.added", **where, "part": {**part, "text": ""}},
        {"type": "response.reasoning_summary_text.delta", **where, "delta": "S"},
        {"type": "response.reasoning_summary_text.done", **where, "text": "S"},
        {"type": "response.reasoning_summary_part.done", **where, "part": part},
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {
                "id": "rs_1",
                "type": "reasoning",
                "status": "completed",
                "summary": [part],
                "encrypted_content": "gAAA",
            },
        },
    ]


def test_an_unknown_item_is_opened_and_closed_as_it_is():
    item = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    assert inside(item) == [
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "status": "in_progress"}},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
    ]


def test_a_recorded_message_streams_part_by_part():
    item = {
        "type": "message",
        "id": "msg_x",
        "role": "assistant",
        "status": "completed",
        "content": [
            {"type": "output_text", "text": "a", "annotations": [{"n": 1}]},
            {"type": "refusal", "refusal": "b"},
        ],
    }
    assert [(each["type"], each.get("content_index"), each.get("delta")) for each in inside(item)] == [
        ("response.output_item.added", None, None),
        ("response.content_part.added", 0, None),
        ("response.output_text.delta", 0, "a"),
        ("response.output_text.done", 0, None),
        ("response.content_part.done", 0, None),
        ("response.content_part.added", 1, None),
        ("response.refusal.delta", 1, "b"),
        ("response.refusal.done", 1, None),
        ("response.content_part.done", 1, None),
        ("response.output_item.done", None, None),
    ]


@pytest.mark.parametrize("given", ["Hi", "", [], [reasoning("a"), "b", call("c")], failed("a"), incomplete("a")])
def test_numbers_are_dense_from_zero(given):
    events = steps(given)
    assert [each["sequence_number"] for each in events] == list(range(len(events)))


@pytest.mark.parametrize("given", ["Hi", [reasoning("a"), "b", call("c")], failed("a"), incomplete("a"), []])
def test_a_response_opens_empty_and_closes_whole(given):
    first, second, *middle, last = steps(given)
    assert (first["type"], second["type"]) == ("response.created", "response.in_progress")
    for opened in (first["response"], second["response"]):
        assert (opened["status"], opened["output"], opened["completed_at"]) == ("in_progress", [], None)
    done = [each["item"] for each in middle if each["type"] == "response.output_item.done"]
    assert last["response"]["output"] == done
    assert last["type"] == f"response.{last['response']['status']}"
    assert last["response"]["id"] == first["response"]["id"]


def test_clock_readings_become_timestamps_and_usage():
    """The clock is read at the start, at the first delta and at the end."""
    response = steps("Hi you")[-1]["response"]
    assert (response["created_at"], response["completed_at"]) == (100, 102)
    assert (response["usage"]["time_to_first_token"], response["usage"]["total_latency"]) == (1, 2)


@pytest.mark.parametrize(
    ("shape", "error"),
    [
        (
            "nested",
            {
                "type": "error",
                "sequence_number": 2,
                "error": {"type": "server_error", "code": "server_error", "message": "Oh.", "param": None},
            },
        ),
        (
            "flat",
            {"type": "error", "sequence_number": 2, "code": "server_error", "message": "Oh.", "param": None},
        ),
        ("bare", {"error": {"type": "server_error", "code": "server_error", "message": "Oh.", "param": None}}),
    ],
)
def test_error_events(shape, error):
    *_, before, last = steps(failed(message="Oh.", error_event=shape))
    assert before == error
    assert last["type"] == "response.failed"
    assert last["response"]["error"] == {"code": "server_error", "message": "Oh."}
    assert last["response"]["completed_at"] is None


def test_a_failure_without_error_event():
    assert [each["type"] for each in steps(failed(error_event=None))] == [
        "response.created",
        "response.in_progress",
        "response.failed",
    ]


@pytest.mark.parametrize(
    ("split", "deltas"),
    [
        (None, ['{"', "a", '":"\\', "u00e5", '"}']),
        (1, list('{"a":"\\u00e5"}')),
        (5, ['{"a":', '"\\u00', 'e5"}']),
        (lambda text: [text[:7], text[7:]], ['{"a":"\\', 'u00e5"}']),
    ],
)
def test_deltas_split_anywhere(split, deltas):
    events = inside(call("f", '{"a":"\\u00e5"}'), split)
    assert [each["delta"] for each in events if each["type"].endswith(".delta")] == deltas


def test_what_happens_inside_a_text_stands_between_its_deltas():
    gate = object()
    found = [
        step.get("delta") if isinstance(step, dict) else step for step in inside(text("a", hold(gate), "b", cut()))
    ]
    assert [step for step in found if step is not None] == ["a", Hold(gate), "b", Cut()]


def test_waits_come_before_each_delta_at_a_pace():
    found = [step for step in inside(reply("a b", wait(3), tokens_per_s=4)) if isinstance(step, Wait)]
    assert found == [Wait(0.25), Wait(0.25), Wait(3)]


def test_an_event_is_emitted_where_it_stands():
    types = [each["type"] for each in inside(["a", event("response.new", x=1)])]
    assert types[-2:] == ["response.output_item.done", "response.new"]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (0, [Cut(), {"type": "a"}, {"type": "b"}, {"type": "a"}]),
        (1, [{"type": "a"}, Cut(), {"type": "b"}, {"type": "a"}]),
        (3, [{"type": "a"}, {"type": "b"}, {"type": "a"}, Cut()]),
        ("a", [{"type": "a"}, Cut(), {"type": "b"}, {"type": "a"}]),
        ("b", [{"type": "a"}, {"type": "b"}, Cut(), {"type": "a"}]),
        ("none such", [{"type": "a"}, {"type": "b"}, {"type": "a"}]),
    ],
)
def test_insertion(at, expected):
    assert list(insert_at(iter([{"type": "a"}, {"type": "b"}, {"type": "a"}]), Cut(), at)) == expected
