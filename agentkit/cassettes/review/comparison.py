"""What differs between two recordings, told as conversations: passage by passage, and in those word by word."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from agentkit.cassettes.matching.worddiff import TOKEN
from agentkit.cassettes.review.conversation import read_conversations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentkit.cassettes.interaction import Recording
    from agentkit.cassettes.review.conversation import Conversation, Said, Turn

Sign: TypeAlias = Literal["=", "-", "+"]

MANY_WORDS: Final = 2000
"""Above this, texts are compared line by line first: the words of two texts of 20,000 take minutes."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One thing that was said, as it is compared."""

    turn: int
    """The turn that brought it, as the file counts; 0 for the head of a conversation."""
    label: str
    """By whom, such as `user`, `call weather` or `output of weather`."""
    text: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text: in both (`=`), in the old one only (`-`), or in the new one only (`+`)."""

    sign: Sign
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A passage that is on one side only, or says something else."""

    label: str
    """By whom it is said, as in `Passage`."""
    old: Passage | None
    new: Passage | None
    pieces: tuple[Piece, ...]

    @property
    def turn(self) -> int:
        """The turn, as the recording counts that the passage is in; of one that is in both, the new."""
        return self.new.turn if self.new is not None else self.old.turn if self.old is not None else 0


@dataclass(frozen=True, slots=True)
class Agreeing:
    """So many passages in a row that are the same."""

    count: int


Step: TypeAlias = Agreeing | Difference


def compare(old: Recording, new: Recording) -> tuple[Step, ...]:
    """Return the way from one recording to the other; no `Difference` in it: the same was said.

    Tokens, times and how an answer was cut into chunks don't count, and neither do ids.
    """
    before, after = _passages(read_conversations(old)), _passages(read_conversations(new))
    keys = [[(passage.label, passage.text) for passage in side] for side in (before, after)]
    steps: list[Step] = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, keys[0], keys[1], autojunk=False).get_opcodes():
        if tag == "equal":
            steps.append(Agreeing(b - a))
        else:
            steps += _differences(before[a:b], after[c:d])
    return tuple(steps)


def differences(steps: Sequence[Step]) -> list[Difference]:
    """Return the differences among the steps."""
    return [step for step in steps if isinstance(step, Difference)]


def compare_words(old: str, new: str) -> tuple[Piece, ...]:
    """Return the way from one text to the other, in words, white space and signs."""
    a, b = TOKEN.findall(old), TOKEN.findall(new)
    if len(a) + len(b) <= MANY_WORDS:
        return _pieces(a, b)
    c, d = old.splitlines(keepends=True), new.splitlines(keepends=True)
    found: list[Piece] = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, c, d, autojunk=False).get_opcodes():
        left, right = "".join(c[i:j]), "".join(d[k:m])
        if tag == "equal":
            found.append(Piece("=", left))
        elif len(left) + len(right) <= 4 * MANY_WORDS:
            found += _pieces(TOKEN.findall(left), TOKEN.findall(right))
        else:
            found += _around_the_middle(left, right)
    return tuple(found)


def _differences(before: Sequence[Passage], after: Sequence[Passage]) -> Iterator[Difference]:
    """Pair what has the same label, in order, and give the rest one by one."""
    labels = [[passage.label for passage in side] for side in (before, after)]
    for tag, a, b, c, d in difflib.SequenceMatcher(None, labels[0], labels[1], autojunk=False).get_opcodes():
        if tag == "equal":
            for old, new in zip(before[a:b], after[c:d], strict=True):
                yield Difference(new.label, old, new, compare_words(old.text, new.text))
        else:
            yield from (Difference(old.label, old, None, (Piece("-", old.text),)) for old in before[a:b])
            yield from (Difference(new.label, None, new, (Piece("+", new.text),)) for new in after[c:d])


def _pieces(a: Sequence[str], b: Sequence[str]) -> tuple[Piece, ...]:
    """Compare words. What is replaced on both sides of a space is replaced with it: `[-a b-]{+c d+}`."""
    hunks: list[tuple[str, str, str]] = []  # what went, what came, and what follows unchanged
    for tag, i, j, k, m in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if tag != "equal":
            hunks.append(("".join(a[i:j]), "".join(b[k:m]), ""))
            continue
        removed, added, _ = hunks.pop() if hunks else ("", "", "")
        hunks.append((removed, added, "".join(a[i:j])))
    joined: list[tuple[str, str, str]] = []
    for removed, added, same in hunks:
        before = joined[-1] if joined else ("", "", "")
        if all((*before, removed, added)) and not before[2].strip():
            joined[-1] = (before[0] + before[2] + removed, before[1] + before[2] + added, same)
        else:
            joined.append((removed, added, same))
    signed = (zip("-+=", hunk, strict=True) for hunk in joined)
    return tuple(Piece(cast("Sign", sign), text) for hunk in signed for sign, text in hunk if text)


def _around_the_middle(old: str, new: str) -> Iterator[Piece]:
    """Tell long texts that have little in common apart by their equal beginning and end alone."""
    same = next((i for i, (x, y) in enumerate(zip(old, new, strict=False)) if x != y), min(len(old), len(new)))
    most = min(len(old), len(new)) - same
    end = next((i for i in range(most) if old[-1 - i] != new[-1 - i]), most)
    if same:
        yield Piece("=", old[:same])
    if removed := old[same : len(old) - end]:
        yield Piece("-", removed)
    if added := new[same : len(new) - end]:
        yield Piece("+", added)
    if end:
        yield Piece("=", old[len(old) - end :])


def _passages(conversations: Sequence[Conversation]) -> list[Passage]:
    found: list[Passage] = []
    for conversation in conversations:
        if len(conversations) > 1:
            found.append(Passage(0, "conversation", conversation.lane or "at the top"))
        for turn in conversation.turns:
            found += _passages_of(turn)
    return found


def _passages_of(turn: Turn) -> Iterator[Passage]:
    for said in (*turn.fields, *turn.added):
        yield Passage(turn.number, _label(said), said.text)
    for attempt in turn.failed:
        yield Passage(turn.number, "failed attempt", attempt.problem)
    for said in turn.said:
        yield Passage(turn.number, _label(said), _plain(said.text) if said.by == "call" else said.text)
        if said.by == "call" and said.output is not None:
            yield Passage(turn.number, f"output of {said.name}", _plain(said.output))
    if turn.problem:
        yield Passage(turn.number, "problem", turn.problem)


def _plain(text: str) -> str:
    """Return JSON that differs only where its values do: spaces and the order of keys say nothing."""
    if text[:1] not in ("{", "["):
        return text
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, sort_keys=True)
    except (ValueError, RecursionError):
        return text


def _label(said: Said) -> str:
    return f"{said.by} {said.name}" if said.name else said.by
