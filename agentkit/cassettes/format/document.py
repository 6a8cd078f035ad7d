"""The YAML of a cassette as plain values: what JSON has, and nothing that a file could make the reader construct.

Reads the parser's events, not PyYAML's nodes: 5 MB in 0.7 s instead of 2.7 s (Python 3.11, libyaml). Numbers are
JSON's, keys are texts; anchors, aliases and tags are refused, so that no file grows while it is read.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from agentkit.errors import UsageError
from agentkit.json import MAX_DEPTH

try:
    import yaml as yaml  # for `stock` too, which needs the same message where it is missing
except ImportError as exc:
    raise UsageError(
        "cassettes need pyyaml and vcrpy, of the extra 'cassettes'. In the checkout: pip install -e '.[cassettes]'"
    ) from exc

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST = MAX_DEPTH + 20
_WORDS: dict[str, object] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_MAYBE = frozenset("~nNtTfF-0123456789")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")

Path = tuple[str | int, ...]


class WrongError(Exception):
    """Something in a cassette that can't be; caught by whoever knows the file's name."""

    def __init__(self, said: str, path: Path = (), line: int | None = None) -> None:
        super().__init__(said)
        self.said = said
        self.path = path
        self.line = line


def read(text: str) -> object:
    """Return the value of a document. Raises `WrongError` with the line."""
    try:
        loader = _Loader(text)
    except (yaml.YAMLError, UnicodeEncodeError) as exc:
        raise _not_yaml(exc) from None
    try:
        return _Reader(loader.get_event).document()
    except yaml.YAMLError as exc:
        raise _not_yaml(exc) from None
    finally:
        loader.dispose()


def line_of(text: str, path: Path) -> int | None:
    """Return the line, from 1, where the value at `path` stands, or the nearest above it."""
    try:
        node: Any = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError:
        return None
    line = 1
    for step in path:
        if node is None:
            break
        line, node = _below(node, step, line)
    return line


def _below(node: Any, step: str | int, line: int) -> tuple[int, Any]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line + 1, node.value[step]
    return line, None


def _not_yaml(exc: Exception) -> WrongError:
    mark = getattr(exc, "problem_mark", None) or getattr(exc, "context_mark", None)
    if isinstance(exc, yaml.MarkedYAMLError):
        said = ", ".join(part for part in (exc.context, exc.problem) if part)
    else:
        said = str(exc).splitlines()[0]
    return WrongError(f"not YAML: {said}", line=mark.line + 1 if mark else None)


class _Reader:
    """The events of one document on their way to a value."""

    __slots__ = ("_next",)

    def __init__(self, following: Callable[[], Any]) -> None:
        self._next = following

    def document(self) -> object:
        self._next()
        event = self._next()
        if type(event) is yaml.StreamEndEvent:
            return None
        value = self._value(self._next(), 0)
        self._next()
        event = self._next()
        if type(event) is not yaml.StreamEndEvent:
            raise WrongError("a second document begins; a cassette is one", line=_line(event))
        return value

    def _value(self, event: Any, depth: int) -> object:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            if event.anchor is not None or event.tag is not None:
                _refuse(event)
            text: str = event.value
            if event.implicit[0] and (not text or text[0] in _MAYBE):
                return _plain(text, event)
            return text
        if kind is yaml.AliasEvent or event.anchor is not None or event.tag is not None:
            _refuse(event)
        if depth >= _DEEPEST:
            raise WrongError(f"nested deeper than {_DEEPEST} levels", line=_line(event))
        return self._mapping(depth) if kind is yaml.MappingStartEvent else self._sequence(depth)

    def _mapping(self, depth: int) -> dict[str, object]:
        found: dict[str, object] = {}
        following = self._next
        while True:
            event = following()
            if type(event) is yaml.MappingEndEvent:
                return found
            if type(event) is not yaml.ScalarEvent:
                raise WrongError("a key that is no text", line=_line(event))
            if event.anchor is not None or event.tag is not None:
                _refuse(event)
            if event.value in found:
                raise WrongError(f"the key {event.value[:80]!r} stands here twice", line=_line(event))
            found[event.value] = self._value(following(), depth + 1)

    def _sequence(self, depth: int) -> list[object]:
        found: list[object] = []
        following = self._next
        while type(event := following()) is not yaml.SequenceEndEvent:
            found.append(self._value(event, depth + 1))
        return found


def _refuse(event: Any) -> NoReturn:
    what = "an alias" if isinstance(event, yaml.AliasEvent) else "an anchor" if event.anchor else f"the tag {event.tag}"
    raise WrongError(f"{what}; a cassette is plain data, without anchors and tags", line=_line(event))


def _plain(text: str, event: Any) -> object:
    if text in _WORDS:
        return _WORDS[text]
    if not _NUMBER.fullmatch(text):
        return text
    try:
        number = int(text) if _INTEGER.fullmatch(text) else float(text)
    except ValueError:  # more digits than the interpreter accepts
        number = math.inf
    if math.isinf(number):
        raise WrongError(f"the number {text[:40]} is out of range", line=_line(event))
    return number


@dataclass(frozen=True, slots=True)
class Spot:
    """A value, and the path to it."""

    value: object
    path: Path = ()

    def fail(self, said: str) -> NoReturn:
        """Raise the error of a mistake here."""
        raise WrongError(said, self.path)

    def wrong(self, allowed: str) -> NoReturn:
        """Raise the error of a value that isn't what is allowed here."""
        self.fail(f"found {shown(self.value)}; allowed is {allowed}")

    def below(self, key: str | int, value: object) -> Spot:
        return Spot(value, (*self.path, key))

    def mapping(self, what: str, keys: Collection[str] = ()) -> dict[str, object]:
        """Return a mapping; of keys among `keys`, where any are given."""
        value = self.value
        if not isinstance(value, dict):
            self.wrong(f"{what}: a mapping" + (f" of {', '.join(keys)}" if keys else ""))
        if keys:
            for key in value:
                if key not in keys:
                    near = difflib.get_close_matches(key, keys, 1)
                    hint = f"did you mean {near[0]!r}? " if near else ""
                    self.below(key, None).fail(f"unknown key {key!r}; {hint}{what} has the keys {', '.join(keys)}")
        return value

    def member(self, key: str, default: object = None) -> Spot:
        """Return the value of a key; `default` where there is none."""
        value = self.value.get(key, default) if isinstance(self.value, dict) else default
        return Spot(value, (*self.path, key))

    def members(self, what: str) -> list[Spot]:
        """Return the members of a list."""
        if not isinstance(self.value, list):
            self.wrong(what)
        return [Spot(each, (*self.path, index)) for index, each in enumerate(self.value)]

    def sequence(self, what: str) -> list[Any]:
        """Return a list as it is."""
        if not isinstance(self.value, list):
            self.wrong(what)
        return self.value

    def text(self, what: str = "a text") -> str:
        if not isinstance(self.value, str):
            self.wrong(what + (", in quotes" if isinstance(self.value, bool | int | float) else ""))
        return self.value

    def uri(self) -> str:
        text = self.text()
        try:
            urlsplit(text)
        except ValueError as exc:
            self.fail(f"found {shown(text)}, which is no URI ({exc}); allowed is one such as https://host/v1/responses")
        return text

    def integer(self, least: int, most: int | None = None, what: str = "") -> int:
        value = self.value
        if type(value) is not int or value < least or (most is not None and value > most):
            span = f"at least {least}" if most is None else f"from {least} to {most}"
            self.wrong(what or f"a whole number, {span}")
        return value


def shown(value: object) -> str:
    """Return a value as messages show it; never a whole one of any length."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case dict():
            return f"a mapping of {', '.join(map(str, list(value)[:8]))}" if value else "a mapping without keys"
        case list():
            return f"a list of {len(value)}"
        case str() if len(value) > 60:
            return f"{value[:60]!r}..."
        case _:
            return repr(value)[:80]


def _line(event: Any) -> int:
    line: int = event.start_mark.line
    return line + 1
