"""Python values as JSON values, the same in every process: what tools return, and defaults in schemas.

Sets come out sorted, NaN and infinities as the strings "NaN", "Infinity", "-Infinity" (JSON has no numbers
for them, and null would hide which), bytes as base64 text, a NamedTuple as an object. What has no JSON form
is refused: its repr would hold a memory address, and no two runs would agree on it.
"""

from __future__ import annotations

import base64
import collections
import dataclasses
import enum
import inspect
import json
import math
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Set, ValuesView
from typing import TYPE_CHECKING, Final, Protocol, cast

if TYPE_CHECKING:
    from agentkit.json import JSON

MAX_DEPTH: Final = 200
MAX_GENERATED: Final = 100_000
"""Values taken from one generator; an endless one must not hang the run."""


class NotJSON(ValueError):
    """A value without a JSON form; the message says where and what to return instead."""


Replace = Callable[[object], "JSON"]


def to_json(value: object, *, replace: Replace | None = None, max_chars: int | None = None) -> JSON:
    """Return `value` as a JSON value that is equal for equal input, whatever the process.

    Args:
        value: Anything; generators are consumed.
        replace: Asked first for every value that isn't a plain one; returns None to leave it alone.
        max_chars: Where the text of the strings and numbers taken from generators passes this, they end early.

    Raises:
        NotJSON: A value has no JSON form, contains itself, or is nested deeper than `MAX_DEPTH`.
    """
    return _Encoder(replace, max_chars).encode(value, "")


class _Encoder:
    def __init__(self, replace: Replace | None, max_chars: int | None) -> None:
        self._replace = replace
        self._max_chars = max_chars
        self._open: set[int] = set()

    def encode(self, value: object, path: str) -> JSON:
        if value is None or value is True or value is False:
            return value
        kind = type(value)
        if kind is str or kind is int:
            return cast("str | int", value)
        if isinstance(value, enum.Enum):
            return self.encode(value.value, path)
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            return _encode_float(value)
        if self._replace is not None and (replaced := self._replace(value)) is not None:
            return replaced
        return self._encode_container(value, path)

    def _encode_container(self, value: object, path: str) -> JSON:
        if id(value) in self._open:
            raise NotJSON(f"{_where(path)} contains itself, which JSON can't express")
        if len(self._open) >= MAX_DEPTH:
            raise NotJSON(f"the value is nested deeper than {MAX_DEPTH} levels")
        self._open.add(id(value))
        try:
            return self._encode_open(value, path)
        finally:
            self._open.discard(id(value))

    def _encode_open(self, value: object, path: str) -> JSON:
        if isinstance(value, Mapping):
            return self._encode_mapping(value, path)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return self._encode_mapping(dict(zip(value._fields, value, strict=True)), path)  # a NamedTuple
        if isinstance(value, list | tuple | collections.deque | range | ValuesView):
            return [self.encode(item, f"{path}[{index}]") for index, item in enumerate(value)]
        if isinstance(value, Set):
            return self._encode_set(value, path)
        if isinstance(value, bytes | bytearray | memoryview):
            return base64.b64encode(value).decode("ascii")
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields: dict[object, object] = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
            return self._encode_mapping(fields, path)
        if isinstance(value, pathlib.PurePath):
            return str(value)
        if isinstance(value, Iterator) or inspect.isgenerator(value):
            return self._encode_iterator(value, path)
        return self._encode_object(value, path)

    def _encode_mapping(self, value: Mapping[object, object], path: str) -> JSON:
        result: dict[str, JSON] = {}
        for key, item in value.items():
            name = self._key(key, path)
            if name in result:
                raise NotJSON(f"{_where(path)} has two keys that are {name[:80]!r} in JSON")
            result[name] = self.encode(item, f"{path}.{name}"[:200])
        return result

    def _key(self, key: object, path: str) -> str:
        if type(key) is str:
            return key
        name = self.encode(key, path)
        if isinstance(name, dict):
            raise NotJSON(f"{_where(path)} has a key of type {_type(key)}; keys are strings in JSON")
        if isinstance(name, str):
            return name
        if isinstance(name, list):  # a tuple, as data frames use them
            return ", ".join(str(part) for part in name)
        return "null" if name is None else str(name).lower() if isinstance(name, bool) else str(name)

    def _encode_set(self, value: Set[object], path: str) -> JSON:
        return sorted((self.encode(item, path) for item in value), key=_sort_key)

    def _encode_iterator(self, value: Iterable[object], path: str) -> JSON:
        result: list[JSON] = []
        size = 0
        for index, item in enumerate(value):
            result.append(self.encode(item, f"{path}[{index}]"))
            size += _size(result[-1])
            if len(result) >= MAX_GENERATED or (self._max_chars is not None and size > self._max_chars):
                result.append(f"[cut: the generator was stopped after {len(result)} values]")
                break
        return result

    def _encode_object(self, value: object, path: str) -> JSON:
        if inspect.isawaitable(value) or hasattr(value, "__anext__"):
            if inspect.iscoroutine(value):
                value.close()  # or Python warns, later and elsewhere, that it was never awaited
            raise NotJSON(f"{_where(path)} is a {_type(value)}: an await is missing in the tool")
        if hasattr(type(value), "model_dump"):
            return self._encode_model(value, path)
        if hasattr(type(value), "tolist") and hasattr(type(value), "dtype"):  # numpy, without importing it
            return self.encode(value.tolist(), path)  # type: ignore[attr-defined]
        from pydantic_core import PydanticSerializationError, to_jsonable_python

        try:  # dates, UUIDs, decimals, paths, addresses, URLs, patterns
            return cast("JSON", to_jsonable_python(value, inf_nan_mode="strings", bytes_mode="base64"))
        except (PydanticSerializationError, ValueError, TypeError) as exc:
            raise NotJSON(
                f"{_where(path)} is a {_type(value)}, which has no JSON form. Return text, numbers, lists, dicts, "
                "dataclasses or pydantic models"
            ) from exc

    def _encode_model(self, value: object, path: str) -> JSON:
        model = cast("_Model", value)
        dumped = self.encode(model.model_dump(mode="json"), path)
        plain = model.model_dump()
        return _sorted_like(plain, dumped) if _has_set(plain) else dumped


