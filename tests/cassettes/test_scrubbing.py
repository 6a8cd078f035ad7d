"""What differs from machine to machine is replaced, and put back."""

from __future__ import annotations

import json
import random
import re
from itertools import pairwise

import pytest

from agentkit.cassettes.cleaning.edits import apply_edits, edit_chunks
from agentkit.cassettes.cleaning.hiding import HideNamed, hide_values
from agentkit.cassettes.cleaning.scrubbing import Scrubber, Surroundings
from agentkit.errors import UsageError

HERE = Surroundings(tmp="/tmp", home="/root", cwd="/root/pro", extra={"<tmp_path>": "/tmp/pytest-0/test_a0"})
SCRUBBER = Scrubber(surroundings=HERE)

PATHS = [
    ("in /tmp/x and /tmp.", "in <tmp>/x and <tmp>."),
    ("/tmp", "<tmp>"),
    ("/tmpfoo /tmp-x /tmp_1 /tmp.bak", "/tmpfoo /tmp-x /tmp_1 /tmp.bak"),
    ("/var/tmp ./tmp ../tmp ~/tmp a/tmp $X}/tmp", "/var/tmp ./tmp ../tmp ~/tmp a/tmp $X}/tmp"),
    ("/root/pro/a.py:3 /root/project /root", "<cwd>/a.py:3 <home>/project <home>"),
    ("/tmp/pytest-0/test_a0/b /tmp/pytest-0/test_a01", "<tmp_path>/b <tmp>/pytest-0/test_a01"),
    ("file:///root/x PATH=/bin:/root/bin,(/root)", "file://<home>/x PATH=/bin:<home>/bin,(<home>)"),
    ("a\n/root/x\t/root\r/tmp", "a\n<home>/x\t<home>\r<tmp>"),
    ("→/root/x’s", "→<home>/x’s"),
    ("/tmp/tmpab12cd_9/f /tmp/tmp /tmp/tmpab", "<tmp>/<run>/f <tmp>/tmp <tmp>/tmpab"),
    ("/tmp/pytest-of-ann/pytest-31/x", "<tmp>/<run>/x"),
    ("<object at 0x7f3a5c0b1d90> at 0x7F3A5C0B1D90", "<object at <address>> at <address>"),
    ("0x7f3a5c0b1d90 0x55d0a1b2c3d4", "<address> <address>"),
    ("0xDEADBEEF 0xff 0x7f 0x1234567890abcdef0 0xFF00FF", "0xDEADBEEF 0xff 0x7f 0x1234567890abcdef0 0xFF00FF"),
    ("nothing here", "nothing here"),
]


@pytest.mark.parametrize(("before", "after"), PATHS)
def test_paths_and_addresses_at_any_depth(before, after):
    """In a text, in JSON, in JSON within JSON; with characters escaped or not."""
    assert SCRUBBER.scrub(before.encode()).decode() == after
    for escape in (False, True):
        once = json.dumps({"a": before}, ensure_ascii=escape)
        twice = json.dumps({"arguments": once}, ensure_ascii=escape)
        assert json.loads(SCRUBBER.scrub(once.encode())) == {"a": after}
        assert json.loads(json.loads(SCRUBBER.scrub(twice.encode()))["arguments"]) == {"a": after}


def test_nothing_to_replace_gives_the_same_bytes():
    data = b'{"input":"hello"}'
    assert SCRUBBER.scrub(data) is data
    assert SCRUBBER.restore(data) is data
    assert Scrubber().scrub(b"/tmp/x") == b"/tmp/x"
    chunks = (b"a", b"b")
    assert SCRUBBER.scrub_chunks(chunks) is chunks


def test_escaped_slashes_are_paths_too():
    assert SCRUBBER.scrub(rb'{"a":"\/root\/pro\/x"}') == rb'{"a":"<cwd>\/x"}'


WINDOWS = Surroundings(tmp=r"C:\Temp", home=r"C:\Users\ann", cwd=r"C:\Users\ann\pro")


