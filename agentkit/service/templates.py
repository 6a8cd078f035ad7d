"""`{output}`, `{match[1]}` and the like in the texts of a YAML script."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from agentkit import json
from agentkit.errors import UsageError
from agentkit.json import JSONError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentkit.json import JSON
    from agentkit.service.requests import ReceivedRequest
    from agentkit.service.spots import Spot

_NAME = r"output(?:\.[\w-]+)*|text|turn|match\[\w+\]"
_PLACEHOLDER = re.compile(rf"\{{\{{({_NAME})\}}\}}|\{{({_NAME})\}}")


@dataclass(frozen=True, slots=True)
class Scene:
    """What a reply may speak of."""

    request: ReceivedRequest
    match: re.Match[str] | None = None
    """Of the rule's regular expression."""
    output: str | None = None
    """The tool output that the rule is about."""


Template: TypeAlias = "Callable[[Scene], JSON]"


def text_template(spot: Spot, regex: re.Pattern[str] | None) -> Callable[[Scene], str]:
    """Return the filling of a text. Other braces than those of placeholders stay as they are."""
    text = spot.text()
    _check(spot, text, regex)
    if not _PLACEHOLDER.search(text):
        return lambda _scene: text
    return lambda scene: _PLACEHOLDER.sub(lambda found: _fill(found, scene), text)


def json_template(spot: Spot, regex: re.Pattern[str] | None) -> Template:
    """Return the filling of the texts within a value. A text that is one placeholder becomes what that stands for."""
    match spot.value:
        case dict(members):
            fill = {key: json_template(member, regex) for key, member in members.items()}
            return lambda scene: {key: each(scene) for key, each in fill.items()}
        case list(members):
            each_fill = [json_template(member, regex) for member in members]
            return lambda scene: [each(scene) for each in each_fill]
        case str(text):
            _check(spot, text, regex)
            whole = _PLACEHOLDER.fullmatch(text)
            if whole and whole[2]:
                name = whole[2]
                return lambda scene: _value(name, scene)
            return text_template(spot, regex)
        case value:
            return lambda _scene: value


def _check(spot: Spot, text: str, regex: re.Pattern[str] | None) -> None:
    for found in _PLACEHOLDER.finditer(text):
        name = found[2]
        if name is None or not name.startswith("match["):
            continue
        group = name[6:-1]
        if regex is None:
            spot.fail(f"{{{name}}} speaks of a match, and the rule's `when` has no regex.")
        if not (int(group) <= regex.groups if group.isdigit() else group in regex.groupindex):
            named = "".join(f", {each}" for each in regex.groupindex)
            spot.fail(f"{{{name}}}: the regex has no such group. Its groups are: 0 to {regex.groups}{named}.")


def _fill(found: re.Match[str], scene: Scene) -> str:
    if found[1] is not None:
        return f"{{{found[1]}}}"
    value = _value(found[2], scene)
    return value if isinstance(value, str) else json.encode(value).decode()


def _value(name: str, scene: Scene) -> JSON:
    if name == "text":
        return scene.request.last_text
    if name == "turn":
        return scene.request.turn
    if name.startswith("match["):
        group = name[6:-1]
        return (scene.match[int(group) if group.isdigit() else group] or "") if scene.match else ""
    output = scene.output or ""
    _, *path = name.split(".")
    if not path:
        return output
    try:
        value = json.decode(output)
    except JSONError:
        raise UsageError(f"{{{name}}}: the tool's output isn't JSON: {output[:200]!r}") from None
    for key in path:
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            raise UsageError(f"{{{name}}}: there is no {key!r} in the tool's output: {output[:200]!r}")
    return value
