"""What the model wrote as arguments, checked and turned into values, or refused in words for the model.

First a strict JSON pass on the text, then a walk along the loose schema that repairs what is harmless
(``"5"`` for 5, ``1.0`` for 1, null for "the default"), then pydantic in strict mode. Everything else is
refused: servers accept `strict: true` without enforcing it, so this is the only check there is.
"""

from __future__ import annotations

import difflib
import functools
import itertools
import json as stdlib_json
import math
import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from agentkit import json
from agentkit.strict import accepts_null, every_node, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pydantic import TypeAdapter, ValidationError

    from agentkit.json import JSON, JSONObject

MAX_ARGUMENT_BYTES: Final = 1024 * 1024
"""Default size of the arguments of one call, as UTF-8; more is refused before it is parsed."""

_MAX_PROBLEMS: Final = 8
_MAX_UNION_STEPS: Final = 2**18
_MAX_MESSAGE_CHARS: Final = 2000

Values: TypeAlias = "dict[str, object]"


Problem: TypeAlias = tuple[str, str]
"""A path such as ``"items[0].count"`` (empty for the whole), and what is wrong there."""


class ArgumentsError(ValueError):
    """Arguments that can't be used; the message is written for the model and quotes little of them."""

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)
        """Each problem with its place; empty where the text as a whole can't be read."""


