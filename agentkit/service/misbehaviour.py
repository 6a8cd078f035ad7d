"""When a service misbehaves: as a request's `x-agentkit-fault` header asks, or by chance, at a rate with a seed."""

from __future__ import annotations

import hashlib
import random
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from agentkit import json
from agentkit.errors import UsageError
from agentkit.json import JSONError
from agentkit.service.faults import FAULTS, Kind, UnknownFault, checked_parameters, find_fault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentkit.service.faults import Bent, Fault
    from agentkit.service.replies import Answer
    from agentkit.service.requests import ReceivedRequest

HEADER = "x-agentkit-fault"
KINDS: tuple[str, ...] = get_args(Kind)

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Drawn:
    """One fault, with its parameters, for one answer."""

    name: str
    parameters: Mapping[str, object]

    @property
    def fault(self) -> Fault:
        """The fault itself."""
        return FAULTS[self.name]

    def bend(self, answer: Answer) -> Bent:
        """Return what is sent instead of `answer`."""
        return self.fault(answer, **self.parameters)


class Misbehaviour:
    """Draws the faults of each request. Safe to use from several threads."""

    def __init__(self, *, rate: float = 0.0, seed: int = 0, faults: Sequence[str] = ("transient",)) -> None:
        """Let a share of `rate` of the answers be bent by one of `faults`: names, or kinds (`transient`, ...).

        The same seed gives the same faults to the same order of requests.
        """
        if not 0 <= rate <= 1:
            raise UsageError(f"a fault rate of {rate!r}; allowed is 0 to 1.")
        self._rate = rate
        self._names = _expanded(faults)
        self._random = random.Random(seed)  # noqa: S311 - chance that can be repeated is what is wanted
        self._lock = threading.Lock()
        self._times: OrderedDict[bytes, int] = OrderedDict()

    def draw(self, request: ReceivedRequest) -> tuple[Drawn, ...]:
        """Return the faults of the answer to a request. Raises `UnknownFault` for a header that names none."""
        asked = request.headers.get(HEADER)
        if asked is not None:
            return tuple(drawn for drawn, times in read_header(asked) if self._is_due(request, asked, drawn, times))
        if not self._rate:
            return ()
        with self._lock:
            # both numbers are drawn each time, so that one request's luck doesn't move the next one's
            chance, choice = self._random.random(), self._random.random()
        if chance >= self._rate:
            return ()
        names = [name for name in self._names if request.get("stream") is True or FAULTS[name].affects != "streams"]
        return (Drawn(names[int(choice * len(names))], {}),) if names else ()

    def _is_due(self, request: ReceivedRequest, asked: str, drawn: Drawn, times: int | None) -> bool:
        if times is None:
            return True
        key = hashlib.blake2b(f"{asked}\0{drawn.name}\0".encode() + request.raw, digest_size=16).digest()
        with self._lock:
            done = self._times.pop(key, 0)
            self._times[key] = done + 1
            if len(self._times) > _REMEMBERED:
                self._times.popitem(last=False)
        return done < times


def read_header(text: str) -> list[tuple[Drawn, int | None]]:
    """Read `name; parameter=value; times=1, name ...`: the faults, and how often each is for the same request."""
    found = []
    for one in text.split(","):
        name, *pairs = (piece.strip() for piece in one.split(";"))
        find_fault(name)
        parameters = dict(_pair(name, pair) for pair in pairs if pair)
        times = parameters.pop("times", None)
        if times is not None and (isinstance(times, bool) or not isinstance(times, int) or times < 1):
            raise UnknownFault(f"fault {name!r}: times is a whole number of at least 1, not {times!r}.")
        found.append((Drawn(name, checked_parameters(name, parameters)), times))
    return found


def _pair(name: str, text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UnknownFault(f"fault {name!r}: {text[:80]!r} isn't of the form parameter=value.")
    try:
        return key.strip(), json.decode(value.strip())
    except JSONError:
        return key.strip(), value.strip()


def _expanded(faults: Sequence[str]) -> list[str]:
    names: list[str] = []
    for given in faults:
        try:
            names += [n for n, fault in FAULTS.items() if fault.kind == given] if given in KINDS else [given]
            find_fault(names[-1])
        except UnknownFault as exc:
            raise UsageError(f"{exc} Kinds, for all faults of one, are: {', '.join(KINDS)}.") from None
    return list(dict.fromkeys(names))
