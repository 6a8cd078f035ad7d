"""What differs from machine to machine and run to run, replaced by placeholders: directories, addresses, user's rules.

Pure but for `Surroundings.here()`. What is replaced in a request is replaced in its key and in the file alike; on
playing, `<tmp>`, `<home>`, `<cwd>` and the extra places come back as the paths of the machine that plays. A text
that says `<home>` by itself comes back as the path too; the requests that follow match nevertheless.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from agentkit.cassettes.cleaning.edits import apply_edits, edit_chunks
from agentkit.cassettes.cleaning.literals import any_in, escaped_forms
from agentkit.cassettes.cleaning.spelled import spelled_edits
from agentkit.cassettes.cleaning.strings import edit_strings, holds_json
from agentkit.errors import UsageError

if TYPE_CHECKING:
    from agentkit.cassettes.cleaning.edits import Edit, FindEdits

SCRUBBED = "<scrubbed>"
"""What a user's pattern leaves behind."""

ScrubRule: TypeAlias = "str | re.Pattern[str] | tuple[str | re.Pattern[str], str] | Callable[[str], str]"
"""A pattern, a pattern and what comes in its place, or a function from text to text."""

_SHORTEST = 4
"""Characters of the shortest path that is replaced: `/` and `/w` stand everywhere."""

# A path begins where no name goes on. The letters of `\n`, `\t`, `\r` and `\u2192` before it are no name; nor are
# the two slashes of `file://`.
_BEGIN = rb"(?:(?<![A-Za-z0-9_.\-/\\~})>\]$])|(?<=\\[ntr])|(?<=\\u[0-9a-f]{4})|(?<=://))"
_END = rb"(?![A-Za-z0-9_\-]|\.[A-Za-z0-9_])"

# "<object at 0x7f3a5c0b1d90>" of Python's reprs; bare ones only where a 64-bit process has its memory: constants
# and colours are written with fewer digits.
_ADDRESS = re.compile(rb"(?<= at )0x[0-9A-Fa-f]{6,16}\b|\b0x(?:7f|55|56)[0-9a-f]{10}\b")
_STRUCTURE = frozenset({"type", "object", "role", "status", "delta"})
"""Keys of the API whose values the user's rules leave alone; deltas are edited as the texts that they make."""

