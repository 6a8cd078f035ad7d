"""The items that we write, and the questions that the loop asks of those it reads."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from agentkit.errors import UsageError
from agentkit.items import (
    File,
    FunctionCall,
    Image,
    Text,
    call_view,
    function_call_output,
    is_half_written,
    is_message,
    is_output,
    message_refusal,
    message_text,
    reasoning_text,
    user_message,
    with_message_type,
)

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 8

WHO_WROTE = [
    ("user message", {"type": "message", "role": "user"}, False),
    ("developer message", {"type": "message", "role": "developer"}, False),
    ("assistant message", {"type": "message", "role": "assistant"}, True),
    ("message without a type", {"role": "assistant"}, True),
    ("user message without a type", {"role": "user", "content": "Hi"}, False),
    ("message with type null", {"type": None, "role": "user"}, False),
    ("call", {"type": "function_call"}, True),
    ("output", {"type": "function_call_output"}, False),
    ("reasoning", {"type": "reasoning"}, True),
    ("hosted call", {"type": "web_search_call"}, True),
    ("output of another call", {"type": "computer_call_output"}, False),
    ("approval", {"type": "mcp_approval_response"}, False),
    ("unknown", {"type": "openrouter:thing"}, True),
]


@pytest.mark.parametrize(("name", "item", "expected"), WHO_WROTE, ids=[row[0] for row in WHO_WROTE])
def test_who_wrote_an_item(name: str, item: dict, expected: bool):
    assert is_output(item) is expected


CALLS = [
    ("whole", {"call_id": "c", "name": "f", "arguments": "{}"}, FunctionCall("c", "f", "{}")),
    ("nothing", {}, FunctionCall("", "", "")),
    ("wrong types", {"call_id": 5, "name": None, "arguments": None}, FunctionCall("", "", "")),
    ("arguments as an object", {"arguments": {"a": [1]}}, FunctionCall("", "", '{"a":[1]}')),
    ("arguments untouched", {"arguments": '{ "a" :1,'}, FunctionCall("", "", '{ "a" :1,')),
]


@pytest.mark.parametrize(("name", "item", "expected"), CALLS, ids=[row[0] for row in CALLS])
def test_the_view_of_a_call(name: str, item: dict, expected: FunctionCall):
    assert call_view({"type": "function_call", **item}) == expected


def test_a_call_with_status_incomplete_is_half_written():
    assert is_half_written({"type": "function_call", "status": "incomplete"})
    assert not is_half_written({"type": "function_call", "status": "completed"})
    assert not is_half_written({"type": "message", "status": "incomplete"})


TEXTS = [
    ("string", "Hi", "Hi"),
    ("parts", [{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}], "ab"),
    ("refusal", [{"type": "refusal", "refusal": "no"}], ""),
    ("unknown part", [{"type": "hologram", "text": "x"}], ""),
    ("text null", [{"type": "output_text", "text": None}], ""),
    ("no object", ["x", None], ""),
    ("null", None, ""),
    ("number", 5, ""),
]


@pytest.mark.parametrize(("name", "content", "expected"), TEXTS, ids=[row[0] for row in TEXTS])
def test_the_text_of_a_message(name: str, content: object, expected: str):
    assert message_text({"type": "message", "content": content}) == expected


def test_a_refusal_is_told_from_none():
    assert message_refusal({"content": [{"type": "refusal", "refusal": "no"}]}) == "no"
    assert message_refusal({"content": [{"type": "output_text", "text": "no"}]}) is None


THOUGHTS = [
    ("content", {"content": [{"type": "reasoning_text", "text": "hm"}], "summary": []}, "hm"),
    ("summary", {"summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]}, "a\nb"),
    ("a gateway's content", {"content": [{"type": "output_text", "text": "hm"}]}, "hm"),
    ("encrypted", {"encrypted_content": "xyz", "summary": []}, ""),
    ("null", {"content": None, "summary": None}, ""),
]


@pytest.mark.parametrize(("name", "item", "expected"), THOUGHTS, ids=[row[0] for row in THOUGHTS])
def test_the_readable_thoughts(name: str, item: dict, expected: str):
    assert reasoning_text({"type": "reasoning", **item}) == expected


@pytest.mark.parametrize("item", [{"role": "user", "content": "Hi"}, {"role": "user", "type": None, "content": "Hi"}])
def test_a_message_gets_its_type(item: dict):
    assert with_message_type([item]) == [{"type": "message", "role": "user", "content": "Hi"}]


def test_items_with_a_type_stay_the_same_objects():
    item = {"type": "reasoning", "role": "assistant"}
    assert with_message_type([item])[0] is item


def test_a_text_message_keeps_its_string():
    assert user_message("Hi") == {"type": "message", "role": "user", "content": "Hi"}


def test_parts_become_a_list():
    parts = [
        Text("Hi"),
        Image.from_url("https://x/y.png", detail="low"),
        File.from_url("https://x/y.pdf", filename="y"),
    ]
    assert user_message(parts)["content"] == [
        {"type": "input_text", "text": "Hi"},
        {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"},
        {"type": "input_file", "filename": "y", "file_url": "https://x/y.pdf"},
    ]


def test_an_output_names_its_call():
    assert function_call_output("c", "7") == {"type": "function_call_output", "call_id": "c", "output": "7"}


IMAGES = [
    ("png", PNG, "image/png"),
    ("jpeg", b"\xff\xd8\xff\xe0", "image/jpeg"),
    ("gif", b"GIF89a..", "image/gif"),
    ("webp", b"RIFF\x00\x00\x00\x00WEBP", "image/webp"),
    ("bmp", b"BM..", "image/bmp"),
]


@pytest.mark.parametrize(("name", "data", "media_type"), IMAGES, ids=[row[0] for row in IMAGES])
def test_the_first_bytes_say_what_picture_it_is(name: str, data: bytes, media_type: str):
    assert Image.from_bytes(data).url == f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def test_a_picture_under_a_wrong_name_is_still_a_picture(tmp_path: Path):
    (tmp_path / "picture.txt").write_bytes(PNG)
    assert Image.from_path(tmp_path / "picture.txt").url.startswith("data:image/png;base64,")


def test_a_picture_of_another_kind_goes_by_its_name(tmp_path: Path):
    (tmp_path / "picture.svg").write_bytes(b"<svg/>")
    assert Image.from_path(tmp_path / "picture.svg").url.startswith("data:image/svg+xml;base64,")


def test_a_document_takes_name_and_media_type_from_its_path(tmp_path: Path):
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    assert File.from_path(tmp_path / "a.pdf").to_part() == {
        "type": "input_file",
        "filename": "a.pdf",
        "file_data": "data:application/pdf;base64,JVBERg==",
    }


REFUSED = [
    ("no picture", lambda: Image.from_bytes(b"hello"), "not a picture"),
    ("another media type", lambda: Image.from_bytes(PNG, media_type="text/plain"), "'text/plain'"),
    ("a path as URL", lambda: Image.from_url("cat.png"), "Image.from_path"),
    ("a file URL", lambda: File.from_url("file:///etc/passwd"), "File.from_path"),
    ("no such file", lambda: Image.from_path("no/such.png"), "can't read 'no/such.png': No such file"),
    ("a directory", lambda: File.from_path("."), "can't read '.'"),
]


@pytest.mark.parametrize(("name", "make", "message"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_no_part_is_refused(name: str, make, message: str):
    with pytest.raises(UsageError) as caught:
        make()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Text(3), "Text is a int; give a string"),
        (lambda: Text("x\udcff"), r"Text holds '\\udcff' at position 1"),
        (lambda: user_message("x\udcff"), r"the prompt holds '\\udcff' at position 1"),
        (lambda: Image.from_bytes("x"), "Image.from_bytes takes bytes, found a str"),
        (lambda: Image.from_url(3), "3 is no http, https or data URL"),
        (lambda: File.from_bytes("x", filename="a.txt"), "File.from_bytes takes bytes, found a str"),
        (lambda: File.from_bytes(b"", filename=""), "filename=''; give the name"),
        (lambda: File.from_bytes(b"x", filename=None), "filename=None; give the name"),
        (lambda: File.from_url(None), "None is no http or https URL"),
    ],
)
def test_values_of_a_wrong_kind_are_refused_where_they_are_given(make, message: str):
    with pytest.raises(UsageError, match=message):
        make()


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"type": "message"}, True),
        ({"role": "user"}, True),
        ({"type": None, "role": "user"}, True),
        ({"type": "reasoning", "role": "assistant"}, False),
        ({"content": "Hi"}, False),
    ],
)
def test_what_a_message_is(item: dict, expected: bool):
    assert is_message(item) is expected


def test_a_long_picture_prints_short():
    assert len(repr(Image.from_bytes(PNG * 1000))) < 60
