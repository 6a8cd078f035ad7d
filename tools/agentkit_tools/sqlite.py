"""Reading a SQLite database, for `sql.py`; runs in a process of its own, see `isolated.py`.

What a statement may do is decided by SQLite as it compiles it, not by a look at the text: the file is opened
read-only, the authorizer allows reading, functions and recursion, and nothing else. A progress handler stops what
takes too long, limits stop what grows too large, and the process is killed where none of these is asked.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

VALUE_BYTES: Final = 4_000_000
"""The longest text, blob or row that SQLite makes or loads."""
SHOWN_CHARS: Final = 1_000
"""Characters of a text that are shown."""
SHOWN_BYTES: Final = 16
"""Bytes of a blob that are shown."""
COUNTED: Final = 100_000
"""How far the rows of a table are counted."""
MAX_TABLES: Final = 100
_STEPS = 1_000  # between two looks at the clock: some 50 microseconds

_READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
# Off in SQLite's defaults, and not to be relied on: extensions load code, tokenizers take pointers, the others are
# what the command-line shell adds.
_REFUSED_FUNCTIONS = {"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit", "fsdir", "lsmode"}
# fts5 asks this of its own tables
_ALLOWED_PRAGMAS = {("data_version", None)}
_SCHEMA_PRAGMAS = frozenset({"table_list", "table_xinfo", "foreign_key_list"})

_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: VALUE_BYTES,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 500,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 100,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 100_000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_WRITING = [
    "INSERT",
    "UPDATE",
    "DELETE",
    "ATTACH",
    "DETACH",
    "PRAGMA",
    "TRANSACTION",
    "SAVEPOINT",
    "REINDEX",
    "ANALYZE",
]
_ACTIONS = {getattr(sqlite3, f"SQLITE_{name}"): name for name in _WRITING}


class _Reader:
    """One connection, one question."""

    def __init__(self, uri: str, seconds: float) -> None:
        self._uri = uri
        self._seconds = seconds
        self._ends_at = time.monotonic() + seconds
        self._refused = ""
        self._pragmas: frozenset[str] = frozenset()

    @contextlib.contextmanager
    def connected(self, pragmas: frozenset[str]) -> Iterator[sqlite3.Connection]:
        """Open the database, with all the locks on it."""
        self._pragmas = pragmas
        connection = sqlite3.connect(self._uri, uri=True, isolation_level=None, timeout=1.0)
        with contextlib.closing(connection):
            connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            for limit, value in _LIMITS.items():
                connection.setlimit(limit, value)
            connection.text_factory = lambda text: text.decode("utf-8", "replace")
            connection.set_progress_handler(self._has_expired, _STEPS)
            self._connect_virtual_tables(connection)
            connection.set_authorizer(self._authorize)
            yield connection

    def _connect_virtual_tables(self, connection: sqlite3.Connection) -> None:
        """Let the virtual tables declare themselves, which SQLite reports as changes of the schema, before it is
        asked what is allowed: those of the file (fts5, rtree), and of SQLite's own, `json_each` and `json_tree`."""
        virtual = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%'"
        sources = [_quoted(name) for (name,) in connection.execute(virtual)]
        for source in ["json_each('[]')", "json_tree('[]')", *sources]:
            with contextlib.suppress(sqlite3.Error):  # a module that is not there; told when the table is read
                connection.execute(f"SELECT 1 FROM {source} LIMIT 0").close()  # noqa: S608

    def reason(self, exc: Exception) -> str:
        """Return what went wrong, in words for the model."""
        if self._refused:
            return (
                f"{self._refused} is not allowed: the database is read-only. "
                "One SELECT, or WITH ... SELECT, is run at a time"
            )
        if isinstance(exc, sqlite3.OperationalError) and str(exc) == "interrupted":
            return (
                f"the statement was stopped after {self._seconds:g} s. "
                "Read less: fewer joins, a WHERE, a LIMIT inside of a recursive query"
            )
        if isinstance(exc, sqlite3.Warning | sqlite3.ProgrammingError) and "one statement" in str(exc):
            return "there is more than one statement. Run one SELECT at a time"
        if "too big" in str(exc):
            return f"a value or a row is larger than {VALUE_BYTES:,} bytes. Read a part of it: substr(column, 1, 1000)"
        if str(exc) in ("disk I/O error", "database or disk is full"):  # among others where RLIMIT_FSIZE ends a sort
            return f"{exc}; it may have needed too much room to sort. Read less, or sort less"
        return str(exc)

    def _has_expired(self) -> int:
        return int(time.monotonic() > self._ends_at)

    def _authorize(self, action: int, first: str | None, second: str | None, *_: str | None) -> int:
        if action in _READING:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in _REFUSED_FUNCTIONS:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_PRAGMA and ((first, second) in _ALLOWED_PRAGMAS or first in self._pragmas):
            return sqlite3.SQLITE_OK
        self._refused = self._refused or _refusal(action, first, second)
        return sqlite3.SQLITE_DENY


