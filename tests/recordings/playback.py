"""Recorded answers over a loopback HTTP server, and the real agent and client against it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from agentkit import Agent, Client, LimitReached, Limits, Result, Settings, Tool, ToolContext, Transcript
from tests.recordings.conversations import Conversation, played
from tests.recordings.differences import explain
from tests.recordings.exchanges import Exchange, Item

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PIECE = 1021
"""Bytes of a stream that are sent at once: an odd number, so that events, lines and characters are cut."""

PROFILES = {
    "OpenAI": "openai",
    "Codex backend": "openai",
    "Azure": "azure",
    "OpenRouter": "openrouter",
    "xAI": "xai",
}
BY_THE_RUN = {"model", "input", "instructions", "tools", "stream", "store", "previous_response_id", "tool_choice"}


@dataclass
class Play:
    """One conversation on the server: answers to give, in order, and the requests that came for them."""

    answers: list[Exchange]
    requests: list[Item] = field(default_factory=list)


class PlaybackServer(ThreadingHTTPServer):
    """Answers `/<n>/responses` with the exchanges of play n."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.plays: list[Play] = []

    def add(self, answers: list[Exchange]) -> tuple[str, Play]:
        """Put answers on; return the base URL to ask, and where the requests will be found."""
        self.plays.append(play := Play(answers))
        return f"http://127.0.0.1:{self.server_port}/{len(self.plays) - 1}", play


class _Handler(BaseHTTPRequestHandler):
    server: PlaybackServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        play = self.server.plays[int(self.path.split("/")[1])]
        play.requests.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        number = len(play.requests) - 1
        if number < len(play.answers):
            answer = play.answers[number]
            self._send(answer.status or 200, answer.content_type, answer.body, chunked=answer.events is not None)
        else:
            said = {"error": {"message": f"request {number + 1}, but {len(play.answers)} are recorded"}}
            self._send(400, "application/json", json.dumps(said).encode(), chunked=False)

    def _send(self, status: int, content_type: str, body: bytes, *, chunked: bool) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        if not chunked:
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for start in range(0, len(body), PIECE):
            piece = body[start : start + PIECE]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def playback_server() -> Iterator[PlaybackServer]:
    """Run a server on a thread."""
    with PlaybackServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Outcome:
    """What became of a conversation."""

    text: str
    inputs: list[list[Item]]
    """What agentkit sent, request by request."""
    explained: list[list[Item]]
    """The same, as the recording client would have written it."""
    differences: Counter[str]
    """How many items differed, by the rule that explains it."""
    calls: int
    """Functions that were run."""


def play(conversation: Conversation, server: PlaybackServer, entry: str) -> Outcome:
    """Run a conversation to its end through one of the entry points."""
    url, seen = server.add(conversation.exchanges)
    result: Result[str] | None = None
    transcript: Transcript | None = None
    tools = _Tools(conversation)
    with Client(url, "sk-none", profile=PROFILES[conversation.server]) as client:
        for items, exchanges in _segments(conversation):
            agent = _agent(exchanges[0], tools.all, len(exchanges))
            try:
                result = ENTRIES[entry](agent, items, transcript, client)
            except LimitReached as stop:
                # the client of the recording spoke before the model had answered
                result, transcript = None, stop.transcript
            else:
                transcript = result.transcript
    assert result is not None, "the conversation has no answer"
    inputs = [request["input"] for request in seen.requests]
    outcome = Outcome(result.text, inputs, [], Counter(), tools.run)
    for number, (sent, exchange) in enumerate(zip(inputs, conversation.exchanges, strict=False)):
        explained, counts = explain(sent, exchange.input, conversation.exchanges[:number])
        outcome.explained.append(explained)
        outcome.differences += counts
    return outcome


def entries() -> list[tuple[Conversation, str]]:
    """Return the conversations with the entry point of each: those that fit its wire take turns."""
    streamed = itertools.cycle(("stream", "stream_sync", "run_streamed"))
    plain = itertools.cycle(("run", "run_sync"))
    return [(conversation, next(streamed if conversation.streamed else plain)) for conversation in played()]


