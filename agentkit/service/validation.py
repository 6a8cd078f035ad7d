"""Which requests a stateless Responses service refuses, and in which words.

Follows SambaNova's Responses API reference and error codes: status 400, `type` invalid_request_error, a `code`
for the kind of mistake, a `param` for its place (`input[1].role`). Fields that nobody documents are ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agentkit.json import JSON, JSONObject


class InvalidRequest(Exception):
    """A request to refuse with `status` and `error`, the envelope's object."""

    def __init__(self, message: str, *, status: int = 400, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error: JSONObject = {
            "message": message,
            "type": "invalid_request_error",
            "param": param,
            "code": code,
        }


@dataclass(frozen=True, slots=True)
class Rules:
    """What differs between servers in what they accept."""

    user_parts: frozenset[str]
    """Types of content parts in messages of the user."""
    output_parts: frozenset[str]
    """Types of content parts in a function call's output; empty: a string only."""
    image_urls: bool
    """Images may be named by an http URL; otherwise a data URL is needed."""
    unknown_items: bool
    """Input items of types not listed in protocol section 2 are passed over; otherwise refused."""
    tool_choices: frozenset[str]
    """The `type` of a `tool_choice` object."""
    efforts: frozenset[str]
    """Values of `reasoning.effort`."""
    max_tools: int = 128


SAMBANOVA = Rules(
    user_parts=frozenset({"input_text", "input_image", "input_audio", "input_video"}),
    output_parts=frozenset(),
    image_urls=False,
    unknown_items=False,
    tool_choices=frozenset({"function"}),
    efforts=frozenset({"low", "medium", "high"}),
)
"""The reference: strings as tool outputs, images as data URLs, function tools only."""

OPEN_RESPONSES = Rules(
    user_parts=SAMBANOVA.user_parts | {"input_file"},
    output_parts=frozenset({"input_text", "input_image", "input_file", "input_video"}),
    image_urls=True,
    unknown_items=True,
    tool_choices=frozenset({"function", "allowed_tools"}),
    efforts=SAMBANOVA.efforts | {"none", "minimal", "xhigh"},
)
"""What the Open Responses specification and OpenAI accept beyond that: files, URLs, parts as tool outputs."""

_ROLES = frozenset({"user", "assistant", "system", "developer"})
_ASSISTANT_PARTS = frozenset({"output_text", "refusal"})
_INSTRUCTION_PARTS = frozenset({"input_text"})
_ITEM_TYPES = frozenset({"message", "function_call", "function_call_output", "reasoning"})
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_CALL_ID_CHARACTERS = 64

_AUDIO_FORMATS = frozenset({"mp3", "wav"})
_DETAILS = frozenset({"auto", "low", "high"})
_PHASES = frozenset({"commentary", "final_answer"})

_DECIMALS = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
}
_INTEGERS: Mapping[str, tuple[int, int | None]] = {
    "top_k": (1, 100),
    "top_logprobs": (0, 20),
    "max_output_tokens": (1, None),
    "max_tool_calls": (1, None),
}
_TYPES: Mapping[str, tuple[type, str]] = {
    "stream": (bool, "a boolean"),
    "parallel_tool_calls": (bool, "a boolean"),
    "store": (bool, "a boolean"),
    "background": (bool, "a boolean"),
    "instructions": (str, "a string"),
    "user": (str, "a string"),
    "service_tier": (str, "a string"),
    "previous_response_id": (str, "a string"),
    "metadata": (dict, "an object"),
    "tools": (list, "an array"),
    "reasoning": (dict, "an object"),
}
_NOT_NULL = ("text", "tool_choice")
_FORMAT_FIELDS: Mapping[str, frozenset[str]] = {
    "text": frozenset({"type"}),
    "json_object": frozenset({"type"}),
    "json_schema": frozenset({"type", "name", "schema", "strict", "description"}),
}
_WORDS: Mapping[type, str] = {
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def check_request(body: JSONObject, rules: Rules, *, also: Collection[str] = ()) -> None:
    """Raise `InvalidRequest` for the first mistake in a request body, one pass over its input.

    Items of the types in `also` are passed over.
    """
    _required(body, "model", "model", str)
    if not body["model"]:
        raise InvalidRequest("Invalid model: expected a model's id, but got ''.", code="invalid_value", param="model")
    _check_settings(body)
    _check_text(body.get("text"))
    effort = _object(body.get("reasoning")).get("effort")
    if effort is not None:
        _one_of(effort, "reasoning.effort", rules.efforts)
    names = _check_tools(body.get("tools"), rules)
    _check_tool_choice(body.get("tool_choice"), names, rules)
    given = body.get("input")
    if given is None:
        raise _missing("input")
    if isinstance(given, list):
        _check_input(given, rules, also)
    elif not isinstance(given, str):
        raise _wrong_type("input", "a string or an array of items", given)


def _check_settings(body: JSONObject) -> None:
    for name in _NOT_NULL:
        if name in body and body[name] is None:
            raise _wrong_type(name, "a value that isn't null", None)
    for name, (kind, words) in _TYPES.items():
        value = body.get(name)
        if value is not None and not isinstance(value, kind):
            raise _wrong_type(name, words, value)
    for name, (least, most) in _DECIMALS.items():
        _check_number(body.get(name), name, least, most, decimal=True)
    for name, (low, high) in _INTEGERS.items():
        _check_number(body.get(name), name, low, high, decimal=False)
    for key, value in _object(body.get("metadata")).items():
        if not isinstance(value, str):
            raise _wrong_type(f"metadata.{key}", "a string", value)
    if body.get("truncation") is not None:
        _one_of(body["truncation"], "truncation", frozenset({"auto", "disabled"}))


def _check_number(value: JSON, name: str, least: int, most: int | None, *, decimal: bool) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float if decimal else int):
        raise _wrong_type(name, "a decimal" if decimal else "an integer", value)
    above = most is not None and value > most
    if above or value < least:
        kind, side = ("decimal" if decimal else "integer"), ("above_max" if above else "below_min")
        said = "above maximum" if above else "below minimum"
        expected = f"between {least} and {most}" if most is not None else f"of at least {least}"
        raise InvalidRequest(
            f"{kind.capitalize()} {said} value. Expected a value {expected}, but got {value} instead.",
            code=f"{kind}_{side}_value",
            param=name,
        )


