"""What becomes of a recording that waits: it takes the accepted one's place, or goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentkit.cassettes.cleaning.cleaner import Cleaner
from agentkit.cassettes.files import read, read_text, write_text
from agentkit.cassettes.format import form
from agentkit.cassettes.format.ids import normalise
from agentkit.cassettes.journal import Journal, read_journal
from agentkit.cassettes.matching.rules import Rules
from agentkit.cassettes.review.splicing import joined, without
from agentkit.cassettes.saving import check_secrets
from agentkit.cassettes.shelves import keys_of
from agentkit.errors import CassetteError

if TYPE_CHECKING:
    from pathlib import Path

    from agentkit.cassettes.files import CassetteFile
    from agentkit.cassettes.interaction import Recording


def accept(file: CassetteFile, waiting: Path) -> None:
    """Put what waits in place of the accepted file.

    A journal holds what went live before the recording was killed: that joins the accepted cassette, in place of
    what is the same there.

    Raises OSError, and `CassetteError` for what can't be read, or is being recorded: it stays where it is.
    """
    if waiting == file.journal:
        _accept_journal(file)
        return
    read(waiting)  # a file that can't be read must not take the place of one that can
    if file.path.is_symlink():
        write_text(file.path, read_text(waiting))  # a link stays a link
        waiting.unlink()
    else:
        waiting.replace(file.path)


def reject(file: CassetteFile, waiting: Path) -> None:
    """Remove what waits. Raises OSError, and `CassetteError` for a journal that is being recorded to."""
    if waiting != file.journal:
        waiting.unlink()
        return
    try:
        Journal(file).close(keep=False)
    except CassetteError:
        if _can_be_read(waiting):  # then it has a writer
            raise
        waiting.unlink()


def _accept_journal(file: CassetteFile) -> None:
    journal = Journal(file)
    is_safe = False
    try:
        recording = journal.recovered
        if not recording.interactions:
            raise CassetteError(f"{file.journal}: no exchange had ended when the recording was killed. Reject it.")
        if file.path.is_file():
            recording = _renewed(read(file.path), recording)
        text = form.dump(normalise(recording))
        check_secrets(text, file.path, "Reject it, and record with scrub=[...], a pattern for it.")
        write_text(file.path, text)
        is_safe = True
    finally:
        journal.close(keep=not is_safe)


def _renewed(accepted: Recording, recovered: Recording) -> Recording:
    """Return a cassette with what was recorded anew in place of what is the same request there."""
    rules, cleaner = Rules(), Cleaner.here((), {})
    old = list(zip(keys_of(accepted, rules, cleaner), (i.lane for i in accepted), strict=True))
    new = list(zip(keys_of(recovered, rules, cleaner), (i.lane for i in recovered), strict=True))
    gone: set[int] = set()
    for found in new:
        place = next((turn for turn, key in enumerate(old, 1) if key == found and turn not in gone), None)
        gone |= {place} - {None}  # type: ignore[arg-type]
    return joined(without(accepted, gone), recovered)


def _can_be_read(journal: Path) -> bool:
    try:
        read_journal(journal)
    except CassetteError:
        return False
    return True
