"""Scripts in YAML: rules, or replies in order, with the server's options; each mistake named with its line.

`FORM` says what there is to write: this module reads it, `schema` makes the editors' JSON schema of it, and
docs/server.md its tables.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from agentkit import json
from agentkit.errors import UsageError
from agentkit.json import JSONError
from agentkit.service.faults import FAULTS, UnknownFault, checked_parameters, find_fault
from agentkit.service.loading import LoadedScript, ScriptError
from agentkit.service.misbehaviour import Drawn, Misbehaviour
from agentkit.service.replies import (
    Answer,
    Call,
    Cut,
    Disconnect,
    Emit,
    Failure,
    Reasoning,
    Refusal,
    Text,
    Wait,
    failure,
)
from agentkit.service.script import ScriptExhausted, describe_item
from agentkit.service.script_form import FORM
from agentkit.service.spots import Spot, read_yaml
from agentkit.service.templates import Scene, json_template, text_template

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from agentkit.json import JSON, JSONObject
    from agentkit.service.replies import Part, Reply
    from agentkit.service.requests import ReceivedRequest
    from agentkit.service.templates import Template

MakeReply: TypeAlias = "Callable[[Scene], Reply]"
MakePart: TypeAlias = "Callable[[Scene], Part]"
Test: TypeAlias = "Callable[[str], re.Match[str] | bool | None]"

_PARTS = tuple(FORM["part"])
_PHASES = ("commentary", "final_answer")


def load_yaml(path: str | Path) -> LoadedScript:
    """Load a YAML script (JSON is YAML too). Raises `ScriptError` with file and line."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ScriptError(f"not UTF-8: byte {exc.start} is {exc.object[exc.start]:#04x}.", file=str(path)) from exc
    return parse_yaml(text, str(path))


def parse_yaml(text: str, file: str = "<script>") -> LoadedScript:
    """Read a YAML script. `file` is what errors call it."""
    spot = read_yaml(text, file)
    if isinstance(spot.value, list):
        return _loaded(_read_replies(spot), file, {})
    found = spot.mapping(FORM["script"], "a script")
    if ("rules" in found) == ("replies" in found):
        both = "both rules and replies" if "rules" in found else "neither rules nor replies"
        spot.fail(f"it has {both}; allowed is one of them.")
    rules = _read_rules(found["rules"]) if "rules" in found else _read_replies(found["replies"])
    return _loaded(rules, file, found)


def _loaded(rules: Sequence[Rule], file: str, found: dict[str, Spot]) -> LoadedScript:
    loaded = LoadedScript(lambda: _Script(rules, file))
    if "models" in found:
        loaded = replace(loaded, models=found["models"].texts())
    if "description" in found:
        found["description"].text()
    return _with_options(loaded, found["options"]) if "options" in found else loaded


def _with_options(loaded: LoadedScript, spot: Spot) -> LoadedScript:
    options = spot.mapping(FORM["options"], "options")
    if "done" in options:
        loaded = replace(loaded, done=options["done"].boolean())
    if "faults" not in options:
        return loaded
    faults = options["faults"].mapping(FORM["fault options"], "options.faults")
    if "rate" in faults:
        if (rate := faults["rate"].number()) > 1:
            faults["rate"].wrong("a number from 0 to 1")
        loaded = replace(loaded, fault_rate=rate)
    if "seed" in faults:
        loaded = replace(loaded, fault_seed=faults["seed"].integer(0))
    if "names" in faults:
        names = faults["names"].texts()
        try:
            Misbehaviour(faults=names)
        except UsageError as exc:
            faults["names"].fail(str(exc))
        loaded = replace(loaded, faults=names)
    return loaded


@dataclass(frozen=True, slots=True)
class Rule:
    """When it holds, and what is said then."""

    when: Callable[[ReceivedRequest], Scene | None]
    replies: tuple[MakeReply, ...]
    most: int | None
    """How often it holds; None: always. The n-th time it says the n-th reply, or the last."""
    shown: str


class _Script:
    """The rules in use: which were used up is theirs to know."""

    def __init__(self, rules: Sequence[Rule], file: str) -> None:
        self._rules = rules
        self._file = file
        self._used = [0] * len(rules)
        self._lock = threading.Lock()

    def __call__(self, request: ReceivedRequest) -> Reply:
        for index, rule in enumerate(self._rules):
            scene = rule.when(request)
            if scene is None:
                continue
            with self._lock:
                used = self._used[index]
                if rule.most is not None and used >= rule.most:
                    continue
                self._used[index] += 1
            return rule.replies[min(used, len(rule.replies) - 1)](scene)
        tried = "; ".join(
            f"{rule.shown}{' (used up)' if rule.most is not None and self._used[index] >= rule.most else ''}"
            for index, rule in enumerate(self._rules)
        )
        raise ScriptExhausted(
            f"no rule of {self._file} holds for turn {request.turn} of a conversation that ends with "
            f"{describe_item(request.last_item)}. Rules are: {tried}. A rule without `when` holds always."
        )


def _read_replies(spot: Spot) -> list[Rule]:
    replies = tuple(_read_reply(each, None) for each in spot.sequence("a list of replies"))
    if not replies:
        spot.fail("the list is empty; allowed are one or more replies.")
    return [Rule(_always, replies, len(replies), f"{len(replies)} replies in order")]


def _read_rules(spot: Spot) -> list[Rule]:
    rules = [_read_rule(each) for each in spot.sequence("a list of rules")]
    if not rules:
        spot.fail("the list is empty; allowed are one or more rules.")
    return rules


def _read_rule(spot: Spot) -> Rule:
    found = spot.mapping(FORM["rule"], "a rule")
    if ("reply" in found) == ("replies" in found):
        both = "both reply and replies" if "reply" in found else "neither reply nor replies"
        spot.fail(f"it has {both}; allowed is one of them.")
    when, regex = _read_when(found["when"]) if "when" in found else (_always, None)
    if "reply" in found:
        replies: tuple[MakeReply, ...] = (_read_reply(found["reply"], regex),)
        most = found["times"].integer(1) if "times" in found else None
    else:
        given = found["replies"].sequence("a list of replies")
        replies = tuple(_read_reply(each, regex) for each in given)
        if not replies:
            found["replies"].fail("the list is empty; allowed are one or more replies.")
        if "times" in found:
            found["times"].fail("goes with reply; each of several replies is given once, in order.")
        most = len(replies)
    name = found["name"].text() if "name" in found else f"line {spot.line}"
    return Rule(when, replies, most, name)


def _read_when(spot: Spot) -> tuple[Callable[[ReceivedRequest], Scene | None], re.Pattern[str] | None]:
    found = spot.mapping(FORM["when"], "when")
    text = _read_test(found["text"], FORM["text test"], "when.text") if "text" in found else None
    asked = _read_test(found["asked"], FORM["text test"], "when.asked") if "asked" in found else None
    output = _read_test(found["output"], FORM["output test"], "when.output") if "output" in found else None
    turns = _read_turns(found["turn"]) if "turn" in found else None
    models = found["model"].texts() if "model" in found else None
    regex = next((each.regex for each in (text, output, asked) if each is not None and each.regex is not None), None)

    def when(request: ReceivedRequest) -> Scene | None:
        if turns is not None and request.turn not in turns:
            return None
        if models is not None and request.get("model") not in models:
            return None
        scene = Scene(request, output=request.last_output)
        if text is not None:
            if request.last_item.get("role") != "user" or not (held := text.holds(request.last_text)):
                return None
            scene = _with_match(scene, held)
        if asked is not None:
            if not (held := asked.holds(request.last_text)):
                return None
            scene = scene if scene.match or output else _with_match(scene, held)
        if output is not None:
            for name, given in _outputs(request):
                if (output.tool is None or name == output.tool) and (held := output.holds(given)):
                    scene = replace(_with_match(scene, held) if not scene.match else scene, output=given)
                    break
            else:
                return None
        return scene

    return when, regex


def _always(request: ReceivedRequest) -> Scene:
    return Scene(request, output=request.last_output)


def _with_match(scene: Scene, held: re.Match[str] | bool) -> Scene:
    return scene if isinstance(held, bool) else replace(scene, match=held)


def _outputs(request: ReceivedRequest) -> list[tuple[str | None, str]]:
    """Return the outputs that the model hasn't seen, with the names of their tools."""
    items = request.input_items
    names = {item.get("call_id"): item.get("name") for item in items if item.get("type") == "function_call"}
    outputs = request.outputs
    new = items[len(items) - len(outputs) :]
    return [
        (cast("str | None", names.get(item.get("call_id"))), output) for item, output in zip(new, outputs, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Tested:
    """What a text has to be."""

    tests: tuple[Test, ...] = ()
    regex: re.Pattern[str] | None = None
    tool: str | None = None

    def holds(self, text: str) -> re.Match[str] | bool:
        match: re.Match[str] | bool = True
        for test in self.tests:
            held = test(text)
            if not held:
                return False
            match = held if isinstance(held, re.Match) else match
        return match


def _read_test(spot: Spot, keys: Collection[str], what: str) -> _Tested:
    if isinstance(spot.value, str):
        return _Tested((_contains(spot.value),))
    found = spot.mapping(keys, what)
    if not found:
        spot.wrong(f"a text that it contains, or a mapping of {', '.join(keys)}")
    tests: list[Test] = []
    regex = None
    for key, member in found.items():
        match key:
            case "contains":
                tests += [_contains(part) for part in member.texts()]
            case "equals":
                tests.append(_equals(member.text()))
            case "regex":
                try:
                    regex = re.compile(member.text())
                except re.error as exc:
                    member.fail(f"not a regular expression: {exc}.")
                tests.append(regex.search)
            case "json":
                tests.append(_same_json(member.plain()))
            case _:
                pass
    return _Tested(tuple(tests), regex, found["tool"].text() if "tool" in found else None)


def _contains(part: str) -> Test:
    folded = part.casefold()
    return lambda text: folded in text.casefold()


def _equals(wanted: str) -> Test:
    return lambda text: text == wanted


def _same_json(wanted: JSON) -> Test:
    def same(text: str) -> bool:
        try:
            return _typed(json.decode(text)) == _typed(wanted)
        except JSONError:
            return False

    return same


def _typed(value: JSON) -> object:
    # True == 1 in Python, not in JSON
    if isinstance(value, dict):
        return {key: _typed(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_typed(each) for each in value]
    return (isinstance(value, bool), value)


def _read_turns(spot: Spot) -> frozenset[int]:
    if isinstance(spot.value, list):
        return frozenset(each.integer(0) for each in spot.value)
    return frozenset({spot.integer(0)})


def _read_reply(spot: Spot, regex: re.Pattern[str] | None) -> MakeReply:
    if isinstance(spot.value, str | list):
        parts = _read_parts(spot, regex)
        return lambda scene: [part(scene) for part in parts]
    found = spot.mapping((*_PARTS, *FORM["reply"]), "a reply")
    if "failure" in found:
        _alone(spot, "failure", found)
        return _read_failure(found["failure"], regex)
    if "disconnect" in found:
        _alone(spot, "disconnect", found)
        if not found["disconnect"].boolean():
            found["disconnect"].wrong("true")
        return lambda _scene: Disconnect()
    faults = _read_faults(found["fault"]) if "fault" in found else ()
    own = {key: member for key, member in found.items() if key in _PARTS}
    if "parts" in found and own:
        spot.fail(f"it has both parts and {', '.join(own)}; put all of it into parts.")
    parts = _read_parts(found["parts"] if "parts" in found else Spot(own, spot.file, spot.line, spot.where), regex)
    if not parts and not any(fault.fault.replaces for fault in faults):
        allowed = ", ".join((*_PARTS, "parts", "failure", "disconnect"))
        bends = f" fault {faults[0].name!r} bends an answer, and there is none." if faults else ""
        spot.fail(f"it says nothing.{bends} Give one or more of: {allowed}.")
    answer = _read_options(found)

    def make(scene: Scene) -> Reply:
        given: Answer | Failure | Disconnect = replace(answer, parts=tuple(part(scene) for part in parts))
        for fault in faults:
            given = fault.bend(given) if isinstance(given, Answer) else given
        return given

    return make


def _alone(spot: Spot, key: str, found: dict[str, Spot]) -> None:
    if len(found) > 1:
        others = ", ".join(each for each in found if each != key)
        spot.fail(f"{key} stands alone, without {others}.")


def _read_options(found: dict[str, Spot]) -> Answer:
    answer = Answer(())
    if "delay" in found:
        answer = replace(answer, delay_s=found["delay"].number())
    if "tokens_per_second" in found:
        answer = replace(answer, tokens_per_s=found["tokens_per_second"].number(above=0))
    if "split" in found:
        answer = replace(answer, split=found["split"].integer(1))
    if "usage" in found:
        usage = found["usage"].plain()
        if usage is not None and not isinstance(usage, dict):
            found["usage"].wrong("a mapping of numbers to replace those counted, or null for no usage")
        answer = replace(answer, usage=usage)
    return answer


def _read_faults(spot: Spot) -> tuple[Drawn, ...]:
    if isinstance(spot.value, list):
        return tuple(fault for each in spot.value for fault in _read_faults(each))
    try:
        if isinstance(spot.value, str):
            find_fault(spot.value)
            return (Drawn(spot.value, {}),)
        if not isinstance(spot.value, dict):
            spot.wrong(f"the name of a fault, {{name: {{parameter: value}}}}, or a list of them: {', '.join(FAULTS)}")
        drawn = []
        for name, member in spot.value.items():
            parameters = find_fault(name).parameters
            given = member.mapping(tuple(parameters), f"fault {name}") if member.value is not None else {}
            drawn.append(Drawn(name, checked_parameters(name, {key: each.plain() for key, each in given.items()})))
        return tuple(drawn)
    except UnknownFault as exc:
        spot.fail(str(exc))


def _read_failure(spot: Spot, regex: re.Pattern[str] | None) -> MakeReply:
    if isinstance(spot.value, str) and spot.value in FAULTS:
        spot.fail(f"{spot.value!r} is a fault: write fault: {spot.value}")
    found = spot.mapping(FORM["failure"], "failure")
    if "status" not in found:
        spot.fail("status is missing, an HTTP status of 400 to 599.")
    status = found["status"].integer(400)
    if status > 599:
        found["status"].wrong("an HTTP status of 400 to 599")
    words = {key: text_template(found[key], regex) for key in ("code", "message", "type", "param") if key in found}
    headers = {}
    for name, member in found["headers"].mapping(_Any(), "headers").items() if "headers" in found else ():
        value = member.value
        headers[name] = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else member.text()
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not re.fullmatch(r"[\x20-\x7e\t]*", headers[name]):
            member.fail("not an HTTP header: a name without spaces, and printable ASCII.")
    body = json_template(found["body"], regex) if "body" in found else None
    if "body" in found and not isinstance(found["body"].value, str | dict):
        found["body"].wrong("a text, sent as text/plain, or a mapping, sent as JSON")

    def make(scene: Scene) -> Reply:
        told = {key: word(scene) for key, word in words.items()}
        given = cast("JSONObject | str | None", body(scene) if body is not None else None)
        return failure(
            status,
            code=told.get("code"),
            message=told.get("message"),
            type=told.get("type", "invalid_request_error" if status < 500 else "server_error"),
            param=told.get("param"),
            headers=headers,
            body=given,
        )

    return make


class _Any(tuple[str, ...]):
    """Keys of which any is allowed."""

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str)


def _read_parts(spot: Spot, regex: re.Pattern[str] | None) -> tuple[MakePart, ...]:
    if isinstance(spot.value, str):
        return (_text(spot, regex, None),)
    if isinstance(spot.value, list):
        if not spot.value:
            spot.fail("the list is empty; allowed are one or more parts.")
        return tuple(part for each in spot.value for part in _read_parts(each, regex))
    found = spot.mapping(_PARTS, "a part")
    phase = found["phase"].choice(_PHASES) if "phase" in found else None
    if phase is not None and "text" not in found:
        found["phase"].fail("goes with text.")
    return tuple(_read_part(key, member, regex, phase) for key, member in found.items() if key != "phase")


def _read_part(key: str, spot: Spot, regex: re.Pattern[str] | None, phase: str | None) -> MakePart:
    match key:
        case "text":
            return _text(spot, regex, phase)
        case "refusal":
            fill = text_template(spot, regex)
            return lambda scene: Refusal((fill(scene),))
        case "reasoning":
            return _read_reasoning(spot, regex)
        case "call":
            return _read_call(spot, regex)
        case "json":
            value = json_template(spot, regex)
            return lambda scene: Text((json.encode(value(scene)).decode(),))
        case "item" | "event":
            if not isinstance(spot.value, dict) or not isinstance(spot.value.get("type", spot).value, str):
                spot.wrong("a mapping with a type")
            return _raw(json_template(spot, regex), key)
        case "wait":
            seconds = spot.number()
            return lambda _scene: Wait(seconds)
        case _:
            return _read_cut(spot)


def _raw(fill: Template, key: str) -> MakePart:
    if key == "event":
        return lambda scene: Emit(cast("JSONObject", fill(scene)))
    return lambda scene: cast("JSONObject", fill(scene))


def _text(spot: Spot, regex: re.Pattern[str] | None, phase: str | None) -> MakePart:
    fill = text_template(spot, regex)
    return lambda scene: Text((fill(scene),), phase)  # type: ignore[arg-type]  # checked to be one of _PHASES


def _read_reasoning(spot: Spot, regex: re.Pattern[str] | None) -> MakePart:
    if isinstance(spot.value, str):
        fill = text_template(spot, regex)
        return lambda scene: Reasoning((fill(scene),))
    found = spot.mapping(FORM["reasoning"], "reasoning")
    if not found:
        spot.wrong("a text, or a mapping of text, summary, encrypted_content")
    text = text_template(found["text"], regex) if "text" in found else None
    summary = found["summary"].texts() if "summary" in found else ()
    encrypted = found["encrypted_content"].text() if "encrypted_content" in found else None
    return lambda scene: Reasoning((text(scene),) if text is not None else (), summary, encrypted)


def _read_call(spot: Spot, regex: re.Pattern[str] | None) -> MakePart:
    if isinstance(spot.value, str):
        name = spot.value
        return lambda _scene: Call(name, ("{}",))
    found = spot.mapping(FORM["call"], "call")
    if "name" not in found:
        spot.fail("name is missing, the tool's.")
    name = found["name"].text()
    call_id = found["call_id"].text() if "call_id" in found else None
    given = found.get("arguments")
    if given is not None and not isinstance(given.value, dict | str):
        given.wrong("a mapping, or a text that is sent byte for byte")
    if given is not None and isinstance(given.value, str):
        text = text_template(given, regex)
        return lambda scene: Call(name, (text(scene),), call_id)
    fill: Template = json_template(given, regex) if given is not None else _no_arguments
    return lambda scene: Call(name, (json.encode(fill(scene)).decode(),), call_id)


def _no_arguments(_scene: Scene) -> JSON:
    return {}


def _read_cut(spot: Spot) -> MakePart:
    if spot.value is True:
        return lambda _scene: Cut()
    found = spot.mapping(FORM["cut"], "cut")
    at = found.get("at")
    place: int | str | None = None
    if at is not None:
        place = at.text() if isinstance(at.value, str) else at.integer(0)
    reset = found["reset"].boolean() if "reset" in found else True
    return lambda _scene: Cut(place, reset)
