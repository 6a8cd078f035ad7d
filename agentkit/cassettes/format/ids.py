"""Ids as a cassette stores them: `resp_1`, `msg_2`, `call_3`, in the order in which they appear.

A server makes them anew on each run; stored as they came, a recording made again would differ in every line that
holds one. Times of the server become 0 for the same reason, and the padding of deltas goes.

Works on the bytes: whatever isn't an id or a time stays as it came. An id that is long enough to be nobody's word
is replaced in texts too; a short one, such as `0` or `call_1`, only where an id belongs. What encrypted reasoning
signs can't be renamed, so that a recording which holds any stays as it is.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import replace
from typing import TYPE_CHECKING

from agentkit import json
from agentkit.cassettes.format.streams import blocks_of, is_stream
from agentkit.cassettes.interaction import Body, Interaction, Recording

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agentkit.cassettes.interaction import ToolResult
    from agentkit.json import JSON

_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "web_search_call": "ws",
    "file_search_call": "fs",
    "code_interpreter_call": "ci",
    "image_generation_call": "ig",
    "computer_call": "cu",
    "mcp_call": "mcp",
    "mcp_list_tools": "mcpl",
    "mcp_approval_request": "mcpr",
    "custom_tool_call": "ctc",
    "compaction": "cmp",
}
"""What the ids of items begin with, by type; `item` for all others."""

_OF_EVENTS = (
    (b'"response.reasoning', "reasoning"),
    (b'"response.function_call', "function_call"),
    (b'"response.output_text', "message"),
    (b'"response.refusal', "message"),
)
"""What an event's `item_id` is the id of, where the item was never announced."""

_SIGNED = re.compile(rb'"encrypted_content"\s*:\s*"[^"]')
_ITEM_ID = re.compile(rb'"item_id"\s*:\s*"([^"\\]*)"')
_TOKEN = re.compile(rb"[A-Za-z0-9_-]{16,}")
_WITH_PREFIX = re.compile(rb"[A-Za-z]+[_-]")
_WORD = rb"[A-Za-z0-9_-]"
_WORD_CHARACTER = re.compile(_WORD)
_ESCAPE = re.compile(rb"\\(?:[bfnrt]|u[0-9a-fA-F]{4})\Z")
_PLACE = (
    rb'"(?:id|item_id|call_id|response_id|previous_response_id|approval_request_id|request_id)"\s*:\s*'
    rb'"(?P<place>[^"\\]*)(?=")'
)
_NUMBER = rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
_TIME = rb'"(?:created_at|completed_at)"\s*:\s*(?P<time>' + _NUMBER + rb")(?![0-9.])"
_PADDING = rb'"obfuscation"\s*:\s*"(?P<padding>[^"\\]*)(?=")'
_USAGE = rb'"usage"\s*:\s*(?P<usage>\{(?:[^{}"]|"[^"\\]*"|\{[^{}]*\})*\})'
# Each of these begins with a character of its own, not with a group: the search then skips to such characters.
# "start_time ... is_last_response" (usage of SambaNova, Responses API)
_LATENCY = re.compile(
    rb'("(?:start_time|end_time|time_to_first_token|total_latency|output_tokens_per_sec|'
    rb"output_tokens_after_first_per_sec|output_tokens_after_first_per_sec_first_ten|total_tokens_per_sec|"
    rb'acceptance_rate|stop_time|completion_tokens_per_sec|completion_tokens_after_first_per_sec)"\s*:\s*)' + _NUMBER
)


def normalise(recording: Recording) -> Recording:
    """Return the recording with its ids numbered in order of appearance; as it is where something signs them."""
    if recording.head.keeps_ids:
        return recording
    if any(_is_signed(interaction) for interaction in recording):
        return replace(recording, head=replace(recording.head, keeps_ids=True))
    names = _Names()
    for interaction in recording:
        names.collect(interaction)
    renamed = _Renamed(names.found)
    interactions = tuple(renamed.interaction(each) for each in recording)
    if renamed.told:
        renamed = _Renamed(names.found, but=renamed.told)
        interactions = tuple(renamed.interaction(each) for each in recording)
    return replace(recording, interactions=interactions)


def _is_signed(interaction: Interaction) -> bool:
    return _SIGNED.search(interaction.body.tail) is not None or _SIGNED.search(interaction.answer) is not None


