"""`agentkit cassettes show`: one recording as a conversation."""

from __future__ import annotations

import dataclasses
import os
import re
from typing import TYPE_CHECKING, Final

from agentkit import json
from agentkit.cassettes.files import find_file, read
from agentkit.cassettes.review.asked import read_requests
from agentkit.cassettes.review.conversation import read_conversations
from agentkit.cli.cassettes.outcome import reported, write_json
from agentkit.cli.cassettes.page import Page, write_conversations
from agentkit.cli.display import DIM, dotted, tokens
from agentkit.cli.terminal import fit, one_line, open_outputs
from agentkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from agentkit.cassettes.interaction import Recording
    from agentkit.cassettes.matching.rules import NotCounted
    from agentkit.cassettes.review.conversation import Conversation
    from agentkit.cli.terminal import Outputs
    from agentkit.json import JSON

_ITEM: Final = re.compile(r"input\[(\d+)\]")


def show_cassette(path: Path, *, turn: int | None, full: bool, as_json: bool) -> int:
    """Write a cassette's conversations, and return the exit code."""

    def show(outputs: Outputs) -> int:
        place, recording = open_cassette(path)
        conversations = read_conversations(recording)
        if turn is not None and turn > len(recording):
            raise UsageError(f"turn {turn} asked for; {place} has {len(recording)}. Give one of 1 to {len(recording)}.")
        if as_json:
            write_json(conversations_object(conversations, only=turn), outputs)
            return 0
        page = Page(outputs.answer, full=full)
        write_head(place, recording, conversations, page)
        write_conversations(conversations, page, only=turn)
        return 0

    with open_outputs(os.environ) as outputs:
        return reported(show, outputs)


def open_cassette(path: Path) -> tuple[Path, Recording]:
    """Return a cassette and its place: the pending one or the journal where that is named, else the newest."""
    file = find_file(path)
    place = path if path.is_file() else file.newest
    return place, read(place)


def write_head(place: Path, recording: Recording, conversations: Sequence[Conversation], page: Page) -> None:
    """Write what a cassette says of itself."""
    page.line(one_line(str(place)), "bold")
    parts = [f"{len(recording)} {'turn' if len(recording) == 1 else 'turns'}"]
    usages = [turn.usage for conversation in conversations for turn in conversation.turns if turn.usage]
    if usages:
        parts.append(tokens(sum(usages[1:], usages[0])))
    head = recording.head
    parts += [
        one_line(f"{word}{value}") for word, value in (("recorded ", head.recorded), ("by ", head.server)) if value
    ]
    for line in dotted("", parts, page.out):
        page.line(line, DIM)


def conversations_object(conversations: Sequence[Conversation], *, only: int | None) -> JSON:
    """Return conversations as JSON values: the fields of `Conversation`, `Turn` and `Said`."""
    found: list[JSON] = []
    for conversation in conversations:
        turns = tuple(turn for turn in conversation.turns if only in (None, turn.number))
        if turns:
            value = dataclasses.asdict(dataclasses.replace(conversation, turns=turns))
            for turn in value["turns"]:
                turn["usage"] = {k: v for k, v in turn["usage"].items() if v is not None and k != "raw"}
            found.append(value)
    return found


def show_ignored(path: Path, *, as_json: bool) -> int:
    """Write what of a cassette's requests doesn't count when they are matched, and return the exit code."""

    def show(outputs: Outputs) -> int:
        place, recording = open_cassette(path)
        found = list(_not_counted(recording))
        if as_json:
            write_json([{"turn": turn, **dataclasses.asdict(entry)} for turn, entry in found], outputs)
            return 0
        out = outputs.answer
        last = 0
        for turn, entry in found:
            if turn != last:
                out.line(f"{out.glyphs.dash} turn {turn}", DIM)
                last = turn
            value = fit(one_line(json.encode(entry.value).decode()), 60, mark=out.glyphs.cut)
            out.write(f"{one_line(entry.path)}  ")
            out.write(f"{value}  ({entry.why})\n", DIM)
        if not found:
            outputs.notes.line(f"{one_line(str(place))}: all that its requests hold counts.")
        return 0

    with open_outputs(os.environ) as outputs:
        return reported(show, outputs)


def _not_counted(recording: Recording) -> Iterator[tuple[int, NotCounted]]:
    """Yield what doesn't count of each request, where it was said first."""
    from agentkit.cassettes.matching.rules import Rules, ignored_fields

    rules = Rules()
    for index, asked in enumerate(read_requests(recording)):
        if asked is None:
            continue
        for entry in ignored_fields(bytes(recording.interactions[index].body), rules):
            item = _ITEM.match(entry.path)
            if int(item[1]) >= asked.history if item else asked.parent is None:
                yield index + 1, entry
