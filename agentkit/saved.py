"""Entries as versioned JSON, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from agentkit import json
from agentkit.entries import Entry, InputEntry, OutputRecord, OutputsEntry, ResponseEntry, encode_items
from agentkit.errors import TranscriptError
from agentkit.grouping import check_item, check_output
from agentkit.response import Response

if TYPE_CHECKING:
    from agentkit.items import Item
    from agentkit.json import JSONObject

FORMAT = "agentkit.transcript"
VERSION = 1


def encode_entry(entry: Entry) -> bytes:
    items = b'"items":[' + entry.data + b"]}"
    match entry:
        case InputEntry():
            return json.encode({"kind": "input", "instructions": entry.instructions})[:-1] + b"," + items
        case ResponseEntry():
            return (
                json.encode({"kind": "response", "key": entry.key})[:-1] + b',"response":' + entry.meta + b"," + items
            )
        case OutputsEntry():
            records: list[JSONObject] = [
                {"call_id": r.call_id, "name": r.name, "outcome": r.outcome, "final": r.final, "full": r.full}
                for r in entry.records
            ]
            return json.encode({"kind": "outputs", "records": records})[:-1] + b"," + items


def decode_entry(value: object, place: str) -> Entry:
    match value:
        case {"kind": "input", "instructions": str() | None as instructions, "items": [*items]}:
            return InputEntry(_checked_items(items, place), instructions)
        case {"kind": "response", "key": str() as key, "response": dict() as meta, "items": [*items]}:
            return _response_entry(key, meta, items, place)
        case {"kind": "outputs", "records": [*records], "items": [*items]}:
            return _outputs_entry([_record(record, place) for record in records], items, place)
    raise TranscriptError(f"{place}: not an entry: {repr(value)[:200]}. Give what Transcript.to_json() wrote.")


def _response_entry(key: str, meta: JSONObject, items: list[object], place: str) -> ResponseEntry:
    """Read a response back. Its items are the server's: whatever it sent stays, also what has no type."""
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise TranscriptError(f"{place}.items[{index}]: {item!r} is no item. Give what Transcript.to_json() wrote.")
    try:
        return ResponseEntry.of(Response({**meta, "output": cast("list[json.JSON]", items)}), key=key)
    except json.JSONError as exc:
        raise TranscriptError(f"{place}: {exc}. Give what Transcript.to_json() wrote.") from exc


def _outputs_entry(records: list[OutputRecord], items: list[object], place: str) -> OutputsEntry:
    data = _checked_items(items, place)
    outputs = [item for item in cast("list[Item]", items) if item.get("type") == "function_call_output"]
    for item in outputs:
        check_output(item, place)
    given, noted = [item.get("call_id") for item in outputs], [record.call_id for record in records]
    if given != noted:
        raise TranscriptError(
            f"{place}: outputs for the calls {given}, records of {noted}. Give what Transcript.to_json() wrote."
        )
    return OutputsEntry(data, tuple(records))


def _checked_items(items: list[object], place: str) -> bytes:
    for index, item in enumerate(items):
        check_item(item, f"{place}.items[{index}]")
    return encode_items(cast("list[Item]", items))


def _record(value: object, place: str) -> OutputRecord:
    match value:
        case {
            "call_id": str() as call_id,
            "name": str() as name,
            "outcome": "ok" | "error" | "timeout" | "cancelled" | "not_run" as outcome,
            "final": bool() as final,
            "full": str() | None as full,
        }:
            return OutputRecord(call_id, name, outcome, final, full)
    raise TranscriptError(
        f"{place}: not a record of an output: {repr(value)[:200]}. Give what Transcript.to_json() wrote."
    )
