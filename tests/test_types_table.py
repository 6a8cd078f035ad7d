"""The table of types in docs/types.md: made here, and each schema in it checked.

`python tests/test_types_table.py --write` makes the page again after a change.
"""

# ruff: noqa: E501, UP007, UP045

from __future__ import annotations

import datetime
import decimal
import enum
import json
import pathlib
import sys
import typing
import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, Optional, Union

import jsonschema
import pytest
import typing_extensions
from pydantic import BaseModel, ConfigDict, Field

from agentkit.tools import tool

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "types.md"


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Point(typing.TypedDict):
    x: float
    label: typing.NotRequired[str]


class Place(typing_extensions.TypedDict, total=False):
    city: str


class Span(NamedTuple):
    start: int
    end: int = 10


@dataclass
class Item:
    name: str
    count: int = 1


class Address(BaseModel):
    """Where somebody lives."""

    street: str
    zip: str | None = Field(None, description="Postal code.")


class Customer(BaseModel):
    name: str = Field(min_length=1)
    home: Address
    tags: set[str] = set()


class Node(BaseModel):
    value: int
    children: list[Node] = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]


class Created(BaseModel):
    kind: Literal["created"] = "created"


class Deleted(BaseModel):
    kind: Literal["deleted"] = "deleted"
    why: str = ""


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    id: int


MISSING = object()

