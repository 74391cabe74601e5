"""Stored generated columns are compared with their expressions: no false alarm whatever their types and the session."""

from __future__ import annotations

import pytest

from support.database import Database
from support.rendering import apply, verdict

EXPRESSIONS = {
    "numeric(10,2)": "a / 3.0",
    "int": "a * 1.5",
    "bigint": "a",
    "varchar(40)": "'x' || round(a, 2)",
    "char(5)": "'x'",
    "float4": "a / 7",
    "numeric(4)": "a",
    "mood": "CASE WHEN a > 0 THEN 'sad'::mood ELSE 'happy, ja' END",
    "jsonb": "'{\"a\": 1.10}'",
    "text": "b::text",
    "varchar": "f::text",
    "bytea": "b || b",
    "positive": "7",
    "text[]": "ARRAY['a', NULL, 'NULL']",
}
ABROAD = {"bytea_output": "escape", "extra_float_digits": "-15", "search_path": "", "TimeZone": "Asia/Kathmandu"}


@pytest.mark.parametrize("kind", EXPRESSIONS)
def test_no_false_alarm(types_db: Database, kind: str) -> None:
    db = types_db
    table = f"expression_{list(EXPRESSIONS).index(kind)}"
    generated = f"g {kind} GENERATED ALWAYS AS ({EXPRESSIONS[kind]}) STORED"
    db.run(f"CREATE TABLE {table} (a numeric, b bytea, f float8, {generated})")
    db.rows("SELECT seal.attach(%s::regclass)", (table,))
    db.run(rf"INSERT INTO {table} VALUES (1, '\x01ff5c', 0.1234567890123456), (2.5, '', '-0'), (NULL, NULL, NULL)")
    document = db.value(f"SELECT seal.document(h) FROM {table} h WHERE a = 1")
    assert document == r'{"a": 1, "b": "\\x01ff5c", "f": 0.1234567890123456}'
    abroad = db.connect()
    apply(abroad, ABROAD)
    assert verdict(db.connection, table) == verdict(abroad, table) == ("intact", 3)
    abroad.close()
