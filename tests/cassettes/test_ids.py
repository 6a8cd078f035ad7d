"""Ids and times of a server, numbered and zeroed; everything else as it came."""

from __future__ import annotations

import itertools
import json
import random
import re
from dataclasses import replace

import pytest

from agentkit.cassettes.format import form, ids
from agentkit.cassettes.interaction import Body, Head, Interaction, Recording, ToolResult
from agentkit.service.ids import position_ids, random_ids
from tests.cassettes.sessions import recorded
from tests.cassettes.test_form import URI, compact

CALL = "call_mhr5WBWG8kgyIy15JTItue8Q"
RESPONSE = "resp_0655583668ea25df0069d6f97d0f108196b2c4bfe185de16d1"


def answered(answer: dict[str, object] | bytes, request: object = None, **more: object) -> Interaction:
    data = answer if isinstance(answer, bytes) else compact(answer)
    return Interaction("POST", URI, Body(compact(request or {"input": []})), 200, (), (data,), **more)  # type: ignore[arg-type]


def normalised(*interactions: Interaction) -> tuple[Interaction, ...]:
    found = ids.normalise(Recording(Head(), interactions))
    assert ids.normalise(found) == found
    assert not found.head.keeps_ids
    return found.interactions


def answer_of(answer: dict[str, object]) -> object:
    return json.loads(normalised(answered(answer))[0].answer)


ITEMS = [
    ({"id": "a1", "type": "message"}, {"id": "msg_1", "type": "message"}),
    ({"id": "a1"}, {"id": "msg_1"}),
    ({"id": "a1", "type": "reasoning"}, {"id": "rs_1", "type": "reasoning"}),
    (
        {"id": "fc_x", "call_id": CALL, "type": "function_call"},
        {"id": "fc_1", "call_id": "call_1", "type": "function_call"},
    ),
    ({"id": "x", "type": "web_search_call"}, {"id": "ws_1", "type": "web_search_call"}),
    ({"id": "x", "type": "unheard_of"}, {"id": "item_1", "type": "unheard_of"}),
    ({"id": "0", "call_id": "0", "type": "function_call"}, {"id": "fc_1", "call_id": "fc_1", "type": "function_call"}),
    ({"id": None, "type": ["?"]}, {"id": None, "type": ["?"]}),
    ({"id": "", "call_id": 5}, {"id": "", "call_id": 5}),
    ({"type": "message", "name": "id", "text": "0"}, {"type": "message", "name": "id", "text": "0"}),
    ("no item", "no item"),
]


@pytest.mark.parametrize(("item", "expected"), ITEMS)
def test_items_are_numbered_by_what_they_are(item: object, expected: object) -> None:
    assert answer_of({"id": RESPONSE, "output": [item]}) == {"id": "resp_1", "output": [expected]}


TEXTS = [
    (f"see {CALL}.", "see call_1."),
    (f"\n{CALL}\n{CALL}", "\ncall_1\ncall_1"),
    (f"é{CALL}-out.txt é/{CALL}_2", "écall_1-out.txt é/call_1_2"),
    (f"my{CALL}", f"my{CALL}"),
    (f"my-{CALL}", f"my-{CALL}"),
    (f"{CALL}x", f"{CALL}x"),
    (f'{{"id": "{CALL}"}}', '{"id": "call_1"}'),
    ("call_2", "call_2"),
    ("item 7 of 7", "item 7 of 7"),
    ('"id": "7"', '"id": "7"'),
    ('"created_at": 5, "obfuscation": "x"', '"created_at": 5, "obfuscation": "x"'),
]


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_long_ids_are_replaced_in_texts(text: str, expected: str, ascii_only: bool) -> None:
    """Where a word begins, and whole; short ones, `call_2` or `7`, are anybody's words."""
    output = [
        {"type": "function_call", "call_id": CALL, "id": "7"},
        {"type": "function_call", "call_id": "call_2"},
        {"text": text},
    ]
    data = json.dumps({"output": output}, ensure_ascii=ascii_only).encode()
    found = json.loads(normalised(answered(data))[0].answer)["output"]
    assert found[2] == {"text": expected}
    assert [each.get("call_id") for each in found] == ["call_1", "call_2", None]


