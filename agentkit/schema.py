"""From types to JSON schemas, by pydantic, and back from JSON text to values of those types.

A schema comes in two forms. The *loose* one says all that pydantic knows and guides the checking of
arguments. The one that is *sent* is its translation into OpenAI's strict subset where there is one
(`strict.py`), else the loose one. pydantic is imported when a type needs it: schemas of plain Python types
come from `plain.py`, and a test compares them with pydantic's.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import inspect
import math
import re
import sys
import types
import typing
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias, TypeGuard, cast

import typing_extensions

from agentkit.canonical import to_json
from agentkit.errors import ToolDefinitionError
from agentkit.plain import plain_schema
from agentkit.signature import MISSING, Field, annotate, is_field_info, split_annotated
from agentkit.strict import strict_reason, tidy, to_strict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pydantic import TypeAdapter
    from pydantic.json_schema import GenerateJsonSchema
    from pydantic_core import core_schema

    from agentkit.json import JSON, JSONObject
    from agentkit.plain import ClassSchema

Values: TypeAlias = "dict[str, object]"


@dataclass(frozen=True, slots=True)
class ParameterSchema:
    """The JSON schema of a tool's parameters, as sent and as used for checking."""

    schema: JSONObject
    """What the server gets."""

    strict: bool
    """Whether `schema` lies in the strict subset and is sent with ``strict: true``."""

    reason: str | None
    """Why it isn't strict; None where it is."""

    loose: JSONObject
    """Everything known about the types, definitions under `$defs`; optional means not in `required`."""


def build_schema(
    fields: Sequence[Field],
    *,
    owner: str,
    strict: bool | None = None,
    names: Mapping[str, object] | None = None,
) -> ParameterSchema:
    """Return the schema of an object with these fields.

    Args:
        fields: What the model writes, in order.
        owner: Who they belong to, for error messages, such as ``"tool 'weather'"``.
        strict: None for strict where the types allow it; True insists; False never.
        names: Local names for forward references inside the types.

    Raises:
        ToolDefinitionError: A type has no JSON schema, or `strict` is True and a type doesn't allow it.
    """
    loose = _loose_schema(fields, owner, names or {})
    if strict is False:
        return ParameterSchema(loose, strict=False, reason="strict=False was asked for", loose=loose)
    tight = to_strict(loose)
    reason = strict_reason(tight)
    if reason is None:
        return ParameterSchema(tight, strict=True, reason=None, loose=loose)
    if strict:
        raise ToolDefinitionError(
            f"{owner}: strict=True was asked for, but {reason}. Strict schemas list every property of every "
            "object. Change the type, or leave strict unset to send this schema with strict false."
        )
    return ParameterSchema(loose, strict=False, reason=reason, loose=loose)


def build_adapter(
    fields: Sequence[Field], *, owner: str, names: Mapping[str, object] | None = None
) -> TypeAdapter[Values]:
    """Return pydantic's adapter for a dict of these fields; optional ones are absent unless given."""
    from pydantic import ConfigDict, TypeAdapter
    from pydantic_core import SchemaError

    members = {item.name: _member_type(item, owner, names or {}) for item in fields}
    config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        val_json_bytes="base64",  # JSON has no bytes; reads both alphabets, the URL-safe one too
        ser_json_bytes="base64",
    )
    try:
        return _adapt(TypeAdapter, typed_dict("Arguments", members, config), names)
    except SchemaError:  # pydantic's own regex engine has no look-around
        config["regex_engine"] = "python-re"
        return _adapt(TypeAdapter, typed_dict("Arguments", members, config), names)


def _member_type(item: Field, owner: str, names: Mapping[str, object]) -> object:
    kind = _portable(item.annotation, owner, names)
    return kind if item.required else typing_extensions.NotRequired[kind]


def typed_dict(name: str, members: Mapping[str, object], config: object) -> Any:
    """Return a `TypedDict` class with these keys, which may be any strings, and pydantic's configuration."""
    made = cast("Any", typing_extensions.TypedDict)(name, members)
    if config is not None:
        made.__pydantic_config__ = config
    return made


def _adapt(adapter: type[TypeAdapter[Values]], target: Any, names: Mapping[str, object] | None) -> TypeAdapter[Values]:
    if not names:
        return adapter(target)
    # Classes local to a function may name each other as text. pydantic looks such names up in the frame that
    # builds the adapter, so it is built in a frame whose locals they are.
    scope = {"adapter": adapter, "target": target}
    return cast("TypeAdapter[Values]", eval("adapter(target)", scope, dict(names)))  # noqa: S307


# --- the loose schema --------------------------------------------------------------------------------------


