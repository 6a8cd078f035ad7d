"""The fold of a stream's events into one response.

Servers differ in nearly everything but the names of the events: some number them and some don't, some leave
out `item_id`, `output_index`, the `*.done` events, or the items of the final response (protocol notes,
section 7.4). So items are found by id, then by the one open item at their index, then as the last opened;
and the most complete word on each wins: the final response, then `output_item.done`, then `*.done`, then deltas.
"""

from __future__ import annotations

import io
from collections import Counter, deque
from typing import TYPE_CHECKING, ClassVar, TypeAlias, cast

from agentkit import items, json
from agentkit.echo import Echoes
from agentkit.errors import AgentkitError, ProtocolError, StreamBroken
from agentkit.events import Event, ReasoningDelta, RefusalDelta, TextDelta, UnknownEvent
from agentkit.response import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agentkit.items import Item
    from agentkit.json import JSON, JSONObject
    from agentkit.sse import ServerEvent

TERMINAL = {"response.completed", "response.incomplete", "response.failed"}

REMEMBERED = 64
"""How many numbered events are remembered to recognise a repeat."""

_NOTHING: tuple[Event, ...] = ()


class _OpenItem:
    """An item of the stream, as far as it has come."""

    __slots__ = ("again", "arguments", "base", "done", "index", "key", "parts", "shown", "whole")

    def __init__(self, item: Item, key: str | None, index: object) -> None:
        self.base = item
        self.key = key
        self.index = index
        self.done = False
        self.again = False  # whether it was finished once, and goes on
        self.shown = False  # whether its text was given out as deltas
        self.arguments: io.StringIO | None = None
        self.whole: str | None = None  # the arguments as their `done` event gave them
        self.parts: dict[_PartKey, _OpenPart] = {}

    def part(self, kind: str, event: JSONObject) -> _OpenPart:
        field, part_type = _PART_OF[kind]
        index = event.get("summary_index" if field == "summary" else "content_index")
        # A refusal never goes into a text, not even where the server counts no parts.
        key = (field, index if isinstance(index, int) else 0, part_type == "refusal")
        if (part := self.parts.get(key)) is None:
            part = self.parts[key] = _OpenPart({"type": part_type})
        return part

    def build(self, status: str) -> Item:
        """Return the item from what came, for servers that never send it whole."""
        if self.done:
            return self.base
        item = {**self.base, "status": status}
        if item.get("type") == "function_call":
            if self.whole is not None:
                item["arguments"] = self.whole
            elif self.arguments is not None:
                item["arguments"] = self.arguments.getvalue()
                item["status"] = "incomplete"  # nothing has said that these are all
        for field in ("summary", "content"):
            built = [part.build() for key, part in sorted(self.parts.items()) if key[0] == field]
            if built:
                item[field] = cast("list[JSON]", built)
        return item


class _OpenPart:
    __slots__ = ("base", "text", "whole")

    def __init__(self, base: JSONObject) -> None:
        self.base = base
        self.text: io.StringIO | None = None
        self.whole: str | None = None

    def add(self, delta: str) -> None:
        if self.text is None:
            self.text = io.StringIO()
        self.text.write(delta)

    def build(self) -> JSONObject:
        field = "refusal" if self.base.get("type") == "refusal" else "text"
        if self.whole is not None:
            return {**self.base, field: self.whole}
        return {**self.base, field: self.text.getvalue()} if self.text is not None else self.base


_PartKey: TypeAlias = tuple[str, int, bool]

_PART_OF: dict[str, tuple[str, str]] = {
    "output_text": ("content", "output_text"),
    "refusal": ("content", "refusal"),
    "reasoning_text": ("content", "reasoning_text"),
    "reasoning": ("content", "reasoning_text"),
    "reasoning_summary_text": ("summary", "summary_text"),
}
"""Event family to the field and part type that it fills. `reasoning` is what Open Responses calls `reasoning_text`."""

