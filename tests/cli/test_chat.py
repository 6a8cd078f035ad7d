"""`agentkit chat`: what is said, kept and taken back; in process with given lines, and in a terminal with keys."""

from __future__ import annotations

import io
import os
import re
import signal
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agentkit import Transcript
from agentkit.cli.chat import Chat, ChatOptions
from agentkit.cli.interrupts import Interrupts
from agentkit.cli.saving import read_transcript, write_transcript
from agentkit.cli.slash import COMMANDS, is_command, suggestions
from agentkit.cli.terminal import Outputs, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.conftest import Shell, Terminal

READY = "\x1b[?2004h"
"""What the editor writes when it takes keys: before that the terminal makes a newline of Enter."""

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")

TALKER = '''
from agentkit import Agent, ToolError, tool
from agentkit.testing import ScriptedModel, call, internal_error, failure

@tool
def weather(city: str) -> str:
    """Current weather in a city.

    Args:
        city: Its name.
    """
    if city == "Atlantis":
        raise ToolError("no such city")
    return "rain"

def script(request):
    if request.last_output is not None:
        return f"It is: {request.last_output}"
    said = request.last_text
    if "fail" in said:
        return failure(400, message="I can't read \\x1b[2J that.")
    if "weather" in said:
        return ["One moment.", call("weather", {"city": said.split()[-1]})]
    return f"{len(request['input'])} items, last: {said!r}"

agent = Agent(model="m", tools=[weather])
client = ScriptedModel(script).client()
'''


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test works in its own folder, and leaves the import system as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "talker.py").write_text(TALKER)
    yield
    sys.modules.pop("talker", None)


class Log(io.StringIO):
    encoding = "utf-8"


@dataclass
class Given:
    """Lines that were thought of before; each may be a function that is called when its turn comes."""

    entries: list[str | Callable[[], str]]
    interactive: bool = True
    drafts: list[str] = field(default_factory=list)

    def read(self, draft: str = "") -> str:
        self.drafts.append(draft)
        if not self.entries:
            raise EOFError
        entry = self.entries.pop(0)
        return entry if isinstance(entry, str) else entry()


@dataclass
class Talked:
    """A chat that has ended."""

    chat: Chat
    code: int
    answers: list[str]
    notes: str
    drafts: list[str]

    @property
    def transcript(self) -> Transcript:
        return self.chat.talk.transcript


def talk(*entries: str | Callable[[], str], interactive: bool = True, **options: object) -> Talked:
    answer, notes = Log(), Log()
    outputs = Outputs(Stream(answer, {}), Stream(notes, {}))
    lines = Given([*entries], interactive)
    chat = Chat(ChatOptions(**{"target": "talker.py", **options}), outputs, Interrupts())  # type: ignore[arg-type]
    code = chat.run(lines)
    return Talked(chat, code, answer.getvalue().splitlines(), notes.getvalue(), lines.drafts)


def test_messages_go_on_from_each_other() -> None:
    talked = talk("one", "", "  ", "two\nlines")
    assert talked.answers == ["1 items, last: 'one'", "3 items, last: 'two\\nlines'"]
    assert talked.transcript.turns == 2
    assert talked.code == 0


def test_a_tool_is_shown_and_one_that_fails_too() -> None:
    talked = talk("weather in Oslo", "weather in Atlantis")
    assert talked.answers == ["It is: rain", "It is: no such city"]
    assert '▸ weather(city="Oslo") → rain · ' in talked.notes
    assert '▸ weather(city="Atlantis") ✗ no such city · ' in talked.notes


def test_an_error_is_shown_and_the_chat_goes_on() -> None:
    talked = talk("one", "fail", "/undo", "two")
    assert "I can't read \\x1b[2J that." in talked.notes
    assert "(BadRequest)" in talked.notes
    assert "/retry asks again, /undo takes your message back." in talked.notes
    assert talked.answers[-1] == "3 items, last: 'two'"
    assert talked.drafts == ["", "", "", "fail", ""]
    assert talked.code == 0


