"""What the clients of the recordings did to the conversation on its way back to the server.

agentkit sends items as they came; other clients leave fields out, write messages in another form, or drop
reasoning. Each function here takes what agentkit sent and does one such thing to it, where the recorded request
shows that it was done. What is left must equal the recorded request.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recordings.exchanges import Exchange, Item


def explain(sent: list[Item], recorded: list[Item], before: list[Exchange]) -> tuple[list[Item], Counter[str]]:
    """Return `sent` as the recording client would have written it, and how many items each rule changed.

    `before` are the exchanges that the request follows.
    """
    counts: Counter[str] = Counter()
    for name, rewrite_list in LIST_RULES.items():
        sent, changed = rewrite_list(sent, recorded)
        counts[name] += changed
    if len(sent) != len(recorded):
        return sent, +counts
    done = {item["id"]: item for exchange in before for item in exchange.done_items if "id" in item}
    for name, rewrite in ITEM_RULES.items():
        rewritten = [rewrite(item, theirs, done) for item, theirs in zip(sent, recorded, strict=True)]
        counts[name] += sum(new != old for new, old in zip(rewritten, sent, strict=True))
        sent = rewritten
    return sent, +counts


def add_empty_message(sent: list[Item], recorded: list[Item]) -> tuple[list[Item], int]:
    """The client put an empty assistant message before calls that came without one."""
    whole = list(sent)
    for index, item in enumerate(recorded):
        if item == {"role": "assistant", "content": ""} and (index >= len(whole) or whole[index].get("role") is None):
            whole.insert(index, item)
    return whole, len(whole) - len(sent)


def name_calls_by_item(sent: list[Item], recorded: list[Item]) -> tuple[list[Item], int]:
    """The client named calls and outputs by the item's `id` instead of its `call_id`."""
    theirs = {item.get("call_id") for item in recorded}
    calls = [item for item in sent if item.get("type") == "function_call" and item.get("id") in theirs]
    names = {call["call_id"]: call["id"] for call in calls if call["call_id"] not in theirs}
    renamed = [{**item, "call_id": names[item["call_id"]]} if item.get("call_id") in names else item for item in sent]
    return renamed, sum(new != old for new, old in zip(renamed, sent, strict=True))


def keep_by_id(sent: list[Item], recorded: list[Item]) -> tuple[list[Item], int]:
    """The client let the server store the conversation, and sent reasoning back that only its id says.

    agentkit, which stores nothing there, has to leave it out.
    """
    whole = list(sent)
    for index, item in enumerate(recorded):
        if item.get("type") == "reasoning" and not item.get("encrypted_content") and len(whole) < len(recorded):
            whole.insert(index, item)
    return whole, len(whole) - len(sent)


def drop_reasoning(sent: list[Item], recorded: list[Item]) -> tuple[list[Item], int]:
    """The client sent none of the reasoning back."""
    if any(item.get("type") == "reasoning" for item in recorded):
        return sent, 0
    kept = [item for item in sent if item.get("type") != "reasoning"]
    return kept, len(sent) - len(kept)


def leave_out(field: str, *kinds: str) -> Callable[[Item, Item, dict[str, Item]], Item]:
    """Return the rule that a field is left out of items of some types."""

    def rewrite(item: Item, recorded: Item, _: object) -> Item:
        if item.get("type") not in kinds or field in recorded:
            return item
        return {key: value for key, value in item.items() if key != field}

    return rewrite


def null_status(item: Item, recorded: Item, _: object) -> Item:
    """The client wrote `status: null` on a call."""
    nulled = item.get("type") == "function_call" and "status" in recorded and recorded["status"] is None
    return {**item, "status": None} if nulled else item


def label_output(item: Item, recorded: Item, _: object) -> Item:
    """The client gave an output a `status` or an `id` of its own."""
    if item.get("type") != "function_call_output":
        return item
    return {**{key: recorded[key] for key in ("status", "id") if key in recorded}, **item}


