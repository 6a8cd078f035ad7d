"""Recorded traffic of other projects through the file format, byte for byte; vcrpy's files read as they are."""

from __future__ import annotations

import gzip
import importlib.util
import json
from functools import cache
from pathlib import Path

import pytest

from agentkit.cassettes.format import form, ids
from agentkit.cassettes.interaction import Body, Head, Interaction, Recording
from agentkit.errors import CassetteError
from tests.recordings.exchanges import ABSENT, Exchange, all_exchanges, by_project, folder, name_of_project

pytestmark = pytest.mark.skipif(folder() is None, reason=ABSENT)

WITH_BODY = [exchange for exchange in all_exchanges() if exchange.raw or exchange.events]
LAID_OUT_ALIKE = ("*.yaml", "*.yml", "*.yaml.gz")
OTHER_LAYOUTS = ("0xPlaygrounds__rig",)
"""Projects whose YAML is no vcrpy's: documents of when and then."""
PACKED = ("agent_run_reasoning.yaml",)
"""Files with bodies in brotli."""
VCRPY = 195
"""vcrpy files among the recordings, langchain's `requests:` and `responses:` not counted."""


@cache
def files() -> tuple[Path, ...]:
    place = folder()
    found = [path for pattern in LAID_OUT_ALIKE for path in (place.rglob(pattern) if place else ())]
    return tuple(sorted(path for path in found if not any(name in path.parts for name in OTHER_LAYOUTS)))


def content(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def recording(exchange: Exchange, *chunks: bytes) -> Recording:
    body = json.dumps(exchange.request, separators=(",", ":"), ensure_ascii=False).encode()
    kept = tuple(chunk for chunk in chunks if chunk)
    return Recording(Head(), (Interaction("POST", exchange.url or "u", Body(body), 200, (), kept),))


@pytest.mark.parametrize("exchanges", by_project(WITH_BODY), ids=name_of_project)
def test_bodies_keep_their_bytes(exchanges: list[Exchange]) -> None:
    for exchange in exchanges:
        raw = exchange.raw.encode() or exchange.body
        whole = recording(exchange, raw[: len(raw) // 3], raw[len(raw) // 3 :])
        text = form.dump(whole)
        assert form.load(text, name="x") == whole, exchange.name
        assert "\n    base64:" not in text


@pytest.mark.parametrize("exchanges", by_project(WITH_BODY), ids=name_of_project)
def test_numbered_ids_stay_numbered(exchanges: list[Exchange]) -> None:
    """Normalising is idempotent, and what was JSON is JSON of the same shape."""
    for exchange in exchanges:
        raw = exchange.raw.encode() or exchange.body
        once = ids.normalise(recording(exchange, raw))
        assert ids.normalise(once) == once, exchange.name
        if exchange.events is None and raw[:1] == b"{":
            assert shape(json.loads(once.interactions[0].answer)) == shape(json.loads(raw)), exchange.name


def shape(value: object) -> object:
    if isinstance(value, dict):
        return {key: shape(member) for key, member in value.items()}
    return [shape(member) for member in value] if isinstance(value, list) else value is None


def test_all_are_there() -> None:
    assert len(files()) > VCRPY
    assert sum(exchange.events is not None for exchange in WITH_BODY) == 356


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name[:60])
def test_a_foreign_cassette_is_read_and_kept(path: Path) -> None:
    """Each loads, its answers are those that the recordings' own reader found, and our file gives it back."""
    if path.name in PACKED and importlib.util.find_spec("brotli") is None:
        with pytest.raises(CassetteError, match="only the package brotli can unpack"):
            form.load(content(path), name=path.name)
        return
    found = form.load(content(path), name=path.name)
    text = form.dump(found)
    back = form.load(text, name="x.yaml")
    assert back == found
    assert form.dump(back) == text
    source = str(path.relative_to(folder() or ""))
    answers = {interaction.answer.decode(errors="replace") for interaction in found}
    parsed = [json.loads(answer) for answer in answers if answer.startswith("{")]
    for exchange in (exchange for exchange in all_exchanges() if exchange.source == source):
        assert exchange.raw in answers if exchange.raw else exchange.response in parsed or exchange.response is None