class ArgumentChecker:
    """Checks arguments against one schema; immutable once built, safe to share between threads.

    Args:
        loose: The schema to check against and to repair by.
        adapter: Makes pydantic's adapter, at the first check; None for schemas that no Python type stands
            behind, which are then checked by the walk alone: types, required and surplus properties, enums,
            ranges and lengths, but neither patterns nor formats.
        max_bytes: Size of the text that is accepted.
        quote_pydantic: Say what pydantic says, instead of what the schema says.
        subject: How messages about the whole text begin.
        shown: The schema that messages describe, where it isn't `loose`.
    """

    def __init__(
        self,
        loose: JSONObject,
        adapter: Callable[[], TypeAdapter[Values]] | None,
        *,
        max_bytes: int = MAX_ARGUMENT_BYTES,
        quote_pydantic: bool = False,
        subject: str = "the arguments are",
        shown: JSONObject | None = None,
    ) -> None:
        self._schema = loose
        self._definitions = cast("JSONObject", loose.get("$defs", {}))
        self._make_adapter = adapter
        self._max_bytes = max_bytes
        self._quote_pydantic = quote_pydantic
        self._subject = subject
        self._shown = loose if shown is None else shown
        self._validate: Callable[..., Values] | None = None
        self._has_parameters = bool(loose.get("properties"))

    @functools.cached_property
    def _needs_walk(self) -> bool:
        return self._make_adapter is None or _pydantic_is_too_lax(self._schema) or self._max_objects is not None

    @functools.cached_property
    def _max_objects(self) -> int | None:
        """How many objects may lie inside each other; None for no limit but that of JSON."""
        # In a recursive type, pydantic tries every branch of a union without discriminator at every level:
        # branches ** depth steps. The limit bounds them.
        branches = _recursive_branches(self._schema)
        return int(math.log(_MAX_UNION_STEPS, branches)) if branches > 1 else None

    @functools.cached_property
    def _extra(self) -> Literal["forbid"] | None:
        # A model declared open with extra="allow" must stay so; the walk refuses extras everywhere else.
        return None if _is_open(self._schema) else "forbid"

    def check(self, text: str) -> Values:
        """Return fresh values for the text of a call's `arguments`; raises `ArgumentsError`."""
        if not self._has_parameters and not text.strip():
            text = "{}"
        value = self.decode(text)
        if not isinstance(value, dict):
            raise ArgumentsError(f"{self._subject} {describe(value)}, not a JSON object. Expected {self.hint()}")
        return self.check_value(value, text)

    def decode(self, text: str) -> JSON:
        """Return the strictly parsed text; raises `ArgumentsError` for what isn't one JSON document."""
        if len(text) > self._max_bytes or (4 * len(text) > self._max_bytes and _size(text) > self._max_bytes):
            raise ArgumentsError(
                f"{self._subject} {_size(text):,} bytes long; at most {self._max_bytes:,} are accepted. "
                "Send less at once."
            )
        try:
            value = json.decode_strict(text)
        except json.JSONError as exc:
            raise ArgumentsError(
                f"{self._subject} not valid JSON: {exc}{_near(text, str(exc))}. Expected {self.hint()}"
            ) from exc
        if _SURROGATE.search(text) and not _is_encodable(value):
            raise ArgumentsError(f"{self._subject} not text: half of a surrogate pair is no character.")
        return value

    def check_value(self, value: JSON, text: str) -> Values:
        """Return the values for an already parsed text; `text` must be what `value` was parsed from."""
        try:
            if self._max_objects is not None and _objects_deep(value) > self._max_objects:
                self._refuse([("", f"objects are nested deeper than {self._max_objects} levels")])
            walk = _Walk(self._definitions, null_is_default=self._make_adapter is not None)
            repaired = walk.repair(self._schema, value)
            if self._needs_walk or walk.gave_up or self._has_surplus(repaired):
                self._refuse(self.problems(repaired))
            if self._make_adapter is None:
                return cast("Values", repaired)
            return self._to_python(repaired, text if repaired is value else None)
        except RecursionError:
            raise ArgumentsError(f"{self._subject} nested too deeply.") from None

    def _has_surplus(self, value: JSON) -> bool:
        # asked first, because pydantic makes an error of each one, however many
        return isinstance(value, dict) and len(value) > len(cast("JSONObject", self._schema.get("properties", {})))

    def problems(self, value: JSON) -> list[Problem]:
        """Return what the schema alone has against `value`, at most a handful."""
        found: list[Problem] = []
        for problem in _Walk(self._definitions).problems(self._schema, value, ""):
            found.append(problem)
            if len(found) > _MAX_PROBLEMS:
                break
        return found

    def hint(self) -> str:
        """Return the expected object on one line, such as ``{"city": string, "unit"?: "C" | "F"}``."""
        return _hint(self._shown, self._definitions, budget=600)

    def _to_python(self, value: JSON, text: str | None) -> Values:
        from pydantic import ValidationError

        if self._validate is None:
            self._validate = self._make_adapter().validator.validate_json  # type: ignore[misc]
        data = text.removeprefix("\ufeff") if text is not None else json.encode(value)
        try:
            return self._validate(data, strict=True, extra=self._extra)
        except ValidationError as exc:
            found = [] if self._quote_pydantic else self.problems(value)
            self._refuse(found or _pydantic_problems(exc, verbatim=self._quote_pydantic))
            raise AssertionError from exc  # pragma: no cover  # pydantic always names an error

    def _refuse(self, problems: list[Problem]) -> None:
        if problems:
            cut = [(path, words[:300]) for path, words in problems[:_MAX_PROBLEMS]]
            raise ArgumentsError(_message(problems, self.hint()), cut)


# --- the walk ----------------------------------------------------------------------------------------------

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,39})", re.ASCII)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
_LONG_LIST: Final = 1000
_TRIED_ITEMS: Final = 64
"""How many items of a long list of objects, lists or unions are tried before the rest is repaired.

Only for the first such list of a walk, the outermost: trying at each level would take levels * items steps.
"""
_PYTHON_TYPES: Final[dict[str, frozenset[type]]] = {
    "string": frozenset({str}),
    "integer": frozenset({int}),
    "number": frozenset({int, float}),
    "boolean": frozenset({bool}),
    "null": frozenset({type(None)}),
}
_EXACT: Final = 2**53
"""Beyond this a float no longer tells neighbouring integers apart."""


