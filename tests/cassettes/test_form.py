"""Recordings through the file format and back, byte for byte; and every way a file can be wrong."""

# ruff: noqa: E501, PT017 - tables of literals; damage that nothing but a CassetteError may come of

from __future__ import annotations

import itertools
import json
import random
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from agentkit.cassettes.format import form, ids, serializer
from agentkit.cassettes.interaction import Body, Failure, Head, Interaction, Recording, ToolResult
from agentkit.errors import CassetteError
from tests.cassettes.sessions import recorded

URI = "https://api.test/v1/responses"
SCHEMA = json.loads((Path(form.__file__).parent / "cassette.schema.json").read_text())


def one(body: bytes, *chunks: bytes, **more: object) -> Recording:
    return Recording(Head(), (Interaction("POST", URI, Body(body), 200, (), chunks, **more),))  # type: ignore[arg-type]


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def assert_exact(recording: Recording) -> str:
    """The file gives the recording back, and the recording the file; the schema accepts it."""
    text = form.dump(recording)
    back = form.load(text, name="x.yaml")
    assert back == recording
    assert form.dump(back) == text
    jsonschema.validate(yaml.safe_load(text), SCHEMA)
    return text


CREATED = {
    "id": "resp_1",
    "object": "response",
    "status": "in_progress",
    "model": "m",
    "output": [],
    "tools": [],
    "a": 1,
}
ITEM = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "It is sunny"}],
}
EVENTS: list[dict[str, object]] = [
    {"type": "response.created", "sequence_number": 0, "response": CREATED},
    {"type": "response.output_text.delta", "sequence_number": 1, "item_id": "msg_1", "delta": "It "},
    {"type": "response.output_text.delta", "sequence_number": 2, "item_id": "msg_1", "delta": "is "},
    {"type": "response.output_text.delta", "sequence_number": 3, "item_id": "msg_1", "delta": "sunny"},
    {"type": "response.output_item.done", "sequence_number": 4, "item": ITEM},
    {
        "type": "response.completed",
        "sequence_number": 5,
        "response": {**CREATED, "status": "completed", "output": [ITEM]},
    },
]


def framed(events: list[dict[str, object]]) -> tuple[bytes, ...]:
    return tuple(b"event: %s\ndata: %s\n\n" % (str(each["type"]).encode(), compact(each)) for each in events)


FIRST = {"model": "m", "stream": True, "tools": [], "input": [{"role": "user", "content": "Weather?"}]}
SECOND = {**FIRST, "input": [*FIRST["input"], ITEM, {"role": "user", "content": "And\ntomorrow?"}]}  # type: ignore[misc]
CONVERSATION = Recording(
    Head(recorded="2026-11-27", server="http://s", now="2026-11-27T10:00:00+00:00", seed=7, extra={"note": "kept"}),
    (
        Interaction("POST", URI, Body(compact(FIRST)), 200, (("content-type", "text/event-stream"),), framed(EVENTS)),
        Interaction("POST", URI, Body(compact(SECOND)), None, (), (), Failure("ReadError", "cut"), parent=0),
    ),
)
FILE = """\
# agentkit cassette
version: 1
recorded: '2026-11-27'
server: http://s
now: '2026-11-27T10:00:00+00:00'
seed: 7
note: kept
interactions:

- turn: 1
  request:
    method: POST
    uri: https://api.test/v1/responses
    json: {model: m, stream: true, tools: [], input: [{role: user, content: 'Weather?'}]}
  response:
    status: 200
    headers: {content-type: text/event-stream}
    events:
    - type: response.created
      sequence_number: 0
      response: {id: resp_1, object: response, status: in_progress, model: m, output: [], tools: [], a: 1}
    - {type: response.output_text.delta, sequence_number: 1, item_id: msg_1, delta: ['It ', 'is ', sunny]}
    - type: response.output_item.done
      sequence_number: 4
      item: {id: msg_1, type: message, role: assistant, content: [{type: output_text, text: It is sunny}]}
    - type: response.completed
      sequence_number: 5
      response: {$like: above, status: completed, output: [{$done: 0}]}

- turn: 2
  request:
    continues: 1
    input_added:
    - {$output: 0}
    - role: user
      content: |-
        And
        tomorrow?
  error: {type: ReadError, message: cut}
"""


