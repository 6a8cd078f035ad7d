"""Where replies come from: a function of the request, or a list used up in order."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from agentkit.errors import UsageError
from agentkit.service.replies import Answer, as_answer

if TYPE_CHECKING:
    from agentkit.json import JSONObject
    from agentkit.service.replies import Disconnect, Failure, Reply
    from agentkit.service.requests import ReceivedRequest

Script: TypeAlias = "Callable[[ReceivedRequest], Reply | Awaitable[Reply]] | Sequence[Reply]"


class ScriptExhausted(UsageError):
    """More requests came than a list of replies has answers for; the message names the last item asked about."""


class Replies:
    """A list of replies as a function: each is given once, in order, whichever thread asks."""

    def __init__(self, replies: Sequence[Reply]) -> None:
        self._replies = tuple(replies)
        self._given = 0
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """How many replies haven't been given yet."""
        return len(self._replies) - self._given

    def __call__(self, request: ReceivedRequest) -> Reply:
        with self._lock:
            if self._given < len(self._replies):
                self._given += 1
                return self._replies[self._given - 1]
        raise ScriptExhausted(
            f"the script is exhausted: all {len(self._replies)} replies were given, and one more request came, "
            f"which ends with {describe_item(request.last_item)}. Add a reply for it, or script with a function."
        )


def as_function(script: Script) -> Callable[[ReceivedRequest], Reply | Awaitable[Reply]]:
    """Return a script in its function form."""
    if isinstance(script, str) or not isinstance(script, Sequence):
        if callable(script):
            return script
        raise UsageError(
            f"a script can't be {script!r} ({type(script).__name__}). "
            "Give a list of replies, such as ['Hello'], or a function of the request."
        )
    for reply in script:
        _check_reply(reply)
    return Replies(script)


def _check_reply(reply: Reply) -> None:
    """Refuse what is no reply, a dict that is no item among it. A function may send such a one, to see what happens."""
    answer = as_answer(reply)
    for part in answer.parts if isinstance(answer, Answer) else ():
        if isinstance(part, Mapping) and not isinstance(part.get("type"), str):
            raise UsageError(
                f"a script holds the dict {dict(part)!r}, which has no type. A dict is an output item, sent as it is "
                "({'type': 'message', ...}). A reply is a str, a part such as text(...) or call(...), a list of parts, "
                "reply(...) or failure(...)."
            )


async def ask(
    model: Callable[[ReceivedRequest], Reply | Awaitable[Reply]], request: ReceivedRequest
) -> Answer | Failure | Disconnect:
    """Return what the scripted model replies to a request."""
    given = model(request)
    return as_answer(await given if inspect.isawaitable(given) else given)


def describe_item(item: JSONObject) -> str:
    """Say in a few words what an item is and holds."""
    kind = item.get("type", "message")
    shown = item.get("output") or item.get("content") or item.get("arguments") or ""
    name = item.get("role") or item.get("name") or item.get("call_id") or ""
    return f"{kind} {name}: {str(shown)[:200]!r}"
