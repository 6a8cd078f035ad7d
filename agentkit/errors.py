"""Every error of agentkit, one tree, split by who can fix it.

AgentkitError
├ UsageError                the caller's mistake, found before any request
│ ├ ToolDefinitionError     a function that can't be offered as a tool
│ ├ TooManyTools            more than 128 tools for one request
│ └ TranscriptError         an order of items or entries that no server would accept
├ TransportError            no whole answer arrived
│ ├ StreamBroken            the stream ended or contradicted itself before its terminal event
│ └ Timeout                 one of the client's deadlines passed
├ StatusError               the server said no
│ ├ BadRequest
│ │ └ ContextOverflow       the conversation is longer than the model's context
│ ├ AuthenticationError     401, 403
│ ├ NotFound                404, 410: wrong path, unknown or retired model
│ ├ RateLimited             429
│ └ ServerError             5xx
├ ProtocolError             the server broke the protocol
├ RunStopped                the run ended without an answer, and can be continued
│ ├ LimitReached
│ ├ Incomplete
│ ├ Refused
│ ├ ResponseFailed
│ └ OutputInvalid
└ CassetteError
  └ CassetteMismatch        a request that the cassette doesn't hold
ToolError                   raised by tools to speak to the model; never leaves a run
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentkit.response import Response
    from agentkit.retry import Attempt
    from agentkit.transcript import Transcript


class AgentkitError(Exception):
    """Base of all errors of agentkit. Catch it to catch whatever a run can raise by itself."""

    transcript: Transcript | None = None
    """The conversation up to the failure; a run can be continued from it. None outside a run."""

    attempts: Sequence[Attempt] = ()
    """The HTTP attempts of the request that failed, oldest first."""


class UsageError(AgentkitError):
    """A mistake in the caller's code, found before any request was sent."""


class ToolDefinitionError(UsageError):
    """A function that can't be offered as a tool; the message names function and parameter."""


class TooManyTools(UsageError):
    """More tools than the API accepts in one request."""


class TranscriptError(UsageError):
    """A transcript that no server would accept; the message names the index."""


class TransportError(AgentkitError):
    """No whole answer arrived: the connection failed, broke, or timed out."""

    kind: str = "transient"
    """How the retry policy takes it: `transient`, `stale` (a kept connection was closed), `unresolved` (the
    host name), or `final`."""


class StreamBroken(TransportError):
    """A stream ended, or contradicted itself, before its terminal event."""


class Timeout(TransportError):
    """One of the client's deadlines passed; the message says which."""


class StatusError(AgentkitError):
    """The server answered with an error."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        body: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status. Where the error came inside a successful answer: the one that its code names, or 200."""
        self.code = code
        """The server's error code, such as `"model_not_found"`."""
        self.param = param
        """The request field the server complains of, such as `"input[1].role"`."""
        self.request_id = request_id
        """The server's id of the request, to quote to its operator."""
        self.retry_after_s = retry_after_s
        """Seconds the server asked to wait; None where it gave no usable hint."""
        self.body = body
        """The head of the body as text, at most 2,000 characters."""
        self.should_retry: bool | None = None
        """The server's `x-should-retry`, where it sent one."""
        self.model_output: str | None = None
        """What the model wrote where the server couldn't read it as a call (`adapter_mapping_failed`)."""


class BadRequest(StatusError):
    """The request is wrong (400, 413, 422 and other 4xx)."""


class ContextOverflow(BadRequest):
    """The conversation is longer than the model's context."""


class AuthenticationError(StatusError):
    """The key is missing, wrong, or not allowed to do this (401, 403)."""


class NotFound(StatusError):
    """The path or the model doesn't exist there (404, 410)."""


class RateLimited(StatusError):
    """Too many requests or a spent quota (429)."""


class ServerError(StatusError):
    """The server failed (5xx, or an in-band server error)."""


class ProtocolError(AgentkitError):
    """The server broke the protocol: what it sent can't be understood as an answer."""


class RunStopped(AgentkitError):
    """The run ended without an answer. `.transcript` holds all that was received."""

    response: Response | None = None
    """The last response, as far as there is one."""


class LimitReached(RunStopped):
    """A limit of `Limits` was reached; the message says which and how far the run came."""


class Incomplete(RunStopped):
    """The server cut the response short; `.reason` is its word for why."""

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class Refused(RunStopped):
    """The model refused to answer; `.refusal` is what it said."""

    def __init__(self, message: str, *, refusal: str = "") -> None:
        super().__init__(message)
        self.refusal = refusal


class ResponseFailed(RunStopped):
    """The response came back with status failed; `.code` is the server's."""

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class OutputInvalid(RunStopped):
    """The answer didn't match `output_type`, and the repair turns are spent."""


class CassetteError(AgentkitError):
    """A cassette can't be read, written, or matched. Neither retried nor told to the model."""


class CassetteMismatch(CassetteError):
    """A request that the cassette doesn't hold."""


class ToolError(Exception):
    """Raised inside a tool to tell the model what went wrong, in the tool's own words.

        raise ToolError("no city called 'Osloo'; did you mean 'Oslo'?")

    The text becomes the call's output as it is. Any other exception reaches the model as its type and
    message; this one is for messages written for the model.
    """
