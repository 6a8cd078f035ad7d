"""Which requests are the same."""

from __future__ import annotations

import json
import random

import pytest

from agentkit.cassettes.matching.comparable import Ids
from agentkit.cassettes.matching.paths import parse_path, write_path
from agentkit.cassettes.matching.rules import Rules, ignored_fields
from agentkit.errors import UsageError
from tests.cassettes.full_request import BODY, NOT_COUNTED, URI, changed, encode, is_id, other, places, value_at

RULES = Rules()
EXACT = Rules(exact=True)


def key(body: object, *, rules: Rules = RULES, method: str = "POST", uri: str = URI) -> str:
    return rules.state(method, uri, body if isinstance(body, bytes) else encode(body)).key


def asked(*items: object, **fields: object) -> dict:
    return {"model": "m", **fields, "input": list(items)}


USER = {"type": "message", "role": "user", "content": "hi"}


def call(call_id: str, arguments: str = "{}", **fields: object) -> dict:
    return {
        "type": "function_call",
        "id": f"f{call_id}",
        "call_id": call_id,
        "name": "t",
        "arguments": arguments,
    } | fields


def output(call_id: str, text: str = "ok") -> dict:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


@pytest.mark.parametrize("path", [*places(BODY)], ids=write_path)
def test_each_place_that_counts_changes_the_key(path):
    mutated = changed(BODY, path, other(value_at(BODY, path)))
    assert (key(mutated) == key(BODY)) is is_id(path)
    assert key(mutated, rules=EXACT) != key(BODY, rules=EXACT)


@pytest.mark.parametrize(
    "path", [(name,) for name in BODY] + [("input", i) for i in range(len(BODY["input"]))], ids=write_path
)
def test_each_field_and_item_left_out_changes_the_key(path):
    fewer = {**BODY, "input": [*BODY["input"]]}
    del (fewer if len(path) == 1 else fewer["input"])[path[-1]]
    assert key(fewer) != key(BODY)


@pytest.mark.parametrize("index", range(len(BODY["input"])))
def test_each_field_of_an_item_left_out_changes_the_key(index):
    for name in BODY["input"][index]:
        fewer = {k: v for k, v in BODY["input"][index].items() if k != name}
        same = name == "type" and BODY["input"][index]["type"] == "message"
        assert (
            key({**BODY, "input": [*BODY["input"][:index], fewer, *BODY["input"][index + 1 :]]}) == key(BODY)
        ) is same


@pytest.mark.parametrize("name", NOT_COUNTED)
def test_fields_that_dont_count(name):
    assert key({name: NOT_COUNTED[name], **BODY}) == key({**BODY, name: None}) == key(BODY)
    assert key({name: NOT_COUNTED[name], **BODY}, rules=EXACT) != key(BODY, rules=EXACT)


EQUAL = [
    (
        "order of keys",
        asked(USER, a=1, b={"c": 1, "d": 2}),
        {"b": {"d": 2, "c": 1}, "input": [USER], "model": "m", "a": 1},
    ),
    ("no stream", asked(USER, stream=False), asked(USER)),
    ("whole floats", asked(USER, t=1), asked(USER, t=1.0)),
    ("negative zero", asked(USER, t=0), asked(USER, t=-0.0)),
    ("large floats", asked(USER, t=1e22), asked(USER, t=10**22)),
    ("a string as input", {"model": "m", "input": "hi"}, asked(USER)),
    ("no type", asked({"role": "user", "content": "hi"}), asked(USER)),
    ("a null type", asked({"type": None, "role": "user", "content": "hi"}), asked(USER)),
    ("parts", asked({"role": "user", "content": [{"type": "input_text", "text": "hi"}]}), asked(USER)),
    ("status", asked(USER, call("c", status="completed")), asked(USER, call("c"))),
    ("JSON in arguments", asked(call("c", '{"a":1,"b":2}')), asked(call("c", ' {"b": 2.0, "a": 1}\n'))),
    ("JSON in an output", asked(call("c"), output("c", "[1,2]")), asked(call("c"), output("c", "[1, 2.0]"))),
    (
        "ids",
        asked(call("a"), call("b"), output("a"), output("b")),
        asked(call("x"), call("y"), output("x"), output("y")),
    ),
    (
        "ids in texts",
        asked(call("call_77"), output("call_77", "see call_77.")),
        asked(call("call_x"), output("call_x", "see call_x.")),
    ),
    (
        "ids in JSON texts",
        asked(call("call_77"), output("call_77", '{"of":"call_77"}')),
        asked(call("c_99"), output("c_99", '{"of": "c_99"}')),
    ),
    ("escapes", rb'{"input":"\u00e9\/"}', '{"input":"é/"}'.encode()),
    ("spaces", b'{ "input" : "x" } ', b'{"input":"x"}'),
]


