"""Clients that people have, over HTTP: OpenAI's SDK and SambaNova's."""

import asyncio
import json
import re
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="needs the extra 'server'")
openai = pytest.importorskip("openai", reason="needs the extra 'test'")

from pydantic import BaseModel  # noqa: E402

from agentkit.service.http import running  # noqa: E402
from agentkit.service.replies import call, failed, incomplete, reasoning, refusal, structured, text  # noqa: E402

TOOL = {
    "type": "function",
    "name": "weather",
    "description": "Weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Forecast(BaseModel):
    city: str
    temp: int


def model(request):
    """Answers by what is asked."""
    outputs = request.outputs
    if outputs:
        return [reasoning("I know."), f"It is {' and '.join(outputs)}."]
    match request.last_text:
        case "weather":
            return [
                reasoning("Look it up."),
                text("One moment.", phase="commentary"),
                call("weather", {"city": "Oslo"}),
            ]
        case "both":
            return [call("weather", {"city": "Oslo"}), call("weather", {"city": "Rome"})]
        case "forecast":
            return structured({"city": "Oslo", "temp": 7})
        case "refuse":
            return refusal("I can't.")
        case "long":
            return incomplete("It is a lo")
        case "fail":
            return failed("It")
        case _:
            return "Supervised learning has labels. Unsupervised learning has none."


@pytest.fixture(scope="module", params=[False, True], ids=["plain end", "done"])
def server(request):
    with running(model, done=request.param) as found:
        yield found


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0) as found:
        yield found


def test_the_documented_example(client):
    """Unchanged from SambaNova's page but for base_url and key."""
    response = client.responses.create(
        model="gpt-oss-120b",
        input="Explain the difference between supervised and unsupervised learning in two sentences.",
    )

    assert response.output[0].content[0].text == "Supervised learning has labels. Unsupervised learning has none."
    assert response.output_text == response.output[0].content[0].text


def test_plain(client):
    response = client.responses.create(
        model="m", input="hi", instructions="Be brief.", temperature=0.5, metadata={"a": "b"}
    )
    assert (response.status, response.instructions, response.temperature) == ("completed", "Be brief.", 0.5)
    assert response.metadata == {"a": "b"}
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert response.usage.output_tokens_details.reasoning_tokens == 0


def test_streamed(client):
    events = list(client.responses.create(model="m", input="weather", stream=True, tools=[TOOL]))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    joined = "".join(event.delta for event in events if event.type == "response.function_call_arguments.delta")
    assert joined == events[-1].response.output[-1].arguments == '{"city":"Oslo"}'


def test_the_stream_helper(client):
    with client.responses.stream(model="m", input="hi") as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        response = stream.get_final_response()
    assert "".join(deltas) == response.output_text
    assert len(deltas) > 5


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("question", ["weather", "both"])
def test_tools_over_several_turns(client, question, stream):
    items = [{"role": "user", "content": question}]
    asked = 0
    while True:
        asked += 1
        response = client.responses.create(model="m", input=items, tools=[TOOL], stream=stream)
        if stream:
            response = list(response)[-1].response
        items += [item.model_dump(exclude_none=True) for item in response.output]
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            break
        for each in calls:
            output = f"7 C in {json.loads(each.arguments)['city']}"
            items.append({"type": "function_call_output", "call_id": each.call_id, "output": output})
    assert asked == 2
    assert (
        response.output_text
        == {
            "weather": "It is 7 C in Oslo.",
            "both": "It is 7 C in Oslo and 7 C in Rome.",
        }[question]
    )


def test_structured_output(client):
    response = client.responses.parse(model="m", input="forecast", text_format=Forecast)
    assert response.output_parsed == Forecast(city="Oslo", temp=7)
    assert response.text.format.type == "json_schema"


def test_structured_output_streamed(client):
    with client.responses.stream(model="m", input="forecast", text_format=Forecast) as stream:
        assert stream.get_final_response().output_parsed == Forecast(city="Oslo", temp=7)