# shown as, annotation, default, strict, accepted JSON, refused JSON
ROWS: list[tuple[str, object, object, bool, list[str], list[str]]] = [
    ("`str`", str, MISSING, True, ['"a"', '""'], ["5", "null", "true", '["a"]']),
    ("`LiteralString`", typing.LiteralString, MISSING, True, ['"a"'], ["5"]),
    ("`int`", int, MISSING, True, ["5", '"5"', "5.0"], ["true", '"5.5"', "5.5", '""', "null"]),
    ("`float`", float, MISSING, True, ["1.5", "1"], ["true", '"1.5"', "null"]),
    ("`bool`", bool, MISSING, True, ["true"], ["1", '"yes"', '"true"', "null"]),
    ("`None`", None, MISSING, True, ["null"], ["0", '""']),
    ('`Literal["a", "b"]`', Literal["a", "b"], MISSING, True, ['"a"'], ['"c"', "null"]),
    ("`Literal[1, 2]`", Literal[1, 2], MISSING, True, ["1", '"2"'], ["3", "true"]),
    ('`Literal[1, "a", None]`', Literal[1, "a", None], MISSING, True, ["1", '"a"', "null"], ["true", '"b"']),
    ("`Enum` of strings", Color, MISSING, True, ['"red"'], ['"RED"', "null"]),
    ("`IntEnum`", Size, MISSING, True, ["1", '"2"'], ["3", "true", "1.5"]),
    ("`str \\| None`", str | None, MISSING, True, ['"a"', "null"], ["5"]),
    ("`Optional[Color]`", Optional[Color], MISSING, True, ['"red"', "null"], ['"green"']),
    ("`int \\| str`", int | str, MISSING, True, ["5", '"5"'], ["true", "null"]),
    ("`Union[int, list[int]]`", Union[int, list[int]], MISSING, True, ["5", '"5"', '["5", 6]'], ["true", '["a"]']),
    ('`str = "C"`', str, "C", True, ['"F"', "null"], ["5"]),
    ("`int \\| None = 5` (null means 5)", int | None, 5, True, ["3", "null"], ["true"]),
    ("`str \\| None = None`", str | None, None, True, ['"a"', "null"], ["5"]),
    ("`list[int]`", list[int], MISSING, True, ["[]", '[1, "2", 3.0]'], ["[true]", "{}", "5", "[null]"]),
    ("`list`", list, MISSING, False, ['[1, "a"]'], ["5"]),
    ("`Sequence[str]`", typing.Sequence[str], MISSING, True, ['["a"]'], ['"a"', "[1]"]),
    ("`tuple[int, ...]`", tuple[int, ...], MISSING, True, ["[1, 2]", '[1, "2"]'], ['["a"]']),
    (
        "`tuple[int, str]`",
        tuple[int, str],
        MISSING,
        False,
        ['[1, "a"]', '["1", "a"]'],
        ["[1]", '["a", "a"]', '[1, "a", 2]'],
    ),
    ("`NamedTuple`", Span, MISSING, False, ["[1]", '["1", 2]'], ["[]", '["a"]']),
    ("`set[str]`, `frozenset[str]`", set[str], MISSING, True, ['["a", "a"]'], ["[1]"]),
    ("`dict[str, int]`", dict[str, int], MISSING, False, ['{"a": 1}', '{"a": "1"}'], ['{"a": true}', "[]"]),
    ("`dict`", dict, MISSING, False, ['{"a": 1}'], ["[]"]),
    ("`typing.Mapping[str, float]`", typing.Mapping[str, float], MISSING, False, ['{"a": 1}'], ['{"a": "1"}']),
    ("`TypedDict`", Point, MISSING, True, ['{"x": 1, "label": null}', '{"x": 1}'], ["{}", '{"x": 1, "y": 2}']),
    ("`TypedDict(total=False)`", Place, MISSING, True, ['{"city": "a"}', "{}"], ['{"town": "a"}']),
    (
        "dataclass",
        Item,
        MISSING,
        True,
        ['{"name": "a", "count": null}', '{"name": "a"}', '{"name": "a", "count": "2"}'],
        ["{}", '{"name": 1}', '{"name": "a", "n": 1}'],
    ),
    (
        "pydantic model",
        Address,
        MISSING,
        True,
        ['{"street": "a", "zip": null}', '{"street": "a"}'],
        ['{"street": 1}', '{"street": "a", "city": "b"}'],
    ),
    (
        "nested models",
        Customer,
        MISSING,
        True,
        ['{"name": "a", "home": {"street": "b", "zip": null}, "tags": ["x"]}'],
        [
            '{"name": "", "home": {"street": "b"}}',
            '{"name": "a", "home": {"street": 1}}',
            '{"name": "a", "home": {"street": "b", "x": 1}}',
        ],
    ),
    (
        "recursive model",
        Node,
        MISSING,
        True,
        ['{"value": 1, "children": [{"value": 2, "children": null}]}', '{"value": "1"}'],
        ['{"value": 1, "children": [{}]}', '{"value": true}'],
    ),
    (
        "discriminated union",
        Annotated[Cat | Dog, Field(discriminator="kind")],
        MISSING,
        True,
        ['{"kind": "dog"}', '{"kind": "cat", "lives": "3"}'],
        ['{"kind": "cow"}', '{"kind": "dog", "lives": 3}', "{}"],
    ),
    (
        "discriminated union whose tags have defaults",
        Annotated[Created | Deleted, Field(discriminator="kind")],
        MISSING,
        True,
        ['{"kind": "deleted", "why": null}', '{"kind": "created"}'],
        ['{"kind": null}', '{"kind": "created", "why": ""}', "{}"],
    ),
    ("union of models", Cat | Dog, MISSING, True, ['{"kind": "cat", "lives": null}'], ['{"kind": "dog", "lives": 3}']),
    ('model with `extra="allow"`', Open, MISSING, False, ['{"id": 1, "more": 2}', '{"id": "1"}'], ['{"id": true}']),
    (
        "`Annotated[int, Field(ge=1, le=5)]`",
        Annotated[int, Field(ge=1, le=5)],
        MISSING,
        True,
        ["1", '"5"'],
        ["0", '"6"'],
    ),
    ("`int = Field(5, ge=1)`", int, Field(5, ge=1), True, ["1", "null"], ["0"]),
    (
        "`Annotated[str, Field(max_length=3)]`",
        Annotated[str, Field(max_length=3)],
        MISSING,
        True,
        ['"abc"'],
        ['"abcd"'],
    ),
    (
        '`Annotated[str, Field(pattern="^a+$")]`',
        Annotated[str, Field(pattern="^a+$")],
        MISSING,
        True,
        ['"aa"'],
        ['"b"'],
    ),
    (
        '`Annotated[str, Field(pattern="^(?!a)")]`',
        Annotated[str, Field(pattern="^(?!a)")],
        MISSING,
        True,
        ['"b"'],
        ['"ab"'],
    ),
    ('`Annotated[str, "Name of a city."]`', Annotated[str, "Name of a city."], MISSING, True, ['"a"'], ["5"]),
    ("`datetime`", datetime.datetime, MISSING, True, ['"2025-01-31T10:00:00Z"'], ["1700000000", '"soon"']),
    ("`date`", datetime.date, MISSING, True, ['"2025-01-31"'], ['"2025-02-31"', "5"]),
    ("`time`", datetime.time, MISSING, True, ['"10:30:00"'], ['"noon"']),
    ("`timedelta`", datetime.timedelta, MISSING, True, ['"P1DT2H"'], ['"a day"', "5"]),
    ("`UUID`", uuid.UUID, MISSING, True, ['"12345678-1234-5678-1234-567812345678"'], ['"1"']),
    ("`Decimal`", decimal.Decimal, MISSING, True, ['"1.10"', "1.5"], ["true", '"NaN"', '"x"']),
    ("`Path`", pathlib.Path, MISSING, True, ['"a/b.txt"'], ["5"]),
    ("`bytes`", bytes, MISSING, True, ['"aGVsbG8="'], ['"%"', "5"]),
    ("`Any`, `object`", Any, MISSING, False, ["5", '"a"', "null", "[1]"], []),
]


