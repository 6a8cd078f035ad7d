"""A request that the cassette doesn't hold is told to the word."""

from __future__ import annotations

import json

import pytest

from agentkit.cassettes.interaction import Body
from agentkit.cassettes.matching.closest import Recorded, closest
from agentkit.cassettes.matching.mismatch import Mismatch, report
from agentkit.cassettes.matching.paths import write_path
from agentkit.cassettes.matching.rules import Rules
from agentkit.cassettes.matching.worddiff import hint, word_diff
from tests.cassettes.full_request import BODY, NOT_COUNTED, URI, changed, encode, is_id, other, places, value_at

RULES = Rules()
REMEDIES = [
    ("the change is wanted", "pytest --cassettes=extend   (plays turns 1..n-1, asks the model from there on)"),
    ("it differs on each run", "cassette scrub=[...] or freeze the clock/ids"),
    ("it is a bug", "mend the code; the recording is unchanged"),
]


def recorded(*bodies: object, uri: str = URI, method: str = "POST") -> list[Recorded]:
    pairs = enumerate(bodies, 1)
    return [Recorded(n, method, uri, Body(b if isinstance(b, bytes) else encode(b))) for n, b in pairs]


def told(live: object, *bodies: object, rules: Rules = RULES, uri: str = URI) -> Mismatch:
    body = live if isinstance(live, bytes) else encode(live)
    return report("POST", uri, body, recorded(*bodies), name="c.yaml", rules=rules)


def asked(*items: object, **fields: object) -> dict:
    return {"model": "m", **fields, "input": list(items)}


def message(text: str) -> dict:
    return {"type": "message", "role": "user", "content": text}


def shown_place(path: tuple) -> str:
    """Return where the report sees a place: a message's string is its one part."""
    is_text = len(path) == 3 and path[0] == "input" and path[2] == "content"
    return write_path((*path, 0, "text") if is_text else path)


COUNTED = [path for path in places(BODY) if not is_id(path)]


@pytest.mark.parametrize("path", COUNTED, ids=write_path)
def test_each_field_that_counts_is_shown_to_the_word(path):
    old = value_at(BODY, path)
    new = other(old)
    mismatch = told(changed(BODY, path, new), BODY)
    words = mismatch.text.splitlines()
    if path[-1] in ("call_id", "approval_request_id") or path == ("input", 11, "id"):
        assert "<id" in mismatch.text
        return
    assert mismatch.place == shown_place(path)
    assert mismatch.turn == 1
    assert any(line.split("   ")[0] == f"  {mismatch.place}" for line in words)
    if isinstance(old, str):
        assert "{+" in mismatch.text
        assert "changed+}" in mismatch.text
    elif path == ("stream",):
        assert "[-true-]" in mismatch.text  # false is the same as nothing
    else:
        assert f"[-{json.dumps(old)}-]{{+{json.dumps(new)}+}}" in mismatch.text


@pytest.mark.parametrize("name", NOT_COUNTED)
def test_fields_that_dont_count_are_not_reported(name):
    mismatch = told({**BODY, "temperature": 1, name: NOT_COUNTED[name]}, BODY)
    assert name not in mismatch.text.replace("[-", "")
    assert mismatch.place == "temperature"


def test_the_report_as_a_whole():
    words = " ".join(f"word{n}" for n in range(400))
    items = [message(f"{n} {words}") for n in range(36)]
    live = [*items[:20], message(items[20]["content"].replace("word200", "DIFFERENT")), *items[21:]]
    mismatch = report(
        "POST", URI, encode(asked(*live)), recorded(asked(*items)), name="cassettes/test_chat/test_long.yaml",
        rules=RULES, remedies=REMEDIES,
    )  # fmt: skip
    assert mismatch.text == (
        "cassettes/test_chat/test_long.yaml: the live request is not the recorded one (closest: turn 1 of 1).\n"
        "  35 of 36 input items agree; first difference at input[20]\n"
        "  input[20].content[0].text   (message user)\n"
        "      … word197 word198 word199 [-word200-]{+DIFFERENT+} word201 word202 word203 …\n"
        "  what to do:\n"
        "     the change is wanted   → pytest --cassettes=extend   (plays turns 1..n-1, asks the model from there on)\n"
        "     it differs on each run → cassette scrub=[...] or freeze the clock/ids\n"
        "     it is a bug            → mend the code; the recording is unchanged"
    )
    assert len(mismatch.text) <= 700
    assert mismatch.place == "input[20].content[0].text"


