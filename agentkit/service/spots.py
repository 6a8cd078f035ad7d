"""YAML as values that know where they stand, so that a mistake can be named with its line.

Reads the core schema of YAML 1.2 (what JSON has: `no` is a text, `12:30` too), and no tags: nothing is ever
constructed from what a file says.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from agentkit.errors import UsageError
from agentkit.service.loading import ScriptError

try:
    import yaml
except ImportError as exc:
    raise UsageError(
        "YAML scripts need pyyaml, of the extra 'server'. In the checkout: pip install -e '.[server]'"
    ) from exc

if TYPE_CHECKING:
    from collections.abc import Collection

    from agentkit.json import JSON

_MOST = 100_000
"""Values in a file, counted again wherever an alias repeats them."""
_DEEPEST = 100

_CORE = (
    ("null", r"^(?:null|Null|NULL|~|)$", ["n", "N", "~", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?[0-9]+$", list("-+0123456789")),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", list("-+0123456789.")),
)


class _CoreLoader(yaml.SafeLoader):
    """Only composes nodes; its constructor is never asked."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, object]]] = {}  # noqa: RUF012 - PyYAML's own attribute


def _add_resolvers() -> None:
    import re

    for tag, pattern, first in _CORE:
        _CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), first)
    _CoreLoader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile("^<<$"), ["<"])


_add_resolvers()


@dataclass(frozen=True, slots=True)
class Spot:
    """A value, with the place where it was found."""

    value: bool | int | float | str | list[Spot] | dict[str, Spot] | None
    file: str
    line: int
    where: str
    """Its path: `rules[0].when.text`; empty for the whole."""

    def fail(self, problem: str) -> NoReturn:
        """Raise the error of a mistake here."""
        raise ScriptError(f"{self.where or 'the script'}: {problem}", file=self.file, line=self.line)

    def wrong(self, allowed: str) -> NoReturn:
        """Raise the error of a value that isn't what is allowed here."""
        hint = ""
        if isinstance(self.value, bool | int | float) and allowed.startswith("a text"):
            hint = " Put it in quotes."
        self.fail(f"found {self._shown()}; allowed is {allowed}.{hint}")

    def mapping(self, keys: Collection[str], what: str) -> dict[str, Spot]:
        """Return the members of a mapping whose keys are among `keys`."""
        if not isinstance(self.value, dict):
            self.wrong(f"{what}: a mapping of {', '.join(keys)}")
        for key, member in self.value.items():
            if key not in keys:
                near = difflib.get_close_matches(key, keys, 1)
                hint = f"Did you mean {near[0]!r}? " if near else ""
                member.fail(f"unknown key {key!r}. {hint}Keys of {what} are: {', '.join(keys)}.")
        return self.value

    def sequence(self, what: str) -> list[Spot]:
        """Return the members of a list."""
        if not isinstance(self.value, list):
            self.wrong(what)
        return self.value

    def text(self) -> str:
        if not isinstance(self.value, str):
            self.wrong("a text")
        return self.value

    def integer(self, least: int) -> int:
        if isinstance(self.value, bool) or not isinstance(self.value, int) or self.value < least:
            self.wrong(f"a whole number of at least {least}")
        return self.value

    def number(self, *, above: float | None = None) -> float:
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.wrong("a number")
        if value < 0 or (above is not None and value <= above):
            self.wrong("a number of at least 0" if above is None else f"a number above {above:g}")
        return value

    def boolean(self) -> bool:
        if not isinstance(self.value, bool):
            self.wrong("true or false")
        return self.value

    def choice(self, allowed: Collection[str]) -> str:
        if self.value not in allowed:
            near = difflib.get_close_matches(str(self.value), allowed, 1)
            self.wrong(f"{', '.join(allowed)}" + (f". Did you mean {near[0]!r}?" if near else ""))
        return str(self.value)

    def texts(self) -> tuple[str, ...]:
        """Return a list of texts; a text alone is a list of one."""
        if isinstance(self.value, str):
            return (self.value,)
        if not isinstance(self.value, list):
            self.wrong("a text, or a list of texts")
        return tuple(member.text() for member in self.value)

    def plain(self) -> JSON:
        """Return the value as JSON."""
        if isinstance(self.value, dict):
            return {key: member.plain() for key, member in self.value.items()}
        if isinstance(self.value, list):
            return [member.plain() for member in self.value]
        return self.value

    def _shown(self) -> str:
        match self.value:
            case None:
                return "nothing"
            case bool():
                return "true" if self.value else "false"
            case dict():
                return "a mapping" + (f" of {', '.join(list(self.value)[:8])}" if self.value else " without keys")
            case list():
                return f"a list of {len(self.value)}"
            case str():
                return repr(self.value if len(self.value) <= 80 else self.value[:80] + "...")
            case _:
                return repr(self.value)


