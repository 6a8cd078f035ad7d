"""A request as what it adds to an earlier one: each request of a conversation repeats the one before it.

Where only items were added, both ways work on the bytes, at the price of what was added: the items go before what
closes `input` in the earlier body. Where a field changed too, the body is compared as JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, cast

from agentkit import json
from agentkit.cassettes.format import bodies
from agentkit.cassettes.format.answers import first_response, output_items
from agentkit.cassettes.format.styles import Style, recognise
from agentkit.cassettes.interaction import Body, Interaction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentkit.cassettes.format.document import Spot
    from agentkit.json import JSON, JSONObject

KEYS = ("input_kept", "input_added", "changed", "removed")


class Join(NamedTuple):
    """How items are added to a body without reading it."""

    style: Style
    close: bytes
    """What follows the last item: `]}` where `input` is the last field."""

    @property
    def separator(self) -> bytes:
        return self.style.separator or b""


@dataclass
class Base:
    """A request that others go on from."""

    interaction: Interaction
    join: Join | None = None
    known: bool = field(default=False, repr=False)
    """Whether `join` is settled."""

    @cached_property
    def outputs(self) -> list[JSON]:
        """The items of its answer."""
        return output_items(self.interaction.answer)

    @cached_property
    def opening(self) -> dict[str, object] | None:
        """The first response object of its answer."""
        return first_response(self.interaction.answer)

    @cached_property
    def parsed(self) -> tuple[JSONObject, Style] | None:
        """The body as JSON, where it is an object."""
        found = recognise(bytes(self.interaction.body))
        return cast("tuple[JSONObject, Style]", found) if found and isinstance(found[0], dict) else None

    @cached_property
    def added(self) -> dict[bytes, int]:
        """The items of its answer as this request's style spells them."""
        style = self.settled.style if self.settled else self.parsed[1] if self.parsed else Style()
        plain = style._replace(newline=False)
        found: dict[bytes, int] = {}
        for index, item in enumerate(self.outputs):
            try:
                found.setdefault(plain.encode(item), index)
            except json.JSONError:
                continue
        return found

    @property
    def settled(self) -> Join | None:
        """How items are added to the body; None where that takes reading it."""
        if not self.known:
            self.join, self.known = self._find_join(), True
        return self.join

    def _find_join(self) -> Join | None:
        if self.parsed is None:
            return None
        value, style = self.parsed
        given = value.get("input")
        if style.separator is None or not isinstance(given, list) or not given:
            return None
        names = list(value)
        later = {name: value[name] for name in names[names.index("input") + 1 :]}
        plain = style._replace(newline=False)
        rest = style.separator + plain.encode(later)[1:-1] if later else b""
        return Join(style, b"]" + rest + (b"}\n" if style.newline else b"}"))


def added_form(base: Base, body: Body) -> Iterator[tuple[dict[str, object], Join | None]]:
    """Give a body as what it adds to `base`, where it does."""
    join = base.settled
    items = _items_after(base, body, join) if join else None
    if items is not None:
        yield _with_added({}, items, base, join.style if join else Style()), join
    elif (form := _changes(base, body)) is not None:
        yield form, None


def _items_after(base: Base, body: Body, join: Join) -> list[JSON] | None:
    """Return the items that were added to the base's bytes; None where something else changed."""
    parent = base.interaction.body
    kept = parent.size - len(join.close)
    if body.parent is parent and body.kept == kept:
        tail = body.tail
    elif body.size >= parent.size:
        whole, before = bytes(body), bytes(parent)
        if whole[:kept] != before[:kept]:
            return None
        tail = whole[kept:]
    else:
        return None
    if tail == join.close:
        return []
    if not tail.startswith(join.separator) or not tail.endswith(join.close):
        return None
    return _decoded_items(tail[len(join.separator) : -len(join.close)], join)


def _decoded_items(data: bytes, join: Join) -> list[JSON] | None:
    plain = join.style._replace(newline=False)
    try:
        items = cast("list[JSON]", json.decode(b"[" + data + b"]"))
        return items if items and plain.encode(items)[1:-1] == data else None
    except json.JSONError:
        return None


