"""`agentkit.cassette`: each mode from end to end against the reference server, and what holds in all of them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import logging
import os
import signal
import stat
import subprocess
import sys
import threading

import httpx
import pytest

import agentkit
from agentkit import Agent, CassetteError, CassetteMismatch, Client, Prompt, RetryPolicy, ToolContext, UsageError, tool
from agentkit.cassettes.files import read
from agentkit.errors import AuthenticationError, RateLimited
from agentkit.events import RetryWaiting, TextDelta
from agentkit.testing import ScriptedModel, call, cut, failure, hold, text
from tests.byte_server import byte_server
from tests.cassettes.reference import answering, client_of

pytestmark = pytest.mark.usefixtures("outside_of_ci")

QUESTION = "Do I need a coat in Oslo?"


def record(path, assistant, server, *prompts, **options):
    """Record one run for each prompt; return the outputs."""
    client = client_of(server)
    with agentkit.cassette(path, "record", **options):
        return [assistant.agent.run_sync(prompt, client=client).output for prompt in prompts or [QUESTION]]


# --- record and replay ------------------------------------------------------------------------------------


def test_what_is_recorded_is_replayed_with_no_server_no_key_and_no_tool(path, assistant, serve, monkeypatch):
    server = serve()
    assert record(path, assistant, server) == ["Answer 1: take a coat."]
    assert assistant.ran == ["Oslo"]
    for name in ("AGENTKIT_BASE_URL", "SAMBANOVA_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    asked = len(server.requests)
    with agentkit.cassette(path) as tape:
        result = assistant.agent.run_sync(QUESTION)
    assert result.output == "Answer 1: take a coat."
    assert result.tool_calls[0].output == '{"city":"Oslo","temperature":7}'
    assert assistant.ran == ["Oslo"]
    assert len(server.requests) == asked
    assert tape.unused == []
    assert tape.played == [1, 2]
    assert tape.recorded == 0


def test_all_four_ways_into_a_run_record_and_replay_the_same(path, assistant, serve, enter):
    client = client_of(serve())
    with agentkit.cassette(path, "record"):
        recorded = enter(assistant.agent, QUESTION, client=client)
    with agentkit.cassette(path) as tape:
        replayed = enter(assistant.agent, QUESTION)
    assert replayed.result.output == recorded.result.output
    assert replayed.result.usage.input_tokens == recorded.result.usage.input_tokens
    assert [type(event) for event in replayed.events] == [type(event) for event in recorded.events]
    assert tape.unused == []


def test_usage_says_what_was_replayed(path, assistant, serve):
    client = client_of(serve())
    with agentkit.cassette(path, "record"):
        assert assistant.agent.run_sync(QUESTION, client=client).usage.replayed == 0
    with agentkit.cassette(path):
        result = assistant.agent.run_sync(QUESTION)
    assert result.usage.replayed == 2
    assert result.response.replayed


def test_record_plays_where_there_is_a_file(path, assistant, serve):
    server = serve()
    record(path, assistant, server)
    before = path.read_bytes()
    record(path, assistant, server)
    assert path.read_bytes() == before
    with pytest.raises(CassetteMismatch), agentkit.cassette(path, "record"):
        assistant.agent.run_sync("Something else", client=client_of(server))
    assert path.read_bytes() == before


def test_replay_without_a_file_says_how_to_record(path, assistant):
    with pytest.raises(CassetteError, match=r"no recording to play. Record it: cassette\(.*mode=\"record\"\)"):
        agentkit.cassette(path).open()


@pytest.mark.parametrize("name", ["weather", "weather.json", "weather.yaml.new", ""])
def test_a_name_that_is_none_of_a_cassette_is_refused(name):
    with pytest.raises(UsageError, match=r"ends in \.yaml or \.yml"):
        agentkit.cassette(name)


def test_a_conversation_goes_on_in_a_later_run(path, assistant, serve):
    client = client_of(serve())

    def converse(**options):
        first = assistant.agent.run_sync(QUESTION, **options)
        return assistant.agent.run_sync("And tomorrow?", transcript=first.transcript, **options)

    with agentkit.cassette(path, "record"):
        recorded = converse(client=client)
    with agentkit.cassette(path) as tape:
        assert converse().transcript.items == tape_items(recorded, tape)
    assert tape.unused == []
    assert path.read_text(encoding="utf-8").count("continues:") == 3


def tape_items(result, tape):
    """The items of a live run with the ids that the cassette gave them."""
    ids = {}

    def renamed(item):
        new = dict(item)
        for name in ("id", "call_id"):
            if name in new:
                new[name] = ids.setdefault(new[name], f"{new[name].partition('_')[0]}_{count(new[name])}")
        return new

    counts: dict[str, int] = {}

    def count(value):
        prefix = value.partition("_")[0]
        if value in ids:
            return ids[value]
        counts[prefix] = counts.get(prefix, 0) + 1
        return counts[prefix]

    return [renamed(item) for item in result.transcript.items]


def test_any_base_url_plays_what_another_one_recorded(path, assistant, serve):
    record(path, assistant, serve())
    with agentkit.cassette(path) as tape, Client("https://elsewhere.example/openai/v1") as client:
        assistant.agent.run_sync(QUESTION, client=client)
    assert tape.unused == []


def test_from_env_needs_no_key_where_only_the_cassette_answers(path, assistant, serve, monkeypatch):
    record(path, assistant, serve())
    for name in ("AGENTKIT_BASE_URL", "SAMBANOVA_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with agentkit.cassette(path):
        assert assistant.agent.run_sync(QUESTION, client=Client.from_env()).output
    with pytest.raises(UsageError, match="no server"):
        Client.from_env()


def test_a_key_function_is_not_asked_in_replay(path, assistant, serve):
    record(path, assistant, serve())

    def key():
        raise AssertionError("asked for the key")

    with agentkit.cassette(path), Client("http://elsewhere.example/v1", key) as client:
        assert assistant.agent.run_sync(QUESTION, client=client).output


# --- a request that isn't there ---------------------------------------------------------------------------


def test_a_request_that_is_not_there_is_an_error_that_the_model_is_not_told(path, assistant, serve):
    server = serve()
    record(path, assistant, server)
    asked = len(server.requests)
    with pytest.raises(CassetteMismatch) as caught, agentkit.cassette(path) as tape:
        assistant.agent.run_sync("Do I need a hat in Oslo?", client=client_of(server))
    said = str(caught.value)
    assert "[-coat-]{+hat+}" in said
    assert str(path) in said
    assert "extend" in said
    assert len(server.requests) == asked
    assert tape.misses == [caught.value]
    assert caught.value.transcript is not None


def test_a_mismatch_that_is_swallowed_is_raised_at_the_end(path, assistant, serve):
    record(path, assistant, serve())
    with pytest.raises(CassetteMismatch), agentkit.cassette(path), contextlib.suppress(Exception):
        assistant.agent.run_sync("Something else")


def test_a_mismatch_inside_a_tool_ends_the_run_around_it(path, assistant, serve):
    """A nested agent's mismatch is no output that the model is told."""
    asked = ["one", "two"]

    @tool
    async def ask() -> str:
        """Ask the other one."""
        return (await assistant.agent.run(asked.pop(0), client=client)).output

    def script(request):
        if request["tools"][0]["name"] == "ask":
            return call("ask") if len(request["input"]) == 1 else "Done."
        return answering(request)

    client = client_of(serve(script))
    outer = Agent(model="m", tools=[ask])
    with agentkit.cassette(path, "record"):
        assert outer.run_sync("Go", client=client).output == "Done."
    with pytest.raises(CassetteMismatch) as caught, agentkit.cassette(path, tools="live"):
        outer.run_sync("Go", client=client)
    assert "[-one-]{+two+}" in str(caught.value)


