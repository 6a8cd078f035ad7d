"""`agentkit cassettes diff`: what was said otherwise, word by word."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from agentkit.cassettes.files import find_file, read
from agentkit.cassettes.review.comparison import Agreeing, Piece, compare, differences
from agentkit.cli.cassettes.outcome import FOUND, OK, reported, write_json
from agentkit.cli.display import DIM
from agentkit.cli.terminal import harmless, one_line, open_outputs
from agentkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agentkit.cassettes.review.comparison import Difference, Step
    from agentkit.cli.terminal import Outputs, Stream
    from agentkit.json import JSON

AROUND: Final = 60
"""Characters of an unchanged text that are shown on either side of a change."""

STYLES: Final = {"-": "red strike", "+": "green", "=": ""}
MARKS: Final = {"-": ("[-", "-]"), "+": ("{+", "+}"), "=": ("", "")}


def compare_cassettes(old: Path, new: Path | None, *, as_json: bool) -> int:
    """Write the differences, and return the exit code."""

    def show(outputs: Outputs) -> int:
        before, after = find_sides(old, new)
        steps = compare(read(before), read(after))
        if as_json:
            write_json([_difference_object(found) for found in differences(steps)], outputs)
        else:
            outputs.answer.line(one_line(f"{before} {outputs.answer.glyphs.arrow} {after}"), "bold")
            write_steps(steps, outputs.answer)
        return FOUND if differences(steps) else OK

    with open_outputs(os.environ) as outputs:
        return reported(show, outputs)


def find_sides(old: Path, new: Path | None) -> tuple[Path, Path]:
    """Return the two files to compare; where one is given, its accepted and its pending recording."""
    file = find_file(old)
    if new is not None:
        other = find_file(new)
        return (old if old.is_file() else file.newest), (new if new.is_file() else other.newest)
    if file.waiting is None:
        raise UsageError(f"{old}: nothing waits for a review there. Give a second cassette to compare it with.")
    if not file.path.is_file():
        raise UsageError(
            f"{file.waiting}: there is no accepted file to compare it with. "
            f"See it with: agentkit cassettes show {file.waiting}"
        )
    return file.path, file.waiting


def write_steps(steps: Sequence[Step], out: Stream) -> None:
    """Write differences turn by turn, and in a line what agrees between them."""
    turn = -1
    for step in steps:
        if isinstance(step, Agreeing):
            out.line(f"{out.glyphs.cut} {step.count} {'passage agrees' if step.count == 1 else 'passages agree'}", DIM)
            continue
        number = step.turn
        if number != turn and number:
            out.line(f"{out.glyphs.dash} turn {number}", DIM)
        turn = number
        _write_difference(step, out)
    if not differences(steps):
        out.line("The same was said.", DIM)


def _write_difference(found: Difference, out: Stream) -> None:
    out.write(f"{one_line(found.label)}  ", DIM)
    for piece in _around(found.pieces, out.glyphs.cut):
        begin, end = MARKS[piece.sign]  # on a colored terminal, too: not everybody tells red from green
        text = harmless(piece.text).replace("\n", "\n  ")
        out.write(f"{begin}{text}{end}", STYLES[piece.sign])
    out.write("\n")


def _around(pieces: Sequence[Piece], cut: str) -> list[Piece]:
    """Shorten what is unchanged to what stands next to a change."""
    found: list[Piece] = []
    for index, piece in enumerate(pieces):
        text = piece.text
        if piece.sign == "=" and len(text) > 2 * AROUND + 20:
            head = text[:AROUND] if index else ""
            tail = text[-AROUND:] if index + 1 < len(pieces) else ""
            text = " ".join(filter(None, (head, cut, tail)))
        found.append(Piece(piece.sign, text))
    return found


def _difference_object(found: Difference) -> JSON:
    return {
        "turn": found.turn,
        "label": found.label,
        "old": None if found.old is None else found.old.text,
        "new": None if found.new is None else found.new.text,
        "words": [[piece.sign, piece.text] for piece in found.pieces],
    }
