"""Every recorded no, cut and refusal becomes its typed error, with the server's own words."""

from __future__ import annotations

import asyncio

import pytest

from agentkit import (
    Agent,
    AgentkitError,
    AuthenticationError,
    BadRequest,
    Client,
    Incomplete,
    NotFound,
    RateLimited,
    Refused,
    ResponseFailed,
    RetryPolicy,
    Settings,
    StatusError,
)
from tests.recordings.exchanges import ABSENT, Exchange, all_exchanges, folder
from tests.recordings.playback import playback_server

pytestmark = pytest.mark.skipif(folder() is None, reason=ABSENT)

ERRORS = [exchange for exchange in all_exchanges() if exchange.is_refusal]
FAILED = [exchange for exchange in all_exchanges() if exchange.events is not None and exchange.failure]
INCOMPLETE = [exchange for exchange in all_exchanges() if (exchange.final or {}).get("status") == "incomplete"]
REFUSED = [exchange for exchange in all_exchanges() if exchange.refusal]


@pytest.mark.parametrize("exchange", ERRORS, ids=lambda exchange: exchange.name)
def test_an_http_error_is_typed_and_says_what_the_server_said(exchange: Exchange) -> None:
    body = exchange.response
    assert isinstance(body, dict)
    said = body["error"] if "error" in body else {"message": body["detail"]}
    error = ask(exchange)
    assert isinstance(error, StatusError)
    assert type(error) is expected_class(exchange.status, said.get("code"))
    assert error.status == (exchange.status or 200)
    assert error.code == said.get("code")
    assert error.param == said.get("param")
    assert said["message"] in str(error)


@pytest.mark.parametrize("exchange", FAILED, ids=lambda exchange: exchange.name)
def test_an_error_in_a_stream_is_typed_and_says_what_the_server_said(exchange: Exchange) -> None:
    error = ask(exchange)
    failure = exchange.failure
    assert failure is not None
    assert isinstance(error, ResponseFailed)  # after the `error` event a failed response follows, and holds
    assert error.code == failure["code"]
    assert failure["message"] in str(error)


@pytest.mark.parametrize("exchange", INCOMPLETE, ids=lambda exchange: exchange.name)
def test_an_answer_cut_short_says_why_and_is_kept(exchange: Exchange) -> None:
    error = ask(exchange)
    assert isinstance(error, Incomplete)
    assert exchange.final is not None
    assert error.reason == exchange.final["incomplete_details"]["reason"]
    assert error.transcript is not None
    assert error.transcript.entries[-1].items == exchange.output


@pytest.mark.parametrize("exchange", REFUSED, ids=lambda exchange: exchange.name)
def test_a_refusal_says_what_the_model_said(exchange: Exchange) -> None:
    error = ask(exchange)
    assert isinstance(error, Refused)
    assert error.refusal == exchange.refusal


def test_there_are_some_of_each() -> None:
    assert [len(ERRORS), len(FAILED), len(INCOMPLETE), len(REFUSED)] == [16, 1, 14, 4]


def expected_class(status: int | None, code: str | None) -> type[StatusError]:
    """Return the error that a status and a code stand for."""
    if status == 401:
        return AuthenticationError
    named = {"model_not_found": NotFound, "insufficient_quota": RateLimited}
    return named.get(code or "", BadRequest)


def ask(exchange: Exchange) -> AgentkitError:
    """Ask anything, get the recorded answer, and return the error that it ends with."""
    agent = Agent(model="any", settings=Settings(stream=exchange.events is not None))
    with playback_server() as server:
        url, _ = server.add([exchange])
        with Client(url, retry=RetryPolicy(attempts=1)) as client, pytest.raises(AgentkitError) as caught:
            asyncio.run(agent.run("hi", client=client))
    return caught.value
