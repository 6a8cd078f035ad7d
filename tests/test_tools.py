"""Tools: what can be one, how it binds and is called, sets of tools, and what is refused."""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import pytest

from agentkit.errors import ToolDefinitionError, TooManyTools, UsageError
from agentkit.tools import Tool, ToolContext, Toolset, collect_tools, tool

if TYPE_CHECKING:
    from agentkit.tools import ToolContext as TypingOnlyContext


def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


async def fetch(url: str) -> str:
    """Fetch a page."""
    return url


def call(target, arguments, context=None):
    args, kwargs = target.bind(target.check(arguments), context)
    return target.function(*args, **kwargs)


def properties(target):
    return list(target.schema["properties"])


# --- decorating ----------------------------------------------------------------------------------------------


def test_a_tool_is_still_the_function():
    made = tool(add)
    assert made(1) == 3
    assert (made.__name__, made.__doc__, made.__module__) == ("add", "Add two numbers.", __name__)
    assert made.__wrapped__ is add
    assert str(inspect.signature(made)) == "(a: 'int', b: 'int' = 2) -> 'int'"
    assert repr(made) == "Tool('add')"


def test_options_are_kept():
    @tool(name="plus", description="  Adds.\n  Well.", timeout_s=5, parallel=False, effect="pure", final=True)
    def add_up(a: int) -> int:
        """Unused."""
        return a

    found = (add_up.name, add_up.description, add_up.timeout_s, add_up.parallel, add_up.effect, add_up.final)
    assert found == ("plus", "Adds.\nWell.", 5, False, "pure", True)


def test_options_default_to_the_careful_side():
    made = tool(add)
    assert (made.timeout_s, made.parallel, made.effect, made.final) == (None, True, "unsafe", False)


def test_a_function_without_docstring_has_no_description():
    def bare(a: int) -> int: ...

    assert "description" not in tool(bare).definition


def test_the_definition_is_built_once():
    made = tool(add)
    assert made.definition is made.definition


class Caller:
    """Calls."""

    def __call__(self, a: int) -> int:
        """Call with a number."""
        return a

    def method(self, a: int) -> int:
        return a

    async def wait(self, a: int) -> int:
        return a


class AsyncCaller:
    async def __call__(self, a: int) -> int:
        return a


async def later(prefix: str, a: int) -> str:
    return f"{prefix}{a}"


KINDS = [
    ("function", tool(add), False),
    ("async function", tool(fetch), True),
    ("bound method", tool(Caller().method), False),
    ("async bound method", tool(Caller().wait), True),
    ("lambda with a name", tool(lambda: 1, name="one"), False),
    ("callable object with a name", tool(Caller(), name="caller"), False),
    ("async callable object", tool(AsyncCaller(), name="caller"), True),
    ("partial", tool(functools.partial(add, 1)), False),
    ("partial of an async function", tool(functools.partial(later, "p")), True),
    ("partial of an async callable object", tool(functools.partial(AsyncCaller()), name="caller"), True),
]


@pytest.mark.parametrize(("made", "is_async"), [row[1:] for row in KINDS], ids=[row[0] for row in KINDS])
def test_kinds_of_callables(made, is_async):
    assert made.definition["type"] == "function"
    assert made.is_async is is_async


def test_a_callable_object_is_described_by_its_call():
    assert tool(Caller(), name="caller").description == "Call with a number."


def test_what_a_partial_bound_is_not_the_models_to_set():
    def query(connection: Caller, sql: str, limit: int = 10, *, timeout: float = 1.0) -> tuple:
        """Query."""
        return connection, sql, limit, timeout

    one = Caller()
    made = tool(functools.partial(query, one, limit=5))
    assert (made.name, made.description, properties(made)) == ("query", "Query.", ["sql", "timeout"])
    assert call(made, '{"sql": "select 1", "timeout": 2}') == (one, "select 1", 5, 2.0)
    named = tool(functools.partial(functools.partial(query, limit=3), connection=one))
    assert call(named, '{"sql": "s"}') == (one, "s", 3, 1.0)


