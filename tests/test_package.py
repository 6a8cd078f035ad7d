"""The package as a whole: what it exports, what it imports when, and which way its modules depend on each other."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import agentkit

PACKAGE = Path(agentkit.__file__).parent

# Each module may import those before it; the flow of a turn, top to bottom.
ORDER = [
    ["errors"],
    ["json"],
    ["items"],
    ["docstring", "canonical", "signature", "strict"],
    ["plain"],
    ["schema"],
    ["arguments"],
    ["structured", "tools"],
    ["response"],
    ["entries"],
    ["grouping"],
    ["saved", "view"],
    ["diff"],
    ["transcript"],
    ["settings", "limits"],
    ["profile"],
    ["request"],
    ["sse", "events"],
    ["fold"],
    ["output", "step", "status"],
    # everything above is pure: no clock, environment, sockets, threads, files
    ["closing", "retry", "gate", "budget", "prompt", "portal", "workers", "watchdog", "surroundings"],
    ["wire"],
    ["client"],
    ["meter", "plan"],
    ["execute"],
    ["run"],
    ["agent"],
    ["cassettes", "service", "testing", "cli"],
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
PURE = {name for names in ORDER[: ORDER.index(["output", "step", "status"]) + 1] for name in names}
IMPURE_IMPORTS = {"asyncio", "httpx", "threading", "time", "os", "socket", "subprocess", "random", "logging"}
READS_FILES = {"items"}  # Image.from_path and File.from_path, which are the caller's own doing


def module_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> list[tuple[str, bool]]:
    """Return the modules that a file imports, and whether each import runs when the file is imported."""
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, *, at_import: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend((name.name, at_import) for name in child.names)
            elif isinstance(child, ast.ImportFrom):
                module = child.module or ""
                names = [f"agentkit.{name.name}" for name in child.names] if module == "agentkit" else [module]
                found.extend((name, at_import) for name in names)
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            else:
                inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                visit(child, at_import=at_import and not inside)

    visit(ast.parse(path.read_text(encoding="utf-8")), at_import=True)
    return found


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or not path.name.startswith("__"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    own = module_of(path)
    for imported, at_import in imports_of(path):
        if not imported.startswith("agentkit.") or not at_import:
            continue
        other = imported.split(".")[1]
        if other in RANK and other != own:
            assert RANK[other] < RANK[own] or own in ("testing", "service", "cli"), f"{own} imports {other}"


@pytest.mark.parametrize("name", sorted(PURE))
def test_pure_modules_touch_nothing(name: str) -> None:
    outside = {module for module, _ in imports_of(PACKAGE / f"{name}.py")} & IMPURE_IMPORTS
    assert not outside, f"{name} imports {sorted(outside)}"
    if name not in READS_FILES:
        assert "open(" not in (PACKAGE / f"{name}.py").read_text(encoding="utf-8").replace("_open(", "")


def test_every_module_has_its_place() -> None:
    modules = {module_of(path) for path in FILES} - {"__init__", "__main__"}
    assert modules == RANK.keys()


def test_httpx_is_named_in_one_module_of_the_core() -> None:
    naming = {
        module_of(path)
        for path in FILES
        if module_of(path) not in ("testing", "service", "cli") and "httpx" in {m for m, _ in imports_of(path)}
    }
    assert naming == {"wire", "client"}


def test_exports_are_those_that_type_checkers_see() -> None:
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    seen = {alias.asname: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    homes = {name: f"agentkit.{home}" for name, home in agentkit._HOMES.items()}
    assert seen == homes
    assert agentkit.__all__ == sorted(homes)


def test_every_export_can_be_loaded_and_is_documented() -> None:
    for name in agentkit.__all__:
        value = getattr(agentkit, name)
        if isinstance(value, type):
            assert value.__doc__, name


def test_no_public_name_hides_a_submodule() -> None:
    assert not set(agentkit.__all__) & {path.stem for path in PACKAGE.iterdir()}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = agentkit.no_such_name


def run_python(code: str) -> str:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert not done.stderr
    return done.stdout.strip()


def test_importing_it_loads_nothing_and_starts_nothing() -> None:
    code = (
        "import sys, threading; before = set(sys.modules); import agentkit; "
        "print(sorted(set(sys.modules) - before - {'__future__'}), threading.active_count())"
    )
    assert run_python(code) == "['agentkit'] 1"


def test_what_is_optional_is_imported_on_use() -> None:
    code = (
        "import sys; from agentkit import Agent, Client, tool\n"
        "Client('http://localhost/v1')\n"
        "print([m for m in ('tenacity', 'jinja2', 'vcr', 'agentkit.service', 'agentkit.cli') if m in sys.modules])"
    )
    assert run_python(code) == "[]"