@pytest.mark.parametrize(("name", "one", "two"), EQUAL, ids=[row[0] for row in EQUAL])
def test_requests_that_are_the_same(name, one, two):
    assert key(one) == key(two)
    assert key(one, rules=EXACT) != key(two, rules=EXACT) or name in ("escapes", "spaces")


DIFFERENT = [
    ("true and 1", asked(USER, t=1), asked(USER, t=True)),
    ("a number and its text", asked(USER, t=1), asked(USER, t="1")),
    ("null and nothing", asked(USER, t=None), asked(USER)),
    ("the order of items", asked(USER, call("c")), asked(call("c"), USER)),
    (
        "an assistant's string",
        asked({"role": "assistant", "content": "a"}),
        asked({"role": "assistant", "content": [{"type": "output_text", "text": "a"}]}),
    ),
    (
        "which call an output answers",
        asked(call("a"), call("b"), output("a")),
        asked(call("a"), call("b"), output("b")),
    ),
    (
        "which id a text mentions",
        asked(call("call_1"), call("call_2"), output("call_1", "call_1")),
        asked(call("call_1"), call("call_2"), output("call_1", "call_2")),
    ),
    ("an id twice and two ids", asked(call("a"), call("a")), asked(call("a"), call("b"))),
    ("ids that point outside", asked(output("a")), asked(output("b"))),
    ("references", asked({"type": "item_reference", "id": "a"}), asked({"type": "item_reference", "id": "b"})),
    ("the conversation gone on with", asked(USER, previous_response_id="r1"), asked(USER, previous_response_id="r2")),
    (
        "a word that is an id",
        asked(call("sunny"), output("sunny", "it is sunny")),
        asked(call("rainy"), output("rainy", "it is rainy")),
    ),
    (
        "an id within a word",
        asked(call("call_1"), output("call_1", "xcall_1")),
        asked(call("call_2"), output("call_2", "xcall_2")),
    ),
    (
        "ids of the tool's own",
        asked(call("a"), output("a", '{"id":"u1"}')),
        asked(call("a"), output("a", '{"id":"u2"}')),
    ),
    ("JSON and a string with it", asked(call("a") | {"arguments": {"a": 1}}), asked(call("a", '{"a":1}'))),
    ("scalars in an output", asked(call("a"), output("a", "1.0")), asked(call("a"), output("a", "1"))),
    ("keys given twice in arguments", asked(call("a", '{"a":1,"a":2}')), asked(call("a", '{"a":2}'))),
    (
        "JSON in a message",
        asked({"role": "user", "content": '{"a":1}'}),
        asked({"role": "user", "content": '{"a": 1}'}),
    ),
    (
        "a mark in the text",
        asked(call("call_1"), output("call_1", "call_1")),
        asked(call("call_1"), output("call_1", "\x001\x00")),
    ),
    ("a mark for JSON", asked(call("c") | {"arguments": ["\x00json", 1]}), asked(call("c", "1"))),
    ("status within an output", asked(call("a"), output("a", '{"status":1}')), asked(call("a"), output("a", "{}"))),
    ("user within an output", asked(call("a"), output("a", '{"user":1}')), asked(call("a"), output("a", '{"user":2}'))),
    ("half of a character", asked({"role": "user", "content": "\ud800"}), asked({"role": "user", "content": "\ud801"})),
    ("no items", asked(), {"model": "m"}),
    ("keys given twice", b'{"model":"a","model":"b","input":"x"}', b'{"model":"b","input":"x"}'),
    ("bytes", b"\xff\x00", b"\xff\x01"),
    ("not JSON by spaces", b"a b", b"a  b"),
    ("nothing and null", b"", b"null"),
    ("NaN", b'{"input":NaN}', b'{"input":Infinity}'),
]


@pytest.mark.parametrize(("name", "one", "two"), DIFFERENT, ids=[row[0] for row in DIFFERENT])
def test_requests_that_are_not_the_same(name, one, two):
    one, two = (side if isinstance(side, bytes) else json.dumps(side).encode() for side in (one, two))
    assert key(one) != key(two)
    assert key(one, rules=EXACT) != key(two, rules=EXACT)