def test_a_cassette_reads_like_the_conversation() -> None:
    assert form.dump(CONVERSATION) == FILE
    assert form.load(FILE, name="x.yaml") == CONVERSATION
    jsonschema.validate(yaml.safe_load(FILE), SCHEMA)


VALUES: list[object] = [
    None, True, False, 0, -1, 12345678901234567890, 1.0, 1e-05, -2.5e+300, "", " ", "a", "a ", " a", "a: b", "a #b",
    "- a", "yes", "No", "null", "~", "1", "1.0", "0x10", "1e5", "12:30", "2026-11-27", "<<", "=", "[a]", "{a}", "'",
    '"', "it's", "\\", "a\nb", "a\n", "a\n\n", "\na", "  a\nb", "\ta\nb", "a \nb ", "a\r\nb", "\r", "\x00", "\x1b[0m",
    "\x7f", "\x85", "\xa0", "\u2028", "\u2029", "\ufeff", "\ufffe", "é", "日本", "😀", "&a", "*a", "!a", "!!str", "%a", "@a",
    "`a", "|", ">", "?", "? a", ":", "a:", "#", "---", "...", "--- a\nb", "a\n...\nb", "$output", "x" * 3000, "a b " * 300,
    [], {}, [[]], [[[1], 2]], [{}], {"a": {}}, {"": 1}, {"a: b": 1}, {"1": 1}, {"null": None}, {"a\nb": 1},
    {"k" * 1500: 1}, {"$output": 0}, {"$like": "above"}, [{"a": [{"b": ["c", {"d": "e\nf"}]}]}], {"delta": ["a", "b"]},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:30])
def test_values_keep_their_bytes(value: object) -> None:
    for body in (compact(value), compact({"input": [value, {"a": value}], "z": value})):
        assert_exact(one(body, body))
    first = compact({"a": value, "input": [value]})
    later = first[:-2] + b"," + compact([value, {"$output": 0}, {"$item": value}])[1:-1] + b"]}"
    chain = (Interaction("POST", URI, Body(first), 200), Interaction("POST", URI, Body(later), 200, parent=0))
    assert_exact(Recording(Head(), chain))
    event = {"type": "a.delta", "delta": value, "response": value}
    assert_exact(one(b"", *framed([event, event, {**event, "$data": value}])))


STYLES = [
    ("compact", {"separators": (",", ":")}),
    ("spaced", {}),
    ("indent 2", {"indent": 2}),
    ("indent 4", {"indent": 4}),
    ("tab", {"indent": "\t"}),
]


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize(("name", "options"), STYLES, ids=[name for name, _ in STYLES])
def test_styles_of_json_are_recognised(name: str, options: dict[str, object], ascii_only: bool) -> None:
    value = {"é": ["ü", 1, {}], "b": [], "c": {"d": "<&>"}}
    data = json.dumps(value, ensure_ascii=ascii_only, **options).encode()  # type: ignore[arg-type]
    for body in (data, data + b"\n"):
        text = assert_exact(one(body, body))
        assert "text:" not in text
        assert "base64:" not in text
    go = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    go = go.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    assert "style: html" in assert_exact(one(b"", go.encode()))


