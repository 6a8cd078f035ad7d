"""`agentkit.cassette(path)`: recording and replay for the code within, of every run there, threads and tasks included."""

from __future__ import annotations

import logging
import os
import re
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from agentkit import json
from agentkit.cassettes import modes
from agentkit.cassettes.cleaning import Cleaner
from agentkit.cassettes.comparing import compare_answers, compare_outputs
from agentkit.cassettes.interaction import Body, Head, Interaction, Recording, ToolResult
from agentkit.cassettes.journal import Journal
from agentkit.cassettes.matching import Rules
from agentkit.cassettes.mismatch import report_mismatch
from agentkit.cassettes.outputs import Output, RecordedOutputs, nested_usage
from agentkit.cassettes.files import CassetteFile
from agentkit.cassettes.saving import assembled, drop_pending, read_if_there, today, write_result
from agentkit.cassettes.shelves import open_shelf
from agentkit.cassettes.sources import RecordedSources
from agentkit.cassettes.store import Store
from agentkit.cassettes.tracks import Asked, Entry, RunTrack
from agentkit.errors import CassetteError, CassetteMismatch, UsageError
from agentkit.tape import InForce, Lane

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from os import PathLike
    from types import TracebackType

    from agentkit.cassettes.modes import Mode
    from agentkit.cassettes.scrubbing import ScrubRule
    from agentkit.entries import Outcome
    from agentkit.items import FunctionCall
    from agentkit.json import JSON, JSONObject

Tools: TypeAlias = Literal["recorded", "live", "verify"]
Match: TypeAlias = Literal["canonical", "exact", "turns"]

_TIPS = 32
"""How many runs of a session are remembered by their last request, for runs that go on with their conversations."""
_log = logging.getLogger("agentkit")


