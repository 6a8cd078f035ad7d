"""What the caller sets on a request: flat names for body fields, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from dataclasses import replace as _replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from agentkit import json
from agentkit.errors import UsageError

if TYPE_CHECKING:
    from agentkit.json import JSON, JSONObject

Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh"]

RANGES: Mapping[str, tuple[float, float]] = {
    # "Range: 0-2", "0 <= x <= 1", "1 <= x <= 100", "-2 <= x <= 2" (SambaNova, Responses API)
    "temperature": (0, 2),
    "top_p": (0, 1),
    "top_k": (1, 100),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
    # 0..20 (OpenAI, Open Responses)
    "top_logprobs": (0, 20),
}
CHOICES: Mapping[str, tuple[str, ...]] = {
    "reasoning_effort": ("none", "minimal", "low", "medium", "high", "xhigh"),
    "reasoning_summary": ("auto", "concise", "detailed"),
    "verbosity": ("low", "medium", "high"),
    "truncation": ("auto", "disabled"),
}
INTEGERS = ("top_k", "top_logprobs", "max_output_tokens", "max_tool_calls")
BOOLEANS = ("parallel_tool_calls", "stream")
STRINGS = ("user", "service_tier", "prompt_cache_key", "safety_identifier")

OWNED = frozenset({"model", "input", "instructions", "tools", "stream"})
"""Body fields that a run fills by itself."""

STATEFUL = frozenset({"previous_response_id", "conversation", "prompt", "background", "context_management"})
"""Body fields that need a server with a memory. SambaNova accepts `previous_response_id` and ignores it: the
answer is a 200 that has forgotten everything."""

_CHOICE_HINT = 'allowed are "auto", "none", "required", a tool\'s name, or the object that the API takes.'

_REASONING = {"reasoning_effort": "effort", "reasoning_summary": "summary"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Body fields of a request. What isn't set isn't sent, and the server's default holds.

    Raises `UsageError` for a value out of range, and for a field given twice.
    """

    temperature: float | None = None
    """Randomness, 0 to 2."""
    top_p: float | None = None
    """Nucleus sampling cutoff, 0 to 1."""
    top_k: int | None = None
    """Sample from the K most probable tokens, 1 to 100 (SambaNova, vLLM; unknown to OpenAI)."""
    max_output_tokens: int | None = None
    """Upper bound on what the model writes, reasoning included."""
    reasoning_effort: Effort | None = None
    """How hard a reasoning model thinks; sent as `reasoning.effort`."""
    reasoning_summary: Literal["auto", "concise", "detailed"] | None = None
    """A summary of the reasoning, where the server makes them; sent as `reasoning.summary`."""
    verbosity: Literal["low", "medium", "high"] | None = None
    """How long answers are; sent as `text.verbosity`."""
    tool_choice: str | Mapping[str, JSON] | None = None
    """`"auto"`, `"none"`, `"required"`, or the name of the tool to call. Forcing holds for the first turn."""
    parallel_tool_calls: bool | None = None
    """Whether the model may make several calls in one turn."""
    max_tool_calls: int | None = None
    """Sent as it is; accepted and not implemented by SambaNova, counts hosted tools at OpenAI. See `Limits`."""
    top_logprobs: int | None = None
    """Log probabilities returned per token, 0 to 20."""
    frequency_penalty: float | None = None
    """-2 to 2; echoed and ignored by SambaNova."""
    presence_penalty: float | None = None
    """-2 to 2; echoed and ignored by SambaNova."""
    metadata: Mapping[str, str] | None = None
    """At most 16 pairs, keys up to 64 characters, values up to 512."""
    user: str | None = None
    """Echoed back."""
    truncation: Literal["auto", "disabled"] | None = None
    """Echoed and ignored by SambaNova."""
    service_tier: str | None = None
    """The server's word for a price class."""
    prompt_cache_key: str | None = None
    """Groups requests that share a prefix, for the server's cache."""
    safety_identifier: str | None = None
    """A stable id of the end user."""
    stream: bool | None = None
    """True: the streamed wire also under `run`. False: the plain one also under `stream`. None: as the method says."""
    extra: Mapping[str, JSON] = field(default_factory=dict)
    """Further body fields, sent as given."""

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            _check_range(name, getattr(self, name), low, high)
        for name in INTEGERS:
            _check_integer(name, getattr(self, name))
        for name in BOOLEANS:
            _check_type(name, getattr(self, name), bool, "True, False, or None for the server's default")
        for name in STRINGS:
            _check_type(name, getattr(self, name), str, "a string")
        for name, allowed in CHOICES.items():
            value = getattr(self, name)
            if value is not None and value not in allowed:
                raise UsageError(f"{name}={value!r}; allowed are {', '.join(allowed)}. Others go into extra={{...}}.")
        if isinstance(self.tool_choice, bool) or not isinstance(self.tool_choice or None, str | Mapping | None):
            raise UsageError(f"tool_choice={self.tool_choice!r}; {_CHOICE_HINT}")
        if isinstance(self.tool_choice, Mapping):
            _check_json("tool_choice", {**self.tool_choice})
        _check_metadata(self.metadata)
        self._check_extra()

    def _check_extra(self) -> None:
        if not isinstance(self.extra, Mapping) or not all(isinstance(name, str) for name in self.extra):
            raise UsageError(f"extra={repr(self.extra)[:80]}; allowed is a mapping of body fields by name.")
        for name in self.extra:
            if name in OWNED:
                raise UsageError(f"extra holds {name!r}, which the run fills by itself. Leave it out.")
            if name == "tool_choice":
                raise UsageError("extra holds 'tool_choice', which changes from turn to turn. Give tool_choice=...")
            if name in STATEFUL:
                raise UsageError(
                    f"extra holds {name!r}, which needs a server that remembers. This client sends the whole "
                    "conversation each turn: continue one with transcript=result.transcript."
                )
        if self.extra.get("store"):
            raise UsageError("extra holds store=True; a stateless client keeps the conversation itself. Leave it out.")
        twice = sorted(self.body(with_extra=False).keys() & self.extra.keys())
        if twice:
            raise UsageError(f"given both as settings and in extra: {', '.join(twice)}. Give each in one place.")
        for name, value in self.extra.items():
            _check_json(f"extra[{name!r}]", value)

    def body(self, *, with_extra: bool = True) -> JSONObject:
        """Return the body fields that these settings stand for, `tool_choice` left out."""
        body: JSONObject = {}
        for name in _PLAIN:
            if (value := getattr(self, name)) is not None:
                body[name] = dict(value) if name == "metadata" else value
        reasoning: JSONObject = {
            member: value for name, member in _REASONING.items() if (value := getattr(self, name)) is not None
        }
        if reasoning:
            body["reasoning"] = reasoning
        if self.verbosity is not None:
            body["text"] = {"verbosity": self.verbosity}
        return {**body, **self.extra} if with_extra else body

    def choice(self) -> JSON:
        """Return `tool_choice` as the body has it: a bare tool name becomes `{"type": "function", "name": ...}`."""
        if self.tool_choice is None or self.tool_choice in ("auto", "none", "required"):
            return self.tool_choice
        return (
            {"type": "function", "name": self.tool_choice}
            if isinstance(self.tool_choice, str)
            else {**self.tool_choice}
        )

    def later_choice(self) -> JSON:
        """Return `tool_choice` for the turns after a forced call: what demanded one goes back to auto."""
        choice = self.choice()
        if not self.forces_call:
            return choice
        return {**choice, "mode": "auto"} if isinstance(choice, dict) and "mode" in choice else None

    @property
    def forces_call(self) -> bool:
        """Whether `tool_choice` demands a call."""
        choice = self.choice()
        if isinstance(choice, dict):
            return choice.get("type") != "allowed_tools" or choice.get("mode") == "required"
        return choice == "required"

    def replace(self, **changes: object) -> Settings:
        """Return settings with fields changed; None unsets one."""
        unknown = changes.keys() - {f.name for f in fields(self)}
        if unknown:
            raise UsageError(f"no such settings: {', '.join(sorted(unknown))}. Body fields without one go into extra.")
        if "extra" in changes:
            changes["extra"] = changes["extra"] or {}
        return _replace(self, **changes)  # type: ignore[arg-type]

    def overlaid(self, over: Settings | None) -> Settings:
        """Return these settings with those that `over` sets in their place; `extra` is merged."""
        if over is None:
            return self
        changes = {f.name: value for f in fields(self) if (value := getattr(over, f.name)) is not None}
        return _replace(self, **{**changes, "extra": {**self.extra, **over.extra}})


