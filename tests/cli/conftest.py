"""The command as a user runs it: in a process of its own, piped or in a terminal."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

WEATHER = '''
from agentkit import Agent, tool
from agentkit.testing import ScriptedModel, call, reasoning

@tool
def weather(city: str) -> dict:
    """Current weather."""
    print("looking up", city)
    return {"temp": 7}

agent = Agent(model="m", tools=[weather])
look = [reasoning("I look."), "One moment.", call("weather", {"city": "Oslo"})]
client = ScriptedModel([look, "Take a coat."]).client()
'''

HELD = """
import threading
from agentkit import Agent
from agentkit.testing import ScriptedModel, hold, text
agent = Agent(model="m")
client = ScriptedModel([text("The first half", hold(threading.Event()))]).client()
"""

SLOW = '''
import asyncio
from agentkit import Agent, tool
from agentkit.testing import ScriptedModel, call

@tool
async def slow(seconds: int) -> str:
    """Sleep."""
    await asyncio.sleep(seconds)
    return "slept"

agent = Agent(model="m", tools=[slow])
client = ScriptedModel([call("slow", {"seconds": 60}), "Done."]).client()
'''


@dataclass
class Shell:
    """Runs `agentkit` in a folder."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, source: str) -> Path:
        path = self.folder / name
        path.write_text(source)
        return path

    def run(self, *args: str, stdin: str | bytes = b"", **env: str) -> subprocess.CompletedProcess[str]:
        """Run to the end with stdout and stderr piped."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [sys.executable, "-m", "agentkit", *args],
            cwd=self.folder,
            env={**self._environ(), **env},
            input=data,
            capture_output=True,
            timeout=60,
            check=False,
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def terminal(self, *args: str, columns: int = 80, **env: str) -> Terminal:
        """Start in a pseudo-terminal."""
        return Terminal(self, args, columns, {**self._environ(), "TERM": "xterm-256color", **env})

    def _environ(self) -> dict[str, str]:
        keep = ("PATH", "SYSTEMROOT", "COVERAGE_PROCESS_START")
        return {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tools")]),
            "PYTHONWARNINGS": "error",
            "PYTEST_ADDOPTS": "-p no:asyncio",  # it warns wherever it isn't configured
            "PYTHONUTF8": "1",
            "XDG_STATE_HOME": str(self.folder / "state"),
            **{name: os.environ[name] for name in keep if name in os.environ},
            **self.env,
        }


class Terminal:
    """A command in a pseudo-terminal: what it shows, and keys for it."""

    def __init__(self, shell: Shell, args: tuple[str, ...], columns: int, env: dict[str, str]) -> None:
        import fcntl
        import pty
        import termios

        self._own, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "agentkit", *args],
            cwd=shell.folder,
            env=env,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._seen = b""

    @property
    def text(self) -> str:
        return self._seen.decode(errors="replace").replace("\r\n", "\n")

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 30
        while text not in self.text:
            assert time.monotonic() < deadline, f"{text!r} never came:\n{self.text}"
            assert self._read(), f"{text!r} never came:\n{self.text}"

    def type(self, keys: str, *until: str) -> None:
        """Send keys, and wait for texts that come after them, one after the other."""
        seen = len(self._seen)
        os.write(self._own, keys.encode())
        for text in until:
            while (found := self._seen.find(text.encode(), seen)) < 0:
                assert self._read(), f"{text!r} never came after {keys!r}:\n{self.text}"
            seen = found + len(text.encode())

    def press(self, keys: str) -> None:
        """Send keys."""
        os.write(self._own, keys.encode())

    def interrupt(self, number: int = signal.SIGINT) -> None:
        self._process.send_signal(number)

    def end(self) -> int:
        while self._read():
            pass
        os.close(self._own)
        return self._process.wait(30)

    def _read(self) -> bool:
        import select

        if not select.select([self._own], [], [], 15)[0]:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"nothing came for 15 s:\n{self.text}")
        with contextlib.suppress(OSError):  # Linux says EIO where the other end is closed
            if data := os.read(self._own, 65536):
                self._seen += data
                return True
        return False


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A folder with some agents in it."""
    found = Shell(tmp_path)
    found.write("weather_agent.py", WEATHER)
    found.write("held.py", HELD)
    found.write("slow.py", SLOW)
    return found
