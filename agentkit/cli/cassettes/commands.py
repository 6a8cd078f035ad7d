"""The commands of `agentkit cassettes` and their options, on click. What they do is in the modules around this one."""

from __future__ import annotations

from pathlib import Path

import click

from agentkit.cli.parameters import FILE, complete_file

PATH = click.Path(path_type=Path)
FOLDER = Path("cassettes")
"""Where cassettes are looked for unless it is said otherwise."""

_FORMS = click.Choice(["agentkit", "vcrpy", "transcript"])
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
    """List cassettes, and what waits for a review.

    Each with its turns, tokens and size, the day it was recorded, and by which server.
    """
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
    """Count files, turns, tokens and bytes.

    It names the largest and the oldest cassette, and says what tokens it would take to record all anew.
    """
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
    """Show a cassette as a conversation.

    With its tool calls and what they gave, its tokens, and times where they were kept. What a nested agent said
    stands beneath the call that ran it; attempts that failed stand with their turn.
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
    """Compare two cassettes as conversations.

    Of one file, the accepted and the pending recording are compared. What went stands in [-...-], what came in
    {+...+}; on a terminal they have colours instead. Tokens, times, ids and how answers were cut into chunks don't
    count.
    """
    from agentkit.cli.cassettes.comparing import compare_cassettes

    return compare_cassettes(old, new, as_json=as_json)


@cassettes.command(
    epilog="""
    \b
    Examples:
      agentkit cassettes review
      agentkit cassettes review tests/cassettes/test_weather
      yes a | agentkit cassettes review

    \b
    Exit codes:
      0    nothing waits any more
      1    something still does
      2    a mistake in the command
      130  Ctrl-C
    """
)
@_paths
def review(paths: tuple[Path, ...]) -> int:
    """Walk through the recordings that wait, one by one.

    Each is shown by what changed, and then accepted, rejected or skipped. A recording without an accepted one
    before it is shown as a conversation. What is decided is done at once; what is skipped waits on. Where stdin is
    no terminal, each of its lines is an answer.
    """
    from agentkit.cli.cassettes.reviewing import review_cassettes

    return review_cassettes(paths or (FOLDER,))


_all = click.option("--all", "everything", is_flag=True, help="All that waits below cassettes/.")


@cassettes.command(
    epilog="""
    \b
    Examples:
      agentkit cassettes accept cassettes/test_weather/test_oslo.yaml
      agentkit cassettes accept cassettes/test_weather
      agentkit cassettes accept --all

    \b
    Exit codes:
      0    accepted
      1    some couldn't be
      2    a mistake in the command, or nothing waits where it was named
    """
)
@_paths
@_all
def accept(paths: tuple[Path, ...], everything: bool) -> int:
    """Let a recording that waits take the place of the accepted one.

    Of a recording that was killed (x.yaml.part), what it has becomes the cassette. Where both wait, the pending one
    is taken; the other has to be named.
    """
    from agentkit.cli.cassettes.reviewing import accept_cassettes

    return accept_cassettes(_named(paths, everything))


@cassettes.command(
    epilog="""
    \b
    Examples:
      agentkit cassettes reject cassettes/test_weather/test_oslo.yaml
      agentkit cassettes reject cassettes/test_weather/test_oslo.yaml.part
      agentkit cassettes reject --all

    \b
    Exit codes:
      0    removed
      1    some couldn't be
      2    a mistake in the command, or nothing waits where it was named
    """
)
@_paths
@_all
def reject(paths: tuple[Path, ...], everything: bool) -> int:
    """Remove recordings that wait; the accepted ones stay."""
    from agentkit.cli.cassettes.reviewing import reject_cassettes

    return reject_cassettes(_named(paths, everything))


def _named(paths: tuple[Path, ...], everything: bool) -> tuple[Path, ...]:
    if bool(paths) is everything:
        raise click.UsageError("Name what is meant, or give --all.")
    return paths or (FOLDER,)


@cassettes.command(
    epilog="""
    \b
    Examples:
      agentkit cassettes check
      agentkit cassettes check tests/cassettes --tests tests --json
      agentkit cassettes check --no-tests

    \b
    Exit codes:
      0    all is in order
      1    something isn't: a line for each on stdout
      2    a mistake in the command, or the tests can't be collected
    """
)
@_paths
@click.option("--tests", type=PATH, multiple=True, help="Where the tests are; by default where pytest looks.")
@click.option("--no-tests", is_flag=True, help="Don't look for the test of each cassette.")
@_as_json
def check(paths: tuple[Path, ...], tests: tuple[Path, ...], no_tests: bool, as_json: bool) -> int:
    """Check that cassettes are fit for version control; for CI.

    Each must load, be written as agentkit writes it, hold no secret, have no recording waiting beside it, and be
    played: by a test of its name, as pytest collects them, and in the last full and green run in all its turns.
    """
    from agentkit.cli.cassettes.checking import check_cassettes

    if tests and no_tests:
        raise click.UsageError("--tests and --no-tests can't both be given.")
    return check_cassettes(paths or (FOLDER,), tests=tests, collecting=not no_tests, as_json=as_json)


@cassettes.command(
    epilog="""
    \b
    Examples:
      agentkit cassettes prune --dry-run
      agentkit cassettes prune tests/cassettes --yes

    \b
    Exit codes:
      0    nothing is left that wasn't played
      1    not agreed to
      2    a mistake in the command, or the last test run wasn't full and green
      130  Ctrl-C
    """
)
@_paths
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option("--yes", "sure", is_flag=True, help="Don't ask.")
def prune(paths: tuple[Path, ...], dry_run: bool, sure: bool) -> int:
    """Remove the cassettes and turns that the last test run didn't play.

    Only after a run of all tests in which none failed: pytest leaves word of it in .agentkit/played.json beside the
    cassettes.
    """
    from agentkit.cli.cassettes.pruning import prune_cassettes

    return prune_cassettes(paths or (FOLDER,), dry_run=dry_run, sure=sure)


@cassettes.command(
    epilog="""
    \b
    Examples:
      agentkit cassettes convert tests/fixtures/vcr_cassettes/test_chat.yaml cassettes/test_chat.yaml
      agentkit cassettes convert old.json                # writes old.yaml
      agentkit cassettes convert cassettes/test_chat.yaml stock.yaml --to vcrpy
      agentkit cassettes convert cassettes/trip.yaml talk.json --to transcript --turn 3

    \b
    Exit codes:
      0    written
      2    a mistake in the command or the file
    """
)
@click.argument("source", metavar="SRC", type=FILE, shell_complete=complete_file)
@click.argument("dest", metavar="[DEST]", type=FILE, required=False, shell_complete=complete_file)
@click.option(
    "--to", "form", type=click.Choice(["agentkit", "vcrpy", "transcript"]), default="agentkit", show_default=True
)
@click.option("--turn", type=click.IntRange(min=0), help="Of a transcript: up to which turn; by default the last.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def convert(source: Path, dest: Path | None, form: str, turn: int | None, force: bool) -> int:
    """Convert a cassette of vcrpy to one of agentkit, or back; or a conversation to a transcript.

    SRC is YAML, or JSON as vcrpy writes it. Without DEST it is converted where it stands. Back at vcrpy, streams
    are one block and times are gone, since its files have no place for them.

    A transcript is what agentkit run --continue goes on from, live: edit it, and see what would have come of it.
    """
    from agentkit.cli.cassettes.converting import convert_cassette

    return convert_cassette(source, dest, form=form, turn=turn, force=force)