def test_decorated_functions_are_looked_through():
    def logged(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs)

        return wrapper

    assert properties(tool(logged(add))) == ["a", "b"]
    assert call(tool(logged(add)), '{"a": 1}') == 3


# --- binding -------------------------------------------------------------------------------------------------


def test_positional_only_and_keyword_only_parameters():
    def mix(a: int, b: int = 2, /, c: int = 3, *, d: int, e: int = 5) -> tuple:
        return a, b, c, d, e

    made = tool(mix)
    assert made.bind(made.check('{"a": 1, "d": 4}')) == ((1, 2), {"d": 4})
    assert call(made, '{"d": 4, "a": 1, "c": 30, "e": null}') == (1, 2, 30, 4, 5)


def test_a_default_from_a_pydantic_field_is_filled_in():
    from pydantic import Field

    def f(x: int = Field(5, ge=1), y: Annotated[list[int], Field(default_factory=list)] = None) -> object:  # noqa: RUF013
        return x

    made = tool(f)
    assert made.check("{}")["x"] == 5


@dataclass
class Deps:
    name: str


@tool
def greet(ctx: ToolContext[Deps], word: str) -> str:
    """Greet."""
    return f"{word} {ctx.deps.name}"


@tool
def greet_bare(word: str, *, context: ToolContext) -> str:
    return f"{word} {context.call_id}"


@tool
def greet_first(context: ToolContext[Deps], /, word: str) -> str:
    return f"{word} {context.tool_name}"


@tool
def greet_typing(word: str, ctx: TypingOnlyContext[Deps]) -> str:
    return f"{word} {ctx.idempotency_key}"


@tool
def greet_maybe(word: str, ctx: ToolContext[Deps] | None = None) -> str:
    return f"{word} {ctx.deps.name}"


CONTEXTS = [(greet, "Hi Ann"), (greet_bare, "Hi call_1"), (greet_first, "Hi greet"), (greet_maybe, "Hi Ann")]


@pytest.mark.parametrize(("target", "expected"), CONTEXTS, ids=[item.name for item, _ in CONTEXTS])
def test_a_context_parameter_is_filled_and_hidden_from_the_model(target, expected):
    context = ToolContext(deps=Deps("Ann"), call_id="call_1", tool_name="greet", idempotency_key="k")
    assert properties(target) == ["word"]
    assert call(target, '{"word": "Hi"}', context) == expected


def test_a_context_imported_only_for_type_checkers_is_recognised_by_its_name():
    text = "ToolContext[Deps]"

    def f(word: str, ctx): ...

    f.__annotations__["ctx"] = text
    assert properties(tool(f)) == ["word"]

    def g(word: str, ctx): ...

    g.__annotations__["ctx"] = "typing_only.ToolContext[Nowhere]"
    assert properties(tool(g)) == ["word"]


def test_two_contexts_are_refused():
    def f(a: ToolContext, b: ToolContext) -> str: ...

    with pytest.raises(
        ToolDefinitionError, match=r"'a' and 'b' are both a ToolContext. A call has one\. Remove the other"
    ):
        collect_tools([f])


def test_a_context_hands_progress_on():
    seen = []
    context = ToolContext(deps=None, tool_name="t", call_id="c", emit=seen.append)
    context.emit({"done": 0.5})
    ToolContext(deps=None).emit("nobody listens")
    assert seen == [{"done": 0.5}]
    assert repr(context) == "ToolContext(tool_name='t', call_id='c')"


# --- methods -------------------------------------------------------------------------------------------------


class Shop:
    def __init__(self, name: str) -> None:
        self.name = name

    @tool
    def sell(self, item: str, count: int = 1) -> str:
        """Sell something."""
        return f"{self.name} sells {count} {item}"

    @tool
    @classmethod
    def kind(cls, a: int) -> str:
        return f"{cls.__name__} {a}"

    @classmethod
    @tool
    def kind_inner(cls, a: int) -> str:
        return f"{cls.__name__} {a}"

    @tool
    @staticmethod
    def fixed(a: int) -> int:
        return a

    @staticmethod
    @tool
    def fixed_inner(a: int) -> int:
        return a


