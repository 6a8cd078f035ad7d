"""The pytest plugin: recording over HTTP, replay with the server gone, and what fails a test."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys

import pytest

from agentkit.testing import ReceivedRequest, Reply, call
from tests.cassettes.conftest import Project

PLAIN = """
@pytest.mark.cassette
def test_coat(cassette):
    assert ask().output == "Take a coat."
    assert len(cassette.requests) == 2
    assert not cassette.unused
"""
FILE = "test_chat/test_coat.yaml"


def other_script(request: ReceivedRequest) -> Reply:
    """Answer otherwise than `weather_script` does."""
    return call("weather", {"city": "Oslo"}) if request.last_output is None else "Take an umbrella."


def lines_of(result: pytest.RunResult) -> str:
    return "\n".join(result.outlines)


def test_the_plugin_is_an_entry_point_and_imports_nothing_of_agentkit() -> None:
    entry = importlib.metadata.entry_points(group="pytest11")["agentkit"]
    assert entry.value == "agentkit.cassettes.pytest_plugin"
    code = """
import sys, pytest
before = set(sys.modules)
import agentkit.cassettes.pytest_plugin
print(sorted(name for name in set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['agentkit', 'agentkit.cassettes', 'agentkit.cassettes.pytest_plugin']"


def test_a_run_without_cassettes_loads_nothing_more(project: Project) -> None:
    (project.pytester.path / "test_none.py").write_text(
        "import sys\ndef test_none():\n    assert 'agentkit.cassettes.suite.plugin' not in sys.modules\n",
        encoding="utf-8",
    )
    result = project.pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    assert "cassettes" not in lines_of(result).replace("cassettes_", "")


def test_the_help_tells_options_keys_and_marker(project: Project) -> None:
    shown = lines_of(project.run("--help"))
    for name in ("--cassettes={replay,record,extend,rewrite,compare,off}", "--cassettes-in-ci"):
        assert name in shown
    for key in ("dir", "block_network", "allow_loopback", "timings", "ignore", "scrub"):
        assert f"cassettes_{key} (" in shown
    assert "@pytest.mark.cassette(path, *, mode, tools, match" in lines_of(project.run("--markers"))


def test_a_test_is_recorded_and_replayed_with_the_server_gone(project: Project) -> None:
    project.write(PLAIN)
    result, server = project.run_live("--cassettes=record")
    result.assert_outcomes(passed=1)
    assert len(server.requests) == 2
    assert f"cassettes/{FILE}: 2 exchanges recorded; read it, and commit it" in lines_of(result)
    assert project.files() == [FILE]
    assert "Take a coat." in project.text(FILE)

    result = project.run()
    result.assert_outcomes(passed=1)
    assert "= cassettes =" not in lines_of(result)


def test_without_a_recording_a_test_fails_and_says_how_to_record(project: Project) -> None:
    project.write(PLAIN)
    result, server = project.run_live()
    result.assert_outcomes(failed=1)
    assert server.requests == []
    result.stdout.fnmatch_lines(["*CassetteError: cassettes/test_chat/test_coat.yaml: there is no recording to play.*"])
    assert "Record it: pytest test_chat.py::test_coat --cassettes=record; it asks" in lines_of(result)


def test_a_marked_test_that_asks_no_model_needs_no_recording(project: Project) -> None:
    project.write("pytestmark = pytest.mark.cassette\ndef test_none(cassette):\n    assert cassette.requests == []\n")
    project.run().assert_outcomes(passed=1)


def test_a_missing_recording_can_not_be_swallowed(project: Project) -> None:
    project.write("""
@pytest.mark.cassette
def test_quiet():
    with pytest.raises(agentkit.CassetteError):
        ask()
""")
    result = project.run()
    result.assert_outcomes(failed=1)
    assert "there is no recording to play" in lines_of(result)


def test_record_plays_what_there_is(project: Project) -> None:
    project.write(PLAIN)
    project.run_live("--cassettes=record")
    result, server = project.run_live("--cassettes=record", script=other_script)
    result.assert_outcomes(passed=1)
    assert server.requests == []


def test_a_changed_prompt_is_a_mismatch_with_the_commands_for_this_test(project: Project) -> None:
    project.write(PLAIN)
    project.run_live("--cassettes=record")
    project.write(PLAIN.replace("ask()", "ask('Rome')"))
    result = project.run()
    result.assert_outcomes(failed=1)
    shown = lines_of(result)
    assert "CassetteMismatch: cassettes/test_chat/test_coat.yaml" in shown
    assert "Do I need a coat in [-Oslo-]{+Rome+}?" in shown
    assert "agentkit/client.py" not in shown  # the way through agentkit is no news
    assert "pytest test_chat.py::test_coat --cassettes=extend" in shown


def test_the_commands_are_for_the_folder_that_pytest_was_started_in(project: Project) -> None:
    project.write(PLAIN, "tests/test_chat.py")
    project.run_live("--cassettes=record")
    project.write(PLAIN.replace("ask()", "ask('Rome')"), "tests/test_chat.py")
    project.monkeypatch.chdir(project.pytester.path / "tests")
    result = project.run("--rootdir=..", "-c", "../pytest.ini", "test_chat.py")
    result.assert_outcomes(failed=1)
    assert "→ pytest test_chat.py::test_coat --cassettes=extend" in lines_of(result)


def test_extend_goes_live_from_the_difference_and_waits_for_review(project: Project) -> None:
    project.write(PLAIN)
    project.run_live("--cassettes=record")
    accepted = project.text(FILE)
    project.write(PLAIN + "    ask('Rome')\n")
    result, server = project.run_live("--cassettes=extend")
    result.assert_outcomes(passed=1)
    assert len(server.requests) == 2
    assert project.text(FILE) == accepted
    assert project.files() == [FILE, f"{FILE}.new"]
    waits = f"cassettes/{FILE}.new waits for review: agentkit cassettes review cassettes/{FILE}"
    assert waits in lines_of(result)


def test_rewrite_replaces_on_success(project: Project) -> None:
    project.write(PLAIN)
    project.run_live("--cassettes=record")
    project.write(PLAIN.replace("a coat.", "an umbrella."))
    result, server = project.run_live("--cassettes=rewrite", script=other_script)
    result.assert_outcomes(passed=1)
    assert len(server.requests) == 2
    assert "Take an umbrella." in project.text(FILE)
    assert project.files() == [FILE]


def test_a_failed_test_leaves_the_accepted_file_alone(project: Project) -> None:
    project.write(PLAIN)
    project.run_live("--cassettes=record")
    accepted = project.text(FILE)
    result, _ = project.run_live("--cassettes=rewrite", script=other_script)
    result.assert_outcomes(failed=1)
    assert project.text(FILE) == accepted
    assert "Take an umbrella." in project.text(f"{FILE}.new")


def test_compare_lists_what_differs_and_fails_nothing(project: Project) -> None:
    project.write(PLAIN.replace('assert ask().output == "Take a coat."', "ask()"))
    project.run_live("--cassettes=record")
    accepted = project.text(FILE)
    result, server = project.run_live("--cassettes=compare", script=other_script)
    result.assert_outcomes(passed=1)
    assert len(server.requests) == 2
    assert "umbrella" in lines_of(result)
    assert project.text(FILE) == accepted
    result, _ = project.run_live("--cassettes=compare")
    assert "1 cassette compared with live answers: nothing differs" in lines_of(result)


@pytest.mark.parametrize("mode", ["compare", "off"])
def test_a_run_in_which_nothing_was_to_be_played_says_nothing_of_what_is_needed(project: Project, mode: str) -> None:
    project.write(PLAIN)
    project.run_live("--cassettes=record")
    project.run().assert_outcomes(passed=1)
    used = (project.pytester.path / "cassettes/.agentkit/played.json").read_text()
    assert '"full green"' in used
    project.write("@pytest.mark.cassette\ndef test_coat():\n    ask()\n")
    project.run_live(f"--cassettes={mode}")[0].assert_outcomes(passed=1)
    assert (project.pytester.path / "cassettes/.agentkit/played.json").read_text() == used


def test_off_is_live_and_writes_nothing(project: Project) -> None:
    project.write("@pytest.mark.cassette\ndef test_coat():\n    ask()\n")
    result, server = project.run_live("--cassettes=off", "-o", "cassettes_allow_loopback=false")
    result.assert_outcomes(passed=1)
    assert len(server.requests) == 2
    assert project.files() == []


def test_a_recording_that_is_not_wholly_played_fails_the_test(project: Project) -> None:
    project.write(PLAIN + "    ask('Rome')\n")
    project.run_live("--cassettes=record")
    project.write(PLAIN.replace("    assert not cassette.unused\n", ""))
    result = project.run()
    result.assert_outcomes(failed=1)
    shown = lines_of(result)
    assert "cassettes/test_chat/test_coat.yaml: turns 3 and 4 of 4 were not played" in shown
    assert "pytest test_chat.py::test_coat --cassettes=extend" in shown


def test_what_fails_for_itself_is_not_blamed_for_unplayed_turns(project: Project) -> None:
    project.write(PLAIN)
    project.run_live("--cassettes=record")
    project.write("@pytest.mark.cassette\ndef test_coat():\n    assert 1 == 2\n")
    result = project.run()
    result.assert_outcomes(failed=1)
    assert "not played" not in lines_of(result)


def test_what_fixtures_play_after_the_body_counts_as_played(project: Project) -> None:
    project.write("""
@pytest.fixture
def farewell():
    yield
    ask()

@pytest.mark.cassette
def test_coat(farewell):
    pass
""")
    result, server = project.run_live("--cassettes=record")
    result.assert_outcomes(passed=1)
    assert len(server.requests) == 2
    project.run().assert_outcomes(passed=1)


def test_a_swallowed_mismatch_fails_the_test(project: Project) -> None:
    project.write(PLAIN)
    project.run_live("--cassettes=record")
    project.write("""
@pytest.mark.cassette
def test_coat():
    try:
        ask("Rome")
    except Exception:
        pass
""")
    result = project.run()
    result.assert_outcomes(failed=1)
    assert "CassetteMismatch: cassettes/test_chat/test_coat.yaml" in lines_of(result)


def test_an_expected_failure_hides_no_mismatch(project: Project) -> None:
    project.write(PLAIN)
    project.run_live("--cassettes=record")
    project.write("""
@pytest.mark.xfail
@pytest.mark.cassette
def test_coat():
    ask("Rome")
""")
    result = project.run()
    result.assert_outcomes(failed=1)
    assert "CassetteMismatch" in lines_of(result)


def test_an_expected_failure_is_recorded_and_replayed(project: Project) -> None:
    project.write("""
@pytest.mark.xfail
@pytest.mark.cassette
def test_coat():
    assert ask().output == "Stay in."
""")
    result, _ = project.run_live("--cassettes=record")
    result.assert_outcomes(xfailed=1)
    assert project.files() == [FILE]
    project.run().assert_outcomes(xfailed=1)


def test_a_skipped_test_changes_nothing(project: Project) -> None:
    project.write(PLAIN)
    project.run_live("--cassettes=record")
    accepted = project.text(FILE)
    project.write("@pytest.mark.cassette\ndef test_coat():\n    pytest.skip('not today')\n")
    result, _ = project.run_live("--cassettes=rewrite")
    result.assert_outcomes(skipped=1)
    assert project.text(FILE) == accepted
    assert project.files() == [FILE]


def test_turns_that_drift_are_shown_as_drifted(project: Project) -> None:
    project.write(PLAIN.replace("mark.cassette", "mark.cassette(match='turns')"))
    project.run_live("--cassettes=record")
    project.write(PLAIN.replace("mark.cassette", "mark.cassette(match='turns')").replace("ask()", "ask('Rome')"))
    result = project.run()
    assert "1 drifted" in lines_of(result)
    assert "turn 1 drifted" in lines_of(result)
    assert result.ret == 0

    project.monkeypatch.setenv("CI", "true")
    result = project.run()
    assert result.ret == 1
    assert "refused" in lines_of(result)


@pytest.mark.parametrize("mode", ["record", "extend", "rewrite"])
def test_recording_is_refused_in_ci(project: Project, mode: str) -> None:
    project.write(PLAIN)
    project.monkeypatch.setenv("CI", "true")
    result, server = project.run_live(f"--cassettes={mode}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"--cassettes={mode} would record in CI, which is refused" in "\n".join(result.errlines)
    assert server.requests == []

    result, server = project.run_live(f"--cassettes={mode}", "--cassettes-in-ci")
    result.assert_outcomes(passed=1)
    assert len(server.requests) == 2


def test_a_marker_that_records_is_refused_in_ci(project: Project) -> None:
    project.write(PLAIN.replace("mark.cassette", "mark.cassette(mode='rewrite')"))
    project.monkeypatch.setenv("CI", "true")
    result, server = project.run_live()
    assert result.ret == 1
    assert "which is refused" in lines_of(result)
    assert server.requests == []


def test_no_error_of_a_cassette_is_an_expected_failure(project: Project) -> None:
    project.write("@pytest.mark.xfail\n@pytest.mark.cassette\ndef test_coat():\n    ask()\n    assert False\n")
    project.run().assert_outcomes(failed=1)  # there is no recording
    project.monkeypatch.setenv("CI", "true")
    project.monkeypatch.setenv("AGENTKIT_CASSETTES", "record")
    project.run().assert_outcomes(errors=1)  # nor may it be made


def test_a_secret_is_refused_and_shown_nowhere(project: Project) -> None:
    secret = "sk-proj-" + "aB3dE5fG7h" * 4
    project.write("@pytest.mark.cassette\ndef test_coat():\n    ask()\n")
    for _ in range(2):
        result, _ = project.run_live(
            "--cassettes=record", "-vv", "--showlocals", script=lambda _: f"Take a coat, and the key {secret}."
        )
        result.assert_outcomes(passed=1, errors=1)
        shown = lines_of(result)
        assert "it would hold what looks like a secret: OpenAI key at interactions[0].response" in shown
        assert "Have it replaced: @pytest.mark.cassette(scrub=[...]), a regular expression" in shown
        assert "then pytest test_chat.py::test_coat --cassettes=record" in shown
        assert secret not in shown
        assert project.files() == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("mod='replay'", "no option is 'mod'; allowed are ignore, match, mode"),
        ("mode='rekord'", "mode is 'rekord'; allowed are replay, record"),
        ("tools='liv'", "tools='liv'; allowed are 'recorded'"),
        ("patch=3", "patch=3; allowed are True and False"),
        ("scrub=['(']", "scrub[0] is no regular expression"),
        ("'weather'", "path='weather': a cassette ends in .yaml or .yml"),
        ("3", "path=3; give the name of a file"),
        ("'a.yaml', 'b.yaml'", "it takes one path, and options by name"),
    ],
)
def test_a_wrong_marker_is_told_before_a_test_runs(project: Project, given: str, said: str) -> None:
    project.write(PLAIN.replace("mark.cassette", f"mark.cassette({given})"))
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"test_chat.py::test_coat: @pytest.mark.cassette: {said}" in lines_of(result) + "\n".join(result.errlines)


def test_the_nearest_marker_counts_option_by_option(project: Project) -> None:
    project.write("""
pytestmark = pytest.mark.cassette("module.yaml", ignore=["instructions"])

@pytest.mark.cassette(tools="live")
class TestCoat:
    @pytest.mark.cassette("method.yaml")
    def test_coat(self, cassette, request):
        ask()
        assert str(cassette.path) == os.path.join("cassettes", "method.yaml")
""")
    result, _ = project.run_live("--cassettes=record")
    result.assert_outcomes(passed=1)
    assert project.files() == ["method.yaml"]
    # ignored by the module's marker
    path = project.pytester.path / "test_chat.py"
    path.write_text(path.read_text(encoding="utf-8").replace("Be brief.", "Be kind."), encoding="utf-8")
    project.run().assert_outcomes(passed=1)
    # run by the class's marker: another output is another request
    path.write_text(path.read_text(encoding="utf-8").replace('"rain"', '"snow"'), encoding="utf-8")
    result = project.run()
    result.assert_outcomes(failed=1)
    assert "[-rain-]{+snow+}" in lines_of(result)


def test_settings_for_all_come_from_a_fixture_of_the_project(project: Project) -> None:
    project.write(PLAIN)
    (project.pytester.path / "conftest.py").write_text(
        "import pytest\n@pytest.fixture(scope='session')\ndef cassette_settings():\n"
        "    return {'ignore': ['instructions'], 'scrub': [('Oslo', '<city>')]}\n",
        encoding="utf-8",
    )
    project.run_live("--cassettes=record")
    assert "Oslo" not in project.text(FILE)
    assert "<city>" in project.text(FILE)
    path = project.pytester.path / "test_chat.py"
    path.write_text(path.read_text(encoding="utf-8").replace("Be brief.", "Be kind."), encoding="utf-8")
    project.run().assert_outcomes(passed=1)


def test_the_configuration_names_the_folder_and_what_does_not_count(project: Project) -> None:
    with (project.pytester.path / "pytest.ini").open("a", encoding="utf-8") as file:
        file.write("cassettes_dir = tapes\ncassettes_timings = true\ncassettes_ignore =\n    instructions\n")
        file.write("cassettes_scrub =\n    O[s]lo\n")
    project.write(PLAIN)
    project.run_live("--cassettes=record")
    text = (project.pytester.path / "tapes" / FILE).read_text(encoding="utf-8")
    assert "Oslo" not in text
    assert "at_ms" in text
    path = project.pytester.path / "test_chat.py"
    path.write_text(path.read_text(encoding="utf-8").replace("Be brief.", "Be kind."), encoding="utf-8")
    project.run().assert_outcomes(passed=1)


def test_temporary_folders_of_pytest_are_the_same_in_every_run(project: Project) -> None:
    project.write("""
@pytest.mark.cassette
def test_coat(tmp_path):
    ask(str(tmp_path / "x"))
""")
    result, server = project.run_live("--cassettes=record", f"--basetemp={project.pytester.path / 'one'}")
    result.assert_outcomes(passed=1)
    assert "one/test_coat0/x" in server.requests[0]["body"]["input"][0]["content"]
    assert "<tmp_path>/x" in project.text(FILE)
    project.run(f"--basetemp={project.pytester.path / 'two'}").assert_outcomes(passed=1)


def test_what_was_used_is_written_for_prune(project: Project) -> None:
    project.write(PLAIN)
    project.run_live("--cassettes=record")
    place = project.pytester.path / "cassettes" / ".agentkit" / "played.json"
    used = {FILE: {"played": [1, 2], "total": 2}}
    project.run()
    assert json.loads(place.read_text()) == {"version": 1, "session": "full green", "cassettes": used}
    project.run("-k", "coat")
    assert json.loads(place.read_text())["session"] == "partial"
    project.run("test_chat.py::test_coat")
    assert json.loads(place.read_text())["session"] == "partial"
    project.run(".")
    assert json.loads(place.read_text())["session"] == "full green"
    project.write(PLAIN + "    assert False\n")
    project.run()
    assert json.loads(place.read_text())["session"] == "failed"


@pytest.mark.parametrize(
    "body", ["def test_ask():\n    ask()", "class TestAsk:\n    def test_ask(self):\n        ask()"]
)
def test_a_marked_test_without_any_fixture_is_in_its_cassette(
    project: Project, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    """With pytest alone: other plugins bring fixtures along, which every test then has."""
    text = f"""
import pytest
from agentkit import Agent, Client

def ask():
    return Agent(model="m").run_sync("Hi", client=Client("http://127.0.0.1:9/v1"))

@pytest.mark.cassette
{body}
"""
    (project.pytester.path / "test_alone.py").write_text(text, encoding="utf-8")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    result = project.pytester.runpytest_subprocess(
        "-p", "agentkit.cassettes.pytest_plugin", "-p", "no:cacheprovider",
        "-W", "ignore", "test_alone.py",
    )  # fmt: skip
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*there is no recording to play*"])
