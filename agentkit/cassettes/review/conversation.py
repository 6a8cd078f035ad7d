"""A recording as conversations: what was said by whom, turn by turn; to be shown, and to be compared.

A turn is one request with all the attempts that it took. Requests that go on with one another are a conversation,
whatever stands between them in the file; those of a nested agent are one of their own, beneath the call that ran it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agentkit import items as item_views
from agentkit import json
from agentkit.cassettes.review.answered import read_answer
from agentkit.cassettes.review.asked import read_requests
from agentkit.response import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from agentkit.cassettes.interaction import Interaction, Recording, ToolResult
    from agentkit.cassettes.review.answered import Answered
    from agentkit.cassettes.review.asked import Asked
    from agentkit.entries import Outcome
    from agentkit.items import Item

HEAD: Final = 2000
"""Characters shown of the body of an exchange that is no request for a response."""

_PICTURES: Final = {"input_image": "[picture]", "input_file": "[file]"}


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that was said."""

    by: str
    """`user`, `system`, `developer`, `assistant`, `reasoning`, `refusal`, `call`, `output` (of a call that isn't
    there); of a request's fields `model`, `instructions`, `tool` and `setting`; of other items their type."""
    text: str
    """What was said; of a call its arguments, of a tool its definition."""
    name: str = ""
    """The function that a call asks for; the tool's or the setting's name."""
    call_id: str = ""
    output: str | None = None
    """What a call gave; None where nobody told the model."""
    outcome: Outcome = "ok"


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that failed, and was made again."""

    number: int
    """Which interaction of the file, from 1."""
    problem: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One request, and what came back."""

    number: int
    """Which interaction of the file brought it, from 1."""
    fields: tuple[Said, ...]
    """What the request says besides the conversation, as far as the one before it said otherwise."""
    added: tuple[Said, ...]
    """What it adds to the conversation. Outputs stand with their calls, in the turn before."""
    said: tuple[Said, ...]
    """What came back."""
    usage: Usage = dataclasses.field(default_factory=Usage)
    model: str = ""
    """The model that answered, as the server names it."""
    problem: str = ""
    """What went wrong; empty: nothing did."""
    failed: tuple[Attempt, ...] = ()
    """The attempts before the last one."""
    first_ms: int | None = None
    """Milliseconds to the first chunk; None where no times are kept."""
    total_ms: int | None = None
    """Milliseconds to the last one."""
    chunks: int = 0

    @property
    def is_exchange(self) -> bool:
        """Whether it is no request for a response, but HTTP of another kind."""
        return bool(self.added) and self.added[0].by == "http"

    @property
    def calls(self) -> tuple[Said, ...]:
        """The calls of the answer."""
        return tuple(said for said in self.said if said.by == "call")


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns that go on with one another."""

    turns: tuple[Turn, ...]
    lane: str = ""
    """The calls that it ran beneath, as `call_1/call_4`; empty at the top."""
    follows: int | None = None
    """The turn whose conversation it goes on with in another way; None where it begins one."""

    @property
    def usage(self) -> Usage:
        """The usage of all turns that report one."""
        return sum((turn.usage for turn in self.turns), Usage())


def read_conversations(recording: Recording) -> tuple[Conversation, ...]:
    """Return the conversations of a recording, in the order in which they begin."""
    requests = read_requests(recording)
    answers = [read_answer(interaction) for interaction in recording]
    return tuple(_Grouping(recording, requests, answers).conversations())


@dataclass(slots=True)
class _Group:
    """A turn as it is put together: the interactions that are its attempts, and where it goes on from."""

    attempts: list[int]
    parent: _Group | None
    follows: list[_Group] = field(default_factory=list)

    @property
    def first(self) -> int:
        return self.attempts[0]

    @property
    def last(self) -> int:
        return self.attempts[-1]


class _Grouping:
    """Sorts interactions into turns, and turns into conversations."""

    def __init__(self, recording: Recording, requests: Sequence[Asked | None], answers: Sequence[Answered]) -> None:
        self._interactions = recording.interactions
        self._requests = requests
        self._answers = answers
        self._results: dict[str, ToolResult] = {
            result.call_id: result for interaction in recording for result in interaction.tool_results
        }

    def conversations(self) -> Iterator[Conversation]:
        """Yield each, where it begins."""
        groups = self._groups()
        for group in groups:
            begins = group.parent is None or group.parent.follows[0] is not group
            if begins:
                follows = None if group.parent is None else group.parent.last + 1
                turns = tuple(self._turns(group))
                yield Conversation(turns, self._interactions[group.first].lane, follows)

    def _groups(self) -> list[_Group]:
        groups: list[_Group] = []
        at: dict[int, _Group] = {}
        failed: list[_Group] = []
        for index, asked in enumerate(self._requests):
            parent = None if asked is None or asked.parent is None else at[asked.parent]
            group = None if asked is None else self._tried_before(index, parent, failed)
            if group is None:
                group = _Group([index], parent)
                groups.append(group)
                if parent is not None:
                    parent.follows.append(group)
            else:
                failed.remove(group)
                group.attempts.append(index)
            at[index] = group
            if self._has_failed(index):
                failed.append(group)
        return groups

    def _tried_before(self, index: int, parent: _Group | None, failed: Sequence[_Group]) -> _Group | None:
        """Return the turn that this request tries again: the same request, which failed before."""
        body, lane = self._interactions[index].body, self._interactions[index].lane
        for group in reversed(failed):
            before = self._interactions[group.last]
            is_beside = parent in (group.parent, group) and before.lane == lane
            if is_beside and before.body.size == body.size and before.body == body:
                return group
        return None

    def _has_failed(self, index: int) -> bool:
        response = self._answers[index].response
        return response is None or response.status == "failed"

    def _turns(self, group: _Group) -> Iterator[Turn]:
        before: _Group | None = group.parent
        current: _Group | None = group
        while current is not None:
            following = current.follows[0] if current.follows else None
            yield self._turn(current, before, following)
            before, current = current, following

    def _turn(self, group: _Group, before: _Group | None, after: _Group | None) -> Turn:
        number = group.last
        interaction, asked, answer = self._interactions[number], self._requests[group.first], self._answers[number]
        failed = tuple(Attempt(i + 1, self._answers[i].problem) for i in group.attempts[:-1])
        at_ms = interaction.at_ms
        if asked is None:
            request, reply = _exchange(interaction)
            problem = answer.problem if interaction.failure is not None else ""
            turn = Turn(number + 1, (), request, reply, problem=problem)
        else:
            response = answer.response
            problem = answer.problem
            said = tuple(_said(response.output)) if response is not None else _partial(answer)
            turn = Turn(
                number + 1,
                _changed_fields(asked, None if before is None else self._requests[before.first]),
                self._added(asked, before),
                tuple(self._with_outputs(said, after)),
                Usage() if response is None else response.usage,
                (response.model if response is not None else None) or "",
                problem,
            )
        return dataclasses.replace(
            turn,
            failed=failed,
            first_ms=at_ms[0] if at_ms else None,
            total_ms=at_ms[-1] if at_ms else None,
            chunks=len(interaction.chunks),
        )

    def _added(self, asked: Asked, before: _Group | None) -> tuple[Said, ...]:
        """Return what a request adds, without what only repeats the answer before it and the outputs of its calls."""
        response = None if before is None else self._answers[before.last].response
        output = [] if response is None else response.output
        echoes = {meaning(item) for item in output}
        called = {str(item.get("call_id")) for item in output if item.get("type") == "function_call"}
        added = [
            item
            for item in asked.added
            if not (item_views.is_output(item) and meaning(item) in echoes)
            and not (_is_call_output(item) and str(item.get("call_id")) in called)
        ]
        return tuple(_said(added))

    def _with_outputs(self, said: Iterable[Said], after: _Group | None) -> Iterator[Said]:
        asked = None if after is None else self._requests[after.first]
        outputs = {
            str(item.get("call_id")): _text_of(item.get("output"))
            for item in (() if asked is None else asked.added)
            if _is_call_output(item)
        }
        for each in said:
            if each.by != "call":
                yield each
                continue
            result = self._results.get(each.call_id)
            told = outputs.get(each.call_id, None if result is None else result.output)
            yield dataclasses.replace(each, output=told, outcome="ok" if result is None else result.outcome)


def _said(items: Iterable[Item]) -> Iterator[Said]:
    for item in items:
        kind = item.get("type")
        if item_views.is_message(item):
            if text := _text_of(item.get("content")):
                yield Said(str(item.get("role")), text)
            if refusal := item_views.message_refusal(item):
                yield Said("refusal", refusal)
        elif kind == "function_call":
            call = item_views.call_view(item)
            yield Said("call", call.arguments, call.name, call.call_id)
        elif kind == "reasoning":
            yield Said("reasoning", item_views.reasoning_text(item) or "[not readable]")
        elif kind == "function_call_output":
            yield Said("output", _text_of(item.get("output")), call_id=str(item.get("call_id")))
        else:
            shown = {name: value for name, value in item.items() if name not in ("type", "id", "status")}
            yield Said(str(kind), json.encode(shown).decode())


def _partial(answer: Answered) -> tuple[Said, ...]:
    return (Said("assistant", answer.partial),) if answer.partial else ()


def _text_of(content: object) -> str:
    """Return the text of a message or an output, pictures and files as words in brackets; refusals not at all."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return "" if content is None else json.encode(content).decode()
    parts = [part for part in content if isinstance(part, dict) and part.get("type") != "refusal"]
    return "".join(
        str(part.get("text") or _PICTURES.get(str(part.get("type")), "" if "text" in part else f"[{part.get('type')}]"))
        for part in parts
    )