_RUN = re.compile(
    rb"(?<=<tmp>)(?P<slash>[/\\]+)(?:tmp[a-z0-9_]{8}|pytest-of-[^/\\\"\s]+[/\\]+pytest-\d+)(?![A-Za-z0-9_\-])"
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The directories of a machine and a run."""

    tmp: str = ""
    """Where temporary files go."""
    home: str = ""
    """The user's home."""
    cwd: str = ""
    """The current directory."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """Further places by their placeholder: `{"<tmp_path>": "/tmp/pytest-0/test_a0"}`."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other paths of the same places, with their placeholders: `{"/private/tmp": "<tmp>"}`."""

    @classmethod
    def here(cls, extra: Mapping[str, str] | None = None) -> Surroundings:
        """Look up the directories of this process."""
        places = {"<tmp>": tempfile.gettempdir(), "<home>": _home(), "<cwd>": _current()} | dict(extra or {})
        # A prompt that says /tmp means the temporary directory, wherever this machine has it.
        aliases = {"/tmp": "<tmp>"} if os.name == "posix" else {}  # noqa: S108
        aliases |= {os.path.realpath(path): placeholder for placeholder, path in places.items() if path}
        return cls(places["<tmp>"], places["<home>"], places["<cwd>"], dict(extra or {}), aliases)

    def placeholders(self) -> dict[str, str]:
        """Return the placeholder of each path; where two share a path, the narrower meaning has it."""
        named = {"<home>": self.home, "<cwd>": self.cwd, "<tmp>": self.tmp, **self.extra}
        paths = {**self.aliases, **{path: placeholder for placeholder, path in named.items()}}
        paths = {path.rstrip("/\\"): placeholder for path, placeholder in paths.items()}
        return {path: placeholder for path, placeholder in paths.items() if len(path) >= _SHORTEST}

    def paths(self) -> dict[str, str]:
        """Return the path of each placeholder, for putting it back."""
        named = {"<tmp>": self.tmp, "<home>": self.home, "<cwd>": self.cwd, **self.extra}
        return {placeholder: path for placeholder, path in named.items() if path}


@dataclass(frozen=True, slots=True)
class ScrubbedBody:
    """A request's body, and what became of it."""

    raw: bytes = field(repr=False)
    clean: bytes = field(repr=False)


class Scrubber:
    """Replaces what may not or need not be kept, and puts back what can be. Immutable."""

    __slots__ = ("_finders", "_forms", "_is_plain", "_marked", "_marks", "_paths", "_places")

    def __init__(
        self,
        rules: Sequence[ScrubRule] = (),
        surroundings: Surroundings | None = None,
        hide: Sequence[FindEdits] = (),
    ) -> None:
        """Make one of the user's rules, the directories, and what hides secrets (`hiding.py`), which comes first.

        Raises `UsageError` for a rule that is none.
        """
        surroundings = surroundings or Surroundings()
        self._places = surroundings.paths()
        self._forms = _path_forms(surroundings.placeholders())
        self._paths = _path_pattern(self._forms)
        self._marks = {mark.encode(): path.encode() for mark, path in self._places.items()}
        self._marked = re.compile(b"|".join(map(re.escape, self._marks)) or b"(?!)")
        self._is_plain = all(escaped(path, 1) == path for path in self._places.values())
        own = read_rules(rules)
        self._finders: tuple[FindEdits, ...] = (*hide, self._path_edits, _run_edits, _address_edits, *own)

    def scrub(self, data: bytes) -> bytes:
        """Return bytes with placeholders; the same object where there is nothing to replace."""
        for find in self._finders:
            data = apply_edits(data, find(data))
        return data

    def scrub_text(self, text: str) -> str:
        """Return a text, such as a header's value, with placeholders."""
        data = text.encode(errors="surrogatepass")
        clean = self.scrub(data)
        return text if clean is data else clean.decode(errors="surrogatepass")

    def scrub_body(self, body: bytes, after: ScrubbedBody | None = None) -> ScrubbedBody:
        """Return a request's body with placeholders.

        Where it is the one of `after` with items added, only these are looked at: nothing that is replaced goes
        over the `},{` between two items.
        """
        if after is not None and after.raw.endswith(b"}]}"):
            kept = len(after.raw) - 2
            if body.startswith(memoryview(after.raw)[:kept]) and body[kept : kept + 2] == b",{":
                return self._grown(body, after, body[kept:])
        return ScrubbedBody(body, self.scrub(body))

    def scrub_chunks(self, chunks: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """Return an answer's chunks with placeholders, also where what is replaced is spread over chunks or deltas.

        There are as many as before. One that held only the rest of something replaced is empty: leave it out,
        and its time with it.
        """
        if b".delta" in b"".join(chunks):
            chunks = edit_chunks(chunks, [lambda data: spelled_edits(data, self._finders)])
        return edit_chunks(chunks, self._finders)

    def restore(self, data: bytes) -> bytes:
        """Return a body with the paths of this machine in place of their placeholders."""
        return apply_edits(data, self._restoring_edits(data))

    def restore_chunks(self, chunks: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """Return an answer's chunks with the paths of this machine in place of their placeholders."""
        return edit_chunks(chunks, [self._restoring_edits])

    def restore_text(self, text: str) -> str:
        """Return a text that is no JSON with the paths of this machine."""
        return self._put_back(text)

    def _grown(self, body: bytes, after: ScrubbedBody, tail: bytes) -> ScrubbedBody:
        clean = self.scrub(tail)
        if clean is tail and after.clean is after.raw:
            return ScrubbedBody(body, body)
        return ScrubbedBody(body, after.clean[:-2] + clean)

    def _path_edits(self, data: bytes) -> list[Edit]:
        if not any_in(self._forms, data):
            return []
        return [(match.start(), match.end(), self._forms[match[0]]) for match in self._paths.finditer(data)]

    def _restoring_edits(self, data: bytes) -> list[Edit]:
        if not any_in(self._marks, data):
            return []
        if self._is_plain:
            return [(found.start(), found.end(), self._marks[found[0]]) for found in self._marked.finditer(data)]
        edits: list[Edit] = []
        for line in re.finditer(rb"[^\n]+", data):  # a stream has an event a line
            # A delta of arguments is a piece of JSON: what comes into it is escaped once more.
            times = 1 if b"arguments.delta" in line[0] else 0
            found = edit_strings(line[0], partial(self._put_back_value, times))
            edits += [(line.start() + start, line.start() + end, new) for start, end, new in found]
        return edits

    def _put_back_value(self, times: int, key: str, text: str) -> str:
        return self._put_back(text, times if key == "delta" else 0)

    def _put_back(self, text: str, times: int = 0) -> str:
        for placeholder, path in self._places.items():
            text = text.replace(placeholder, escaped(path, times))
        return text


def read_rules(rules: object) -> tuple[FindEdits, ...]:
    """Return what finds the edits of each of the user's rules; raises `UsageError` for what is none.

    In JSON a rule is applied to each string value, so that `.*` ends where the text ends.
    """
    if isinstance(rules, str) or not isinstance(rules, Sequence):
        raise UsageError(f"scrub={rules!r}; give a list of rules, such as [r'job-\\d+'].")
    return tuple(partial(_user_edits, _read_rule(index, rule)) for index, rule in enumerate(rules))


_TextEdits: TypeAlias = "Callable[[str], list[tuple[int, int, str]]]"


def _read_rule(index: int, rule: object) -> _TextEdits:
    name = f"scrub[{index}]"
    if isinstance(rule, str | re.Pattern):
        return _substitution(name, rule, SCRUBBED)
    if isinstance(rule, tuple) and len(rule) == 2 and isinstance(rule[1], str):
        return _substitution(name, rule[0], rule[1])
    if callable(rule):
        return _function(name, rule)
    raise UsageError(
        f"{name} is {repr(rule)[:120]}; give a pattern, a pair (pattern, replacement), or a function from str to str."
    )


def _substitution(name: str, pattern: object, replacement: str) -> _TextEdits:
    try:
        compiled = re.compile(pattern) if isinstance(pattern, str) else pattern
        if not isinstance(compiled, re.Pattern) or not isinstance(compiled.pattern, str):
            raise UsageError(f"{name} has the pattern {pattern!r}; give a text, or what re.compile makes of one.")
        compiled.sub(replacement, "")
    except (re.error, IndexError) as exc:
        raise UsageError(f"{name} is no regular expression with its replacement: {exc}. Mend {pattern!r}.") from exc
    if compiled.search("") is not None:
        raise UsageError(f"{name}, {compiled.pattern!r}, matches nothing at all, everywhere. Ask for one character.")
    return lambda text: [(m.start(), m.end(), m.expand(replacement)) for m in compiled.finditer(text)]


def _function(name: str, rule: Callable[[str], object]) -> _TextEdits:
    def find(text: str) -> list[tuple[int, int, str]]:
        changed = rule(text)
        if not isinstance(changed, str):
            raise UsageError(f"{name} returned a {type(changed).__name__}; a scrub function takes and returns a text.")
        if changed == text:
            return []
        start = _same(text, changed)
        same = _same(text[start:][::-1], changed[start:][::-1])
        return [(start, len(text) - same, changed[start : len(changed) - same])]

    return find


def _user_edits(rule: _TextEdits, data: bytes) -> list[Edit]:
    if _is_json(data):
        return edit_strings(data, partial(_changed, rule), _STRUCTURE)
    text = data.decode(errors="surrogateescape")
    edits: list[Edit] = []
    position = at = 0
    for start, end, replacement in rule(text):
        begin = at + _size(text[position:start])
        position, at = end, begin + _size(text[start:end])
        edits.append((begin, at, replacement.encode(errors="surrogateescape")))
    return edits


def _changed(rule: _TextEdits, _key: str, text: str) -> str:
    pieces: list[str] = []
    position = 0
    for start, end, replacement in rule(text):
        pieces += (text[position:start], replacement)
        position = end
    return "".join([*pieces, text[position:]])


def _same(one: str, two: str) -> int:
    """Return how many characters two texts have in common at their beginnings."""
    return next((i for i, (x, y) in enumerate(zip(one, two, strict=False)) if x != y), min(len(one), len(two)))


def _size(text: str) -> int:
    return len(text.encode(errors="surrogateescape"))


def _path_forms(placeholders: Mapping[str, str]) -> dict[bytes, bytes]:
    forms: dict[bytes, bytes] = {}
    for path, placeholder in placeholders.items():
        for written in {path, path.replace("\\", "/")}:
            forms |= dict.fromkeys(escaped_forms(written), placeholder.encode())
    return forms


def _path_pattern(forms: Mapping[bytes, bytes]) -> re.Pattern[bytes]:
    longest_first = sorted(forms, key=len, reverse=True)
    return re.compile(_BEGIN + b"(?:" + b"|".join(map(re.escape, longest_first)) + b")" + _END)


def _is_json(data: bytes) -> bool:
    """Tell whether bytes are JSON, more items of a request, or a stream's lines of JSON."""
    start = data.lstrip()[:1]
    if start in (b"{", b"["):
        return holds_json(data)
    return data.startswith((b",{", b"data:", b"event:", b"id:", b"retry:", b":"))


def _run_edits(data: bytes) -> list[Edit]:
    if b"<tmp>" not in data:
        return []
    return [(match.start(), match.end(), match["slash"] + b"<run>") for match in _RUN.finditer(data)]


def _address_edits(data: bytes) -> list[Edit]:
    if b"0x" not in data:
        return []
    return [(match.start(), match.end(), b"<address>") for match in _ADDRESS.finditer(data)]


def escaped(text: str, times: int) -> str:
    """Return a text as it stands in that many JSON strings, one within the other."""
    for _ in range(times):
        text = dumps(text, ensure_ascii=False)[1:-1]
    return text


def _home() -> str:
    try:
        return str(Path.home())
    except RuntimeError:
        return ""


def _current() -> str:
    try:
        return str(Path.cwd())
    except OSError:
        return ""
