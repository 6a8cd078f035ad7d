"""`agentkit cassettes list` and `stats`: what there is, and what it would take to record it anew."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len

from agentkit.cassettes.files import find_files, read
from agentkit.cassettes.review.answered import read_answer
from agentkit.cli.cassettes.outcome import FOUND, OK, reported, write_json
from agentkit.cli.display import DIM, ERROR, WARNING, tokens
from agentkit.cli.terminal import one_line, open_outputs
from agentkit.errors import CassetteError
from agentkit.response import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agentkit.cassettes.files import CassetteFile
    from agentkit.cli.terminal import Outputs, Stream
    from agentkit.json import JSONObject


@dataclass(frozen=True, slots=True)
class Row:
    """One cassette in a list."""

    file: CassetteFile
    size: int
    """Bytes."""
    turns: int = 0
    usage: Usage | None = None
    recorded: str = ""
    server: str = ""
    problem: str = ""
    """Why it can't be read."""

    @property
    def marks(self) -> list[str]:
        """What stands beside it, or isn't there."""
        found = ["pending"] if self.file.pending.is_file() else []
        found += ["part"] if self.file.journal.is_file() else []
        return found if self.file.path.is_file() else [*found, "not accepted"]


def read_rows(paths: Sequence[Path]) -> list[Row]:
    """Return a row for each cassette."""
    return [_read_row(file) for file in find_files(paths)]


def list_cassettes(paths: Sequence[Path], *, as_json: bool) -> int:
    """Write the list, and return the exit code."""

    def show(outputs: Outputs) -> int:
        rows = read_rows(paths)
        if as_json:
            write_json([_row_object(row) for row in rows], outputs)
        elif rows:
            _write_rows(rows, outputs.answer)
        else:
            outputs.notes.line("There are no cassettes.")
        return _told_unread(rows, outputs)

    with open_outputs(os.environ) as outputs:
        return reported(show, outputs)


def count_cassettes(paths: Sequence[Path], *, as_json: bool) -> int:
    """Write the totals, and return the exit code."""

    def show(outputs: Outputs) -> int:
        rows = read_rows(paths)
        if as_json:
            write_json(_stats_object(rows), outputs)
        elif rows:
            _write_stats(rows, outputs.answer)
        else:
            outputs.notes.line("There are no cassettes.")
        return _told_unread(rows, outputs)

    with open_outputs(os.environ) as outputs:
        return reported(show, outputs)


def size_text(size: int) -> str:
    """Return bytes as `812 B`, `12.3 kB` or `4.8 MB`."""
    if size < 1000:
        return f"{size} B"
    return f"{size / 1000:.1f} kB" if size < 999_950 else f"{size / 1_000_000:.1f} MB"


def _read_row(file: CassetteFile) -> Row:
    place = file.newest
    size = place.stat().st_size
    try:
        recording = read(place)
    except CassetteError as exc:
        return Row(file, size, problem=str(exc))
    used = (answer.response.usage for answer in map(read_answer, recording) if answer.response is not None)
    usage = sum(used, Usage())
    return Row(file, size, len(recording), usage or None, recording.head.recorded, recording.head.server)


def _told_unread(rows: Sequence[Row], outputs: Outputs) -> int:
    unread = [row for row in rows if row.problem]
    for row in unread:
        outputs.show_error(row.problem)
    return FOUND if unread else OK


def _write_rows(rows: Sequence[Row], out: Stream) -> None:
    header = ("cassette", "turns", "tokens", "size", "recorded", "server", "")
    cells = [header, *(_cells(row) for row in rows)]
    widths = [max(cell_len(line[column]) for line in cells) for column in range(len(header))]
    for index, line in enumerate(cells):
        parts = [
            _padded(text, width, right=header[column] in ("turns", "tokens", "size"))
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        row = None if index == 0 else rows[index - 1]
        style = DIM if row is None else ERROR if row.problem else WARNING if row.marks else ""
        out.line("  ".join(parts).rstrip(), style)


def _cells(row: Row) -> tuple[str, ...]:
    usage = row.usage
    total = "" if usage is None else f"{(usage.input_tokens or 0) + (usage.output_tokens or 0):,}"
    marks = ["unreadable"] if row.problem else row.marks
    return (
        one_line(str(row.file.path)),
        "" if row.problem else str(row.turns),
        total,
        size_text(row.size),
        one_line(row.recorded),
        one_line(row.server),
        ", ".join(marks),
    )


def _padded(text: str, width: int, *, right: bool) -> str:
    space = " " * (width - cell_len(text))
    return space + text if right else text + space


def _write_stats(rows: Sequence[Row], out: Stream) -> None:
    total = _total(rows)
    largest = max(rows, key=lambda row: row.size)
    dated = [row for row in rows if row.recorded]
    lines = [
        ("files", f"{len(rows):,}"),
        ("turns", f"{sum(row.turns for row in rows):,}"),
        ("size", size_text(sum(row.size for row in rows))),
        ("largest", f"{largest.file.path} ({size_text(largest.size)})"),
    ]
    if dated:
        oldest = min(dated, key=lambda row: row.recorded)
        lines.append(("oldest", f"{oldest.file.path} ({oldest.recorded})"))
    lines.append(("to record anew", tokens(total) if total else "tokens unknown"))
    waiting = [row for row in rows if row.file.waiting is not None]
    if waiting:
        lines.append(("waiting", f"{len(waiting):,} for a review: agentkit cassettes review"))
    width = max(len(name) for name, _ in lines)
    for name, text in lines:
        out.write(f"{name:<{width}}  ", DIM)
        out.write(one_line(text) + "\n")


def _total(rows: Sequence[Row]) -> Usage:
    return sum((row.usage for row in rows if row.usage is not None), Usage())


def _row_object(row: Row) -> JSONObject:
    usage = row.usage
    return {
        "path": str(row.file.path),
        "accepted": row.file.path.is_file(),
        "pending": row.file.pending.is_file(),
        "part": row.file.journal.is_file(),
        "size_bytes": row.size,
        "turns": row.turns,
        "input_tokens": None if usage is None else usage.input_tokens,
        "output_tokens": None if usage is None else usage.output_tokens,
        "recorded": row.recorded or None,
        "server": row.server or None,
        "problem": row.problem or None,
    }


def _stats_object(rows: Sequence[Row]) -> JSONObject:
    total = _total(rows)
    dated = [row for row in rows if row.recorded]
    return {
        "files": len(rows),
        "turns": sum(row.turns for row in rows),
        "size_bytes": sum(row.size for row in rows),
        "input_tokens": total.input_tokens or 0,
        "output_tokens": total.output_tokens or 0,
        "responses_without_usage": total.unreported,
        "largest": str(max(rows, key=lambda row: row.size).file.path) if rows else None,
        "oldest": str(min(dated, key=lambda row: row.recorded).file.path) if dated else None,
        "waiting": sum(row.file.waiting is not None for row in rows),
    }
