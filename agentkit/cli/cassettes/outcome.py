"""How a command ends: its errors told, its JSON written, its exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from agentkit.cli.terminal import harmless_json
from agentkit.errors import CassetteError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentkit.cli.terminal import Outputs
    from agentkit.json import JSON

OK: Final = 0
FOUND: Final = 1
"""Something was found that shouldn't be, or that differs."""
USAGE: Final = 2

CASSETTES_EXTRA: Final = ("yaml", "vcr")
"""What the extra `cassettes` installs."""


def without_extra(module: str) -> str:
    """Return what to say where the extra is missing."""
    return f"cassettes need {module!r}, of the extra 'cassettes'. In the checkout: pip install -e '.[cassettes]'"


def reported(command: Callable[[Outputs], int], outputs: Outputs) -> int:
    """Run a command, and return its exit code; mistakes in what it was given are shown."""
    try:
        code = command(outputs)
    except (CassetteError, UsageError) as exc:
        outputs.show_error(str(exc))
        return USAGE
    except OSError as exc:
        outputs.show_error(f"{exc.filename or 'a file'}: {exc.strerror or exc}")
        return USAGE
    except ModuleNotFoundError as exc:
        if exc.name not in CASSETTES_EXTRA:
            raise
        outputs.show_error(without_extra(exc.name))
        return USAGE
    if (error := outputs.answer.error) is not None:
        outputs.show_error(f"the answer can't be written: {error.strerror or error}")
        return code or FOUND
    return code


def write_json(value: JSON, outputs: Outputs) -> None:
    """Write JSON that no terminal can stumble over."""
    answer = outputs.answer
    answer.write(harmless_json(json.dumps(value, ensure_ascii=not answer.is_unicode, indent=2)) + "\n")
