"""`agentkit cassettes convert`: from vcrpy's files to ours, and back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agentkit.cassettes.export import left_out, to_vcrpy
from agentkit.cassettes.files import read, write, write_text
from agentkit.cli.cassettes.outcome import OK, reported
from agentkit.cli.display import WARNING
from agentkit.cli.terminal import one_line, open_outputs
from agentkit.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from agentkit.cassettes.interaction import Recording
    from agentkit.cli.terminal import Outputs


def convert_cassette(source: Path, dest: Path | None, *, form: str, force: bool) -> int:
    """Convert one file, and return the exit code."""

    def convert(outputs: Outputs) -> int:
        if not source.is_file():
            raise UsageError(f"{source}: there is no such file. Give a cassette of vcrpy or agentkit.")
        target = dest or (source.with_suffix(".yaml") if source.suffix == ".json" else source)
        if form == "vcrpy" and dest is None:
            raise UsageError("back at vcrpy a cassette needs another name. Give DEST.")
        if target.exists() and target != source and not force:
            raise UsageError(f"{target} is there already. Give another name, or --force.")
        recording = read(source)
        if form == "vcrpy":
            _write_vcrpy(target, recording)
            if turns := left_out(recording):
                listed = ", ".join(map(str, turns))
                outputs.notes.line(
                    f"The connection failed in turn {listed}: left out, vcrpy has no place for it.", WARNING
                )
        else:
            write(target, recording)
        count = len(recording)
        outputs.notes.line(one_line(f"{target}: written, {count} {'turn' if count == 1 else 'turns'}."))
        return OK

    with open_outputs(os.environ) as outputs:
        return reported(convert, outputs)


def _write_vcrpy(path: Path, recording: Recording) -> None:
    import yaml

    write_text(path, yaml.dump(to_vcrpy(recording), allow_unicode=True))
