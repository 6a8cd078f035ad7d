"""`agentkit cassettes prune`: what the last full and green test run didn't play is removed."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentkit.cassettes.files import find_files, read, write
from agentkit.cassettes.review.splicing import without
from agentkit.cassettes.review.usage import belongs_to_a_test, find_usage
from agentkit.cli.cassettes.outcome import FOUND, OK, reported
from agentkit.cli.display import DIM
from agentkit.cli.terminal import one_line, open_outputs
from agentkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agentkit.cli.terminal import Outputs


@dataclass(frozen=True, slots=True)
class Cut:
    """What is to go."""

    path: Path
    turns: tuple[int, ...] = ()
    """The turns to take out; none: the file goes."""

    @property
    def text(self) -> str:
        """The same in words."""
        if not self.turns:
            return f"{self.path}: the whole file"
        return f"{self.path}: {'turn' if len(self.turns) == 1 else 'turns'} {', '.join(map(str, self.turns))}"


def prune_cassettes(paths: Sequence[Path], *, dry_run: bool, sure: bool) -> int:
    """Remove what isn't used, and return the exit code."""

    def prune(outputs: Outputs) -> int:
        cuts = find_cuts(paths)
        for cut in cuts:
            outputs.answer.line(one_line(cut.text))
        if not cuts:
            outputs.notes.line("All was played: there is nothing to remove.")
            return OK
        if dry_run:
            outputs.notes.line("Nothing was removed (--dry-run).", DIM)
            return OK
        if not (sure or _is_agreed(outputs)):
            outputs.notes.line("Nothing was removed.", DIM)
            return FOUND
        for cut in cuts:
            _remove(cut)
        outputs.notes.line("Removed.", DIM)
        return OK

    with open_outputs(os.environ) as outputs:
        return reported(prune, outputs)


def find_cuts(paths: Sequence[Path]) -> list[Cut]:
    """Return what wasn't played. Raises `UsageError` where no full and green run says so."""
    cuts: list[Cut] = []
    for file in find_files(paths):
        if not file.path.is_file():
            continue
        found = find_usage(file.path)
        if found is None:
            raise UsageError(
                f"{file.path}: no test run has left word of what it played. Run all tests with pytest, in replay."
            )
        folder, usage = found
        if not usage.is_full_green:
            what = "failed" if usage.session == "failed" else "left tests out"
            raise UsageError(
                f"The last test run {what}, so what it didn't play may be needed. Run all tests, until they pass."
            )
        played = usage.cassettes.get(file.path.absolute().relative_to(folder).as_posix())
        if played is None and not belongs_to_a_test(file.path, folder):
            continue
        if played is None or not played.played:
            cuts.append(Cut(file.path))
        elif played.unused:
            if len(read(file.path)) != played.total:
                raise UsageError(f"{file.path}: it has changed since the last test run. Run all tests again.")
            cuts.append(Cut(file.path, played.unused))
    return cuts


def _is_agreed(outputs: Outputs) -> bool:
    outputs.answer.break_line()
    outputs.notes.break_line()
    outputs.notes.write("Remove them? [y/N] ")
    line = sys.stdin.readline()
    if sys.stdin.isatty() and line.endswith("\n"):
        outputs.notes.at_start = True
    return line.strip().lower() in ("y", "yes")


def _remove(cut: Cut) -> None:
    if cut.turns:
        write(cut.path, without(read(cut.path), cut.turns))
    else:
        cut.path.unlink()
