"""`agentkit cassettes ...` as a user runs it."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agentkit.cassettes.files import CassetteFile, read, write
from agentkit.cassettes.interaction import Failure, Recording
from agentkit.cassettes.journal import Journal
from agentkit.cassettes.review.usage import Played, Usage, write_usage
from agentkit.cassettes.suite.naming import name_cassette
from tests.cassettes.made import answered, asking, call, message, output, plain, recorded, user

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

pytest.importorskip("yaml")
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")

CALLED = [user("Coat?"), call("call_1", "weather", '{"city":"Oslo"}'), output("call_1", "7 C")]
TEST = "cassettes/test_weather/test_oslo.yaml"


def talk(answer: str = "Take a coat.", **head: str) -> Recording:
    """Two turns: a call, and the answer."""
    tools = [{"type": "function", "name": "weather", "description": "Weather.", "parameters": {"type": "object"}}]
    fields = {"instructions": "Be brief.", "tools": tools}
    first = plain(asking(CALLED[:1], **fields), answered([CALLED[1]], tokens=(1200, 30)))
    second = plain(asking(CALLED, **fields), answered([message(answer)], tokens=(1300, 12)), parent=0)
    return recorded(first, second, **head)  # type: ignore[arg-type]


@pytest.fixture
def kept(shell: Shell) -> Shell:
    """A folder with a cassette, a changed one that waits, and one that is all new."""
    shell.env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # whatever is installed besides
    write(shell.folder / TEST, talk(recorded="2026-11-20", server="https://api.example.com/v1"))
    write(shell.folder / f"{TEST}.new", talk("Take a jacket.", recorded="2026-11-27"))
    write(shell.folder / "cassettes/test_weather/test_rome.yaml.new", talk("None needed."))
    return shell


def test_list_tells_turns_tokens_size_day_server_and_what_waits(kept: Shell) -> None:
    done = kept.run("cassettes", "list")
    assert done.returncode == 0
    head, oslo, rome = done.stdout.splitlines()
    assert head.split() == ["cassette", "turns", "tokens", "size", "recorded", "server"]
    size = (kept.folder / TEST).stat().st_size
    shown = f"{size / 1000:.1f}"
    assert oslo.split() == [TEST, "2", "2,542", shown, "kB", "2026-11-20", "https://api.example.com/v1", "pending"]
    assert rome.split()[0] == "cassettes/test_weather/test_rome.yaml"
    assert rome.endswith("pending, not accepted")
    listed = json.loads(kept.run("cassettes", "list", "--json").stdout)
    assert listed[0] == {
        "path": TEST,
        "accepted": True,
        "pending": True,
        "part": False,
        "size_bytes": size,
        "turns": 2,
        "input_tokens": 2500,
        "output_tokens": 42,
        "recorded": "2026-11-20",
        "server": "https://api.example.com/v1",
        "problem": None,
    }


def test_one_that_cant_be_read_doesnt_hide_the_others(kept: Shell) -> None:
    kept.write("cassettes/broken.yaml", "{ not yaml")
    done = kept.run("cassettes", "list")
    assert done.returncode == 1
    assert "unreadable" in done.stdout
    assert TEST in done.stdout
    assert "cassettes/broken.yaml" in done.stderr


def test_stats_add_up(kept: Shell) -> None:
    done = kept.run("cassettes", "stats")
    assert done.returncode == 0
    lines = dict(line.split("  ", 1) for line in done.stdout.splitlines())
    told = {name.strip(): text.strip() for name, text in lines.items()}
    assert told["files"] == "2"
    assert told["turns"] == "4"
    assert told["to record anew"] == "5,000 tokens in, 84 out"
    assert told["oldest"] == f"{TEST} (2026-11-20)"
    assert told["waiting"].startswith("2 for a review")
    assert json.loads(kept.run("cassettes", "stats", "--json").stdout)["output_tokens"] == 84


def test_show_is_the_conversation(kept: Shell) -> None:
    done = kept.run("cassettes", "show", TEST)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        TEST,
        "2 turns · 2,500 tokens in, 42 out · recorded 2026-11-20 · by https://api.example.com/v1",
        "",
        "— turn 1 · 1,200 tokens in, 30 out",
        "model  m",
        "instructions  Be brief.",
        "tools  weather",
        "user  Coat?",
        '▸ weather(city="Oslo")',
        "  →  7 C",
        "",
        "— turn 2 · 1,300 tokens in, 12 out",
        "assistant  Take a coat.",
    ]
    assert done.stderr == ""


def test_a_long_rest_keeps_its_space(shell: Shell) -> None:
    for name, article in (("a.yaml", "a"), ("b.yaml", "one")):
        write(shell.folder / name, talk(f"The orders of {article} customer " + "who waits " * 30))
    assert "[-a-]{+one+} customer who waits" in shell.run("cassettes", "diff", "a.yaml", "b.yaml").stdout


@posix
def test_a_link_stays_a_link_and_what_is_no_file_is_left_alone(shell: Shell) -> None:
    (shell.folder / "tapes").mkdir()
    write(shell.folder / "real.yaml", talk("Old."))
    (shell.folder / "tapes/x.yaml").symlink_to("../real.yaml")
    write(shell.folder / "tapes/x.yaml.new", talk("New."))
    os.mkfifo(shell.folder / "tapes/pipe.yaml")
    assert shell.run("cassettes", "accept", "tapes/x.yaml").returncode == 0
    assert (shell.folder / "tapes/x.yaml").is_symlink()
    assert "New." in (shell.folder / "real.yaml").read_text()
    assert not (shell.folder / "tapes/x.yaml.new").exists()
    assert "pipe" not in shell.run("cassettes", "list", "tapes").stdout


def test_show_tells_one_turn_in_full_or_as_json(kept: Shell) -> None:
    shown = kept.run("cassettes", "show", TEST, "--turn", "2").stdout
    assert "Take a coat." in shown
    assert "Coat?" not in shown
    full = kept.run("cassettes", "show", TEST, "--full").stdout
    assert 'tool weather  Weather.\n  {"parameters":{"type":"object"}}' in full
    value = json.loads(kept.run("cassettes", "show", TEST, "--json").stdout)
    assert [turn["number"] for turn in value[0]["turns"]] == [1, 2]
    assert value[0]["turns"][0]["said"][0]["output"] == "7 C"
    pending = kept.run("cassettes", "show", f"{TEST}.new").stdout
    assert "Take a jacket." in pending


def test_show_stands_nested_agents_and_failed_attempts_where_they_belong(shell: Shell) -> None:
    first = asking([user("Plan it")])
    recording = recorded(
        plain(first, b'{"error": {"message": "busy", "code": "queue_full"}}', status=429),
        plain(first, answered([call("call_1", "ask")])),
        plain(asking([user("Look it up")]), answered([message("42")]), lane="call_1"),
        plain(asking([user("Plan it"), call("call_1", "ask"), output("call_1", "42")]), answered([message("Done.")])),
    )
    write(shell.folder / "x.yaml", recording)
    lines = shell.run("cassettes", "show", "x.yaml").stdout.splitlines()
    assert [line for line in lines if line and "turn" not in line] == [
        "x.yaml",
        "model  m",
        "user  Plan it",
        "attempt failed  HTTP 429 queue_full: busy",
        "▸ ask()",
        "  →  42",
        "  │ model  m",
        "  │ user  Look it up",
        "  │ assistant  42",
        "assistant  Done.",
    ]


def test_what_a_model_said_cant_steer_the_terminal(shell: Shell) -> None:
    write(shell.folder / "x.yaml", talk("\x1b]0;owned\x07\u202ered\x7f"))
    shown = shell.run("cassettes", "show", "x.yaml").stdout
    assert "\\x1b]0;owned\\x07\\u202ered\\x7f" in shown
    assert "\x1b" not in shown
    assert "\x1b" not in shell.run("cassettes", "show", "x.yaml", "--json").stdout


def test_show_ignored_lists_what_doesnt_count(shell: Shell) -> None:
    write(shell.folder / "x.yaml", recorded(plain(asking([user("Hi")], store=False, user="me"), answered([]))))
    done = shell.run("cassettes", "show", "x.yaml", "--ignored")
    assert done.stdout.splitlines() == [
        "— turn 1",
        'user  "me"  (labels for the account\'s owner)',
        "store  false  (what the server keeps)",
    ]
    assert json.loads(shell.run("cassettes", "show", "x.yaml", "--ignored", "--json").stdout)[0]["path"] == "user"


def test_diff_marks_words_and_is_1(kept: Shell) -> None:
    done = kept.run("cassettes", "diff", TEST)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"{TEST} → {TEST}.new",
        "… 6 passages agree",
        "— turn 2",
        "assistant  Take a [-coat-]{+jacket+}.",
    ]
    assert json.loads(kept.run("cassettes", "diff", TEST, "--json").stdout) == [
        {
            "turn": 2,
            "label": "assistant",
            "old": "Take a coat.",
            "new": "Take a jacket.",
            "words": [["=", "Take a "], ["-", "coat"], ["+", "jacket"], ["=", "."]],
        }
    ]


def test_diff_of_the_same_is_0(kept: Shell) -> None:
    done = kept.run("cassettes", "diff", TEST, TEST)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "The same was said."


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("show", "none.yaml"), "none.yaml: there is no such file"),
        (("show", TEST, "--turn", "3"), "turn 3 asked for"),
        (("diff", "cassettes/test_weather/test_rome.yaml"), "there is no accepted file to compare it with"),
        (("list", "nowhere"), "nowhere: there is no such file"),
        (("list",), "cassettes: there is no such file"),
        (("accept",), "Name what is meant, or give --all."),
        (("accept", TEST, "--all"), "Name what is meant, or give --all."),
        (("convert", TEST, "--to", "vcrpy"), "a vcrpy file needs a name of its own. Give DEST."),
        (("convert", "none.yaml"), "none.yaml: there is no such file"),
        (("check", "--tests", "x", "--no-tests"), "can't both be given"),
    ],
)
def test_mistakes_are_2(kept: Shell, args: tuple[str, ...], words: str) -> None:
    if args == ("list",):
        (kept.folder / "cassettes").rename(kept.folder / "tapes")
    done = kept.run("cassettes", *args)
    assert words in done.stderr
    assert done.returncode == 2


def test_nothing_to_diff_is_2(kept: Shell) -> None:
    (kept.folder / f"{TEST}.new").unlink()
    done = kept.run("cassettes", "diff", TEST)
    assert "nothing waits for a review there" in done.stderr
    assert done.returncode == 2


def test_review_walks_through_what_waits(kept: Shell) -> None:
    """Lines of a pipe are the answers: a mistake is asked again, skipped ones wait on."""
    done = kept.run("cassettes", "review", stdin="x\ns\na\n")
    assert done.returncode == 1
    assert "1 of 2  cassettes/test_weather/test_oslo.yaml.new" in done.stdout
    assert "Take a [-coat-]{+jacket+}." in done.stdout
    assert "2 of 2  cassettes/test_weather/test_rome.yaml.new" in done.stdout
    assert "assistant  None needed." in done.stdout
    assert "Give one of a, r, s, v, q." in done.stderr
    assert "1 still waits for a review." in done.stderr
    assert (kept.folder / f"{TEST}.new").exists()
    assert (kept.folder / "cassettes/test_weather/test_rome.yaml").exists()
    done = kept.run("cassettes", "review", stdin="view\nreject\n")
    assert done.returncode == 0
    assert "user  Coat?" in done.stdout
    assert not (kept.folder / f"{TEST}.new").exists()
    assert "Take a coat." in kept.run("cassettes", "show", TEST).stdout
    assert kept.run("cassettes", "review").stderr == "Nothing waits for a review.\n"


def test_the_end_of_stdin_ends_a_review(kept: Shell) -> None:
    done = kept.run("cassettes", "review", stdin="")
    assert done.returncode == 1
    assert "2 still wait for a review." in done.stderr


@posix
def test_review_takes_keys_on_a_terminal(kept: Shell) -> None:
    terminal = kept.terminal("cassettes", "review", NO_COLOR="1")
    terminal.wait_for("[q]uit?")
    terminal.type("v", "user  Coat?", "[q]uit?")
    terminal.type("a", "accepted.", "2 of 2", "[q]uit?")
    terminal.press("q")
    assert terminal.end() == 1
    assert "Take a jacket." in kept.run("cassettes", "show", TEST).stdout


@posix
def test_ctrl_c_in_a_review_is_130_and_changes_nothing(kept: Shell) -> None:
    terminal = kept.terminal("cassettes", "review")
    terminal.wait_for("[q]uit?")
    terminal.interrupt()
    assert terminal.end() == 130
    assert (kept.folder / f"{TEST}.new").exists()


def test_accept_and_reject(kept: Shell) -> None:
    assert kept.run("cassettes", "accept", TEST).stderr == f"{TEST}: accepted.\n"
    assert not (kept.folder / f"{TEST}.new").exists()
    assert stat.S_IMODE((kept.folder / TEST).stat().st_mode) == 0o600
    done = kept.run("cassettes", "accept", TEST)
    assert "nothing waits for a review there" in done.stderr
    assert done.returncode == 2
    assert kept.run("cassettes", "reject", "--all").returncode == 0
    assert not (kept.folder / "cassettes/test_weather/test_rome.yaml.new").exists()
    assert kept.run("cassettes", "reject", "--all").stderr == "Nothing waits for a review.\n"


def test_what_cant_be_read_isnt_accepted(kept: Shell) -> None:
    kept.write(f"{TEST}.new", "{ not yaml")
    done = kept.run("cassettes", "accept", "--all")
    assert done.returncode == 1
    assert "Take a coat." in kept.run("cassettes", "show", TEST).stdout
    assert (kept.folder / "cassettes/test_weather/test_rome.yaml").exists()


def journal(folder: Path, recording: Recording) -> Path:
    """Leave what a killed recording leaves."""
    file = CassetteFile(folder / TEST)
    kept = Journal(file)
    for number, interaction in enumerate(recording):
        kept.append(number, dataclasses.replace(interaction), None)
    kept.close(keep=True)
    return file.journal


def test_a_killed_recording_becomes_the_cassette_of_what_it_has(shell: Shell) -> None:
    path = journal(shell.folder, Recording(interactions=talk().interactions[:1]))
    assert "part, not accepted" in shell.run("cassettes", "list").stdout
    assert shell.run("cassettes", "accept", f"{TEST}.part").returncode == 0
    assert not path.exists()
    assert len(read(shell.folder / TEST)) == 1


def test_a_killed_recording_joins_the_accepted_one(kept: Shell) -> None:
    """The first turn was played, and so isn't in the journal; the second went live, and takes the old one's place."""
    path = journal(kept.folder, Recording(interactions=talk("Take an umbrella.").interactions[1:]))
    done = kept.run("cassettes", "accept", f"{TEST}.part")
    assert done.returncode == 0
    assert not path.exists()
    shown = kept.run("cassettes", "show", TEST).stdout
    assert "user  Coat?" in shown
    assert "Take an umbrella." in shown
    assert "Take a coat." not in shown
    assert (kept.folder / f"{TEST}.new").exists()


def test_a_recording_under_way_is_left_alone(kept: Shell) -> None:
    path = journal(kept.folder, talk())
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for command in ("accept", "reject"):
            done = kept.run("cassettes", command, f"{TEST}.part")
            assert "is being recorded by another process" in done.stderr
            assert done.returncode == 1
    assert kept.run("cassettes", "reject", f"{TEST}.part").returncode == 0
    assert not path.exists()


def test_a_journal_that_cant_be_read_can_be_rejected(kept: Shell) -> None:
    path = kept.write(f"{TEST}.part", "nonsense\n{}\n")
    assert kept.run("cassettes", "reject", f"{TEST}.part").returncode == 0
    assert not path.exists()


def in_order(shell: Shell) -> None:
    (shell.folder / f"{TEST}.new").unlink()
    (shell.folder / "cassettes/test_weather/test_rome.yaml.new").unlink()
    shell.write("test_weather.py", "def test_oslo(): pass\n")


def test_check_of_what_is_in_order_is_0(kept: Shell) -> None:
    in_order(kept)
    done = kept.run("cassettes", "check")
    assert (done.stdout, done.stderr, done.returncode) == ("", "1 cassette, no problems\n", 0)


def test_check_says_for_each_problem_what_it_is_and_what_to_do(kept: Shell) -> None:
    in_order(kept)
    write(kept.folder / f"{TEST}.new", talk())
    journal(kept.folder, talk())
    write(kept.folder / "cassettes/test_weather/test_paris.yaml", talk())
    path = kept.folder / "cassettes/test_weather/test_oslo_2.yaml"
    write(path, talk())
    path.write_text("# by hand\n" + path.read_text())
    kept.write("cassettes/broken.yaml", "{ not yaml")
    done = kept.run("cassettes", "check")
    lines = sorted(done.stdout.splitlines())
    assert done.returncode == 1
    assert lines[0].startswith("cassettes/broken.yaml: ")
    assert lines[1:] == [
        f"{TEST}.new: a recording waits for its review. Run: agentkit cassettes review {TEST}",
        (
            f"{TEST}.part: a recording was killed, and this is what it has. "
            f"Run: agentkit cassettes accept (or reject) {TEST}.part"
        ),
        (
            "cassettes/test_weather/test_oslo_2.yaml: isn't written as agentkit writes it. "
            "Run: agentkit cassettes convert cassettes/test_weather/test_oslo_2.yaml"
        ),
        (
            "cassettes/test_weather/test_oslo_2.yaml: no test 'test_oslo_2' of 'test_weather'. Delete it, or "
            "name it as its test."
        ),
        (
            "cassettes/test_weather/test_paris.yaml: no test 'test_paris' of 'test_weather'. Delete it, or "
            "name it as its test."
        ),
    ]
    assert done.stderr == "4 cassettes, 6 problems\n"
    problems = json.loads(kept.run("cassettes", "check", "--no-tests", "--json").stdout)
    assert {problem["path"] for problem in problems} == {
        f"{TEST}.new",
        f"{TEST}.part",
        "cassettes/broken.yaml",
        "cassettes/test_weather/test_oslo_2.yaml",
    }


def test_check_finds_a_secret_and_doesnt_show_it(kept: Shell) -> None:
    in_order(kept)
    key = "ghp_" + "a1B2c3D4e5F6" * 3
    write(kept.folder / TEST, talk(f"The key is {key}."))
    done = kept.run("cassettes", "check")
    assert "looks like a secret" in done.stdout
    assert key not in done.stdout + done.stderr
    assert done.returncode == 1


def test_tests_of_every_kind_are_found(kept: Shell) -> None:
    """By the names that the plugin gives: classes, parameters, folders, and what no file system takes."""
    in_order(kept)
    kept.write("pytest.ini", "[pytest]\naddopts = -q\n")
    (kept.folder / "tests").mkdir()
    kept.write(
        "tests/test_trip.py",
        "import pytest\n"
        "class TestTrip:\n"
        "    def test_train(self): pass\n"
        "    @pytest.mark.parametrize('city', ['Oslo', 'São Paulo/2', 'x' * 95])\n"
        "    def test_cities(self, city): pass\n",
    )
    names = ["TestTrip.test_train", "TestTrip.test_cities-Oslo", "TestTrip.test_bus"]
    places = [kept.folder / f"cassettes/tests/test_trip/{name}.yaml" for name in names]
    ids = ["S\\xe3o Paulo/2", "x" * 95]
    places += [
        kept.folder / "cassettes" / name_cassette("tests/test_trip.py", ["TestTrip"], "test_cities", i) for i in ids
    ]
    for place in places:
        write(place, talk())
    done = kept.run("cassettes", "check")
    found = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert found == ["cassettes/tests/test_trip/TestTrip.test_bus.yaml"]


def test_tests_that_cant_be_collected_are_2(kept: Shell) -> None:
    in_order(kept)
    kept.write("test_weather.py", "import nothing_of_that_name\n")
    done = kept.run("cassettes", "check")
    assert "pytest couldn't collect the tests" in done.stderr
    assert done.returncode == 2
    assert kept.run("cassettes", "check", "--no-tests").returncode == 0


def played(shell: Shell, session: str, **turns: tuple[int, ...]) -> None:
    names = {"oslo": "test_weather/test_oslo.yaml", "rome": "test_weather/test_rome.yaml"}
    cassettes = {names[name]: Played(found, 2) for name, found in turns.items()}
    write_usage(shell.folder / "cassettes", Usage(session, cassettes))  # type: ignore[arg-type]


def test_check_knows_what_the_last_full_run_didnt_play(kept: Shell) -> None:
    in_order(kept)
    write(kept.folder / "cassettes/test_weather/test_rome.yaml", talk())
    played(kept, "full green", oslo=(1,))
    done = kept.run("cassettes", "check", "--no-tests")
    assert done.stdout.splitlines() == [
        f"{TEST}: turn 2 wasn't played by the last full test run. Run: agentkit cassettes prune {TEST}",
        (
            "cassettes/test_weather/test_rome.yaml: the last full test run didn't play it. "
            "Run: agentkit cassettes prune cassettes/test_weather/test_rome.yaml"
        ),
    ]
    played(kept, "partial", oslo=(1,))
    assert kept.run("cassettes", "check", "--no-tests").returncode == 0


def test_prune_removes_what_wasnt_played_once_agreed(kept: Shell) -> None:
    in_order(kept)
    rome = kept.folder / "cassettes/test_weather/test_rome.yaml"
    write(rome, talk())
    played(kept, "full green", oslo=(2,))
    listed = f"{TEST}: turn 1\ncassettes/test_weather/test_rome.yaml: the whole file\n"
    done = kept.run("cassettes", "prune", "--dry-run")
    assert (done.stdout, done.returncode) == (listed, 0)
    done = kept.run("cassettes", "prune", stdin="n\n")
    assert (done.stdout, done.returncode) == (listed, 1)
    assert rome.exists()
    assert len(read(kept.folder / TEST)) == 2
    assert kept.run("cassettes", "prune", stdin="y\n").returncode == 0
    assert not rome.exists()
    (left,) = read(kept.folder / TEST).interactions
    assert bytes(left.body) == bytes(talk().interactions[1].body)


@pytest.mark.parametrize(
    ("session", "words"), [("partial", "left tests out"), ("failed", "The last test run failed"), (None, "left word")]
)
def test_prune_only_after_a_full_green_run(kept: Shell, session: str | None, words: str) -> None:
    in_order(kept)
    if session is not None:
        played(kept, session)
    done = kept.run("cassettes", "prune", "--yes")
    assert words in done.stderr
    assert done.returncode == 2
    assert (kept.folder / TEST).exists()


def test_prune_refuses_a_cassette_that_has_changed_since(kept: Shell) -> None:
    in_order(kept)
    played(kept, "full green", oslo=(1,))
    write(kept.folder / TEST, recorded(*talk().interactions, *talk("x").interactions))
    done = kept.run("cassettes", "prune", "--yes")
    assert "it has changed since the last test run" in done.stderr
    assert done.returncode == 2


def test_convert_to_vcrpy_and_back(shell: Shell) -> None:
    vcr = pytest.importorskip("vcr")
    first, second = talk().interactions
    cut = dataclasses.replace(second, failure=Failure("ReadError", "reset"))
    write(shell.folder / "x.yaml", recorded(first, second, cut))
    done = shell.run("cassettes", "convert", "x.yaml", "stock.yaml", "--to", "vcrpy")
    assert done.returncode == 0
    assert "The connection failed in turn 3: left out" in done.stderr
    with vcr.use_cassette(str(shell.folder / "stock.yaml"), record_mode="none") as tape:
        assert len(tape.requests) == 2
        assert tape.requests[0].body == bytes(first.body)
        assert tape.responses[1]["body"]["string"] == second.answer
    assert "stock.yaml is there already" in shell.run("cassettes", "convert", "x.yaml", "stock.yaml").stderr
    assert shell.run("cassettes", "convert", "stock.yaml", "back.yaml").returncode == 0
    back = read(shell.folder / "back.yaml")
    assert [bytes(i.body) for i in back] == [bytes(first.body), bytes(second.body)]
    assert [i.answer for i in back] == [first.answer, second.answer]


def test_convert_to_a_transcript_to_edit_and_go_on_from(kept: Shell) -> None:
    done = kept.run("cassettes", "convert", TEST, "talk.json", "--to", "transcript", "--turn", "1")
    assert (done.stderr, done.returncode) == ("talk.json: written, 1 turn.\n", 0)
    talk_file = kept.folder / "talk.json"
    talk_file.write_text(talk_file.read_text().replace("7 C", "30 C"))
    kept.write(
        "agent.py",
        "from agentkit import Agent\nfrom agentkit.testing import ScriptedModel\nagent = Agent(model='m')\n"
        "client = ScriptedModel(lambda r: f'told {r.last_output}').client()\n",
    )
    assert kept.run("run", "agent.py", "--continue", "talk.json").stdout == "told 30 C\n"
    done = kept.run("cassettes", "convert", TEST, "x.yaml", "--turn", "1")
    assert "--turn is for --to transcript" in done.stderr
    assert done.returncode == 2


def test_without_the_extra_it_says_what_to_install(kept: Shell) -> None:
    code = (
        "import sys; sys.modules['yaml'] = None; from agentkit.cli import main; sys.exit(main(['cassettes', 'list']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=kept.folder, env=kept._environ(), capture_output=True, text=True, check=False
    )
    assert "pip install -e '.[cassettes]'" in done.stderr
    assert done.returncode == 2
