"""Which order of items and entries a server accepts, and how a flat list of items falls into entries."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from agentkit import items as item_views
from agentkit import json
from agentkit.entries import Entry, InputEntry, OutputRecord, OutputsEntry, ResponseEntry, encode_items
from agentkit.errors import TranscriptError
from agentkit.response import Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agentkit.items import Item


ROLES = ("user", "assistant", "system", "developer")


def unanswered_ids(entry: Entry) -> tuple[str, ...]:
    return entry.call_ids if isinstance(entry, ResponseEntry) else ()


def check_append(last: Entry | None, entry: Entry, place: str) -> None:
    open_ids = unanswered_ids(last) if last is not None else ()
    if not isinstance(entry, InputEntry | ResponseEntry | OutputsEntry):
        raise TranscriptError(f"{place}: {entry!r} is no entry. For items use Transcript.extend([...]).")
    if isinstance(entry, OutputsEntry):
        if not entry.records or Counter(entry.call_ids) != Counter(open_ids):
            raise TranscriptError(
                f"{place}: outputs for the calls {list(entry.call_ids)}, but open are {list(open_ids)}. "
                "Give each open call exactly one output."
            )
    elif open_ids:
        what = "a new prompt" if isinstance(entry, InputEntry) else "a response"
        raise TranscriptError(
            f"{place}: {what} while the calls {list(open_ids)} wait for their outputs. "
            "Run them first by continuing without a prompt (input=None), or give their function_call_outputs as input."
        )


def group_items(items: Iterable[Item], open_ids: Sequence[str], instructions: str | None) -> Iterator[Entry]:
    """Group a flat list into entries, refusing at its index what can't stand there."""
    waiting = Counter(open_ids)
    kind = ""
    group: list[Item] = []
    index = -1
    for index, item in enumerate(items):
        check_item(item, f"items[{index}]")
        next_kind = _kind(item, kind == "outputs" or bool(+waiting))
        ended: Entry | None = None
        if group and next_kind != kind:
            ended, group = _entry(kind, group, instructions), []
            if kind == "response":
                waiting = Counter(unanswered_ids(ended))
                next_kind = _kind(item, bool(waiting))
        kind = next_kind
        _check_order(kind, item, waiting, f"items[{index}]")
        group.append(item_views.with_message_type([item])[0])
        if ended is not None:
            yield ended
    if kind == "outputs" and +waiting:
        raise TranscriptError(
            f"items[{index}]: the list ends while the calls {sorted(+waiting)} have no output. "
            "Give a function_call_output for each of them."
        )
    if group:
        yield _entry(kind, group, instructions)


def _kind(item: Item, waiting: bool) -> str:
    """Return which entry an item belongs to. Outputs of other calls stand among those of the functions."""
    kind = item.get("type")
    if kind == "function_call_output" or (waiting and isinstance(kind, str) and kind.endswith("_output")):
        return "outputs"
    return "response" if item_views.is_output(item) else "input"


def _check_order(kind: str, item: Item, waiting: Counter[str], place: str) -> None:
    """Refuse an item that can't come here; an output takes its call off `waiting`."""
    if item.get("type") == "function_call_output":
        call_id = item.get("call_id")
        if not isinstance(call_id, str) or not waiting[call_id]:
            raise TranscriptError(
                f"{place}: an output for call_id {call_id!r}, but the calls without output are {sorted(+waiting)}. "
                "Put each output after its call, once."
            )
        check_output(item, place)
        waiting[call_id] -= 1
    elif kind != "outputs" and +waiting:
        raise TranscriptError(
            f"{place}: a {item_name(item)} while the calls {sorted(+waiting)} wait for their outputs. "
            "Run them by continuing without a prompt (input=None), or put a function_call_output for each before it."
        )


def check_output(item: Item, place: str) -> None:
    if not isinstance(item.get("output"), str | list):
        raise TranscriptError(
            f"{place}: `output` is {item.get('output')!r}; the API takes a string or a list of parts. "
            "Give other values as JSON text."
        )


def _entry(kind: str, group: list[Item], instructions: str | None) -> Entry:
    if kind == "input":
        return InputEntry(encode_items(group), instructions)
    if kind == "response":
        return ResponseEntry.of(Response({"output": cast("list[json.JSON]", group)}))
    outputs = [item for item in group if item.get("type") == "function_call_output"]
    return OutputsEntry(encode_items(group), tuple(OutputRecord(cast("str", item["call_id"])) for item in outputs))


def with_items(entry: Entry, items: list[Item], place: str) -> Entry:
    """Return an entry with other items, and with what it notes of them brought in line."""
    try:
        if isinstance(entry, ResponseEntry):
            response = Response({**entry.response.raw, "output": cast("list[json.JSON]", items)})
            return ResponseEntry.of(response, key=entry.key)
        return replace(entry, data=encode_items(items))
    except json.JSONError as exc:
        raise TranscriptError(f"{place}: {exc}. Give plain JSON values.") from exc


def check_item(item: object, place: str) -> None:
    """Refuse what the caller can't send: everything must be a JSON object with a type, or a message with a role."""
    if not isinstance(item, dict):
        raise TranscriptError(f"{place}: {item!r} is no item. Give JSON objects, such as those of a request's input[].")
    kind = item.get("type")
    if not isinstance(kind, str) and (kind is not None or "role" not in item):
        raise TranscriptError(
            f"{place}: `type` is {kind!r}, and the keys are {sorted(map(str, item))[:8]}. "
            "Give each item a type; only a message with a role can do without."
        )
    if item_views.is_message(item):
        _check_message(item, place)
    # SambaNova: "clients must supply the full conversation history in input[]"
    if kind == "item_reference":
        raise TranscriptError(f"{place}: an item_reference. A stateless server has nothing to refer to: give the item.")
    try:
        json.encode(item)
    except json.JSONError as exc:
        raise TranscriptError(f"{place}: {exc}. Give plain JSON values.") from exc


def _check_message(item: Item, place: str) -> None:
    if item.get("role") not in ROLES:
        raise TranscriptError(f"{place}: a message with role {item.get('role')!r}; allowed are {', '.join(ROLES)}.")
    if item_views.is_output(item):
        return  # what a server wrote stays as it came
    if not isinstance(item.get("content"), str | list):
        raise TranscriptError(
            f"{place}: a {item_name(item)} with content {item.get('content')!r}. Give a string or a list of parts."
        )


def item_name(item: Item) -> str:
    return f"{item.get('role')} message" if item_views.is_message(item) else str(item.get("type"))
