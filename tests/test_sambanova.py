"""SambaNova's page on the Responses API, sentence by sentence: what agentkit makes of each that concerns a client.

The server is the reference service in process, which follows the same page (tests/service/test_reference.py holds it to
that). Sentences are quoted as the page has them.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from agentkit import (
    Agent,
    AuthenticationError,
    BadRequest,
    Client,
    ContextOverflow,
    File,
    Image,
    Incomplete,
    Limits,
    NotFound,
    RateLimited,
    ReasoningDelta,
    ResponseFailed,
    ResponseFinished,
    RetryPolicy,
    RetryWaiting,
    ServerError,
    Settings,
    TextDelta,
    ToolContext,
    ToolError,
    TooManyTools,
    UsageError,
    tool,
)
from agentkit.errors import StatusError
from agentkit.testing import ScriptedModel, call, failed, incomplete, reasoning, reply, text
from tests.byte_server import byte_server, http, plain, serve


async def no_sleep(seconds: float) -> None:
    pass


QUICK = RetryPolicy(sleep=no_sleep)


@tool
def weather(city: str) -> dict[str, object]:
    """Weather in a city."""
    return {"city": city, "temperature": 7}


def sent(settings: Settings | None = None, *answers: object, tools: list[object] | None = None) -> dict[str, object]:
    """Return the body of a run's first request."""
    model = ScriptedModel(list(answers) or ["ok"])
    client = model.client(profile="sambanova")
    Agent(model="m", tools=tools or [], settings=settings or Settings()).run_sync("hi", client=client)
    return dict(model.requests[0])


# State


def test_the_whole_conversation_goes_with_every_request() -> None:
    """ "SambaNova is stateless, conversation history must be supplied in full via input[] on each request." """
    model = ScriptedModel([[reasoning("Hm."), call("weather", {"city": "Oslo"})], "Cold.", "Warm."])
    agent, client = Agent(model="m", instructions="Be brief.", tools=[weather]), model.client(profile="sambanova")
    first = agent.run_sync("Oslo?", client=client)
    second = agent.run_sync("And Rome?", client=client, transcript=first.transcript)
    inputs = [request["input"] for request in model.requests]
    assert [len(items) for items in inputs] == [1, 4, 6]
    assert inputs[1][:1] == inputs[0]
    assert inputs[2][:4] == inputs[1]
    assert second.transcript.items[:6] == inputs[2]
    assert {request["instructions"] for request in model.requests} == {"Be brief."}
    assert [len(request["tools"]) for request in model.requests] == [1, 1, 1]


@pytest.mark.parametrize("field", ["previous_response_id", "conversation"])
def test_what_the_server_would_forget_is_refused_here(field: str) -> None:
    """ "Accepted for API compatibility but ignored; clients must supply the full conversation history in input[]." """
    with pytest.raises(UsageError, match=field):
        Settings(extra={field: "resp_1"})
    with pytest.raises(UsageError, match=field):
        ScriptedModel([]).client().respond_sync({"model": "m", "input": "hi", field: "resp_1"})


def test_the_reply_names_no_earlier_response() -> None:
    """ "Not supported. Always null. SambaNova is stateless; use input[] to supply full conversation history." """
    response = ScriptedModel(["ok"]).client().respond_sync({"model": "m", "input": "hi"})
    assert response.raw["previous_response_id"] is None


def test_nothing_is_stored() -> None:
    """ "SambaNova is stateless - this field is accepted for API compatibility but has no effect. Always echoed back as
    false." """
    assert sent()["store"] is False
    response = ScriptedModel(["ok"]).client().respond_sync({"model": "m", "input": "hi"})
    assert response.raw["store"] is False
    with pytest.raises(UsageError, match="store"):
        Settings(extra={"store": True})


# Input


def test_a_text_is_a_user_message() -> None:
    """ "A plain text input equivalent to a user-role message." """
    assert sent()["input"] == [{"type": "message", "role": "user", "content": "hi"}]


