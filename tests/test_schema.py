"""Schemas from signatures: strictness, defaults in words, definitions, forward references, what is refused."""

# ruff: noqa: E501, UP007, UP045

from __future__ import annotations

import datetime
import enum
import subprocess
import sys
import textwrap
import typing
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Optional, Union

import pytest
import typing_extensions
from annotated_types import Ge, MaxLen
from pydantic import BaseModel, Field, TypeAdapter

from agentkit.errors import ToolDefinitionError
from agentkit.plain import plain_schema
from agentkit.schema import build_schema
from agentkit.signature import Field as Parameter
from agentkit.strict import strict_reason, tidy, to_strict
from agentkit.tools import collect_tools, tool


def schema_of(function):
    return tool(function).schema


def test_schema_of_a_plain_function():
    @tool
    def weather(city: str, unit: Literal["C", "F"] = "C", days: int = 3) -> str:
        """Weather in a city.

        Args:
            city: Name of the city.
            unit: Temperature unit.
        """
        return ""

    assert weather.definition == {
        "type": "function",
        "name": "weather",
        "description": "Weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Name of the city."},
                "unit": {
                    "enum": ["C", "F", None],
                    "type": ["string", "null"],
                    "description": 'Temperature unit. Default: "C".',
                },
                "days": {"type": ["integer", "null"], "description": "Default: 3."},
            },
            "required": ["city", "unit", "days"],
            "additionalProperties": False,
        },
        "strict": True,
    }


