"""The recorded exchanges: one JSON object a line in `exchanges.jsonl.gz`, below the folder that the environment names.

The README beside that file says where they come from and what each field means.
"""

from __future__ import annotations

import functools
import gc
import gzip
import itertools
import json
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

FOLDER_VARIABLE = "AGENTKIT_RECORDINGS"
ABSENT = f"{FOLDER_VARIABLE} is unset: it names the folder that holds exchanges.jsonl.gz"
TERMINAL = {"response.completed", "response.incomplete", "response.failed"}

Item = dict  # what JSON calls an object


@dataclass(frozen=True)
class Exchange:
    """One request and its answer."""

    source: str
    index: int
    url: str
    request: Item
    status: int | None
    headers: dict[str, str]
    response: object
    events: list[Item] | None
    raw: str
    tags: frozenset[str]

    @property
    def server(self) -> str:
        """Who answered: by host, or by folder where the recorder kept only the path."""
        host = urlsplit(self.url).hostname or ""
        for end, name in HOSTS.items():
            if host.endswith(end):
                return name
        return next((name for part, name in FOLDERS.items() if part in self.source), "not recorded")

    @property
    def body(self) -> bytes:
        """The answer's body: as recorded where that is text, written anew where the recorder had only parts of it."""
        if self.events is None:
            return self.raw.encode() if _is_json(self.raw) else json.dumps(self.response).encode()
        if "data:" in self.raw:
            return self.raw.encode()
        return b"".join(b"data: %s\n\n" % json.dumps(event["data"]).encode() for event in self.events)

    @property
    def content_type(self) -> str:
        """The answer's content type; what such an answer has where the recorder left it out."""
        kept = self.headers.get("content-type", "")
        usual = "application/json" if self.events is None else "text/event-stream"
        return kept if "/" in kept and "*" not in kept else usual

    @property
    def name(self) -> str:
        """The file and the place in it; it names the test."""
        return f"{self.source}#{self.index}"

    @property
    def is_refusal(self) -> bool:
        """Whether the answer is an error body: by its status, or by holding no items where that is unknown."""
        return self.events is None and self.output_of(self.response) is None

    @staticmethod
    def output_of(response: object) -> list[Item] | None:
        """Return the items of a response object."""
        output = response.get("output") if isinstance(response, dict) else None
        return output if isinstance(output, list) else None

    @functools.cached_property
    def final(self) -> Item | None:
        """The response object: the body, or the one that the stream's last event carries."""
        if self.events is None:
            return self.response if isinstance(self.response, dict) else None
        datas = (event["data"] for event in reversed(self.events) if isinstance(event["data"], dict))
        return next((data["response"] for data in datas if data.get("type") in TERMINAL), None)

    @functools.cached_property
    def done_items(self) -> list[Item]:
        """The items as a stream's `output_item.done` events have them."""
        datas = [event["data"] for event in self.events or () if isinstance(event["data"], dict)]
        return [data["item"] for data in datas if data.get("type") == "response.output_item.done"]

    @property
    def output(self) -> list[Item]:
        """The items of the answer, read without agentkit."""
        return self.output_of(self.final) or self.done_items

    @property
    def failure(self) -> Item | None:
        """What an `error` event, or a failed response, says."""
        datas = [event["data"] for event in self.events or () if isinstance(event["data"], dict)]
        spoken = next((data.get("error") or data for data in datas if data.get("type") == "error"), None)
        return spoken or (self.final or {}).get("error")

    @property
    def refusal(self) -> str:
        """What the model said in refusal parts."""
        messages = [item for item in self.output if item.get("type") == "message"]
        return "".join(part.get("refusal", "") for item in messages for part in item["content"])

    @property
    def input(self) -> list[Item]:
        """The items of the request; a bare string as the message that it stands for."""
        given = self.request.get("input")
        return given if isinstance(given, list) else [{"role": "user", "content": given}]


HOSTS = {
    "api.openai.com": "OpenAI",
    "openai.azure.com": "Azure",
    "openrouter.ai": "OpenRouter",
    "api.x.ai": "xAI",
    "chatgpt.com": "Codex backend",
}
FOLDERS = {
    "/cassettes/openai/": "OpenAI",
    "/cassettes/xai/": "xAI",
    "/cassettes/chatgpt/": "Codex backend",
    "/cassettes/copilot/": "Copilot",
    "/cassettes/mistralrs/": "mistral.rs",
    "/cassettes/openrouter/": "OpenRouter",
    "TestChatOpenAICodexStandard": "Codex backend",
    "partners/openai/tests/cassettes/": "OpenAI",
    "lmstudio": "LM Studio",
}


def folder() -> Path | None:
    """Return the folder of the recordings, or None where the environment names none."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else None


@functools.cache
def all_exchanges() -> tuple[Exchange, ...]:
    """Return all exchanges, in the order of the file; none where there is no folder."""
    place = folder()
    if place is None:
        return ()
    with gzip.open(place / "exchanges.jsonl.gz", "rt", encoding="utf-8") as lines:
        found = tuple(_exchange(json.loads(line)) for line in lines)
    gc.freeze()  # they live as long as the process, and each of the suite's gc.collect() would walk them all
    return found


def by_project(chosen: list[Exchange]) -> list[list[Exchange]]:
    """Group exchanges by the project that recorded them. One test for each exchange would be thousands."""
    return [list(group) for _, group in itertools.groupby(chosen, key=name_of_project)]


def name_of_project(found: Exchange | list[Exchange]) -> str:
    """Return the project of an exchange, or of a group of them."""
    return (found[0] if isinstance(found, list) else found).source.partition("/")[0]


def _exchange(line: Item) -> Exchange:
    return Exchange(
        source=line["source"],
        index=line["index"],
        url=line["url"] or "",
        request=line["request"] if isinstance(line["request"], dict) else {},
        status=line["status"],
        headers=line["headers"] or {},
        response=line.get("response"),
        events=line.get("events"),
        raw=line.get("raw") or "",
        tags=frozenset(line["tags"]),
    )


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
