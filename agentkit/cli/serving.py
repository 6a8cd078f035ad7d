"""`agentkit serve`: a scripted model, or a recording, over HTTP, until Ctrl-C."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from agentkit.cli.cassettes.outcome import CASSETTES_EXTRA, without_extra
from agentkit.cli.terminal import harmless
from agentkit.errors import CassetteError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What `agentkit serve` was asked for; None: as the script has it."""

    script: Path | None
    cassette: Path | None
    speed: float | None
    ignore: tuple[str, ...]
    scrub: tuple[str, ...]
    host: str
    port: int
    models: tuple[str, ...]
    done: bool | None
    quiet: bool
    log_json: bool
    fault_rate: float | None
    fault_seed: int | None
    faults: tuple[str, ...]
    api_key: str | None
    requests_per_minute: int | None

    @property
    def log(self) -> Literal["text", "json"] | None:
        """How requests are told."""
        return None if self.quiet else "json" if self.log_json else "text"


def serve_until_stopped(options: ServeOptions) -> int:
    """Serve until the end, and return the exit code."""
    try:
        _serve(options)
    except (CassetteError, UsageError) as exc:
        sys.stderr.write(f"Error: {harmless(str(exc))}\n")
        return 2
    return 0


def _serve(options: ServeOptions) -> None:
    if options.script is not None and options.cassette is None:
        _serve_script(options.script, options)
    elif options.cassette is not None and options.script is None:
        _serve_cassette(options.cassette, options)
    else:
        raise UsageError("give either a SCRIPT or --cassette FILE.")


def _serve_script(script: Path, options: ServeOptions) -> None:
    from agentkit.service.http import serve
    from agentkit.service.loading import load_script

    given = {"--speed": options.speed is not None, "--ignore": options.ignore, "--scrub": options.scrub}
    if wrong := [name for name, value in given.items() if value]:
        raise UsageError(f"{', '.join(wrong)}: for --cassette only.")
    serve(
        load_script(script),
        host=options.host,
        port=options.port,
        models=options.models or None,
        done=options.done,
        fault_rate=options.fault_rate,
        fault_seed=options.fault_seed,
        faults=options.faults or None,
        api_key=options.api_key,
        requests_per_minute=options.requests_per_minute,
        log=options.log,
    )


def _serve_cassette(path: Path, options: ServeOptions) -> None:
    given = {
        "--model": options.models,
        "--done": options.done is not None,
        "--fault-rate": options.fault_rate is not None,
        "--fault-seed": options.fault_seed is not None,
        "--faults": options.faults,
    }
    if wrong := [name for name, value in given.items() if value]:
        raise UsageError(f"{', '.join(wrong)}: for a script only; a cassette answers as it was answered.")
    from agentkit.cassettes.files import find_file
    from agentkit.service.http import serve_app

    file = find_file(path)
    try:
        from agentkit.cassettes.serving import cassette_app

        app = cassette_app(
            file.read(),
            name=str(path),
            speed=options.speed or 0,
            ignore=options.ignore,
            scrub=options.scrub,
            api_key=options.api_key,
            requests_per_minute=options.requests_per_minute,
            log=options.log,
        )
    except ModuleNotFoundError as exc:
        if exc.name not in CASSETTES_EXTRA:
            raise
        raise UsageError(without_extra(exc.name)) from exc
    serve_app(app, host=options.host, port=options.port, log=options.log)
