"""Database: what a model sees of one, and everything that a statement could do but shall not."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from agentkit_tools import Database

from agentkit import Agent, ToolError, UsageError

TABLES = """
CREATE TABLE country (code TEXT PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE city (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, country TEXT REFERENCES country(code), people INT,
    flag BLOB, size TEXT GENERATED ALWAYS AS (CASE WHEN people > 500000 THEN 'large' ELSE 'small' END)
);
CREATE VIEW large AS SELECT name FROM city WHERE people > 500000;
INSERT INTO country VALUES ('NO', 'Norway');
INSERT INTO city (name, country, people, flag)
VALUES ('Oslo', 'NO', 709037, x'89504e47'), ('Bergen', 'NO', 289330, NULL);
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "cities.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(TABLES)
    return path


@pytest.fixture
def database(path: Path) -> Database:
    return Database(path, timeout_s=1)


def refused(function: Callable[..., object], *args: object) -> str:
    with pytest.raises(ToolError) as caught:
        function(*args)
    return str(caught.value)


def test_the_schema_is_told_with_keys_and_sizes(database: Database) -> None:
    assert database.schema() == (
        "table city (2 rows)\n"
        "  id INTEGER, primary key\n"
        "  name TEXT, not null\n"
        "  country TEXT, references country(code)\n"
        "  people INT\n"
        "  flag BLOB\n"
        "  size TEXT, generated\n"
        "table country (1 row)\n"
        "  code TEXT, primary key\n"
        "  name TEXT, not null\n"
        "view large\n"
        "  name TEXT"
    )
    assert database.schema("LARGE") == "view large\n  name TEXT"
    assert refused(database.schema, "citys") == "there is no table 'citys'. Close or first names: 'city'"


def test_rows_come_with_their_columns(database: Database) -> None:
    assert database.query("SELECT name, people, flag FROM city WHERE country = ? ORDER BY id", ["NO"]) == {
        "columns": ["name", "people", "flag"],
        "rows": [["Oslo", 709037, "x'89504e47' (blob, 4 bytes)"], ["Bergen", 289330, None]],
    }
    assert database.query("SELECT 1 AS a, 2 AS a WHERE 0") == {"columns": ["a", "a"], "rows": []}


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("SELECT 1.5", 1.5),
        ("SELECT 9e999", float("inf")),
        ("SELECT 9223372036854775807", 2**63 - 1),
        ("SELECT cast(x'636166ff' AS TEXT)", "caf�"),
        ("SELECT zeroblob(100)", f"x'{'00' * 16}…' (blob, 100 bytes)"),
        ("SELECT printf('%.2000c', 'a')", "a" * 1000 + "… [cut: 2,000 characters, see substr()]"),
        ("SELECT value FROM json_each('[7]')", 7),
        ("SELECT json_extract('{\"a\": [1]}', '$.a[0]')", 1),
        ("VALUES ('x')", "x"),
        ("WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 10) SELECT max(i) FROM n", 10),
        ("SELECT name FROM city -- ; DROP TABLE city", "Oslo"),
        ("SELECT '; DROP TABLE city'", "; DROP TABLE city"),
        ("SELECT sum(people) OVER (ORDER BY id) FROM city", 709037),
        ("SELECT name FROM sqlite_schema", "country"),
        ("EXPLAIN QUERY PLAN SELECT * FROM city", 2),
    ],
)
def test_what_reads_is_allowed(database: Database, sql: str, value: object) -> None:
    assert database.query(sql)["rows"][0][0] == value


@pytest.mark.parametrize(
    ("parameter", "found"),
    [
        (b"x", "bytes"),
        (2**70, "an integer of 72 bits"),
        ({}, "dict"),
        ("\ud800", "a text with surrogates, which are no characters"),
    ],
)
def test_a_parameter_that_is_no_value_is_told(database: Database, parameter: object, found: str) -> None:
    assert refused(database.query, "SELECT ?, ?", [1, parameter]) == (
        f"parameter 2 is {found}; allowed are texts, integers of 64 bits, floats and null"
    )
    assert refused(database.query, "SELECT ?", {"a": 1}) == (
        "parameters is a dict; it is a list with a value for each ?"
    )


def test_a_parameter_of_each_kind_arrives(database: Database) -> None:
    given = ["ü", -(2**63), 2**63 - 1, 1.5, None]
    assert database.query("SELECT ?, ?, ?, ?, ?", given)["rows"] == [given]


def test_explain_runs_nothing(database: Database) -> None:
    endless = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    assert database.query(f"EXPLAIN {endless}")["columns"][:2] == ["addr", "opcode"]


