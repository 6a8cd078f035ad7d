"""`agentkit doctor`: what it finds at servers that do all, that do little, and that do wrong."""

from __future__ import annotations

import asyncio
import json
import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from agentkit import Client, RetryPolicy
from agentkit.cli.doctor import EXTRAS, PROBES, Finding, examine, find_server, hiding, shown_url
from agentkit.testing import (
    ScriptedModel,
    call,
    cut_before_first_delta,
    failure,
    internal_error,
    reasoning,
    rewrite,
    structured,
    text,
)
from tests.byte_server import byte_server, http, plain, refused, serve
from tests.cli.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from agentkit.service.replies import Step
    from agentkit.testing import ReceivedRequest, Reply
    from tests.cli.conftest import Shell

URL = "http://scripted.test/v1"
NAMES = [probe.name for probe in PROBES]


def able(request: ReceivedRequest) -> Reply:
    """Answer as a model does that can do everything."""
    said = request.last_text
    if request.last_output is not None:
        return " ".join(request.outputs)
    if "both" in said:
        return [call("look_up_code", {"item": "door"}), call("look_up_code", {"item": "window"})]
    if "door" in said:
        return [reasoning("I look."), call("look_up_code", {"item": "door"})]
    if "hello" in said:
        return call("look_up_code", {"item": "hello"})
    if "Oslo" in said:
        return structured({"name": "Oslo", "people": 709037})
    if "17" in said:
        return [reasoning("17 * 23 = 391"), "391"]
    return "one two three four" if "Count" in said else "ok"


def found_at(
    transport: httpx.AsyncBaseTransport | None = None,
    url: str | None = URL,
    model: str | None = None,
    probing: bool = True,
    **env: str,
) -> dict[str, Finding]:
    async def collect() -> dict[str, Finding]:
        retry = RetryPolicy(attempts=2, base_s=0)
        findings = examine(url, env, model=model, probing=probing, transport=transport, retry=retry)
        return {finding.name: finding async for finding in findings}

    return asyncio.run(collect())


def no_deltas(steps: Iterator[Step]) -> Iterator[Step]:
    """Leave all text to the events that end it."""
    return (step for step in steps if "delta" not in str(step) and "_text.done" not in str(step))


def but(word: str, reply: Callable[[ReceivedRequest], Reply] | Reply) -> ScriptedModel:
    """Return a model that does everything but what the message with this word asks."""

    def script(request: ReceivedRequest) -> Reply:
        if word not in request.last_text:
            return able(request)
        return reply(request) if callable(reply) else reply

    return ScriptedModel(script)


def test_a_server_that_does_everything() -> None:
    found = found_at(ScriptedModel(able, models=["text-embedder", "m"]))
    assert {found[name].outcome for name in NAMES} == {"ok"}
    assert found["models"].seen == "2: text-embedder, m"
    assert found["models"].asked == "GET /v1/models"
    assert found["model"].seen == "m (the first listed that may write text; choose with --model)"
    assert found["plain answer"].asked == "POST /v1/responses: one message"
    assert re.fullmatch(r'"ok", \d+ tokens in, \d+ out', found["plain answer"].seen)
    assert re.fullmatch(r'\d pieces, the first after .*: "one two three four"', found["streamed answer"].seen)
    assert found["tool round trip"].seen == 'look_up_code(item="door"), then "The code of door is heron-42."'
    assert found["forced call"].seen == 'look_up_code(item="hello")'
    assert found["reasoning replay"].seen == '1 item as text, taken back; then "ok"'
    assert found["parallel calls"].seen.startswith("2 calls in one response, then ")


@pytest.mark.parametrize(
    ("name", "model", "outcome", "seen"),
    [
        ("plain answer", but("single word", [reasoning("Hm.")]), "failed", "no text, but reasoning"),
        ("plain answer", but("single word", internal_error()), "failed", "ServerError: "),
        ("streamed answer", but("Count", ["ok", rewrite(no_deltas)]), "ok", '"ok" in one piece'),
        ("streamed answer", but("Count", ["one two", rewrite(cut_before_first_delta)]), "failed", "TransportError: "),
        ("tool round trip", but("code does", "It is 42."), "failed", 'no call, but the answer "It is 42."'),
        ("forced call", but("hello", "Hello!"), "no", 'no call, but "Hello!": tool_choice has no effect'),
        ("forced call", but("hello", failure(400, message="no tool_choice")), "no", "BadRequest: "),
        ("structured output", but("Oslo", "Oslo!"), "no", "no JSON, but \"Oslo!\": use output_mode='tool'"),
        ("structured output", but("Oslo", text('{"name": 1}')), "no", "JSON that doesn't fit the schema"),
        ("reasoning replay", but("17", "391"), "skipped", "the model sent no reasoning"),
        ("reasoning replay", but("Add one", failure(400, message="no")), "no", "refused: BadRequest: "),
        ("parallel calls", but("both", "No idea."), "no", 'no call, then "No idea."'),
    ],
)  # fmt: skip
def test_what_a_server_does_not_do(name: str, model: ScriptedModel, outcome: str, seen: str) -> None:
    found = found_at(model, model="m")
    assert (found[name].outcome, found[name].seen[: len(seen)]) == (outcome, seen)
    assert {found[other].outcome for other in NAMES if other != name} <= {"ok"}


