"""The conversation as a plain, append-only value: a sequence of entries.

An entry is what the caller put in, what one response brought, or what the tools gave for it. From a flat
list of items one can't tell a response cut in half from a shorter one; with entries, every prefix of a run
has exactly one next action. An entry keeps the JSON bytes of its items, encoded once: a request is a join
of them, and memory holds one copy of the text.
"""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from agentkit import items as item_views
from agentkit import json
from agentkit.errors import TranscriptError
from agentkit.items import MAX_CALL_ID, FunctionCall, Item
from agentkit.response import Response, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agentkit.json import JSONObject

FORMAT = "agentkit.transcript"
VERSION = 1

_OWN_DEPTH = json.MAX_DEPTH + 8
"""Nesting of our own text: the brackets around the items come on top of theirs."""

ReasoningMode: TypeAlias = Literal["raw", "summary", "drop"]
Outcome: TypeAlias = Literal["ok", "error", "timeout", "cancelled", "not_run"]

ECHOES = frozenset({"output", "output_text", "tools", "instructions", "text", "prompt"})
"""Fields of a response that a transcript doesn't keep: the items have a place of their own, the others echo
the request, and 128 echoed tools in each of 1,000 entries would outweigh the conversation."""


@dataclass(frozen=True, slots=True)
class InputEntry:
    """What the caller put in: messages and other items that no server wrote."""

    data: bytes = field(repr=False)
    """The items as JSON, joined by commas."""

    instructions: str | None = None
    """The instructions in force from here on; None where the caller said nothing about them."""

    @property
    def items(self) -> list[Item]:
        """The items, decoded anew."""
        return _decode_items(self.data)


@dataclass(frozen=True, slots=True)
class ResponseEntry:
    """What one response brought, whole or cut short."""

    data: bytes = field(repr=False)
    """The items as JSON, joined by commas, half-written calls included."""

    meta: bytes = field(repr=False)
    """The response object as JSON without its items and without what it echoes of the request."""

    status: str = "completed"
    """The response's status."""

    call_ids: tuple[str, ...] = ()
    """The ids of the calls that can be run, as received."""

    half_written: bool = False
    """Whether there are calls that were cut off, and so never go back."""

    key: str = field(default="", compare=False)
    """What the idempotency keys of its calls are made of, so that a call keeps its key when a run is resumed.
    Ours, since servers repeat their ids; empty for items that came from elsewhere."""

    @classmethod
    def of(cls, response: Response, *, key: str = "") -> ResponseEntry:
        """Make the entry of a received response."""
        output = response.output
        calls = sum(1 for item in output if item.get("type") == "function_call")
        runnable = response.calls
        return cls(
            data=encode_items(output),
            meta=json.encode({key: value for key, value in response.raw.items() if key not in ECHOES}),
            status=response.status,
            call_ids=tuple(call.call_id for call in runnable),
            half_written=len(runnable) != calls,
            key=key,
        )

    @property
    def items(self) -> list[Item]:
        """The items, decoded anew."""
        return _decode_items(self.data)

    @property
    def response(self) -> Response:
        """The response, without the fields that only echoed the request."""
        return Response({**cast("JSONObject", json.decode(self.meta)), "output": cast("list[json.JSON]", self.items)})


@dataclass(frozen=True, slots=True)
class OutputRecord:
    """What happened with one call; the transcript's own note, which no server sees."""

    call_id: str
    """The call's id as received."""
    name: str = ""
    """The tool's name as the model wrote it."""
    outcome: Outcome = "ok"
    """`error`: the model was told what went wrong. `timeout`, `cancelled`: it may have happened or not.
    `not_run`: it certainly didn't happen."""
    final: bool = False
    """Whether this output is the run's answer."""
    full: str | None = None
    """The whole output where the model got a cut one; at most 16 MB."""


@dataclass(frozen=True, slots=True)
class OutputsEntry:
    """The outputs of one response's calls, in call order."""

    data: bytes = field(repr=False)
    """The items as JSON, joined by commas."""

    records: tuple[OutputRecord, ...] = ()
    """One for each output."""

    @property
    def call_ids(self) -> tuple[str, ...]:
        """The ids that the outputs answer."""
        return tuple(record.call_id for record in self.records)

    @property
    def items(self) -> list[Item]:
        """The items, decoded anew."""
        return _decode_items(self.data)

    @property
    def final(self) -> OutputRecord | None:
        """The record of the call whose output is the run's answer, if there is one."""
        return next((record for record in self.records if record.final), None)


