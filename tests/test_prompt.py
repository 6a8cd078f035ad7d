"""Instructions from a template: what it can see, and what it can't do."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pydantic
import pytest

from agentkit.errors import UsageError
from agentkit.prompt import Prompt


@dataclass
class Data:
    name: str

    @property
    def shout(self) -> str:
        return self.name.upper()

    def method(self) -> str:
        return "secret"


@dataclass(frozen=True, slots=True)
class Slotted:
    name: str


class PlainSlots:
    __slots__ = ("_hidden", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._hidden = "secret"


class BelowSlots(PlainSlots):
    __slots__ = ("other",)


class Plain:
    kind = "class attribute"

    def __init__(self, name: str) -> None:
        self.name = name


class Lazy:
    @property
    def name(self) -> str:
        return "Ada"


class Model(pydantic.BaseModel):
    name: str


class Pair(NamedTuple):
    name: str


DEPS = [
    ("dataclass", Data("Ada")),
    ("dataclass with slots", Slotted("Ada")),
    ("slots", PlainSlots("Ada")),
    ("slots below slots", BelowSlots("Ada")),
    ("plain object", Plain("Ada")),
    ("property", Lazy()),
    ("pydantic model", Model(name="Ada")),
    ("named tuple", Pair("Ada")),
    ("mapping", {"name": "Ada"}),
]


@pytest.mark.parametrize(("name", "deps"), DEPS, ids=[row[0] for row in DEPS])
def test_variables_are_the_fields_of_deps(name: str, deps: object):
    assert Prompt("Hello {{ name }}").render(deps) == "Hello Ada"


@pytest.mark.parametrize(("name", "deps"), DEPS, ids=[row[0] for row in DEPS])
def test_a_variable_that_is_not_there_is_named(name: str, deps: object):
    with pytest.raises(UsageError, match=r"'nmae' is undefined. The fields of deps are .*name"):
        Prompt("{{ nmae }}").render(deps)


def test_properties_and_class_attributes_are_fields():
    assert Prompt("{{ shout }}").render(Data("Ada")) == "ADA"
    assert Prompt("{{ kind }}").render(Plain("x")) == "class attribute"


def test_methods_and_private_names_are_not():
    for template, deps in (("{{ method }}", Data("Ada")), ("{{ _hidden }}", PlainSlots("Ada"))):
        with pytest.raises(UsageError, match="is undefined"):
            Prompt(template).render(deps)


def test_only_what_the_template_names_is_looked_up():
    class Trap:
        name = "Ada"

        @property
        def other(self) -> str:
            raise AssertionError

    assert Prompt("{{ name }}").render(Trap()) == "Ada"
    looked_up = defaultdict(str, name="Ada")
    Prompt("{{ name }}{% if more is defined %}!{% endif %}").render(looked_up)
    assert dict(looked_up) == {"name": "Ada"}


def test_a_template_without_variables_needs_no_deps():
    assert Prompt("Be kind.\n").render() == "Be kind."
    with pytest.raises(UsageError, match=r"'x' is undefined. The fields of deps are none: the run has no deps"):
        Prompt("{{ x }}").render(None)


def test_loops_conditions_and_filters_work():
    prompt = Prompt("{% for x in xs %}{{ loop.index }}={{ x|upper }} {% endfor %}{{ y|default('none') }}")
    assert prompt.render({"xs": ["a", "b"]}) == "1=A 2=B none"


def test_an_attribute_that_is_not_there_is_an_error():
    with pytest.raises(UsageError, match="has no attribute 'nmae'"):
        Prompt("{{ user.nmae }}").render({"user": Plain("x")})


def test_text_in_a_variable_is_never_a_template():
    text = "{{ 7 * 7 }}{% raw %}<b>{# x #}"
    assert Prompt("{{ text }}").render({"text": text}) == text


ATTACKS = [
    "{{cycler.__init__.__globals__}}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ x.__class__ }}",
    "{{ x['__class__']['__base__'] }}",
    "{{ x|attr('__class__') }}",
    "{{ '{0.__class__}'.format(x) }}",
    "{{ xs.append(1) }}",
    "{{ d.update(a=1) }}",
    "{{ range(999999999) }}",
]


@pytest.mark.parametrize("source", ATTACKS)
def test_a_template_cannot_leave_its_sandbox(source: str):
    deps = {"x": Plain("a"), "xs": [0], "d": {}}
    with pytest.raises(UsageError, match=r"^prompt: "):
        Prompt(source).render(deps)
    assert (deps["xs"], deps["d"]) == ([0], {})


@pytest.mark.parametrize("source", ["{{ 1 / 0 }}", "{{ 'a' + 1 }}", "{{ x|int + y }}"])
def test_what_goes_wrong_while_rendering_is_a_usage_error(source: str):
    with pytest.raises(UsageError, match=r"^prompt: .*See the template Prompt\("):
        Prompt(source).render({"x": 1, "y": "z"})


@pytest.mark.parametrize(
    ("source", "message"),
    [("a\n{{ x", "line 2: "), ("{% nope %}", "unknown tag 'nope'"), ("{{ x|nope }}", "No filter named 'nope'")],
)
def test_a_template_that_does_not_parse_is_refused_with_its_line(source: str, message: str):
    with pytest.raises(UsageError) as caught:
        Prompt(source)
    assert str(caught.value).startswith("<prompt>, line ")
    assert message in str(caught.value)


def test_a_file_is_read_as_utf_8(tmp_path: Path):
    (tmp_path / "p.txt").write_text("Hei på {{ name }}", encoding="utf-8")
    assert Prompt.from_file(tmp_path / "p.txt").render({"name": "deg"}) == "Hei på deg"


def test_an_unreadable_file_is_named(tmp_path: Path):
    (tmp_path / "p.txt").write_bytes(b"\xff")
    with pytest.raises(UsageError, match=r"can't read the prompt .*p.txt"):
        Prompt.from_file(tmp_path / "p.txt")
    with pytest.raises(UsageError, match=r"missing.txt"):
        Prompt.from_file(tmp_path / "missing.txt")


def test_a_long_prompt_prints_short():
    assert repr(Prompt("x" * 100)) == f"Prompt('{'x' * 60}'...)"
