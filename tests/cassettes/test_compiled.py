"""The compiled copy: the same recording, or nothing."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest

from agentkit.cassettes.format import compiled, form
from agentkit.cassettes.interaction import Failure, Head, Interaction, Recording, ToolResult
from tests.cassettes.sessions import recorded
from tests.cassettes.test_form import CONVERSATION

DIGEST = hashlib.sha256(b"a").hexdigest()
OTHER = hashlib.sha256(b"b").hexdigest()


def written(folder: Path, recording: Recording = CONVERSATION, digest: str = DIGEST) -> Path:
    compiled.write(folder / "x.yaml", digest, recording, [f"key {n}" for n in range(len(recording))], "rules")
    return folder / "x.yaml"


def test_it_is_the_same_recording(tmp_path: Path) -> None:
    session = form.load(form.dump(recorded(12)), name="x")
    odd = Interaction(
        "GET", "u", session.interactions[3].body, 200, (("a", "1"), ("a", "2")), (b"\xff", b"\0"),
        Failure("ReadError", "é"), 3, "call_1/call_2", (1, 2), (ToolResult("call_1", "o", "error", "f"),),
    )  # fmt: skip
    for recording in (Recording(), CONVERSATION, Recording(Head(seed=0, extra={"a": [1]}), (*session, odd))):
        found = compiled.read(written(tmp_path, recording), DIGEST)
        assert found is not None
        assert found.recording() == recording
        assert (found.head, len(found), found.rules) == (recording.head, len(recording), "rules")
        assert found.keys == tuple(f"key {n}" for n in range(len(recording)))
        assert found.parents == tuple(each.parent for each in recording)
        assert found.lanes == tuple(each.lane for each in recording)


def test_bodies_share_their_bytes(tmp_path: Path) -> None:
    session = form.load(form.dump(recorded(6)), name="x")
    found = compiled.read(written(tmp_path, session), DIGEST)
    assert found is not None
    last = found.interaction(5).body
    assert last.parent is found.body(4)
    assert bytes(last) == bytes(session.interactions[5].body)


def test_a_change_anywhere_makes_it_nothing(tmp_path: Path) -> None:
    cassette = written(tmp_path)
    place = compiled.place_of(cassette, DIGEST)
    data = place.read_bytes()
    for at in (*range(120), *range(120, len(data), 37)):
        place.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert compiled.read(cassette, DIGEST) is None
        place.write_bytes(data[:at])
        assert compiled.read(cassette, DIGEST) is None
    place.write_bytes(data)
    assert compiled.read(cassette, DIGEST) is not None


def test_it_is_of_one_content_of_the_file(tmp_path: Path) -> None:
    cassette = written(tmp_path)
    assert compiled.read(cassette, OTHER) is None
    compiled.place_of(cassette, DIGEST).rename(compiled.place_of(cassette, OTHER))
    assert compiled.read(cassette, OTHER) is None


def test_earlier_copies_of_the_same_file_go(tmp_path: Path) -> None:
    neighbours = [tmp_path / "x.yaml.new", tmp_path / "[x].yaml", tmp_path / "ax.yaml"]
    for neighbour in neighbours:
        compiled.write(neighbour, DIGEST, Recording(), [], "")
    written(tmp_path, digest=DIGEST)
    cassette = written(tmp_path, digest=OTHER)
    compiled.write(tmp_path / "[x].yaml", OTHER, Recording(), [], "")
    assert compiled.read(cassette, DIGEST) is None
    assert compiled.read(cassette, OTHER) is not None
    assert [compiled.read(each, DIGEST) is not None for each in neighbours] == [True, False, True]


def test_it_is_ignored_and_its_owners_alone(tmp_path: Path) -> None:
    place = compiled.place_of(written(tmp_path), DIGEST)
    assert (place.parent / ".gitignore").read_text() == "*\n"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    assert {each.name for each in place.parent.iterdir()} == {".gitignore", place.name}


@pytest.mark.parametrize("obstacle", ["file", "missing"])
def test_where_nothing_can_be_written_nothing_is(tmp_path: Path, obstacle: str) -> None:
    if obstacle == "file":
        (tmp_path / compiled.FOLDER).write_text("in the way")
    cassette = tmp_path / "x.yaml" if obstacle == "file" else tmp_path / "nowhere" / "x.yaml"
    compiled.write(cassette, DIGEST, CONVERSATION, ["a", "b"], "rules")
    assert compiled.read(cassette, DIGEST) is None
