"""The response object."""

import pytest

from agentkit.service.ids import position_ids
from agentkit.service.replies import (
    as_answer,
    call,
    cut,
    event,
    hold,
    incomplete,
    reasoning,
    refusal,
    reply,
    text,
)
from agentkit.service.requests import ReceivedRequest
from agentkit.service.responses import Spoken, count_usage, finish_response, say, split_tokens, start_response

# "required" of ResponseResource, Open Responses specification of 2026-04-24
OPEN_RESPONSES_KEYS = {
    "id",
    "object",
    "created_at",
    "completed_at",
    "status",
    "incomplete_details",
    "model",
    "previous_response_id",
    "instructions",
    "output",
    "error",
    "tools",
    "tool_choice",
    "truncation",
    "parallel_tool_calls",
    "text",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "top_logprobs",
    "temperature",
    "reasoning",
    "usage",
    "max_output_tokens",
    "max_tool_calls",
    "store",
    "background",
    "service_tier",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
}
# the documented response of SambaNova has these on top
SAMBANOVA_KEYS = {"user", "top_k"}


def started(**body):
    return start_response(ReceivedRequest({"model": "m", "input": "hi", **body}), response_id="resp_1", created_at=12.9)


def items(given):
    return [said.item for said in say(as_answer(given), position_ids(ReceivedRequest({"input": "hi"})))]


def test_it_has_all_required_keys():
    assert len(OPEN_RESPONSES_KEYS) == 31
    assert set(started()) == OPEN_RESPONSES_KEYS | SAMBANOVA_KEYS


def test_defaults_of_what_was_not_sent():
    assert started() == {
        "id": "resp_1",
        "object": "response",
        "created_at": 12,
        "completed_at": None,
        "status": "in_progress",
        "incomplete_details": None,
        "error": None,
        "model": "m",
        "previous_response_id": None,
        "instructions": None,
        "output": [],
        "tools": [],
        "tool_choice": "auto",
        "truncation": "disabled",
        "parallel_tool_calls": True,
        "text": {"format": {"type": "text"}},
        "top_p": 1,
        "top_k": None,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "top_logprobs": 0,
        "temperature": 0.7,
        "reasoning": None,
        "user": None,
        "usage": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "store": False,
        "background": False,
        "service_tier": "default",
        "metadata": {},
        "safety_identifier": None,
        "prompt_cache_key": None,
    }


@pytest.mark.parametrize(
    ("field", "sent", "echoed"),
    [
        ("instructions", "Be brief.", "Be brief."),
        ("temperature", 0, 0),
        ("top_p", 0.5, 0.5),
        ("top_k", 5, 5),
        ("frequency_penalty", -2, -2),
        ("presence_penalty", 1.5, 1.5),
        ("top_logprobs", 3, 3),
        ("max_output_tokens", 100, 100),
        ("max_tool_calls", 2, 2),
        ("parallel_tool_calls", False, False),
        ("tool_choice", "required", "required"),
        ("tool_choice", {"type": "function", "name": "f"}, {"type": "function", "name": "f"}),
        ("truncation", "auto", "auto"),
        ("user", "u1", "u1"),
        ("metadata", {"a": "b"}, {"a": "b"}),
        ("service_tier", "free", "free"),
        ("background", True, True),
        ("prompt_cache_key", "k", "k"),
        ("safety_identifier", "s", "s"),
        ("reasoning", {"effort": "high"}, {"effort": "high", "summary": None}),
        ("text", {"format": {"type": "json_object"}}, {"format": {"type": "json_object"}}),
        ("text", {"verbosity": "low"}, {"verbosity": "low", "format": {"type": "text"}}),
        (
            "text",
            {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}},
            {
                "format": {
                    "type": "json_schema",
                    "name": "n",
                    "description": None,
                    "schema": {"type": "object"},
                    "strict": True,
                }
            },
        ),
        # SambaNova: stateless, so neither is honoured
        ("store", True, False),
        ("previous_response_id", "resp_0", None),
    ],
)
def test_echo(field, sent, echoed):
    assert started(**{field: sent})[field] == echoed


def test_fields_of_nobody_are_ignored():
    assert "seed" not in started(seed=7)