def test_a_message_that_failed_can_be_asked_again(tmp_path: Path) -> None:
    (tmp_path / "talker.py").write_text(
        "from agentkit import Agent\nfrom agentkit.testing import ScriptedModel, failure\nagent = Agent(model='m')\n"
        "client = ScriptedModel([failure(400, message='no'), 'Now.']).client()\n"
    )
    talked = talk("fail", "/retry", "/undo")
    assert talked.answers == ["Now."]
    assert not talked.transcript.entries  # the message and what was asked again for it are one
    assert "Took back your message and 1 turn; 0 turns left." in talked.notes


def test_retry_has_nothing_to_do_where_there_is_an_answer() -> None:
    talked = talk("/retry", "one", "/retry")
    assert "/retry: nothing has been asked yet." in talked.notes
    assert "/retry: there is an answer." in talked.notes
    assert len(talked.answers) == 1


def test_in_a_script_a_failure_is_the_exit_code() -> None:
    assert talk("fail", "one", interactive=False).code == 1
    assert talk("/tols", interactive=False).code == 1
    assert talk("one", interactive=False).code == 0


def test_undo_takes_back_message_by_message() -> None:
    talked = talk("one", "weather in Oslo", "/undo", "/undo", "/undo")
    assert "Took back your message and 2 turns; 1 turn left. What tools did stays done." in talked.notes
    assert "Took back your message and 1 turn; 0 turns left.\n" in talked.notes
    assert "There is nothing to undo." in talked.notes
    assert talked.drafts[3:5] == ["weather in Oslo", "one"]
    assert not talked.transcript.entries


def test_undo_reaches_into_what_was_continued(tmp_path: Path) -> None:
    done = talk("one", "two", save=Path("talk.json"))
    assert "agentkit chat talker.py --continue talk.json --save talk.json" in done.notes
    talked = talk("/undo", continued=Path("talk.json"))
    assert talked.transcript.turns == 1
    assert "… 1 turn before\n> two\n  2 3 items, last: 'two'\n" in talked.notes
    assert read_transcript(Path("talk.json")).turns == 2  # not asked to save


def test_fork_goes_on_in_a_copy_and_undo_comes_back() -> None:
    talked = talk("one", "two", "/fork 1", "three", "/undo", "/undo", save=Path("talk.json"))
    assert talked.answers[-1] == "3 items, last: 'three'"
    assert "A conversation of 1 turn goes on here in talk-2.json; talk.json stays as it is." in talked.notes
    assert "Back to talk.json of 2 turns." in talked.notes
    assert talked.transcript.turns == read_transcript(Path("talk.json")).turns == 2
    assert read_transcript(Path("talk-2.json")).turns == 1


@pytest.mark.parametrize(
    ("entry", "turns", "words"),
    [
        ("/fork", 2, "A conversation of 2 turns goes on here."),
        ("/fork 0", 0, "A new conversation begins here."),
        ("/fork 3", 2, "/fork 3: there are 2 turns. Give 0 to 2; /show has their numbers."),
        ("/fork -1", 2, "Give 0 to 2"),
        ("/fork ²", 2, "Give 0 to 2"),
        ("/fork one", 2, "Give 0 to 2"),
    ],
)
def test_fork_takes_a_turn(entry: str, turns: int, words: str) -> None:
    talked = talk("one", "two", entry)
    assert talked.transcript.turns == turns
    assert words in talked.notes


def test_a_fork_between_a_tool_and_its_answer_goes_on() -> None:
    talked = talk("weather in Oslo", "/fork 1", "/retry")
    assert talked.answers == ["It is: rain", "It is: rain"]


