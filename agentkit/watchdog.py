"""Notices sync code in an async tool, which holds up the event loop and every run on it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
import time
import traceback

BLOCKED_S = 1.0
"""How long the event loop may be silent before a warning."""

_log = logging.getLogger("agentkit")


class Watchdog:
    """A thread that watches one event loop, from the first async tool of a run until its end."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._beat = time.monotonic()
        self._warned = False
        self._tool = ""
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, tool: str) -> None:
        """Begin to watch; `tool` is named in the warning."""
        self._tool = tool
        if self._thread is None:
            self._beat = time.monotonic()
            self._thread = threading.Thread(target=self._run, name="agentkit-watchdog", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Let the thread end."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.wait(BLOCKED_S / 4):
            with contextlib.suppress(RuntimeError):  # the loop is closed: so is this, soon
                self._loop.call_soon_threadsafe(self._mark)
            if time.monotonic() - self._beat > BLOCKED_S and not self._warned:
                self._warned = True
                frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001  (documented, underscore and all)
                stack = "".join(traceback.format_stack(frame)) if frame else ""
                _log.warning(
                    "the event loop has been blocked for more than %g s while the async tool %s runs. "
                    "Make it a plain def, which runs in a thread, or await what it waits for.\n%s",
                    BLOCKED_S,
                    self._tool,
                    stack,
                )

    def _mark(self) -> None:
        self._beat = time.monotonic()
        self._warned = False
