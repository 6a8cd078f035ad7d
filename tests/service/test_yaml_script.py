"""Scripts in YAML.

`python tests/service/test_yaml_script.py --write` makes the schema, and the tables of docs/server.md, again.
"""

import asyncio
import json
import re
import sys
from pathlib import Path

import jsonschema
import pytest

pytest.importorskip("yaml", reason="needs the extra 'server'")

from agentkit.service import script_form
from agentkit.service.app import Service
from agentkit.service.faults import FAULTS
from agentkit.service.loading import ScriptError, load_script
from agentkit.service.misbehaviour import Misbehaviour
from agentkit.service.script_form import FORM, script_schema
from agentkit.service.yaml_script import parse_yaml

ROOT = Path(__file__).parent.parent.parent
SCHEMA = Path(script_form.__file__).parent / "script.schema.json"
PAGE = ROOT / "docs" / "server.md"
EDITOR = jsonschema.Draft202012Validator(script_schema())


def user(content):
    return {"type": "message", "role": "user", "content": content}


def called(output, name="weather", call_id="call_1"):
    return [
        {"type": "function_call", "call_id": call_id, "name": name, "arguments": "{}"},
        {"type": "function_call_output", "call_id": call_id, "output": output},
    ]


def ask(service, given="hi", **body):
    """The answer: status, and its JSON."""
    raw = json.dumps({"model": "m", "input": given, **body}).encode()
    answer = asyncio.run(service.handle("POST", "/responses", {}, raw))
    return answer.status, json.loads(answer.body)


def service_of(source):
    loaded = parse_yaml(source)
    EDITOR.validate(_as_json(source))
    return Service(loaded.make(), models=loaded.models)


def _as_json(source):
    from agentkit.service.spots import read_yaml

    return read_yaml(source, "x").plain()


def said(service, given="hi", **body):
    """What the answer says, in short."""
    status, value = ask(service, given, **body)
    if status != 200:
        return f"{status} {value['error']['code']}"
    return [_short(item) for item in value["output"]]


def _short(item):
    match item["type"]:
        case "message":
            return item["content"][0].get("text", item["content"][0].get("refusal"))
        case "function_call":
            return f"{item['name']} {item['arguments']}"
        case "reasoning":
            return f"({item['content'][0]['text']})" if "content" in item else item["summary"]
        case kind:
            return kind


# --- what is said ---


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Hello", ["Hello"]),
        ("no", ["no"]),
        ("12:30", ["12:30"]),
        ("2024-01-01", ["2024-01-01"]),
        ('{text: "Hello {name} {}"}', ["Hello {name} {}"]),
        ("[a, b]", ["a", "b"]),
        ("{call: weather}", ["weather {}"]),
        ("{call: {name: weather, arguments: {city: Oslo, days: 3}}}", ['weather {"city":"Oslo","days":3}']),
        ("{call: {name: weather, arguments: '{\"city'}}", ['weather {"city']),
        ("{reasoning: hm, text: a, call: f}", ["(hm)", "a", "f {}"]),
        ("{reasoning: {summary: short}}", [[{"type": "summary_text", "text": "short"}]]),
        ("{refusal: I can't.}", ["I can't."]),
        ("{json: {a: [1, 2.5, null, true, x]}}", ['{"a":[1,2.5,null,true,"x"]}']),
        ("{item: {type: odd, id: o1}}", ["odd"]),
        ("{parts: [{call: f}, {call: g}, done], delay: 0}", ["f {}", "g {}", "done"]),
        ("{text: a, event: {type: response.odd}, wait: 0}", ["a"]),
        ("{text: a, fault: reasoning_first}", ["(The user asks; a short answer will do.)", "a"]),
        ("{call: f, fault: [two_calls, unknown_item]}", ["unheard_of", "f {}", "f {}"]),
        ("{fault: rate_limited}", "429 insufficient_quota"),
        ("{fault: {rate_limited: {retry_after_s: 2}}}", "429 insufficient_quota"),
        ("{failure: {status: 418, code: teapot}}", "418 teapot"),
    ],
)
def test_replies(reply, expected):
    assert said(service_of(f"- {reply}")) == expected


