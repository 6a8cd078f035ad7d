"""The body of a request, byte by byte."""

from __future__ import annotations

import json

import pytest

from agentkit.errors import TooManyTools, UsageError
from agentkit.profile import OPENAI, OTHER
from agentkit.request import Request, RequestTemplate, check_tools
from agentkit.settings import Settings

TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}


def template(**changes: object) -> RequestTemplate:
    given: dict = {
        "model": "m",
        "instructions": None,
        "tools": [],
        "settings": Settings(),
        "text_format": None,
        "stream": False,
        "profile": OTHER,
    }
    return RequestTemplate(**{**given, **changes})


def body(**changes: object) -> dict:
    return json.loads(template(**changes).request([b'{"a":1}']).body)


def test_nothing_is_sent_that_nobody_set():
    assert template().request([b'{"a":1}', b'{"b":2},{"c":3}']).body == (
        b'{"model":"m","stream":false,"store":false,"input":[{"a":1},{"b":2},{"c":3}]}'
    )


def test_all_that_is_set_is_sent():
    request = template(
        instructions="Be \ud800 kind",
        tools=[TOOL],
        settings=Settings(temperature=0.5, tool_choice="auto", verbosity="low"),
        text_format={"type": "json_object"},
        stream=True,
    ).request([])
    assert json.loads(request.body) == {
        "model": "m",
        "stream": True,
        "instructions": "Be \ud800 kind",
        "temperature": 0.5,
        "text": {"verbosity": "low", "format": {"type": "json_object"}},
        "store": False,
        "tools": [TOOL],
        "tool_choice": "auto",
        "input": [],
    }
    assert (request.stream, request.model) == (True, "m")


def test_empty_instructions_are_sent():
    assert body(instructions="")["instructions"] == ""


@pytest.mark.parametrize(
    ("choice", "forced", "free"),
    [
        ("required", "required", None),
        ("f", {"type": "function", "name": "f"}, None),
        ("none", "none", "none"),
        (None, None, None),
        (
            {"type": "allowed_tools", "mode": "required", "tools": []},
            {"type": "allowed_tools", "mode": "required", "tools": []},
            {"type": "allowed_tools", "mode": "auto", "tools": []},
        ),
    ],
)
def test_a_forced_choice_is_sent_only_when_forced(choice, forced: object, free: object):
    made = template(settings=Settings(tool_choice=choice))
    assert json.loads(made.request([], forced=True).body).get("tool_choice") == forced
    assert json.loads(made.request([]).body).get("tool_choice") == free


ENCRYPTED = "reasoning.encrypted_content"


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({}, [ENCRYPTED]),
        ({"include": ["x"]}, ["x", ENCRYPTED]),
        ({"include": [ENCRYPTED, "x"]}, [ENCRYPTED, "x"]),
        ({"include": None}, [ENCRYPTED]),
    ],
)
def test_openai_is_asked_for_encrypted_reasoning(extra: dict, expected: list):
    assert body(settings=Settings(extra=extra), profile=OPENAI)["include"] == expected


def test_others_are_not():
    assert "include" not in body()
    assert body(settings=Settings(extra={"include": ["x"]}))["include"] == ["x"]


def test_a_text_of_one_s_own_stays_where_no_output_type_fills_it():
    text = {"format": {"type": "json_object"}}
    assert body(settings=Settings(extra={"text": text}))["text"] == text


@pytest.mark.parametrize("text", [{"format": {"type": "text"}}, "x"])
def test_two_formats_are_refused(text: object):
    with pytest.raises(UsageError, match=r"output_type fills text.format"):
        template(settings=Settings(extra={"text": text}), text_format={"type": "json_object"})


def test_settings_that_are_no_json_are_refused():
    with pytest.raises(UsageError, match="the settings are not representable as JSON"):
        template(settings=Settings(temperature=1), text_format={"schema": {1, 2}})


def of(body: dict, profile=OTHER) -> dict:
    return json.loads(Request.of(body, stream=True, profile=profile).body)


def test_a_body_by_hand_gets_what_every_server_needs():
    tool = {"type": "function", "name": "f"}
    assert of({"model": "m", "input": "Hi", "tools": [tool, TOOL], "x": None}, OPENAI) == {
        "model": "m",
        "input": "Hi",
        "tools": [{**tool, "strict": False}, TOOL],
        "x": None,
        "stream": True,
        "store": False,
        "include": [ENCRYPTED],
    }


BAD_BODIES = [
    ("no model", {"input": "x"}, "model is None"),
    ("an empty model", {"model": "", "input": "x"}, "model is ''"),
    ("no input", {"model": "m"}, "input is None; give a string or a list"),
    ("an empty input", {"model": "m", "input": []}, "input is []"),
    ("an input of a wrong type", {"model": "m", "input": {"a": 1}}, "input is {'a': 1}"),
    ("previous_response_id", {"model": "m", "input": "x", "previous_response_id": "r"}, "'previous_response_id'"),
    ("background", {"model": "m", "input": "x", "background": True}, "'background'"),
    ("a stored prompt", {"model": "m", "input": "x", "prompt": {"id": "p"}}, "'prompt'"),
    ("store", {"model": "m", "input": "x", "store": True}, "store=True"),
    ("a reference", {"model": "m", "input": [{"type": "item_reference", "id": "x"}]}, "item_reference"),
    ("a hosted tool", {"model": "m", "input": "x", "tools": [{"type": "web_search"}]}, "a tool that is no function"),
    ("a tool in a wrapper", {"model": "m", "input": "x", "tools": [{"function": TOOL}]}, "a tool that is no function"),
    ("tools in an object", {"model": "m", "input": "x", "tools": {"f": TOOL}}, "give a list of functions"),
    ("tools in a tuple", {"model": "m", "input": "x", "tools": ({"type": "web_search"},)}, "give a list of functions"),
    ("no JSON", {"model": "m", "input": "x", "x": {1}}, "the body is not representable as JSON"),
]


@pytest.mark.parametrize(("name", "body", "message"), BAD_BODIES, ids=[row[0] for row in BAD_BODIES])
def test_a_body_that_a_stateless_server_would_misread_is_refused(name: str, body: dict, message: str):
    with pytest.raises(UsageError) as caught:
        of(body)
    assert message in str(caught.value)


@pytest.mark.parametrize("harmless", [{"previous_response_id": None}, {"background": False}, {"tools": None}])
def test_null_and_false_ask_for_no_memory(harmless: dict):
    assert of({"model": "m", "input": "x", **harmless}).items() >= harmless.items()


def test_128_tools_are_the_most():
    assert len(check_tools([TOOL] * 128)) == 128
    with pytest.raises(TooManyTools) as caught:
        check_tools([TOOL] * 129)
    assert str(caught.value) == (
        "129 tools given, the API accepts at most 128. Select a subset with Toolset.only(...)."
    )
