"""What can be written in a YAML script: each mapping's keys, with what is allowed there and what it means.

Read by `yaml_script`; the editors' JSON schema and the tables of docs/server.md are made of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentkit.service.faults import FAULTS
from agentkit.service.misbehaviour import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentkit.json import JSON, JSONObject

_TEXT: JSONObject = {"type": "string"}
_TEXTS: JSONObject = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}
_SECONDS: JSONObject = {"type": "number", "minimum": 0}
_TURN: JSONObject = {"type": "integer", "minimum": 0}


def _ref(name: str) -> JSONObject:
    return {"$ref": f"#/$defs/{name.replace(' ', '_')}"}


def _list_of(schema: JSON) -> JSONObject:
    return {"type": "array", "items": schema, "minItems": 1}


FORM: Mapping[str, Mapping[str, tuple[JSONObject, str]]] = {
    "script": {
        "rules": (_list_of(_ref("rule")), "Rules, tried from the top; the first that holds answers."),
        "replies": (_list_of(_ref("a reply")), "Instead of rules: replies, each given once, in order."),
        "models": (_TEXTS, "The model ids that the server knows; without it takes any."),
        "options": (_ref("options"), "How the server behaves."),
        "description": (_TEXT, "For who reads the file."),
    },
    "options": {
        "done": ({"type": "boolean"}, "End streams with `data: [DONE]`. Default: false."),
        "faults": (_ref("fault options"), "Faults by chance."),
    },
    "fault options": {
        "rate": ({"type": "number", "minimum": 0, "maximum": 1}, "The share of answers that are bent, 0 to 1."),
        "seed": ({"type": "integer", "minimum": 0}, "The same seed gives the same faults. Default: 0."),
        "names": (
            {"anyOf": [_ref("fault name"), {"type": "array", "items": _ref("fault name")}]},
            "Which ones: names, or kinds. Default: transient.",
        ),
    },
    "rule": {
        "when": (_ref("when"), "When it holds: all of what is said must be so. Without it: always."),
        "reply": (_ref("a reply"), "What is answered."),
        "replies": (
            _list_of(_ref("a reply")),
            "Instead of reply: the first time the first, and so on; then the rule holds no more.",
        ),
        "times": ({"type": "integer", "minimum": 1}, "How often the rule holds, with reply. Default: always."),
        "name": (_TEXT, "What errors call it."),
    },
    "when": {
        "text": (_ref("text test"), "The input ends with a message of the user, and its text is so."),
        "output": (_ref("output test"), "The input ends with tool outputs, and one of them is so."),
        "asked": (_ref("text test"), "The last message of the user is so, whatever came after it."),
        "turn": (
            {"anyOf": [_TURN, {"type": "array", "items": _TURN}]},
            "How many times the model has spoken, 0 at the start; a number or a list.",
        ),
        "model": (_TEXTS, "The request's model; a name or a list."),
    },
    "text test": {
        "contains": (_TEXTS, "The text contains this, upper or lower case; of a list, all."),
        "regex": (_TEXT, "A regular expression (Python's) is found in it; `{match[1]}` in the reply is its group."),
        "equals": (_TEXT, "The text is this."),
    },
    "output test": {
        "tool": (_TEXT, "The output is of a call of this tool."),
        "contains": (_TEXTS, "The output contains this, upper or lower case; of a list, all."),
        "regex": (_TEXT, "A regular expression (Python's) is found in it; `{match[1]}` in the reply is its group."),
        "equals": (_TEXT, "The output is this text."),
        "json": ({}, "The output is JSON, and equal to this."),
    },
    "part": {
        "text": (_TEXT, "A message."),
        "phase": ({"enum": ["commentary", "final_answer"]}, "The phase of the text beside it."),
        "call": (_ref("a call"), "A function call: a mapping, or the name alone."),
        "reasoning": (_ref("a reasoning"), "A reasoning item: a text or a mapping."),
        "refusal": (_TEXT, "A message that refuses."),
        "json": ({}, "A message whose text is this value as JSON: structured output."),
        "item": ({"type": "object", "required": ["type"]}, "An output item, sent as it is."),
        "event": ({"type": "object", "required": ["type"]}, "An event, sent as it is; absent from plain answers."),
        "wait": (_SECONDS, "Seconds that pass here."),
        "cut": ({"anyOf": [{"const": True}, _ref("cut")]}, "The connection closes here; plain answers end half-way."),
    },
    "reply": {
        "parts": ({"anyOf": [_TEXT, _list_of(_ref("a part"))]}, "Parts in order, where a kind comes twice."),
        "delay": (_SECONDS, "Seconds before the first byte."),
        "tokens_per_second": ({"type": "number", "exclusiveMinimum": 0}, "The pace. Default: at once."),
        "split": ({"type": "integer", "minimum": 1}, "Characters per delta. Default: a token."),
        "usage": ({"type": ["object", "null"]}, "Numbers that replace those counted; null: no usage."),
        "fault": (
            {"anyOf": [_ref("a fault"), {"type": "array", "items": _ref("a fault")}]},
            "Faults that bend this answer: a name, `{name: {parameter: value}}`, or a list.",
        ),
        "failure": (_ref("failure"), "An HTTP error instead of a response. Stands alone."),
        "disconnect": ({"const": True}, "The connection closes before any byte. Stands alone."),
    },
    "call": {
        "name": (_TEXT, "The tool's name."),
        "arguments": ({"type": ["object", "string"]}, "A mapping; or a text, sent byte for byte. Default: {}."),
        "call_id": (_TEXT, "Default: a fresh one."),
    },
    "reasoning": {
        "text": (_TEXT, "The reasoning, as SambaNova sends it."),
        "summary": (_TEXTS, "Its summary, as OpenAI sends it."),
        "encrypted_content": (_TEXT, "What OpenAI sends for being sent back."),
    },
    "cut": {
        "at": ({"type": ["integer", "string"], "minimum": 0}, "After so many events, or the first event of this type."),
        "reset": ({"type": "boolean"}, "false: the bytes just end, in good order. Default: true."),
    },
    "failure": {
        "status": ({"type": "integer", "minimum": 400, "maximum": 599}, "The HTTP status, 400 to 599."),
        "code": (_TEXT, "error.code"),
        "message": (_TEXT, "error.message"),
        "type": (_TEXT, "error.type"),
        "param": (_TEXT, "error.param"),
        "headers": ({"type": "object", "additionalProperties": {"type": ["string", "number"]}}, "HTTP headers."),
        "body": ({"type": ["object", "string"]}, "Replaces the envelope; a text is sent as text/plain."),
    },
}


def script_schema() -> JSONObject:
    """Return the JSON schema of a YAML script, for editors."""
    definitions: JSONObject = {name.replace(" ", "_"): _mapping(name) for name in FORM if name != "script"}
    parts = {name: _described(*each) for name, each in FORM["part"].items()}
    reply = {name: _described(*each) for name, each in FORM["reply"].items()}
    definitions["part"] = {"type": "object", "properties": parts, "additionalProperties": False, "minProperties": 1}
    whole: JSONObject = {
        "type": "object",
        "properties": {**parts, **reply},
        "additionalProperties": False,
        "minProperties": 1,
    }
    definitions["reply"] = whole
    definitions["text_test"] = {"anyOf": [_TEXT, _mapping("text test")]}
    definitions["output_test"] = {"anyOf": [_TEXT, _mapping("output test")]}
    definitions["a_part"] = {"anyOf": [_TEXT, _ref("part")]}
    definitions["a_reply"] = {"anyOf": [_TEXT, _list_of(_ref("a part")), _ref("reply")]}
    definitions["a_call"] = {"anyOf": [_TEXT, {**_mapping("call"), "required": ["name"]}]}
    definitions["a_reasoning"] = {"anyOf": [_TEXT, _mapping("reasoning")]}
    definitions["failure"] = {**_mapping("failure"), "required": ["status"]}
    definitions["fault_name"] = {"enum": [*KINDS, *FAULTS]}
    with_parameters: JSONObject = {
        name: {
            "type": ["object", "null"],
            "description": fault.note,
            "properties": {
                key: {"type": "number" if kind is float else "string"} for key, kind in fault.parameters.items()
            },
            "additionalProperties": False,
        }
        for name, fault in FAULTS.items()
    }
    definitions["a_fault"] = {
        "anyOf": [
            {"enum": list(FAULTS)},
            {"type": "object", "properties": with_parameters, "additionalProperties": False, "minProperties": 1},
        ]
    }
    one_of: list[JSON] = [{"required": ["rules"]}, {"required": ["replies"]}]
    definitions["rule"] = {**_mapping("rule"), "oneOf": [{"required": ["reply"]}, {"required": ["replies"]}]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A script of agentkit's reference server",
        "anyOf": [_list_of(_ref("a reply")), {**_mapping("script"), "oneOf": one_of}],
        "$defs": definitions,
    }


def _mapping(name: str) -> JSONObject:
    members: JSONObject = {key: _described(*each) for key, each in FORM[name].items()}
    return {"type": "object", "properties": members, "additionalProperties": False}


def _described(schema: JSONObject, note: str) -> JSON:
    return {"description": note, **schema}