def test_backslashes_are_found_and_put_back_at_any_depth():
    scrubber = Scrubber(surroundings=WINDOWS)
    said = r"see C:\Users\ann\pro\a.py, C:/Temp/x and C:\Users\anna"
    wanted = r"see <cwd>\a.py, <tmp>/x and C:\Users\anna"
    back = r"see C:\Users\ann\pro\a.py, C:\Temp/x and C:\Users\anna"
    once = json.dumps({"a": said, "b": 'quo"te <x>'})
    twice = json.dumps({"arguments": once})
    assert scrubber.scrub_text(said) == wanted
    assert scrubber.restore_text(wanted) == back
    clean = scrubber.scrub(twice.encode())
    assert json.loads(json.loads(clean)["arguments"])["a"] == wanted
    assert json.loads(json.loads(scrubber.restore(clean))["arguments"])["a"] == back
    assert json.loads(scrubber.restore(scrubber.scrub(once.encode())))["a"] == back


def test_a_delta_of_arguments_gets_its_path_escaped_once_more():
    scrubber = Scrubber(surroundings=WINDOWS)
    events = [
        {"type": "response.function_call_arguments.delta", "delta": '{"a": "<home>'},
        {"type": "response.function_call_arguments.delta", "delta": '"}'},
        {"type": "response.output_text.delta", "delta": "in <home>"},
    ]
    chunks = tuple(f"data: {json.dumps(event)}\n\n".encode() for event in events)
    lines = [json.loads(chunk[5:])["delta"] for chunk in scrubber.restore_chunks(chunks)]
    assert json.loads(lines[0] + lines[1]) == {"a": r"C:\Users\ann"}
    assert lines[2] == r"in C:\Users\ann"


@pytest.mark.parametrize("home", ["/", "", "/w", "C:\\"])
def test_short_paths_stand_everywhere_and_are_left(home):
    assert Scrubber(surroundings=Surroundings(home=home)).scrub(b"a / b /w C:\\x") == b"a / b /w C:\\x"


def test_the_narrower_place_has_a_path_that_two_share():
    scrubber = Scrubber(
        surroundings=Surroundings(home="/root", cwd="/root", tmp="/work", extra={"<tmp_path>": "/work"})
    )
    assert scrubber.scrub(b"/root/a /work/b") == b"<cwd>/a <tmp_path>/b"


