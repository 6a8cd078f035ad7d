"""`agentkit.cassette(path)`: recording and replay for the code within, of every run there, threads and tasks too."""

from __future__ import annotations

import contextlib
import math
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from agentkit import json
from agentkit.cassettes import modes
from agentkit.cassettes.cleaning.cleaner import Cleaner
from agentkit.cassettes.exchanges import Exchanges, base_url
from agentkit.cassettes.files import SUFFIXES, CassetteFile
from agentkit.cassettes.interaction import Head, Recording
from agentkit.cassettes.journal import Journal
from agentkit.cassettes.matching.rules import Rules
from agentkit.cassettes.misses import describe_unused
from agentkit.cassettes.modes import Match, Tools
from agentkit.cassettes.review.usage import Played
from agentkit.cassettes.saving import (
    assembled,
    read_if_there,
    read_what_can_be,
    today,
    without_secrets,
    write_result,
)
from agentkit.cassettes.shelves import Opened, RecordingShelf, leaves_out, open_shelf, tell_left
from agentkit.cassettes.sources import RecordedSources
from agentkit.cassettes.store import Store
from agentkit.cassettes.terms import Terms
from agentkit.cassettes.tracks import RunTrack
from agentkit.errors import CassetteError, UsageError
from agentkit.tape import InForce

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence
    from datetime import datetime
    from os import PathLike
    from types import TracebackType

    from agentkit.cassettes.cleaning.scrubbing import ScrubRule
    from agentkit.cassettes.modes import Mode
    from agentkit.cassettes.terms import Rerun
    from agentkit.errors import CassetteMismatch
    from agentkit.json import JSON
    from agentkit.tape import Lane


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
        rerun: Rerun | None = None,
        has_others: bool = False,
        places: dict[str, str] | None = None,
    ) -> None:
        """Describe a cassette; nothing is read before the block is entered. See `agentkit.cassette`.

        `rerun` says how a command runs this again; `has_others`: other tests may play the file, so that a new recording
        which leaves something out waits for review; `places` are further folders to write as placeholders, such as
        `{"<tmp_path>": ...}`.
        """
        self.path = _checked_path(path)
        self.was_changed = False
        """Whether closing it wrote a file."""
        self._given_mode = mode if mode is None else modes.checked_mode(mode, "mode")
        self._terms = Terms(
            path=self.path,
            mode=self._given_mode or "replay",
            goes_live=False,
            tools=_checked("tools", tools, Tools),
            match=_checked("match", match, Match),
            speed=_checked_speed(speed),
            timings=_checked_flag("timings", timings),
            rules=Rules(ignore, exact=match == "exact"),
            cleaner=Cleaner.here(scrub, places or {}),
            rerun=rerun,
        )
        self._patch = _checked_flag("patch", patch)
        self._has_others = has_others
        self._file = CassetteFile(self.path)
        self._lock = threading.Lock()
        self._is_open = False
        self._journal: Journal | None = None
        self._written: Played | None = None
        self._ordinals: dict[str, int] = {}
        self._begin(Opened(RecordingShelf(Recording(), ()), Head()))

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
        mode = modes.effective_mode(self._given_mode, os.environ)
        is_recording = mode in ("extend", "rewrite") or (mode == "record" and not self.path.exists())
        self._terms = replace(self._terms, mode=mode, goes_live=is_recording or mode == "compare")
        self._journal, self._ordinals, self.was_changed, self._written = None, {}, False, None
        if mode == "off":
            self._enter(InForce(None))
            return
        if self._terms.match == "turns":
            modes.refuse_in_ci("match='turns' plays whatever is asked", self.path, os.environ)
        if is_recording:
            modes.refuse_in_ci(f"mode {mode!r} would go live", self.path, os.environ)
            self._journal = Journal(self._file)
        try:
            recovered = None if self._journal is None else self._journal.recovered
            self._begin(open_shelf(self._file, recovered, self._terms))
        except BaseException:
            if self._journal is not None:
                self._journal.close(keep=True)
            raise
        self._enter(InForce(self))

    def _begin(self, opened: Opened) -> None:
        keep = None if self._journal is None else self._journal.note_head
        sources = RecordedSources(opened.head, name=str(self.path), keep=keep)
        self._opened = opened
        self._exchanges = Exchanges(self._terms, Store(opened.shelf), sources, self._journal)

    def _enter(self, in_force: InForce) -> None:
        self._in_force = in_force
        in_force.__enter__()
        self._is_open = True
        if self._patch and self.mode != "off":
            from agentkit.cassettes.foreign import PATCH

            PATCH.enter()

    def close(self, exc: BaseException | None = None, *, failed: bool = False) -> None:
        """Take the cassette out of force, and write what was recorded: to wait for review where `exc` or `failed`.

        Raises the first mismatch again where something swallowed it.
        """
        __tracebackhide__ = True
        if not self._is_open:
            return
        self._is_open = self._exchanges.is_open = False
        self._in_force.__exit__()
        if self._patch and self.mode != "off":
            from agentkit.cassettes.foreign import PATCH

            PATCH.leave()
        if self._journal is not None:
            self._conclude(failed=failed or exc is not None)
        self.raise_swallowed(exc)

    def raise_swallowed(self, exc: BaseException | None = None) -> None:
        """Raise the first mismatch again where something swallowed it; where `exc` is raised already, note it there."""
        if not self.misses or _is_caused_by(exc, self.misses):
            return
        if exc is None:
            raise self.misses[0]
        exc.add_note(f"A request was not in the cassette, and the error for it was swallowed: {self.misses[0]}")

    def check_played(self) -> None:
        """Raise `CassetteError` where a whole recording was to be played, and wasn't."""
        if self.mode in ("replay", "record") and self.unused:
            raise CassetteError(describe_unused(self._terms, self.usage))

    # --- what was recorded ----------------------------------------------------------------------------------

    def save(self, *, scrub: Sequence[ScrubRule] = ()) -> None:
        """Write what was recorded, after a save was refused. `scrub`: further rules, over what is in memory.

        Raises `CassetteError` as closing does.
        """
        if scrub:
            cleaner = Cleaner.here(scrub, {})
            for entry in self._exchanges.entries:
                if entry.interaction is not None:
                    entry.interaction = cleaner.scrubbed(entry.interaction)
                entry.results = {index: cleaner.scrubbed_result(result) for index, result in entry.results.items()}
        self._conclude(failed=False)
        if not self._opened.left(self._exchanges.store).interactions:
            with contextlib.suppress(CassetteError):  # somebody else is recording by now
                Journal(self._file).close(keep=False)  # what the refused save had left

    def _conclude(self, *, failed: bool) -> None:
        """Write the result where it belongs, and let go of the journal once it is safe."""
        __tracebackhide__ = True
        is_safe = False
        try:
            is_safe = self._write(failed=failed)
        finally:
            if self._journal is not None and self._journal.is_held:
                self._let_go(self._journal, is_safe=is_safe)

    def _let_go(self, journal: Journal, *, is_safe: bool) -> None:
        """Leave in the journal what isn't safe elsewhere, and may be on the disk."""
        left = self._opened.left(self._exchanges.store)
        if not is_safe:
            kept = journal.read()
            clean = without_secrets(kept, self._terms.cleaner.seen)
            if len(clean) < len(kept):
                journal.leave(clean)
            else:
                journal.close(keep=True)
        elif left.interactions:
            tell_left(self._file, left)
            journal.leave(left)
        else:
            journal.close(keep=False)

    def _write(self, *, failed: bool) -> bool:
        """Write the result; tell whether all that was recorded, or recovered, is safe now."""
        __tracebackhide__ = True
        exchanges = self._exchanges
        live = [entry for entry in exchanges.entries if entry.index is None and entry.interaction is not None]
        has_answer = any(entry.interaction is not None and entry.interaction.status is not None for entry in live)
        if not exchanges.entries or (failed and not has_answer):
            return not (exchanges.entries and self._opened.recovered.interactions)
        before = read_if_there(self.path) if self.mode != "rewrite" else read_what_can_be(self.path)
        head = exchanges.sources.head
        recorded = today() if live or before is None else head.recorded
        result = assembled(exchanges.entries, exchanges.store, replace(head, recorded=recorded))
        propose = failed or self._is_reviewed(result, before)
        self.was_changed = write_result(self._file, result, before, self._terms, propose=propose, is_new=bool(live))
        self._written = Played(tuple(range(1, len(result) + 1)), len(result))
        return True

    def _is_reviewed(self, result: Recording, before: Recording | None) -> bool:
        """Tell whether a result waits for review, instead of taking the place of what was there."""
        if before is None:
            return False
        is_rewritten = self.mode == "rewrite" and self._has_others
        return self.mode == "extend" or (is_rewritten and leaves_out(result, before, self._terms))

    # --- what users look at ---------------------------------------------------------------------------------

    @property
    def mode(self) -> Mode:
        """The mode that holds: the command line's, the environment's, or the one given."""
        return self._terms.mode

    @property
    def match(self) -> Match:
        """What counts as the same request."""
        return self._terms.match

    @property
    def misses(self) -> list[CassetteMismatch]:
        """Requests that the cassette doesn't hold. The first is raised again at the end, if any is left here."""
        return self._exchanges.misses

    @property
    def differences(self) -> list[str]:
        """What `mode="compare"`, `tools="verify"` and `match="turns"` found different, in words."""
        return self._exchanges.differences

    @property
    def requests(self) -> list[JSON]:
        """The bodies of the requests made within, oldest first; a body that isn't JSON as text."""
        return [_readable(bytes(entry.sent)) for entry in self._exchanges.entries]

    @property
    def unused(self) -> list[int]:
        """The turns of the file, from 1, that were not played."""
        if self.mode in ("rewrite", "compare"):
            return []
        return [turn for index in self._exchanges.store.unplayed() if (turn := index + 1) <= self._opened.accepted]

    @property
    def played(self) -> list[int]:
        """The turns of the file, from 1, that were played."""
        store = self._exchanges.store
        return [index + 1 for index in range(self._opened.accepted) if store.is_played(index)]

    @property
    def usage(self) -> Played:
        """The turns of the file, as it was left, that this session was about."""
        return self._written or Played(tuple(self.played), self._opened.accepted)

    @property
    def recorded(self) -> int:
        """How many exchanges went live."""
        return sum(entry.index is None for entry in self._exchanges.entries)

    def __repr__(self) -> str:
        return f"cassette({str(self.path)!r}, mode={self.mode!r})"

    # --- what runs ask: see `agentkit.tape.Tape` ------------------------------------------------------------

    @property
    def goes_live(self) -> bool:
        """Whether a request may go out."""
        return self._terms.goes_live

    @property
    def server(self) -> str:
        """The base URL that was recorded; empty where there is none."""
        store = self._exchanges.store
        return base_url(store.interaction(0).uri) if len(store) else ""

    def begin_run(self, lane: Lane) -> RunTrack:
        """Return a run's way through the cassette."""
        with self._lock:
            ordinal = self._ordinals[lane.places] = self._ordinals.get(lane.places, 0) + 1
        return RunTrack(self._exchanges, lane, ordinal)

    def now(self) -> datetime:
        """Return the recorded moment."""
        return self._exchanges.sources.now()

    def random(self, place: str) -> random.Random:
        """Return the recorded source of chance of a place."""
        return self._exchanges.sources.random(place)