def test_no_parameters_is_the_portable_empty_object():
    def ping() -> str: ...

    assert schema_of(ping) == {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


def test_a_loose_schema_keeps_defaults_and_optional_properties():
    def search(filters: dict[str, str], limit: int = 10) -> str: ...

    made = tool(search)
    assert (made.strict, made.strict_reason) == (False, "'filters' is a map with free keys")
    assert made.schema == {
        "type": "object",
        "properties": {
            "filters": {"type": "object", "additionalProperties": {"type": "string"}},
            "limit": {"type": "integer", "default": 10},
        },
        "required": ["filters"],
        "additionalProperties": False,
    }


def test_strict_true_on_a_loose_type_names_the_reason():
    def search(filters: dict[str, str]) -> str: ...

    with pytest.raises(ToolDefinitionError, match=r"tool 'search': strict=True .*'filters' is a map with free keys"):
        collect_tools([tool(search, strict=True)])


def test_strict_false_is_never_strict():
    def search(limit: int = 10) -> str: ...

    made = tool(search, strict=False)
    assert made.definition["strict"] is False
    assert made.schema["properties"] == {"limit": {"type": "integer", "default": 10}}


class Shade(enum.Enum):
    DARK = "dark"
    LIGHT = "light"


@dataclass
class Lamp:
    shade: Shade = Shade.DARK
    names: set[str] = field(default_factory=lambda: {"b", "a"})


DEFAULTS = [
    ("text", str, "C", 'Default: "C".'),
    ("number", float, 0.5, "Default: 0.5."),
    ("true", bool, True, "Default: true."),
    ("none", Optional[str], None, None),
    ("none for a plain type", str, None, None),
    ("enum member", Shade, Shade.DARK, 'Default: "dark".'),
    ("date", datetime.date, datetime.date(2025, 1, 31), 'Default: "2025-01-31".'),
    ("list", list[int], [1, 2], "Default: [1, 2]."),
    ("empty tuple", tuple[int, ...], (), "Default: []."),
    ("set, sorted", set[str], {"b", "a", "c"}, 'No duplicates. Default: ["a", "b", "c"].'),
    ("said by the docstring", Annotated[int, "How many; 5 by default."], 5, "How many; 5 by default."),
    ("nan", float, float("nan"), "null leaves it out."),
    ("no JSON form", str, object(), "null leaves it out."),
    ("long", str, "x" * 300, "null leaves it out."),
]


@pytest.mark.parametrize(
    ("annotation", "default", "words"), [row[1:] for row in DEFAULTS], ids=[row[0] for row in DEFAULTS]
)
def test_a_default_is_said_in_the_description(annotation, default, words):
    def example(x=default): ...

    example.__annotations__ = {"x": annotation}
    made = tool(example)
    assert made.strict
    assert made.schema["required"] == ["x"]
    assert made.schema["properties"]["x"].get("description") == words


def test_defaults_inside_models_are_the_same_in_every_process():
    """Sets are iterated in an order that differs between processes; the schema is part of every request."""
    script = textwrap.dedent("""
        import json
        from pydantic import BaseModel
        from agentkit.tools import tool
        class M(BaseModel):
            names: set[str] = {"alpha", "beta", "gamma", "delta"}
        @tool
        def f(m: M, other: frozenset[str] = frozenset({"x", "y", "z", "w"})) -> str: ...
        print(json.dumps(f.definition))
    """)
    seen = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(seen) == 1
    assert 'Default: [\\"alpha\\", \\"beta\\", \\"delta\\", \\"gamma\\"].' in seen.pop()


class Address(BaseModel):
    """Where somebody lives."""

    street: str


class Person(BaseModel):
    name: str
    friends: list[Person] = []


def test_a_definition_used_once_is_inlined_and_described_by_the_parameter():
    def move(
        to: Annotated[Address, "The new address."],
        old: Address,
    ): ...

    assert schema_of(move)["properties"]["to"] == {
        "type": "object",
        "properties": {"street": {"type": "string"}},
        "required": ["street"],
        "additionalProperties": False,
        "description": "The new address.",
    }
    assert schema_of(move)["properties"]["old"]["description"] == "Where somebody lives."


def test_a_recursive_definition_stays_one_and_a_description_goes_around_it():
    def invite(person: Person, host: Annotated[Person, "Who pays."], guest: Person | None = None): ...

    made = schema_of(invite)
    assert made["properties"] == {
        "person": {"$ref": "#/$defs/Person"},
        "host": {"anyOf": [{"$ref": "#/$defs/Person"}], "description": "Who pays."},
        "guest": {"anyOf": [{"$ref": "#/$defs/Person"}, {"type": "null"}]},
    }
    assert list(made["$defs"]) == ["Person"]
    assert made["$defs"]["Person"]["properties"]["friends"] == {
        "anyOf": [{"type": "array", "items": {"$ref": "#/$defs/Person"}}, {"type": "null"}],
        "description": "Default: [].",
    }


def test_two_classes_of_one_name_stay_apart():
    class Node(BaseModel):
        a: int
        next: Node | None = None

    first = Node

    class Node(BaseModel):
        b: str
        next: Node | None = None

    def both(x: first, y: Node): ...

    both.__annotations__ = {"x": first, "y": Node}
    made = tool(both)
    assert made.check('{"x": {"a": 1}, "y": {"b": "t"}}')["y"].b == "t"
    assert len(made.schema["$defs"]) == 2


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "minLength": 1, "maxLength": 3}, "At least 1 character. At most 3 characters."),
        ({"type": "string", "description": "Name", "maxLength": 3}, "Name. At most 3 characters."),
        ({"type": "array", "items": {"type": "string"}, "uniqueItems": True}, "No duplicates."),
        ({"type": "string", "format": "path"}, "A path in the file system."),
        ({"type": "string", "format": "base64url"}, "Bytes as base64 text."),
        ({"type": "string", "format": "uri"}, "A URL."),
        ({"type": "string", "format": "zipcode"}, "Format: zipcode."),
        ({"type": "string", "pattern": "^(?!x)"}, "Matches the regular expression ^(?!x)"),
        ({"type": "string", "examples": ["a", "b"]}, 'Examples: "a", "b".'),
        ({"type": "string", "deprecated": True}, "Deprecated."),
    ],
)
def test_keywords_outside_the_subset_become_words(schema, expected):
    assert to_strict(schema)["description"] == expected
    assert (
        strict_reason(
            {"type": "object", "properties": {"x": to_strict(schema)}, "required": ["x"], "additionalProperties": False}
        )
        is None
    )


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (
            {
                "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
                "discriminator": {"propertyName": "k"},
            },
            {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        ),
        (
            {"allOf": [{"$ref": "#/$defs/A"}], "description": "d", "$defs": {"A": {"type": "string", "title": "A"}}},
            {"type": "string", "description": "d"},
        ),
        (
            {"type": "object", "properties": {"title": {"type": "string", "title": "Title"}}},
            {"type": "object", "properties": {"title": {"type": "string"}}, "additionalProperties": False},
        ),
        (
            {"type": "object", "properties": {"$ref": {"type": "string"}, "items": {"type": "string"}}},
            {
                "type": "object",
                "properties": {"$ref": {"type": "string"}, "items": {"type": "string"}},
                "additionalProperties": False,
            },
        ),
    ],
    ids=["no discriminator", "single allOf", "a property called title", "properties called like keywords"],
)
def test_pydantics_schema_is_tidied(schema, expected):
    assert tidy(schema) == expected


