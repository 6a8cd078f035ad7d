"""Tools that list, read and search the files beneath one directory, and reach nothing else.

Paths are `tree.py`'s and `beneath.py`'s; regular expressions run in a process of their own, `isolated.py`.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import stat
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from agentkit import Tool, ToolError, Toolset, UsageError, tool
from agentkit_tools.beneath import Opening, WrongKind, kind_of
from agentkit_tools.isolated import Ended, Isolated
from agentkit_tools.tree import Entry, Tree, Walk, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_ENTRIES: Final = 500
"""Entries that one listing shows."""
MAX_LINES: Final = 1_000
"""Lines that one reading shows."""
MAX_LINE_CHARS: Final = 500
"""Characters of a line that are shown."""
MAX_CHARS: Final = 40_000
"""Characters that one call returns, roughly; below what agentkit shows a model of one output."""
MAX_MATCHES: Final = 100
"""Lines that one search finds."""
MAX_CONTEXT: Final = 10
"""Lines around a match."""
MAX_PATTERN_CHARS: Final = 1_000
GRACE_S: Final = 10.0
"""What a call gets above its own limit before the loop gives it up."""


class Files:
    """The files beneath `root`: `list_files`, `read_file` and `search_files`, by hand or as `tools` of an agent.

    Paths are relative to `root`, with `/`. Nothing is ever written, and nothing outside is reached. Names that
    begin with a dot are left out and refused unless `hidden` is True: `.env` and `.git` hold secrets. Files with
    several names are not read unless `hard_links` is True: one of them may lie outside. Of a file, the first
    `max_file_bytes` are read; a listing or a search ends after `timeout_s`.

    Safe to use from many threads; the directory is held open until the object goes. `opening` chooses how paths
    are resolved, which is for tests: the system's best is the default.

    Raises:
        UsageError: `root` is no directory that can be opened, or the system has no way to confine paths (Windows).
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        hidden: bool = False,
        hard_links: bool = False,
        max_file_bytes: int = 16 * 1024 * 1024,
        timeout_s: float = 10.0,
        opening: Opening | None = None,
    ) -> None:
        try:
            self._tree = Tree(
                root, hidden=hidden, hard_links=hard_links, max_file_bytes=max_file_bytes, opening=opening
            )
        except OSError as exc:
            raise UsageError(
                f"the root {os.fspath(root)!r} can't be opened: {exc.strerror}. "
                "It is an existing directory. Give another, or make it first."
            ) from exc
        self._timeout_s = timeout_s

    @property
    def tools(self) -> Toolset:
        """The three tools, for `Agent(tools=...)`."""
        timeout_s = self._timeout_s + GRACE_S
        offered: list[Tool[..., object]] = [
            tool(self.list_files, timeout_s=timeout_s, effect="pure"),
            tool(self.read_file, timeout_s=timeout_s, effect="pure"),
            tool(self.search_files, timeout_s=timeout_s, effect="pure"),
        ]
        return Toolset(offered)

    def list_files(self, path: str = ".", pattern: str | None = None, recursive: bool = False) -> str:
        """List a directory: one entry per line, directories with a "/", files with their size in bytes.

        Args:
            path: The directory, relative to the root.
            pattern: Show only entries that match, such as "*.py" (the name) or "docs/**/*.md" (the path from here).
            recursive: Go into subdirectories too. Links are shown, not followed.
        """
        matches = _glob(pattern)
        walk = Walk(self._tree, path, deep=recursive, seconds=self._timeout_s)
        shown = list(itertools.islice((found for found in walk if matches(walk.relative(found))), MAX_ENTRIES + 1))
        notes = [*walk.notes]
        if len(shown) > MAX_ENTRIES:
            shown.pop()
            notes.insert(0, f"more than {MAX_ENTRIES} entries; give a pattern, or list a subdirectory")
        elif not shown:
            notes.insert(0, f"no entry matches {pattern!r}; {walk.looked_at} looked at" if pattern else "no entries")
        lines = [_entry_line(found) for found in shown]
        return "\n".join(_within(lines, notes))

    def read_file(self, path: str, start: int = 1, count: int = 200) -> str:
        """Read lines of a text file, each with its number.

        Args:
            path: The file, relative to the root.
            start: The first line to read; lines are counted from 1.
            count: How many lines to read.
        """
        if start < 1 or count < 1:
            raise ToolError(f"start is {start} and count is {count}; both are 1 or more")
        content = self._tree.read(path)
        if not content.text:
            return f"[{quoted(path)} is empty]"
        lines = content.lines
        if start > len(lines):
            raise ToolError(f"{quoted(path)} has {_count(len(lines), 'line')}; start is {start}")
        last = min(start - 1 + min(count, MAX_LINES), len(lines))
        width = len(str(last))
        shown: list[str] = []
        room = MAX_CHARS
        for number in range(start, last + 1):
            line = f"{number:>{width}}  {_cut(lines[number - 1])}"
            room -= len(line) + 1
            if room < 0:
                break
            shown.append(line)
        end = start + len(shown) - 1
        if end < len(lines):
            shown.append(f"[lines {start} to {end} of {len(lines)}; go on with start={end + 1}]")
        if content.size > content.read:
            shown.append(
                f"[the file has {content.size:,} bytes; what is after the first {content.read:,} can't be read]"
            )
        return "\n".join(shown)

    def search_files(
        self, pattern: str, path: str = ".", glob: str | None = None, context: int = 0, ignore_case: bool = False
    ) -> str:
        r"""Search text files for a regular expression, line by line; gives "path:line number: line".

        Args:
            pattern: A regular expression as in Python, such as "def \w+_file" or "TODO|FIXME".
            path: The directory or the file to search, relative to the root.
            glob: Search only files that match, such as "*.py" (the name) or "docs/**/*.md" (the path from there).
            context: How many lines to show before and after each match.
            ignore_case: Whether capitals and small letters are the same.
        """
        if len(pattern) > MAX_PATTERN_CHARS:
            raise ToolError(f"the pattern has {len(pattern)} characters, at most {MAX_PATTERN_CHARS} are taken")
        if not 0 <= context <= MAX_CONTEXT:
            raise ToolError(f"context is {context}; it is 0 to {MAX_CONTEXT}")
        return _Search(self._tree, pattern, context=context, ignore_case=ignore_case, seconds=self._timeout_s).run(
            path, _glob(glob)
        )


