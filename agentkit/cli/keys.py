"""A single key of the terminal, without Enter. What was typed ahead counts, and Ctrl-C interrupts as ever."""

from __future__ import annotations

import os
import select
import sys

import click

END = "\x04"
"""Ctrl-D."""
ESCAPE = "\x1b"

if sys.platform == "win32":

    def read_key() -> str:
        """Wait for a key, and return it."""
        try:
            return click.getchar()
        except EOFError:
            return END

else:
    import termios
    import tty

    def read_key() -> str:
        """Wait for a key, and return it; of a key that sends a sequence, as the arrows do, just `ESCAPE`."""
        handle = sys.stdin.fileno()
        before = termios.tcgetattr(handle)
        # not click.getchar: it throws away what was typed ahead
        tty.setcbreak(handle, termios.TCSADRAIN)
        try:
            data = os.read(handle, 1)
            while data and not _is_whole(data):
                data += os.read(handle, 1)
            if data == ESCAPE.encode():
                while select.select([handle], [], [], 0)[0] and os.read(handle, 1):
                    pass
        finally:
            termios.tcsetattr(handle, termios.TCSADRAIN, before)
        return data.decode(errors="replace") or END

    def _is_whole(data: bytes) -> bool:
        """Tell whether a character of UTF-8 has all its bytes."""
        lead = data[0]
        return len(data) >= (1 if lead < 0xC0 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4)
