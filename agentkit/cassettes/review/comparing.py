"""What a live run gave that the recorded one didn't, in words: for `mode="compare"` and `tools="verify"`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentkit import items, json
from agentkit.cassettes.review.answered import read_answer
from agentkit.cassettes.review.comparison import compare_words

if TYPE_CHECKING:
    from agentkit.cassettes.interaction import Interaction
    from agentkit.cassettes.review.answered import Answered

_AROUND = 40
"""Characters of unchanged text that are shown on each side of a change."""
_MOST = 400


def compare_outputs(recorded: str, live: str) -> str:
    """Return where two outputs differ, as `[-recorded-]{+live+}`; empty where they are the same, as JSON too."""
    if recorded == live or _as_json(recorded) == _as_json(live) is not None:
        return ""
    return marked(recorded, live)


def compare_answers(recorded: Interaction, live: Interaction) -> str:
    """Return where two answers say different things; empty where they don't. Ids, times and tokens don't count."""
    before, after = _said(read_answer(recorded)), _said(read_answer(live))
    return "" if before == after else marked(before, after)


def marked(before: str, after: str) -> str:
    """Return the change of a text on a line, with what is around it: `the [-old-]{+new+} one`."""
    pieces = compare_words(before, after)
    last = len(pieces) - 1
    shown: list[str] = []
    for index, piece in enumerate(pieces):
        if piece.sign == "=":
            shown.append(_shortened(piece.text, at_start=index == 0, at_end=index == last))
        else:
            shown.append(f"[-{piece.text}-]" if piece.sign == "-" else f"{{+{piece.text}+}}")
    text = " ".join("".join(shown).split())
    return text if len(text) <= _MOST else text[:_MOST] + "…"


def _shortened(text: str, *, at_start: bool, at_end: bool) -> str:
    if at_start and len(text) > _AROUND:
        return "…" + text[-_AROUND:]
    if at_end and len(text) > _AROUND:
        return text[:_AROUND] + "…"
    return text if len(text) <= 2 * _AROUND else f"{text[:_AROUND]}…{text[-_AROUND:]}"


def _said(answered: Answered) -> str:
    response = answered.response
    if response is None:
        return answered.problem
    calls = [
        f"{item.get('name')}({_canonical(str(item.get('arguments')))})"
        for item in response.output
        if item.get("type") == "function_call"
    ]
    texts = [items.message_text(item) for item in response.output if items.is_message(item)]
    return "\n".join([*texts, *calls, *([answered.problem] if answered.problem else [])])


def _canonical(arguments: str) -> str:
    value = _as_json(arguments)
    return arguments if value is None else json.encode(value).decode()


def _as_json(text: str) -> json.JSON:
    try:
        return json.decode(text)
    except json.JSONError:
        return None
