"""Runs of delta events as one entry: `delta: ['It ', 'is ', 'sunny']`.

An event joins the run before it where only its text differs, and `sequence_number` counts on; the padding that some
servers add, `obfuscation`, may differ too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentkit.cassettes.format.layout import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentkit.cassettes.format.document import Spot

Event = dict[str, object]
_VARIES = ("delta", "obfuscation")


def is_run(event: Event) -> bool:
    """Whether an event looks like a run of them: read back, it would become several."""
    return isinstance(event.get("delta"), list)


def joined(entries: Sequence[object]) -> list[object]:
    """Return the entries of a stream, runs of deltas made one."""
    found: list[object] = []
    run: list[Event] = []
    for entry in entries:
        if isinstance(entry, dict) and isinstance(entry.get("delta"), str):
            if run and not _goes_on(run[-1], entry):
                found.append(_one(run))
                run = []
            run.append(entry)
            continue
        if run:
            found.append(_one(run))
            run = []
        found.append(entry)
    return [*found, _one(run)] if run else found


def _goes_on(event: Event, following: Event) -> bool:
    if list(event) != list(following):
        return False
    for key, value in event.items():
        other = following[key]
        if type(value) is not type(other):
            return False
        if key == "sequence_number" and isinstance(value, int):
            if other != value + 1:
                return False
        elif key in _VARIES and isinstance(value, str):
            continue
        elif value != other:
            return False
    return True


def _one(run: list[Event]) -> Event:
    first = run[0]
    if len(run) == 1:
        return first
    whole: Event = {**first, "delta": Row(event["delta"] for event in run)}
    if isinstance(first.get("obfuscation"), str):
        padding = Row(event["obfuscation"] for event in run)
        if any(each != padding[0] for each in padding):
            whole["obfuscation"] = padding
    return whole


def split(event: Event, spot: Spot) -> Iterator[Event]:
    """Give the events of a run; `spot` is where it stands."""
    texts = spot.member("delta").sequence("a text, or a list of them")
    if not texts or not all(isinstance(text, str) for text in texts):
        spot.member("delta").wrong("a list of one text or more")
    padding = event.get("obfuscation")
    if isinstance(padding, list) and len(padding) != len(texts):
        spot.member("obfuscation").wrong(f"a list of {len(texts)}, one for each delta")
    number = event.get("sequence_number")
    for index, text in enumerate(texts):
        one: Event = {**event, "delta": text}
        if type(number) is int:
            one["sequence_number"] = number + index
        if isinstance(padding, list):
            one["obfuscation"] = padding[index]
        yield one
