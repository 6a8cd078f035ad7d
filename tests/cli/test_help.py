"""docs/cli.md is what `--help` says; `python tests/cli/test_help.py --write` makes it again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from agentkit.cli.app import app

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

PAGE = Path(__file__).parent.parent.parent / "docs" / "cli.md"

INTRO = """# Command line

The `agentkit` command comes with the extra `cli`: in the checkout, `pip install -e '.[cli]'`. This page is what
`--help` says, made by `python tests/cli/test_help.py --write`.

| command | what it is for |
|---|---|
| `agentkit run` | one prompt, one answer; for scripts and pipes as well |
| `agentkit chat` | a conversation: history, undo, fork, save |
| `agentkit tools` | what the model is told of an agent's tools |
| `agentkit serve` | a scripted model, or a recording, over HTTP, to develop and test against |
| `agentkit replay` | a recorded run, played as it looked when it was live |
| `agentkit cassettes` | recordings: listed, shown, compared, reviewed, checked |
| `agentkit doctor` | why there is no answer, and what a server can do |

Answers go to stdout, everything else to stderr. Text of models and tools is shown with its control,
bidirectional and invisible characters as escapes, so that it can't steer the terminal or hide from who reads it. There
is no colour where the output is piped, `NO_COLOR` is set or `TERM=dumb`, and lines are cut or broken to fit the
window. Each command lists its exit codes; 2 is always a mistake in what it was given.

## Shell completion

Commands, options and file names are completed after one line in the shell's start-up file:

```text
eval "$(_AGENTKIT_COMPLETE=bash_source agentkit)"            # ~/.bashrc
eval "$(_AGENTKIT_COMPLETE=zsh_source agentkit)"             # ~/.zshrc
_AGENTKIT_COMPLETE=fish_source agentkit | source             # ~/.config/fish/completions/agentkit.fish
```
"""


def help_text(command: click.Command, *names: str) -> str:
    context: click.Context | None = None
    for depth, name in enumerate(names):
        kind = app if depth == 0 else command if depth == len(names) - 1 else app.commands[name]
        context = kind.make_context(name, [], parent=context, resilient_parsing=True, terminal_width=100)
    assert context is not None
    return command.get_help(context)


def page() -> str:
    parts = [INTRO, f"```text\n$ agentkit --help\n{help_text(app, 'agentkit')}\n```\n"]
    for name in sorted(app.commands):
        command = app.commands[name]
        parts.append(section(command, name))
        if isinstance(command, click.Group):
            parts += [section(command.commands[below], name, below) for below in sorted(command.commands)]
    return "\n".join(parts)


def section(command: click.Command, *names: str) -> str:
    told = " ".join(("agentkit", *names))
    text = help_text(command, "agentkit", *names)
    return f"{'#' * (len(names) + 1)} {told}\n\n```text\n$ {told} --help\n{text}\n```\n"


def test_the_page_is_what_help_says() -> None:
    assert PAGE.read_text() == page(), "run: python tests/cli/test_help.py --write"


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
def test_shells_complete(shell: Shell, kind: str) -> None:
    source = shell.run(_AGENTKIT_COMPLETE=f"{kind}_source")
    if kind == "bash" and "version" in source.stderr:
        pytest.skip("bash is missing or old")
    assert "_AGENTKIT_COMPLETE" in source.stdout
    words = {"COMP_WORDS": "agentkit c", "COMP_CWORD": "1" if kind != "fish" else "c"}
    assert "chat" in shell.run(_AGENTKIT_COMPLETE=f"{kind}_complete", **words).stdout
    words = {"COMP_WORDS": "agentkit chat w", "COMP_CWORD": "2" if kind != "fish" else "w"}
    assert "file" in shell.run(_AGENTKIT_COMPLETE=f"{kind}_complete", **words).stdout


if __name__ == "__main__" and "--write" in sys.argv:
    PAGE.write_text(page())
