"""Cassettes that other projects recorded with vcrpy, played to a client that asks what they asked."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import httpx
import pytest

import agentkit
from agentkit.cassettes.format import form
from agentkit.errors import CassetteError

FOLDER = os.environ.get("AGENTKIT_RECORDINGS")
PROJECTS = ("Arize", "Mirascope", "braintrust", "crewAI", "lmnr", "open-telemetry", "pydantic", "simonw", "traceloop")


def stock_files():
    if FOLDER is None:
        return [pytest.param(None, marks=pytest.mark.skip(reason="AGENTKIT_RECORDINGS names no folder of recordings"))]
    found = (
        path for path in sorted(Path(FOLDER).rglob("*.yaml")) if path.relative_to(FOLDER).parts[0].startswith(PROJECTS)
    )
    return [pytest.param(path, id=str(path.relative_to(FOLDER))) for path in found]


@pytest.mark.parametrize("recorded", stock_files())
def test_each_request_gets_the_bytes_that_were_recorded(recorded, tmp_path):
    path = tmp_path / "tape.yaml"
    shutil.copyfile(recorded, path)
    try:
        recording = form.load(path.read_bytes(), name=recorded.name)
    except CassetteError as exc:
        pytest.fail(f"{recorded}: {exc}")
    with agentkit.cassette(path, patch=True) as tape, httpx.Client(trust_env=False) as client:
        for interaction in recording:
            response = client.request(interaction.method, interaction.uri, content=bytes(interaction.body))
            assert response.status_code == interaction.status
            assert response.content == interaction.answer
    assert tape.unused == []