def test_another_error_carries_a_note_of_the_mismatch_that_was_swallowed(path, assistant, serve):
    record(path, assistant, serve())
    with pytest.raises(ZeroDivisionError) as caught, agentkit.cassette(path):
        swallow_and_fail(assistant.agent)
    assert "swallowed" in caught.value.__notes__[0]


def swallow_and_fail(agent):
    with contextlib.suppress(CassetteMismatch):
        agent.run_sync("Something else")
    return 1 / 0


def test_a_mismatch_that_is_expected_can_be_taken_back(path, assistant, serve):
    record(path, assistant, serve())
    with agentkit.cassette(path) as tape:
        with pytest.raises(CassetteMismatch):
            assistant.agent.run_sync("Something else")
        tape.misses.clear()


def test_what_was_played_is_not_played_again(path, assistant, serve):
    record(path, assistant, serve())
    with agentkit.cassette(path) as tape:
        assistant.agent.run_sync(QUESTION)
        with pytest.raises(CassetteMismatch, match="played"):
            assistant.agent.run_sync(QUESTION)
        tape.misses.clear()


def test_unused_names_the_turns(path, assistant, serve):
    record(path, assistant, serve(), "one", "two")
    with agentkit.cassette(path) as tape:
        assistant.agent.run_sync("two")
    assert tape.unused == [1, 2]


def test_requests_are_what_the_code_sent(path, assistant, serve):
    record(path, assistant, serve())
    with agentkit.cassette(path) as tape:
        assistant.agent.run_sync(QUESTION)
    assert tape.requests[0]["input"][0]["content"] == QUESTION
    assert len(tape.requests[1]["input"]) == 3


# --- the other modes --------------------------------------------------------------------------------------


def test_extend_plays_what_is_the_same_and_goes_live_from_the_first_difference(path, assistant, serve):
    server = serve()
    record(path, assistant, server, "one", "two")
    before = path.read_bytes()
    asked = len(server.requests)
    with agentkit.cassette(path, "extend") as tape:
        for prompt in ("one", "three"):
            assistant.agent.run_sync(prompt, client=client_of(server))
    assert len(server.requests) == asked + 2
    assert (tape.played, tape.recorded) == ([1, 2], 2)
    assert path.read_bytes() == before
    pending = path.with_name("weather.yaml.new").read_text(encoding="utf-8")
    assert "three" in pending
    assert "two" not in pending  # nobody asks it any more


def test_extend_that_changes_nothing_leaves_nothing(path, assistant, serve):
    server = serve()
    record(path, assistant, server)
    with agentkit.cassette(path, "extend") as tape:
        assistant.agent.run_sync(QUESTION, client=client_of(server))
    assert not tape.was_changed
    assert [entry.name for entry in path.parent.iterdir() if entry.is_file()] == ["weather.yaml"]


def test_extend_drops_what_is_no_longer_asked(path, assistant, serve):
    server = serve()
    record(path, assistant, server, "one", "two")
    with agentkit.cassette(path, "extend"):
        assistant.agent.run_sync("one", client=client_of(server))
    pending = path.with_name("weather.yaml.new").read_text(encoding="utf-8")
    assert "one" in pending
    assert "two" not in pending


def test_rewrite_of_an_unchanged_session_changes_no_line(path, serve):
    """With a clock and ids that are new each time, and a server on another port."""

    @tool
    def look(city: str, ctx: ToolContext[None]) -> str:
        """Look."""
        return f"{city} {ctx.now():%H:%M} {ctx.uuid()} {ctx.random.random()}"

    def script(request):
        return call("look", {"city": "Oslo"}) if len(request["input"]) == 1 else "Seen."

    agent = Agent(model="m", instructions=Prompt("It is {{ now.isoformat() }}."), tools=[look])
    for mode in ("record", "rewrite"):
        with agentkit.cassette(path, mode) as tape:
            for way in (False, True):
                run(agent, client_of(serve(script)), stream=way)
        if mode == "record":
            before = path.read_bytes()
    assert path.read_bytes() == before
    assert not tape.was_changed


def run(agent, client, *, stream):
    if not stream:
        return agent.run_sync("Look!", client=client)
    with agent.stream_sync("Look!", client=client) as streamed:
        for _ in streamed:
            pass
    return streamed.result


def test_a_file_that_cant_be_read_can_be_rewritten(path, assistant, serve, caplog):
    path.write_text("# agentkit cassette\nversion: 1\ninteractions: [\n", encoding="utf-8")
    with caplog.at_level(logging.WARNING), agentkit.cassette(path, "rewrite"):
        assistant.agent.run_sync(QUESTION, client=client_of(serve()))
    assert "recorded anew" in caplog.text
    with agentkit.cassette(path) as tape:
        assistant.agent.run_sync(QUESTION)
    assert tape.unused == []


def test_rewrite_replaces_on_success_only(path, assistant, serve):
    server = serve()
    record(path, assistant, server)
    before = path.read_bytes()
    with contextlib.suppress(ZeroDivisionError), agentkit.cassette(path, "rewrite"):
        assistant.agent.run_sync("Another one", client=client_of(server))
        _ = 1 / 0
    assert path.read_bytes() == before
    assert "Another one" in path.with_name("weather.yaml.new").read_text(encoding="utf-8")
    with agentkit.cassette(path, "rewrite"):
        assistant.agent.run_sync("Another one", client=client_of(server))
    assert "Another one" in path.read_text(encoding="utf-8")
    assert not path.with_name("weather.yaml.new").exists()


def test_compare_goes_live_and_lists_what_is_different(path, assistant, serve):
    record(path, assistant, serve(), "one", "two")
    before = path.read_bytes()

    def drifted(request):
        said = answering(request)
        return said.replace("coat", "hat") if isinstance(said, str) else said

    with agentkit.cassette(path, "compare") as tape:
        for prompt in ("one", "zwei"):
            assistant.agent.run_sync(prompt, client=client_of(serve(drifted)))
    said = "\n".join(tape.differences)
    assert "turn 2: the answer differs" in said
    assert "[-coat-]{+hat+}" in said
    assert "turn 3: the request differs" in said
    assert "[-two-]{+zwei+}" in said
    assert path.read_bytes() == before


def test_off_is_as_if_there_were_none(path, assistant, serve):
    server = serve()
    record(path, assistant, server)
    with agentkit.cassette(path), agentkit.cassette(path, "off") as tape:
        assert assistant.agent.run_sync("Something else", client=client_of(server)).output
    assert tape.unused == []


def test_what_code_has_switched_off_stays_off(path, assistant, serve, monkeypatch):
    monkeypatch.setenv("AGENTKIT_CASSETTES", "record")
    with agentkit.cassette(path, "off"):
        assistant.agent.run_sync(QUESTION, client=client_of(serve()))
    assert not path.exists()


def test_the_environment_goes_before_the_code(path, assistant, serve, monkeypatch):
    monkeypatch.setenv("AGENTKIT_CASSETTES", "record")
    with agentkit.cassette(path, "replay") as tape:
        assistant.agent.run_sync(QUESTION, client=client_of(serve()))
    assert tape.recorded == 2
    monkeypatch.setenv("AGENTKIT_CASSETTES", "rekord")
    with pytest.raises(UsageError, match="AGENTKIT_CASSETTES is 'rekord'; allowed are replay"):
        agentkit.cassette(path).open()


@pytest.mark.parametrize("mode", ["record", "extend", "rewrite"])
def test_recording_is_refused_in_ci(path, assistant, serve, monkeypatch, mode):
    monkeypatch.setenv("CI", "true")
    with pytest.raises(CassetteError, match="refused in CI"), agentkit.cassette(path, mode):
        pass
    monkeypatch.setenv("AGENTKIT_CASSETTES_IN_CI", "1")
    with agentkit.cassette(path, mode):
        assistant.agent.run_sync(QUESTION, client=client_of(serve()))
    assert path.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mode": "repaly"}, "mode is 'repaly'"),
        ({"tools": "none"}, "tools='none'; allowed are 'recorded', 'live', 'verify'"),
        ({"match": "fuzzy"}, "match='fuzzy'"),
        ({"speed": -1}, "speed=-1"),
        ({"ignore": "model"}, "ignore='model'"),
        ({"scrub": [3]}, r"scrub\[0\]"),
    ],
)
def test_options_that_are_none_are_named(path, options, said):
    with pytest.raises(UsageError, match=said):
        agentkit.cassette(path, **options)


