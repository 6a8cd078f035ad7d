from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from agentkit.cli.lines import MOST_REMEMBERED, History, history_path


def test_what_was_said_is_remembered_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "state" / "agentkit" / "chat_history"
    history = History(path)
    assert history.load() == []
    for entry in ("one", "two\nlines", "ø \x1b \ud83d"):
        history.add(entry)
    assert History(path).load() == ["one", "two\nlines", "ø \x1b \ud83d"]
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_broken_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "chat_history"
    path.write_bytes(b'"one"\n"tw\n[1]\n\xff\n"three"\n')
    assert History(path).load() == ["one", "three"]


def test_a_history_grown_long_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "chat_history"
    path.write_text("".join(f"{json.dumps(str(number))}\n" for number in range(2 * MOST_REMEMBERED + 1)))
    assert History(path).load()[0] == str(MOST_REMEMBERED + 1)
    assert len(path.read_text().splitlines()) == MOST_REMEMBERED
    assert [entry.name for entry in tmp_path.iterdir()] == ["chat_history"]


def test_a_place_that_cannot_be_written_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (None, tmp_path / "file" / "chat_history"):
        History(path).add("one")
        assert History(path).load() == []


@pytest.mark.skipif(os.name != "posix", reason="elsewhere it is below LOCALAPPDATA")
def test_the_state_home_must_be_absolute(tmp_path: Path) -> None:
    assert history_path({"XDG_STATE_HOME": "/state"}) == Path("/state/agentkit/chat_history")
    assert history_path({"XDG_STATE_HOME": "state"}) == Path.home() / ".local/state/agentkit/chat_history"