def test_here_knows_the_directories(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scrubber = Scrubber(surroundings=Surroundings.here({"<mine>": str(tmp_path / "mine")}))
    said = f"{tmp_path / 'a.txt'} {tmp_path / 'mine' / 'b'}"
    assert scrubber.scrub_text(said) == "<cwd>/a.txt <mine>/b"
    assert scrubber.restore_text("<cwd>/a.txt <mine>/b") == said


def test_what_is_scrubbed_comes_back():
    source = random.Random(5)
    pieces = ["/root/pro/x", "/tmp/y", "/root", " ", "\n", '"', "\\", "é", "/tmp/pytest-0/test_a0/z", "word"]
    for _ in range(300):
        text = " ".join(source.choice(pieces) for _ in range(6))
        body = json.dumps({"input": [{"arguments": json.dumps({"p": text})}]}).encode()
        clean = SCRUBBER.scrub(body)
        assert b"/root" not in clean
        assert json.loads(json.loads(SCRUBBER.restore(clean))["input"][0]["arguments"]) == {"p": text}


# Rules of the user


def change(*rules: object) -> Scrubber:
    return Scrubber(rules)  # type: ignore[arg-type]


RULES = [
    ([r"job-\d+"], {"a": "job-12 and job-x"}, {"a": "<scrubbed> and job-x"}),
    ([re.compile("JOB", re.IGNORECASE)], {"a": ["job"]}, {"a": ["<scrubbed>"]}),
    ([(r"(\d+) ms", r"<\1?> ms")], {"a": "12 ms"}, {"a": "<12?> ms"}),
    ([lambda text: text.replace("\n", "|")], {"a": "x\ny"}, {"a": "x|y"}),
    ([r"Today is .*"], {"a": "Today is Monday", "b": "x"}, {"a": "<scrubbed>", "b": "x"}),
    ([r"^x$"], {"a": json.dumps({"b": ["x", "xx"]})}, {"a": json.dumps({"b": ["<scrubbed>", "xx"]})}),
    ([("a", "b"), ("b", "c")], {"k": "a"}, {"k": "c"}),
    (
        [r"\w+"],
        {"type": "message", "role": "user", "content": "hi"},
        {"type": "message", "role": "user", "content": "<scrubbed>"},
    ),
    ([r"é"], {"a": "é\\u00e9"}, {"a": "<scrubbed>\\u00e9"}),
]


@pytest.mark.parametrize(("rules", "before", "after"), RULES)
def test_rules_of_the_user_hold_for_each_string(rules, before, after):
    for escape in (False, True):
        data = json.dumps(before, ensure_ascii=escape, indent=1)
        assert change(*rules).scrub(data.encode()).decode() == json.dumps(after, ensure_ascii=escape, indent=1)


def test_rules_of_the_user_hold_for_texts_that_are_no_json():
    assert change(r"job-\d+").scrub(b'<a href="x">job-1</a>') == b'<a href="x"><scrubbed></a>'
    assert change(r"job-\d+").scrub_text("job-1") == "<scrubbed>"
    assert change(r"job-\d+").scrub(b"\xff job-1") == b"\xff <scrubbed>"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("job", "give a list of rules"),
        ([7], r"scrub\[0\] is 7; give a pattern"),
        (["a", "("], r"scrub\[1\] is no regular expression"),
        ([("a", r"\2")], r"scrub\[0\] is no regular expression with its replacement"),
        ([("a", 1)], "give a pattern, a pair"),
        ([("a", "b", "c")], "give a pattern, a pair"),
        ([re.compile(b"a")], "give a text"),
        ([(7, "x")], "give a text"),
        (["a*"], "matches nothing at all, everywhere"),
    ],
)
def test_rules_that_are_none_are_refused(rules, message):
    with pytest.raises(UsageError, match=message):
        Scrubber(rules)


def test_a_function_that_returns_no_text_is_refused():
    with pytest.raises(UsageError, match=r"scrub\[0\] returned a NoneType"):
        change(lambda text: None).scrub(b'{"a":"b"}')


# Bodies that grow


def test_a_grown_body_is_scrubbed_as_it_is_read_whole():
    scrubber = Scrubber([r"job-\d+"], HERE, [hide_values({"KEY": "s3cret-value"}), HideNamed()])
    source = random.Random(3)
    texts = ["/root/pro/a", "job-12", "s3cret-value", '"}]}', "plain", '{"password":"abc"}', "/tmp"]
    for _ in range(100):
        items, after = [], None
        for _ in range(5):
            items += [{"role": "user", "content": source.choice(texts)} for _ in range(source.randrange(1, 3))]
            body = json.dumps({"model": "m", "input": items}, separators=(",", ":")).encode()
            after = scrubber.scrub_body(body, after)
            assert after.clean == scrubber.scrub(body)
            assert after.raw == body


def test_a_grown_body_without_anything_to_replace_is_kept_as_it_is():
    one, two = b'{"input":[{"a":"b"}]}', b'{"input":[{"a":"b"},{"c":"d"}]}'
    grown = SCRUBBER.scrub_body(two, SCRUBBER.scrub_body(one))
    assert grown.clean is grown.raw is two


# Chunks


def cut(data: bytes, source: random.Random) -> tuple[bytes, ...]:
    at = sorted({0, len(data), *(source.randrange(len(data) + 1) for _ in range(6))})
    return tuple(data[i:j] for i, j in pairwise(at))


def test_chunks_are_cut_where_they_were():
    chunks = (b"in /ro", b"ot/pro", b"/a, /t", b"mp", b" end")
    assert SCRUBBER.scrub_chunks(chunks) == (b"in <cwd>", b"", b"/a, <tmp>", b"", b" end")
    assert SCRUBBER.restore_chunks((b"in <cwd>", b"/a")) == (b"in /root/pro", b"/a")