def test_a_method_is_bound_like_a_method():
    one, two = Shop("One"), Shop("Two")
    assert one.sell("tea") == "One sells 1 tea"
    assert properties(one.sell) == ["item", "count"]
    assert [call(shop.sell, '{"item": "tea"}') for shop in (one, two)] == ["One sells 1 tea", "Two sells 1 tea"]
    assert one.sell.schema is two.sell.schema
    assert (one.sell.name, one.sell.description) == ("sell", "Sell something.")


def test_class_and_static_methods_in_both_orders():
    made = [Shop.kind, Shop("x").kind, *collect_tools([Shop.kind_inner]), Shop.fixed, Shop("x").fixed_inner]
    found = [call(item, '{"a": 1}') for item in made]
    assert found == ["Shop 1", "Shop 1", "Shop 1", 1, 1]


def test_a_plain_method_becomes_a_tool():
    assert [item.name for item in collect_tools([Caller().method])] == ["method"]


@pytest.mark.parametrize("unbound", [Shop.sell, Caller.method])
def test_a_method_without_its_object_is_refused(unbound):
    with pytest.raises(
        ToolDefinitionError, match=r"is a method without its object: .* Pass the bound method, e.g. tools=\[obj\."
    ):
        collect_tools([unbound])


# --- refused -------------------------------------------------------------------------------------------------


def with_args(a: int, *rest: str): ...


def with_kwargs(a: int, **rest: str): ...


def unannotated(a: int, b): ...


async def generator(a: int):
    yield a


def größe(a: int): ...


def positional(a: int, /, *args: int): ...


REFUSED = [
    ("args", with_args, r"tool 'with_args': parameter 'rest' is \*rest\. .* Name each one, or take one list"),
    ("kwargs", with_kwargs, r"tool 'with_kwargs': parameter 'rest' is \*\*rest\. .* dict: rest: dict\[str, str\]"),
    (
        "no annotation",
        unannotated,
        r"tool 'unannotated': parameter 'b' has no annotation\. .* Annotate it, e.g. b: str",
    ),
    ("lambda", lambda: 1, r"a lambda has no name that a model could call\. .* tool\(function, name=\"look_up\"\)"),
    ("callable object", Caller(), r"a Caller object has no name .* Give one"),
    ("partial of an object", functools.partial(Caller(), 1), "a Caller object has no name"),
    ("async generator", generator, r"tool 'generator' is an async generator\. .* Return a list"),
    ("letters", größe, r"'größe' is no name for a tool \(.*größe, line \d+\)\. .* Give another"),
    ("no callable", 5, r"5 is not callable\. .* Pass the function itself"),
    ("result of a call", add(1), r"3 is not callable"),
    ("class", Deps, r"a type object has no name"),
    ("no signature", functools.partial(print), r"\*args|can't be read"),
]


@pytest.mark.parametrize(("target", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused_as_a_tool(target, message):
    with pytest.raises(ToolDefinitionError, match=message):
        collect_tools([target])


@pytest.mark.parametrize("name", ["", "a b", "a.b", "x" * 65, "naïve", "a\n", 5])
def test_bad_names_are_refused(name):
    with pytest.raises(ToolDefinitionError, match="is no name for a tool"):
        tool(add, name=name)


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf"), "5", True])
def test_bad_timeouts_are_refused(timeout_s):
    with pytest.raises(ToolDefinitionError, match=r"timeout_s is .*\. It is a number of seconds above 0"):
        tool(add, timeout_s=timeout_s)


def test_a_bad_effect_is_refused():
    with pytest.raises(ToolDefinitionError, match=r"effect is 'safe'\. It is one of 'unsafe', 'idempotent', 'pure'"):
        tool(add, effect="safe")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"parallel": "no"}, r"tool 'add': parallel is 'no'\. It is True or False"),
        ({"parallel": 1}, r"parallel is 1\. It is True or False"),
        ({"strict": "yes"}, r"strict is 'yes'\. It is True, False, or None"),
        ({"final": "x"}, r"final is 'x'\. It is True or False"),
        ({"description": 3}, r"description is 3\. It is a str, or None"),
    ],
    ids=str,
)
def test_options_of_a_wrong_type_are_refused(option, message):
    with pytest.raises(ToolDefinitionError, match=message):
        tool(add, **option)
    with pytest.raises(ToolDefinitionError, match=message):
        Tool.from_schema("add", option.pop("description", None), None, add, **option)


