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

__version__ = "0.1.0"

_MODULES = {
    "agent": ("Agent",),
    "cassettes.session": ("cassette",),
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
    "entries": ("Entry", "InputEntry", "OutputRecord", "OutputsEntry", "ResponseEntry"),
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
    "plan": ("Result",),
    "run": ("Run", "SyncRun"),
    "settings": ("Settings",),
    "tools": ("Tool", "ToolContext", "Toolset", "tool"),
    "transcript": ("Transcript",),
    "wire": ("Timeouts",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_HOMES)


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
