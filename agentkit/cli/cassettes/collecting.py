"""Which tests there are, as pytest collects them; and which cassettes lie where a test of another name would have its.

A test's cassette is cassettes/<module>/<test>.yaml, the name of the test with what makes it unique (its class, its
parameters) around it. Only files that lie so can be told to be orphans; others are named in the tests themselves.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from agentkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

PATIENCE_S: Final = 300
_MODULE: Final = re.compile(r"test_|.*_test$")


def collect_tests(paths: Sequence[Path]) -> set[tuple[str, str]] | None:
    """Return `(module, test)` for each test that pytest collects; None where pytest isn't installed.

    Raises `UsageError` where it collects nothing, or fails.
    """
    if importlib.util.find_spec("pytest") is None:
        return None
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--no-header", "--color=no", *map(str, paths)]
    try:
        done = subprocess.run(  # noqa: S603  (our own interpreter)
            command, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise UsageError(f"pytest took more than {PATIENCE_S} s to collect the tests. Give --no-tests.") from None
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise UsageError(
            f"pytest couldn't collect the tests ({said[-1] if said else f'exit code {done.returncode}'}). "
            "Mend that, name where they are with --tests, or give --no-tests."
        )
    found = (line.partition("::") for line in done.stdout.splitlines() if "::" in line)
    return {(PurePath(file).stem, test.partition("[")[0].rpartition("::")[2]) for file, _, test in found}


def lies_as_a_tests(path: Path) -> bool:
    """Tell whether a cassette lies where a test's would."""
    return bool(_MODULE.match(path.parent.name))


def is_orphan(path: Path, tests: Collection[tuple[str, str]]) -> bool:
    """Tell whether a cassette lies where a test's would, and there is no such test."""
    module, name = path.parent.name, path.name.removesuffix(path.suffix)
    if not lies_as_a_tests(path):
        return False
    words = set(_words(name))
    return not any(found == module and (name == test or test in words) for found, test in tests)


def _words(name: str) -> list[str]:
    """Return the parts of a file's name that may be a test's: `TestOslo.test_cold[c-7]` has two."""
    return re.findall(r"\w+", name)
