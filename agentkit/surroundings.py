"""A look at what threads share: the working directory and the environment.

A tool that changes them changes them for every other tool and run of the process.
"""

from __future__ import annotations

import logging
import os

_log = logging.getLogger("agentkit")


class Surroundings:
    """The working directory and the environment at one moment."""

    __slots__ = ("_directory", "_environment")

    def __init__(self) -> None:
        self._directory, self._environment = _look()

    def warn_of_changes(self, who: str) -> None:
        """Log a warning where something is different from before, naming who ran meanwhile."""
        directory, environment = _look()
        if directory != self._directory:
            _log.warning("the working directory changed while %s ran: all threads of the process share it", who)
        if environment != self._environment:
            names = sorted({k for k, _ in set(environment.items()) ^ set(self._environment.items())})
            shown = ", ".join(os.fsdecode(name) for name in names[:5])
            _log.warning("environment variables changed while %s ran (%s): all threads share them", who, shown)


def _look() -> tuple[str, dict[bytes, bytes]]:
    try:
        directory = os.getcwd()  # noqa: PTH109  (as cheap as can be: it runs on every turn)
    except OSError:
        directory = ""
    return directory, dict(getattr(os.environ, "_data", {}))