def _loose_schema(fields: Sequence[Field], owner: str, names: Mapping[str, object]) -> JSONObject:
    def class_schema(kind: type) -> JSONObject | None:
        return _class_schema(kind, owner, names)

    plain = {item.name: _plain_member(item, class_schema) for item in fields}
    rest = [item for item in fields if plain[item.name] is None]
    properties, definitions = _pydantic_schemas(rest, owner, names) if rest else ({}, {})
    described: JSONObject = {}
    required: list[JSON] = []
    for item in fields:
        schema = plain[item.name]
        # Annotated[int, Field(alias="from")] is called "from" by the model
        name, schema = (item.name, schema) if schema is not None else properties[item.name]
        described[name] = _described(schema, item)
        if item.required:
            required.append(name)
    root: JSONObject = {
        "type": "object",
        "properties": described,
        "required": required,
        "additionalProperties": False,
    }
    return tidy({**root, "$defs": definitions}) if rest else root


def _plain_member(item: Field, class_schema: ClassSchema) -> JSONObject | None:
    schema = plain_schema(item.annotation, class_schema)
    infos = [info for info in split_annotated(item.annotation)[1] if is_field_info(info) and not info.is_required()]
    if schema is not None and infos:
        schema["default"] = to_json(infos[-1].default)
    return schema


def _described(schema: JSONObject, item: Field) -> JSONObject:
    schema = dict(schema)
    if item.description:  # what the parameter is for says more than what its class is
        schema["description"] = item.description
    if item.default is not MISSING and not _is_not_finite(item.default):
        # A default without a JSON form is left out: the function knows it, the model needn't.
        with contextlib.suppress(ValueError):
            schema["default"] = to_json(item.default)
    return schema