Entry: TypeAlias = InputEntry | ResponseEntry | OutputsEntry


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Transcript:
    """An immutable conversation. `append` and its kin return a new one; a failed operation changes nothing."""

    entries: tuple[Entry, ...]
    """The entries, oldest first."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        """Make a transcript of entries. Raises `TranscriptError` at the first that can't stand where it does."""
        kept: list[Entry] = []
        for index, entry in enumerate(entries):
            _check_append(kept[-1] if kept else None, entry, f"entries[{index}]")
            kept.append(entry)
        object.__setattr__(self, "entries", tuple(kept))

    def append(self, entry: Entry) -> Transcript:
        """Return the conversation with one entry more; raises `TranscriptError` where it can't stand."""
        _check_append(self.entries[-1] if self.entries else None, entry, f"entries[{len(self.entries)}]")
        return _unchecked((*self.entries, entry))

    def extend(self, items: Iterable[Item], *, instructions: str | None = None) -> Transcript:
        """Return the conversation with items more, grouped into entries as `from_items` does."""
        entries = list(self.entries)
        for entry in _group(items, _open_ids(entries[-1]) if entries else (), instructions):
            _check_append(entries[-1] if entries else None, entry, f"entries[{len(entries)}]")
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
        return [item for view in InputView().feed_all(self.entries) for item in _decode_items(view)]

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
        if not 0 <= turn <= self.turns:
            raise TranscriptError(f"turn {turn} given, this transcript has {self.turns}. Give 0 to {self.turns}.")
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
        _check_item(item, place)
        item = item_views.with_message_type([item])[0]
        if item_views.is_output(old) != item_views.is_output(item) or old.get("type") != item.get("type"):
            raise TranscriptError(
                f"{place} is a {_name(old)}, the new item a {_name(item)}. "
                "Replace an item by one of its kind; for another order build one with Transcript.from_items([...])."
            )
        shown = self.items[index].get("call_id")
        if item.get("call_id") not in (old.get("call_id"), shown):
            raise TranscriptError(f"{place} has call_id {shown!r}; the new item must keep it.")
        if old.get("type") == "function_call_output":
            _check_output(item, place)
        item = {name: value for name, value in item.items() if name != "call_id" or name in old}
        all_items = self.entries[position].items
        all_items[offset] = {**item, "call_id": old["call_id"]} if "call_id" in old else item
        changed = _with_items(self.entries[position], all_items, place)
        return Transcript((*self.entries[:position], changed, *self.entries[position + 1 :]))

    def _locate(self, index: int) -> tuple[int, int, Item]:
        """Return entry, offset in its items, and the item, for an index into `items`."""
        count = 0
        for position, entry in enumerate(self.entries):
            dropped = entry.half_written if isinstance(entry, ResponseEntry) else False
            for offset, item in enumerate(entry.items):
                if dropped and _is_dropped(item, cast("ResponseEntry", entry)):
                    continue
                if count == index:
                    return position, offset, item
                count += 1
        allowed = f"Give 0 to {count - 1}." if count else "There is nothing to replace."
        raise TranscriptError(f"index {index} given, this transcript has {count} items. {allowed}")

    def diff(self, other: Transcript) -> TranscriptDiff:
        """Compare with another conversation, item by item; the result prints as text."""
        from agentkit.diff import diff_items

        return diff_items(self.items, other.items)

    def to_json(self) -> str:
        """Return the transcript as versioned JSON text, for `from_json`."""
        entries = b",".join(_entry_json(entry) for entry in self.entries)
        head = json.encode({"format": FORMAT, "version": VERSION})[:-1]
        return (head + b',"entries":[' + entries + b"]}").decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Transcript:
        """Read what `to_json` wrote. Raises `TranscriptError` for other text, and for a newer version by name."""
        try:
            value = json.decode(text, max_depth=_OWN_DEPTH)
        except json.JSONError as exc:
            raise TranscriptError(f"not a transcript: {exc}. Give what Transcript.to_json() wrote.") from exc
        if not isinstance(value, dict) or value.get("format") != FORMAT or not isinstance(value.get("entries"), list):
            raise TranscriptError(f'not a transcript: no "format": "{FORMAT}". Give what Transcript.to_json() wrote.')
        if (version := value.get("version")) != VERSION:
            newer = isinstance(version, int) and version > VERSION
            advice = "Update agentkit to read newer ones." if newer else "Give what Transcript.to_json() wrote."
            raise TranscriptError(f"transcript version {version!r}, this agentkit reads version {VERSION}. {advice}")
        listed = cast("list[object]", value["entries"])
        return cls(_entry_from_json(entry, f"entries[{index}]") for index, entry in enumerate(listed))

    def __repr__(self) -> str:
        return f"<Transcript: {self.turns} turns, {len(self.entries)} entries, {len(self.open_calls)} open calls>"

    if TYPE_CHECKING:
        from agentkit.diff import TranscriptDiff


