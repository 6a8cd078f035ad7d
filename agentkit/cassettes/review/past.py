"""A recorded conversation up to one of its turns, as a transcript to go on from in another way."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from agentkit import items as item_views
from agentkit import json
from agentkit.cassettes.cleaning.cleaner import Cleaner
from agentkit.cassettes.files import find_file, read
from agentkit.cassettes.review.answered import read_answer
from agentkit.cassettes.review.asked import read_requests
from agentkit.cassettes.review.conversation import meaning
from agentkit.entries import OWN_DEPTH, OutputsEntry, ResponseEntry
from agentkit.errors import UsageError
from agentkit.items import function_call_output
from agentkit.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from os import PathLike

    from agentkit.cassettes.interaction import Interaction, Recording, ToolResult
    from agentkit.cassettes.review.asked import Asked
    from agentkit.entries import Entry
    from agentkit.items import Item
    from agentkit.response import Response


def conversation_until(path: str | PathLike[str], *, turn: int, open_calls: bool = False) -> Transcript:
    """Return the conversation of a cassette up to a turn, the outputs of that turn's calls included.

    Turns count as the file and `agentkit cassettes show` count them, which also says which of several conversations
    is meant; 0 gives what the first one was asked. `open_calls=True` leaves the calls of the turn open, so that
    going on runs them anew; calls whose outputs weren't recorded are open anyway.

        transcript = agentkit.cassettes.conversation_until("cassettes/trip.yaml", turn=3)
        transcript = transcript.replace(0, {"role": "user", "content": "And by train?"})
        agent.run_sync(None, transcript=transcript)

    The instructions and tools are those of the agent that goes on. Raises `UsageError` for a turn that isn't there, or
    has no answer to go on from, and `CassetteError` for a file that can't be read.
    """
    past = open_past(path, turn=turn)
    return past.open if open_calls else past.transcript


@dataclass(frozen=True, slots=True)
class Past:
    """A conversation up to a turn."""

    open: Transcript
    """Up to the answer of the turn; its calls are open."""
    transcript: Transcript
    """The same with the outputs of its calls, where they were recorded."""
    following: tuple[Item, ...] = ()
    """What was said to the model next, in the recording: messages, without outputs."""
    lane: str = ""
    """The calls that the agent ran within whose conversation it is; empty at the top."""


def open_past(path: str | PathLike[str], *, turn: int) -> Past:
    """Return the conversation of a cassette up to a turn; see `conversation_until` for the errors."""
    file = Path(path)
    place = file if file.is_file() else find_file(file).newest
    past = read_past(read(place), turn=turn, name=str(path))
    cleaner = Cleaner.here((), {})
    following = json.decode(cleaner.restored_json(json.encode(list(past.following))), max_depth=OWN_DEPTH)
    items = tuple(cast("list[Item]", following))
    return Past(_restored(past.open, cleaner), _restored(past.transcript, cleaner), items, past.lane)


def read_past(recording: Recording, *, turn: int, name: str) -> Past:
    """Return a conversation up to a turn. Raises `UsageError` where that can't be gone on from."""
    if isinstance(turn, bool) or not isinstance(turn, int) or not 0 <= turn <= len(recording):
        raise UsageError(
            f"{name}: turn {turn!r} asked for; it has {len(recording)}. Give one of 0 to {len(recording)}."
        )
    return _Reading(recording, name).until(turn)


def _restored(transcript: Transcript, cleaner: Cleaner) -> Transcript:
    """Return a conversation with this machine's folders in place of their placeholders: it goes on here."""
    entries = (
        dataclasses.replace(entry, data=cleaner.restored_json(b"[" + entry.data + b"]")[1:-1])
        for entry in transcript.entries
    )
    return Transcript(entries)