def test_instructions_have_their_field() -> None:
    """ "Inserts a system (or developer) message as the first item in the model's context. Equivalent to a system-role
    message prepended to input[]." """
    model = ScriptedModel(["ok"])
    Agent(model="m", instructions="Be brief.").run_sync("hi", client=model.client())
    assert model.requests[0]["instructions"] == "Be brief."
    assert len(model.requests[0]["input"]) == 1


def test_a_message_goes_back_with_what_it_came_with() -> None:
    """ "When used as input, id and status are optional. When present in output[], id and status are always set by the
    server. Role "assistant" with content type "output_text" represents a prior model turn" """
    model = ScriptedModel(["One.", "Two."])
    client, agent = model.client(), Agent(model="m")
    first = agent.run_sync("1", client=client)
    agent.run_sync("2", client=client, transcript=first.transcript)
    back = model.requests[1]["input"][1]
    assert back == first.response.output[0]  # type: ignore[union-attr]
    assert (back["role"], back["content"][0]["type"], back["status"]) == ("assistant", "output_text", "completed")
    assert back["id"]


def test_hand_written_items_need_neither_id_nor_status() -> None:
    """ "Plain string content is accepted in all roles on input." """
    model = ScriptedModel(["ok"])
    items = [{"type": "message", "role": role, "content": "x"} for role in ("system", "developer", "assistant", "user")]
    Agent(model="m").run_sync(items, client=model.client(profile="sambanova"))
    assert model.requests[0]["input"] == items


# Settings


@pytest.mark.parametrize(
    ("name", "least", "most", "below", "above"),
    [
        ("temperature", 0, 2, -0.1, 2.1),  # "Range: 0-2."
        ("top_p", 0, 1, -0.1, 1.1),  # "Range: 0-1."
        ("top_k", 1, 100, 0, 101),  # "1 <= x <= 100"
        ("frequency_penalty", -2, 2, -2.1, 2.1),  # "Number between -2.0 and 2.0."
        ("presence_penalty", -2, 2, -2.1, 2.1),  # "Number between -2.0 and 2.0."
    ],
)
def test_ranges_are_checked_before_the_server_does(
    name: str, least: float, most: float, below: float, above: float
) -> None:
    for value in (least, most):
        assert sent(Settings(**{name: value}))[name] == value  # type: ignore[arg-type]
    for value in (below, above):
        with pytest.raises(UsageError, match=name):
            Settings(**{name: value})  # type: ignore[arg-type]
        with pytest.raises(BadRequest) as caught:
            ScriptedModel([]).client().respond_sync({"model": "m", "input": "hi", name: value})
        assert caught.value.param == name


ECHOED = [
    (
        "frequency_penalty",
        0.5,
    ),  # "Not currently implemented; accepted for API compatibility and echoed in the response."
    ("presence_penalty", 0.5),  # the same
    ("user", "ada"),  # "The user, echoed back from request."
    ("metadata", {"run": "1"}),  # "The metadata echoed from the request."
    ("truncation", "auto"),  # "Accepted for API compatibility and echoed in the response."
    ("service_tier", "free"),  # "Accepted for API compatibility and echoed back in the response."
    ("max_tool_calls", 3),  # "The max_tool_calls value echoed from the request."
    ("max_output_tokens", 1024),  # "The max_output_tokens limit echoed from the request."
    ("top_logprobs", 2),  # "The top_logprobs value echoed from the request."
    ("top_k", 5),  # "The top_k value used for this response."
    ("temperature", 0.7),  # "The temperature value used for this response."
    ("top_p", 0.9),  # "The top_p value used for this response."
    ("parallel_tool_calls", False),  # "Whether parallel tool calls were enabled."
]


