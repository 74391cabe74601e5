"""pg_restore replays DDL on tables that pgseal's own tables already name: it never fails and journals nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.database import Database
from support.journal import forget, sentences
from support.refusal import refusal
from support.verification import assert_intact

CONTENT = """
CREATE TYPE mood AS ENUM ('fine', 'bad');
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE person (id int PRIMARY KEY); INSERT INTO person VALUES (1);
CREATE TABLE plain (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant mood, person int REFERENCES person,
                    payload jsonb DEFAULT '{}', CONSTRAINT c CHECK (person > 0), UNIQUE (tenant, id));
SELECT seal.attach('plain', 'tenant');
CREATE INDEX ON plain (payload); CREATE POLICY p ON plain USING (true); ALTER TABLE plain ENABLE ROW LEVEL SECURITY;
CREATE TRIGGER a BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE plain DISABLE TRIGGER a;
CREATE RULE r AS ON UPDATE TO plain DO ALSO NOTIFY x;
INSERT INTO plain (tenant, person) VALUES ('fine', 1), ('bad', 1), (NULL, NULL);
CREATE TABLE parts (n int PRIMARY KEY, t text) PARTITION BY RANGE (n);
SELECT format('CREATE TABLE p%s PARTITION OF parts FOR VALUES FROM (%s) TO (%s)', i, i * 10, i * 10 + 10)
  FROM generate_series(0, 19) i \\gexec
SELECT seal.attach('parts');
CREATE INDEX ON parts (t); CREATE INDEX alone ON p3 (t); ALTER TABLE p4 ALTER t SET DEFAULT 'x';
INSERT INTO parts SELECT i, 'x' FROM generate_series(0, 199) i;
"""


@pytest.fixture
def source(db: Database) -> Database:
    assert "ERROR" not in db.psql(CONTENT).stderr
    return db


@pytest.fixture
def target(db: Database) -> Iterator[Database]:
    with db.cluster.database(extension=False) as other:
        yield other


def archive(db: Database, *options: str) -> Path:
    path = Path(f"{db.cluster.home}/{db.name}.dump")
    path.touch()
    db.cluster.give(path)
    db.cluster.run("pg_dump", "-d", db.name, "-Fc", "-f", str(path), *options)
    return path


JOURNAL = "SELECT to_jsonb(j) FROM seal.journal j ORDER BY chain, seq"


def assert_restored(source: Database, target: Database) -> None:
    """Nothing was journaled by the restore itself; what is done afterwards is."""
    assert target.rows(JOURNAL) == source.rows(JOURNAL)
    forget(target)
    assert_intact(target, 3, "plain")
    assert_intact(target, 200, "parts")
    target.run("INSERT INTO plain (tenant) VALUES ('bad')")
    assert refusal(target, "DROP TABLE p1").state == "55000"
    target.run("CREATE INDEX fresh ON parts (n, t)")
    assert sentences(target) == ["CREATE INDEX changed public.parts: index fresh was added"]
    assert_intact(target, 4, "plain")


@pytest.mark.parametrize("options", [[], ["-j", "4"], ["--single-transaction"], ["-j", "4", "--disable-triggers"]])
def test_complete(source: Database, target: Database, options: list[str]) -> None:
    path = archive(source)
    source.cluster.run("pg_restore", "-d", target.name, "--exit-on-error", *options, str(path))
    assert_restored(source, target)


def test_by_psql(source: Database, target: Database) -> None:
    target.psql(source.cluster.run("pg_dump", "-d", source.name).stdout)
    assert_restored(source, target)


@pytest.mark.parametrize("options", [["--disable-triggers"], ["--disable-triggers", "-j", "4"]])
@pytest.mark.parametrize("through_root", [False, True])
def test_schema_and_data_apart(source: Database, target: Database, options: list[str], through_root: bool) -> None:
    path = archive(source, *(["--load-via-partition-root"] if through_root else []))
    run = source.cluster.run
    run("pg_restore", "-d", target.name, "--exit-on-error", "--schema-only", str(path))
    run("pg_restore", "-d", target.name, "--exit-on-error", "--data-only", *options, str(path))
    # pg_restore enables every trigger, also the one that was disabled: what the DBA has to put right is found.
    altered = [("trigger a of table public.plain was changed outside pgseal",)]
    assert target.rows("SELECT detail FROM seal.findings()") == altered
    target.run("ALTER TABLE plain DISABLE TRIGGER a")
    assert_restored(source, target)


def test_sections(source: Database, target: Database) -> None:
    path = archive(source)
    for section in ["pre-data", "data", "post-data"]:
        options = ["-d", target.name, "--exit-on-error", "-j", "4", f"--section={section}"]
        source.cluster.run("pg_restore", *options, str(path))
    assert_restored(source, target)


def test_definitions_are_the_same_after_a_restore(source: Database, target: Database) -> None:
    """What the journal of the original says must fit the copy: no number of an object is part of it."""
    source.cluster.run("pg_restore", "-d", target.name, "--exit-on-error", str(archive(source)))
    changes = "ALTER TABLE {} RENAME TO other; ALTER TABLE other RENAME TO {}"
    for table in ["plain", "parts"]:
        assert definition(source, table) == definition(target, table)
        forget(source)
        for statement in changes.format(table, table).split("; "):
            source.run(statement)
        assert len(sentences(source)) == 2


def definition(db: Database, table: str) -> set[tuple[str, str]]:
    query = (Path(__file__).parents[2] / "src/record/live.sql").read_text()
    oid = db.value("SELECT %s::regclass::oid::text", [table])
    db.run("SET search_path = pg_catalog, pg_temp")
    found = {(item, text) for _, item, text in db.rows(query.replace("{roots}", f"{{{oid}}}"))}
    db.run("RESET search_path")
    assert len(found) > 10 and not any(item.split(" on ")[0].endswith(f" {table}") for item, _ in found)
    return found