def lines(mismatch: Mismatch) -> list[str]:
    return mismatch.text.splitlines()


def test_a_date_in_the_instructions():
    mismatch = told(asked(instructions="Today is 2026-11-21."), asked(instructions="Today is 2026-11-20."))
    assert lines(mismatch) == [
        "c.yaml: the live request is not the recorded one (closest: turn 1 of 1).",
        "  instructions",
        "      Today is 2026-11-[-20-]{+21+}.",
        "      hint: the changed part looks like a date or time",
    ]


CALL = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city":"Oslo","n":[1,2]}'}
OUT = {"type": "function_call_output", "call_id": "c1", "output": "it rains"}
TOOL = {"type": "function", "name": "weather", "description": "Say the weather.", "parameters": {"type": "object"}}

CASES = [
    ("a field added", asked(a=1), asked(), "a", ["  a", "      {+1+}"]),
    ("a field removed", asked(), asked(a="x"), "a", ["  a", "      [-x-]"]),
    (
        "JSON in arguments by path",
        asked({**CALL, "arguments": '{"city":"Rome","n":[1,3]}'}),
        asked(CALL),
        "input[0].arguments.city",
        [
            "  0 of 1 input items agree; first difference at input[0]",
            "  input[0].arguments.city   (function_call weather)",
            "      [-Oslo-]{+Rome+}",
            "  input[0].arguments.n[1]   (function_call weather)",
            "      [-2-]{+3+}",
        ],
    ),
    (
        "arguments that are no JSON any more",
        asked({**CALL, "arguments": "{"}),
        asked({**CALL, "arguments": "{}"}),
        "input[0].arguments",
        [
            "  0 of 1 input items agree; first difference at input[0]",
            "  input[0].arguments   (function_call weather)",
            "      {[-}-]",
        ],
    ),
    (
        "an item added",
        asked(message("a"), CALL, OUT),
        asked(message("a"), OUT),
        "input[1]",
        [
            "  2 of 3 input items agree; first difference at input[1]",
        ],
    ),
    (
        "an item removed",
        asked(message("a")),
        asked(message("a"), message("b")),
        "input[1]",
        [
            "  1 of 2 input items agree; first difference at input[1]",
            "  input[1]   (message user)",
            '      [-{"type":"message","role":"user","content":[{"type":"input_text","text":"b"}]}-]',
        ],
    ),
    (
        "a tool added",
        asked(tools=[TOOL, {**TOOL, "name": "time"}]),
        asked(tools=[TOOL]),
        "tools[1]",
        ["  tools[1]   (function time)"],
    ),
    (
        "tools in another order",
        asked(tools=[TOOL, {**TOOL, "name": "time"}]),
        asked(tools=[{**TOOL, "name": "time"}, TOOL]),
        "tools",
        ["      hint: the same elements in another order"],
    ),
    ("a type", asked(a="1"), asked(a=1), "a", ["      hint: a number became a text"]),
    (
        "whitespace",
        asked(message("a  b")),
        asked(message("a b")),
        "input[0].content[0].text",
        ["      hint: whitespace only"],
    ),
    ("null", asked(a=None), asked(a={}), "a", ["      hint: an object became null"]),
    (
        "which call is answered",
        asked({**CALL, "call_id": "x1"}, {**CALL, "call_id": "x2"}, {**OUT, "call_id": "x2"}),
        asked({**CALL, "call_id": "y1"}, {**CALL, "call_id": "y2"}, {**OUT, "call_id": "y1"}),
        "input[2].call_id",
        ["      <id [-1-]{+2+}>"],
    ),
    ("bytes", b"hello you", asked(), "body", ["  body"]),
]