def test_tools_are_echoed_without_strict_and_without_hosted_ones():
    tools = [
        {"type": "function", "name": "f", "description": "F.", "parameters": {"type": "object"}, "strict": True},
        {"type": "web_search"},
        {"type": "function", "name": "g"},
    ]
    assert started(tools=tools)["tools"] == [
        {"type": "function", "name": "f", "description": "F.", "parameters": {"type": "object"}, "strict": None},
        {"type": "function", "name": "g", "description": None, "parameters": None, "strict": None},
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            text("Hi", phase="final_answer"),
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}],
                "phase": "final_answer",
            },
        ),
        (
            refusal("No."),
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "refusal", "refusal": "No."}],
            },
        ),
        (
            reasoning("Hm."),
            {
                "id": "rs_1",
                "type": "reasoning",
                "status": "completed",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": "Hm."}],
            },
        ),
        (
            reasoning(summary=["S."], encrypted_content="gAAA"),
            {
                "id": "rs_1",
                "type": "reasoning",
                "status": "completed",
                "summary": [{"type": "summary_text", "text": "S."}],
                "encrypted_content": "gAAA",
            },
        ),
        (
            call("f", {"a": 1}),
            {
                "id": "fc_1",
                "type": "function_call",
                "call_id": "call_1",
                "name": "f",
                "arguments": '{"a":1}',
                "status": "completed",
            },
        ),
        ({"type": "web_search_call", "action": {}}, {"type": "web_search_call", "action": {}}),
        (
            {"type": "function_call", "name": "f", "call_id": "", "arguments": ""},
            {"id": "fc_1", "type": "function_call", "name": "f", "call_id": "", "arguments": ""},
        ),
        ({"type": "message", "id": "m9", "content": []}, {"type": "message", "id": "m9", "content": []}),
    ],
)
def test_items(given, expected):
    assert items(given) == [expected]


def test_ids_count_items_only():
    parts = ["a", hold(lambda: None, at=0), event("response.x"), cut(at=3), call("f", call_id="mine")]
    said = [
        said
        for said in say(as_answer(parts), position_ids(ReceivedRequest({"input": "hi"})))
        if isinstance(said, Spoken)
    ]
    assert [(each.item["id"], each.item.get("call_id")) for each in said] == [("msg_1", None), ("fc_2", "mine")]


def test_only_the_last_item_of_an_incomplete_response_is_incomplete():
    assert [item["status"] for item in items(incomplete("a", call("f", '{"a"')))] == ["completed", "incomplete"]


@pytest.mark.parametrize(
    ("given", "status", "details", "error", "completed_at"),
    [
        (reply("a"), "completed", None, None, 14),
        (incomplete("a"), "incomplete", {"reason": "max_output_tokens"}, None, None),
    ],
)
def test_the_end(given, status, details, error, completed_at):
    response = finish_response(started(), given, output=[{"type": "x"}], usage=None, completed_at=14.2)
    assert response["status"] == status
    assert response["incomplete_details"] == details
    assert response["error"] == error
    assert response["completed_at"] == completed_at
    assert response["output"] == [{"type": "x"}]


def test_usage_has_sambanovas_fields():
    output = items([reasoning("one two"), call("f", "{}"), "Yes, indeed."])
    request = ReceivedRequest({"input": "hi"}, raw=b"x" * 40)
    assert count_usage(request, reply(), output, start=100.0, first=100.5, end=102.0) == {
        "input_tokens": 10,
        "output_tokens": 7,
        "total_tokens": 17,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 2},
        "start_time": 100.0,
        "end_time": 102.0,
        "time_to_first_token": 0.5,
        "total_latency": 2.0,
        "output_tokens_per_sec": 3.5,
        "output_tokens_after_first_per_sec": 4.0,
        "total_tokens_per_sec": 8.5,
        "acceptance_rate": None,
        "is_last_response": True,
    }


def test_usage_numbers_can_be_given_or_left_out():
    counted = count_usage(ReceivedRequest({}), reply(usage={"input_tokens": 5}), [], start=1, first=None, end=1)
    assert counted["input_tokens"] == 5
    assert counted["output_tokens_per_sec"] is None
    assert count_usage(ReceivedRequest({}), reply(usage=None), [], start=1, first=None, end=1) is None


@pytest.mark.parametrize(
    ("given", "tokens"),
    [
        ("Take a coat.", ["Take", " a", " coat", "."]),
        ('{"a": 1}', ['{"', "a", '":', " 1", "}"]),
        ("", []),
        ("  \n", [" ", " ", "\n"]),
        ("日本" * 8, ["日本" * 6, "日本" * 2]),
        ("😀a\u2028b", ["😀", "a", "\u2028b"]),
    ],
)
def test_tokens_join_to_the_text(given, tokens):
    assert split_tokens(given) == tokens
    assert "".join(tokens) == given
