"""Misbehaviour by name."""

import pytest

from agentkit.service.events import number_events, response_steps
from agentkit.service.faults import (
    FAULTS,
    adapter_mapping_failed,
    arguments_only_when_done,
    context_length_exceeded,
    internal_error,
    maintenance,
    one_output_index,
    queue_full,
    rate_limited,
    request_timeout,
)
from agentkit.service.ids import position_ids
from agentkit.service.replies import Answer, Cut, as_answer, call, reasoning, rewrite
from agentkit.service.requests import ReceivedRequest


def events(given):
    request = ReceivedRequest({"model": "m", "input": "hi"})
    steps = response_steps(request, as_answer(given), new_id=position_ids(request), clock=lambda: 0.0, split=None)
    for part in as_answer(given).parts:
        if hasattr(part, "change"):
            steps = part.change(steps)
    return list(number_events(steps))


@pytest.mark.parametrize(
    ("failure", "status", "code", "headers"),
    [
        (rate_limited(), 429, "insufficient_quota", ()),
        (rate_limited(retry_after_s=0.5), 429, "insufficient_quota", (("retry-after", "0.5"),)),
        (rate_limited(retry_after_s=7), 429, "insufficient_quota", (("retry-after", "7"),)),
        (queue_full(), 429, "queue_full", ()),
        (context_length_exceeded(), 400, "context_length_exceeded", ()),
        (adapter_mapping_failed(), 400, "adapter_mapping_failed", ()),
    ],
)
def test_failures_in_the_envelope(failure, status, code, headers):
    assert (failure.status, failure.body["error"]["code"], failure.headers) == (status, code, headers)


@pytest.mark.parametrize(
    ("failure", "status", "body"),
    [
        (request_timeout(), 408, {"error": "Request timeout"}),
        (internal_error(), 500, "Internal Server Error"),
        (maintenance(), 503, "Service Unavailable"),
    ],
)
def test_failures_in_simpler_forms(failure, status, body):
    assert (failure.status, failure.body) == (status, body)


def test_adapter_mapping_failed_shows_what_the_model_wrote():
    assert adapter_mapping_failed("f(").body == {
        "error": {
            "message": "Failed to parse the model's tool call.",
            "type": "server_error",
            "param": None,
            "code": "adapter_mapping_failed",
            "error_model_output": "f(",
        }
    }


def test_one_output_index():
    indexes = {each["output_index"] for each in events(["a", call("f"), rewrite(one_output_index)]) if "item" in each}
    assert indexes == {0}


def test_arguments_only_when_done():
    types = [each["type"] for each in events([call("f", {"a": 1}), rewrite(arguments_only_when_done)])]
    assert types == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.output_item.done",
        "response.completed",
    ]


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("cut_before_first_delta", "response.content_part.added"),
        ("cut_after_first_delta", "response.output_text.delta"),
    ],
)
def test_cuts(name, before):
    steps = events(FAULTS[name](as_answer("Hi")))
    assert steps[steps.index(Cut()) - 1]["type"] == before


def test_without_terminal_event():
    assert events(FAULTS["without_terminal_event"](as_answer("Hi")))[-1]["type"] == "response.output_item.done"


@pytest.mark.parametrize(
    ("name", "given", "items"),
    [
        ("malformed_arguments", call("f", {"a": 1}), [("function_call", "f", '{"a":1')]),
        ("unknown_tool", call("f"), [("function_call", "f_unheard_of", "{}")]),
        ("two_calls", call("f"), [("function_call", "f", "{}")] * 2),
        ("message_and_call", call("f"), [("message", None, None), ("function_call", "f", "{}")]),
        ("reasoning_first", "Hi", [("reasoning", None, None), ("message", None, None)]),
        ("unknown_item", "Hi", [("unheard_of", None, None), ("message", None, None)]),
        ("malformed_arguments", "Hi", [("message", None, None)]),
    ],
)
def test_items_of_bent_answers(name, given, items):
    output = events(FAULTS[name](as_answer(given)))[-1]["response"]["output"]
    assert [(item["type"], item.get("name"), item.get("arguments")) for item in output] == items


def test_two_calls_have_two_call_ids():
    output = events(FAULTS["two_calls"](as_answer(call("f", call_id="c"))))[-1]["response"]["output"]
    assert [item["call_id"] for item in output] == ["c", "call_2"]


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_every_fault_bends_every_answer(name):
    """Whatever the answer, what comes out is a reply, and the checklist's names are all there."""
    for given in ("Hi", call("f"), [reasoning("a"), "b"], []):
        bent = FAULTS[name](as_answer(given))
        assert as_answer(bent) == bent
        if isinstance(bent, Answer):
            assert events(bent)


def test_names():
    """Point 7 of the protocol's section 13."""
    assert set(FAULTS) >= {
        "rate_limited",
        "rate_limited_with_headers",
        "queue_full",
        "request_timeout",
        "internal_error",
        "adapter_mapping_failed",
        "cut_before_first_delta",
        "cut_after_first_delta",
        "failed",
        "incomplete",
        "no_event_lines",
        "no_sequence_numbers",
        "unknown_event",
        "unknown_item",
        "one_output_index",
        "arguments_only_when_done",
        "malformed_arguments",
        "unknown_tool",
        "two_calls",
        "message_and_call",
        "reasoning_first",
    }
