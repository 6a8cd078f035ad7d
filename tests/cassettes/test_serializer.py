"""Our files through a plain `vcr.VCR()`, which knows nothing of us but the serializer."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import vcr

from agentkit.cassettes.format import form, ids
from agentkit.cassettes.format.serializer import Serializer
from agentkit.cassettes.interaction import Recording
from agentkit.errors import CassetteError
from tests.byte_server import byte_server, plain, serve, streamed
from tests.cassettes.sessions import recorded
from tests.cassettes.test_form import CONVERSATION, FILE


def recorder(folder: Path, **options: object) -> vcr.VCR:
    found = vcr.VCR(
        cassette_library_dir=str(folder), serializer="agentkit", match_on=("method", "uri", "body"), **options
    )
    found.register_serializer("agentkit", Serializer())
    return found


def test_vcrpy_plays_our_file(tmp_path: Path) -> None:
    recording = recorded(3)
    (tmp_path / "x.yaml").write_text(form.dump(recording))
    with recorder(tmp_path, record_mode="none").use_cassette("x.yaml"), httpx.Client() as client:
        for interaction in recording:
            answer = client.post(interaction.uri, content=bytes(interaction.body))
            assert answer.content == interaction.answer
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"


def test_vcrpy_writes_our_file(tmp_path: Path) -> None:
    with byte_server(serve(streamed("Hi"), plain("Ho"))) as server:
        for _ in range(2):
            with recorder(tmp_path).use_cassette("x.yaml"), httpx.Client() as client:
                one = client.post(f"{server.url}/responses", json={"input": ["a"]})
                two = client.post(f"{server.url}/responses", json={"input": ["a", "b"]})
        assert len(server.requests) == 2
    text = (tmp_path / "x.yaml").read_text()
    first, second = form.load(text, name="x.yaml")
    assert (first.answer, second.answer) == (one.content, two.content)
    assert second.parent == 0
    assert "input_added: [b]" in text


def test_what_vcrpy_adds_leaves_the_rest_as_it_was(tmp_path: Path) -> None:
    recording = recorded(3)
    (tmp_path / "x.yaml").write_text(form.dump(recording))
    cassette = recorder(tmp_path, record_mode="new_episodes").use_cassette("x.yaml")
    with byte_server(serve(plain("Hi"))) as server, cassette, httpx.Client() as client:
        client.post(f"{server.url}/responses", json={"input": "a"})
    *kept, added = form.load((tmp_path / "x.yaml").read_text(), name="x.yaml")
    assert tuple(kept) == recording.interactions
    assert b"Hi" in added.answer


@pytest.mark.parametrize(
    "recording", [Recording(), CONVERSATION, ids.normalise(recorded(3))], ids=["empty", "cut", "session"]
)
def test_everything_travels_through_the_dict(recording: Recording) -> None:
    serializer = Serializer()
    assert form.load(serializer.serialize(serializer.deserialize(form.dump(recording))), name="x") == recording


def test_a_file_that_is_wrong_is_named() -> None:
    with pytest.raises(CassetteError, match=r"^tapes/x.yaml, line 2: version"):
        Serializer("tapes/x.yaml").deserialize(FILE.replace("version: 1", "version: 3"))


def test_ids_are_numbered_where_that_is_asked_for() -> None:
    serializer = Serializer(normalised=True)
    text = serializer.serialize(serializer.deserialize(form.dump(recorded(2))))
    assert text == form.dump(ids.normalise(recorded(2)))
