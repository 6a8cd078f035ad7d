"""A stream of server-sent events as a cassette shows it, exact to the byte.

Most events are a mapping, the JSON of their `data:` line. What isn't framed like the rest has its lines named,
`{$event: ping, $id: '3', $data: {...}}`, or is a text of its lines: comments, `data: [DONE]`. What follows the last
blank line, as in a stream that was cut, is `$rest`.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, cast

from agentkit import json
from agentkit.cassettes.format import bodies, deltas
from agentkit.cassettes.format.echoes import Echoes, is_echo
from agentkit.cassettes.format.layout import Row
from agentkit.cassettes.format.styles import COMPACT, Style, recognise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentkit.cassettes.format.document import Spot

KEYS = ("events", "framing", "style")
_FIELDS = ("event", "id", "retry", "data")
_WORDS = ("unnamed", "tight", "crlf")
_CHUNK = re.compile(r"([0-9]{1,12})(?:\+([0-9]{1,12}))?(?:\*([0-9]{1,12}))?")


class Framing(NamedTuple):
    """How a server frames its events."""

    named: bool = True
    """Whether an `event:` line with the event's type stands above its data."""
    space: bool = True
    """Whether a space follows the colon."""
    crlf: bool = False
    """Whether lines end with CR LF."""

    @property
    def words(self) -> str:
        """The framing as a cassette names it; empty for the usual one."""
        flags = (not self.named, not self.space, self.crlf)
        return ", ".join(word for word, flag in zip(_WORDS, flags, strict=True) if flag)

    @classmethod
    def named_by(cls, spot: Spot) -> Framing:
        """Return the framing that `words` name."""
        words = spot.text().split(", ") if spot.value != "" else []
        if any(word not in _WORDS for word in words):
            spot.wrong(f"any of {', '.join(_WORDS)}, separated by ', '")
        return cls("unnamed" not in words, "tight" not in words, "crlf" in words)

    @property
    def line_end(self) -> bytes:
        return b"\r\n" if self.crlf else b"\n"

    @property
    def colon(self) -> bytes:
        return b": " if self.space else b":"

    def block(self, event: dict[str, object], style: Style) -> bytes:
        """Return the lines of an event."""
        data = b"data" + self.colon + style.encode(event)
        if not self.named:
            return data
        return b"event" + self.colon + cast("str", event["type"]).encode() + self.line_end + data


def is_stream(data: bytes) -> bool:
    """Whether a body looks like server-sent events."""
    return data.startswith((b"event:", b"data:", b":", b"id:", b"retry:", b"\xef\xbb\xbfdata:", b"\xef\xbb\xbfevent:"))


def blocks_of(data: bytes) -> tuple[list[bytes], bytes, bool]:
    """Return a stream's blocks, what follows the last of them, and whether its lines end with CR LF."""
    crlf = b"\r\n" in data and data.count(b"\n") == data.count(b"\r\n")
    *blocks, rest = data.split(b"\r\n\r\n" if crlf else b"\n\n")
    return blocks, rest, crlf


def stream_form(data: bytes, echoes: Echoes) -> Iterator[tuple[dict[str, object], list[int]]]:
    """Give a stream as events, with the place in bytes where each of them ends; nothing where it is none."""
    if not is_stream(data):
        return
    blocks, rest, crlf = blocks_of(data)
    framing, style = _framing(blocks or [rest], crlf)
    try:
        entries: list[object] = [_entry(block, framing, style) for block in blocks]
        if rest:
            entries.append({"$rest": rest.decode()})
    except UnicodeDecodeError:
        return
    short = [_shortened(entry, echoes) for entry in entries]
    form: dict[str, object] = {"events": deltas.joined(short)}
    if framing.words:
        form["framing"] = framing.words
    if style.words:
        form["style"] = style.words
    yield form, _ends(blocks, rest, crlf)


def _ends(blocks: list[bytes], rest: bytes, crlf: bool) -> list[int]:
    gap = 4 if crlf else 2
    sizes = [len(block) + gap for block in blocks]
    return list(accumulate([*sizes, len(rest)] if rest else sizes))


