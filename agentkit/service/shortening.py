"""What is left of an answer within `max_output_tokens`: the items before the limit, the last of them incomplete."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agentkit.service.responses import Spoken, item_texts, split_tokens, text_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentkit.json import JSON
    from agentkit.service.replies import Piece
    from agentkit.service.responses import Said


def cut_short(said: Sequence[Said], most: int) -> list[Said] | None:
    """Return what is said within `most` tokens; None where all of it is. What happens after the cut is left out."""
    kept: list[Said] = []
    room = most
    for each in said:
        if isinstance(each, Spoken):
            tokens = sum(len(split_tokens(text)) for text in item_texts(each.item))
            if tokens > room:
                return [*kept, _incomplete(_shortened(each, room))] if room else _ended(kept)
            room -= tokens
        kept.append(each)
    return None


def _ended(kept: list[Said]) -> list[Said]:
    """Return what was said before an item that has no room at all."""
    last = max(index for index, each in enumerate(kept) if isinstance(each, Spoken))
    return [
        _incomplete(each) if index == last and isinstance(each, Spoken) else each for index, each in enumerate(kept)
    ]


def _incomplete(spoken: Spoken) -> Spoken:
    item = spoken.item
    return replace(spoken, item={**item, "status": "incomplete"}) if "status" in item else spoken


def _shortened(spoken: Spoken, room: int) -> Spoken:
    item = dict(spoken.item)
    size = 0
    if isinstance(arguments := item.get("arguments"), str):
        item["arguments"], room = _first_tokens(arguments, room)
        size = len(str(item["arguments"]))
    for key in ("summary", "content"):
        if isinstance(given := item.get(key), list):
            parts, room = _first_parts(given, room)
            item[key] = parts
            if key == "content" and parts and isinstance(first := parts[0], dict):
                size = len(str(first.get(text_key(first), "")))
    return Spoken(item, None if spoken.pieces is None else _first_pieces(spoken.pieces, size))


def _first_parts(parts: list[JSON], room: int) -> tuple[list[JSON], int]:
    kept: list[JSON] = []
    for part in parts:
        if isinstance(part, dict) and isinstance(text := part.get(key := text_key(part)), str):
            if not room:
                break
            text, room = _first_tokens(text, room)
            kept.append({**part, key: text})
        else:
            kept.append(part)
    return kept, room


def _first_tokens(text: str, most: int) -> tuple[str, int]:
    """Return the start of a text, and how many tokens there is room for behind it."""
    tokens = split_tokens(text)
    return "".join(tokens[:most]), max(0, most - len(tokens))


def _first_pieces(pieces: tuple[Piece, ...], size: int) -> tuple[Piece, ...]:
    """Return the pieces of the first `size` characters, with what happens before and between them."""
    kept: list[Piece] = []
    for piece in pieces:
        if not size:
            break
        if isinstance(piece, str):
            piece = piece[:size]
            size -= len(piece)
        kept.append(piece)
    return tuple(kept)
