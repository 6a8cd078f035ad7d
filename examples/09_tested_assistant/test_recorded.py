"""The assistant with a model that answered once: its recordings are in cassettes/examples. See docs/testing.md."""

import pytest
from assistant import Pantry, agent

from agentkit.cassettes import Cassette


@pytest.mark.cassette(tools="live")  # the pantry is a value: taking from it harms nobody
def test_a_cup_of_tea_is_taken(cassette: Cassette) -> None:
    pantry = Pantry("Ada", {"tea": 2})

    result = agent.run_sync("I'd like a cup of tea.", deps=pantry)

    assert pantry.stock == {"tea": 1}
    assert result.output == "Here you are, enjoy it!"
    assert len(cassette.requests) == 2


@pytest.mark.cassette
def test_what_is_not_there_is_said() -> None:
    result = agent.run_sync("I'd like a cup of coffee.", deps=Pantry("Ada", {"tea": 2}))

    assert result.tool_calls[0].output == "only 0 x coffee left"
    assert "sorry" in result.output