def write_arguments_anew(item: Item, recorded: Item, _: object) -> Item:
    """The client decoded the arguments and encoded them again."""
    mine, theirs = item.get("arguments"), recorded.get("arguments")
    if isinstance(mine, str) and isinstance(theirs, str) and json.loads(mine) == json.loads(theirs):
        return {**item, "arguments": theirs}
    return item


def take_done_id(item: Item, recorded: Item, done: dict[str, Item]) -> Item:
    """The client took the `id` from `output_item.done`; Copilot's final response gives each item another."""
    event = done.get(recorded.get("id", ""))
    return {**item, "id": event["id"]} if event is not None and event["type"] == item.get("type") else item


def take_done_event(item: Item, recorded: Item, done: dict[str, Item]) -> Item:
    """The client took `encrypted_content` from `output_item.done`; the final response holds another encryption."""
    event = done.get(item.get("id", ""))
    if event is None or item.get("type") not in ("reasoning", "compaction"):
        return item
    same = event.get("encrypted_content") == recorded.get("encrypted_content")
    return (
        {**item, "encrypted_content": recorded["encrypted_content"]} if same and "encrypted_content" in item else item
    )


def simplify_parts(item: Item, recorded: Item, _: object) -> Item:
    """The client left `annotations` or `logprobs` out of an answer's parts."""
    mine, theirs = item.get("content"), recorded.get("content")
    if item.get("role") != "assistant" or not isinstance(mine, list) or not isinstance(theirs, list):
        return item
    if len(mine) != len(theirs):
        return item
    pairs = zip(mine, theirs, strict=True)
    dropped = {"annotations", "logprobs"}
    return {**item, "content": [{k: v for k, v in p.items() if k in t or k not in dropped} for p, t in pairs]}


def join_parts(item: Item, recorded: Item, _: object) -> Item:
    """The client wrote an answer's one text as a string."""
    mine = item.get("content")
    if item.get("role") != "assistant" or not isinstance(recorded.get("content"), str) or not isinstance(mine, list):
        return item
    return {**item, "content": mine[0]["text"]} if len(mine) == 1 and "text" in mine[0] else item


def thin_out_hosted(item: Item, recorded: Item, _: object) -> Item:
    """The client left fields out of an item that only the server runs, or made them null."""
    if item.get("type") not in HOSTED or item.get("id") != recorded.get("id"):
        return item
    return {key: value if recorded[key] is not None else None for key, value in item.items() if key in recorded}


HOSTED = {"code_interpreter_call", "file_search_call", "image_generation_call", "mcp_call", "compaction"}

LIST_RULES: dict[str, Callable[[list[Item], list[Item]], tuple[list[Item], int]]] = {
    "empty assistant message added before calls": add_empty_message,
    "calls and outputs named by the item's id": name_calls_by_item,
    "reasoning: sent by its id alone, to a server that stores": keep_by_id,
    "reasoning: left out": drop_reasoning,
}
ITEM_RULES: dict[str, Callable[[Item, Item, dict[str, Item]], Item]] = {
    "message: `id` left out": leave_out("id", "message"),
    "message: `status` left out": leave_out("status", "message"),
    "message: `phase` left out": leave_out("phase", "message"),
    "message: `annotations` or `logprobs` left out of parts": simplify_parts,
    "function_call: `id` left out": leave_out("id", "function_call"),
    "function_call: `status` left out": leave_out("status", "function_call"),
    "function_call: `status` null": null_status,
    "function_call: `arguments` encoded anew": write_arguments_anew,
    "function_call_output: `status` or `id` added": label_output,
    "reasoning: `status` left out": leave_out("status", "reasoning"),
    "reasoning: empty `content` left out": leave_out("content", "reasoning"),
    "`id` of the item's own event, not of the final response": take_done_id,
    "reasoning: `encrypted_content` of the item's own event, not of the final response": take_done_event,
    "message: one text written as a string": join_parts,
    "hosted item: fields left out or null": thin_out_hosted,
    "message: `type` left out": leave_out("type", "message"),
}
"""What the clients did, by the name that the table gives it. No rule writes a text, a call's name or an output."""