@pytest.mark.parametrize(("name", "live", "old", "place", "expected"), CASES, ids=[case[0] for case in CASES])
def test_what_is_told(name, live, old, place, expected):
    mismatch = told(live, old)
    assert mismatch.place == place
    assert [line for line in expected if line not in lines(mismatch)] == []


def test_ids_that_moved_are_not_reported():
    """One call more moves the numbers of all ids after it."""
    calls = [{**CALL, "call_id": f"call_{n}"} for n in range(6)]
    outs = [{**OUT, "call_id": f"call_{n}", "output": f"for call_{n}"} for n in range(6)]
    mismatch = told(asked(*calls, *outs), asked(*calls[1:], *outs[1:]))
    assert "10 of 12 input items agree" in mismatch.text


def test_a_whole_number_and_a_fraction_are_of_one_type():
    assert lines(told(asked(a=2.5), asked(a=2)))[-1] in ("      [-2.5-]{+2+}", "      [-2-]{+2.5+}")


def test_many_places_are_named_and_not_shown():
    fields = {f"field_{n}": n for n in range(12)}
    mismatch = told(asked(**{name: n + 1 for name, n in fields.items()}), asked(**fields))
    assert lines(mismatch)[-1] == "  differs too: field_3, field_4, field_5, field_6, field_7 and 4 more"
    assert mismatch.text.count("[-") == 3


def test_long_values_are_shortened():
    mismatch = told(asked(message("a " + "x y " * 20_000)), asked(message("b")))
    assert len(mismatch.text) < 500
    assert len(told(asked(a=["x" * 50_000]), asked()).text) < 400


def test_control_characters_dont_reach_the_terminal():
    text = told(asked(message("a\x1b[31m\nb")), asked(message("a"))).text
    assert "\x1b" not in text
    assert r"\x1b[31m\nb" in text


def test_a_request_that_was_played_already():
    one = told(asked(), asked(), asked(a=1))
    assert one.text == (
        "c.yaml: the only recording of exactly this request was played already (turn 1); "
        "the program asks once more than then."
    )
    two = told(asked(user="u"), asked(), asked(a=1), asked())
    assert two.text == (
        "c.yaml: all 2 recordings of exactly this request were played already (turns 1, 3); "
        "the program asks once more than then."
    )
    assert two.place == ""


def test_another_place_lists_what_there_is():
    mismatch = report("get", "/v1/models", b"", recorded(asked(), asked()), name="c.yaml", rules=RULES)
    assert mismatch == Mismatch(
        "c.yaml: no recorded request goes to GET /v1/models.\n  recorded are: POST /v1/responses (2)", "", None
    )
    assert report("GET", "/x", b"", [], name="c.yaml", rules=RULES).text == (
        "c.yaml: it holds no request, and the program makes one."
    )


def test_another_query_is_shown():
    """Of a request that isn't the API's: there the query is part of the base URL."""
    there = [Recorded(1, "GET", "https://a.example/orders?page=1", Body(b""))]
    mismatch = report("GET", "https://a.example/orders?page=2", b"", there, name="c.yaml", rules=RULES)
    assert mismatch.place == "query"
    assert "      page=[-1-]{+2+}" in lines(mismatch)


def test_ignored_places_are_not_reported():
    rules = Rules(ignore=["a", "input[*].content"])
    assert told(asked(message("x"), a=1, b=1), asked(message("y"), a=2, b=2), rules=rules).place == "b"