def cassette(
    path: str | PathLike[str],
    mode: Mode | None = None,
    *,
    tools: Tools = "recorded",
    match: Match = "canonical",
    scrub: Sequence[ScrubRule] = (),
    ignore: Sequence[str] = (),
    speed: float = 0,
    patch: bool = False,
    timings: bool = False,
) -> Cassette:
    """Return a cassette for `with` or `async with`: what agentkit's clients ask within is played, or recorded.

    Args:
        path: The file, such as `cassettes/weather.yaml`.
        mode: `replay` (the default): play, never go live. `record`: record if there is no file, else play. `extend`:
            play what is the same, go live from the first difference; the result waits for review in `PATH.new`.
            `rewrite`: record anew. `compare`: go live and list in `.differences` what the recording doesn't say.
            The environment variable AGENTKIT_CASSETTES goes before this, and `pytest --cassettes=MODE` before both;
            but `off`, as if there were no cassette, stays off.
        tools: While playing. `recorded`: a call gives what it gave; the tool isn't run. `live`: tools are run, and an
            output that changed is a mismatch. `verify`: run and compared, listed in `.differences`, and the recorded
            output goes to the model.
        match: `canonical`: what counts is what a model could see a difference in. `exact`: all fields count, and
            their order. `turns`: whose turn it is, whatever it says, each difference listed; refused in CI.
        scrub: What to replace in the file and before matching: patterns, pairs (pattern, replacement), functions.
        ignore: Fields that don't count, such as `tools[*].description`.
        speed: 0: at once; 1: as it came, if `timings` were recorded; 2: twice as fast.
        patch: Also play and record HTTP made by others: httpx, requests, aiohttp and what else vcrpy knows.
        timings: Record when each chunk came.

    Raises `UsageError` for options that are none, and on entering `CassetteError` for a file that can't be used.
    """
    return Cassette(
        path,
        mode=mode,
        tools=tools,
        match=match,
        scrub=scrub,
        ignore=ignore,
        speed=speed,
        patch=patch,
        timings=timings,
    )