_DELTA_EVENTS: dict[str, type[TextDelta | ReasoningDelta | RefusalDelta]] = {
    "output_text": TextDelta,
    "refusal": RefusalDelta,
    "reasoning_text": ReasoningDelta,
    "reasoning": ReasoningDelta,
    "reasoning_summary_text": ReasoningDelta,
}


_DELTAS = {f"response.{family}.delta": family for family in _PART_OF}
_TEXTS = {f"response.{family}.done": family for family in _PART_OF}


class ResponseFold:
    """Takes the events of one stream, in order; `response` is set once the terminal event has come.

    Raises `StreamBroken` where the stream contradicts itself, and `ProtocolError` for a terminal event that
    holds no response.
    """

    __slots__ = (
        "_by_id",
        "_echoes",
        "_items",
        "_numbers",
        "_unnumbered",
        "_waiting",
        "error",
        "gap",
        "mismatch",
        "repeats",
        "response",
    )

    def __init__(self, echoes: Echoes | None = None) -> None:
        self._echoes = echoes or Echoes()
        self._items: list[_OpenItem] = []
        self._waiting: list[_OpenItem] = []  # those that aren't done
        self._by_id: dict[str, list[_OpenItem]] = {}  # those that were announced, or ended, with an id
        self._numbers: deque[tuple[int, bytes]] = deque(maxlen=REMEMBERED)
        self._unnumbered = False
        self.gap = False
        """Whether the numbers of events say that some are missing."""
        self.repeats = 0
        """Events that came a second time, and were dropped."""
        self.response: Response | None = None
        self.error: JSONObject | None = None
        """What an `error` event said, shaped as an HTTP error body. A `response.failed` may still follow."""
        self.mismatch = False
        """Whether the final response says something else than the events did; the final response holds."""

    def feed_all(self, events: Iterable[ServerEvent]) -> tuple[tuple[Event, ...], AgentkitError | None]:
        """Take events that came together; return what a reader is to see of them, and what then went wrong."""
        shown: list[Event] = []
        try:
            for event in events:
                shown += self.feed(event)
        except AgentkitError as exc:
            return tuple(shown), exc
        return tuple(shown), None

    def feed(self, event: ServerEvent) -> tuple[Event, ...]:
        """Take one event; return what a reader is to see of it."""
        raw = event.data
        if self.response is not None or raw.strip() in (b"", b"[DONE]"):
            return _NOTHING  # the terminal event alone decides; what follows it doesn't count
        try:
            data = self._echoes.decode(raw)
        except json.JSONError as exc:
            raise StreamBroken(f"an event that isn't JSON ({exc}): {raw[:200]!r}") from exc
        if not isinstance(data, dict):
            raise StreamBroken(f"an event that is no object: {raw[:200]!r}")
        kind = data.get("type")
        if not (isinstance(kind, str) and kind.startswith("response.")):
            kind = data["type"] = _kind(data, event.name)
        if self._is_repeat(data, raw):
            return _NOTHING
        if (family := _DELTAS.get(kind)) is not None:
            return self._on_delta(family, data)
        if handler := self._HANDLERS.get(kind):
            return handler(self, data)
        if (family := _TEXTS.get(kind)) is not None:
            return self._on_text_done(family, data)
        if kind in _IGNORED:
            return _NOTHING
        return (UnknownEvent(kind, data),)

    def _is_repeat(self, data: JSONObject, raw: bytes) -> bool:
        """Check the numbering: a repeat is dropped, a gap is noted, anything else out of order breaks the stream."""
        number = data.get("sequence_number")
        if isinstance(number, bool) or not isinstance(number, int):
            if str(data["type"]).startswith("response."):
                self._unnumbered, self.gap = True, False  # numbers that only some events carry say nothing (LiteLLM)
            return False
        if self._unnumbered:
            return False
        numbers = self._numbers
        if numbers:
            last = numbers[-1][0]
            if number > last:
                self.gap = self.gap or number > last + 1
            elif (number, raw) in numbers:
                self.repeats += 1
                return True
            elif number == last == 0:
                self._unnumbered = True  # a server that writes 0 on every event
                return False
            else:
                raise StreamBroken(f"event {number} came after event {last}, with another content than before")
        elif number > 1:
            self.gap = True
        numbers.append((number, raw))
        return False

    def _on_item_added(self, data: JSONObject) -> tuple[Event, ...]:
        item = _object(data.get("item"), "output_item.added")
        if not self._came_before(item, done=False) and not self._goes_on(item):
            self._open(item, _text(item.get("id")), data)
        return _NOTHING

    def _open(self, item: Item, key: str | None, data: JSONObject) -> _OpenItem:
        opened = _OpenItem(item, key, data.get("output_index"))
        self._items.append(opened)
        self._waiting.append(opened)
        if key is not None:
            self._by_id.setdefault(key, []).append(opened)
        return opened

    def _end(self, opened: _OpenItem) -> None:
        if not opened.done:
            opened.done = True
            self._waiting.remove(opened)

    def _on_item_done(self, data: JSONObject) -> tuple[Event, ...]:
        item = _object(data.get("item"), "output_item.done")
        if self._came_before(item, done=True):
            return _NOTHING
        opened = self._find_done(item, data)
        if opened is not None and opened.again and not _continues(item, opened.base):
            self._end(opened)
            opened = None  # another message, under the same id
        key = _text(item.get("id"))
        if opened is None:
            opened = self._open(item, key, data)
        elif key is not None and key != opened.key:
            self._by_id.setdefault(key, []).append(opened)
        unseen = () if opened.shown else deltas_of(item)
        self._end(opened)
        opened.base, opened.shown = item, True
        opened.parts.clear()
        opened.arguments = None
        return unseen

    def _came_before(self, item: Item, *, done: bool) -> bool:
        """Tell whether this is a repeat, which without numbers only the item's own id can show."""
        known = self._by_id.get(_text(item.get("id")) or "", ())
        return any(opened.done is done and opened.base == item for opened in known)

    def _goes_on(self, item: Item) -> bool:
        """Open a finished message again that is announced again, with its id (transformers serve, after a call)."""
        key = _text(item.get("id"))
        for opened in self._by_id.get(key, ()) if key else ():
            if opened.done and _type(item) == _type(opened.base) == "message" and opened.key == key:
                opened.done, opened.again = False, True
                self._waiting = [each for each in self._items if not each.done]
                opened.part("output_text", {}).add(items.message_text(opened.base))
                return True
        return False

    def _find_done(self, item: Item, data: JSONObject) -> _OpenItem | None:
        """Return the opened item that `item` completes. Its id may be missing, or another than when it was added."""
        key = item.get("id")
        waiting = self._waiting
        named = [opened for opened in waiting if opened.key is not None and opened.key == key]
        alike = [opened for opened in waiting if _type(opened.base) == _type(item)]
        placed = [opened for opened in alike if opened.index == data.get("output_index")]
        found = named or placed or (alike if key is None or "output_index" not in data else [])
        return found[0] if found else None

    def _find(self, data: JSONObject, kind: str) -> _OpenItem:
        """Return the item that an event speaks of: by its id, else the one open at its index, else the last opened."""
        key, index = _text(data.get("item_id")), data.get("output_index")
        if key is not None:
            for opened in reversed(self._by_id.get(key, ())):
                if opened.key == key:
                    return opened
        waiting = [opened for opened in self._waiting if _type(opened.base) == kind]
        if index is not None:
            placed = [o for o in waiting if o.index == index] or [o for o in waiting if o.index is None]
            if len(placed) == 1:
                return placed[0]
        elif unnamed := [opened for opened in waiting if key is None or opened.key is None]:
            return unnamed[-1]
        raise StreamBroken(f"an event for the {kind} {key!r} at output_index {index!r}, which was never opened")

    def _on_delta(self, family: str, data: JSONObject) -> tuple[Event, ...]:
        delta = data.get("delta")
        if not isinstance(delta, str):
            raise StreamBroken(f"a {family} delta that is no text: {repr(delta)[:100]}")
        opened = self._items[-1] if self._items else None
        if opened is None or opened.key is None or opened.key != data.get("item_id"):
            opened = self._find_or_open(data, "reasoning" if family.startswith("reasoning") else "message")
        if not opened.done:
            opened.part(family, data).add(delta)
        if not delta:
            return _NOTHING
        opened.shown = True
        return (_DELTA_EVENTS[family](delta, opened.key),)

    def _on_text_done(self, family: str, data: JSONObject) -> tuple[Event, ...]:
        text = data.get("refusal" if family == "refusal" else "text")
        opened = self._find_or_open(data, "reasoning" if family.startswith("reasoning") else "message")
        if opened.done or not isinstance(text, str):
            return _NOTHING
        part = opened.part(family, data)
        unseen = part.text is None and text
        part.whole = text
        if not unseen:
            return _NOTHING
        opened.shown = True
        return (_DELTA_EVENTS[family](text, opened.key),)

    def _find_or_open(self, data: JSONObject, kind: str) -> _OpenItem:
        """Text for an item that was never announced opens one: nothing can be mixed up by showing it."""
        try:
            return self._find(data, kind)
        except StreamBroken:
            index = data.get("output_index")
            for opened in self._items:
                if opened.done and _type(opened.base) == kind and index is not None and opened.index == index:
                    return opened  # late, and under another id than before
            key = _text(data.get("item_id"))
            item: Item = {"type": kind, **({"id": key} if key else {})}
            if kind == "message":
                item["role"] = "assistant"
            return self._open(item, key, data)

    def _on_part(self, data: JSONObject) -> tuple[Event, ...]:
        part = data.get("part")
        if not isinstance(part, dict):
            return _NOTHING
        family = next((f for f, (_, kind) in _PART_OF.items() if kind == part.get("type")), None)
        if family is None:
            return _NOTHING
        opened = self._find_or_open(data, "message" if family in ("output_text", "refusal") else "reasoning")
        if opened.done:
            return _NOTHING
        known = opened.part(family, data)
        known.base = part
        text = part.get("refusal" if family == "refusal" else "text")
        if isinstance(text, str) and text and str(data["type"]).endswith(".done"):
            known.whole = text
        return _NOTHING

    def _on_arguments_delta(self, data: JSONObject) -> tuple[Event, ...]:
        delta = data.get("delta")
        opened = self._find(data, "function_call")
        if opened.done:
            return _NOTHING
        if not isinstance(delta, str):
            raise StreamBroken(f"an arguments delta that is no text: {repr(delta)[:100]}")
        if opened.arguments is None:
            opened.arguments = io.StringIO()
        opened.arguments.write(delta)
        return _NOTHING

    def _on_arguments_done(self, data: JSONObject) -> tuple[Event, ...]:
        opened = self._find(data, "function_call")
        if isinstance(data.get("arguments"), str) and not opened.done:
            opened.whole = cast("str", data["arguments"])
        return _NOTHING

    def _on_error(self, data: JSONObject) -> tuple[Event, ...]:
        nested = data.get("error")
        flat: JSONObject = {k: v for k, v in data.items() if k in ("message", "code", "param", "error_model_output")}
        self.error = self.error or {"error": nested or flat}
        return _NOTHING

    def _on_terminal(self, data: JSONObject) -> tuple[Event, ...]:
        raw = data.get("response")
        if not isinstance(raw, dict):
            raise ProtocolError(f"a {data.get('type')} event without a response: {sorted(data)[:12]}")
        status = _status(raw, str(data["type"]))
        raw = {**raw, "status": status}
        seen = [opened.build("completed" if status == "completed" else "incomplete") for opened in self._items]
        final = raw.get("output")
        if isinstance(final, list) and final and _holds_all(final, seen):
            self.mismatch = bool(seen) and Counter(_texts(final)) != Counter(_texts(seen))
        elif self.gap and status != "failed":
            raise StreamBroken("events are missing, and the final response doesn't carry the items")
        elif seen:
            raw = {**raw, "output": cast("list[JSON]", seen)}
        self.response = Response.parse(raw)
        shown = {_type(opened.base) for opened in self._items if opened.shown}
        unseen = [item for item in self.response.output if _type(item) not in shown]
        return tuple(delta for item in unseen for delta in deltas_of(item))

    _HANDLERS: ClassVar[Mapping[str, Callable[[ResponseFold, JSONObject], tuple[Event, ...]]]] = {
        "response.output_item.added": _on_item_added,
        "response.output_item.done": _on_item_done,
        "response.content_part.added": _on_part,
        "response.content_part.done": _on_part,
        "response.reasoning_summary_part.added": _on_part,
        "response.reasoning_summary_part.done": _on_part,
        "response.function_call_arguments.delta": _on_arguments_delta,
        "response.function_call_arguments.done": _on_arguments_done,
        "error": _on_error,
        **dict.fromkeys(TERMINAL, _on_terminal),
    }


