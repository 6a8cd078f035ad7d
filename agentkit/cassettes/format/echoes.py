"""What servers say again and again, said once: a response object comes three times in each stream.

`$like: above` is the response object above it in the stream, `$like: continued` the first one of the turn that the
request continues; only the fields that differ follow. `$done: 0` in an output is the first finished item above it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from agentkit import json

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentkit.cassettes.format.document import Spot

Fields = dict[str, object]


class Echoes:
    """The response objects and finished items of one answer, as far as it was read."""

    def __init__(self, continued: Callable[[], Fields | None]) -> None:
        """Begin an answer; `continued` gives the first response object of the turn that it continues."""
        self._continued = continued
        self._above: Fields | None = None
        self._done: list[object] = []

    def shorten(self, event: Fields) -> Fields:
        """Return an event without what was said before; note what it says."""
        response = event.get("response")
        if isinstance(response, dict):
            event = {**event, "response": self.shorten_response(response)}
            self._above = response
        self._note(event)
        return event

    def shorten_response(self, response: Fields) -> Fields:
        """Return a response object as what differs from the one before it."""
        word, base = ("above", self._above) if self._above is not None else ("continued", self._continued())
        short = None if base is None else _difference(base, response, word)
        return self._shorten_output(response if short is None else short)

    def _shorten_output(self, response: Fields) -> Fields:
        output = response.get("output")
        if not isinstance(output, list) or not self._done:
            return response
        done = [_encoded(item) for item in self._done]
        items: list[object] = []
        for item in output:
            data = _encoded(item)
            items.append({"$done": done.index(data)} if data in done else item)
        return {**response, "output": items}

    def restore(self, spot: Spot) -> Fields:
        """Return the event at `spot` with what was said before; note what it says."""
        event = cast("Fields", spot.value)
        if isinstance(event.get("response"), dict):
            response = self.restore_response(spot.member("response"))
            event = {**event, "response": response}
            self._above = response
        self._note(event)
        return event

    def restore_response(self, spot: Spot) -> Fields:
        """Return the response object that `shorten_response` made short."""
        given = cast("Fields", spot.value)
        if isinstance(given.get("output"), list):
            given = {**given, "output": [self._item(each) for each in spot.member("output").members("a list of items")]}
        if "$like" not in given:
            return given
        base = self._base(spot.member("$like"))
        without = [each.text("the name of a field") for each in spot.member("$without", []).members("a list of fields")]
        kept = {key: value for key, value in base.items() if key not in without}
        return {**kept, **{key: value for key, value in given.items() if key not in ("$like", "$without")}}

    def _base(self, spot: Spot) -> Fields:
        if spot.value not in ("above", "continued"):
            spot.wrong("above, or continued")
        base = self._above if spot.value == "above" else self._continued()
        if base is None:
            where = "above it in this stream" if spot.value == "above" else "in a turn that this one continues"
            spot.fail(f"found {spot.value}; there is no response object {where}. Give all fields")
        return base

    def _item(self, spot: Spot) -> object:
        item = spot.value
        if not isinstance(item, dict) or list(item) != ["$done"]:
            return item
        if not self._done:
            spot.fail("found $done; no item is finished above it in this stream. Give the item itself")
        return self._done[spot.member("$done").integer(0, len(self._done) - 1)]

    def _note(self, event: Fields) -> None:
        if event.get("type") == "response.output_item.done" and isinstance(event.get("item"), dict):
            self._done.append(event["item"])


def is_echo(event: Fields) -> bool:
    """Whether an event looks like a shortened one: read back, it would become another."""
    response = event.get("response")
    if not isinstance(response, dict):
        return False
    output = response.get("output")
    items = output if isinstance(output, list) else []
    return "$like" in response or any(isinstance(item, dict) and list(item) == ["$done"] for item in items)


def _difference(base: Fields, response: Fields, word: str) -> Fields | None:
    """Return what differs from `base`; None where that says no less, or the order of fields would be lost."""
    changed = {key: value for key, value in response.items() if key not in base or not _same(base[key], value)}
    order = [key for key in base if key in response] + [key for key in response if key not in base]
    if order != list(response) or len(changed) * 2 > len(response):
        return None
    without = [key for key in base if key not in response]
    return {"$like": word, **({"$without": without} if without else {}), **changed}


def _same(value: object, other: object) -> bool:
    if type(value) is not type(other) or value != other:
        return False
    return not isinstance(value, dict | list) or _encoded(value) == _encoded(other)


def _encoded(value: object) -> bytes | None:
    try:
        return json.encode(value)
    except json.JSONError:
        return None
