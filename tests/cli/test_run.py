"""`agentkit run` as a user runs it."""

from __future__ import annotations

import dataclasses
import json
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agentkit.cassettes.files import read, write
from tests.cassettes.made import answered, asking, call, message, output, plain, recorded, user
from tests.cli.conftest import SLOW

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")

ECHO = """
from agentkit import Agent
from agentkit.testing import ScriptedModel
agent = Agent(model="m")
client = ScriptedModel(lambda r: f"{len(r['input'])} items, last: {r.last_item['content']!r}").client()
"""


def test_piped_stdout_holds_just_the_answer(shell: Shell) -> None:
    done = shell.run("run", "weather_agent.py", "Coat?")
    assert done.stdout == "Take a coat.\n"
    lines = done.stderr.splitlines()
    assert lines[0] == "looking up Oslo"
    assert lines[1].startswith('▸ weather(city="Oslo") → {"temp":7} · ')
    assert lines[2].startswith("— 2 turns · ")
    assert " tokens in, " in lines[2]
    assert " tokens/s · " in lines[2]
    assert len(lines) == 3
    assert done.returncode == 0


def test_prints_and_child_processes_stay_out_of_the_answer(shell: Shell) -> None:
    shell.write(
        "noisy.py",
        "import os, subprocess, sys\nfrom agentkit import Agent\nfrom agentkit.testing import ScriptedModel\n"
        "print('at load')\nos.write(1, b'raw\\n')\nsubprocess.run([sys.executable, '-c', 'print(\"child\")'])\n"
        "agent = Agent(model='m')\nclient = ScriptedModel(['Answer.']).client()\n",
    )
    assert shell.run("run", "noisy.py", "x").stdout == "Answer.\n"
    done = shell.run("run", "noisy.py", "x", "--json")
    assert json.loads(done.stdout)["text"] == "Answer."
    assert {"at load", "raw", "child"} <= set(done.stderr.splitlines())


def test_json_is_one_object(shell: Shell) -> None:
    done = shell.run("run", "weather_agent.py", "Coat?", "--json")
    report = json.loads(done.stdout)
    assert list(report) == ["output", "text", "transcript", "usage", "turns", "tool_calls"]
    assert report["output"] == report["text"] == "Take a coat."
    assert report["turns"] == 2
    assert report["usage"]["output_tokens"] > 0
    assert report["transcript"]["format"] == "agentkit.transcript"
    [call] = report["tool_calls"]
    assert call.pop("duration_s") >= 0
    assert call == {
        "call_id": "call_3",
        "name": "weather",
        "arguments": '{"city":"Oslo"}',
        "output": '{"temp":7}',
        "outcome": "ok",
    }


def test_errors_are_json_too(shell: Shell) -> None:
    done = shell.run("run", "weather_agent.py", "Coat?", "--json", "--max-turns", "1")
    report = json.loads(done.stdout)
    assert report["error"]["type"] == "LimitReached"
    assert len(report["transcript"]["entries"]) == 3
    assert done.returncode == 1
    missing = shell.run("run", "nothing.py", "Coat?", "--json")
    assert json.loads(missing.stdout) == {
        "error": {
            "type": "LoadError",
            "message": "there is no file 'nothing.py' here. Give the path of a Python file.",
        },
        "transcript": None,
    }
    assert missing.returncode == 2


def test_what_the_server_says_is_in_the_error(shell: Shell) -> None:
    shell.write(
        "f.py",
        "from agentkit import Agent\nfrom agentkit.testing import ScriptedModel, failure\nagent = Agent(model='m')\n"
        "client = ScriptedModel([failure(401, body='no\\x1b[2J')]).client()\n",
    )
    error = json.loads(shell.run("run", "f.py", "x", "--json").stdout)["error"]
    assert (error["type"], error["status"]) == ("AuthenticationError", 401)
    done = shell.run("run", "f.py", "x")
    assert (done.stdout, done.returncode) == ("", 1)
    assert "(AuthenticationError)" in done.stderr
    assert "\x1b" not in done.stderr