class _Search:
    """One search: the files are read here, the expression runs in a process that can be ended."""

    def __init__(self, tree: Tree, pattern: str, *, context: int, ignore_case: bool, seconds: float) -> None:
        self._tree = tree
        self._question = {"pattern": pattern, "ignore_case": ignore_case}
        self._context = context
        self._seconds = seconds
        self._lines: list[str] = []
        self._matches = 0
        self._searched = 0
        self._skipped = {"not text": 0, "too large": 0, "hard links": 0, "not readable": 0}
        self._notes: list[str] = []

    def run(self, path: str, wanted: Callable[[str], bool]) -> str:
        """Return the lines found beneath a directory or in a file."""
        where = path
        with Isolated("matching", seconds=self._seconds) as process:
            try:
                self._ask(process, "")  # a wrong expression is told before anything is read
                for where in self._paths(path, wanted):
                    self._search(process, where)
                    if self._matches == MAX_MATCHES or sum(map(len, self._lines)) > MAX_CHARS:
                        self._notes.append("there may be more; narrow the pattern, the path or the glob")
                        break
            except Ended as exc:
                self._notes.append(self._ended(exc, where))
        return self._told()

    def _paths(self, path: str, wanted: Callable[[str], bool]) -> Iterator[str]:
        walk = Walk(self._tree, path, deep=True, seconds=self._seconds)
        try:
            for found in walk:
                if stat.S_ISREG(found.mode) and wanted(walk.relative(found)):
                    yield found.path
        except ToolError as exc:
            if not isinstance(exc.__cause__, WrongKind) or exc.__cause__.found != "a file":
                raise
            self._tree.read(path)  # that it is not text is an error for the one file asked for
            yield path
        self._notes.extend(walk.notes)

    def _search(self, process: Isolated, path: str) -> None:
        try:
            content = self._tree.read(path)
        except ToolError as exc:
            self._skipped[_why_skipped(exc.__cause__)] += 1
            return
        if content.size > content.read:
            self._skipped["too large"] += 1
            return
        self._searched += 1
        found = self._ask(process, content.text)
        self._matches += len(found)
        self._show(path, content.lines, {index: (start, end) for index, start, end in found})

    def _ask(self, process: Isolated, text: str) -> list[tuple[int, int, int]]:
        answer = process.ask({**self._question, "text": text, "most": MAX_MATCHES - self._matches})
        if "error" in answer:
            raise ToolError(f"the pattern {self._question['pattern']!r} is no regular expression: {answer['error']}")
        return [(index, start, end) for index, start, end in answer["found"]]

    def _show(self, path: str, lines: list[str], matches: dict[int, tuple[int, int]]) -> None:
        around = range(-self._context, self._context + 1)
        shown = sorted({index + step for index in matches for step in around if 0 <= index + step < len(lines)})
        before = None
        for index in shown:
            if self._context and self._lines and before != index - 1:
                self._lines.append("--")
            mark = ":" if index in matches else "-"
            self._lines.append(f"{_shown(path)}{mark}{index + 1}{mark} {_cut(lines[index], *matches.get(index, ()))}")
            before = index

    def _ended(self, exc: Ended, path: str) -> str:
        what = f"took more than {self._seconds:g} s" if exc.reason == "time" else "took too much memory"
        text = (
            f"the search {what} and was stopped in {quoted(path)}. A pattern with repeats inside of repeats, such "
            "as (a+)+, can take forever; write it without, or narrow the path or the glob"
        )
        if not self._lines:
            raise ToolError(text) from exc
        return text

    def _told(self) -> str:
        skipped = ", ".join(f"{count} {why}" for why, count in self._skipped.items() if count)
        if not self._lines:
            self._notes.insert(0, f"no match in {_count(self._searched, 'file')}")
        if skipped:
            self._notes.append(f"not searched: {skipped}")
        return "\n".join(_within(self._lines, self._notes))


