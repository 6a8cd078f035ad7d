"""What a test run leaves word of."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentkit import CassetteError
from agentkit.cassettes.review.usage import PLACE, Played, Usage, find_usage, read_usage, write_usage


def test_what_was_written_is_read(tmp_path: Path) -> None:
    usage = Usage("full green", {"a/b.yaml": Played((1, 3), 4), "c.yaml": Played((), 2)})
    write_usage(tmp_path, usage)
    assert read_usage(tmp_path) == usage
    assert usage.cassettes["a/b.yaml"].unused == (2, 4)
    assert find_usage(tmp_path / "a" / "b.yaml") == (tmp_path, usage)
    assert (tmp_path / PLACE).with_name(".gitignore").read_text() == "*\n"


def test_no_word_is_none(tmp_path: Path) -> None:
    assert read_usage(tmp_path) is None
    assert find_usage(tmp_path / "x.yaml") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"version": 2, "session": "failed", "cassettes": {}}',
        '{"version": 1, "session": "good", "cassettes": {}}',
        '{"version": 1, "session": "failed", "cassettes": []}',
        '{"version": 1, "session": "failed", "cassettes": {"a": {"played": ["1"], "total": 1}}}',
    ],
)
def test_other_text_says_what_to_do(tmp_path: Path, text: str) -> None:
    path = tmp_path / PLACE
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(CassetteError, match="Delete it, and run the tests again"):
        read_usage(tmp_path)