def _framing(blocks: list[bytes], crlf: bool) -> tuple[Framing, Style]:
    """Return how the first event with JSON in it is framed, and how its JSON is spelled."""
    for block in blocks:
        named = block.startswith(b"event:")
        for line in block.splitlines():
            if line.startswith(b"data:") and (found := recognise(line[5:].removeprefix(b" "))):
                return Framing(named, line.startswith(b"data: "), crlf), _style(blocks, found[1])
    return Framing(crlf=crlf), COMPACT


def _style(blocks: list[bytes], first: Style) -> Style:
    """Return the style of a stream: whether other characters are escaped shows only where there are any."""
    if not any(b"\\u" in block for block in blocks):
        return first
    html = any(b"\\u003c" in block or b"\\u003e" in block or b"\\u0026" in block for block in blocks)
    return first._replace(ascii=all(block.isascii() for block in blocks), html=html)


def _entry(block: bytes, framing: Framing, style: Style) -> object:
    event = _usual(block, framing, style)
    if event is not None:
        return event
    text = block.decode()
    return _named(block, framing, style) or (text.replace("\r\n", "\n") if framing.crlf else text)


def _usual(block: bytes, framing: Framing, style: Style) -> dict[str, object] | None:
    """Return the event of a block that is framed like the rest."""
    mark = b"data" + framing.colon
    at = block.find(mark) if framing.named else 0
    if at < 0 or not block.startswith(mark, at):
        return None
    event = _decoded(block[at + len(mark) :])
    if event is None or not isinstance(event.get("type", ""), str) or _is_ours(event):
        return None
    if framing.named and "type" not in event:
        return None
    try:
        return event if framing.block(event, style) == block else None
    except json.JSONError:
        return None


def _named(block: bytes, framing: Framing, style: Style) -> dict[str, object] | None:
    """Return an event with its lines named, where each is of another field and one is JSON in the stream's style."""
    found: dict[str, object] = {}
    for line in block.split(framing.line_end):
        name, colon, value = line.partition(framing.colon)
        field = name.decode()
        if not colon or field not in _FIELDS or f"${field}" in found:
            return None
        if field != "data":
            found[f"${field}"] = value.decode()
            continue
        event = _decoded(value)
        if event is None or style.encode(event) != value:
            return None
        found["$data"] = event
    return found if "$data" in found else None


def _shortened(entry: object, echoes: Echoes) -> object:
    return echoes.shorten(entry) if isinstance(entry, dict) and not _is_ours(entry) else entry


def _is_ours(event: dict[str, object]) -> bool:
    """Whether an event would be read as something else than itself."""
    return deltas.is_run(event) or is_echo(event) or any(key.startswith("$") for key in event)


def _decoded(data: bytes) -> dict[str, object] | None:
    try:
        value = json.decode(data)
    except json.JSONError:
        return None
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def read_stream(spot: Spot, echoes: Echoes) -> tuple[bytes, list[int]]:
    """Return the bytes of a stream, and where each event ends, from the mapping that holds it."""
    framing = Framing.named_by(spot.member("framing", ""))
    style = Style.named(spot.member("style", ""))
    blocks: list[bytes] = []
    rest = b""
    entries = spot.member("events").members("a list of events")
    for index, entry in enumerate(entries):
        if isinstance(entry.value, dict) and "$rest" in entry.value:
            entry.mapping("the end of a stream", ("$rest",))
            if index + 1 < len(entries):
                entry.fail("found events after $rest; allowed is $rest as the last entry")
            rest = bodies.encoded_text(entry.member("$rest"))
        else:
            _read_entry(entry, framing, style, echoes, blocks)
    gap = framing.line_end * 2
    return b"".join([each for block in blocks for each in (block, gap)]) + rest, _ends(blocks, rest, framing.crlf)