# --- tools in replay --------------------------------------------------------------------------------------


def test_tools_live_surfaces_an_output_that_changed(path, serve):
    state = {"temperature": 7}

    @tool
    def weather(city: str) -> dict[str, object]:
        """Current weather."""
        return {"city": city, **state}

    agent = Agent(model="m", tools=[weather])
    with agentkit.cassette(path, "record"):
        agent.run_sync(QUESTION, client=client_of(serve()))
    with agentkit.cassette(path, tools="live") as tape:
        agent.run_sync(QUESTION)
    assert tape.unused == []
    state["temperature"] = 8
    with pytest.raises(CassetteMismatch, match=r"\[-7-\]\{\+8\+\}"), agentkit.cassette(path, tools="live"):
        agent.run_sync(QUESTION)
    with agentkit.cassette(path, tools="verify") as tape:
        assert agent.run_sync(QUESTION).tool_calls[0].output == '{"city":"Oslo","temperature":7}'
    assert len(tape.differences) == 1
    assert "weather" in tape.differences[0]
    assert "[-7-]{+8+}" in tape.differences[0]


def test_recorded_tools_still_have_their_arguments_checked(path, assistant, serve):
    record(path, assistant, serve())

    @tool
    def weather(town: str) -> str:
        """Current weather in a city."""
        return town

    renamed = assistant.agent.replace(tools=[weather])
    with pytest.raises(CassetteMismatch), agentkit.cassette(path):
        renamed.run_sync(QUESTION)
    with pytest.raises(CassetteMismatch, match="output"), agentkit.cassette(path, ignore=["tools"]):
        renamed.run_sync(QUESTION)


def test_a_tool_that_failed_is_replayed_as_failed(path, serve):
    @tool
    def weather(city: str) -> str:
        """Current weather."""
        raise ValueError(f"no city {city}")

    agent = Agent(model="m", tools=[weather])
    with agentkit.cassette(path, "record"):
        agent.run_sync(QUESTION, client=client_of(serve()))
    with agentkit.cassette(path):
        made = agent.run_sync(QUESTION).tool_calls[0]
    assert (made.outcome, made.output) == ("error", "ValueError: no city Oslo")


def test_a_final_tool_is_replayed_though_no_request_follows(path, serve):
    @tool(final=True)
    def finish(answer: str) -> str:
        """Give the answer."""
        return answer.upper()

    agent = Agent(model="m", tools=[finish])
    with agentkit.cassette(path, "record"):
        assert agent.run_sync("Go", client=client_of(serve([call("finish", {"answer": "yes"})]))).output == "YES"
    assert "tool_results" in path.read_text(encoding="utf-8")
    with agentkit.cassette(path):
        assert agent.run_sync("Go").output == "YES"


def test_typed_output_by_tool_is_replayed(path, serve):
    agent = Agent(model="m", output_type=dict[str, int], output_mode="tool")
    script = [call("final_answer", {"response": {"a": 1}})]
    with agentkit.cassette(path, "record"), contextlib.suppress(agentkit.AgentkitError):
        agent.run_sync("Go", client=client_of(serve(script)))
    with agentkit.cassette(path) as tape, contextlib.suppress(agentkit.AgentkitError):
        agent.run_sync("Go")
    assert tape.unused == []


def test_a_call_without_a_recorded_output_is_an_error(path, assistant, serve):
    """The recording ends where the tool was to run."""
    client = client_of(serve())
    limited = assistant.agent.replace(limits=agentkit.Limits(tool_calls=0))
    with agentkit.cassette(path, "record"), pytest.raises(agentkit.LimitReached):
        limited.run_sync(QUESTION, client=client)
    with pytest.raises(CassetteError, match="holds no output of the call weather"), agentkit.cassette(path):
        assistant.agent.run_sync(QUESTION)
    assert assistant.ran == []


def test_open_calls_that_a_run_begins_with_have_their_outputs_played(path, assistant, serve):
    server = serve()
    with pytest.raises(agentkit.LimitReached) as stopped:
        assistant.agent.run_sync(QUESTION, client=client_of(server), limits=agentkit.Limits(tool_calls=0))
    begun = stopped.value.transcript
    with agentkit.cassette(path, "record"):
        assistant.agent.run_sync(transcript=begun, client=client_of(server))
    assert assistant.ran == ["Oslo"]
    with agentkit.cassette(path):
        assert assistant.agent.run_sync(transcript=begun).output
    assert assistant.ran == ["Oslo"]


# --- nested agents, threads, tasks ------------------------------------------------------------------------


def nested_agents(client):
    @tool
    def research(topic: str) -> str:
        """Find out."""
        return inner.run_sync(topic, client=client).output

    def script(request):
        if request["model"] == "inner":
            return f"All about {request['input'][-1]['content']}"
        return (
            [call("research", {"topic": "owls"}), call("research", {"topic": "bats"})]
            if len(request["input"]) == 1
            else "Done."
        )

    inner = Agent(model="inner")
    return Agent(model="outer", tools=[research]), script


def test_nested_agents_are_recorded_beneath_their_call_and_count_as_played(path, serve):
    _, script = nested_agents(None)
    server = serve(script_of_calls(script))
    agent, _ = nested_agents(client_of(server))
    with agentkit.cassette(path, "record"):
        recorded = agent.run_sync("Go", client=client_of(server))
    written = path.read_text(encoding="utf-8")
    assert "lane: call_1" in written
    assert "lane: call_2" in written
    with agentkit.cassette(path) as tape:
        replayed = agent.run_sync("Go")
    assert tape.unused == []
    assert [made.output for made in replayed.tool_calls] == ["All about owls", "All about bats"]
    assert replayed.usage.total_tokens == recorded.usage.total_tokens
    assert replayed.usage.replayed == 4
    with agentkit.cassette(path, tools="live") as tape:
        agent.run_sync("Go")
    assert tape.unused == []


def script_of_calls(script):
    from agentkit.testing import reply

    def made(request):
        said = script(request)
        return reply(*said) if isinstance(said, list) else said

    return made


def test_ten_threads_and_ten_tasks_each_have_their_own(tmp_path, assistant, serve):
    server = serve()
    paths = [tmp_path / f"{number}.yaml" for number in range(10)]

    def one(number, mode):
        with agentkit.cassette(paths[number], mode) as tape:
            for turn in range(3):
                client = client_of(server) if mode == "record" else None
                assistant.agent.run_sync(f"{number}: {turn}", client=client)
        return len(tape.requests)

    async def one_task(number):
        async with agentkit.cassette(paths[number]) as tape:
            for turn in range(3):
                await assistant.agent.run(f"{number}: {turn}")
        assert tape.unused == []

    async def all_tasks():
        await asyncio.gather(*map(one_task, range(10)))

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        assert list(pool.map(one, range(10), ["record"] * 10)) == [6] * 10
        assert list(pool.map(one, range(10), ["replay"] * 10)) == [6] * 10
    asyncio.run(all_tasks())


def test_a_thread_without_the_context_never_goes_live(path, assistant, serve):
    server = serve()
    record(path, assistant, server)
    asked = len(server.requests)
    with agentkit.cassette(path) as tape, concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(assistant.agent.run_sync, QUESTION, client=client_of(server)).result().output
    assert tape.unused == []
    assert len(server.requests) == asked


def test_a_thread_that_could_mean_either_of_two_is_refused(tmp_path, assistant, serve):
    paths = [tmp_path / "a.yaml", tmp_path / "b.yaml"]
    for path in paths:
        record(path, assistant, serve())
    with agentkit.cassette(paths[0]), agentkit.cassette(paths[1]), concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(assistant.agent.run_sync, QUESTION)
        with pytest.raises(CassetteError, match="2 cassettes are open"):
            asked.result()