def _refusal(action: int, first: str | None, second: str | None) -> str:
    if action == sqlite3.SQLITE_FUNCTION:
        return f"the function {second}()"
    if first in ("sqlite_master", "sqlite_temp_master"):
        return "changing the schema, or a table that SQLite makes up, such as dbstat or a PRAGMA's (see sql_schema),"
    return _ACTIONS.get(action, "changing the database")


def answer(message: dict[str, Any]) -> dict[str, Any]:
    """Return the schema or the rows that a message asks for; `{"error": ...}` says why there are none."""
    reader = _Reader(message["uri"], message["seconds"])
    try:
        if "sql" in message:
            with reader.connected(frozenset()) as connection:
                return _rows(connection, message)
        with reader.connected(_SCHEMA_PRAGMAS) as connection:
            return _schema(connection, message["table"])
    except (sqlite3.Error, sqlite3.Warning, OverflowError, ValueError) as exc:
        return {"error": reader.reason(exc)}


def _rows(connection: sqlite3.Connection, message: dict[str, Any]) -> dict[str, Any]:
    cursor = connection.execute(message["sql"], message["parameters"])
    if cursor.description is None:
        return {"error": "there is no statement. Run one SELECT"}
    columns = [column[0] for column in cursor.description]
    rows: list[list[object]] = []
    room = message["max_chars"] - len(json.dumps(columns))
    for row in cursor:
        if len(rows) == message["max_rows"]:
            return {"columns": columns, "rows": rows, "cut": "rows"}
        shown = [_shown(value) for value in row]
        room -= len(json.dumps(shown, ensure_ascii=False))
        if room < 0:
            return {"columns": columns, "rows": rows, "cut": "size"}
        rows.append(shown)
    return {"columns": columns, "rows": rows}


def _shown(value: object) -> object:
    """Return a value as JSON has it; what is long is cut, and says so."""
    if isinstance(value, bytes):
        more = "…" if len(value) > SHOWN_BYTES else ""
        return f"x'{value[:SHOWN_BYTES].hex()}{more}' (blob, {len(value):,} bytes)"
    if isinstance(value, str) and len(value) > SHOWN_CHARS:
        return f"{value[:SHOWN_CHARS]}… [cut: {len(value):,} characters, see substr()]"
    return value


# --- schema ------------------------------------------------------------------------------------------------


def _schema(connection: sqlite3.Connection, wanted: str | None) -> dict[str, Any]:
    found = connection.execute(
        "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') "
        "AND substr(name, 1, 7) <> 'sqlite_' ORDER BY name"
    ).fetchall()
    own = _own_tables(connection)
    found = [(name, kind) for name, kind in found if name not in own]
    names = [name for name, _ in found]
    chosen = [(name, kind) for name, kind in found if wanted is None or name.lower() == wanted.lower()]
    tables = [_table(connection, name, kind) for name, kind in chosen[:MAX_TABLES]]
    return {"names": names, "tables": tables, "left_out": [name for name, _ in chosen[MAX_TABLES:]]}


def _own_tables(connection: sqlite3.Connection) -> set[str]:
    """Return the tables in which virtual tables keep their data; none before SQLite 3.37."""
    # schema, name, type, ncol, wr, strict
    return {row[1] for row in connection.execute("PRAGMA table_list") if row[2] == "shadow"}


def _table(connection: sqlite3.Connection, name: str, kind: str) -> dict[str, Any]:
    try:
        columns = connection.execute(f"PRAGMA table_xinfo({_quoted(name)})").fetchall()
        keys = connection.execute(f"PRAGMA foreign_key_list({_quoted(name)})").fetchall()
        return {
            "name": name,
            "kind": kind,
            # cid, name, type, notnull, default, pk, hidden: 1 is a virtual table's own, 2 and 3 are generated
            "columns": [[c[1], c[2], c[3], c[5], c[6]] for c in columns if c[6] != 1],
            "keys": [[key[3], key[2], key[4]] for key in keys],
            "rows": _count(connection, name) if kind == "table" else None,
        }
    except sqlite3.Error as exc:
        if str(exc) == "interrupted":
            raise
        return {"name": name, "kind": kind, "error": str(exc)}


def _count(connection: sqlite3.Connection, name: str) -> int:
    counted = connection.execute(f"SELECT count(*) FROM (SELECT 1 FROM {_quoted(name)} LIMIT {COUNTED})")  # noqa: S608
    return int(counted.fetchone()[0])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