def test_a_string_that_holds_a_mark_is_not_what_the_mark_stands_for():
    ids = Ids()
    assert ids.number(call("call_1"))["call_id"] == "\x001\x00"
    assert ids.text("of call_1") == "of \x001\x00"
    assert ids.text("of \x001\x00") == "of \x00\x001\x00\x00"


PLACES = [
    ("https://a.com/v1/responses", "http://localhost:8080/v1/responses", True),
    ("https://a.com/v1/responses", "/v1/responses", True),
    ("https://a.com/v1/responses", "https://a.com/openai/v1/responses", True),
    ("https://a.com/v1/responses?api-version=1", "https://a.com/v1/responses?api-version=2", True),
    ("https://a.com/v1/responses?api-version=1", "https://a.com/v1/responses", True),
    ("https://a.com/v1/responses", "https://a.com/v1/models", False),
    ("https://a.com/v1/responses", "https://a.com/v1/responses/", True),
    ("https://a.com/orders?b=1&a=2", "https://a.com/orders?a=2&b=1", True),
    ("https://a.com/orders?a=", "https://a.com/orders", False),
    ("https://a.com/orders?key=AIza1", "https://a.com/orders?key=AIza2", True),
    ("https://a.com/orders?api-key=1", "https://a.com/orders", True),
    ("https://a.com/orders?access_token=1&x=1", "https://a.com/orders?x=1", True),
    ("https://a.com/v1/models", "https://b.com/v1/models", True),
    ("https://a.com/orders", "https://b.com/orders", False),
    ("https://A.com/orders", "https://u:p@a.com/orders", True),
    ("http://127.0.0.1:41223/orders", "http://localhost:9/orders", True),
]


@pytest.mark.parametrize(("one", "two", "same"), PLACES)
def test_places_of_requests(one, two, same):
    assert (key(b"{}", uri=one) == key(b"{}", uri=two)) is same


def test_the_method_counts_in_any_case():
    assert key(b"", method="get") == key(b"", method="GET") != key(b"", method="POST")


def test_a_tools_own_request_counts_as_it_is():
    """Only the API's `user` says nothing of what is asked."""
    shop = "https://shop.example.com/orders"
    assert key({"user": "a"}, uri=shop) != key({"user": "b"}, uri=shop)
    assert key({"user": "a", "n": 1}, uri=shop) == key({"n": 1.0, "user": "a"}, uri=shop)
    assert key(b"[1, 2]", uri=shop) != key(b"[1,2]", uri=shop)


IGNORE = [
    (["temperature"], asked(USER, temperature=1), asked(USER), True),
    (["input[*].content"], asked(USER), asked({**USER, "content": "ho"}), True),
    (["input[1].content"], asked(USER, USER), asked(USER, {**USER, "content": "ho"}), True),
    (["input[1].content"], asked(USER, USER), asked({**USER, "content": "ho"}, USER), False),
    (["input[0].content[0].text"], asked(USER), asked({**USER, "content": "ho"}), True),
    (
        ["tools[*].description"],
        asked(USER, tools=[{"name": "a", "description": "b"}]),
        asked(USER, tools=[{"name": "a"}]),
        True,
    ),
    (["tools[*].description"], asked(USER, tools=[{"name": "a"}]), asked(USER, tools=[{"name": "b"}]), False),
    (["input[*].output.time"], asked(output("a", '{"time":1,"n":2}')), asked(output("a", '{"n":2,"time":3}')), True),
    (["input[*].output.time"], asked(output("a", '{"time":1,"n":2}')), asked(output("a", '{"n":3,"time":3}')), False),
    (["input[*].output[1].a"], asked(output("a", '[0,{"a":1}]')), asked(output("a", '[0,{"a":2}]')), True),
    (["input[0]"], asked(USER), asked(call("a")), True),
    (["input[0]"], asked(USER), asked(), False),
    (["input"], asked(USER), asked(call("a"), USER), True),
    (
        ["input[*].id"],
        asked(call("a"), output("a")),
        asked({k: v for k, v in call("b").items() if k != "id"}, output("b")),
        True,
    ),
    (['text.format["a.b"]'], asked(USER, text={"format": {"a.b": 1}}), asked(USER, text={"format": {"a.b": 2}}), True),
    (["temperature", "input[*].id"], asked(USER), asked({**USER, "role": "system"}), False),
]


@pytest.mark.parametrize(("ignore", "one", "two", "same"), IGNORE)
def test_what_the_user_ignores(ignore, one, two, same):
    rules = Rules(ignore=ignore)
    assert (key(one, rules=rules) == key(two, rules=rules)) is same
    assert key(one) != key(two)