def test_results_are_capped_with_a_note(path: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT i, printf('%.900c', 'a') FROM n"
    note = "Count, sum or filter in SQL, name the columns, or go on with LIMIT and OFFSET"
    rows = Database(path, max_rows=3).query(endless)
    assert [row[0] for row in rows["rows"]] == [1, 2, 3]
    assert rows["note"] == f"only the first 3 rows; there are more. {note}"
    by_size = Database(path, max_chars=5_000).query(endless)
    assert len(by_size["rows"]) == 5
    assert len(str(by_size)) < 5_500
    assert "note" not in Database(path, max_rows=2).query("SELECT * FROM city")


# --- what it shall not do ----------------------------------------------------------------------------------

READ_ONLY = "is not allowed: the database is read-only. One SELECT, or WITH ... SELECT, is run at a time"
MADE_UP = "changing the schema, or a table that SQLite makes up, such as dbstat or a PRAGMA's (see sql_schema),"
WRITES = [
    "INSERT INTO city (name) VALUES ('x')",
    "INSERT INTO city (name) VALUES ('x') RETURNING id",
    "REPLACE INTO country VALUES ('NO', 'x')",
    "UPDATE city SET name = 'x'",
    "WITH x AS (SELECT 1) DELETE FROM city",
    "DROP TABLE city",
    "ALTER TABLE city ADD COLUMN x",
    "CREATE TABLE x (y)",
    "CREATE TEMP TABLE x (y)",
    "CREATE VIEW x AS SELECT 1",
    "CREATE TRIGGER x AFTER INSERT ON city BEGIN SELECT 1; END",
    "CREATE INDEX x ON city (name)",
    "CREATE VIRTUAL TABLE x USING fts5(y)",
    "CREATE VIRTUAL TABLE temp.x USING fts5(y)",
    "ATTACH ':memory:' AS x",
    "ATTACH '/tmp/agentkit-attack.db' AS x",
    "DETACH main",
    "PRAGMA query_only = OFF",
    "PRAGMA writable_schema = ON",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA temp_store_directory = '/tmp'",
    "PRAGMA table_info(city)",
    "SELECT * FROM pragma_table_info('city')",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM dbstat",
    "EXPLAIN DELETE FROM city",
    "SELECT load_extension('/tmp/x.so')",
    "SELECT load_extension('/tmp/x.so', 'main') FROM city",
    "SELECT LOAD_EXTENSION('/tmp/x.so')",
    "SELECT fts3_tokenizer('simple')",
    "BEGIN",
    "BEGIN EXCLUSIVE",
    "SAVEPOINT x",
    "VACUUM",
    "VACUUM INTO '/tmp/agentkit-attack.db'",
    "REINDEX",
    "ANALYZE",
    "UPDATE sqlite_master SET sql = ''",
    "DELETE FROM sqlite_schema",
]


@pytest.mark.parametrize("sql", WRITES)
def test_what_does_more_than_read_is_refused(path: Path, database: Database, sql: str) -> None:
    before = path.read_bytes()
    text = refused(database.query, sql)
    assert text.endswith(READ_ONLY) or "may not be modified" in text
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == ["cities.db"]
    assert not Path("/tmp/agentkit-attack.db").exists()


@pytest.mark.parametrize("sql", ["SELECT 1; SELECT 2", "SELECT 1; DROP TABLE city", "SELECT 1;;DELETE FROM city;"])
def test_a_second_statement_is_refused(path: Path, database: Database, sql: str) -> None:
    before = path.read_bytes()
    assert refused(database.query, sql) == "there is more than one statement. Run one SELECT at a time"
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", 'near "SELEC": syntax error'),
        ("SELECT nme FROM city", "no such column: nme"),
        ("SELECT * FROM citys", "no such table: citys"),
        ("", "there is no statement. Run one SELECT"),
        ("-- nothing", "there is no statement. Run one SELECT"),
        ("SELECT readfile('/etc/passwd')", "no such function: readfile"),
        ("SELECT '" + "x" * 200_000 + "'", "query string is too large"),
        ("SELECT 1\0; DROP TABLE city", "the query contains a null character"),
    ],
)
def test_mistakes_are_told_as_sqlite_tells_them(database: Database, sql: str, said: str) -> None:
    assert said in refused(database.query, sql)


HEX = "hex(zeroblob(900000))"  # 1.8 MB of text
COUNT = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) "
BOMBS = [
    COUNT + "SELECT count(*) FROM n",
    COUNT + "SELECT i FROM n ORDER BY i",
    COUNT + "SELECT a.i FROM n a, n b WHERE a.i < 0",
    COUNT + "SELECT count(DISTINCT randomblob(1000000)) FROM n",
    COUNT + "SELECT randomblob(1000000) AS r FROM n ORDER BY r",
    COUNT + f"SELECT group_concat({HEX}) FROM n",
    COUNT + "SELECT json_group_array(i) FROM n",
    COUNT + "SELECT i FROM n WHERE i < 0",
    "WITH RECURSIVE s(t) AS (VALUES ('x') UNION ALL SELECT t || t FROM s) SELECT max(length(t)) FROM s",
    "SELECT zeroblob(1000000000)",
    "SELECT zeroblob(9223372036854775807)",
    "SELECT length(randomblob(1000000000))",
    "SELECT printf('%.*c', 1000000000, 'x')",
    "SELECT length(printf('%.1000000000c', 'x'))",
    f"SELECT length(replace({HEX}, '0', {HEX}))",
    f"SELECT instr({HEX}, hex(zeroblob(400000)) || '1')",  # minutes within one step: no handler is asked
    f"SELECT trim({HEX}, {HEX} || '1')",
    f"SELECT {HEX} LIKE '{'%0' * 400}1'",
    f"SELECT {HEX} GLOB '{'*0' * 400}1'",
    "SELECT " + ", ".join([HEX.replace("900000", "1900000")] * 400),
    "SELECT " + "(" * 5_000 + "1" + ")" * 5_000,
    "SELECT " + "-" * 1 + " + ".join("1" * 1 for _ in range(30_000)),
    "SELECT 1 " + "UNION ALL SELECT 1 " * 5_000,
    "SELECT " + ",".join("1" * 1 for _ in range(5_000)),
    "SELECT * FROM " + ", ".join(f"city c{number}" for number in range(60)) + " WHERE 0",
    "SELECT count(*) FROM " + ", ".join(f"city c{number}" for number in range(60)),
]


