"""Script files: a Python file with a `script`, or YAML; what `agentkit serve` is given."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agentkit.errors import UsageError
from agentkit.service.script import as_function

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from agentkit.service.script import Script


class ScriptError(UsageError):
    """A script file that can't be used; the message says where, what was found there and what is allowed."""

    def __init__(self, message: str, *, file: str, line: int | None = None) -> None:
        super().__init__(f"{file}{f':{line}' if line is not None else ''}: {message}")
        self.file = file
        self.line = line
        """Counted from 1."""


@dataclass(frozen=True, slots=True)
class LoadedScript:
    """A script, with what its file says about the server that it wants."""

    make: Callable[[], Script]
    """Returns the script, at its beginning."""
    models: tuple[str, ...] | None = None
    done: bool = False
    fault_rate: float = 0.0
    fault_seed: int = 0
    faults: tuple[str, ...] = ("transient",)


def load_script(path: str | Path) -> LoadedScript:
    """Load a script file: `.py`, `.yaml`, `.yml` or `.json`. Raises `ScriptError`.

    A Python file defines `script`, a function of the request or a list of replies, and may define `models`, a list.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "there is no such file"
        raise ScriptError(f"{what}. Give a script: a .yaml file, or a .py file that defines `script`.", file=str(path))
    if path.suffix == ".py":
        return _load_python(path)
    if path.suffix in (".yaml", ".yml", ".json"):
        from agentkit.service.yaml_script import load_yaml

        return load_yaml(path)
    raise ScriptError("unknown kind of file. A script is a .yaml, .yml, .json or .py file.", file=str(path))


def _load_python(path: Path) -> LoadedScript:
    module = _execute(path)
    script = getattr(module, "script", None)
    if script is None:
        raise ScriptError("defines no `script`: a function of the request, or a list of replies.", file=str(path))
    models = getattr(module, "models", None)
    if models is not None and (
        isinstance(models, str) or not (isinstance(models, list | tuple) and all(isinstance(m, str) for m in models))
    ):
        raise ScriptError(f"`models` is {models!r}; allowed is a list of model ids.", file=str(path))
    try:
        as_function(script)
    except UsageError as exc:
        raise ScriptError(f"`script`: {exc}", file=str(path)) from exc
    return LoadedScript(lambda: script, models=tuple(models) if models is not None else None)


def _execute(path: Path) -> ModuleType:
    name = f"agentkit_script_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise ScriptError("can't be read as Python.", file=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # its neighbours can be imported, as if Python ran it
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as exc:
        del sys.modules[name]
        raise ScriptError(
            f"can't be loaded: {type(exc).__name__}: {exc}", file=str(path), line=_line(exc, path)
        ) from exc
    return module


def _line(exc: BaseException, path: Path) -> int | None:
    if isinstance(exc, SyntaxError):
        return exc.lineno
    line, trace = None, exc.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename) == path.resolve():
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
