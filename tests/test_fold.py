"""A stream's events folded into one response, for every server's way of sending them."""

from __future__ import annotations

import json
import time
import tracemalloc

import pytest

from agentkit.errors import ProtocolError, StreamBroken
from agentkit.events import ReasoningDelta, RefusalDelta, TextDelta, UnknownEvent
from agentkit.fold import ResponseFold
from agentkit.sse import ServerEvent


def event(kind: str, **fields: object) -> dict:
    return {"type": f"response.{kind}", **fields}


def fold(events: list) -> tuple[ResponseFold, list]:
    folded, shown = ResponseFold(), []
    for one in events:
        data = one if isinstance(one, ServerEvent) else ServerEvent("", json.dumps(one).encode())
        shown += folded.feed(data)
    return folded, shown


def output(events: list) -> list:
    folded, _ = fold(events)
    assert folded.response is not None
    return folded.response.output


def numbered(events: list[dict]) -> list[dict]:
    return [{**one, "sequence_number": number} for number, one in enumerate(events)]


def message(text: str, **more: object) -> dict:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}], **more}


def call(arguments: str = "", **more: object) -> dict:
    return {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": arguments, **more}


def added(item: dict, **more: object) -> dict:
    return event("output_item.added", item=item, **more)


def done(item: dict, **more: object) -> dict:
    return event("output_item.done", item=item, **more)


def text(delta: str, **more: object) -> dict:
    return event("output_text.delta", delta=delta, **more)


def arguments(delta: str, **more: object) -> dict:
    return event("function_call_arguments.delta", delta=delta, **more)


def completed(*items: dict, **more: object) -> dict:
    return event("completed", response={"status": "completed", "output": list(items), **more})


THOUGHT = {"type": "reasoning", "id": "rs", "summary": [], "content": [{"type": "reasoning_text", "text": "hmm"}]}
OPEN = {"id": "m", "type": "message", "role": "assistant", "content": [], "status": "in_progress"}
SAMBANOVA = numbered(
    [
        event("created", response={"status": "in_progress", "output": []}),
        event("in_progress", response={"status": "in_progress", "output": []}),
        added({"type": "reasoning", "id": "rs", "summary": []}, output_index=0),
        event("content_part.added", item_id="rs", output_index=0, part={"type": "reasoning_text", "text": ""}),
        event("reasoning_text.delta", item_id="rs", output_index=0, delta="h"),
        event("reasoning_text.delta", item_id="rs", output_index=0, delta="mm"),
        event("reasoning_text.done", item_id="rs", output_index=0, text="hmm"),
        event("content_part.done", item_id="rs", output_index=0, part={"type": "reasoning_text", "text": "hmm"}),
        done(THOUGHT, output_index=0),
        added(call(id="fc"), output_index=1),
        arguments('{"a"', item_id="fc", output_index=1),
        arguments(":1}", item_id="fc", output_index=1),
        event("function_call_arguments.done", item_id="fc", output_index=1, arguments='{"a":1}'),
        done(call('{"a":1}', id="fc", status="completed"), output_index=1),
        added(OPEN, output_index=2),
        event(
            "content_part.added", item_id="m", output_index=2, content_index=0, part={"type": "output_text", "text": ""}
        ),
        text("Hel", item_id="m", output_index=2, content_index=0),
        text("lo", item_id="m", output_index=2, content_index=0),
        event("output_text.done", item_id="m", output_index=2, content_index=0, text="Hello"),
        done(message("Hello", id="m"), output_index=2),
        completed(THOUGHT, call('{"a":1}', id="fc", status="completed"), message("Hello", id="m"), id="resp_1"),
    ]
)
WHOLE = [THOUGHT, call('{"a":1}', id="fc", status="completed"), message("Hello", id="m")]


def without(events: list[dict], *names: str) -> list[dict]:
    return [{k: v for k, v in one.items() if k not in names} for one in events]


VARIANTS = [
    ("as documented", SAMBANOVA),
    ("no sequence numbers", without(SAMBANOVA, "sequence_number")),
    ("llama.cpp: no numbers and no indexes", without(SAMBANOVA, "sequence_number", "output_index", "content_index")),
    ("no item ids in deltas", without(SAMBANOVA, "item_id")),
    ("neither ids nor indexes", without(SAMBANOVA, "item_id", "output_index", "sequence_number")),
    ("every number 0", [{**one, "sequence_number": 0} for one in SAMBANOVA]),
    ("numbers null", [{**one, "sequence_number": None} for one in SAMBANOVA]),
    ("numbers from 1", [{**one, "sequence_number": one["sequence_number"] + 1} for one in SAMBANOVA]),
    ("every event twice", [one for one in SAMBANOVA for _ in range(2)]),
    ("a gap, with a whole final output", SAMBANOVA[:5] + SAMBANOVA[6:]),
    ("only the terminal event", SAMBANOVA[-1:]),
    ("an empty final output", [*SAMBANOVA[:-1], completed()]),
    ("no final output", [*SAMBANOVA[:-1], event("completed", response={"status": "completed"})]),
    ("a final output null", [*SAMBANOVA[:-1], event("completed", response={"output": None})]),
    ("a final output of less", [*SAMBANOVA[:-1], completed(message("Hello", id="m"))]),
    ("no output_item.done", [one for one in without(SAMBANOVA, "sequence_number") if "item.done" not in one["type"]]),
    ("DONE at the end", [*SAMBANOVA, ServerEvent("", b"[DONE]")]),
    ("DONE in the middle", [*SAMBANOVA[:9], ServerEvent("", b" [DONE] "), *SAMBANOVA[9:]]),
    ("empty events", [ServerEvent("ping", b""), *SAMBANOVA[:5], ServerEvent("", b" "), *SAMBANOVA[5:]]),
    ("two terminal events", [*SAMBANOVA, event("failed", response={"error": {"code": "x"}})]),
    ("events afterwards", [*SAMBANOVA, text("more", item_id="m"), ServerEvent("", b"no JSON")]),
    (
        "types in the event: line only",
        [ServerEvent(e["type"], json.dumps(without([e], "type")[0]).encode()) for e in SAMBANOVA],
    ),
    ("event: lines that disagree", [ServerEvent("response.failed", json.dumps(e).encode()) for e in SAMBANOVA]),
]


@pytest.mark.parametrize(("name", "events"), VARIANTS, ids=[row[0] for row in VARIANTS])
def test_every_way_of_sending_gives_the_same_response(name: str, events: list):
    folded, shown = fold(events)
    assert folded.response is not None
    assert folded.response.output == WHOLE
    assert folded.response.status == "completed"
    assert "".join(e.text for e in shown if isinstance(e, TextDelta)) == "Hello"
    assert folded.mismatch is False


@pytest.mark.parametrize("end", range(len(SAMBANOVA)))
def test_a_stream_cut_short_has_no_response(end: int):
    folded, _ = fold([*SAMBANOVA[:end], ServerEvent("", b"[DONE]")])
    assert folded.response is None


def test_what_is_shown_comes_in_pieces():
    _, shown = fold(SAMBANOVA)
    assert shown == [ReasoningDelta("h", "rs"), ReasoningDelta("mm", "rs"), TextDelta("Hel", "m"), TextDelta("lo", "m")]


FOLDED = [
    (
        "llama.cpp: arguments only in output_item.done",
        [added(call(id="fc")), arguments("{}", item_id="fc"), done(call('{"x":2}', id="fc")), completed()],
        [call('{"x":2}', id="fc")],
    ),
    (
        "a local server: whole call when added, message at the same index",
        [
            added(call("{}", id="a", status="completed"), output_index=0),
            done(call("{}", id="a", status="completed"), output_index=0),
            added(OPEN, output_index=0),
            text("Hi", item_id="m", output_index=0),
            done(message("Hi", id="m"), output_index=0),
            completed(),
        ],
        [call("{}", id="a", status="completed"), message("Hi", id="m")],
    ),
    (
        "a whole call when added, never done",
        [added(call("{}", id="a")), completed()],
        [call("{}", id="a", status="completed")],
    ),
    ("a call never added", [done(call("{}", id="a")), completed()], [call("{}", id="a")]),
    (
        "output_item.done before arguments.done before deltas",
        [
            added(call(id="a")),
            arguments("1", item_id="a"),
            event("function_call_arguments.done", item_id="a", arguments="2"),
            done(call("3", id="a")),
            completed(),
        ],
        [call("3", id="a")],
    ),
    (
        "arguments.done before deltas",
        [
            added(call(id="a")),
            arguments("1", item_id="a"),
            event("function_call_arguments.done", item_id="a", arguments="2"),
            completed(),
        ],
        [call("2", id="a", status="completed")],
    ),
    (
        "arguments of deltas alone are not whole",
        [added(call(id="a")), arguments('{"a":', item_id="a"), completed()],
        [call('{"a":', id="a", status="incomplete")],
    ),
    (
        "text.done before deltas",
        [added(OPEN), text("a", item_id="m"), event("output_text.done", item_id="m", text="b"), completed()],
        [message("b", id="m", status="completed")],
    ),
    (
        "content_part.done before deltas",
        [
            added(OPEN),
            text("a", item_id="m"),
            event("content_part.done", item_id="m", part={"type": "output_text", "text": "b", "annotations": []}),
            completed(),
        ],
        [
            {
                **OPEN,
                "status": "completed",
                "content": [{"type": "output_text", "text": "b", "annotations": []}],
            }
        ],
    ),
    (
        "several parts, by their index",
        [
            added(OPEN),
            text("b", item_id="m", content_index=1),
            text("a", item_id="m", content_index=0),
            text("c", item_id="m", content_index=1),
            completed(),
        ],
        [
            {
                **OPEN,
                "status": "completed",
                "content": [{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "bc"}],
            }
        ],
    ),
    (
        "a refusal never joins a text, also without indexes",
        [added(OPEN), text("a", item_id="m"), event("refusal.delta", item_id="m", delta="no"), completed()],
        [
            {
                **OPEN,
                "status": "completed",
                "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "no"}],
            }
        ],
    ),
    (
        "summary and content of one reasoning item",
        [
            added({"type": "reasoning", "id": "r"}),
            event(
                "reasoning_summary_part.added", item_id="r", summary_index=0, part={"type": "summary_text", "text": ""}
            ),
            event("reasoning_summary_text.delta", item_id="r", summary_index=0, delta="s"),
            event("reasoning.delta", item_id="r", content_index=0, delta="c"),
            event("reasoning_summary_text.done", item_id="r", summary_index=1, text="t"),
            completed(),
        ],
        [
            {
                "type": "reasoning",
                "id": "r",
                "status": "completed",
                "summary": [{"type": "summary_text", "text": "s"}, {"type": "summary_text", "text": "t"}],
                "content": [{"type": "reasoning_text", "text": "c"}],
            }
        ],
    ),
    (
        "ids that change on the way (Copilot)",
        [
            added({**OPEN, "id": "m1"}, output_index=0),
            text("He", item_id="m2", output_index=0),
            text("y", item_id="m3", output_index=0),
            event("output_text.done", item_id="m4", output_index=0, text="Hey"),
            done(message("Hey", id="m5"), output_index=0),
            event("content_part.done", item_id="m6", output_index=0, part={"type": "output_text", "text": "Hey"}),
            added(call(id="a1"), output_index=1),
            arguments("{}", item_id="a2", output_index=1),
            event("function_call_arguments.done", item_id="a3", output_index=1, arguments="{}"),
            done(call("{}", id="a4"), output_index=1),
            completed(),
        ],
        [message("Hey", id="m5"), call("{}", id="a4")],
    ),
    (
        "a text that was never announced",
        [text("He", item_id="m"), text("y", item_id="m"), completed()],
        [message("Hey", id="m", status="completed")],
    ),
    (
        "an item added without id and index, a delta with both",
        [added(call()), arguments("x", item_id="a", output_index=0), done(call("{}", id="a")), completed()],
        [call("{}", id="a")],
    ),
    (
        "the same item done twice, without numbers",
        [added(call(id="a")), done(call("{}", id="a")), done(call("{}", id="a")), completed()],
        [call("{}", id="a")],
    ),
    (
        "the same item added twice, without numbers",
        [added(call(id="a")), added(call(id="a")), done(call("{}", id="a")), completed()],
        [call("{}", id="a")],
    ),
    (
        "an unknown item",
        [added({"type": "x:y", "id": "u"}), done({"type": "x:y", "id": "u", "z": [1]}), completed()],
        [{"type": "x:y", "id": "u", "z": [1]}],
    ),
    (
        "items in the order of their arrival",
        [done(call("1", id="b"), output_index=5), done(call("2", id="a"), output_index=0), completed()],
        [call("1", id="b"), call("2", id="a")],
    ),
    (
        "the final output says more",
        [done(message("a", id="m")), completed(message("a"), call("{}"))],
        [message("a"), call("{}")],
    ),
    (
        "an incomplete one",
        [added(OPEN), text("He", item_id="m"), event("incomplete", response={})],
        [message("He", id="m", status="incomplete")],
    ),
]


@pytest.mark.parametrize(("name", "events", "expected"), FOLDED, ids=[row[0] for row in FOLDED])
def test_what_events_fold_into(name: str, events: list, expected: list):
    def sort(items: list) -> list:
        return [json.dumps(item, sort_keys=True) for item in items]

    assert sort(output(events)) == sort(expected)


STATUS = [
    ("completed", {"status": "completed"}, "completed"),
    ("completed", {}, "completed"),
    ("completed", {"status": "in_progress"}, "completed"),
    ("completed", {"status": "incomplete"}, "incomplete"),
    ("completed", {"status": "failed"}, "failed"),
    ("incomplete", {"status": "completed"}, "incomplete"),
    ("incomplete", {}, "incomplete"),
    ("failed", {"status": "completed"}, "failed"),
    ("failed", {"output": None, "error": {"code": "server_error"}}, "failed"),
]


@pytest.mark.parametrize(("kind", "response", "expected"), STATUS)
def test_the_worse_of_event_and_response_is_the_status(kind: str, response: dict, expected: str):
    folded, _ = fold([done(call("{}", id="a")), event(kind, response=response)])
    assert folded.response.status == expected
    assert [c.name for c in folded.response.calls] == (["f"] if expected == "completed" else [])


def test_eight_interleaved_calls_keep_their_arguments_apart():
    calls = [call(id=f"fc_{n}") for n in range(8)]
    events = [added(item, output_index=n) for n, item in enumerate(calls)]
    for letter in "abcdefgh":
        events += [arguments(f"{letter}{n}", item_id=f"fc_{n}", output_index=n) for n in reversed(range(8))]
    whole = ["".join(f"{letter}{n}" for letter in "abcdefgh") for n in range(8)]
    ends = [event("function_call_arguments.done", item_id=f"fc_{n}", arguments=whole[n]) for n in range(8)]
    assert [item["arguments"] for item in output(numbered([*events, *ends, completed()]))] == whole
    by_index = without(numbered([*events, completed()]), "item_id")
    assert [item["arguments"] for item in output(by_index)] == whole


BROKEN = [
    ("no JSON", [ServerEvent("", b'{"type": "resp')], "an event that isn't JSON"),
    ("NaN", [ServerEvent("", b'{"type": "x", "a": NaN}')], "NaN is not JSON"),
    ("no object", [ServerEvent("", b"[1]")], "an event that is no object"),
    ("an item missing", [event("output_item.added")], "without an item"),
    ("an item null", [event("output_item.done", item=None)], "without an item"),
    ("a text delta null", [added(OPEN), text(None, item_id="m")], "a output_text delta that is no text"),
    ("an arguments delta null", [added(call(id="a")), arguments(None, item_id="a")], "no text"),
    ("arguments for nothing", [arguments("x", item_id="a", output_index=0)], "which was never opened"),
    ("arguments for another id", [added(call(id="a")), arguments("x", item_id="b")], "'b'"),
    ("arguments at another index", [added(call(id="a"), output_index=0), arguments("x", output_index=1)], "index 1"),
    (
        "arguments at an index open twice",
        [added(call(id="a"), output_index=0), added(call(id="b"), output_index=0), arguments("x", output_index=0)],
        "output_index 0",
    ),
    (
        "the same number, another content",
        [
            {**added(OPEN), "sequence_number": 0},
            {**text("a", item_id="m"), "sequence_number": 1},
            {**text("b", item_id="m"), "sequence_number": 1},
        ],
        "event 1 came after event 1",
    ),
    (
        "numbers out of order",
        [
            {**added(OPEN), "sequence_number": 0},
            {**text("a", item_id="m"), "sequence_number": 2},
            {**text("b", item_id="m"), "sequence_number": 1},
        ],
        "event 1 came after event 2",
    ),
    (
        "a gap without a final output",
        [
            {**added(OPEN), "sequence_number": 0},
            {**text("a", item_id="m"), "sequence_number": 2},
            {**completed(), "sequence_number": 3},
        ],
        "events are missing",
    ),
]


@pytest.mark.parametrize(("name", "events", "message"), BROKEN, ids=[row[0] for row in BROKEN])
def test_a_stream_that_contradicts_itself_is_broken(name: str, events: list, message: str):
    with pytest.raises(StreamBroken) as caught:
        fold(events)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("no response", [event("completed")]),
        ("a response null", [event("completed", response=None)]),
        ("neither output nor items", [event("completed", response={"status": "completed"})]),
        ("an output that is no list", [event("completed", response={"output": {}})]),
        ("items that are no objects", [event("completed", response={"output": [1]})]),
    ],
)
def test_a_terminal_event_without_a_response_breaks_the_protocol(name: str, events: list):
    with pytest.raises(ProtocolError):
        fold(events)


