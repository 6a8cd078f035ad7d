"""What a server's answers repeat of the requests: the tools, the same in each of a run's answers.

128 tools are 50 KB in every answer, and decoding them takes as long as all else that a turn takes. So their text is
remembered; where an answer holds it again, it is cut out, and what it stands for is put in its place.
"""

from __future__ import annotations

from agentkit import json

LEAST_CHARACTERS = 2048
"""Shorter texts are decoded as fast as they are recognised."""
MOST_CHARACTERS = 2**20
KEPT = 8
"""How many texts a client remembers."""

_KEY = '"tools":'  # in valid JSON it is a key, and nothing else: in a string, quotes are escaped
_MARK = "\x00the tools that were read before"
_MARK_TEXT = json.encode(_MARK).decode()


class Echoes:
    """Decodes answers. The values of equal tools are shared between them."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: tuple[tuple[str, json.JSON], ...] = ()  # replaced whole: threads share it

    def decode(self, data: bytes) -> json.JSON:
        """Return what `json.decode` returns."""
        if len(data) < LEAST_CHARACTERS:
            return json.decode(data)
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return json.decode(data)  # which tells it in its own words
        if (at := _find_tools(text)) is None:
            return json.decode(data)
        for known, value in self._known:
            if text.startswith(known, at):
                try:
                    rest = json.decode(text[:at] + _MARK_TEXT + text[at + len(known) :])
                except json.JSONError:
                    break  # whose place in the whole is to be told
                if (holder := _holder(rest)) is not None and holder.get("tools") == _MARK:
                    holder["tools"] = value
                    return rest
        whole = json.decode(data)
        self._learn(text, at, whole)
        return whole

    def _learn(self, text: str, at: int, whole: json.JSON) -> None:
        holder = _holder(whole)
        if holder is None or not holder.get("tools"):
            return
        value, end = json.decode_first(text, at)
        if LEAST_CHARACTERS <= end - at <= MOST_CHARACTERS and value == holder["tools"]:
            self._known = ((text[at:end], holder["tools"]), *self._known[: KEPT - 1])


def _find_tools(text: str) -> int | None:
    """Return where the first list of tools begins."""
    at = text.find(_KEY)
    if at < 0:
        return None
    at += len(_KEY)
    while text[at : at + 1].isspace():
        at += 1
    return at if text[at : at + 1] == "[" else None


def _holder(value: json.JSON) -> json.JSONObject | None:
    """Return the object that has the tools: the response, or the one in an event."""
    if not isinstance(value, dict):
        return None
    within = value.get("response")
    return within if "tools" not in value and isinstance(within, dict) else value
