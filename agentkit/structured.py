"""Structured output: any type as a schema to ask for, and the model's text back as a value of that type."""

from __future__ import annotations

import re
import typing
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast

from agentkit.arguments import ArgumentChecker, ArgumentsError
from agentkit.schema import build_adapter, build_schema
from agentkit.signature import MISSING, Parameter, split_annotated, to_field
from agentkit.strict import resolve, strict_reason, to_strict

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from agentkit.json import JSON, JSONObject

T = TypeVar("T")

_KEY: Final = "value"
_MAX_BYTES: Final = 16 * 1024 * 1024
"""A whole answer, and not one call's arguments: as much as a response may hold."""


class ValueMismatch(ValueError):
    """A text that isn't a value of the type; the message says what is wrong, for the model to repair it."""


class OutputSchema(Generic[T]):
    """The schema of an output type, and the way back from text; immutable, safe to share.

    Types that aren't JSON objects (lists, numbers, unions ...) are asked for as ``{"value": ...}``, because the
    root of a strict schema is an object.
    """

    name: str
    """A name for the schema that the API accepts: 1 to 64 letters, digits, `_` and `-`."""
    schema: JSONObject
    """The JSON schema, an object at its root. Shared: don't change it."""
    strict: bool
    """Whether `schema` lies in the strict subset."""
    strict_reason: str | None
    """Why it isn't strict; None where it is."""
    wrapped: bool
    """Whether the value is asked for inside ``{"value": ...}``."""

    def __init__(self, output_type: TypeForm[T]) -> None:
        self.name = _schema_name(output_type)
        owner = f"output_type {self.name}"
        parameter = Parameter(_KEY, output_type, MISSING, positional_only=False)
        fields = [to_field(parameter, output_type, "")]
        built = build_schema(fields, owner=owner)
        root = _object_root(built.loose)
        self.wrapped = root is None
        tight = built.schema if root is None else to_strict(root)
        self.strict_reason = built.reason if root is None else strict_reason(tight)
        self.strict = self.strict_reason is None
        self.schema = tight if self.strict or root is None else root
        self._checker = ArgumentChecker(
            built.loose,
            lambda: build_adapter(fields, owner=owner),
            max_bytes=_MAX_BYTES,
            quote_pydantic=True,
            subject="the answer is",
            shown=root,
        )

    def parse(self, text: str) -> T:
        """Return the value that `text` stands for; a code fence around it is tolerated.

        Raises `ValueMismatch`, whose message names each problem with its place.
        """
        try:
            value, document = self._decode(text)
            if not self.wrapped:
                value, document = {_KEY: value}, f'{{"{_KEY}":{document}}}'
            return cast("T", self._checker.check_value(value, document)[_KEY])
        except ArgumentsError as exc:
            raise ValueMismatch(self._explain(exc)) from exc

    def _decode(self, text: str) -> tuple[JSON, str]:
        try:
            return self._checker.decode(text), text.removeprefix("\ufeff")
        except ArgumentsError:
            fenced = _FENCE.fullmatch(text)
            if fenced is None:
                raise
            return self._checker.decode(fenced[1]), fenced[1]

    def _explain(self, exc: ArgumentsError) -> str:
        if not exc.problems:
            return str(exc)
        outer = "" if self.wrapped else _KEY
        lines = [
            f"- {path.removeprefix(outer).removeprefix('.')}: {words}".replace("- : ", "- ")
            for path, words in exc.problems
        ]
        return "\n".join(["the answer doesn't match the schema:", *lines, f"Expected {self._checker.hint()}"])


_FENCE = re.compile(r"\s*```[a-zA-Z0-9]*[ \t]*\n(.*?)\n?[ \t]*```\s*", re.DOTALL)


def _object_root(loose: JSONObject) -> JSONObject | None:
    """Return the schema of the value itself, with its definitions, where that is an object; else None."""
    definitions = cast("JSONObject", loose.get("$defs", {}))
    node = cast("JSONObject", cast("JSONObject", loose["properties"])[_KEY])
    branches = node.get("anyOf")
    if isinstance(branches, list) and len(branches) == 1:  # a recursive type with a description of its own
        node = {**resolve(cast("JSONObject", branches[0]), definitions), **_without(node, "anyOf")}
    node = resolve(node, definitions)
    if node.get("type") != "object":
        return None
    return {**node, "$defs": definitions} if definitions else node


def _without(node: JSONObject, key: str) -> JSONObject:
    return {name: item for name, item in node.items() if name != key}


def _schema_name(output_type: object) -> str:
    kind, _ = split_annotated(output_type)
    name = getattr(kind, "__name__", None) if typing.get_origin(kind) is None else None
    words = re.sub(r"[^a-zA-Z0-9_-]+", "_", name if isinstance(name, str) else "").strip("_")
    return words[:64] or "output"
