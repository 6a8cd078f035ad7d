"""What stands between here and an answer: the environment, the keys, the server, and what that server can do.

Everything found out is a `Finding`. Nothing here prints, and no finding holds a secret: keys are told by name, and
the values in a URL's query as `***`.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import json
import platform
import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import agentkit
from agentkit.agent import Agent
from agentkit.cli.display import duration, show_arguments, tokens
from agentkit.client import Client
from agentkit.entries import ResponseEntry
from agentkit.errors import AgentkitError, AuthenticationError, BadRequest, TransportError, UsageError
from agentkit.events import AttemptDiscarded, ResponseFinished, TextDelta
from agentkit.limits import Limits
from agentkit.profile import OPENAI, SAMBANOVA, find_profile
from agentkit.retry import RetryPolicy
from agentkit.tools import Tool
from agentkit.wire import Timeouts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping

    import httpx

    from agentkit.json import JSONObject
    from agentkit.response import Response

Outcome: TypeAlias = Literal["ok", "no", "failed", "skipped"]
"""`no`: something that an agent can do without isn't there. `failed`: something that it needs."""

KEYS: Final = ("AGENTKIT_API_KEY", "SAMBANOVA_API_KEY", "OPENAI_API_KEY")
URLS: Final = ("AGENTKIT_BASE_URL", "SAMBANOVA_BASE_URL", "OPENAI_BASE_URL")
PROXIES: Final = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
NEEDED: Final = ("httpx", "pydantic", "tenacity", "jinja2")
EXTRAS: Final = {
    "cli": ("click", "prompt_toolkit", "rich"),
    "server": ("starlette", "uvicorn", "pyyaml"),
    "cassettes": ("vcrpy", "pyyaml"),
}
"""What users install by name, and what it brings; the package's own metadata is stale after `git pull`."""

RETRY: Final = RetryPolicy(attempts=2, cap_s=2.0, max_hint_s=5.0)
"""One retry: a doctor wants to see what happens, and a server that is busy for a moment isn't ill."""
TIMEOUTS: Final = Timeouts(first_byte=60.0, idle=30.0, event=60.0, total=120.0)
MODELS_S: Final = 10.0
"""How long the list of models is waited for."""
ANSWER_S: Final = 30.0
"""How long an answer of a probe is waited for."""
LISTED: Final = 6
"""Models named."""
LONGEST: Final = 60
"""Characters that are quoted of an answer."""

