"""Lines that match a regular expression; runs in a process of its own, see `isolated.py`."""

from __future__ import annotations

import re
import warnings
from typing import Any, Final

LINE_CHARS: Final = 20_000
"""How far into a line is looked."""


def answer(message: dict[str, Any]) -> dict[str, Any]:
    """Return ``{"found": [[index of the line, start, end], ...]}`` for a text, at most `most` of them.

    `{"error": ...}` says what is wrong with the expression.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expression = re.compile(message["pattern"], re.IGNORECASE if message["ignore_case"] else 0)
    except (re.error, OverflowError, RecursionError) as exc:
        return {"error": str(exc) or type(exc).__name__}
    found: list[list[int]] = []
    for index, line in enumerate(message["text"].split("\n")):
        if len(found) == message["most"]:
            break
        match = expression.search(line[:LINE_CHARS].removesuffix("\r"))
        if match is not None:
            found.append([index, match.start(), match.end()])
    return {"found": found}
