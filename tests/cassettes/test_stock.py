"""Files of stock vcrpy, in all the shapes that it and its users write."""

from __future__ import annotations

import base64
import gzip
import importlib.util
import json
import zlib
from pathlib import Path

import httpx
import pytest
import yaml

import agentkit
from agentkit.cassettes.format import form
from agentkit.cassettes.interaction import Interaction, Recording
from agentkit.errors import CassetteError

ANSWER = b'{"id": "resp_1", "output": []}'
REQUEST = {"method": "POST", "uri": "https://api.test/v1/responses", "body": '{"input": "hi"}', "headers": {}}


def answered(**response: object) -> dict[str, object]:
    usual = {"status": {"code": 200, "message": "OK"}, "headers": {"Content-Type": ["application/json"]}}
    return {"interactions": [{"request": REQUEST, "response": {**usual, **response}}], "version": 1}


def only(document: object) -> Interaction:
    recording = form.load(yaml.dump(document), name="x.yaml")
    assert form.load(form.dump(recording), name="x.yaml") == recording
    (interaction,) = recording
    return interaction


PACKED = [
    ("gzip", gzip.compress(ANSWER, mtime=0)),
    ("deflate", zlib.compress(ANSWER)),
    ("deflate", zlib.compress(ANSWER)[2:-4]),
    ("gzip, gzip", gzip.compress(gzip.compress(ANSWER, mtime=0), mtime=0)),
    ("gzip", ANSWER),
    ("deflate", ANSWER),
    ("br", ANSWER),
    ("zstd", ANSWER),
    ("identity", ANSWER),
]


@pytest.mark.parametrize(("encoding", "data"), PACKED)
def test_bodies_are_unpacked(encoding: str, data: bytes) -> None:
    """Also where the recorder had unpacked them, and kept the header."""
    headers = {"Content-Encoding": [encoding], "Content-Length": ["9"], "X-Request-Id": ["a", "b"]}
    found = only(answered(body={"string": data}, headers=headers))
    assert found.answer == ANSWER
    assert found.headers == (("x-request-id", "a"), ("x-request-id", "b"))


def test_what_unpacks_needs_its_module_only_where_it_is_used() -> None:
    brotli = pytest.importorskip("brotli")
    found = only(answered(body={"string": brotli.compress(ANSWER)}, headers={"content-encoding": ["br"]}))
    assert found.answer == ANSWER


SHAPES = [
    {"body": {"string": ANSWER.decode()}},
    {"body": {"string": ANSWER}},
    {"body": {"base64_string": base64.b64encode(ANSWER).decode()}},
    {"body": ANSWER.decode()},
    {"content": ANSWER.decode(), "status_code": 200, "http_version": "HTTP/1.1", "status": None},
    {"body": {"string": ANSWER.decode()}, "status": None, "code": 200},
    {"body": {"string": ANSWER.decode()}, "status": "200 OK"},
    {"body": {"string": ANSWER.decode()}, "headers": [{"name": "Content-Type", "value": "application/json"}]},
]


@pytest.mark.parametrize("response", SHAPES)
def test_answers_are_read_in_each_shape(response: dict[str, object]) -> None:
    found = only(answered(**response))
    assert (found.status, found.answer) == (200, ANSWER)
    assert found.headers == (("content-type", "application/json"),)
    assert bytes(found.body) == b'{"input": "hi"}'


def test_parsed_bodies_are_spelled_compactly() -> None:
    assert only(answered(parsed_body=json.loads(ANSWER))).answer == b'{"id":"resp_1","output":[]}'


def test_json_is_read_too() -> None:
    recording = form.load(json.dumps(answered(body={"string": ANSWER.decode()})), name="x.json")
    assert recording.interactions[0].answer == ANSWER


