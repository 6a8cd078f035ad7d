"""What tools return, as the model reads it (faults.md, X06 and X07)."""

# ruff: noqa: E501

from __future__ import annotations

import asyncio
import base64
import collections
import dataclasses
import datetime
import decimal
import enum
import itertools
import json
import pathlib
import subprocess
import sys
import time
import uuid
from types import MappingProxyType
from typing import NamedTuple

import pytest
from pydantic import BaseModel, Field

from agentkit.items import File, Image, Text
from agentkit.output import EncodedOutput, OutputError, encode_output


class Level(enum.Enum):
    LOW = "low"


class Point(NamedTuple):
    x: int
    label: str


@dataclasses.dataclass
class Order:
    number: int
    tags: set[str]
    when: datetime.date


class Model(BaseModel):
    name: str
    tags: set[str] = {"b", "a"}
    inner: list[frozenset[int]] = [frozenset({3, 1})]
    secret: str = Field("s", exclude=True)


class Array:
    """Behaves like a numpy array."""

    dtype = "float64"

    def tolist(self):
        return [1.0, float("nan")]


class Thing:
    pass


TABLE = [
    ("text", "Grüße\n", "Grüße\n"),
    ("empty text", "", ""),
    ("text that looks like JSON", '{"a": 1}', '{"a": 1}'),
    ("none", None, "null"),
    ("true", True, "true"),
    ("integer", 5, "5"),
    ("shortest float", 0.1, "0.1"),
    ("whole float", 2.0, "2.0"),
    ("nan", float("nan"), '"NaN"'),
    ("infinities", [float("inf"), float("-inf")], '["Infinity","-Infinity"]'),
    ("dict in its order", {"b": 1, "a": [True, None]}, '{"b":1,"a":[true,null]}'),
    (
        "keys that are no text",
        {1: "a", None: "b", Level.LOW: "c", (1, 2): "e", datetime.date(2025, 1, 31): "f"},
        '{"1":"a","null":"b","low":"c","1, 2":"e","2025-01-31":"f"}',
    ),
    ("text stays text", {"ü": "\u2028"}, '{"ü":"\u2028"}'),
    ("set of text, sorted", {"b", "a", "c"}, '["a","b","c"]'),
    ("set of numbers, sorted as numbers", {10, 9, 2.5}, "[2.5,9,10]"),
    ("mixed set", {"a", 1, None, (2, "x")}, '[1,"a",[2,"x"],null]'),
    ("frozen set of sets", frozenset({frozenset({2, 1}), frozenset({0})}), "[[0],[1,2]]"),
    ("tuple, deque, range", [(1, 2), collections.deque([3]), range(2)], "[[1,2],[3],[0,1]]"),
    ("views", [{"a": 1}.values(), {"b": 1}.keys()], '[[1],["b"]]'),
    ("named tuple", Point(1, "a"), '{"x":1,"label":"a"}'),
    (
        "dataclass",
        Order(1, {"b", "a"}, datetime.date(2025, 1, 31)),
        '{"number":1,"tags":["a","b"],"when":"2025-01-31"}',
    ),
    ("pydantic model", Model(name="n"), '{"name":"n","tags":["a","b"],"inner":[[1,3]]}'),
    ("enum", [Level.LOW], '["low"]'),
    ("datetime", datetime.datetime(2025, 1, 31, 10, 0, tzinfo=datetime.UTC), '"2025-01-31T10:00:00Z"'),
    ("duration", datetime.timedelta(days=1, hours=2), '"P1DT2H"'),
    ("uuid", uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
    ("decimal", decimal.Decimal("1.10"), '"1.10"'),
    ("path", pathlib.PurePosixPath("a/b"), '"a/b"'),
    ("bytes", b"\xff\x00", '"/wA="'),
    ("bytearray", [bytearray(b"hi"), memoryview(b"hi")], '["aGk=","aGk="]'),
    ("other mapping", MappingProxyType({"a": 1}), '{"a":1}'),
    ("counter", collections.Counter("aab"), '{"a":2,"b":1}'),
    ("generator", (index * 2 for index in range(3)), "[0,2,4]"),
    ("map and zip", [map(str, [1]), zip([1], [2], strict=True)], '[["1"],[[1,2]]]'),
    ("array", {"data": Array()}, '{"data":[1.0,"NaN"]}'),
    ("the same value twice is no cycle", [[shared := [1], shared]], "[[[1],[1]]]"),
    ("exception text", str(ValueError("bad")), "bad"),
]


@pytest.mark.parametrize(("value", "text"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_value_becomes_text(value, text):
    assert encode_output(value) == EncodedOutput(text)


def cycle():
    items: list[object] = [1]
    items.append({"again": items})
    return items


def deep():
    value: list[object] = []
    for _ in range(5000):
        value = [value]
    return value


async def forgotten():
    return 1


REFUSED = [
    ("object", Thing(), r"the value is a .*\.Thing, which has no JSON form\. Return text, numbers"),
    ("object inside", {"a": [1, Thing()]}, r"the value at 'a\[1\]' is a .*Thing, which has no JSON form"),
    ("function", print, "is a builtin_function_or_method, which has no JSON form"),
    ("class", Thing, "is a type, which has no JSON form"),
    ("lock", __import__("threading").Lock(), "which has no JSON form"),
    ("exception", ValueError("x"), "is a ValueError, which has no JSON form"),
    ("cycle", cycle(), r"the value at '\[1\]\.again' contains itself"),
    ("deep", deep(), "nested deeper than 200 levels"),
    ("keys that collide", {1: "a", "1": "b"}, "has two keys that are '1' in JSON"),
    ("model as a key", {Point(1, "a"): 1}, "has a key of type .*Point"),
]


@pytest.mark.parametrize(("value", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_value_without_json_form_is_refused(value, message):
    with pytest.raises(OutputError, match=message) as caught:
        encode_output(value)
    assert "0x" not in str(caught.value)


def test_a_forgotten_await_is_told():
    """And the coroutine is closed: Python would warn of it later, which fails this test."""
    with pytest.raises(OutputError, match="is a coroutine: an await is missing in the tool"):
        encode_output(forgotten())


def test_a_task_is_told():
    async def main():
        with pytest.raises(OutputError, match="an await is missing"):
            encode_output([asyncio.get_running_loop().create_future()])

    asyncio.run(main())


def test_output_is_the_same_in_every_process():
    script = "from agentkit.output import encode_output; print(encode_output({'s': {'a', 'b', 'c', 'd'}, 't': frozenset('xyz')}).text)"
    seen = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "123"
    }
    assert seen == {'{"s":["a","b","c","d"],"t":["x","y","z"]}\n'}


# --- size ----------------------------------------------------------------------------------------------------


def test_what_fits_exactly_is_not_cut():
    assert encode_output("a" * 100, max_bytes=100) == EncodedOutput("a" * 100)
    assert encode_output("é" * 50, max_bytes=100) == EncodedOutput("é" * 50)


def test_too_long_text_is_cut_with_a_note_and_kept_in_full():
    text = "x" * 200
    found = encode_output(text, max_bytes=100)
    assert found == EncodedOutput("x" * 65 + "\n[cut: 65 of 200 characters shown]", full=text)
    assert len(found.text) <= 100


@pytest.mark.parametrize("size", range(60, 90))
def test_text_is_cut_between_characters(size):
    text = "aé漢😀" * 100
    found = encode_output(text, max_bytes=size)
    shown = found.text.split("\n[cut")[0]
    assert text.startswith(shown)
    assert size - 8 <= len(found.text.encode()) <= size


def test_the_default_limit_is_64_kb():
    found = encode_output("x" * 70_000)
    assert len(found.text) == 65_536
    assert found.full == "x" * 70_000


def test_lone_surrogates_are_cut_like_characters():
    found = encode_output("\ud800" * 100, max_bytes=90)
    assert found.text.startswith(r"\ud800\ud800")
    assert len(found.text) <= 90
    assert found.full == r"\ud800" * 100


def test_lone_surrogates_are_written_out():
    """`os.listdir` gives them for names that aren't UTF-8; strict JSON servers refuse them for ever."""
    name = "caf\udce9"
    for found, text in [
        (encode_output(name), r"caf\udce9"),
        (encode_output([name, {"é" + name: 1}]), r'["caf\udce9",{"écaf\udce9":1}]'),
        (encode_output(File(name, url="https://x/y")), None),
    ]:
        assert found.text.encode().decode() == found.text
        assert text in (None, found.text)
    assert json.loads(encode_output([name]).text) == [name]


def test_lone_surrogates_in_parts_are_written_out():
    found = encode_output(["a\udcff", File("b\udcff", url="https://x/y")], parts_allowed=True)
    assert found.parts == (
        {"type": "input_text", "text": r"a\udcff"},
        {"type": "input_file", "filename": r"b\udcff", "file_url": "https://x/y"},
    )


def test_100_mb_of_text_keep_16_mb():
    started = time.process_time()
    found = encode_output("x" * 100_000_000)
    assert found.full is not None
    assert len(found.full) == 16 * 1024 * 1024
    assert found.text.endswith("of 100,000,000 characters shown]")
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "endless", [itertools.count(), itertools.repeat("x" * 1000), itertools.repeat(None)], ids=["count", "text", "none"]
)
def test_an_endless_generator_ends(endless):
    started = time.process_time()
    found = encode_output(endless)
    assert len(found.text) <= 65_536
    assert found.full is not None
    assert json.loads(found.full)[-1].startswith("[cut: the generator was stopped after ")
    assert time.process_time() - started < 5


def test_an_error_inside_a_generator_is_the_tools_error():
    def broken():
        yield 1
        raise KeyError("inner")

    with pytest.raises(KeyError, match="inner"):
        encode_output(broken())


# --- content parts -------------------------------------------------------------------------------------------

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=")
IMAGE = Image.from_bytes(PNG)
REPORT = File.from_bytes(b"%PDF-", filename="report.pdf")
LEFT_OUT = f"[image image/png, {len(PNG)} bytes: left out, this server takes text outputs only]"

WORDS = [
    ("image", IMAGE, LEFT_OUT),
    (
        "image by address",
        Image("https://example.org/a.png"),
        "[image https://example.org/a.png: left out, this server takes text outputs only]",
    ),
    ("file", REPORT, "[file report.pdf application/pdf, 5 bytes: left out, this server takes text outputs only]"),
    ("text part", Text("hello"), "hello"),
    ("list of parts", [Text("A chart:"), IMAGE], f"A chart:\n{LEFT_OUT}"),
    ("text among parts", ["A chart:", IMAGE], f"A chart:\n{LEFT_OUT}"),
    ("inside other data", {"chart": IMAGE, "n": 1}, f'{{"chart":"{LEFT_OUT}","n":1}}'),
    ("among other data", [1, IMAGE], f'[1,"{LEFT_OUT}"]'),
]


@pytest.mark.parametrize(("value", "text"), [row[1:] for row in WORDS], ids=[row[0] for row in WORDS])
def test_parts_are_said_in_words_where_only_text_is_taken(value, text):
    assert encode_output(value) == EncodedOutput(text)


def test_parts_are_sent_where_they_are_taken():
    found = encode_output(["A chart:", IMAGE, REPORT], parts_allowed=True)
    assert found.parts == (
        {"type": "input_text", "text": "A chart:"},
        {"type": "input_image", "image_url": IMAGE.url},
        {"type": "input_file", "filename": "report.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
    )
    assert found.text == f"A chart:\n[image image/png, {len(PNG)} bytes]\n[file report.pdf application/pdf, 5 bytes]"
    assert found.output == list(found.parts)


def test_one_image_is_a_list_of_one_part():
    assert encode_output(IMAGE, parts_allowed=True).output == [{"type": "input_image", "image_url": IMAGE.url}]


def test_text_alone_stays_text():
    assert encode_output([Text("a"), "b"], parts_allowed=True) == EncodedOutput("a\nb")
    assert encode_output("a", parts_allowed=True).output == "a"


def test_long_text_among_parts_is_cut_too():
    found = encode_output([Text("x" * 500), IMAGE], parts_allowed=True, max_bytes=200)
    assert found.parts is not None
    assert len(found.parts[0]["text"]) <= 200
    assert found.full is not None
    assert found.full.startswith("x" * 500)


def test_an_empty_list_is_a_list():
    assert encode_output([], parts_allowed=True) == EncodedOutput("[]")
