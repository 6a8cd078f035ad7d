"""A cassette without a file, in force where nothing may be recorded: whoever asks it is told so."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from agentkit.errors import CassetteError
    from agentkit.tape import Lane


class Unrecorded:
    """Stands for a file that isn't there, so that a test which asks no model needs none. See `agentkit.tape.Tape`."""

    goes_live = False
    server = ""

    def __init__(self, error: CassetteError) -> None:
        self.error = error
        self.was_asked = False

    def begin_run(self, lane: Lane) -> NoReturn:  # noqa: ARG002
        """Raise the error that opening the file gave."""
        self._refuse()

    def now(self) -> NoReturn:
        """Raise the error that opening the file gave."""
        self._refuse()

    def random(self, place: str) -> NoReturn:  # noqa: ARG002
        """Raise the error that opening the file gave."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        self.was_asked = True
        raise self.error