@pytest.mark.parametrize(("name", "value"), ECHOED, ids=[row[0] for row in ECHOED])
def test_what_is_set_is_sent_and_comes_back(name: str, value: object) -> None:
    model = ScriptedModel(["ok"])
    result = Agent(model="m", settings=Settings(**{name: value})).run_sync("hi", client=model.client())  # type: ignore[arg-type]
    assert model.requests[0][name] == value
    assert result.response is not None
    assert result.response.raw[name] == value


def test_what_is_not_set_is_not_sent() -> None:
    assert sent().keys() == {"model", "input", "stream", "store"}


def test_max_tool_calls_is_kept_by_us_where_it_is_asked_of_us() -> None:
    """ "Maximum number of tool calls the model may make in a single response turn. Not currently implemented" """
    model = ScriptedModel([[call("weather", {"city": name}) for name in "abc"], "ok"])
    agent = Agent(model="m", tools=[weather], limits=Limits(calls_per_response=2))
    made = agent.run_sync("?", client=model.client()).tool_calls
    assert [each.outcome for each in made] == ["ok", "ok", "not_run"]


def test_reasoning_effort_is_asked_for_in_its_field() -> None:
    """ "Reasoning configuration for models that support it. Ignored on non-reasoning models." """
    assert sent(Settings(reasoning_effort="high"))["reasoning"] == {"effort": "high"}


@pytest.mark.parametrize("choice", ["none", "auto", "required"])
def test_tool_choice_as_a_word(choice: str) -> None:
    """ "String shorthand for tool selection behavior. none, auto, required" """
    answers = [[call("weather", {"city": "Oslo"})], "ok"] if choice == "required" else ["ok"]
    assert sent(Settings(tool_choice=choice), *answers, tools=[weather])["tool_choice"] == choice


def test_structured_output_is_asked_for_and_checked_here() -> None:
    """ "Response format configuration. Supports plain text, json_object, and json_schema." """
    model = ScriptedModel(['{"value": "many"}', '{"value": 3}'])
    result = Agent(model="m", output_type=int).run_sync("?", client=model.client())
    assert model.requests[0]["text"]["format"]["type"] == "json_schema"
    assert (result.output, result.turns) == (3, 2)


# Tools


def test_tools_are_functions() -> None:
    """ "Only type: "function" is supported; all other tool types are filtered server-side." """
    assert [each["type"] for each in sent(tools=[weather])["tools"]] == ["function"]  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="a tool that is no function"):
        ScriptedModel([]).client().respond_sync({"model": "m", "input": "hi", "tools": [{"type": "web_search"}]})


def test_128_tools_are_the_most() -> None:
    """The page's bound of `tools`: "128"."""

    def numbered(number: int) -> Callable[[], None]:
        @tool(name=f"tool_{number}")
        def nothing() -> None: ...

        return nothing

    many = [numbered(number) for number in range(129)]
    assert len(sent(tools=many[:128])["tools"]) == 128  # type: ignore[arg-type]
    with pytest.raises(TooManyTools, match="129 tools given, the API accepts at most 128"):
        Agent(model="m", tools=many)


def test_several_calls_of_one_turn_are_run_and_answered() -> None:
    """ "Whether the model may issue multiple tool calls in parallel within one turn." """
    model = ScriptedModel([[call("weather", {"city": "Oslo"}), call("weather", {"city": "Rome"})], "ok"])
    Agent(model="m", tools=[weather]).run_sync("?", client=model.client())
    outputs = [item for item in model.requests[1]["input"] if item["type"] == "function_call_output"]
    assert [json.loads(item["output"])["city"] for item in outputs] == ["Oslo", "Rome"]


@pytest.mark.parametrize("value", ["text", 5, None, {"a": [1]}, ["x"], b"bytes", ToolError("no")], ids=repr)
def test_outputs_are_strings(value: object) -> None:
    """`function_call_output.output` is a string in the specification; anything else is a 400."""

    @tool
    def give(ctx: ToolContext[None]) -> object:
        if isinstance(value, ToolError):
            raise value
        return value

    model = ScriptedModel([[call("give", {})], "ok"])
    Agent(model="m", tools=[give]).run_sync("?", client=model.client(profile="sambanova"))
    assert isinstance(model.requests[1]["input"][2]["output"], str)