def test_a_retry_that_helped_is_told() -> None:
    replies = iter([internal_error()])
    found = found_at(but("single word", lambda request: next(replies, "ok")), model="m")
    assert found["plain answer"].outcome == "ok"
    assert found["plain answer"].seen.endswith("; 1 failed attempt before")


def test_a_list_of_models_is_not_needed() -> None:
    with byte_server(serve(refused(404), plain("ok"))) as server:
        found = found_at(url=server.url, model="m")
        assert found["models"].outcome == "no"
        assert "the server is there, but lists no models: NotFound: " in found["models"].seen
        assert found["plain answer"].outcome == "ok"
        without = found_at(url=server.url, probing=False)
    assert without["model"].outcome == "failed"
    assert without["model"].seen == "none to ask; give --model NAME"


def test_nothing_is_asked_of_a_server_that_cannot_be_asked() -> None:
    found = found_at(url="http://127.0.0.1:1/v1")
    assert found["models"].outcome == "failed"
    assert {found[name].outcome for name in NAMES} == {"skipped"}
    with byte_server(serve(refused(401))) as server:
        found = found_at(url=server.url, AGENTKIT_API_KEY="sk-wrong-key")
        assert found["models"].seen.startswith("AuthenticationError: ")
        assert len(server.requests) == 1


def test_without_probes_only_the_models_are_asked_for() -> None:
    model = ScriptedModel(able)
    found = found_at(model, probing=False)
    assert not found.keys() & {*NAMES}
    assert not model.requests
    assert found["models"].outcome == "ok"


