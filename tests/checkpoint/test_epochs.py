"""The table changed since the checkpoint: columns, names, indexes, its files."""

from __future__ import annotations

import pytest

from support.checkpointing import add, answer, assert_full, assert_rests, checkpoint, ledger, since
from support.database import Database
from support.tampering import triggers_off
from support.verification import kinds


def test_a_further_column(db: Database) -> None:
    ledger(db)
    checkpoint(db)
    db.run("ALTER TABLE h ADD extra int DEFAULT 5")
    assert_rests(answer(db, "acme"), 4, since=0)
    db.run("INSERT INTO h (id, tenant, extra) VALUES (13, 'acme', 6)")
    assert_rests(answer(db, "acme"), 5, since=1)
    with triggers_off(db.connection, "h"):
        db.run("UPDATE h SET extra = 7 WHERE id = 6")
    assert_full(answer(db, "acme"), "tampered")
    assert kinds(db, "acme") == ["unknown_column"]


def test_another_column_takes_the_tenants_name(db: Database) -> None:
    """Who the entries stand for was sealed; a column is not a tenant because of its name."""
    ledger(db)
    checkpoint(db)
    db.run("ALTER TABLE h RENAME tenant TO client; ALTER TABLE h ADD tenant text; CREATE INDEX ON h (tenant)")
    db.run("INSERT INTO h (id, client, tenant) VALUES (13, 'acme', 'zeta'), (14, 'zeta', 'acme')")
    assert_rests(answer(db, "acme"), 5, since=2)
    assert_rests(answer(db, "zeta"), 5, since=2)
    checkpoint(db)
    assert_rests(answer(db, "acme"), 5, since=0)


@pytest.mark.parametrize(
    "sql",
    [
        "VACUUM FULL h",
        "CLUSTER h USING h_tenant_idx",
        "REINDEX TABLE h",
        "DROP INDEX h_tenant_idx",
        "ALTER TABLE h RENAME TO g; ALTER TABLE g RENAME TO h",
        "ALTER TABLE h SET TABLESPACE pg_default",
        "ALTER TABLE h ALTER note SET STORAGE EXTERNAL",
        "ALTER TABLE h ENABLE ROW LEVEL SECURITY; ALTER TABLE h FORCE ROW LEVEL SECURITY",
    ],
)
def test_ordinary_life(db: Database, sql: str) -> None:
    ledger(db)
    checkpoint(db)
    add(db, 13, 14, "acme")
    for statement in sql.split("; "):
        db.run(statement)
    assert_rests(answer(db, "acme"), 6, since=2)
    assert_rests(since(db), 2, since=2)


SETTINGS = {
    "plans": "enable_bitmapscan = off; enable_indexscan = off; enable_indexonlyscan = off; enable_sort = off",
    "workers": "force_parallel_mode = on; parallel_setup_cost = 0; min_parallel_table_scan_size = 0; jit = on",
    "constraints": "constraint_exclusion = on; enable_partition_pruning = on",
    "texts": "quote_all_identifiers = on; standard_conforming_strings = off; bytea_output = 'escape'",
    "names": "search_path = ''",
    "writes": "default_transaction_read_only = on",
}


@pytest.mark.parametrize("what", SETTINGS)
def test_the_sessions_settings(db: Database, what: str) -> None:
    ledger(db)
    checkpoint(db)
    add(db, 13, 14, "acme")
    for setting in SETTINGS[what].split("; "):
        db.run(f"SET {setting}")
    columns = "verdict, entries, basis LIKE 'checkpoint%plus 2 entries%'"
    assert db.rows(f"SELECT {columns} FROM seal.verify_history('acme')") == [("intact", 6, True)]
    assert db.rows(f"SELECT {columns} FROM seal.verify_since_checkpoint()") == [("intact", 2, True)]
