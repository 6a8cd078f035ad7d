"""The references, sentence by sentence, over HTTP: SambaNova's page on the Responses API, and Open Responses' cases."""

import json
import re

import httpx
import jsonschema
import pytest

pytest.importorskip("uvicorn", reason="needs the extra 'server'")

from agentkit.service.http import running
from agentkit.service.replies import call, failed, incomplete, reasoning, reply, text


def model(request):
    match request.last_text:
        case "weather" if not request.outputs:
            return call("weather", {"city": "Oslo"})
        case "think":
            return [
                reasoning("First I think."),
                text("One moment.", phase="commentary"),
                call("weather", {"city": "Oslo"}),
            ]
        case "long":
            return incomplete("It is a lo")
        case "fail":
            return failed("It", error_event=None)
        case "fast":
            return reply(reasoning("a b"), "Hello there, you.", tokens_per_s=2000)
        case _:
            return "Hello"


@pytest.fixture(scope="module")
def post():
    with running(model) as server, httpx.Client(timeout=20, trust_env=False) as client:

        def post(given="hi", **body):
            return client.post(f"{server.base_url}/responses", json={"model": "m", "input": given, **body})

        yield post


def tools(count):
    return [{"type": "function", "name": f"tool_{n}"} for n in range(count)]


WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "Weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
USER = {"type": "message", "role": "user", "content": "weather"}
CALL = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city": "Oslo"}'}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "7 C"}

# --- SambaNova's sentences ---


@pytest.mark.parametrize(
    ("field", "low", "high", "below", "above"),
    [
        ("temperature", 0, 2, -0.01, 2.01),
        ("top_p", 0, 1, -0.01, 1.01),
        ("top_k", 1, 100, 0, 101),
        ("frequency_penalty", -2, 2, -2.01, 2.01),
        ("presence_penalty", -2.0, 2.0, -2.01, 2.01),
        ("top_logprobs", 0, 20, -1, 21),
    ],
)
def test_ranges(post, field, low, high, below, above):
    kind = "integer" if field in ("top_k", "top_logprobs") else "decimal"
    for value in (low, high):
        response = post(**{field: value})
        assert (response.status_code, response.json()[field]) == (200, value)
    for value, code in ((below, f"{kind}_below_min_value"), (above, f"{kind}_above_max_value")):
        response = post(**{field: value})
        error = response.json()["error"]
        assert (response.status_code, error["param"], error["code"]) == (400, field, code)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("frequency_penalty", 1.5),
        ("presence_penalty", -1.5),
        ("truncation", "auto"),
        ("truncation", "disabled"),
        ("user", "u-1"),
        ("metadata", {"a": "b"}),
        ("background", True),
        ("service_tier", "free"),
        ("instructions", "Be brief."),
        ("top_k", 5),
        ("max_tool_calls", 3),
        ("max_output_tokens", 1024),
        ("top_logprobs", 2),
        ("parallel_tool_calls", False),
        ("tool_choice", "none"),
        ("tool_choice", "auto"),
        ("tool_choice", "required"),
        ("text", {"format": {"type": "text"}}),
        ("text", {"format": {"type": "json_object"}}),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_echoed(post, field, value, stream):
    response = post(**{field: value}, tools=[WEATHER], stream=stream)
    assert response.status_code == 200
    whole = events_of(response)[-1]["response"] if stream else response.json()
    assert whole[field] == value