class _Model(Protocol):  # what is used of pydantic.BaseModel
    def model_dump(self, *, mode: str = "python") -> object: ...


def _encode_float(value: float) -> JSON:
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _sort_key(value: JSON) -> tuple[int, float, str]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return 0, float(value), str(value)
        except OverflowError:
            return 1, 0.0, str(value)
    return (2, 0.0, value) if isinstance(value, str) else (3, 0.0, json.dumps(value))


def _size(value: JSON) -> int:
    if isinstance(value, str):
        return len(value) + 3
    if isinstance(value, list):
        return 2 + sum(_size(item) for item in value)
    if isinstance(value, dict):
        return 2 + sum(len(key) + 4 + _size(item) for key, item in value.items())
    return 8


def _has_set(value: object) -> bool:
    if isinstance(value, Set) and not isinstance(value, Mapping):
        return True
    if isinstance(value, Mapping):
        return any(_has_set(item) for item in value.values())
    return isinstance(value, list | tuple) and any(_has_set(item) for item in value)


def _sorted_like(plain: object, dumped: JSON) -> JSON:
    """Return pydantic's JSON form of a model with the lists sorted that are sets in the model."""
    if isinstance(plain, Set) and isinstance(dumped, list):
        return sorted(dumped, key=_sort_key)
    if isinstance(plain, Mapping) and isinstance(dumped, dict) and len(plain) == len(dumped):
        pairs = zip(dumped.items(), plain.values(), strict=True)
        return {key: _sorted_like(below, item) for (key, item), below in pairs}
    if isinstance(plain, list | tuple) and isinstance(dumped, list) and len(plain) == len(dumped):
        return [_sorted_like(below, item) for below, item in zip(plain, dumped, strict=True)]
    return dumped


def _where(path: str) -> str:
    return f"the value at {path.lstrip('.')!r}" if path else "the value"


def _type(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