def test_nullable_keeps_what_null_must_pass():
    properties = {
        "enum": {"enum": ["a"], "type": "string"},
        "const": {"const": "a", "type": "string"},
        "list": {"type": "array", "items": {"type": "string"}},
        "already": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "any": {},
    }
    made = to_strict({"type": "object", "properties": properties})["properties"]
    words = {"description": "null leaves it out."}
    assert made == {
        "enum": {"enum": ["a", None], "type": ["string", "null"], **words},
        "const": {"anyOf": [{"const": "a", "type": "string"}, {"type": "null"}], **words},
        "list": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}], **words},
        "already": {"type": ["string", "null"], **words},
        "any": {**words},
    }


def test_too_many_levels_are_not_strict():
    kind = str
    for _ in range(10):
        kind = list[kind]
    schema = build_schema([Parameter("x", kind)], owner="tool 'f'")
    assert schema.reason == "objects and lists are nested 11 levels deep, and at most 10 are allowed"


def test_too_many_properties_are_not_strict():
    schema = build_schema([Parameter(f"p{index}", str) for index in range(5001)], owner="tool 'f'")
    assert schema.reason == "there are 5001 properties, and at most 5000 are allowed"


LIMITS = [
    ("1,000 enum values", {"enum": list(range(1000)), "type": "integer"}, None),
    (
        "1,001 enum values",
        {"enum": list(range(1001)), "type": "integer"},
        "there are 1001 enum values, and at most 1000 are allowed",
    ),
    (
        "1,002 enum values in two enums",
        {"anyOf": [{"enum": [*range(501)], "type": "integer"}, {"enum": ["a"] * 501, "type": "string"}]},
        "there are 1002 enum values, and at most 1000 are allowed",
    ),
    ("a long enum of 250 values", {"enum": ["a" * 61] * 250, "type": "string"}, None),
    (
        "a long enum of 251 values",
        {"enum": ["a" * 60] * 251, "type": "string"},
        "an enum of 251 values has 15060 characters, and at most 15000 are allowed above 250 values",
    ),
    ("names of 120,000 characters", {"enum": ["a" * 119_999], "type": "string"}, None),
    (
        "names of 120,001 characters",
        {"enum": ["a" * 120_000], "type": "string"},
        "names and enum values have 120001 characters, and at most 120000 are allowed",
    ),
    (
        "a const of 120,000 characters",
        {"const": "a" * 120_000, "type": "string"},
        "names and enum values have 120001 characters, and at most 120000 are allowed",
    ),
]


@pytest.mark.parametrize(("node", "reason"), [row[1:] for row in LIMITS], ids=[row[0] for row in LIMITS])
def test_enums_and_names_have_limits(node, reason):
    schema = {"type": "object", "properties": {"x": node}, "required": ["x"], "additionalProperties": False}
    assert strict_reason(schema) == reason


def test_names_of_definitions_count_as_characters():
    name = "D" * 119_999
    schema = {
        "type": "object",
        "properties": {"x": {"$ref": f"#/$defs/{name}"}},
        "required": ["x"],
        "additionalProperties": False,
        "$defs": {name: {"type": "string"}},
    }
    assert strict_reason(schema) is None
    schema["properties"]["xy"], schema["required"] = {"type": "string"}, ["x", "xy"]
    assert strict_reason(schema) == "names and enum values have 120002 characters, and at most 120000 are allowed"


class Only(enum.Enum):
    ONE = "one"


class Created(BaseModel):
    kind: Literal["created"] = "created"
    only: Only = Only.ONE
    by: str = "me"


def test_a_tag_that_equals_its_default_is_required_and_not_nullable():
    """`kind: Literal["a"] = "a"`: null would leave open which branch of a union is meant."""

    def f(x: Created): ...

    made = schema_of(f)["properties"]["x"]
    assert made["required"] == ["kind", "only", "by"]
    assert made["properties"]["kind"] == {"const": "created", "type": "string"}
    assert made["properties"]["only"] == {"enum": ["one"], "type": "string"}
    assert made["properties"]["by"]["type"] == ["string", "null"]
    assert tool(f).check('{"x": {}}') == {"x": Created()}


# --- descriptions --------------------------------------------------------------------------------------------


