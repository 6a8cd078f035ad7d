"""The table of `next_action`, and that every prefix of a run has one next action."""

from __future__ import annotations

import pytest

from agentkit.entries import InputEntry, OutputRecord, OutputsEntry, ResponseEntry, encode_items
from agentkit.errors import Incomplete, ProtocolError, Refused, ResponseFailed
from agentkit.items import FunctionCall
from agentkit.response import Response
from agentkit.step import AskModel, Finish, RunCalls, Stop, next_action
from agentkit.transcript import Transcript

THOUGHT = {"type": "reasoning", "summary": []}


def says(text: str, **more: object) -> dict:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}], **more}


def refuses(text: str) -> dict:
    return {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": text}]}


def call(call_id: str = "a", **more: object) -> dict:
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}", **more}


def asked() -> InputEntry:
    return InputEntry(encode_items([{"type": "message", "role": "user", "content": "Hi"}]))


def answered(*items: dict, **response: object) -> ResponseEntry:
    return ResponseEntry.of(Response({**response, "output": list(items)}))


def gave(*records: OutputRecord, output: object = "7") -> OutputsEntry:
    items = [{"type": "function_call_output", "call_id": r.call_id, "output": output} for r in records]
    return OutputsEntry(encode_items(items), records)


COMMENTARY = says("Let me see.", phase="commentary")
CUT = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
DONE = OutputRecord("a")
CASES = [
    ("nothing", [], AskModel()),
    ("a prompt", [asked()], AskModel()),
    ("outputs", [asked(), answered(call()), gave(DONE)], AskModel()),
    ("an answer", [asked(), answered(says("Hello"))], Finish("Hello")),
    ("an answer after thoughts", [asked(), answered(THOUGHT, says("Hello"))], Finish("Hello")),
    ("an answer as a string", [answered({"type": "message", "role": "assistant", "content": "Hi"})], Finish("Hi")),
    ("several messages are joined", [answered(says("a"), says("b"))], Finish("ab")),
    ("only the final answers", [answered(COMMENTARY, says("x"), says("b", phase="final_answer"))], Finish("b")),
    ("commentary and an answer", [answered(COMMENTARY, says("b"))], Finish("b")),
    ("a phase null", [answered(says("b", phase=None))], Finish("b")),
    ("commentary only", [asked(), answered(COMMENTARY)], AskModel()),
    ("commentary twice", [asked(), answered(COMMENTARY), answered(COMMENTARY)], Finish("Let me see.")),
    ("commentary after thoughts only", [answered(THOUGHT), answered(COMMENTARY)], Finish("Let me see.")),
    ("only thoughts", [asked(), answered(THOUGHT)], AskModel()),
    ("an empty message", [asked(), answered(says(""))], AskModel()),
    ("a blank message", [asked(), answered(says(" \n"))], AskModel()),
    ("no items", [asked(), answered()], AskModel()),
    ("a hosted call only", [asked(), answered({"type": "web_search_call"})], AskModel()),
    ("a hosted call with an answer", [asked(), answered({"type": "web_search_call"}, says("x"))], Finish("x")),
    ("thoughts, then an answer", [asked(), answered(THOUGHT), answered(says("x"))], Finish("x")),
    ("thoughts, then a call", [answered(THOUGHT), answered(call())], RunCalls((FunctionCall("a", "f", "{}"),))),
    (
        "thoughts again after an output",
        [answered(THOUGHT), answered(call()), gave(DONE), answered(THOUGHT)],
        AskModel(),
    ),
    ("a call", [asked(), answered(call())], RunCalls((FunctionCall("a", "f", "{}"),))),
    (
        "calls in their order",
        [answered(call("b"), says("text"), call("a"))],
        RunCalls((FunctionCall("b", "f", "{}"), FunctionCall("a", "f", "{}"))),
    ),
    ("a call beside a refusal", [answered(refuses("no"), call())], RunCalls((FunctionCall("a", "f", "{}"),))),
    (
        "a call beside one cut off",
        [answered(call(), call("b", status="incomplete"))],
        RunCalls((FunctionCall("a", "f", "{}"),)),
    ),
    ("a final output", [answered(call()), gave(OutputRecord("a", final=True))], Finish("7")),
    ("a final output that was cut", [answered(call()), gave(OutputRecord("a", final=True, full="777"))], Finish("777")),
    (
        "a final output of parts",
        [answered(call()), gave(OutputRecord("a", final=True), output=[{"type": "input_text", "text": "x"}])],
        Finish("x"),
    ),
    (
        "the final one of several outputs",
        [answered(call("b"), call("a")), gave(OutputRecord("b"), OutputRecord("a", final=True, full="A"))],
        Finish("A"),
    ),
]


