"""A column added later: the entries before show its default, whatever its type, and stay verifiable."""

from __future__ import annotations

import pytest

from support.database import Database
from support.rendering import apply, verdict

# Type → default as it is written in SQL. Some are spelled otherwise by a cast to text than by the type's output.
DEFAULTS = {
    "bool": "true",
    "int4": "-7",
    "numeric": "1.10",
    "float8": "0.1234567890123456",
    "float4": "'-0'",
    "text": r"E'a\\b\"{},NULL\n'",
    "varchar(9)": "'NULL'",
    "char(5)": "'x'",
    "date": "'0044-03-15 BC'",
    "timestamptz": "'2024-01-02 03:04:05.123456'",
    "interval": "'1 year 2 days -3 hours'",
    "jsonb": """'{"a": 1.10, "b": null}'""",
    "json": """'{"a":1, "a" :2}'""",
    "bytea": r"'\x00ff5c'",
    "inet": "'1.2.3.4'",
    "float8[]": "'[0:1]={0.1234567890123456,-0}'",
    "text[]": "'{}'",
    "mood": "''",
    "part": """'(1,"a,""b",1e300,2024-01-01)'""",
    "positive": "3",
    "label": "' '",
    "tstzrange": "'[2024-01-01 00:00,)'",
    "whole": "'(,,,,)'",
}
ABROAD = {
    "TimeZone": "Asia/Kathmandu",
    "DateStyle": "German",
    "IntervalStyle": "iso_8601",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
}


@pytest.mark.parametrize("shape", ["plain", "partitioned", "rewritten"])
def test_defaults_of_every_kind(types_db: Database, shape: str) -> None:
    db = types_db
    table = f"added_{shape}"
    partitions = "PARTITION BY LIST (id)" if shape == "partitioned" else ""
    db.run(f"CREATE TABLE {table} (id int) {partitions}")
    if partitions:
        db.run(f"CREATE TABLE {table}_1 PARTITION OF {table} FOR VALUES IN (1, 2); "
               f"CREATE TABLE {table}_2 PARTITION OF {table} DEFAULT")  # fmt: skip
    db.rows("SELECT seal.attach(%s::regclass)", (table,))
    db.run(f"INSERT INTO {table} VALUES (1), (2), (3)")
    abroad = db.connect()
    apply(abroad, ABROAD)
    for number, (kind, default) in enumerate(DEFAULTS.items()):
        # A volatile default is computed row by row: the table is rewritten.
        value = f"(CASE WHEN random() < 2 THEN {default}::{kind} END)" if shape == "rewritten" else default
        abroad.execute(f"ALTER TABLE {table} ADD COLUMN c{number} {kind} DEFAULT {value}".encode())
        assert (kind, verdict(db.connection, table)[0]) == (kind, "intact")
    abroad.execute(f"INSERT INTO {table} VALUES (4)".encode())
    assert verdict(db.connection, table) == verdict(abroad, table) == ("intact", 4)
    old, new = db.rows(f"SELECT seal.document(h) FROM {table} h WHERE id IN (1, 4) ORDER BY id")
    assert old == ('{"id": 1}',)
    assert new[0].count(": ") > len(DEFAULTS)
    abroad.close()


def test_content_beside_the_default_is_found(types_db: Database) -> None:
    db = types_db
    db.run("CREATE TABLE beside (id int)")
    db.rows("SELECT seal.attach('beside')")
    db.run("INSERT INTO beside VALUES (1), (2)")
    db.run("ALTER TABLE beside ADD COLUMN c char(3) DEFAULT 'x', ADD COLUMN f float8 DEFAULT 0")
    db.run("SET session_replication_role = replica;"
           "ALTER TABLE beside DISABLE TRIGGER ALL; UPDATE beside SET f = '-0' WHERE id = 1;"
           "UPDATE beside SET c = NULL WHERE id = 2;")  # fmt: skip
    db.run("ALTER TABLE beside ENABLE TRIGGER zzz_pgseal_seal, ENABLE ALWAYS TRIGGER zzz_pgseal_guard, "
           "ENABLE ALWAYS TRIGGER zzz_pgseal_truncate; RESET session_replication_role")  # fmt: skip
    found = db.rows("SELECT position, kind, found FROM seal.findings(history => 'beside') ORDER BY position")
    assert [(position, kind) for position, kind, _ in found] == [(1, "unknown_column"), (2, "unknown_column")]


def test_a_renamed_column_keeps_its_old_name_in_old_documents(types_db: Database) -> None:
    db = types_db
    db.run('CREATE TABLE renamed (id int, "käse" text)')
    db.rows("SELECT seal.attach('renamed')")
    db.run("INSERT INTO renamed VALUES (1, 'a')")
    db.run('ALTER TABLE renamed RENAME "käse" TO z')
    db.run("INSERT INTO renamed VALUES (2, 'b')")
    documents = db.rows("SELECT seal.document(h) FROM renamed h ORDER BY id")
    assert documents == [('{"id": 1, "käse": "a"}',), ('{"z": "b", "id": 2}',)]
    assert verdict(db.connection, "renamed") == ("intact", 2)