ODD_BODIES = [
    b"", b" ", b"{", b"null", b'{"a":1,"a":2}', b'{"a":1.10}', b'{"a":1E5}', b'{"a":"\\/"}', b'{"a":"\\ud800"}', b"\xff\xfe",
    b'{"a": 1,"b":2}', b"[1, 2]", b"\xef\xbb\xbf{}", b"<html>\r\n</html>", b"NaN", b"-0", b"-0.0", b"[" * 150 + b"]" * 150,
    b"[" * 300 + b"]" * 300, b"data", b"data:", b"data: ", b"data: {}", b"data: {}\n\n", b"data:{}\n\n", b": hi\n\n",
    b"event: a\ndata: {}\n\n", b'data: {"type":"a"}\n\n', b"id: 1\ndata: {}\n\n", b"data: [DONE]\n\n", b"\n\n", b"\n\ndata: {}\n\n",
    b"data: {}\n\n\n\n\ndata: {}\n\n", b"data: 1\ndata: 2\n\n", b'event: b\ndata: {"type":"a"}\n\n', b"data: {}\r\n\r\n",
    b'event: a\r\ndata: {"type":"a"}\r\n\r\ndata: [DONE]\r\n\r\n', b"data: {}\r\n\r\ndata: {}\n\n", b"data: {}\r\r",
    b'event: a\ndata: {"type":"a","response":{"$like":"above"}}\n\n', b'event: a\ndata: {"type":"a","delta":["x"]}\n\n',
    b'data: {"type":"response.output_item.done","item":{"a":1}}\n\ndata: {"response":{"output":[{"$done":0},{"a":1}]}}\n\n',
    b'data: {"$rest":"x"}\n\n', b"data: \xff\n\n", b'event: \xc3\xa9\ndata: {"type":"\xc3\xa9"}\n\n', b"data: {}\n\ndata: {",
    b'retry: 5\nid: 1\nevent: a\ndata: {"type":"a"}\n\n',
]  # fmt: skip


@pytest.mark.parametrize("body", ODD_BODIES, ids=lambda body: repr(body)[:40])
def test_odd_bodies_keep_their_bytes(body: bytes) -> None:
    assert_exact(one(body, *([body] if body else [])))
    if len(body) > 1:
        assert_exact(one(b"", *(body[at : at + 1] for at in range(len(body)))))
    doubled = body + b'event: a\ndata: {"type":"a"}\n\n' + body
    assert_exact(one(body, doubled[:3], doubled[3:]))


CHUNKS = [
    ([1, 1, 1, 1, 1, 1], None),
    ([6], "chunks: [6]"),
    ([2, 4], "chunks: [2, 4]"),
    ([2, 2, 2], "chunks: [2*3]"),
]


@pytest.mark.parametrize(("sizes", "line"), CHUNKS)
def test_chunks_are_counted_in_events(sizes: list[int], line: str | None) -> None:
    events, chunks = list(framed(EVENTS)), []
    for size in sizes:
        chunks.append(b"".join(events[:size]))
        del events[:size]
    text = assert_exact(one(b"", *chunks))
    assert re.findall(r"chunks: .*", text) == ([line] if line else [])


def test_chunks_that_end_within_events_are_kept_everywhere() -> None:
    data = b"".join(framed(EVENTS)[1:3])
    for at in range(1, len(data), 5):
        assert_exact(one(b"", data[:at], data[at:], at_ms=(1, 2)))
    text = assert_exact(one(b"", data[:40], data[40:]))
    assert "chunks: [0+40, 2]" in text
    assert "chunks: [1*26]" in assert_exact(one(b"", *(bytes([byte]) for byte in b'{"a":"bcdefghijklmnopqrs"}')))


def test_padding_of_deltas_stays() -> None:
    padded = [{**event, "obfuscation": "x" * at, "logprobs": []} for at, event in enumerate(EVENTS[1:4])]
    text = assert_exact(one(b"", *framed(padded)))  # type: ignore[arg-type]
    assert "obfuscation: ['', x, xx]" in text
    assert text.count("delta:") == 1


def test_a_run_ends_where_an_event_differs() -> None:
    apart = [EVENTS[1], {**EVENTS[2], "item_id": "msg_2"}, {**EVENTS[3], "sequence_number": 9}]
    assert assert_exact(one(b"", *framed(apart))).count("delta:") == 3


def test_requests_that_change_are_stored_as_what_changed() -> None:
    base = {
        "model": "m",
        "temperature": 1,
        "tool_choice": "required",
        "input": [{"role": "user", "content": "a"}, {"b": 1}],
    }
    grown = [
        {**base, "tool_choice": "auto", "input": [*base["input"], {"c": 1}]},  # type: ignore[misc]
        {k: v for k, v in base.items() if k != "temperature"},
        {"model": "m", "temperature": 1, "tool_choice": "required", "top_p": 0.5, "input": base["input"]},
        {**base, "input": [base["input"][0], {"b": 2}]},  # type: ignore[index]
        {**base, "input": [{"other": 1}]},
        {**base, "input": "text"},
        {"input": base["input"], "model": "m"},
        base,
    ]
    marks = [
        "changed: {tool_choice: auto}",
        "removed: [temperature]",
        "changed: {top_p: 0.5}",
        "input_kept: 1",
        "json:",
        "json:",
    ]
    for body, mark in zip(grown, marks, strict=False):
        interactions = (
            Interaction("POST", URI, Body(compact(base)), 200),
            Interaction("POST", URI, Body(compact(body)), 200, parent=0),
        )
        text = assert_exact(Recording(Head(), interactions))
        assert mark in text.split("- turn: 2")[1]
    for body in grown:
        spaced = json.dumps(body, indent=2).encode()
        before = Interaction("POST", URI, Body(json.dumps(base, indent=2).encode()), 200)
        assert_exact(Recording(Head(), (before, Interaction("PUT", "u", Body(spaced), 200, parent=0))))


