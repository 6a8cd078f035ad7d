"""What to do next: a pure function of the transcript.

| the conversation ends with | next |
|---|---|
| calls without outputs | run them |
| an output that is the run's answer | finish with it |
| input or outputs | ask the model |
| an answer: text of messages (only of those with `phase: "final_answer"` where there are any) | finish |
| a refusal | stop: refused |
| a response cut short | stop: incomplete |
| a failed response | stop: failed |
| commentary only | ask once more, then finish with it |
| nothing: only reasoning, an empty message, calls that only a server could run | ask once more, then stop |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from agentkit import items
from agentkit.entries import OutputsEntry, ResponseEntry
from agentkit.errors import Incomplete, ProtocolError, Refused, ResponseFailed

if TYPE_CHECKING:
    from agentkit.entries import Entry
    from agentkit.errors import AgentkitError
    from agentkit.items import FunctionCall, Item
    from agentkit.response import Response
    from agentkit.transcript import Transcript


@dataclass(frozen=True, slots=True)
class AskModel:
    """Send the conversation."""


@dataclass(frozen=True, slots=True)
class RunCalls:
    """Run these calls, in order, and append their outputs."""

    calls: tuple[FunctionCall, ...]


@dataclass(frozen=True, slots=True)
class Finish:
    """The run has its answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Stop:
    """The run ends without an answer."""

    error: AgentkitError


Action: TypeAlias = AskModel | RunCalls | Finish | Stop


def next_action(transcript: Transcript, latest: Response | None = None) -> Action:
    """Return the one thing to do next. `latest` is the last entry's response, for who still has it: decoded."""
    entries = transcript.entries
    last = entries[-1] if entries else None
    if isinstance(last, OutputsEntry):
        return Finish(_final_text(last)) if last.final else AskModel()
    if not isinstance(last, ResponseEntry):
        return AskModel()
    response = last.response if latest is None else latest
    if last.call_ids:
        return RunCalls(tuple(response.calls))
    if response.status in ("failed", "cancelled"):
        return Stop(_failed(response))
    if response.status == "incomplete" or last.half_written:
        return Stop(_incomplete(response))
    return _read_answer(response, asked_before=len(entries) > 1 and _says_nothing(entries[-2]))


def _read_answer(response: Response, *, asked_before: bool) -> Action:
    messages = [item for item in response.output if items.is_message(item)]
    final = [item for item in messages if item.get("phase") == "final_answer"]
    if (refusal := response.refusal) is not None:
        return Stop(_refused(response, refusal))
    answer = _text(final or [item for item in messages if item.get("phase") != "commentary"])
    if answer.strip():
        return Finish(answer)
    if not asked_before:
        return AskModel()
    if commentary := _text(messages).strip():
        return Finish(commentary)
    kinds = ", ".join(sorted({str(item.get("type")) for item in response.output})) or "no items"
    return Stop(
        ProtocolError(
            f"two responses in a row without an answer; the last held {kinds}. "
            "Raise max_output_tokens if reasoning uses it up; hosted tools can't be answered by this client."
        )
    )


def _says_nothing(entry: Entry) -> bool:
    """Tell whether an entry is a finished response that had neither calls nor an answer."""
    if not isinstance(entry, ResponseEntry) or entry.call_ids or entry.status != "completed" or entry.half_written:
        return False
    return isinstance(_read_answer(entry.response, asked_before=False), AskModel)


def _text(messages: list[Item]) -> str:
    return "".join(map(items.message_text, messages))


def _final_text(entry: OutputsEntry) -> str:
    final = entry.final
    if final is not None and final.full is not None:
        return final.full
    outputs = [item for item in entry.items if item.get("type") == "function_call_output"]
    pairs = zip(entry.records, outputs, strict=True)
    output = next(item.get("output") for record, item in pairs if record.final)
    return output if isinstance(output, str) else items.message_text({"content": output})


def _refused(response: Response, refusal: str) -> Refused:
    stop = Refused(f"the model refused to answer: {refusal}", refusal=refusal)
    stop.response = response
    return stop


def _failed(response: Response) -> ResponseFailed:
    error = response.error or {}
    code = error.get("code")
    error_text = error.get("message") or "the server gave no reason"
    failure = ResponseFailed(
        f"the response failed: {error_text}" + (f" (code {code})" if code else ""),
        code=code if isinstance(code, str) else None,
    )
    failure.response = response
    return failure


def _incomplete(response: Response) -> Incomplete:
    reason = response.incomplete_reason
    advice = {
        "max_output_tokens": "Raise Settings(max_output_tokens=...), and go on with run(None, transcript=...).",
        "content_filter": "The server's content filter cut it off.",
    }.get(reason or "", "Go on with run(None, transcript=...).")
    stop = Incomplete(f"the response was cut short ({reason or 'no reason given'}). {advice}", reason=reason)
    stop.response = response
    return stop