_PLAIN = (
    "temperature",
    "top_p",
    "top_k",
    "max_output_tokens",
    "parallel_tool_calls",
    "max_tool_calls",
    "top_logprobs",
    "frequency_penalty",
    "presence_penalty",
    "metadata",
    "user",
    "truncation",
    "service_tier",
    "prompt_cache_key",
    "safety_identifier",
)


def _check_range(name: str, value: object, low: float, high: float) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise UsageError(f"{name}={value!r}; allowed is a number from {low:g} to {high:g}.")


def _check_type(name: str, value: object, wanted: type, allowed: str) -> None:
    if value is not None and not isinstance(value, wanted):
        raise UsageError(f"{name}={value!r}; allowed is {allowed}.")


def _check_json(place: str, value: object) -> None:
    try:
        json.encode(value)
    except json.JSONError as exc:
        raise UsageError(f"{place} is {exc}. Give plain JSON values.") from exc


def _check_integer(name: str, value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise UsageError(f"{name}={value!r}; allowed is a whole number, not negative.")
    if name == "max_output_tokens" and value == 0:
        raise UsageError("max_output_tokens=0; allowed is a whole number from 1.")


def _check_metadata(metadata: Mapping[str, str] | None) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, Mapping):
        raise UsageError(f"metadata={metadata!r}; allowed is a mapping of strings to strings.")
    wrong = [k for k, v in metadata.items() if not isinstance(k, str) or not isinstance(v, str)]
    if wrong:
        raise UsageError(f"metadata[{wrong[0]!r}]: keys and values are strings, found {metadata[wrong[0]]!r}.")
    if len(metadata) > 16 or any(len(k) > 64 or len(v) > 512 for k, v in metadata.items()):
        raise UsageError(
            f"metadata of {len(metadata)} pairs; allowed are 16, keys up to 64 and values up to 512 characters."
        )