def test_a_failure_in_full():
    source = '- {failure: {status: 503, headers: {retry-after: 3, x-a: b}, body: "Try {text} later"}}'
    raw = b'{"model":"m","input":"that"}'
    answer = asyncio.run(service_of(source).handle("POST", "/responses", {}, raw))
    assert (answer.status, answer.body) == (503, b"Try that later")
    assert answer.headers == (("content-type", "text/plain; charset=utf-8"), ("retry-after", "3"), ("x-a", "b"))


def test_phase_usage_and_status():
    _, value = ask(service_of("- {text: a, phase: commentary, usage: {input_tokens: 7}, fault: incomplete}"))
    assert (value["output"][0]["phase"], value["usage"]["input_tokens"]) == ("commentary", 7)
    assert (value["status"], value["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert ask(service_of("- {text: a, usage: null}"))[1]["usage"] is None


def test_pace_and_delay_are_waited_for():
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    loaded = parse_yaml("- {text: one two three, delay: 2, tokens_per_second: 4, split: 5}")
    service = Service(loaded.make(), sleep=sleep)

    async def main():
        raw = b'{"model":"m","input":"hi","stream":true}'
        answer = await service.handle("POST", "/responses", {}, raw)
        return [chunk async for chunk in answer.body]

    deltas = re.findall(rb'"delta":"(.*?)"', b"".join(asyncio.run(main())))
    assert deltas == [b"one t", b"wo th", b"ree"]
    assert waits == [2, 0.5, 0.5, 0.25]


# --- when ---


@pytest.mark.parametrize(
    ("when", "given", "holds"),
    [
        ("text: oslo", "In OSLO?", True),
        ("text: oslo", "In Bergen?", False),
        ("text: {contains: [coat, oslo]}", "a coat for Oslo", True),
        ("text: {contains: [coat, oslo]}", "a coat", False),
        ("text: {equals: Oslo}", "oslo", False),
        ("text: {equals: Oslo}", "Oslo", True),
        ("text: {equals: ''}", "", True),
        ("text: {regex: '^O.*o$'}", "Oslo", True),
        ("text: {regex: '^O', contains: x}", "Oslo", False),
        ("text: oslo", [user("Oslo"), *called("7")], False),
        ("text: oslo", [user([{"type": "input_text", "text": "Oslo"}])], True),
        ("text: oslo", [{"type": "message", "role": "system", "content": "Oslo"}], False),
        ("asked: oslo", [user("Oslo"), *called("7")], True),
        ("output: '7'", [user("Oslo"), *called("17")], True),
        ("output: '7'", "7", False),
        ("output: {tool: weather}", [user("Oslo"), *called("7")], True),
        ("output: {tool: clock}", [user("Oslo"), *called("7")], False),
        ("output: {tool: clock}", [user("Oslo"), *called("7", "clock", "a"), *called("8", "weather", "b")], False),
        ("output: {json: {a: [1, true]}}", [user("x"), *called('{"a": [1, true]}')], True),
        ("output: {json: {a: [1, 1]}}", [user("x"), *called('{"a": [1, true]}')], False),
        ("output: {json: 1}", [user("x"), *called("one")], False),
        ("turn: 0", "hi", True),
        ("turn: [1, 2]", [user("Oslo"), *called("7")], True),
        ("turn: 0", [user("Oslo"), *called("7")], False),
        ("model: m", "hi", True),
        ("model: [a, b]", "hi", False),
        ("{}", "hi", True),
    ],
)
def test_when(when, given, holds):
    when = when if when == "{}" else f"{{{when}}}"
    service = service_of(f"rules:\n- when: {when}\n  reply: yes it does\n- reply: otherwise")
    assert said(service, given) == (["yes it does"] if holds else ["otherwise"])


def test_parallel_outputs_any_of_them_counts():
    calls = [
        {"type": "function_call", "call_id": "a", "name": "clock", "arguments": "{}"},
        {"type": "function_call", "call_id": "b", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "noon"},
        {"type": "function_call_output", "call_id": "b", "output": "7 C"},
    ]
    service = service_of("rules: [{when: {output: {tool: clock}}, reply: 'It is {output}.'}]")
    assert said(service, [user("x"), *calls]) == ["It is noon."]


def test_templates():
    source = r"""
rules:
  - when: {text: {regex: 'add (\d+) to (?P<b>\d+)'}}
    reply: {call: {name: add, arguments: {a: "{match[1]}", b: "{match[b]}", all: "<{match[0]}>"}}}
  - when: {output: {regex: '^\{'}}
    reply:
      - "{output.sum} of {output.parts.1.n}; {turn} {text} {{output}} {outputs}"
      - json: {sum: "{output.sum}", said: "is {output.sum}"}
  - reply: "<{output}>"
"""
    service = service_of(source)
    assert said(service, "add 1 to 2") == ['add {"a":"1","b":"2","all":"<add 1 to 2>"}']
    output = '{"sum": 3, "parts": [{"n": 1}, {"n": 2}]}'
    assert said(service, [user("go"), *called(output)]) == [
        "3 of 2; 1 go {output} {outputs}",
        '{"sum":3,"said":"is 3"}',
    ]
    assert said(service, [user("go"), *called("plain")]) == ["<plain>"]
    assert said(service, "none") == ["<>"]


def test_a_template_without_its_member_says_so():
    service = service_of("- '{output.temp}'")
    with pytest.raises(Exception, match=r"there is no 'temp' in the tool's output: '\{\}'"):
        ask(service, [user("x"), *called("{}")])


# --- used up ---


def test_replies_are_used_up_in_order():
    service = service_of("replies: [one, [two, too], {text: three}]")
    assert [said(service) for _ in range(4)] == [["one"], ["two", "too"], ["three"], "400 script_exhausted"]


def test_a_rule_with_replies_falls_through():
    source = """
rules:
- {when: {text: x}, replies: [{fault: queue_full}, one]}
- {when: {text: x}, reply: two, times: 1}
- {reply: three}
"""
    service = service_of(source)
    assert [said(service, "x") for _ in range(4)] == ["429 queue_full", ["one"], ["two"], ["three"]]


def test_a_script_begins_again_each_time_it_is_made():
    loaded = parse_yaml("- one")
    assert said(Service(loaded.make())) == said(Service(loaded.make())) == ["one"]


def test_no_rule_is_told_with_the_rules():
    service = service_of("rules:\n- {name: greeting, when: {text: hello}, reply: Hi}\n- {when: {turn: 3}, reply: Hi}")
    status, value = ask(service, "goodbye")
    assert (status, value["error"]["code"]) == (400, "script_exhausted")
    assert value["error"]["message"] == (
        "no rule of <script> holds for turn 0 of a conversation that ends with message user: 'goodbye'. "
        "Rules are: greeting; line 3. A rule without `when` holds always."
    )


def test_models_and_options():
    loaded = parse_yaml(
        "models: [a, b]\noptions: {done: true, faults: {rate: 0.1, seed: 7, names: [model, slow]}}\nreplies: [x]"
    )
    assert (loaded.models, loaded.done) == (("a", "b"), True)
    assert (loaded.fault_rate, loaded.fault_seed, loaded.faults) == (0.1, 7, ("model", "slow"))


def test_aliases_and_merges():
    source = "rules:\n- &a {when: {text: x}, reply: one, times: 1}\n- {<<: *a, reply: two}\n- reply: &r three\n"
    service = service_of(source)
    assert [said(service, "x") for _ in range(3)] == [["one"], ["two"], ["three"]]


# --- mistakes ---


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("", 1, "the file is empty. A script has rules or replies."),
        ("a: [", 1, "not YAML: "),
        ("a: b: c", 1, "not YAML: mapping values are not allowed here."),
        ("rules: []", 1, "rules: the list is empty; allowed are one or more rules."),
        ("hello", 1, "the script: found 'hello'; allowed is a script: a mapping of rules, replies, "),
        ("models: [a]", 1, "the script: it has neither rules nor replies; allowed is one of them."),
        ("rules: []\nreplies: []", 1, "the script: it has both rules and replies; allowed is one of them."),
        ("rule: []", 1, "rule: unknown key 'rule'. Did you mean 'rules'? Keys of a script are: rules, replies, "),
        ("rules:\n- reply: a\n- replyy: b", 3, "rules[1].replyy: unknown key 'replyy'. Did you mean 'reply'?"),
        ("rules:\n- when: {text: a}", 2, "rules[0]: it has neither reply nor replies; allowed is one of them."),
        ("rules:\n- reply: a\n  when: {txt: b}", 3, "rules[0].when.txt: unknown key 'txt'. Did you mean 'text'?"),
        ("rules:\n- reply: a\n  when:\n    text:\n      regex: '('", 5, "rules[0].when.text.regex: not a regular exp"),
        ("rules:\n- reply: a\n  when: {text: 5}", 3, "rules[0].when.text: found 5; allowed is "),
        ("rules:\n- reply: a\n  when: {turn: -1}", 3, "found -1; allowed is a whole number of at least 0."),
        ("rules:\n- reply: a\n  reply: b", 3, "rules[0].reply: the key stands here twice."),
        ("rules:\n- replies: [a]\n  times: 2", 3, "rules[0].times: goes with reply; each of several"),
        ("-\n  txt: a", 2, "[0].txt: unknown key 'txt'. Did you mean 'text'? Keys of a reply are: text, phase, call"),
        ("- true", 1, "[0]: found true; allowed is a reply: a mapping of text, "),
        ("- {text: true}", 1, "[0].text: found true; allowed is a text. Put it in quotes."),
        ("- {text: 5}", 1, "[0].text: found 5; allowed is a text. Put it in quotes."),
        ("- {phase: commentary}", 1, "[0].phase: goes with text."),
        ("- {text: a, phase: last}", 1, "[0].phase: found 'last'; allowed is commentary, final_answer."),
        ("- {delay: 1}", 1, "[0]: it says nothing. Give one or more of: text, "),
        ("- {fault: failed}", 1, "[0]: it says nothing. fault 'failed' bends an answer, and there is none."),
        ("- {fault: rate_limted}", 1, "[0].fault: there is no fault 'rate_limted'. Did you mean 'rate_limited'"),
        ("- {fault: {slow: {delay: 1}}, text: a}", 1, "unknown key 'delay'. Did you mean 'delay_s'?"),
        ("- {fault: {slow: {delay_s: x}}, text: a}", 1, "fault 'slow': delay_s is a number of at least 0, not 'x'."),
        ("- {failure: queue_full}", 1, "[0].failure: 'queue_full' is a fault: write fault: queue_full"),
        ("- {failure: {code: a}}", 1, "[0].failure: status is missing, an HTTP status of 400 to 599."),
        ("- {failure: {status: 200}}", 1, "found 200; allowed is a whole number of at least 400."),
        ("- {failure: {status: 500, headers: {a b: c}}}", 1, "not an HTTP header"),
        ("- {failure: {status: 500}, text: a}", 1, "[0]: failure stands alone, without text."),
        ("- {disconnect: true, delay: 1}", 1, "[0]: disconnect stands alone, without delay."),
        ("- {parts: [a], text: b}", 1, "[0]: it has both parts and text; put all of it into parts."),
        ("- {call: {arguments: {}}}", 1, "[0].call: name is missing, the tool's."),
        ("- {call: {name: f, arguments: [1]}}", 1, "[0].call.arguments: found a list of 1; allowed is a mapping, or"),
        ("- {item: {id: a}}", 1, "[0].item: found a mapping of id; allowed is a mapping with a type."),
        ("- {tokens_per_second: 0, text: a}", 1, "found 0; allowed is a number above 0."),
        ("- '{match[1]}'", 1, "[0]: {match[1]} speaks of a match, and the rule's `when` has no regex."),
        (
            "rules:\n- when: {text: {regex: '(?P<a>.)'}}\n  reply: '{match[b]}'",
            3,
            "rules[0].reply: {match[b]}: the regex has no such group. Its groups are: 0 to 1, a.",
        ),
        ("options: {faults: {rate: 2}}\nreplies: [a]", 1, "options.faults.rate: found 2; allowed is a number from 0"),
        ("options: {faults: {names: [x]}}\nreplies: [a]", 1, "options.faults.names: there is no fault 'x'."),
        ("options: {done: 1}\nreplies: [a]", 1, "options.done: found 1; allowed is true or false."),
        ("- !!python/object/apply:os.system [ls]", 1, "the tag tag:yaml.org,2002:python/object/apply:os.system isn't"),
        ("- !!binary aGk=", 1, "the tag tag:yaml.org,2002:binary isn't accepted: a script is plain data."),
        ("- !own x", 1, "the tag !own isn't accepted: a script is plain data."),
        ("- &a [*a]", 1, "too much of it: at most 100000 values, 100 levels deep, aliases included."),
        ("- " + "[" * 3000 + "]" * 3000, None, "nested too deeply."),
        ("- {json: " + "1" * 5000 + "}", 1, "can't be read as int."),
        ("- {? [a] : b}", 1, "a key is a text."),
        ("--- a\n--- b", 2, "not YAML: expected a single document in the stream, but found another document."),
        ("- a\x07", None, "not YAML: "),
    ],
)
def test_mistakes_have_a_line_and_a_way_out(source, line, message):
    with pytest.raises(ScriptError) as caught:
        parse_yaml(source, "s.yaml")
    assert caught.value.line == line
    start, _, told = str(caught.value).partition(": ")
    assert start == ("s.yaml" if line is None else f"s.yaml:{line}")
    assert message in told


