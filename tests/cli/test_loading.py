from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

from agentkit.cli.loading import LoadError, load_agent, place_of, short_traceback

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAD = "from agentkit import Agent\n"
NO_MODULE = (
    "there is neither a file nor a module 'nowhere.to_be_found' here. Give the path of a Python file, or a module."
)


@pytest.fixture(autouse=True)
def clean_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test works in its own folder, and leaves the import system as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("source", "target", "model"),
    [
        ("agent = Agent(model='one')", "f.py", "one"),
        ("assistant = Agent(model='one')", "f.py", "one"),
        ("a = b = Agent(model='one')", "f.py", "one"),
        ("agent = Agent(model='one'); other = Agent(model='two')", "f.py", "one"),
        ("agent = Agent(model='one'); other = Agent(model='two')", "f.py:other", "two"),
        ("agent = Agent(model='one')", "f", "one"),
        ("agent = Agent(model='one')", "f:agent", "one"),
        ("agent = Agent(model='one')", "./f.py", "one"),
        ("agent = Agent(model='one')", "f.py:", "one"),
    ],
)
def test_the_agent_is_found(tmp_path: Path, source: str, target: str, model: str) -> None:
    (tmp_path / "f.py").write_text(HEAD + source)
    assert load_agent(target).agent.model == model


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("x = 1", "f.py", "f.py has no agent. Define one at the top level: agent = Agent(model=..., ...)"),
        (
            "a = Agent(model='m'); b = Agent(model='m')",
            "f.py",
            "f.py has 2 agents: a, b. Name one: f.py:a",
        ),
        ("a = Agent(model='m')", "f.py:b", "f.py: there is no `b`; its agents are a."),
        ("a = Agent(model='m'); b = 1", "f.py:b", "f.py: `b` is a int, not an Agent; its agents are a."),
        ("", "f.py:a", "f.py: there is no `a`; it has no agents."),
        ("", "g.py", "there is no file 'g.py' here. Give the path of a Python file."),
        ("", "sub/f", "there is no file 'sub/f' here. Give the path of a Python file."),
        ("", ".", ". is a folder. Give a Python file, or a module as package.module."),
        (
            "",
            "nowhere.to_be_found",
            NO_MODULE,
        ),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, source: str, target: str, message: str) -> None:
    (tmp_path / "f.py").write_text(HEAD + source)
    with pytest.raises(LoadError) as caught:
        load_agent(target)
    assert str(caught.value) == message


def test_a_missing_suffix_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "01_hello.py").write_text("")
    with pytest.raises(LoadError, match=r"Did you mean '01_hello\.py'\?"):
        load_agent("01_hello")


def test_a_file_that_raises_shows_its_own_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "f.py"
    path.write_text(HEAD + "def make():\n    return Agent(model='')\nagent = make()\n")
    with pytest.raises(LoadError) as caught:
        load_agent("f.py")
    assert str(caught.value).splitlines() == [
        "f.py can't be loaded:",
        "Traceback (most recent call last):",
        f'  File "{path}", line 4, in <module>',
        "    agent = make()",
        f'  File "{path}", line 3, in make',
        "    return Agent(model='')",
        "agentkit.errors.UsageError: model=''; give the model's name as the server spells it.",
    ]
    assert "f" not in sys.modules


@pytest.mark.parametrize(
    ("source", "ending"),
    [
        ("def f(:", "SyntaxError: invalid syntax"),
        ("import no_such_module_x", "ModuleNotFoundError: No module named 'no_such_module_x'"),
        ("raise SystemExit(3)", "Put that under `if __name__ == '__main__':`."),
        ("from . import x", "give it as package.module, from the folder above the package."),
    ],
)
def test_why_a_file_fails_is_said(tmp_path: Path, source: str, ending: str) -> None:
    (tmp_path / "f.py").write_text(source)
    with pytest.raises(LoadError) as caught:
        load_agent("f.py")
    assert str(caught.value).endswith(ending)


def test_neighbours_can_be_imported_and_no_bytecode_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "sub"
    folder.mkdir()
    (folder / "neighbour_x.py").write_text("MODEL = 'near'")
    (folder / "f_x.py").write_text(HEAD + "from neighbour_x import MODEL\nagent = Agent(model=MODEL)")
    assert load_agent("sub/f_x.py").agent.model == "near"
    assert not list(folder.glob("__pycache__/f_x*"))


def test_a_file_named_like_a_module_hides_none(tmp_path: Path) -> None:
    import json

    (tmp_path / "json.py").write_text(HEAD + "agent = Agent(model='m')")
    load_agent("json.py")
    assert sys.modules["json"] is json


def test_a_package_is_loaded_by_its_dotted_name(tmp_path: Path) -> None:
    package = tmp_path / "pkg_x"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "names.py").write_text("MODEL = 'inner'")
    (package / "agents.py").write_text(HEAD + "from .names import MODEL\nagent = Agent(model=MODEL)")
    assert load_agent("pkg_x.agents").agent.model == "inner"
    with pytest.raises(LoadError, match="neither a file nor a module"):
        load_agent("pkg_x.others")


CLIENTS = HEAD + "from agentkit.testing import ScriptedModel\nagent = Agent(model='m')\nmodel = ScriptedModel(['hi'])\n"


@pytest.mark.parametrize("given", ["client = model.client()", "def client(): return model.client()"])
def test_a_client_may_be_a_value_or_a_function(tmp_path: Path, given: str) -> None:
    (tmp_path / "f.py").write_text(CLIENTS + given)
    client = load_agent("f.py").client()
    assert client is not None
    assert client.base_url == "http://scripted.test/v1"


def test_a_client_of_another_type_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text(CLIENTS + "client = model")
    with pytest.raises(LoadError) as caught:
        load_agent("f.py").client()
    assert str(caught.value) == (
        "f.py: `client` is a ScriptedModel; allowed are a Client, and a function that returns one. Give its .client()."
    )


def test_no_client_is_no_client(tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text(CLIENTS)
    assert load_agent("f.py").client() is None


DEPS = HEAD + "class Deps: name = 'x'\nagent = Agent(model='m', deps_type=Deps)\n"


@pytest.mark.parametrize(
    "given", ["deps = Deps()", "def deps(): return Deps()", "async def deps(): return Deps()", "deps = Deps"]
)
def test_deps_may_be_a_value_or_a_factory(tmp_path: Path, given: str) -> None:
    (tmp_path / "f.py").write_text(DEPS + given)
    deps = asyncio.run(load_agent("f.py").deps())
    assert type(deps).__name__ == "Deps"


def test_missing_deps_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text(DEPS)
    with pytest.raises(LoadError) as caught:
        asyncio.run(load_agent("f.py").deps())
    assert str(caught.value) == (
        "f.py: the agent takes deps of type Deps, and the file gives none. "
        "Define `deps = Deps(...)`, or `def deps() -> Deps: ...`, next to the agent."
    )


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_factory_that_raises_shows_its_line(tmp_path: Path, kind: str) -> None:
    (tmp_path / "f.py").write_text(DEPS + f"{kind} deps():\n    raise KeyError('no db')\n")
    with pytest.raises(LoadError, match=r"f.py: `deps\(\)` raised:\n(.|\n)*line 5, in deps\n(.|\n)*KeyError: 'no db'"):
        asyncio.run(load_agent("f.py").deps())


def test_the_place_of_an_exception_is_in_the_users_code() -> None:
    from agentkit import Agent

    with pytest.raises(Exception, match="give the model") as caught:
        Agent(model="")
    assert (place_of(caught.value) or "").startswith("test_loading.py:")
    assert "agent.py" not in short_traceback(caught.value)
