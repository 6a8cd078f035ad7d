"""JSON in and out: what is refused, and that what one side reads the other can write."""

from __future__ import annotations

import pytest

from agentkit.json import MAX_DEPTH, JSONError, decode, decode_strict, encode

BOTH_WAYS = [
    ("null", None, b"null"),
    ("order of keys", {"b": 1, "a": 2}, b'{"b":1,"a":2}'),
    ("non-ASCII", "æ€😀", b'"\xc3\xa6\xe2\x82\xac\xf0\x9f\x98\x80"'),
    ("line separator", "a\u2028b\u2029c\u0085", b'"a\xe2\x80\xa8b\xe2\x80\xa9c\xc2\x85"'),
    ("lone surrogate", "\ud800 æ", b'"\\ud800 \\u00e6"'),
    ("NUL", "a\x00b", b'"a\\u0000b"'),
    ("big integer", 12345678901234567890123, b"12345678901234567890123"),
    ("float", 0.1, b"0.1"),
    ("whole float", 1.0, b"1.0"),
    ("minus zero", -0.0, b"-0.0"),
    ("nested", [[{}], []], b"[[{}],[]]"),
]


@pytest.mark.parametrize(("name", "value", "data"), BOTH_WAYS, ids=[row[0] for row in BOTH_WAYS])
def test_values_go_both_ways(name: str, value: object, data: bytes):
    assert encode(value) == data
    assert decode(data) == value
    assert decode_strict(data) == value


REFUSED = [
    ("NaN", b'{"a": NaN}', "NaN is not JSON"),
    ("infinity", b"[-Infinity]", "-Infinity is not JSON"),
    ("too large a float", b"1e999", "number out of range: 1e999"),
    ("trailing text", b"{} {}", "Extra data at character 3"),
    ("cut short", b'{"a": ', "Expecting value at character 6"),
    ("nothing", b"", "Expecting value at character 0"),
    ("single quotes", b"{'a': 1}", "Expecting property name"),
    ("invalid UTF-8", b'"\xff"', "invalid UTF-8 at byte 1"),
    ("surrogate in UTF-8", b'"\xed\xa0\x80"', "invalid UTF-8 at byte 1"),
    ("raw line end in a string", b'"a\nb"', "Invalid control character"),
    ("5,000 digits", b"9" * 5000, "4300"),
    ("100,000 deep", b"[" * 100_000, "nested"),
    ("just too deep", b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), f"nested deeper than {MAX_DEPTH} levels"),
]


@pytest.mark.parametrize(("name", "data", "message"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_not_json_is_refused(name: str, data: bytes, message: str):
    for read in (decode, decode_strict):
        with pytest.raises(JSONError) as caught:
            read(data)
        assert message in str(caught.value)


def test_a_byte_order_mark_is_skipped():
    assert decode(b'\xef\xbb\xbf{"a":1}') == {"a": 1}


def test_text_is_read_like_bytes():
    assert decode('["\u2028"]') == ["\u2028"]


def test_the_last_of_equal_keys_wins():
    assert decode(b'{"a": 1, "a": 2}') == {"a": 2}


def test_strictly_read_equal_keys_are_refused_also_deep_down():
    with pytest.raises(JSONError, match="duplicate key 'b'"):
        decode_strict(b'{"a": [{"b": 1, "b": 1}]}')


def test_the_deepest_allowed_is_read_and_written():
    data = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert encode(decode(data)) == data


def test_many_brackets_are_not_deep():
    wide = [[] for _ in range(1000)]
    assert decode(encode(wide)) == wide


def test_brackets_in_text_are_not_deep():
    assert decode(encode("[" * 1000)) == "[" * 1000


def test_a_caller_can_allow_more_depth():
    assert decode(b"[[[]]]", max_depth=3) == [[[]]]
    with pytest.raises(JSONError, match="nested deeper than 2 levels"):
        decode(b"[[[]]]", max_depth=2)


def nested(depth: int) -> object:
    value: object = []
    for _ in range(depth):
        value = [value]
    return value


LOOP: list[object] = []
LOOP.append(LOOP)

UNWRITABLE = [
    ("set", {1}, "set"),
    ("NaN", float("nan"), "not JSON compliant"),
    ("too deep", nested(MAX_DEPTH), "nested deeper"),
    ("too deep in tuples", ((nested(MAX_DEPTH - 1),),), "nested deeper"),
    ("far too deep", nested(50_000), "not representable"),
    ("circular", LOOP, "not representable"),
    ("5,000 digits", 10**5000, "4300"),
    ("key of a wrong type", {(1, 2): 3}, "not representable"),
]


@pytest.mark.parametrize(("name", "value", "message"), UNWRITABLE, ids=[row[0] for row in UNWRITABLE])
def test_what_has_no_json_is_refused(name: str, value: object, message: str):
    with pytest.raises(JSONError) as caught:
        encode(value)
    assert message in str(caught.value)