def _check_text(text: JSON) -> None:
    if text is None:
        return
    if not isinstance(text, dict):
        raise _wrong_type("text", "an object", text)
    form = text.get("format")
    if form is None:
        return
    if not isinstance(form, dict):
        raise _wrong_type("text.format", "an object", form)
    _required(form, "type", "text.format.type", str)
    kind = _one_of(form["type"], "text.format.type", frozenset(_FORMAT_FIELDS))
    if unknown := sorted(form.keys() - _FORMAT_FIELDS[kind]):
        raise InvalidRequest(
            f"Unknown field: text.format.{unknown[0]} doesn't belong to type '{kind}'. "
            "Give name and schema beside type, not below json_schema.",
            code="invalid_value",
            param=f"text.format.{unknown[0]}",
        )
    if kind == "json_schema":
        _required(form, "name", "text.format.name", str)
        _check_name(form["name"], "text.format.name", "schema name")
        _required(form, "schema", "text.format.schema", dict)


def _check_tools(tools: JSON, rules: Rules) -> frozenset[str]:
    if not isinstance(tools, list):
        return frozenset()
    if len(tools) > rules.max_tools:
        raise InvalidRequest(
            f"Array too long. Expected at most {rules.max_tools} tools, but got {len(tools)} instead.",
            code="array_above_max_length",
            param="tools",
        )
    names = set()
    for index, tool in enumerate(tools):
        where = f"tools[{index}]"
        if not isinstance(tool, dict):
            raise _wrong_type(where, "an object", tool)
        _required(tool, "type", f"{where}.type", str)
        # "Only type: "function" tools are supported; other tool types are filtered server-side." (SambaNova)
        if tool["type"] == "function":
            names.add(_check_function(tool, where))
    return frozenset(names)