def test_decorating_twice_is_refused():
    with pytest.raises(ToolDefinitionError, match="'add' is a tool already"):
        tool(tool(add))


# --- schemas given as they are -------------------------------------------------------------------------------

SCHEMA = {"type": "object", "properties": {"q": {"type": "string", "x-order": 1}}, "required": ["q"]}


def test_a_given_schema_is_kept_as_it_is():
    made = Tool.from_schema("find", "Find.", SCHEMA, lambda q: q)
    assert made.definition == {
        "type": "function",
        "name": "find",
        "description": "Find.",
        "parameters": SCHEMA,
        "strict": False,
    }
    assert call(made, '{"q": "a"}') == "a"


def test_a_given_schema_is_copied():
    given = {"type": "object", "properties": {}}
    made = Tool.from_schema("find", None, given, print)
    given["properties"]["late"] = {}
    assert made.schema == {"type": "object", "properties": {}}


def test_a_given_schema_is_strict_where_it_fits_or_where_told():
    fits = {
        "type": "object",
        "properties": {"q": {"type": "string", "title": "Q"}},
        "required": ["q"],
        "additionalProperties": False,
    }
    assert Tool.from_schema("find", None, fits, print).strict is True
    assert Tool.from_schema("find", None, fits, print, strict=False).strict is False
    assert Tool.from_schema("find", None, SCHEMA, print, strict=True).strict is True
    assert Tool.from_schema("find", None, SCHEMA, print).strict_reason == "the schema is an object open to any property"


def test_a_given_schema_takes_the_same_options():
    async def find(ctx: ToolContext[Deps], **values: object) -> object:
        """Not the tool's description."""

    made = Tool.from_schema("find", None, SCHEMA, find, timeout_s=3, parallel=False, effect="pure", final=True)
    assert (made.timeout_s, made.parallel, made.effect, made.final, made.is_async) == (3, False, "pure", True, True)
    assert made.description is None
    assert made.bind({"q": "a"}, "context") == ((), {"q": "a", "ctx": "context"})


def test_no_schema_means_no_parameters():
    made = Tool.from_schema("ping", None, None, lambda: "pong")
    assert made.definition["parameters"] == {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    }
    assert made.check("") == {}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"type": "array"}, r"are of type 'array'\. .* Wrap it"),
        ({"type": object()}, "are no JSON schema"),
        ({"x": float("nan")}, "are no JSON schema"),
        (3, "are no JSON schema: 3 is a int"),
        ([("type", "object")], r"are no JSON schema: .* is a list"),
        ({"type": "object", "properties": 3}, r"has properties: 3\. It is a dict of names and their schemas"),
        ({"properties": {"a": 3}}, r"has properties: \{'a': 3\}"),
        ({"properties": {"a": {"type": "object", "properties": None}}}, "has properties: None"),
        ({"properties": {}, "$defs": []}, r"has \$defs: \[\]"),
        ({"properties": {}, "required": "a"}, r"has required: 'a'\. It is a list of names of properties"),
        ({"properties": {"a": {"type": ["object", "null"], "required": [1]}}}, r"has required: \[1\]"),
    ],
    ids=str,
)
def test_bad_schemas_are_refused(parameters, message):
    with pytest.raises(ToolDefinitionError, match=message):
        Tool.from_schema("find", None, parameters, print)


