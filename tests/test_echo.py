"""Answers that repeat their tools: the same values as without the short way, wherever the tools stand."""

import json

import pytest

from agentkit.echo import KEPT, LEAST_CHARACTERS, Echoes
from agentkit.json import JSONError

TOOLS = [{"type": "function", "name": f"f{i}", "description": 'say "tools": ["x"] \\ ø ' * 3} for i in range(30)]
TEXT = json.dumps(TOOLS)
assert len(TEXT) > LEAST_CHARACTERS

BODIES = {
    "at the end": f'{{"id": "r", "output": [], "tools": {TEXT}}}',
    "at the beginning": f'{{"tools":\n {TEXT}, "id": "r", "output": [1, {{"a": "}}]"}}]}}',
    "in an event": f'{{"type": "response.completed", "response": {{"tools":{TEXT}, "output": []}}}}',
    "twice": f'{{"tools": {TEXT}, "tools": 7}}',
    "deeper": f'{{"metadata": {{"tools": {TEXT}}}, "output": []}}',
    "deeper, and at the top": f'{{"metadata": {{"tools": {TEXT}}}, "tools": {TEXT}}}',
    "a longer list": f'{{"tools": {TEXT[:-1]}, {{"name": "g"}}], "output": []}}',
    "in a text": json.dumps({"output": BODY_TEXT, "tools": TOOLS}) if (BODY_TEXT := f'"tools": {TEXT}') else "",
    "no list": '{"tools": "' + "x" * LEAST_CHARACTERS + '"}',
    "a list": f'[{{"tools": {TEXT}}}]',
    "a mark": json.dumps({"tools": "\0the tools that were read before", "x": "x" * LEAST_CHARACTERS}),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_the_same_as_decoded_anew(body):
    for earlier in (None, *BODIES.values()):
        echoes = Echoes()
        if earlier is not None:
            echoes.decode(earlier.encode())
        for _ in range(2):
            assert echoes.decode(body.encode()) == json.loads(body)


def test_tools_that_were_seen_before_are_not_decoded_again():
    echoes = Echoes()
    first, second = (echoes.decode(json.dumps({"id": i, "tools": TOOLS}).encode()) for i in range(2))
    assert first["tools"] is second["tools"]
    assert (first["id"], second["id"]) == (0, 1)


def test_few_are_remembered():
    echoes = Echoes()
    for i in [*range(KEPT + 5), 0]:
        assert echoes.decode(json.dumps({"tools": [*TOOLS, i]}).encode()) == {"tools": [*TOOLS, i]}
    assert len(echoes._known) == KEPT


@pytest.mark.parametrize("cut", [1, 5, len(TEXT) // 2, len(TEXT) + 3])
def test_text_that_is_no_json_is_none_with_tools_seen_before_either(cut):
    body = BODIES["at the end"]
    echoes = Echoes()
    echoes.decode(body.encode())
    with pytest.raises(JSONError):
        echoes.decode(body[:-cut].encode())
    with pytest.raises(JSONError, match="UTF-8"):
        echoes.decode(body.replace('"r"', '"\udcff"').encode(errors="surrogateescape"))
