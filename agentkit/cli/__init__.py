"""The `agentkit` command: agents at work in a terminal. It needs the extra `cli`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

EXTRA = frozenset({"click", "prompt_toolkit", "rich"})
"""What the extra installs."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, by default the process's, and return its exit code."""
    _fill_streams()
    try:
        try:
            from agentkit.cli.app import run_app
        except ModuleNotFoundError as exc:
            if exc.name not in EXTRA:
                raise
            sys.stderr.write(
                f"agentkit: the command line needs {exc.name!r}, which isn't installed. "
                "In the checkout, run: pip install -e '.[cli]'\n"
            )
            return 2
        code = run_app(args)
    except KeyboardInterrupt:
        code = 130
    if args is None:  # the process ends: Ctrl-C would only interrupt the interpreter's own clean-up, with a traceback
        with contextlib.suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    return code


def _fill_streams() -> None:
    """Give Python something to read from and write to where it was started without (`2>&-`)."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  (for the process)