def test_an_explosion_of_aliases_is_stopped():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(ScriptError, match="too much of it"):
        parse_yaml("\n".join(lines))


# --- files ---


def test_files(tmp_path):
    (tmp_path / "a.yaml").write_bytes("\ufeff- Hé".encode())
    (tmp_path / "a.json").write_text('{"replies": ["Hello"], "models": ["a"]}')
    (tmp_path / "a.py").write_text("from beside import said\nmodels = ['a']\ndef script(request): return said\n")
    (tmp_path / "beside.py").write_text("said = 'Hello'\n")
    assert said(Service(load_script(tmp_path / "a.yaml").make())) == ["Hé"]
    for name in ("a.json", "a.py"):
        loaded = load_script(str(tmp_path / name))
        assert loaded.models == ("a",)
        assert said(Service(loaded.make())) == ["Hello"]


def test_a_list_in_python_begins_again(tmp_path):
    (tmp_path / "l.py").write_text("script = ['one']")
    loaded = load_script(tmp_path / "l.py")
    assert said(Service(loaded.make())) == said(Service(loaded.make())) == ["one"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.yaml", None, "missing.yaml: there is no such file. Give a script: "),
        ("a.txt", b"x", "a.txt: unknown kind of file. A script is a .yaml, .yml, .json or .py file."),
        ("a.yaml", b"- \xff", "a.yaml: not UTF-8: byte 2 is 0xff."),
        ("a.py", b"x = 1", "a.py: defines no `script`: a function of the request, or a list of replies."),
        ("b.py", b"x = 1\n1/0", "b.py:2: can't be loaded: ZeroDivisionError: division by zero"),
        ("c.py", b"x = 1\nx = = 2", "c.py:2: can't be loaded: SyntaxError: "),
        ("d.py", b"raise SystemExit(3)", "d.py:1: can't be loaded: SystemExit: 3"),
        ("e.py", b"script = 5", "e.py: `script`: a script can't be 5 (int)."),
        ("f.py", b"script = ['a', 5]", "f.py: `script`: a scripted model replied with 5 (int)."),
        ("g.py", b"script = ['a']\nmodels = 'm'", "g.py: `models` is 'm'; allowed is a list of model ids."),
    ],
)
def test_files_that_are_no_script(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ScriptError) as caught:
        load_script(tmp_path / name)
    assert message in str(caught.value)


