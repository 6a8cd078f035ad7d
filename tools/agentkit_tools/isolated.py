"""Work done in a Python process of its own, because it may never end and nothing inside Python could stop it.

Both ends are here: `Isolated` starts the process and asks, `serve` is what runs in it. `re` and SQLite hold on
to a thread for as long as they like: `(a+)+b` on thirty characters takes minutes, and no signal, timeout or
progress handler reaches into one `instr()`. A process can always be killed, and its memory can be limited.

Starting one takes 25 to 45 ms (Python 3.11, 2 cores); it imports the standard library and this package only.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

Message: TypeAlias = dict[str, Any]

MEMORY_BYTES: Final = 512 * 1024 * 1024
"""Address space of the process, where the system can limit it."""
FILE_BYTES: Final = 256 * 1024 * 1024
"""Size of a file that it may write; SQLite sorts in temporary files."""

_START = "import sys; sys.path.append(sys.argv[1]); from agentkit_tools.isolated import serve; serve(*sys.argv[2:])"
_KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP")


class Ended(Exception):
    """The process ended without an answer: `.reason` is what ended it."""

    def __init__(self, reason: Literal["time", "crash"]) -> None:
        super().__init__(reason)
        self.reason = reason


class Isolated:
    """A process that answers messages with the function `answer` of one module of this package.

    To be used in a `with` block, from one thread; at its end, and after `seconds`, the process is killed.
    """

    def __init__(self, module: str, *, seconds: float) -> None:
        self._expired = False
        folder = str(Path(__file__).parent.parent)
        limits = [str(math.ceil(seconds) + 1), str(MEMORY_BYTES), str(FILE_BYTES)]
        self._process = subprocess.Popen(  # noqa: S603  # all arguments are ours
            [sys.executable, "-I", "-S", "-c", _START, folder, module, *limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in _KEPT if name in os.environ},  # no keys of ours
        )
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def ask(self, message: Mapping[str, object]) -> Message:
        """Return the answer to `message`, both plain JSON objects. Raises `Ended` where none comes."""
        reader, writer = self._process.stdout, self._process.stdin
        assert reader is not None  # noqa: S101  # they are pipes
        assert writer is not None  # noqa: S101
        line = b""
        with contextlib.suppress(OSError):
            writer.write(json.dumps(message).encode() + b"\n")
            writer.flush()
            line = reader.readline()
        if not line.endswith(b"\n"):
            raise Ended("time" if self._expired else "crash")
        answer: Message = json.loads(line)
        return answer

    def __enter__(self) -> Isolated:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # what was still to be written has no reader
                if pipe is not None:
                    pipe.close()

    def _expire(self) -> None:
        self._expired = True
        self._process.kill()


def serve(module: str, seconds: str, memory_bytes: str, file_bytes: str) -> None:
    """Answer each line of stdin with a line on stdout, within limits that the system keeps."""
    _limit(int(seconds), int(memory_bytes), int(file_bytes))
    answer: Callable[[Message], Message] = import_module(f"agentkit_tools.{module}").answer
    for line in sys.stdin.buffer:
        try:
            reply = answer(json.loads(line))
        except MemoryError:
            reply = {"error": "it took too much memory"}
        sys.stdout.buffer.write(json.dumps(reply).encode() + b"\n")
        sys.stdout.buffer.flush()


def _limit(seconds: int, memory_bytes: int, file_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows: the parent's timer is the only limit
        return
    limits = [
        # should the parent be gone: a loop that nobody waits for ends too
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),
    ]
    for which, limit in limits:
        with contextlib.suppress(ValueError, OSError):  # macOS keeps no RLIMIT_AS; a lower hard limit stays
            resource.setrlimit(which, (limit, limit))