def read_yaml(text: str, file: str) -> Spot:
    """Parse one YAML document. Raises `ScriptError`."""
    try:
        node = yaml.compose(text, Loader=_CoreLoader)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        said = ", ".join(part for part in (exc.context, exc.problem) if part)
        raise ScriptError(f"not YAML: {said}.", file=file, line=mark.line + 1 if mark else None) from exc
    except yaml.YAMLError as exc:
        raise ScriptError(f"not YAML: {str(exc).splitlines()[0]}.", file=file) from exc
    except RecursionError:
        raise ScriptError("nested too deeply.", file=file) from None
    if node is None:
        raise ScriptError("the file is empty. A script has rules or replies.", file=file, line=1)
    return _Composed(file).spot(node, "", 0)


class _Composed:
    """The nodes of one document on their way to spots."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._count = 0

    def spot(self, node: yaml.Node, where: str, depth: int) -> Spot:
        self._count += 1
        line = node.start_mark.line + 1
        here = Spot(None, self._file, line, where)
        if self._count > _MOST or depth > _DEEPEST:
            here.fail(f"too much of it: at most {_MOST} values, {_DEEPEST} levels deep, aliases included.")
        match node:
            case yaml.MappingNode(tag="tag:yaml.org,2002:map"):
                return Spot(self._members(node, here, depth), self._file, line, where)
            case yaml.SequenceNode(tag="tag:yaml.org,2002:seq"):
                members = [self.spot(each, f"{where}[{index}]", depth + 1) for index, each in enumerate(node.value)]
                return Spot(members, self._file, line, where)
            case yaml.ScalarNode():
                return Spot(_scalar(node, here), self._file, line, where)
        return here.fail(f"the tag {node.tag} isn't accepted: a script is plain data.")

    def _members(self, node: yaml.MappingNode, here: Spot, depth: int) -> dict[str, Spot]:
        members: dict[str, Spot] = {}
        merged: dict[str, Spot] = {}
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                given = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                for each in given:
                    found = self.spot(each, here.where, depth + 1).value
                    if not isinstance(found, dict):
                        here.fail("'<<' merges mappings only.")
                    merged = {**found, **merged}
                continue
            key = self.spot(key_node, here.where, depth + 1)
            if not isinstance(key_node, yaml.ScalarNode) or key.value is None:
                key.fail("a key is a text.")
            name = key_node.value
            member = self.spot(value_node, f"{here.where}.{name}" if here.where else name, depth + 1)
            if name in members:
                Spot(None, self._file, key.line, member.where).fail("the key stands here twice.")
            members[name] = Spot(member.value, self._file, key.line, member.where)
        return {**merged, **members}


def _scalar(node: yaml.ScalarNode, here: Spot) -> bool | int | float | str | None:
    text: str = node.value
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    problem = f"{text[:80]!r} can't be read as {kind}."
    try:
        match kind:
            case "str" | "merge":
                return text
            case "null":
                return None
            case "bool" if text.lower() in ("true", "false"):
                return text.lower() == "true"
            case "int":
                return int(text, 10)
            case "float" if math.isfinite(number := float(text)):
                return number
            case "bool" | "float":
                pass
            case _:
                problem = f"the tag {node.tag} isn't accepted: a script is plain data."
    except ValueError:
        pass
    return here.fail(problem)