def test_a_folder_is_no_script(tmp_path):
    with pytest.raises(ScriptError, match="is a folder"):
        load_script(tmp_path)


# --- the example, the schema, the page ---


def test_the_example():
    loaded = load_script(ROOT / "examples" / "scripts" / "weather.yaml")
    service = Service(loaded.make(), models=loaded.models)
    question = user("Do I need a coat in Oslo?")
    model = {"model": "gpt-oss-120b"}
    assert said(service, [question], **model) == ["(I have to look it up.)", 'weather {"city":"Oslo"}']
    answer = [question, *called('{"temperature": 7, "sky": "rain"}')]
    assert said(service, answer, **model) == ["It is 7 °C: rain."]
    assert said(service, [question, *called("error: no such city")], **model) == ["I can't find that out."]
    assert said(service, "are you busy?", **model) == "429 insufficient_quota"
    assert said(service, "are you busy?", **model) == ["I only know about the weather."]
    assert said(service, "hi") == "404 model_not_found"


def test_the_example_is_valid_for_editors():
    source = (ROOT / "examples" / "scripts" / "weather.yaml").read_text(encoding="utf-8")
    jsonschema.validate(_as_json(source), json.loads(SCHEMA.read_text()))


@pytest.mark.parametrize(
    "source",
    ["- {txt: a}", "rules: [{when: {text: a}}]", "rules: []", "{}", "- {fault: rate_limted}", "- {failure: {code: a}}"],
)
def test_editors_see_mistakes_too(source):
    with pytest.raises(jsonschema.ValidationError):
        EDITOR.validate(_as_json(source))


