"""Partitions that a superuser takes out, puts in, and fills behind pgseal. Each leaf has a seal index of its own."""

from __future__ import annotations

import pytest

from support.checkpointing import add, answer, assert_full, assert_rests, checkpoint, since
from support.database import Database
from support.sealing import attach
from support.tampering import triggers_off, unguarded
from support.verification import kinds


@pytest.fixture
def db(db: Database) -> Database:
    """acme has 1 to 4 in h0 and 10 to 14 in h1, zeta 5 to 9 in h0 and 15 to 19 in h1."""
    db.run("CREATE TABLE h (id int, tenant text, note text) PARTITION BY RANGE (id)")
    for number in range(3):
        db.run(f"CREATE TABLE h{number} PARTITION OF h FOR VALUES FROM ({number * 10}) TO ({number * 10 + 10})")
    attach(db, "h", "tenant_column => 'tenant'")
    db.run("CREATE INDEX ON h (tenant)")
    for first, last, tenant in [(1, 4, "acme"), (5, 9, "zeta"), (10, 14, "acme"), (15, 19, "zeta")]:
        add(db, first, last, tenant)
    checkpoint(db)
    add(db, 20, 21, "zeta")
    assert_rests(answer(db, "acme"), 9, since=2)
    return db


TAMPERED = {
    "a copy in another leaf": ("INSERT INTO h2 SELECT * FROM h0 WHERE id = 3", "duplicated"),
    "moved to another leaf, as another": (
        "CREATE TEMPORARY TABLE t AS SELECT * FROM h0 WHERE id = 3; DELETE FROM h0 WHERE id = 3; UPDATE t SET id = 25;"
        " INSERT INTO h2 SELECT * FROM t",
        "modified",
    ),
    "one copied, another removed": (
        "INSERT INTO h2 SELECT * FROM h0 WHERE id = 3; DELETE FROM h0 WHERE id = 2",
        "duplicated",
    ),
    "a leaf emptied": ("DELETE FROM h1", "missing"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_what_is_done_to_leaves(db: Database, what: str) -> None:
    sql, kind = TAMPERED[what]
    with triggers_off(db.connection, "h"):
        if "h2 SELECT" in sql:
            # No bounds are in the way: they are another table's while the rows come.
            db.run("ALTER TABLE h DETACH PARTITION h2")
        for statement in sql.split("; "):
            db.run(statement)
        if "h2 SELECT" in sql:
            db.run("ALTER TABLE h2 ADD CONSTRAINT fits CHECK (id IS NOT NULL AND id >= 20 AND id < 30) NOT VALID")
            db.run("UPDATE pg_constraint SET convalidated = true WHERE conname = 'fits'")
            db.run("ALTER TABLE h ATTACH PARTITION h2 FOR VALUES FROM (20) TO (30)")
            db.run("ALTER TABLE h2 DROP CONSTRAINT fits")
    assert_full(answer(db, "acme"), "tampered")
    assert kind in kinds(db, "acme")


@pytest.mark.parametrize("sql", ["ALTER TABLE h DETACH PARTITION h1", "DROP TABLE h1"])
def test_a_leaf_goes(db: Database, sql: str) -> None:
    db.run(unguarded(sql))
    assert_full(answer(db, "acme"), "tampered")
    assert_full(since(db), "tampered")
    assert set(kinds(db, "acme")) == {"configuration_altered", "missing"}


def test_what_is_done_to_the_others(db: Database) -> None:
    """The leaf has nothing of acme's, nor anything that was sealed since."""
    with triggers_off(db.connection, "h"):
        db.run("DELETE FROM h WHERE id BETWEEN 5 AND 9")
    assert_rests(answer(db, "acme"), 9, since=2)
    assert_rests(since(db), 2, since=2)
    assert_full(answer(db, "zeta"), "tampered")


def test_a_leaf_since(db: Database) -> None:
    db.run("CREATE TABLE h3 PARTITION OF h FOR VALUES FROM (30) TO (40)")
    add(db, 30, 32, "acme")
    assert_rests(answer(db, "acme"), 12, since=5)
    assert_rests(since(db), 5, since=5)


def test_an_empty_leaf_goes(db: Database) -> None:
    db.run("CREATE TABLE h3 PARTITION OF h FOR VALUES FROM (30) TO (40)")
    checkpoint(db)
    db.run("DROP TABLE h3")
    assert_rests(answer(db, "acme"), 9, since=0)
