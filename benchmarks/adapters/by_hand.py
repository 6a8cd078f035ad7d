"""What the loops written by hand share: the conversation as bytes that are encoded once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks.task import QUESTION, make_history, make_output, name_of_tool

if TYPE_CHECKING:
    from benchmarks.task import Task


def encode(value: object) -> bytes:
    """Return compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def make_tools(task: Task) -> list[dict[str, object]]:
    """Return the definitions of a task's tools."""
    words = {"type": "string", "description": "The word to look up, as it stands in the text."}
    limit = {"type": "integer", "description": "The most that may be found.", "default": 10}
    parameters = {"type": "object", "properties": {"word": words, "limit": limit}, "required": ["word"]}
    return [
        {
            "type": "function",
            "name": name_of_tool(i),
            "description": "Look a word up.",
            "strict": False,
            "parameters": {**parameters, "additionalProperties": False},
        }
        for i in range(task.tools)
    ]


def make_head(task: Task) -> dict[str, object]:
    """Return a body without its input."""
    return {"model": "m", "stream": bool(task.deltas), "store": False, "tools": make_tools(task)}


def make_items(task: Task) -> list[dict[str, object]]:
    """Return the items that stand before the question."""
    items: list[dict[str, object]] = []
    for question, said in make_history(task):
        items.append({"type": "message", "role": "user", "content": question})
        content = [{"type": "output_text", "text": said, "annotations": []}]
        items.append({"type": "message", "role": "assistant", "status": "completed", "content": content})
    return items


class Conversation:
    """A conversation whose items are encoded once."""

    def __init__(self, task: Task, history: list[bytes]) -> None:
        self._output = make_output(task)
        self._begin = encode(make_head(task))[:-1] + b',"input":['
        self._kept = [*history, encode({"type": "message", "role": "user", "content": QUESTION})]

    def body(self) -> bytes:
        """Return the next request's body."""
        return self._begin + b",".join(self._kept) + b"]}"

    def take(self, items: list[dict[str, object]]) -> str | None:
        """Take a response's items, run its calls, and return its text if it is the answer."""
        self._kept.extend(map(encode, items))
        for item in items:
            if item["type"] == "message":
                return item["content"][0]["text"]  # type: ignore[index,no-any-return]
            output = look(self._output, **json.loads(item["arguments"]))  # type: ignore[arg-type]
            given = {"type": "function_call_output", "call_id": item["call_id"], "output": output}
            self._kept.append(encode(given))
        return None


def look(output: str, word: str, limit: int = 10) -> str:  # noqa: ARG001  (the model gives them)
    """Look a word up."""
    return output


class Text:
    """The text of a stream, delta by delta."""

    def __init__(self) -> None:
        self.deltas: list[str] = []
        self.items: list[dict[str, object]] | None = None

    def take(self, data: bytes | str) -> None:
        """Take an event's data."""
        event = json.loads(data)
        if event["type"] == "response.output_text.delta":
            self.deltas.append(event["delta"])
        elif event["type"] == "response.completed":
            self.items = event["response"]["output"]
