"""What calls gave when a cassette was recorded: read from the requests that followed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from agentkit import json
from agentkit.response import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agentkit.cassettes.interaction import Interaction, ToolResult
    from agentkit.cassettes.store import Store
    from agentkit.entries import Outcome
    from agentkit.items import FunctionCall
    from agentkit.json import JSON, JSONObject


@dataclass(frozen=True, slots=True)
class Output:
    """What one call gave."""

    output: str | list[JSONObject]
    outcome: Outcome = "ok"
    full: str | None = None
    usage: Usage | None = None
    """What agents nested in the call had used."""


class RecordedOutputs:
    """The outputs of one cassette, found by the response that asked for them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._of: dict[int, tuple[list[tuple[str, Output]], dict[str, ToolResult]]] = {}
        self._by_call: dict[tuple[str, str], list[Output]] | None = None

    def of_response(self, index: int, call: FunctionCall, position: int) -> Output | None:
        """Return what a call of the response at an index gave; `position` is its place among the response's calls.

        The request that followed answers the calls in their order; an id may have been replaced there on both sides.
        """
        if index not in self._of:
            self._of[index] = self._read(index)
        outputs, results = self._of[index]
        said = results.get(call.call_id)
        found: Output | None = None
        if position < len(outputs) and outputs[position][0].startswith(call.call_id):
            found = outputs[position][1]
        else:
            found = next((output for call_id, output in outputs if call_id == call.call_id), None)
        if found is None:
            return None if said is None else Output(said.output, said.outcome, said.full)
        return found if said is None else Output(found.output, said.outcome, said.full)

    def of_open_call(self, call: FunctionCall) -> Output | None:
        """Return what a call gave that a conversation began with: its response isn't in the cassette."""
        if self._by_call is None:
            self._by_call = {}
            for index in self._store.roots():
                for key, output in _answered(self._store.interaction(index)):
                    self._by_call.setdefault(key, []).append(output)
        waiting = self._by_call.get(_call_key(call.name, call.arguments))
        return waiting.pop(0) if waiting else None

    def _read(self, index: int) -> tuple[list[tuple[str, Output]], dict[str, ToolResult]]:
        results = {result.call_id: result for result in self._store.interaction(index).tool_results}
        for child in self._store.children(index):
            if outputs := list(_outputs(_added(self._store.interaction(child), self._store.interaction(index)))):
                return outputs, results
        return [], results


def nested_usage(interactions: Iterable[Interaction]) -> Usage | None:
    """Return what recorded responses had used together, marked as replayed; None where there are none."""
    from agentkit.cassettes.review.answered import read_answer

    total: Usage | None = None
    for interaction in interactions:
        response = read_answer(interaction).response
        if response is not None:
            total = (total or Usage()) + replace(response, replayed=True).usage
    return total


def _added(child: Interaction, parent: Interaction) -> list[JSON]:
    """Return the items of a request that an earlier one doesn't have."""
    body = child.body
    if body.parent is parent.body and body.kept == parent.body.size - 2 and body.tail.startswith(b","):
        items = _items(b'{"input":[' + body.tail[1:])
        if items is not None:
            return items
    theirs, ours = _items(bytes(parent.body)), _items(bytes(body))
    if ours is None:
        return []
    return ours[len(theirs) :] if theirs is not None and ours[: len(theirs)] == theirs else ours


def _items(body: bytes) -> list[JSON] | None:
    try:
        decoded = json.decode(body)
    except json.JSONError:
        return None
    items = decoded.get("input") if isinstance(decoded, dict) else None
    return items if isinstance(items, list) else None


def _outputs(items: Iterable[JSON]) -> Iterator[tuple[str, Output]]:
    for item in items:
        if isinstance(item, dict) and item.get("type") == "function_call_output":
            output = item.get("output")
            if isinstance(output, str | list):
                yield str(item.get("call_id")), Output(cast("str | list[JSONObject]", output))


def _answered(interaction: Interaction) -> Iterator[tuple[tuple[str, str], Output]]:
    """Yield the calls that a request holds, each with its output."""
    items = _items(bytes(interaction.body)) or []
    given = dict(_outputs(items))
    for item in items:
        if isinstance(item, dict) and item.get("type") == "function_call" and str(item.get("call_id")) in given:
            key = _call_key(str(item.get("name")), str(item.get("arguments")))
            yield key, given[str(item.get("call_id"))]


def _call_key(name: str, arguments: str) -> tuple[str, str]:
    try:
        decoded = json.decode(arguments)
    except json.JSONError:
        return name, arguments
    return name, json.encode(_sorted(decoded)).decode()


def _sorted(value: JSON) -> JSON:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(member) for member in value] if isinstance(value, list) else value
