"""Scripts: lists, functions, and their end."""

import asyncio
import threading

import pytest

from agentkit.errors import UsageError
from agentkit.service.replies import Answer, failure
from agentkit.service.requests import ReceivedRequest
from agentkit.service.script import Replies, ScriptExhausted, as_function, ask


def answer_of(script, request=None):
    return asyncio.run(ask(as_function(script), request or ReceivedRequest({"input": "hi"})))


def test_a_list_is_used_up_in_order():
    model = as_function(["a", "b"])
    assert [model(ReceivedRequest({})), model(ReceivedRequest({}))] == ["a", "b"]
    assert model.left == 0


def test_the_end_of_a_list_says_how_long_it_was_and_what_was_asked():
    output = {"type": "function_call_output", "call_id": "call_1", "output": "7 C, rain"}
    with pytest.raises(ScriptExhausted) as caught:
        answer_of([], ReceivedRequest({"input": [output]}))
    assert str(caught.value) == (
        "the script is exhausted: all 0 replies were given, and one more request came, which ends with "
        "function_call_output call_1: '7 C, rain'. Add a reply for it, or script with a function."
    )


def test_functions_may_be_async():
    async def model(request):
        await asyncio.sleep(0)
        return request["input"]

    assert answer_of(model) == Answer(("hi",))
    assert answer_of(lambda request: failure(500)) == failure(500)


@pytest.mark.parametrize("script", ["hello", None, 5])
def test_other_scripts_are_usage_errors(script):
    with pytest.raises(UsageError, match="a script can't be"):
        as_function(script)


def test_a_list_is_checked_before_any_request():
    with pytest.raises(UsageError, match="NoneType"):
        as_function(["a", None])


def test_each_reply_is_given_once_over_threads():
    model = Replies([str(number) for number in range(4000)])
    given: list[list[str]] = [[] for _ in range(8)]

    def take(mine):
        mine.extend(model(ReceivedRequest({})) for _ in range(500))

    threads = [threading.Thread(target=take, args=(mine,)) for mine in given]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sum(given, [])) == sorted(str(number) for number in range(4000))  # noqa: RUF017


@pytest.mark.parametrize("script", [[{"text": "a"}], ["Hello", [{"text": "a"}]]])
def test_a_dict_without_a_type_is_no_reply(script):
    with pytest.raises(UsageError, match=r"the dict \{'text': 'a'\}, which has no type.* A reply is a str, a part"):
        as_function(script)