def make_tool(annotation, default):
    def example(x): ...

    example.__annotations__ = {"x": annotation}
    if default is not MISSING:
        example.__defaults__ = (default,)
    return tool(example)


def of_row(row):
    return make_tool(row[1], row[2])


each_row = pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])


@each_row
def test_schema_is_valid_json_schema(row):
    jsonschema.Draft202012Validator.check_schema(of_row(row).schema)


@each_row
def test_schema_is_strict_where_the_type_allows_it(row):
    made = of_row(row)
    assert made.strict is row[3]
    assert (made.strict_reason is None) is row[3]


@each_row
def test_strict_schema_lies_in_the_documented_subset(row):
    made = of_row(row)
    if made.strict:
        assert outside_subset(made.schema) == []


@each_row
def test_what_fits_is_accepted_and_the_rest_refused(row):
    made = of_row(row)
    for text in row[4]:
        made.check(f'{{"x": {text}}}')
    for text in row[5]:
        with pytest.raises(ValueError, match="x"):
            made.check(f'{{"x": {text}}}')


@each_row
def test_the_sent_schema_admits_what_is_accepted(row):
    """The first accepted value of each row is written the way the sent schema wants it."""
    jsonschema.Draft202012Validator(of_row(row).schema).validate({"x": json.loads(row[4][0])})


def test_the_page_is_up_to_date():
    """Run `python tests/test_types_table.py --write` where this fails."""
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "docs/types.md differs from what the code does. Run: python tests/test_types_table.py --write"
    )


# --- the strict subset, written from OpenAI's documentation and not from the code under test -----------------

# "Supported schemas" and "Supported properties", Structured Outputs guide: String, Number, Boolean, Integer,
# Object, Array, Enum, anyOf; pattern, format; multipleOf, maximum, ...; minItems, maxItems.
ALLOWED = {
    "string": {"pattern", "format"},
    "number": {"multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"},
    "integer": {"multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"},
    "boolean": set(),
    "null": set(),
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems", "maxItems"},
}
FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}


