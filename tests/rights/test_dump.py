"""pg_dump and restore: settings come back exactly once, and everything verifies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.database import Database
from support.journaling import OWN_TABLES
from support.refusal import refusal
from support.verification import assert_intact

DUMPED = (*OWN_TABLES, "run", "checkpoint", "closing")
CONTENT = """
CREATE SCHEMA "My Schema";
CREATE TYPE mood AS ENUM ('fine', 'bad');
CREATE TABLE person (id int PRIMARY KEY);
INSERT INTO person VALUES (1);
CREATE TABLE plain (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant mood, person int REFERENCES person,
                    payload jsonb NOT NULL DEFAULT '{"a": 1.10}', twice int GENERATED ALWAYS AS (person * 2) STORED,
                    CONSTRAINT c CHECK (person > 0), UNIQUE (tenant, id));
CREATE INDEX ON plain (payload);
INSERT INTO plain (tenant, person) VALUES ('fine', 1);
SELECT seal.attach('plain', 'tenant', window_months => 24, existing => 'seal');
INSERT INTO plain (tenant, person) VALUES ('fine', 1), ('bad', 1), (NULL, NULL);
ALTER TABLE plain ADD COLUMN added text DEFAULT 'x';
ALTER TABLE plain RENAME COLUMN payload TO content;
INSERT INTO plain (tenant) VALUES ('bad');
CREATE TABLE "My Schema"."Parts" (n int PRIMARY KEY, t text) PARTITION BY RANGE (n);
CREATE TABLE "My Schema".p1 (gone int, t text, n int NOT NULL);
ALTER TABLE "My Schema".p1 DROP COLUMN gone;
ALTER TABLE "My Schema"."Parts" ATTACH PARTITION "My Schema".p1 FOR VALUES FROM (0) TO (10);
CREATE TABLE "My Schema".p2 PARTITION OF "My Schema"."Parts" DEFAULT;
SELECT seal.attach('"My Schema"."Parts"', max_chains => 1);
INSERT INTO "My Schema"."Parts" VALUES (1, 'a'), (11, 'b'), (2, 'c');
CREATE TABLE gone (n int); SELECT seal.attach('gone'); INSERT INTO gone VALUES (1); SELECT seal.detach('gone');
"""
SETTINGS = "SELECT to_jsonb(h) - 'relation', relation::text FROM seal.history h ORDER BY history_id"
EPOCHS = "SELECT to_jsonb(e) FROM seal.epoch e ORDER BY history_id, epoch"
JOURNAL = "SELECT to_jsonb(j) FROM seal.journal j ORDER BY chain, seq"


@pytest.fixture
def restored(db: Database) -> Iterator[Database]:
    with db.cluster.database(extension=False) as other:
        yield other


def dump(db: Database, *options: str) -> str:
    return db.cluster.run("pg_dump", "-d", db.name, *options).stdout


@pytest.mark.parametrize("options", [[], ["--inserts", "--rows-per-insert=2"], ["-Fc", "-j", "2"]])
def test_a_restored_database_is_the_same(db: Database, restored: Database, options: list[str]) -> None:
    db.run(CONTENT)
    if options[:1] == ["-Fc"]:
        archive = Path(f"{db.cluster.home}/{db.name}.dump")
        archive.touch()
        db.cluster.give(archive)
        db.cluster.run("pg_dump", "-d", db.name, "-Fc", "-f", str(archive))
        db.cluster.run("pg_restore", "-d", restored.name, "--exit-on-error", *options[1:], str(archive))
        archive.unlink()
    else:
        restored.psql(dump(db, *options))
    for query in [SETTINGS, EPOCHS, JOURNAL]:
        assert restored.rows(query) == db.rows(query)
    assert_intact(restored, 5, "plain")
    assert_intact(restored, 3, '"My Schema"."Parts"')
    assert restored.rows("SELECT verdict FROM seal.verify_history()") == [("intact",)] * 2
    # It goes on being sealed and guarded.
    restored.run("INSERT INTO plain (tenant) VALUES ('bad'); INSERT INTO \"My Schema\".\"Parts\" VALUES (3, 'd')")
    assert refusal(restored, "DELETE FROM plain").state == "55000"
    assert refusal(restored, 'TRUNCATE "My Schema".p1').state == "55000"
    assert_intact(restored, 6, "plain")
    assert_intact(restored, 4, '"My Schema"."Parts"')


def test_twice_through_dump_and_restore(db: Database, restored: Database) -> None:
    db.run(CONTENT)
    restored.psql(dump(db))
    with db.cluster.database(extension=False) as third:
        third.psql(dump(restored))
        for query in [SETTINGS, EPOCHS, JOURNAL]:
            assert third.rows(query) == db.rows(query)
        assert_intact(third, 5, "plain")


def test_settings_are_dumped_as_data_only(db: Database) -> None:
    db.run(CONTENT)
    schema = dump(db, "--schema-only")
    assert "CREATE TABLE seal" not in schema
    for table in DUMPED:
        assert f"seal.{table}" not in schema.replace(f"seal.{table}'", "")
    assert "CREATE EXTENSION" in schema
    text = dump(db)
    for table in DUMPED:
        assert text.count(f"COPY seal.{table} ") == 1
    marked = """SELECT config.table::regclass::text, config.condition
                  FROM pg_extension, unnest(extconfig, extcondition) AS config ("table", condition)
                 WHERE extname = 'pgseal'"""
    alarms = {"seal.alert": "WHERE next_attempt IS NULL", "seal.alert_id_seq": ""}
    assert dict(db.rows(marked)) == {f"seal.{table}": "" for table in (*DUMPED, "run_id")} | alarms


def test_a_changed_dump_is_found(db: Database, restored: Database) -> None:
    db.run(CONTENT)
    text = dump(db)
    assert text.count('{"a": 1.10}\t') >= 4
    restored.psql(text.replace('{"a": 1.10}\t', '{"a": 1.1}\t', 1))
    assert restored.rows("SELECT kind FROM seal.findings(history => 'plain')") == [("modified",)]


def test_the_install_script_leaves_the_settings_empty(db: Database) -> None:
    for table in OWN_TABLES:
        assert db.value(f"SELECT count(*) FROM seal.{table}") == 0
