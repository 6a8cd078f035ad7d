"""From `FILE[:agent]` to an agent, with the client and the deps that the file gives it.

A file says what it needs in plain names: `agent` (or any one Agent), `client` for the server, and `deps` for an
agent with `deps_type`. The last two may be functions without parameters; `deps` may be async.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.machinery
import importlib.util
import inspect
import os
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, cast

from agentkit.agent import Agent
from agentkit.client import Client
from agentkit.errors import UsageError

if TYPE_CHECKING:
    from types import ModuleType

MACHINERY: Final = (Path(__file__).resolve().parent.parent, Path(asyncio.__file__).resolve().parent)
"""Folders whose lines say nothing to who wrote an agent: agentkit's, and those of the event loop."""


class LoadError(UsageError):
    """A file that gives no agent to run; the message says what was found there and what to do."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """An agent, and the module that it came from."""

    agent: Agent[object]
    module: ModuleType
    target: str
    """What was asked for, as it was written."""

    def client(self) -> Client | None:
        """Return the file's `client`, or None where it names none."""
        given = getattr(self.module, "client", None)
        if given is None or isinstance(given, Client):
            return given
        if inspect.isroutine(given):
            given = _call_factory(given, "client", self.target)
        if given is not None and not isinstance(given, Client):
            hint = " Give its .client()." if callable(getattr(given, "client", None)) else ""
            raise LoadError(
                f"{self.target}: `client` is a {type(given).__name__}; "
                f"allowed are a Client, and a function that returns one.{hint}"
            )
        return given

    async def deps(self) -> object:
        """Return the file's `deps`, made anew where it is a function."""
        given = getattr(self.module, "deps", None)
        wanted = self.agent.deps_type
        if given is None and wanted is not None:
            name = getattr(wanted, "__name__", str(wanted))
            raise LoadError(
                f"{self.target}: the agent takes deps of type {name}, and the file gives none. "
                f"Define `deps = {name}(...)`, or `def deps() -> {name}: ...`, next to the agent."
            )
        if not (inspect.isroutine(given) or inspect.isclass(given)) or _is_a(given, wanted):
            return given
        made = _call_factory(given, "deps", self.target)
        if inspect.isawaitable(made):
            try:
                return await made
            except Exception as exc:
                raise _failed(exc, f"{self.target}: `deps()` raised:") from exc
        return made


def load_agent(target: str) -> Loaded:
    """Return the agent that `FILE`, `FILE:name`, `package.module` or `package.module:name` names.

    The file's folder (for a module: the working directory) comes first on the import path, as if Python ran it.
    Raises `LoadError`.
    """
    place, name = _split(target)
    module = _load_file(Path(place)) if _is_path(place) else _load_module(place)
    return Loaded(_pick(module, name, place), module, place)


def _split(target: str) -> tuple[str, str | None]:
    place, colon, name = target.rpartition(":")
    if colon and place and (not name or name.isidentifier()) and not Path(target).is_file():
        return place, name or None
    return target, None


def _is_path(place: str) -> bool:
    dotted = all(part.isidentifier() for part in place.split("."))
    return Path(place).exists() or not dotted or place.endswith(".py")


class _FreshLoader(importlib.machinery.SourceFileLoader):
    """Reads the source each time, as Python does for the file it is started with: no stale or new bytecode."""

    def path_stats(self, path: object) -> NoReturn:
        raise OSError(f"no bytecode for {path}")


def _load_file(path: Path) -> ModuleType:
    if path.is_dir():
        raise LoadError(f"{path} is a folder. Give a Python file, or a module as package.module.")
    if not path.is_file():
        raise LoadError(f"there is no file {str(path)!r} here. Give the path of a Python file.{_near(path)}")
    if path.suffix == ".ipynb":
        raise LoadError(f"{path} is a notebook. Give a Python file.")
    path = path.resolve()
    sys.path.insert(0, str(path.parent))
    # its own name, so that forward references and pickling find it; never one that would hide another module
    taken = path.stem in sys.modules or path.stem in sys.stdlib_module_names
    name = f"__{path.stem}__" if taken else path.stem
    spec = importlib.util.spec_from_file_location(name, path, loader=_FreshLoader(name, str(path)))
    module = importlib.util.module_from_spec(cast("importlib.machinery.ModuleSpec", spec))
    sys.modules[name] = module
    try:
        cast("importlib.machinery.ModuleSpec", spec).loader.exec_module(module)  # type: ignore[union-attr]
    except (Exception, SystemExit) as exc:
        del sys.modules[name]
        raise _failed(exc, f"{path.name} can't be loaded:") from exc
    return module


