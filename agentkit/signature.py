"""The parameters of a function as a tool sees them: resolved annotations, defaults, descriptions.

Only reads functions; what a type means in JSON is `schema.py`'s business.
"""

from __future__ import annotations

import functools
import inspect
import re
import types
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from agentkit.errors import ToolDefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MISSING = inspect.Parameter.empty
"""Stands where a parameter has no default."""


@dataclass(frozen=True, slots=True)
class Field:
    """One value that the model writes: a parameter of a function, or the value of a structured output."""

    name: str
    annotation: object
    """The type with its metadata, without the bare strings in `Annotated`."""
    default: object = MISSING
    """The Python default; `MISSING` where there is none, or where it lives in a pydantic `Field(...)`."""
    description: str = ""
    """What the model reads about it; empty for what the type itself says."""
    required: bool = True


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a function, with its annotation as written."""

    name: str
    annotation: object
    default: object
    positional_only: bool


def read_signature(function: Callable[..., object], tool_name: str) -> inspect.Signature:
    """Return the signature of `function`. Raises `ToolDefinitionError` for one that can't be read."""
    try:
        return inspect.signature(function)
    except (ValueError, TypeError) as exc:
        raise ToolDefinitionError(
            f"tool {tool_name!r}: the signature of {function!r} can't be read. A tool needs named, annotated "
            f"parameters. Wrap it in a function: def {tool_name}(...): ..."
        ) from exc


def read_parameters(
    signature: inspect.Signature, function: Callable[..., object], tool_name: str, *, unbound: bool = False
) -> tuple[Parameter, ...]:
    """Return the parameters of `function` in order, those that a `functools.partial` already filled left out.

    `unbound` lets a method pass that has no object yet, `self` among its parameters. Raises
    `ToolDefinitionError` for ``*args``, ``**kwargs``, and a parameter without annotation.
    """
    filled = _filled_keywords(function)
    parameters = [item for item in signature.parameters.values() if item.name not in filled]
    for index, item in enumerate(parameters):
        if not (unbound and index == 0 and _is_receiver(item)):
            _check_parameter(item, tool_name, is_first=index == 0)
    return tuple(
        Parameter(item.name, item.annotation, item.default, item.kind is item.POSITIONAL_ONLY) for item in parameters
    )


def _filled_keywords(function: object) -> set[str]:
    # A keyword bound by partial(f, db=connection) stays in the signature as a default that the model could
    # override; binding it means that the model has no say in it.
    filled: set[str] = set()
    while isinstance(function, functools.partial):
        filled.update(function.keywords)
        function = function.func
    return filled


def _check_parameter(item: inspect.Parameter, tool_name: str, *, is_first: bool) -> None:
    where = f"tool {tool_name!r}: parameter {item.name!r}"
    if item.kind in (item.VAR_POSITIONAL, item.VAR_KEYWORD):
        raise ToolDefinitionError(
            f"{where} is {'*' if item.kind is item.VAR_POSITIONAL else '**'}{item.name}. A tool's parameters "
            "have names that the model can fill. Name each one, or take one list or dict: "
            f"{item.name}: {'list[str]' if item.kind is item.VAR_POSITIONAL else 'dict[str, str]'}."
        )
    if item.annotation is not item.empty:
        return
    if is_first and _is_receiver(item):
        raise ToolDefinitionError(
            f"tool {tool_name!r} is a method without its object: nothing would fill {item.name!r}. Tools are "
            f"called without an object. Pass the bound method, e.g. tools=[obj.{tool_name}]."
        )
    raise ToolDefinitionError(
        f"{where} has no annotation. Its JSON schema is built from the annotation. Annotate it, e.g. {item.name}: str."
    )


def _is_receiver(item: inspect.Parameter) -> bool:
    return item.name in ("self", "cls") and item.annotation is item.empty


# --- annotations -------------------------------------------------------------------------------------------


def resolve_annotation(annotation: object, function: object, names: Mapping[str, object]) -> object:
    """Return `annotation` with every string in it evaluated where `function` was defined.

    `names` are local names visible there, from `enclosing_names`. Raises NameError and whatever else
    evaluating the text raises.
    """
    if annotation is None:
        return type(None)
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:  # the common case
        return annotation
    source = underlying_function(function)
    globalns = getattr(source, "__globals__", {})
    localns = {**{item.__name__: item for item in getattr(source, "__type_params__", ())}, **names}
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    return typing.get_type_hints(holder, globalns, localns, include_extras=True)["it"]


