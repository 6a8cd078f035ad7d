"""docs/cli.md is what `--help` says; `python tests/cli/test_help.py --write` makes it again."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from agentkit.cli.app import app

PAGE = Path(__file__).parent.parent.parent / "docs" / "cli.md"

INTRO = """# Command line

The `agentkit` command comes with the extra `cli`: in the checkout, `pip install -e '.[cli]'`. This page is what
`--help` says, made by `python tests/cli/test_help.py --write`.
"""


def help_text(command: click.Command, *names: str) -> str:
    context: click.Context | None = None
    for depth, name in enumerate(names):
        kind = app if depth == 0 else command
        context = kind.make_context(name, [], parent=context, resilient_parsing=True, terminal_width=100)
    assert context is not None
    return command.get_help(context)


def page() -> str:
    parts = [INTRO, f"```text\n$ agentkit --help\n{help_text(app, 'agentkit')}\n```\n"]
    for name in sorted(app.commands):
        text = help_text(app.commands[name], "agentkit", name)
        parts.append(f"## agentkit {name}\n\n```text\n$ agentkit {name} --help\n{text}\n```\n")
    return "\n".join(parts)


def test_the_page_is_what_help_says() -> None:
    assert PAGE.read_text() == page(), "run: python tests/cli/test_help.py --write"


if __name__ == "__main__" and "--write" in sys.argv:
    PAGE.write_text(page())
