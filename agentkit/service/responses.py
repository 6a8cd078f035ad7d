"""The response object: what is echoed of the request, the items that the model says, status and usage.

Carries the 31 keys that the Open Responses specification requires and SambaNova's usage fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from agentkit.service.replies import Call, Cut, Emit, Hold, Piece, Reasoning, Refusal, Rewrite, Text, Wait
from agentkit.service.sse import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentkit.json import JSON, JSONObject
    from agentkit.service.ids import NewId
    from agentkit.service.replies import Answer, Part, Step
    from agentkit.service.requests import ReceivedRequest

_TOKEN = re.compile(r"\s?\w{1,12}|\s?[^\w\s]+|\s")
_RAW_PREFIXES = {"message": "msg", "function_call": "fc", "reasoning": "rs"}


@dataclass(frozen=True, slots=True)
class Spoken:
    """One output item, whole, and how its text comes in pieces."""

    item: JSONObject
    pieces: tuple[Piece, ...] | None = None
    """The text with what happens inside it. None: nothing happens inside."""


Said: TypeAlias = "Spoken | Step"


def split_tokens(text: str) -> list[str]:
    """Split a text where a tokenizer might: words with the space before them, punctuation; joins to the same."""
    return _TOKEN.findall(text)


def start_response(request: ReceivedRequest, *, response_id: str, created_at: float) -> JSONObject:
    """Return the response as it stands before the model speaks: in progress, no output, no usage."""
    return {
        "id": response_id,
        "object": "response",
        "created_at": int(created_at),
        "completed_at": None,
        "status": "in_progress",
        "incomplete_details": None,
        "error": None,
        "model": request.get("model"),
        # "Not supported. Always null." (SambaNova, Responses API)
        "previous_response_id": None,
        "instructions": request.get("instructions"),
        "output": [],
        "tools": _echo_tools(request.get("tools")),
        "tool_choice": _given(request, "tool_choice", "auto"),
        "truncation": _given(request, "truncation", "disabled"),
        "parallel_tool_calls": _given(request, "parallel_tool_calls", True),
        "text": _echo_text(request.get("text")),
        "top_p": _given(request, "top_p", 1),
        "top_k": request.get("top_k"),
        "presence_penalty": _given(request, "presence_penalty", 0),
        "frequency_penalty": _given(request, "frequency_penalty", 0),
        "top_logprobs": _given(request, "top_logprobs", 0),
        "temperature": _given(request, "temperature", 0.7),
        "reasoning": _echo_reasoning(request.get("reasoning")),
        "user": request.get("user"),
        "usage": None,
        "max_output_tokens": request.get("max_output_tokens"),
        "max_tool_calls": request.get("max_tool_calls"),
        # "Always echoed back as false." (SambaNova, Responses API)
        "store": False,
        "background": _given(request, "background", False),
        "service_tier": _given(request, "service_tier", "default"),
        "metadata": _given(request, "metadata", {}),
        "safety_identifier": request.get("safety_identifier"),
        "prompt_cache_key": request.get("prompt_cache_key"),
    }


def finish_response(
    started: JSONObject, answer: Answer, *, output: list[JSON], usage: JSONObject | None, completed_at: float
) -> JSONObject:
    """Return the response as it stands at the end."""
    reason: JSON = {"reason": answer.reason} if answer.status == "incomplete" else None
    return {
        **started,
        "status": answer.status,
        # "when it was completed, if it was completed" (Open Responses): null for failed and incomplete ones
        "completed_at": int(completed_at) if answer.status == "completed" else None,
        "incomplete_details": reason,
        "error": answer.error,
        "output": output,
        "usage": usage,
    }


def count_usage(
    request: ReceivedRequest, answer: Answer, output: list[JSON], *, start: float, first: float | None, end: float
) -> JSONObject | None:
    """Return the usage object: tokens estimated from the texts, times in seconds from the clock's readings."""
    if answer.usage is None:
        return None
    reasoning_tokens = 0
    output_tokens = 0
    for item in output:
        if isinstance(item, dict):
            tokens = sum(len(split_tokens(text)) for text in item_texts(item))
            output_tokens += tokens
            reasoning_tokens += tokens if item.get("type") == "reasoning" else 0
    input_tokens = max(1, len(request.raw) // 4)
    latency = max(0.0, end - start)
    to_first = max(0.0, (end if first is None else first) - start)
    usage: JSONObject = {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": reasoning_tokens},
        "start_time": start,
        "end_time": end,
        "time_to_first_token": to_first,
        "total_latency": latency,
        "output_tokens_per_sec": _rate(output_tokens, latency),
        "output_tokens_after_first_per_sec": _rate(output_tokens - 1, latency - to_first),
        "total_tokens_per_sec": _rate(input_tokens + output_tokens, latency),
        "acceptance_rate": None,
        "is_last_response": True,
    }
    return usage if answer.usage == "counted" else {**usage, **answer.usage}


def say(answer: Answer, new_id: NewId) -> Iterator[Said]:
    """Yield the output items of an answer, and the steps between them, in their order.

    Left out are the holds and cuts with a place of their own (`at`).
    """
    items = sum(_is_item(part) for part in answer.parts)
    index = -1
    for part in answer.parts:
        index += _is_item(part)
        status = "incomplete" if answer.status == "incomplete" and index == items - 1 else "completed"
        match part:
            case Wire() | Rewrite():
                pass
            case Hold(at=at) | Cut(at=at) if at is not None:
                pass
            case Emit(event):
                yield dict(event)
            case _:
                yield _say_part(part, status, _at(new_id, index))


def _say_part(part: Part, status: str, new_id: Callable[[str], str]) -> Said:
    match part:
        case Hold() | Cut() | Wait():
            return part
        case str():
            return Spoken(_message({"type": "output_text", "text": part}, status, new_id))
        case Text(pieces, phase):
            message = _message({"type": "output_text", "text": _joined(pieces)}, status, new_id)
            if phase is not None:
                message["phase"] = phase
            return Spoken(message, pieces)
        case Refusal(pieces):
            return Spoken(_message({"type": "refusal", "refusal": _joined(pieces)}, status, new_id), pieces)
        case Reasoning():
            return Spoken(_reasoning(part, status, new_id), part.pieces)
        case Call(name, pieces, call_id):
            call: JSONObject = {
                "id": new_id("fc"),
                "type": "function_call",
                "call_id": new_id("call") if call_id is None else call_id,
                "name": name,
                "arguments": _joined(pieces),
                "status": status,
            }
            return Spoken(call, pieces)
        case Mapping():
            item = dict(part)
            prefix = _RAW_PREFIXES.get(str(item.get("type")))
            if prefix is not None and not item.get("id"):
                item = {"id": new_id(prefix), **item}
            return Spoken(item)
        case _:
            raise AssertionError(part)


def _message(content: JSONObject, status: str, new_id: Callable[[str], str]) -> JSONObject:
    if content["type"] == "output_text":
        content |= {"annotations": [], "logprobs": []}
    return {"id": new_id("msg"), "type": "message", "role": "assistant", "status": status, "content": [content]}


def _reasoning(part: Reasoning, status: str, new_id: Callable[[str], str]) -> JSONObject:
    summary: list[JSON] = [{"type": "summary_text", "text": text} for text in part.summary]
    item: JSONObject = {"id": new_id("rs"), "type": "reasoning", "status": status, "summary": summary}
    if part.pieces:
        item["content"] = [{"type": "reasoning_text", "text": _joined(part.pieces)}]
    if part.encrypted_content is not None:
        item["encrypted_content"] = part.encrypted_content
    return item


def _at(new_id: NewId, index: int) -> Callable[[str], str]:
    return lambda prefix: new_id(prefix, index)


def _is_item(part: Part) -> bool:
    return isinstance(part, str | Text | Refusal | Reasoning | Call | Mapping)


def _joined(pieces: tuple[Piece, ...]) -> str:
    return "".join(piece for piece in pieces if isinstance(piece, str))


def _given(request: ReceivedRequest, key: str, default: JSON) -> JSON:
    value = request.get(key)
    return default if value is None else value


def _echo_tools(tools: JSON) -> list[JSON]:
    # "all other tool types are filtered server-side." (SambaNova, Responses API); strict is echoed null
    return [
        {
            "type": "function",
            "name": tool.get("name"),
            "description": tool.get("description"),
            "parameters": tool.get("parameters"),
            "strict": None,
        }
        for tool in (tools if isinstance(tools, list) else [])
        if isinstance(tool, dict) and tool.get("type") == "function"
    ]


def _echo_text(text: JSON) -> JSONObject:
    given = text if isinstance(text, dict) else {}
    form = given.get("format")
    if not isinstance(form, dict):
        form = {"type": "text"}
    elif form.get("type") == "json_schema":
        form = {
            "type": "json_schema",
            "name": form.get("name"),
            "description": form.get("description"),
            "schema": form.get("schema"),
            "strict": form.get("strict") is True,
        }
    return {**given, "format": form}


def _echo_reasoning(reasoning: JSON) -> JSON:
    if not isinstance(reasoning, dict):
        return None
    return {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")}


def item_texts(item: JSONObject) -> Iterator[str]:
    """Yield the texts of an item that count as output."""
    arguments = item.get("arguments")
    if isinstance(arguments, str):
        yield arguments
    for key in ("summary", "content"):
        parts = item.get(key)
        for part in parts if isinstance(parts, list) else []:
            if isinstance(part, dict):
                text = part.get(text_key(part))
                if isinstance(text, str):
                    yield text


def text_key(part: JSONObject) -> str:
    """Return where a content part holds its text."""
    return "refusal" if part.get("type") == "refusal" else "text"


def _rate(tokens: int, seconds: float) -> float | None:
    return tokens / seconds if seconds > 0 and tokens >= 0 else None
