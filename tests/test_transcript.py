"""The conversation as a value: what may follow what, what goes out, and what survives."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle

import pytest

from agentkit.entries import InputEntry, OutputRecord, OutputsEntry, ResponseEntry, encode_items
from agentkit.errors import TranscriptError, UsageError
from agentkit.response import Response
from agentkit.transcript import Transcript
from agentkit.view import InputView

USER = {"type": "message", "role": "user", "content": "Hi"}
SYSTEM = {"type": "message", "role": "system", "content": "Be brief"}
ANSWER = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}


def call(call_id: object = "call_1", **more: object) -> dict:
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}", **more}


def output(call_id: object = "call_1", value: object = "7") -> dict:
    return {"type": "function_call_output", "call_id": call_id, "output": value}


def asked(*items: dict, instructions: str | None = None) -> InputEntry:
    return InputEntry(encode_items(items or (USER,)), instructions)


def answered(*items: dict, **response: object) -> ResponseEntry:
    return ResponseEntry.of(Response({**response, "output": list(items)}))


def gave(*call_ids: str) -> OutputsEntry:
    return OutputsEntry(encode_items(map(output, call_ids)), tuple(map(OutputRecord, call_ids)))


def kinds(transcript: Transcript) -> list[str]:
    return [type(entry).__name__.removesuffix("Entry").lower() for entry in transcript.entries]


WHOLE_RUN = Transcript(
    [
        asked(SYSTEM, USER, instructions="Be kind"),
        answered(THOUGHT, call("a"), call("b")),
        gave("a", "b"),
        answered(ANSWER),
        asked(USER),
        answered(call("c")),
        gave("c"),
        answered(ANSWER),
    ]
)


class TestAppend:
    LEGAL = (
        ("a prompt first", [asked()]),
        ("a prompt after a prompt", [asked(), asked()]),
        ("a response first", [answered(ANSWER)]),
        ("an empty response", [asked(), answered()]),
        ("a response after a response", [asked(), answered(THOUGHT), answered(ANSWER)]),
        ("a prompt after an answer", [asked(), answered(ANSWER), asked()]),
        ("outputs in another order", [asked(), answered(call("a"), call("b")), gave("b", "a")]),
        ("two calls of one id", [asked(), answered(call("a"), call("a")), gave("a", "a")]),
        ("a prompt after outputs", [asked(), answered(call("a")), gave("a"), asked()]),
        ("a prompt after a call cut off", [asked(), answered(call("a", status="incomplete")), asked()]),
        ("a prompt after calls of a failed response", [asked(), answered(call("a"), status="failed"), asked()]),
        ("an id used before", [answered(call("a")), gave("a"), answered(call("a")), gave("a")]),
    )

    @pytest.mark.parametrize(("name", "entries"), LEGAL, ids=[row[0] for row in LEGAL])
    def test_what_may_stand(self, name: str, entries: list):
        grown = Transcript()
        for entry in entries:
            grown = grown.append(entry)
        assert grown.entries == tuple(entries)
        assert Transcript(entries) == grown

    ILLEGAL = (
        ("a prompt over an open call", [asked(), answered(call("a")), asked()], "entries[2]: a new prompt while"),
        ("a response over one", [answered(call("a")), answered(ANSWER)], "entries[1]: a response while"),
        ("outputs first", [gave("a")], "entries[0]: outputs for the calls ['a'], but open are []"),
        ("outputs after an answer", [answered(ANSWER), gave("a")], "entries[1]"),
        ("outputs twice", [answered(call("a")), gave("a"), gave("a")], "entries[2]"),
        ("a part of the outputs", [answered(call("a"), call("b")), gave("a")], "open are ['a', 'b']"),
        ("one output twice", [answered(call("a"), call("b")), gave("a", "a")], "open are ['a', 'b']"),
        ("an output too many", [answered(call("a")), gave("a", "a")], "open are ['a']"),
        ("another id", [answered(call("a")), gave("b")], "for the calls ['b'], but open are ['a']"),
        ("no outputs where none are due", [asked(), gave()], "entries[1]"),
        ("outputs of a call cut off", [answered(call("a", status="incomplete")), gave("a")], "open are []"),
        ("an item", [USER], "is no entry"),
    )

    @pytest.mark.parametrize(("name", "entries", "message"), ILLEGAL, ids=[row[0] for row in ILLEGAL])
    def test_what_may_not_stand(self, name: str, entries: list, message: str):
        before = Transcript(entries[:-1])
        with pytest.raises(TranscriptError) as caught:
            before.append(entries[-1])
        assert message in str(caught.value)
        assert before.entries == tuple(entries[:-1])
        with pytest.raises(TranscriptError):
            Transcript(entries)

    def test_appending_leaves_the_old_one_as_it_was(self):
        old = Transcript([asked()])
        new = old.append(answered(ANSWER))
        assert kinds(old) == ["input"]
        assert kinds(new) == ["input", "response"]

    def test_a_transcript_cannot_be_assigned_to(self):
        with pytest.raises(dataclasses.FrozenInstanceError):
            WHOLE_RUN.entries = ()
        with pytest.raises(AttributeError):
            WHOLE_RUN.entries[0].data = b""

    def test_changing_the_items_changes_nothing(self):
        transcript = Transcript([asked()])
        transcript.items[0]["content"] = "changed"
        transcript.entries[0].items.clear()
        assert transcript.items == [USER]

    def test_an_entry_does_not_share_the_response_it_was_made_of(self):
        item = {**ANSWER}
        entry = answered(item)
        item["role"] = "changed"
        assert entry.items == [ANSWER]


class TestFromItems:
    GROUPED = (
        ("nothing", [], []),
        ("prompts", [SYSTEM, USER], ["input"]),
        ("a response of many items", [USER, THOUGHT, call("a"), output("a")], ["input", "response", "outputs"]),
        ("outputs in another order", [call("a"), call("b"), output("b"), output("a")], ["response", "outputs"]),
        (
            "rounds",
            [call("a"), output("a"), call("a"), output("a"), ANSWER],
            ["response", "outputs"] * 2 + ["response"],
        ),
        ("a prompt after outputs", [call("a"), output("a"), USER], ["response", "outputs", "input"]),
        ("open calls at the end", [USER, call("a")], ["input", "response"]),
        ("a message without a type", [{"role": "user", "content": "Hi"}], ["input"]),
        ("an unknown item", [USER, {"type": "compaction"}, USER], ["input", "response", "input"]),
        ("an empty call_id", [call(""), output("")], ["response", "outputs"]),
        ("output parts", [call("a"), output("a", [{"type": "input_text", "text": "7"}])], ["response", "outputs"]),
        (
            "another call's output among the functions'",
            [{"type": "custom_tool_call"}, call("a"), {"type": "custom_tool_call_output"}, output("a"), ANSWER],
            ["response", "outputs", "response"],
        ),
        (
            "another call's output later",
            [call("a"), output("a"), USER, {"type": "computer_call_output"}],
            ["response", "outputs", "input"],
        ),
        ("a call cut off", [USER, call("a", status="incomplete"), USER], ["input", "response", "input"]),
    )

    @pytest.mark.parametrize(("name", "items", "expected"), GROUPED, ids=[row[0] for row in GROUPED])
    def test_items_are_grouped(self, name: str, items: list, expected: list[str]):
        transcript = Transcript.from_items(items)
        assert kinds(transcript) == expected
        assert [{"type": "message", **i} for e in transcript.entries for i in e.items] == [
            {"type": "message", **i} for i in items
        ]

    REFUSED = (
        ("an output before its call", [USER, output("a"), call("a")], "items[1]: an output for call_id 'a'"),
        ("an output for nothing", [output("a")], "items[0]"),
        ("an unknown id", [call("a"), output("b")], "items[1]: an output for call_id 'b', but the calls without"),
        ("two outputs for a call", [call("a"), output("a"), output("a")], "items[2]"),
        ("an output too late", [call("a"), output("a"), USER, output("a")], "items[3]"),
        ("partial outputs at the end", [call("a"), call("b"), output("a")], "items[2]: the list ends"),
        ("partial outputs, then a prompt", [call("a"), call("b"), output("a"), USER], "items[3]: a user message while"),
        ("partial outputs, then an answer", [call("a"), call("b"), output("b"), ANSWER], "items[3]"),
        ("a prompt over an open call", [call("a"), USER], "items[1]: a user message while the calls ['a'] wait"),
        ("an item_reference", [USER, {"type": "item_reference", "id": "x"}], "items[1]: an item_reference"),
        ("a string", [USER, "Hi"], "items[1]: 'Hi' is no item"),
        ("null", [None], "items[0]: None is no item"),
        ("text for a list", "Hi", "items[0]: 'H' is no item"),
        ("an unknown role", [{"role": "narrator", "content": "x"}], "items[0]: a message with role 'narrator'"),
        ("no role", [USER, {"type": "message", "content": "x"}], "items[1]: a message with role None"),
        ("no content", [USER, {"role": "system"}], "items[1]: a system message with content None"),
        ("content of a wrong type", [{"role": "user", "content": 5}], "items[0]: a user message with content 5"),
        ("no type", [{"id": "x"}], "items[0]: `type` is None, and the keys are ['id']"),
        ("a type that is no string", [{"type": 5, "role": "user"}], "items[0]: `type` is 5"),
        ("an output null", [call("a"), output("a", None)], "items[1]: `output` is None"),
        ("an output number", [call("a"), output("a", 7)], "items[1]: `output` is 7"),
        ("an output object", [call("a"), output("a", {"t": 7})], "items[1]: `output` is {'t': 7}"),
        ("an output without call_id", [call("a"), {"type": "function_call_output", "output": "7"}], "call_id None"),
        ("an output for a call cut off", [call("a", status="incomplete"), output("a")], "items[1]"),
        ("values that are no JSON", [{**USER, "x": {1, 2}}], "items[0]: not representable as JSON"),
        ("NaN", [{**USER, "x": float("nan")}], "items[0]: not representable as JSON"),
    )

    @pytest.mark.parametrize(("name", "items", "message"), REFUSED, ids=[row[0] for row in REFUSED])
    def test_an_illegal_item_is_named_by_its_index(self, name: str, items: list, message: str):
        with pytest.raises(TranscriptError) as caught:
            Transcript.from_items(items)
        assert message in str(caught.value)

    def test_the_items_of_a_run_make_it_again(self):
        again = Transcript.from_items(WHOLE_RUN.items)
        assert again.items == WHOLE_RUN.items
        assert kinds(again) == kinds(WHOLE_RUN)

    def test_items_given_later_continue_open_calls(self):
        transcript = Transcript.from_items([call("a")]).extend([output("a"), USER], instructions="New")
        assert kinds(transcript) == ["response", "outputs", "input"]
        assert transcript.instructions == "New"

    def test_a_prompt_over_open_calls_says_what_to_do(self):
        open_run = Transcript.from_items([call("a")])
        with pytest.raises(TranscriptError, match=r"continuing without a prompt \(input=None\)"):
            open_run.extend([USER])


@pytest.mark.parametrize(
    ("misuse", "message"),
    [
        (lambda t: Transcript.from_json(3), "not a transcript: a int"),
        (lambda t: Transcript.from_json(None), "not a transcript: a NoneType"),
        (lambda t: Transcript.from_items(None), "items is None; give a list of items"),
        (lambda t: t.extend(5), "items is 5; give a list of items"),
        (lambda t: Transcript(5), "entries is 5; give a list of entries"),
        (lambda t: t.fork(turn="1"), "turn '1' given"),
        (lambda t: t.fork(turn=True), "turn True given"),
        (lambda t: t.diff(3), "can't be compared with a int"),
    ],
)
def test_values_of_a_wrong_kind_are_refused(misuse, message: str):
    with pytest.raises(UsageError, match=message):
        misuse(Transcript([asked(USER), answered()]))


def test_what_a_server_wrote_without_content_is_kept_as_it_came():
    items = [USER, {"type": "message", "role": "assistant", "id": "m"}]
    assert Transcript.from_items(items).items == items


class TestInstructions:
    def test_the_last_ones_are_in_force(self):
        transcript = Transcript([asked(instructions="one"), asked(instructions="two"), asked()])
        assert transcript.instructions == "two"

    def test_there_may_be_none(self):
        assert Transcript([asked()]).instructions is None


class TestFork:
    @pytest.mark.parametrize(("turn", "entries"), [(0, 1), (1, 3), (2, 4), (3, 7), (4, 8)])
    def test_a_fork_holds_so_many_responses_and_their_outputs(self, turn: int, entries: int):
        fork = WHOLE_RUN.fork(turn=turn)
        assert fork.entries == WHOLE_RUN.entries[:entries]
        assert fork.turns == turn
        assert fork.open_calls == []

    @pytest.mark.parametrize("turn", [-1, 5])
    def test_a_turn_that_is_not_there_is_refused(self, turn: int):
        with pytest.raises(TranscriptError, match=rf"turn {turn} given, this transcript has 4. Give 0 to 4."):
            WHOLE_RUN.fork(turn=turn)

    def test_open_calls_stay_open_in_a_fork(self):
        fork = Transcript([asked(), answered(call("a"))]).fork(turn=1)
        assert [c.call_id for c in fork.open_calls] == ["a"]

    def test_an_empty_transcript_forks_to_itself(self):
        assert Transcript().fork(turn=0) == Transcript()


class TestReplace:
    def test_an_item_is_replaced_and_the_rest_kept(self):
        changed = {**USER, "content": "Other"}
        new = WHOLE_RUN.replace(1, changed)
        assert new.items == [SYSTEM, changed, *WHOLE_RUN.items[2:]]
        assert WHOLE_RUN.items[1] == USER

    def test_a_call_and_its_output_may_change(self):
        new = WHOLE_RUN.replace(3, call("a", arguments='{"x":1}')).replace(5, output("a", "8"))
        assert new.items[3]["arguments"] == '{"x":1}'
        assert new.items[5]["output"] == "8"

    def test_the_response_keeps_what_else_it_said(self):
        response = Response({"id": "resp_1", "usage": {"input_tokens": 5}, "output": [ANSWER]})
        transcript = Transcript([ResponseEntry.of(response, key="k")])
        new = transcript.replace(0, {**ANSWER, "content": "Other"})
        assert new.entries[0].key == "k"
        assert new.entries[0].response.id == "resp_1"
        assert new.usage.input_tokens == 5

    def test_a_message_may_leave_its_type_out(self):
        assert Transcript([asked()]).replace(0, {"role": "user", "content": "x"}).items == [{**USER, "content": "x"}]

    def test_indexes_count_what_items_shows(self):
        transcript = Transcript([asked(), answered(THOUGHT, call("a", status="incomplete"), ANSWER), asked()])
        assert transcript.items == [USER, THOUGHT, ANSWER, USER]
        new = transcript.replace(2, {**ANSWER, "content": "x"}).replace(3, {**USER, "content": "y"})
        assert new.items == [USER, THOUGHT, {**ANSWER, "content": "x"}, {**USER, "content": "y"}]
        assert new.entries[1].items[1] == call("a", status="incomplete")

    def test_an_item_as_shown_can_be_put_back_where_its_call_id_was_rewritten(self):
        transcript = Transcript([answered(call("a")), gave("a"), answered(call("a"), call("")), gave("a", "")])
        assert [item["call_id"] for item in transcript.items] == ["a", "a", "a-2", "call-2", "a-2", "call-2"]
        new = transcript
        for index, item in enumerate(transcript.items):
            new = new.replace(index, item)
        assert new == transcript

    def test_a_call_without_call_id_stays_without(self):
        lone = {"type": "function_call", "name": "f", "arguments": "{}"}
        transcript = Transcript([answered(lone)])
        assert transcript.replace(0, {**transcript.items[0], "name": "g"}).entries[0].items == [{**lone, "name": "g"}]

    REFUSED = (
        ("another type", 1, ANSWER, "items[1] is a user message, the new item a assistant message"),
        ("a call for reasoning", 2, call("a"), "items[2] is a reasoning, the new item a function_call"),
        ("another call_id", 3, call("z"), "items[3] has call_id 'a'; the new item must keep it"),
        ("an output's call_id", 5, output("b"), "items[5] has call_id 'a'"),
        ("an output null", 5, output("a", None), "items[5]: `output` is None"),
        ("a call cut off", 3, call("a", status="incomplete"), "entries[2]: outputs for the calls ['a', 'b']"),
        ("a reference", 1, {"type": "item_reference"}, "item_reference"),
        ("no item", 1, "Hi", "items[1]: 'Hi' is no item"),
        ("no type", 1, {}, "items[1]: `type` is None"),
        ("no JSON", 1, {**USER, "x": {1}}, "items[1]: not representable"),
        ("an index too large", 99, USER, "index 99 given, this transcript has 12 items. Give 0 to 11."),
        ("an index below 0", -1, USER, "index -1 given"),
    )

    @pytest.mark.parametrize(("name", "index", "item", "message"), REFUSED, ids=[row[0] for row in REFUSED])
    def test_what_would_be_illegal_is_refused(self, name: str, index: int, item: object, message: str):
        with pytest.raises(TranscriptError) as caught:
            WHOLE_RUN.replace(index, item)
        assert message in str(caught.value)

    def test_in_an_empty_transcript_there_is_nothing_to_replace(self):
        with pytest.raises(TranscriptError, match="There is nothing to replace"):
            Transcript().replace(0, USER)


LONG = "c" * 65
NAMES = [
    ("natural", [["a", "b"], ["c"]], [["a", "b"], ["c"]]),
    ("twice in a response", [["a", "a"]], [["a", "a-2"]]),
    ("across turns", [["a"], ["a"], ["a"]], [["a"], ["a-2"], ["a-3"]]),
    ("a natural id taken", [["a", "a", "a-2"]], [["a", "a-2", "a-2-2"]]),
    ("a natural id first", [["a-2", "a", "a"]], [["a-2", "a", "a-3"]]),
    ("a natural id later", [["a", "a"], ["a-2"]], [["a", "a-2"], ["a-2-2"]]),
    ("empty", [["", ""]], [["call-2", "call-3"]]),
    ("64 characters", [["c" * 64]], [["c" * 64]]),
    ("65 characters", [[LONG]], [["c" * 56 + "-2"]]),
    ("10 KB", [["d" * 10_240]], [["d" * 56 + "-2"]]),
    ("64 characters twice", [["c" * 64, "c" * 64]], [["c" * 64, "c" * 56 + "-2"]]),
    ("two long ones that begin alike", [[LONG + "x", LONG + "y"]], [["c" * 56 + "-2", "c" * 56 + "-3"]]),
    ("a quote", [['a"b']], [["ab-2"]]),
    ("a line end", [["a\nb\r"]], [["ab-2"]]),
    ("a space", [["a b"]], [["ab-2"]]),
    ("non-ASCII", [["aæ", "日本"]], [["a-2", "call-2"]]),
    ("a lone surrogate", [["\ud800"]], [["call-2"]]),
    ("NUL", [["a\x00"]], [["a-2"]]),
    ("signs that servers use", [["chatcmpl-tool-1.2:3/4_5|6"]], [["chatcmpl-tool-1.2:3/4_5|6"]]),
]


class TestCallIds:
    @pytest.mark.parametrize(("name", "received", "sent"), NAMES, ids=[row[0] for row in NAMES])
    def test_a_request_holds_ids_that_are_unique_and_sendable(self, name: str, received: list, sent: list):
        entries = [entry for ids in received for entry in (answered(*map(call, ids)), gave(*ids))]
        transcript = Transcript(entries)
        expected = [call_id for ids in sent for call_id in ids + ids]
        assert [item["call_id"] for item in transcript.items] == expected
        assert [i["call_id"] for e in transcript.entries for i in e.items] == [i for ids in received for i in ids + ids]
        assert transcript.items == transcript.items

    def test_outputs_in_another_order_keep_to_their_calls(self):
        transcript = Transcript([answered(call("a")), gave("a"), answered(call("a"), call("b")), gave("b", "a")])
        assert [item["call_id"] for item in transcript.items[2:]] == ["a-2", "b", "b", "a-2"]

    @pytest.mark.parametrize("call_id", [None, 5, ["x"]])
    def test_an_id_that_is_no_string_counts_as_empty(self, call_id: object):
        transcript = Transcript([answered(call(call_id)), gave("")])
        assert [item["call_id"] for item in transcript.items] == ["call-2", "call-2"]
        assert transcript.entries[0].items[0]["call_id"] == call_id

    def test_a_call_without_an_id_gets_one(self):
        transcript = Transcript([answered({"type": "function_call", "name": "f", "arguments": ""})])
        assert transcript.items[0]["call_id"] == "call-2"

    def test_all_else_about_a_renamed_call_stays(self):
        item = call("", extra={"b": 1, "a": 2.0}, arguments='{ "x":1 ')
        assert Transcript([answered(item)]).items == [{**item, "call_id": "call-2"}]

    def test_ids_that_are_not_rewritten_cost_no_copy(self):
        entry = answered(call("a"))
        assert InputView().feed(entry) is entry.data

    def test_other_items_keep_their_call_ids(self):
        other = {"type": "custom_tool_call", "call_id": "", "input": "x"}
        assert Transcript([answered(other, call(""))]).items == [other, call("call-2")]


class TestHalfWritten:
    CUT = (
        ("the item says so", [ANSWER, call("a", status="incomplete")], {}),
        ("the response says so", [ANSWER, call("a", status="completed")], {"status": "incomplete"}),
        ("both", [ANSWER, call("a", status="incomplete")], {"status": "incomplete"}),
        ("the response failed", [ANSWER, call("a")], {"status": "failed"}),
    )

    @pytest.mark.parametrize(("name", "items", "more"), CUT, ids=[row[0] for row in CUT])
    def test_a_call_cut_off_stays_on_its_entry_and_goes_nowhere(self, name: str, items: list, more: dict):
        transcript = Transcript([asked(), answered(*items, **more)])
        assert transcript.items == [USER, ANSWER]
        assert transcript.open_calls == []
        assert transcript.entries[1].items == items
        assert transcript.entries[1].half_written

    def test_whole_calls_beside_it_are_open(self):
        transcript = Transcript([answered(call("a"), call("b", status="incomplete"), call("c"))])
        assert [c.call_id for c in transcript.open_calls] == ["a", "c"]
        assert [item["call_id"] for item in transcript.append(gave("a", "c")).items] == ["a", "c", "a", "c"]

    def test_its_id_is_free_for_the_next(self):
        transcript = Transcript([answered(call("a", status="incomplete")), answered(call("a"))])
        assert [item["call_id"] for item in transcript.items] == ["a"]


LOSSLESS = [
    ("unknown type", {"type": "vendor:thing", "payload": {"z": 1, "a": [None, True]}}),
    ("no type at all", {"what": "ever"}),
    ("unknown fields", {**ANSWER, "phase": None, "x_meta": {"k": []}}),
    ("order of fields", {"status": "completed", "type": "message", "content": [], "id": "m", "role": "assistant"}),
    ("numbers", {"type": "x", "f": 0.1, "whole": 1.0, "big": 10**30, "tiny": 5e-324, "minus": -0.0}),
    ("arguments to the byte", call("a", arguments='{ "a":1.50,\n"a":2, \\u00e6')),
    ("lone surrogate", {"type": "x", "text": "\ud800 and æ"}),
    ("line separators and NUL", {"type": "x", "text": "a\u2028b\u2029c\u0085d\x00e\r\n"}),
    ("a reference from the server", {"type": "item_reference", "id": "x"}),
    ("empty", {}),
]


@pytest.mark.parametrize(("name", "item"), LOSSLESS, ids=[row[0] for row in LOSSLESS])
def test_an_item_received_is_sent_back_and_saved_as_received(name: str, item: dict):
    transcript = Transcript([asked(), answered(THOUGHT, item)])
    saved = Transcript.from_json(transcript.to_json())
    assert saved == transcript
    for one in (transcript, saved):
        assert json.dumps(one.items) == json.dumps([USER, THOUGHT, item])


ENCRYPTED = {**THOUGHT, "encrypted_content": "xyz"}
REASONING = [
    ("raw", "raw", False, [THOUGHT, ENCRYPTED, ANSWER], 0),
    ("drop", "drop", False, [ANSWER], 0),
    (
        "summary",
        "summary",
        False,
        [
            {"summary": [], "type": "reasoning", "id": "rs_1"},
            {"summary": [], "type": "reasoning", "id": "rs_1", "encrypted_content": "xyz"},
            ANSWER,
        ],
        0,
    ),
    ("raw, encrypted only", "raw", True, [ENCRYPTED, ANSWER], 1),
    ("drop, encrypted only", "drop", True, [ANSWER], 0),
    (
        "summary, encrypted only",
        "summary",
        True,
        [{"summary": [], "type": "reasoning", "id": "rs_1", "encrypted_content": "xyz"}, ANSWER],
        1,
    ),
]


@pytest.mark.parametrize(("name", "mode", "encrypted", "expected", "left"), REASONING, ids=[r[0] for r in REASONING])
def test_how_reasoning_goes_back(name: str, mode, encrypted: bool, expected: list, left: int):
    view = InputView(mode, needs_encrypted_reasoning=encrypted)
    sent = view.feed(answered(THOUGHT, ENCRYPTED, ANSWER))
    assert json.loads(b"[" + sent + b"]") == expected
    assert view.left_out == left


@pytest.mark.parametrize(
    ("mode", "expected", "left"),
    [("raw", [THOUGHT, ENCRYPTED, ANSWER], 1), ("summary", [ANSWER], 3), ("drop", [ANSWER], 0)],
)
def test_reasoning_for_a_server_that_takes_it_with_its_text_only(mode, expected: list, left: int):
    """llama.cpp answers 400 to a reasoning item without a non-empty `content`, or without a `summary`."""
    view = InputView(mode, needs_spoken_reasoning=True)
    silent = {"type": "reasoning", "id": "rs_2", "summary": [], "content": []}
    bare = {key: value for key, value in THOUGHT.items() if key != "summary"}
    sent = view.feed(answered(bare, ENCRYPTED, silent, ANSWER))
    assert json.loads(b"[" + sent + b"]") == expected
    assert view.left_out == left


def test_a_summary_view_adds_the_summary_that_a_gateway_left_out():
    sent = InputView("summary").feed(answered({"type": "reasoning", "content": [{"type": "output_text", "text": "x"}]}))
    assert json.loads(sent) == {"type": "reasoning", "summary": []}


def test_a_response_that_sends_nothing_leaves_no_gap():
    entries = [asked(), answered(THOUGHT), answered(), answered(ANSWER)]
    chunks = list(InputView("drop").feed_all(entries))
    assert json.loads(b"[" + b",".join(chunks) + b"]") == [USER, ANSWER]


def test_a_transcript_counts_turns_and_usage():
    transcript = Transcript([answered(usage={"input_tokens": 5, "output_tokens": 2}), answered()])
    assert (transcript.turns, transcript.usage.input_tokens, transcript.usage.unreported) == (2, 5, 1)


def test_what_a_response_only_echoes_is_not_kept():
    entry = answered(ANSWER, id="r", tools=[{"type": "function"}], instructions="x", temperature=0.5)
    assert entry.response.raw == {"id": "r", "temperature": 0.5, "output": [ANSWER]}


RECORD = {"call_id": "a", "name": "f", "outcome": "ok", "final": False, "full": None}
CALLED = {"kind": "response", "key": "k", "response": {}, "items": [call("a")]}


class TestSaving:
    RICH = Transcript(
        [
            asked(USER, instructions="Be \ud800 kind\u2028"),
            answered(call("a"), call("a"), id="resp_1", usage={"input_tokens": 5}, x=1.5),
            OutputsEntry(
                encode_items([output("a"), output("a", [{"type": "input_text", "text": "x"}])]),
                (
                    OutputRecord("a", "f", "timeout", full="the whole æ"),
                    OutputRecord("a", "g", "ok", final=True),
                ),
            ),
            answered(call("z"), ANSWER, status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
            asked(),
            answered(call("open")),
        ]
    )

    def test_what_is_saved_comes_back_equal(self):
        for transcript in (self.RICH, WHOLE_RUN, Transcript()):
            again = Transcript.from_json(transcript.to_json())
            assert again == transcript
            assert hash(again) == hash(transcript)
            assert again.to_json() == transcript.to_json()

    def test_bytes_are_read_like_text(self):
        assert Transcript.from_json(self.RICH.to_json().encode()) == self.RICH

    def test_what_is_saved_has_a_format_and_a_version(self):
        assert json.loads(Transcript([asked(instructions="x")]).to_json()) == {
            "format": "agentkit.transcript",
            "version": 1,
            "entries": [{"kind": "input", "instructions": "x", "items": [USER]}],
        }

    def test_the_deepest_item_that_a_server_can_send_comes_back(self):
        deep: object = 1
        for _ in range(199):
            deep = [deep]
        transcript = Transcript([answered({"type": "x", "deep": deep})])
        assert Transcript.from_json(transcript.to_json()) == transcript

    DAMAGED = (
        ("nothing", "", "not a transcript: Expecting value"),
        ("cut short", '{"format": "agentkit.transcript", "ver', "not a transcript"),
        ("too deep", "[" * 100_000, "not a transcript: nested"),
        ("not UTF-8", b"\xff", "not a transcript: invalid UTF-8"),
        ("a list", "[]", 'no "format": "agentkit.transcript"'),
        ("another format", '{"format": "x", "version": 1, "entries": []}', "no"),
        ("entries missing", '{"format": "agentkit.transcript", "version": 1}', "not a transcript"),
        ("entries null", '{"format": "agentkit.transcript", "version": 1, "entries": null}', "not a transcript"),
        (
            "a newer version",
            '{"format": "agentkit.transcript", "version": 2, "entries": []}',
            "transcript version 2, this agentkit reads version 1. Update agentkit",
        ),
        (
            "a version in words",
            '{"format": "agentkit.transcript", "version": "new", "entries": []}',
            "transcript version 'new', this agentkit reads version 1. Give what",
        ),
        ("no version", '{"format": "agentkit.transcript", "entries": []}', "version None"),
    )

    @pytest.mark.parametrize(("name", "text", "message"), DAMAGED, ids=[row[0] for row in DAMAGED])
    def test_what_is_no_transcript_is_refused(self, name: str, text: str | bytes, message: str):
        with pytest.raises(TranscriptError) as caught:
            Transcript.from_json(text)
        assert message in str(caught.value)

    BAD_ENTRIES = (
        ("null", [None], "entries[0]: not an entry: None"),
        ("unknown kind", [{"kind": "x", "items": []}], "entries[0]: not an entry"),
        ("no items", [{"kind": "input", "instructions": None}], "entries[0]"),
        ("instructions number", [{"kind": "input", "instructions": 5, "items": []}], "entries[0]"),
        ("an item null", [{"kind": "input", "instructions": None, "items": [USER, None]}], "entries[0].items[1]"),
        ("an item without type", [{"kind": "input", "instructions": None, "items": [{}]}], "entries[0].items[0]"),
        ("a response null", [{"kind": "response", "key": "k", "response": None, "items": []}], "entries[0]"),
        (
            "a response item null",
            [{"kind": "response", "key": "k", "response": {}, "items": [None]}],
            "entries[0].items[0]",
        ),
        (
            "open calls passed over",
            [CALLED, {"kind": "response", "key": "k", "response": {}, "items": []}],
            "entries[1]: a response",
        ),
        ("outputs without records", [CALLED, {"kind": "outputs", "items": [output("a")]}], "entries[1]"),
        ("too few records", [CALLED, {"kind": "outputs", "records": [], "items": [output("a")]}], "records of []"),
        ("too few items", [CALLED, {"kind": "outputs", "records": [RECORD], "items": []}], "entries[1]"),
        ("another call", [CALLED, {"kind": "outputs", "records": [RECORD], "items": [output("b")]}], "entries[1]"),
        ("an output null", [CALLED, {"kind": "outputs", "records": [RECORD], "items": [output("a", None)]}], "None"),
        ("a record null", [CALLED, {"kind": "outputs", "records": [None], "items": [output("a")]}], "not a record"),
        (
            "an unknown outcome",
            [CALLED, {"kind": "outputs", "records": [{**RECORD, "outcome": "lost"}], "items": [output("a")]}],
            "entries[1]: not a record",
        ),
        (
            "a record cut short",
            [CALLED, {"kind": "outputs", "records": [{"call_id": "a"}], "items": [output("a")]}],
            "entries[1]: not a record",
        ),
    )

    @pytest.mark.parametrize(("name", "entries", "message"), BAD_ENTRIES, ids=[row[0] for row in BAD_ENTRIES])
    def test_a_damaged_entry_is_named_by_its_place(self, name: str, entries: list, message: str):
        text = json.dumps({"format": "agentkit.transcript", "version": 1, "entries": entries})
        with pytest.raises(TranscriptError) as caught:
            Transcript.from_json(text)
        assert message in str(caught.value)

    def test_every_kind_of_damage_is_a_transcript_error(self):
        """Each value of a saved run is replaced by null, a number, a list and an object, and left out."""
        whole = json.loads(self.RICH.to_json())
        tried = 0
        for path in places(whole):
            for damage in (None, -1, [], {}, "x", KeyError):
                damaged = copy.deepcopy(whole)
                parent = damaged
                for step in path[:-1]:
                    parent = parent[step]
                if damage is KeyError:
                    del parent[path[-1]]
                else:
                    parent[path[-1]] = damage
                try:
                    again = Transcript.from_json(json.dumps(damaged))
                except TranscriptError:
                    pass
                else:
                    assert Transcript.from_json(again.to_json()) == again
                    assert isinstance(again.items, list)
                    assert isinstance(again.usage.unreported, int)
                tried += 1
        assert tried > 300


def places(value: object, path: tuple = ()) -> list[tuple]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    below = [place for step, member in steps for place in places(member, (*path, step))]
    return [path, *below] if path else below


class TestValue:
    def test_equal_conversations_are_equal(self):
        again = Transcript(WHOLE_RUN.entries)
        assert again == WHOLE_RUN
        assert hash(again) == hash(WHOLE_RUN)
        assert again != WHOLE_RUN.fork(turn=1)
        assert Transcript() != ()

    def test_a_transcript_can_be_copied_and_pickled(self):
        assert copy.deepcopy(WHOLE_RUN) == WHOLE_RUN
        assert pickle.loads(pickle.dumps(WHOLE_RUN)) == WHOLE_RUN

    def test_it_prints_short(self):
        assert repr(WHOLE_RUN) == "<Transcript: 4 turns, 8 entries, 0 open calls>"
        assert "Hi" not in repr(WHOLE_RUN.entries[0])