def test_escapes_reach_nobody(shell: Shell) -> None:
    shell.write(
        "evil.py",
        "from agentkit import Agent, tool\nfrom agentkit.testing import ScriptedModel, call, reasoning\n"
        "EVIL = '\\x1b]52;c;ZXZpbA==\\x07\\x1b[2J\\x9b31m\\u202e'\n"
        "@tool\ndef look(what: str) -> str:\n    'Look.'\n    return EVIL\n"
        "agent = Agent(model='m', tools=[look])\n"
        "looked = [reasoning(EVIL), call('look', {'what': EVIL}), call(EVIL, {})]\n"
        "client = ScriptedModel([looked, EVIL + 'end'], rules=None).client()\n",
    )
    shown = "\\x1b]52;c;ZXZpbA==\\x07\\x1b[2J\\x9b31m\\u202e"
    done = shell.run("run", "evil.py", "x", "--reasoning")
    assert done.stdout == f"{shown}end\n"
    report = shell.run("run", "evil.py", "x", "--json").stdout
    assert json.loads(report)["text"] == "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m\u202eend"
    for text in (done.stdout, done.stderr, report):
        assert not {char for char in text if char != "\n" and (ord(char) < 32 or 127 <= ord(char) < 160)}
        assert "\u202e" not in text
    if sys.platform != "win32":
        terminal = shell.terminal("run", "evil.py", "x", "--reasoning", NO_COLOR="1")
        assert terminal.end() == 0
        assert "\x1b" not in terminal.text
        assert f"{shown}end\n" in terminal.text


def test_structured_output_is_json(shell: Shell) -> None:
    shell.write(
        "f.py",
        "from dataclasses import dataclass\nfrom agentkit import Agent\n"
        "from agentkit.testing import ScriptedModel, structured\n"
        "@dataclass\nclass City:\n    name: str\n    people: int\n"
        "agent = Agent(model='m', output_type=City)\n"
        "client = ScriptedModel(['{\"name\": 1}', structured({'name': 'Tromsø', 'people': 2})]).client()\n",
    )
    done = shell.run("run", "f.py", "x")
    assert done.stdout == '{\n  "name": "Tromsø",\n  "people": 2\n}\n'
    assert "! answer 1 rejected: " in done.stderr
    assert json.loads(shell.run("run", "f.py", "x", "--json").stdout)["output"] == {"name": "Tromsø", "people": 2}


def test_a_conversation_is_saved_and_continued(shell: Shell) -> None:
    shell.write("echo.py", ECHO)
    save = ("--save", "talk.json")
    assert shell.run("run", "echo.py", "one", *save).stdout == "1 items, last: 'one'\n"
    path = shell.folder / "talk.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = shell.run("run", "echo.py", "two", "--continue", "talk.json", *save)
    assert again.stdout == "3 items, last: 'two'\n"
    assert len(json.loads(path.read_text())["entries"]) == 4
    # nothing is left to ask: the answer is there
    assert shell.run("run", "echo.py", "--continue", "talk.json").stdout == "3 items, last: 'two'\n"


def test_a_run_that_fails_is_saved_and_goes_on(shell: Shell) -> None:
    failed = shell.run("run", "weather_agent.py", "Coat?", "--max-turns", "1", "--save", "talk.json")
    assert failed.returncode == 1
    assert "To go on:\n  agentkit run weather_agent.py --continue talk.json --save talk.json\n" in failed.stderr
    shell.write("other.py", "from agentkit import Agent\nfrom agentkit.testing import ScriptedModel\n"
                "agent = Agent(model='m')\nclient = ScriptedModel(['On we go.']).client()\n")  # fmt: skip
    assert shell.run("run", "other.py", "--continue", "talk.json").stdout == "On we go.\n"


