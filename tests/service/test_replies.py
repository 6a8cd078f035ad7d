"""Builders of replies, and what is refused as one."""

import asyncio

import pytest

from agentkit.errors import UsageError
from agentkit.service.replies import (
    Answer,
    Call,
    Failure,
    Text,
    as_answer,
    call,
    disconnect,
    event,
    failed,
    failure,
    incomplete,
    reply,
    structured,
    text,
)


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ("Hello", ("Hello",)),
        (text("Hello"), (Text(("Hello",)),)),
        (["Hello", call("f")], ("Hello", Call("f", ("{}",)))),
        (("a", "b"), ("a", "b")),
        ([], ()),
        ({"type": "unheard_of"}, ({"type": "unheard_of"},)),
        (reply("a", delay_s=1), ("a",)),
    ],
)
def test_a_reply_is_a_part_or_a_list_of_parts(given, parts):
    answer = as_answer(given)
    assert isinstance(answer, Answer)
    assert answer.parts == parts
    assert answer.status == "completed"


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ({"city": "Osló", "n": 1}, '{"city":"Osló","n":1}'),
        (None, "{}"),
        ('{"city": "Oslo"', '{"city": "Oslo"'),
        ("", ""),
    ],
)
def test_arguments_given_as_text_are_sent_as_they_are(arguments, sent):
    assert call("weather", arguments).pieces == (sent,)


def test_structured_is_compact_json():
    assert structured({"a": [1, None]}) == Text(('{"a":[1,null]}',))


def test_failure_has_sambanovas_envelope():
    assert failure(400, code="invalid_value", message="No.", param="input", headers={"x-a": "b"}) == Failure(
        400,
        {"error": {"message": "No.", "type": "invalid_request_error", "param": "input", "code": "invalid_value"}},
        (("x-a", "b"),),
    )


def test_failure_takes_any_body():
    assert failure(502, body="<html>").body == "<html>"


def test_failed_and_incomplete_are_answers_with_a_status():
    assert failed("par", code="server_error", message="Oh.") == Answer(
        ("par",), status="failed", error={"code": "server_error", "message": "Oh."}, error_event="nested"
    )
    assert incomplete("par", reason="content_filter").reason == "content_filter"


def test_event_carries_its_fields():
    assert event("response.new", x=1).event == {"type": "response.new", "x": 1}


def test_replies_that_stand_alone_pass():
    assert as_answer(disconnect()) == disconnect()
    assert as_answer(failure(500)).status == 500


@pytest.mark.parametrize("given", [None, 5, object(), asyncio.Event(), b"bytes"])
def test_anything_else_is_a_usage_error_with_its_type(given):
    with pytest.raises(UsageError, match=type(given).__name__):
        as_answer(given)


@pytest.mark.parametrize("given", [["a", failure(500)], [reply("a")], ["a", None], [["a"]]])
def test_a_list_holds_parts_only(given):
    with pytest.raises(UsageError, match="isn't a part of a response"):
        as_answer(given)