def _is_not_finite(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


_class_schemas: weakref.WeakKeyDictionary[type, JSONObject] = weakref.WeakKeyDictionary()
"""Schemas of models, dataclasses and enums by class: the tools of one program share them."""


def _class_schema(kind: type, owner: str, names: Mapping[str, object]) -> JSONObject | None:
    """Return the schema of a class that pydantic knows, as long as it needs no definitions; else None."""
    try:
        known = _class_schemas.get(kind)
    except TypeError:  # no weak reference to it
        return None
    if known is None:
        try:
            made = tidy(_model_schema(kind) or _ask_pydantic([Field("value", kind)], owner, names))
        except ToolDefinitionError:  # asked again with the whole parameter, for an error that names it
            return None
        if "$defs" in made:
            return None
        known = _class_schemas[kind] = cast("dict[str, JSONObject]", made["properties"])["value"]
    return known


def _model_schema(kind: type) -> JSONObject | None:
    """Return what `_ask_pydantic` says of a model, from the core schema that the model has already.

    An adapter would be built, compiled and thrown away for it. None where pydantic has to be asked anew: the model
    isn't finished, or something about it is wrong.
    """
    if "pydantic" not in sys.modules or not getattr(kind, "__pydantic_complete__", False):
        return None
    from pydantic import BaseModel
    from pydantic.errors import PydanticUserError

    if not issubclass(kind, BaseModel):
        return None
    try:
        own = cast("JSONObject", kind.model_json_schema(schema_generator=_generator()))
    except (PydanticUserError, TypeError, ValueError, RecursionError):
        return None
    definitions = own.pop("$defs", {})
    return {"type": "object", "properties": {"value": own}, "$defs": definitions}


def _pydantic_schemas(
    fields: Sequence[Field], owner: str, names: Mapping[str, object]
) -> tuple[dict[str, tuple[str, JSONObject]], JSONObject]:
    """Return for each field the name that the model uses with its schema, and the definitions of them all."""
    made = _ask_pydantic(fields, owner, names)
    found = cast("dict[str, JSONObject]", made.get("properties", {}))
    named = {item.name: pair for item, pair in zip(fields, found.items(), strict=True)}
    return named, cast("JSONObject", made.get("$defs", {}))


def _ask_pydantic(fields: Sequence[Field], owner: str, names: Mapping[str, object]) -> JSONObject:
    from pydantic.errors import PydanticUserError
    from pydantic_core import SchemaError

    try:
        adapter = build_adapter(fields, owner=owner, names=names)
        return cast("JSONObject", adapter.json_schema(schema_generator=_generator()))
    except ToolDefinitionError:
        raise
    except (PydanticUserError, SchemaError, NameError, TypeError, ValueError, RecursionError) as exc:
        if len(fields) > 1:
            for item in fields:  # ask for each alone, so that the error names the right one
                _ask_pydantic([item], owner, names)
        raise _no_schema(fields, owner, exc) from exc


def _no_schema(fields: Sequence[Field], owner: str, exc: Exception) -> ToolDefinitionError:
    which = " and ".join(repr(item.name) for item in fields)
    # pydantic goes on with advice for its own models, which doesn't apply here
    reason = re.split(r"\n|\. Set `|\. If you got", str(exc), maxsplit=1)[0].rstrip(".")
    return ToolDefinitionError(
        f"{owner}: {which} has no JSON schema: {reason}. Types are those that pydantic can read from "
        "JSON: plain types, lists and dicts of them, Literal, Enum, TypedDict, dataclasses, pydantic models. "
        "Take one of these and build the object inside the function, or take it from a ToolContext."
    )


@functools.cache
def _generator() -> type[GenerateJsonSchema]:
    from pydantic.errors import PydanticInvalidForJsonSchema
    from pydantic.json_schema import GenerateJsonSchema

    class Generator(GenerateJsonSchema):
        """pydantic's generator, keeping the order of fields, with defaults equal in every process."""

        _names: ClassVar[dict[Any, str]] = {}

        # a default without a JSON form is no reason to warn: the function knows it
        ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012

        def build_schema_type_to_method(self) -> dict[Any, Callable[[Any], dict[str, Any]]]:
            # pydantic finds the same ones for each instance, which takes a seventh of a schema's time
            if not self._names:
                self._names.update(
                    {kind: found.__name__ for kind, found in super().build_schema_type_to_method().items()}
                )
            return {kind: getattr(self, name) for kind, name in self._names.items()}

        def sort(self, value: dict[str, Any], parent_key: str | None = None) -> dict[str, Any]:  # noqa: ARG002
            return value

        def enum_schema(self, schema: core_schema.EnumSchema) -> dict[str, Any]:
            # pydantic compares what JSON gives with the member's value: [1, 2] is never (1, 2)
            if inspect.getattr_static(schema["cls"], "_missing_") is vars(enum.Enum)["_missing_"]:
                _refuse_members(schema["members"])
            return super().enum_schema(schema)

        def literal_schema(self, schema: core_schema.LiteralSchema) -> dict[str, Any]:
            _refuse_members(item for item in schema["expected"] if isinstance(item, enum.Enum))
            return super().literal_schema(schema)

        def is_subclass_schema(self, schema: core_schema.IsSubclassSchema) -> dict[str, Any]:
            raise PydanticInvalidForJsonSchema(f"a class, such as a subclass of {schema['cls']!r}, is no JSON value")

        def encode_default(self, dft: Any) -> Any:
            return to_json(dft)

    return Generator


def _refuse_members(members: Iterable[enum.Enum]) -> None:
    from pydantic.errors import PydanticInvalidForJsonSchema

    for item in members:
        if not isinstance(item.value, str | int | float | None):
            raise PydanticInvalidForJsonSchema(
                f"{item} has the value {item.value!r}, and enums are read from JSON by strings and numbers only"
            )


# --- types that pydantic doesn't know ----------------------------------------------------------------------


def _portable(annotation: object, owner: str, names: Mapping[str, object]) -> object:
    """Return `annotation` with what pydantic doesn't know replaced by what it knows.

    `LiteralString` is str for a type checker only. Below Python 3.12, pydantic refuses `typing.TypedDict` because
    the bases of a generic one can't be seen; its `typing_extensions` equal takes its place.
    """
    return _replace_unknown(annotation, owner, names, ())


def _replace_unknown(annotation: object, owner: str, names: Mapping[str, object], path: tuple[object, ...]) -> object:
    if annotation is typing.LiteralString:
        return str
    if sys.version_info < (3, 12) and _is_typing_typed_dict(annotation):
        return _convert_typed_dict(annotation, owner, names, path)
    arguments = typing.get_args(annotation)
    if not arguments or typing.get_origin(annotation) is Literal:
        return annotation
    if typing.get_origin(annotation) is Annotated:
        changed = _replace_unknown(arguments[0], owner, names, path)
        return annotation if changed is arguments[0] else annotate(changed, list(arguments[1:]))
    replaced = tuple(_replace_unknown(item, owner, names, path) for item in arguments)
    if all(new is old for new, old in zip(replaced, arguments, strict=True)):
        return annotation
    if isinstance(annotation, types.UnionType):
        return typing.Union[replaced]  # noqa: UP007
    if isinstance(annotation, types.GenericAlias):
        return types.GenericAlias(cast("type", annotation.__origin__), replaced)
    return annotation.copy_with(replaced) if hasattr(annotation, "copy_with") else annotation


def _is_typing_typed_dict(annotation: object) -> TypeGuard[type]:
    return isinstance(annotation, type) and type(annotation).__module__ == "typing" and typing.is_typeddict(annotation)


def _convert_typed_dict(source: type, owner: str, names: Mapping[str, object], path: tuple[object, ...]) -> object:
    if source in path:
        raise ToolDefinitionError(
            f"{owner}: typing.TypedDict {source.__name__!r} contains itself. Below Python 3.12 pydantic can't "
            "read that. Import TypedDict from typing_extensions instead."
        )
    hints = typing.get_type_hints(source, localns=dict(names), include_extras=True)
    optional: frozenset[str] = getattr(source, "__optional_keys__", frozenset())
    members = {}
    for name, hint in hints.items():
        # __optional_keys__ doesn't see NotRequired where annotations are text, so the hint is asked first.
        kind, is_optional = hint, name in optional
        while (mark := typing.get_origin(kind)) in (typing.Required, typing.NotRequired):
            kind, is_optional = typing.get_args(kind)[0], mark is typing.NotRequired
        kind = _replace_unknown(kind, owner, names, (*path, source))
        members[name] = typing_extensions.NotRequired[kind] if is_optional else kind
    result = typed_dict(source.__name__, members, getattr(source, "__pydantic_config__", None))
    result.__doc__ = source.__doc__
    return result
