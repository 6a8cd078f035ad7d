"""The pytest plugin: `--cassettes=MODE`, the marker and the fixture `cassette`; see `docs/testing.md`.

Every pytest run of everybody who has agentkit installed imports this. So it imports nothing of agentkit: `suite.py`,
which does the work, is loaded where a test that is to be run uses a cassette.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentkit.cassettes.session import Cassette
    from agentkit.cassettes.suite.plugin import Suite

MODES = ("replay", "record", "extend", "rewrite", "compare", "off")
FIXTURES = frozenset({"cassette", "cassette_named"})
SUITE = "agentkit-cassettes"
"""The name of the loaded part among the plugins, and of what a worker of xdist tells the controller."""
DRIFTED = "agentkit-drifted"

_MARKER = (
    "cassette(path, *, mode, tools, match, scrub, ignore, speed, patch, timings): "
    "play or record what agentkit's clients ask in this test; the arguments are those of agentkit.cassette."
)
_MODE_HELP = (
    "Replay (the default): never go live. record: record what has no file yet. extend: go live from the first "
    "difference on; the result waits for review. rewrite: record anew. compare: go live, and list what differs. "
    "off: no cassettes."
)


class Drifted:
    """Shows a test that passed by `match="turns"` with other requests than the recorded ones as drifted."""

    def pytest_report_teststatus(self, report: pytest.TestReport | pytest.CollectReport) -> object:
        """Say so for a report that says so."""
        if getattr(report, "cassette_drifted", False) and report.outcome == "passed":
            return "drifted", "d", ("DRIFTED", {"yellow": True})
        return None


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options and the keys of the configuration file."""
    group = parser.getgroup("agentkit", "cassettes of agentkit")
    group.addoption("--cassettes", choices=MODES, default=None, help=_MODE_HELP)
    group.addoption("--cassettes-in-ci", action="store_true", help="Let CI record, which it is refused otherwise.")
    parser.addini("cassettes_dir", "Where cassettes are, below the rootdir.", default="cassettes")
    parser.addini(
        "cassettes_block_network", "Refuse the network to the whole process: true or false.", type="bool", default=False
    )
    parser.addini(
        "cassettes_allow_loopback", "Allow connections to this machine: true or false.", type="bool", default=False
    )
    parser.addini("cassettes_timings", "Record when each chunk came: true or false.", type="bool", default=False)
    parser.addini("cassettes_ignore", "Fields of requests that don't count, one a line.", type="linelist", default=[])
    parser.addini(
        "cassettes_scrub",
        "Patterns to replace in files and before matching, one a line.",
        type="linelist",
        default=[],
    )


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker; where cassettes are asked for on the command line or the network is refused, load the rest."""
    config.addinivalue_line("markers", _MARKER)
    if config.getoption("dist", "no") != "no":
        _register(config, Drifted(), DRIFTED)  # workers find out whether cassettes are used
    asked = config.getoption("cassettes") or config.getoption("cassettes_in_ci")
    if asked or config.getini("cassettes_block_network"):
        _suite(config)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Load the rest where a test that is to be run uses a cassette."""
    if used := _find_users(session.items):
        _suite(session.config).begin(used)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Take what a worker of xdist has to tell."""
    told = getattr(node, "workeroutput", {}).get(SUITE)
    if told is not None:
        _suite(node.config).take(told)  # type: ignore[attr-defined]


@pytest.fixture
def cassette(request: pytest.FixtureRequest, cassette_settings: dict[str, object]) -> Iterator[Cassette]:
    """Return the test's cassette, open: `.requests`, `.unused`, `.differences`."""
    yield from _suite(request.config).open_for(request, cassette_settings)


@pytest.fixture(scope="session")
def cassette_settings() -> dict[str, object]:
    """Return what all cassettes are opened with. Define it in a conftest.py to give other settings."""
    return {}


@pytest.fixture(scope="session")
def cassette_named(request: pytest.FixtureRequest, cassette_settings: dict[str, object]) -> Callable[..., object]:
    """Return a function that opens a cassette by name: for fixtures that tests share.

    ::

        @pytest.fixture(scope="module")
        def summary(cassette_named):
            with cassette_named("summary"):
                return agent.run_sync("Sum it up.").output
    """
    return _suite(request.config).namer(cassette_settings)


def _find_users(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return the tests that use a cassette. Markers of a module or a class are looked for once, not for each test."""
    marked: dict[pytest.Collector | None, bool] = {}
    found = []
    for item in items:
        parent = item.parent
        if parent not in marked:
            marked[parent] = parent is not None and parent.get_closest_marker("cassette") is not None
        names = getattr(item, "fixturenames", None)
        if names is None:
            continue  # no function: it takes no fixtures
        is_marked = marked[parent] or any(marker.name == "cassette" for marker in item.own_markers)
        if is_marked or not FIXTURES.isdisjoint(names):
            found.append(item)
    return found


def _suite(config: pytest.Config) -> Suite:
    """Return the part that does the work, loaded."""
    suite: Suite | None = config.pluginmanager.get_plugin(SUITE)
    if suite is None:
        from agentkit.cassettes.suite.plugin import Suite

        suite = Suite(config)
        _register(config, suite, SUITE)
        _register(config, Drifted(), DRIFTED)
    return suite


def _register(config: pytest.Config, plugin: object, name: str) -> None:
    if not config.pluginmanager.has_plugin(name):
        config.pluginmanager.register(plugin, name)
