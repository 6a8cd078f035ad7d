"""The table of faults: every row has tests, every test is there, and the page says the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.faults.pages import ERRORS_PAGE, FAULTS_PAGE, errors_page, faults_page
from tests.faults.rows import ROWS

ROOT = Path(__file__).parents[2]
LATER = {"T09", "T19", "T20"} | {"X12"}
"""Rows that wait for approvals and for tools in a sandbox."""
COUNTS = {"N": 24, "H": 32, "B": 20, "S": 34, "T": 21, "X": 15}


def test_every_fault_of_the_six_groups_has_a_row() -> None:
    expected = {f"{group}{number:02}" for group, count in COUNTS.items() for number in range(1, count + 1)}
    assert ROWS.keys() == expected - LATER
    assert not [name for name, row in ROWS.items() if not row.tests]


def test_every_test_of_a_row_exists() -> None:
    named = {test for row in ROWS.values() for test in row.tests}
    files = sorted({test.partition("::")[0] for test in named})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    listed = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=True).stdout
    collected = {line.partition("[")[0] for line in listed.splitlines()}
    assert sorted(named - collected) == []


def test_the_page_is_made_of_the_table() -> None:
    assert FAULTS_PAGE.read_text(encoding="utf-8") == faults_page(), "run python -m tests.faults.pages --write"


def test_the_page_of_errors_is_made_of_the_module_and_says_what_to_do() -> None:
    page = errors_page()
    assert ERRORS_PAGE.read_text(encoding="utf-8") == page, "run python -m tests.faults.pages --write"
    sections = page.split("\n## ")[1:]
    missing = [section.split()[0] for section in sections if "To do:" not in section]
    assert missing == ["ToolError"]  # it never leaves a run
    assert len(sections) == 25