_IGNORED = {
    "response.created",
    "response.in_progress",
    "response.queued",
    "response.output_text.annotation.added",
    "keepalive",
}


def deltas_of(item: Item) -> tuple[Event, ...]:
    """Return the deltas that an item would have come in, for one that came whole."""
    key = _text(item.get("id"))
    if items.is_message(item):
        events: list[Event] = []
        if text := items.message_text(item):
            events.append(TextDelta(text, key))
        if refusal := items.message_refusal(item):
            events.append(RefusalDelta(refusal, key))
        return tuple(events)
    if item.get("type") == "reasoning" and (thoughts := items.reasoning_text(item)):
        return (ReasoningDelta(thoughts, key),)
    return _NOTHING


def _continues(item: Item, earlier: Item) -> bool:
    return items.message_text(item).startswith(items.message_text(earlier))


def _holds_all(final: list[JSON], seen: list[Item]) -> bool:
    """Tell whether a final output holds at least the items seen. By type, since ids may change on the way."""
    if not all(isinstance(item, dict) for item in final):
        return False
    have = Counter(map(_type, cast("list[Item]", final)))
    return not Counter(map(_type, seen)) - have


def _type(item: Item) -> str:
    kind = "message" if items.is_message(item) else item.get("type")
    return kind if isinstance(kind, str) else repr(kind)


def _texts(output: list[JSON] | list[Item]) -> list[object]:
    said = (
        (_type(item), _text(item.get("arguments")) or items.message_text(item))
        for item in cast("list[Item]", output)
        if _type(item) in ("message", "function_call")
    )
    return [(kind, text) for kind, text in said if text]  # an empty message says nothing, wherever it stands


def _kind(data: JSONObject, name: str) -> str:
    """Return an event's type. Some leave it to the `event:` line; some fail with a bare `{"error": ...}`."""
    kind = data.get("type")
    if isinstance(kind, str) and kind.startswith("response."):
        return kind
    if name == "error" or data.get("error"):
        return "error"
    return kind if isinstance(kind, str) else name


def _status(raw: JSONObject, kind: str) -> str:
    """Return a response's status: the worse of what the terminal event says and what the response in it says."""
    if kind != "response.completed":
        return kind.removeprefix("response.")
    status = _text(raw.get("status")) or "completed"
    return "completed" if status in ("in_progress", "queued") else status


def _object(value: object, place: str) -> JSONObject:
    if not isinstance(value, dict):
        raise StreamBroken(f"a response.{place} event without an item")
    return value


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
