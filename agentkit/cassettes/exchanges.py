"""The exchanges of a session: found in the store, or begun and written down; what calls gave; what was different."""

from __future__ import annotations

import logging
import re
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from agentkit import json
from agentkit.cassettes.interaction import Body, ToolResult
from agentkit.cassettes.misses import describe_drift, describe_miss
from agentkit.cassettes.outputs import RecordedOutputs, nested_usage
from agentkit.cassettes.review.comparing import compare_answers, compare_outputs
from agentkit.cassettes.saving import holds_secret, result_holds_secret
from agentkit.cassettes.tracks import Asked, Entry, RunTrack
from agentkit.errors import CassetteError, CassetteMismatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentkit.cassettes.interaction import Interaction
    from agentkit.cassettes.journal import Journal
    from agentkit.cassettes.outputs import Output
    from agentkit.cassettes.sources import RecordedSources
    from agentkit.cassettes.store import Store
    from agentkit.cassettes.terms import Terms
    from agentkit.entries import Outcome
    from agentkit.items import FunctionCall
    from agentkit.json import JSON, JSONObject

_TIPS = 32
"""How many runs are remembered by their last request, for runs that go on with their conversations."""
_log = logging.getLogger("agentkit")


class Exchanges:
    """What a session has played and recorded so far. For any number of threads and tasks at once."""

    def __init__(self, terms: Terms, store: Store, sources: RecordedSources, journal: Journal | None) -> None:
        self.terms = terms
        self.store = store
        self.sources = sources
        self.entries: list[Entry] = []
        """In the order in which their requests began."""
        self.misses: list[CassetteMismatch] = []
        self.differences: list[str] = []
        self.is_open = True
        self._journal = journal
        self._outputs = RecordedOutputs(store)
        self._lock = threading.RLock()
        self._tips: dict[RunTrack, Asked] = {}
        self._has_asked = False

    def find(self, asked: Asked, track: RunTrack) -> Entry | None:
        """Return the exchange to play for a request, or None where it is to go out. Raises `CassetteMismatch`."""
        terms = self.terms
        with self._lock:
            if not self.is_open:
                raise CassetteError(
                    f"{terms.path} is closed, and a run that began in it goes on. End it before the block does."
                )
            index = None if terms.mode == "compare" else self.store.take(asked.state.key, track.lane)
            if index is None and terms.match == "turns" and not terms.goes_live:
                index = self._take_by_turn(asked, track)
            if index is not None:
                return self._new_entry(asked, index)
            if terms.goes_live:
                return None
            miss = CassetteMismatch(describe_miss(terms, self.store, asked))
            self.misses.append(miss)
            raise miss

    def begin(self, asked: Asked) -> Entry:
        """Return the new exchange of a request that goes out."""
        with self._lock:
            return self._new_entry(asked, None)

    def keep(self, entry: Entry, interaction: Interaction) -> None:
        """Keep an exchange that has ended, first of all on the disk."""
        with self._lock:
            entry.interaction = interaction
            if self.terms.mode == "compare":
                self._compare(entry, interaction)
            elif self._journal is not None and self.is_open:
                self._note_server(entry, interaction)
                self._write_down(self._journal, entry, interaction)

    def note_result(
        self,
        entry: Entry,
        index: int,
        call: FunctionCall,
        output: str | list[JSON],
        outcome: Outcome,
        full: str | None,
    ) -> None:
        """Keep what a call gave: no request may follow that holds it."""
        clean = self.terms.cleaner.text
        result = ToolResult(call.call_id, clean(_as_text(output)), outcome, full and clean(full))
        with self._lock:
            entry.results[index] = result
            is_kept = self._journal is not None and self.is_open and entry.is_journaled
            if self._journal is not None and is_kept and not result_holds_secret(result, self.terms.cleaner.seen):
                self._journal.append_results(entry.number, [entry.results[i] for i in sorted(entry.results)])

    def output_of(self, entry: Entry | None, call: FunctionCall, position: int) -> Output | None:
        """Return what a call gave when it was recorded; agents that had run in it count as played.

        `entry` is the exchange that asked for it, None where the conversation began with the call.
        """
        with self._lock:
            if entry is None:
                return self._outputs.of_open_call(call)
            if entry.index is None or (found := self._outputs.of_response(entry.index, call, position)) is None:
                return None
            lane = f"{self.store.interaction(entry.index).lane}/{call.call_id}".lstrip("/")
            nested = [i for i in self.store.beneath(lane) if self.store.take_index(i)]
            return replace(found, usage=nested_usage(map(self.store.interaction, nested)))

    def compare_output(self, entry: Entry, call: FunctionCall, output: str | list[JSON], recorded: Output) -> None:
        """Note where a call gives something else than it gave when it was recorded."""
        live = self.terms.cleaner.text(_as_text(output))
        if difference := compare_outputs(_as_text(recorded.output), live):
            turn = (entry.index or 0) + 1
            self.differences.append(f"turn {turn}, {call.name}({call.arguments}): {difference}")

    def tips(self, track: RunTrack) -> Iterator[Asked]:
        """Return the last requests of other runs, latest first: a run may go on with their conversations."""
        with self._lock:
            return iter([asked for other, asked in reversed(self._tips.items()) if other is not track])

    def remember(self, track: RunTrack, asked: Asked) -> None:
        """Keep a run's last request, for runs that go on from it."""
        with self._lock:
            self._tips.pop(track, None)
            self._tips[track] = asked
            while len(self._tips) > _TIPS:
                del self._tips[next(iter(self._tips))]

    def _new_entry(self, asked: Asked, index: int | None) -> Entry:
        entry = Entry(len(self.entries), asked.sent, asked.clean, asked.parent, index)
        self.entries.append(entry)
        return entry

    def _note_server(self, entry: Entry, interaction: Interaction) -> None:
        if not self._has_asked:
            self._has_asked = True
            is_ours = entry.server.startswith("agentkit-serve/")
            self.sources.note_server("agentkit serve" if is_ours else base_url(interaction.uri))

    def _write_down(self, journal: Journal, entry: Entry, interaction: Interaction) -> None:
        before = entry.parent
        grown = (
            before is not None
            and before.is_journaled
            and before.interaction is not None
            and interaction.body.parent is before.interaction.body
        )
        kept = interaction if grown else replace(interaction, body=Body(bytes(interaction.body)))
        if holds_secret(kept, kept.body.tail, self.terms.cleaner.seen):
            _log.warning(
                "%s: an exchange holds what looks like a secret; it stays in memory until that is replaced",
                self.terms.path,
            )
            return
        journal.append(entry.number, kept, before.number if grown and before is not None else None)
        entry.is_journaled = True

    def _take_by_turn(self, asked: Asked, track: RunTrack) -> int | None:
        """Return the interaction whose turn it is in this lane, whatever its request says, and note the difference."""
        after = track.last_entry
        following = self.store.roots() if after is None or after.index is None else self.store.children(after.index)
        index = next((i for i in following if not self.store.is_played(i)), None)
        if index is None:
            return None
        self.store.take_index(index)
        drift = describe_drift(
            self.terms,
            self.store.interaction(index),
            asked.method,
            self.terms.cleaner.uri(asked.uri),
            bytes(asked.clean),
        )
        self.differences.append(f"turn {index + 1} drifted: {drift}")
        return index

    def _compare(self, entry: Entry, interaction: Interaction) -> None:
        """Set a live exchange against the recorded one of its turn."""
        body = bytes(interaction.body)
        key = self.terms.rules.state(interaction.method, interaction.uri, body).key
        index = self.store.take(key, interaction.lane)
        if index is None:
            waiting = self.store.unplayed()
            if not waiting:
                self.differences.append(f"request {entry.number + 1} has no counterpart: the cassette ends before it")
                return
            index = waiting[0]
            self.store.take_index(index)
            recorded = self.store.interaction(index)
            drift = describe_drift(self.terms, recorded, interaction.method, interaction.uri, body)
            self.differences.append(f"turn {index + 1}: the request differs: {drift}")
        if difference := compare_answers(self.store.interaction(index), interaction):
            self.differences.append(f"turn {index + 1}: the answer differs: {difference}")


def base_url(uri: str) -> str:
    """Return the base URL of a request to the API; what isn't one, as it is."""
    return re.sub(r"/(responses|models)/?(\?.*)?$", "", uri)


def _as_text(output: str | list[JSON] | list[JSONObject]) -> str:
    return output if isinstance(output, str) else json.encode(output).decode()
