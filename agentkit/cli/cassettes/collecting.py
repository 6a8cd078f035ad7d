"""Which cassettes tests have by their names, as pytest collects them; and which lie there without a test."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from agentkit.cassettes.suite.naming import name_cassette
from agentkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

PATIENCE_S: Final = 300
_MODULE: Final = re.compile(r"test_|.*_test$")


def collect_names(paths: Sequence[Path]) -> set[str] | None:
    """Return the cassette of each test that pytest collects, as `tests/test_weather/test_oslo.yaml`.

    None where pytest isn't installed. Raises `UsageError` where it collects nothing, or fails.
    """
    if importlib.util.find_spec("pytest") is None:
        return None
    # not -q: with another one of the configuration it would give counts in place of names
    options = ["--collect-only", "--verbosity=-1", "--no-header", "--color=no"]
    command = [sys.executable, "-m", "pytest", *options, *map(str, paths)]
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
    return {_name_of(line) for line in done.stdout.splitlines() if "::" in line}


def lies_as_a_tests(path: Path) -> bool:
    """Tell whether a cassette lies where a test's would: in a folder of its module's name."""
    return bool(_MODULE.match(path.parent.name))


def is_orphan(path: Path, names: Collection[str]) -> bool:
    """Tell whether a cassette lies where a test's would, and no test has that name."""
    parts = path.absolute().parts
    return lies_as_a_tests(path) and not any("/".join(parts[start:]) in names for start in range(1, len(parts)))


def _name_of(test: str) -> str:
    module, _, rest = test.partition("::")
    function, _, parameters = rest.partition("[")
    *classes, name = function.split("::")
    return name_cassette(module, classes, name, parameters.removesuffix("]"))
