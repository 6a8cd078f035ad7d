"""Any output type, asked for as a strict schema and read back from the model's text."""

# ruff: noqa: E501

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import jsonschema
import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from agentkit.errors import ToolDefinitionError
from agentkit.structured import OutputSchema, ValueMismatch


class City(BaseModel):
    """A city."""

    name: str
    people: int = Field(ge=0)
    twins: list[str] = []


class Village(BaseModel):
    name: str


class Tree(BaseModel):
    value: int
    children: list[Tree] = []


@dataclass
class Point:
    x: float
    label: str | None = None


class Move(TypedDict):
    to: str


class Pair(NamedTuple):
    a: int
    b: str


CITY = City(name="Oslo", people=1)

TABLE = [
    ("model", City, "City", False, True, '{"name": "Oslo", "people": 1, "twins": null}', CITY),
    (
        "recursive model",
        Tree,
        "Tree",
        False,
        True,
        '{"value": 1, "children": [{"value": 2}]}',
        Tree(value=1, children=[Tree(value=2)]),
    ),
    ("dataclass", Point, "Point", False, True, '{"x": 1, "label": null}', Point(1.0)),
    ("typed dict", Move, "Move", False, True, '{"to": "a"}', {"to": "a"}),
    ("described model", Annotated[City, "Where."], "City", False, True, '{"name": "Oslo", "people": "1"}', CITY),
    ("described recursive model", Annotated[Tree, "Which."], "Tree", False, True, '{"value": 1}', Tree(value=1)),
    ("map", dict[str, int], "output", False, False, '{"a": 1}', {"a": 1}),
    ("int", int, "int", True, True, '{"value": "5"}', 5),
    ("none", type(None), "NoneType", True, True, '{"value": null}', None),
    ("list of models", list[City], "output", True, True, '{"value": [{"name": "Oslo", "people": 1.0}]}', [CITY]),
    ("union", City | Village, "output", True, True, '{"value": {"name": "Oslo", "people": 1}}', CITY),
    ("optional", City | None, "output", True, True, '{"value": null}', None),
    ("literal", Literal["yes", "no"], "output", True, True, '{"value": "yes"}', "yes"),
    ("named tuple", Pair, "Pair", True, False, '{"value": [1, "a"]}', Pair(1, "a")),
    ("bytes", bytes, "bytes", True, True, '{"value": "aGk="}', b"hi"),
]
each_row = pytest.mark.parametrize(
    ("kind", "name", "wrapped", "strict", "text", "value"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)


@each_row
def test_output_type_as_schema_and_back(kind, name, wrapped, strict, text, value):
    schema = OutputSchema(kind)
    assert (schema.name, schema.wrapped, schema.strict) == (name, wrapped, strict)
    assert schema.schema["type"] == "object"
    jsonschema.Draft202012Validator.check_schema(schema.schema)
    found = schema.parse(text)
    assert found == value
    assert type(found) is type(value)


@each_row
def test_a_code_fence_is_taken_off(kind, name, wrapped, strict, text, value):
    assert OutputSchema(kind).parse(f"\n```json\n{text}\n```\n") == value


def test_schema_of_a_model():
    assert OutputSchema(City).schema == {
        "type": "object",
        "description": "A city.",
        "properties": {
            "name": {"type": "string"},
            "people": {"type": "integer", "minimum": 0},
            "twins": {
                "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}],
                "description": "Default: [].",
            },
        },
        "required": ["name", "people", "twins"],
        "additionalProperties": False,
    }


def test_schema_of_what_is_no_object():
    assert OutputSchema(Annotated[list[int], "Primes."]).schema == {
        "type": "object",
        "properties": {"value": {"type": "array", "items": {"type": "integer"}, "description": "Primes."}},
        "required": ["value"],
        "additionalProperties": False,
    }


MISMATCHES = [
    (
        "pydantic's words",
        City,
        '{"name": "Oslo", "people": -1}',
        "the answer doesn't match the schema:\n- people: Input should be greater than or equal to 0, got -1",
    ),
    (
        "several",
        City,
        '{"people": true, "more": 1}',
        "the answer doesn't match the schema:\n- name: Field required\n- people: Input should be a valid integer, got true\n- more: Extra inputs are not permitted, got 1",
    ),
    (
        "inside",
        Tree,
        '{"value": 1, "children": [{"value": "x"}]}',
        'the answer doesn\'t match the schema:\n- children[0].value: Input should be a valid integer, got "x"',
    ),
    ("not wrapped", list[int], "[1]", "the answer doesn't match the schema:\n- Input should be an object, got [1]"),
    (
        "wrapped, wrong",
        list[int],
        '{"value": ["a"]}',
        'the answer doesn\'t match the schema:\n- value[0]: Input should be a valid integer, got "a"',
    ),
    ("no object", City, "5", "the answer doesn't match the schema:\n- Input should be an object, got 5"),
    (
        "a literal that is a boolean",
        Literal[1],
        '{"value": true}',
        "the answer doesn't match the schema:\n- value: expected 1, got true",
    ),
]


@pytest.mark.parametrize(
    ("kind", "text", "message"), [row[1:] for row in MISMATCHES], ids=[row[0] for row in MISMATCHES]
)
def test_a_mismatch_quotes_what_is_wrong(kind, text, message):
    with pytest.raises(ValueMismatch) as caught:
        OutputSchema(kind).parse(text)
    problems, expected = str(caught.value).rsplit("\nExpected ", 1)
    assert problems == message
    assert expected.startswith("{")


@pytest.mark.parametrize(
    "text", ["", "Oslo", '{"name": "Oslo"', "```json\nOslo\n```", 'Here: {"name": "Oslo", "people": 1}', "{}{}"]
)
def test_text_that_is_no_json_is_refused(text):
    with pytest.raises(ValueMismatch, match=r'the answer is not valid JSON: .*\. Expected {"name": string'):
        OutputSchema(City).parse(text)


@pytest.mark.parametrize("kind", [City, dict[str, int], list[City], Annotated[int, "x"]])
def test_names_are_those_that_the_api_takes(kind):
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", OutputSchema(kind).name)


def test_a_generic_models_name_is_made_fit():
    class Größe(BaseModel):
        a: int

    assert OutputSchema(Größe).name == "Gr_e"


def test_a_type_without_a_schema_is_refused():
    class Connection:
        pass

    with pytest.raises(ToolDefinitionError, match=r"output_type Connection: 'value' has no JSON schema"):
        OutputSchema(Connection)