def test_save_keeps_it_from_there_on() -> None:
    talked = talk("one", "/save", "/save talk.json", "two", "/save")
    assert "/save needs the name of a file the first time: /save talk.json" in talked.notes
    assert "Saved in talk.json, and kept there from here on." in talked.notes
    path = Path("talk.json")
    assert read_transcript(path).turns == 2
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_names_may_hold_spaces_and_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    talk("one", "/save my talk.json", "/save '~/other talk.json'", "/save ~/third.json")
    assert read_transcript(tmp_path / "my talk.json").turns == 1
    assert read_transcript(tmp_path / "third.json").turns == 1
    assert (tmp_path / "other talk.json").exists()


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("/save talker.py", "/save talker.py: the file is there, and holds something else."),
        ("/save no/talk.json", "there is no folder 'no'"),
        ("/load", "/load needs the name of a file: /load talk.json"),
        ("/load none.json", "/load none.json: there is no such file."),
        ("/load talker.py", "/load talker.py: not a transcript"),
        ("/tools wether", "there is no tool 'wether'; there are weather."),
        ("/usage now", "/usage takes nothing after it. A message that begins with a slash"),
        ("/tols", "there is no command '/tols'. Did you mean /tools? /help lists them;"),
        ("/xyz", "there is no command '/xyz'. /help lists them;"),
    ],
)
def test_mistakes_say_what_to_do_and_nothing_changes(entry: str, words: str) -> None:
    talked = talk("one", entry, "two")
    assert words in talked.notes
    assert talked.answers[-1] == "3 items, last: 'two'"
    assert Path("talker.py").read_text() == TALKER


def test_load_shows_where_it_was_and_is_written_to_only_when_asked() -> None:
    talk("one", "two", "/save talk.json")
    talked = talk("other", "/load talk.json", "three", "/undo", "/undo")
    assert "Loaded talk.json: 2 turns. /save keeps what follows there." in talked.notes
    assert talked.answers[-1] == "5 items, last: 'three'"
    assert read_transcript(Path("talk.json")).turns == 2
    assert "Back to the conversation of 1 turn." in talked.notes
    saved = talk("/load talk.json", "three", "/save")
    assert "Saved in talk.json" in saved.notes
    assert read_transcript(Path("talk.json")).turns == 3


def test_save_over_another_conversation_is_said_first() -> None:
    talk("one", save=Path("talk.json"))
    talked = talk(save=Path("talk.json"))
    assert "! talk.json holds a conversation of 1 turn, which the next answer replaces." in talked.notes
    assert read_transcript(Path("talk.json")).turns == 1


@posix
def test_a_conversation_that_cannot_be_written_is_said_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()

    def remove() -> str:
        for path in (tmp_path / "sub").iterdir():
            path.unlink()
        (tmp_path / "sub").rmdir()
        return "two"

    talked = talk("one", remove, "three", save=Path("sub/talk.json"))
    assert "sub/talk.json can't be written: No such file or directory" in talked.notes
    assert len(talked.answers) == 3
    assert talked.code == 1


def test_show_numbers_the_turns() -> None:
    talked = talk("one", "weather in Oslo", "/show")
    assert talked.notes.endswith(
        "> one\n  1 1 items, last: 'one'\n> weather in Oslo\n  2 One moment.\n"
        '    ▸ weather(city="Oslo") → rain\n  3 It is: rain\nNot kept; --save FILE or /save FILE would.\n'
    )


def test_a_conversation_from_elsewhere_is_harmless(tmp_path: Path) -> None:
    evil = "\x1b]0;x\x07\x9b31m\u202e"
    items = [
        {"role": "user", "content": evil},
        {"type": "function_call", "call_id": "c", "name": "f" + evil, "arguments": evil},
        {"type": "function_call_output", "call_id": "c", "output": evil},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": evil}]},
        {
            "role": "user",
            "content": [{"type": "input_text", "text": evil}, {"type": "input_image", "image_url": "data:"}],
        },
    ]
    write_transcript(tmp_path / "evil.json", Transcript.from_items(items))  # type: ignore[arg-type]
    talked = talk("/load evil.json", "/show", "/fork 1")
    assert "> \\x1b]0;x\\x07\\x9b31m\\u202e [picture]" in talked.notes
    shown = [note.note for note in suggestions("/fork ", talked.chat)]
    for text in (talked.notes, *shown):
        assert not {char for char in text if char != "\n" and (ord(char) < 32 or 127 <= ord(char) < 160)}
        assert "\u202e" not in text


