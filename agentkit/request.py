"""The body of a request: bytes that hold for a whole run, around the bytes that the transcript keeps.

What is set once (model, settings, tools) is encoded once; a turn's body is one join.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from agentkit import json
from agentkit.errors import TooManyTools, UsageError
from agentkit.settings import STATEFUL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agentkit.json import JSON, JSONObject
    from agentkit.profile import Profile
    from agentkit.settings import Settings

MAX_TOOLS = 128  # "tools ... 128" (SambaNova, Responses API)


@dataclass(frozen=True, slots=True)
class Request:
    """One request, ready to be sent as often as it takes: every attempt sends the same bytes."""

    body: bytes = field(repr=False)
    """The JSON body."""
    stream: bool = False
    """Whether it asks for a stream."""
    model: str | None = None
    """The model, for error messages."""

    @classmethod
    def of(cls, body: Mapping[str, JSON], *, stream: bool, profile: Profile) -> Request:
        """Make a request of a body written by hand; `stream`, `store` and each tool's `strict` are filled in.

        Raises `UsageError` for what a stateless server would accept and silently drop.
        """
        model = body.get("model")
        if not isinstance(model, str) or not model:
            raise UsageError(f"model is {model!r}; give the model's name as the server spells it.")
        listed = body.get("input")
        if not isinstance(listed, str) and not (isinstance(listed, list) and listed):
            raise UsageError(f"input is {repr(listed)[:80]}; give a string or a list of items that isn't empty.")
        for name in sorted(STATEFUL & body.keys()):
            if body[name] is not None and body[name] is not False:
                raise UsageError(
                    f"the body holds {name!r}, which a stateless server drops. Send the whole conversation."
                )
        if body.get("store"):
            raise UsageError("the body holds store=True; a stateless client keeps the conversation. Leave it out.")
        if isinstance(listed, list) and any(isinstance(i, dict) and i.get("type") == "item_reference" for i in listed):
            raise UsageError(
                "input holds an item_reference; a stateless server has nothing to refer to. Give the item."
            )
        whole: JSONObject = {**body, "stream": stream, "store": False, **_include(body, profile)}
        if (tools := body.get("tools")) is not None:
            whole["tools"] = cast("list[JSON]", check_tools(tools))
        try:
            return cls(json.encode(whole), stream, model)
        except json.JSONError as exc:
            raise UsageError(f"the body is {exc}. Give plain JSON values.") from exc


class RequestTemplate:
    """The part of a run's requests that stays the same from turn to turn."""

    __slots__ = ("_forced", "_free", "_model", "_stream")

    def __init__(
        self,
        *,
        model: str,
        instructions: str | None,
        tools: Sequence[JSONObject],
        settings: Settings,
        text_format: JSONObject | None,
        stream: bool,
        profile: Profile,
    ) -> None:
        head: JSONObject = {"model": model, "stream": stream}
        if instructions is not None:
            head["instructions"] = instructions
        body = settings.body()
        if text_format is not None:
            body["text"] = _with_format(body.get("text", {}), text_format)
        head |= body
        # "store ... SambaNova is stateless": no effect there; OpenAI stores what doesn't say otherwise.
        head |= {"store": False, **_include(body, profile)}
        if tools:
            head["tools"] = cast("list[JSON]", list(tools))
        self._model = model
        self._stream = stream
        choice, later = settings.choice(), settings.later_choice()
        try:
            self._free = _open(head if later is None else {**head, "tool_choice": later})
            self._forced = _open({**head, "tool_choice": choice}) if settings.forces_call else self._free
        except json.JSONError as exc:
            raise UsageError(f"the settings are {exc}. Give plain JSON values.") from exc

    def request(self, chunks: Iterable[bytes], *, forced: bool = False) -> Request:
        """Return the request over a conversation; `forced` keeps a tool_choice that demands a call."""
        head = self._forced if forced else self._free
        return Request(b"".join((head, b",".join(chunks), b"]}")), self._stream, self._model)


def check_tools(tools: JSON) -> list[JSONObject]:
    """Return function tools with an explicit `strict`.

    Raises `UsageError` for hosted ones, which SambaNova drops without a word ("Only type: "function" tools
    are supported; other tool types are filtered server-side"), and `TooManyTools` above 128.
    """
    if not isinstance(tools, list):
        raise UsageError(f"tools is {repr(tools)[:80]}; give a list of functions.")
    if len(tools) > MAX_TOOLS:
        raise TooManyTools(
            f"{len(tools)} tools given, the API accepts at most {MAX_TOOLS}. Select a subset with Toolset.only(...)."
        )
    for tool in tools:
        if not isinstance(tool, dict) or tool.get("type") != "function":
            raise UsageError(
                f"a tool that is no function: {repr(tool)[:120]}. Only functions are called by the client."
            )
    # An omitted `strict` means true at some servers and false at others.
    return [{"strict": False, **cast("JSONObject", tool)} for tool in tools]


def _with_format(text: JSON, text_format: JSONObject) -> JSONObject:
    if not isinstance(text, dict) or "format" in text:
        raise UsageError(
            f"extra holds text={repr(text)[:80]}, and output_type fills text.format. Leave one of them out."
        )
    return {**text, "format": text_format}


def _include(body: Mapping[str, JSON], profile: Profile) -> JSONObject:
    if not profile.encrypted_reasoning:
        return {}
    asked = body.get("include")
    listed = asked if isinstance(asked, list) else []
    wanted = "reasoning.encrypted_content"
    return {"include": listed if wanted in listed else [*listed, wanted]}


def _open(head: JSONObject) -> bytes:
    return json.encode(head)[:-1] + b',"input":['
