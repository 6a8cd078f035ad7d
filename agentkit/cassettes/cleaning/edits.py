"""Replacements in bytes, and where the boundaries of chunks come to lie by them. Pure."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Edit: TypeAlias = "tuple[int, int, bytes]"
"""Start, end, and what comes there."""

FindEdits: TypeAlias = "Callable[[bytes], list[Edit]]"
"""Finds what is to be replaced: sorted, without overlaps."""


def apply_edits(data: bytes, edits: Sequence[Edit]) -> bytes:
    """Return the bytes with the replacements made; the same object where there are none."""
    if not edits:
        return data
    pieces: list[bytes] = []
    position = 0
    for start, end, replacement in edits:
        pieces += (data[position:start], replacement)
        position = end
    pieces.append(data[position:])
    return b"".join(pieces)


def edit_chunks(chunks: tuple[bytes, ...], finders: Sequence[FindEdits]) -> tuple[bytes, ...]:
    """Return the chunks with what each finder, one after the other, finds in all of them together replaced.

    A replacement goes whole into the chunk in which it begins, so there are as many chunks as before, and one that
    held nothing else is empty.
    """
    data = b"".join(chunks)
    ends: list[int] = []
    for chunk in chunks:
        ends.append((ends[-1] if ends else 0) + len(chunk))
    changed = False
    for find in finders:
        if edits := find(data):
            data, ends, changed = apply_edits(data, edits), _moved(ends, edits), True
    if not changed:
        return chunks
    starts = [0, *ends[:-1]]
    return tuple(data[start:end] for start, end in zip(starts, ends, strict=True))


def _moved(positions: list[int], edits: Sequence[Edit]) -> list[int]:
    """Return where positions come to lie; one within a replaced piece goes to its end."""
    starts = [start for start, _, _ in edits]
    shifts = [0]
    for start, end, replacement in edits:
        shifts.append(shifts[-1] + len(replacement) - (end - start))
    moved: list[int] = []
    for position in positions:
        before = bisect_right(starts, position - 1)  # edits that begin before it
        end = edits[before - 1][1] if before else 0
        moved.append(max(position, end) + shifts[before])
    return moved
