"""The conversation as a plain, append-only value: a sequence of entries.

An entry is what the caller put in, what one response brought, or what the tools gave for it. From a flat
list of items one can't tell a response cut in half from a shorter one; with entries, every prefix of a run
has exactly one next action.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from agentkit import items as item_views
from agentkit import json
from agentkit.entries import (
    OWN_DEPTH,
    Entry,
    InputEntry,
    ResponseEntry,
    decode_items,
)
from agentkit.errors import TranscriptError, UsageError
from agentkit.grouping import check_append, check_item, check_output, group_items, item_name, unanswered_ids, with_items
from agentkit.response import Usage
from agentkit.saved import FORMAT, VERSION, decode_entry, encode_entry
from agentkit.view import InputView, is_dropped

if TYPE_CHECKING:
    from agentkit.items import FunctionCall, Item


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Transcript:
    """An immutable conversation. `append` and its kin return a new one; a failed operation changes nothing."""

    entries: tuple[Entry, ...]
    """The entries, oldest first."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        """Make a transcript of entries. Raises `TranscriptError` at the first that can't stand where it does."""
        kept: list[Entry] = []
        _check_listed("entries", entries)
        for index, entry in enumerate(entries):
            check_append(kept[-1] if kept else None, entry, f"entries[{index}]")
            kept.append(entry)
        object.__setattr__(self, "entries", tuple(kept))

    def append(self, entry: Entry) -> Transcript:
        """Return the conversation with one entry more; raises `TranscriptError` where it can't stand."""
        check_append(self.entries[-1] if self.entries else None, entry, f"entries[{len(self.entries)}]")
        return _unchecked((*self.entries, entry))

    def extend(self, items: Iterable[Item], *, instructions: str | None = None) -> Transcript:
        """Return the conversation with items more, grouped into entries as `from_items` does."""
        _check_listed("items", items)
        entries = list(self.entries)
        for entry in group_items(items, unanswered_ids(entries[-1]) if entries else (), instructions):
            check_append(entries[-1] if entries else None, entry, f"entries[{len(entries)}]")
            entries.append(entry)
        return _unchecked(tuple(entries))

    @classmethod
    def from_items(cls, items: Iterable[Item], *, instructions: str | None = None) -> Transcript:
        """Group a flat `input[]` into entries: what the model wrote, up to the next item it didn't, is one response.

        Raises `TranscriptError` with the index of the first item that no server would accept there.
        """
        return cls().extend(items, instructions=instructions)

    @property
    def items(self) -> list[Item]:
        """The next request's `input[]`, as plain JSON values, decoded anew: changing them changes nothing here."""
        return [item for view in InputView().feed_all(self.entries) for item in decode_items(view)]

    @property
    def turns(self) -> int:
        """How many responses there are."""
        return sum(1 for entry in self.entries if isinstance(entry, ResponseEntry))

    @property
    def usage(self) -> Usage:
        """The usage of all responses, summed."""
        used = (entry.response.usage for entry in self.entries if isinstance(entry, ResponseEntry))
        return functools.reduce(Usage.__add__, used, Usage())

    @property
    def instructions(self) -> str | None:
        """The instructions in force: those of the last input that had any."""
        return next(
            (
                e.instructions
                for e in reversed(self.entries)
                if isinstance(e, InputEntry) and e.instructions is not None
            ),
            None,
        )

    @property
    def open_calls(self) -> list[FunctionCall]:
        """The calls of the last response that have no output yet."""
        last = self.entries[-1] if self.entries else None
        return last.response.calls if isinstance(last, ResponseEntry) and last.call_ids else []

    def fork(self, *, turn: int) -> Transcript:
        """Return the conversation up to its `turn`-th response (0 to `.turns`), that response's outputs included."""
        if isinstance(turn, bool) or not isinstance(turn, int) or not 0 <= turn <= self.turns:
            raise TranscriptError(f"turn {turn!r} given, this transcript has {self.turns}. Give 0 to {self.turns}.")
        kept: list[Entry] = []
        seen = 0
        for entry in self.entries:
            if seen == turn and (isinstance(entry, ResponseEntry) or (seen and isinstance(entry, InputEntry))):
                break
            seen += isinstance(entry, ResponseEntry)
            kept.append(entry)
        return _unchecked(tuple(kept))

    def replace(self, index: int, item: Item) -> Transcript:
        """Return the conversation with `items[index]` replaced.

        Raises `TranscriptError` where the result would be illegal: a call or an output may change, but not
        the call_id that ties them together, nor who wrote the item.
        """
        place = f"items[{index}]"
        position, offset, old = self._locate(index)
        check_item(item, place)
        item = item_views.with_message_type([item])[0]
        if item_views.is_output(old) != item_views.is_output(item) or old.get("type") != item.get("type"):
            raise TranscriptError(
                f"{place} is a {item_name(old)}, the new item a {item_name(item)}. "
                "Replace an item by one of its kind; for another order build one with Transcript.from_items([...])."
            )
        shown = self.items[index].get("call_id")
        if item.get("call_id") not in (old.get("call_id"), shown):
            raise TranscriptError(f"{place} has call_id {shown!r}; the new item must keep it.")
        if old.get("type") == "function_call_output":
            check_output(item, place)
        item = {name: value for name, value in item.items() if name != "call_id" or name in old}
        all_items = self.entries[position].items
        all_items[offset] = {**item, "call_id": old["call_id"]} if "call_id" in old else item
        changed = with_items(self.entries[position], all_items, place)
        return Transcript((*self.entries[:position], changed, *self.entries[position + 1 :]))

    def _locate(self, index: int) -> tuple[int, int, Item]:
        """Return entry, offset in its items, and the item, for an index into `items`."""
        count = 0
        for position, entry in enumerate(self.entries):
            dropped = entry.half_written if isinstance(entry, ResponseEntry) else False
            for offset, item in enumerate(entry.items):
                if dropped and is_dropped(item, cast("ResponseEntry", entry)):
                    continue
                if count == index:
                    return position, offset, item
                count += 1
        allowed = f"Give 0 to {count - 1}." if count else "There is nothing to replace."
        raise TranscriptError(f"index {index} given, this transcript has {count} items. {allowed}")

    def diff(self, other: Transcript) -> TranscriptDiff:
        """Compare with another conversation, item by item; the result prints as text."""
        from agentkit.diff import diff_items

        if not isinstance(other, Transcript):
            raise UsageError(f"a transcript can't be compared with a {type(other).__name__}. Give a Transcript.")
        return diff_items(self.items, other.items)

    def to_json(self) -> str:
        """Return the transcript as versioned JSON text, for `from_json`."""
        entries = b",".join(encode_entry(entry) for entry in self.entries)
        head = json.encode({"format": FORMAT, "version": VERSION})[:-1]
        return (head + b',"entries":[' + entries + b"]}").decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Transcript:
        """Read what `to_json` wrote. Raises `TranscriptError` for other text, and for a newer version by name."""
        if not isinstance(text, str | bytes | bytearray):
            raise TranscriptError(f"not a transcript: a {type(text).__name__}. Give the text of Transcript.to_json().")
        try:
            value = json.decode(text, max_depth=OWN_DEPTH)
        except json.JSONError as exc:
            raise TranscriptError(f"not a transcript: {exc}. Give what Transcript.to_json() wrote.") from exc
        if not isinstance(value, dict) or value.get("format") != FORMAT or not isinstance(value.get("entries"), list):
            raise TranscriptError(f'not a transcript: no "format": "{FORMAT}". Give what Transcript.to_json() wrote.')
        if (version := value.get("version")) != VERSION:
            newer = isinstance(version, int) and version > VERSION
            advice = "Update agentkit to read newer ones." if newer else "Give what Transcript.to_json() wrote."
            raise TranscriptError(f"transcript version {version!r}, this agentkit reads version {VERSION}. {advice}")
        listed = cast("list[object]", value["entries"])
        return cls(decode_entry(entry, f"entries[{index}]") for index, entry in enumerate(listed))

    def __repr__(self) -> str:
        return f"<Transcript: {self.turns} turns, {len(self.entries)} entries, {len(self.open_calls)} open calls>"

    if TYPE_CHECKING:
        from agentkit.diff import TranscriptDiff


def _check_listed(what: str, values: object) -> None:
    if not isinstance(values, Iterable):
        raise TranscriptError(f"{what} is {repr(values)[:80]}; give a list of {what}.")


def _unchecked(entries: tuple[Entry, ...]) -> Transcript:
    """Make a transcript of entries whose order is known to be legal."""
    transcript = Transcript()
    object.__setattr__(transcript, "entries", entries)
    return transcript
