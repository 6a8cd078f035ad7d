"""The recorded conversations: exchanges of one file, chained by what their requests hold.

An exchange continues another one if its input begins with the other's input and output. Compared is what was
said and called, not how it was written: clients rewrite ids, statuses and message forms on the way.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from dataclasses import dataclass, field

from tests.recordings.exchanges import Exchange, Item, all_exchanges

TAG = "function_call_output"


@dataclass
class Conversation:
    """Exchanges that follow each other."""

    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The file and the places in it; it names the test."""
        indexes = "-".join(str(exchange.index) for exchange in self.exchanges)
        return f"{self.exchanges[0].source}#{indexes}"

    @property
    def server(self) -> str:
        """Who answered."""
        return self.exchanges[0].server

    @property
    def streamed(self) -> bool:
        """Whether the answers came as streams."""
        return self.exchanges[0].events is not None

    @property
    def final_text(self) -> str:
        """The text that it ends with, read without agentkit."""
        messages = [item for item in self.exchanges[-1].output if item.get("type") == "message"]
        final = [item for item in messages if item.get("phase") == "final_answer"]
        return text_of(final or messages)

    @property
    def calls(self) -> int:
        """How many calls are answered in it: those of all its answers but the last."""
        outputs = [exchange.output for exchange in self.exchanges[:-1]]
        return sum(item.get("type") == "function_call" for output in outputs for item in output)

    @property
    def before(self) -> list[list[Exchange]]:
        """For each exchange those that it follows."""
        return [self.exchanges[:number] for number in range(len(self.exchanges))]

    @functools.cached_property
    def added(self) -> list[list[Item]]:
        """What each request adds to the input and output before it; for the first, all of its input."""
        added = [self.exchanges[0].input]
        for before, after in zip(self.exchanges, self.exchanges[1:], strict=False):
            added.append(remainder(after.input, said(before.input) + said(before.output)) or [])
        return added

    @functools.cached_property
    def left_out(self) -> str | None:
        """Why it isn't played, or None."""
        return next((reason for reason, applies in REASONS.items() if applies(self)), None)


@functools.cache
def _chained() -> tuple[Conversation, ...]:
    """Return all exchanges, chained, in the order of the file."""
    found: list[Conversation] = []
    for exchange in all_exchanges():
        of_file = [known for known in found if known.exchanges[0].source == exchange.source]
        for known in reversed(of_file):
            if continues(exchange, known.exchanges[-1]):
                known.exchanges.append(exchange)
                break
        else:
            found.append(Conversation([exchange]))
    return tuple(found)


def conversations() -> tuple[Conversation, ...]:
    """Return every conversation in which a function's output is sent."""
    return tuple(known for known in _chained() if any(TAG in exchange.tags for exchange in known.exchanges))


def others() -> tuple[Conversation, ...]:
    """Return every other conversation of more than one exchange: people and a model, without functions."""
    chats = (known for known in _chained() if len(known.exchanges) > 1)
    return tuple(known for known in chats if not any(TAG in exchange.tags for exchange in known.exchanges))


def played() -> list[Conversation]:
    """Return the conversations that are played back."""
    return [conversation for conversation in conversations() if conversation.left_out is None]


def continues(exchange: Exchange, before: Exchange) -> bool:
    """Tell whether a request holds what was sent and answered before, and something more."""
    if (named := exchange.request.get("previous_response_id")) is not None:
        return named == (before.final or {}).get("id")
    return bool(remainder(exchange.input, said(before.input) + said(before.output)))


def remainder(items: list[Item], beginning: list[object]) -> list[Item] | None:
    """Return the items after those that say what `beginning` says; None if they don't begin so."""
    left = list(beginning)
    rest = list(items)
    while left and rest:
        first = rest.pop(0)
        if (words := _said(first)) is not None and words != left.pop(0):
            return None
    while rest and _said(rest[0]) is None:
        rest.pop(0)
    return None if left else rest


def said(items: list[Item]) -> list[object]:
    """Return what items say, whatever their form."""
    return [words for item in items if (words := _said(item)) is not None]


def _said(item: Item) -> object:
    match item.get("type", "message"):
        case "message":
            role = "system" if item["role"] == "developer" else item["role"]
            text = content_text(item.get("content"))
            return (role, text) if text or role != "assistant" else None  # some clients add empty ones
        case "function_call":
            return "call", item["name"], _canonical(item["arguments"])
        case "function_call_output":
            return "output", json.dumps(item["output"], sort_keys=True)
        case "reasoning":
            return None  # many clients leave it out
        case kind:
            return kind, item.get("id") or item.get("call_id")


def _canonical(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments), sort_keys=True)
    except ValueError:
        return arguments


def content_text(content: object) -> str:
    """Return the text of a message's content; parts without text as their JSON."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part["text"] if "text" in part else json.dumps(part, sort_keys=True) for part in parts)


def text_of(messages: list[Item]) -> str:
    """Return the text of messages that a server wrote."""
    parts = [part for item in messages for part in item["content"]]
    return "".join(part["text"] for part in parts if part.get("type") == "output_text")


def _remembers(conversation: Conversation) -> bool:
    return any(exchange.request.get("previous_response_id") for exchange in conversation.exchanges)


def _holds(*kinds: str):
    def applies(conversation: Conversation) -> bool:
        items = [item for exchange in conversation.exchanges for item in exchange.input + exchange.output]
        return any(item.get("type") in kinds for item in items)

    return applies


def _calls_at_the_end(conversation: Conversation) -> bool:
    return any(item.get("type") == "function_call" for item in conversation.exchanges[-1].output)


def _without_text(conversation: Conversation) -> bool:
    return not conversation.final_text


REASONS = {
    "continued on the server with previous_response_id, so the requests hold only what is new": _remembers,
    "holds an item_reference, which points into the server's memory": _holds("item_reference"),
    "holds a tool_search, whose calls are no function calls": _holds("tool_search_call"),
    "the recording ends with calls that nobody answers": _calls_at_the_end,
    "the recording ends without a text": _without_text,
}
"""Why a conversation is left out, and the rule that tells. The first that applies counts."""


def left_out_counts() -> Counter[str]:
    """Return how many conversations are left out for each reason."""
    return Counter(conversation.left_out for conversation in conversations() if conversation.left_out is not None)