def test_the_prompt_comes_from_stdin(shell: Shell) -> None:
    shell.write("echo.py", ECHO)
    assert shell.run("run", "echo.py", "-", stdin="grüße\n").stdout == "1 items, last: 'grüße'\n"
    assert shell.run("run", "echo.py", stdin="piped").stdout == "1 items, last: 'piped'\n"
    for stdin, words in [("", "there is no prompt"), (" \n", "there is no prompt"), (b"\xff", "stdin isn't UTF-8")]:
        refused = shell.run("run", "echo.py", "-", stdin=stdin)
        assert refused.returncode == 2
        assert words in refused.stderr


@posix
def test_no_prompt_in_a_terminal_says_what_to_do(shell: Shell) -> None:
    terminal = shell.terminal("run", "weather_agent.py")
    assert terminal.end() == 2
    assert "Error: there is no prompt." in terminal.text


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("run",), "Missing argument 'FILE[:AGENT]'"),
        (("run", "weather_agent.py", "x", "--colour"), "No such option"),
        (("run", "weather_agent.py", "x", "--max-turns", "0"), "0 is not in the range x>=1"),
        (("walk",), "No such command 'walk'"),
        (("run", "held.py:model", "x"), "held.py: there is no `model`; its agents are agent."),
        (("run", "weather_agent.py", "x", "--save", "weather_agent.py"), "holds something else"),
        (("run", "weather_agent.py", "x", "--continue", "no.json"), "there is no such file"),
    ],
)
def test_mistakes_in_the_command_are_2(shell: Shell, args: tuple[str, ...], words: str) -> None:
    done = shell.run(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert words in done.stderr


def test_without_a_server_it_says_which_variables_it_looked_for(shell: Shell) -> None:
    done = shell.run("run", "weather_agent.py", "x", AGENTKIT_LIVE="1")
    assert done.returncode == 2
    assert "SAMBANOVA_API_KEY" in done.stderr


def test_live_sets_scripted_models_aside(shell: Shell) -> None:
    """And nothing else: a file's own server stays, and without AGENTKIT_LIVE the environment's is not asked."""
    env = {"AGENTKIT_BASE_URL": "http://127.0.0.2:9/v1", "AGENTKIT_MODEL": "other", "NO_PROXY": "*"}
    shell.write(
        "f.py",
        "from agentkit import Agent, Client, RetryPolicy\nfrom agentkit.testing import ScriptedModel\n"
        "fast = RetryPolicy(attempts=1)\nscripted = ScriptedModel(lambda request: request['model'])\n"
        "agent = Agent(model='m')\nown = Agent(model='m', client=scripted.client())\n"
        "server = Agent(model='m', client=Client('http://127.0.0.1:9/v1', retry=fast))\n"
        "client = scripted.client()\n",
    )
    assert shell.run("run", "f.py", "x", **env).stdout == "m\n"
    assert shell.run("run", "f.py:own", "x", **env).stdout == "m\n"
    assert shell.run("run", "f.py", "x", "--model", "mine", **env).stdout == "mine\n"
    assert "127.0.0.1:9: can't connect" in shell.run("run", "f.py:server", "x", AGENTKIT_LIVE="1", **env).stderr
    assert shell.run("run", "f.py:own", "x", AGENTKIT_LIVE="1").returncode == 2


def test_an_exception_in_the_users_code_shows_its_lines(shell: Shell) -> None:
    shell.write(
        "f.py",
        "from agentkit import Agent\nfrom agentkit.testing import ScriptedModel\n"
        "def say(deps):\n    raise KeyError('deps')\n"
        "agent = Agent(model='m', instructions=say)\nclient = ScriptedModel(['x']).client()\n",
    )
    done = shell.run("run", "f.py", "x")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-4:] == [
        "Traceback (most recent call last):",
        f'  File "{shell.folder / "f.py"}", line 4, in say',
        "    raise KeyError('deps')",
        "KeyError: 'deps'",
    ]


@posix
def test_text_arrives_while_the_server_holds_the_rest(shell: Shell) -> None:
    terminal = shell.terminal("run", "held.py", "x", "--save", "talk.json", NO_COLOR="1")
    terminal.wait_for("The first half")
    terminal.interrupt()
    assert terminal.end() == 130
    assert "! interrupted in the middle of an answer" in terminal.text
    assert "  agentkit run held.py --continue talk.json --save talk.json\n" in terminal.text
    assert len(json.loads((shell.folder / "talk.json").read_text())["entries"]) == 1


