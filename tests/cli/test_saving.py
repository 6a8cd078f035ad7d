from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from agentkit import Transcript, TranscriptError, UsageError
from agentkit.cli.saving import check_writable, read_transcript, write_transcript

if TYPE_CHECKING:
    from pathlib import Path

TALK = Transcript.from_items([{"role": "user", "content": "hi"}])


def test_what_is_written_is_read_again_and_nobody_elses_business(tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    path.write_text("")
    path.chmod(0o644)
    write_transcript(path, TALK)
    assert read_transcript(path) == TALK
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["talk.json"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "talk.json"
    write_transcript(path, TALK)

    def fail(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_transcript(path, Transcript())
    assert read_transcript(path) == TALK
    assert [entry.name for entry in tmp_path.iterdir()] == ["talk.json"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "talk.json")
    write_transcript(tmp_path / "link.json", TALK)
    assert (tmp_path / "link.json").is_symlink()
    assert read_transcript(tmp_path / "talk.json") == TALK


def test_places_that_cannot_be_written_are_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text("import agentkit")
    for path, words in [
        (tmp_path, "no file"),
        (tmp_path / "no" / "talk.json", "there is no folder"),
        (tmp_path / "agent.py", "holds something else"),
    ]:
        with pytest.raises(UsageError, match=words):
            check_writable(path)
    check_writable(tmp_path / "talk.json")


def test_files_that_are_no_conversation_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        read_transcript(tmp_path / "talk.json")
    (tmp_path / "talk.json").write_text("[]")
    with pytest.raises(TranscriptError, match=r"--continue .*talk\.json: not a transcript"):
        read_transcript(tmp_path / "talk.json")


def test_an_empty_file_and_a_list_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    path.write_text(" \n")
    with pytest.raises(UsageError, match=r"--continue .*talk\.json: the file is empty\. Give one that --save wrote"):
        read_transcript(path)
    path.write_text('[{"role": "user", "content": "hi"}]')
    with pytest.raises(TranscriptError, match=r"not a transcript, but a JSON list\. .*Transcript\.from_items\("):
        read_transcript(path)