def test_one_file_has_one_writer(path, assistant, serve):
    with agentkit.cassette(path, "record"), pytest.raises(CassetteError, match="being recorded by another"):
        agentkit.cassette(path, "record").open()


# --- streams ----------------------------------------------------------------------------------------------


def test_a_stream_is_not_held_back_while_it_is_recorded(path, serve):
    """The first delta is there while the server still holds the second."""
    gate = threading.Event()
    agent = Agent(model="m")
    with (
        agentkit.cassette(path, "record"),
        agent.stream_sync("Go", client=client_of(serve([text("one ", hold(gate), "two")]))) as run,
    ):
        first = next(event for event in run if isinstance(event, TextDelta))
        assert first.text.startswith("one")
        gate.set()
        for _ in run:
            pass
    with agentkit.cassette(path), agent.stream_sync("Go") as run:
        assert "".join(run.text_deltas()) == "one two"


def test_a_stream_comes_back_in_its_chunks(path, serve):
    agent = Agent(model="m")
    seen = {}
    for mode, client in (("record", client_of(serve(["one two three four"]))), ("replay", None)):
        with agentkit.cassette(path, mode), agent.stream_sync("Go", client=client) as run:
            seen[mode] = [event.text for event in run if isinstance(event, TextDelta)]
    assert len(seen["record"]) > 2
    assert seen["replay"] == seen["record"]


def test_timings_are_recorded_and_played_at_their_speed(path, serve):
    from agentkit.testing import wait

    agent = Agent(model="m")
    with (
        agentkit.cassette(path, "record", timings=True),
        agent.stream_sync("Go", client=client_of(serve([text("one ", wait(0.3), "two")]))) as run,
    ):
        list(run)
    assert "at_ms" in path.read_text(encoding="utf-8")
    import time

    took = {}
    for speed in (0, 1, 3):
        began = time.monotonic()
        with agentkit.cassette(path, speed=speed), agent.stream_sync("Go") as run:
            list(run)
        took[speed] = time.monotonic() - began
    assert took[0] < took[1]
    assert took[3] >= 0.1
    assert took[1] >= 0.3


# --- failures ---------------------------------------------------------------------------------------------


def test_refusals_and_retries_are_played_without_waiting(path, serve):
    script = [failure(429, code="rate_limit_exceeded", headers={"retry-after": "0.01"}), failure(503), "At last."]
    agent = Agent(model="m")
    with agentkit.cassette(path, "record"):
        agent.run_sync("Go", client=client_of(serve(script)))
    waits = []

    async def never(seconds):
        waits.append(seconds)

    patient = Client("http://elsewhere.example/v1", retry=RetryPolicy(base_s=100, cap_s=100, sleep=never))
    with (
        agentkit.cassette(path) as tape,
        agent.stream_sync("Go", client=patient, settings=agentkit.Settings(stream=False)) as run,
    ):
        events = list(run)
    assert [type(event) for event in events].count(RetryWaiting) == 2
    assert run.result.output == "At last."
    assert waits == []
    assert tape.unused == []


def test_an_error_status_is_played_as_the_same_error(path, serve):
    agent = Agent(model="m")
    caught = []
    once = client_of(serve([failure(429, code="insufficient_quota")]), retry=RetryPolicy.none())
    for mode, client in (("record", once), ("replay", Client("http://x.example/v1", retry=RetryPolicy.none()))):
        with agentkit.cassette(path, mode), pytest.raises(RateLimited) as error:
            agent.run_sync("Go", client=client)
        caught.append(error.value)
    assert caught[0].code == caught[1].code == "insufficient_quota"
    assert caught[0].status == caught[1].status


def test_a_stream_that_broke_breaks_at_the_same_place(path, serve):
    agent = Agent(model="m")
    script = [text("one ", cut(), "two"), text("one ", cut(), "two")]
    policy = RetryPolicy(attempts=2, base_s=0)
    clients = {"record": client_of(serve(script), retry=policy), "replay": Client("http://x.example/v1", retry=policy)}
    seen = {mode: [] for mode in clients}
    for mode, client in clients.items():
        with (
            agentkit.cassette(path, mode),
            agent.stream_sync("Go", client=client) as streamed,
            pytest.raises(agentkit.TransportError),
        ):
            seen[mode].extend(event.text for event in streamed if isinstance(event, TextDelta))
    assert "error:" in path.read_text(encoding="utf-8")
    assert seen["record"] == seen["replay"] != []


def test_a_connection_refused_is_recorded(path, serve):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        agent = Agent(model="m")
        said = []
        for mode in ("record", "replay"):
            client = Client(url, retry=RetryPolicy(attempts=2, base_s=0), trust_env=False)
            with agentkit.cassette(path, mode) as tape, pytest.raises(agentkit.TransportError) as error:
                agent.run_sync("Go", client=client)
            said.append(str(error.value))
    assert said[0] == said[1]
    assert tape.unused == []


def test_a_reader_that_left_reads_no_further_in_replay(path, serve):
    gate = threading.Event()
    agent = Agent(model="m")
    client = client_of(serve([text("one ", "two ", hold(gate), "three")]))
    with agentkit.cassette(path, "record"), agent.stream_sync("Go", client=client) as streamed:
        for _ in streamed.text_deltas():
            break
    gate.set()
    with agentkit.cassette(path) as tape:
        with agent.stream_sync("Go") as streamed:
            for _ in streamed.text_deltas():
                break
        assert tape.unused == []
    with pytest.raises(CassetteError, match="whoever read it had left"), agentkit.cassette(path):
        list(agent.stream_sync("Go"))


def test_models_are_recorded_too(path, serve):
    client = client_of(serve(models=["a", "b"]))
    with agentkit.cassette(path, "record"):
        names = [model["id"] for model in client.models_sync()]
    with agentkit.cassette(path), Client("http://elsewhere.example/v1") as other:
        assert [model["id"] for model in other.models_sync()] == names


# --- what is never lost -----------------------------------------------------------------------------------


def test_each_exchange_is_on_the_disk_before_its_answer_is_used(path, assistant, serve):
    seen = []

    @tool
    def weather(city: str) -> str:
        """Current weather."""
        seen.append(path.with_name("weather.yaml.part").read_text(encoding="utf-8").count('"status":200'))
        return city

    with agentkit.cassette(path, "record"):
        assistant.agent.replace(tools=[weather]).run_sync(QUESTION, client=client_of(serve()))
    assert seen == [1]
    assert not path.with_name("weather.yaml.part").exists()


KILLED = """
import os, signal, sys
import agentkit
from agentkit import Agent, Client, tool

@tool
def weather(city: str) -> dict[str, object]:
    "Current weather in a city."
    return {"city": city, "temperature": 7}

agent = Agent(model="m", instructions="Answer briefly.", tools=[weather])
client = Client(sys.argv[1], "a-key-of-the-test", trust_env=False)
with agentkit.cassette(sys.argv[2], "record"):
    for prompt in ("one", "two"):
        agent.run_sync(prompt, client=client)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_recording_paid_for_is_played(path, assistant, serve, caplog):
    server = serve()
    killed(server, path)
    assert not path.exists()
    asked = len(server.requests)
    with caplog.at_level(logging.WARNING), agentkit.cassette(path, "record") as tape:
        for prompt in ("one", "two", "three"):
            assistant.agent.run_sync(prompt, client=client_of(server))
    assert len(server.requests) == asked + 2
    assert tape.recorded == 2
    assert "4 exchanges" in caplog.text
    assert "tokens" in caplog.text
    assert not path.with_name("weather.yaml.part").exists()
    with agentkit.cassette(path) as tape:
        for prompt in ("one", "two", "three"):
            assistant.agent.run_sync(prompt)
    assert tape.unused == []


def killed(server, path):
    """Record "one" and "two", and be killed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", KILLED, server.base_url, str(path)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL


