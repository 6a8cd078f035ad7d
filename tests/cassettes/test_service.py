"""A recording served over HTTP, to agentkit's client and to OpenAI's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

pytest.importorskip("uvicorn", reason="needs the extra 'server'")
pytest.importorskip("yaml", reason="needs the extra 'cassettes'")

from agentkit import Agent, Client, NotFound, RetryPolicy, tool
from agentkit.cassettes.interaction import Body, Failure, Interaction
from agentkit.cassettes.matching.rules import Rules
from agentkit.cassettes.service import RecordedService
from agentkit.cassettes.serving import serving
from agentkit.service.app import ConnectionCut
from agentkit.testing import call as scripted_call
from agentkit.testing import cut, failure, reasoning, reply
from tests.cassettes.made import (
    EVENT_STREAM,
    URI,
    Recorder,
    answered,
    asking,
    message,
    plain,
    recorded,
    user,
)

if TYPE_CHECKING:
    from agentkit import Event
    from agentkit.cassettes.interaction import Recording


@tool
def weather(city: str) -> dict[str, int]:
    """Current weather."""
    return {"temp": 7}


async def at_once(_: float) -> None:
    pass


RETRY = RetryPolicy(attempts=5, sleep=at_once)


def run(client: Client, *, streamed: bool = True) -> tuple[str, list[str]]:
    """Ask what is recorded; returns the answer and what was seen on the way."""
    agent = Agent(model="m", instructions="Be brief.", tools=[weather], client=client)
    if not streamed:
        return agent.run_sync("Coat?").output, []
    with agent.stream_sync("Coat?") as running:
        seen: list[Event] = list(running)
    return running.result.output, [type(event).__name__ for event in seen]


def recorder(*, streamed: bool = True) -> tuple[Recorder, list[str]]:
    look = [reasoning("I look."), "One moment.", scripted_call("weather", {"city": "Oslo"})]
    made = Recorder(
        [failure(429, code="queue_full", message="busy"), reply("Half", cut()), look, "Take a coat."], at_ms=True
    )
    _, seen = run(made.client(retry=RETRY), streamed=streamed)
    return made, seen


@pytest.mark.parametrize("streamed", [True, False])
def test_a_client_sees_what_was_seen_live(streamed: bool) -> None:
    """Refusal, broken stream, tool call and answer; and again for who comes next."""
    made, live = recorder(streamed=streamed)
    with serving(made.recording, name="x.yaml") as server:
        for _ in range(2):
            text, seen = run(Client(server.base_url, "any", retry=RETRY), streamed=streamed)
            assert text == "Take a coat."
            assert seen == live
        told = [(each["status"], each["reply"]) for each in server.requests]
    assert told == [(429, ["turn 1"]), (200, ["turn 2"]), (200, ["turn 3"]), (200, ["turn 4"])] * 2


def test_chunks_arrive_as_they_were_recorded() -> None:
    made, _ = recorder()
    interaction = made.recording.interactions[3]
    assert len(interaction.chunks) > 5
    with serving(made.recording) as server, httpx.Client() as client:
        headers = {"content-type": "application/json"}
        with client.stream(
            "POST", f"{server.base_url}/responses", content=bytes(interaction.body), headers=headers
        ) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert b"".join(answer.iter_raw()) == interaction.answer


def test_a_request_that_isnt_recorded_is_a_404_that_isnt_tried_again() -> None:
    made = Recorder(["Hello."])
    made.client().respond_sync({"model": "m", "input": [user("Hi")]})
    with serving(made.recording, name="x.yaml") as server:
        client = Client(server.base_url, "any", retry=RETRY)
        with pytest.raises(NotFound, match=r"x\.yaml") as caught:
            client.respond_sync({"model": "m", "input": [user("Hi there")]})
        assert caught.value.code == "not_in_cassette"
        assert "Hi{+ there+}" in str(caught.value)
        assert len(caught.value.attempts) == 1
        assert client.respond_sync({"model": "m", "input": [user("Hi")]}).output_text == "Hello."
        assert [model["id"] for model in client.models_sync()] == ["m"]


def test_delete_requests_begins_again() -> None:
    body = asking([user("Hi")])
    recording = recorded(plain(body, answered([message("1")])), plain(body, answered([message("2")])))
    with serving(recording) as server, httpx.Client() as client:

        def ask() -> str:
            answer = client.post(f"{server.base_url}/responses", content=body)
            return str(answer.json()["output"][0]["content"][0]["text"])

        assert [ask(), ask(), ask()] == ["1", "2", "1"]
        assert client.delete(server.base_url.removesuffix("/v1") + "/requests").status_code == 204
        assert ask() == "1"


def service(recording: Recording, **options: object) -> RecordedService:
    return RecordedService(recording, name="x.yaml", **options)  # type: ignore[arg-type]


def test_a_connection_that_failed_fails() -> None:
    body = asking([user("Hi")])
    recording = recorded(Interaction("POST", URI, Body(body), failure=Failure("ConnectError", "refused")))
    with pytest.raises(ConnectionCut):
        asyncio.run(service(recording).handle("POST", "/v1/responses", {}, body))


def test_as_fast_as_it_came() -> None:
    """With a clock of its own: the waits are those between the recorded moments, halved at double speed."""
    body = asking([user("Hi")], stream=True)
    chunks = (b": 1\n\n", b": 2\n\n", b": 3\n\n")
    recording = recorded(Interaction("POST", URI, Body(body), 200, EVENT_STREAM, chunks, at_ms=(100, 300, 1000)))
    now = [0.0]
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(round(seconds, 3))
        now[0] += seconds

    async def play() -> list[bytes]:
        found = service(recording, speed=2, clock=lambda: now[0], sleep=sleep)
        answer = await found.handle("POST", "/v1/responses", {}, body)
        assert not isinstance(answer.body, bytes)
        return [chunk async for chunk in answer.body]

    assert asyncio.run(play()) == list(chunks)
    assert [wait for wait in waits if wait] == [0.05, 0.1, 0.35]


def test_other_paths_before_responses_are_the_same() -> None:
    """A recording of https://host/api/v1/responses answers at /v1/responses."""
    body = asking([user("Hi")])
    interaction = Interaction("POST", "https://x.test/api/v1/responses", Body(body), 200, (), (answered([]),))
    answer = asyncio.run(service(recorded(interaction)).handle("POST", "/v1/responses", {}, body))
    assert answer.status == 200