def test_defaults(post):
    whole = post().json()
    expected = {
        "temperature": 0.7,
        "top_p": 1,
        "top_k": None,
        "frequency_penalty": 0,
        "presence_penalty": 0,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "truncation": "disabled",
        "store": False,
        "instructions": None,
        "previous_response_id": None,
        "text": {"format": {"type": "text"}},
        "tools": [],
        "user": None,
    }
    assert {key: whole[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("sent", "echoed"),
    [
        ({"store": True}, {"store": False}),  # "Always echoed back as false."
        ({"previous_response_id": "resp_1"}, {"previous_response_id": None}),  # "Not supported. Always null."
        ({"tools": [{**WEATHER, "strict": True}]}, {"tools": [{**WEATHER, "strict": None}]}),
        ({"tools": [{"type": "web_search"}, {"type": "mcp", "server_label": "x"}]}, {"tools": []}),
        ({"tools": [{"type": "web_search"}, WEATHER]}, {"tools": [{**WEATHER, "strict": None}]}),
        ({"reasoning": {"effort": "high"}}, {"reasoning": {"effort": "high", "summary": None}}),
        ({"include": ["reasoning.encrypted_content"], "seed": 7, "nonsense": {"a": 1}}, {"status": "completed"}),
        ({"prompt_cache_key": "k", "safety_identifier": "s"}, {"prompt_cache_key": "k", "safety_identifier": "s"}),
    ],
)
def test_ignored_filtered_and_fixed(post, sent, echoed):
    response = post(**sent)
    assert response.status_code == 200
    assert {key: response.json()[key] for key in echoed} == echoed


def test_json_schema_is_echoed(post):
    form = {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": True}
    assert post(text={"format": form}).json()["text"]["format"] == {**form, "description": None}


def test_128_tools(post):
    assert len(post(tools=tools(128)).json()["tools"]) == 128
    response = post(tools=tools(129))
    assert (response.status_code, response.json()["error"]["param"]) == (400, "tools")
    assert "at most 128 tools, but got 129" in response.json()["error"]["message"]


@pytest.mark.parametrize("role", ["user", "assistant", "system", "developer"])
def test_plain_strings_are_content_in_all_roles(post, role):
    assert post([{"type": "message", "role": role, "content": "hi"}]).status_code == 200


PIXEL = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize(
    ("role", "part", "status"),
    [
        ("user", {"type": "input_text", "text": "a"}, 200),
        ("system", {"type": "input_text", "text": "a"}, 200),
        ("developer", {"type": "input_text", "text": "a"}, 200),
        ("assistant", {"type": "output_text", "text": "a"}, 200),
        ("assistant", {"type": "output_text", "text": "a", "annotations": [], "logprobs": []}, 200),
        ("assistant", {"type": "input_text", "text": "a"}, 400),
        ("user", {"type": "output_text", "text": "a"}, 400),
        ("user", {"type": "input_image", "image_url": PIXEL}, 200),
        ("user", {"type": "input_image", "image_url": PIXEL, "detail": "high"}, 200),
        ("user", {"type": "input_image", "image_url": None}, 200),
        ("user", {"type": "input_image", "image_url": "https://example.com/a.png"}, 400),
        ("user", {"type": "input_image"}, 400),
        ("user", {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}}, 200),
        ("user", {"type": "input_video", "video_url": "https://example.com/a.mp4"}, 200),
        ("user", {"type": "input_file", "file_data": "data:;base64,aGk="}, 400),
        ("system", {"type": "input_image", "image_url": PIXEL}, 400),
        ("user", {"type": "unheard_of"}, 400),
    ],
)
def test_parts(post, role, part, status):
    items = [{"type": "message", "role": role, "content": [part]}]
    response = post(items)
    assert response.status_code == status
    if status == 400:
        assert response.json()["error"]["param"].startswith("input[0].content[0]")


@pytest.mark.parametrize(
    ("items", "param", "code"),
    [
        ([], "input", "invalid_value"),
        (None, "input", "missing_required_field"),
        (5, "input", "invalid_type"),
        ([{"type": "message", "role": "tool", "content": "a"}], "input[0].role", "invalid_value"),
        ([{"type": "message", "content": "a"}], "input[0].role", "missing_required_field"),
        ([{"type": "message", "role": "user"}], "input[0].content", "missing_required_field"),
        ([USER, CALL], "input", "invalid_value"),
        ([USER, OUTPUT], "input[1].call_id", "invalid_value"),
        ([USER, OUTPUT, CALL], "input[1].call_id", "invalid_value"),
        ([USER, CALL, OUTPUT, OUTPUT], "input[3].call_id", "invalid_value"),
        ([USER, CALL, {**OUTPUT, "output": [{"type": "input_text", "text": "7"}]}], "input[2].output", "invalid_type"),
        ([USER, CALL, {**OUTPUT, "output": None}], "input[2].output", "missing_required_field"),
        ([USER, {"type": "item_reference", "id": "msg_1"}], "input[1].type", "invalid_value"),
        ([USER, {"type": "web_search_call", "id": "ws_1"}], "input[1].type", "invalid_value"),
    ],
)
def test_conversations_that_are_refused(post, items, param, code):
    response = post(items)
    body = response.json()
    assert (response.status_code, body["error"]["param"], body["error"]["code"]) == (400, param, code)
    assert body["error"]["type"] == "invalid_request_error"
    assert re.fullmatch("[0-9a-f-]{36}", body["request_id"])


@pytest.mark.parametrize(
    ("sent", "param", "code"),
    [
        ({"model": None}, "model", "missing_required_field"),
        ({"model": 5}, "model", "invalid_type"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"top_k": 1.5}, "top_k", "invalid_type"),
        ({"max_output_tokens": 0}, "max_output_tokens", "integer_below_min_value"),
        ({"truncation": "some"}, "truncation", "invalid_value"),
        ({"tool_choice": "any"}, "tool_choice", "invalid_value"),
        ({"tool_choice": None}, "tool_choice", "invalid_type"),
        ({"tool_choice": {"type": "function", "name": "x"}}, "tool_choice.name", "invalid_value"),
        ({"text": None}, "text", "invalid_type"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type", "invalid_value"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema", "missing_required_field"),
        ({"reasoning": {"effort": "extreme"}}, "reasoning.effort", "invalid_value"),
        ({"metadata": {"a": 1}}, "metadata.a", "invalid_type"),
        ({"tools": [{"type": "function", "function": {"name": "a"}}]}, "tools[0].name", "missing_required_field"),
    ],
)
def test_fields_that_are_refused(post, sent, param, code):
    response = post(**sent)
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (400, param, code)


