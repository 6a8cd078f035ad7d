"""Which requests are refused, with which code and param."""

import pytest

from agentkit.service.validation import OPEN_RESPONSES, SAMBANOVA, InvalidRequest, check_request

CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "x"}
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
REMOTE_IMAGE = {"type": "input_image", "image_url": "https://example.com/a.png"}


AUDIO = {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}


def message(*parts, role="user", **fields):
    return [{"type": "message", "role": role, "content": list(parts), **fields}]


def refused(body, rules=SAMBANOVA, also=()):
    with pytest.raises(InvalidRequest) as caught:
        check_request(body, rules, also=also)
    return caught.value


def body(**changes):
    return {"model": "m", "input": "hi", **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"input": ""},
        {"input": [{"role": "user", "content": "hi"}]},
        {"input": [{"type": None, "role": "user", "content": "hi"}]},
        {
            "input": [
                {"type": "message", "role": role, "content": "hi"} for role in ("system", "developer", "assistant")
            ]
        },
        {"input": message({"type": "input_text", "text": "a"}, IMAGE)},
        {"input": message(AUDIO, {"type": "input_video", "video_url": "x"})},
        {"input": message({"type": "output_text", "text": ""}, {"type": "refusal", "refusal": "n"}, role="assistant")},
        {"input": message({"type": "input_image", "image_url": "DATA:image/png;base64,aGk=", "detail": "low"})},
        {"input": message({**IMAGE, "detail": None}, phase=None)},
        {"input": message({"type": "output_text", "text": ""}, role="assistant", phase="commentary")},
        {"input": [CALL, OUTPUT]},
        {"input": [{**CALL, "arguments": '{"a'}, OUTPUT]},
        {"input": [CALL, {**CALL, "call_id": "c2"}, {**OUTPUT, "call_id": "c2"}, OUTPUT]},
        {"input": [{"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "a"}]}]},
        {"temperature": 0, "top_p": 1, "top_k": 100, "top_logprobs": 20, "frequency_penalty": -2},
        {"temperature": None, "max_output_tokens": None, "stream": None, "metadata": None, "tools": None},
        {"tools": []},
        {"tools": [{"type": "function", "name": "f"}] * 128},
        {"tools": [{"type": "web_search"}, {"type": "mcp", "server_label": 5}]},
        {"tools": [{"type": "function", "name": "f", "parameters": None, "strict": None, "description": None}]},
        {"tools": [{"type": "function", "name": "f"}], "tool_choice": {"type": "function", "name": "f"}},
        {"tool_choice": "required"},
        {"text": {"format": {"type": "json_object"}}},
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True, "description": "d"}}},
        {"reasoning": {"effort": "high"}},
        {"store": True, "previous_response_id": "resp_1", "seed": 5, "include": [1], "conversation": {}},
    ],
)
def test_accepted(changes):
    check_request(body(**changes), SAMBANOVA)


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"model": None}, "missing_required_field", "model"),
        ({"model": 5}, "invalid_type", "model"),
        ({"input": None}, "missing_required_field", "input"),
        ({"input": 5}, "invalid_type", "input"),
        ({"input": {}}, "invalid_type", "input"),
        ({"input": []}, "invalid_value", "input"),
        ({"input": ["hi"]}, "invalid_type", "input[0]"),
        ({"input": [{"content": "hi"}]}, "missing_required_field", "input[0].type"),
        ({"input": [{"type": 5}]}, "invalid_type", "input[0].type"),
        ({"input": [{"type": "web_search_call"}]}, "invalid_value", "input[0].type"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "invalid_value", "input[0].type"),
        ({"input": [{"type": "message", "content": "hi"}]}, "missing_required_field", "input[0].role"),
        ({"input": [{"type": "message", "role": "tool", "content": "hi"}]}, "invalid_value", "input[0].role"),
        ({"input": [{"type": "message", "role": 5, "content": "hi"}]}, "invalid_type", "input[0].role"),
        ({"input": [{"type": "message", "role": "user"}]}, "missing_required_field", "input[0].content"),
        ({"input": [{"type": "message", "role": "user", "content": 5}]}, "invalid_type", "input[0].content"),
        ({"input": message("hi")}, "invalid_type", "input[0].content[0]"),
        ({"input": message({"text": "hi"})}, "missing_required_field", "input[0].content[0].type"),
        ({"input": message({"type": "output_text", "text": "a"})}, "invalid_value", "input[0].content[0].type"),
        (
            {"input": message({"type": "input_text", "text": "a"}, role="assistant")},
            "invalid_value",
            "input[0].content[0].type",
        ),
        ({"input": message(IMAGE, role="system")}, "invalid_value", "input[0].content[0].type"),
        ({"input": message({"type": "input_text"})}, "missing_required_field", "input[0].content[0].text"),
        ({"input": message({"type": "input_text", "text": 5})}, "invalid_type", "input[0].content[0].text"),
        ({"input": message({"type": "input_file", "file_id": "x"})}, "invalid_value", "input[0].content[0].type"),
        ({"input": message(REMOTE_IMAGE)}, "invalid_value", "input[0].content[0].image_url"),
        ({"input": message({"type": "input_image"})}, "missing_required_field", "input[0].content[0].image_url"),
        ({"input": message({**IMAGE, "detail": "huge"})}, "invalid_value", "input[0].content[0].detail"),
        ({"input": message({"type": "input_audio"})}, "missing_required_field", "input[0].content[0].input_audio"),
        (
            {"input": message({"type": "input_audio", "input_audio": {"format": "mp3"}})},
            "missing_required_field",
            "input[0].content[0].input_audio.data",
        ),
        (
            {"input": message({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "ogg"}})},
            "invalid_value",
            "input[0].content[0].input_audio.format",
        ),
        ({"input": message({"type": "input_video"})}, "missing_required_field", "input[0].content[0].video_url"),
        ({"input": message(IMAGE, phase="musing")}, "invalid_value", "input[0].phase"),
        ({"input": [{**CALL, "name": "a b"}, OUTPUT]}, "invalid_value", "input[0].name"),
        (
            {"text": {"format": {"type": "json_schema", "name": "a b", "schema": {}}}},
            "invalid_value",
            "text.format.name",
        ),
        ({"model": ""}, "invalid_value", "model"),
        ({"input": [CALL]}, "invalid_value", "input"),
        ({"input": [CALL, {"role": "user", "content": "go on"}]}, "invalid_value", "input"),
        ({"input": [OUTPUT]}, "invalid_value", "input[0].call_id"),
        ({"input": [OUTPUT, CALL]}, "invalid_value", "input[0].call_id"),
        ({"input": [CALL, OUTPUT, OUTPUT]}, "invalid_value", "input[2].call_id"),
        ({"input": [CALL, OUTPUT, CALL, OUTPUT]}, "invalid_value", "input[2].call_id"),
        ({"input": [{**CALL, "call_id": ""}, OUTPUT]}, "invalid_value", "input[0].call_id"),
        ({"input": [{**CALL, "call_id": "c" * 65}, OUTPUT]}, "invalid_value", "input[0].call_id"),
        ({"input": [{**CALL, "call_id": None}]}, "missing_required_field", "input[0].call_id"),
        ({"input": [{**CALL, "arguments": {}}]}, "invalid_type", "input[0].arguments"),
        ({"input": [{**CALL, "name": None}]}, "missing_required_field", "input[0].name"),
        ({"input": [CALL, {**OUTPUT, "output": None}]}, "missing_required_field", "input[1].output"),
        ({"input": [CALL, {**OUTPUT, "output": 5}]}, "invalid_type", "input[1].output"),
        ({"input": [CALL, {**OUTPUT, "output": []}]}, "invalid_type", "input[1].output"),
        ({"input": [{"type": "reasoning", "summary": "s"}]}, "invalid_type", "input[0].summary"),
        ({"temperature": 2.1}, "decimal_above_max_value", "temperature"),
        ({"temperature": -0.1}, "decimal_below_min_value", "temperature"),
        ({"temperature": "1"}, "invalid_type", "temperature"),
        ({"temperature": True}, "invalid_type", "temperature"),
        ({"top_p": 100}, "decimal_above_max_value", "top_p"),
        ({"presence_penalty": 3}, "decimal_above_max_value", "presence_penalty"),
        ({"frequency_penalty": -3}, "decimal_below_min_value", "frequency_penalty"),
        ({"top_k": 101}, "integer_above_max_value", "top_k"),
        ({"top_k": 0}, "integer_below_min_value", "top_k"),
        ({"top_k": 1.5}, "invalid_type", "top_k"),
        ({"top_logprobs": 21}, "integer_above_max_value", "top_logprobs"),
        ({"max_output_tokens": 0}, "integer_below_min_value", "max_output_tokens"),
        ({"stream": "yes"}, "invalid_type", "stream"),
        ({"instructions": []}, "invalid_type", "instructions"),
        ({"metadata": {"a": 1}}, "invalid_type", "metadata.a"),
        ({"metadata": "a"}, "invalid_type", "metadata"),
        ({"truncation": "on"}, "invalid_value", "truncation"),
        ({"text": None}, "invalid_type", "text"),
        ({"text": []}, "invalid_type", "text"),
        ({"text": {"format": "json"}}, "invalid_type", "text.format"),
        ({"text": {"format": {}}}, "missing_required_field", "text.format.type"),
        ({"text": {"format": {"type": "xml"}}}, "invalid_value", "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "missing_required_field", "text.format.name"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "missing_required_field", "text.format.schema"),
        (
            {"text": {"format": {"type": "json_schema", "json_schema": {}}}},
            "invalid_value",
            "text.format.json_schema",
        ),
        ({"reasoning": {"effort": "xhigh"}}, "invalid_value", "reasoning.effort"),
        ({"reasoning": "high"}, "invalid_type", "reasoning"),
        ({"tools": {}}, "invalid_type", "tools"),
        ({"tools": [{"type": "function", "name": "f"}] * 129}, "array_above_max_length", "tools"),
        ({"tools": ["f"]}, "invalid_type", "tools[0]"),
        ({"tools": [{"name": "f"}]}, "missing_required_field", "tools[0].type"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "missing_required_field", "tools[0].name"),
        ({"tools": [{"type": "function", "name": "f g"}]}, "invalid_value", "tools[0].name"),
        ({"tools": [{"type": "function", "name": "f", "parameters": "x"}]}, "invalid_type", "tools[0].parameters"),
        ({"tools": [{"type": "function", "name": "f", "strict": 1}]}, "invalid_type", "tools[0].strict"),
        ({"tool_choice": None}, "invalid_type", "tool_choice"),
        ({"tool_choice": "any"}, "invalid_value", "tool_choice"),
        ({"tool_choice": 5}, "invalid_type", "tool_choice"),
        ({"tool_choice": {"name": "f"}}, "missing_required_field", "tool_choice.type"),
        ({"tool_choice": {"type": "function", "name": "f"}}, "invalid_value", "tool_choice.name"),
        ({"tool_choice": {"type": "allowed_tools"}}, "invalid_value", "tool_choice.type"),
    ],
)
def test_refused(changes, code, param):
    exc = refused(body(**changes))
    assert exc.status == 400
    assert (exc.error["code"], exc.error["param"]) == (code, param)
    assert exc.error["type"] == "invalid_request_error"
    assert exc.error["message"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        # the documented example of SambaNova's error codes page
        ({"top_p": 100}, "Decimal above maximum value. Expected a value between 0 and 1, but got 100 instead."),
        ({"input": [CALL]}, "No tool output found for function call c1."),
        ({"input": [OUTPUT]}, "No tool call found for function call output with call_id c1."),
        (
            {"input": [{"role": "tool", "content": ""}]},
            "Invalid value: 'tool'. Supported values are: 'assistant', 'developer', 'system', 'user'.",
        ),
        (
            {"tools": [{"type": "function", "name": "f"}] * 129},
            "Array too long. Expected at most 128 tools, but got 129 instead.",
        ),
    ],
)
def test_messages(changes, message):
    assert refused(body(**changes)).error["message"] == message


@pytest.mark.parametrize(
    "changes",
    [
        {"input": message({"type": "input_file", "file_data": "data:;base64,"}, REMOTE_IMAGE)},
        {"input": [CALL, {**OUTPUT, "output": [{"type": "input_text", "text": "a"}, REMOTE_IMAGE]}]},
        {"input": [{"type": "web_search_call", "id": "ws_1"}]},
        {"reasoning": {"effort": "none"}},
        {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}},
    ],
)
def test_open_responses_accepts_more(changes):
    check_request(body(**changes), OPEN_RESPONSES)
    assert refused(body(**changes), SAMBANOVA).status == 400


@pytest.mark.parametrize("rules", [SAMBANOVA, OPEN_RESPONSES])
def test_stored_state_is_refused_by_all(rules):
    assert refused(body(input=[{"type": "item_reference", "id": "x"}]), rules).error["param"] == "input[0].type"


def test_types_that_the_service_sent_itself_come_back():
    check_request(body(input=[{"type": "unheard_of"}]), SAMBANOVA, also={"unheard_of"})