def _with_added(form: dict[str, object], items: list[JSON], base: Base, style: Style) -> dict[str, object]:
    plain = style._replace(newline=False)
    written = [_item_form(item, base.added.get(plain.encode(item))) for item in items]
    return {**form, "input_added": written} if written else form


def _item_form(item: JSON, output: int | None) -> object:
    if output is not None:
        return {"$output": output}
    if isinstance(item, dict) and len(item) == 1 and next(iter(item)).startswith("$"):
        return {"$item": item}
    return item


def _changes(base: Base, body: Body) -> dict[str, object] | None:
    """Return what differs from the base, as JSON; None where the bodies have too little in common."""
    found = recognise(bytes(body), base.parsed[1]) if base.parsed else None
    if base.parsed is None or found is None or not isinstance(found[0], dict) or found[1] != base.parsed[1]:
        return None
    before, style = base.parsed
    after = cast("JSONObject", found[0])
    old, new = before.get("input"), after.get("input")
    if not isinstance(old, list) or not isinstance(new, list):
        return None
    plain = style._replace(newline=False)
    same = _common(old, new, plain)
    if not same:
        return None
    form: dict[str, object] = {"input_kept": same} if same < len(old) else {}
    changed = {
        name: value
        for name, value in after.items()
        if name != "input" and (name not in before or plain.encode(before[name]) != plain.encode(value))
    }
    removed = [name for name in before if name not in after]
    form |= {"changed": changed} if changed else {}
    form |= {"removed": removed} if removed else {}
    return _with_added(form, new[same:], base, style)


def _common(old: list[JSON], new: list[JSON], plain: Style) -> int:
    same = 0
    for one, other in zip(old, new, strict=False):
        if one != other or plain.encode(one) != plain.encode(other):
            break
        same += 1
    return same


def read_added(spot: Spot, base: Base) -> tuple[Body, Join | None]:
    """Return the body that goes on from `base` as the mapping at `spot` says, and how items are added to it."""
    written = spot.mapping("a request")
    given = spot.member("input_added", [])
    items = [_item(each, base) for each in given.members("a list of input items")]
    join = base.settled
    if join is None or any(key in written for key in ("input_kept", "changed", "removed")):
        return Body(_rebuilt(spot, base, items)), None
    plain = join.style._replace(newline=False)
    try:
        tail = join.separator + plain.encode(items)[1:-1] + join.close if items else join.close
    except json.JSONError as exc:
        given.fail(str(exc))
    parent = base.interaction.body
    return Body(tail, parent, parent.size - len(join.close)), join


def _item(spot: Spot, base: Base) -> JSON:
    item = cast("JSON", spot.value)
    if not isinstance(item, dict) or len(item) != 1:
        return item
    if "$item" in item:
        return item["$item"]
    if "$output" in item:
        last = len(base.outputs) - 1
        if last < 0:
            spot.fail("found $output; the turn that this one continues has no answer with items. Give the item itself")
        return base.outputs[spot.member("$output").integer(0, last)]
    return item


def _rebuilt(spot: Spot, base: Base, items: list[JSON]) -> bytes:
    """Return a body with changed fields."""
    if base.parsed is None or not isinstance(base.parsed[0].get("input"), list):
        spot.fail("the turn that this one continues has no JSON body with a list as its input. Give the whole body")
    before, style = base.parsed
    old = cast("list[JSON]", before["input"])
    kept = spot.member("input_kept", len(old)).integer(0, len(old))
    changed = cast("JSONObject", spot.member("changed", {}).mapping("the changed fields"))
    removed = [each.text("the name of a field") for each in spot.member("removed", []).members("a list of fields")]
    for index, name in enumerate(removed):
        if name not in before:
            spot.below("removed", None).below(index, name).wrong(f"a field of the earlier body: {', '.join(before)}")
    value: JSONObject = {name: changed.get(name, old) for name, old in before.items() if name not in removed}
    added = {name: each for name, each in changed.items() if name not in before}
    value["input"] = [*old[:kept], *items]
    if list(value)[-1] == "input":
        value = {name: value[name] for name in value if name != "input"} | added | {"input": value["input"]}
    else:
        value |= added
    return bodies.encoded(spot.below("changed", value), style)
