"""Body fields that the caller sets: their ranges, and where they may stand."""

from __future__ import annotations

import pytest

from agentkit.errors import UsageError
from agentkit.settings import Settings

NAN = float("nan")
REFUSED = [
    ("temperature", 2.1),
    ("temperature", -0.1),
    ("temperature", NAN),
    ("temperature", "hot"),
    ("temperature", True),
    ("top_p", 1.01),
    ("top_k", 0),
    ("top_k", 101),
    ("top_k", 5.5),
    ("frequency_penalty", -2.5),
    ("presence_penalty", 3),
    ("top_logprobs", 21),
    ("top_logprobs", -1),
    ("max_output_tokens", 0),
    ("max_output_tokens", -5),
    ("max_output_tokens", 1.0),
    ("max_tool_calls", -1),
    ("reasoning_effort", "extreme"),
    ("reasoning_effort", ["low"]),
    ("reasoning_summary", "long"),
    ("verbosity", 1),
    ("truncation", "always"),
    ("tool_choice", 5),
    ("tool_choice", True),
    ("tool_choice", ["f"]),
]


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_a_value_out_of_range_is_refused_by_name(name: str, value: object):
    with pytest.raises(UsageError, match=rf"^{name}=.*; allowed"):
        Settings(**{name: value})


ALLOWED = [
    ("temperature", 0),
    ("temperature", 2.0),
    ("top_p", 1),
    ("top_k", 100),
    ("frequency_penalty", -2),
    ("top_logprobs", 0),
    ("max_output_tokens", 1),
    ("max_tool_calls", 0),
    ("parallel_tool_calls", False),
    ("user", ""),
    ("metadata", {}),
]


@pytest.mark.parametrize(("name", "value"), ALLOWED)
def test_what_is_set_is_sent(name: str, value: object):
    assert Settings(**{name: value}).body() == {name: value}


def test_what_is_not_set_is_not_sent():
    assert Settings().body() == {}


def test_flat_names_become_the_api_s_fields():
    settings = Settings(reasoning_effort="low", reasoning_summary="auto", verbosity="high", extra={"seed": 7})
    assert settings.body() == {
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"verbosity": "high"},
        "seed": 7,
    }


def test_stream_is_no_body_field():
    assert Settings(stream=True).body() == {}


METADATA = [
    ("17 pairs", {str(n): "x" for n in range(17)}, "metadata of 17 pairs; allowed are 16"),
    ("a long key", {"k" * 65: "x"}, "keys up to 64"),
    ("a long value", {"k": "v" * 513}, "values up to 512"),
    ("a number", {"k": 5}, "metadata['k']: keys and values are strings, found 5"),
    ("a key that is a number", {5: "x"}, "metadata[5]"),
]


@pytest.mark.parametrize(("name", "metadata", "message"), METADATA, ids=[row[0] for row in METADATA])
def test_metadata_has_limits(name: str, metadata: dict, message: str):
    with pytest.raises(UsageError) as caught:
        Settings(metadata=metadata)
    assert message in str(caught.value)


EXTRA = [
    ("model", {}, {"model": "x"}, "extra holds 'model', which the run fills by itself"),
    ("input", {}, {"input": []}, "extra holds 'input'"),
    ("tools", {}, {"tools": []}, "extra holds 'tools'"),
    ("instructions", {}, {"instructions": "x"}, "extra holds 'instructions'"),
    ("stream", {}, {"stream": True}, "extra holds 'stream'"),
    ("previous_response_id", {}, {"previous_response_id": "r"}, "needs a server that remembers"),
    ("conversation", {}, {"conversation": "c"}, "needs a server that remembers"),
    ("background", {}, {"background": True}, "needs a server that remembers"),
    ("store", {}, {"store": True}, "extra holds store=True"),
    ("tool_choice", {}, {"tool_choice": "required"}, "Give tool_choice=..."),
    ("twice", {"temperature": 1}, {"temperature": 1}, "given both as settings and in extra: temperature"),
    ("twice, nested", {"reasoning_effort": "low"}, {"reasoning": {}}, "in extra: reasoning"),
    ("twice, text", {"verbosity": "low"}, {"text": {}}, "in extra: text"),
]


@pytest.mark.parametrize(("name", "fields", "extra", "message"), EXTRA, ids=[row[0] for row in EXTRA])
def test_what_extra_must_not_hold(name: str, fields: dict, extra: dict, message: str):
    with pytest.raises(UsageError) as caught:
        Settings(**fields, extra=extra)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"metadata": 3}, "metadata=3; allowed is a mapping"),
        ({"metadata": ["a"]}, "metadata=.*; allowed is a mapping"),
        ({"extra": [1]}, r"extra=\[1\]; allowed is a mapping"),
        ({"extra": {1: 2}}, "extra=.*; allowed is a mapping"),
        ({"extra": {"x": object()}}, r"extra\['x'\] is not representable as JSON"),
        ({"tool_choice": {"type": object()}}, "tool_choice is not representable as JSON"),
        ({"stream": "yes"}, "stream='yes'; allowed is True, False"),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls=1; allowed is True, False"),
        ({"user": 5}, "user=5; allowed is a string"),
        ({"service_tier": b"x"}, "service_tier=b'x'; allowed is a string"),
    ],
    ids=str,
)
def test_a_value_of_a_wrong_type_is_refused_at_once(fields: dict, message: str):
    with pytest.raises(UsageError, match=message):
        Settings(**fields)


def test_extra_goes_into_the_body_as_given():
    extra = {"seed": 7, "include": ["x"], "store": False, "provider": {"order": ["a"]}}
    assert Settings(extra=extra).body() == extra


ONLY = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}
CHOICES = [
    (None, None, False, None),
    ("auto", "auto", False, "auto"),
    ("none", "none", False, "none"),
    ("required", "required", True, None),
    ("weather", {"type": "function", "name": "weather"}, True, None),
    ({"type": "function", "name": "f"}, {"type": "function", "name": "f"}, True, None),
    (ONLY, ONLY, False, ONLY),
    ({**ONLY, "mode": "required"}, {**ONLY, "mode": "required"}, True, ONLY),
]


@pytest.mark.parametrize(("given", "sent", "forces", "later"), CHOICES)
def test_a_forced_choice_holds_for_the_first_turn(given, sent: object, forces: bool, later: object):
    settings = Settings(tool_choice=given)
    assert (settings.choice(), settings.forces_call, settings.later_choice()) == (sent, forces, later)
    assert "tool_choice" not in settings.body()


def test_settings_can_be_changed_and_unset():
    settings = Settings(temperature=1, top_p=0.5, extra={"seed": 1}).replace(temperature=None, top_p=0.9, extra=None)
    assert settings == Settings(top_p=0.9)


def test_an_unknown_name_is_refused():
    with pytest.raises(UsageError, match="no such settings: seed, temprature"):
        Settings().replace(temprature=1, seed=2)


def test_a_change_is_checked_too():
    with pytest.raises(UsageError, match="temperature=3"):
        Settings().replace(temperature=3)


def test_a_run_s_settings_lie_over_the_agent_s():
    below = Settings(temperature=1, top_p=0.5, extra={"seed": 1, "x": 1})
    assert below.overlaid(Settings(temperature=0, extra={"seed": 2})) == Settings(
        temperature=0, top_p=0.5, extra={"seed": 2, "x": 1}
    )
    assert below.overlaid(None) is below


def test_the_same_field_from_two_sides_is_refused():
    with pytest.raises(UsageError, match="given both as settings and in extra: temperature"):
        Settings(extra={"temperature": 1}).overlaid(Settings(temperature=1))
