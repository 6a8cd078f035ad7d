"""JSON schemas rewritten: pydantic's into plain ones, plain ones into OpenAI's strict subset.

Only dicts in, dicts out; nothing here knows Python types. The subset, from "Structured model outputs" of
OpenAI's API documentation: objects list every property in `required` and set `additionalProperties` to
false; optional means a union with null; no `allOf`, `oneOf`, `not`, no tuples; a few formats; limits of
size (`MAX_PROPERTIES` and below). What the subset can't say as a keyword is said in the description.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from agentkit.json import JSON, JSONObject

MAX_PROPERTIES: Final = 5000
MAX_LEVELS: Final = 10
# "A schema may have up to 1000 enum values across all enum properties. For a single enum property with string
# values, the total string length of all enum values cannot exceed 15,000 characters when there are more than 250
# enum values." (Structured model outputs, Limitations on enum size)
MAX_ENUM_VALUES: Final = 1000
LONG_ENUM: Final = 250
MAX_LONG_ENUM_CHARS: Final = 15_000
# "... total string length of all property names, definition names, enum values, and const values cannot exceed
# 120,000 characters." (Structured model outputs, Limitations on total string size)
MAX_NAME_CHARS: Final = 120_000
FORMATS: Final = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})

_DEFINITIONS = "#/$defs/"
_SCALARS = {"string", "number", "integer", "boolean"}
_LOOK_AROUND = re.compile(r"\(\?(?:[=!<]|P)|\\[AZzGKR]|\(\?[a-zA-Z]+[:)]")


# --- plain schemas -----------------------------------------------------------------------------------------


def tidy(schema: JSONObject) -> JSONObject:
    """Return pydantic's schema without titles and OpenAPI's discriminators, definitions inlined where that is shorter.

    Objects whose properties are known are closed (`additionalProperties: false`), since surplus arguments are
    refused. A definition stays one where it is recursive, or large and used more than once; a `$ref` never has
    siblings.
    """
    definitions = {name: _tidy_node(_object(node)) for name, node in _object(schema.get("$defs", {})).items()}
    root = _tidy_node({key: value for key, value in schema.items() if key != "$defs"})
    inlined = _Inliner(definitions, root)
    root = inlined.expand(root, keep=False)
    kept = inlined.kept_definitions(root)
    return {**root, "$defs": cast("JSON", kept)} if kept else root


def _tidy_node(node: JSONObject) -> JSONObject:
    result: JSONObject = {}
    for key, value in node.items():
        if key not in ("title", "discriminator"):
            result[key] = value
    _unwrap_all_of(result)
    if "properties" in result and "additionalProperties" not in result:
        result["additionalProperties"] = False
    return map_children(result, _tidy_node)


def _unwrap_all_of(node: JSONObject) -> None:
    parts = node.get("allOf")
    if isinstance(parts, list) and len(parts) == 1 and isinstance(parts[0], dict):
        del node["allOf"]
        for key, value in parts[0].items():
            node.setdefault(key, value)


_NAMED = frozenset({"properties", "patternProperties", "$defs"})
_LISTED = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SINGLE = frozenset({"items", "additionalProperties", "not", "contains"})
_HOLDING = _NAMED | _LISTED | _SINGLE


def map_children(node: JSONObject, change: Callable[[JSONObject], JSONObject]) -> JSONObject:
    """Return a copy of `node` whose direct subschemas went through `change`; ``true`` counts as ``{}``."""
    result = dict(node)
    if _HOLDING.isdisjoint(node):
        return result
    for key, value in node.items():
        if isinstance(value, dict):
            if key in _NAMED:
                result[key] = {name: change(_object(child)) for name, child in value.items()}
            elif key in _SINGLE:
                result[key] = change(value)
        elif isinstance(value, list) and key in _LISTED:
            result[key] = [change(_object(child)) for child in value]
    return result


def children(node: JSONObject) -> Iterator[tuple[str, JSONObject]]:
    """Yield the direct subschemas of `node` with a word for where they are; definitions are not among them."""
    if _HOLDING.isdisjoint(node):
        return
    for key, value in node.items():
        if isinstance(value, dict):
            if key in _NAMED and key != "$defs":
                for name, child in value.items():
                    yield name, _object(child)
            elif key in _SINGLE:
                yield "values" if key == "additionalProperties" else key, value
        elif isinstance(value, list) and key in _LISTED:
            for index, child in enumerate(value):
                yield f"{key}[{index}]", _object(child)


def every_node(schema: JSONObject) -> Iterator[JSONObject]:
    """Yield `schema` and all subschemas, those of its definitions too, each where it is written."""
    waiting = [schema, *(_object(node) for node in _object(schema.get("$defs", {})).values())]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(child for _, child in children(node))


def resolve(node: JSONObject, definitions: Mapping[str, JSON]) -> JSONObject:
    """Return what a `$ref` stands for, or `node` itself; an unknown one stands for anything."""
    for _ in range(100):  # a chain of references that never ends is no schema
        name = _reference(node)
        if name is None:
            return node
        node = _object(definitions.get(name, {}))
    return {}


def _reference(node: JSONObject) -> str | None:
    reference = node.get("$ref")
    if isinstance(reference, str) and reference.startswith(_DEFINITIONS):
        return reference.removeprefix(_DEFINITIONS).replace("~1", "/").replace("~0", "~")
    return None


def _object(node: JSON) -> JSONObject:
    return node if isinstance(node, dict) else {} if node is True or node is None else {"not": {}}


class _Inliner:
    """Replaces `$ref`s by their definitions where a reader, or a small server, is better off without."""

    def __init__(self, definitions: dict[str, JSONObject], root: JSONObject) -> None:
        self._definitions = definitions
        self._recursive = {name for name in definitions if self._reaches(name)}
        self._uses: dict[str, int] = {}
        for node in (root, *definitions.values()):
            for name in _references(node):
                self._uses[name] = self._uses.get(name, 0) + 1

    def expand(self, node: JSONObject, *, keep: bool = True) -> JSONObject:
        name = _reference(node)
        if name is None or name not in self._definitions:
            return map_children(node, self.expand)
        siblings = {key: value for key, value in node.items() if key != "$ref"}
        definition = self._definitions[name]
        if name in self._recursive and keep:
            reference: JSONObject = {"$ref": node["$ref"]}
            return {"anyOf": [reference], **siblings} if siblings else reference
        if keep and not siblings and self._uses[name] > 1 and _is_large(definition):
            return {"$ref": node["$ref"]}
        return map_children({**definition, **siblings}, self.expand)

    def kept_definitions(self, root: JSONObject) -> dict[str, JSONObject]:
        kept: dict[str, JSONObject] = {}
        waiting = sorted(set(_references(root)), key=list(self._definitions).index)
        while waiting:
            name = waiting.pop(0)
            if name not in kept:
                kept[name] = map_children(self._definitions[name], self.expand)
                waiting.extend(_references(kept[name]))
        return kept

    def _reaches(self, start: str) -> bool:
        seen: set[str] = set()
        waiting = list(_references(self._definitions[start]))
        while waiting:
            name = waiting.pop()
            if name == start:
                return True
            if name not in seen and name in self._definitions:
                seen.add(name)
                waiting.extend(_references(self._definitions[name]))
        return False


def _references(node: JSONObject) -> Iterator[str]:
    if (name := _reference(node)) is not None:
        yield name
    for _, child in children(node):
        yield from _references(child)


def _is_large(definition: JSONObject) -> bool:
    return any(True for _ in children(definition))


# --- the strict subset -------------------------------------------------------------------------------------


def to_strict(schema: JSONObject) -> JSONObject:
    """Return `schema` with everything said the strict way, as far as there is one.

    Optional properties become required and nullable, their defaults go into the description, and so does every
    keyword that the subset doesn't know. What has no strict form stays; `strict_reason` finds it.
    """
    node = map_children(schema, to_strict)
    if "oneOf" in node:  # a value matches one branch of a tagged union only, so that anyOf says the same
        node = {"anyOf" if key == "oneOf" else key: value for key, value in node.items()}
    _spell_out_union(node)
    _spell_out_types(node)
    if isinstance(properties := node.get("properties"), dict):
        required = cast("list[JSON]", node.get("required", []))
        node["properties"] = {
            name: _object(child) if name in required or _is_tag(_object(child)) else _optional(_object(child))
            for name, child in properties.items()
        }
        node["required"] = list(properties)
        node["properties"] = {
            name: _without_default(_object(child)) for name, child in _object(node["properties"]).items()
        }
    _move_to_description(node)
    return node


def _spell_out_union(node: JSONObject) -> None:
    """Write a union of scalars as a list of types: chat templates render that, and not `anyOf`."""
    branches = node.get("anyOf")
    if not isinstance(branches, list) or "type" in node:
        return
    plain = [item for item in branches if isinstance(item, dict)]
    if all(
        item.keys() == {"type"} and isinstance(item["type"], str) and item["type"] in {*_SCALARS, "null"}
        for item in plain
    ):
        del node["anyOf"]
        types = list(dict.fromkeys(cast("str", item["type"]) for item in plain))
        node["type"] = cast("JSON", types if len(types) > 1 else types[0])


def _spell_out_types(node: JSONObject) -> None:
    """Give `enum` and `const` their type, which pydantic leaves out for mixed literals."""
    if "type" in node:
        return
    values = node.get("enum") if "enum" in node else [node["const"]] if "const" in node else None
    if isinstance(values, list) and values:
        types = list(dict.fromkeys(_type_name(item) for item in values))
        node["type"] = cast("JSON", types if len(types) > 1 else types[0])


def _type_name(value: JSON) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _is_tag(node: JSONObject) -> bool:
    """Whether the default is the only value, as for ``kind: Literal["a"] = "a"``: null would say nothing more."""
    values = node.get("enum", [node["const"]] if "const" in node else None)
    return "default" in node and values == [node["default"]]


def _optional(node: JSONObject) -> JSONObject:
    """Return `node` made nullable; null means the default, which the description names."""
    words = _default_words(node)
    node = _without_default(node)
    if words:
        node["description"] = _sentences(node.get("description"), words)
    return node if accepts_null(node) else _nullable(node)


def _default_words(node: JSONObject) -> str:
    if "default" not in node:
        return "null leaves it out."
    if node["default"] is None:  # null says it by itself
        return ""
    text = json.dumps(node["default"], ensure_ascii=False)
    said = str(node.get("description", ""))
    if "default" in said.lower() and text.strip('"').lower() in said.lower():
        return ""
    return f"Default: {text}." if len(text) <= 200 else "null leaves it out."


def _without_default(node: JSONObject) -> JSONObject:
    return {key: value for key, value in node.items() if key != "default"}


def accepts_null(node: JSONObject) -> bool:
    """Whether null is among the values of `node`, as far as can be told without following references."""
    kind = node.get("type")
    if kind == "null" or (isinstance(kind, list) and "null" in kind and None in _values(node)):
        return True
    branches = node.get("anyOf", node.get("oneOf"))
    if isinstance(branches, list):
        return any(accepts_null(_object(item)) for item in branches)
    return not node.keys() - {"description"}


def _values(node: JSONObject) -> list[JSON]:
    values = node.get("enum", [node["const"]] if "const" in node else [None])
    return values if isinstance(values, list) else [None]


def _nullable(node: JSONObject) -> JSONObject:
    description = {"description": node["description"]} if "description" in node else {}
    kind = node.get("type")
    if "const" not in node and (isinstance(kind, list) or kind in _SCALARS):
        kinds = kind if isinstance(kind, list) else [kind]
        node = {**node, "type": [*kinds, *([] if "null" in kinds else ["null"])]}
        if isinstance(values := node.get("enum"), list):
            node["enum"] = [*values, None]
        return node
    if isinstance(branches := node.get("anyOf"), list):
        return {**node, "anyOf": [*branches, {"type": "null"}]}
    bare = {key: value for key, value in node.items() if key != "description"}
    return {"anyOf": [bare, {"type": "null"}], **description}


_WORDS: dict[str, Callable[[JSON], str]] = {
    "minLength": lambda value: f"At least {value} character{'' if value == 1 else 's'}.",
    "maxLength": lambda value: f"At most {value} character{'' if value == 1 else 's'}.",
    "minProperties": lambda value: f"At least {value} entries.",
    "maxProperties": lambda value: f"At most {value} entries.",
    "uniqueItems": lambda value: "No duplicates." if value else "",
    "examples": lambda value: f"Examples: {', '.join(_short(item) for item in _list(value))}.",
    "contentEncoding": lambda value: f"Encoded as {value}.",
    "contentMediaType": lambda value: f"Contains {value}.",
    "deprecated": lambda value: "Deprecated." if value else "",
    "readOnly": lambda _value: "",
    "writeOnly": lambda _value: "",
    "$comment": lambda _value: "",
}
_FORMAT_WORDS = {
    "path": "A path in the file system.",
    "file-path": "A path of an existing file.",
    "directory-path": "A path of an existing directory.",
    "base64url": "Bytes as base64 text.",
    "binary": "Bytes as UTF-8 text.",
    "uri": "A URL.",
    "password": "A secret.",
}


def _move_to_description(node: JSONObject) -> None:
    words = [_WORDS[key](node.pop(key)) for key in list(node) if key in _WORDS]
    if isinstance(pattern := node.get("pattern"), str) and _LOOK_AROUND.search(pattern):
        words.append(f"Matches the regular expression {node.pop('pattern')}")
    if isinstance(kind := node.get("format"), str) and kind not in FORMATS:
        del node["format"]
        if node.get("type") != "number":  # "double" and the like say nothing that "number" doesn't
            words.append(_FORMAT_WORDS.get(kind, f"Format: {kind}."))
    if any(words):
        node["description"] = _sentences(node.get("description"), *words)


def _sentences(*parts: object) -> str:
    texts = [part.strip() for part in parts if isinstance(part, str) and part.strip()]
    return " ".join(text if text[-1] in ".!?:;" or text is texts[-1] else f"{text}." for text in texts)


def _short(value: JSON) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _list(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else [value]


# --- what isn't strict -------------------------------------------------------------------------------------

_KNOWN = {
    *("type", "enum", "const", "anyOf", "properties", "required", "additionalProperties", "items"),
    *("description", "title", "$ref", "$defs", "pattern", "format", "multipleOf", "minimum", "maximum"),
    *("exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems"),
}


def strict_reason(schema: JSONObject) -> str | None:
    """Return why `schema` is outside the strict subset, naming the first place; None where it is inside."""
    if schema.get("type") != "object" or "properties" not in schema:
        return "the root is not an object with known properties"
    definitions = _object(schema.get("$defs", {}))
    for name, node in [("", schema), *((name, _object(node)) for name, node in definitions.items())]:
        if reason := _first_reason(node, name, definitions):
            return reason
    return _size_reason(schema, definitions)


def _first_reason(node: JSONObject, path: str, definitions: JSONObject) -> str | None:
    reason = _node_reason(node, definitions)
    if reason:
        return f"{path!r} {reason}" if path else f"the schema {reason}"
    for word, child in children(node):
        # which branch of a union it is says nothing to the author of a function
        below = path if word.startswith(("anyOf", "allOf", "oneOf")) else f"{path}.{word}" if path else word
        if reason := _first_reason(child, below, definitions):
            return reason
    return None


def _node_reason(node: JSONObject, definitions: JSONObject) -> str | None:
    if "$ref" in node:
        if len(node) > 1:
            return "has keywords next to $ref"
        return None if _reference(node) in definitions else "refers outside the schema"
    if "prefixItems" in node:
        return "is a tuple, which has no strict form (a list, or an object with named fields, has one)"
    if node.get("additionalProperties", False) is not False:
        return "is an object open to any property" if "properties" in node else "is a map with free keys"
    if not node.keys() & {"type", "anyOf"}:
        return "accepts any value"
    if unknown := sorted(node.keys() - _KNOWN):
        return f"uses {unknown[0]!r}, which the strict subset doesn't know"
    return _shape_reason(node)


def _shape_reason(node: JSONObject) -> str | None:
    kinds = _list(node.get("type"))
    if "object" in kinds:
        if "properties" not in node or node.get("additionalProperties") is not False:
            return "is an object open to any property"
        if set(cast("list[str]", node.get("required", []))) != _object(node["properties"]).keys():
            return "has optional properties"
    if "array" in kinds and "items" not in node:
        return "is an array of anything"
    if isinstance(kind := node.get("format"), str) and kind not in FORMATS:
        return f"has the format {kind!r}, which the strict subset doesn't know"
    return None


def _size_reason(schema: JSONObject, definitions: JSONObject) -> str | None:
    text = json.dumps(schema)
    if len(text) <= MAX_ENUM_VALUES and text.count('"object"') + text.count('"array"') <= MAX_LEVELS:
        return None  # what is small as text is small in every way that is counted below
    count = sum(_count_properties(_object(node)) for node in (schema, *definitions.values()))
    if count > MAX_PROPERTIES:
        return f"there are {count} properties, and at most {MAX_PROPERTIES} are allowed"
    levels = _levels(schema, definitions, {})
    if levels > MAX_LEVELS:
        return f"objects and lists are nested {levels} levels deep, and at most {MAX_LEVELS} are allowed"
    return _text_size_reason(schema, definitions)


def _text_size_reason(schema: JSONObject, definitions: JSONObject) -> str | None:
    count, chars = 0, sum(map(len, definitions))
    for node in every_node(schema):
        values = _list(node.get("enum", []))
        size = sum(_text_size(item) for item in values)
        if len(values) > LONG_ENUM and size > MAX_LONG_ENUM_CHARS:
            return (
                f"an enum of {len(values)} values has {size} characters, and at most {MAX_LONG_ENUM_CHARS} are allowed "
                f"above {LONG_ENUM} values"
            )
        count += len(values)
        chars += size + sum(map(len, _object(node.get("properties", {})))) + _text_size(node.get("const"))
    if count > MAX_ENUM_VALUES:
        return f"there are {count} enum values, and at most {MAX_ENUM_VALUES} are allowed"
    if chars > MAX_NAME_CHARS:
        return f"names and enum values have {chars} characters, and at most {MAX_NAME_CHARS} are allowed"
    return None


def _text_size(value: JSON) -> int:
    return len(value) if isinstance(value, str) else 0


def _count_properties(node: JSONObject) -> int:
    own = len(_object(node.get("properties", {})))
    return own + sum(_count_properties(child) for _, child in children(node))


def _levels(node: JSONObject, definitions: JSONObject, known: dict[str, int]) -> int:
    name = _reference(node)
    if name is not None:
        if name not in known:
            known[name] = 0  # recursion adds nothing: the definition counts once
            known[name] = _levels(_object(definitions.get(name, {})), definitions, known)
        return known[name]
    below = max((_levels(child, definitions, known) for _, child in children(node)), default=0)
    return below + bool({"object", "array"} & {str(item) for item in _list(node.get("type"))})
