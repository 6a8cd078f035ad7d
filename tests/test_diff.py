"""What differs between two conversations."""

from __future__ import annotations

import time

from agentkit.diff import diff_items
from agentkit.transcript import Transcript

USER = {"type": "message", "role": "user", "content": "Hi there"}
CALL = {"type": "function_call", "call_id": "c", "name": "weather", "arguments": '{"city":"Oslo"}'}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "it is 21 degrees"}


def test_equal_lists_have_no_difference():
    diff = diff_items([USER, CALL], [dict(reversed(USER.items())), CALL])
    assert not diff
    assert diff.changes == ()
    assert str(diff) == "no difference in 2 items"


def test_a_changed_item_shows_its_fields_word_by_word():
    diff = diff_items([USER, CALL, OUTPUT], [USER, CALL, {**OUTPUT, "output": "it is 22 degrees"}])
    assert str(diff) == ("the first 2 items agree\n~ [2] function_call_output\n    output: it is [-21-] {+22+} degrees")


def test_items_on_one_side_show_their_content():
    diff = diff_items([USER, CALL], [CALL, OUTPUT])
    assert diff.changes == (("-", 0, USER), ("+", 1, OUTPUT))
    assert str(diff) == (
        "the first 0 items agree\n- [0] user message: 'Hi there'\n+ [1] function_call_output: 'it is 21 degrees'"
    )


def test_fields_that_come_and_go_are_shown():
    diff = diff_items([{**USER, "a": 1}], [{**USER, "b": None}])
    assert str(diff).splitlines()[2:] == ["    a: 1 -> None", "    b: None -> None"]


def test_numbers_that_are_equal_only_to_python_differ():
    diff = diff_items([{"type": "x", "n": 1, "m": 5}], [{"type": "x", "n": 1.0, "m": 5}])
    assert str(diff).splitlines()[1:] == ["~ [0] x", "    n: 1 -> 1.0"]


def test_another_kind_is_two_changes():
    diff = diff_items([CALL], [{"type": "x:y"}])
    assert [change[:2] for change in diff.changes] == [("-", 0), ("+", 0)]
    assert str(diff).splitlines()[1:] == [
        '- [0] function_call weather: \'{"city":"Oslo"}\'',
        "+ [0] x:y: {'type': 'x:y'}",
    ]


def test_items_of_every_shape_can_be_compared():
    shapes = [{}, {"type": None}, {"type": 5, "name": []}, {"a": "\ud800\u2028\x00"}, {"role": "user", "content": None}]
    for old in shapes:
        for new in shapes:
            assert isinstance(str(diff_items([old], [new])), str)


def test_long_values_are_cut():
    diff = diff_items([], [{**USER, "content": "x" * 100_000}])
    assert str(diff).endswith("x... (100002 characters)")


def test_long_texts_are_compared_in_no_time():
    old = " ".join(f"the word{n}" for n in range(20_000))
    new = "the same start " + " ".join(f"the other{n}" for n in range(20_000))
    started = time.perf_counter()
    lines = str(diff_items([{**USER, "content": old}], [{**USER, "content": new}])).splitlines()
    assert time.perf_counter() - started < 10  # 0.02 s; word by word it takes many minutes
    assert lines[2].startswith("    content: (1 words agree) [-word0 the word1 ")
    assert len(lines[2]) < 500


def test_transcripts_are_compared_as_they_are_sent():
    old = Transcript.from_items([USER, CALL, OUTPUT])
    assert not old.diff(Transcript.from_json(old.to_json()))
    assert [sign for sign, _, _ in old.diff(old.replace(2, {**OUTPUT, "output": "x"})).changes] == ["-", "+"]
