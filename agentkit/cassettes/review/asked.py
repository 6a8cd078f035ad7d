"""What a recorded request asks: its fields once, and the items that it adds to the conversation it goes on with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agentkit import items as item_views
from agentkit import json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentkit.cassettes.interaction import Interaction, Recording
    from agentkit.items import Item
    from agentkit.json import JSON, JSONObject


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for a response."""

    fields: JSONObject
    """The body without its `input`; shared between the requests of a conversation, and not to be changed."""
    added: tuple[Item, ...]
    """The items that follow those of the request it goes on with; all of them where it goes on with none."""
    parent: int | None = None
    """The index of the interaction that it goes on with."""
    history: int = 0
    """How many items the request that it goes on with has."""

    @property
    def instructions(self) -> str | None:
        """The instructions."""
        given = self.fields.get("instructions")
        return given if isinstance(given, str) else None

    @property
    def model(self) -> str:
        """The model that was asked."""
        return str(self.fields.get("model") or "")

    @property
    def tools(self) -> dict[str, JSONObject]:
        """The tools by name."""
        given = self.fields.get("tools")
        listed = [tool for tool in given if isinstance(tool, dict)] if isinstance(given, list) else []
        return {str(tool.get("name") or tool.get("type")): tool for tool in listed}


def read_requests(recording: Recording) -> list[Asked | None]:
    """Return what each interaction asks; None for one that is no request for a response.

    Where the recording doesn't say which conversation a request goes on with (a converted one may not), it is the
    one whose items it repeats.
    """
    reader = _Reader()
    return [reader.read(interaction) for interaction in recording]


@dataclass(slots=True)
class _Reader:
    """Reads requests in order; a body that only adds to an earlier one is read from where it adds."""

    _read: list[Asked | None] = field(default_factory=list)
    _bodies: list[Interaction] = field(default_factory=list)
    _keys: dict[int, int] = field(default_factory=dict)
    """By the request's index: a hash of all its items."""
    _prefixes: dict[int, int] = field(default_factory=dict)
    """By that hash: the last request with these items."""

    def read(self, interaction: Interaction) -> Asked | None:
        asked = self._added(interaction) or self._whole(interaction)
        self._read.append(asked)
        self._bodies.append(interaction)
        return asked

    def _added(self, interaction: Interaction) -> Asked | None:
        """Read no more than the tail of a body that is its parent's with items appended."""
        parent, body = interaction.parent, interaction.body
        before = self._read[parent] if parent is not None and parent < len(self._read) else None
        if parent is None or before is None:
            return None
        whole = self._bodies[parent].body
        if body.parent is not whole or body.kept != whole.size - 2 or not body.tail.startswith(b","):
            return None
        added = _listed(b"[" + body.tail[1:-2] + b"]") if body.tail.endswith(b"]}") else None
        if added is None:
            return None
        self._remember(_prefix_keys(self._keys[parent], added))
        return Asked(before.fields, added, parent, before.history + len(before.added))

    def _whole(self, interaction: Interaction) -> Asked | None:
        if not is_responses(interaction):
            return None
        try:
            body = json.decode(bytes(interaction.body))
        except json.JSONError:
            return None
        if not isinstance(body, dict) or "input" not in body:
            return None
        items = _items_of(body["input"])
        fields = {name: value for name, value in body.items() if name != "input"}
        keys = _prefix_keys(hash(interaction.lane), items)
        parent = self._extended(interaction, items)
        if parent is None:
            parent = next((self._prefixes[key] for key in reversed(keys[:-1]) if key in self._prefixes), None)
        self._remember(keys)
        before = self._read[parent] if parent is not None else None
        if before is None:
            return Asked(fields, items)
        history = before.history + len(before.added)
        return Asked(fields, items[history:], parent, history)

    def _remember(self, keys: Sequence[int]) -> None:
        index = len(self._read)
        self._keys[index] = keys[-1] if keys else 0
        if keys:
            self._prefixes[keys[-1]] = index

    def _extended(self, interaction: Interaction, items: tuple[Item, ...]) -> int | None:
        """Return the request that this one is said to go on with, unless its history was changed since."""
        parent = interaction.parent
        if parent is None or parent >= len(self._read) or self._read[parent] is None:
            return None
        body = json.decode(bytes(self._bodies[parent].body))
        earlier = _items_of(body["input"]) if isinstance(body, dict) else ()
        return parent if items[: len(earlier)] == earlier else None


def is_responses(interaction: Interaction) -> bool:
    """Tell whether this is a request for a response."""
    return interaction.method.upper() == "POST" and urlsplit(interaction.uri).path.rstrip("/").endswith("/responses")


def _items_of(given: JSON) -> tuple[Item, ...]:
    if isinstance(given, str):
        return ({"type": "message", "role": "user", "content": given},)
    return tuple(item for item in given if isinstance(item, dict)) if isinstance(given, list) else ()


def _listed(data: bytes) -> tuple[Item, ...] | None:
    try:
        value = json.decode(data)
    except json.JSONError:
        return None
    listed = value if isinstance(value, list) else []
    return tuple(item for item in listed if isinstance(item, dict)) if listed else None


def _prefix_keys(last: int, items: Sequence[Item]) -> list[int]:
    """Return for each item a hash of all items up to it; `last` is the one of those before them."""
    keys: list[int] = []
    for item in items:
        last = hash((last, json.encode(_bare(item))))
        keys.append(last)
    return keys


def _bare(item: Item) -> Item:
    """Return an item without what a client may leave out when it sends it back."""
    return {**item, "type": "message"} if item_views.is_message(item) else item
