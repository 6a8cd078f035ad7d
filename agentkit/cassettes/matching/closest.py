"""Which of many recorded requests a live one resembles most. Pure.

All are compared roughly, by the pieces of their bytes that the live one has too; a request that is kept as what it
adds to another costs what it adds. Only the best few are read.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentkit.cassettes.matching.comparable import Ids
from agentkit.cassettes.matching.differences import Comparable, read_comparable
from agentkit.cassettes.matching.rules import read_body

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentkit.cassettes.interaction import Body
    from agentkit.cassettes.matching.rules import Rules
    from agentkit.json import JSON

_READ = 12
"""How many of the best are read."""

_BETWEEN = re.compile(rb"[{}\[\],]+\s*")


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
    """How many bytes bodies have in common with the live request, and besides."""

    live: frozenset[bytes]
    """The pieces of the live request."""
    telling: frozenset[bytes]
    """Those that stand in it once; what is there again and again, as `"role":"user"`, tells nothing."""
    seen: dict[int, tuple[int, int]] = field(default_factory=dict)

    def count(self, body: Body) -> tuple[int, int]:
        """Return how many bytes of a body are in telling pieces, and how many in pieces that the live one lacks."""
        chain = [body]
        while id(chain[-1]) not in self.seen and (parent := _continued(chain[-1])) is not None:
            chain.append(parent)
        for each in reversed(chain):
            if id(each) in self.seen:
                continue
            parent = _continued(each)
            same, besides = self.seen[id(parent)] if parent is not None else (0, 0)
            pieces = _pieces(bytes(each) if parent is None else each.tail)
            same += _size(self.telling.intersection(pieces))
            besides += _size(piece for piece in pieces if piece not in self.live)
            self.seen[id(each)] = same, besides
        return self.seen[id(body)]


def closest(live: bytes, recorded: Sequence[Recorded], rules: Rules) -> Recorded:
    """Return the recorded request with the most input items that agree; of equal ones one that wasn't played."""
    counted = Counter(_pieces(live))
    pieces = _Pieces(frozenset(counted), frozenset(piece for piece, times in counted.items() if times == 1))
    ranked = sorted(recorded, key=lambda each: _rough(pieces, each), reverse=True)
    decoded = read_body(live)
    if decoded is None:
        return ranked[0]
    mine = read_comparable(decoded, rules, Ids(alike=True))
    return max(ranked[:_READ], key=lambda each: _agreement(mine, each, rules))


def _rough(pieces: _Pieces, recorded: Recorded) -> tuple[int, bool]:
    same, besides = pieces.count(recorded.body)
    return same - besides, not recorded.played


def _agreement(mine: Comparable, recorded: Recorded, rules: Rules) -> tuple[int, int, int, bool]:
    decoded = read_body(bytes(recorded.body))
    if decoded is None:
        return -1, 0, 0, False
    other = read_comparable(decoded, rules, Ids(alike=True))
    agreeing = (Counter(map(rules.encode, mine.items)) & Counter(map(rules.encode, other.items))).total()
    differing = sum(
        rules.encode(_get(mine, name)) != rules.encode(_get(other, name)) for name in {**mine.head, **other.head}
    )
    return agreeing, -differing, -abs(len(mine.items) - len(other.items)), not recorded.played


def _get(body: Comparable, name: str) -> JSON:
    return [body.head[name]] if name in body.head else None


def _continued(body: Body) -> Body | None:
    """Return the body that this one adds items to."""
    parent = body.parent
    return parent if parent is not None and body.kept == parent.size - 2 and body.tail.startswith(b",{") else None


def _pieces(data: bytes) -> list[bytes]:
    return _BETWEEN.split(data)


def _size(pieces: Iterable[bytes]) -> int:
    return sum(map(len, pieces))
