"""Functions as tools: what the model is told about them, and how its arguments reach them.

Running tools (threads, time limits, order) is the loop's business. A `Tool` is an immutable value around a
function, which stays callable as it was.
"""

from __future__ import annotations

import copy
import difflib
import functools
import inspect
import math
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Concatenate,
    Final,
    Generic,
    Literal,
    ParamSpec,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    overload,
)

from agentkit import json
from agentkit.arguments import ArgumentChecker
from agentkit.docstring import Docstring, parse_docstring
from agentkit.errors import ToolDefinitionError, TooManyTools, UsageError
from agentkit.schema import ParameterSchema, build_adapter, build_schema
from agentkit.signature import (
    Parameter,
    enclosing_names,
    has_text_annotations,
    names_tool_context,
    read_parameters,
    read_signature,
    resolve_annotation,
    to_field,
    underlying_function,
)
from agentkit.strict import every_node, strict_reason

if TYPE_CHECKING:
    from datetime import datetime
    from random import Random
    from uuid import UUID

    from agentkit.json import JSONObject
    from agentkit.signature import Field
    from agentkit.tape import Sources

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
Q = ParamSpec("Q")
S = TypeVar("S")
Deps = TypeVar("Deps")

Effect: TypeAlias = Literal["unsafe", "idempotent", "pure"]
"""What running a call twice does: harm, nothing more than once, or nothing at all."""

MAX_TOOLS: Final = 128
"""Tools that one request can carry."""

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)
_EFFECTS = ("unsafe", "idempotent", "pure")


class ToolContext(Generic[Deps]):
    """What a tool may know of the call that runs it; the loop fills a parameter of this type.

    @tool
    def cancel(order_id: str, ctx: ToolContext[Shop]) -> str:
        return ctx.deps.cancel(order_id, key=ctx.idempotency_key)
    """

    __slots__ = ("_emit", "_given_sources", "_place", "_random", "call_id", "deps", "idempotency_key", "tool_name")

    def __init__(
        self,
        *,
        deps: Deps,
        call_id: str = "",
        idempotency_key: str = "",
        tool_name: str = "",
        emit: Callable[[object], None] | None = None,
        sources: Sources | None = None,
        place: str = "",
    ) -> None:
        """`sources` give the moment and chance; `place` says which call of a run this is, the same in every replay."""
        self.deps = deps
        """What the run was given as `deps`."""
        self.call_id = call_id
        """The id of the function call being run."""
        self.idempotency_key = idempotency_key
        """The same text whenever this very call is run again; for services that run a key only once."""
        self.tool_name = tool_name
        """The name under which the model called the tool."""
        self._emit = emit
        self._given_sources = sources
        self._place = place
        self._random: Random | None = None

    def now(self) -> datetime:
        """Return the moment, with its time zone. Under a cassette it is the one that was recorded, and stands still."""
        return self._sources().now()

    @property
    def random(self) -> Random:
        """This call's own source of chance. Under a cassette it draws what it drew when it was recorded."""
        if self._random is None:
            self._random = self._sources().random(self._place)
        return self._random

    def uuid(self) -> UUID:
        """Return a random UUID, drawn from `random`."""
        from uuid import UUID

        return UUID(int=self.random.getrandbits(128), version=4)

    def _sources(self) -> Sources:
        from agentkit.tape import LIVE

        return self._given_sources or LIVE

    def emit(self, data: object) -> None:
        """Report progress: whoever streams the run gets a `ToolProgress` event. The model never sees it."""
        if self._emit is not None:
            self._emit(data)

    def __repr__(self) -> str:
        return f"ToolContext(tool_name={self.tool_name!r}, call_id={self.call_id!r})"


@dataclass(frozen=True, slots=True)
class _Options:
    """The arguments of `@tool`, as given."""

    name: str | None = None
    description: str | None = None
    strict: bool | None = None
    timeout_s: float | None = None
    parallel: bool = True
    effect: Effect = "unsafe"
    final: bool = False


@dataclass(frozen=True, slots=True)
class _Plan:
    """Everything derived from a function's signature; built once, when a definition or a check is asked for."""

    schema: ParameterSchema
    checker: ArgumentChecker
    positional: tuple[Parameter, ...]
    """The positional-only parameters, the context among them; the others are passed by name."""
    context: str | None
    """The name of the `ToolContext` parameter."""
    containers: Mapping[str, object]
    """The defaults that are lists, dicts or sets: each call gets its own."""


