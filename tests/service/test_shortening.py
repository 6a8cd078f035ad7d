"""`max_output_tokens`, plain and streamed."""

import asyncio

import pytest

from agentkit import json
from agentkit.service.app import Service
from agentkit.service.replies import call, failed, reasoning, refusal, text, wait

RAW = {"type": "message", "status": "completed", "content": [{"type": "output_text", "text": "a b c"}]}
WORDS = text("one two", wait(0), " three four")


def answered(script, most, *, stream=False):
    async def ask():
        body = json.encode({"model": "m", "input": "hi", "max_output_tokens": most, "stream": stream})
        answer = await Service(lambda _: script).handle("POST", "/v1/responses", {}, body)
        if isinstance(answer.body, bytes):
            return json.decode(answer.body)
        frames = b"".join([chunk async for chunk in answer.body]).decode().split("\n\n")
        return [json.decode(frame.partition("data: ")[2]) for frame in frames if frame]

    return asyncio.run(ask())


def said(item):
    if "arguments" in item:
        return item["arguments"]
    return "".join(part.get("text", part.get("refusal")) for part in [*item.get("summary", ()), *item["content"]])


@pytest.mark.parametrize(
    ("script", "most", "texts"),
    [
        (WORDS, 1, ["one"]),
        (WORDS, 3, ["one two three"]),
        ([text("one two"), call("f", {"a": 1})], 2, ["one two"]),
        ([text("one two"), call("f", {"a": 1})], 4, ["one two", '{"a']),
        ([reasoning("I think so", summary=["In short"]), "Yes"], 3, ["In shortI"]),
        ([refusal("I can not")], 2, ["I can"]),
        ([RAW], 2, ["a b"]),
        (failed("one two three"), 2, ["one two"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_above_the_limit_is_cut(script, most, texts, stream):
    found = answered(script, most, stream=stream)
    response = found[-1]["response"] if stream else found
    assert [said(item) for item in response["output"]] == texts
    assert [item["status"] for item in response["output"]] == ["completed"] * (len(texts) - 1) + ["incomplete"]
    assert (response["status"], response["error"]) == ("incomplete", None)
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["usage"]["output_tokens"] == most
    if stream:
        assert found[-1]["type"] == "response.incomplete"
        assert "".join(event["delta"] for event in found if "delta" in event) == "".join(texts)
        done = [event["item"] for event in found if event["type"] == "response.output_item.done"]
        assert done == response["output"]


@pytest.mark.parametrize("most", [4, 5, None])
def test_what_is_within_the_limit_is_whole(most):
    response = answered(WORDS, most)
    assert (response["status"], said(response["output"][0])) == ("completed", "one two three four")