def test_usage_has_sambanovas_fields(post):
    usage = post("fast", stream=False).json()["usage"]
    assert usage.keys() == {
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "input_tokens_details",
        "output_tokens_details",
        "start_time",
        "end_time",
        "time_to_first_token",
        "total_latency",
        "output_tokens_per_sec",
        "output_tokens_after_first_per_sec",
        "total_tokens_per_sec",
        "acceptance_rate",
        "is_last_response",
    }
    assert usage["end_time"] > usage["start_time"] > 1.6e9
    assert usage["total_latency"] >= usage["time_to_first_token"] > 0
    assert usage["output_tokens"] > usage["output_tokens_details"]["reasoning_tokens"] > 0


def test_ids(post):
    first, second = post("think").json(), post("think").json()
    for whole in (first, second):
        prefixes = [item["id"].split("_")[0] for item in whole["output"]]
        assert (whole["id"].split("_")[0], prefixes) == ("resp", ["rs", "msg", "fc"])
        assert re.fullmatch("call_[0-9a-f]{18}", whole["output"][2]["call_id"])
        assert whole["output"][2]["call_id"] != whole["output"][2]["id"]
    assert not {item["id"] for item in first["output"]} & {item["id"] for item in second["output"]}


def test_in_band_failures(post):
    long, fail = post("long").json(), post("fail").json()
    assert (long["status"], long["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert (fail["status"], fail["error"].keys()) == ("failed", {"code", "message"})
    assert long["error"] is None
    assert fail["incomplete_details"] is None


# --- Open Responses ---


def nullable(kind):
    return {"type": [kind, "null"]}


STRING, INTEGER, NUMBER, OBJECT, ARRAY = ({"type": t} for t in ("string", "integer", "number", "object", "array"))
OUTPUT_TEXT = {
    "type": "object",
    "required": ["type", "text", "annotations", "logprobs"],
    "properties": {"type": {"const": "output_text"}, "text": STRING, "annotations": ARRAY, "logprobs": ARRAY},
}
STATUS = {"enum": ["in_progress", "completed", "incomplete"]}
ITEM = {
    "oneOf": [
        {
            "type": "object",
            "required": ["type", "id", "status", "role", "content"],
            "properties": {
                "type": {"const": "message"},
                "id": STRING,
                "status": STATUS,
                "role": {"const": "assistant"},
                "content": {"type": "array", "items": OUTPUT_TEXT},
                "phase": {"enum": ["commentary", "final_answer"]},
            },
        },
        {
            "type": "object",
            "required": ["type", "id", "call_id", "name", "arguments", "status"],
            "properties": {
                "type": {"const": "function_call"},
                "id": STRING,
                "call_id": {"type": "string", "minLength": 1, "maxLength": 64},
                "name": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"},
                "arguments": STRING,
                "status": STATUS,
            },
        },
        {
            "type": "object",
            "required": ["type", "id", "summary"],
            "properties": {"type": {"const": "reasoning"}, "id": STRING, "summary": ARRAY, "content": ARRAY},
        },
    ]
}
USAGE = {
    "type": ["object", "null"],
    "required": ["input_tokens", "output_tokens", "total_tokens", "input_tokens_details", "output_tokens_details"],
    "properties": {
        "input_tokens": INTEGER,
        "output_tokens": INTEGER,
        "total_tokens": INTEGER,
        "input_tokens_details": {"type": "object", "required": ["cached_tokens"]},
        "output_tokens_details": {"type": "object", "required": ["reasoning_tokens"]},
    },
}
FIELDS = {
    "id": STRING,
    "object": {"const": "response"},
    "created_at": INTEGER,
    "completed_at": nullable("integer"),
    "status": {"enum": ["completed", "failed", "in_progress", "incomplete", "queued"]},
    "incomplete_details": nullable("object"),
    "model": STRING,
    "previous_response_id": nullable("string"),
    "instructions": nullable("string"),
    "output": {"type": "array", "items": ITEM},
    "error": nullable("object"),
    "tools": {
        "type": "array",
        "items": {"type": "object", "required": ["type", "name", "description", "parameters", "strict"]},
    },
    "tool_choice": {"type": ["string", "object"]},
    "truncation": {"enum": ["auto", "disabled"]},
    "parallel_tool_calls": {"type": "boolean"},
    "text": {"type": "object", "required": ["format"]},
    "top_p": NUMBER,
    "presence_penalty": NUMBER,
    "frequency_penalty": NUMBER,
    "top_logprobs": INTEGER,
    "temperature": NUMBER,
    "reasoning": nullable("object"),
    "usage": USAGE,
    "max_output_tokens": nullable("integer"),
    "max_tool_calls": nullable("integer"),
    "store": {"type": "boolean"},
    "background": {"type": "boolean"},
    "service_tier": STRING,
    "metadata": OBJECT,
    "safety_identifier": nullable("string"),
    "prompt_cache_key": nullable("string"),
}
RESPONSE = {"type": "object", "required": list(FIELDS), "properties": FIELDS}
TEXT_PLACE = {"item_id": STRING, "output_index": INTEGER, "content_index": INTEGER}
CALL_PLACE = {"item_id": STRING, "output_index": INTEGER}
EVENTS = {
    "response.created": {"response": RESPONSE},
    "response.in_progress": {"response": RESPONSE},
    "response.completed": {"response": RESPONSE},
    "response.incomplete": {"response": RESPONSE},
    "response.failed": {"response": RESPONSE},
    "response.output_item.added": {"output_index": INTEGER, "item": ITEM},
    "response.output_item.done": {"output_index": INTEGER, "item": ITEM},
    "response.content_part.added": {**TEXT_PLACE, "part": OBJECT},
    "response.content_part.done": {**TEXT_PLACE, "part": OBJECT},
    "response.output_text.delta": {**TEXT_PLACE, "delta": STRING, "logprobs": ARRAY, "annotations": ARRAY},
    "response.output_text.done": {**TEXT_PLACE, "text": STRING, "logprobs": ARRAY, "annotations": ARRAY},
    "response.function_call_arguments.delta": {**CALL_PLACE, "delta": STRING},
    "response.function_call_arguments.done": {**CALL_PLACE, "arguments": STRING},
    "response.reasoning_text.delta": {**CALL_PLACE, "delta": STRING},
    "response.reasoning_text.done": {**CALL_PLACE, "text": STRING},
}


def events_of(response):
    frames = response.text.split("\n\n")
    assert frames.pop() == ""
    events = []
    for frame in frames:
        name, data = frame.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


def check_event(event):
    fields = EVENTS[event["type"]]
    schema = {
        "type": "object",
        "required": [*fields, "type", "sequence_number"],
        "properties": {**fields, "type": STRING, "sequence_number": INTEGER},
        "additionalProperties": False,
    }
    jsonschema.validate(event, schema)


def check_stream(events):
    """Order, numbers, and that the pieces make up the whole."""
    for event in events:
        check_event(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert (
        sum(event["type"] in ("response.completed", "response.failed", "response.incomplete") for event in events) == 1
    )
    assert all(event["response"]["completed_at"] is None for event in events[:2])
    assert [event["item"] for event in events if event["type"] == "response.output_item.done"] == events[-1][
        "response"
    ]["output"]
    opened = [event["output_index"] for event in events if event["type"] == "response.output_item.added"]
    assert opened == list(range(len(opened)))
    for kind, member in (("output_text", "text"), ("reasoning_text", "text"), ("function_call_arguments", "arguments")):
        joined = "".join(event["delta"] for event in events if event["type"] == f"response.{kind}.delta")
        assert joined == "".join(event[member] for event in events if event["type"] == f"response.{kind}.done")


def message(role, content, **more):
    return {"type": "message", "role": role, "content": content, **more}


CASES = {
    "basic response": ([message("user", "Say hello in exactly 3 words.")], {}, "message"),
    "assistant history with phase": (
        [
            message("user", "What's the weather?"),
            message("assistant", [{"type": "output_text", "text": "Let me look."}], phase="commentary"),
            message("assistant", [{"type": "output_text", "text": "It rains."}], phase="final_answer"),
            message("user", "And now?"),
        ],
        {},
        "message",
    ),
    "system message": ([message("system", "You are a pirate."), message("user", "Say hello.")], {}, "message"),
    "one function tool": ([message("user", "weather")], {"tools": [WEATHER]}, "function_call"),
    "image input": (
        [
            message(
                "user",
                [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": PIXEL}],
            )
        ],
        {},
        "message",
    ),
    "multi-turn with plain strings": (
        [message("user", "My name is Alice."), message("assistant", "Hello Alice!"), message("user", "My name?")],
        {},
        "message",
    ),
    "tool answered": ([USER, CALL, OUTPUT], {"tools": [WEATHER]}, "message"),
    "reasoning, commentary and call": ("think", {"tools": [WEATHER]}, "reasoning"),
    "paced": ("fast", {}, "reasoning"),
    "incomplete": ("long", {}, "message"),
    "failed": ("fail", {}, "message"),
}


def test_31_keys_are_required():
    assert len(FIELDS) == 31


@pytest.mark.parametrize("case", CASES)
def test_open_responses_case(post, case):
    items, more, first = CASES[case]
    response = post(items, **more)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    jsonschema.validate(response.json(), RESPONSE)
    assert response.json()["output"][0]["type"] == first


@pytest.mark.parametrize("case", CASES)
def test_open_responses_case_streamed(post, case):
    items, more, first = CASES[case]
    response = post(items, **more, stream=True)
    assert response.headers["content-type"].startswith("text/event-stream")
    events = events_of(response)
    check_stream(events)
    assert events[-1]["response"]["output"][0]["type"] == first
