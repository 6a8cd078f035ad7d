"""A conversation on a page: who said what, each turn under a line of its own, nested agents beneath their calls."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len

from agentkit.cli.display import CALL, DIM, ERROR, WARNING, dotted, duration, show_arguments, tokens
from agentkit.cli.terminal import harmless, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentkit.cassettes.review.conversation import Conversation, Said, Turn
    from agentkit.cli.terminal import Stream

MOST_LINES: Final = 20
"""Lines shown of a text, unless all is asked for."""
MOST_CHARACTERS: Final = 2000
"""Characters shown of a line, unless all is asked for: JSON has no line ends."""

STYLES: Final = {"user": "bold", "assistant": "", "refusal": WARNING}
"""How what is said is shown; all else is dimmed."""


class Page:
    """Writes to a stream, indented; everything is made harmless here."""

    def __init__(self, out: Stream, *, full: bool = False, margin: str = "") -> None:
        self.out = out
        self._full = full
        self._margin = margin

    def indented(self, margin: str) -> Page:
        """Return the same page, further in."""
        return Page(self.out, full=self._full, margin=self._margin + margin)

    def line(self, text: str, style: str = "") -> None:
        """Write a line that was made harmless."""
        self.out.break_line()
        self.out.write(self._margin, DIM)
        self.out.write(text, style)
        self.out.write("\n")

    def say(self, label: str, text: str, style: str = "", label_style: str = DIM) -> None:
        """Write what was said, behind or below its label; later lines stand further in."""
        lines = self._wrapped(self._cut(harmless(text)), len(label) + 2)
        self.out.break_line()
        self.out.write(self._margin, DIM)
        self.out.write(f"{label}  ", label_style)
        for index, line in enumerate(lines or [""]):
            if index:
                self.out.write(f"{self._margin}  ")
            self.out.write(line, style)
            self.out.write("\n")

    def _cut(self, text: str) -> list[str]:
        lines = text.split("\n")
        if self._full:
            return lines
        cut = self.out.glyphs.cut
        shown = [
            line
            if len(line) <= MOST_CHARACTERS
            else f"{line[:MOST_CHARACTERS]}{cut} ({len(line):,} characters; --full shows all)"
            for line in lines[:MOST_LINES]
        ]
        if len(lines) > MOST_LINES:
            shown.append(f"{cut} ({len(lines) - MOST_LINES:,} more lines; --full shows all)")
        return shown

    def _wrapped(self, lines: Iterable[str], taken: int) -> list[str]:
        """Break lines between words where a terminal would break within them."""
        if not self.out.is_terminal:
            return list(lines)
        found: list[str] = []
        room = max(self.out.columns - cell_len(self._margin) - 2, 10)
        for line in lines:
            first = max(room - taken, 10) if not found else room
            padded = " " * (room - first) + line.expandtabs(4)  # the first line has its label before it
            broken = textwrap.wrap(padded, room, replace_whitespace=False, break_on_hyphens=False) or [""]
            found += [broken[0][room - first :] if not found else broken[0], *broken[1:]]
        return found


def write_conversations(conversations: Sequence[Conversation], page: Page, *, only: int | None = None) -> None:
    """Write each conversation that no call of another one ran; `only` this turn, as the file counts."""
    nested = {conversation.lane for conversation in conversations if is_beneath(conversation, conversations)}
    for index, conversation in enumerate(conversations):
        if conversation.lane in nested and only is None:
            continue
        turns = [turn for turn in conversation.turns if only in (None, turn.number)]
        if not turns:
            continue
        if only is None and len(conversations) - len(nested) > 1:
            page.out.write("\n" if index else "")
            page.line(f"conversation {_begins(conversation)}", "bold")
        for turn in turns:
            write_turn(turn, page, conversations if only is None else ())


def write_turn(turn: Turn, page: Page, conversations: Sequence[Conversation] = ()) -> None:
    """Write one turn, with what its calls' own agents said beneath them."""
    page.out.write("\n" if page.out.writes else "")
    for text in dotted(f"{page.out.glyphs.dash} ", turn_parts(turn), page.out):
        page.line(text, DIM)
    _write_fields(turn.fields, page)
    for said in turn.added:
        write_said(said, page)
    for attempt in turn.failed:
        page.say("attempt failed", one_line(attempt.problem), WARNING, WARNING)
    for said in turn.said:
        write_said(said, page)
        if said.by == "call":
            _write_nested(said, page, conversations)
    if turn.problem:
        page.say("problem", one_line(turn.problem), ERROR, ERROR)


def turn_parts(turn: Turn) -> list[str]:
    """Return the parts of a turn's head: its number, its tokens, its times."""
    parts = [f"turn {turn.number}"]
    if turn.usage:
        parts.append(tokens(turn.usage))
    if turn.total_ms is not None:
        parts.append(duration(turn.total_ms / 1000))
        if turn.first_ms is not None and turn.chunks > 1:
            parts.append(f"first piece after {duration(turn.first_ms / 1000)}")
    return parts


def write_said(said: Said, page: Page) -> None:
    """Write one thing that was said; a call with what it gave."""
    if said.by != "call":
        page.say(one_line(said.by), said.text, STYLES.get(said.by, DIM))
        return
    glyphs = page.out.glyphs
    page.line(f"{glyphs.call} {one_line(said.name)}({show_arguments(said.text)})", CALL)
    failed = said.outcome != "ok"
    arrow = glyphs.failed if failed else glyphs.arrow
    told = "no output was recorded" if said.output is None else said.output
    note = f"[{said.outcome}] " if failed else ""
    page.say(f"  {arrow}", note + told, ERROR if failed else DIM, ERROR if failed else DIM)


def _write_fields(fields: Sequence[Said], page: Page) -> None:
    tools = [said for said in fields if said.by == "tool"]
    settings = [said for said in fields if said.by == "setting"]
    for said in fields:
        if said.by not in ("tool", "setting"):
            page.say(said.by, said.text, DIM)
    if tools and page.out and not page._full:  # noqa: SLF001
        page.say("tools", ", ".join(said.name for said in tools), DIM)
    elif tools:
        for said in tools:
            page.say(f"tool {one_line(said.name)}", said.text, DIM)
    if settings:
        page.say("settings", ", ".join(f"{said.name}={said.text}" for said in settings), DIM)


def _write_nested(call: Said, page: Page, conversations: Sequence[Conversation]) -> None:
    for conversation in conversations:
        if conversation.lane.rpartition("/")[2] == call.call_id and call.call_id:
            inner = page.indented("  | " if page.out.glyphs.dash == "--" else "  │ ")
            for turn in conversation.turns:
                write_turn(turn, inner, conversations)


def is_beneath(conversation: Conversation, conversations: Sequence[Conversation]) -> bool:
    """Tell whether a conversation stands beneath a call that some other one shows."""
    call_id = conversation.lane.rpartition("/")[2]
    return bool(call_id) and any(
        said.call_id == call_id for other in conversations for turn in other.turns for said in turn.calls
    )


def _begins(conversation: Conversation) -> str:
    first = conversation.turns[0].number
    if conversation.follows is not None:
        return f"from turn {first} on, going on from turn {conversation.follows}"
    where = f", beneath {one_line(conversation.lane)}" if conversation.lane else ""
    return f"from turn {first} on{where}"
