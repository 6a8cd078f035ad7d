"""Recordings compared as conversations."""

from __future__ import annotations

import random

import pytest

from agentkit.cassettes.review.comparison import Agreeing, Difference, compare, compare_words, differences
from tests.cassettes.made import answered, asking, call, message, output, plain, recorded, user

TALK = [
    plain(asking([user("Coat?")], instructions="Be brief."), answered([call("call_1", "weather", '{"city":"Oslo"}')])),
    plain(
        asking(
            [user("Coat?"), call("call_1", "weather", '{"city":"Oslo"}'), output("call_1", "7 C")],
            instructions="Be brief.",
        ),
        answered([message("Take a coat, it is cold.")]),
    ),
]


def signed(pieces: object) -> str:
    marks = {"-": "[-{}-]", "+": "{{+{}+}}", "=": "{}"}
    return "".join(marks[piece.sign].format(piece.text) for piece in pieces)  # type: ignore[attr-defined]


def test_the_same_recording_agrees() -> None:
    assert compare(recorded(*TALK), recorded(*TALK)) == (Agreeing(6),)


def test_tokens_ids_and_chunks_dont_count() -> None:
    other = [
        plain(asking([user("Coat?")], instructions="Be brief."), answered([message("x", name="msg_9")], tokens=(1, 2)))
    ]
    first = [plain(asking([user("Coat?")], instructions="Be brief."), answered([message("x")]))]
    assert differences(compare(recorded(*first), recorded(*other))) == []


def test_a_changed_word_is_the_whole_difference() -> None:
    changed = plain(
        asking(
            [user("Coat?"), call("call_1", "weather", '{"city":"Oslo"}'), output("call_1", "8 C")],
            instructions="Be brief.",
        ),
        answered([message("Take a jacket, it is cold.")]),
    )
    steps = compare(recorded(*TALK), recorded(TALK[0], changed))
    found = [(step.turn, step.label, signed(step.pieces)) for step in differences(steps)]
    assert found == [
        (1, "output of weather", "[-7-]{+8+} C"),
        (2, "assistant", "Take a [-coat-]{+jacket+}, it is cold."),
    ]
    assert steps[0] == Agreeing(4)


def test_a_number_is_one_word() -> None:
    assert signed(compare_words('{"price":25.0}', '{"price":27.5}')) == '{"price":[-25.0-]{+27.5+}}'


def test_what_is_on_one_side_only() -> None:
    steps = compare(recorded(*TALK), recorded(TALK[0]))
    found = differences(steps)
    assert [(each.label, each.new) for each in found] == [("output of weather", None), ("assistant", None)]
    assert isinstance(steps[-1], Difference)
    back = differences(compare(recorded(TALK[0]), recorded(*TALK)))
    assert [(each.label, each.old) for each in back] == [("output of weather", None), ("assistant", None)]


def test_json_is_compared_by_its_values() -> None:
    old = recorded(plain(asking("Hi"), answered([call("call_1", "a", '{"x":1,"y":[2]}')])))
    same = recorded(plain(asking("Hi"), answered([call("call_1", "a", '{"y": [2], "x": 1}')])))
    other = recorded(plain(asking("Hi"), answered([call("call_1", "a", '{"y": [3], "x": 1}')])))
    assert differences(compare(old, same)) == []
    (found,) = differences(compare(old, other))
    assert signed(found.pieces) == '{"x": 1, "y": [[-2-]{+3+}]}'


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", ""),
        ("", "a", "{+a+}"),
        ("a", "", "[-a-]"),
        (
            "the over agents over cities",
            "the over agents over DIFFERENT",
            "the over agents over [-cities-]{+DIFFERENT+}",
        ),
        ("a b c d", "x y c d e", "[-a b-]{+x y+} c d{+ e+}"),
        ("2026-11-20", "2026-11-21", "2026-11-[-20-]{+21+}"),
        ("one\ntwo", "one\nthree", "one\n[-two-]{+three+}"),
    ],
)
def test_words(old: str, new: str, expected: str) -> None:
    assert signed(compare_words(old, new)) == expected


def test_words_give_both_texts_back() -> None:
    chance = random.Random(1)
    words = ["a ", "b ", "c\n", "dd, ", " ", "é", "\n\n"]
    for length in (5, 40, 3000):
        for _ in range(20):
            old, new = ("".join(chance.choices(words, k=chance.randint(0, length))) for _ in range(2))
            pieces = compare_words(old, new)
            assert "".join(piece.text for piece in pieces if piece.sign != "+") == old
            assert "".join(piece.text for piece in pieces if piece.sign != "-") == new


def test_a_word_in_a_long_text_is_found() -> None:
    """Of 60,000 characters on one line, and on many."""
    for end in (" ", "\n"):
        text = end.join(f"word {number}" for number in range(6000))
        changed = text.replace("word 4000", "term 4000")
        assert [(p.sign, p.text) for p in compare_words(text, changed) if p.sign != "="] == [
            ("-", "word"),
            ("+", "term"),
        ]