def test_times_of_the_server_become_zero() -> None:
    usage = {
        "input_tokens": 5,
        "start_time": 17.25,
        "total_latency": 1e-05,
        "input_tokens_details": {"cached_tokens": 1},
    }
    answer = {
        "id": RESPONSE,
        "created_at": 1772012628,
        "completed_at": 1772012629.5,
        "usage": usage,
        "total_latency": 3,
    }
    assert answer_of(answer) == {
        "id": "resp_1",
        "created_at": 0,
        "completed_at": 0,
        "usage": {"input_tokens": 5, "start_time": 0, "total_latency": 0, "input_tokens_details": {"cached_tokens": 1}},
        "total_latency": 3,
    }
    assert answer_of({"created_at": None, "completed_at": "5"}) == {"created_at": None, "completed_at": "5"}


def test_ids_go_on_from_request_to_request() -> None:
    call = {"id": "fc_0655583668ea25df", "call_id": CALL, "type": "function_call", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": CALL, "output": f"done {CALL}"}
    request = {"input": [{"role": "user", "content": CALL}, call, output], "previous_response_id": RESPONSE}
    results = (ToolResult(CALL, f"{CALL}!", full=f"{CALL}?"),)
    first = answered({"id": RESPONSE, "output": [call]}, lane=f"{CALL}/{CALL}", tool_results=results)
    one, two = normalised(
        first, replace(answered(b"", request), uri=f"{URI}/{RESPONSE}", headers=(("x-request-id", "r-5"),))
    )
    assert (one.lane, one.tool_results) == ("call_1/call_1", (ToolResult("call_1", "call_1!", full="call_1?"),))
    assert (two.uri, two.headers) == (f"{URI}/resp_1", (("x-request-id", "req_1"),))
    numbered = {"id": "fc_1", "call_id": "call_1", "type": "function_call", "arguments": "{}"}
    assert json.loads(bytes(two.body)) == {
        "input": [
            {"role": "user", "content": "call_1"},
            numbered,
            {"type": "function_call_output", "call_id": "call_1", "output": "done call_1"},
        ],
        "previous_response_id": "resp_1",
    }


def test_an_id_may_be_cut_by_chunks() -> None:
    """Wherever chunks end: the id goes to the one that it began in, and no chunk is left empty."""
    event = compact({"type": "response.created", "response": {"id": RESPONSE, "created_at": 12345}})
    data = b"event: response.created\ndata: " + event + b"\n\n"
    expected = data.replace(RESPONSE.encode(), b"resp_1").replace(b"12345", b"0")
    for at in range(1, len(data)):
        cut = replace(
            answered(data), chunks=(data[:at], data[at : at + 1], data[at + 1 :])[: 3 if at + 1 < len(data) else 2]
        )
        (found,) = normalised(replace(cut, at_ms=tuple(range(len(cut.chunks)))))
        assert found.answer == expected
        assert all(found.chunks)
        assert len(found.at_ms) == len(found.chunks)
    every = replace(answered(data), chunks=tuple(bytes([byte]) for byte in data))
    assert normalised(every)[0].answer == expected


def test_an_id_that_a_model_tells_piece_by_piece_stays_whole() -> None:
    """The deltas go on to add up to the text that comes whole; where an id belongs, it is numbered all the same."""
    call = {"id": "fc_1", "call_id": CALL, "type": "function_call", "arguments": "{}"}
    events = [
        *(
            {"type": "response.output_text.delta", "item_id": "m", "delta": part}
            for part in ("I ran ", CALL[:9], CALL[9:])
        ),
        {"type": "response.output_text.done", "item_id": "m", "text": f"I ran {CALL}"},
    ]
    told = answered(b"".join(b"data: " + compact(event) + b"\n\n" for event in events))
    output = {"type": "function_call_output", "call_id": CALL, "output": CALL}
    one, two, three = normalised(answered({"output": [call]}), told, answered(b"", {"input": [output]}))
    assert json.loads(one.answer)["output"][0]["call_id"] == "call_1"
    assert two.answer == told.answer.replace(b'"m"', b'"msg_1"')
    assert json.loads(bytes(three.body))["input"] == [{**output, "call_id": "call_1"}]


def test_what_is_signed_keeps_its_ids() -> None:
    signed = answered({"id": RESPONSE, "output": [{"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA"}]})
    recording = Recording(Head(seed=3), (signed,))
    found = ids.normalise(recording)
    assert found == Recording(Head(seed=3, keeps_ids=True), (signed,))
    assert ids.normalise(found) == found
    asked = answered(b"", {"input": [{"type": "reasoning", "encrypted_content": "gAAA"}]})
    assert ids.normalise(Recording(Head(), (asked,))).head.keeps_ids
    assert normalised(answered({"output": [{"encrypted_content": None}], "include": ["reasoning.encrypted_content"]}))


def test_what_is_no_answer_of_a_model_stays() -> None:
    for data in (b"", b"\xff\x00", b"<html>", b'{"data": [{"id": "a"}]}', b"data: x\n\n", b'{"id": 5}', b"[" * 300):
        plain = replace(answered(data), chunks=(data,) if data else ())
        assert normalised(plain) == (plain,)


@pytest.mark.parametrize("turns", [1, 2, 12])
def test_bodies_go_on_sharing_their_bytes(turns: int) -> None:
    found = ids.normalise(recorded(turns)).interactions
    for before, after in itertools.pairwise(found):
        assert after.body.parent is before.body
        assert json.loads(bytes(after.body))["input"][:-2] == json.loads(bytes(before.body))["input"]


@pytest.mark.parametrize("played", [0, 1, 3, 6])
def test_a_session_played_in_part_is_the_same_file(played: int) -> None:
    """Ids that were numbered before and ids of a server, in one recording, end as those of a server alone."""
    fresh = recorded(6)
    numbered = ids.normalise(fresh)
    mixed = []
    for index, interaction in enumerate(fresh):
        if index < played:
            mixed.append(numbered.interactions[index])
            continue
        body = bytes(interaction.body)
        for old, new in zip(fresh.interactions[:played], numbered.interactions, strict=False):
            body = renamed(body, old.answer, new.answer)
        mixed.append(replace(interaction, body=Body(body)))
    assert form.dump(ids.normalise(Recording(fresh.head, tuple(mixed)))) == form.dump(numbered)


def renamed(body: bytes, old: bytes, new: bytes) -> bytes:
    """Replace the ids of a finished item in a request, as a loop does that was played them."""
    before, after = (json.loads(each.split(b"data: ")[-1])["response"]["output"] for each in (old, new))
    for one, other in zip(before, after, strict=True):
        for key in ("id", "call_id"):
            if key in one:
                body = body.replace(compact(one[key]), compact(other[key]))
    return body


def test_ids_by_position_are_numbered_too() -> None:
    """But for the tokens that the server counts, shorter ids taking fewer."""
    files = [form.dump(ids.normalise(recorded(5, ids=kind))) for kind in (position_ids, random_ids)]
    one, other = (re.sub(r"(input|total)_tokens: [0-9]+", "", file) for file in files)
    assert one == other


def test_random_bytes_stay_but_for_ids() -> None:
    """Whatever stands around an id: the texts of a response with their ids put back are the texts that it had."""
    rand = random.Random(7)
    pieces = [
        CALL,
        "call_1",
        " ",
        "\n",
        "\t",
        '"',
        "\\",
        "-",
        "_",
        ".",
        "/",
        "x",
        "é",
        "0",
        "\u2028",
        "id",
        ":",
        "{",
        "}",
    ]
    for _ in range(400):
        text = "".join(rand.choice(pieces) for _ in range(rand.randrange(9)))
        output = [{"type": "function_call", "call_id": CALL}, {"text": text}]
        (found,) = normalised(answered({"output": output}))
        after = json.loads(found.answer)["output"][1]["text"]
        assert len(after) == len(text) - (len(CALL) - len("call_1")) * (text.count(CALL) - after.count(CALL))
        assert after.replace(CALL, "call_1") == text.replace(CALL, "call_1")


@pytest.mark.parametrize("body", ['{"error":{"message":"busy"},"request_id":"%s"}', '{"error":{"request_id":"%s"}}'])
def test_the_id_of_a_refused_request_is_numbered(body: str) -> None:
    refusals = [
        Interaction("POST", URI, Body(b"{}"), 429, (), ((body % f"9a{n}d5e81-02c1-4c3f-8d1e-77b0a1c2d3e4").encode(),))
        for n in range(2)
    ]
    assert [made.answer.decode() for made in ids.normalise(Recording(Head(), tuple(refusals)))] == [
        body % "req_1",
        body % "req_2",
    ]
