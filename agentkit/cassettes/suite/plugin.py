"""The cassettes of a test run: opened for tests and fixtures, checked when they end, told of in the summary.

The network is refused to agentkit's clients from the end of the collection to the end of the run, but for what
cassettes let out. Loaded by `pytest_plugin.py`, where a test uses a cassette.
"""

from __future__ import annotations

import functools
import os
import shlex
from collections import Counter
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from agentkit import tape
from agentkit.cassettes import modes
from agentkit.cassettes.files import CassetteFile
from agentkit.cassettes.matching.mismatch import advice
from agentkit.cassettes.review.usage import Played, Usage, write_usage
from agentkit.cassettes.suite.items import (
    fixtures_of,
    has_teardown,
    in_coroutine,
    leave_out_ours,
    names_errors,
    put_first,
)
from agentkit.cassettes.suite.naming import find_clash, name_cassette
from agentkit.cassettes.suite.options import check_markers, checked, options_of, settings_of
from agentkit.cassettes.suite.outcomes import (
    Outcome,
    decode_outcomes,
    encode_outcomes,
    summarise,
    used_turns,
)
from agentkit.cassettes.suite.unrecorded import Unrecorded
from agentkit.cassettes.terms import Rerun
from agentkit.errors import CassetteError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from agentkit.cassettes.modes import Mode
    from agentkit.cassettes.review.usage import Session
    from agentkit.cassettes.session import Cassette

NARROWING = ("lf", "ignore", "ignore_glob", "deselect", "keyword", "markexpr")
"""Options of pytest that leave tests out."""

_WAYS_OUT = "\n".join(
    [
        "",
        *advice(
            [
                ("to record and play the test", "@pytest.mark.cassette"),
                ("to let it always go live", '@pytest.mark.cassette(mode="off")'),
                ("in a fixture that tests share", 'ask the model within: with cassette_named("name"):'),
                ("to allow servers of this machine", "cassettes_allow_loopback = true, in pytest's configuration"),
            ]
        ),
    ]
)

_ONE_RECORDS = "One test records a file, and others may play what is in it: give this one a file of its own."
_OF_FIXTURES = Rerun(lambda mode: f"pytest --cassettes={mode}", "cassette_named(..., scrub=[...])")


@dataclass(slots=True)
class Running:
    """A test whose cassette is open."""

    item: pytest.Item
    opened: Cassette
    in_force: tape.Tape | None
    """What its requests are answered from: the cassette, or what stands for a file that isn't there; None: live."""
    error: BaseException | None = None
    """What its body raised."""
    failed: bool = False

    @property
    def goes_live(self) -> bool:
        """Whether the test may reach the network."""
        return self.in_force is None or self.in_force.goes_live