def test_calls_that_wait_come_before_a_message(tmp_path: Path) -> None:
    stopped = talk("weather in Oslo", "/save talk.json", max_turns=1)
    assert "LimitReached" in stopped.notes
    call = {"type": "function_call", "call_id": "c", "name": "weather", "arguments": '{"city": "Oslo"}'}
    asked = Transcript.from_items([{"role": "user", "content": "weather"}, call])
    write_transcript(tmp_path / "open.json", asked)
    talked = talk("and now?", "/retry", "and now?", continued=Path("open.json"))
    assert "! calls wait to be run (weather): /retry runs them, /undo takes them back." in talked.notes
    assert talked.drafts[1] == "and now?"
    assert talked.answers == ["It is: rain", "5 items, last: 'and now?'"]


def test_usage_counts_what_was_taken_back_too() -> None:
    talked = talk("one", "two", "/undo", "/usage")
    lines = [line for line in talked.notes.splitlines() if line.startswith(("conversation", "this chat"))]
    assert lines[0].startswith("conversation  1 turn · ")
    assert lines[1].startswith("this chat     2 turns · ")


def test_tools_and_help_list_what_there_is() -> None:
    talked = talk("/tools", "/tools weather", "/help", "/?")
    assert "weather  Current weather in a city.\n" in talked.notes
    assert "  city  string  Its name.\n" in talked.notes
    assert all(f"/{name}" in talked.notes for name in COMMANDS)


@pytest.mark.parametrize("entry", ["/quit", "/exit", "/Q"])
def test_quit_ends(entry: str) -> None:
    assert talk(entry, "one").answers == []


@pytest.mark.parametrize(
    ("entry", "is_one"),
    [
        ("/help", True),
        ("/no such", True),
        ("/", True),
        ("/etc/hosts is what?", False),
        (" /help", False),
        ("/1", False),
    ],
)
def test_a_path_is_no_command(entry: str, is_one: bool) -> None:
    assert is_command(entry) is is_one


def test_a_space_sends_a_slash() -> None:
    assert talk(" /help").answers == ["1 items, last: '/help'"]


def test_what_can_follow_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "talks").mkdir()
    (tmp_path / "talks" / "a.json").touch()
    chat = talk("one", "weather in Oslo").chat
    asked = [
        "/s",
        "/fork ",
        "/fork 3",
        "/tools w",
        "/load ta",
        "/load talks/",
        "/load .",
        "/usage ",
        "hi",
        "/no ",
        "/s\n",
    ]
    found = {text: [one.text for one in suggestions(text, chat)] for text in asked}
    assert found == {
        "/s": ["/show", "/save"],
        "/fork ": ["1", "2", "3"],
        "/fork 3": ["3"],
        "/tools w": ["weather"],
        "/load ta": ["talker.py", "talks/"],
        "/load talks/": ["a.json"],
        "/load .": [],
        "/usage ": [],
        "hi": [],
        "/no ": [],
        "/s\n": [],
    }


def test_deps_are_made_once(tmp_path: Path) -> None:
    (tmp_path / "talker.py").write_text(
        "from agentkit import Agent\nfrom agentkit.testing import ScriptedModel\nMADE = []\n"
        "def deps() -> int:\n    MADE.append(1)\n    return len(MADE)\n"
        "agent = Agent(model='m', deps_type=int, instructions=lambda number: f'You are {number}.')\n"
        "client = ScriptedModel(lambda request: request['instructions']).client()\n"
    )
    assert talk("one", "two").answers == ["You are 1.", "You are 1."]


# --- as a process -----------------------------------------------------------------------------------------