def test_items_after_a_field_that_follows_input_share_their_bytes() -> None:
    """Where `input` isn't the last field, as the OpenAI SDK writes it, a turn still costs what it adds."""
    turns = [compact({"input": [{"n": n} for n in range(count)], "model": "m"}) for count in range(1, 40)]
    interactions = [
        Interaction("POST", URI, Body(turn), 200, parent=at - 1 if at else None) for at, turn in enumerate(turns)
    ]
    text = assert_exact(Recording(Head(), tuple(interactions)))
    back = form.load(text, name="x")
    assert max(len(each.body.tail) for each in back.interactions[1:]) < 30


def test_everything_else_of_an_interaction_is_kept() -> None:
    results = (ToolResult("call_1", "21\nC"), ToolResult("call_2", "", "timeout", "full"))
    headers = (("a", "1"), ("b", "yes"), ("a", "2"))
    whole = Interaction(
        "GET",
        "u",
        Body(b""),
        404,
        headers,
        (b"ab", b"c"),
        Failure("ReadError"),
        None,
        "call_1/call_2",
        (1, 20),
        results,
    )
    again = Interaction("GET", "u", Body(b""), None, (), (), Failure("ConnectError", "no"), 0)
    assert_exact(Recording(Head(keeps_ids=True), (whole, again, Interaction("GET", "u", Body(b"x"), 204, parent=1))))
    assert form.dump(Recording()) == "# agentkit cassette\nversion: 1\ninteractions: []\n"


def test_random_recordings_come_back() -> None:
    rand = random.Random(20261127)
    alphabet = [
        '"',
        "\\",
        "\n",
        " ",
        ":",
        "-",
        "é",
        "\u2028",
        "a",
        "{",
        "}",
        "data: ",
        "event: x\n",
        "\r",
        "\x00",
        "😀",
        "\n\n",
    ]

    def value(depth: int) -> object:
        kind = rand.randrange(8 if depth else 5)
        if kind > 4:
            many = range(rand.randrange(4))
            return [value(depth - 1) for _ in many] if kind == 5 else {text(): value(depth - 1) for _ in many}
        return [
            None,
            rand.random() < 0.5,
            rand.randint(-(10**6), 10**6),
            rand.random() * 10 ** rand.randint(-9, 9),
            text(),
        ][kind]

    def text() -> str:
        return "".join(rand.choice(alphabet) for _ in range(rand.randrange(8)))

    for _ in range(300):
        items, interactions = [value(3)], []
        for index in range(rand.randint(1, 4)):
            body = compact({"input": items, "x": 1} if rand.random() < 0.2 else {"m": "m", "input": items})
            events = [
                {"type": rand.choice(["a.delta", "b"]), "sequence_number": n, "delta": text(), "response": value(2)}
                for n in range(rand.randrange(6))
            ]
            data = b"".join(framed(events)) + (text().encode() if rand.random() < 0.3 else b"")  # type: ignore[arg-type]
            cuts = sorted({0, len(data), *(rand.randint(0, len(data)) for _ in range(rand.randrange(4)))})
            chunks = tuple(data[a:b] for a, b in itertools.pairwise(cuts))
            interactions.append(
                Interaction("POST", URI, Body(body), 200, (), chunks, parent=index - 1 if index else None)
            )
            items = [*items, value(2)]
        recording = Recording(Head(), tuple(interactions))
        assert form.load(form.dump(recording), name="x") == recording