@pytest.mark.parametrize("sql", BOMBS, ids=range(len(BOMBS)))
def test_what_never_ends_or_takes_all_memory_is_stopped(path: Path, sql: str) -> None:
    began = time.monotonic()
    try:
        rows = Database(path, timeout_s=0.4).query(sql)
        assert len(str(rows)) < 50_000  # quick after all, and small
    except ToolError as exc:
        assert str(exc)  # noqa: PT017
    assert time.monotonic() - began < 4


def test_why_it_was_stopped_is_told(path: Path) -> None:
    database = Database(path, timeout_s=0.3)
    assert refused(database.query, BOMBS[0]) == (
        "the statement was stopped after 0.3 s. Read less: fewer joins, a WHERE, a LIMIT inside of a recursive query"
    )
    assert "a value or a row is larger than 4,000,000 bytes" in refused(database.query, BOMBS[9])
    assert refused(database.query, f"SELECT instr({HEX}, hex(zeroblob(400000)) || '1')") == (
        "the statement took more than 0.3 s and was stopped. Read less, or in smaller parts"
    )
    assert "memory" in refused(Database(path, timeout_s=5).query, BOMBS[19])


def test_a_view_of_the_file_can_not_do_more(path: Path) -> None:
    """The schema comes from somebody else, and is run by whoever reads it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE VIEW evil AS SELECT load_extension('/tmp/x.so') AS x;"
            "CREATE VIEW endless AS WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) "
            "SELECT count(*) AS c FROM n;"
        )
    database = Database(path, timeout_s=0.5)
    assert refused(database.query, "SELECT * FROM evil") == "unsafe use of load_extension()"
    assert "was stopped" in refused(database.query, "SELECT * FROM endless")
    assert "view endless\n  c" in database.schema()


def test_full_text_search_works_and_its_own_tables_are_not_listed(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE VIRTUAL TABLE page USING fts5(body); INSERT INTO page VALUES ('hello world')")
    database = Database(path)
    assert database.query("SELECT body FROM page WHERE page MATCH 'world'")["rows"] == [["hello world"]]
    assert database.query("SELECT highlight(page, 0, '<', '>') FROM page('hello')")["rows"] == [["<hello> world"]]
    assert database.schema("page") == "table page (1 row)\n  body"
    assert "page_" not in database.schema()


@pytest.mark.parametrize("name", ["a?mode=rwc.db", "a#b.db", "100%.db", "%2e.db", "a b'\".db", "ü.db", "file:x.db"])
def test_any_name_of_a_file_is_that_file(tmp_path: Path, path: Path, name: str) -> None:
    path.rename(tmp_path / name)
    database = Database(tmp_path / name)
    assert database.query("SELECT count(*) FROM city")["rows"] == [[2]]
    assert refused(database.query, "DELETE FROM city").endswith(READ_ONLY)
    assert [item.name for item in tmp_path.iterdir()] == [name]


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.db", tmp_path, Path(":memory:")):
        with pytest.raises(UsageError, match="is no file"):
            Database(path)
    (tmp_path / "text.db").write_text("hello " * 1000)
    assert refused(Database(tmp_path / "text.db").query, "SELECT 1 FROM x") == "file is not a database"
    (tmp_path / "empty.db").touch()
    assert refused(Database(tmp_path / "empty.db").schema) == "the database has no tables"


def test_rows_written_meanwhile_are_seen(path: Path, database: Database) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("INSERT INTO city (name) VALUES ('Voss')")
        connection.commit()
        assert database.query("SELECT count(*) FROM city")["rows"] == [[3]]


def test_many_threads_share_one_object(database: Database) -> None:
    answers: list[object] = []
    threads = [
        threading.Thread(target=lambda: answers.append(database.query("SELECT count(*) FROM city")["rows"]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [[[2]]] * 8


@pytest.mark.cassette(tools="live")
def test_an_agent_uses_it(database: Database) -> None:
    result = Agent(model="gpt-oss-120b", tools=database.tools).run_sync("Large cities?")
    assert [made.output for made in result.tool_calls] == [
        "table country (1 row)\n  code TEXT, primary key\n  name TEXT, not null",
        '{"columns":["name"],"rows":[["Oslo"]]}',
        f"{MADE_UP} {READ_ONLY}",
    ]
    assert all(item.strict and item.effect == "pure" for item in database.tools)
