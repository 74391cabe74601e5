"""Tenants with odd names, long ones, and more of them than a census counts."""

from __future__ import annotations

from support.checkpointing import add, answer, assert_full, assert_rests, checkpoint, ledger, since
from support.database import Database
from support.sealing import history
from support.tampering import triggers_off
from support.verification import kinds

ODD = [
    *(
        "",
        " ",
        "o'hara",
        "\\x",
        'a"b',
        "a\nb",
        "\x01\x1f",
        "%s",
        "NULL",
        "null",
        "{}",
        "'; DROP TABLE h; --",
        "$$",
        "E'\\'",
    ),
    *("ünïcødé ☃", "e\u0301", "\u00e9", "\ufeff", "\U0010ffff", "x" * 1_000_000, "x" * 1_000_001),
]


def make(db: Database) -> None:
    """Without an index on the tenant: it would not take the long ones."""
    history(db, "h", "id int PRIMARY KEY, tenant text, note text", "tenant_column => 'tenant'")


def test_odd_names(db: Database) -> None:
    make(db)
    for number, tenant in enumerate(ODD):
        db.run("INSERT INTO h VALUES (%s, %s, 'x')", [number, tenant])
    checkpoint(db)
    for tenant in ODD:
        assert_rests(answer(db, tenant), 1, since=0)
    db.run("SET standard_conforming_strings = off")
    for tenant in ODD[:-2]:
        assert_rests(answer(db, tenant), 1, since=0)
    db.run("SET standard_conforming_strings = on")
    with triggers_off(db.connection, "h"):
        db.run("UPDATE h SET note = 'y' WHERE tenant = %s", ["\\x"])
    assert_full(answer(db, "\\x"), "tampered")
    assert_rests(answer(db, "x"), 0, since=0, verdict="nothing_sealed")


def test_names_that_are_too_long_together(db: Database) -> None:
    """The run is a success; there is a checkpoint, but no census."""
    make(db)
    db.run("INSERT INTO h SELECT g, repeat(g::text || '/', 100000), 'x' FROM generate_series(10, 90) g")
    add(db, 1, 3, "acme")
    checkpoint(db)
    add(db, 4, 4, "acme")
    line = answer(db, "acme")
    assert_full(line, "intact")
    assert (line["entries"], "the checkpoint did not answer this" in line["basis"]) == (4, True)
    assert_rests(since(db), 1, since=1)


def test_more_tenants_than_a_census_counts(db: Database) -> None:
    ledger(db)
    db.run("INSERT INTO h SELECT g, 't' || g, 'x' FROM generate_series(13, 100012) g")
    checkpoint(db)
    add(db, -1, -1, "acme")
    assert_full(answer(db, "acme"), "intact")
    assert_rests(since(db), 1, since=1)
    with triggers_off(db.connection, "h"):
        db.run("UPDATE h SET note = 'x' WHERE id = 3")
    assert_full(answer(db, "acme"), "tampered")
    assert kinds(db, "acme") == ["modified"]


def test_as_many_as_it_counts(db: Database) -> None:
    ledger(db, rows=0)
    db.run("INSERT INTO h SELECT g, 't' || g, 'x' FROM generate_series(1, 100000) g")
    checkpoint(db)
    assert_rests(answer(db, "t77"), 1, since=0)
    assert_rests(answer(db, "acme"), 0, since=0, verdict="nothing_sealed")