def _checked_path(path: str | PathLike[str]) -> Path:
    try:
        found = Path(path)
    except TypeError:
        raise UsageError(f"path={path!r}; give the name of a file, such as 'cassettes/weather.yaml'.") from None
    if found.suffix not in SUFFIXES or "\0" in str(found):
        raise UsageError(
            f"path={str(path)!r}: a cassette ends in {' or '.join(SUFFIXES)}, as 'cassettes/weather.yaml'."
        )
    return found


def _checked(name: str, value: str, allowed: object) -> Any:
    if value not in get_args(allowed):
        raise UsageError(f"{name}={value!r}; allowed are {', '.join(map(repr, get_args(allowed)))}.")
    return value


def _checked_flag(name: str, value: bool) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{name}={value!r}; allowed are True and False.")
    return value


def _checked_speed(speed: float) -> float:
    if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0 <= speed < math.inf:
        raise UsageError(f"speed={speed!r}; allowed are 0 (at once), 1 (as it came), 2 (twice as fast), ...")
    return speed


def _readable(body: bytes) -> JSON:
    try:
        return json.decode(body)
    except json.JSONError:
        return body.decode(errors="replace")


def _is_caused_by(exc: BaseException | None, misses: Sequence[CassetteMismatch]) -> bool:
    """Tell whether one of the misses is, or led to, the exception."""
    seen: list[BaseException] = []
    while exc is not None and exc not in seen:
        if any(exc is miss for miss in misses):
            return True
        if isinstance(exc, BaseExceptionGroup):
            return any(_is_caused_by(inner, misses) for inner in exc.exceptions)
        seen.append(exc)
        exc = exc.__cause__ or exc.__context__
    return False