def _is_call_output(item: Item) -> bool:
    return item.get("type") == "function_call_output"


def meaning(item: Item) -> tuple[object, ...]:
    """Return what an item says, to recognise it where a client sends it back with other details."""
    if item_views.is_message(item):
        return ("message", _text_of(item.get("content")), item_views.message_refusal(item))
    if item.get("type") == "function_call":
        call = item_views.call_view(item)
        return ("call", call.call_id, call.name, call.arguments)
    if item.get("type") == "reasoning":
        return ("reasoning",)  # sent back whole, as a summary, or sealed
    return (json.encode(item),)


def _changed_fields(asked: Asked, before: Asked | None) -> tuple[Said, ...]:
    if before is not None and asked.fields is before.fields:
        return ()
    now, then = _fields(asked), {} if before is None else _fields(before)
    changed = [said for key, said in now.items() if then.get(key) != said]
    gone = [dataclasses.replace(said, text="[none]") for key, said in then.items() if key not in now]
    return (*changed, *gone)


def _fields(asked: Asked) -> Mapping[tuple[str, str], Said]:
    said = [Said("model", asked.model)]
    if asked.instructions is not None:
        said.append(Said("instructions", asked.instructions))
    said += [Said("tool", _definition(tool), name) for name, tool in asked.tools.items()]
    said += [
        Said("setting", json.encode(value).decode(), name)
        for name, value in asked.fields.items()
        if name not in ("model", "instructions", "tools") and value is not None
    ]
    return {(each.by, each.name): each for each in said}


def _definition(tool: Mapping[str, json.JSON]) -> str:
    shown = {name: value for name, value in tool.items() if name not in ("type", "name")}
    description = shown.pop("description", None)
    rest = json.encode(shown).decode()
    return f"{description}\n{rest}" if isinstance(description, str) and description else rest


def _exchange(interaction: Interaction) -> tuple[tuple[Said, ...], tuple[Said, ...]]:
    """Return what an exchange of another kind sent and got."""
    sent = _head_of(bytes(interaction.body))
    request = [Said("http", f"{interaction.method} {interaction.uri}"), *([Said("body", sent)] if sent else [])]
    if interaction.status is None:
        return tuple(request), ()
    got = _head_of(interaction.answer)
    return tuple(request), (Said("status", str(interaction.status)), *([Said("body", got)] if got else []))


def _head_of(body: bytes) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return f"[{len(body)} bytes that are no text]"
    return text if len(text) <= HEAD else f"{text[:HEAD]}… ({len(text)} characters)"