def test_secrets_are_told_to_nobody() -> None:
    secret, token = "sk-very-secret", "query-secret"
    listed = http(200, json.dumps({"data": [{"id": f"{secret}-{token}"}]}).encode())
    with byte_server(serve(listed, refused(400, message=f"key {secret}, token {token}"))) as server:
        found = found_at(url=f"{server.url}?token={token}&b", AGENTKIT_API_KEY=secret, OPENAI_API_KEY="sk-open\n")
        assert server.requests[0].headers["authorization"] == f"Bearer {secret}"
    shown = repr(found)
    assert secret not in shown
    assert token not in shown
    assert "sk-open" not in shown
    assert found["AGENTKIT_API_KEY"].seen == "set"
    assert found["OPENAI_API_KEY"].outcome == "no"
    assert "?token=***&b" in found["base URL"].seen
    assert "key ***, token ***" in found["plain answer"].seen


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://h/v1", "http://h/v1"),
        ("http://h/v1?api-version=1&key=k", "http://h/v1?api-version=***&key=***"),
        ("http://h/v1?secret", "http://h/v1?***"),
        ("http://user:pw@h/v1#secret", "http://***@h/v1"),
    ],
)
def test_urls_are_shown_without_secrets(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_very_short_secrets_would_hide_everything() -> None:
    assert hiding("x is sk-12345", ["x", "sk-12345", ""]) == "x is ***"


@pytest.mark.parametrize(
    ("url", "key_name"),
    [
        ("https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
        ("https://api.openai.com/v1", "OPENAI_API_KEY"),
        ("http://api.openai.com/v1", "AGENTKIT_API_KEY"),
        ("https://api.openai.com.evil.test/v1", "AGENTKIT_API_KEY"),
        ("http://localhost:8000/v1", "AGENTKIT_API_KEY"),
        ("http://[/v1", "AGENTKIT_API_KEY"),
    ],
)
def test_a_key_goes_to_its_own_server(url: str, key_name: str) -> None:
    env = {"AGENTKIT_API_KEY": "a", "SAMBANOVA_API_KEY": "s", "OPENAI_API_KEY": "o"}
    assert find_server(url, env).key_name == key_name


@pytest.mark.parametrize(
    "env",
    [
        {"AGENTKIT_BASE_URL": "http://a/v1"},
        {"AGENTKIT_BASE_URL": "http://a/v1", "AGENTKIT_API_KEY": "a", "OPENAI_API_KEY": "o"},
        {"SAMBANOVA_API_KEY": "s", "OPENAI_API_KEY": "o"},
        {"SAMBANOVA_API_KEY": "s", "SAMBANOVA_BASE_URL": "http://s/v1"},
        {"OPENAI_API_KEY": "o", "SAMBANOVA_BASE_URL": "http://s/v1"},
        {"OPENAI_API_KEY": "o", "OPENAI_BASE_URL": "http://o/v1"},
    ],
)
def test_the_server_is_the_one_that_agents_take(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AGENTKIT", "SAMBANOVA", "OPENAI"):
        monkeypatch.delenv(f"{name}_API_KEY", raising=False)
        monkeypatch.delenv(f"{name}_BASE_URL", raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert find_server(None, env).url == Client.from_env().base_url


def test_every_extra_is_looked_for() -> None:
    """Whoever adds an extra for users names it in `EXTRAS`, too."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra, requirements in listed.items():
        names = {re.split(r"[^A-Za-z0-9_-]", requirement)[0] for requirement in requirements}
        assert extra in ("bench", "test") or names <= set(EXTRAS[extra])


# --- as a process -----------------------------------------------------------------------------------------


def test_without_a_server_it_fails_and_says_what_to_do(shell: Shell) -> None:
    done = shell.run("doctor")
    assert done.returncode == 1
    assert "no server to ask: give its URL" in " ".join(done.stdout.split())
    assert done.stdout.endswith("Failed, and needed: base URL.\n")


def test_it_reports_as_json(shell: Shell) -> None:
    with byte_server(serve(http(200, b'{"data": [{"id": "m"}]}'))) as server:
        done = shell.run("doctor", server.url, "--quick", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert (report["ok"], report["failed"]) == (True, [])
    assert [finding["name"] for finding in report["server"]] == ["base URL", "models", "model"]
    assert report["server"][1]["seen"] == "1: m"
    assert "probes" not in report


def test_it_fits_a_narrow_window(shell: Shell) -> None:
    with byte_server(serve(http(200, b'{"data": [{"id": "m\\u001b[2J"}]}'), plain("ok \x1b[2J"))) as server:
        terminal = shell.terminal("doctor", server.url, columns=40, NO_COLOR="1")
        assert terminal.end() == 1
    assert max(map(len, terminal.text.splitlines())) <= 40
    assert "\x1b" not in terminal.text
    assert "✓  plain answer\n" in terminal.text
    assert "Failed, and needed: tool round trip." in " ".join(terminal.text.split())


# --- servers that say nothing -----------------------------------------------------------------------------


class Silent(ScriptedModel):
    """Accepts what is asked at some paths, and never answers."""

    def __init__(self, *ends: str) -> None:
        super().__init__(able, models=["m"])
        self._ends = ends
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        if request.url.path.endswith(self._ends):
            await asyncio.sleep(60)
        return await super().handle_async_request(request)


def examined(model: Silent) -> tuple[dict[str, Finding], list[str]]:
    told: list[str] = []

    async def collect() -> dict[str, Finding]:
        findings = examine(URL, {}, transport=model, models_s=0.1, answer_s=0.1, on_ask=told.append)
        return {finding.name: finding async for finding in findings}

    return asyncio.run(collect()), told


def test_a_silent_server_is_asked_once() -> None:
    model = Silent("/models", "/responses")
    found, told = examined(model)
    assert (found["models"].outcome, found["models"].seen) == ("failed", "no answer within 100 ms")
    assert {found[name].outcome for name in NAMES} == {"skipped"}
    assert (model.asked, told) == (["/v1/models"], ["GET /v1/models"])


def test_after_a_plain_answer_that_never_came_nothing_is_asked() -> None:
    model = Silent("/responses")
    found, told = examined(model)
    assert (found["plain answer"].outcome, found["plain answer"].seen) == ("failed", "no answer within 100 ms")
    assert {found[name].seen for name in NAMES[1:]} == {"not asked: the server doesn't answer"}
    assert model.asked == ["/v1/models", "/v1/responses"]
    assert told == ["GET /v1/models", "POST /v1/responses: one message"]
