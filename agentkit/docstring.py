"""Docstrings in Google, NumPy and Sphinx style, read into a description and one text per parameter.

Reads what people write, not only what the style guides allow, and never raises: text that it doesn't
understand stays in the description. Return values, errors and examples are dropped, since a model that
calls the function has no use for them; notes and warnings stay.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Docstring:
    """What a docstring says to somebody who calls the function."""

    description: str = ""
    """Summary and long text, with their line breaks; empty where there is none."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    """Parameter name to its description, on one line per paragraph; names without stars."""


def parse_docstring(text: object) -> Docstring:
    """Read a docstring of any of the three styles, or a mix of them; None and other values give an empty one."""
    if not isinstance(text, str):
        return Docstring()
    lines = inspect.cleandoc(text).splitlines()
    kept: list[str] = []
    parameters: dict[str, str] = {}
    for section in _sections(lines):
        if section.kind == "text":
            kept.extend(section.lines)
        elif section.kind == "parameters":
            for name, description in section.entries():
                parameters.setdefault(name, description)
    description = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in kept)).strip()
    return Docstring(description, parameters)


# --- sections ----------------------------------------------------------------------------------------------

_PARAMETERS = {
    "args",
    "arguments",
    "params",
    "parameters",
    "keyword args",
    "keyword arguments",
    "other parameters",
    "optional parameters",
}
_DROPPED = {
    "attributes",
    "example",
    "examples",
    "except",
    "exceptions",
    "methods",
    "raise",
    "raises",
    "receives",
    "references",
    "return",
    "return value",
    "returns",
    "see also",
    "todo",
    "usage",
    "warns",
    "yield",
    "yields",
}
_KEPT = {"note", "notes", "warning", "warnings", "important", "tip", "hint", "caution", "description"}

_GOOGLE_TITLE = re.compile(r"(?P<title>[A-Za-z][A-Za-z ]*?):(?P<rest>.*)$")
_UNDERLINE = re.compile(r"(-{3,}|={3,})\s*$")
_FIELD = re.compile(r"[:@](?P<word>[a-zA-Z]+)(?P<argument>(?:\s[^:\n]*)?):(?P<rest>(?:\s.*)?)$")
_FIELD_PARAMETERS = {"param", "parameter", "arg", "argument", "key", "keyword", "kwarg", "kwparam"}
_FIELD_DROPPED = {
    "type",
    "return",
    "returns",
    "rtype",
    "raise",
    "raises",
    "except",
    "exception",
    "throws",
    "yield",
    "yields",
    "ytype",
    "var",
    "ivar",
    "cvar",
    "vartype",
    "meta",
    "see",
    "since",
}


@dataclass(slots=True)
class _Section:
    kind: str  # "text", "parameters" or "dropped"
    style: str = ""  # "google", "numpy" or "field"
    lines: list[str] = field(default_factory=list)

    def entries(self) -> Iterator[tuple[str, str]]:
        if self.style == "google":
            return _google_entries(self.lines)
        if self.style == "numpy":
            return _numpy_entries(self.lines)
        return _field_entry(self.lines)


def _sections(lines: list[str]) -> Iterator[_Section]:
    """Split into sections, in order; runs of ordinary lines come as sections of kind "text"."""
    index = 0
    while index < len(lines):
        section, index = (
            _numpy_section(lines, index)
            or _google_section(lines, index)
            or _field_section(lines, index)
            or (_Section("text", lines=[lines[index]]), index + 1)
        )
        yield section


def _kind(title: str) -> str | None:
    title = title.strip().lower()
    if title in _PARAMETERS:
        return "parameters"
    if title in _DROPPED:
        return "dropped"
    return "text" if title in _KEPT else None


def _numpy_section(lines: list[str], start: int) -> tuple[_Section, int] | None:
    if not _is_underlined(lines, start):
        return None
    kind = _kind(lines[start].rstrip(":"))
    if kind is None:
        return None
    end = start + 2
    while end < len(lines) and not _is_underlined(lines, end) and not _FIELD.match(lines[end]):
        end += 1
    body = lines[start + 2 : end]
    if kind == "text":
        body = [f"{lines[start].rstrip(':').strip()}:", *body]
    return _Section(kind, "numpy", body), end


def _is_underlined(lines: list[str], index: int) -> bool:
    return (
        index + 1 < len(lines)
        and bool(lines[index].strip())
        and not lines[index][0].isspace()
        and bool(_UNDERLINE.match(lines[index + 1]))
    )


def _google_section(lines: list[str], start: int) -> tuple[_Section, int] | None:
    match = _GOOGLE_TITLE.match(lines[start].strip("*# "))
    if match is None or lines[start][:1].isspace():
        return None
    kind, rest = _kind(match["title"]), match["rest"].strip("* ")
    if kind is None or kind == "text":  # notes stay as they are, title and all
        return None
    if rest:  # "Returns: the sum." on one line; "Parameters: see below" is a sentence
        return _inline_section(lines, start) if kind == "dropped" else None
    end = _end_of_block(lines, start + 1, entries=kind == "parameters")
    return _Section(kind, "google", lines[start + 1 : end]), end


def _inline_section(lines: list[str], start: int) -> tuple[_Section, int]:
    end = start + 1
    while end < len(lines) and lines[end].strip() and not _opens_section(lines, end):
        end += 1
    return _Section("dropped", "google"), end


def _end_of_block(lines: list[str], start: int, *, entries: bool) -> int:
    """The index after an indented block; `entries` also takes entries that somebody forgot to indent."""
    end = start
    flush = entries and start < len(lines) and _GOOGLE_ENTRY.match(lines[start]) is not None
    while end < len(lines):
        line = lines[end]
        if line.strip() and not line[0].isspace() and (not flush or _opens_section(lines, end)):
            break
        if flush and not line.strip():
            break
        end += 1
    return end


def _opens_section(lines: list[str], index: int) -> bool:
    if _is_underlined(lines, index) or _FIELD.match(lines[index]):
        return True
    match = _GOOGLE_TITLE.match(lines[index])
    return match is not None and _kind(match["title"]) is not None and not match["rest"].strip()


def _field_section(lines: list[str], start: int) -> tuple[_Section, int] | None:
    match = _FIELD.match(lines[start])
    if match is None:
        return None
    word = match["word"].lower()
    if word not in _FIELD_PARAMETERS and word not in _FIELD_DROPPED:
        return None
    kind = "parameters" if word in _FIELD_PARAMETERS and match["argument"].strip() else "dropped"
    end = start + 1
    while end < len(lines) and not _ends_field(lines, end):
        end += 1
    return _Section(kind, "field", lines[start:end]), end


def _ends_field(lines: list[str], index: int) -> bool:
    line = lines[index]
    if not line.strip():  # a blank line ends the field unless an indented paragraph follows
        following = next((text for text in lines[index:] if text.strip()), "")
        return not following[:1].isspace()
    return not line[0].isspace() and _opens_section(lines, index)


# --- entries -----------------------------------------------------------------------------------------------

_NAME = r"(?:[-*•]\s+)?[`*]{0,2}\*{0,2}(?P<name>[^\W\d]\w*)[`*]{0,2}"
_GOOGLE_ENTRY = re.compile(_NAME + r"\s*(?P<more>(?:,\s*\*{0,2}\w+)*)\s*(?P<rest>\(.*|:.*|--?\s.*)$")
_NUMPY_ENTRY = re.compile(r"(?P<names>\*{0,2}[^\W\d]\w*(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?$")


def _google_entries(lines: list[str]) -> Iterator[tuple[str, str]]:
    base = min((_indent(line) for line in lines if line.strip()), default=0)
    names: list[str] = []
    body: list[str] = []
    for line in lines:
        found = _google_entry(line.strip()) if _indent(line) == base else None
        if found is None:
            body.append(line)
            continue
        yield from _named(names, body)
        names, body = found[0], [found[1]]
    yield from _named(names, body)


def _google_entry(line: str) -> tuple[list[str], str] | None:
    match = _GOOGLE_ENTRY.match(line)
    if match is None:
        return None
    names = [match["name"], *(name.strip(" *") for name in match["more"].split(",") if name.strip())]
    rest = match["rest"]
    if rest.startswith("("):
        rest = rest[_closing(rest) :].lstrip("`* ")
    if rest.startswith(":"):
        return names, rest[1:].strip()
    if rest.startswith("-"):
        return names, rest.lstrip("-").strip()
    return None


def _closing(text: str) -> int:
    """The index after the parenthesis that closes the one at the start; the length if none does."""
    depth = 0
    for index, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0:
            return index + 1
    return len(text)


def _numpy_entries(lines: list[str]) -> Iterator[tuple[str, str]]:
    names: list[str] = []
    body: list[str] = []
    for line in lines:
        match = _NUMPY_ENTRY.match(line) if line[:1].strip() else None
        if match is None:
            body.append(line)
            continue
        yield from _named(names, body)
        names, body = [name.strip(" *") for name in match["names"].split(",")], []
    yield from _named(names, body)


def _field_entry(lines: list[str]) -> Iterator[tuple[str, str]]:
    match = _FIELD.match(lines[0])
    if match is not None:  # ":param str city: ..." names the type first
        name = match["argument"].split()[-1].strip("*`")
        yield from _named([name], [match["rest"].strip(), *lines[1:]])


def _named(names: list[str], body: list[str]) -> Iterator[tuple[str, str]]:
    text = _reflow(body)
    if text:
        for name in names:
            yield name, text


_ITEM = re.compile(r"\s*(?:[-*•+]\s|\d+[.)]\s|>>>|```|\|)")


def _reflow(lines: list[str]) -> str:
    """Join wrapped lines with spaces; blank lines and list items keep their breaks."""
    result = ""
    for line in lines:
        text = line.strip()
        if not text:
            result = result.rstrip("\n") + "\n\n" if result else ""
        elif not result or result.endswith("\n"):
            result += text
        else:
            result += ("\n" if _ITEM.match(line) else " ") + text
    return result.strip()


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
