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
    recovered: int
    """How many exchanges were found that a killed recording had left."""
    differences: tuple[str, ...]

    @property
    def unused(self) -> tuple[int, ...]:
        """The turns that were not played."""
        return () if self.mode in ("compare", "off") else Played(self.played, self.total).unused


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
        if outcome.mode in ("off", "compare"):
            continue
        before = found.get(outcome.path, Played((), 0))
        turns = tuple(sorted({*before.played, *outcome.played}))
        found[outcome.path] = Played(turns, max(before.total, outcome.total))
    return found


def summarise(outcomes: Sequence[Outcome], *, is_whole: bool) -> Iterator[str]:
    """Yield what is worth telling of a test run's cassettes; nothing where all was played as it should be.

    `is_whole`: whether every test was run, so that what wasn't played isn't needed.
    """
    for outcome in sorted(outcomes, key=lambda o: (o.path, o.test)):
        if outcome.recovered:
            yield f"{outcome.path}: {_count(outcome.recovered, 'exchange')} recovered of a recording that didn't end"
        if outcome.is_pending:
            yield f"{outcome.path}.new waits for review: agentkit cassettes review {outcome.path}"
        elif outcome.was_changed:
            yield f"{outcome.path}: {_count(outcome.recorded, 'exchange')} recorded; read it, and commit it"
        for difference in outcome.differences:
            yield f"{outcome.path}: {difference}"
    if not is_whole:
        return
    for path, played in sorted(used_turns(outcomes).items()):
        if played.unused:
            yield f"{path}: {played.say_unused()} by any test"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