@posix
def test_an_interrupted_tool_is_shown_and_kept(shell: Shell) -> None:
    terminal = shell.terminal("run", "slow.py", "x", "--save", "talk.json", NO_COLOR="1")
    terminal.wait_for("▸ slow(seconds=60)")
    terminal.interrupt()
    assert terminal.end() == 130
    assert "▸ slow(seconds=60) ✗ cancelled; it was running, so the outcome is unknown\n" in terminal.text
    records = json.loads((shell.folder / "talk.json").read_text())["entries"][-1]["records"]
    assert [record["outcome"] for record in records] == ["cancelled"]


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_other_signals_end_the_run_in_order(shell: Shell, number: int) -> None:
    terminal = shell.terminal("run", "slow.py", "x", "--save", "talk.json", NO_COLOR="1")
    terminal.wait_for("▸ slow(seconds=60)")
    terminal.interrupt(number)
    assert terminal.end() == 128 + number
    assert "✗ cancelled" in terminal.text
    assert (shell.folder / "talk.json").exists()


@posix
def test_a_narrow_window_gets_narrow_lines(shell: Shell) -> None:
    terminal = shell.terminal("run", "weather_agent.py", "x", columns=40, NO_COLOR="1")
    assert terminal.end() == 0
    assert max(len(line) for line in terminal.text.splitlines()) <= 40


@posix
def test_a_terminal_gets_colour_unless_it_says_no(shell: Shell) -> None:
    colored = shell.terminal("run", "weather_agent.py", "x")
    assert colored.end() == 0
    assert "\x1b[36m▸ weather(" in colored.text
    plain = shell.terminal("run", "weather_agent.py", "x", NO_COLOR="1")
    assert plain.end() == 0
    assert "\x1b" not in plain.text
    assert plain.text.index("One moment.") < plain.text.index("looking up") < plain.text.index("Take a coat.")


@posix
@pytest.mark.parametrize("args", [("x",), ("x", "--json")])
def test_a_reader_that_leaves_is_no_error(shell: Shell, args: tuple[str, ...]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "agentkit", "run", "weather_agent.py", *args],
        cwd=shell.folder,
        env=shell._environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    noise = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(30) == 0
    assert "Broken" not in noise
    assert "Exception" not in noise


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_answer_that_cannot_be_written_is_a_failure(shell: Shell) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "agentkit", "run", "weather_agent.py", "x"],
            cwd=shell.folder,
            env=shell._environ(),
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=30,
            check=False,
        )
    assert done.returncode == 1
    assert b"Error: the answer can't be written: No space left on device\n" in done.stderr


@posix
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_from_the_start_are_no_error(shell: Shell, closed: str) -> None:
    command = f'exec "$0" -m agentkit run weather_agent.py x --save talk.json {closed}'
    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable],
        cwd=shell.folder,
        env=shell._environ(),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert (shell.folder / "talk.json").exists()


@posix
def test_a_tool_that_will_not_be_cancelled_does_not_hold_the_terminal(shell: Shell) -> None:
    """And keys pressed in impatience lose nothing."""
    shell.write("stubborn.py", SLOW.replace(
        "    await asyncio.sleep(seconds)\n",
        "    while True:\n        try:\n            await asyncio.sleep(seconds)\n"
        "        except asyncio.CancelledError:\n            pass\n",
    ))  # fmt: skip
    terminal = shell.terminal("run", "stubborn.py", "x", "--save", "talk.json", NO_COLOR="1")
    terminal.wait_for("▸ slow(seconds=60)")
    terminal.interrupt()
    terminal.interrupt()
    assert terminal.end() == 130
    assert "✗ cancelled" in terminal.text
    assert (shell.folder / "talk.json").exists()


