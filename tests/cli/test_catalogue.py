from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from agentkit.cli.catalogue import type_text

if TYPE_CHECKING:
    from agentkit.json import JSON
    from tests.cli.conftest import Shell

SOURCE = '''
from typing import Literal
from agentkit import Agent, tool
from agentkit.testing import ScriptedModel

@tool(timeout_s=10, effect="pure", parallel=False)
def weather(city: str, unit: Literal["C", "F"] = "C") -> str:
    """Current weather in a city, \\x1b[31mred\\x1b[0m.

    Args:
        city: The name of a city, long enough that a narrow window has to break it somewhere between two words.
    """
    return ""

@tool
def count(words: dict[str, int]) -> int:
    """Count."""
    return 0

agent = Agent(model="m", tools=[weather, count])
bare = Agent(model="m")
answering = Agent(model="m", output_type=list[str], output_mode="tool")
'''


@pytest.mark.parametrize(
    ("schema", "shown"),
    [
        ({"type": "string"}, "string"),
        ({"type": "string", "format": "date"}, "string (date)"),
        ({"type": ["integer", "null"]}, "integer | null"),
        ({"type": "integer", "minimum": 0, "maximum": 9}, "integer 0 to 9"),
        ({"type": "number", "exclusiveMinimum": 0}, "number > 0"),
        ({"enum": ["C", "F", None]}, '"C" | "F" | null'),
        ({"const": "on"}, '"on"'),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string | null"),
        ({"type": "array", "items": {"type": "string"}}, "list of string"),
        ({"type": "array", "items": {"type": ["string", "null"]}}, "list of (string | null)"),
        ({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]}, "[string, integer]"),
        ({"type": "array"}, "list"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "map of integer"),
        ({"type": "object"}, "object"),
        (
            {"type": "object", "properties": {"a": {"type": "string"}, "b": {"$ref": "#/$defs/P"}}, "required": ["a"]},
            "{a: string, b?: {kids?: list of P}}",
        ),
        ({"$ref": "#/$defs/none"}, "anything"),
        ({}, "anything"),
        (True, "anything"),
    ],
)
def test_schemas_read_as_types(schema: JSON, shown: str) -> None:
    kids: JSON = {"type": "array", "items": {"$ref": "#/$defs/P"}}
    assert type_text(schema, {"P": {"type": "object", "properties": {"kids": kids}}}) == shown


def test_tools_are_listed_for_a_reader(shell: Shell) -> None:
    shell.write("f.py", SOURCE)
    done = shell.run("tools", "f.py")
    assert done.returncode == 0
    assert done.stderr == ""
    assert "  Current weather in a city, \\x1b[31mred\\x1b[0m.\n" in done.stdout
    assert '  unit  "C" | "F" | null  Default: "C".\n' in done.stdout
    assert "  strict\n  pure (may be repeated), time limit 10 s, runs alone\n" in done.stdout
    assert "  words  map of integer\n\n  not strict: 'words' is a map with free keys\n" in done.stdout
    assert "  unsafe (never repeated by itself), no time limit\n" in done.stdout
    assert "its output is the answer" in shell.run("tools", "f.py:answering").stdout
    assert shell.run("tools", "f.py:bare").stderr == "The agent has no tools.\n"


def test_json_is_what_requests_hold(shell: Shell) -> None:
    ask = "model = ScriptedModel(['Hi.'])\nagent.run_sync('x', client=model.client())\n"
    tell = "import json, sys; print(json.dumps(model.requests[0]['tools']), file=sys.stderr)\n"
    shell.write("f.py", f"{SOURCE}{ask}{tell}")
    done = shell.run("tools", "f.py", "--json")
    assert json.loads(done.stdout) == json.loads(done.stderr)
    assert "\x1b" not in done.stdout
    assert json.loads(shell.run("tools", "f.py:bare", "--json").stdout) == []


def test_a_tool_that_cannot_be_offered_is_2(shell: Shell) -> None:
    shell.write(
        "f.py", "from agentkit import Agent, tool\n@tool\ndef f(x: 'Nowhere'): 'x'\nagent = Agent(model='m', tools=[f])"
    )
    done = shell.run("tools", "f.py")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "'Nowhere'" in done.stderr


def test_it_fits_a_narrow_window(shell: Shell) -> None:
    shell.write("f.py", SOURCE)
    terminal = shell.terminal("tools", "f.py", columns=40, NO_COLOR="1")
    assert terminal.end() == 0
    assert max(map(len, terminal.text.splitlines())) <= 40
    assert "\x1b" not in terminal.text