class InputView:
    """The request's view of a conversation, entry by entry: `feed` returns the bytes to join.

    Almost always those are the entry's own. Rewritten are only: call_ids that a server would refuse (see
    `_is_sendable`) or that were used before, on call and output alike; calls that were cut off, which are
    left out; and reasoning, where the caller or the server's profile asks for another form.
    """

    __slots__ = ("_aliases", "_numbers", "_originals", "_reasoning", "_seen", "left_out", "needs_encrypted_reasoning")

    def __init__(self, reasoning: ReasoningMode = "raw", *, needs_encrypted_reasoning: bool = False) -> None:
        self._reasoning = reasoning
        self.needs_encrypted_reasoning = needs_encrypted_reasoning
        self._seen: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._originals: tuple[str, ...] = ()
        self._aliases: tuple[str, ...] = ()
        self.left_out = 0
        """Reasoning items left out because the server could not find them again."""

    def feed_all(self, entries: Iterable[Entry]) -> Iterator[bytes]:
        """Return the bytes of each entry that sends anything."""
        return (data for data in map(self.feed, entries) if data)

    def feed(self, entry: Entry) -> bytes:
        """Return the bytes that one more entry adds; empty where it adds nothing."""
        match entry:
            case InputEntry():
                return entry.data
            case ResponseEntry():
                return self._feed_response(entry)
            case OutputsEntry():
                return self._feed_outputs(entry)

    def _feed_response(self, entry: ResponseEntry) -> bytes:
        self._originals = entry.call_ids
        self._aliases = self._name_calls(entry.call_ids)
        renamed = self._aliases != entry.call_ids
        reasoning = (self._reasoning != "raw" or self.needs_encrypted_reasoning) and b'"reasoning"' in entry.data
        if not (renamed or entry.half_written or reasoning):
            return entry.data
        kept = [item for item in entry.items if not _is_dropped(item, entry)]
        if reasoning:
            kept = self._view_reasoning(kept)
        return encode_items(_rename(kept, "function_call", self._aliases) if renamed else kept)

    def _feed_outputs(self, entry: OutputsEntry) -> bytes:
        if self._aliases == self._originals:
            return entry.data
        waiting: dict[str, list[str]] = {}
        for original, alias in zip(self._originals, self._aliases, strict=True):
            waiting.setdefault(original, []).append(alias)
        names = [waiting[call_id].pop(0) for call_id in entry.call_ids]
        return encode_items(_rename(entry.items, "function_call_output", names))

    def _name_calls(self, call_ids: Sequence[str]) -> tuple[str, ...]:
        names: list[str] = []
        for call_id in call_ids:
            name = call_id if call_id not in self._seen and _is_sendable(call_id) else self._new_name(call_id)
            self._seen.add(name)
            names.append(name)
        return tuple(names)

    def _new_name(self, call_id: str) -> str:
        stem = "".join(c for c in call_id[:MAX_CALL_ID] if _is_sendable(c))[: MAX_CALL_ID - 8] or "call"
        # Counting goes on where it stopped: a server may give the same id on each of a thousand turns.
        number = self._numbers.get(stem, 2)
        while (name := f"{stem}-{number}") in self._seen:
            number += 1
        self._numbers[stem] = number + 1
        return name

    def _view_reasoning(self, items: list[Item]) -> list[Item]:
        if self._reasoning == "drop":
            return [item for item in items if item.get("type") != "reasoning"]
        kept = [item for item in items if not self._is_lost(item)]
        self.left_out += len(items) - len(kept)
        if self._reasoning == "summary":
            kept = [_summary_only(item) if item.get("type") == "reasoning" else item for item in kept]
        return kept

    def _is_lost(self, item: Item) -> bool:
        # Under store:false, OpenAI and Azure can't find a reasoning item again by its id, and refuse it.
        return self.needs_encrypted_reasoning and item.get("type") == "reasoning" and not item.get("encrypted_content")


def encode_items(items: Iterable[Item]) -> bytes:
    """Return items as JSON joined by commas, as they stand between the brackets of `input`."""
    return b",".join(map(json.encode, items))


def _decode_items(data: bytes) -> list[Item]:
    return cast("list[Item]", json.decode(b"[" + data + b"]", max_depth=_OWN_DEPTH))