def test_what_a_killed_recording_paid_for_stays_until_it_is_asked_for(path, assistant, serve, caplog):
    server, part = serve(), path.with_name("weather.yaml.part")
    killed(server, path)
    with caplog.at_level(logging.WARNING), agentkit.cassette(path, "record") as tape:
        assistant.agent.run_sync("three", client=client_of(server))
    tape.check_played()
    assert "4 exchanges" in caplog.text
    assert "stay in weather.yaml.part, since nothing asked for them" in caplog.text
    assert len(read(path)) == 2
    assert len(read(part)) == 4
    asked = len(server.requests)
    with agentkit.cassette(path, "extend") as tape:
        for prompt in ("one", "two", "three"):
            assistant.agent.run_sync(prompt, client=client_of(server))
    assert len(server.requests) == asked
    assert len(read(path.with_name("weather.yaml.new"))) == 6
    assert not part.exists()


def test_a_journal_of_what_the_cassette_holds_changes_nothing(path, assistant, serve):
    """The ids in it are those that the server gave, and those in the cassette are numbered."""
    server = serve()
    with agentkit.cassette(path, "record"):
        for prompt in ("one", "two", "three"):
            assistant.agent.run_sync(prompt, client=client_of(server))
    accepted = path.read_bytes()
    other = path.with_name("other.yaml")
    killed(server, other)
    other.with_name("other.yaml.part").rename(path.with_name("weather.yaml.part"))
    with agentkit.cassette(path, "extend") as tape:
        for prompt in ("one", "two", "three"):
            assistant.agent.run_sync(prompt, client=client_of(server))
    assert (tape.recorded, tape.was_changed) == (0, False)
    assert [entry.name for entry in path.parent.glob("weather*")] == ["weather.yaml"]
    assert path.read_bytes() == accepted


def test_what_people_write_into_a_cassette_is_no_change(path, assistant, serve):
    server = serve()
    record(path, assistant, server)
    path.write_text("# for the release of May\n" + path.read_text())
    with agentkit.cassette(path, "extend") as tape:
        assistant.agent.run_sync(QUESTION, client=client_of(server))
    assert (tape.recorded, tape.was_changed) == (0, False)
    assert path.read_text().startswith("# for the release of May\n")


def test_a_file_that_is_broken_names_what_records_it_anew(path):
    path.write_text("version: 1\ninteractions: 3\n")
    with pytest.raises(CassetteError, match=r'or record it anew: cassette\(".*weather.yaml", mode="rewrite"\)'):
        agentkit.cassette(path).open()


def test_what_waits_stays_where_an_extension_is_the_same_as_before(path, assistant, serve):
    server = serve()
    record(path, assistant, server)
    with agentkit.cassette(path, "extend"):
        assistant.agent.run_sync("Something else", client=client_of(server))
    waiting = path.with_name("weather.yaml.new")
    proposed = waiting.read_bytes()
    with agentkit.cassette(path, "extend") as tape:
        for prompt in [QUESTION]:
            assistant.agent.run_sync(prompt, client=client_of(server))
    assert (tape.recorded, tape.was_changed) == (0, False)
    assert waiting.read_bytes() == proposed


def test_saving_after_a_refusal_leaves_what_a_killed_recording_had(path, serve):
    server, part = serve(["Nothing to hide."]), path.with_name("weather.yaml.part")
    killed(serve(), path)
    key = "gh" + "p_" + "aB3dE5gH7j" * 4
    tape = agentkit.cassette(path, "record")
    tape.open()
    Agent(model="m").run_sync(f"My key is {key}.", client=client_of(server))
    with pytest.raises(CassetteError, match="GitHub token"):
        tape.close()
    tape.save(scrub=[key])
    assert "My key is <scrubbed>." in path.read_text()
    assert len(read(part)) == 4


def test_what_a_killed_recording_left_survives_a_run_that_fails(path, assistant, serve):
    server, part = serve(), path.with_name("weather.yaml.part")
    killed(server, path)
    with contextlib.suppress(ZeroDivisionError), agentkit.cassette(path, "record"):
        assistant.agent.run_sync("one", client=client_of(server))
        _ = 1 / 0
    assert len(read(part)) == 4


def test_a_number_that_is_hidden_is_still_one_when_it_is_played(path, serve):
    @tool
    def open_safe(password: int) -> str:
        """Open the safe."""
        return "open"

    agent = Agent(model="m", tools=[open_safe])
    replies = iter([call("open_safe", {"password": 483920}), "It is open."])
    with agentkit.cassette(path, "record"):
        agent.run_sync("Open it.", client=client_of(serve(lambda _: next(replies))))
    assert "483920" not in path.read_text()
    with agentkit.cassette(path):
        assert agent.run_sync("Open it.").output == "It is open."


def test_a_failure_that_ended_a_recording_is_not_played_by_the_next_one(path, assistant, serve):
    """A wrong key, say. One that was tried again is part of what was recorded."""
    with contextlib.suppress(AuthenticationError), agentkit.cassette(path, "record"):
        assistant.agent.run_sync(QUESTION, client=client_of(serve(api_key="right")))
    assert len(read(path.with_name("weather.yaml.new"))) == 1
    replies = iter([failure(429, code="queue_full", message="busy"), call("weather", {"city": "Oslo"}), "Coat."] * 2)
    server = serve(lambda _: next(replies))
    with contextlib.suppress(ZeroDivisionError), agentkit.cassette(path, "record"):
        assistant.agent.run_sync(QUESTION, client=client_of(server))
        _ = 1 / 0
    with agentkit.cassette(path, "record") as tape:
        assert assistant.agent.run_sync(QUESTION, client=client_of(server)).output == "Coat."
    assert tape.recorded == 0
    assert [made.status for made in read(path)] == [429, 200, 200]


def test_a_torn_journal_gives_all_but_its_last_line(path, assistant, serve):
    """As a kill in the middle of each write leaves it."""
    server = serve()
    part = path.with_name("weather.yaml.part")
    with agentkit.cassette(path, "record"):
        for prompt in ("one", "two"):
            assistant.agent.run_sync(prompt, client=client_of(server))
        whole = part.read_bytes()
    path.unlink()
    ends = [index + 1 for index, byte in enumerate(whole) if byte == 10]
    for length in {*ends, *(end - 1 for end in ends), *(end + 5 for end in ends), *range(0, len(whole), 397)}:
        part.write_bytes(whole[:length])
        with agentkit.cassette(path, "record") as tape:
            for prompt in ("one", "two"):
                assistant.agent.run_sync(prompt, client=client_of(server))
        complete = sum(line.endswith(b"}") and b'"status":200' in line for line in whole[:length].split(b"\n"))
        assert tape.recorded == 4 - complete, length
        path.unlink()


def test_what_is_secret_by_its_key_may_not_stand_elsewhere(path, serve):
    """A tool gives a password, and the model repeats it; and it had said it before."""
    password = "hunt" + "er's2hunter2"

    @tool
    def account() -> dict[str, str]:
        """The user's account."""
        return {"user": "ann", "password": password}

    replies = iter([f"You said {password}.", call("account", {}), f"It is {password}."])
    agent, client = Agent(model="m", tools=[account]), client_of(serve(lambda _: next(replies)))
    tape = agentkit.cassette(path, "record")
    tape.open()
    agent.run_sync("Hello", client=client)
    agent.run_sync("Who am I?", client=client)
    with pytest.raises(CassetteError, match=r"named like a secret at interactions\[0\]") as caught:
        tape.close()
    assert password not in str(caught.value)
    left = [entry.read_text() for entry in path.parent.iterdir() if entry.is_file()]
    assert left
    assert not any(password in text for text in left)
    tape.save(scrub=[password])
    assert path.exists()
    assert password not in path.read_text()
    with agentkit.cassette(path, scrub=[password]):
        assert agent.run_sync("Hello").output == "You said <scrubbed>."


