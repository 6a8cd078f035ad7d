"""A conversation told again, with the number of each turn: what `/fork` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentkit.cli.display import CALL, DIM, ERROR, call_head, with_result
from agentkit.cli.lines import PROMPT
from agentkit.cli.terminal import fit, harmless, one_line
from agentkit.entries import InputEntry, OutputsEntry, ResponseEntry
from agentkit.items import is_message, message_text

if TYPE_CHECKING:
    from agentkit.cli.terminal import Stream
    from agentkit.entries import Entry, OutputRecord
    from agentkit.items import Item
    from agentkit.transcript import Transcript


def recite(transcript: Transcript, out: Stream, *, only_last: bool = False) -> None:
    """Write what was said and called; `only_last` from the user's last message on."""
    entries = transcript.entries
    inputs = [index for index, entry in enumerate(entries) if isinstance(entry, InputEntry)]
    first = inputs[-1] if only_last and inputs else 0
    turn = sum(isinstance(entry, ResponseEntry) for entry in entries[:first])
    if first:
        out.line(f"{out.glyphs.cut} {turn} {'turn' if turn == 1 else 'turns'} before", DIM)
    for index, entry in enumerate(entries[first:], first):
        if isinstance(entry, InputEntry):
            for item in entry.items:
                out.line(_indented(PROMPT, item_text(item)), "bold")
        elif isinstance(entry, ResponseEntry):
            turn += 1
            _recite_response(entry, turn, entries[index + 1] if index + 1 < len(entries) else None, out)


def turn_notes(transcript: Transcript) -> list[str]:
    """Return what each turn brought, in a few words."""
    found = []
    for entry in transcript.entries:
        if isinstance(entry, ResponseEntry):
            response = entry.response
            calls = ", ".join(f"{call.name}()" for call in response.calls)
            found.append(fit(one_line(response.output_text or response.refusal or calls or response.status), 50))
    return found


def item_text(item: Item) -> str:
    """Return what a message says, pictures and files as words in brackets; of another item its type."""
    content = item.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return f"[{item.get('type')}]"
    kinds = {"input_image": "[picture]", "input_file": "[file]"}
    parts = (part if isinstance(part, dict) else {} for part in content)
    return " ".join(
        str(part.get("text") or kinds.get(str(part.get("type")), f"[{part.get('type')}]")) for part in parts
    )


def _recite_response(entry: ResponseEntry, turn: int, after: Entry | None, out: Stream) -> None:
    response = entry.response
    head = f"{turn:>3} "
    said = [text for item in response.output if is_message(item) and (text := message_text(item))]
    for text in (*said, response.refusal or ""):
        if text:
            out.line(_indented(head, text))
            head = "    "
    notes: list[tuple[OutputRecord | None, str]] = []
    if isinstance(after, OutputsEntry):
        notes += [(r, str(item.get("output"))) for r, item in zip(after.records, after.items, strict=False)]
    for index, call in enumerate(response.calls):
        record, output = notes[index] if index < len(notes) else (None, "not run yet")
        line = call_head(call.name, call.arguments, out.columns - 4, out.glyphs)
        failed = record is None or record.outcome != "ok"
        out.write(head)
        out.write(line, CALL)
        room_for = " " * 4 + line  # the number takes four columns too
        out.write(with_result(room_for, output, out, failed=failed)[len(room_for) :] + "\n", ERROR if failed else DIM)
        head = "    "
    if response.status != "completed" or head.strip():
        out.line(f"{head}[{one_line(response.status)}]", DIM)


def _indented(head: str, text: str) -> str:
    return head + harmless(text).replace("\n", "\n" + " " * len(head))
