"""The commands of `agentkit cassettes` and their options, on click. What they do is in the modules around this one."""

from __future__ import annotations

from pathlib import Path

import click

from agentkit.cli.parameters import FILE, complete_file

PATH = click.Path(path_type=Path)
FOLDER = Path("cassettes")
"""Where cassettes are looked for unless it is said otherwise."""

_paths = click.argument("paths", nargs=-1, type=PATH, shell_complete=complete_file)
_as_json = click.option("--json", "as_json", is_flag=True, help="Write JSON instead.")


@click.group()
def cassettes() -> None:
    """Look after recorded model traffic: list, show, compare, review, check.

    PATHS are cassettes, or folders that hold some; by default cassettes/. Beside an accepted file x.yaml may
    stand x.yaml.new, a recording that waits for its review, and x.yaml.part, the journal of one that was killed.
    """


@cassettes.command(
    "list",
    epilog="""
    \b
    Examples:
      agentkit cassettes list
      agentkit cassettes list tests/cassettes --json | jq '.[] | select(.pending)'

    \b
    Exit codes:
      0    listed
      1    some can't be read
      2    a mistake in the command
    """,
)
@_paths
@_as_json
def list_(paths: tuple[Path, ...], as_json: bool) -> int:
    """List cassettes: turns, tokens, size, the day of the recording, the server, and what waits for a review."""
    from agentkit.cli.cassettes.listing import list_cassettes

    return list_cassettes(paths or (FOLDER,), as_json=as_json)


@cassettes.command(
    epilog="""
    \b
    Examples:
      agentkit cassettes stats
      agentkit cassettes stats tests/cassettes --json | jq .input_tokens

    \b
    Exit codes:
      0    counted
      1    some can't be read
      2    a mistake in the command
    """
)
@_paths
@_as_json
def stats(paths: tuple[Path, ...], as_json: bool) -> int:
    """Count files, turns, tokens and bytes; name the largest and the oldest; say what recording anew would take."""
    from agentkit.cli.cassettes.listing import count_cassettes

    return count_cassettes(paths or (FOLDER,), as_json=as_json)


@cassettes.command(
    epilog="""
    \b
    Examples:
      agentkit cassettes show cassettes/test_weather/test_oslo.yaml
      agentkit cassettes show cassettes/test_weather/test_oslo.yaml.new --turn 2 --full
      agentkit cassettes show --ignored cassettes/test_weather/test_oslo.yaml

    \b
    Exit codes:
      0    shown
      2    a mistake in the command or the file
    """
)
@click.argument("file", type=FILE, shell_complete=complete_file)
@click.option("--turn", type=click.IntRange(min=1), help="Show this turn only, as the file counts them.")
@click.option("--full", is_flag=True, help="Cut nothing: long texts, and the definitions of the tools.")
@click.option("--ignored", is_flag=True, help="List what of its requests doesn't count when they are matched.")
@_as_json
def show(file: Path, turn: int | None, full: bool, ignored: bool, as_json: bool) -> int:
    """Show a cassette as a conversation, with tool calls, tokens, and times where they were kept.

    What a nested agent said stands beneath the call that ran it; attempts that failed stand with their turn.
    """
    from agentkit.cli.cassettes.showing import show_cassette, show_ignored

    if ignored:
        return show_ignored(file, as_json=as_json)
    return show_cassette(file, turn=turn, full=full, as_json=as_json)


@cassettes.command(
    epilog="""
    \b
    Examples:
      agentkit cassettes diff cassettes/test_weather/test_oslo.yaml
      agentkit cassettes diff before.yaml after.yaml
      git show HEAD:cassettes/test_oslo.yaml > old.yaml; agentkit cassettes diff old.yaml cassettes/test_oslo.yaml

    \b
    Exit codes:
      0    the same was said
      1    it differs
      2    a mistake in the command or a file
    """
)
@click.argument("old", type=FILE, shell_complete=complete_file)
@click.argument("new", type=FILE, required=False, shell_complete=complete_file)
@_as_json
def diff(old: Path, new: Path | None, as_json: bool) -> int:
    """Compare two cassettes as conversations; of one file, the accepted and the pending recording.

    What went stands in [-...-], what came in {+...+}; on a terminal they have colours instead. Tokens, times, ids
    and how answers were cut into chunks don't count.
    """
    from agentkit.cli.cassettes.comparing import compare_cassettes

    return compare_cassettes(old, new, as_json=as_json)
