"""Instructions as a template, filled from the fields of a run's deps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agentkit.errors import UsageError

if TYPE_CHECKING:
    from os import PathLike

    import jinja2


class Prompt:
    """A jinja2 template for instructions: `Prompt("Today is {{ date }}.")`.

    Its variables are the fields of the run's deps: of a dataclass, a pydantic model, a mapping, or any object
    with attributes. A variable that isn't there is a `UsageError`. Templates run in jinja2's sandbox, and text
    that comes in through a variable is never itself taken for a template.
    """

    __slots__ = ("_template", "source")

    def __init__(self, source: str, *, name: str = "<prompt>") -> None:
        """Compile a template. Raises `UsageError` with the line for one that doesn't parse."""
        self.source = source
        self._template = _compile(source, name)

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

        try:
            return self._template.render(_fields(deps))
        except jinja2.UndefinedError as exc:
            have = ", ".join(sorted(_fields(deps))) or "none: the run has no deps"
            raise UsageError(f"prompt: {exc.message}. The fields of deps are {have}.") from exc
        except jinja2.exceptions.SecurityError as exc:
            raise UsageError(f"prompt: {exc.message}. Templates only read fields of deps.") from exc
        except jinja2.TemplateError as exc:
            raise UsageError(f"prompt: {exc.message}") from exc

    def __repr__(self) -> str:
        return f"Prompt({self.source[:60]!r}{'...' if len(self.source) > 60 else ''})"


def _compile(source: str, name: str) -> jinja2.Template:
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=False
    )
    try:
        return environment.from_string(source)
    except jinja2.TemplateSyntaxError as exc:
        raise UsageError(f"{name}, line {exc.lineno}: {exc.message}. See jinja2's template documentation.") from exc


def _fields(deps: object) -> dict[str, object]:
    if deps is None:
        return {}
    if isinstance(deps, Mapping):
        return {str(name): value for name, value in deps.items()}
    if dataclasses.is_dataclass(deps) and not isinstance(deps, type):
        return {field.name: getattr(deps, field.name) for field in dataclasses.fields(deps)}
    names = getattr(type(deps), "model_fields", None) or getattr(deps, "__dict__", None) or ()
    return {name: getattr(deps, name) for name in names if not name.startswith("_")}
