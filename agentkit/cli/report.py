"""A run as the one JSON object of `--json`."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING

from agentkit.canonical import to_json
from agentkit.cli.terminal import harmless_json

if TYPE_CHECKING:
    from agentkit import Result
    from agentkit.execute import ToolCall
    from agentkit.json import JSON, JSONObject
    from agentkit.response import Usage
    from agentkit.transcript import Transcript

DETAILS = ("status", "code", "reason", "refusal", "request_id", "retry_after_s")
"""What an error may say besides its message."""


def result_object(result: Result[object]) -> JSONObject:
    """Return `{"output", "text", "transcript", "usage", "turns", "tool_calls"}`."""
    return {
        "output": to_json(result.output),
        "text": result.text,
        "transcript": transcript_object(result.transcript),
        "usage": _usage_object(result.usage),
        "turns": result.turns,
        "tool_calls": [_call_object(call) for call in result.tool_calls],
    }


def error_object(error: BaseException, transcript: Transcript | None) -> JSONObject:
    """Return `{"error": {"type", "message", ...}, "transcript"}`."""
    details: JSONObject = {
        name: value
        for name in DETAILS
        if isinstance(value := getattr(error, name, None), str | int | float) and value != ""
    }
    interrupted = not isinstance(error, Exception)
    shown: JSONObject = {
        "type": "Interrupted" if interrupted else type(error).__name__,
        "message": "interrupted" if interrupted else str(error),
        **details,
    }
    return {"error": shown, "transcript": None if transcript is None else transcript_object(transcript)}


def transcript_object(transcript: Transcript) -> JSON:
    """Return what `--save` writes, as a value."""
    value: JSON = json.loads(transcript.to_json())
    return value


def encode_report(report: JSONObject, *, is_unicode: bool) -> str:
    """Return a report as a line of JSON that no terminal can stumble over."""
    return harmless_json(json.dumps(report, ensure_ascii=not is_unicode)) + "\n"


def _usage_object(usage: Usage) -> JSONObject:
    return {
        field.name: value
        for field in fields(usage)
        if field.name != "raw" and (value := getattr(usage, field.name)) is not None
    }


def _call_object(call: ToolCall) -> JSONObject:
    return {
        "call_id": call.call_id,
        "name": call.name,
        "arguments": call.arguments,
        "output": call.output,
        "outcome": call.outcome,
        "duration_s": round(call.duration_s, 6),
    }
