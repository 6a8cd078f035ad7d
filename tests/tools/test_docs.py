"""The page about the tools, run as it stands in a folder like the one it speaks of."""

from __future__ import annotations

import doctest
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import agentkit_tools
import pytest

PAGE = Path(__file__).parent.parent.parent / "docs" / "tools.md"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with `src` and `shop.db`, and to be in it."""
    (tmp_path / "src" / "shop").mkdir(parents=True)
    (tmp_path / "src" / "shop" / "cart.py").write_text(
        "def total(prices):\n    # TODO: taxes\n    return sum(prices)\n"
    )
    (tmp_path / "src" / "shop" / "data.csv").write_text("item,price\ntea,4.5\nbr")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT NOT NULL, price REAL)")
        connection.execute("INSERT INTO orders (item, price) VALUES ('tea', 4.5), ('bread', 3.5), ('tea', 4.5)")
        connection.commit()
    monkeypatch.chdir(tmp_path)


def test_the_sessions_of_the_page_give_what_it_says() -> None:
    sessions = re.findall(r"```pycon\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(sessions) == 4
    test = doctest.DocTestParser().get_doctest("\n".join(sessions), {}, PAGE.name, str(PAGE), 0)
    said: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert result.failed == 0, "".join(said)
    assert result.attempted > 15


def test_the_code_of_the_page_runs() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(block, {})


def test_the_page_names_every_tool() -> None:
    names = {"calculate"}
    for tools in (
        agentkit_tools.Files("src").tools,
        agentkit_tools.Database("shop.db").tools,
        agentkit_tools.Clock().tools,
    ):
        names |= {item.name for item in tools}
    assert set(re.findall(r"^\| `(\w+)\(", PAGE.read_text(encoding="utf-8"), re.MULTILINE)) | {"sql_query"} == names


def test_importing_the_package_loads_nothing() -> None:
    """The processes of isolated.py import it too."""
    path = [str(Path(agentkit_tools.__file__).parent.parent)]
    loaded = "sorted({'agentkit', 'sqlite3'} & set(sys.modules))"
    code = f"import sys; sys.path += {path}; import agentkit_tools; print({loaded})"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_only_public_names_of_agentkit_are_used() -> None:
    folder = Path(agentkit_tools.__file__).parent
    imports = re.findall(
        r"^\s*(?:from|import) (agentkit\b\S*)", "\n".join(p.read_text() for p in folder.glob("*.py")), re.MULTILINE
    )
    assert set(imports) == {"agentkit"}


def test_the_exports_are_there() -> None:
    assert all(getattr(agentkit_tools, name) for name in agentkit_tools.__all__)
    assert set(agentkit_tools.__all__) <= set(dir(agentkit_tools))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        agentkit_tools.nothing  # noqa: B018
