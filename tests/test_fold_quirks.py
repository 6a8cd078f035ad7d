"""What servers do in streams that a plain reading of the protocol doesn't expect; each seen in recorded traffic."""

from __future__ import annotations

import json

import pytest

from agentkit.fold import ResponseFold
from agentkit.response import Response
from agentkit.sse import SSEDecoder

CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "add", "arguments": '{"x":1}'}
MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "Héllo"}]}


def added(item: object, index: int = 0) -> dict[str, object]:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(item: object, index: int = 0) -> dict[str, object]:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def completed(*output: object) -> dict[str, object]:
    return {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": [*output]}}


def encode(*events: object) -> bytes:
    return b"".join(b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\r\n\r\n" for event in events)


def fold(*events: object, size: int = 1) -> Response:
    """Fold the events' bytes, `size` at a time."""
    body = encode(*events)
    decoder, folded = SSEDecoder(), ResponseFold()
    for start in range(0, len(body), size):
        for event in decoder.feed(body[start : start + size]):
            folded.feed(event)
    assert folded.response is not None
    return folded.response


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
def test_a_final_response_without_items_takes_them_from_the_events(size: int) -> None:
    """The Codex backend ends every stream with `output: []`."""
    response = fold(added(CALL), done(CALL), added(MESSAGE, 1), done(MESSAGE, 1), completed(), size=size)
    assert response.output == [CALL, MESSAGE]


def test_items_that_never_come_whole_are_built_from_their_parts() -> None:
    response = fold(
        added({**CALL, "arguments": ""}),
        {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 0, "delta": '{"x"'},
        {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 0, "delta": ":1}"},
        {"type": "response.function_call_arguments.done", "item_id": "fc_1", "output_index": 0, "arguments": '{"x":1}'},
        added({**MESSAGE, "content": []}, 1),
        {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 1, "delta": "Hé"},
        {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 1, "delta": "llo"},
        completed(),
    )
    assert response.calls[0].arguments == '{"x":1}'
    assert response.output_text == "Héllo"


def test_reasoning_encrypted_anew_is_taken_from_the_final_response() -> None:
    """OpenAI's final response holds another encryption of the same thoughts than `output_item.done`."""
    thoughts = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "first"}
    response = fold(added(thoughts), done(thoughts), completed({**thoughts, "encrypted_content": "second"}))
    assert response.output == [{**thoughts, "encrypted_content": "second"}]


def test_ids_may_differ_from_event_to_event() -> None:
    """Copilot gives an item another id in `added`, in `done` and in the final response."""
    response = fold(added({**MESSAGE, "id": "a"}), done({**MESSAGE, "id": "b"}), completed({**MESSAGE, "id": "c"}))
    assert response.output == [{**MESSAGE, "id": "c"}]


def test_a_message_may_stand_at_the_index_of_the_call_before_it() -> None:
    """LM Studio opens a message after a call, both at output_index 0, the call complete from the start."""
    response = fold(added(CALL), done(CALL), added(MESSAGE), done(MESSAGE), completed())
    assert response.output == [CALL, MESSAGE]


def test_an_error_event_before_the_failed_response_does_not_hide_it() -> None:
    """OpenAI says it twice: in an `error` event, then in `response.failed`."""
    error = {"code": "insufficient_quota", "message": "You are out of credit."}
    response = fold(
        {"type": "error", "error": error},
        {"type": "response.failed", "response": {"id": "resp_1", "status": "failed", "output": [], "error": error}},
    )
    assert response.status == "failed"
    assert response.error == error


def test_numbers_that_only_some_events_carry_say_nothing() -> None:
    """LiteLLM numbers some events, and the last item's `done` with 1."""
    response = fold(
        {"type": "response.created", "response": {"id": "resp_1"}},
        {**done({"type": "reasoning", "id": "rs_1", "summary": []}), "sequence_number": 6},
        {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 1, "delta": "Héllo"},
        {**done(MESSAGE, 1), "sequence_number": 1},
        completed(),
    )
    assert [item["type"] for item in response.output] == ["reasoning", "message"]


def test_a_finished_message_that_is_announced_again_is_the_same_one() -> None:
    """transformers serve closes a message at the first call, and sends it again after the last."""
    decoder, folded = SSEDecoder(), ResponseFold()
    again = [added({**MESSAGE, "content": []}, 2), {**done(MESSAGE, 2)}]
    first = [added({**MESSAGE, "content": []}), done(MESSAGE), added(CALL, 1), done(CALL, 1)]
    body = encode(*first, *again, completed(MESSAGE, CALL))
    shown = [event for server_event in decoder.feed(body) for event in folded.feed(server_event)]
    assert [getattr(event, "text", None) for event in shown] == ["Héllo"]
    assert folded.response is not None
    assert folded.response.output == [MESSAGE, CALL]
    assert not folded.mismatch


def test_an_empty_message_in_another_place_is_no_contradiction() -> None:
    """transformers serve streams the call first, and its final response begins with an empty message."""
    empty = {**MESSAGE, "content": [{"type": "output_text", "text": ""}]}
    folded = ResponseFold()
    for server_event in SSEDecoder().feed(encode(done(CALL), done(empty, 1), completed(empty, CALL))):
        folded.feed(server_event)
    assert not folded.mismatch
