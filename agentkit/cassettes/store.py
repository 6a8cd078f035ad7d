"""The interactions of one cassette, looked up by key, and which of them were played.

Each interaction has a key over all that counts of its request, and waits in a queue with its equals: a look-up is one
look into a dictionary, however many there are.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentkit.cassettes.interaction import Interaction


class Shelf(Protocol):
    """Recorded interactions, each read when it is wanted."""

    @property
    def keys(self) -> Sequence[str]: ...
    @property
    def parents(self) -> Sequence[int | None]: ...
    @property
    def lanes(self) -> Sequence[str]: ...
    def interaction(self, index: int) -> Interaction: ...


class Store:
    """What a cassette file holds, and what of it was played."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._played: set[int] = set()
        self._lanes = shelf.lanes
        self._nested = [(index, lane) for index, lane in enumerate(shelf.lanes) if lane]
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[int]] = {}
        for index, key in enumerate(shelf.keys):
            self._waiting.setdefault(key, deque()).append(index)
        self._children: dict[int, list[int]] | None = None

    def take(self, key: str, lane: str) -> int | None:
        """Return the first interaction with this key that was not played, of this lane if there is one; mark it."""
        with self._lock:
            queue = self._waiting.get(key)
            if not queue:
                return None
            index = next((i for i in queue if self._lanes[i] == lane), queue[0])
            queue.remove(index)
            self._played.add(index)
            return index

    def take_index(self, index: int) -> bool:
        """Mark an interaction as played; return whether it had not been."""
        with self._lock:
            queue = self._waiting.get(self._shelf.keys[index])
            if queue is None or index not in queue:
                return False
            queue.remove(index)
            self._played.add(index)
            return True

    def __len__(self) -> int:
        return len(self._shelf.keys)

    def interaction(self, index: int) -> Interaction:
        return self._shelf.interaction(index)

    def can_take(self, key: str) -> bool:
        """Tell whether an interaction with this key was not played yet."""
        return bool(self._waiting.get(key))

    def has_key(self, key: str) -> bool:
        """Tell whether there is, or was, an interaction with this key."""
        return key in self._waiting

    def is_played(self, index: int) -> bool:
        return index in self._played

    def unplayed(self) -> list[int]:
        """Return the indices of what was not played, in the file's order."""
        return [index for index in range(len(self)) if index not in self._played]

    def children(self, index: int) -> Sequence[int]:
        """Return the interactions whose requests go on with the one at an index."""
        if self._children is None:
            children: dict[int, list[int]] = {}
            for child, parent in enumerate(self._shelf.parents):
                if parent is not None:
                    children.setdefault(parent, []).append(child)
            self._children = children
        return self._children.get(index, ())

    def roots(self) -> Iterator[int]:
        """Return the interactions whose requests go on with none."""
        return (index for index, parent in enumerate(self._shelf.parents) if parent is None)

    def beneath(self, lane: str) -> list[int]:
        """Return the interactions of agents that ran in a lane, however deep."""
        return [i for i, other in self._nested if other == lane or other.startswith(lane + "/")]
