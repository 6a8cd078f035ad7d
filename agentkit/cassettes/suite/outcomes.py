"""What became of each cassette in a test run, as values that xdist's workers can send; and the summary in words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, cast

from agentkit.cassettes.review.usage import Played

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from agentkit.cassettes.modes import Mode


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a cassette when it was closed."""

    path: str
    """As messages name it: below the current directory where it is there."""
    test: str
    """Who used it: a test's id, or the name that a fixture gave."""
    mode: Mode
    played: tuple[int, ...]
    """The turns that were used, from 1."""
    total: int
    """How many there are."""
    recorded: int
    """How many exchanges went live."""
    was_changed: bool
    """Whether a file was written."""
    is_pending: bool
    """Whether a recording waits beside the accepted one."""
    failed: bool
    """Whether the test failed, or was broken off."""
    is_part: bool
    """Whether tests may use it that weren't run."""
    recovered: int
    """How many exchanges were found that a killed recording had left."""
    differences: tuple[str, ...]


def encode_outcomes(outcomes: Iterable[Outcome]) -> list[dict[str, object]]:
    """Return outcomes as plain values."""
    return [asdict(outcome) for outcome in outcomes]


def decode_outcomes(values: Sequence[Mapping[str, object]]) -> list[Outcome]:
    """Return the outcomes that plain values tell of."""
    return [
        Outcome(
            **{  # type: ignore[arg-type]
                **value,
                "played": tuple(cast("Sequence[int]", value["played"])),
                "differences": tuple(cast("Sequence[str]", value["differences"])),
            }
        )
        for value in values
    ]


def used_turns(outcomes: Iterable[Outcome]) -> dict[str, Played]:
    """Return what was used of each cassette, all its tests together."""
    found: dict[str, Played] = {}
    for outcome in outcomes:
        if outcome.mode == "off":
            continue
        before = found.get(outcome.path, Played((), 0))
        used = range(1, outcome.total + 1) if outcome.mode == "compare" else outcome.played
        turns = tuple(sorted({*before.played, *used}))
        found[outcome.path] = Played(turns, max(before.total, outcome.total))
    return found


def summarise(outcomes: Sequence[Outcome], *, is_whole: bool) -> Iterator[str]:
    """Yield what is worth telling of a test run's cassettes; nothing where all was played as it should be.

    `is_whole`: whether every test was run, so that what wasn't played isn't needed.
    """
    by_path: dict[str, list[Outcome]] = {}
    for outcome in sorted(outcomes, key=lambda o: (o.path, o.test)):
        by_path.setdefault(outcome.path, []).append(outcome)
    for path, group in by_path.items():
        if recovered := sum(outcome.recovered for outcome in group):
            yield f"{path}: {_count(recovered, 'exchange')} recovered of a recording that didn't end"
        yield from _say_written(path, group)
        for outcome in group:
            yield from (f"{path}: {difference}" for difference in outcome.differences)
    compared = {outcome.path for outcome in outcomes if outcome.mode == "compare"}
    if compared and not any(outcome.differences for outcome in outcomes if outcome.mode == "compare"):
        yield f"{_count(len(compared), 'cassette')} compared with live answers: nothing differs"
    if not is_whole:
        return
    for path, played in sorted(used_turns(outcomes).items()):
        if played.unused:
            yield f"{path}: {played.say_unused()} by any test"


def _say_written(path: str, group: Sequence[Outcome]) -> Iterator[str]:
    recorded = sum(outcome.recorded for outcome in group)
    review = f"agentkit cassettes review {path}"
    if any(outcome.is_pending for outcome in group):
        if any(outcome.failed and outcome.was_changed for outcome in group):
            held = _count(recorded, "exchange")
            yield f"{path}.new holds {held} of a test that failed; recorded again, it goes on from there. See {review}"
        elif any(outcome.is_part and outcome.was_changed for outcome in group):
            yield f"{path}.new waits for review, without what other tests may play, which weren't run: {review}"
        else:
            yield f"{path}.new waits for review: {review}"
    elif any(outcome.was_changed for outcome in group):
        made = f"{_count(recorded, 'exchange')} recorded" if recorded else "made of what was recorded before"
        yield f"{path}: {made}; read it, and commit it"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
