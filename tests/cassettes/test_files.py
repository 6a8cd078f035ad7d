"""Cassettes on disk: what stands beside one another, and what is left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentkit import CassetteError, UsageError
from agentkit.cassettes.files import CassetteFile, find_file, find_files, read_text, write_text


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


def test_a_folder_gives_each_cassette_once_with_what_stands_beside_it(tmp_path: Path) -> None:
    touch(tmp_path, "b.yaml", "b.yaml.new", "a/c.yml.part", "a/d.yaml.new", "x.json", ".agentkit/e.yaml", ".tmp.yaml")
    found = find_files([tmp_path, tmp_path / "b.yaml"])
    assert [file.path.relative_to(tmp_path).as_posix() for file in found] == ["a/c.yml", "a/d.yaml", "b.yaml"]
    assert [file.waiting and file.waiting.name for file in found] == ["c.yml.part", "d.yaml.new", "b.yaml.new"]
    assert [file.newest.name for file in found] == ["c.yml.part", "d.yaml.new", "b.yaml"]


@pytest.mark.parametrize("name", ["b.yaml", "b.yaml.new", "b.yaml.part"])
def test_a_cassette_is_named_by_any_of_its_files(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "b.yaml", "b.yaml.new")
    assert find_file(tmp_path / name) == CassetteFile(tmp_path / "b.yaml")


def test_what_isnt_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.yaml: there is no such file\. Give a cassette"):
        find_files([tmp_path / "none.yaml"])
    with pytest.raises(UsageError, match="that is a folder"):
        find_file(tmp_path)


def test_text_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.yaml"
    write_text(path, "one\n")
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert path.read_text() == "one\n"
    assert os.listdir(path.parent) == ["b.yaml"]  # noqa: PTH208


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.yaml").symlink_to(tmp_path / "real.yaml")
    write_text(tmp_path / "link.yaml", "x")
    assert (tmp_path / "link.yaml").is_symlink()
    assert (tmp_path / "real.yaml").read_text() == "x"


def test_text_that_isnt_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"abc\xff")
    with pytest.raises(CassetteError, match=r"isn't UTF-8 \(byte 3\)"):
        read_text(tmp_path / "x.yaml")