def test_the_required_of_draft_3_is_left_alone():
    made = Tool.from_schema("find", None, {"properties": {"a": {"type": "string", "required": True}}}, print)
    assert made.check('{"a": "b"}') == {"a": "b"}


# --- defaults ------------------------------------------------------------------------------------------------


def test_defaults_that_are_containers_are_fresh_for_each_call():
    def collect(
        first: list[int] = [],  # noqa: B006
        /,
        more: dict[str, list[int]] = {"a": []},  # noqa: B006
        seen: set[int] = set(),  # noqa: B006
    ) -> tuple[object, ...]:
        first.append(1)
        more["a"].append(1)
        seen.add(len(seen))
        return first, more, seen

    made = tool(collect)
    for _ in range(2):
        assert call(made, "{}") == ([1], {"a": [1]}, {0})
    assert call(made, '{"first": [5], "seen": [7]}') == ([5, 1], {"a": [1]}, {7, 1})


# --- sets of tools -------------------------------------------------------------------------------------------


def make(name):
    return tool(lambda: name, name=name)


def names(tools):
    return [item.name for item in tools]


def test_selecting_from_a_toolset():
    both = Toolset([make("read"), make("write"), make("list")])
    assert names(both.only("list", "read")) == ["read", "list"]
    assert names(both.without("write")) == ["read", "list"]
    assert len(both) == 3
    assert repr(both) == "Toolset([read, write, list])"


def test_prefixed_tools_run_the_same_functions():
    (made,) = Toolset([add]).prefixed("math_")
    assert made.definition["name"] == "math_add"
    assert call(made, '{"a": 1}') == 3


def test_toolsets_nest_and_take_functions_and_methods():
    assert names(collect_tools([Toolset([Toolset([add]), Caller().method]), fetch, Shop("x").sell])) == [
        "add",
        "method",
        "fetch",
        "sell",
    ]


@pytest.mark.parametrize("select", ["only", "without"])
def test_an_unknown_name_is_refused_with_near_ones(select):
    with pytest.raises(UsageError, match=r"no tool 'raed' in this toolset of 2\. Close or first names: 'read'"):
        getattr(Toolset([make("read"), make("write")]), select)("raed")


def test_a_prefix_that_makes_bad_names_is_refused():
    with pytest.raises(ToolDefinitionError, match=r"'git\.add' is no name"):
        Toolset([add]).prefixed("git.")


def test_129_tools_are_refused_with_their_number():
    with pytest.raises(
        TooManyTools,
        match=r"^129 tools given, the API accepts at most 128\. Select a subset with Toolset\.only\(\.\.\.\)\.$",
    ):
        collect_tools([make(f"t{index}") for index in range(129)])
    assert len(collect_tools([make(f"t{index}") for index in range(128)])) == 128


def test_duplicate_names_are_refused_with_both_functions():
    with pytest.raises(
        ToolDefinitionError,
        match=r"two tools are called 'add': .*test_tools\.add, line \d+ and .*test_tools\.fetch, line \d+",
    ):
        collect_tools([add, tool(fetch, name="add")])


def test_the_same_tool_twice_is_refused():
    made = tool(add)
    with pytest.raises(ToolDefinitionError, match="tool 'add' is given twice"):
        collect_tools([made, made])


@pytest.mark.parametrize("tools", [add, "add", {"add": add}, 5])
def test_tools_must_be_a_list(tools):
    with pytest.raises(
        ToolDefinitionError, match=r"It is a list of functions, tools and toolsets\. Write tools=\[\.\.\.\]"
    ):
        collect_tools(tools)


def test_collecting_builds_every_schema():
    def broken(a: Nowhere): ...  # noqa: F821

    with pytest.raises(ToolDefinitionError, match="Nowhere"):
        collect_tools([add, broken])