# --- texts -------------------------------------------------------------------------------------------------


def _why_skipped(cause: BaseException | None) -> str:
    if cause is None:
        return "not text"
    return "hard links" if isinstance(cause, OSError) and cause.errno == errno.EMLINK else "not readable"


def _entry_line(found: Entry) -> str:
    if stat.S_ISDIR(found.mode):
        return f"{_shown(found.path)}/"
    if stat.S_ISREG(found.mode):
        return f"{_shown(found.path)}  {found.size:,} bytes"
    return f"{_shown(found.path)}  ({kind_of(found.mode).partition(' ')[2]})"


def _within(lines: list[str], notes: list[str]) -> list[str]:
    """Return the lines that there is room for, and the notes."""
    room = MAX_CHARS
    for index, line in enumerate(lines):
        room -= len(line) + 1
        if room < 0:
            return [*lines[:index], f"[{len(lines) - index} more lines left out]", *(f"[{note}]" for note in notes)]
    return [*lines, *(f"[{note}]" for note in notes)]


def _cut(line: str, start: int = 0, end: int = 0) -> str:
    """Return a line, or the part of a long one around `start` to `end`."""
    line = line.removesuffix("\r")
    if len(line) <= MAX_LINE_CHARS:
        return line
    left = max(min(start - MAX_LINE_CHARS // 4, end - MAX_LINE_CHARS, len(line) - MAX_LINE_CHARS), 0)
    left = min(left, start)
    middle = line[left : left + MAX_LINE_CHARS]
    return f"{'…' if left else ''}{middle}… [cut: the line has {len(line):,} characters]"


def _shown(name: str) -> str:
    """Return a name as it is, or as JSON where it would break the line or not be seen."""
    return name if name.isprintable() and not name.startswith('"') else json.dumps(name)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _glob(pattern: str | None) -> Callable[[str], bool]:
    """Return whether a relative path matches: its name, or all of it where the pattern has a "/"."""
    if pattern is None:
        return lambda _: True
    if len(pattern) > MAX_PATTERN_CHARS:
        raise ToolError(f"the pattern has {len(pattern)} characters, at most {MAX_PATTERN_CHARS} are taken")
    given = [part for part in pattern.split("/") if part not in ("", ".")]
    # several ** in a row are one: each would cost a step for every name
    parts = [part for before, part in itertools.pairwise(["", *given]) if not before == part == "**"]
    if "/" not in pattern:
        return lambda path: fnmatchcase(path.rpartition("/")[2], pattern)
    return lambda path: _match_parts(path.split("/"), parts)


def _match_parts(names: list[str], parts: list[str]) -> bool:
    """Match name by name; `**` stands for any number of them."""
    reached = {0}  # how many of the parts the names so far can have used up
    for name in [*names, None]:
        for index in sorted(reached):
            while index < len(parts) and parts[index] == "**":
                index += 1
                reached.add(index)
        if name is None:
            break
        reached = {
            index if parts[index] == "**" else index + 1
            for index in reached
            if index < len(parts) and (parts[index] == "**" or fnmatchcase(name, parts[index]))
        }
    return len(parts) in reached
