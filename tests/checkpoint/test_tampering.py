"""What concerns the asker is found, whatever a checkpoint says; what is found comes from a full verification."""

from __future__ import annotations

import pytest

from support.checkpointing import add, answer, assert_full, assert_rests, checkpoint, ledger, since
from support.database import Database
from support.tampering import triggers_off
from support.verification import kinds

# Rows 1 … 12: acme has 3, 6, 9, 12; zeta 1, 4, 7, 10; odd rows are in the first chain.
ALL_OF_ACME = "tenant = 'acme'"

TAMPERED = {
    "changed": ("UPDATE h SET note = 'x' WHERE id = 6", ["modified"]),
    "the last of its chain changed": ("UPDATE h SET note = 'x' WHERE id = 12", ["modified"]),
    "removed": ("DELETE FROM h WHERE id = 6", ["missing"]),
    "the newest removed": ("DELETE FROM h WHERE id = 12", ["truncated"]),
    "all removed": (f"DELETE FROM h WHERE {ALL_OF_ACME}", ["missing"] * 3 + ["truncated"]),
    "moved to another tenant": ("UPDATE h SET tenant = 'zeta' WHERE id = 6", ["modified"]),
    "moved to nobody": ("UPDATE h SET tenant = NULL WHERE id = 6", ["modified"]),
    "all moved away": (f"UPDATE h SET tenant = 'zeta' WHERE {ALL_OF_ACME}", ["modified"] * 4),
    "somebody else's moved here": ("UPDATE h SET tenant = 'acme' WHERE id = 7", ["modified"]),
    "inserted twice": (
        "ALTER TABLE h DROP CONSTRAINT h_pkey; DROP INDEX {index}; INSERT INTO h SELECT * FROM h WHERE id = 6",
        ["configuration_altered"] * 2 + ["duplicated"],
    ),
    "exchanged with another": (
        "UPDATE h SET id = -6 WHERE id = 6; UPDATE h SET id = 6 WHERE id = 9; UPDATE h SET id = 9 WHERE id = -6",
        ["modified"] * 2,
    ),
    "hidden behind a row of another tenant": (
        "DELETE FROM h WHERE id = 6;"
        " INSERT INTO h SELECT 6, 'zeta', note, seal_chain, 3, seal_epoch, seal_anchor, seal_at, seal_prev, seal_mac"
        " FROM h WHERE id = 10",
        ["modified"],
    ),
    "unsealed": ("UPDATE h SET seal_mac = NULL WHERE id = 6", None),
    "another position": ("UPDATE h SET seal_seq = 100 WHERE id = 12", None),
    "another chain": ("UPDATE h SET seal_chain = 'main.00000000' WHERE id = 12", None),
    "pushed below the beginning": ("UPDATE h SET seal_seq = -seal_seq WHERE id = 6", None),
}


def tamper(db: Database, sql: str) -> None:
    index = db.value(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'h'::regclass AND indisunique AND NOT indisprimary"
    )
    with triggers_off(db.connection, "h", nulls=True):
        for statement in sql.replace("{index}", str(index)).split("; "):
            db.run(statement)


@pytest.mark.parametrize("what", TAMPERED)
@pytest.mark.parametrize("later", [0, 5], ids=["at the checkpoint", "with entries since"])
def test_entries_of_the_checkpoint(db: Database, what: str, later: int) -> None:
    ledger(db)
    checkpoint(db)
    add(db, 13, 12 + later, "zeta")
    sql, expected = TAMPERED[what]
    assert_rests(answer(db, "acme"), 4, since=later)
    tamper(db, sql)
    line = answer(db, "acme")
    assert_full(line, "tampered")
    if expected is not None:
        assert kinds(db, "acme") == sorted(expected)
    assert kinds(db, "acme") == kinds(db)
    assert not db.value("SELECT seal.is_intact('acme')")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE h SET note = 'x' WHERE id = 15",
        "DELETE FROM h WHERE id = 15",
        "DELETE FROM h WHERE id = 17",
        "DELETE FROM h WHERE id > 12",
        "UPDATE h SET tenant = 'zeta' WHERE id = 13",
        "UPDATE h SET seal_seq = seal_seq + 1 WHERE id = 17",
        "UPDATE h SET seal_chain = seal_chain || '/7' WHERE id = 17",
    ],
)
@pytest.mark.parametrize("tenant", ["acme", "zeta", "nobody"])
def test_entries_since_concern_everybody(db: Database, sql: str, tenant: str) -> None:
    """Which of them were somebody's only a whole chain can tell."""
    ledger(db)
    checkpoint(db)
    add(db, 13, 15, "acme")
    add(db, 16, 17, "zeta")
    tamper(db, sql)
    assert_full(answer(db, tenant), "tampered")
    assert_full(since(db), "tampered")


@pytest.mark.parametrize(
    "sql",
    ["UPDATE h SET note = 'x' WHERE id = 7", "DELETE FROM h WHERE id = 7", "UPDATE h SET tenant = 'beta' WHERE id = 7"],
)
def test_what_concerns_others_alone(db: Database, sql: str) -> None:
    """acme's entries are all there; who asks for everything, or for zeta, is told."""
    ledger(db)
    checkpoint(db)
    tamper(db, sql)
    assert_rests(answer(db, "acme"), 4, since=0)
    assert_rests(since(db), 0, since=0)
    assert_full(answer(db, "zeta"), "tampered")
    assert_full(answer(db, None), "tampered")


def test_abandoned_branches(db: Database) -> None:
    """A rolled back INSERT … RETURNING hands out a valid signature for a position that is used again."""
    ledger(db)
    with db.connection.transaction(force_rollback=True):
        [abandoned] = db.rows("INSERT INTO h VALUES (13, 'acme', 'never happened') RETURNING *")
    add(db, 13, 13, "acme")
    assert db.value("SELECT (seal_chain, seal_seq) = (%s, %s) FROM h WHERE id = 13", [abandoned[3], abandoned[4]])
    checkpoint(db)
    add(db, 14, 14, "zeta")
    with triggers_off(db.connection, "h"):
        db.run("DELETE FROM h WHERE id = 13")
        db.run(f"INSERT INTO h VALUES ({', '.join(['%s'] * len(abandoned))})", abandoned)
    assert_full(answer(db, "acme"), "tampered")
    assert kinds(db, "acme") == ["wrong_predecessor"]


def test_other_settings_are_a_full_verification(db: Database) -> None:
    ledger(db)
    checkpoint(db)
    db.run("UPDATE seal.history SET window_months = 12")
    assert_full(answer(db, "acme"), "tampered")
    assert "configuration_altered" in kinds(db, "acme")