def test_a_writer_writes_again_what_it_wrote() -> None:
    writer, recording = form.Writer(), recorded(4)
    text = writer.dump(recording)
    assert writer.dump(recording) == text == form.dump(recording)
    shorter = Recording(recording.head, recording.interactions[:2])
    assert writer.dump(shorter) == form.dump(shorter)
    moved = Recording(recording.head, (CONVERSATION.interactions[0], *recording.interactions[:1]))
    assert writer.dump(moved) == form.dump(moved)


def test_one_changed_word_changes_one_line() -> None:
    before = form.dump(ids.normalise(recorded(30))).splitlines()
    after = form.dump(ids.normalise(recorded(30, prompt="Plan a journey through Sweden."))).splitlines()
    changed = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
    assert len(changed) == 1
    assert "Sweden" in changed[0][1]


def test_a_session_recorded_again_is_the_same_file() -> None:
    assert form.dump(ids.normalise(recorded(30))) == form.dump(ids.normalise(recorded(30)))


def test_a_session_takes_a_seventh_of_stock_vcrpy() -> None:
    """The vcrpy file holds no headers of the request here: it is larger in life."""
    recording = recorded(30)
    document = serializer.to_dict(recording)
    for each in document["interactions"]:
        del each["response"]["agentkit"]
        each["response"]["body"]["string"] = each["response"]["body"]["string"].decode()
    stock = yaml.dump({"interactions": document["interactions"], "version": 1})
    assert len(stock) >= 7 * len(form.dump(ids.normalise(recording)))


def test_a_recording_that_contradicts_itself_is_refused() -> None:
    ahead = Interaction("POST", URI, Body(b""), 200, parent=0)
    with pytest.raises(CassetteError, match="goes on with interaction 0; allowed is an earlier one"):
        form.dump(Recording(Head(), (ahead,)))
    with pytest.raises(CassetteError, match="2 times for 1 chunks"):
        form.dump(one(b"", b"a", at_ms=(1, 2)))