def test_an_encoding_without_our_signs_gets_others(shell: Shell) -> None:
    done = shell.run("run", "weather_agent.py", "x", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0
    assert '> weather(city="Oslo") -> {"temp":7} | ' in done.stderr


def test_without_the_extra_it_says_what_to_install(shell: Shell) -> None:
    code = "import sys; sys.modules['click'] = None; from agentkit.cli import main; sys.exit(main(['--version']))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=shell._environ(), capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert done.stderr == (
        "agentkit: the command line needs 'click', which isn't installed. "
        "In the checkout, run: pip install -e '.[cli]'\n"
    )


def test_the_version_is_the_packages(shell: Shell) -> None:
    import agentkit

    assert shell.run("--version").stdout == f"agentkit {agentkit.__version__}\n"


def test_python_writes_its_own_files_elsewhere(shell: Shell) -> None:
    shell.run("run", "weather_agent.py", "x")
    assert not (shell.folder / "__pycache__").exists()


def test_a_limit_is_told_in_the_words_of_the_command(shell: Shell) -> None:
    done = shell.run("run", "weather_agent.py", "x", "--max-turns", "1")
    assert done.returncode == 1
    assert "1 allowed. Raise --max-turns; with --save, go on with --continue FILE." in " ".join(done.stderr.split())
    assert "run(None" not in done.stderr


@posix
@pytest.mark.parametrize("pause_s", [0, 0.3])
def test_a_second_interrupt_at_the_end_changes_nothing(shell: Shell, pause_s: float) -> None:
    """The first one is told, and then the loop's thread is waited for."""
    shell.write("stubborn.py", SLOW.replace(
        "    await asyncio.sleep(seconds)\n",
        "    while True:\n        try:\n            await asyncio.sleep(seconds)\n"
        "        except asyncio.CancelledError:\n            pass\n",
    ))  # fmt: skip
    terminal = shell.terminal("run", "stubborn.py", "x", NO_COLOR="1")
    terminal.wait_for("▸ slow(seconds=60)")
    terminal.interrupt()
    terminal.wait_for("Not kept")
    time.sleep(pause_s)
    terminal.interrupt()
    assert terminal.end() == 130
    assert "Traceback" not in terminal.text


WHAT_IF = """
from agentkit import Agent, tool
from agentkit.testing import ScriptedModel

@tool
def weather(city: str) -> str:
    \"\"\"Weather.\"\"\"
    return "30 C"

agent = Agent(model="m", instructions="Be kind.", tools=[weather])
said = lambda r: " | ".join(str(i.get("content") or i.get("output") or i["name"]) for i in r["input"])
client = ScriptedModel(lambda r: f"{r['instructions']} {said(r)}").client()
"""


@pytest.fixture
def recorded_talk(shell: Shell) -> Shell:
    """A call, an answer, and what was asked next."""
    pytest.importorskip("yaml", reason="needs the extra 'cassettes'")
    shell.write("what_if.py", WHAT_IF)
    called = [user("Coat?"), call("call_1", "weather", '{"city":"Oslo"}'), output("call_1", "7 C")]
    recording = recorded(
        plain(asking(called[:1], instructions="Be brief."), answered([called[1]])),
        plain(asking(called, instructions="Be brief."), answered([message("Yes.")])),
        plain(asking([*called, message("Yes."), user("Boots?")], instructions="Be brief."), answered([message("No.")])),
    )
    write(shell.folder / "x.yaml", recording)
    return shell


def test_a_turn_of_a_nested_agent_is_said_to_be_one(recorded_talk: Shell) -> None:
    path = recorded_talk.folder / "x.yaml"
    first, *rest = read(path)
    write(path, recorded(dataclasses.replace(first, lane="call_7"), *rest))
    done = recorded_talk.run("run", "what_if.py", "--cassette", "x.yaml", "--from-turn", "1")
    assert (
        "up to turn 1, of an agent that ran within call_7, as recorded in x.yaml; what follows is live." in done.stderr
    )


