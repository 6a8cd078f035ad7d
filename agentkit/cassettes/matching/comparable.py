"""A request's body as it counts for matching: what two runs of the same program can't help but differ in is gone.

Left out are fields that say how a request is filed and billed, and each item's `status`. Equal are `1.0` and `1`,
strings of `arguments` and `output` that hold the same JSON object or array, and the API's short and long forms: a
string as `input` and one user message, a message without its type, a string as content and one `input_text` part
(for an assistant's message the API has no such short form, so there the two differ).

Ids that the request itself introduces count by order of appearance. One that points outside of it (a
`previous_response_id`, an `item_reference`, the output of a call that isn't there) counts as it is: it tells which
conversation the request goes on with. An id of four characters and more that isn't a mere word counts by order of
appearance also where a text after it mentions it, as tools and models do.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agentkit import json
from agentkit.cassettes.matching.paths import IGNORED, Embedded

if TYPE_CHECKING:
    from agentkit.json import JSON, JSONObject

DROPPED = {
    "metadata": "labels for the account's owner",
    "user": "labels for the account's owner",
    "safety_identifier": "labels for the account's owner",
    "store": "what the server keeps",
    "prompt_cache_key": "how the server caches",
    "prompt_cache_retention": "how the server caches",
    "service_tier": "how the request is billed",
}
"""Fields of the body that don't count, and what they say instead of what is asked."""

ID_FIELDS = ("id", "call_id", "approval_request_id", "container_id")
"""Fields of an item that hold ids."""

JSON_TEXTS = ("arguments", "output")
"""Fields of an item whose string is compared as JSON where it holds an object or an array."""

EMBEDDED = "\0json"
"""The first element of a list that stands for JSON within a string. No string of a body can be it: a NUL is doubled."""

ID = "\0id\0"
"""An id, whichever."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{4,}")


class Ids:
    """The ids of one request, numbered by order of appearance."""

    __slots__ = ("alike", "numbers")

    def __init__(self, numbers: dict[str, int] | None = None, *, alike: bool = False) -> None:
        """Begin with ids that have numbers already.

        `alike` has all ids count as the same one, for finding what else differs: one item more in the middle moves
        all the numbers after it.
        """
        self.numbers = numbers or {}
        self.alike = alike

    def copy(self) -> Ids:
        """Return ids that can grow apart from these."""
        return Ids(self.numbers.copy(), alike=self.alike)

    def number(self, item: JSONObject) -> JSONObject:
        """Return an item with its ids as numbers; ids that it introduces are added."""
        kind = item.get("type")
        refers = isinstance(kind, str) and kind.endswith(("_output", "_response"))
        found: JSONObject = {}
        for name in ID_FIELDS:
            value = item.get(name)
            if not isinstance(value, str):
                continue
            if not (kind == "item_reference" or name == "approval_request_id" or (refers and name == "call_id")):
                self._add(value)
            found[name] = self._marked(value) if self.alike or value in self.numbers else _escape(value)
        return found

    def text(self, text: str) -> str:
        """Return a text with the ids that it mentions as numbers."""
        text = _escape(text)
        if not self.numbers or self.numbers.keys().isdisjoint(_TOKEN.findall(text)):
            return text
        return _TOKEN.sub(self._mention, text)

    def _add(self, value: str) -> None:
        if value not in self.numbers:
            self.numbers[value] = len(self.numbers)

    def _mention(self, match: re.Match[str]) -> str:
        token = match[0]
        return self._marked(token) if token in self.numbers and _is_mentionable(token) else token

    def _marked(self, value: str) -> str:
        return ID if self.alike else f"\0{self.numbers[value]}\0"


def shape_body(body: JSONObject) -> JSONObject:
    """Return a body without the fields that don't count, its input in the API's long form."""
    shaped = {key: value for key, value in body.items() if key not in DROPPED}
    if shaped.get("stream") is False:  # what a request asks for that doesn't say
        del shaped["stream"]
    if isinstance(asked := shaped.get("input"), str):
        shaped["input"] = [{"type": "message", "role": "user", "content": asked}]
    return shaped


def shape_item(item: JSON) -> object:
    """Return an item in the API's long form, without what doesn't count, JSON within its strings opened."""
    if not isinstance(item, dict):
        return item
    shaped: dict[str, object] = {key: value for key, value in item.items() if key != "status"}
    if shaped.get("type") is None and "role" in shaped:
        shaped["type"] = "message"
    content = shaped.get("content")
    if shaped.get("type") == "message" and isinstance(content, str) and shaped.get("role") != "assistant":
        shaped["content"] = [{"type": "input_text", "text": content}]
    for name in JSON_TEXTS:
        if isinstance(text := shaped.get(name), str):
            shaped[name] = _opened(text)
    return shaped


def comparable_item(item: object, ids: Ids) -> JSON:
    """Return a shaped item with its ids and numbers as they count."""
    if not isinstance(item, dict):
        return comparable(item, ids)
    found = ids.number(item)
    return {key: found[key] if key in found else comparable(value, ids) for key, value in item.items()}


def comparable(value: object, ids: Ids) -> JSON:
    """Return a shaped value with the ids that its texts mention and its numbers as they count."""
    # Loops, not comprehensions: a frame less for each of 200 levels.
    if isinstance(value, str):
        return value if value is IGNORED else ids.text(value)
    if isinstance(value, dict):
        members: JSONObject = {}
        for key, member in value.items():
            members[key] = comparable(member, ids)
        return members
    if isinstance(value, list):
        elements: list[JSON] = []
        for element in value:
            elements.append(comparable(element, ids))  # noqa: PERF401
        return elements
    if isinstance(value, Embedded):
        return [EMBEDDED, comparable(value.value, ids)]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value  # type: ignore[return-value]


def _opened(text: str) -> str | Embedded:
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return Embedded(json.decode_strict(text))
    except json.JSONError:
        return text


def _is_mentionable(value: str) -> bool:
    return not value.isalpha() and _TOKEN.fullmatch(value) is not None


def _escape(text: str) -> str:
    return text.replace("\0", "\0\0") if "\0" in text else text