def test_openai_sdk_works_against_it() -> None:
    openai = pytest.importorskip("openai", reason="needs the extra 'test'")
    streams = Recorder(["Take a coat, it is cold.", "And boots."])
    client = streams.client()
    talk = [user("Coat?")]
    first = client.respond_sync({"model": "m", "input": talk})
    talk = [*talk, *first.output, user("More?")]
    for _ in client.stream_sync({"model": "m", "input": talk}):
        pass
    with serving(streams.recording) as server:
        sdk = openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0)
        answer = sdk.responses.create(model="m", input=[user("Coat?")])
        assert answer.output_text == "Take a coat, it is cold."
        assert sdk.responses.create(model="m", input="Coat?", stream=False).output_text == answer.output_text
        talk = [user("Coat?"), *answer.output, user("More?")]
        with sdk.responses.create(model="m", input=talk, stream=True) as stream:
            events = list(stream)
        assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == "And boots."
        assert events[-1].type == "response.completed"
        with pytest.raises(openai.NotFoundError) as caught:
            sdk.responses.create(model="m", input="Something else")
        assert caught.value.code == "not_in_cassette"


@pytest.mark.parametrize("was_streamed", [True, False])
def test_a_client_gets_the_form_it_asks_for(was_streamed: bool) -> None:
    """Recorded whole and asked for as a stream, or the other way round."""
    look = [reasoning("I look."), "One moment.", scripted_call("weather", {"city": "Oslo"})]
    made = Recorder([failure(429, code="queue_full", message="busy"), look, "Take a coat."])
    run(made.client(retry=RETRY), streamed=was_streamed)
    with serving(made.recording, name="x.yaml") as server:
        text, seen = run(Client(server.base_url, "any", retry=RETRY), streamed=not was_streamed)
        told = [(each["status"], each["reply"]) for each in server.requests]
    assert text == "Take a coat."
    assert told == [(429, ["turn 1"]), (200, ["turn 2"]), (200, ["turn 3"])]
    if not was_streamed:
        assert seen.count("TextDelta") > 2
        assert "ReasoningDelta" in seen


def test_a_stream_that_broke_off_is_no_whole_answer() -> None:
    made = Recorder([reply("Half", cut()), "Take a coat."])
    run(made.client(retry=RETRY), streamed=True)
    with serving(made.recording, name="x.yaml") as server:
        text, _ = run(Client(server.base_url, "any", retry=RETRY), streamed=False)
        assert [each["reply"] for each in server.requests] == [["turn 1"], ["turn 2"]]
    assert text == "Take a coat."


def test_a_client_is_answered_under_the_rules_that_it_was_recorded_under() -> None:
    body = asking([user("Job <scrubbed>?")], temperature=1)
    recording = recorded(plain(body, answered([message("Done.")])))
    served = service(recording, rules=Rules(["temperature"]), scrub=[r"job-\d+"])

    def status(prompt: str) -> int:
        asked = asking([user(prompt)], temperature=2)
        return asyncio.run(served.handle("POST", "/v1/responses", {}, asked)).status

    assert status("Job job-17?") == 200
    assert status("Job 17?") == 404