class _Walk:
    """One walk over a value along its schema: repairs it, or names what is wrong with it.

    What was found out about a value under a branch of a union is remembered: branches that look alike and contain
    each other would otherwise be tried 2^depth times.
    """

    __slots__ = ("_accepted", "_definitions", "_has_tried", "_null_is_default", "_repaired", "gave_up")

    def __init__(self, definitions: JSONObject, *, null_is_default: bool = True) -> None:
        self._definitions = definitions
        self._null_is_default = null_is_default
        # keyed by the ids of schema and value; the values are kept, so that no id is used twice
        self._accepted: dict[tuple[int, int], tuple[JSON, bool]] = {}
        self._repaired: dict[tuple[int, int], tuple[JSON, JSON]] = {}
        self._has_tried = False
        self.gave_up = False
        """Whether some list has more wrong items than are told, and was left as it was after those."""

    # repairing

    def repair(self, schema: JSONObject, value: JSON) -> JSON:
        """Return `value` with the harmless deviations mended; the very same object where there is none."""
        if "$ref" in schema:
            schema = resolve(schema, self._definitions)
        branches = schema.get("anyOf", schema.get("oneOf"))
        if isinstance(branches, list):
            return self._repair_union(branches, value)
        if isinstance(value, dict):
            return self._repair_object(schema, value)
        if isinstance(value, list):
            return self._repair_list(schema, value)
        if isinstance(value, str | float) and schema.get("type") == "integer":
            return _repair_integer(value)
        return value

    def _repair_object(self, schema: JSONObject, value: JSONObject) -> JSONObject:
        properties = schema.get("properties")
        known = properties if isinstance(properties, dict) else {}
        others = schema.get("additionalProperties")
        required = cast("list[JSON]", schema.get("required", ()))
        result: JSONObject = {}
        changed = False
        for name, item in value.items():
            below = known.get(name, others)
            if item is None and name in known and name not in required and self._means_default(below):
                changed = True
                continue
            result[name] = self.repair(below, item) if isinstance(below, dict) and item is not None else item
            changed = changed or result[name] is not item
        return result if changed else value

    def _means_default(self, schema: JSON) -> bool:
        # A parameter with a default is required and nullable in strict schemas; null means the default. In
        # a schema given as it is, null means null where it is allowed.
        return self._null_is_default or (
            isinstance(schema, dict) and not accepts_null(resolve(schema, self._definitions))
        )

    def _repair_list(self, schema: JSONObject, value: list[JSON]) -> list[JSON]:
        first, items = schema.get("prefixItems"), schema.get("items")
        prefix = first if isinstance(first, list) else []
        rest = items if isinstance(items, dict) and items else None
        if rest is None and not prefix:
            return value
        expected = _PYTHON_TYPES.get(str(rest.get("type"))) if rest is not None and not prefix else None
        if expected is not None and set(map(type, value)) <= expected:
            return value
        tried = 0 if expected is not None or self._has_tried or len(value) < _LONG_LIST else _TRIED_ITEMS
        self._has_tried = self._has_tried or tried > 0
        repaired: list[JSON] = []
        wrong = 0
        for below, item in zip(itertools.chain(prefix, itertools.repeat(rest)), value, strict=False):
            repaired.append(self.repair(below, item) if isinstance(below, dict) else item)
            if expected is not None:
                wrong += type(repaired[-1]) not in expected
            elif len(repaired) <= tried:
                wrong += self._is_wrong(below, repaired[-1])
            if (
                wrong > _MAX_PROBLEMS and len(value) >= _LONG_LIST
            ):  # it will be refused, and pydantic would make an error of each item
                self.gave_up = True
                repaired.extend(value[len(repaired) :])
                break
        return repaired if any(new is not old for new, old in zip(repaired, value, strict=True)) else value

    def _is_wrong(self, below: JSON, item: JSON) -> bool:
        return isinstance(below, dict) and next(self.problems(below, item, ""), None) is not None

    def _repair_union(self, branches: list[JSON], value: JSON) -> JSON:
        nodes = [item for item in branches if isinstance(item, dict)]
        for node in nodes:
            if self._accepts(node, value):
                return self._repair_branch(node, value)
        for node in nodes:
            repaired = self._repair_branch(node, value)
            if repaired is not value and self._accepts(node, repaired):
                return repaired
        return value

    def _repair_branch(self, node: JSONObject, value: JSON) -> JSON:
        key = (id(node), id(value))
        if key not in self._repaired:
            self._repaired[key] = (value, self.repair(node, value))
        return self._repaired[key][1]

    # problems

    def _accepts(self, node: JSONObject, value: JSON) -> bool:
        key = (id(node), id(value))
        if key not in self._accepted:
            self._accepted[key] = (value, next(self.problems(node, value, ""), None) is None)
        return self._accepted[key][1]

    def problems(self, schema: JSONObject, value: JSON, path: str) -> Iterator[Problem]:
        """Yield what `schema` has against `value`, with the place."""
        if "$ref" in schema:
            schema = resolve(schema, self._definitions)
        branches = schema.get("anyOf", schema.get("oneOf"))
        if isinstance(branches, list):
            yield from self._union_problems(branches, value, path)
        is_listed = ("enum" not in schema and "const" not in schema) or _is_among(value, schema)
        if not _is_of_type(value, schema.get("type")) or not is_listed:
            yield path, f"expected {self._words(schema)}, got {describe(value)}"
        elif isinstance(value, dict):
            yield from self._object_problems(schema, value, path)
        elif isinstance(value, list):
            yield from self._list_problems(schema, value, path)
        elif isinstance(value, str):
            yield from _length_problems(schema, len(value), path, "Length", "characters")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield from _number_problems(schema, value, path)

    def _union_problems(self, branches: list[JSON], value: JSON, path: str) -> Iterator[Problem]:
        nodes = [item for item in branches if isinstance(item, dict)]
        if any(self._accepts(node, value) for node in nodes):
            return
        # Speak of the branch that is meant, if it can be told: the only one of this type, or with this tag.
        meant = [node for node in nodes if _may_be_meant(resolve(node, self._definitions), value)]
        if len(meant) == 1:
            yield from self.problems(meant[0], value, path)
        else:
            yield path, f"expected {self._words({'anyOf': branches})}, got {describe(value)}"

    def _object_problems(self, schema: JSONObject, value: JSONObject, path: str) -> Iterator[Problem]:
        properties = schema.get("properties")
        known = properties if isinstance(properties, dict) else {}
        for name in cast("list[str]", schema.get("required", ())):
            if name not in value:
                yield _join(path, name), f"missing; expected {self._words(known.get(name))}"
        others = schema.get("additionalProperties", True)
        for name, item in value.items():
            below = known.get(name, others)
            if isinstance(below, dict):
                yield from self.problems(below, item, _join(path, name[:80]))
            # patterns are not evaluated: on text from a model they could take for ever
            elif below is False and "patternProperties" not in schema:
                yield _join(path, name[:80]), _surplus(name, list(known))
        yield from _length_problems(schema, len(value), path, "Properties", "entries")

    def _list_problems(self, schema: JSONObject, value: list[JSON], path: str) -> Iterator[Problem]:
        first = schema.get("prefixItems")
        prefix = first if isinstance(first, list) else []
        rest = schema.get("items")
        for index, item in enumerate(value):
            below = prefix[index] if index < len(prefix) else rest
            if isinstance(below, dict):
                yield from self.problems(below, item, f"{path}[{index}]")
        yield from _length_problems(schema, len(value), path, "Items", "items")

    def _words(self, schema: JSON) -> str:
        return _hint(schema, self._definitions)