def _read_entry(entry: Spot, framing: Framing, style: Style, echoes: Echoes, blocks: list[bytes]) -> None:
    event = entry.value
    if isinstance(event, str):
        data = bodies.encoded_text(entry)
        blocks.append(data.replace(b"\n", b"\r\n") if framing.crlf else data)
    elif not isinstance(event, dict):
        entry.wrong("an event: a mapping, or a text of its lines")
    elif any(key.startswith("$") for key in event):
        blocks.append(_read_named(entry, framing, style))
    elif framing.named and not isinstance(event.get("type"), str):
        entry.member("type").wrong("the event's type, a text")
    else:
        try:
            events = deltas.split(event, entry) if deltas.is_run(event) else (echoes.restore(entry),)
            blocks.extend([framing.block(each, style) for each in events])
        except (json.JSONError, UnicodeEncodeError) as exc:
            entry.fail(str(exc))


def _read_named(entry: Spot, framing: Framing, style: Style) -> bytes:
    lines: list[bytes] = []
    for key in entry.mapping("an event with its lines named", tuple(f"${field}" for field in _FIELDS)):
        member = entry.member(key)
        value = bodies.encoded(member, style) if key == "$data" else bodies.encoded_text(member)
        lines.append(key[1:].encode() + framing.colon + value)
    return framing.line_end.join(lines)


def chunk_form(sizes: Sequence[int], ends: Sequence[int]) -> list[object]:
    """Return where chunks of these sizes end: after so many events further, `2`, or in the middle of one, `2+117`.

    `ends` are the places where events end. Equal ones in a row are written once, `1*40`.
    """
    found: list[str | int] = []
    passed = place = 0
    for end in accumulate(sizes):
        before = passed
        while passed < len(ends) and ends[passed] <= end:
            place = ends[passed]
            passed += 1
        found.append(passed - before if end == place else f"{passed - before}+{end - place}")
    return counted(found)


def counted(entries: Sequence[str | int]) -> list[object]:
    """Return a list in which equal members in a row are one, `member*times`."""
    found: Row[object] = Row()
    at = 0
    while at < len(entries):
        end = at
        while end < len(entries) and entries[end] == entries[at]:
            end += 1
        found.append(entries[at] if end == at + 1 else f"{entries[at]}*{end - at}")
        at = end
    return found


def read_chunks(spot: Spot, ends: Sequence[int]) -> list[int]:
    """Return the sizes of the chunks that `chunk_form` wrote."""
    sizes: list[int] = []
    passed = place = 0
    for entry in spot.members("a list of numbers"):
        step, offset, times = _parsed(entry, len(ends) + 1, ends[-1] if ends else 0)
        for _ in range(times):
            passed += step
            if passed > len(ends) or (offset and passed == len(ends)):
                entry.fail(f"found chunks beyond the end; the body has {len(ends)} events")
            end = (ends[passed - 1] if passed else 0) + offset
            if end <= place or (offset and end >= ends[passed]):
                entry.fail("found a chunk that is empty, or reaches beyond its event")
            sizes.append(end - place)
            place = end
    if place != (ends[-1] if ends else 0):
        spot.fail(f"found chunks of {place} bytes; the body has {ends[-1] if ends else 0}")
    return sizes


def _parsed(entry: Spot, most_events: int, most_bytes: int) -> tuple[int, int, int]:
    """Return events, bytes and repetitions of an entry such as 2, `2+117`, `1*40`."""
    form = str(entry.value) if type(entry.value) is int else entry.text("a number, such as 2, 2+117 or 1*40")
    found = _CHUNK.fullmatch(form)
    step, offset, times = map(int, found.groups("0")) if found else (0, 0, 0)
    if found and not found[3]:
        times = 1
    if not (step <= most_events and offset <= most_bytes and 1 <= times <= max(most_bytes, 1)):
        entry.wrong("a number, such as 2, 2+117 or 1*40, within the body")
    return step, offset, times


def parsed_count(entry: Spot, most: int) -> tuple[int, int]:
    """Return bytes and repetitions of an entry such as 16 or `16*313`."""
    size, offset, times = _parsed(entry, most, most)
    if offset or not size:
        entry.wrong("a number of bytes, such as 16 or 16*313")
    return size, times
