"""What commands have in common: files as arguments, and their names completed by the shell."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

IGNORE = click.option(
    "--ignore", multiple=True, metavar="PATH", help="A field of requests that doesn't count, as tools[*].description."
)
SCRUB = click.option(
    "--scrub", multiple=True, metavar="PATTERN", help="What the recording has replaced, a regular expression."
)
FILE = click.Path(dir_okay=False, path_type=Path)


def complete_file(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Have the shell complete a file's name."""
    return [CompletionItem(incomplete, type="file")]
