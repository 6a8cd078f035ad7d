"""What a chat does besides asking: the commands that begin with a slash."""

from __future__ import annotations

import difflib
import os
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from agentkit.cli.catalogue import offered_tools, show_tool
from agentkit.cli.display import CALL, DIM, dotted, tokens
from agentkit.cli.lines import Suggestion
from agentkit.cli.recital import recite, turn_notes
from agentkit.cli.saving import check_writable, read_transcript
from agentkit.cli.terminal import fit, one_line
from agentkit.entries import InputEntry, OutputsEntry, ResponseEntry
from agentkit.errors import UsageError
from agentkit.step import Finish, next_action

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from agentkit.cli.chat import Chat

MOST_FILES: Final = 200
"""Names offered to complete a path."""

BESIDE: Final = 20
"""Columns that a help needs to stand beside its command."""

_COMMAND: Final = re.compile(r"/([a-z?]*)(?:\s+(.*))?", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a chat."""

    name: str
    help: str
    run: Callable[[Chat, str], None]
    argument: Literal["", "FILE", "[FILE]", "[TURN]", "[TOOL]"] = ""


def is_command(entry: str) -> bool:
    """Tell whether an entry is for the chat and not for the model: `/name`, but neither `/a/path` nor ` /name`."""
    return entry.startswith("/") and _COMMAND.fullmatch(entry.rstrip()) is not None


def run_command(entry: str, chat: Chat) -> None:
    """Do what an entry says. Raises UsageError for a command that there isn't, or that can't be obeyed."""
    match = _COMMAND.fullmatch(entry.rstrip())
    name, argument = (match[1].lower(), (match[2] or "").strip()) if match is not None else ("", "")
    name = ALIASES.get(name, name)
    if name not in COMMANDS:
        raise UsageError(f"there is no command {entry.split()[0]!r}.{_near(name)} /help lists them; {_TO_MODEL}")
    command = COMMANDS[name]
    if argument and not command.argument:
        raise UsageError(f"/{name} takes nothing after it. {_TO_MODEL[0].upper()}{_TO_MODEL[1:]}")
    if not argument and command.argument == "FILE":
        raise UsageError(f"/{name} needs the name of a file: /{name} talk.json")
    command.run(chat, argument)


_TO_MODEL: Final = "a message that begins with a slash is sent with a space before it."


def suggestions(text: str, chat: Chat) -> Iterable[Suggestion]:
    """Return ways to go on with what stands before the cursor."""
    if not text.startswith("/") or "\n" in text:
        return
    name, space, argument = text[1:].partition(" ")
    if not space:
        for command in COMMANDS.values():
            if command.name.startswith(name.lower()):
                yield Suggestion(f"/{command.name}", len(text), command.help)
        return
    found = COMMANDS.get(ALIASES.get(name, name))
    match found.argument if found is not None else "":
        case "FILE" | "[FILE]":
            yield from _paths(argument)
        case "[TURN]":
            for turn, note in enumerate(turn_notes(chat.talk.transcript), 1):
                if str(turn).startswith(argument):
                    yield Suggestion(str(turn), len(argument), note)
        case "[TOOL]":
            for tool in offered_tools(chat.agent):
                if tool.name.startswith(argument):
                    yield Suggestion(tool.name, len(argument), _first_line(tool.description, 50))


def _paths(begun: str) -> Iterator[Suggestion]:
    folder, _, start = begun.rpartition("/")
    place = Path(f"{folder}/" if folder or begun.startswith("/") else ".").expanduser()
    try:
        names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in os.scandir(place))
    except (OSError, RuntimeError):
        return
    hidden = start.startswith(".")
    fitting = (name for name in names if name.startswith(start) and (hidden or not name.startswith(".")))
    for name, _ in zip(fitting, range(MOST_FILES), strict=False):
        yield Suggestion(name, len(start))


def _near(name: str) -> str:
    near = difflib.get_close_matches(name, [*COMMANDS, *ALIASES], 2, 0.5)
    return f" Did you mean {' or '.join(f'/{found}' for found in near)}?" if near else ""


def _path_of(argument: str) -> Path:
    quoted = len(argument) > 1 and argument[0] == argument[-1] and argument[0] in "'\""
    try:
        return Path(argument[1:-1] if quoted else argument).expanduser()
    except RuntimeError as exc:
        raise UsageError(f"{argument}: {exc}") from exc


def _save(chat: Chat, argument: str) -> None:
    path = _path_of(argument) if argument else chat.talk.path or chat.origin
    if path is None:
        raise UsageError("/save needs the name of a file the first time: /save talk.json")
    check_writable(path, asked="/save")
    if path != chat.talk.path:
        chat.move(path)
    elif not chat.keep():
        return
    if not chat.is_lost:
        chat.note(f"Saved in {path}, and kept there from here on.")


def _load(chat: Chat, argument: str) -> None:
    path = _path_of(argument)
    transcript = read_transcript(path, asked="/load")
    chat.load(transcript, path)
    recite(transcript, chat.notes, only_last=True)
    chat.note(f"Loaded {path}: {_turns(transcript.turns)}. /save keeps what follows there.")


def _fork(chat: Chat, argument: str) -> None:
    transcript = chat.talk.transcript
    turns = transcript.turns
    if argument and not (argument.isascii() and argument.isdigit() and int(argument) <= turns):
        there = f"there {'is' if turns == 1 else 'are'} {_turns(turns)}"
        raise UsageError(f"/fork {argument}: {there}. Give 0 to {turns}; /show has their numbers.")
    kept = transcript.fork(turn=int(argument)) if argument else transcript
    path = _free_name(chat.talk.path) if chat.talk.path is not None else None
    where = f" in {path}; {chat.talk.path} stays as it is" if path is not None else ""
    chat.fork(kept, path)
    if kept.turns or path is not None:
        chat.note(f"A conversation of {_turns(kept.turns)} goes on here{where}. /undo goes back.")
    else:
        chat.note("A new conversation begins here. /undo goes back.")


def _undo(chat: Chat, _: str) -> None:
    before = chat.talk
    if not chat.undo():
        chat.note("There is nothing to undo.")
        return
    now = chat.talk
    kept, given = len(now.transcript.entries), before.transcript.entries
    taken = given[kept:]
    if not taken or given[:kept] != now.transcript.entries or now.path != before.path:
        chat.note(f"Back to {'the conversation' if now.path is None else now.path} of {_turns(now.transcript.turns)}.")
        return
    chat.draft = _text_of(taken)
    ran = any(record.outcome != "not_run" for e in taken if isinstance(e, OutputsEntry) for record in e.records)
    stays = " What tools did stays done." if ran else ""
    gone = sum(isinstance(entry, ResponseEntry) for entry in taken)
    what = f"your message and {_turns(gone)}" if gone else "your message"
    chat.note(f"Took back {what}; {_turns(now.transcript.turns)} left.{stays}")


def _retry(chat: Chat, _: str) -> None:
    transcript = chat.talk.transcript
    if not transcript.entries:
        raise UsageError("/retry: nothing has been asked yet.")
    if isinstance(next_action(transcript), Finish):
        raise UsageError("/retry: there is an answer. /undo takes it back with your message, to be sent again.")
    chat.ask(None)


def _show(chat: Chat, _: str) -> None:
    if chat.talk.transcript.entries:
        recite(chat.talk.transcript, chat.notes)
    else:
        chat.note("Nothing has been said yet.")


def _tools(chat: Chat, argument: str) -> None:
    tools = offered_tools(chat.agent)
    if argument:
        named = [tool for tool in tools if tool.name == argument]
        if not named:
            names = [tool.name for tool in tools]
            known = ", ".join(difflib.get_close_matches(argument, names, 3) or names) or "none"
            raise UsageError(f"there is no tool {argument!r}; there are {known}.")
        show_tool(named[0], chat.notes)
        return
    if not tools:
        chat.note("The agent has no tools.")
        return
    width = min(max(len(tool.name) for tool in tools), chat.notes.columns // 2)
    for tool in tools:
        chat.notes.break_line()
        chat.notes.write(f"{fit(one_line(tool.name), width):<{width}}", CALL)
        chat.notes.write(f"  {_first_line(tool.description, max(chat.notes.columns - width - 2, 4))}\n", DIM)
    chat.note("/tools NAME tells all about one.")


def _usage(chat: Chat, _: str) -> None:
    transcript = chat.talk.transcript
    now, all_of_it = [_turns(transcript.turns)], [_turns(chat.asked)]
    if transcript.turns:
        now.append(tokens(transcript.usage))
        last = [e for e in transcript.entries if isinstance(e, ResponseEntry)][-1].response.usage
        if last.total_tokens or (last.input_tokens and last.output_tokens):
            size = last.total_tokens or (last.input_tokens or 0) + (last.output_tokens or 0)
            now.append(f"{size:,} tokens long")
    if chat.asked:
        all_of_it.append(tokens(chat.spent))
        all_of_it += [
            f"{count:,} {what}"
            for count, what in ((chat.spent.cached_tokens, "cached"), (chat.spent.reasoning_tokens, "of reasoning"))
            if count
        ]
    limits = [f"{one_line(name)} {one_line(value)}" for name, value in chat.client.stats.rate_limits.items()]
    for head, parts in (("conversation  ", now), ("this chat     ", all_of_it), ("rate limits   ", limits)):
        for line in dotted(head, parts, chat.notes) if parts else ():
            chat.notes.line(line, DIM)


def _help(chat: Chat, _: str) -> None:
    width = max(len(f"/{command.name} {command.argument}") for command in COMMANDS.values())
    room = chat.notes.columns - width - 2
    for command in COMMANDS.values():
        usage = f"/{command.name} {command.argument}"
        if room < BESIDE:
            head, lines, indent = "", [usage.rstrip()], "  "
        else:
            head, lines, indent = f"{usage:<{width}}  ", [], " " * (width + 2)
        lines += textwrap.wrap(
            command.help, chat.notes.columns, initial_indent=head or indent, subsequent_indent=indent
        )
        for line in lines:
            chat.notes.line(line)
    chat.note(
        "Enter sends; a backslash before it, Alt-Enter or Ctrl-J breaks the line; Ctrl-X Ctrl-E opens $EDITOR. "
        "Ctrl-C stops an answer, Ctrl-R searches what you said before, Ctrl-D ends."
    )


def _quit(chat: Chat, _: str) -> None:
    chat.has_ended = True


COMMANDS: Final = {
    command.name: command
    for command in (
        Command("help", "this list", _help),
        Command("retry", "ask again what has no answer", _retry),
        Command("undo", "take back your last message and its answer, or a /fork or /load", _undo),
        Command("fork", "go on in a copy, up to a turn if one is given", _fork, "[TURN]"),
        Command("show", "tell the conversation again, with the numbers of its turns", _show),
        Command("save", "keep the conversation in a file from here on", _save, "[FILE]"),
        Command("load", "go on with the conversation of a file", _load, "FILE"),
        Command("tools", "list the tools, or all about one", _tools, "[TOOL]"),
        Command("usage", "tokens and rate limits so far", _usage),
        Command("quit", "end, as Ctrl-D does", _quit),
    )
}
ALIASES: Final = {"": "help", "?": "help", "exit": "quit", "q": "quit", "history": "show", "again": "retry"}


def _turns(count: int) -> str:
    return f"{count} {'turn' if count == 1 else 'turns'}"


def _first_line(text: str | None, columns: int) -> str:
    return fit(one_line((text or "").strip().partition("\n")[0]), columns)


def _text_of(entries: Iterable[object]) -> str:
    """Return the text of the message that a conversation was taken back to; empty where it isn't just text."""
    first = next(iter(entries), None)
    content = first.items[-1].get("content") if isinstance(first, InputEntry) and first.items else None
    return content if isinstance(content, str) else ""


def _free_name(path: Path) -> Path:
    """Return the first of `talk-2.json`, `talk-3.json` ... that isn't there."""
    stem = re.sub(r"-\d+\Z", "", path.stem)
    return next(
        free for number in range(2, 100_000) if not (free := path.with_name(f"{stem}-{number}{path.suffix}")).exists()
    )