def test_descriptions_by_precedence():
    def f(
        a: str,
        b: Annotated[str, "bare"],
        c: Annotated[str, Field(description="field")],
        d: Annotated[str, "bare", Field(description="field")],
        e: Annotated[str, typing_extensions.Doc("doc")],
        g: str = Field("x", description="default field"),
    ):
        """F.

        Args:
            a: docstring
            b: docstring
            c: docstring
            d: docstring
            e: docstring
            g: docstring
        """

    found = {name: item["description"] for name, item in schema_of(f)["properties"].items()}
    assert found == {
        "a": "docstring",
        "b": "bare",
        "c": "field",
        "d": "field",
        "e": "doc",
        "g": 'default field. Default: "x".',
    }


def test_parameter_names_that_pydantic_keeps_for_itself():
    def f(json: str, copy: int, _x: str, model_config: str, schema: str, dict: str = "d"): ...  # noqa: A002

    made = tool(f)
    text = '{"json": "a", "copy": 1, "_x": "b", "model_config": "c", "schema": "d"}'
    assert made.check(text) == {"json": "a", "copy": 1, "_x": "b", "model_config": "c", "schema": "d"}


def test_an_alias_is_the_models_name_for_a_parameter():
    def f(from_: Annotated[str, Field(alias="from")], to: str = "x"): ...

    made = tool(f)
    assert list(made.schema["properties"]) == ["from", "to"]
    assert made.check('{"from": "a"}') == {"from_": "a"}


# --- forward references --------------------------------------------------------------------------------------


def test_classes_local_to_the_function_that_decorates():
    """This module has `from __future__ import annotations`: every annotation is text."""

    @dataclass
    class Leaf:
        value: int

    @dataclass
    class Tree:
        leaf: Leaf
        more: list[Tree]

    class Model(BaseModel):
        leaf: Leaf

    @tool
    def grow(tree: Tree, model: Model, leaves: list[Leaf] = []) -> str: ...  # noqa: B006

    values = grow.check('{"tree": {"leaf": {"value": 1}, "more": []}, "model": {"leaf": {"value": 2}}}')
    assert values == {"tree": Tree(Leaf(1), []), "model": Model(leaf=Leaf(2))}


def make_later_tool():
    class Now:
        pass

    @tool
    def later(x: Later) -> str: ...

    return later


def test_names_defined_further_down_in_the_module():
    assert make_later_tool().check('{"x": {"b": 1}}') == {"x": Later(1)}


@dataclass
class Later:
    b: int


def test_names_defined_further_down_in_the_function():
    @tool
    def later(x: Afterwards) -> str: ...

    @dataclass
    class Afterwards:
        b: int

    assert later.check('{"x": {"b": 1}}') == {"x": Afterwards(1)}


def test_a_name_that_never_appears_is_refused_by_name():
    def f(x: Nowhere) -> str: ...  # noqa: F821

    with pytest.raises(
        ToolDefinitionError, match=r"tool 'f': the annotation 'Nowhere' of parameter 'x' can't be evaluated"
    ):
        collect_tools([tool(f)])


def test_forward_references_inside_types():
    def f(x: list[Later], y: Later | None = None): ...

    f.__annotations__ = {"x": list["Later"], "y": "Optional[Later]"}
    assert tool(f).check('{"x": [{"b": "1"}]}') == {"x": [Later(1)]}


def test_functions_of_notebook_cells_and_their_redefinition():
    """Cells are compiled one by one into one namespace; the later definition is a tool of its own."""
    notebook = {"__name__": "__main__", "tool": tool, "__builtins__": __builtins__}
    cell = "class City(str):\n    pass\nfrom dataclasses import dataclass\n@dataclass\nclass Trip:\n    to: str\n@tool\ndef book(trip: 'Trip') -> str:\n    return 'one'\n"
    exec(compile(cell, "<cell 1>", "exec"), notebook)
    first = notebook["book"]
    assert first.schema["properties"]["trip"]["required"] == ["to"]
    exec(compile(cell.replace("    to: str", "    to: str\n    days: int"), "<cell 2>", "exec"), notebook)
    second = notebook["book"]
    assert second.schema["properties"]["trip"]["required"] == ["to", "days"]
    assert first.schema["properties"]["trip"]["required"] == ["to"]


class Recursive(typing.TypedDict):
    below: list[Recursive]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="pydantic reads typing.TypedDict from 3.12 on")
def test_a_recursive_typing_typeddict_is_refused_with_the_way_out():
    def f(x: Recursive): ...

    with pytest.raises(ToolDefinitionError, match="Import TypedDict from typing_extensions instead"):
        collect_tools([tool(f)])


# --- refused -------------------------------------------------------------------------------------------------


class Connection:
    pass


class Pair(enum.Enum):
    LOW = (1, 2)
    HIGH = (3, 4)


