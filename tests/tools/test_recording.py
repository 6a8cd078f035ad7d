"""The cassettes of the agents' tests here, recorded anew from the script that they are of."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="needs the extra 'server'")

from agentkit.service.http import running
from agentkit.service.loading import load_script

ROOT = Path(__file__).parent.parent.parent
CASSETTES = Path("cassettes/tests/tools")


def test_recording_anew_changes_nothing(tmp_path: Path) -> None:
    for folder in ("tests", CASSETTES):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", ".agentkit"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/tools", "-k", "test_an_agent_uses"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    for name in ("CI", "PYTEST_ADDOPTS"):
        env.pop(name, None)
    with running(load_script(Path(__file__).with_name("script.py"))) as server:
        env["AGENTKIT_BASE_URL"] = server.base_url
        done = subprocess.run(
            [*command, "--cassettes=rewrite"], capture_output=True, text=True, check=False, env=env, cwd=tmp_path
        )
        assert server.requests
    assert done.returncode == 0, done.stdout
    recorded = {path.relative_to(tmp_path): path.read_text(encoding="utf-8") for path in _files(tmp_path)}
    assert recorded == {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in _files(ROOT)}


def _files(root: Path) -> list[Path]:
    return sorted((root / CASSETTES).rglob("*.yaml"))