def outside_subset(schema, *, root=True, path="#"):
    """List what OpenAI's documentation doesn't allow in a strict schema."""
    found = []
    if root and (schema.get("type") != "object" or "anyOf" in schema):
        found.append(f"{path}: root is no object")
    if "$ref" in schema:
        return found if set(schema) == {"$ref"} else [*found, f"{path}: $ref with siblings"]
    types = schema.get("type", [])
    types = types if isinstance(types, list) else [types]
    if not types and "anyOf" not in schema:
        found.append(f"{path}: no type")
    allowed = {"type", "description", "enum", "const", "anyOf"}.union(*(ALLOWED[item] for item in types))
    if root:
        allowed.add("$defs")
    found += [f"{path}: keyword {key}" for key in schema if key not in allowed]
    if "object" in types:
        if schema.get("additionalProperties") is not False:
            found.append(f"{path}: open object")
        if sorted(schema.get("required", [])) != sorted(schema.get("properties", {})):
            found.append(f"{path}: optional properties")
    if "array" in types and "items" not in schema:
        found.append(f"{path}: array without items")
    if schema.get("format", "uuid") not in FORMATS:
        found.append(f"{path}: format {schema['format']}")
    if "(?" in schema.get("pattern", ""):
        found.append(f"{path}: pattern with look-around")
    below = [(f"{path}.{name}", child) for name, child in schema.get("properties", {}).items()]
    below += [(f"{path}.anyOf", child) for child in schema.get("anyOf", [])]
    below += [(f"{path}.$defs.{name}", child) for name, child in schema.get("$defs", {}).items()] if root else []
    below += [(f"{path}.items", schema["items"])] if "items" in schema else []
    return found + [problem for name, child in below for problem in outside_subset(child, root=False, path=name)]


# --- the page ------------------------------------------------------------------------------------------------

HEAD = """# Types of parameters

How a tool's parameter, or an `output_type`, becomes JSON schema, and what is accepted for it. This page is made by
`python tests/test_types_table.py --write` from the rows that the test checks, for a parameter `x` of each type.

A schema is sent with `strict: true` where it can be said in the
[strict subset](https://platform.openai.com/docs/guides/structured-outputs#supported-schemas), else with `strict: false`
and all that is known. In a strict schema every property is required; one with a default is nullable, and null means
the default; a tag such as `kind: Literal["a"] = "a"` isn't. Keywords that the subset doesn't have are said in the
description. Beyond the subset's limits of size, strict is false: 5,000 properties, 10 levels, 1,000 enum values, 15,000
characters in a string enum of more than 250 values, 120,000 characters of names, enum values and constants.

Arguments are checked here whatever the server promises. For integers `"5"` and `5.0` are taken for 5; everything else of
a wrong type is refused, booleans for numbers too, unknown properties too, and so are duplicate keys and NaN.
"""

TAIL = """
Refused when the agent is made, with an error that says what to do: `*args`, `**kwargs`, parameters without annotation,
and types that can't be read from JSON (arbitrary classes, callables, open files, `type[int]`, enums with values other than
strings, numbers, booleans and None).

- A bare string in `Annotated` describes a *parameter*. Inside a model, dataclass or `TypedDict` use
  `Annotated[str, Field(description=...)]`.
- `bytes` inside a pydantic model follow the model's own configuration, which is UTF-8 text unless it sets
  `val_json_bytes="base64"`; everywhere else they are base64.
- `typing.TypedDict` works on Python 3.11 as a parameter and inside lists, dicts and unions; inside a dataclass or a model
  take `typing_extensions.TypedDict` there.
"""


def page():
    lines = ["| type | schema sent | strict | why not |", "| --- | --- | --- | --- |"]
    for row in ROWS:
        made = of_row(row)
        schema = {
            **made.schema["properties"]["x"],
            **({"$defs": made.schema["$defs"]} if "$defs" in made.schema else {}),
        }
        text = json.dumps(schema, ensure_ascii=False).replace("|", "\\|")
        lines.append(f"| {row[0]} | `{text}` | {'yes' if made.strict else 'no'} | {made.strict_reason or ''} |")
    return "\n".join([HEAD, *lines, TAIL])


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        print(page())
