"""Which file a test's cassette is: `cassettes/tests/test_weather/test_oslo.yaml`, by the test's own name."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_NAME = 100
"""Characters of a file's name: file systems allow 255 bytes, with what is put behind it."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


def name_cassette(module: str, classes: Sequence[str], function: str, parameters: str = "") -> str:
    """Return the path of a test's cassette below the folder of all, with forward slashes.

    `module` is the path of the test's file below the root, `parameters` the id that parametrisation gave the test.
    """
    folder = "/".join("up" if part == ".." else part for part in module.removesuffix(".py").split("/"))
    name = ".".join([*classes, function])
    return f"{folder}/{_safe(f'{name}-{parameters}' if parameters else name)}.yaml"


def _safe(name: str) -> str:
    """Return a name that every file system takes; what had to be changed is told apart by a digest."""
    safe = _UNSAFE.sub("_", name).strip(".")
    if safe == name and len(safe) <= MAX_NAME:
        return safe
    digest = hashlib.sha256(name.encode("utf-8", "backslashreplace")).hexdigest()[:8]
    return f"{safe[: MAX_NAME - 9]}-{digest}"


def find_clash(paths: Mapping[str, str]) -> tuple[str, str] | None:
    """Return two tests whose files are one where upper and lower case are the same, or None. `paths`: by test."""
    seen: dict[str, str] = {}
    for test, path in paths.items():
        other = seen.setdefault(path.casefold(), test)
        if other != test:
            return other, test
    return None