class Cassette:
    """A cassette in force for the code within, sync or async.

        with agentkit.cassette("cassettes/weather.yaml") as tape:
            agent.run_sync("Do I need a coat in Oslo?")
        assert not tape.unused

    Every request of agentkit's clients within is answered from the file, in tasks, threads and nested agents too. A
    request that it doesn't hold is a `CassetteMismatch`, which nothing can swallow: it is raised again at the end.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        mode: Mode | None = None,
        tools: Tools = "recorded",
        match: Match = "canonical",
        scrub: Sequence[ScrubRule] = (),
        ignore: Sequence[str] = (),
        speed: float = 0,
        patch: bool = False,
        timings: bool = False,
        name: str = "",
        places: dict[str, str] | None = None,
    ) -> None:
        """Describe a cassette; nothing is read before the block is entered. See `agentkit.cassette`.

        `name` is how a test runner asks for this cassette's recording, for the advice in a mismatch; `places` are
        further folders to write as placeholders, such as `{"<tmp_path>": ...}`.
        """
        self.path = Path(path)
        self.tools: Tools = _checked("tools", tools, Tools)
        self.match: Match = _checked("match", match, Match)
        if not isinstance(speed, int | float) or isinstance(speed, bool) or not speed >= 0:
            raise UsageError(f"speed={speed!r}; allowed are 0 (at once), 1 (as it came), 2 (twice as fast), ...")
        self.speed = speed
        self.timings = timings
        self.rules = Rules(tuple(ignore), exact=match == "exact")
        self.cleaner = Cleaner.here(scrub, places or {})
        self.differences: list[str] = []
        """What `mode="compare"`, `tools="verify"` and `match="turns"` found different, in words."""
        self.misses: list[CassetteMismatch] = []
        """Requests that the cassette doesn't hold. The first is raised at the end, if any is left here."""
        self.was_changed = False
        """Whether closing it wrote a file."""
        self._given_mode = mode if mode is None else modes.checked_mode(mode, "mode")
        self._patch = patch
        self._name = name
        self._lock = threading.RLock()
        self._is_open = False
        self._entries: list[Entry] = []
        self._tips: dict[RunTrack, Asked] = {}
        self._ordinals: dict[str, int] = {}

    # --- life -----------------------------------------------------------------------------------------------

    def __enter__(self) -> Cassette:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close(exc)

    async def __aenter__(self) -> Cassette:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, exc, traceback)

    def open(self) -> None:
        """Read the file, and put the cassette in force. Raises `CassetteError` where there is nothing to play."""
        if self._is_open:
            raise UsageError(f"{self.path} is open already. Make a cassette for each block.")
        self._entries, self._tips, self._ordinals = [], {}, {}
        self.mode: Mode = modes.effective_mode(self._given_mode, os.environ)
        self._file = CassetteFile(self.path)
        self._journal: Journal | None = None
        if self.mode == "off":
            self._enter(InForce(None))
            return
        self._is_recording = self.mode in ("extend", "rewrite") or (self.mode == "record" and not self.path.exists())
        if self._is_recording:
            modes.refuse_in_ci(self.mode, self.path, os.environ)
            self._journal = Journal(self._file)
        try:
            self._load()
        except BaseException:
            if self._journal is not None:
                self._journal.close(keep=True)
            raise
        self._enter(InForce(self))

    def _enter(self, in_force: InForce) -> None:
        self._in_force = in_force
        in_force.__enter__()
        self._is_open = True
        if self._patch and self.mode != "off":
            from agentkit.cassettes.foreign import PATCH

            PATCH.enter()

    def _load(self) -> None:
        recovered = self._journal.recovered if self._journal is not None else None
        shelf, head = open_shelf(self._file, self.mode, recovered, self.rules, self.cleaner)
        self._head = head
        self._sources = RecordedSources(head, name=str(self.path), goes_live=self._is_recording)
        self.store = Store(shelf)
        self._outputs = RecordedOutputs(self.store)
        if self._journal is not None and not self._journal.recovered.interactions:
            self._journal.begin(head)

    def close(self, exc: BaseException | None = None, *, failed: bool = False) -> None:
        """Take the cassette out of force, and write what was recorded: to wait for review where `exc` or `failed`.

        Raises the first mismatch again where something swallowed it.
        """
        if not self._is_open:
            return
        self._is_open = False
        self._in_force.__exit__()
        if self._patch and self.mode != "off":
            from agentkit.cassettes.foreign import PATCH

            PATCH.leave()
        if self.mode == "off":
            return
        if self._is_recording:
            self._conclude(failed=failed or exc is not None)
        self._raise_swallowed(exc)

    def _raise_swallowed(self, exc: BaseException | None) -> None:
        if not self.misses or _is_caused_by(exc, self.misses):
            return
        if exc is None:
            raise self.misses[0]
        exc.add_note(f"A request was not in the cassette, and the error for it was swallowed: {self.misses[0]}")

    # --- what was recorded ----------------------------------------------------------------------------------

    def save(self, *, scrub: Sequence[ScrubRule] = ()) -> None:
        """Write what was recorded, after a save was refused. `scrub`: further rules, over what is in memory.

        Raises `CassetteError` as closing does.
        """
        if scrub:
            cleaner = Cleaner.here(scrub, {})
            for entry in self._entries:
                if entry.interaction is not None:
                    entry.interaction = _scrubbed(entry.interaction, cleaner)
        self._conclude(failed=False)

    def _conclude(self, *, failed: bool) -> None:
        """Write the result where it belongs, and let go of the journal once it is safe."""
        is_safe = False
        try:
            self._write(failed=failed)
            is_safe = True
        finally:
            if self._journal is not None:
                self._journal.close(keep=not is_safe)

    def _write(self, *, failed: bool) -> None:
        live = [entry for entry in self._entries if entry.index is None and entry.interaction is not None]
        before = read_if_there(self.path)
        if not live and (before is None or failed or not self._entries):
            return
        head = self._sources.head
        recorded = today() if live or before is None else head.recorded
        head = replace(head, recorded=recorded, server=self._server_of(live) or head.server)
        result = assembled(self._entries, self.store, head)
        self.was_changed = True
        if before is not None and self.mode == "extend" and not live and len(result) == len(before):
            self.was_changed = False
            drop_pending(self._file)
        else:
            propose = failed or (before is not None and self.mode == "extend")
            write_result(self._file, result, before, propose=propose)

    def _server_of(self, live: Sequence[Entry]) -> str:
        found = next((entry.interaction for entry in live if entry.interaction is not None), None)
        return "" if found is None else _base_url(found)

    # --- what users look at ---------------------------------------------------------------------------------

    @property
    def requests(self) -> list[JSON]:
        """The bodies of the requests made within, oldest first; a body that isn't JSON as text."""
        return [_readable(bytes(entry.sent)) for entry in self._entries]

    @property
    def unused(self) -> list[int]:
        """The turns of the file, from 1, that were not played."""
        return [] if self.mode in ("off", "rewrite", "compare") else [index + 1 for index in self.store.unplayed()]

    @property
    def played(self) -> list[int]:
        """The turns of the file, from 1, that were played."""
        return [] if self.mode == "off" else sorted(i + 1 for i in range(len(self.store)) if self.store.is_played(i))

    @property
    def recorded(self) -> int:
        """How many exchanges went live."""
        return sum(entry.index is None for entry in self._entries)

    def __repr__(self) -> str:
        return f"cassette({str(self.path)!r}, mode={getattr(self, 'mode', self._given_mode)!r})"

    # --- what runs ask: see `agentkit.tape.Tape` ------------------------------------------------------------

    @property
    def goes_live(self) -> bool:
        """Whether a request may go out."""
        return self._is_recording or self.mode == "compare"

    @property
    def server(self) -> str:
        """The base URL that was recorded; empty where there is none."""
        return _base_url(self.store.interaction(0)) if len(self.store) else ""

    def begin_run(self, lane: Lane) -> RunTrack:
        """Return a run's way through the cassette."""
        with self._lock:
            ordinal = self._ordinals[lane.places] = self._ordinals.get(lane.places, 0) + 1
        return RunTrack(self, lane, ordinal)

    def now(self) -> datetime:
        """Return the recorded moment."""
        return self._sources.now()

    def random(self, place: str) -> random.Random:
        """Return the recorded source of chance of a place."""
        return self._sources.random(place)

    # --- what tracks ask ------------------------------------------------------------------------------------

    def find(self, asked: Asked, track: RunTrack) -> Entry | None:
        """Return the exchange to play for a request, or None where it is to go out. Raises `CassetteMismatch`."""
        with self._lock:
            if not self._is_open:
                raise CassetteError(
                    f"{self.path} is closed, and a run that began in it goes on. End it before the block does."
                )
            index = None if self.mode == "compare" else self.store.take(asked.state.key, track.lane)
            if index is None and self.match == "turns" and not self.goes_live:
                index = self._by_turn(asked, track)
            if index is not None:
                return self._new_entry(asked, index)
            if self.goes_live:
                return None
            raise self._miss(asked, track)

    def begin(self, asked: Asked) -> Entry:
        """Return the new exchange of a request that goes out."""
        with self._lock:
            return self._new_entry(asked, None)

    def keep(self, entry: Entry, interaction: Interaction) -> None:
        """Keep an exchange that has ended, first of all on the disk."""
        with self._lock:
            entry.interaction = interaction
            if self.mode == "compare":
                self._compare(entry, interaction)
            elif self._journal is not None:
                self._journal_entry(entry, interaction)

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
        text = output if isinstance(output, str) else json.encode(output).decode()
        result = ToolResult(call.call_id, self.cleaner.text(text), outcome, full and self.cleaner.text(full))
        with self._lock:
            entry.results[index] = result
            if self._journal is not None and entry.is_journaled and not find_in(result):
                self._journal.append_results(entry.number, [entry.results[i] for i in sorted(entry.results)])

    def output_of(self, index: int, call: FunctionCall, position: int) -> Output | None:
        """Return what a call of a recorded response gave; agents that had run in it count as played."""
        with self._lock:
            found = self._outputs.of_response(index, call, position)
            if found is None:
                return None
            lane = f"{self.store.interaction(index).lane}/{call.call_id}".lstrip("/")
            nested = [i for i in self.store.beneath(lane) if self.store.take_index(i)]
            return replace(found, usage=nested_usage(map(self.store.interaction, nested)))

    def output_of_open_call(self, call: FunctionCall) -> Output | None:
        """Return what a call gave whose response was in the conversation from the start."""
        with self._lock:
            return None if self._is_recording and not len(self.store) else self._outputs.of_open_call(call)

    def compare_output(self, entry: Entry, call: FunctionCall, output: str | list[JSON], recorded: Output) -> None:
        """Note where a call gives something else than it gave when it was recorded."""
        turn = (entry.index or 0) + 1
        if difference := compare_outputs(self.cleaner.text(_as_text(output)), _as_text(recorded.output)):
            self.differences.append(f"turn {turn}, {call.name}({call.arguments}): {difference}")

    def restored(self, recorded: Interaction) -> Interaction:
        """Return a recorded answer with the folders of this machine in place of the placeholders."""
        return self.cleaner.restored(recorded)

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
        entry = Entry(len(self._entries), asked.sent, asked.parent, index)
        self._entries.append(entry)
        return entry

    def _journal_entry(self, entry: Entry, interaction: Interaction) -> None:
        journal = cast("Journal", self._journal)
        parent = entry.parent if entry.parent is not None and entry.parent.is_journaled else None
        grown = (
            parent is not None and parent.interaction is not None and interaction.body.parent is parent.interaction.body
        )
        kept = interaction if grown else replace(interaction, body=Body(bytes(interaction.body)))
        if find_in(kept):
            _log.warning(
                "%s: an exchange holds what looks like a secret, and is kept in memory only until it is replaced",
                self.path,
            )
            return
        journal.append(entry.number, kept, parent.number if grown and parent is not None else None)
        entry.is_journaled = True

    def _by_turn(self, asked: Asked, track: RunTrack) -> int | None:
        """Return the interaction whose turn it is in this lane, whatever its request says, and note the difference."""
        after = track.last_entry
        following = self.store.roots() if after is None or after.index is None else self.store.children(after.index)
        index = next((i for i in following if not self.store.is_played(i)), None)
        if index is None:
            return None
        self.store.take_index(index)
        self.differences.append(f"turn {index + 1} drifted: {self._report(asked, [index])}")
        return index

    def _compare(self, entry: Entry, interaction: Interaction) -> None:
        """Set a live exchange against the recorded one of its turn."""
        index = self.store.take(
            self.rules.state(interaction.method, interaction.uri, bytes(interaction.body)).key, interaction.lane
        )
        if index is None:
            waiting = self.store.unplayed()
            if not waiting:
                self.differences.append(f"request {entry.number + 1} has no counterpart: the cassette ends before it")
                return
            index = waiting[0]
            self.store.take_index(index)
            self.differences.append(f"turn {index + 1}: the request differs. {self._report_of(interaction, [index])}")
        if difference := compare_answers(interaction, self.store.interaction(index)):
            self.differences.append(f"turn {index + 1}: the answer differs. {difference}")
