"""The files beneath one directory as the tools see them: what is there, what is in it, and errors in words.

How the directory is kept to is in `beneath.py`.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import itertools
import json
import os
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agentkit import ToolError
from agentkit_tools.beneath import Opening, Root, WrongKind

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LOOKED_AT: Final = 20_000
"""Entries that one listing or search looks at."""

_BINARY_HEAD = 8192
_WALK_DEPTH = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a directory, as it was when the directory was read."""

    path: str
    """From the root, with `/`."""
    mode: int
    size: int


class Tree:
    """The entries and files beneath a root; every failure is a `ToolError` that knows no path but the given one."""

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        hidden: bool,
        hard_links: bool,
        max_file_bytes: int,
        opening: Opening | None,
    ) -> None:
        self._root = Root(root, hard_links=hard_links, opening=opening)
        self._hidden = hidden
        self._max_file_bytes = max_file_bytes

    def read(self, path: str) -> Content:
        """Return a text file, or the beginning of one that is too large."""
        with self._told(path), os.fdopen(self._root.open_file(self._checked(path)), "rb") as file:
            return Content(path, file.read(self._max_file_bytes), os.fstat(file.fileno()).st_size)

    def entries(self, path: str) -> tuple[list[Entry], bool]:
        """Return the entries of a directory by name, and whether there are more than were looked at."""
        with self._told(path):
            return self._scan(self._checked(path))

    def _scan(self, path: str) -> tuple[list[Entry], bool]:
        fd = self._root.open_directory(path)
        try:
            with os.scandir(fd) as entries:
                seen = list(itertools.islice(entries, MAX_LOOKED_AT + 1))
                found = [self._entry(path, entry) for entry in seen[:MAX_LOOKED_AT] if self._is_shown(entry.name)]
        finally:
            os.close(fd)
        return sorted((item for item in found if item), key=lambda item: item.path), len(seen) > MAX_LOOKED_AT

    def _entry(self, folder: str, entry: os.DirEntry[str]) -> Entry | None:
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:  # gone by now
            return None
        return Entry(join(folder, entry.name), status.st_mode, status.st_size)

    def _is_shown(self, name: str) -> bool:
        return self._hidden or not name.startswith(".")

    def _checked(self, path: str) -> str:
        """Refuse hidden names; everything else about a path is the system's to decide."""
        if not self._hidden and any(part.startswith(".") and part not in (".", "..") for part in path.split("/")):
            raise ToolError(f"{quoted(path)}: files and directories whose name begins with a dot are not shown here")
        return path or "."

    @contextlib.contextmanager
    def _told(self, path: str) -> Iterator[None]:
        """Turn what the system says about a path into what the model can do about it."""
        try:
            yield
        except WrongKind as exc:
            raise ToolError(f"{quoted(path)} is {exc.found}; {_advice(exc.found)}") from exc
        except OSError as exc:
            raise ToolError(f"{quoted(path)}: {self._reason(path, exc)}") from exc

    def _reason(self, path: str, exc: OSError) -> str:
        if exc.errno in (errno.EXDEV, errno.ELOOP):
            return "leads out of the directory that these tools are for, or around in links. Paths are relative to it"
        if exc.errno in (errno.ENOENT, errno.ENOTDIR):
            near = self._near(path)
            return f"there is no such file. {f'Close: {near}' if near else 'See what there is with list_files'}"
        if exc.errno in (errno.EINVAL, errno.ENAMETOOLONG):
            return "no file can have this name"
        if exc.errno == errno.EMLINK:
            return "is a hard link: another name of the file may lie outside. Files(..., hard_links=True) reads it"
        if exc.errno in (errno.EACCES, errno.EPERM):
            return "may not be read here"
        return f"can't be read: {os.strerror(exc.errno) if exc.errno else 'unknown error'}"

    def _near(self, path: str) -> str:
        folder, _, name = path.rstrip("/").rpartition("/")
        try:
            names = {item.path.rpartition("/")[2]: item.path for item in self._scan(folder or ".")[0]}
        except OSError:
            return ""
        return ", ".join(quoted(names[near]) for near in difflib.get_close_matches(name, list(names)[:2000]))


class Content:
    """What was read of a text file. Raises `ToolError` for a binary one."""

    def __init__(self, path: str, head: bytes, size: int) -> None:
        self.size = max(size, len(head))  # what /proc makes up on reading has size 0
        self.read = len(head)
        if b"\0" in head[:_BINARY_HEAD]:
            raise ToolError(
                f"{quoted(path)} is not text: {self.size:,} bytes that begin with {head[:8].hex(' ')}. "
                "Only text files are read"
            )
        self.text = head.decode("utf-8-sig", "replace")

    @property
    def lines(self) -> list[str]:
        """The lines as "\\n" ends them; what follows the last "\\n" is one too, unless it is empty."""
        lines = self.text.split("\n")
        return lines if lines[-1] else lines[:-1]


class Walk:
    """Iterates over the entries of a directory, by path, and into its subdirectories where it is `deep`."""

    def __init__(self, tree: Tree, path: str, *, deep: bool, seconds: float) -> None:
        self._tree = tree
        self._base = path
        self._deep = deep
        self._ends_at = time.monotonic() + seconds
        self.looked_at = 0
        self.notes: list[str] = []

    def relative(self, found: Entry) -> str:
        """Return the path of an entry from where the walk began."""
        return found.path.removeprefix(join(self._base, ""))

    def __iter__(self) -> Iterator[Entry]:
        entries, more = self._tree.entries(self._base)
        if more:
            self._note(f"only {MAX_LOOKED_AT:,} entries were looked at")
        stack = [iter(entries)]
        while stack:
            found = next(stack[-1], None)
            if found is None:
                stack.pop()
                continue
            self.looked_at += 1
            if self.looked_at > MAX_LOOKED_AT or time.monotonic() > self._ends_at:
                self._note(f"stopped after {self.looked_at - 1:,} entries; choose a subdirectory")
                return
            yield found
            if self._deep and stat.S_ISDIR(found.mode):
                stack.append(iter(self._enter(found.path, len(stack))))

    def _enter(self, path: str, depth: int) -> list[Entry]:
        if depth > _WALK_DEPTH:
            self._note(f"{quoted(path)} lies too deep to go on")
            return []
        try:
            entries, more = self._tree.entries(path)
        except ToolError as exc:
            self._note(str(exc))
            return []
        if more:
            self._note(f"only {MAX_LOOKED_AT:,} entries of {quoted(path)} were looked at")
        return entries

    def _note(self, text: str) -> None:
        if len(self.notes) < 5:
            self.notes.append(text)


# --- texts -------------------------------------------------------------------------------------------------


def quoted(path: str) -> str:
    short = path if len(path) <= 200 else path[:200] + "…"
    return f"'{short}'" if short.isprintable() and "'" not in short else json.dumps(short)


def join(folder: str, name: str) -> str:
    parts = [part for part in folder.split("/") if part not in ("", ".")]
    return "/".join([*(["/"] if folder.startswith("/") else []), *parts, name])


def _advice(found: str) -> str:
    match found:
        case "a directory":
            return "list it with list_files"
        case "a file":
            return "read it with read_file"
        case _:
            return "only files and directories are opened"