WRONG = [
    ("", "the file is empty"),
    (" \n", "the file is empty"),
    ("\0\1", "a binary file"),
    ("a: [", "line 2: not YAML"),
    ("- a", "found a list of 1; allowed is a mapping of version and interactions"),
    (FILE.replace("version: 1", "version: 2"), "line 2: version: found version 2; this agentkit reads versions up to 1"),
    (FILE.replace("version: 1", "version: '1'"), "line 2: version: found '1'; allowed is version: 1"),
    (FILE.replace("version: 1\n", ""), "version: found nothing"),
    (FILE.partition("interactions:")[0], "found no interactions"),
    (FILE.replace("seed: 7", "seed: x"), "seed: found 'x'; allowed is a whole number"),
    (FILE.replace("seed: 7", "ids: lost"), "ids: found 'lost'; allowed is kept"),
    (FILE.replace("turn: 2", "turn: 1"), r"line 30: interactions\[1\].turn: found turn 1 twice"),
    (FILE.replace("turn: 2", "turn: two"), r"interactions\[1\].turn: found 'two'"),
    (FILE.replace("continues: 1", "continues: 2"), r"line 32: interactions\[1\].request.continues: found 2; allowed is an earlier turn, 1 to 1"),
    (FILE.replace("$output: 0", "$output: 1"), r"input_added\[0\].\$output: found 1; allowed is a whole number, from 0 to 0"),
    (FILE.replace("continues: 1", "contniues: 1"), "unknown key 'contniues'; did you mean 'continues'"),
    (FILE.replace("    method: POST\n", ""), "found no method"),
    (FILE.replace("status: 200", "status: OK"), "response.status: found 'OK'; allowed is a whole number, from 100 to 999"),
    (FILE.replace("$done: 0", "$done: 3"), "from 0 to 0"),
    (FILE.replace("$like: above", "$like: below"), "found 'below'; allowed is above, or continued"),
    (FILE.replace("$like: above", "$like: continued"), "there is no response object in a turn that this one continues"),
    (FILE.replace("    events:", "    framing: loud\n    events:"), "found 'loud'; allowed is any of unnamed, tight, crlf"),
    (FILE.replace("    events:", "    style: loud\n    events:"), "found 'loud'; allowed is one of compact"),
    (FILE.replace("    events:", "    chunks: [5]\n    events:"), "the body has"),
    (FILE.replace("    events:", "    chunks: [7]\n    events:"), "chunks"),
    (FILE.replace("    events:", "    chunks: [x]\n    events:"), "found 'x'; allowed is a number, such as 2"),
    (FILE.replace("    events:", "    chunks: [1*999999999999]\n    events:"), "allowed is a number"),
    (FILE.replace("    events:", "    at_ms: [5]\n    events:"), "found 1 times; allowed is one for each of the 6 chunks"),
    (FILE.replace("    events:", "    text: a\n    events:"), "found events and text; allowed is one of them"),
    (FILE.replace("    json: {", "    base64: '%'\n    jso: {"), "unknown key 'jso'"),
    (FILE.replace("type: ReadError, message: cut", "message: cut"), "error.type: found nothing"),
    (FILE.replace("  error:", "  tool_results: [{call_id: a, output: b, outcome: c}]\n  error:"), "outcome: found 'c'; allowed is ok, error"),
    (FILE.replace("content-type: text/event-stream", "content-type: 5"), "headers.content-type: found 5; allowed is a text, in quotes"),
    (FILE.replace("[tools: []", "").replace("tools: []", "tools: &a []", 1), "an anchor; a cassette is plain data"),
    (FILE.replace("tools: []", "tools: *a", 1), "alias"),
    (FILE.replace("tools: []", "tools: !!python/name:os.system x", 1), "the tag"),
    (FILE.replace("a: 1}", "a: 1, a: 2}"), "the key 'a' stands here twice"),
    (FILE.replace("seed: 7", "seed: 1e999"), "out of range"),
    (FILE + "---\na: 1\n", "a second document"),
    (FILE.replace("- turn: 2", "<<<<<<< HEAD\n- turn: 2"), "line 30: a conflict of a merge"),
    (FILE.replace("\n- turn: 2", "\n- turn: 2\n=======\n- turn: 2"), "a conflict of a merge"),
    ("# agentkit cassette\nversion: 1\ninteractions:\n- turn: 1\n  request: {method: GET, uri: u, base64: '%'}\n", "found '%'; allowed is bytes in base64"),
    ("# agentkit cassette\nversion: 1\ninteractions:\n- turn: 1\n  request: {continues: 1}\n", "allowed is no such key in the first interaction"),
    ("# agentkit cassette\nversion: 1\ninteractions:\n- turn: 1\n  request: {method: G, uri: u, input_added: []}\n", "without the turn"),
    ("version: 1\nlog: {entries: []}\n", "found no interactions"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), WRONG, ids=[said[:40] for _, said in WRONG])
def test_a_file_that_is_wrong_says_where(text: str, said: str) -> None:
    with pytest.raises(CassetteError, match=r"^tapes/x\.yaml") as caught:
        form.load(text, name="tapes/x.yaml")
    assert re.search(said, str(caught.value)), str(caught.value)


def test_a_file_that_is_no_text_says_so() -> None:
    with pytest.raises(CassetteError, match=r"x\.yaml: not a text in UTF-8, at byte 0"):
        form.load(b"\xff\xd8\xff", name="x.yaml")


def test_every_line_may_be_lost_or_cut() -> None:
    """A damaged file is read as something that it says, or refused as a `CassetteError`; nothing else is raised."""
    lines = FILE.splitlines(keepends=True)
    refused = 0
    for index, line in enumerate(lines):
        damages = [
            "".join(lines[:index] + lines[index + 1 :]),
            "".join(lines[:index]) + line[: len(line) // 2],
            "".join([*lines[:index], line, line, *lines[index + 1 :]]),
            "".join([*lines[:index], line.replace(":", ": [", 1), *lines[index + 1 :]]),
            "".join([*lines[:index], re.sub(r": .+", ": 7.5", line), *lines[index + 1 :]]),
            "".join([*lines[:index], re.sub(r": .+", ": {$like: [], $output: {}}", line), *lines[index + 1 :]]),
        ]
        for damaged in damages:
            try:
                form.dump(form.load(damaged, name="x.yaml"))
            except CassetteError as exc:
                refused += 1
                assert str(exc).startswith("x.yaml")
    assert refused > len(lines)
