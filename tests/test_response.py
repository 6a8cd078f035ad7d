"""The typed view of a response: anything may be absent or of a wrong type, and nothing is lost."""

from __future__ import annotations

import pytest

from agentkit.errors import ProtocolError
from agentkit.items import FunctionCall
from agentkit.response import Response, Usage

FULL = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 15,
    "total_latency": 1.5,
    "time_to_first_token": 0.25,
    "output_tokens_per_sec": 100,
    "output_tokens_after_first_per_sec": 110.5,
    "total_tokens_per_sec": 200.0,
    "acceptance_rate": 3.5,
    "start_time": 1753000000.25,
    "end_time": 1753000001.75,
    "is_last_response": True,
}


def test_sambanovas_usage_is_read_whole():
    usage = Usage.parse(FULL)
    assert usage == Usage(
        input_tokens=10,
        output_tokens=5,
        total_tokens=15,
        cached_tokens=4,
        reasoning_tokens=2,
        total_latency=1.5,
        time_to_first_token=0.25,
        output_tokens_per_sec=100.0,
        output_tokens_after_first_per_sec=110.5,
        total_tokens_per_sec=200.0,
        acceptance_rate=3.5,
        start_time=1753000000.25,
        end_time=1753000001.75,
    )
    assert usage.raw["is_last_response"] is True


UNREADABLE = [None, "5", True, -1, 1.5, [], {}, 10**400, float("nan"), float("inf")]


@pytest.mark.parametrize("value", UNREADABLE, ids=lambda value: repr(value)[:10])
def test_a_count_that_is_none_reads_as_none(value: object):
    assert Usage.parse({"input_tokens": value}).input_tokens is None


@pytest.mark.parametrize(
    "value", [None, "5", True, -1.5, [], 10**400, float("nan"), float("inf")], ids=lambda v: repr(v)[:10]
)
def test_a_time_that_is_none_reads_as_none(value: object):
    assert Usage.parse({"total_latency": value}).total_latency is None


def test_a_whole_float_is_a_count():
    assert Usage.parse({"input_tokens": 5.0}).input_tokens == 5


@pytest.mark.parametrize("raw", [None, [], "x", 5, {}, {"input_tokens_details": None, "output_tokens_details": []}])
def test_a_usage_that_says_nothing_is_counted_as_unreported(raw: object):
    assert Usage.parse(raw) == Usage(unreported=1)
    assert not Usage.parse(raw)


def test_a_sum_adds_what_is_there():
    total = Usage.parse(FULL) + Usage.parse(None) + Usage.parse({"input_tokens": 1, "output_tokens": 0})
    assert (total.input_tokens, total.output_tokens, total.total_tokens, total.unreported) == (11, 5, 15, 1)
    assert (total.cached_tokens, total.total_latency, total.time_to_first_token) == (4, 1.5, None)


def test_usage_prints_what_is_known():
    assert repr(Usage(input_tokens=3, unreported=1)) == "Usage(input_tokens=3, unreported=1)"


REFUSED = [
    ("null", None, "got nothing"),
    ("text", "hello", "got a string: 'hello'"),
    ("list", [1], "got a list"),
    ("true", True, "got a boolean"),
    ("no output", {"id": "x"}, "got nothing in a response with keys ['id']"),
    ("output null", {"output": None}, "got nothing"),
    ("output object", {"output": {}}, "got an object"),
    ("output of strings", {"output": ["x"]}, "got a list of other things"),
    ("still running", {"status": "in_progress", "output": []}, "still 'in_progress'"),
    ("queued", {"status": "queued", "output": []}, "still 'queued'"),
]


@pytest.mark.parametrize(("name", "raw", "message"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_no_response_breaks_the_protocol(name: str, raw: object, message: str):
    with pytest.raises(ProtocolError) as caught:
        Response.parse(raw)
    assert message in str(caught.value)


@pytest.mark.parametrize("status", ["failed", "incomplete", "cancelled"])
def test_a_response_without_success_needs_no_output(status: str):
    assert Response.parse({"status": status}).output == []


def test_only_output_is_required():
    response = Response.parse({"output": []})
    assert (response.status, response.id, response.model, response.error, response.refusal) == (
        ("completed", None, None, None, None)
    )
    assert (response.output_text, response.calls, response.incomplete_reason) == ("", [], None)


def test_fields_of_wrong_types_read_as_absent():
    response = Response.parse({"output": [], "id": 5, "model": [], "error": 5, "incomplete_details": "y", "status": 7})
    assert (response.id, response.model, response.error, response.incomplete_reason) == (None, None, None, None)
    assert response.status == "completed"


def test_an_error_that_is_a_bare_text_is_the_message():
    assert Response.parse({"output": [], "status": "failed", "error": "boo"}).error == {"message": "boo"}


def test_a_message_may_go_without_its_type():
    untyped = {"role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}
    assert Response.parse({"output": [untyped, {**untyped, "type": None}]}).output_text == "HiHi"
    refused = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No"}]}
    assert Response.parse({"output": [refused]}).refusal == "No"


def test_all_messages_make_the_text():
    items = [
        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "no"}]},
        {"type": "message", "content": [{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}]},
        {"type": "message", "content": "c"},
    ]
    assert Response.parse({"output": items}).output_text == "abc"


def test_a_refusal_is_found_among_messages():
    items = [
        {"type": "message", "content": "x"},
        {"type": "message", "content": [{"type": "refusal", "refusal": "no"}]},
    ]
    assert Response.parse({"output": items}).refusal == "no"


CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}


@pytest.mark.parametrize(
    ("status", "item_status", "runnable"),
    [
        ("completed", "completed", True),
        ("completed", None, True),
        ("completed", "incomplete", False),
        ("incomplete", "completed", False),
        ("failed", "completed", False),
        ("an unknown word", "completed", False),
    ],
)
def test_which_calls_can_be_run(status: str, item_status: str | None, runnable: bool):
    response = Response.parse({"status": status, "output": [{**CALL, "status": item_status}]})
    assert response.calls == ([FunctionCall("c", "f", "{}")] if runnable else [])


def test_a_response_prints_short():
    assert repr(Response.parse({"id": "r", "output": [CALL, {}]})) == "<Response r completed: function_call, None>"