def _repair_integer(value: str | float) -> JSON:
    if isinstance(value, str):
        return int(value) if _INTEGER.fullmatch(value) else value
    return int(value) if value.is_integer() and abs(value) <= _EXACT else value


def _may_be_meant(node: JSONObject, value: JSON) -> bool:
    if not _is_of_type(value, node.get("type")) or "anyOf" in node:
        return False
    properties = node.get("properties")
    if not isinstance(value, dict) or not isinstance(properties, dict):
        return True
    tags = {name: item for name, item in properties.items() if isinstance(item, dict) and "const" in item}
    return all(name in value and _is_among(value[name], item) for name, item in tags.items())


def _surplus(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name[:80], known, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    allowed = ", ".join(known[:20]) if known else "none"
    return f"unknown{guess or f'; allowed: {allowed}'}"


def _length_problems(schema: JSONObject, length: int, path: str, suffix: str, unit: str) -> Iterator[Problem]:
    least, most = schema.get(f"min{suffix}"), schema.get(f"max{suffix}")
    if isinstance(least, int) and length < least:
        yield path, f"expected at least {least} {unit}, got {length}"
    if isinstance(most, int) and length > most:
        yield path, f"expected at most {most} {unit}, got {length}"


def _number_problems(schema: JSONObject, value: float, path: str) -> Iterator[Problem]:
    for key, words, fails in _RANGES:
        bound = schema.get(key)
        if isinstance(bound, int | float) and fails(value, bound):
            yield path, f"expected {words} {bound}, got {describe(value)}"


_RANGES: Final[tuple[tuple[str, str, Callable[[float, float], bool]], ...]] = (
    ("minimum", "at least", lambda value, bound: value < bound),
    ("maximum", "at most", lambda value, bound: value > bound),
    ("exclusiveMinimum", "more than", lambda value, bound: value <= bound),
    ("exclusiveMaximum", "less than", lambda value, bound: value >= bound),
)


def _is_of_type(value: JSON, kind: JSON) -> bool:
    if kind is None:
        return True
    if isinstance(kind, list):
        return any(_is_of_type(value, item) for item in kind)
    match value:
        case None:
            return kind == "null"
        case bool():
            return kind == "boolean"
        case str():
            return kind == "string"
        case int():
            return kind in ("integer", "number")
        case float():
            return kind == "number"
        case list():
            return kind == "array"
    return kind == "object"


def _is_among(value: JSON, schema: JSONObject) -> bool:
    allowed = schema["enum"] if "enum" in schema else [schema["const"]]
    if not isinstance(allowed, list):
        return True
    # 1 == True == 1.0 in Python; in JSON a boolean is no number
    return any(value == item and isinstance(value, bool) == isinstance(item, bool) for item in allowed)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _pydantic_problems(exc: ValidationError, *, verbatim: bool) -> list[Problem]:
    found: list[Problem] = []
    for error in exc.errors(include_url=False, include_context=False)[: _MAX_PROBLEMS + 1]:
        path = ""
        for step in error["loc"]:
            path = f"{path}[{step}]" if isinstance(step, int) else _join(path, str(step)[:80])
        message = error["msg"][:300]
        if not verbatim:
            message = message.removeprefix("Value error, ").replace("Input should be", "expected", 1)
        says_all = error["type"] in ("missing", "value_error", "assertion_error")
        found.append((path, message if says_all else f"{message}, got {describe(error['input'])}"))
    return found


# --- words -------------------------------------------------------------------------------------------------


def describe(value: object) -> str:
    """Return a short JSON text of `value`, cut at 80 characters, for a message to the model."""
    if isinstance(value, str) and len(value) > 200:
        value = value[:200]
    elif isinstance(value, dict | list) and len(value) > 20:
        value = dict(list(value.items())[:20]) if isinstance(value, dict) else value[:20]
    try:
        text = stdlib_json.dumps(value, ensure_ascii=False, default=lambda item: type(item).__name__)
    except (ValueError, TypeError, RecursionError):
        text = type(value).__name__
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 80 else f"{text[:77]}..."


def _message(problems: list[Problem], hint: str) -> str:
    lines = [f"- {path}: {words}" if path else f"- {words}" for path, words in problems[:_MAX_PROBLEMS]]
    if len(problems) > _MAX_PROBLEMS:
        lines.append("- and more")
    text = "\n".join(["the arguments don't match the parameters:", *(line[:400] for line in lines)])
    return f"{text[: _MAX_MESSAGE_CHARS - len(hint)]}\nExpected {hint}"


def _near(text: str, message: str) -> str:
    """Return a few characters around the position that a JSON error names."""
    match = re.search(r"at character (\d+)$", message)
    if match is None or not text.strip():
        return ""
    position = min(int(match[1]), len(text))
    return f", near {describe(text[max(0, position - 20) : position + 20])}"


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _is_encodable(value: JSON) -> bool:
    try:
        stdlib_json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _hint(schema: JSON, definitions: JSONObject, *, budget: int = 160) -> str:
    text = _type_words(schema, definitions, 0)
    return text if len(text) <= budget else f"{text[: budget - 3]}..."


def _type_words(schema: JSON, definitions: JSONObject, depth: int) -> str:
    """Return `schema` the way TypeScript would say it; models read that well, and it is short."""
    if not isinstance(schema, dict) or depth > 6:
        return "any"
    node = resolve(schema, definitions)
    if "const" in node:
        return describe(node["const"])
    if isinstance(values := node.get("enum"), list):
        return " | ".join(describe(item) for item in values[:20]) + (" | ..." if len(values) > 20 else "")
    branches = node.get("anyOf", node.get("oneOf"))
    if isinstance(branches, list):
        return " | ".join(dict.fromkeys(_type_words(item, definitions, depth + 1) for item in branches))
    kind = node.get("type")
    if isinstance(kind, list):
        return " | ".join(str(item) for item in kind)
    if kind == "array":
        return f"[{_type_words(node.get('items'), definitions, depth + 1)}, ...]"
    if kind == "object":
        return _object_words(node, definitions, depth)
    return f"{kind} ({node['format']})" if "format" in node else str(kind or "any")


def _object_words(node: JSONObject, definitions: JSONObject, depth: int) -> str:
    properties = node.get("properties")
    if not isinstance(properties, dict):
        return "{...}"
    required = cast("list[JSON]", node.get("required", ()))
    words = [
        f"{stdlib_json.dumps(name)}{'' if name in required else '?'}: {_type_words(item, definitions, depth + 1)}"
        for name, item in properties.items()
    ]
    return f"{{{', '.join(words)}}}"


# --- which schemas need the walk ---------------------------------------------------------------------------


def _pydantic_is_too_lax(schema: JSONObject) -> bool:
    """Whether pydantic takes true for 1 somewhere: it does in enums and literals, even in strict mode."""
    return any(
        any(not isinstance(item, str | None) for item in _allowed(node)) for node in every_node(schema)
    ) or _is_open(schema)


def _allowed(node: JSONObject) -> list[JSON]:
    values = node.get("enum", [node["const"]] if "const" in node else [])
    return values if isinstance(values, list) else []


def _is_open(schema: JSONObject) -> bool:
    """Whether some object with known properties is open to others."""
    return any("properties" in node and node.get("additionalProperties") for node in every_node(schema))


def _recursive_branches(schema: JSONObject) -> int:
    """Return the most branches that a union without discriminator has, if there are recursive types; else 0."""
    return max(len(_branches(node)) for node in every_node(schema)) if "$defs" in schema else 0


def _objects_deep(value: JSON) -> int:
    if isinstance(value, dict):
        return 1 + max((_objects_deep(item) for item in value.values()), default=0)
    return max((_objects_deep(item) for item in value), default=0) if isinstance(value, list) else 0


def _branches(node: JSONObject) -> list[JSON]:
    branches = node.get("anyOf")
    if not isinstance(branches, list):
        return []
    return [item for item in branches if isinstance(item, dict) and item.get("type") in (None, "object", "array")]
