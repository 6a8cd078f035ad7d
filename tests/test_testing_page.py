"""docs/testing.md, followed to the letter: its project is written, recorded over HTTP, replayed, and its output held.

`python -m tests.test_testing_page` writes the outputs into the page.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentkit.service.http import running
from agentkit.service.loading import load_script

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "testing.md"
OUTPUT = re.compile(r"<!-- output: (\w+) -->\n```(\w+)\n(.*?)```", re.DOTALL)
ASKS = """\
    result = agent.run_sync("Do I need a coat in Oslo?")
    assert "7" in result.output
    assert len(cassette.requests) == 2
"""
SKIPPED = ("SAMBANOVA_API_KEY", "AGENTKIT_API_KEY", "OPENAI_API_KEY", "CI", "AGENTKIT_CASSETTES", "PYTEST_ADDOPTS")


class Project:
    """The page's files in a folder, and the commands that it names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for language, code in re.findall(r"```(python|ini)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
            name = re.match(r"# (\S+\.\w+)\n", code)
            assert name, f"a block of {language} names no file: {code[:60]!r}"
            (folder / name[1]).write_text(code, encoding="utf-8")

    def run(self, *argv: str, url: str = "") -> tuple[int, str]:
        """Run Python in the folder, without keys; `url`: with a server."""
        env = {name: value for name, value in os.environ.items() if name not in SKIPPED}
        env |= {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "COLUMNS": "200"}
        if url:
            env["AGENTKIT_BASE_URL"] = url
        command = [sys.executable, *argv]
        done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=self.folder, check=False)
        return done.returncode, done.stdout + done.stderr

    def pytest(self, *options: str, url: str = "") -> tuple[int, str]:
        """Run pytest in the folder; plugins that the page doesn't install are left out."""
        return self.run("-m", "pytest", "-p", "no:asyncio", "-p", "no:cacheprovider", *options, url=url)

    def change(self, name: str, before: str, after: str) -> None:
        """Edit a file."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.write_text(text.replace(before, after), encoding="utf-8")

    def outputs(self) -> dict[str, str]:
        """Do what the page says, and return what it quotes."""
        coat = "test_assistant.py::test_coat"
        found = {"unrecorded": _error(self.pytest(coat))}
        with server() as url:
            code, shown = self.pytest("--cassettes=record", coat, url=url)
        assert code == 0, shown
        found["recorded"] = re.findall(r"^cassettes/.*$", shown, re.MULTILINE)[0] + "\n"
        cassette = self.folder / "cassettes" / "test_assistant" / "test_coat.yaml"
        text = cassette.read_text(encoding="utf-8")
        found["file"] = text[text.index("- turn: 2") :]
        self.change("test_assistant.py", ASKS, ASKS.replace("Oslo", "Bergen"))
        found["mismatch"] = _error(self.pytest(coat))
        self.change("test_assistant.py", ASKS.replace("Oslo", "Bergen"), "    pass\n")
        found["unused"] = _error(self.pytest(coat))
        return found


def _error(done: tuple[int, str]) -> str:
    code, shown = done
    assert code == 1, shown
    lines = [line[2:] for line in shown.splitlines() if line.startswith("E ")]
    indent = len(lines[0]) - len(lines[0].lstrip())
    text = "\n".join(line[indent:].rstrip() for line in lines) + "\n"
    return re.sub(r"^agentkit\.errors\.(CassetteError: )?", "", text)


@contextmanager
def server() -> Iterator[str]:
    """Run the server of the page."""
    with running(load_script(str(ROOT / "examples" / "scripts" / "weather.yaml"))) as served:
        yield served.base_url


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_the_page_quotes_what_is_printed(project: Project) -> None:
    quoted = {name: text for name, _, text in OUTPUT.findall(PAGE.read_text(encoding="utf-8"))}
    found = project.outputs()
    day = re.compile(r"20\d\d-\d\d-\d\d")
    assert {name: day.sub("DAY", text) for name, text in found.items()} == {
        name: day.sub("DAY", text) for name, text in quoted.items()
    }


def test_the_tests_of_the_page_are_recorded_and_replayed(project: Project) -> None:
    with server() as url:
        code, shown = project.pytest("--cassettes=record", url=url)
        assert code == 0, shown
        code, shown = project.run("notebook.py", url=url)
        assert code == 0, shown
    code, shown = project.pytest()
    assert code == 0, shown
    assert "8 passed" in shown
    code, shown = project.run("notebook.py")
    assert code == 0, shown
    code, shown = project.run("-m", "agentkit", "cassettes", "check")
    assert code == 0, shown


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        outputs = Project(Path(made)).outputs()
    text = OUTPUT.sub(
        lambda block: f"<!-- output: {block[1]} -->\n```{block[2]}\n{outputs[block[1]]}```",
        PAGE.read_text(encoding="utf-8"),
    )
    PAGE.write_text(text, encoding="utf-8")