# Answers


def test_the_items_of_a_response() -> None:
    """ "Ordered array of output items generated by the model. Items may be of type "message", "reasoning", or
    "function_call"." """
    model = ScriptedModel([[reasoning("Hm."), text("Let me look."), call("weather", {"city": "Oslo"})], "Cold."])
    result = Agent(model="m", tools=[weather]).run_sync("?", client=model.client())
    kinds = [item["type"] for item in result.transcript.items]
    assert kinds == ["message", "reasoning", "message", "function_call", "function_call_output", "message"]
    thought = result.transcript.items[1]
    assert (thought["summary"], thought["content"]) == ([], [{"type": "reasoning_text", "text": "Hm."}])
    assert model.requests[1]["input"][1] == thought


def test_a_stream_ends_with_response_completed() -> None:
    """ "a stream of server-sent ResponseStreamEvent object events ending with a response.completed event (when stream:
    true)" """
    model = ScriptedModel([[reasoning("Hm."), text("Cold.")]])
    with Agent(model="m").stream_sync("?", client=model.client()) as run:
        events = list(run)
    assert model.requests[0]["stream"] is True
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Cold."
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == "Hm."
    assert isinstance(events[-1], ResponseFinished)
    assert events[-1].response.status == "completed"


def test_an_incomplete_response_says_why() -> None:
    """ ""incomplete" means generation was cut short (e.g. max_output_tokens reached)." """
    with pytest.raises(Incomplete) as caught:
        Agent(model="m").run_sync("?", client=ScriptedModel([incomplete(text("So"))]).client())
    assert caught.value.reason == "max_output_tokens"


def test_a_failed_response_holds_its_error() -> None:
    """ "In-band error object present when status is "failed"." """
    model = ScriptedModel([failed(code="invalid_prompt", message="no")])
    with pytest.raises(ResponseFailed, match="no") as caught:
        Agent(model="m").run_sync("?", client=model.client())
    assert caught.value.code == "invalid_prompt"


USAGE = {
    "input_tokens": 248,
    "output_tokens": 72,
    "total_tokens": 320,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens_details": {"reasoning_tokens": 18},
    "start_time": 1737642515.445,
    "end_time": 1737642515.904,
    "time_to_first_token": 0.084,
    "total_latency": 0.459,
    "output_tokens_per_sec": 156.8,
    "output_tokens_after_first_per_sec": 161.2,
    "total_tokens_per_sec": 311.6,
    "acceptance_rate": 4.06,
    "is_last_response": True,
}


def test_the_pages_example_of_usage_is_read_whole() -> None:
    """ "Token usage statistics for this response." """
    model = ScriptedModel([reply(text("ok"), usage=USAGE)])
    result = Agent(model="m").run_sync("?", client=model.client())
    usage = result.response.usage  # type: ignore[union-attr]
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (248, 72, 320)
    assert (usage.cached_tokens, usage.reasoning_tokens) == (0, 18)
    assert (usage.time_to_first_token, usage.total_latency) == (0.084, 0.459)
    assert (usage.output_tokens_per_sec, usage.output_tokens_after_first_per_sec) == (156.8, 161.2)
    assert (usage.total_tokens_per_sec, usage.acceptance_rate) == (311.6, 4.06)
    assert (usage.start_time, usage.end_time) == (1737642515.445, 1737642515.904)
    assert usage.raw["is_last_response"] is True
    assert result.usage.total_tokens == 320


# Errors: the envelope, the short form, and plain text


def envelope(code: str | None, param: str | None = None, **more: object) -> bytes:
    error = {"message": "what went wrong", "type": "invalid_request_error", "param": param, "code": code, **more}
    return json.dumps({"error": error, "request_id": "req-7"}).encode()


