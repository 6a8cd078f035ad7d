"""Signals as interrupts that end what goes on in order."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from typing import Self

SIGNALLED: Final = 128
"""Added to the number of the signal that ended a command: 130 for Ctrl-C."""


class Interrupts:
    """Lets Ctrl-C, `kill` and a closed window end a run in order: the first is raised, those behind it wait.

    The clean-up that the first one sets off takes seconds at most, and a conversation is lost without it.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        """The signal that came."""
        self._replaced: dict[int, Any] = {}

    @property
    def is_final(self) -> bool:
        """Whether what came asks for the end, and not just, as Ctrl-C does, to stop what goes on."""
        return self.signal is not None and self.signal != signal.SIGINT

    @property
    def exit_code(self) -> int:
        """What a command returns that a signal has ended."""
        return SIGNALLED + (self.signal or signal.SIGINT)

    def rearm(self) -> None:
        """Have the next Ctrl-C raised again, once the clean-up is done."""
        if not self.is_final:
            self.signal = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGHUP"):
                number = getattr(signal, name, None)  # Windows has fewer
                # what somebody else has set stays: nohup ignores SIGHUP, and means it
                if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                    self._replaced[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._replaced.items():
            # after one Ctrl-C, all is told and the process ends: a second one has nothing left to interrupt
            if self.signal is None or number != signal.SIGINT:
                signal.signal(number, handler)

    def _receive(self, number: int, _: object) -> None:
        if self.signal is None:
            self.signal = number
            raise KeyboardInterrupt
        if number != signal.SIGINT:
            self.signal = number  # the clean-up goes on, and then it ends