def _segments(conversation: Conversation) -> list[tuple[str | list[Item], list[Exchange]]]:
    """Cut a conversation where the caller speaks: what is said, and the exchanges up to the next time."""
    segments: list[tuple[str | list[Item], list[Exchange]]] = []
    for added, exchange in zip(conversation.added, conversation.exchanges, strict=True):
        spoken = added if not segments else [item for item in added if item.get("type") != "function_call_output"]
        if spoken:
            bare = exchange.request["input"] if not segments else None
            segments.append((bare if isinstance(bare, str) else spoken, []))
        segments[-1][1].append(exchange)
    return segments


def _agent(exchange: Exchange, tools: list[Tool[..., object]], turns: int) -> Agent[str]:
    request = exchange.request
    return Agent(
        model=request["model"],
        instructions=request.get("instructions"),
        tools=tools,
        settings=Settings(
            tool_choice=request.get("tool_choice"),
            extra={name: value for name, value in request.items() if name not in BY_THE_RUN and value is not None},
        ),
        limits=Limits(turns=turns),
    )


class _Tools:
    """The functions of a conversation; each call gets the output that was recorded for it."""

    def __init__(self, conversation: Conversation) -> None:
        self.run = 0
        self._waiting: dict[str, list[str]] = defaultdict(list)
        for before, after in zip(conversation.exchanges, conversation.exchanges[1:], strict=False):
            self._expect(before.output, after.input)
        listed = [tool for exchange in conversation.exchanges for tool in exchange.request.get("tools") or []]
        functions = {tool["name"]: tool for tool in listed if tool["type"] == "function"}
        self.all = [self._tool(definition) for definition in functions.values()]

    def _expect(self, output: list[Item], sent: list[Item]) -> None:
        for call in (item for item in output if item.get("type") == "function_call"):
            known = {call["call_id"], call.get("id")}
            outputs = [item for item in sent if item.get("type") == "function_call_output"]
            self._waiting[call["call_id"]].extend(item["output"] for item in outputs if item["call_id"] in known)

    def _tool(self, definition: Item) -> Tool[..., object]:
        def recorded(context: ToolContext[object], **arguments: object) -> str:
            self.run += 1
            return self._waiting[context.call_id].pop(0)

        return Tool.from_schema(
            definition["name"],
            definition.get("description"),
            definition.get("parameters"),
            recorded,
            strict=definition.get("strict"),
        )


def _run(agent: Agent[str], items: object, transcript: Transcript | None, client: Client) -> Result[str]:
    return asyncio.run(agent.run(items, transcript=transcript, client=client))


def _run_sync(agent: Agent[str], items: object, transcript: Transcript | None, client: Client) -> Result[str]:
    return agent.run_sync(items, transcript=transcript, client=client)


def _run_streamed(agent: Agent[str], items: object, transcript: Transcript | None, client: Client) -> Result[str]:
    return agent.run_sync(items, transcript=transcript, client=client, settings=Settings(stream=True))


def _stream(agent: Agent[str], items: object, transcript: Transcript | None, client: Client) -> Result[str]:
    async def drain() -> Result[str]:
        async with agent.stream(items, transcript=transcript, client=client) as run:
            async for _ in run:
                pass
        return run.result

    return asyncio.run(drain())


def _stream_sync(agent: Agent[str], items: object, transcript: Transcript | None, client: Client) -> Result[str]:
    with agent.stream_sync(items, transcript=transcript, client=client) as run:
        for _ in run:
            pass
    return run.result


ENTRIES: dict[str, Callable[[Agent[str], object, Transcript | None, Client], Result[str]]] = {
    "run": _run,
    "run_sync": _run_sync,
    "run_streamed": _run_streamed,
    "stream": _stream,
    "stream_sync": _stream_sync,
}