@pytest.mark.parametrize(
    "kind", ["output_text", "refusal", "function_call_arguments", "reasoning_text", "some_new_thing"]
)
def test_a_secret_that_a_broken_stream_spells_out_is_in_no_file(path, kind):
    key = "gh" + "p_" + "aB3dE5gH7j" * 4
    event = {"type": f"response.{kind}.delta", "item_id": "it_1", "output_index": 0, "content_index": 0}
    pieces = [key[at : at + 3] for at in range(0, len(key), 3)]
    stream = b"".join(b"data: " + json.dumps({**event, "delta": piece}).encode() + b"\n\n" for piece in pieces)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    with byte_server(lambda connection: (connection.request(), connection.send(head + stream))) as server:
        tape = agentkit.cassette(path, "record", patch=True)
        tape.open()
        httpx.post(f"{server.url}/responses", json={"model": "m", "input": "hi"})
        assert len(read(path.with_name("weather.yaml.part"))) == 0  # nor while it goes on
        with pytest.raises(CassetteError, match="GitHub token"):
            tape.close()
    assert [entry.name for entry in path.parent.iterdir() if entry.is_file()] == []


def test_a_secret_that_is_escaped_several_times_is_in_no_file(path, assistant, serve):
    secret = "k7Qz9mWv3L" + "xT8rB2nYc5Hd6Jf4Pq1"
    prompt = json.dumps({"body": json.dumps({"b": json.dumps({"client_secret": secret})})})
    with pytest.raises(CassetteError, match="looks like a secret"), agentkit.cassette(path, "record"):
        assistant.agent.run_sync(f"x {prompt}", client=client_of(serve(["Hm."])))
    assert not any(secret in entry.read_text() for entry in path.parent.iterdir() if entry.is_file())


def test_a_failed_recording_waits_beside_and_is_played_by_the_next_one(path, assistant, serve):
    server = serve()
    with contextlib.suppress(ZeroDivisionError), agentkit.cassette(path, "record"):
        assistant.agent.run_sync(QUESTION, client=client_of(server))
        _ = 1 / 0
    assert not path.exists()
    assert path.with_name("weather.yaml.new").exists()
    with agentkit.cassette(path, "record") as tape:
        assistant.agent.run_sync(QUESTION, client=client_of(server))
    assert tape.recorded == 0
    assert path.exists()
    assert not path.with_name("weather.yaml.new").exists()


def test_files_are_for_their_owner_only(path, assistant, serve):
    server = serve()
    with agentkit.cassette(path, "record"):
        assistant.agent.run_sync(QUESTION, client=client_of(server))
        modes = {stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.iterdir() if entry.is_file()}
    assert modes == {0o600}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_that_is_none_is_a_clear_error(tmp_path, assistant, serve):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(CassetteError, match="can't be"), agentkit.cassette(blocked / "x.yaml", "record"):
        pass
    with pytest.raises(CassetteError, match="no recording"), agentkit.cassette(blocked / "x.yaml"):
        pass


# --- secrets ----------------------------------------------------------------------------------------------

SECRET = "sk-proj-" + "Ab3Cd5Ef7Gh9" * 4


def test_no_secret_reaches_the_disk(path, serve, monkeypatch):
    monkeypatch.setenv("WEATHER_API_KEY", "very-secret-value-1234")

    @tool
    def look(city: str) -> dict[str, object]:
        """Look."""
        return {"city": city, "api_key": "hidden-by-name-987654", "said": "the key is very-secret-value-1234"}

    agent = Agent(model="m", instructions="Use very-secret-value-1234.", tools=[look])
    script = [
        call(
            "look",
            {
                "city": "Oslo",
            },
        ),
        "It is very-secret-value-1234.",
    ]
    journals = []

    def watch(_entry):
        journals.append(b"".join(entry.read_bytes() for entry in path.parent.iterdir() if entry.is_file()))

    with agentkit.cassette(path, "record"):
        agent.run_sync("Go", client=client_of(serve(script)), observers=[watch])
    written = path.read_bytes() + b"".join(journals)
    for value in (b"very-secret-value-1234", b"hidden-by-name-987654", b"a-key-of-the-test"):
        assert value not in written
    assert b"<WEATHER_API_KEY>" in written
    with agentkit.cassette(path) as tape:
        agent.run_sync("Go")
    assert tape.unused == []


def test_a_key_that_only_the_client_was_given_is_taken_out_of_what_is_said(path, serve):
    agent = Agent(model="m")
    with agentkit.cassette(path, "record"):
        agent.run_sync("Say a-key-of-the-test!", client=client_of(serve(["It is a-key-of-the-test."])))
        agent.run_sync("Say another-key-9876!", client=Client(serve(["another-key-9876"]).base_url, "another-key-9876"))
    written = path.read_text(encoding="utf-8")
    assert "a-key-of-the-test" not in written
    assert "another-key-9876" not in written
    assert "Say <API_KEY>!" in written
    assert "Say <API_KEY_2>!" in written


@pytest.mark.parametrize("where", ["prompt", "answer", "output", "stream"])
def test_a_secret_that_slipped_through_refuses_the_save_and_is_not_printed(path, serve, where):
    @tool
    def look(city: str) -> str:
        """Look."""
        return SECRET if where == "output" else city

    agent = Agent(model="m", tools=[look])
    said = f"It is {SECRET}." if where in ("answer", "stream") else "Fine."
    client = client_of(serve([call("look", {"city": "Oslo"}), said]))
    prompt = f"My key is {SECRET}" if where == "prompt" else "Go"
    tape = agentkit.cassette(path, "record")
    tape.open()
    if where == "stream":
        with agent.stream_sync(prompt, client=client) as run:
            list(run)
    else:
        agent.run_sync(prompt, client=client)
    on_disk = b"".join(entry.read_bytes() for entry in path.parent.iterdir() if entry.is_file())
    assert SECRET.encode() not in on_disk
    with pytest.raises(CassetteError, match="looks like a secret") as caught:
        tape.close()
    assert SECRET not in str(caught.value)
    assert not path.exists()
    tape.save(scrub=[(r"sk-proj-\w+", "<key>")])
    assert not path.with_name("weather.yaml.part").exists()
    written = path.read_text(encoding="utf-8")
    assert SECRET not in written
    assert "<key>" in written


def test_a_mismatch_shows_no_key_and_names_the_variable_that_is_missing(path, serve, monkeypatch):
    monkeypatch.setenv("SHOP_API_KEY", SECRET)
    agent = Agent(model="m")
    with agentkit.cassette(path, "record"):
        agent.run_sync(f"Remember {SECRET}", client=client_of(serve(["Yes."])))
    monkeypatch.delenv("SHOP_API_KEY")
    with pytest.raises(CassetteMismatch) as caught, agentkit.cassette(path):
        agent.run_sync(f"Remember {SECRET}")
    assert SECRET not in str(caught.value)
    assert "<SHOP_API_KEY>: a secret of the environment where it was recorded" in str(caught.value)


def test_a_server_that_was_down_is_not_played_once_it_is_up(path, assistant, serve):
    down = Client("http://127.0.0.1:9/v1", retry=RetryPolicy.none(), trust_env=False)
    with pytest.raises(agentkit.TransportError), agentkit.cassette(path, "record"):
        assistant.agent.run_sync(QUESTION, client=down)
    assert not list(path.parent.glob("weather.yaml*"))
    with agentkit.cassette(path, "record") as tape:
        assert assistant.agent.run_sync(QUESTION, client=client_of(serve())).output
    assert tape.recorded == 2


