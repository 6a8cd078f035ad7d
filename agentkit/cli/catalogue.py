"""An agent's tools as a reader wants them: what they take, in words; and as the model is told of them, in JSON."""

from __future__ import annotations

import json
import os
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agentkit.cli.display import CALL, DIM, WARNING, explained
from agentkit.cli.loading import load_agent
from agentkit.cli.terminal import fit, harmless, harmless_json, one_line, open_outputs
from agentkit.errors import UsageError

if TYPE_CHECKING:
    from agentkit.agent import Agent
    from agentkit.cli.terminal import Outputs, Stream
    from agentkit.json import JSON, JSONObject
    from agentkit.tools import Tool

DEEPEST: Final = 3
"""How many objects within objects are written out."""
LONGEST: Final = 30
"""Columns of a name or type that others are lined up with."""

EFFECTS: Final = {
    "unsafe": "never repeated by itself",
    "idempotent": "may be repeated, with its key",
    "pure": "may be repeated",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One parameter."""

    name: str
    type: str
    note: str


def list_tools(target: str, *, as_json: bool) -> int:
    """Write the tools of an agent, and return the exit code."""
    with open_outputs(os.environ) as outputs:
        try:
            offered = offered_tools(load_agent(target).agent)
            definitions = [tool.definition for tool in offered]
        except UsageError as exc:
            outputs.show_error(explained(exc))
            return 2
        answer = outputs.answer
        if as_json:
            text = json.dumps(definitions, ensure_ascii=not answer.is_unicode, indent=2)
            answer.write(harmless_json(text) + "\n")
        elif offered:
            show_tools(offered, answer)
        else:
            outputs.notes.line("The agent has no tools.")
        return _written(outputs)


def offered_tools(agent: Agent[object]) -> list[Tool[..., object]]:
    """Return the tools that requests list, with that of `output_mode="tool"`."""
    return list(agent._offered.values())  # noqa: SLF001  (the agent's own list of what it sends)


def show_tools(tools: list[Tool[..., object]], out: Stream) -> None:
    """Write each with all there is to know."""
    for index, tool in enumerate(tools):
        if index:
            out.write("\n")
        show_tool(tool, out)


def show_tool(tool: Tool[..., object], out: Stream) -> None:
    """Write one tool: its description, its parameters, and what the loop does with it."""
    out.line(one_line(tool.name), CALL)
    if tool.description:
        _write_text(tool.description, out, indent=2)
    rows = parameter_rows(tool.schema)
    if rows:
        out.write("\n")
        _write_rows(rows, out)
    out.write("\n")
    reason = tool.strict_reason
    strict = "strict" if tool.strict else f"not strict: {one_line(reason)}" if reason else "not strict"
    _write_text(strict, out, indent=2, style=DIM if tool.strict else WARNING)
    _write_text(", ".join(traits(tool)), out, indent=2, style=DIM)


def traits(tool: Tool[..., object]) -> list[str]:
    """Return what the loop makes of a tool: effect, time limit, and what is out of the ordinary."""
    limit = "no time limit" if tool.timeout_s is None else f"time limit {tool.timeout_s:g} s"
    found = [f"{tool.effect} ({EFFECTS[tool.effect]})", limit]
    if not tool.parallel:
        found.append("runs alone")
    if tool.final:
        found.append("its output is the answer")
    return found


def parameter_rows(schema: JSONObject) -> list[Row]:
    """Return the parameters of a tool's schema, in order."""
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return []
    required = schema.get("required")
    needed = set(map(str, required)) if isinstance(required, list) else set()
    return [
        Row(one_line(name), one_line(type_text(member, _definitions(schema))), _note(member, is_needed=name in needed))
        for name, member in properties.items()
    ]


def type_text(schema: JSON, definitions: JSONObject, within: tuple[str, ...] = ()) -> str:
    """Return a JSON schema as a type: `list of integer`, `"C" | "F" | null`, `{name: string, age?: integer}`.

    `within` names the definitions that it stands in; one within itself stays a name.
    """
    if not isinstance(schema, dict):
        return "anything"
    if isinstance(reference := schema.get("$ref"), str):
        name = reference.rpartition("/")[2]
        return name if name in within else type_text(definitions.get(name), definitions, (*within, name))
    for key in ("anyOf", "oneOf"):
        if isinstance(options := schema.get(key), list):
            return " | ".join(dict.fromkeys(type_text(option, definitions, within) for option in options))
    if isinstance(values := schema.get("enum"), list):
        return " | ".join(json.dumps(value, ensure_ascii=False) for value in values)
    if "const" in schema:
        return json.dumps(schema["const"], ensure_ascii=False)
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(type_text({**schema, "type": one}, definitions, within) for one in kind)
    match kind:
        case "array":
            return _array_text(schema, definitions, within)
        case "object":
            return _object_text(schema, definitions, within)
        case "string" if isinstance(form := schema.get("format"), str):
            return f"string ({form})"
        case "integer" | "number":
            return f"{kind}{_range_text(schema)}"
        case str():
            return kind
    return "anything"


def _array_text(schema: JSONObject, definitions: JSONObject, within: tuple[str, ...]) -> str:
    within = (*within, "")
    if isinstance(members := schema.get("prefixItems"), list):
        return f"[{', '.join(type_text(member, definitions, (*within, '')) for member in members)}]"
    if not isinstance(schema.get("items"), dict):
        return "list"
    text = type_text(schema["items"], definitions, within)
    return f"list of ({text})" if " | " in text and not text.startswith("{") else f"list of {text}"


def _object_text(schema: JSONObject, definitions: JSONObject, within: tuple[str, ...]) -> str:
    properties, values = schema.get("properties"), schema.get("additionalProperties")
    inside = (*within, "")
    if isinstance(properties, dict) and properties:
        if len(within) >= DEEPEST:
            return "{...}"
        required = schema.get("required")
        needed = required if isinstance(required, list) else []
        members = (
            f"{name}{'' if name in needed else '?'}: {type_text(member, definitions, inside)}"
            for name, member in properties.items()
        )
        return f"{{{', '.join(members)}}}"
    if isinstance(values, dict):
        return f"map of {type_text(values, definitions, inside)}"
    return "object"


def _range_text(schema: JSONObject) -> str:
    if {"minimum", "maximum"} <= schema.keys():
        return f" {schema['minimum']} to {schema['maximum']}"
    bounds = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    found = [f"{sign} {schema[name]}" for name, sign in bounds.items() if name in schema]
    return f" {', '.join(found)}" if found else ""


def _note(schema: JSON, *, is_needed: bool) -> str:
    """Return a parameter's description; that it may be left out comes first, as in a signature."""
    given = schema if isinstance(schema, dict) else {}
    parts = [] if is_needed else ["Optional."]
    if (description := given.get("description")) and isinstance(description, str):
        text = one_line(description)
        parts.append(text if text.endswith((".", "!", "?")) else f"{text}.")
    if given.get("default") is not None:
        parts.append(f"Default: {one_line(json.dumps(given['default'], ensure_ascii=False))}.")
    return " ".join(parts)


def _definitions(schema: JSONObject) -> JSONObject:
    found = schema.get("$defs", schema.get("definitions"))
    return found if isinstance(found, dict) else {}


def _write_rows(rows: list[Row], out: Stream) -> None:
    names = min(max(len(row.name) for row in rows), LONGEST)
    types = min(max(len(row.type) for row in rows), LONGEST)
    noted = 2 + names + 2 + types + 2
    for row in rows:
        head = f"  {row.name:<{names}}  {row.type:<{types}}"
        if len(head) == noted - 2 and (not row.note or noted + 24 <= out.columns):
            notes = textwrap.wrap(row.note, out.columns - noted) or [""]
            out.line(f"{head}  {notes[0]}".rstrip())
            for line in notes[1:]:
                out.line(" " * noted + line)
        else:  # too long, or the window too narrow, for columns
            _write_text(f"{row.name:<{names}}  {row.type}", out, indent=2)
            if row.note:
                _write_text(row.note, out, indent=6)


def _write_text(text: str, out: Stream, *, indent: int, style: str = "") -> None:
    """Write text that may hold several lines, indented; on a terminal broken between words."""
    for line in harmless(text).splitlines() or [""]:
        room = max(out.columns - indent, 10)
        for piece in textwrap.wrap(line, room, break_on_hyphens=False, subsequent_indent="  ") or [""]:
            out.line(" " * indent + fit(piece, room) if piece else "", style)


def _written(outputs: Outputs) -> int:
    error = outputs.answer.error
    if error is None:
        return 0
    outputs.show_error(f"the list can't be written: {error.strerror or error}")
    return 1
