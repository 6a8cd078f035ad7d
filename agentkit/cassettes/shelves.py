"""Where recorded interactions come from: the compiled copy, the file itself, or what a killed recording left."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from agentkit.cassettes.files import read
from agentkit.cassettes.format import compiled, form
from agentkit.cassettes.interaction import Head, Interaction, Recording
from agentkit.cassettes.journal import Journal
from agentkit.cassettes.review.splicing import without
from agentkit.cassettes.saving import read_if_there, read_what_can_be, tokens_of
from agentkit.errors import CassetteError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from agentkit.cassettes.cleaning.cleaner import Cleaner
    from agentkit.cassettes.files import CassetteFile
    from agentkit.cassettes.matching.rules import RequestState, Rules
    from agentkit.cassettes.store import Shelf, Store
    from agentkit.cassettes.terms import Terms

_log = logging.getLogger("agentkit")


@dataclass(frozen=True, slots=True)
class RecordingShelf:
    """A recording in memory, with its keys."""

    recording: Recording
    keys: Sequence[str]

    @property
    def parents(self) -> Sequence[int | None]:
        return [interaction.parent for interaction in self.recording]

    @property
    def lanes(self) -> Sequence[str]:
        return [interaction.lane for interaction in self.recording]

    def interaction(self, index: int) -> Interaction:
        return self.recording.interactions[index]


@dataclass(frozen=True, slots=True)
class Opened:
    """What a session plays from."""

    shelf: Shelf
    head: Head
    accepted: int = 0
    """How many of the interactions, from the first on, are the accepted file's."""
    recovered: Recording = field(default_factory=Recording)
    """What a killed recording has left."""
    recovered_at: tuple[int, ...] = ()
    """Where on the shelf each of them is."""

    def left(self, store: Store) -> Recording:
        """Return what of a killed recording was neither played nor is in the accepted file."""
        places = enumerate(self.recovered_at, 1)
        return without(self.recovered, {turn for turn, at in places if at < self.accepted or store.is_played(at)})


def open_shelf(file: CassetteFile, recovered: Recording | None, terms: Terms) -> Opened:
    """Return what a session plays from: of what is the same, the accepted file's. `recovered`: where it records.

    Raises `CassetteError` where there is nothing to play, and where a file can't be read.
    """
    if recovered is None:
        return _open_accepted(file, terms)
    accepted = pending = None
    if terms.mode == "rewrite":  # which is asked for to get other answers, not those of a run that failed either
        head = (read_what_can_be(file.path) or Recording()).head
    else:
        accepted, pending = read_if_there(file.path), read_if_there(file.pending)
        head = (accepted or pending or Recording()).head
    if pending is not None:
        counted = _counted(pending, file.pending.name)
        _log.warning("%s: %s is played where requests are the same", file.path, counted)
    if recovered.interactions:
        _tell_recovered(file, recovered)
        head = _completed(head, recovered.head)
    left = _answered(recovered)
    sources = [accepted or Recording(), _answered(pending or Recording()), left]
    shelf, places = _merged(sources, terms.rules, terms.cleaner)
    return Opened(shelf, head, len(sources[0]), left, tuple(places))


def _answered(recording: Recording) -> Recording:
    """Return what to go on from: without the failures that ended it, of a server that was down or a key that was wrong.

    Those that a retry came through after are kept: the code under test may be about them.
    """
    succeeded: set[object] = set()
    ended: set[int] = set()
    for turn, made in reversed(list(enumerate(recording, 1))):
        request = made.method, made.uri, made.lane, bytes(made.body)
        if made.failure is None and made.status is not None and made.status < HTTPStatus.BAD_REQUEST:
            succeeded.add(request)
        elif request not in succeeded:
            ended.add(turn)
    return without(recording, ended) if ended else recording


def _completed(head: Head, other: Head) -> Head:
    """Return a head with what it lacks taken from another one."""
    seed = other.seed if head.seed is None else head.seed
    return replace(head, server=head.server or other.server, now=head.now or other.now, seed=seed)


def _open_accepted(file: CassetteFile, terms: Terms) -> Opened:
    path, rules, cleaner = file.path, terms.rules, terms.cleaner
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise CassetteError(_nothing_to_play(file, terms)) from None
    except OSError as exc:
        raise CassetteError(f"{path}: can't be read: {exc.strerror or exc}.") from exc
    digest, rule_set = hashlib.sha256(data).hexdigest(), f"{rules.fingerprint}-{cleaner.fingerprint}"
    copy = compiled.read(path, digest) if cleaner.is_constant else None
    if copy is not None and copy.rules == rule_set:
        _tell_leftovers(file, copy.keys, terms)
        return Opened(copy, copy.head, len(copy.keys))
    recording = form.load(data, name=str(path), anew=f"record it anew: {terms.command('rewrite')}")
    keys = keys_of(recording, rules, cleaner)
    _tell_leftovers(file, keys, terms)
    if cleaner.is_constant:
        compiled.write(path, digest, recording, keys, rule_set)
    return Opened(RecordingShelf(recording, keys), recording.head, len(keys))