class Day(enum.Enum):
    NEW_YEAR = datetime.date(2025, 1, 1)


REFUSED = [
    ("enum of tuples", Pair, r"tool 'f': 'x' has no JSON schema: Pair\.LOW has the value \(1, 2\), and enums are"),
    ("enum of tuples in a list", list[Pair], r"'x' has no JSON schema: Pair\.LOW has the value"),
    ("literal of such an enum", Literal[Pair.HIGH], r"'x' has no JSON schema: Pair\.HIGH has the value \(3, 4\)"),
    ("enum of dates", Day, r"'x' has no JSON schema: Day\.NEW_YEAR has the value datetime\.date"),
    ("subclass", type[int], r"'x' has no JSON schema: a class, such as a subclass of <class 'int'>, is no JSON value"),
    ("subclass in a dict", dict[str, type[int]], r"'x' has no JSON schema: a class, such as a subclass of"),
    (
        "class",
        Connection,
        r"tool 'f': 'x' has no JSON schema: Unable to generate pydantic-core schema for <class '.*Connection'>\. Types are .* Take one of these",
    ),
    ("callable", typing.Callable[[int], str], r"tool 'f': 'x' has no JSON schema: Cannot generate a JsonSchema"),
    ("file", typing.IO[str], r"tool 'f': 'x' has no JSON schema"),
    ("list of a class", list[Connection], r"tool 'f': 'x' has no JSON schema"),
]


@pytest.mark.parametrize(("annotation", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_types_without_a_schema_are_refused(annotation, message):
    def f(y: int, x, z: datetime.timedelta): ...

    f.__annotations__ = {"y": int, "x": annotation, "z": datetime.timedelta}
    with pytest.raises(ToolDefinitionError, match=message):
        collect_tools([tool(f)])


# --- the schemas written without pydantic --------------------------------------------------------------------

PLAIN = [
    str,
    int,
    float,
    bool,
    None,
    Any,
    object,
    list,
    dict,
    list[int],
    list[list[str]],
    dict[str, int],
    dict[str, Any],
]
PLAIN += [
    Optional[int],
    int | str,
    Union[int, list[str], None],
    Literal["a"],
    Literal["a", "b"],
    Literal[1, 2],
    Literal[True],
]
PLAIN += [Literal[1, "a"], datetime.datetime, datetime.date, datetime.time, list[Literal["a"] | None]]
PLAIN += [
    Annotated[int, Field(ge=1, lt=9, description="d")],
    Annotated[float, Field(gt=0.5, le=2, multiple_of=0.5)],
    Annotated[str, Field(min_length=1, max_length=5)],
    Annotated[list[str], Field(min_length=1, max_length=5)],
    Annotated[int, Ge(3)],
    list[Annotated[str, MaxLen(3)]],
    Annotated[str, "words"],
    dict[str, Annotated[int, Field(description="d")]],
]


@pytest.mark.parametrize("annotation", PLAIN, ids=str)
def test_plain_schemas_are_those_of_pydantic(annotation):
    ours = plain_schema(type(None) if annotation is None else annotation, lambda kind: None)
    assert ours == tidy(TypeAdapter(annotation).json_schema())


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[int, Field(json_schema_extra={"x-a": 1})],
        Annotated[str, Field(pattern="a")],
        Literal[Shade.DARK],
        tuple[int],
        set[int],
    ],
    ids=str,
)
def test_the_rest_is_left_to_pydantic(annotation):
    assert plain_schema(annotation, lambda kind: None) is None


class Loose(enum.Enum):
    PAIR = (1, 2)

    @classmethod
    def _missing_(cls, value):
        return cls.PAIR if value == [1, 2] else None


def test_an_enum_that_finds_its_members_itself_may_hold_tuples():
    def f(x: Loose): ...

    assert tool(f).check('{"x": [1, 2]}') == {"x": Loose.PAIR}


def test_a_literal_string_is_a_str():
    def f(x: typing.LiteralString, y: list[typing.LiteralString] | None = None): ...

    assert schema_of(f)["properties"]["x"] == {"type": "string"}
    assert tool(f).check('{"x": "a", "y": ["b"]}') == {"x": "a", "y": ["b"]}


def test_importing_the_tools_does_not_import_pydantic():
    script = "import sys, agentkit.tools; print('pydantic' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_a_plain_tool_needs_no_pydantic_for_its_definition():
    script = "import sys; from agentkit.tools import tool\ndef f(a: str, b: int = 3): ...\ntool(f).definition; print('pydantic' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
