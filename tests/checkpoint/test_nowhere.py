"""Rows that stand at no place that a checkpoint has verified: they are read whoever asks, and what they are a full
verification says."""

from __future__ import annotations

import pytest

from support.checkpointing import add, answer, assert_full, assert_rests, checkpoint, ledger, since
from support.database import Database
from support.tampering import triggers_off
from support.verification import kinds

SEALED = "seal_epoch, seal_anchor, seal_at, seal_prev, seal_mac"

# A row of nobody with the seal of row 5, but for these: chain, position.
PLACES = {
    "no chain": ("NULL", "seal_seq"),
    "no position": ("seal_chain", "NULL"),
    "neither": ("NULL", "NULL"),
    "below the beginning": ("seal_chain", "0"),
    "at a negative position": ("seal_chain", "-seal_seq"),
    "at the lowest position": ("seal_chain", "-9223372036854775808"),
    "at the highest position": ("seal_chain", "9223372036854775807"),
    "in a chain before all others": ("''", "seal_seq"),
    "in a chain between the others": ("seal_chain || '/0'", "seal_seq"),
    "in a chain after all others": ("'zzz'", "seal_seq"),
}


@pytest.mark.parametrize(
    ("place", "tenant"), [*((place, "zeta") for place in PLACES), ("neither", "acme"), ("neither", None)]
)
def test_each_is_found(db: Database, place: str, tenant: str | None) -> None:
    """The catalog says again afterwards that no column accepts NULL, and so do the statistics."""
    ledger(db)
    checkpoint(db)
    add(db, 13, 14, "zeta")
    assert_rests(answer(db, "acme"), 4, since=2)
    chain, position = PLACES[place]
    with triggers_off(db.connection, "h"):
        db.run("ALTER TABLE h ALTER seal_chain DROP NOT NULL, ALTER seal_seq DROP NOT NULL")
        db.run(f"INSERT INTO h SELECT 500, %s, 'x', {chain}, {position}, {SEALED} FROM h WHERE id = 5", [tenant])
        db.run("UPDATE pg_attribute SET attnotnull = true WHERE attrelid = 'h'::regclass AND attname LIKE 'seal_%'")
    db.run("ANALYZE h")
    assert_full(since(db), "tampered")
    for asked in ("acme", "zeta", "nobody"):
        line = answer(db, asked)
        assert_full(line, "tampered" if asked == tenant or kinds(db, asked) else line["verdict"])
    assert len(kinds(db)) == 1 and kinds(db) != ["configuration_altered"]


def test_an_unsealed_row(db: Database) -> None:
    """Inserted with triggers off: all its seal columns are NULL."""
    ledger(db)
    checkpoint(db)
    with triggers_off(db.connection, "h", nulls=True):
        db.run("INSERT INTO h (id, tenant) VALUES (500, 'zeta')")
        db.run("UPDATE pg_attribute SET attnotnull = true WHERE attrelid = 'h'::regclass AND attname LIKE 'seal_%'")
    assert_full(since(db), "tampered")
    assert_full(answer(db, "zeta"), "tampered")
    assert kinds(db) == ["unsealed"]
