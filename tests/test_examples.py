"""The examples and the README's code, run as a reader runs them, against the output that the docs quote."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
QUICKSTART = ROOT / "docs" / "quickstart.md"
README = ROOT / "README.md"
EXAMPLES = sorted([*(ROOT / "examples").glob("[0-9]*.py"), *(ROOT / "examples").glob("[0-9]*/assistant.py")])

RECORDED = ROOT / "examples" / "10_recording.py"


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run Python with keys set that would be noticed if they were used."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "OPENAI_API_KEY": "sk-not-used"}
    env.pop("AGENTKIT_LIVE", None)
    return subprocess.run([sys.executable, *argv], capture_output=True, text=True, check=True, env=env, cwd=ROOT)


def quoted_output(page: Path, example: str) -> str:
    """Return the output that a page quotes after naming an example, as in `python examples/01_hello.py`."""
    text = page.read_text(encoding="utf-8")
    found = re.search(rf"python examples/{re.escape(example)}\n```\n+```\n(.*?)```", text, re.DOTALL)
    assert found, f"{page.name} quotes no output of {example}"
    return found[1]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_prints_what_the_quickstart_quotes(example: Path) -> None:
    done = run(str(example))
    assert done.stdout == quoted_output(QUICKSTART, str(example.relative_to(ROOT / "examples")))
    assert done.stderr == (
        "" if example == RECORDED else "offline: a recording answers; AGENTKIT_LIVE=1 asks a real model\n"
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short_and_goes_live_by_one_line(example: Path) -> None:
    text = example.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 65
    assert text.count("AGENTKIT_LIVE=1") == 1


def test_the_assistant_passes_its_own_tests() -> None:
    done = run("-m", "pytest", "-q", "-p", "no:asyncio", "-p", "no:cacheprovider", "examples/09_tested_assistant")
    assert "6 passed" in done.stdout


def test_recording_the_examples_anew_changes_nothing(tmp_path: Path) -> None:
    """The day is kept where nothing else has changed, too."""
    for name in ("examples", "cassettes"):
        shutil.copytree(ROOT / name, tmp_path / name)
    files = sorted(path.relative_to(ROOT) for path in (ROOT / "cassettes" / "examples").rglob("*.yaml"))
    assert len(files) == len(EXAMPLES) + 2
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    for name in ("CI", "AGENTKIT_LIVE", "PYTEST_ADDOPTS"):
        env.pop(name, None)
    subprocess.run([sys.executable, "-m", "examples.record"], check=True, capture_output=True, env=env, cwd=tmp_path)
    for file in files:
        assert (tmp_path / file).read_text(encoding="utf-8") == (ROOT / file).read_text(encoding="utf-8")
        assert "\nserver: agentkit serve\n" in (ROOT / file).read_text(encoding="utf-8")


def test_what_an_example_has_no_recording_of_is_told_with_what_there_is() -> None:
    command = [sys.executable, "-m", "agentkit", "run", "examples/02_tools.py", "Do I need a hat in Oslo?"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=ROOT)
    assert done.returncode == 1
    assert "[-coat-]{+hat+}" in done.stderr


def test_the_readme_code_prints_what_it_says() -> None:
    text = README.read_text(encoding="utf-8")
    found = re.search(r"<!-- run: readme -->\n```python\n(.*?)```.*?It prints:\n\n```\n(.*?)```", text, re.DOTALL)
    assert found
    assert run("-c", found[1]).stdout == found[2]


def test_the_code_blocks_of_the_quickstart_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", QUICKSTART.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 5
    run("-c", "\n".join(blocks))