def test_in_band_ends(client):
    assert client.responses.create(model="m", input="refuse").output[0].content[0].refusal == "I can't."
    long = client.responses.create(model="m", input="long")
    assert (long.status, long.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    failed_response = client.responses.create(model="m", input="fail")
    assert (failed_response.status, failed_response.error.code) == ("failed", "server_error")


def test_models(client):
    assert [each.id for each in client.models.list()] == ["gpt-oss-120b"]
    assert client.models.retrieve("gpt-oss-120b").object == "model"


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("rate_limited", openai.RateLimitError, "insufficient_quota"),
        ("rate_limited_with_headers", openai.RateLimitError, "insufficient_quota"),
        ("queue_full", openai.RateLimitError, "queue_full"),
        ("request_timeout", openai.APIStatusError, None),
        ("internal_error", openai.InternalServerError, None),
        ("maintenance", openai.InternalServerError, None),
        ("context_length_exceeded", openai.BadRequestError, "context_length_exceeded"),
        ("adapter_mapping_failed", openai.BadRequestError, "adapter_mapping_failed"),
        ("disconnect", openai.APIConnectionError, None),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_as_its_exceptions(client, fault, error, code, stream):
    with pytest.raises(error) as caught:
        client.responses.create(model="m", input="hi", stream=stream, extra_headers={"x-agentkit-fault": fault})
    assert getattr(caught.value, "code", None) == code


def test_refusals_as_its_exceptions(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="m", input="hi", temperature=3)
    assert (caught.value.param, caught.value.code) == ("temperature", "decimal_above_max_value")
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_1")


def test_a_wrong_key_as_its_exception():
    with (
        running(model, api_key="right") as locked,
        openai.OpenAI(base_url=locked.base_url, api_key="wrong") as other,
        pytest.raises(openai.AuthenticationError),
    ):
        other.responses.create(model="m", input="hi")


@pytest.mark.parametrize("fault", ["rate_limited; retry_after_s=0.01", "internal_error", "disconnect"])
def test_its_retries_succeed(server, fault):
    headers = {"x-agentkit-fault": f"{fault}; times=1"}
    with openai.OpenAI(base_url=server.base_url, api_key="any") as client:
        assert client.responses.create(model="m", input=f"hi {fault}", extra_headers=headers).status == "completed"


def test_async(server):
    async def main():
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="any") as client:
            stream = await client.responses.create(model="m", input="hi", stream=True)
            return [event.type async for event in stream]

    assert asyncio.run(main())[-1] == "response.completed"


def test_the_pages_blocks_run():
    page = (Path(__file__).parent.parent.parent / "docs" / "server.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "docs/server.md", "exec"), {})


# --- SambaNova's ---


@pytest.fixture
def sambanova(server):
    sdk = pytest.importorskip("sambanova", reason="SambaNova's SDK isn't installed")
    with sdk.SambaNova(base_url=server.base_url, api_key="any", max_retries=0) as found:
        yield found


def test_sambanova_plain(sambanova):
    response = sambanova.responses.create(model="gpt-oss-120b", input="hi", top_k=5)
    assert (response.status, response.top_k, response.store) == ("completed", 5, False)
    assert response.usage.is_last_response is True
    assert response.usage.total_latency >= response.usage.time_to_first_token >= 0


def test_sambanova_streamed_with_tools(sambanova):
    events = list(sambanova.responses.create(model="m", input="weather", stream=True, tools=[TOOL]))
    assert events[-1].type == "response.completed"
    kinds = [item.type for item in events[-1].response.output]
    assert kinds == ["reasoning", "message", "function_call"]


def test_sambanova_errors(sambanova):
    import sambanova as sdk

    with pytest.raises(sdk.BadRequestError):
        sambanova.responses.create(model="m", input="hi", top_p=2)
    with pytest.raises(sdk.RateLimitError):
        sambanova.responses.create(model="m", input="hi", extra_headers={"x-agentkit-fault": "queue_full"})