class Suite:
    """The cassettes of one test run, or of one worker's part of it."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._folder: Path = config.rootpath / config.getini("cassettes_dir")
        self._undo = ExitStack()
        self._running: Running | None = None
        self._outcomes: list[Outcome] = []
        self._paths: dict[str, Path] = {}
        """By test."""
        self._named: set[Path] = set()
        """Those that markers name: other tests may name them, too."""
        self._written: dict[Path, str] = {}
        """Which test has recorded a file, accepted or to be reviewed."""
        self._users: Counter[Path] = Counter()
        """How many tests of this run use a file."""
        self._is_partial = False
        self._is_worker = hasattr(config, "workeroutput")
        self._apply_options()

    def _apply_options(self) -> None:
        config, mode = self._config, cast("Mode | None", self._config.getoption("cassettes"))
        if config.getoption("cassettes_in_ci"):
            self._undo.callback(functools.partial(_put_back, modes.IN_CI, os.environ.get(modes.IN_CI)))
            os.environ[modes.IN_CI] = "1"
        if mode in ("record", "extend", "rewrite") and modes.is_ci(os.environ):
            raise pytest.UsageError(
                f"--cassettes={mode} would record in CI, which is refused. Record on your own machine and commit the "
                "cassettes; where CI is to record, give --cassettes-in-ci as well."
            )
        if mode is not None:
            self._undo.callback(setattr, modes, "override", modes.override)
            modes.override = mode
        if config.getini("cassettes_block_network"):
            from agentkit.testing import block_live

            self._undo.enter_context(block_live(allow_loopback=config.getini("cassettes_allow_loopback")))

    def begin(self, items: Sequence[pytest.Item]) -> None:
        """Take notice of the tests that use cassettes, and refuse the network to agentkit's clients from here on."""
        mistakes: list[str] = []
        for item in items:
            if item.get_closest_marker("cassette") is not None or "cassette" in fixtures_of(item):
                put_first(item, "cassette")
                try:
                    self._take_notice(item)
                except UsageError as exc:
                    mistakes.append(f"{item.nodeid}: @pytest.mark.cassette: {exc}")
        if mistakes:
            raise pytest.UsageError("\n".join(mistakes))
        own = {test: str(path) for test, path in self._paths.items() if not self._is_shared(path)}  # which means it
        if clash := find_clash(own):
            first, second = clash
            raise pytest.UsageError(
                f"{first} and {second} would share {own[first]} on file systems that don't tell upper from lower case. "
                "Give one of them a name of its own: @pytest.mark.cassette(path=...), or pytest.param(..., id=...)."
            )
        self._undo.callback(setattr, tape, "refusal", tape.refusal)
        tape.refusal = self._refusal

    def _take_notice(self, item: pytest.Item) -> None:
        check_markers(item)
        options = options_of(item, {})
        path = self._paths[item.nodeid] = self._path_of(item, options)
        self._users[path] += 1
        if "path" in options:
            self._named.add(path)

    def _refusal(self, host: str) -> Exception | None:
        if (self._running is not None and self._running.goes_live) or tape.goes_out():
            return None
        from agentkit.testing import LiveCallBlocked, is_loopback

        if self._config.getini("cassettes_allow_loopback") and is_loopback(host):
            return None
        return LiveCallBlocked(host, "by an agent outside of any cassette, in a test run that uses some", _WAYS_OUT)

    # --- the cassette of a test ---------------------------------------------------------------------------------

    def open_for(self, request: pytest.FixtureRequest, settings: Mapping[str, object]) -> Iterator[Cassette]:
        """Open the cassette of a test, and close it when the fixtures that came after it are gone."""
        __tracebackhide__ = True
        item = cast("pytest.Item", request.node)
        options = options_of(item, settings)
        path = self._path_of(item, options)
        opened = self._make(path, options, test=item.nodeid, rerun=self._rerun(item), places=_places(request))
        recovered = _count_left(path)
        running = self._running = Running(item, opened, opened)
        with ExitStack() as stack:
            try:
                opened.open()
                running.in_force = None if opened.mode == "off" else opened
            except CassetteError as exc:
                if path.exists() or opened.mode != "replay":
                    self._running = None
                    raise
                running.in_force = Unrecorded(exc)
                stack.enter_context(tape.InForce(running.in_force))
            stack.enter_context(tape.in_force_by_default(running.in_force))
            try:
                yield opened
            finally:
                self._running = None
                try:
                    opened.close(running.error if running.failed else None, failed=running.failed)
                finally:
                    self._note(opened, item.nodeid, recovered, failed=running.failed)
        if not running.failed and running.error is None and self._is_alone(path):
            running.opened.check_played()

    def _make(
        self, path: Path, options: Mapping[str, object], *, test: str, rerun: Rerun, places: Mapping[str, str]
    ) -> Cassette:
        from agentkit.cassettes.session import Cassette

        given = {key: value for key, value in options.items() if key != "path"}
        mode = modes.effective_mode(cast("Mode | None", options.get("mode")), os.environ)
        if (before := self._written.get(path, test)) != test:
            said = f"{self._shown(path)} was recorded by {before} in this run. {_ONE_RECORDS}"
            if mode in ("extend", "rewrite") or (mode == "record" and not path.exists()):
                raise CassetteError(f"{said} To record this one after all: {rerun.command(mode)}")
            rerun = replace(rerun, note=said)
        elif self._is_worker and self._is_shared(path) and mode in ("record", "extend", "rewrite"):
            raise CassetteError(
                f"{self._shown(path)} is a file of several tests. Record it without xdist: {rerun.command(mode)} -n 0"
            )
        has_others = not self._is_alone(path)
        return Cassette(self._shown(path), rerun=rerun, has_others=has_others, places=dict(places), **given)  # type: ignore[arg-type]

    def _is_shared(self, path: Path) -> bool:
        return self._users[path] > 1

    def _is_alone(self, path: Path) -> bool:
        """Tell whether no other test plays a file, as far as this run can tell."""
        return not self._is_shared(path) and (path not in self._named or self._is_whole())

    def _is_whole(self) -> bool:
        """Tell whether all tests are run."""
        return not self._is_partial and not self._is_worker and self._runs_everything()

    def _path_of(self, item: pytest.Item, options: Mapping[str, object]) -> Path:
        if (given := options.get("path")) is not None:
            return self._folder / cast("str | os.PathLike[str]", given)
        module = os.path.relpath(item.path, self._config.rootpath).replace(os.sep, "/")
        classes = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
        function = getattr(item, "originalname", None) or item.name
        callspec = getattr(item, "callspec", None)
        return self._folder / name_cassette(module, classes, function, "" if callspec is None else callspec.id)

    def _shown(self, path: Path) -> Path:
        """Return a path as messages name it: below the current directory where it is there."""
        try:
            return path.relative_to(Path.cwd())
        except ValueError:
            return path

    def _rerun(self, item: pytest.Item) -> Rerun:
        """Return how a test is run again."""
        module = os.path.relpath(item.path, self._config.invocation_params.dir)
        _, colons, rest = item.nodeid.partition("::")
        test = shlex.quote(module + colons + rest)
        return Rerun(lambda mode: f"pytest {test} --cassettes={mode}", "@pytest.mark.cassette(scrub=[...])")

    # --- while a test runs --------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        """Put the cassette in force for a body that is a coroutine, too; fail a test that swallowed an error."""
        running = self._running
        if running is None or running.item is not item:
            try:
                return (yield)
            except Exception as exc:
                leave_out_ours(exc)
                raise
        try:
            with in_coroutine(item, running.in_force):
                result = yield
            self._check_body(running)
        except BaseException as exc:
            running.error = exc
            running.opened.raise_swallowed(exc)
            leave_out_ours(exc)
            raise
        return result

    def _check_body(self, running: Running) -> None:
        in_force = running.in_force
        if isinstance(in_force, Unrecorded) and in_force.was_asked:
            raise in_force.error
        running.opened.raise_swallowed(None)
        if self._is_alone(self._paths[running.item.nodeid]) and not has_teardown(running.item):
            running.opened.check_played()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Take notice of how a test ended. An expected failure is no place to hide a mismatch in."""
        report = yield
        running = self._running if self._running is not None and self._running.item is item else None
        is_expected = hasattr(report, "wasxfail") and report.skipped
        has_missed = running is not None and bool(running.opened.misses)
        is_ours = call.excinfo is not None and call.excinfo.errisinstance(CassetteError)
        if is_expected and (has_missed or is_ours) and not names_errors(item):
            del report.wasxfail
            report.outcome, is_expected = "failed", False
            report.longrepr = item.repr_failure(cast("pytest.ExceptionInfo[BaseException]", call.excinfo))
        if running is None or report.when == "teardown":
            return report
        running.failed = running.failed or report.failed or (report.skipped and not is_expected)
        if report.passed and running.opened.match == "turns" and running.opened.differences:
            report.cassette_drifted = True  # type: ignore[attr-defined]
        if report.skipped and not is_expected:
            self._is_partial = True  # what a skipped test would have played isn't known
        return report

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Take notice of a test that was broken off: what it has recorded isn't all there is."""
        if self._running is not None:
            self._running.failed = True
            self._running.error = self._running.error or excinfo.value
        self._is_partial = True

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
        """Keep what fixtures share that are made in the middle of a test out of its cassette: it isn't that test's."""
        running, is_shared = self._running, fixturedef.scope != "function"
        if is_shared:
            self._running = None  # what it goes by is no business of this fixture
        try:
            with tape.outside() if running is not None and is_shared else nullcontext():
                return (yield)
        except Exception as exc:
            leave_out_ours(exc)
            raise
        finally:
            if is_shared:
                self._running = running

    # --- cassettes of fixtures ----------------------------------------------------------------------------------

    def namer(self, settings: Mapping[str, object]) -> Callable[..., AbstractContextManager[Cassette]]:
        """Return the function that opens cassettes by name."""

        @contextmanager
        def cassette_named(name: str, **options: object) -> Iterator[Cassette]:
            """Open the cassette `name`.yaml of the folder of cassettes; the options are those of agentkit.cassette."""
            given = settings_of(self._config, settings)
            given.update(checked(options, f"cassette_named({name!r}): "))
            path = self._folder / cast("str", given.get("path") or f"{name}.yaml")
            opened = self._make(path, given, test=name, rerun=_OF_FIXTURES, places=_base_place(self._config))
            recovered = _count_left(path)
            opened.open()
            error: BaseException | None = None
            try:
                yield opened
            except BaseException as exc:
                error = exc
                raise
            finally:
                try:
                    opened.close(error)
                finally:
                    self._note(opened, name, recovered, failed=error is not None)
            if self._is_whole():
                opened.check_played()

        return cassette_named

    # --- what came of it ----------------------------------------------------------------------------------------

    def _note(self, opened: Cassette, test: str, recovered: int, *, failed: bool) -> None:
        path = Path.cwd() / opened.path
        is_pending = CassetteFile(path).pending.is_file()
        if opened.was_changed or (opened.mode == "rewrite" and opened.recorded):  # the same again counts as well
            self._written.setdefault(path, test)
        outcome = Outcome(
            path=str(opened.path),
            test=test,
            mode=opened.mode,
            played=opened.usage.played,
            total=opened.usage.total,
            recorded=opened.recorded,
            was_changed=opened.was_changed,
            is_pending=is_pending,
            failed=failed,
            is_part=not self._is_alone(path),
            recovered=recovered if opened.goes_live else 0,
            differences=tuple(opened.differences),
        )
        self._outcomes.append(outcome)

    def pytest_deselected(self) -> None:
        """Remember that the run isn't whole."""
        self._is_partial = True

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write what was used, or tell the controller of xdist."""
        told = getattr(self._config, "workeroutput", None)
        if told is not None:
            told["agentkit-cassettes"] = {
                "outcomes": encode_outcomes(self._outcomes),
                "is_partial": self._is_partial,
            }
            return
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED or not self._outcomes:
            return
        if modes.effective_mode(None, os.environ) in ("compare", "off"):
            return  # nothing was to be played
        self._session = self._kind_of_run(session, exitstatus)
        cassettes: dict[str, Played] = {}
        for shown, played in used_turns(self._outcomes).items():
            path = Path.cwd() / shown
            if path.is_relative_to(self._folder):
                cassettes[path.relative_to(self._folder).as_posix()] = played
        if self._folder.is_dir():
            write_usage(self._folder, Usage(self._session, cassettes))

    def _kind_of_run(self, session: pytest.Session, exitstatus: int) -> Session:
        if exitstatus == pytest.ExitCode.TESTS_FAILED:
            return "failed"
        is_whole = exitstatus == pytest.ExitCode.OK and not self._is_partial and not session.shouldstop
        return "full green" if is_whole and self._runs_everything() else "partial"

    def _runs_everything(self) -> bool:
        config = self._config
        if any(config.getoption(name, None) for name in NARROWING):
            return False
        if config.args_source is not pytest.Config.ArgsSource.ARGS:
            return config.args_source is pytest.Config.ArgsSource.TESTPATHS or Path.cwd() == config.rootpath
        given = {(config.invocation_params.dir / argument).resolve() for argument in config.args}
        wanted = {(config.rootpath / name).resolve() for name in config.getini("testpaths")}
        return config.rootpath in given or bool(wanted and wanted <= given)

    def take(self, told: Mapping[str, Any]) -> None:
        """Add what a worker of xdist has told."""
        self._outcomes += decode_outcomes(told["outcomes"])
        self._is_partial |= told["is_partial"]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell what was recorded, what waits, and what differs."""
        lines = list(summarise(self._outcomes, is_whole=getattr(self, "_session", None) == "full green"))
        if not self._outcomes and (mode := self._config.getoption("cassettes")) in ("record", "extend", "rewrite"):
            lines.append(f"--cassettes={mode}: no test here uses one. Mark what asks a model: @pytest.mark.cassette")
        if lines:
            terminalreporter.section("cassettes")
            for line in lines:
                terminalreporter.write_line(line)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Put back what was changed for the run."""
        self._undo.close()


def _put_back(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _places(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the temporary folders of a test: their names change from run to run."""
    if "tmp_path" not in request.fixturenames:
        return _base_place(request.config)
    return {"<tmp_path>": str(request.getfixturevalue("tmp_path")), **_base_place(request.config)}


def _base_place(config: pytest.Config) -> dict[str, str]:
    factory = getattr(config, "_tmp_path_factory", None)
    made = getattr(factory, "_basetemp", None)  # asking for it would make it
    return {} if made is None else {"<tmp_path_factory>": str(made)}


def _count_left(path: Path) -> int:
    """Return how many exchanges a killed recording left of a cassette."""
    journal = CassetteFile(path).journal
    if not journal.is_file():
        return 0
    from agentkit.cassettes.journal import read_journal

    return len(read_journal(journal))