def test_exact_rules_report_order_and_form():
    exact = Rules(exact=True)
    assert told({"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}, rules=exact).place == "a"
    assert told({"a": 1, "b": 2}, {"b": 2, "a": 1}, rules=exact).place == "the order of the fields"
    assert told({"t": 1}, {"t": 1.0}, rules=exact).place == "t"
    assert told(asked(user="a"), asked(user="b"), rules=exact).place == "user"


# Which is closest


def test_the_closest_has_the_most_items_that_agree():
    texts = [message(f"text number {n}") for n in range(8)]
    bodies = [asked(*texts[:n]) for n in (2, 4, 6, 8)]
    assert told(asked(*texts[:5], message("other")), *bodies).turn == 3
    assert told(asked(message("other"), *texts[1:4]), *bodies).turn == 2
    assert told(asked(*texts[:7], message("other")), *bodies).turn == 4


def test_a_long_request_that_holds_much_of_a_short_one_is_not_closest():
    short = asked(message("hi"), stream=True)
    long = [asked(*(message(f"{n} {m}") for m in range(40)), stream=True, tools=[TOOL] * 9) for n in range(20)]
    assert told({**short, "temperature": 0.5}, *long, short, *long).turn == 21
    assert told({**BODY, "temperature": 0.1}, short, *long, BODY, *long).turn == 22


def test_of_equal_ones_that_which_was_not_played_is_closest():
    first, second = recorded(asked(message("a")), asked(message("a")))
    played = Recorded(1, first.method, first.uri, first.body, played=True)
    assert closest(encode(asked(message("b"))), [played, second], RULES).turn == 2
    told_of = report("POST", URI, encode(asked(message("b"))), [played], name="c", rules=RULES)
    assert "turn 1 of 1, played already" in told_of.text


def test_requests_kept_as_what_they_add_are_compared_by_it():
    body = Body(encode(asked(message("start"))))
    kept = [Recorded(1, "POST", URI, body)]
    for turn in range(2, 2001):
        body = Body(b"," + encode(message(f"text of turn {turn}")) + b"]}", body, body.size - 2)
        kept.append(Recorded(turn, "POST", URI, body))
    live = bytes(kept[1233].body).replace(b"text of turn 700", b"another text")
    found = report("POST", URI, live, kept, name="c", rules=RULES)
    assert found.turn == 1234
    assert found.place == "input[699].content[0].text"


# Words

WORDS = [
    ("same", "same", "same"),
    ("a b c", "a x c", "a [-b-]{+x+} c"),
    ("", "new", "{+new+}"),
    ("old", "", "[-old-]"),
    ("a b", "a b c", "a b{+ c+}"),
    ("one two three four", "one 2 3 four", "one [-two three-]{+2 3+} four"),
    ("x" * 300, "y" * 300, "[-" + "x" * 66 + " … " + "x" * 25 + "-]{+" + "y" * 66 + " … " + "y" * 25 + "+}"),
]


@pytest.mark.parametrize(("old", "new", "expected"), WORDS)
def test_words(old, new, expected):
    assert word_diff(old, new) == expected


def test_texts_without_a_word_in_common_are_compared_in_time():
    old, new = (" ".join(f"{side}{n}" for n in range(20_000)) for side in "ab")
    assert len(word_diff(old, new)) < 300


HINTS = [
    ("on 2026-11-20", "on 2026-11-21", "a date or time"),
    ("at 10:59", "at 11:00", "a date or time"),
    ("on Monday", "on Tuesday", "a date or time"),
    ("in March", "in April", "a date or time"),
    ("2026-11-27T10:00:00Z", "2026-11-27T10:00:01Z", "a date or time"),
    ("id 550e8400-e29b-41d4-a716-446655440000", "id 6ba7b810-9dad-11d1-80b4-00c04fd430c8", "an id"),
    ("call_x81hAb2Kq93Zz", "call_a7Hh22bYq93Zz", "an id"),
    ("in /srv/a/b.txt", "in /srv/c/b.txt", "a path"),
    ("<x at 0x7f00aa>", "<x at 0x7f00bb>", "a memory address"),
    ("took 12 ms", "took 14 ms", "a number"),
    ("took 1.25", "took 1.5", "a number"),
    ("a b", "a\nb", "whitespace only"),
    ("b a", "a b", "the same words in another order"),
    ("Hello", "hello", "upper and lower case only"),
    ("caf\u00e9", "cafe\u0301", "the same characters in another Unicode form, composed or not"),
    ("pay\u0070al", "pay\u0440al", "p (U+0070) became \u0440 (U+0440)"),
    ("a" * 2**20, "b" * 2**20, ""),
    ("a-_" * 2**16, "b-_" * 2**16, ""),
    ("the cat", "the dog", ""),
    ("12 cats", "12 dogs", ""),
]


@pytest.mark.parametrize(("old", "new", "expected"), HINTS)
def test_hints(old, new, expected):
    assert hint(old, new) == expected
