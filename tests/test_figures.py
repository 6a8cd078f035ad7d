"""The figures on the pages are those of the committed run, and the run is within its bounds."""

from __future__ import annotations

import pytest

from benchmarks import pages


@pytest.mark.parametrize("block", pages.BLOCKS, ids=lambda block: block.page)
def test_pages_say_what_was_measured(block: pages.Block) -> None:
    _, shown, _ = pages.split((pages.ROOT / block.page).read_text(encoding="utf-8"), block.result)
    assert shown == block.render(pages.load(block.result))


@pytest.mark.parametrize("name", ["run", "cassettes"])
def test_the_committed_runs_are_within_their_bounds(name: str) -> None:
    over = [row for row in pages.load(name)["figures"] if row["at_most"] is not None and row["found"] > row["at_most"]]
    assert over == []


def test_the_plugin_adds_no_more_than_it_may() -> None:
    result = pages.load("plugin")
    added = [figure["found"] for figure in result["figures"]]
    assert added
    assert max(added) <= 10


def test_the_committed_run_holds_other_frameworks_too() -> None:
    result = pages.load("run")
    assert {"agentkit", "httpx_async", "pydantic_ai", "openai_agents"} <= result["clients"].keys()
    assert {"python", "openai"} <= result["clients"]["openai_agents"].keys()
