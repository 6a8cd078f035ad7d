"""The request as a script sees it."""

import pytest

from agentkit.service.requests import ReceivedRequest

USER = {"type": "message", "role": "user", "content": "Coat?"}
CALL = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"}
CALL_2 = {"type": "function_call", "call_id": "c2", "name": "weather", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "7 C"}
OUTPUT_2 = {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "9 C"}]}
REASONING = {"type": "reasoning", "summary": []}
ANSWER = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]}


def test_it_equals_the_body():
    assert ReceivedRequest({"model": "m", "input": "hi"}) == {"model": "m", "input": "hi"}


@pytest.mark.parametrize(
    ("given", "turn", "last_text", "last_output", "outputs"),
    [
        ("hi", 0, "hi", None, []),
        ([USER], 0, "Coat?", None, []),
        ([USER, CALL, OUTPUT], 1, "Coat?", "7 C", ["7 C"]),
        ([USER, REASONING, CALL, CALL_2, OUTPUT, OUTPUT_2], 1, "Coat?", "9 C", ["7 C", "9 C"]),
        ([USER, CALL, OUTPUT, CALL_2, OUTPUT_2], 2, "Coat?", "9 C", ["9 C"]),
        ([USER, CALL, OUTPUT, ANSWER, {"role": "user", "content": [{"text": "a"}, {"text": "b"}]}], 2, "ab", None, []),
        ([], 0, "", None, []),
        (None, 0, "", None, []),
    ],
)
def test_questions_of_scripts(given, turn, last_text, last_output, outputs):
    request = ReceivedRequest({"model": "m", "input": given})
    assert request.turn == turn
    assert request.last_text == last_text
    assert request.last_output == last_output
    assert request.outputs == outputs


def test_last_item_of_a_string_is_a_message():
    assert ReceivedRequest({"input": "hi"}).last_item == {"type": "message", "role": "user", "content": "hi"}
    assert ReceivedRequest({}).last_item == {}
