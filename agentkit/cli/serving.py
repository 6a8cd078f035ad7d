"""`agentkit serve`: a scripted model over HTTP, until Ctrl-C."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentkit.cli.terminal import harmless
from agentkit.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What `agentkit serve` was asked for; None: as the script has it."""

    script: Path
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


def serve_script(options: ServeOptions) -> int:
    """Serve until the end, and return the exit code."""
    try:
        from agentkit.service.http import serve
        from agentkit.service.loading import load_script

        serve(
            load_script(options.script),
            host=options.host,
            port=options.port,
            models=options.models or None,
            done=options.done,
            fault_rate=options.fault_rate,
            fault_seed=options.fault_seed,
            faults=options.faults or None,
            api_key=options.api_key,
            requests_per_minute=options.requests_per_minute,
            log=None if options.quiet else "json" if options.log_json else "text",
        )
    except UsageError as exc:
        sys.stderr.write(f"Error: {harmless(str(exc))}\n")
        return 2
    return 0