@pytest.mark.parametrize(("name", "entries", "expected"), CASES, ids=[row[0] for row in CASES])
def test_what_comes_next(name: str, entries: list, expected: object):
    transcript = Transcript(entries)
    assert next_action(transcript) == expected
    assert next_action(transcript) == expected


STOPS = [
    ("a refusal", [answered(refuses("I won't."))], Refused, "the model refused to answer: I won't."),
    ("a refusal with text", [answered(says("Well"), refuses("no"))], Refused, "the model refused to answer: no"),
    (
        "cut short",
        [answered(says("Hel"), **CUT)],
        Incomplete,
        "cut short (max_output_tokens). Raise Settings(max_output",
    ),
    ("cut short with a call", [answered(call(), **CUT)], Incomplete, "(max_output_tokens)"),
    (
        "cut by a filter",
        [answered(status="incomplete", incomplete_details={"reason": "content_filter"})],
        Incomplete,
        "filter",
    ),
    (
        "cut short without a reason",
        [answered(status="incomplete")],
        Incomplete,
        "(no reason given). Go on with run(None",
    ),
    ("a call cut off", [answered(call(status="incomplete"))], Incomplete, "cut short"),
    ("failed", [answered(status="failed", error={"code": "c", "message": "boom"})], ResponseFailed, "boom (code c)"),
    ("failed with an answer", [answered(says("x"), status="failed")], ResponseFailed, "the server gave no reason"),
    ("cancelled", [answered(status="cancelled")], ResponseFailed, "the response failed"),
    ("thoughts twice", [answered(THOUGHT), answered(THOUGHT)], ProtocolError, "the last held reasoning"),
    ("no items twice", [answered(), answered()], ProtocolError, "the last held no items"),
    ("a hosted call twice", [answered({"type": "x_call"}), answered({"type": "x_call"})], ProtocolError, "x_call"),
]


@pytest.mark.parametrize(("name", "entries", "error", "message"), STOPS, ids=[row[0] for row in STOPS])
def test_where_a_run_ends_without_an_answer(name: str, entries: list, error: type, message: str):
    action = next_action(Transcript([asked(), *entries]))
    assert isinstance(action, Stop)
    assert type(action.error) is error
    assert message in str(action.error)


def test_a_failure_told_in_a_bare_text_is_shown():
    action = next_action(Transcript([asked(), answered(status="failed", error="boo")]))
    assert isinstance(action, Stop)
    assert str(action.error) == "the response failed: boo"


def test_a_message_without_its_type_is_an_answer():
    untyped = {"role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}
    assert next_action(Transcript([asked(), answered(untyped)])) == Finish("Hi")


def test_a_stop_carries_what_was_received():
    action = next_action(Transcript([answered(refuses("no"), id="r")]))
    assert isinstance(action, Stop)
    assert (action.error.refusal, action.error.response.id) == ("no", "r")


def test_every_prefix_of_a_run_has_one_next_action():
    entries = [asked()]
    for turn in range(200):
        entries += [answered(THOUGHT, call(f"c{turn}")), gave(OutputRecord(f"c{turn}"))]
    entries += [answered(THOUGHT), answered(says("Done"))]
    actions = [type(next_action(Transcript(entries[:end]))).__name__ for end in range(len(entries) + 1)]
    assert actions == ["AskModel", *["AskModel", "RunCalls"] * 200, "AskModel", "AskModel", "Finish"]


def test_a_saved_run_has_the_same_next_action():
    for name, entries, expected in CASES:
        assert next_action(Transcript.from_json(Transcript(entries).to_json())) == expected, name
