"""Cassettes on disk: the accepted file `x.yaml`, beside it `x.yaml.new` that waits for a review, and `x.yaml.part`,
the journal of a recording that was killed."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentkit.errors import CassetteError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentkit.cassettes.interaction import Recording

SUFFIXES: Final = (".yaml", ".yml")
PENDING: Final = ".new"
JOURNAL: Final = ".part"


@dataclass(frozen=True, slots=True, order=True)
class CassetteFile:
    """A cassette, with what may stand beside it."""

    path: Path
    """The accepted file's name, whether it is there or not."""

    @property
    def pending(self) -> Path:
        """Where a recording waits for its review."""
        return self.path.with_name(self.path.name + PENDING)

    @property
    def journal(self) -> Path:
        """Where a recording that goes on, or was killed, keeps what it has."""
        return self.path.with_name(self.path.name + JOURNAL)

    @property
    def waiting(self) -> Path | None:
        """What there is to review: the pending file, else the journal, else None."""
        return next((path for path in (self.pending, self.journal) if path.is_file()), None)

    @property
    def newest(self) -> Path:
        """The accepted file; where there is none, what waits to become it."""
        return self.path if self.path.is_file() else self.waiting or self.path

    def read(self) -> Recording:
        """Return what `newest` holds. Raises `CassetteError`."""
        return read(self.newest)


def find_file(path: Path) -> CassetteFile:
    """Return the cassette that a path names: by its accepted file, or by what stands beside it. Raises UsageError."""
    found = CassetteFile(path.with_name(path.name.removesuffix(PENDING).removesuffix(JOURNAL)))
    if not found.newest.is_file():
        what = "that is a folder" if path.is_dir() else "there is no such file"
        raise UsageError(f"{path}: {what}. Give a cassette, such as cassettes/test_weather/test_oslo.yaml.")
    return found


def find_files(paths: Sequence[Path]) -> list[CassetteFile]:
    """Return the cassettes that files and folders name, sorted; each once. Raises UsageError for what isn't there."""
    found: set[CassetteFile] = set()
    for path in paths:
        if path.is_dir():
            found.update(_below(path))
        else:
            found.add(find_file(path))
    return sorted(found)


def _below(folder: Path) -> Iterator[CassetteFile]:
    for parent, folders, names in os.walk(folder):
        # hidden ones hold compiled copies and records of use
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            stem = name.removesuffix(PENDING).removesuffix(JOURNAL)
            if stem.endswith(SUFFIXES) and not name.startswith(".") and Path(parent, name).is_file():
                yield CassetteFile(Path(parent, stem))


def read(path: Path) -> Recording:
    """Return what a cassette, a pending one or a journal holds. Raises `CassetteError`."""
    if path.name.endswith(JOURNAL):
        from agentkit.cassettes.journal import read_journal

        return read_journal(path)
    from agentkit.cassettes.format import form

    return form.load(read_text(path), name=str(path))


def read_text(path: Path) -> str:
    """Return a cassette's text. Raises `CassetteError`."""
    try:
        return path.read_bytes().decode()
    except OSError as exc:
        raise CassetteError(f"{path} can't be read: {exc.strerror or exc}.") from exc
    except UnicodeDecodeError as exc:
        raise CassetteError(f"{path} isn't UTF-8 (byte {exc.start}). Take it from version control again.") from exc


def write(path: Path, recording: Recording) -> None:
    """Write a cassette, whole or not at all, mode 0600. Raises OSError, and CassetteError for what can't be kept."""
    from agentkit.cassettes.format import form

    write_text(path, form.dump(recording))


def write_text(path: Path, text: str) -> None:
    """Put a text in place of a file, whole or not at all, mode 0600. Raises OSError."""
    try:
        target = path.resolve()  # a link stays a link
    except RuntimeError as exc:  # before Python 3.13, links in a circle
        raise OSError(errno.ELOOP, "symbolic links in a circle") from exc
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
        _sync_folder(target.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def _sync_folder(folder: Path) -> None:
    """Have the new name survive a crash of the machine, where the system can do that."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