def test_ignored_places_hold_under_exact_rules_too():
    rules = Rules(ignore=["temperature", "input[*].content"], exact=True)
    assert key(asked(USER, temperature=1), rules=rules) == key(asked({**USER, "content": [1]}), rules=rules)
    assert key(asked(USER, user="a"), rules=rules) != key(asked(USER), rules=rules)


@pytest.mark.parametrize(
    "path",
    ["", ".", "a.", "a..b", "a[", "a[x]", "a[-1]", "$.a", "*", "[0]", "a b", 'a["b]', "a[*]b", None, 3, 'a["\\x"]'],
)
def test_paths_that_cant_be_read_are_refused(path):
    with pytest.raises(UsageError, match=r"the path .* Write it as the mismatch report does"):
        Rules(ignore=[path])


def test_a_lone_string_is_no_list_of_paths():
    with pytest.raises(UsageError, match="give a list of paths"):
        Rules(ignore="temperature")


@pytest.mark.parametrize("text", ["a", "a.b", "a[0].b", "a[*].b[3]", 'a["b.c"]', 'a["\\"]"].x', "a.x-y"])
def test_paths_are_written_as_they_are_read(text):
    assert write_path(parse_path(text)) == text


def test_a_fingerprint_tells_rules_apart():
    rules = [Rules(), EXACT, Rules(ignore=["a"]), Rules(ignore=["a", "b"]), Rules(ignore=["a"], exact=True)]
    assert len({each.fingerprint for each in rules}) == 5
    assert Rules(ignore=["a", "b"]).fingerprint == Rules(ignore=("b", "a")).fingerprint


def test_what_doesnt_count_is_listed_with_its_reason():
    body = asked(USER, call("c", '{"t": 5}', status="completed"), output("c"), user="u", temperature=1.0)
    found = ignored_fields(encode(body), Rules(ignore=["temperature", "input[*].arguments.t", "top_p"]))
    assert [(each.path, each.value, each.why) for each in found] == [
        ("user", "u", "labels for the account's owner"),
        ("input[1].status", "completed", "how far the server got"),
        ("input[1].id", "fc", "an id, counts by order of appearance"),
        ("input[1].call_id", "c", "an id, counts by order of appearance"),
        ("input[2].call_id", "c", "an id, counts by order of appearance"),
        ("temperature", 1.0, "ignored: temperature"),
        ("input[1].arguments.t", 5, "ignored: input[*].arguments.t"),
    ]
    assert ignored_fields(encode(body), EXACT) == []
    assert ignored_fields(b"no", RULES) == []


# Going on from an earlier request


def grows(bodies: list[bytes], rules: Rules) -> int:
    """Check that each body has the same state with and without the one before; return how many were gone on with."""
    state, gone_on = None, 0
    for body in bodies:
        whole = rules.state("POST", URI, body)
        if state is not None and state.growth is not None and state.growth.body is not None:
            tail = body[len(state.growth.body) - 2 :]
            if body.startswith(state.growth.body[:-2]) and (short := rules.grown(state, tail)) is not None:
                gone_on += 1
                assert (short.key, short.items) == (whole.key, whole.items)
        state = rules.state("POST", URI, body, state)
        assert (state.key, state.items) == (whole.key, whole.items)
        assert (state.growth is None) == (whole.growth is None)
    return gone_on


TEXTS = [
    "hi",
    "]}",
    '"}],"input":[',
    "\\",
    '\\"',
    "é\u2028",
    "\x00",
    "call_1",
    "id call_12 x",
    "{",
    "[1,",
    "\ud83d\ude00",
    "",
]


def random_value(source: random.Random, depth: int = 0) -> object:
    kind = source.randrange(7 if depth < 3 else 5)
    if kind == 5:
        return [random_value(source, depth + 1) for _ in range(source.randrange(3))]
    if kind == 6:
        return {source.choice(["input", "id", "status", "a", "]}"]): random_value(source, depth + 1) for _ in range(2)}
    return [source.choice(TEXTS), source.randrange(9), source.randrange(9) / 2, None, True][kind]


def random_item(source: random.Random) -> object:
    if source.random() < 0.2:
        return random_value(source)
    ids = f"call_{source.randrange(15)}"
    text = source.choice([source.choice(TEXTS), json.dumps(random_value(source)), f"about {ids}"])
    return source.choice(
        [
            {"role": "user", "content": text},
            call(ids, text, status="completed"),
            output(ids, text),
            {
                "type": "message",
                "role": "assistant",
                "id": f"msg_{ids}",
                "content": [{"type": "output_text", "text": text}],
            },
            {"type": "x", "input": [random_value(source)], "id": ids},
        ]
    )