class _Names:
    """The ids of a recording, and what they become."""

    def __init__(self) -> None:
        self.found: dict[bytes, bytes] = {}
        self._counts: dict[str, int] = {}

    def collect(self, interaction: Interaction) -> None:
        """Note the ids of an interaction in the order in which they appear."""
        for item in _added_items(interaction.body):
            self._item(item)
        for name, value in interaction.headers:
            if name == "x-request-id":
                self._note(value, "req")
        answer = interaction.answer
        if is_stream(answer):
            blocks, rest, _ = blocks_of(answer)
            for block in (*blocks, rest):
                self._block(block)
        else:
            self._response(_decoded(answer))

    def _block(self, block: bytes) -> None:
        """Note the ids of an event; of deltas, which are many, without reading their JSON."""
        if b'.delta"' not in block:
            lines = [line[5:] for line in block.splitlines() if line.startswith(b"data:")]
            event = _decoded(b"\n".join(lines))
            if isinstance(event, dict):
                self._note(event.get("response_id"), "resp")
                self._response(event.get("response"))
                self._item(event.get("item"))
        for found in _ITEM_ID.finditer(block):
            if found[1] not in self.found:
                kind = next((kind for mark, kind in _OF_EVENTS if mark in block), "")
                self._note(found[1].decode(), _PREFIXES.get(kind, "item"))

    def _response(self, response: JSON) -> None:
        if not isinstance(response, dict):
            return
        self._note(response.get("id"), "resp")
        error = response.get("error")
        for place in (response, error if isinstance(error, dict) else {}):
            self._note(place.get("request_id"), "req")  # of a refusal
        output = response.get("output")
        for item in output if isinstance(output, list) else ():
            self._item(item)

    def _item(self, item: JSON) -> None:
        if not isinstance(item, dict):
            return
        kind = item.get("type", "message")
        self._note(item.get("id"), _PREFIXES.get(kind, "item") if isinstance(kind, str) else "item")
        self._note(item.get("call_id"), "call")

    def _note(self, value: JSON, prefix: str) -> None:
        if not isinstance(value, str) or not value or not value.isprintable():
            return
        key = value.encode(errors="surrogatepass")
        if key not in self.found:
            self._counts[prefix] = self._counts.get(prefix, 0) + 1
            self.found[key] = f"{prefix}_{self._counts[prefix]}".encode()


def _added_items(body: Body) -> list[JSON]:
    """Return the input items that a request adds to the one before it."""
    tail = body.tail
    if body.parent is not None and tail.endswith(b"]}"):
        items = _decoded(b"[" + tail.lstrip(b", ").removesuffix(b"]}") + b"]")
        if isinstance(items, list):
            return items
    whole = _decoded(bytes(body))
    items = whole.get("input") if isinstance(whole, dict) else None
    return items if isinstance(items, list) else []


def _decoded(data: bytes) -> JSON:
    try:
        return json.decode(data)
    except json.JSONError:
        return None


Edit = tuple[int, int, int]
"""Start and end of what was replaced, and the length of what stands there instead."""


