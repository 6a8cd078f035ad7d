"""What a test may not leave behind: threads, tasks, sockets, child processes, temporary files, a key in a log."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agentkit.portal import run_blocking

PATIENCE_S = 3.0
SECRETS = ("sk-very-secret", "pw-secret", "other-secret", "query-secret")
BACKGROUND = "agentkit-loop"
"""The thread of the `_sync` forms, which stays for the process; so do its sockets, hence it is started first."""


@contextmanager
def watched(temporary: Path) -> Iterator[None]:
    """Fail if something is left behind. `temporary` is where the block's temporary files go."""
    run_blocking(_count_tasks)
    threads, sockets, children = set(threading.enumerate()), _sockets(), _children()
    heard = _Ear()
    logging.getLogger().addHandler(heard)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(heard)
    left = {
        "threads": lambda: {thread.name for thread in set(threading.enumerate()) - threads},
        "tasks on the background loop": lambda: run_blocking(_count_tasks),
        "sockets": lambda: _sockets() - sockets,
        "child processes": lambda: _children() - children,
        "temporary files": lambda: {str(path) for path in temporary.rglob("*")},
    }
    for what, look in left.items():
        found = _wait_until_nothing(look)
        assert not found, f"{what} left behind: {found}"
    assert not [secret for secret in SECRETS if secret in heard.text], "a key stands in the log"


def _wait_until_nothing(look: Callable[[], object]) -> object:
    """Return what is left; closing takes a moment."""
    until = time.monotonic() + PATIENCE_S
    while (found := look()) and time.monotonic() < until:
        gc.collect()  # only where it is needed: a tenth of a second each
        time.sleep(0.005)
    return found


async def _count_tasks() -> int:
    return len(asyncio.all_tasks()) - 1


def _sockets() -> set[str]:
    """Return the open sockets, where the system tells."""
    found = set()
    for entry in Path("/proc/self/fd").glob("*"):
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


def _children() -> set[str]:
    lists = Path("/proc/self/task").glob("*/children")
    return {child for listed in lists for child in listed.read_text().split()}


class _Ear(logging.Handler):
    """Keeps all that was logged."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += logging.Formatter().format(record) + "\n"