@pytest.mark.parametrize(
    "rules",
    [RULES, EXACT, Rules(ignore=["input[2]", "input[*].output.a", "input[3].content"])],
    ids=["canonical", "exact", "ignore"],
)
def test_a_grown_conversation_has_the_key_that_it_has_read_whole(rules):
    gone_on = 0
    for seed in range(150):
        source = random.Random(seed)
        body = {"model": source.choice(TEXTS), "x": random_value(source), "input": []}
        bodies = []
        for _ in range(6):
            body["input"] = [*body["input"], *(random_item(source) for _ in range(source.randrange(1, 4)))]
            bodies.append(json.dumps(body, separators=source.choice([(",", ":")] * 4 + [(", ", ": ")])).encode())
        gone_on += grows(bodies, rules)
    assert gone_on > 300


HEAD = b'{"model":"m","input":[{"role":"user","content":"a"}'
DEEP = b'{"a":' * 199 + b"1" + b"}" * 199

TAILS = [
    ("added", HEAD + b"]}", HEAD + b',{"role":"user","content":"b"}]}', 1),
    ("spaces", HEAD + b"]}", HEAD + b', {"role":"user","content":"b"} ]}', 1),
    ("a field after input", HEAD + b"]}", HEAD + b'],"user":"x"}', 0),
    ("a list after input", HEAD + b"]}", HEAD + b'],"tools":[{}]}', 0),
    ("input twice", HEAD + b"]}", HEAD + b',{}],"input":[{}]}', 0),
    ("nothing added", HEAD + b"]}", HEAD + b"]}", 0),
    ("nothing after the comma", HEAD + b"]}", HEAD + b",]}", 0),
    ("closed twice", HEAD + b"]}", HEAD + b",{}]}]}", 0),
    ("the end in a string", HEAD + b"]}", HEAD + b',"]}', 0),
    ("a key given twice", HEAD + b"]}", HEAD + b',{"a":1,"a":2}]}', 0),
    ("not UTF-8", HEAD + b"]}", HEAD + b',"\xff"]}', 0),
    ("input isn't last", b'{"input":[{}],"x":[{}]}', b'{"input":[{}],"x":[{},{}]}', 0),
    ("input isn't a list", b'{"input":{"a":[1]}}', b'{"input":{"a":[1,2]}}', 0),
    ("nested input", b'{"x":{"input":[{}]}}', b'{"x":{"input":[{},{}]}}', 0),
    ("no items yet", b'{"input":[]}', b'{"input":[{}]}', 0),
    ("spaces at the end", HEAD + b"] }", HEAD + b",{}]}", 0),
    ("text after the end", HEAD + b"]}", HEAD + b",{}]} ", 0),
    ("too deep", HEAD + b"]}", HEAD + b"," + DEEP + b"]}", 0),
    ("nearly too deep", HEAD + b"]}", HEAD + b"," + DEEP[5:-1] + b"]}", 1),
    ("a byte order mark", b"\xef\xbb\xbf" + HEAD + b"]}", b"\xef\xbb\xbf" + HEAD + b",1]}", 1),
]


@pytest.mark.parametrize(("name", "one", "two", "gone_on"), TAILS, ids=[row[0] for row in TAILS])
def test_bodies_that_only_look_grown_are_read_whole(name, one, two, gone_on):
    assert grows([one, two], RULES) == gone_on


def test_a_state_can_be_gone_on_with_twice():
    first = RULES.state("POST", URI, encode(asked(call("call_1"))))
    one, two = (encode(asked(call("call_1"), call(name), output(name, name))) for name in ("call_2", "call_3"))
    states = [RULES.state("POST", URI, body, first) for body in (one, two, one)]
    assert states[0] == states[1] == states[2] == RULES.state("POST", URI, one)


def test_other_rules_or_another_place_dont_go_on():
    short, long = encode(asked(USER)), encode(asked(USER, USER))
    state = RULES.state("POST", URI, short)
    assert EXACT.state("POST", URI, long, state) == EXACT.state("POST", URI, long)
    assert EXACT.grown(state, b",{}]}") is None
    assert RULES.state("POST", URI + "/compact", long, state) == RULES.state("POST", URI + "/compact", long)