def test_scrub_rules_replace_in_the_file_and_before_matching(path, assistant, serve):
    server = serve()
    with agentkit.cassette(path, "record", scrub=[(r"job-\d+", "job-N")]):
        assistant.agent.run_sync("Look at job-17", client=client_of(server))
    assert "job-17" not in path.read_text(encoding="utf-8")
    with agentkit.cassette(path, scrub=[(r"job-\d+", "job-N")]) as tape:
        assistant.agent.run_sync("Look at job-23")
    assert tape.unused == []
    with pytest.raises(CassetteMismatch), agentkit.cassette(path):
        assistant.agent.run_sync("Look at job-23")


def test_folders_of_this_machine_are_placeholders_and_come_back(path, serve, tmp_path, monkeypatch):
    @tool
    def where() -> str:
        """Where are we?"""
        return os.getcwd()  # noqa: PTH109

    agent = Agent(model="m", tools=[where])
    here = {}
    for mode in ("record", "replay"):
        folder = tmp_path / mode
        folder.mkdir()
        monkeypatch.chdir(folder)
        client = client_of(serve([call("where"), f"In {folder}."])) if mode == "record" else None
        with agentkit.cassette(path, mode):
            here[mode] = agent.run_sync("Where?", client=client).output
    assert str(tmp_path) not in path.read_text(encoding="utf-8")
    assert here == {mode: f"In {tmp_path / mode}." for mode in here}


# --- the moment and chance --------------------------------------------------------------------------------


def test_the_moment_and_chance_are_those_of_the_recording(path, serve):
    drawn = []

    @tool
    def draw(ctx: ToolContext[None]) -> list[object]:
        """Draw."""
        drawn.append([ctx.now(), ctx.random.random(), ctx.uuid()])
        return [str(value) for value in drawn[-1]]

    agent = Agent(model="m", instructions=Prompt("It is {{ now }}."), tools=[draw])
    script = [call("draw"), "Drawn."]
    with agentkit.cassette(path, "record"):
        agent.run_sync("Go", client=client_of(serve(script)))
    with agentkit.cassette(path, tools="live") as tape:
        agent.run_sync("Go")
    assert tape.unused == []
    assert drawn[0] == drawn[1]
    agent.run_sync("Go", client=ScriptedModel(script).client())
    assert drawn[2][1:] != drawn[0][1:]
    assert drawn[2][0].tzinfo is not None


def test_two_calls_of_one_response_draw_apart(path, serve):
    drawn = []

    @tool
    def draw(ctx: ToolContext[None]) -> str:
        """Draw."""
        drawn.append(str(ctx.uuid()))
        return drawn[-1]

    from agentkit.testing import reply

    agent = Agent(model="m", tools=[draw])
    with agentkit.cassette(path, "record"):
        agent.run_sync("Go", client=client_of(serve([reply(call("draw"), call("draw")), "Drawn."])))
    assert len(set(drawn)) == 2


def test_a_moment_in_the_file_that_is_none_is_named(path, assistant, serve):
    record(path, assistant, serve())
    text_of_file = path.read_text(encoding="utf-8")
    path.write_text(text_of_file.replace("interactions:", "now: yesterday\ninteractions:", 1), encoding="utf-8")
    with pytest.raises(CassetteError, match="now is 'yesterday'"), agentkit.cassette(path):
        pass


# --- match ------------------------------------------------------------------------------------------------


def test_match_turns_plays_by_position_and_lists_the_drift(path, assistant, serve, monkeypatch):
    record(path, assistant, serve())
    with agentkit.cassette(path, match="turns") as tape:
        assert assistant.agent.run_sync("Do I need a hat in Oslo?").output == "Answer 1: take a coat."
    assert "turn 1 drifted" in tape.differences[0]
    assert "[-coat-]{+hat+}" in tape.differences[0]
    monkeypatch.setenv("CI", "true")
    with pytest.raises(CassetteError, match="refused in CI"), agentkit.cassette(path, match="turns"):
        pass


def test_a_field_to_ignore_that_no_request_has_is_told_with_a_mismatch(path, assistant, serve):
    record(path, assistant, serve())
    rules = ["tool[*].description", "tools[*].description"]
    with pytest.raises(CassetteMismatch) as caught, agentkit.cassette(path, ignore=rules):
        assistant.agent.run_sync("Something else")
    assert "ignore=['tool[*].description'] finds nothing in any of these requests." in str(caught.value)


def test_match_exact_counts_every_field(path, assistant, serve):
    server = serve()
    with agentkit.cassette(path, "record"):
        assistant.agent.run_sync(QUESTION, client=client_of(server), settings=agentkit.Settings(metadata={"run": "1"}))
    changed = agentkit.Settings(metadata={"run": "2"})
    with agentkit.cassette(path) as tape:
        assistant.agent.run_sync(QUESTION, settings=changed)
    assert tape.unused == []
    with pytest.raises(CassetteMismatch, match="metadata"), agentkit.cassette(path, match="exact"):
        assistant.agent.run_sync(QUESTION, settings=changed)


def test_the_head_says_who_was_asked(path, assistant, serve):
    record(path, assistant, serve())
    head = path.read_text(encoding="utf-8").partition("interactions:")[0]
    assert "server: agentkit serve" in head


# --- clients of others ------------------------------------------------------------------------------------


def test_patch_plays_what_other_httpx_clients_asked(path, serve):
    server = serve(["Hello there, you."])
    body = {"model": "m", "input": "hi", "stream": True}
    seen = {}
    for mode in ("record", "replay"):
        url = server.base_url if mode == "record" else "http://127.0.0.1:9/v1"
        with (
            agentkit.cassette(path, mode, patch=True) as tape,
            httpx.Client(trust_env=False) as client,
            client.stream("POST", f"{url}/responses", json=body) as response,
        ):
            seen[mode] = list(response.iter_raw())
    assert len(seen["record"]) > 2
    assert b"Hello" in b"".join(seen["replay"])
    assert len(seen["replay"]) == len(seen["record"])
    assert tape.unused == []
    with pytest.raises(CassetteMismatch), agentkit.cassette(path, patch=True), httpx.Client() as client:
        client.post("http://127.0.0.1:9/v1/responses", json={**body, "input": "ho"})


def test_patch_plays_async_httpx_and_the_openai_sdk(path, serve):
    openai = pytest.importorskip("openai")
    server = serve(["Hello.", "Hello."])

    async def ask(url):
        async with httpx.AsyncClient(trust_env=False) as client:
            plain = await client.post(f"{url}/responses", json={"model": "m", "input": "hi"})
        sdk = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
        response = await sdk.responses.create(model="m", input="hello")
        await sdk.close()
        return plain.json()["output"][0]["content"][0]["text"], response.output_text

    said = []
    for mode in ("record", "replay"):
        with agentkit.cassette(path, mode, patch=True):
            said.append(asyncio.run(ask(server.base_url if mode == "record" else "http://127.0.0.1:9/v1")))
    assert said == [("Hello.", "Hello.")] * 2


def test_patch_in_threads_lets_nothing_past_its_cassette(path, serve):
    """vcrpy takes its patches away for a moment, for the whole process, to make a real connection."""
    requests = pytest.importorskip("requests")
    server = serve(lambda asked: f"You said {asked.last_text}.")

    def ask(number, mode):
        own = path.with_name(f"{number}.yaml")
        with agentkit.cassette(own, mode, patch=True) as tape:
            for turn in range(3):
                body = {"model": "m", "input": f"{number} {turn}"}
                said = requests.post(f"{server.base_url}/responses", json=body).json()
                assert said["output"][0]["content"][0]["text"] == f"You said {number} {turn}."
            assert not tape.unused
        return len(tape.requests)

    for mode in ("record", "replay"):
        before = len(server.requests)
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            assert list(pool.map(ask, range(6), [mode] * 6)) == [3] * 6
        assert len(server.requests) - before == (18 if mode == "record" else 0)