ERRORS = [
    (
        "flat",
        {"type": "error", "code": "c", "message": "m", "param": None},
        {"code": "c", "message": "m", "param": None},
    ),
    ("nested", {"type": "error", "error": {"code": "c", "message": "m"}}, {"code": "c", "message": "m"}),
    ("bare", {"error": {"code": 502, "message": "m"}}, {"code": 502, "message": "m"}),
    ("bare text", {"error": "m"}, "m"),
    ("with a type of its own", {"type": "server_error", "error": {"message": "m"}}, {"message": "m"}),
]


@pytest.mark.parametrize(("name", "data", "expected"), ERRORS, ids=[row[0] for row in ERRORS])
def test_an_error_event_is_kept_as_an_error_body(name: str, data: dict, expected: object):
    folded, _ = fold([added(OPEN), data])
    assert folded.error == {"error": expected}
    assert folded.response is None


def test_an_error_named_by_its_event_line_alone_is_one():
    folded, _ = fold([ServerEvent("error", b'{"type": "rate_limit_exceeded", "message": "m"}')])
    assert folded.error == {"error": {"message": "m"}}


def test_a_message_without_its_type_is_a_message():
    untyped = {"role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}
    opened = {"id": "m", "role": "assistant", "content": []}
    ways = [
        [completed(untyped)],
        [done(untyped), completed()],
        [added(opened), text("Hi", item_id="m"), done({**untyped, "id": "m"}), completed(untyped)],
    ]
    for events in ways:
        folded, shown = fold(events)
        assert [event.text for event in shown] == ["Hi"]
        assert folded.response.output_text == "Hi"
        assert folded.mismatch is False


def test_unknown_events_pass_as_they_came():
    data = {"type": "response.hologram.delta", "delta": 5}
    folded, shown = fold([data, {"type": "ping"}, *SAMBANOVA])
    assert shown[:2] == [UnknownEvent("response.hologram.delta", data), UnknownEvent("ping", {"type": "ping"})]
    assert folded.response.output == WHOLE


def test_a_final_response_that_differs_holds_and_is_noted():
    folded, _ = fold([added(OPEN), text("one", item_id="m"), completed(message("two"))])
    assert folded.response.output_text == "two"
    assert folded.mismatch is True


@pytest.mark.parametrize(
    ("name", "events", "expected"),
    [
        (
            "only in the final response",
            [completed(THOUGHT, message("Hi"))],
            [ReasoningDelta("hmm", "rs"), TextDelta("Hi")],
        ),
        ("only in output_item.done", [done(message("Hi", id="m")), completed(message("Hi"))], [TextDelta("Hi", "m")]),
        (
            "only in text.done",
            [added(OPEN), event("output_text.done", item_id="m", text="Hi"), completed()],
            [TextDelta("Hi", "m")],
        ),
        (
            "thoughts as deltas, the text at the end",
            [
                added({"type": "reasoning", "id": "rs"}),
                event("reasoning_text.delta", item_id="rs", delta="hmm"),
                completed(THOUGHT, message("Hi")),
            ],
            [ReasoningDelta("hmm", "rs"), TextDelta("Hi")],
        ),
        (
            "a refusal",
            [
                added(OPEN),
                event("refusal.delta", item_id="m", delta="no"),
                event("refusal.done", item_id="m", refusal="no"),
                completed(),
            ],
            [RefusalDelta("no", "m")],
        ),
    ],
)
def test_all_text_is_shown_once_however_it_comes(name: str, events: list, expected: list):
    _, shown = fold(events)
    assert shown == expected


@pytest.mark.parametrize("kind", [{}, [], None, 5])
def test_an_item_whose_type_is_no_text_is_kept(kind: object):
    """Found by fuzzing: a type that can't be hashed was a TypeError."""
    odd = {"type": kind, "id": "o", "arguments": kind}
    assert output([added(odd), done(odd), completed(odd)]) == [odd]
    assert output([done(odd), completed()]) == [odd]


def test_100_000_deltas_take_linear_time_and_the_memory_of_their_text():
    lines = [
        b'{"type":"response.output_text.delta","item_id":"m","sequence_number":%d,"delta":"abcd"}' % n
        for n in range(1, 100_001)
    ]
    folded = ResponseFold()
    folded.feed(ServerEvent("", json.dumps(added(OPEN)).encode()))
    tracemalloc.start()
    started = time.perf_counter()
    for line in lines:
        folded.feed(ServerEvent("", line))
    elapsed = time.perf_counter() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    folded.feed(ServerEvent("", json.dumps(completed()).encode()))
    assert folded.response.output_text == "abcd" * 100_000
    assert peak < 10_000_000  # 6.5 MB: StringIO holds 4 bytes a character; the events themselves would be 60 MB
    assert elapsed < 30  # 1 s, traced; quadratic joining takes minutes
