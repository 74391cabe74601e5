"""seal.document of what is no history: tables, views, rows of a query, values of composite types; and of leaves."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from support.database import Database
from support.examples import EXAMPLES
from support.rendering import TYPES, TypedTable, apply

ABROAD = {
    "TimeZone": "America/St_Johns",
    "DateStyle": "Postgres, DMY",
    "IntervalStyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "search_path": "decoy, public",
}

# Query of one record → its document.
RECORDS = {
    "SELECT seal.document(ROW(1, 'x', NULL, 1.10, true))": '{"f1": 1, "f2": "x", "f4": 1.10, "f5": true}',
    "SELECT seal.document(ROW())": "{}",
    "SELECT seal.document(ROW(NULL))": "{}",
    "SELECT seal.document(ROW('null'::jsonb))": '{"f1": null}',
    "SELECT seal.document(ROW(ROW(1, NULL), ARRAY[1.0, NULL]))": '{"f1": "(1,)", "f2": "{1.0,NULL}"}',
    "SELECT seal.document(ROW('-0'::float8, '-0'::float4, 0::float8, 1e300::float8 / 1e300))":
        '{"f1": "-0", "f2": "-0", "f3": 0, "f4": 1}',
    "SELECT seal.document(s) FROM (SELECT 1 AS bb, 2 AS a, 3 AS é, 4 AS \"\"\"\\\") s":
        r'{"a": 2, "\"\\": 4, "bb": 1, "é": 3}',
    "SELECT seal.document(ROW(1, 'b', 'NaN', 'infinity')::public.part)":
        '{"a": 1, "b": "b", "f": "NaN", "at": "infinity"}',
    "SELECT seal.document(NULL::public.part)": None,
    "SELECT seal.document(v) FROM public.a_view v":
        r'{"b": "\\x00ff", "d": "2024-02-03", "t": "2024-01-02T03:04:05+00:00"}',
    "SELECT seal.document(d) FROM public.dropped d": '{"a": 1, "c": "3"}',
    # No row of the table any more, but a record of a query: nothing is known of its columns.
    "SELECT seal.document(d) FROM (SELECT * FROM public.dropped) d": '{"a": 1, "c": "3", "g": 2}',
    "SELECT seal.document(NEW) FROM public.dropped NEW": '{"a": 1, "c": "3"}',
}  # fmt: skip


@pytest.fixture(scope="module")
def db(types_db: Database) -> Database:
    types_db.run("""
        CREATE VIEW a_view AS
        SELECT date '2024-02-03' AS d, timestamptz '2024-01-02 03:04:05Z' AS t, bytea '\\x00ff' AS b;
        CREATE TABLE dropped (a int, b int, c text, g int GENERATED ALWAYS AS (a + 1) STORED);
        INSERT INTO dropped VALUES (1, 2, '3');
        ALTER TABLE dropped DROP b;
    """)
    return types_db


@pytest.fixture(scope="module")
def abroad(db: Database) -> psycopg.Connection:
    session = db.connect()
    apply(session, ABROAD)
    return session


@pytest.mark.parametrize("query", RECORDS)
def test_a_record(db: Database, abroad: psycopg.Connection, query: str) -> None:
    expected = RECORDS[query]
    assert db.value(query) == expected
    row = abroad.execute(query.encode()).fetchone()
    assert row == (expected,)


def test_a_table_that_is_not_attached(db: Database, abroad: psycopg.Connection) -> None:
    table = TypedTable(db, "plain", TYPES)
    table.create()
    table.insert(db.connection, [EXAMPLES, {}, {"part": "(,,,)"}])
    assert table.wrong(db.connection) == table.wrong(abroad) == []
    assert db.value("SELECT seal.document(p) FROM plain p WHERE k = 2") == '{"k": 2}'


def test_leaves_have_the_documents_of_their_history(db: Database) -> None:
    db.run("""
        CREATE TABLE parted (id int, v text, at date) PARTITION BY RANGE (id);
        CREATE TABLE leaf_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
        CREATE TABLE leaf_2 (gone int, at date, v text, id int);
        ALTER TABLE leaf_2 DROP gone;
        ALTER TABLE parted ATTACH PARTITION leaf_2 FOR VALUES FROM (10) TO (20);
        SELECT seal.attach('parted');
        INSERT INTO parted VALUES (1, 'a', '2024-01-01'), (11, 'b', '2024-01-02');
    """)
    documents = [('{"v": "a", "at": "2024-01-01", "id": 1}',), ('{"v": "b", "at": "2024-01-02", "id": 11}',)]
    assert db.rows("SELECT seal.document(p) FROM parted p ORDER BY id") == documents
    leaves = "SELECT seal.document(l) FROM leaf_1 l UNION ALL SELECT seal.document(l) FROM leaf_2 l ORDER BY 1"
    assert db.rows(leaves) == documents


def test_a_history_shows_what_the_epoch_signs_and_nothing_else(db: Database) -> None:
    db.run("CREATE TABLE shown (id int, g int GENERATED ALWAYS AS (id + 1) STORED)")
    db.rows("SELECT seal.attach('shown')")
    db.run("INSERT INTO shown VALUES (1)")
    assert db.rows("SELECT seal.document(s) FROM shown s") == [('{"id": 1}',)]
    db.run("ALTER TABLE shown ADD COLUMN later text; INSERT INTO shown (id, later) VALUES (2, 'x')")
    assert db.rows("SELECT seal.document(s) FROM shown s ORDER BY id") == [('{"id": 1}',), ('{"id": 2, "later": "x"}',)]


def test_only_records_have_documents(db: Database) -> None:
    with pytest.raises(errors.UndefinedFunction):
        db.rows("SELECT seal.document(1)")