def underlying_function(function: object) -> object:
    """Return the plain function behind partials, bound methods, decorators and callable objects."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, types.MethodType):
            function = function.__func__
        elif isinstance(function, types.FunctionType):
            inner = getattr(function, "__wrapped__", None)
            if inner is None:
                return function
            function = inner
        else:
            call = getattr(type(function), "__call__", None)  # noqa: B004  # looks for the function behind it
            if not isinstance(call, types.FunctionType):
                return function
            function = call


def enclosing_names(function: object) -> dict[str, object]:
    """Return the local names of the functions and class bodies that enclose `function` and still run.

    Annotations under ``from __future__ import annotations`` are text; names local to a function can only be
    looked up while that function runs, which is when the decorator is applied.
    """
    source = underlying_function(function)
    if not isinstance(source, types.FunctionType):
        return {}
    names: dict[str, object] = {}
    frame = inspect.currentframe()
    while frame is not None:
        code = frame.f_code
        if frame.f_globals is source.__globals__ and source.__qualname__.startswith(f"{code.co_qualname}."):
            names = {**frame.f_locals, **names}
        frame = frame.f_back
    for name, cell in zip(source.__code__.co_freevars, source.__closure__ or (), strict=True):
        try:
            names.setdefault(name, cell.cell_contents)
        except ValueError:  # not assigned yet
            continue
    return names


def has_text_annotations(parameters: tuple[Parameter, ...]) -> bool:
    """Whether any annotation holds text that must be evaluated, such as ``"City"`` or ``list["City"]``."""
    return any(_holds_text(item.annotation) for item in parameters)


def _holds_text(annotation: object) -> bool:
    if isinstance(annotation, str | typing.ForwardRef):
        return True
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is Annotated:
        arguments = arguments[:1]
    elif typing.get_origin(annotation) is typing.Literal:
        return False
    return any(_holds_text(item) for item in arguments)


# --- fields ------------------------------------------------------------------------------------------------


def to_field(parameter: Parameter, annotation: object, description: str) -> Field:
    """Return what the schema needs of a parameter; `description` is the docstring's, used if nothing else is.

    A pydantic `Field(description=...)` describes the parameter, else a bare string in `Annotated`, else the docstring.
    """
    base, metadata = split_annotated(annotation)
    kept = [item for item in metadata if not isinstance(item, str)]
    default = parameter.default
    if is_field_info(default):  # x: int = Field(5, ge=1)
        kept.append(default)
        default = MISSING
    required = default is MISSING and not any(_has_default(item) for item in kept)
    return Field(
        name=parameter.name,
        annotation=annotate(base, kept),
        default=default,
        description=next(_described([*kept, *metadata]), description),
        required=required,
    )


def _described(metadata: list[typing.Any]) -> Iterator[str]:
    for item in metadata:
        if is_field_info(item) and item.description:
            yield item.description
    for item in metadata:
        text = item.documentation if type(item).__name__ == "Doc" else item  # typing_extensions.Doc
        if isinstance(text, str):
            yield inspect.cleandoc(text)


def split_annotated(annotation: object) -> tuple[object, list[typing.Any]]:
    """Return the type and the metadata of `Annotated[type, *metadata]`; no metadata for any other type."""
    if typing.get_origin(annotation) is Annotated:
        base, *metadata = typing.get_args(annotation)
        return base, metadata
    return annotation, []


def annotate(base: object, metadata: list[typing.Any]) -> object:
    """Return `Annotated[base, *metadata]`, or `base` where there is no metadata."""
    return typing.cast("typing.Any", Annotated)[(base, *metadata)] if metadata else base


def is_field_info(value: object) -> bool:
    """Whether `value` is what pydantic's `Field(...)` returns, told without importing pydantic."""
    return type(value).__name__ == "FieldInfo" and type(value).__module__ == "pydantic.fields"


def _has_default(item: typing.Any) -> bool:
    return is_field_info(item) and not item.is_required()


_CONTEXT_TEXT = re.compile(r"(?:\w+\.)*ToolContext(?:\[.*\])?$", re.DOTALL)


def names_tool_context(annotation: object) -> bool:
    """Whether unresolvable text names a `ToolContext`, as it does when imported only for type checkers."""
    text = annotation.__forward_arg__ if isinstance(annotation, typing.ForwardRef) else annotation
    return isinstance(text, str) and _CONTEXT_TEXT.match(text.strip("\"' ")) is not None