def test_piped_lines_are_messages_and_commands(shell: Shell) -> None:
    done = shell.run("chat", "talker.py", stdin="hi\ntwo \\\nlines\n/usage\nlast, without a newline")
    assert done.stdout.splitlines() == [
        "1 items, last: 'hi'",
        "3 items, last: 'two \\nlines'",
        "5 items, last: 'last, without a newline'",
    ]
    assert "> /usage\nconversation  2 turns · " in done.stderr
    assert done.returncode == 0
    assert not (shell.folder / "state").exists()


def test_a_line_that_is_no_text_fails_alone(shell: Shell) -> None:
    done = shell.run("chat", "talker.py", stdin=b"\xff\nhi\n")
    assert done.stdout == "1 items, last: 'hi'\n"
    assert "a line of stdin isn't UTF-8 (byte 0)" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("no.py",), "there is no file 'no.py' here"),
        (("talker.py", "--continue", "no.json"), "--continue no.json: there is no such file"),
        (("talker.py", "--save", "talker.py"), "holds something else"),
    ],
)
def test_mistakes_in_the_command_are_2(shell: Shell, args: tuple[str, ...], words: str) -> None:
    done = shell.run("chat", *args)
    assert done.returncode == 2
    assert words in done.stderr


def test_without_a_server_it_says_so_at_once(shell: Shell) -> None:
    shell.write("f.py", "from agentkit import Agent\nagent = Agent(model='m')\n")
    done = shell.run("chat", "f.py", stdin="hi\n")
    assert done.returncode == 2
    assert "no server: " in done.stderr


HELD_ONCE = """
import threading
from agentkit import Agent
from agentkit.testing import ScriptedModel, hold, text
agent = Agent(model="m")
def script(request):
    if request.last_text == "wait":
        return text("The first half", hold(threading.Event()))
    return f"{len(request['input'])} items"
client = ScriptedModel(script).client()
"""


@posix
def test_ctrl_c_stops_the_answer_and_keeps_the_chat(shell: Shell) -> None:
    shell.write("held_once.py", HELD_ONCE)
    terminal = open_chat(shell, "held_once.py", "--save", "talk.json", NO_COLOR="1")
    terminal.type("wait\r", "The first half")
    terminal.interrupt()  # the terminal of a test is nobody's, so its Ctrl-C is no signal
    terminal.type("", "/retry asks again", READY)
    assert "interrupted in the middle of an answer" in terminal.text
    terminal.type("go on\r", "2 items", READY)
    terminal.press("\x04")
    assert terminal.end() == 0
    kept = read_transcript(shell.folder / "talk.json")
    assert [item.get("role") for item in kept.items] == ["user", "user", "assistant"]
    assert "\x1b[31m" not in terminal.text


@posix
def test_ctrl_c_stops_a_tool_and_its_call_is_answered(shell: Shell) -> None:
    terminal = open_chat(shell, "slow.py", "--save", "talk.json")
    terminal.type("x\r", "slow(seconds=60)")
    terminal.interrupt()  # the terminal of a test is nobody's, so its Ctrl-C is no signal
    terminal.type("", "/undo takes your message back.", READY)
    terminal.type("and?\r", "Done.", READY)
    terminal.press("\x04")
    assert terminal.end() == 0
    kept = read_transcript(shell.folder / "talk.json")
    assert [item.get("type") for item in kept.items] == [
        "message", "function_call", "function_call_output", "message", "message",
    ]  # fmt: skip


@posix
def test_ctrl_c_at_the_prompt_is_no_end(shell: Shell) -> None:
    terminal = open_chat(shell, "talker.py")
    terminal.type("\x03", "Ctrl-D ends the chat.", READY)
    terminal.type("half a line\x03", READY)
    terminal.type("whole\r", "1 items, last: 'whole'", READY)
    terminal.press("\x04")
    assert terminal.end() == 0


