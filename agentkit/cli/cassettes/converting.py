"""`agentkit cassettes convert`: from vcrpy's files to ours, and back; from a recording to a transcript."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agentkit.cassettes.files import read, write, write_text
from agentkit.cassettes.format.export import left_out, to_vcrpy
from agentkit.cassettes.review.past import conversation_until
from agentkit.cli.cassettes.outcome import OK, reported
from agentkit.cli.display import WARNING
from agentkit.cli.saving import write_transcript
from agentkit.cli.terminal import one_line, open_outputs
from agentkit.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from agentkit.cli.terminal import Outputs


def convert_cassette(source: Path, dest: Path | None, *, form: str, turn: int | None, force: bool) -> int:
    """Convert one file, and return the exit code."""

    def convert(outputs: Outputs) -> int:
        target = _checked_target(source, dest, form, force=force)
        if turn is not None and form != "transcript":
            raise UsageError("--turn is for --to transcript; the other forms hold all turns.")
        recording = read(source)
        count = len(recording)
        match form:
            case "vcrpy":
                write_text(target, yaml_text(to_vcrpy(recording)))
                if turns := left_out(recording):
                    listed = ", ".join(map(str, turns))
                    said = f"The connection failed in turn {listed}: left out, vcrpy has no place for it."
                    outputs.notes.line(said, WARNING)
                count -= len(turns)
            case "transcript":
                transcript = conversation_until(source, turn=count if turn is None else turn)
                write_transcript(target, transcript)
                count = transcript.turns
            case _:
                write(target, recording)
        outputs.notes.line(one_line(f"{target}: written, {count} {'turn' if count == 1 else 'turns'}."))
        return OK

    with open_outputs(os.environ) as outputs:
        return reported(convert, outputs)


def _checked_target(source: Path, dest: Path | None, form: str, *, force: bool) -> Path:
    if not source.is_file():
        raise UsageError(f"{source}: there is no such file. Give a cassette of vcrpy or agentkit.")
    if form != "agentkit" and dest is None:
        raise UsageError(f"a {form} file needs a name of its own. Give DEST.")
    target = dest or (source.with_suffix(".yaml") if source.suffix == ".json" else source)
    if target.exists() and target != source and not force:
        raise UsageError(f"{target} is there already. Give another name, or --force.")
    return target


def yaml_text(value: object) -> str:
    """Return YAML as vcrpy's own serializer writes it."""
    import yaml

    return str(yaml.dump(value, allow_unicode=True))
