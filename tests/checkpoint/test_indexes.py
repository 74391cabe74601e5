"""An answer that rests on a checkpoint reads by index. An index that does not have every row never hides that an entry
is gone or changed. It can hide a row that was added: docs/threat-model.md."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from support.checkpointing import add, answer, assert_full, assert_rests, checkpoint, ledger, since
from support.database import Database
from support.tampering import triggers_off
from support.verification import kinds

READY = "UPDATE pg_index SET indisready = {0}, indisvalid = {0} WHERE indexrelid = '{1}'::regclass"
TENANTS = "h_tenant_idx"


@contextmanager
def asleep(db: Database, index: str = TENANTS) -> Iterator[None]:
    """What is stored inside is not in the index, which then looks as before."""
    db.run(READY.format("false", index))
    yield
    db.run(READY.format("true", index))


def move(db: Database, where: str) -> None:
    """New versions of rows that the tenant's index does not know; the old ones go."""
    with triggers_off(db.connection, "h"), asleep(db):
        db.run(f"CREATE TABLE moved AS SELECT * FROM h WHERE {where}")
        db.run(f"DELETE FROM h WHERE {where}")
        db.run("INSERT INTO h SELECT * FROM moved")
    db.run("DROP TABLE moved")


def test_entries_that_the_index_does_not_have(db: Database) -> None:
    """They stand in the table: nothing is wrong with the history, but only a full verification can tell."""
    ledger(db)
    checkpoint(db)
    move(db, "tenant = 'acme'")
    assert_full(answer(db, "acme"), "intact")
    assert_rests(answer(db, "zeta"), 4, since=0)
    db.run("REINDEX TABLE h")
    assert_rests(answer(db, "acme"), 4, since=0)


@pytest.mark.parametrize("change", ["note = 'x'", "tenant = 'zeta'", "seal_seq = seal_seq + 100"])
def test_a_changed_entry_that_the_index_does_not_have(db: Database, change: str) -> None:
    ledger(db)
    checkpoint(db)
    with triggers_off(db.connection, "h"), asleep(db):
        db.run(f"UPDATE h SET {change} WHERE id = 6")
    assert_full(answer(db, "acme"), "tampered")


def test_a_row_that_no_index_has(db: Database) -> None:
    """Nobody meets it who looks for acme's rows by the index. A full verification does, and so does the tenant's
    once the index is made anew."""
    ledger(db)
    checkpoint(db)
    with triggers_off(db.connection, "h"), asleep(db):
        db.run("CREATE TABLE forged AS SELECT * FROM h WHERE id = 1")
        db.run("DELETE FROM h WHERE id = 1")
        db.run("UPDATE forged SET tenant = 'acme', note = 'forged'")
        db.run("INSERT INTO h SELECT * FROM forged")
    assert_full(answer(db, "zeta"), "tampered")
    assert_full(answer(db, None), "tampered")
    assert_rests(answer(db, "acme"), 4, since=0)
    db.run("REINDEX TABLE h")
    assert_full(answer(db, "acme"), "tampered")


@pytest.mark.parametrize(
    "index",
    [
        "CREATE INDEX CONCURRENTLY partial ON h (tenant) WHERE id < 0",
        "CREATE INDEX expression ON h ((upper(tenant)))",
        "CREATE INDEX hashed ON h USING hash (tenant)",
        'CREATE INDEX other_collation ON h (tenant COLLATE "und-x-icu")',
        "CREATE INDEX other_class ON h (tenant text_pattern_ops)",
        "CREATE INDEX bad ON h (tenant); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'bad'::regclass",
        "CREATE INDEX covering ON h (seal_seq) INCLUDE (tenant, seal_chain)",
        "SELECT",
    ],
)
def test_other_indexes(db: Database, index: str) -> None:
    """The answer is the same."""
    ledger(db)
    db.run("DROP INDEX h_tenant_idx")
    for statement in index.split("; "):
        db.run(statement)
    checkpoint(db)
    add(db, 13, 14, "acme")
    assert_rests(answer(db, "acme"), 6, since=2)
    with triggers_off(db.connection, "h"):
        db.run("UPDATE h SET note = 'x' WHERE id = 6")
    assert_full(answer(db, "acme"), "tampered")
    assert kinds(db, "acme") == ["modified"]


def test_a_partial_index_that_says_it_is_not(db: Database) -> None:
    ledger(db)
    db.run("DROP INDEX h_tenant_idx; CREATE INDEX partial ON h (tenant) WHERE id < 0")
    checkpoint(db)
    db.run("SET allow_system_table_mods = on")
    db.run("UPDATE pg_index SET indpred = NULL WHERE indexrelid = 'partial'::regclass")
    line = answer(db, "acme")
    assert line["basis"].startswith("full verification") and line["entries"] == 4
    assert since(db)["verdict"] == line["verdict"]