ERRORS = [
    ("a wrong value", 400, envelope("invalid_value", "input[1].role"), BadRequest, 1),
    ("too large", 400, envelope("decimal_above_max_value", "temperature"), BadRequest, 1),
    ("too long", 400, envelope("context_length_exceeded"), ContextOverflow, 1),
    ("an unread call", 400, envelope("adapter_mapping_failed", error_model_output="f("), BadRequest, 3),
    ("a wrong key", 401, envelope("invalid_api_key"), AuthenticationError, 1),
    ("no such model", 404, envelope("model_not_found"), NotFound, 1),
    ("no such path", 404, b'{"error": "Not found"}', NotFound, 1),
    ("a timeout", 408, b'{"error": "Request timeout"}', BadRequest, 4),
    ("a retired model", 410, b'{"error": "model_deprecated"}', NotFound, 1),
    ("the rate limit", 429, envelope("insufficient_quota"), RateLimited, 4),
    ("a full queue", 429, envelope("queue_full"), RateLimited, 4),
    ("a failure in plain text", 500, b"Internal Server Error", ServerError, 4),
    ("maintenance in plain text", 503, b"Service Unavailable", ServerError, 4),
]


@pytest.mark.parametrize(("name", "status", "body", "cls", "tries"), ERRORS, ids=[row[0] for row in ERRORS])
def test_error_bodies(name: str, status: int, body: bytes, cls: type[StatusError], tries: int) -> None:
    with byte_server(serve(http(status, body))) as server:
        client = Client(server.url, profile="sambanova", retry=QUICK, trust_env=False)
        with client, pytest.raises(StatusError) as caught:
            client.respond_sync({"model": "m", "input": "hi"})
    error = caught.value
    assert (type(error), error.status, len(server.requests)) == (cls, status, tries)
    if body.startswith(b'{"error": {'):
        said = json.loads(body)["error"]
        assert (error.code, error.param, error.request_id) == (said["code"], said["param"], "req-7")
        assert "what went wrong" in str(error)
        assert error.model_output == said.get("error_model_output")


RATE_LIMITS = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "1737642575",
    "x-ratelimit-limit-requests-day": "12000",
    "x-ratelimit-remaining-requests-day": "11999",
    "x-ratelimit-reset-requests-day": "1737676800",
}


@pytest.mark.parametrize("status", [200, 429])
def test_rate_limit_headers_stand_in_the_stats(status: int) -> None:
    """Requests per minute and per day, on answers and on errors."""
    headers = [f"{name}: {value}" for name, value in RATE_LIMITS.items()]
    answer = plain("ok", *headers) if status == 200 else http(429, envelope("insufficient_quota"), *headers)
    with (
        byte_server(serve(answer, plain())) as server,
        Client(server.url, profile="sambanova", retry=QUICK, trust_env=False) as client,
    ):
        events = list(client.stream_sync({"model": "m", "input": "hi"}))
        limits = client.stats.rate_limits
    assert sum(isinstance(event, RetryWaiting) for event in events) == (status == 429)
    assert limits == {
        "limit_requests": "60",
        "remaining_requests": "59",
        "reset_requests": "1737642575",
        "limit_requests_day": "12000",
        "remaining_requests_day": "11999",
        "reset_requests_day": "1737676800",
    }


def test_pictures_go_as_data_and_files_not_at_all() -> None:
    """ "data: URL only; external URLs not supported"; `input_file` is in none of the specification's schemas."""
    client = ScriptedModel(["ok"]).client(profile="sambanova")
    with pytest.raises(UsageError, match="fetches no pictures"):
        Agent(model="m").run_sync(Image.from_url("https://example.com/a.png"), client=client)
    with pytest.raises(UsageError, match="takes no files"):
        Agent(model="m").run_sync(File.from_bytes(b"%PDF-1.4", filename="a.pdf"), client=client)
