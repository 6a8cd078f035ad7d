"""Tools that read a SQLite database: its schema, and one SELECT at a time.

What a statement may do is decided in `sqlite.py`, in a process of its own that can be ended, `isolated.py`.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NotRequired, TypedDict

from agentkit import Tool, ToolError, Toolset, UsageError, tool
from agentkit_tools.isolated import Ended, Isolated
from agentkit_tools.sqlite import COUNTED

if TYPE_CHECKING:
    from collections.abc import Sequence

GRACE_S: Final = 1.0
"""What the process gets above the time of a statement, to start and to say that it was stopped."""

Value = str | int | float | None
"""What a `?` stands for."""


class Rows(TypedDict):
    """The result of a query."""

    columns: list[str]
    """The names of the columns, in order."""
    rows: list[list[object]]
    """The rows: numbers, texts and null; a blob as ``x'89504e47…' (blob, 1,234 bytes)``."""
    note: NotRequired[str]
    """What is missing, where something is."""


class Database:
    """A SQLite database to read: `schema` and `query`, by hand or as the `tools` of an agent.

    Nothing is ever written, no other file is opened, and a statement ends after `timeout_s` seconds. A result has
    at most `max_rows` rows and `max_chars` characters. Each call opens the file anew, in a process of its own,
    so that it may be used from many threads, and nothing is held in between.

    Raises:
        UsageError: `path` is no file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_rows: int = 200,
        max_chars: int = 40_000,
        timeout_s: float = 5.0,
    ) -> None:
        self._path = Path(path).resolve()
        if not self._path.is_file():
            raise UsageError(
                f"the database {os.fspath(path)!r} is no file. Give the path of a SQLite file that exists."
            )
        self._max_rows = max_rows
        self._max_chars = max_chars
        self._timeout_s = timeout_s

    @property
    def tools(self) -> Toolset:
        """The two tools, named `sql_schema` and `sql_query`, for `Agent(tools=...)`."""
        timeout_s = self._timeout_s + GRACE_S * 5
        offered: list[Tool[..., object]] = [
            tool(self.schema, name="sql_schema", timeout_s=timeout_s, effect="pure"),
            tool(self.query, name="sql_query", timeout_s=timeout_s, effect="pure"),
        ]
        return Toolset(offered)

    def schema(self, table: str | None = None) -> str:
        """Describe the tables and views of the SQLite database: columns, keys, number of rows.

        Args:
            table: Only this table or view.
        """
        found = self._ask({"table": table})
        if not found["tables"]:
            raise ToolError(_no_table(table, found["names"])) if table else ToolError("the database has no tables")
        texts = [_table_text(item) for item in found["tables"]]
        if found["left_out"]:
            texts.append(f"[not described: {', '.join(found['left_out'])[:2000]}; ask for one of them]")
        return "\n".join(texts)

    def query(self, sql: str, parameters: list[Value] | None = None) -> Rows:
        """Run one SELECT (or WITH ... SELECT) on the SQLite database, which is read-only.

        Args:
            sql: The statement; SQLite's dialect.
            parameters: Values for the "?" in it, in order.
        """
        asked = {"max_rows": self._max_rows, "max_chars": self._max_chars}
        found = self._ask({"sql": sql, "parameters": _checked(parameters or []), **asked})
        result: Rows = {"columns": found["columns"], "rows": found["rows"]}
        if "cut" in found:
            result["note"] = (
                f"only the first {len(result['rows'])} rows; there are more. Count, sum or filter in SQL, "
                "name the columns, or go on with LIMIT and OFFSET"
            )
        return result

    def _ask(self, message: dict[str, object]) -> dict[str, Any]:
        shared = {"uri": f"{self._path.as_uri()}?mode=ro", "seconds": self._timeout_s}
        try:
            with Isolated("sqlite", seconds=self._timeout_s + GRACE_S) as process:
                found = process.ask({**shared, **message})
        except Ended as exc:
            what = f"took more than {self._timeout_s:g} s" if exc.reason == "time" else "took too much memory"
            raise ToolError(f"the statement {what} and was stopped. Read less, or in smaller parts") from exc
        if "error" in found:
            raise ToolError(str(found["error"]))
        return found


def _checked(parameters: Sequence[object]) -> Sequence[object]:
    """Refuse what the process could not be sent, or SQLite could not store; `query` by hand takes anything."""
    if not isinstance(parameters, list | tuple):
        raise ToolError(f"parameters is a {type(parameters).__name__}; it is a list with a value for each ?")
    for number, value in enumerate(parameters, 1):
        if found := _unsupported(value):
            raise ToolError(f"parameter {number} is {found}; allowed are texts, integers of 64 bits, floats and null")
    return parameters


def _unsupported(value: object) -> str:
    match value:
        case str():
            surrogate = any("\ud800" <= char <= "\udfff" for char in value)
            return "a text with surrogates, which are no characters" if surrogate else ""
        case int():
            return "" if -(2**63) <= value < 2**63 else f"an integer of {value.bit_length() + 1} bits"
        case float() | None:
            return ""
        case _:
            return type(value).__name__


def _no_table(table: str, names: list[str]) -> str:
    near = difflib.get_close_matches(table, names) or names[:20]
    return f"there is no table {table!r}. Close or first names: {', '.join(map(repr, near)) or 'none'}"


def _table_text(found: dict[str, Any]) -> str:
    if "error" in found:
        return f"{found['kind']} {found['name']}: can't be read: {found['error']}"
    rows = found["rows"]
    more = " or more" if rows is not None and rows >= COUNTED else ""
    size = "" if rows is None else f" ({rows:,}{more} {'row' if rows == 1 else 'rows'})"
    references = {source: f"{table}({target})" if target else table for source, table, target in found["keys"]}
    lines = [_column_text(column, references.get(column[0])) for column in found["columns"]]
    return "\n".join([f"{found['kind']} {found['name']}{size}", *(f"  {line}" for line in lines)])


def _column_text(column: list[Any], reference: str | None) -> str:
    name, kind, not_null, key, hidden = column
    parts = [" ".join(part for part in (name, kind) if part)]
    parts += ["primary key"] if key else []
    parts += ["not null"] if not_null and not key else []
    parts += ["generated"] if hidden in (2, 3) else []
    parts += [f"references {reference}"] if reference else []
    return ", ".join(parts)
