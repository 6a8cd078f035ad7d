"""The page `docs/recordings.md`: what the recordings hold, and what became of it when played back.

AGENTKIT_RECORDINGS=... python -m tests.recordings.table --write
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.recordings.conversations import REASONS, conversations, others, played
from tests.recordings.exchanges import ABSENT, Exchange, Item, all_exchanges, folder
from tests.recordings.playback import entries, play, playback_server
from tests.recordings.rebuilding import rebuild

PAGE = Path(__file__).parents[2] / "docs" / "recordings.md"


@dataclass
class Measured:
    """What was counted while all conversations were played."""

    passed: Counter[str] = field(default_factory=Counter)
    """Conversations that reached their recorded text with equal inputs, by server."""
    requests: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    differences: Counter[str] = field(default_factory=Counter)
    chats: Counter[str] = field(default_factory=Counter)
    """Conversations without functions whose inputs came out equal, by server."""
    chat_requests: Counter[str] = field(default_factory=Counter)
    reasoning_kept_back: int = 0
    """Reasoning items that a request could have held, and did not."""


def measure() -> Measured:
    """Play every conversation, and count."""
    measured = Measured()
    with playback_server() as server:
        for conversation, entry in entries():
            outcome = play(conversation, server, entry)
            equal = outcome.explained == [exchange.input for exchange in conversation.exchanges]
            measured.passed[conversation.server] += equal and outcome.text == conversation.final_text
            measured.requests[conversation.server] += len(outcome.inputs)
            measured.calls[conversation.server] += outcome.calls
            measured.differences += outcome.differences
            measured.reasoning_kept_back += sum(map(_kept_back, outcome.inputs, conversation.before))
    for conversation in others():
        if conversation.left_out is None:
            inputs, differences = rebuild(conversation)
            measured.chats[conversation.server] += inputs == [exchange.input for exchange in conversation.exchanges]
            measured.chat_requests[conversation.server] += len(inputs)
            measured.differences += differences
    return measured


def _kept_back(sent: list[Item], before: list[Exchange]) -> int:
    received = [item for exchange in before for item in exchange.output if item.get("type") == "reasoning"]
    return len(received) - sum(item in received for item in sent)


def render(measured: Measured) -> str:
    """Return the page."""
    lines = [
        HEAD,
        *_exchange_rows(),
        PLAYED,
        *_server_rows(measured),
        _notes(measured),
        CHATS,
        *_chat_rows(measured),
        OUT,
        *_left_out_rows(),
        DIFFERENCES,
    ]
    lines += [f"| {name} | {count} |" for name, count in sorted(measured.differences.items())]
    return "\n".join(lines) + "\n"


def _exchange_rows() -> list[str]:
    rows = {
        "plain answers": [e for e in all_exchanges() if e.events is None and not e.is_refusal],
        "streams": [e for e in all_exchanges() if e.events is not None],
        "HTTP errors": [e for e in all_exchanges() if e.is_refusal],
    }
    counts = [f"| {name} | {len(found)} | {sum(len(e.output) for e in found)} |" for name, found in rows.items()]
    return [*counts, f"| all | {len(all_exchanges())} | {sum(len(e.output) for e in all_exchanges())} |"]


def _server_rows(measured: Measured) -> list[str]:
    found = Counter(conversation.server for conversation in conversations())
    out = Counter(conversation.server for conversation in conversations() if conversation.left_out)
    rows = [[server, found, measured.passed, out, measured.requests, measured.calls] for server in sorted(found)]
    listed = [f"| {server} | {' | '.join(str(count[server]) for count in counts)} |" for server, *counts in rows]
    totals = [found, measured.passed, out, measured.requests, measured.calls]
    return [*listed, f"| all | {' | '.join(str(sum(count.values())) for count in totals)} |"]


def _chat_rows(measured: Measured) -> list[str]:
    found = Counter(conversation.server for conversation in others())
    out = Counter(conversation.server for conversation in others() if conversation.left_out)
    columns = [found, measured.chats, out, measured.chat_requests]
    rows = [f"| {server} | {' | '.join(str(count[server]) for count in columns)} |" for server in sorted(found)]
    return [*rows, f"| all | {' | '.join(str(sum(count.values())) for count in columns)} |"]


def _notes(measured: Measured) -> str:
    begun = sum(any("call_id" in item for item in conversation.added[0]) for conversation in played())
    alone = sum(len(conversation.exchanges) == 1 for conversation in played())
    return NOTES.format(begun=begun, alone=alone, kept_back=measured.reasoning_kept_back)


def _left_out_rows() -> list[str]:
    left = [conversation for conversation in (*conversations(), *others()) if conversation.left_out]
    ordered = sorted(left, key=lambda conversation: list(REASONS).index(str(conversation.left_out)))
    return [f"| {conversation.left_out} | `{conversation.name}` |" for conversation in ordered]


HEAD = """# The loop on recorded traffic

This page is written by `python -m tests.recordings.table --write`, and `tests/recordings/` fails where it differs.
The recordings are exchanges with Responses servers, published by other projects; they are not part of this
repository. The tests read them from the folder that `AGENTKIT_RECORDINGS` names, and are skipped where it is unset.

## Answers

Every answer parses, and every item goes back out equal to what came in. Every stream folds into its final response,
whole, in pieces of 61 bytes, and byte by byte (of each stream the first 20,000 bytes, the rest whole); with the final
response's items taken away they come out of the events. HTTP errors give typed errors with the server's message.

| exchanges | number | output items |
|---|---|---|"""
PLAYED = """
## Conversations with function calls

Each is played back over a loopback HTTP server by the real `Agent` and `Client`, streamed where it was streamed, with
functions that return the recorded outputs. Passed: it reached the recorded text, and every request's `input` equals
the recorded one, but for the differences listed below.

| server | conversations | passed | left out | requests compared | functions run |
|---|---|---|---|---|---|"""
NOTES = """
{begun} of those played begin with calls already made, which are given as recorded; {alone} of them hold one exchange,
so that nothing is called. {kept_back} times a reasoning item was not sent back: it had come without
`encrypted_content`, and under `store: false` OpenAI and Azure can't find it again. The recorded clients left the same
ones out."""
CHATS = """
## Conversations without functions

All others of more than one exchange, hosted tools included. From what was said and answered, agentkit builds each next
request; passed: all of them equal the recorded ones, but for the differences listed below.

| server | conversations | passed | left out | requests compared |
|---|---|---|---|---|"""
OUT = """
## Left out

A conversation is named by its file, and the places of its exchanges in it.

| reason | conversation |
|---|---|"""
DIFFERENCES = """
## Differences in `input`

agentkit sends items as they came, with `type` on every message. The clients of the recordings wrote some of them in
another way; a row counts the items of all compared requests to which that happened. `tests/recordings/differences.py`
holds the rules; a rule that is no longer needed fails the suite.

| what the recording client did | items |
|---|---|"""


def main() -> None:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/recordings.md instead of printing it")
    write = parser.parse_args().write
    if folder() is None:
        sys.exit(ABSENT)
    page = render(measure())
    if write:
        PAGE.write_text(page, encoding="utf-8")
    else:
        print(page, end="")


if __name__ == "__main__":
    main()
