"""Agents that call tools, on the stateless Responses API.

    from agentkit import Agent, tool

    @tool
    def add(a: int, b: int) -> int:
        \"\"\"Add two numbers.\"\"\"
        return a + b

    print(Agent(model="gpt-oss-120b", tools=[add]).run_sync("What is 2 + 2?").output)

Importing this reads no environment, starts no thread, and loads a module only when one of its names is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from agentkit.agent import Agent
    from agentkit.client import Client, Stats
    from agentkit.errors import (
        AgentkitError,
        AuthenticationError,
        BadRequest,
        CassetteError,
        CassetteMismatch,
        ContextOverflow,
        Incomplete,
        LimitReached,
        NotFound,
        OutputInvalid,
        ProtocolError,
        RateLimited,
        Refused,
        ResponseFailed,
        RunStopped,
        ServerError,
        StatusError,
        StreamBroken,
        Timeout,
        ToolDefinitionError,
        ToolError,
        TooManyTools,
        TranscriptError,
        TransportError,
        UsageError,
    )
    from agentkit.events import (
        AttemptDiscarded,
        Event,
        OutputRejected,
        ReasoningDelta,
        RefusalDelta,
        ResponseFinished,
        RetryWaiting,
        TextDelta,
        ToolFinished,
        ToolProgress,
        ToolStarted,
        UnknownEvent,
    )
    from agentkit.execute import ToolCall
    from agentkit.items import File, FunctionCall, Image, Text
    from agentkit.limits import Limits, Prices
    from agentkit.profile import Profile
    from agentkit.prompt import Prompt
    from agentkit.request import Request
    from agentkit.response import Response, Usage
    from agentkit.retry import Attempt, RetryPolicy
    from agentkit.run import Result, Run, SyncRun
    from agentkit.settings import Settings
    from agentkit.tools import Tool, ToolContext, Toolset, tool
    from agentkit.transcript import (
        Entry,
        InputEntry,
        OutputRecord,
        OutputsEntry,
        ResponseEntry,
        Transcript,
    )
    from agentkit.wire import Timeouts

_MODULES = {
    "agent": ("Agent",),
    "client": ("Client", "Stats"),
    "errors": (
        "AgentkitError",
        "AuthenticationError",
        "BadRequest",
        "CassetteError",
        "CassetteMismatch",
        "ContextOverflow",
        "Incomplete",
        "LimitReached",
        "NotFound",
        "OutputInvalid",
        "ProtocolError",
        "RateLimited",
        "Refused",
        "ResponseFailed",
        "RunStopped",
        "ServerError",
        "StatusError",
        "StreamBroken",
        "Timeout",
        "ToolDefinitionError",
        "ToolError",
        "TooManyTools",
        "TranscriptError",
        "TransportError",
        "UsageError",
    ),
    "events": (
        "AttemptDiscarded",
        "Event",
        "OutputRejected",
        "ReasoningDelta",
        "RefusalDelta",
        "ResponseFinished",
        "RetryWaiting",
        "TextDelta",
        "ToolFinished",
        "ToolProgress",
        "ToolStarted",
        "UnknownEvent",
    ),
    "execute": ("ToolCall",),
    "items": ("File", "FunctionCall", "Image", "Text"),
    "limits": ("Limits", "Prices"),
    "profile": ("Profile",),
    "prompt": ("Prompt",),
    "request": ("Request",),
    "response": ("Response", "Usage"),
    "retry": ("Attempt", "RetryPolicy"),
    "run": ("Result", "Run", "SyncRun"),
    "settings": ("Settings",),
    "tools": ("Tool", "ToolContext", "Toolset", "tool"),
    "transcript": ("Entry", "InputEntry", "OutputRecord", "OutputsEntry", "ResponseEntry", "Transcript"),
    "wire": ("Timeouts",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [  # noqa: PLE0604, RUF022  (sorted by the expression; the test compares it with the imports above)
    *sorted(_HOMES)
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'agentkit' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"agentkit.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