def test_names_of_headers_that_a_recorder_tagged_are_texts() -> None:
    text = (
        "interactions:\n- request: {method: get, uri: u, headers: {}, body: null}\n"
        "  response:\n    status: {code: 200}\n"
        "    headers:\n      ? !!python/object/new:multidict._multidict.istr\n      - X-Request-Id\n      : - r\n"
        "    body: {string: a}\n"
    )
    (found,) = form.load(text, name="x")
    assert found.headers == (("x-request-id", "r"),)
    assert found.method == "GET"


def test_nothing_is_made_of_a_tag() -> None:
    text = "interactions:\n- request: !!python/object/apply:os.system [echo]\n  response: {}\n"
    with pytest.raises(CassetteError, match=r"x.yaml, line 2: a foreign cassette with .*os.system"):
        form.load(text, name="x.yaml")


def test_aliases_that_grow_are_refused() -> None:
    bomb = ["a"] * 10
    for _ in range(8):
        bomb = [bomb] * 10  # type: ignore[list-item]
    with pytest.raises(CassetteError, match="parsed_body: found more than 5000000 values"):
        form.load(yaml.dump(answered(parsed_body=bomb)), name="x.yaml")


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"status": None}, "status: found nothing; allowed is the HTTP status"),
        ({"status": {"code": 7}}, "found 7; allowed is a whole number, from 100 to 999"),
        ({"body": {"string": 5}}, "found 5; allowed is a body: a text, or bytes"),
        ({"body": {"base64": "%%%a"}}, "allowed is bytes in base64"),
    ],
)
def test_what_is_wrong_is_named(broken: dict[str, object], said: str) -> None:
    with pytest.raises(CassetteError, match=r"x.yaml, line \d+: interactions\[0\].response") as caught:
        form.load(yaml.dump(answered(**broken)), name="x.yaml")
    assert said in str(caught.value)


def test_a_conversation_is_linked() -> None:
    """A request goes on with the longest one before it whose items it begins with."""
    items = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    bodies = [items[:1], items[:2], [{"role": "user", "content": "else"}], items]
    response = answered()["interactions"][0]["response"]  # type: ignore[index]
    requests = [{**REQUEST, "body": json.dumps({"input": each})} for each in bodies]
    interactions = [{"request": request, "response": response} for request in requests]
    recording = form.load(yaml.dump({"interactions": interactions, "version": 1}), name="x")
    assert [interaction.parent for interaction in recording] == [None, 0, None, 1]
    assert form.dump(recording).count("continues:") == 2


def test_an_empty_list_is_an_empty_recording() -> None:
    assert form.load("interactions: []\nversion: 1\n", name="x") == Recording()


def test_a_packing_without_its_module_is_named() -> None:
    if importlib.util.find_spec("brotli") is not None:
        pytest.skip("brotli is installed")
    with pytest.raises(CassetteError, match="a body that only the package brotli can unpack"):
        only(answered(body={"string": b"\x0b2\x06\x00d\xc4"}, headers={"content-encoding": ["br"]}))


def test_a_uri_that_is_none_is_told_with_its_place() -> None:
    document = answered(body={"string": "{}"})
    document["interactions"][0]["request"] = {**REQUEST, "uri": "http://[::1"}  # type: ignore[index]
    with pytest.raises(CassetteError, match=r"x\.yaml.*interactions\[0\].request.uri.*no URI"):
        form.load(yaml.dump(document), name="x.yaml")


def test_what_stands_for_a_secret_in_it_is_the_same_request(tmp_path: Path) -> None:
    """Other tools write what they like there."""
    body = {"model": "m", "input": "hi", "tools": [{"type": "mcp", "authorization": "MY_MCP_TOKEN_PLACEHOLDER"}]}
    document = answered(body={"string": ANSWER})
    document["interactions"][0]["request"] = {**REQUEST, "body": json.dumps(body)}  # type: ignore[index]
    path = tmp_path / "x.yaml"
    path.write_text(yaml.dump(document))
    with agentkit.cassette(path, patch=True) as tape:
        assert httpx.post("https://api.test/v1/responses", json=body).content == ANSWER
    assert not tape.unused