@pytest.mark.parametrize(
    ("args", "answer"),
    [
        (("--from-turn", "0"), "Be kind. Coat?"),
        (("Hat?", "--from-turn", "0"), "Be kind. Hat?"),
        (("--from-turn", "1"), "Be kind. Coat? | weather | 7 C"),
        (("Hat?", "--from-turn", "1"), "Be kind. Hat? | weather | 7 C"),
        (("--from-turn", "1", "--rerun-tools"), "Be kind. Coat? | weather | 30 C"),
        (("--from-turn", "2"), "Boots?"),
        (("Hat?", "--from-turn", "2"), "Hat?"),
    ],
)
def test_what_was_recorded_is_gone_on_from_live(recorded_talk: Shell, args: tuple[str, ...], answer: str) -> None:
    done = recorded_talk.run("run", "what_if.py", "--cassette", "x.yaml", *args)
    assert done.stdout.endswith(f"{answer}\n")
    assert f"up to turn {args[args.index('--from-turn') + 1]} as recorded in x.yaml" in done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--cassette", "x.yaml", "--from-turn", "4"), "x.yaml: turn 4 asked for; it has 3. Give one of 0 to 3."),
        (("--cassette", "x.yaml", "--from-turn", "3"), "the recording has nothing after that turn. Give a prompt"),
        (("--from-turn", "1"), "--from-turn goes on from a recording. Give --cassette FILE"),
        (("Hi", "--cassette", "x.yaml", "--rerun-tools"), "--rerun-tools is for the calls of the turn"),
        (("Hi", "--ignore", "tools"), "--ignore and --scrub are for --cassette FILE."),
        (("--cassette", "none.yaml", "--from-turn", "1"), "none.yaml: there is no such file"),
    ],
)
def test_mistakes_in_going_on_are_2(recorded_talk: Shell, args: tuple[str, ...], words: str) -> None:
    done = recorded_talk.run("run", "what_if.py", *args)
    assert words in done.stderr
    assert done.returncode == 2


def test_a_run_in_a_cassette_is_recorded_replayed_and_extended(shell: Shell) -> None:
    pytest.importorskip("vcr", reason="needs the extra 'cassettes'")
    args = ("run", "weather_agent.py", "Coat?", "--cassette", "tapes/x.yaml")
    missing = shell.run(*args)
    assert "tapes/x.yaml: there is no recording to play" in missing.stderr
    assert "AGENTKIT_CASSETTES=record agentkit run weather_agent.py" in " ".join(missing.stderr.split())
    assert missing.returncode == 1
    done = shell.run(*args, AGENTKIT_CASSETTES="record")
    assert done.stdout == "Take a coat.\n"
    assert done.stderr.splitlines()[-1] == "Recorded in tapes/x.yaml."
    shell.write("weather_agent.py", (shell.folder / "weather_agent.py").read_text().replace("Take a coat.", "Changed."))
    replayed = shell.run(*args)
    assert replayed.stdout == "Take a coat.\n"
    assert "looking up Oslo" not in replayed.stderr
    assert replayed.stderr.splitlines()[-1].startswith("— 2 turns · replayed · ")
    assert "tokens/s" not in replayed.stderr
    other = shell.run("run", "weather_agent.py", "Hat?", "--cassette", "tapes/x.yaml")
    assert "CassetteMismatch" in other.stderr
    assert "AGENTKIT_CASSETTES=extend agentkit run weather_agent.py" in " ".join(other.stderr.split())
    assert other.returncode == 1
    assert "--scrub PATTERN or --ignore PATH" in other.stderr
    asked = ("run", "weather_agent.py", "Hat?", "--cassette", "tapes/x.yaml", "--ignore", "input[0].content")
    assert shell.run(*asked).stdout == "Take a coat.\n"
    extended = shell.run("run", "weather_agent.py", "Hat?", "--cassette", "tapes/x.yaml", AGENTKIT_CASSETTES="extend")
    assert extended.stdout == "Changed.\n"
    assert extended.stderr.splitlines()[-1].endswith("agentkit cassettes review tapes/x.yaml")
    assert "Coat?" in shell.run("cassettes", "show", "tapes/x.yaml").stdout