def test_what_is_replaced_over_chunks_is_what_is_replaced_in_one():
    source = random.Random(9)
    data = json.dumps({"a": ["/root/pro/x s3cret-value /tmp", {"password": "p/tmp"}, "job-7"]}).encode()
    scrubber = Scrubber([r"job-\d+"], HERE, [hide_values({"KEY": "s3cret-value"}), HideNamed()])
    for _ in range(200):
        chunks = cut(data, source)
        clean = scrubber.scrub_chunks(chunks)
        assert b"".join(clean) == scrubber.scrub(data)
        assert len(clean) == len(chunks)


def test_boundaries_move_with_the_edits_before_them():
    edits = [(1, 3, b"XXXX"), (4, 4, b"+"), (5, 8, b"")]
    assert apply_edits(b"abcdefghij", edits) == b"aXXXXd+eij"
    assert edit_chunks((b"ab", b"cd", b"e", b"fghij"), [lambda data: edits]) == (b"aXXXX", b"d", b"+e", b"ij")


def stream(deltas: list[str], kind: str = "response.output_text.delta", **fields: object) -> tuple[bytes, ...]:
    events = [{"type": kind, "item_id": "msg_1", "delta": delta, **fields} for delta in deltas]
    done = {"type": kind.replace("delta", "done"), "text": "".join(deltas)}
    return tuple(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in [*events, done])


def read(chunks: tuple[bytes, ...]) -> tuple[list[str], str]:
    events = [json.loads(chunk.partition(b"data: ")[2]) for chunk in chunks]
    return [event["delta"] for event in events[:-1]], events[-1]["text"]


def test_what_is_spelled_out_over_deltas_is_replaced():
    scrubber = Scrubber([r"job-\d+"], HERE, [hide_values({"KEY": "s3cret-value"})])
    deltas, text = read(scrubber.scrub_chunks(stream(["key s3c", "ret", "-value in /ro", "ot/x, jo", "b-1", "2."])))
    assert deltas == ["key <KEY>", "", " in <home>", "/x, <scrubbed>", "", "."]
    assert text == "".join(deltas)


def test_arguments_spelled_out_are_json_as_a_whole():
    scrubber = Scrubber(["^x$"], HERE, [HideNamed()])
    kind = "response.function_call_arguments.delta"
    said = ['{"pass', 'word": "ab', 'c", "p": "/tm', 'p/\\"', '", "q": "x"}']
    deltas, text = read(scrubber.scrub_chunks(stream(said, kind)))
    assert json.loads("".join(deltas)) == {"password": "<secret>", "p": '<tmp>/"', "q": "<scrubbed>"}
    assert text == "".join(deltas)


def test_deltas_of_different_items_are_different_texts():
    scrubber = Scrubber(surroundings=HERE)
    mixed = [
        *stream(["in /ro"], item_id="a")[:1],
        *stream(["/tm"], item_id="b")[:1],
        *stream(["ot/x"], item_id="a")[:1],
        *stream(["p"], item_id="b"),
    ]
    deltas, _ = read(scrubber.scrub_chunks(tuple(mixed)))
    assert deltas == ["in <home>", "<tmp>", "/x", ""]


def test_a_users_rule_sees_no_delta_alone():
    deltas, text = read(change(r"\d+").scrub_chunks(stream(["12", "34 a", "5"])))
    assert deltas == ["<scrubbed>", " a", "<scrubbed>"]
    assert text == "".join(deltas) == "<scrubbed> a<scrubbed>"


def test_a_stream_cut_short_is_scrubbed_as_far_as_it_goes():
    whole = b"".join(stream(["see /tm", "p/x"]))
    for end in range(len(whole)):
        clean = SCRUBBER.scrub_chunks((whole[:end],))
        assert clean == SCRUBBER.scrub_chunks(clean)