def keys_of(recording: Recording, rules: Rules, cleaner: Cleaner) -> list[str]:
    """Return the keys of a recording's requests; of one that adds to another only what it adds is read."""
    states: list[RequestState] = []
    for interaction in recording:
        body, parent = interaction.body, interaction.parent
        state: RequestState | None = None
        if parent is not None:
            before = recording.interactions[parent]
            is_same_place = (before.method, before.uri) == (interaction.method, interaction.uri)
            if body.parent is before.body and body.kept == before.body.size - 2 and is_same_place:
                state = (
                    states[parent]
                    if body.tail == b"]}"
                    else rules.grown(states[parent], cleaner.recorded_body(body.tail))
                )
        if state is None:
            state = rules.state(interaction.method, interaction.uri, cleaner.recorded_body(bytes(body)))
        states.append(state)
    return [state.key for state in states]


def leaves_out(recording: Recording, before: Recording, terms: Terms) -> bool:
    """Tell whether a recording lacks requests that an earlier one has."""
    now, then = (Counter(keys_of(each, terms.rules, terms.cleaner)) for each in (recording, before))
    return bool(then - now)


def _merged(recordings: Iterable[Recording], rules: Rules, cleaner: Cleaner) -> tuple[RecordingShelf, Collection[int]]:
    """Return the interactions of several recordings of one cassette, without what a later one repeats.

    And where those of the last one are.
    """
    interactions: list[Interaction] = []
    keys: list[str] = []
    places: dict[int, int] = {}
    for recording in recordings:
        known: dict[tuple[str, str], list[int]] = {}
        for place, (interaction, key) in enumerate(zip(interactions, keys, strict=True)):
            known.setdefault((key, interaction.lane), []).append(place)
        places = {}
        for index, (interaction, key) in enumerate(zip(recording, keys_of(recording, rules, cleaner), strict=True)):
            if same := known.get((key, interaction.lane)):
                places[index] = same.pop(0)
                continue
            parent = places[interaction.parent] if interaction.parent is not None else None
            places[index] = len(interactions)
            interactions.append(replace(interaction, parent=parent))
            keys.append(key)
    return RecordingShelf(Recording(Head(), tuple(interactions)), keys), places.values()


def _nothing_to_play(file: CassetteFile, terms: Terms) -> str:
    left = _leftovers(file, terms)
    remedy = " ".join(left) or f"Record it: {terms.command('record')}; it asks the live server, once."
    return f"{file.path}: there is no recording to play. {remedy}"


def _tell_leftovers(file: CassetteFile, keys: Sequence[str], terms: Terms) -> None:
    """Tell of what waits beside a cassette; a journal of what the cassette holds by now is removed."""
    if file.journal.exists():
        _drop_finished(file, keys, terms)
    for line in _leftovers(file, terms):
        _log.warning("%s: %s", file.path, line)


def _drop_finished(file: CassetteFile, keys: Sequence[str], terms: Terms) -> None:
    """Remove the journal of a recording that was killed between putting its file in place and removing this."""
    try:
        journal = Journal(file)
    except CassetteError:
        return  # it can't be read, which is told below, or somebody is recording
    missing = Counter(keys_of(journal.recovered, terms.rules, terms.cleaner)) - Counter(keys)
    journal.close(keep=bool(missing))


def _leftovers(file: CassetteFile, terms: Terms) -> list[str]:
    """Tell of what waits beside a cassette, and what to do about it."""
    said: list[str] = []
    if file.journal.exists():
        left = read(file.journal)
        if left.interactions:
            go_on = terms.command("extend" if file.path.exists() else "record")
            said.append(
                f"{_counted(left, file.journal.name)} of a recording that didn't end. Go on from them: {go_on}; or "
                f"drop them: agentkit cassettes reject {file.path}."
            )
    if file.pending.exists():
        said.append(f"{file.pending.name} waits for review: agentkit cassettes review {file.path}.")
    return said


def _tell_recovered(file: CassetteFile, recovered: Recording) -> None:
    _log.warning(
        "%s: %s recovered of a recording that didn't end. They are played where requests are the same; "
        "agentkit cassettes reject drops them.",
        file.path,
        _counted(recovered, ""),
    )


def tell_left(file: CassetteFile, left: Recording) -> None:
    """Say what of a killed recording is still there."""
    _log.warning(
        "%s: %s stay in %s, since nothing asked for them. agentkit cassettes reject drops them.",
        file.path,
        _counted(left, ""),
        file.journal.name,
    )


def _counted(recording: Recording, name: str) -> str:
    count, tokens = len(recording), tokens_of(recording)
    where = f" in {name}" if name else ""
    return f"{count} exchange{'s' if count != 1 else ''} ({tokens:,} tokens){where}"