def _check_function(tool: JSONObject, where: str) -> str:
    _required(tool, "name", f"{where}.name", str)
    name = str(tool["name"])
    _check_name(name, f"{where}.name", "function name")
    for key, kind in (("description", str), ("parameters", dict), ("strict", bool)):
        value = tool.get(key)
        if value is not None and not isinstance(value, kind):
            raise _wrong_type(f"{where}.{key}", f"{_WORDS[kind]} or null", value)
    return name


def _check_name(name: JSON, param: str, what: str) -> None:
    if not _TOOL_NAME.fullmatch(str(name)):
        raise InvalidRequest(
            f"Invalid {what} {str(name)[:80]!r}. Expected 1 to 64 letters, digits, '_' and '-'.",
            code="invalid_value",
            param=param,
        )


def _check_tool_choice(choice: JSON, names: frozenset[str], rules: Rules) -> None:
    if choice is None:
        return
    if isinstance(choice, str):
        _one_of(choice, "tool_choice", frozenset({"none", "auto", "required"}))
        return
    if not isinstance(choice, dict):
        raise _wrong_type("tool_choice", "a string or an object", choice)
    _required(choice, "type", "tool_choice.type", str)
    if _one_of(choice["type"], "tool_choice.type", rules.tool_choices) == "function":
        _required(choice, "name", "tool_choice.name", str)
        _one_of(choice["name"], "tool_choice.name", names)


def _check_input(items: list[JSON], rules: Rules, also: Collection[str]) -> None:
    if not items:
        raise InvalidRequest("Invalid input: expected at least one item.", code="invalid_value", param="input")
    calls: dict[str, int] = {}
    answered: set[str] = set()
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise _wrong_type(f"input[{index}]", "an object", item)
        kind = item.get("type")
        if kind == "message" or (kind is None and "role" in item):
            _check_message(item, f"input[{index}]", rules)
        elif kind == "function_call":
            _check_call(item, index, calls)
        elif kind == "function_call_output":
            _check_output(item, index, calls, answered, rules)
        elif kind == "reasoning":
            _check_reasoning(item, f"input[{index}]")
        elif kind is None:
            raise _missing(f"input[{index}].type")
        elif not isinstance(kind, str):
            raise _wrong_type(f"input[{index}].type", "a string", kind)
        elif kind == "item_reference" or not (rules.unknown_items or kind in also):
            _one_of(kind, f"input[{index}].type", _ITEM_TYPES)
    if len(answered) < len(calls):
        missing = next(call_id for call_id in calls if call_id not in answered)
        raise InvalidRequest(f"No tool output found for function call {missing}.", code="invalid_value", param="input")


def _check_message(item: JSONObject, where: str, rules: Rules) -> None:
    role = item.get("role")
    content = item.get("content")
    if role not in _ROLES:
        _required(item, "role", f"{where}.role", str)
        _one_of(role, f"{where}.role", _ROLES)
    if (phase := item.get("phase")) is not None:
        _one_of(phase, f"{where}.phase", _PHASES)
    if isinstance(content, str):
        return
    if content is None:
        raise _missing(f"{where}.content")
    if not isinstance(content, list):
        raise _wrong_type(f"{where}.content", "a string or an array of parts", content)
    allowed = _ASSISTANT_PARTS if role == "assistant" else rules.user_parts if role == "user" else _INSTRUCTION_PARTS
    _check_parts(content, f"{where}.content", allowed, rules)


def _check_parts(parts: list[JSON], where: str, allowed: frozenset[str], rules: Rules) -> None:
    for index, part in enumerate(parts):
        here = f"{where}[{index}]"
        if not isinstance(part, dict):
            raise _wrong_type(here, "an object", part)
        kind = part.get("type")
        if kind not in allowed:
            _required(part, "type", f"{here}.type", str)
            _one_of(kind, f"{here}.type", allowed)
        if kind in {"input_text", "output_text"}:
            if not isinstance(part.get("text"), str):
                _required(part, "text", f"{here}.text", str)
        elif kind == "refusal":
            _required(part, "refusal", f"{here}.refusal", str)
        elif kind == "input_image":
            if part.get("detail") is not None:
                _one_of(part["detail"], f"{here}.detail", _DETAILS)
            if not rules.image_urls:
                _check_image(part, f"{here}.image_url")
        elif kind == "input_audio":
            _check_audio(part, here)
        elif kind == "input_video":
            _required(part, "video_url", f"{here}.video_url", str)


