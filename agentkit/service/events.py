"""The events of one response, in the order of protocol section 7.1, with what happens between them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agentkit.service.replies import Cut, Hold, Wait
from agentkit.service.responses import Spoken, count_usage, finish_response, say, split_tokens, start_response
from agentkit.service.shortening import cut_short

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from agentkit.json import JSON, JSONObject
    from agentkit.service.ids import NewId
    from agentkit.service.replies import Answer, At, Piece, Splitter, Step
    from agentkit.service.requests import ReceivedRequest


def response_steps(
    request: ReceivedRequest, answer: Answer, *, new_id: NewId, clock: Callable[[], float], split: Splitter
) -> Iterator[Step]:
    """Yield the events of the response, not numbered yet, and the holds, cuts and waits between them.

    The last event is the terminal one; its `response` is also the body of a plain answer.
    """
    start = clock()
    first: float | None = None
    started = start_response(request, response_id=new_id("resp", 0), created_at=start)
    yield {"type": "response.created", "response": started}
    yield {"type": "response.in_progress", "response": started}
    output: list[JSON] = []
    everything = list(say(answer, new_id))
    most = request.get("max_output_tokens")
    if isinstance(most, int) and most > 0 and (within := cut_short(everything, most)) is not None:
        everything = within
        answer = replace(answer, status="incomplete", reason="max_output_tokens", error=None)
    for said in everything:
        if not isinstance(said, Spoken):
            yield said
            continue
        for step in _item_steps(said, len(output), split, answer.tokens_per_s):
            if first is None and isinstance(step, dict) and is_delta(step):
                first = clock()
            yield step
        output.append(said.item)
    if answer.status == "failed" and answer.error_event is not None:
        yield _error_event(answer)
    end = clock()
    usage = count_usage(request, answer, output, start=start, first=first, end=end)
    finished = finish_response(started, answer, output=output, usage=usage, completed_at=end)
    yield {"type": f"response.{answer.status}", "response": finished}


def steps_of(response: JSONObject) -> Iterator[Step]:
    """Yield the events of a response that is known whole, not numbered yet; its texts come in tokens."""
    started = {**response, "status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": started}
    yield {"type": "response.in_progress", "response": started}
    output = response.get("output")
    for index, item in enumerate(output if isinstance(output, list) else []):
        if isinstance(item, dict):
            yield from _item_steps(Spoken(item), index, split_tokens, None)
    yield {"type": f"response.{response.get('status') or 'completed'}", "response": response}


def is_delta(event: JSONObject) -> bool:
    """Say whether an event carries a piece of text."""
    return str(event.get("type")).endswith(".delta")


def number_events(steps: Iterator[Step]) -> Iterator[Step]:
    """Number the events from 0, densely, in the order in which they are sent; a number already there stays."""
    number = 0
    for step in steps:
        if isinstance(step, dict):
            yield {"type": step.get("type"), "sequence_number": number, **step} if "type" in step else step
            number += 1
        else:
            yield step


def insert_at(steps: Iterator[Step], inserted: Cut | Hold, at: At) -> Iterator[Step]:
    """Yield `inserted` after `at` events, or after the first event of type `at`."""
    seen = 0
    waiting = True
    for step in steps:
        if waiting and at == seen:
            yield inserted
            waiting = False
        yield step
        if isinstance(step, dict):
            seen += 1
            if waiting and step.get("type") == at:
                yield inserted
                waiting = False
    if waiting and at == seen:
        yield inserted


def _error_event(answer: Answer) -> JSONObject:
    error = answer.error or {}
    code, message = error.get("code"), error.get("message")
    if answer.error_event == "flat":
        return {"type": "error", "code": code, "message": message, "param": None}
    nested: JSONObject = {"error": {"type": "server_error", "code": code, "message": message, "param": None}}
    return nested if answer.error_event == "bare" else {"type": "error", **nested}


def _item_steps(said: Spoken, index: int, split: Splitter, tokens_per_s: float | None) -> Iterator[Step]:
    item = said.item
    opened = {**item, "status": "in_progress"} if "status" in item else dict(item)
    where: JSONObject = {"item_id": item.get("id"), "output_index": index}

    def deltas(pieces: Iterable[Piece], event: JSONObject) -> Iterator[Step]:
        for piece in pieces:
            if not isinstance(piece, str):
                yield piece
                continue
            for delta in split_text(piece, split):
                if tokens_per_s is not None:
                    yield Wait(len(split_tokens(delta)) / tokens_per_s)
                yield {**event, "delta": delta}

    match item.get("type"):
        case "message" if isinstance(content := item.get("content"), list):
            yield _added(index, {**opened, "content": []})
            for number, part in enumerate(content):
                if isinstance(part, dict):
                    pieces = said.pieces if number == 0 else None
                    yield from _part_steps(part, {**where, "content_index": number}, pieces, deltas)
        case "reasoning":
            opened.pop("content", None)
            yield _added(index, {**opened, "summary": []})
            yield from _summary_steps(item.get("summary"), where, deltas)
            content = item.get("content")
            for number, part in enumerate(content if isinstance(content, list) else []):
                if isinstance(part, dict):
                    pieces = said.pieces if number == 0 else None
                    yield from _part_steps(part, {**where, "content_index": number}, pieces, deltas)
        case "function_call" if isinstance(arguments := item.get("arguments"), str):
            yield _added(index, {**opened, "arguments": ""})
            name = "response.function_call_arguments"
            yield from deltas(said.pieces or (arguments,), {"type": f"{name}.delta", **where})
            yield {"type": f"{name}.done", **where, "arguments": arguments}
        case _:
            yield _added(index, opened)
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _added(index: int, item: JSONObject) -> JSONObject:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def _part_steps(
    part: JSONObject,
    where: JSONObject,
    pieces: tuple[Piece, ...] | None,
    deltas: Callable[[Iterable[Piece], JSONObject], Iterator[Step]],
) -> Iterator[Step]:
    kind = str(part.get("type"))
    key = "refusal" if kind == "refusal" else "text"
    text = part.get(key)
    empty = {**part, key: ""} if isinstance(text, str) else part
    yield {"type": "response.content_part.added", **where, "part": empty}
    if isinstance(text, str):
        fields = dict(where)
        if kind == "reasoning_text":
            # SambaNova's reasoning_text events have no content_index (protocol section 7.2)
            del fields["content_index"]
        extra: JSONObject = {"logprobs": [], "annotations": []} if kind == "output_text" else {}
        yield from deltas(pieces or (text,), {"type": f"response.{kind}.delta", **fields, **extra})
        yield {"type": f"response.{kind}.done", **fields, **extra, key: text}
    yield {"type": "response.content_part.done", **where, "part": part}


def _summary_steps(
    summary: JSON, where: JSONObject, deltas: Callable[[Iterable[Piece], JSONObject], Iterator[Step]]
) -> Iterator[Step]:
    for number, part in enumerate(summary if isinstance(summary, list) else []):
        if isinstance(part, dict) and isinstance(text := part.get("text"), str):
            here: JSONObject = {**where, "summary_index": number}
            name = "response.reasoning_summary"
            yield {"type": f"{name}_part.added", **here, "part": {**part, "text": ""}}
            yield from deltas((text,), {"type": f"{name}_text.delta", **here})
            yield {"type": f"{name}_text.done", **here, "text": text}
            yield {"type": f"{name}_part.done", **here, "part": part}


def split_text(text: str, split: Splitter) -> Iterable[str]:
    """Return the deltas of a text: at token boundaries, every n characters, or as a function has it."""
    if split is None:
        return split_tokens(text)
    if isinstance(split, int):
        return (text[start : start + split] for start in range(0, len(text), split))
    return split(text)