_NO_TEXT = re.compile(r"embed|whisper|tts|rerank|moderation|dall-e|image|audio|transcribe", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at, and what was seen."""

    section: Literal["environment", "server", "probes"]
    name: str
    outcome: Outcome
    seen: str
    asked: str = ""
    """The request that was made."""
    duration_s: float | None = None


class Missing(Exception):
    """A probe that got an answer, but not what it asked for."""


class NotTried(Exception):
    """A probe that had nothing to try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One thing that a server may do."""

    name: str
    asks: str
    """What its requests hold, in a few words."""
    run: Callable[[Client, str], Awaitable[str]]
    """Returns what was seen; raises `Missing`, `NotTried` and what clients raise."""
    is_needed: bool = False
    """Whether agents can't do without."""
    answers: int = 1
    """How many it waits for, one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Which server would be asked, and why that one."""

    url: str
    key: str | None
    key_name: str | None
    why: str


# --- before any request -----------------------------------------------------------------------------------


def environment_findings(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what is installed and set."""
    yield _environment("Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    versions = ", ".join(f"{name} {_version(name) or 'missing'}" for name in NEEDED)
    yield _environment("agentkit", "ok", f"{agentkit.__version__}, with {versions}")
    for extra, packages in EXTRAS.items():
        missing = [name for name in packages if _version(name) is None]
        if missing:
            seen = f"without {', '.join(missing)}; in the checkout: pip install -e '.[{extra}]'"
            yield _environment(f"extra {extra}", "no", seen)
        else:
            yield _environment(f"extra {extra}", "ok", ", ".join(f"{name} {_version(name)}" for name in packages))
    for name in KEYS:
        if not (value := environ.get(name)):
            yield _environment(name, "skipped", "not set")
        elif not value.isascii() or not value.isprintable() or value != value.strip():
            yield _environment(name, "no", "set, but with a line break, a space at an end, or a strange character")
        else:
            yield _environment(name, "ok", "set")
    for name in URLS:
        if value := environ.get(name):
            yield _environment(name, "ok", shown_url(value))
    if value := environ.get("AGENTKIT_MODEL"):
        yield _environment("AGENTKIT_MODEL", "ok", value)
    for name in PROXIES:
        if environ.get(name) or environ.get(name.lower()):
            yield _environment(name, "ok", "set: requests may take another way")


def find_server(url: str | None, environ: Mapping[str, str]) -> Server:
    """Return the server that is asked: the URL given, or as `Client.from_env` finds it. Raises UsageError."""
    if url is not None:
        name = _key_for(url)
        key = environ.get(name) or None
        return Server(url=url, key=key, key_name=name if key else None, why="given on the command line")
    if environ.get("AGENTKIT_BASE_URL"):
        key = environ.get("AGENTKIT_API_KEY") or None
        return Server(
            url=environ["AGENTKIT_BASE_URL"],
            key=key,
            key_name="AGENTKIT_API_KEY" if key else None,
            why="AGENTKIT_BASE_URL is set",
        )
    for provider, default in (("SAMBANOVA", "https://api.sambanova.ai/v1"), ("OPENAI", "https://api.openai.com/v1")):
        key_name, url_name = f"{provider}_API_KEY", f"{provider}_BASE_URL"
        if environ.get(key_name):
            given = environ.get(url_name)
            why = f"{url_name} and {key_name} are set" if given else f"{key_name} is set"
            return Server(url=given or default, key=environ[key_name], key_name=key_name, why=why)
    raise UsageError(
        "no server to ask: give its URL (agentkit doctor http://localhost:8000/v1), or set AGENTKIT_BASE_URL "
        "(and AGENTKIT_API_KEY), SAMBANOVA_API_KEY, or OPENAI_API_KEY."
    )


def _key_for(url: str) -> str:
    """Return whose key goes to an address typed by hand: a provider's own only to itself, and encrypted."""
    known = {SAMBANOVA.name: "SAMBANOVA_API_KEY", OPENAI.name: "OPENAI_API_KEY"}
    with contextlib.suppress(ValueError):
        if urlsplit(url).scheme == "https":
            return known.get(find_profile(None, url).name, "AGENTKIT_API_KEY")
    return "AGENTKIT_API_KEY"


def shown_url(url: str) -> str:
    """Return a URL without the secrets that it may hold: user, password, and the values of its query."""
    url = re.sub(r"//[^/?#]*@", "//***@", url.partition("#")[0])
    address, mark, query = url.partition("?")
    return address + mark + re.sub(r"=[^&]*", "=***", query if "=" in query or not query else "***")


def hiding(text: str, secrets: Iterable[str]) -> str:
    """Return text without these secrets: a server may quote what it was sent. Very short ones would match words."""
    for secret in sorted((each for each in secrets if len(each) >= 6), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


# --- the server -------------------------------------------------------------------------------------------


async def examine(
    url: str | None,
    environ: Mapping[str, str],
    *,
    model: str | None = None,
    probing: bool = True,
    transport: httpx.AsyncBaseTransport | None = None,
    retry: RetryPolicy = RETRY,
    clock: Callable[[], float] = time.monotonic,
    models_s: float = MODELS_S,
    answer_s: float = ANSWER_S,
    on_ask: Callable[[str], object] = lambda _: None,
) -> AsyncGenerator[Finding]:
    """Yield what is found, one thing after another.

    Without `probing`, only the list of models is asked for, which costs no tokens. `on_ask` is told each request
    before its answer is waited for. `transport`, `retry`, `clock` and how long is waited are for tests.
    """
    secrets = [value for name in KEYS if (value := environ.get(name))]
    for finding in environment_findings(environ):
        yield _hidden(finding, secrets)
    try:
        server = find_server(url, environ)
        client = Client(server.url, server.key, retry=retry, timeouts=TIMEOUTS, transport=transport)
    except UsageError as exc:
        yield _hidden(Finding(section="server", name="base URL", outcome="failed", seen=str(exc)), secrets)
        return
    secrets += [value for _, value in parse_qsl(urlsplit(server.url).query)]
    async with client:
        asking = _Asking(client, clock, models_s, answer_s, lambda asked: on_ask(hiding(asked, secrets)))
        async for finding in _examine_server(server, asking, environ, model, probing=probing):
            yield _hidden(finding, secrets)


async def _examine_server(
    server: Server,
    asking: _Asking,
    environ: Mapping[str, str],
    model: str | None,
    *,
    probing: bool,
) -> AsyncGenerator[Finding]:
    client = asking.client
    key = f"with the key in {server.key_name}" if server.key_name else "without a key"
    seen = f"{shown_url(server.url)}: {server.why}; {key}; profile {client.profile.name!r}"
    yield Finding(section="server", name="base URL", outcome="ok", seen=seen)
    listed, models = await _list_models(asking)
    yield listed
    if listed.outcome == "failed":
        why = "the server can't be asked"
        for probe in PROBES if probing else ():
            yield Finding(section="probes", name=probe.name, outcome="skipped", seen=why)
        return
    choice = _choose_model(model, environ, models)
    yield choice
    if not probing:
        return
    chosen = model or environ.get("AGENTKIT_MODEL") or _first_model(models)
    if chosen is None:
        return
    is_silent = False
    for probe in PROBES:
        if is_silent:
            seen = "not asked: the server doesn't answer"
            yield Finding(section="probes", name=probe.name, outcome="skipped", seen=seen)
            continue
        try:
            yield await _try(probe, asking, chosen)
        except _Silence as exc:
            yield exc.finding
            is_silent = probe is PROBES[0]


@dataclass(frozen=True, slots=True)
class _Asking:
    """How a server is asked."""

    client: Client
    clock: Callable[[], float]
    models_s: float
    answer_s: float
    tell: Callable[[str], object]


class _Silence(Exception):
    """A probe that was waited for in vain."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.seen)
        self.finding = finding


async def _list_models(asking: _Asking) -> tuple[Finding, list[str]]:
    client, clock = asking.client, asking.clock
    found = Finding(section="server", name="models", outcome="ok", seen="", asked=f"GET {_path(client)}/models")
    started = clock()
    names: list[str] = []
    asking.tell(found.asked)
    try:
        # around all of it: a server that accepts and says nothing isn't asked again
        async with asyncio.timeout(asking.models_s):
            listed = await client.models()
    except TimeoutError:
        found = replace(found, outcome="failed", seen=_no_answer(asking.models_s))
    except (TransportError, AuthenticationError) as exc:
        found = replace(found, outcome="failed", seen=_told(exc))
    except AgentkitError as exc:
        found = replace(found, outcome="no", seen=f"the server is there, but lists no models: {_told(exc)}")
    else:
        names = [name for each in listed if isinstance(name := each.get("id", each.get("name")), str)]
        more = ", ..." if len(names) > LISTED else ""
        found = replace(found, seen=f"{len(names)}: {', '.join(names[:LISTED])}{more}" if names else "an empty list")
    return replace(found, duration_s=clock() - started), names


def _choose_model(model: str | None, environ: Mapping[str, str], models: list[str]) -> Finding:
    chosen, why = model, "--model"
    if chosen is None:
        chosen, why = environ.get("AGENTKIT_MODEL") or None, "AGENTKIT_MODEL"
    if chosen is None:
        chosen, why = _first_model(models), "the first listed that may write text; choose with --model"
    if chosen is None:
        return Finding(section="server", name="model", outcome="failed", seen="none to ask; give --model NAME")
    unlisted = bool(models) and chosen not in models
    seen = f"{chosen} ({why})" + ("; it isn't among those listed" if unlisted else "")
    return Finding(section="server", name="model", outcome="no" if unlisted else "ok", seen=seen)


def _first_model(models: list[str]) -> str | None:
    return next((name for name in models if not _NO_TEXT.search(name)), models[0] if models else None)


# --- probes -----------------------------------------------------------------------------------------------


async def _try(probe: Probe, asking: _Asking, model: str) -> Finding:
    """Return what a probe has seen. Raises `_Silence` where nothing came in time."""
    client, clock = asking.client, asking.clock
    asked = f"POST {_path(client)}/responses: {probe.asks}"
    started, failed_before = clock(), client.stats.failures
    outcome: Outcome = "failed" if probe.is_needed else "no"
    is_silent = False
    asking.tell(asked)
    try:
        async with asyncio.timeout(asking.answer_s * probe.answers):
            seen = await probe.run(client, model)
        outcome = "ok"
    except TimeoutError:
        is_silent, seen = True, _no_answer(asking.answer_s * probe.answers)
    except Missing as exc:
        seen = str(exc)
    except NotTried as exc:
        outcome, seen = "skipped", str(exc)
    except AgentkitError as exc:
        seen = _told(exc)
    if outcome == "ok" and (failures := client.stats.failures - failed_before):
        seen += f"; {failures} failed {'attempt' if failures == 1 else 'attempts'} before"
    found = Finding(
        section="probes", name=probe.name, outcome=outcome, seen=seen, asked=asked, duration_s=clock() - started
    )
    if is_silent:
        raise _Silence(found)
    return found


async def _plain(client: Client, model: str) -> str:
    response = await client.respond({"model": model, "input": "Reply with the single word: ok"})
    return f"{_text(response)}, {_used(response)}"


async def _stream(client: Client, model: str) -> str:
    started, first_s = time.monotonic(), None
    pieces: list[str] = []
    response: Response | None = None
    async with contextlib.aclosing(
        client.stream({"model": model, "input": "Count from one to ten, in words, with spaces between them."})
    ) as events:
        async for event in events:
            match event:
                case TextDelta(text):
                    first_s = time.monotonic() - started if first_s is None else first_s
                    pieces.append(text)
                case AttemptDiscarded():
                    pieces.clear()
                case ResponseFinished():
                    response = event.response
    if response is None:
        raise Missing("the stream ended without a response")
    text = _text(response)
    if "".join(pieces) != response.output_text:
        raise Missing(f"the pieces read {_quoted(''.join(pieces))}, the final response {text}")
    if first_s is None or len(pieces) == 1:
        return f"{text} in one piece: the server may not stream"
    return f"{len(pieces)} pieces, the first after {duration(first_s)}: {text}"


async def _tool(client: Client, model: str) -> str:
    agent = Agent(model=model, tools=[LOOK_UP], limits=Limits(turns=4))
    result = await agent.run("Which code does the item 'door' have? Look it up with the tool.", client=client)
    if not result.tool_calls:
        raise Missing(f"no call, but the answer {_quoted(result.text)}")
    call = result.tool_calls[0]
    shown = f"{call.name}({show_arguments(call.arguments)})"
    if call.outcome != "ok":
        raise Missing(f"the call {shown} was wrong: {_quoted(call.output)}")
    if CODE not in result.text:
        raise Missing(f"{shown} gave {CODE!r}, but the answer is {_quoted(result.text)}")
    return f"{shown}, then {_quoted(result.text)}"


async def _forced(client: Client, model: str) -> str:
    response = await client.respond(
        {"model": model, "input": "Say hello.", "tools": [LOOK_UP.definition], "tool_choice": "required"}
    )
    if not response.calls:
        raise Missing(f"no call, but {_text(response)}: tool_choice has no effect")
    call = response.calls[0]
    return f"{call.name}({show_arguments(call.arguments)})"


async def _structured(client: Client, model: str) -> str:
    schema: JSONObject = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "people": {"type": "integer"}},
        "required": ["name", "people"],
        "additionalProperties": False,
    }
    form: JSONObject = {"type": "json_schema", "name": "city", "schema": schema, "strict": True}
    response = await client.respond(
        {"model": model, "input": "Oslo has 709037 people. Name the city and its people.", "text": {"format": form}}
    )
    shown = _text(response)
    try:
        value = json.loads(response.output_text)
    except ValueError:
        raise Missing(f"no JSON, but {shown}: use output_mode='tool'") from None
    fits = isinstance(value, dict) and value.keys() == {"name", "people"} and isinstance(value["people"], int)
    if not fits or not isinstance(value["name"], str):
        raise Missing(f"JSON that doesn't fit the schema: {shown}; use output_mode='tool'")
    return shown


async def _reasoning(client: Client, model: str) -> str:
    agent = Agent(model=model)
    first = await agent.run("How much is 17 times 23? Think before you answer.", client=client)
    items = [item for item in first.new_items if item.get("type") == "reasoning"]
    if not items:
        raise NotTried("the model sent no reasoning, so there is nothing to send back")
    form = "encrypted" if any(item.get("encrypted_content") for item in items) else "as text"
    if form == "as text" and client.profile.encrypted_reasoning:
        raise NotTried("reasoning came without encrypted_content, which this server can't take back")
    try:
        second = await agent.run("Add one to it.", transcript=first.transcript, client=client)
    except BadRequest as exc:
        raise Missing(f"refused: {_told(exc)} Use Client(..., reasoning='drop').") from exc
    return f"{len(items)} {'item' if len(items) == 1 else 'items'} {form}, taken back; then {_quoted(second.text)}"


async def _parallel(client: Client, model: str) -> str:
    agent = Agent(model=model, tools=[LOOK_UP], limits=Limits(turns=4))
    prompt = "Which codes do the items 'door' and 'window' have? Look up both at once, with two calls together."
    result = await agent.run(prompt, client=client)
    entries = (entry for entry in result.transcript.entries if isinstance(entry, ResponseEntry))
    most = max(len(entry.call_ids) for entry in entries)
    if most < 2:
        raise Missing(f"{'one call at a time' if most else 'no call'}, then {_quoted(result.text)}")
    return f"{most} calls in one response, then {_quoted(result.text)}"


CODE: Final = "heron-42"
"""What no model can guess."""


def _look_up(item: str) -> str:
    return f"The code of {item} is {CODE}."


LOOK_UP: Final = Tool.from_schema(
    "look_up_code",
    "Look up the code of an item.",
    {
        "type": "object",
        "properties": {"item": {"type": "string", "description": "The item's name."}},
        "required": ["item"],
        "additionalProperties": False,
    },
    _look_up,
    effect="pure",
)

PROBES: Final = (
    Probe(name="plain answer", asks="one message", run=_plain, is_needed=True),
    Probe(name="streamed answer", asks="stream: true", run=_stream, is_needed=True),
    Probe(name="tool round trip", asks="a tool, then its output", run=_tool, is_needed=True, answers=2),
    Probe(name="forced call", asks='tool_choice: "required"', run=_forced),
    Probe(name="structured output", asks="text.format: json_schema", run=_structured),
    Probe(name="reasoning replay", asks="the reasoning of the answer before", run=_reasoning, answers=2),
    Probe(name="parallel calls", asks="two things to look up", run=_parallel, answers=2),
)


# --- words ------------------------------------------------------------------------------------------------


def _environment(name: str, outcome: Outcome, seen: str) -> Finding:
    return Finding(section="environment", name=name, outcome=outcome, seen=seen)


def _hidden(finding: Finding, secrets: list[str]) -> Finding:
    return replace(finding, seen=hiding(finding.seen, secrets), asked=hiding(finding.asked, secrets))


def _no_answer(seconds: float) -> str:
    return f"no answer within {duration(seconds)}"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _path(client: Client) -> str:
    return urlsplit(client.base_url).path.rstrip("/").removesuffix("/responses")


def _text(response: Response) -> str:
    """Return what a response says, quoted. Raises `Missing` where that isn't an answer."""
    if response.status != "completed":
        why = response.incomplete_reason or (response.error or {}).get("message")
        raise Missing(f"status {response.status!r}{f': {why}' if why else ''}")
    if response.refusal is not None:
        raise Missing(f"a refusal: {_quoted(response.refusal)}")
    if not response.output_text.strip():
        kinds = ", ".join(str(item.get("type")) for item in response.output)
        raise Missing(f"no text, but {kinds or 'no items'}")
    return _quoted(response.output_text)


def _used(response: Response) -> str:
    return tokens(response.usage) if response.usage else "no usage reported"


def _quoted(text: str) -> str:
    text = " ".join(text.split())
    return f'"{text if len(text) <= LONGEST else text[:LONGEST] + "..."}"'


def _told(exc: BaseException) -> str:
    text = " ".join(str(exc).split()) or "no message"
    return f"{type(exc).__name__}: {text}"
