"""The commands and their options, on click. What they do is in the modules around this one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

import agentkit

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE = click.Path(dir_okay=False, path_type=Path)


def run_app(args: Sequence[str] | None = None) -> int:
    """Run the command with these arguments and return its exit code."""
    try:
        code = app.main(args=args, prog_name="agentkit", standalone_mode=False)
    except click.Abort:
        return 130
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        return 130
    return code if isinstance(code, int) else 0


def complete_file(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Have the shell complete a file's name."""
    return [CompletionItem(incomplete, type="file")]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(agentkit.__version__, message="agentkit %(version)s")
def app() -> None:
    """Agents that call tools, on the stateless Responses API."""


@app.command(
    epilog="""
    \b
    Examples:
      agentkit run examples/02_tools.py "Do I need a coat in Oslo?"
      agentkit run agent.py --save talk.json "Find the three largest files."
      agentkit run agent.py --continue talk.json --save talk.json "And the oldest?"
      git diff | agentkit run reviewer.py - > review.txt
      agentkit run agent.py --json "..." | jq .usage

    \b
    Exit codes:
      0    there is an answer
      1    the run failed: the server, a limit, a refusal, an exception
      2    a mistake in the command, the file, or what the agent was given
      130  Ctrl-C; after another signal 128 plus its number
    """
)
@click.argument("file", metavar="FILE[:AGENT]", shell_complete=complete_file)
@click.argument("prompt", required=False)
@click.option("--save", type=FILE, help="Write the conversation to this file, however the run ends.")
@click.option("--continue", "continued", type=FILE, help="Go on from a conversation that --save wrote.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object instead, errors included.")
@click.option("--reasoning", is_flag=True, help="Show the model's reasoning, dimmed.")
@click.option("--model", help="Ask this model instead of the agent's.")
@click.option("--base-url", metavar="URL", help="Ask this server, with the key in AGENTKIT_API_KEY if set.")
@click.option("--max-turns", type=click.IntRange(min=1), help="Stop after so many responses.")
def run(
    file: str,
    prompt: str | None,
    save: Path | None,
    continued: Path | None,
    as_json: bool,
    reasoning: bool,
    model: str | None,
    base_url: str | None,
    max_turns: int | None,
) -> int:
    """Run the agent of a Python file on PROMPT.

    FILE is a path or a module (package.module). AGENT is the variable that holds the agent: needed only
    where there are several, and none of them is called agent. PROMPT may be - for stdin.

    Next to the agent, the file may define client, the server to ask where the agent has none of its own,
    and must define deps if the agent has a deps_type; both may be functions. AGENTKIT_LIVE=1 sets a scripted
    model aside for the server of the environment, and the agent's model for AGENTKIT_MODEL.

    The answer goes to stdout. Tool calls, warnings and the last line (turns, tokens, speed, time) go to
    stderr, and so do the prints of the file and its tools. On a terminal the text is shown as it comes,
    elsewhere once it is whole. Control characters in it are shown as escapes (\\x1b); --json has them exactly.
    """
    from agentkit.cli.running import RunOptions, run_agent

    return run_agent(
        RunOptions(
            target=file,
            prompt=prompt,
            as_json=as_json,
            save=save,
            continued=continued,
            reasoning=reasoning,
            model=model,
            base_url=base_url,
            max_turns=max_turns,
        )
    )


@app.command(
    epilog="""
    \b
    Examples:
      agentkit chat examples/05_conversation.py
      agentkit chat agent.py --save talk.json
      agentkit chat agent.py --continue talk.json --save talk.json
      printf 'Hi!\\n/usage\\n' | agentkit chat agent.py

    \b
    Exit codes:
      0    the chat was ended
      1    a message failed and stdin is no terminal; the conversation or an answer can't be written
      2    a mistake in the command or the file
      130  Ctrl-C in a script; after another signal 128 plus its number
    """
)
@click.argument("file", metavar="FILE[:AGENT]", shell_complete=complete_file)
@click.option("--save", type=FILE, help="Write the conversation to this file after each answer.")
@click.option("--continue", "continued", type=FILE, help="Go on from a conversation that --save wrote.")
@click.option("--reasoning", is_flag=True, help="Show the model's reasoning, dimmed.")
@click.option("--model", help="Ask this model instead of the agent's.")
@click.option("--base-url", metavar="URL", help="Ask this server, with the key in AGENTKIT_API_KEY if set.")
@click.option("--max-turns", type=click.IntRange(min=1), help="Stop each answer after so many responses.")
def chat(
    file: str,
    save: Path | None,
    continued: Path | None,
    reasoning: bool,
    model: str | None,
    base_url: str | None,
    max_turns: int | None,
) -> int:
    """Talk with the agent of a Python file.

    FILE, AGENT and what the file may define are as in agentkit run; deps are made once for the whole chat.

    Enter sends. A backslash before it, Alt-Enter or Ctrl-J breaks the line, and pasted lines stay together.
    Ctrl-C stops an answer: the conversation stays in order, with your message, and the calls that were
    running as cancelled. Ctrl-D ends. What begins with a slash is for the chat: /help lists what there is,
    such as /undo, /fork, /save and /tools. Tab completes commands, files, turns and tools.

    After an error the chat goes on: /retry asks again, /undo takes the message back. What you say is
    remembered in $XDG_STATE_HOME/agentkit/chat_history (by default below ~/.local/state), mode 0600.

    Where stdin is no terminal, each of its lines is a message or a command, and stdout gets the answers only.
    """
    from agentkit.cli.chat import ChatOptions
    from agentkit.cli.chat import chat as talk

    return talk(
        ChatOptions(
            target=file,
            save=save,
            continued=continued,
            reasoning=reasoning,
            model=model,
            base_url=base_url,
            max_turns=max_turns,
        )
    )


@app.command(
    epilog="""
    \b
    Examples:
      agentkit tools examples/02_tools.py
      agentkit tools agent.py --json | jq '.[].name'

    \b
    Exit codes:
      0    listed
      1    the list can't be written
      2    a mistake in the command, the file, or a tool
    """
)
@click.argument("file", metavar="FILE[:AGENT]", shell_complete=complete_file)
@click.option("--json", "as_json", is_flag=True, help="Write the definitions as requests hold them.")
def tools(file: str, as_json: bool) -> int:
    """List the tools of an agent: what they do, what they take, and what the loop makes of them.

    Strict tools are sent with strict: true, which makes servers that can hold the model to the schema. For
    others it is said why not.
    """
    from agentkit.cli.catalogue import list_tools

    return list_tools(file, as_json=as_json)
