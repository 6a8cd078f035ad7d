"""`agentkit cassettes review`, `accept` and `reject`: what was recorded anew, and whether it is to stay."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from agentkit.cassettes.files import JOURNAL, PENDING, find_file, find_files, read
from agentkit.cassettes.review.accepting import accept, reject
from agentkit.cassettes.review.comparison import compare, differences
from agentkit.cassettes.review.conversation import read_conversations
from agentkit.cli.cassettes.comparing import write_steps
from agentkit.cli.cassettes.outcome import FOUND, OK, reported
from agentkit.cli.cassettes.page import Page, write_conversations
from agentkit.cli.cassettes.showing import write_head
from agentkit.cli.display import DIM, WARNING
from agentkit.cli.keys import END, read_key
from agentkit.cli.terminal import harmless, one_line, open_outputs
from agentkit.errors import CassetteError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from agentkit.cassettes.files import CassetteFile
    from agentkit.cli.terminal import Outputs

Decision: TypeAlias = Literal["accept", "reject", "skip", "view", "quit"]

KEYS: Final[dict[str, Decision]] = {"a": "accept", "r": "reject", "s": "skip", "v": "view", "q": "quit"}
"""Keys, and what they decide; the words can be written out as well."""
QUESTION: Final = "[a]ccept, [r]eject, [s]kip, [v]iew the whole conversation, [q]uit? "


def review_cassettes(paths: Sequence[Path]) -> int:
    """Ask about each recording that waits, one after the other, and return the exit code."""

    def review(outputs: Outputs) -> int:
        waiting = [(file, place) for file in find_files(paths) if (place := file.waiting) is not None]
        if not waiting:
            outputs.notes.line("Nothing waits for a review.")
            return OK
        for number, (file, place) in enumerate(waiting, 1):
            outputs.answer.break_line()
            outputs.answer.line(f"{number} of {len(waiting)}  {one_line(str(place))}", "bold")
            if not _review_one(file, place, outputs):
                break
        left = sum(place.is_file() for _, place in waiting)
        if left:
            outputs.notes.line(f"{left} still {'waits' if left == 1 else 'wait'} for a review.", DIM)
        return FOUND if left else OK

    with open_outputs(os.environ) as outputs:
        return reported(review, outputs)


def accept_cassettes(paths: Sequence[Path]) -> int:
    """Let what waits become the cassette, and return the exit code."""

    def settle(file: CassetteFile, places: Sequence[Path], outputs: Outputs) -> None:
        accept(file, places[0])
        outputs.notes.line(one_line(f"{file.path}: accepted."))
        for place in places[1:]:
            outputs.notes.line(one_line(f"{place} is still there: accept or reject it by its own name."), WARNING)

    return _settle_each(paths, settle)


def reject_cassettes(paths: Sequence[Path]) -> int:
    """Remove what waits, and return the exit code."""

    def settle(file: CassetteFile, places: Sequence[Path], outputs: Outputs) -> None:
        for place in places:
            reject(file, place)
            outputs.notes.line(one_line(f"{place}: removed."))

    return _settle_each(paths, settle)


def _settle_each(paths: Sequence[Path], settle: Callable[[CassetteFile, Sequence[Path], Outputs], None]) -> int:
    def run(outputs: Outputs) -> int:
        found = [(file, places) for path in paths for file, places in _waiting_at(path)]
        if not found:
            outputs.notes.line("Nothing waits for a review.")
        failed = False
        for file, places in found:
            try:
                settle(file, places, outputs)
            except (CassetteError, OSError) as exc:  # the others are settled all the same
                outputs.show_error(str(exc))
                failed = True
        return FOUND if failed else OK

    with open_outputs(os.environ) as outputs:
        return reported(run, outputs)


def _waiting_at(path: Path) -> list[tuple[CassetteFile, list[Path]]]:
    """Return each cassette that a path names, and what waits beside it. Raises UsageError for a file without."""
    if path.is_dir():
        found = [(file, _beside(file)) for file in find_files([path])]
        return [(file, places) for file, places in found if places]
    file = find_file(path)
    places = [path] if path.name.endswith((PENDING, JOURNAL)) else _beside(file)
    if not places:
        raise UsageError(f"{path}: nothing waits for a review there. See what does with: agentkit cassettes list")
    return [(file, places)]


def _beside(file: CassetteFile) -> list[Path]:
    return [place for place in (file.pending, file.journal) if place.is_file()]


def _review_one(file: CassetteFile, place: Path, outputs: Outputs) -> bool:
    """Show one recording, and do with it what is decided; returns False to end the review."""
    try:
        _show_change(file, place, outputs)
    except CassetteError as exc:
        outputs.show_error(str(exc))
        return True
    while True:
        match _decide(outputs):
            case "accept":
                accept(file, place)
                outputs.notes.line("accepted.", DIM)
                return True
            case "reject":
                reject(file, place)
                outputs.notes.line("removed.", DIM)
                return True
            case "skip":
                return True
            case "view":
                _show_whole(place, outputs)
            case "quit":
                return False


def _show_change(file: CassetteFile, place: Path, outputs: Outputs) -> None:
    """Show what differs; of a recording that nothing was accepted of before, all of it."""
    out = outputs.answer
    if place == file.journal:
        out.line("A recording that was killed: this is what it has. Recording it anew is the other way.", WARNING)
    if not file.path.is_file():
        _show_whole(place, outputs)
        return
    try:
        before = read(file.path)
    except CassetteError as exc:
        out.line(f"The accepted file can't be compared: {harmless(str(exc))}", WARNING)
        _show_whole(place, outputs)
        return
    steps = compare(before, read(place))
    write_steps(steps, out)
    if not differences(steps):
        out.line("What differs is tokens, times, or how the answers were cut into chunks.", DIM)


def _show_whole(place: Path, outputs: Outputs) -> None:
    recording = read(place)
    conversations = read_conversations(recording)
    page = Page(outputs.answer)
    write_head(place, recording, conversations, page)
    write_conversations(conversations, page)


def _decide(outputs: Outputs) -> Decision:
    """Ask until there is an answer: a key on a terminal, elsewhere a line; the end of stdin quits."""
    notes = outputs.notes
    while True:
        outputs.answer.break_line()
        notes.break_line()
        notes.write(QUESTION)
        if sys.stdin.isatty():
            key = read_key()
            given = "q" if key == END else key
        else:
            given = sys.stdin.buffer.readline().decode(errors="replace") or "q"
        word = given.strip().lower()
        found = KEYS.get(word) or next((decision for decision in KEYS.values() if decision == word), None)
        notes.write(f"{found or harmless(word)}\n")
        if found is not None:
            return found
        notes.line("Give one of a, r, s, v, q.", WARNING)
