"""The figures on the pages are those of the committed run, and the run is within its bounds."""

from __future__ import annotations

import pytest

from benchmarks import pages


@pytest.mark.parametrize("name", pages.PAGES)
def test_pages_say_what_was_measured(name: str) -> None:
    _, shown, _ = pages.split((pages.ROOT / name).read_text(encoding="utf-8"))
    assert shown == pages.PAGES[name](pages.load())


def test_the_committed_run_is_within_its_bounds() -> None:
    over = [row for row in pages.load()["figures"] if row["at_most"] is not None and row["found"] > row["at_most"]]
    assert over == []


def test_the_committed_run_holds_other_frameworks_too() -> None:
    result = pages.load()
    assert {"agentkit", "httpx_async", "pydantic_ai", "openai_agents"} <= result["clients"].keys()
    assert {"python", "openai"} <= result["clients"]["openai_agents"].keys()
