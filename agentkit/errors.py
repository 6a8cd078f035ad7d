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
    """Base of all errors of agentkit. Catch it to catch whatever a run can raise by itself.

    To do: catch the narrowest class below it that you can do something about.
    """

    transcript: Transcript | None = None
    """The conversation up to the failure; a run can be continued from it. None outside a run."""

    attempts: Sequence[Attempt] = ()
    """The HTTP attempts of the request that failed, oldest first."""

    def __reduce__(self) -> tuple[object, ...]:
        """Make copies and pickles of the attributes: exceptions are otherwise made anew of their text alone."""
        return _make_bare, (type(self), self.args), self.__dict__


def _make_bare(kind: type[AgentkitError], args: tuple[object, ...]) -> AgentkitError:
    return kind.__new__(kind, *args)


class UsageError(AgentkitError):
    """A mistake in the caller's code, found before any request was sent.

    To do: read the message, which says what was found and what is allowed, and mend the call.
    """


class ToolDefinitionError(UsageError):
    """A function that can't be offered as a tool; the message names function and parameter.

    To do: annotate the parameter with a type that has a JSON schema, or use `Tool.from_schema`.
    """


class TooManyTools(UsageError):
    """More tools than the API accepts in one request.

    To do: give this agent the tools it needs, with `Toolset.only(...)`.
    """


class TranscriptError(UsageError):
    """A transcript that no server would accept; the message names the index.

    To do: put the item at that index right. Open calls are run by going on without a prompt, or answered by hand.
    """


class TransportError(AgentkitError):
    """No whole answer arrived: the connection failed, broke, or timed out, each time it was tried.

    To do: check `base_url`, network, proxy and certificate; the message names the host. Then go on from `.transcript`.
    """

    kind: str = "transient"
    """How the retry policy takes it: `transient`, `stale` (a kept connection was closed), `unresolved` (the
    host name), or `final`."""


class StreamBroken(TransportError):
    """A stream ended, or contradicted itself, before its terminal event.

    To do: go on from `.transcript`. Where a server does it always, `run` without streaming gets by.
    """


class Timeout(TransportError):
    """One of the client's deadlines passed; the message says which.

    To do: go on from `.transcript`; for long answers raise the deadline, `Client(timeouts=Timeouts(...))`.
    """


class StatusError(AgentkitError):
    """The server answered with an error.

    To do: see the classes below it. `.status`, `.code`, `.param` and `.body` say what it said; quote `.request_id` to
    the server's operator.
    """

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
    """The request is wrong (400, 413, 422 and other 4xx). With code `adapter_mapping_failed`: the model wrote a call
    that the server couldn't read, twice more when asked again, and once more when told.

    To do: mend what `.param` names: a setting, a tool's schema, an input part that this server doesn't take.
    """


class ContextOverflow(BadRequest):
    """The conversation is longer than the model's context.

    To do: begin a new conversation with a summary, cut long tool outputs, or take a model with a longer context.
    Nothing is cut silently.
    """


class AuthenticationError(StatusError):
    """The key is missing, wrong, or not allowed to do this (401, 403).

    To do: check `api_key`, and that it belongs to this `base_url`. A function as `api_key` is asked anew after a 401.
    """


class NotFound(StatusError):
    """The path or the model doesn't exist there (404, 410).

    To do: compare the model with `client.models_sync()`, and `base_url` with the server's documentation: it usually
    ends in `/v1`.
    """


class RateLimited(StatusError):
    """Too many requests or a spent quota (429).

    To do: wait for `.retry_after_s`, where the server said it; see `client.stats.rate_limits`, and lower
    `max_concurrency`. A spent quota is a matter of the account.
    """


class ServerError(StatusError):
    """The server failed (5xx, or an error inside an answer), each time it was tried.

    To do: go on from `.transcript` later; `.attempts` says how often and when it was tried.
    """


class ProtocolError(AgentkitError):
    """The server broke the protocol: what it sent can't be understood as an answer.

    To do: check that `base_url` points to a Responses API and not to a page or another API; the message quotes what
    came. Where it is the server's mistake, report it there.
    """


class RunStopped(AgentkitError):
    """The run ended without an answer. `.transcript` holds all that was received.

    To do: see the classes below it; each can be continued with `agent.run(None, transcript=error.transcript)`.
    """

    response: Response | None = None
    """The last response, as far as there is one."""


class LimitReached(RunStopped):
    """A limit of `Limits` was reached; the message says which and how far the run came.

    To do: raise the limit and go on from `.transcript`, or look there for why the run took so long.
    """


class Incomplete(RunStopped):
    """The server cut the response short; `.reason` is its word for why.

    To do: with `max_output_tokens`, raise `Settings(max_output_tokens=...)` and go on from `.transcript`; reasoning
    counts too. With `content_filter`, ask something else.
    """

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class Refused(RunStopped):
    """The model refused to answer; `.refusal` is what it said.

    To do: show it, or ask in another way.
    """

    def __init__(self, message: str, *, refusal: str = "") -> None:
        super().__init__(message)
        self.refusal = refusal


class ResponseFailed(RunStopped):
    """The response came back with status failed; `.code` is the server's.

    To do: as for an error over HTTP with the same code. What a second try could mend was tried again already.
    """

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class OutputInvalid(RunStopped):
    """The answer didn't match `output_type`, and the repair turns are spent.

    To do: make the type simpler, describe its fields, raise `output_retries`, or try another `output_mode`.
    """


class CassetteError(AgentkitError):
    """A cassette can't be read, written, or matched. Neither retried nor told to the model.

    To do: read the message, which names the file and the place in it.
    """


class CassetteMismatch(CassetteError):
    """A request that the cassette doesn't hold.

    To do: look at the first difference, which the message shows; record anew where the change was meant.
    """


class ToolError(Exception):
    """Raised inside a tool to tell the model what went wrong, in the tool's own words.

        raise ToolError("no city called 'Osloo'; did you mean 'Oslo'?")

    The text becomes the call's output as it is. Any other exception reaches the model as its type and
    message; this one is for messages written for the model.
    """
