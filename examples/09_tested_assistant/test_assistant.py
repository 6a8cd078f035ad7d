"""The assistant's tests: run them with `pytest examples/09_tested_assistant`."""

from assistant import Pantry, agent

from agentkit.testing import ScriptedModel, block_live, call, rate_limited


@block_live()
def test_what_is_taken_is_gone() -> None:
    pantry = Pantry("Ada", {"tea": 2})
    model = ScriptedModel([call("take", {"item": "tea", "count": 2}), "Enjoy!"])

    result = agent.run_sync("Two cups of tea, please.", deps=pantry, client=model.client())

    assert result.output == "Enjoy!"
    assert pantry.stock == {"tea": 0}
    assert model.requests[0]["instructions"] == "You keep the pantry of Ada. Answer in one sentence."


@block_live()
def test_the_model_is_told_what_is_left() -> None:
    model = ScriptedModel([call("take", {"item": "tea", "count": 3}), "Sorry, there are only two."])
    pantry = Pantry("Ada", {"tea": 2})

    result = agent.run_sync("Three cups, please.", deps=pantry, client=model.client())

    assert result.tool_calls[0].output == "only 2 x tea left"
    assert pantry.stock == {"tea": 2}


@block_live()
def test_a_wrong_argument_takes_nothing() -> None:
    model = ScriptedModel([call("take", {"item": "tea", "count": "many"}), "How many?"])
    pantry = Pantry("Ada", {"tea": 2})

    result = agent.run_sync("Lots of tea.", deps=pantry, client=model.client())

    assert result.tool_calls[0].outcome == "not_run"
    assert "count: expected integer" in result.tool_calls[0].output
    assert pantry.stock == {"tea": 2}


@block_live()
def test_it_waits_when_the_server_is_busy() -> None:
    model = ScriptedModel([rate_limited(retry_after_s=0.01), "Hello, Ada."])

    assert agent.run_sync("Hi!", deps=Pantry("Ada"), client=model.client()).output == "Hello, Ada."
    assert len(model.requests) == 2