@posix
def test_lines_are_edited_remembered_and_completed(shell: Shell) -> None:
    terminal = open_chat(shell, "talker.py")
    terminal.type("one\x1b\rtwo\\\rthree\r", "last: 'one\\ntwo\\nthree'", READY)
    terminal.type("\x1b[200~pasted\rlines\x1b[201~\r", "last: 'pasted\\nlines'", READY)
    terminal.type("\x1b[A\x1b[A\r", "5 items, last: 'pasted\\nlines'", READY)
    terminal.press("\x04")
    assert terminal.end() == 0
    history = shell.folder / "state" / "agentkit" / "chat_history"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert stat.S_IMODE(history.parent.stat().st_mode) == 0o700
    again = open_chat(shell, "talker.py")
    again.type("\x1b[A\x1b[A\r", "1 items, last: 'pasted\\nlines'", READY)
    again.type("/us", "tokens and rate limits")  # the menu
    again.type("\t\r\r", "conversation  1 turn", READY)
    again.press("\x04")
    assert again.end() == 0


@posix
def test_undo_gives_the_message_back_to_be_edited(shell: Shell) -> None:
    terminal = open_chat(shell, "talker.py")
    terminal.type("Oslo\r", "1 items, last: 'Oslo'", READY)
    terminal.type("/undo\r", "1 turn; 0 turns left.", READY, "Oslo")
    terminal.type(" and Bergen\r", "1 items, last: 'Oslo and Bergen'", READY)
    terminal.press("\x04")
    assert terminal.end() == 0


@posix
@pytest.mark.parametrize("busy", [False, True])
def test_a_closed_window_ends_in_order(shell: Shell, busy: bool) -> None:
    shell.write("held_once.py", HELD_ONCE)
    terminal = open_chat(shell, "held_once.py", "--save", "talk.json")
    terminal.type("hi\r", "1 items", READY)
    if busy:
        terminal.type("wait\r", "The first half")
    else:
        terminal.type("Z", "Z")  # the prompt has begun to read keys, which is after all else that it begins
    terminal.interrupt(signal.SIGTERM)
    assert terminal.end() == 128 + signal.SIGTERM
    assert len(read_transcript(shell.folder / "talk.json").entries) == (3 if busy else 2)
    assert "Traceback" not in terminal.text


@posix
def test_a_dumb_terminal_gets_plain_lines(shell: Shell) -> None:
    terminal = shell.terminal("chat", "talker.py", columns=40, TERM="dumb")
    terminal.wait_for("> ")
    terminal.type("hi\\\nyou\n", "1 items, last: 'hi\\nyou'")
    terminal.type("/tools\n", "tells all about one.")
    terminal.type("\x04", "Not kept")
    assert terminal.end() == 0
    assert "\x1b" not in terminal.text
    assert max(map(len, terminal.text.splitlines())) <= 40


def open_chat(shell: Shell, *args: str, **env: str) -> Terminal:
    terminal = shell.terminal("chat", *args, **env)
    terminal.type("", "Ctrl-D ends", READY)
    return terminal


def test_undo_of_a_load_goes_back_where_nothing_differs() -> None:
    talk("one", save=Path("talk.json"))
    talked = talk("/load talk.json", "/undo", continued=Path("talk.json"))
    assert "Back to the conversation of 1 turn." in talked.notes
    assert "Took back" not in talked.notes


def test_one_turn_is_one(tmp_path: Path) -> None:
    assert "/fork 5: there is 1 turn. Give 0 to 1;" in talk("one", "/fork 5").notes
    assert "/fork 5: there are 2 turns. Give 0 to 2;" in talk("one", "two", "/fork 5").notes


@posix
@pytest.mark.parametrize("columns", [22, 30, 45])
def test_the_help_fits_a_narrow_window(shell: Shell, columns: int) -> None:
    terminal = shell.terminal("chat", "talker.py", columns=columns, NO_COLOR="1")
    terminal.type("", READY)
    terminal.type("/help\r", "Ctrl-D", "ends", READY)
    terminal.press("\x04")
    terminal.end()
    shown = terminal.text.partition("this list")[2]
    lines = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line) for line in shown.splitlines()]
    assert max(map(len, lines[: lines.index("/quit") if "/quit" in lines else 10])) < columns
    if columns == 22:
        assert "\n/quit\n  end, as Ctrl-D does\n" in terminal.text