def _check_image(part: JSONObject, where: str) -> None:
    if "image_url" not in part:
        raise _missing(where)
    url = part["image_url"]
    if url is not None and not (isinstance(url, str) and url[:5].lower() == "data:"):
        raise InvalidRequest(
            "Invalid image_url: external URLs are not supported. Expected a data: URL.",
            code="invalid_value",
            param=where,
        )


def _check_audio(part: JSONObject, here: str) -> None:
    _required(part, "input_audio", f"{here}.input_audio", dict)
    audio = _object(part["input_audio"])
    _required(audio, "data", f"{here}.input_audio.data", str)
    _required(audio, "format", f"{here}.input_audio.format", str)
    _one_of(audio["format"], f"{here}.input_audio.format", _AUDIO_FORMATS)


def _check_call(item: JSONObject, index: int, calls: dict[str, int]) -> None:
    call_id = _call_id(item, index)
    for key in ("name", "arguments"):
        if not isinstance(item.get(key), str):
            _required(item, key, f"input[{index}].{key}", str)
    _check_name(item["name"], f"input[{index}].name", "function name")
    if call_id in calls:
        raise InvalidRequest(
            f"Duplicate call_id {call_id}: input[{calls[call_id]}] is a function call with the same one.",
            code="invalid_value",
            param=f"input[{index}].call_id",
        )
    calls[call_id] = index


def _check_output(item: JSONObject, index: int, calls: Mapping[str, int], answered: set[str], rules: Rules) -> None:
    call_id = _call_id(item, index)
    output = item.get("output")
    if not isinstance(output, str):
        if isinstance(output, list) and rules.output_parts:
            _check_parts(output, f"input[{index}].output", rules.output_parts, rules)
        else:
            _required(item, "output", f"input[{index}].output", str)
    if call_id not in calls:
        raise InvalidRequest(
            f"No tool call found for function call output with call_id {call_id}.",
            code="invalid_value",
            param=f"input[{index}].call_id",
        )
    if call_id in answered:
        raise InvalidRequest(
            f"Duplicate output for function call {call_id}.", code="invalid_value", param=f"input[{index}].call_id"
        )
    answered.add(call_id)


def _call_id(item: JSONObject, index: int) -> str:
    call_id = item.get("call_id")
    if isinstance(call_id, str) and 0 < len(call_id) <= _CALL_ID_CHARACTERS:
        return call_id
    _required(item, "call_id", f"input[{index}].call_id", str)
    raise InvalidRequest(
        f"Invalid call_id: expected 1 to {_CALL_ID_CHARACTERS} characters, but got {len(str(call_id))} instead.",
        code="invalid_value",
        param=f"input[{index}].call_id",
    )


def _check_reasoning(item: JSONObject, where: str) -> None:
    for key in ("summary", "content"):
        value = item.get(key)
        if value is not None and not isinstance(value, list):
            raise _wrong_type(f"{where}.{key}", "an array", value)


def _object(value: JSON) -> JSONObject:
    return value if isinstance(value, dict) else {}


def _required(body: JSONObject, key: str, param: str, kind: type) -> None:
    value = body.get(key)
    if value is None:
        raise _missing(param)
    if not isinstance(value, kind):
        raise _wrong_type(param, _WORDS[kind], value)


def _one_of(value: JSON, param: str, allowed: frozenset[str]) -> str:
    if not isinstance(value, str):
        raise _wrong_type(param, "a string", value)
    if value not in allowed:
        listed = ", ".join(f"'{word}'" for word in sorted(allowed)) or "none"
        raise InvalidRequest(
            f"Invalid value: '{value[:80]}'. Supported values are: {listed}.", code="invalid_value", param=param
        )
    return value


def _missing(param: str) -> InvalidRequest:
    return InvalidRequest(f"Missing required field: {param}.", code="missing_required_field", param=param)


def _wrong_type(param: str, expected: str, value: JSON) -> InvalidRequest:
    got = "null" if value is None else _WORDS[type(value)]
    return InvalidRequest(
        f"Invalid type for {param}: expected {expected}, but got {got} instead.", code="invalid_type", param=param
    )
