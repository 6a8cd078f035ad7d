"""Which of many recorded requests a live one resembles most. Pure.

All are compared roughly, by the pieces of their bytes that the live one has too; a request that is kept as what it
adds to another costs what it adds. Only the best few are read.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentkit.cassettes.comparable import Ids
from agentkit.cassettes.differences import Comparable, read_comparable
from agentkit.cassettes.matching import read_body

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentkit.cassettes.interaction import Body
    from agentkit.cassettes.matching import Rules
    from agentkit.json import JSON

_READ = 6
"""How many of the best are read."""

_BETWEEN = re.compile(rb"\}\s*,\s*\{")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded request."""

    turn: int
    """Its number in the cassette, from 1."""
    method: str
    uri: str
    body: Body
    played: bool = False
    """Whether its answer was given away already."""


@dataclass(slots=True)
class _Pieces:
    """The pieces of the live request, and how many of them bodies have."""

    live: frozenset[bytes]
    size: int
    seen: dict[int, tuple[int, int]] = field(default_factory=dict)

    def count(self, body: Body) -> tuple[int, int]:
        """Return how many pieces of a body the live request has too, and how many there are."""
        chain = [body]
        while id(chain[-1]) not in self.seen and (parent := _continued(chain[-1])) is not None:
            chain.append(parent)
        for each in reversed(chain):
            if id(each) in self.seen:
                continue
            parent = _continued(each)
            same, total = self.seen[id(parent)] if parent is not None else (0, 0)
            pieces = _pieces(bytes(each) if parent is None else each.tail)
            self.seen[id(each)] = same + sum(piece in self.live for piece in pieces), total + len(pieces)
        return self.seen[id(body)]


def closest(live: bytes, recorded: Sequence[Recorded], rules: Rules) -> Recorded:
    """Return the recorded request with the most input items that agree; of equal ones one that wasn't played."""
    listed = _pieces(live)
    pieces = _Pieces(frozenset(listed), len(listed))
    ranked = sorted(recorded, key=lambda each: _rough(pieces, each), reverse=True)
    decoded = read_body(live)
    if decoded is None:
        return ranked[0]
    mine = read_comparable(decoded, rules, Ids(alike=True))
    return max(ranked[:_READ], key=lambda each: _agreement(mine, each, rules))


def _rough(pieces: _Pieces, recorded: Recorded) -> tuple[int, int, bool]:
    same, total = pieces.count(recorded.body)
    return min(same, pieces.size), -abs(total - pieces.size), not recorded.played


def _agreement(mine: Comparable, recorded: Recorded, rules: Rules) -> tuple[int, int, int, bool]:
    decoded = read_body(bytes(recorded.body))
    if decoded is None:
        return -1, 0, 0, False
    other = read_comparable(decoded, rules, Ids(alike=True))
    agreeing = (Counter(map(rules.encode, mine.items)) & Counter(map(rules.encode, other.items))).total()
    fields = sum(rules.encode(_get(mine, name)) == rules.encode(_get(other, name)) for name in mine.head)
    return agreeing, fields, -abs(len(mine.items) - len(other.items)), not recorded.played


def _get(body: Comparable, name: str) -> JSON:
    return [body.head[name]] if name in body.head else None


def _continued(body: Body) -> Body | None:
    """Return the body that this one adds items to."""
    parent = body.parent
    return parent if parent is not None and body.kept == parent.size - 2 and body.tail.startswith(b",{") else None


def _pieces(data: bytes) -> list[bytes]:
    return [piece.strip(b",{}[] \n") for piece in _BETWEEN.split(data)]