@pytest.mark.parametrize("library", ["httpx", "requests", "urllib"])
def test_patch_plays_failures_of_other_clients(path, serve, library):
    """A tool that falls back on another server asks it in a replay, too."""
    server = serve(["Hello."])
    nobody = "http://127.0.0.1:9/v1"

    def ask(url):
        if library == "urllib":
            import urllib.request

            data, headers = json.dumps({"model": "m", "input": "hi"}).encode(), {"content-type": "application/json"}
            with urllib.request.urlopen(urllib.request.Request(f"{url}/responses", data, headers)) as answer:
                return answer.status
        return pytest.importorskip(library).post(f"{url}/responses", json={"model": "m", "input": "hi"}).status_code

    def fall_back():
        try:
            return ask(nobody)
        except (OSError, httpx.HTTPError) as exc:
            return type(exc).__mro__[-4:], ask(server.base_url)

    seen = []
    for mode in ("record", "replay"):
        before = len(server.requests)
        with agentkit.cassette(path, mode, patch=True) as tape:
            seen.append(fall_back())
        assert len(server.requests) - before == (mode == "record")
    assert seen[0] == seen[1]
    assert seen[0][1] == 200
    assert not tape.unused


def test_patch_compares_what_aiohttp_sends_as_json_and_as_a_form(path, serve):
    aiohttp = pytest.importorskip("aiohttp")
    server = serve(lambda asked: f"You said {asked.last_text}.")

    async def ask(**sent):
        async with aiohttp.ClientSession() as session, session.post(f"{server.base_url}/responses", **sent) as answer:
            return answer.status

    body = {"model": "m", "input": "hi"}
    with agentkit.cassette(path, "record", patch=True):
        assert asyncio.run(ask(json=body)) == 200
        assert asyncio.run(ask(data={"a": "1"})) == 400
    with agentkit.cassette(path, patch=True) as tape:
        assert asyncio.run(ask(json=body)) == 200
        assert asyncio.run(ask(data={"a": "1"})) == 400
    assert not tape.unused
    with pytest.raises(CassetteMismatch, match="ho"), agentkit.cassette(path, patch=True):
        asyncio.run(ask(json={**body, "input": "ho"}))


@pytest.mark.parametrize("library", ["httpx", "requests"])
def test_patch_plays_bodies_of_several_parts_and_forms(path, serve, library):
    """The boundary between parts is drawn by lot; and a form's password is none of the file's business."""
    client, server = pytest.importorskip(library), serve()
    for mode in ("record", "replay"):
        with agentkit.cassette(path, mode, patch=True) as tape:
            for sent in (
                {"files": {"f": ("a.txt", b"hello")}},
                {"data": {"user": "ann", "password": "hunter-3-hunter"}},
            ):
                assert client.post(f"{server.base_url}/upload", **sent).status_code == 404
    assert not tape.unused
    assert "password=<secret>" in path.read_text()
    with pytest.raises(CassetteMismatch), agentkit.cassette(path, patch=True):
        client.post(f"{server.base_url}/upload", files={"f": ("a.txt", b"other")})


def test_a_run_that_was_cancelled_in_a_tool_is_played_with_the_tool(path, serve):
    """Its output is no answer to go on from: the recorded run asked no more."""
    begun: list[asyncio.Event] = []

    @tool
    async def wait() -> str:
        """Wait."""
        begun[-1].set()
        await asyncio.Event().wait()
        return "never"

    agent = Agent(model="m", tools=[wait])

    async def main(client):
        begun.append(asyncio.Event())
        run = asyncio.create_task(agent.run("Wait.", client=client))
        await begun[-1].wait()
        run.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await run

    with agentkit.cassette(path, "record"):
        asyncio.run(main(client_of(serve([call("wait", {})]))))
    with agentkit.cassette(path, tools="live"):
        asyncio.run(main(None))
    with pytest.raises(CassetteError, match=r"the run ended while wait.* ran.*tools='live'"), agentkit.cassette(path):
        agent.run_sync("Wait.")


def test_a_secret_in_a_path_is_hidden_and_found_again(path, serve, monkeypatch):
    server = serve()
    monkeypatch.setenv("BOT_TOKEN", token := "12345678:" + "AAtokenOfTheBot")
    for mode in ("record", "replay"):
        with agentkit.cassette(path, mode, patch=True), httpx.Client(trust_env=False) as client:
            assert client.get(f"{server.base_url}/bot{token}/getMe").status_code == 404
    assert token not in path.read_text()
    with pytest.raises(CassetteMismatch) as caught, agentkit.cassette(path, patch=True), httpx.Client() as client:
        client.get(f"{server.base_url}/bot{token}/sendMessage")
    assert token not in str(caught.value)


def test_a_prompt_that_holds_the_clients_key_is_played(path, assistant, serve):
    key = "key-of-the-test-4711"
    client = Client(serve().base_url, key, trust_env=False)
    for mode in ("record", "replay"):
        with agentkit.cassette(path, mode):
            assistant.agent.run_sync(f"Is {key} a good key?", client=client)
    assert key not in path.read_text()


def test_a_stand_in_for_the_key_changes_no_prompt(path, assistant, serve):
    record(path, assistant, serve(), "Is there anything else?")
    with agentkit.cassette(path):
        assistant.agent.run_sync("Is there anything else?", client=Client("http://127.0.0.1:9/v1", "anything"))


def test_patch_plays_a_tools_own_requests_beside_the_models(path, assistant, serve):
    server = serve()

    @tool
    def weather(city: str) -> str:
        """Current weather in a city."""
        import urllib.request

        with urllib.request.urlopen(server.base_url.replace("/v1", "/v1/models")) as response:
            return response.read().decode()[:20] + city

    agent = assistant.agent.replace(tools=[weather])
    with agentkit.cassette(path, "record", patch=True):
        recorded = agent.run_sync(QUESTION, client=client_of(server))
    asked = len(server.requests)
    with agentkit.cassette(path, patch=True, tools="live") as tape:
        replayed = agent.run_sync(QUESTION)
    assert replayed.tool_calls[0].output == recorded.tool_calls[0].output
    assert len(server.requests) == asked
    assert tape.unused == []


def test_stock_vcrpy_sees_agentkits_traffic(tmp_path, assistant, serve):
    """`@pytest.mark.vcr` of other plugins records what agentkit asks, as it does of any httpx client."""
    import vcr

    server = serve()
    path = tmp_path / "stock.yaml"
    recorder = vcr.VCR(match_on=("method", "path", "body"))
    with recorder.use_cassette(path):
        assert assistant.agent.run_sync(QUESTION, client=client_of(server)).output
    asked = len(server.requests)
    with recorder.use_cassette(path, record_mode="none") as stock:
        assert assistant.agent.run_sync(QUESTION, client=client_of(server)).output
    assert stock.all_played
    assert len(server.requests) == asked
    with agentkit.cassette(path) as tape:
        assert assistant.agent.run_sync(QUESTION).output == "Answer 1: take a coat."
    assert tape.unused == []


def test_replay_makes_no_tls_context(path, assistant, serve, monkeypatch):
    record(path, assistant, serve())

    def no(*_args, **_options):
        raise AssertionError("a TLS context was made")

    monkeypatch.setattr(httpx, "create_ssl_context", no)
    with agentkit.cassette(path):
        assert assistant.agent.run_sync(QUESTION, client=Client("https://elsewhere.example/v1", "key")).output


def test_a_run_that_outlives_its_cassette_is_told(path, assistant, serve):
    with agentkit.cassette(path, "record"), assistant.agent.stream_sync(QUESTION, client=client_of(serve())) as run:
        list(run)
    with agentkit.cassette(path):
        run = assistant.agent.stream_sync(QUESTION)
        next(run)
    with pytest.raises(CassetteError, match="is closed"), run:
        list(run)


def test_the_file_is_a_conversation(path, assistant, serve):
    record(path, assistant, serve())
    shown = path.read_text(encoding="utf-8")
    assert shown.startswith("# agentkit cassette\n")
    second = shown[shown.index("- turn: 2") :]
    assert "continues: 1" in second
    assert "- {$output: 0}" in second
    assert """output: '{"city":"Oslo","temperature":7}'""" in second
    assert QUESTION not in second
