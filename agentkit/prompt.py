"""Instructions as a template, filled from the fields of a run's deps."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agentkit.errors import UsageError
from agentkit.tape import sources

if TYPE_CHECKING:
    from os import PathLike

    import jinja2


class Prompt:
    """A jinja2 template for instructions: `Prompt("Today is {{ date }}.")`.

    Its variables are the fields of the run's deps: of a dataclass, a pydantic model, a mapping, or any object
    with attributes. Where deps have no field of that name, `now` is the moment (under a cassette the recorded one):
    `{{ now.strftime("%d %B %Y") }}`. A variable that isn't there is a `UsageError`. Templates run in jinja2's
    sandbox, and text that comes in through a variable is never itself taken for a template.
    """

    __slots__ = ("_names", "_template", "source")

    def __init__(self, source: str, *, name: str = "<prompt>") -> None:
        """Compile a template. Raises `UsageError` with the line for one that doesn't parse."""
        if not isinstance(source, str):
            raise UsageError(
                f"a Prompt of {type(source).__name__}; give the template's text, or Prompt.from_file(path)."
            )
        self.source = source
        self._template, self._names = _compile(source, name)

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> Prompt:
        """Compile the template in a file (UTF-8)."""
        try:
            source = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise UsageError(f"can't read the prompt {str(path)!r}: {exc}. Give a UTF-8 text file.") from exc
        return cls(source, name=str(path))

    def render(self, deps: object = None) -> str:
        """Return the text for these deps. Raises `UsageError` for a variable that they don't have."""
        import jinja2

        variables = {name: value for name in self._names if (value := _look_up(deps, name)) is not _ABSENT}
        if "now" in self._names and "now" not in variables:
            variables["now"] = sources().now()
        try:
            return self._template.render(variables)
        except jinja2.UndefinedError as exc:
            have = ", ".join(_field_names(deps)) or "none: the run has no deps"
            raise UsageError(f"prompt: {exc.message}. The fields of deps are {have}.") from exc
        except jinja2.exceptions.SecurityError as exc:
            raise UsageError(f"prompt: {exc.message}. Templates only read fields of deps.") from exc
        except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError) as exc:
            raise UsageError(f"prompt: {exc}. See the template {self!r}.") from exc

    def __repr__(self) -> str:
        return f"Prompt({self.source[:60]!r}{'...' if len(self.source) > 60 else ''})"


_ABSENT = object()


def _compile(source: str, name: str) -> tuple[jinja2.Template, frozenset[str]]:
    """Return the template, and the names that it takes from outside."""
    import jinja2
    import jinja2.meta
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=False
    )
    try:
        names = jinja2.meta.find_undeclared_variables(environment.parse(source))
        return environment.from_string(source), frozenset(names)
    except jinja2.TemplateSyntaxError as exc:
        raise UsageError(f"{name}, line {exc.lineno}: {exc.message}. See jinja2's template documentation.") from exc


def _look_up(deps: object, name: str) -> object:
    """Return a field of deps; asked by name, so that properties and `__slots__` are found as well."""
    if isinstance(deps, Mapping):
        return deps.get(name, _ABSENT)
    if deps is None or name.startswith("_"):
        return _ABSENT
    value = getattr(deps, name, _ABSENT)
    return _ABSENT if inspect.isroutine(value) else value  # a method's repr is never what the model should read


def _field_names(deps: object) -> list[str]:
    """Return what a template could name, for the error message."""
    if deps is None:
        return []
    if isinstance(deps, Mapping):
        return sorted(map(str, deps))
    members = (member for cls in type(deps).__mro__ for member in vars(cls).items())
    properties = (name for name, value in members if inspect.isdatadescriptor(value))
    return sorted({name for name in (*getattr(deps, "__dict__", ()), *properties) if not name.startswith("_")})