def _unchecked(entries: tuple[Entry, ...]) -> Transcript:
    """Make a transcript of entries whose order is known to be legal."""
    transcript = Transcript()
    object.__setattr__(transcript, "entries", entries)
    return transcript


def _open_ids(entry: Entry) -> tuple[str, ...]:
    return entry.call_ids if isinstance(entry, ResponseEntry) else ()


def _check_append(last: Entry | None, entry: Entry, place: str) -> None:
    open_ids = _open_ids(last) if last is not None else ()
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


def _group(items: Iterable[Item], open_ids: Sequence[str], instructions: str | None) -> Iterator[Entry]:
    """Group a flat list into entries, refusing at its index what can't stand there."""
    waiting = Counter(open_ids)
    kind = ""
    group: list[Item] = []
    index = -1
    for index, item in enumerate(items):
        _check_item(item, f"items[{index}]")
        next_kind = _kind(item, kind == "outputs" or bool(+waiting))
        ended: Entry | None = None
        if group and next_kind != kind:
            ended, group = _entry(kind, group, instructions), []
            if kind == "response":
                waiting = Counter(_open_ids(ended))
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
        _check_output(item, place)
        waiting[call_id] -= 1
    elif kind != "outputs" and +waiting:
        raise TranscriptError(
            f"{place}: a {_name(item)} while the calls {sorted(+waiting)} wait for their outputs. "
            "Run them by continuing without a prompt (input=None), or put a function_call_output for each before it."
        )


def _check_output(item: Item, place: str) -> None:
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


def _with_items(entry: Entry, items: list[Item], place: str) -> Entry:
    """Return an entry with other items, and with what it notes of them brought in line."""
    try:
        if isinstance(entry, ResponseEntry):
            response = Response({**entry.response.raw, "output": cast("list[json.JSON]", items)})
            return ResponseEntry.of(response, key=entry.key)
        return replace(entry, data=encode_items(items))
    except json.JSONError as exc:
        raise TranscriptError(f"{place}: {exc}. Give plain JSON values.") from exc


def _check_item(item: object, place: str) -> None:
    """Refuse what the caller can't send: everything must be a JSON object with a type, or a message with a role."""
    if not isinstance(item, dict):
        raise TranscriptError(f"{place}: {item!r} is no item. Give JSON objects, such as those of a request's input[].")
    kind = item.get("type")
    if not isinstance(kind, str) and (kind is not None or "role" not in item):
        raise TranscriptError(
            f"{place}: `type` is {kind!r}, and the keys are {sorted(map(str, item))[:8]}. "
            "Give each item a type; only a message with a role can do without."
        )
    # SambaNova: "clients must supply the full conversation history in input[]"
    if kind == "item_reference":
        raise TranscriptError(f"{place}: an item_reference. A stateless server has nothing to refer to: give the item.")
    try:
        json.encode(item)
    except json.JSONError as exc:
        raise TranscriptError(f"{place}: {exc}. Give plain JSON values.") from exc


def _name(item: Item) -> str:
    kind = item.get("type", "message")
    return f"{item.get('role')} message" if kind == "message" else str(kind)


def _is_dropped(item: Item, entry: ResponseEntry) -> bool:
    """Tell whether an item is a call that the server cut off; so are all calls of a response cut short."""
    return item.get("type") == "function_call" and (entry.status != "completed" or item_views.is_half_written(item))


def _is_sendable(call_id: str) -> bool:
    return (
        0 < len(call_id) <= MAX_CALL_ID
        and call_id.isascii()
        and call_id.isprintable()
        and not set(" \"'\\") & {*call_id}
    )


def _rename(items: list[Item], kind: str, names: Sequence[str]) -> list[Item]:
    """Return items with the `call_id` of those of a kind replaced, in order."""
    left = iter(names)
    return [{**item, "call_id": next(left)} if item.get("type") == kind else item for item in items]


def _summary_only(item: Item) -> Item:
    return {"summary": [], **{key: value for key, value in item.items() if key != "content"}}


def _entry_json(entry: Entry) -> bytes:
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


def _entry_from_json(value: object, place: str) -> Entry:
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
        _check_output(item, place)
    given, noted = [item.get("call_id") for item in outputs], [record.call_id for record in records]
    if given != noted:
        raise TranscriptError(
            f"{place}: outputs for the calls {given}, records of {noted}. Give what Transcript.to_json() wrote."
        )
    return OutputsEntry(data, tuple(records))


def _checked_items(items: list[object], place: str) -> bytes:
    for index, item in enumerate(items):
        _check_item(item, f"{place}.items[{index}]")
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
