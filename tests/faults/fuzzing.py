"""Mutated streams, events and arguments: whatever comes, a value or a typed error.

    python -m tests.faults.fuzzing TARGET SECONDS [SEED]

TARGET is decoder, fold or arguments; tests/faults/test_fuzz.py runs each for a moment.
"""

from __future__ import annotations

import copy
import json
import random
import sys
import time
from collections.abc import Callable
from typing import Literal

from agentkit import AgentkitError, Transcript, tool
from agentkit.arguments import ArgumentsError
from agentkit.entries import InputEntry, ResponseEntry, encode_items
from agentkit.fold import ResponseFold
from agentkit.sse import ServerEvent, SSEDecoder
from agentkit.step import next_action
from agentkit.view import InputView
from tests.faults.golden import GOLDEN

ODD: list[object] = [None, True, False, 0, -1, 1.5, 10**30, "", "x", "m", "f0", "\ud800", "\x00", [], {}, [[]], [None]]
ODD += [{"type": "function_call"}, {"type": "message", "content": [5]}, {"type": None}, "function_call", "message"]
ODD += ["reasoning", "response.completed", "error", "response.output_item.done", {"id": []}, 2**63, {"a": {"b": []}}]
PIECES = [b"\n", b"\r", b"\r\n", b"\n\n", b"data:", b"event: x\n", b":", b"\x00", b"\xff", b"\xef\xbb\xbf", b"{", b"}"]
PIECES += [
    b'"',
    b"[" * 300,
    b"1e999",
    b"NaN",
    b"\xe2\x80\xa8",
    b"[DONE]",
    b"id: 1\n",
    b"retry: 5\r",
    b"\\u0000",
    b"\\ud800",
]


def mutate_bytes(data: bytes, dice: random.Random) -> bytes:
    """Return bytes with a few places changed."""
    found = bytearray(data)
    for _ in range(dice.randint(1, 6)):
        start = dice.randrange(len(found) + 1)
        end = min(len(found), start + dice.choice([0, 1, 2, 10, 200]))
        match dice.randrange(4):
            case 0:
                found[start:end] = dice.choice(PIECES)
            case 1:
                found[start:end] = b""
            case 2:
                found[start:start] = found[start:end]
            case _:
                found[start:end] = bytes(dice.randrange(256) for _ in range(end - start))
    return bytes(found)


def mutate_value(value: object, dice: random.Random) -> object:
    """Return a JSON value with one place in it changed."""
    if isinstance(value, dict) and value and dice.random() < 0.85:
        changed = dict(value)
        key, other = dice.choice(list(changed)), dice.choice(list(changed))
        match dice.randrange(8):
            case 0:
                del changed[key]
            case 1:
                changed[other] = changed.pop(key)
            case _:
                changed[key] = mutate_value(changed[key], dice)
        return changed
    if isinstance(value, list) and value and dice.random() < 0.85:
        listed = list(value)
        place = dice.randrange(len(listed))
        listed[place] = mutate_value(listed[place], dice)
        if dice.random() < 0.2:
            listed.insert(place, copy.deepcopy(dice.choice(listed)))
        return listed
    return copy.deepcopy(dice.choice(ODD))


def fuzz_decoder(dice: random.Random) -> None:
    """Any bytes, split anywhere: the same events, or the same typed error."""
    data = mutate_bytes(GOLDEN, dice)
    cuts = sorted(dice.randrange(len(data) + 1) for _ in range(dice.randint(0, 8)))
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    whole, split = SSEDecoder(), SSEDecoder()
    events = [*whole.feed(data), *whole.finish()]
    assert events == [*(event for piece in pieces for event in split.feed(piece)), *split.finish()]
    assert whole.stray == split.stray
    fold = ResponseFold()
    try:
        for event in events:
            fold.feed(event)
    except AgentkitError:
        return
    _use(fold)


_EVENTS = [json.loads(event.data) for event in SSEDecoder().feed(GOLDEN)]


def fuzz_fold(dice: random.Random) -> None:
    """Events of any shape, in any order: a response that can be used, or a typed error."""
    events: list[object] = list(_EVENTS)
    if dice.random() < 0.5:  # without numbers, disorder isn't noticed at once
        events = [{key: value for key, value in event.items() if key != "sequence_number"} for event in _EVENTS]
    for _ in range(dice.randint(1, 6)):
        place, other = dice.randrange(len(events)), dice.randrange(len(events))
        match dice.randrange(6):
            case 0:
                del events[place]
            case 1:
                events.insert(place, events[other])
            case 2:
                events[place], events[other] = events[other], events[place]
            case _:
                events[place] = mutate_value(events[place], dice)
        events = events or [{}]
    fold = ResponseFold()
    try:
        for event in events:
            fold.feed(ServerEvent(dice.choice(["", "error", "x"]), json.dumps(event).encode()))
    except AgentkitError:
        return
    _use(fold)


def _use(fold: ResponseFold) -> None:
    """Do with a response what a run does."""
    if (response := fold.response) is None:
        return
    repr(response), response.usage, response.refusal, response.output_text, response.incomplete_reason, response.error
    try:
        transcript = Transcript([InputEntry(encode_items([{"type": "message", "role": "user", "content": "?"}]))])
        transcript = transcript.append(ResponseEntry.of(response))
        next_action(transcript)
        Transcript.from_json(transcript.to_json())
        for mode in ("raw", "summary", "drop"):
            b"".join(InputView(mode, needs_spoken_reasoning=True).feed_all(transcript.entries))  # type: ignore[arg-type]
    except AgentkitError:
        pass


@tool
def order(
    items: list[dict[str, int]],
    size: Literal["S", "M"] | None = None,
    price: float = 1.0,
    *,
    notes: tuple[str, int] | list[bool] = ("", 0),
    more: object = None,
) -> None:
    """Take an order."""


_ARGUMENTS = b'{"items":[{"a":1},{"b":2}],"size":"S","price":2.5,"notes":["x",1],"more":{"k":[null,true]}}'


def fuzz_arguments(dice: random.Random) -> None:
    """Any text: values for the function, or words for the model."""
    if dice.random() < 0.5:
        text = mutate_bytes(_ARGUMENTS, dice).decode(errors=dice.choice(["replace", "surrogateescape", "ignore"]))
    else:
        value: object = json.loads(_ARGUMENTS)
        for _ in range(dice.randint(1, 5)):
            value = mutate_value(value, dice)
        text = json.dumps(value, ensure_ascii=dice.random() < 0.5)
    try:
        values = order.check(text)
    except ArgumentsError as exc:
        said = str(exc)
    else:
        said = "" if isinstance(values, dict) else "no values"
    assert len(said) < 4000
    assert said != "no values"


TARGETS: dict[str, Callable[[random.Random], None]] = {
    "decoder": fuzz_decoder,
    "fold": fuzz_fold,
    "arguments": fuzz_arguments,
}


def main() -> None:
    """Fuzz until the time is over; name the case that fails."""
    target, seconds = TARGETS[sys.argv[1]], float(sys.argv[2])
    case = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    until = time.monotonic() + seconds
    begun = case
    while time.monotonic() < until:
        try:
            target(random.Random(case))
        except (Exception, RecursionError):
            print(f"case {case}")
            raise
        case += 1
    print(f"{case - begun} cases, nothing but typed errors")


if __name__ == "__main__":
    main()
