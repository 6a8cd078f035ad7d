"""A recording served over HTTP, by the reference server's connections: needs the extra `server`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from agentkit.cassettes.matching.rules import Rules
from agentkit.cassettes.service import RecordedService, not_found
from agentkit.service.asgi import app_of, write_stderr
from agentkit.status import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from starlette.applications import Starlette

    from agentkit.cassettes.cleaning.scrubbing import ScrubRule
    from agentkit.cassettes.interaction import Recording
    from agentkit.service.app import HTTPAnswer
    from agentkit.service.asgi import LogFormat
    from agentkit.service.exchanges import Exchanges
    from agentkit.service.http import RunningServer


def cassette_app(
    recording: Recording,
    *,
    name: str,
    speed: float = 0,
    ignore: Sequence[str] = (),
    scrub: Sequence[ScrubRule] = (),
    api_key: str | None = None,
    requests_per_minute: int | None = None,
    exchanges: Exchanges | None = None,
    log: LogFormat | None = None,
    write: Callable[[str], object] | None = None,
) -> Starlette:
    """Return the ASGI application that serves a recording.

    `ignore` and `scrub` are those of `agentkit.cassette`, the other options those of `agentkit.service.make_app`.
    Raises `UsageError`.
    """
    rules = Rules(ignore)

    def refuse(report: str) -> HTTPAnswer:
        if log == "text":  # for whoever looks at the server: a client shows it on one line, or not at all
            (write or write_stderr)("".join(f"{escape(line)}\n" for line in report.splitlines()))
        return not_found(report)

    return app_of(
        lambda: RecordedService(
            recording, name=name, speed=speed, rules=rules, scrub=scrub, reshapes=True, refuse=refuse
        ),
        api_key=api_key,
        requests_per_minute=requests_per_minute,
        exchanges=exchanges,
        log=log,
        write=write,
    )


@contextlib.contextmanager
def serving(recording: Recording, *, name: str = "cassette", speed: float = 0) -> Iterator[RunningServer]:
    """Serve a recording from a thread as long as the `with` block runs; for tests, of any client."""
    from agentkit.service.exchanges import Exchanges
    from agentkit.service.http import running_app

    exchanges = Exchanges()
    with running_app(cassette_app(recording, name=name, speed=speed, exchanges=exchanges), exchanges) as server:
        yield server