class _Reading:
    """Follows a conversation back to its beginning, and tells it from there."""

    def __init__(self, recording: Recording, name: str) -> None:
        self._recording = recording
        self._name = name
        self._requests = read_requests(recording)
        self._results: dict[str, ToolResult] = {
            result.call_id: result for interaction in recording for result in interaction.tool_results
        }

    def until(self, turn: int) -> Past:
        if turn == 0:
            first = next((index for index, asked in enumerate(self._requests) if asked is not None), None)
            if first is None:
                raise UsageError(f"{self._name}: it holds no request for a response. Give another cassette.")
            begun = self._before(first)
            return Past(begun, begun)
        index = turn - 1
        if self._requests[index] is None:
            raise UsageError(f"{self._name}: turn {turn} is no request for a response. {_SEE}")
        answer = read_answer(self._recording.interactions[index])
        if answer.response is None or answer.response.status == "failed":
            raise UsageError(f"{self._name}: turn {turn} has no answer to go on from ({answer.problem}). {_SEE}")
        told = self._before(index).append(ResponseEntry.of(answer.response, key=_key(index)))
        child = self._child(index)
        added = () if child is None else _without_echo(child.added)
        outputs, following = self._outputs(answer.response, added)
        lane = self._recording.interactions[index].lane
        return Past(told, told if outputs is None else self._extended(told, outputs), following, lane)

    def _before(self, index: int) -> Transcript:
        """Return the conversation that a request sent."""
        chain = [index]
        while (asked := self._requests[chain[-1]]) is not None and asked.parent is not None:
            chain.append(asked.parent)
        told = Transcript()
        before: int | None = None
        for place in reversed(chain):
            added = cast("Asked", self._requests[place]).added
            answering = None if before is None else self._answering(before, place, added)
            if answering is not None:
                response = cast("Response", read_answer(self._recording.interactions[answering]).response)
                told = told.append(ResponseEntry.of(response, key=_key(answering)))
                added = _without_echo(added)
            told = self._extended(told, added)
            before = place
        return told

    def _answering(self, before: int, place: int, added: Sequence[Item]) -> int | None:
        """Return which attempt at a request brought the answer that the next one sends back; None: it was edited."""
        echo = [meaning(item) for item in added[: len(added) - len(_without_echo(added))]]
        for index in reversed(self._attempts(before, place)):
            response = read_answer(self._recording.interactions[index]).response
            if response is not None and _spoken(map(meaning, response.output)) == _spoken(echo):
                return index
        return None

    def _attempts(self, index: int, end: int) -> list[int]:
        """Return the interactions before `end` that make the same request in the same lane."""
        made = self._recording.interactions
        return [index, *(i for i in range(index + 1, end) if _is_same(made[i], made[index]))]

    def _child(self, index: int) -> Asked | None:
        """Return the request that goes on with an answer first."""
        made = self._recording.interactions
        same = {i for i in range(len(made)) if i == index or _is_same(made[i], made[index])}
        return next(
            (asked for asked in self._requests[index + 1 :] if asked and asked.added and asked.parent in same), None
        )

    def _outputs(self, response: Response, added: Sequence[Item]) -> tuple[tuple[Item, ...] | None, tuple[Item, ...]]:
        """Return the outputs of a response's calls, or None where one is missing, and what follows them."""
        calls = [call.call_id for call in response.calls]
        outputs = tuple(item for item in added if not item_views.is_message(item))
        following = tuple(item for item in added if item_views.is_message(item))
        if not calls:
            return (), following
        if Counter(str(i["call_id"]) for i in outputs if i.get("type") == "function_call_output") == Counter(calls):
            return outputs, following
        if all(call_id in self._results for call_id in calls):
            return tuple(function_call_output(i, self._results[i].output) for i in calls), following
        return None, ()

    def _extended(self, told: Transcript, items: Sequence[Item]) -> Transcript:
        """Return the conversation with items more, the outcomes of calls noted as they were recorded."""
        calls = {call.call_id: call.name for call in told.open_calls}
        try:
            longer = told.extend(items)
        except UsageError as exc:
            raise UsageError(f"{self._name}: its conversation isn't whole: {exc}") from exc
        entries = longer.entries[len(told.entries) :]
        return functools.reduce(Transcript.append, (self._noted(entry, calls) for entry in entries), told)

    def _noted(self, entry: Entry, names: dict[str, str]) -> Entry:
        if not isinstance(entry, OutputsEntry):
            return entry
        records = []
        for record in entry.records:
            result = self._results.get(record.call_id)
            outcome, full = ("ok", None) if result is None else (result.outcome, result.full)
            name = names.get(record.call_id, "")
            records.append(dataclasses.replace(record, name=name, outcome=outcome, full=full))
        return dataclasses.replace(entry, records=tuple(records))


_SEE: Final = "Give one that has: agentkit cassettes show lists them."


def _without_echo(added: Sequence[Item]) -> tuple[Item, ...]:
    """Return what a request adds behind the answer that it sends back."""
    return tuple(itertools.dropwhile(item_views.is_output, added))


def _spoken(meanings: Iterable[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Leave out reasoning: clients send it back, or not, as the server takes it."""
    return [each for each in meanings if each[0] != "reasoning"]


def _is_same(one: Interaction, other: Interaction) -> bool:
    return one.lane == other.lane and one.body.size == other.body.size and one.body == other.body


def _key(index: int) -> str:
    return f"cassette-{index + 1}"
