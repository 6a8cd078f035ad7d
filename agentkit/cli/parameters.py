"""What commands have in common: files as arguments, and their names completed by the shell."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

FILE = click.Path(dir_okay=False, path_type=Path)


def complete_file(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Have the shell complete a file's name."""
    return [CompletionItem(incomplete, type="file")]
