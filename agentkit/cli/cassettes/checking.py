"""`agentkit cassettes check`: all that a cassette in version control must be, one line for each that isn't."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from agentkit.cassettes.files import find_files, read_text
from agentkit.cassettes.review.usage import belongs_to_a_test, find_usage
from agentkit.cli.cassettes.collecting import collect_names, is_orphan, lies_as_a_tests
from agentkit.cli.cassettes.outcome import FOUND, OK, reported, write_json
from agentkit.cli.display import DIM
from agentkit.cli.terminal import one_line, open_outputs
from agentkit.errors import CassetteError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from agentkit.cassettes.files import CassetteFile
    from agentkit.cassettes.review.usage import Played
    from agentkit.cli.terminal import Outputs


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a cassette shouldn't have."""

    path: str
    what: str
    remedy: str


def check_cassettes(paths: Sequence[Path], *, tests: Sequence[Path], collecting: bool, as_json: bool) -> int:
    """Write what is wrong, and return the exit code."""

    def check(outputs: Outputs) -> int:
        files = find_files(paths)
        wanted = collecting and any(lies_as_a_tests(file.path) for file in files)
        collected = collect_names(tests) if wanted else None
        if wanted and collected is None:
            outputs.notes.line("pytest isn't installed: whether there is a test for each cassette wasn't checked.", DIM)
        problems = [problem for file in files for problem in find_problems(file, collected)]
        if as_json:
            write_json([asdict(problem) for problem in problems], outputs)
            return FOUND if problems else OK
        for problem in problems:
            outputs.answer.line(one_line(f"{problem.path}: {problem.what}. {problem.remedy}"))
        count = f"{len(files)} {'cassette' if len(files) == 1 else 'cassettes'}"
        found = f"{len(problems)} {'problem' if len(problems) == 1 else 'problems'}" if problems else "no problems"
        outputs.notes.line(f"{count}, {found}", DIM)
        return FOUND if problems else OK

    with open_outputs(os.environ) as outputs:
        return reported(check, outputs)


def find_problems(file: CassetteFile, names: Collection[str] | None) -> Iterator[Problem]:
    """Yield what is wrong with one cassette; `names` are those that tests have, None: unknown."""
    if file.pending.is_file():
        yield Problem(
            str(file.pending), "a recording waits for its review", f"Run: agentkit cassettes review {file.path}"
        )
    if file.journal.is_file():
        yield Problem(
            str(file.journal),
            "a recording was killed, and this is what it has",
            f"Run: agentkit cassettes accept (or reject) {file.journal}",
        )
    if file.path.is_file():
        yield from _content_problems(file.path)
        yield from _use_problems(file.path, names)


def _content_problems(path: Path) -> Iterator[Problem]:
    from agentkit.cassettes.format import form
    from agentkit.cassettes.saving import secrets_of

    try:
        text = read_text(path)
        recording = form.load(text, name=str(path))
        is_canonical = form.dump(recording) == text
    except CassetteError as exc:
        yield Problem(str(path), _without_name(str(exc), path), "")
        return
    for finding in secrets_of(text):
        yield Problem(
            str(path),
            f"looks like a secret: {finding}",
            "Revoke it if it is one, then take it out and record anew",
        )
    if not is_canonical:
        yield Problem(str(path), "isn't written as agentkit writes it", f"Run: agentkit cassettes convert {path}")


def _use_problems(path: Path, names: Collection[str] | None) -> Iterator[Problem]:
    prune = f"Run: agentkit cassettes prune {path}"
    found = find_usage(path)
    played: Played | None = None
    if found is not None:
        folder, usage = found
        played = usage.cassettes.get(path.absolute().relative_to(folder).as_posix())
    # a test may name another's place
    if names is not None and played is None and is_orphan(path, names):
        yield Problem(str(path), f"no test {path.stem!r} of {path.parent.name!r}", "Delete it, or name it as its test.")
    elif found is None or not found[1].is_full_green:
        return
    elif played is None:
        if belongs_to_a_test(path, found[0]):
            yield Problem(str(path), "the last full test run didn't play it", prune)
    elif played.unused:
        turns = ", ".join(map(str, played.unused))
        which = f"turn {turns} wasn't" if len(played.unused) == 1 else f"turns {turns} weren't"
        yield Problem(str(path), f"{which} played by the last full test run", prune)


def _without_name(message: str, path: Path) -> str:
    return message.removeprefix(f"{path}: ").removeprefix(f"{path} ").rstrip(".")
