"""A conversation as a request sends it: the entries' own bytes, but for what a server would refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from agentkit import items as item_views
from agentkit.entries import Entry, InputEntry, OutputsEntry, ResponseEntry, encode_items
from agentkit.items import MAX_CALL_ID, Item

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ReasoningMode: TypeAlias = Literal["raw", "summary", "drop"]


class InputView:
    """The request's view of a conversation, entry by entry: `feed` returns the bytes to join.

    Almost always those are the entry's own. Rewritten are only: call_ids that a server would refuse (see
    `_is_sendable`) or that were used before, on call and output alike; calls that were cut off, which are
    left out; and reasoning, where the caller or the server's profile asks for another form.
    """

    __slots__ = (
        "_aliases",
        "_numbers",
        "_originals",
        "_reasoning",
        "_seen",
        "left_out",
        "needs_encrypted_reasoning",
        "needs_spoken_reasoning",
    )

    def __init__(
        self,
        reasoning: ReasoningMode = "raw",
        *,
        needs_encrypted_reasoning: bool = False,
        needs_spoken_reasoning: bool = False,
    ) -> None:
        self._reasoning = reasoning
        self.needs_encrypted_reasoning = needs_encrypted_reasoning
        self.needs_spoken_reasoning = needs_spoken_reasoning
        self._seen: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._originals: tuple[str, ...] = ()
        self._aliases: tuple[str, ...] = ()
        self.left_out = 0
        """Reasoning items left out because the server would refuse them."""

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
        is_viewed = self._reasoning != "raw" or self.needs_encrypted_reasoning or self.needs_spoken_reasoning
        reasoning = is_viewed and b'"reasoning"' in entry.data
        if not (renamed or entry.half_written or reasoning):
            return entry.data
        kept = [item for item in entry.items if not is_dropped(item, entry)]
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
        if self._reasoning == "summary":
            items = [_summary_only(item) if item.get("type") == "reasoning" else item for item in items]
        kept = [item for item in items if not self._is_refused(item)]
        self.left_out += len(items) - len(kept)
        if self.needs_spoken_reasoning:
            kept = [{"summary": [], **item} if item.get("type") == "reasoning" else item for item in kept]
        return kept

    def _is_refused(self, item: Item) -> bool:
        if item.get("type") != "reasoning":
            return False
        # Under store:false, OpenAI and Azure can't find a reasoning item again by its id, and refuse it.
        lost = self.needs_encrypted_reasoning and not item.get("encrypted_content")
        return lost or (self.needs_spoken_reasoning and not item.get("content"))


def is_dropped(item: Item, entry: ResponseEntry) -> bool:
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