def test_the_schema_is_sound_and_written():
    jsonschema.Draft202012Validator.check_schema(script_schema())
    assert json.loads(SCHEMA.read_text()) == script_schema(), "python tests/service/test_yaml_script.py --write"


def faults_table():
    rows = ["| fault | what happens | kind | parameters |", "|---|---|---|---|"]
    for name, fault in FAULTS.items():
        shows = {"answers": "", "streams": " (streams)", "calls": " (calls)"}[fault.affects]
        parameters = ", ".join(f"`{key}`" for key in fault.parameters)
        rows.append(f"| `{name}` | {fault.note}{shows} | {fault.kind} | {parameters} |")
    return "\n".join(rows)


def form_tables():
    titles = {
        "script": "A script",
        "options": "`options`",
        "fault options": "`options.faults`",
        "rule": "A rule",
        "when": "`when`",
        "text test": "`when.text`, `when.asked` (a text alone: contains)",
        "output test": "`when.output` (a text alone: contains)",
        "part": "A part (a text alone: a message). Several keys: several parts, in the order written",
        "reply": "A reply: a text, a list of parts, or a part's keys and these",
        "call": "`call`",
        "reasoning": "`reasoning`",
        "cut": "`cut`",
        "failure": "`failure`",
    }
    assert titles.keys() == FORM.keys()
    tables = []
    for name, keys in FORM.items():
        rows = [f"**{titles[name]}**", "", "| key | meaning |", "|---|---|"]
        rows += [f"| `{key}` | {note} |" for key, (_, note) in keys.items()]
        tables.append("\n".join(rows))
    return "\n\n".join(tables)


def made_page(page):
    for mark, table in (("faults", faults_table()), ("form", form_tables())):
        pattern = rf"(<!-- {mark} -->\n).*?(<!-- end of {mark} -->)"
        page, count = re.subn(
            pattern, lambda found, table=table: f"{found[1]}\n{table}\n\n{found[2]}", page, flags=re.DOTALL
        )
        assert count == 1
    return page


def test_the_page_is_written():
    page = PAGE.read_text(encoding="utf-8")
    assert page == made_page(page), "python tests/service/test_yaml_script.py --write"


def test_the_scripts_of_the_page_load():
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        parse_yaml(block)
        EDITOR.validate(_as_json(block))


def test_every_fault_can_be_named_in_a_script():
    for name in FAULTS:
        parse_yaml(f"- {{call: f, fault: {name}}}")
        Misbehaviour(faults=[name])


if __name__ == "__main__" and "--write" in sys.argv:
    SCHEMA.write_text(json.dumps(script_schema(), indent=2) + "\n")
    PAGE.write_text(made_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