def _load_module(name: str) -> ModuleType:
    sys.path.insert(0, os.getcwd())  # noqa: PTH109  (a path entry is text)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name is not None and (name == exc.name or name.startswith(exc.name + ".")):
            raise LoadError(
                f"there is neither a file nor a module {name!r} here. Give the path of a Python file, or a module."
                f"{_near(Path(name))}"
            ) from exc
        raise _failed(exc, f"{name} can't be loaded:") from exc
    except (Exception, SystemExit) as exc:
        raise _failed(exc, f"{name} can't be loaded:") from exc


def _near(path: Path) -> str:
    with_suffix = path.with_name(path.name + ".py")
    return f" Did you mean {str(with_suffix)!r}?" if with_suffix.is_file() else ""


def _pick(module: ModuleType, name: str | None, place: str) -> Agent[object]:
    found: dict[str, Agent[object]] = {key: value for key, value in vars(module).items() if isinstance(value, Agent)}
    if name is not None:
        return _named(module, name, place, found)
    if "agent" in found:
        return found["agent"]
    if len({id(agent) for agent in found.values()}) == 1:
        return next(iter(found.values()))
    if found:
        example = next(iter(found))
        raise LoadError(f"{place} has {len(found)} agents: {', '.join(found)}. Name one: {place}:{example}")
    raise LoadError(f"{place} has no agent. Define one at the top level: agent = Agent(model=..., ...)")


def _named(module: ModuleType, name: str, place: str, found: dict[str, Agent[object]]) -> Agent[object]:
    if name in found:
        return found[name]
    if name in vars(module):
        value = f"`{name}` is a {type(vars(module)[name]).__name__}, not an Agent"
    else:
        value = f"there is no `{name}`"
    has = f"its agents are {', '.join(found)}" if found else "it has no agents"
    raise LoadError(f"{place}: {value}; {has}.")


def _call_factory(factory: object, what: str, target: str) -> object:
    try:
        return factory()  # type: ignore[operator]
    except Exception as exc:
        raise _failed(exc, f"{target}: `{what}()` raised:") from exc


def _is_a(value: object, wanted: type | None) -> bool:
    try:
        return wanted is not None and isinstance(value, wanted)
    except TypeError:  # a Protocol or a generic alias can't be checked at run time
        return False


def _failed(exc: BaseException, what: str) -> LoadError:
    hint = ""
    if isinstance(exc, SystemExit):
        hint = "\nThe file ends the process while it is loaded. Put that under `if __name__ == '__main__':`."
    elif isinstance(exc, ImportError) and "relative import" in str(exc):
        hint = "\nThe file is part of a package: give it as package.module, from the folder above the package."
    return LoadError(f"{what}\n{short_traceback(exc)}{hint}")


def short_traceback(exc: BaseException) -> str:
    """Return a traceback of the user's own lines, without those of agentkit, imports and the event loop."""
    summary = traceback.TracebackException.from_exception(exc)
    link: traceback.TracebackException | None = summary
    while link is not None:
        # as tuples they lose their columns: the rows of ^^^^ don't survive a narrow window
        kept = [(f.filename, f.lineno or 0, f.name, f.line) for f in link.stack if not _is_ours(f.filename)]
        link.stack = traceback.StackSummary.from_list(kept)
        link = link.__cause__ or link.__context__
    return "".join(summary.format()).rstrip("\n")


def place_of(exc: BaseException) -> str | None:
    """Return where in the user's code an exception arose, as `file.py:12 in name`."""
    frames = [frame for frame in traceback.extract_tb(exc.__traceback__) if not _is_ours(frame.filename)]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}" if frames else None


def _is_ours(filename: str) -> bool:
    return filename.startswith("<frozen ") or any(folder in Path(filename).parents for folder in MACHINERY)
