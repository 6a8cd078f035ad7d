"""JSON schemas of the types that most tools take, written without asking pydantic.

Plain Python types, lists, dicts and unions of them, literals, and the usual constraints. A test holds each
against pydantic's own schema. Worth the second way: a tool of plain types needs no
import of pydantic, and 128 functions cost half of what pydantic takes (`benchmarks/schemas.py`).
"""

from __future__ import annotations

import datetime
import types
import typing
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, cast

from agentkit.signature import is_field_info

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentkit.json import JSON, JSONObject

ClassSchema: TypeAlias = Callable[[type], "JSONObject | None"]

_PLAIN: Final[dict[object, JSONObject]] = {
    str: {"type": "string"},
    typing.LiteralString: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    object: {},
    typing.Any: {},
    list: {"type": "array", "items": {}},
    dict: {"type": "object", "additionalProperties": True},
    datetime.datetime: {"type": "string", "format": "date-time"},
    datetime.date: {"type": "string", "format": "date"},
    datetime.time: {"type": "string", "format": "time"},
    uuid.UUID: {"type": "string", "format": "uuid"},
}


def plain_schema(annotation: object, class_schema: ClassSchema) -> JSONObject | None:
    """Return the schema of `annotation`; None where pydantic has to be asked for the whole.

    `class_schema` is asked for classes that aren't plain, and may return None as well.
    """
    if isinstance(annotation, type) or annotation in (typing.Any, typing.LiteralString):
        if annotation in _PLAIN:
            return dict(_PLAIN[annotation])
        if typing.get_origin(annotation) is None and isinstance(annotation, type):
            return class_schema(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _constrained(plain_schema(arguments[0], class_schema), arguments[1:])
    if origin is Literal:
        return _literal_schema(arguments)
    if origin is list and len(arguments) == 1:
        items = plain_schema(arguments[0], class_schema)
        return None if items is None else {"type": "array", "items": items}
    if origin is dict and len(arguments) == 2 and arguments[0] is str:
        values = plain_schema(arguments[1], class_schema)
        return None if values is None else {"type": "object", "additionalProperties": values or True}
    if origin is typing.Union or origin is types.UnionType:
        branches = [plain_schema(item, class_schema) for item in arguments]
        return None if None in branches else {"anyOf": cast("list[JSON]", branches)}
    return None


def _literal_schema(values: tuple[object, ...]) -> JSONObject | None:
    kinds = {type(item) for item in values}
    if not kinds <= {str, int, bool}:
        return None
    found = cast("list[JSON]", list(values))
    schema: JSONObject = {"const": found[0]} if len(found) == 1 else {"enum": found}
    return {**schema, **_PLAIN[kinds.pop()]} if len(kinds) == 1 else schema


# --- constraints -------------------------------------------------------------------------------------------

_NUMBER_KEYS = {
    "Ge": ("ge", "minimum"),
    "Gt": ("gt", "exclusiveMinimum"),
    "Le": ("le", "maximum"),
    "Lt": ("lt", "exclusiveMaximum"),
    "MultipleOf": ("multiple_of", "multipleOf"),
}
_TEXT_KEYS = {"MinLen": ("min_length", "minLength"), "MaxLen": ("max_length", "maxLength")}
_LIST_KEYS = {"MinLen": ("min_length", "minItems"), "MaxLen": ("max_length", "maxItems")}
_KEYS_OF_TYPE = {"integer": _NUMBER_KEYS, "number": _NUMBER_KEYS, "string": _TEXT_KEYS, "array": _LIST_KEYS}

_FIELD_INFO_EXTRAS = (
    *("alias", "validation_alias", "default_factory", "discriminator", "examples", "json_schema_extra"),
    *("deprecated", "field_title_generator", "title"),
)


def _constrained(schema: JSONObject | None, metadata: Sequence[Any]) -> JSONObject | None:
    """Return `schema` with the constraints of annotated_types and pydantic's `Field`, if all are known here."""
    if schema is None:
        return None
    schema = dict(schema)
    for item in metadata:
        if isinstance(item, str):
            continue
        if is_field_info(item):
            if any(getattr(item, name, None) is not None for name in _FIELD_INFO_EXTRAS):
                return None
            constrained = _constrained(schema, item.metadata)
            if constrained is None:
                return None
            schema = constrained
            if item.description is not None:
                schema["description"] = item.description
        elif not _constrain(schema, item):
            return None
    return schema


def _constrain(schema: JSONObject, item: object) -> bool:
    """Put one constraint into `schema`; False where it isn't known here."""
    keys = _KEYS_OF_TYPE.get(str(schema.get("type")), {})
    name, key = keys.get(type(item).__name__, ("", ""))
    bound = getattr(item, name, None)
    if type(item).__module__ != "annotated_types" or "format" in schema or "enum" in schema or "const" in schema:
        return False
    if type(bound) not in (int, float):
        return False
    schema[key] = cast("int | float", bound)
    return True