@dataclass(slots=True)
class _Plans:
    """Holds a plan once it is built; shared by the copies of a tool that have the same signature."""

    built: _Plan | None = None


class Tool(Generic[P, R_co]):
    """A function that is offered to the model, made by `@tool` or `Tool.from_schema`; calling it calls the function.

    Immutable, and safe to share between agents, runs and threads. Its schema is built when first asked for, so
    that annotations may name classes defined further down.
    """

    name: str
    """The name that the model calls; 1 to 64 letters, digits, `_` and `-`."""
    description: str | None
    """What the model reads about it; None where there is nothing to read."""
    function: Callable[P, R_co]
    """The function, bound to its object where it is a method."""
    timeout_s: float | None
    """Seconds after which the model is told that the call timed out; None for no limit."""
    parallel: bool
    """Whether it may run at the same time as other calls."""
    effect: Effect
    """What running a call twice does."""
    final: bool
    """Whether its output ends the run."""

    def __init__(self, function: Callable[P, R_co], options: _Options, given: JSONObject | None = None) -> None:
        inner, self._binds = _unwrap_descriptor(function)
        self.name = _tool_name(inner, options)
        self.function = inner
        self._docstring = _docstring(inner)
        _check_options(self.name, options)
        self.description = _text(options.description) or self._docstring.description or None
        self.timeout_s = _checked_timeout(self.name, options.timeout_s)
        self.parallel = options.parallel
        self.effect = _checked_effect(self.name, options.effect)
        self.final = options.final
        self._options = options
        self._given = given
        self._names: Mapping[str, object] | None = None
        self._plans = _Plans()
        self._plans_when_bound = _Plans()
        self._definition: JSONObject | None = None
        self._signature: inspect.Signature | None = None
        functools.update_wrapper(self, inner, updated=())
        if given is None:
            self._look_ahead()

    @classmethod
    def from_schema(
        cls,
        name: str,
        description: str | None,
        parameters: Mapping[str, object] | None,
        function: Callable[..., R],
        *,
        strict: bool | None = None,
        timeout_s: float | None = None,
        parallel: bool = True,
        effect: Effect = "unsafe",
        final: bool = False,
    ) -> Tool[..., R]:
        """Return a tool with a JSON schema given as it is, for functions that describe themselves elsewhere.

        `function` is called with the arguments as keywords, holding plain JSON values; a parameter annotated
        `ToolContext` is filled. Arguments are checked by the schema's types, required and surplus properties,
        enums, ranges and lengths; patterns, formats and conditions are left to the function. Sent strict where
        the schema lies in the strict subset, or as `strict` says.
        """
        options = _Options(name, description, strict, timeout_s, parallel, effect, final)
        made = Tool(function, options, _given_schema(name, parameters))
        # the docstring of the function may be another one's, such as a generic proxy's
        return made._changed(description=_text(description) or None)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        return self.function(*args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type, /) -> Tool[P, R_co]: ...
    @overload
    def __get__(self: Tool[Concatenate[S, Q], R_co], instance: S, owner: type | None = None, /) -> Tool[Q, R_co]: ...
    def __get__(self, instance: object, owner: type | None = None, /) -> object:
        """Bind like a function does: `obj.method` is a tool without the `self` parameter."""
        receiver = owner if self._binds == "class" else instance
        if receiver is None or self._binds == "nothing":
            return self
        return self._bind_to(receiver)

    def __repr__(self) -> str:
        return f"Tool({self.name!r})"

    @property
    def schema(self) -> JSONObject:
        """The JSON schema of the parameters, as sent. Shared: don't change it."""
        return self._planned().schema.schema

    @property
    def strict(self) -> bool:
        """Whether `schema` is sent with ``strict: true``."""
        return self._planned().schema.strict

    @property
    def strict_reason(self) -> str | None:
        """Why it isn't strict, such as "'filters' is a map with free keys ..."; None where it is."""
        return self._planned().schema.reason

    @property
    def is_async(self) -> bool:
        """Whether calling the function gives an awaitable."""
        function: object = self.function
        while isinstance(function, functools.partial):
            function = function.func
        return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(type(function), "__call__", None)  # noqa: B004  # asks whether it is async, not whether it is there
        )

    @property
    def definition(self) -> JSONObject:
        """The tool as a request lists it: ``{"type": "function", "name": ..., "parameters": ..., "strict": ...}``.

        Shared: don't change it. Raises `ToolDefinitionError` where the function can't be offered.
        """
        if self._definition is None:
            described: JSONObject = {"description": self.description} if self.description else {}
            # strict is always said: OpenAI's server takes an absent one for true, others for false.
            self._definition = {
                "type": "function",
                "name": self.name,
                **described,
                "parameters": self.schema,
                "strict": self.strict,
            }
        return self._definition

    def check(self, arguments: str) -> dict[str, object]:
        """Return the function's keyword values for the text of a call's `arguments`.

        The values are fresh objects; parameters left out, or null where there is a default, are absent. Raises
        `ArgumentsError`, whose message is written for the model.
        """
        return self._planned().checker.check(arguments)

    def bind(
        self, values: Mapping[str, object], context: ToolContext[Any] | None = None
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        """Return `(args, kwargs)` to call the function with: checked values and, where it takes one, the context.

        Defaults that are lists, dicts or sets are among them, as copies: a call leaves nothing for the next.
        """
        plan = self._planned()
        kwargs = {name: _fresh(default) for name, default in plan.containers.items() if name not in values}
        kwargs.update(values)
        if plan.context is not None:
            kwargs[plan.context] = context
        if not plan.positional:
            return (), kwargs
        args = tuple(kwargs.pop(item.name, item.default) for item in plan.positional)
        return args, kwargs

    def renamed(self, name: str) -> Tool[P, R_co]:
        """Return the same tool under another name."""
        return self._changed(name=_checked_name(name, self.function))

    def _changed(self, **changes: object) -> Tool[P, R_co]:
        made = copy.copy(self)
        made.__dict__.update(changes, _definition=None)
        return made

    def _bind_to(self, receiver: object) -> Tool[P, R_co]:
        # One schema serves all objects of a class, and it is built once.
        method = types.MethodType(self.function, receiver)
        return self._changed(function=method, _binds="nothing", _signature=None, _plans=self._plans_when_bound)

    def _planned(self) -> _Plan:
        if self._plans.built is None:
            self._plans.built = self._build_plan()
        return self._plans.built

    def _build_plan(self) -> _Plan:
        if self._given is not None:
            return _plan_from_schema(self._given, self.function, self._options.strict)
        names = self._names
        if names is not None:  # with what the enclosing function, if it still runs, has defined since
            names = {**enclosing_names(self.function), **names}
        return _plan_from_function(
            self.function, self.name, self._docstring, self._options.strict, names or {}, self._signature
        )

    def _look_ahead(self) -> None:
        """Refuse early what needs no types, and keep the local names that the annotations may mention."""
        self._signature = signature = read_signature(self.function, self.name)
        parameters = read_parameters(signature, self.function, self.name, unbound=self._binds != "nothing")
        if has_text_annotations(parameters):
            self._names = enclosing_names(self.function)


# --- making tools ------------------------------------------------------------------------------------------


@overload
def tool(
    function: Callable[P, R],
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool | None = None,
    timeout_s: float | None = None,
    parallel: bool = True,
    effect: Effect = "unsafe",
    final: bool = False,
) -> Tool[P, R]: ...
@overload
def tool(
    function: classmethod[S, P, R],
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool | None = None,
    timeout_s: float | None = None,
    parallel: bool = True,
    effect: Effect = "unsafe",
    final: bool = False,
) -> Tool[P, R]: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool | None = None,
    timeout_s: float | None = None,
    parallel: bool = True,
    effect: Effect = "unsafe",
    final: bool = False,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...
def tool(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool | None = None,
    timeout_s: float | None = None,
    parallel: bool = True,
    effect: Effect = "unsafe",
    final: bool = False,
) -> Any:
    """Offer a function to the model; as `@tool`, `@tool(...)` or `tool(function, ...)`.

    The schema comes from the annotations, the texts from the docstring (Google, NumPy or Sphinx style) or from
    `Annotated[str, "text"]`. The result is called, and typed, like the function.

    Args:
        function: A function, sync or async, a method, a `functools.partial`, or any callable with `name`.
        name: What the model calls it; the function's name unless given.
        description: What the model reads about it; the docstring's text unless given.
        strict: True insists on a strict schema, False never sends one; None sends one where the types allow it.
        timeout_s: Seconds after which the model is told that the call timed out.
        parallel: False runs it alone, never beside other calls of the same response.
        effect: What running a call twice would do: "unsafe" is never repeated by itself, "idempotent" may be
            with the same `ToolContext.idempotency_key`, "pure" may be at will.
        final: True ends the run with this tool's output.

    Raises:
        ToolDefinitionError: The function can't be offered: no name, no annotation, `*args` or `**kwargs`.
    """
    options = _Options(name, description, strict, timeout_s, parallel, effect, final)
    if function is None:
        return lambda decorated: _make_tool(decorated, options)
    return _make_tool(function, options)


def _make_tool(function: Any, options: _Options) -> Tool[..., object]:
    if isinstance(function, Tool):
        raise ToolDefinitionError(
            f"{function.name!r} is a tool already. A function is decorated once. "
            f"For another name use Toolset([{function.name}]).prefixed(...), or decorate the function itself."
        )
    return Tool(function, options)


def _unwrap_descriptor(function: Any) -> tuple[Any, str]:
    """Return the function in a descriptor, and what attribute access binds it to."""
    if isinstance(function, staticmethod):
        return function.__func__, "nothing"
    if isinstance(function, classmethod):
        return function.__func__, "class"
    if not callable(function):
        raise ToolDefinitionError(
            f"{function!r} is not callable. A tool is a function, a method, or another callable. "
            "Pass the function itself, without calling it."
        )
    return function, "instance" if isinstance(function, types.FunctionType) else "nothing"


def _tool_name(function: object, options: _Options) -> str:
    if options.name is not None:
        return _checked_name(options.name, function)
    inner = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    name = getattr(inner, "__name__", None)
    if not isinstance(name, str) or name == "<lambda>" or isinstance(inner, type):
        what = "a lambda" if name == "<lambda>" else f"a {type(inner).__name__} object"
        raise ToolDefinitionError(
            f"{what} has no name that a model could call. Tools are called by name. "
            'Give one: tool(function, name="look_up").'
        )
    return _checked_name(name, function)


def _checked_name(name: object, function: object) -> str:
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    raise ToolDefinitionError(
        f"{name!r} is no name for a tool ({_place(function)}). Names have 1 to 64 of the characters a-z, A-Z, "
        '0-9, _ and -. Give another: @tool(name="...").'
    )


def _checked_timeout(name: str, timeout_s: float | None) -> float | None:
    if timeout_s is None or (
        isinstance(timeout_s, int | float) and not isinstance(timeout_s, bool) and 0 < timeout_s < math.inf
    ):
        return timeout_s
    raise ToolDefinitionError(
        f"tool {name!r}: timeout_s is {timeout_s!r}. It is a number of seconds above 0, or None for no limit. "
        "Give e.g. timeout_s=30."
    )


def _check_options(name: str, options: _Options) -> None:
    for key, value, kinds, words in (
        ("description", options.description, str | None, "a str, or None for the docstring's text"),
        ("strict", options.strict, bool | None, "True, False, or None for strict where the types allow it"),
        ("parallel", options.parallel, bool, "True or False"),
        ("final", options.final, bool, "True or False"),
    ):
        if not isinstance(value, kinds):
            raise ToolDefinitionError(f"tool {name!r}: {key} is {value!r}. It is {words}. Give one of these.")


def _checked_effect(name: str, effect: Effect) -> Effect:
    if effect in _EFFECTS:
        return effect
    raise ToolDefinitionError(
        f"tool {name!r}: effect is {effect!r}. It is one of {', '.join(map(repr, _EFFECTS))}. Give one of these."
    )


def _docstring(function: object) -> Docstring:
    while isinstance(function, functools.partial):
        function = function.func
    text = getattr(function, "__doc__", None)
    if not isinstance(function, types.FunctionType | types.MethodType | types.BuiltinFunctionType):
        text = getattr(type(function).__call__, "__doc__", None) if _has_own_call_text(function) else text
    return parse_docstring(text)


def _has_own_call_text(function: object) -> bool:
    call = getattr(type(function), "__call__", None)  # noqa: B004
    return isinstance(call, types.FunctionType) and bool(call.__doc__)


def _text(description: object) -> str:
    return inspect.cleandoc(description) if isinstance(description, str) else ""


def _place(function: object) -> str:
    """Name a function with its file and line, for an error about it."""
    source = underlying_function(function)
    name = getattr(source, "__qualname__", None) or type(function).__qualname__
    code = getattr(source, "__code__", None)
    module = getattr(source, "__module__", None) or "?"
    return f"{module}.{name}, line {code.co_firstlineno}" if code is not None else f"{module}.{name}"


# --- plans -------------------------------------------------------------------------------------------------


def _plan_from_function(
    function: Callable[..., object],
    name: str,
    docstring: Docstring,
    strict: bool | None,
    names: Mapping[str, object],
    signature: inspect.Signature | None,
) -> _Plan:
    owner = f"tool {name!r}"
    if inspect.isasyncgenfunction(function):
        raise ToolDefinitionError(
            f"{owner} is an async generator. A tool returns one value. "
            "Return a list, and report progress with ToolContext.emit."
        )
    parameters = read_parameters(signature or read_signature(function, name), function, name)
    fields: list[Field] = []
    context: str | None = None
    for item in parameters:
        annotation = _resolved(item, function, owner, names)
        if annotation is not None:
            fields.append(to_field(item, annotation, docstring.parameters.get(item.name, "")))
        elif context is None:
            context = item.name
        else:
            raise ToolDefinitionError(
                f"{owner}: {context!r} and {item.name!r} are both a ToolContext. A call has one. Remove the other."
            )
    schema = build_schema(fields, owner=owner, strict=strict, names=names)
    adapter = functools.partial(build_adapter, fields, owner=owner, names=names)
    positional = tuple(item for item in parameters if item.positional_only)
    containers = {item.name: item.default for item in parameters if type(item.default) in (list, dict, set)}
    return _Plan(schema, ArgumentChecker(schema.loose, adapter), positional, context, containers)


def _fresh(value: object) -> object:
    """Return a copy of a list, dict or set, and of those inside; what else is inside is shared."""
    if type(value) is list:
        return [_fresh(item) for item in value]
    if type(value) is dict:
        return {key: _fresh(item) for key, item in value.items()}
    return set(value) if type(value) is set else value


def _resolved(
    item: Parameter, function: Callable[..., object], owner: str, names: Mapping[str, object]
) -> object | None:
    """Return the annotation with its text evaluated; None for a `ToolContext`."""
    try:
        annotation = resolve_annotation(item.annotation, function, names)
    except Exception as exc:  # evaluating an annotation runs any code
        if names_tool_context(item.annotation):
            return None
        raise ToolDefinitionError(
            f"{owner}: the annotation {item.annotation!r} of parameter {item.name!r} can't be evaluated: "
            f"{type(exc).__name__}: {exc}. Annotations name what exists when the agent is made. Define it before, "
            "or import it at run time and not only under TYPE_CHECKING."
        ) from exc
    return None if _is_context(annotation) else annotation


def _is_context(annotation: object) -> bool:
    base = annotation
    if get_origin(base) is Annotated:
        base = get_args(base)[0]
    if get_origin(base) in (Union, types.UnionType):  # ToolContext | None
        return any(_is_context(item) for item in get_args(base))
    return (get_origin(base) or base) is ToolContext


def _given_schema(name: str, parameters: Mapping[str, object] | None) -> JSONObject:
    if parameters is None:
        return {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    try:
        if not isinstance(parameters, Mapping):
            raise TypeError(f"{parameters!r} is a {type(parameters).__name__}")  # noqa: TRY301
        given = json.decode(json.encode(dict(parameters)))  # a copy of our own, known to be JSON
    except (json.JSONError, TypeError, ValueError) as exc:
        raise ToolDefinitionError(
            f"tool {name!r}: the parameters are no JSON schema: {exc}. A schema is a dict of JSON values. "
            'Give e.g. {"type": "object", "properties": {}}.'
        ) from exc
    schema = cast("JSONObject", given)
    if schema.get("type", "object") != "object":
        raise ToolDefinitionError(
            f"tool {name!r}: the parameters are of type {schema['type']!r}. A tool takes an object. "
            'Wrap it: {"type": "object", "properties": {"value": ...}, "required": ["value"]}.'
        )
    for node in every_node(schema):
        _check_node(name, node)
    return schema


def _check_node(name: str, node: JSONObject) -> None:
    kinds = node.get("type", "object")
    # "required": true beside a string is draft 3, and means nothing since
    required = node.get("required", []) if kinds == "object" or (isinstance(kinds, list) and "object" in kinds) else []
    if not isinstance(required, list) or not all(isinstance(item, str) for item in required):
        raise ToolDefinitionError(
            f"tool {name!r}: the schema has required: {required!r}. It is a list of names of properties. "
            'Give e.g. "required": ["value"], or leave it out.'
        )
    for key in ("properties", "$defs"):
        named = node.get(key, {})
        if not isinstance(named, dict) or not all(isinstance(item, dict | bool) for item in named.values()):
            raise ToolDefinitionError(
                f"tool {name!r}: the schema has {key}: {named!r}. It is a dict of names and their schemas. "
                f'Give e.g. "{key}": {{"value": {{"type": "string"}}}}.'
            )


def _plan_from_schema(given: JSONObject, function: Callable[..., object], strict: bool | None) -> _Plan:
    reason = strict_reason(given)
    if strict is not None:
        reason = None if strict else "strict=False was asked for"
    schema = ParameterSchema(given, strict=reason is None, reason=reason, loose=given)
    return _Plan(schema, ArgumentChecker(given, None), (), _context_name(function), {})


def _context_name(function: Callable[..., object]) -> str | None:
    try:
        parameters = inspect.signature(function).parameters
    except (ValueError, TypeError):
        return None
    for item in parameters.values():
        if _is_context(item.annotation) or names_tool_context(item.annotation):
            return item.name
    return None


# --- sets of tools -----------------------------------------------------------------------------------------


class Toolset:
    """An immutable, ordered collection of tools to select from and to rename.

    github = Toolset([list_issues, read_issue, close_issue])
    agent = Agent(model=..., tools=[*github.without("close_issue").prefixed("github_"), weather])
    """

    __slots__ = ("_tools",)

    def __init__(self, tools: Iterable[ToolLike] = ()) -> None:
        self._tools = tuple(_flatten(tools))

    def __iter__(self) -> Iterator[Tool[..., object]]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def __repr__(self) -> str:
        return f"Toolset([{', '.join(item.name for item in self._tools)}])"

    def only(self, *names: str) -> Toolset:
        """Return the tools with these names, in the set's order; an unknown name is a `UsageError`."""
        self._check_names(names)
        return Toolset(item for item in self._tools if item.name in names)

    def without(self, *names: str) -> Toolset:
        """Return all tools but those with these names; an unknown name is a `UsageError`."""
        self._check_names(names)
        return Toolset(item for item in self._tools if item.name not in names)

    def prefixed(self, prefix: str) -> Toolset:
        """Return the tools with `prefix` put before their names, so that two sets can be used together."""
        return Toolset(item.renamed(prefix + item.name) for item in self._tools)

    def _check_names(self, names: tuple[str, ...]) -> None:
        known = [item.name for item in self._tools]
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(str(name), known) or known[:10]
                raise UsageError(
                    f"no tool {name!r} in this toolset of {len(known)}. Close or first names: "
                    f"{', '.join(map(repr, near)) or 'none'}. Use the tools' names as the model sees them."
                )


ToolLike: TypeAlias = "Tool[..., Any] | Toolset | Callable[..., object]"
"""What is accepted where tools are given: tools, plain functions and methods, and toolsets."""


def collect_tools(tools: Iterable[ToolLike]) -> tuple[Tool[..., object], ...]:
    """Return the tools of one request, plain functions wrapped, with every definition built and checked.

    Raises:
        ToolDefinitionError: A function can't be offered, or two tools have one name.
        TooManyTools: There are more than `MAX_TOOLS`.
    """
    collected = tuple(_flatten(tools))
    if len(collected) > MAX_TOOLS:
        raise TooManyTools(
            f"{len(collected)} tools given, the API accepts at most {MAX_TOOLS}. "
            "Select a subset with Toolset.only(...)."
        )
    seen: dict[str, Tool[..., object]] = {}
    for item in collected:
        if item.name in seen:
            raise _duplicate(seen[item.name], item)
        seen[item.name] = item
        item.definition  # noqa: B018  # builds the schema, and raises where it can't be built
    return collected


def _flatten(tools: Iterable[ToolLike]) -> Iterator[Tool[..., object]]:
    if isinstance(tools, str | bytes | Mapping) or not isinstance(tools, Iterable):
        raise ToolDefinitionError(
            f"tools is {tools!r}. It is a list of functions, tools and toolsets. Write tools=[...]."
        )
    for item in tools:
        if isinstance(item, Tool):
            yield item
        elif isinstance(item, Toolset):
            yield from item
        elif isinstance(item, types.MethodType) and isinstance(item.__func__, Tool):
            # @classmethod over @tool: from Python 3.13 on, classmethod binds what it wraps by itself
            yield item.__func__.__get__(item.__self__, type(item.__self__))
        else:
            yield tool(item)


def _duplicate(first: Tool[..., object], second: Tool[..., object]) -> ToolDefinitionError:
    if first is second:
        found = f"tool {first.name!r} is given twice"
    else:
        found = f"two tools are called {first.name!r}: {_place(first.function)} and {_place(second.function)}"
    return ToolDefinitionError(
        f"{found}. Each name may be used once in a request. Remove one, or rename it: "
        "@tool(name=...), Toolset.prefixed(...)."
    )
