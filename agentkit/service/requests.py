"""One request as a scripted model sees it: its parsed body, with the questions that scripts ask of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentkit.json import JSON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentkit.json import JSONObject

_MODEL_ITEMS = frozenset({"function_call", "reasoning"})


class ReceivedRequest(dict[str, JSON]):
    """The parsed body, a dict, so that `request["input"]` and comparisons with literals work as usual."""

    def __init__(self, body: JSONObject, *, raw: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(body)
        self.raw = raw
        """The body's bytes as they came."""
        self.headers = dict(headers or {})
        """The HTTP headers, names in lower case."""

    @property
    def input_items(self) -> list[JSONObject]:
        """The items of `input`; a string is one user message."""
        given = self.get("input")
        if isinstance(given, str):
            return [{"type": "message", "role": "user", "content": given}]
        return [item for item in given if isinstance(item, dict)] if isinstance(given, list) else []

    @property
    def last_item(self) -> JSONObject:
        """The last item of `input`; empty where there is none."""
        return items[-1] if (items := self.input_items) else {}

    @property
    def last_text(self) -> str:
        """The text of the last message of the user; empty where there is none."""
        messages = (item for item in reversed(self.input_items) if item.get("role") == "user")
        return _text_of(next(messages, {}).get("content"))

    @property
    def last_output(self) -> str | None:
        """The last item's output as text, where that item is a function call's output."""
        item = self.last_item
        return _text_of(item.get("output")) if item.get("type") == "function_call_output" else None

    @property
    def outputs(self) -> list[str]:
        """The outputs at the end of `input`, those that the model hasn't seen before, in their order."""
        found: list[str] = []
        for item in reversed(self.input_items):
            if item.get("type") != "function_call_output":
                break
            found.append(_text_of(item.get("output")))
        return found[::-1]

    @property
    def turn(self) -> int:
        """How many times the model has spoken in this conversation: 0 at its start."""
        spoken = [_by_model(item) for item in self.input_items]
        return sum(now and not before for before, now in zip([False, *spoken], spoken, strict=False))


def _by_model(item: JSONObject) -> bool:
    return item.get("type") in _MODEL_ITEMS or item.get("role") == "assistant"


def _text_of(content: JSON) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))
