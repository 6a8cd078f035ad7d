"""`agentkit doctor`: what was found out, as a table while it is found out, or as JSON."""

from __future__ import annotations

import dataclasses
import io
import os
from itertools import groupby
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.text import Text

import agentkit
from agentkit.cli.display import DIM, ERROR, WARNING, duration, explained
from agentkit.cli.doctor import examine
from agentkit.cli.interrupts import Interrupts
from agentkit.cli.report import encode_report
from agentkit.cli.terminal import one_line, open_outputs
from agentkit.portal import iterate_blocking

if TYPE_CHECKING:
    from agentkit.cli.doctor import Finding
    from agentkit.cli.terminal import Outputs, Stream
    from agentkit.json import JSONObject

STYLES: Final = {"ok": "green", "no": WARNING, "failed": ERROR, "skipped": DIM}
NAMES: Final = 19
ASKED: Final = 38
TOOK: Final = 7
WIDE: Final = 100
"""Columns from which requests and what was seen stand side by side."""
ROOMY: Final = 60
"""Columns from which names stand beside what was seen."""


def diagnose(url: str | None, *, model: str | None, probing: bool, as_json: bool) -> int:
    """Examine environment and server, and return the exit code: 1 where something that is needed failed."""
    findings: list[Finding] = []
    with open_outputs(os.environ) as outputs, Interrupts() as interrupts:
        table = None if as_json else Table(outputs.answer)

        def ask(asked: str) -> None:
            if table is not None:
                table.wait(asked)

        try:
            for finding in iterate_blocking(lambda: examine(url, os.environ, model=model, probing=probing, on_ask=ask)):
                findings.append(finding)
                if table is not None:
                    table.add(finding)
        except KeyboardInterrupt:
            outputs.notes.line("interrupted.")
            return interrupts.exit_code
        except Exception as exc:  # noqa: BLE001  (reported, as all are)
            outputs.show_error(explained(exc))
            return 1
        failed = [finding.name for finding in findings if finding.outcome == "failed"]
        if table is not None:
            table.finish(findings, failed)
        else:
            answer = outputs.answer
            answer.write(encode_report(_report(findings, failed), is_unicode=answer.is_unicode))
        return 1 if failed or not _is_written(outputs) else 0


class Table:
    """Rows, each written when it is known."""

    def __init__(self, out: Stream) -> None:
        self._out = out
        self._section = ""
        glyphs = out.glyphs
        self._signs = {"ok": glyphs.ok, "no": glyphs.dash, "failed": glyphs.failed, "skipped": glyphs.dot}

    def add(self, finding: Finding) -> None:
        """Write a row, under the heading of its section."""
        self._out.clear_hint()
        if finding.section != self._section:
            self._out.break_line()
            self._out.write("\n" if self._section else "")
            self._out.line(finding.section, "bold")
            self._section = finding.section
        took = "" if finding.duration_s is None else duration(finding.duration_s)
        asked, seen = one_line(finding.asked), one_line(finding.seen)
        columns = self._out.columns
        if columns >= WIDE and finding.asked:
            room = columns - 3 - NAMES - 1 - ASKED - 1 - TOOK - 1
            self._row(finding, [(asked, ASKED), (seen, room), (took, TOOK)])
            return
        text = f"{asked} {self._out.glyphs.arrow} {seen}" if asked else seen
        text = f"{text} {self._out.glyphs.dot} {took}" if took else text
        if columns >= ROOMY:
            self._row(finding, [(text, columns - 3 - NAMES - 1)])
        else:
            self._row(finding, [])
            for line in wrapped(text, columns - 4):
                self._out.line(f"    {line}")

    def wait(self, asked: str) -> None:
        """Show on a terminal what was asked, until its row comes."""
        self._out.hint(f"   {one_line(asked)} {self._out.glyphs.cut}")

    def finish(self, findings: list[Finding], failed: list[str]) -> None:
        """Write what it comes to."""
        self._out.write("\n")
        probes = [finding.outcome for finding in findings if finding.section == "probes"]
        tried = len(probes) - probes.count("skipped")
        works = f"{probes.count('ok')} of {tried} probes went well. " if tried else ""
        if failed:
            self._out.paragraph(f"{works}Failed, and needed: {', '.join(failed)}.", ERROR)
        else:
            self._out.paragraph(f"{works}Nothing that is needed failed.", "green")

    def _row(self, finding: Finding, cells: list[tuple[str, int]]) -> None:
        sign = self._signs[finding.outcome]
        self._out.break_line()
        self._out.write(f"{sign:<2} ", STYLES[finding.outcome])
        lines = [wrapped(text, width) or [""] for text, width in cells]
        name = one_line(finding.name)
        for number in range(max(map(len, lines), default=1)):
            head = f"{name:<{NAMES}}" if number == 0 else " " * (3 + NAMES)
            row = [column[number] if number < len(column) else "" for column in lines]
            parts = [_padded(text, width) for text, (_, width) in zip(row, cells, strict=True)]
            self._out.write(" ".join([head, *parts]).rstrip() + "\n", DIM if finding.outcome == "skipped" else "")


def wrapped(text: str, columns: int) -> list[str]:
    """Return text broken between words, wide characters counted as two columns."""
    console = Console(file=io.StringIO(), width=columns, color_system=None)
    return [line.plain.rstrip() for line in Text(text).wrap(console, max(columns, 8))]


def _padded(text: str, columns: int) -> str:
    return text + " " * max(columns - Text(text).cell_len, 0)


def _report(findings: list[Finding], failed: list[str]) -> JSONObject:
    sections: JSONObject = {
        section: [_object(finding) for finding in group]
        for section, group in groupby(findings, key=lambda finding: finding.section)
    }
    return {"agentkit": agentkit.__version__, "ok": not failed, "failed": [*failed], **sections}


def _object(finding: Finding) -> JSONObject:
    shown: JSONObject = {
        key: value for key, value in dataclasses.asdict(finding).items() if key != "section" and value not in ("", None)
    }
    if finding.duration_s is not None:
        shown["duration_s"] = round(finding.duration_s, 6)
    return shown


def _is_written(outputs: Outputs) -> bool:
    if (error := outputs.answer.error) is None:
        return True
    outputs.show_error(f"the report can't be written: {error.strerror or error}")
    return False