class _Renamed:
    """Bytes with ids replaced."""

    def __init__(self, names: dict[bytes, bytes], but: Iterable[bytes] = ()) -> None:
        """Prepare for these ids; those of `but` are left as they are in texts."""
        self._names = names
        long = (name for name in names if _TOKEN.fullmatch(name) and _is_rare(name))
        self._long = {name: names[name] for name in long if name not in but}
        self.told: set[bytes] = set()
        """Ids that a model told in a stream: its deltas may hold them in pieces, and must go on to agree with
        the text that comes whole."""
        self._in_deltas = False
        in_text = _pattern(self._long)
        self._text = re.compile(in_text)
        self._request = re.compile(_PLACE + b"|" + in_text)
        self._answer = re.compile(b"|".join((_PLACE, _TIME, _PADDING, _USAGE, in_text)))
        self._bodies: dict[int, tuple[Body, Body]] = {}

    def interaction(self, given: Interaction) -> Interaction:
        chunks, at_ms = self._chunks(given)
        return replace(
            given,
            uri=self.text(given.uri),
            body=self._body(given.body),
            headers=tuple((name, self._header(name, value)) for name, value in given.headers),
            chunks=chunks,
            at_ms=at_ms,
            lane="/".join(map(self._name, given.lane.split("/"))),
            tool_results=tuple(map(self._result, given.tool_results)),
        )

    def text(self, text: str) -> str:
        """Return a text with the long ids in it replaced."""
        return self._text.sub(self._new, text.encode(errors="surrogatepass")).decode(errors="surrogatepass")

    def _name(self, name: str) -> str:
        key = name.encode(errors="surrogatepass")
        return self._names.get(key, key).decode(errors="surrogatepass")

    def _header(self, name: str, value: str) -> str:
        return self._name(value) if name == "x-request-id" else value

    def _result(self, result: ToolResult) -> ToolResult:
        full = None if result.full is None else self.text(result.full)
        return replace(result, call_id=self._name(result.call_id), output=self.text(result.output), full=full)

    def _chunks(self, given: Interaction) -> tuple[tuple[bytes, ...], tuple[int, ...]]:
        """Return the chunks of an answer, each with what stood in it; an id goes to the chunk that it began in."""
        old = given.answer
        self._in_deltas = b'.delta"' in old and is_stream(old)
        edits: list[Edit] = []
        pieces: list[bytes] = []
        place = 0
        for found in self._answer.finditer(old):
            new = self._new(found)
            if new != found[0]:
                edits.append((found.start(), found.end(), len(new)))
                pieces += (old[place : found.start()], new)
                place = found.end()
        self._in_deltas = False
        if not edits:
            return given.chunks, given.at_ms
        data = b"".join((*pieces, old[place:]))
        chunks: list[bytes] = []
        at_ms: list[int] = []
        start = 0
        for index, end in enumerate(_moved(_boundaries(given.chunks), edits)):
            if end > start:
                chunks.append(data[start:end])
                at_ms += given.at_ms[index : index + 1]
                start = end
        return tuple(chunks), tuple(at_ms)

    def _body(self, body: Body) -> Body:
        """Return a body on top of its parent, cut where the parent was cut."""
        known = self._bodies.get(id(body))
        if known is None:
            known = self._bodies[id(body)] = (body, self._rebuilt(body))
        return known[1]

    def _rebuilt(self, body: Body) -> Body:
        parent = body.parent
        new = self._bodies.get(id(parent))
        if parent is None or new is None or body.kept <= parent.kept:
            return Body(self._request.sub(self._new, bytes(body)))
        cut = body.kept - parent.kept
        last, dropped = parent.tail[cut - 1 : cut], parent.tail[cut:]
        if last not in (b"}", b"]") or dropped[:1] != b"]" or body.tail[:1] not in (b",", b"]"):
            return Body(self._request.sub(self._new, bytes(body)))
        kept = new[1].size - len(self._request.sub(self._new, dropped))
        return Body(self._request.sub(self._new, body.tail), new[1], kept)

    def _new(self, found: re.Match[bytes]) -> bytes:
        kind = found.lastgroup
        if kind is None:
            return self._long_name(found)
        whole, value = found[0], found[kind]
        match kind:
            case "place":
                new = self._names.get(value, value)
            case "time":
                new = b"0"
            case "padding":
                new = b""
            case _:
                new = _LATENCY.sub(rb"\g<1>0", value)
        return whole[: len(whole) - len(value)] + new

    def _long_name(self, found: re.Match[bytes]) -> bytes:
        """Return a word with the id that it is, or begins with up to `-` or `_`, replaced."""
        word = found[0]
        if not _begins_word(found.string, found.start()):
            return word
        end = len(word)
        while end > 0:
            new = self._long.get(word[:end])
            if new is not None:
                if self._in_deltas:
                    self.told.add(word[:end])
                return new + word[end:]
            end = max(word.rfind(b"_", 0, end), word.rfind(b"-", 0, end))
        return word


def _is_rare(name: bytes) -> bool:
    """Whether an id is too long and too odd to be a word of somebody's text."""
    return sum(chr(byte).isdigit() for byte in name) >= 2 or (name != name.lower() and name != name.upper())


def _pattern(names: Iterable[bytes]) -> bytes:
    """Return what finds words that may be one of these ids."""
    begins: set[bytes] = set()
    for name in names:
        prefix = _WITH_PREFIX.match(name)
        begins.add(re.escape(prefix[0]) + _WORD + b"*" if prefix else b"[A-Za-z0-9]" + _WORD + b"{15,}")
    return b"|".join(sorted(begins)) or b"(?!)"


def _begins_word(data: bytes, place: int) -> bool:
    """Whether a word begins at a place: also behind an escape of JSON, such as the `\n` before it."""
    return (
        not _WORD_CHARACTER.match(data[place - 1 : place])
        or _ESCAPE.search(data[max(place - 6, 0) : place]) is not None
    )


def _boundaries(chunks: tuple[bytes, ...]) -> Iterator[int]:
    end = 0
    for chunk in chunks:
        end += len(chunk)
        yield end


def _moved(places: Iterable[int], edits: list[Edit]) -> Iterator[int]:
    """Give where places are after the edits; one within an edit is at its end."""
    starts = [start for start, _, _ in edits]
    shifts = [0]
    for start, end, length in edits:
        shifts.append(shifts[-1] + length - (end - start))
    for place in places:
        before = bisect_right(starts, place - 1)
        inside = before and place < edits[before - 1][1]
        yield (edits[before - 1][1] if inside else place) + shifts[before]
