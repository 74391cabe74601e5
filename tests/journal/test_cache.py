"""seal.history and seal.epoch are the journal's cache: a row that is authentic but not what the journal says is found.

What a superuser can have without the key: older rows, rows of transactions that he rolled back, rows that another
database wrote for a history of the same id.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from support.cluster import Cluster
from support.database import Database
from support.journaling import chain, found, keep, kinds, put_back
from support.refusal import refusal
from support.sealing import attach, history, run
from support.tampering import ALTERED, assert_intact, records

Row = dict[str, Any]


@pytest.fixture
def h(db: Database) -> Database:
    history(db, columns="id int PRIMARY KEY, tenant text")
    db.run("INSERT INTO h VALUES (1, 'acme'), (2, 'globex')")
    return db


def details(db: Database, table: str | None = "h") -> list[str]:
    return [str(f["detail"]) for f in records(db, history=table) if f["kind"] == "configuration_altered"]


def rolled_back(db: Database, *statements: str) -> tuple[list[Row], list[Row]]:
    """The rows of seal.history and seal.epoch that a transaction saw before it was rolled back."""
    with db.connection.transaction(force_rollback=True):
        run(db.connection, *statements)
        return (
            db.records("SELECT to_jsonb(h) AS row FROM seal.history h"),
            db.records("SELECT to_jsonb(e) AS row FROM seal.epoch e"),
        )


def replace(db: Database, table: str, rows: list[Row]) -> None:
    db.run(f"DELETE FROM seal.{table}")
    for row in rows:
        db.rows(
            f"INSERT INTO seal.{table} SELECT * FROM jsonb_populate_record(NULL::seal.{table}, %s) RETURNING 1",
            [Jsonb(row["row"])],
        )


def test_an_older_row_of_the_history(h: Database) -> None:
    """With a matching older state of the epochs, too."""
    keep(h)
    h.run("ALTER TABLE h ADD COLUMN more int")
    put_back(h, "history")
    newest = "the number of the newest epoch of this history in seal.history is not the one in the journal"
    assert details(h) == [newest]
    (finding,) = [f for f in records(h) if f["detail"] == newest]
    assert (finding["expected"], finding["found"]) == ("2", "1")
    put_back(h, "epoch")
    assert details(h) == [newest, "the record of epoch 2 in seal.epoch is not the one in the journal"]


def test_settings_of_a_transaction_that_was_rolled_back(h: Database) -> None:
    """Detached and attached again with other settings, under the same id, in a transaction that never was."""
    number = h.value("SELECT history_id FROM seal.history")
    (row,), epochs = rolled_back(
        h,
        "SELECT seal.detach('h')",
        "DELETE FROM seal.epoch",
        "DELETE FROM seal.history",
        *(f"ALTER TABLE h DROP COLUMN {name}" for name in _seal_columns(h)),
        f"SELECT seal.attach('h', 'tenant', 7, 99, existing => 'seal', history_id => '{number}')",
    )
    assert details(h) == []
    replace(h, "history", [row])
    replace(h, "epoch", epochs)
    found_details = details(h)
    for what in ("max_chains", "window_months", "number of the newest epoch", "time of attachment"):
        assert f"the {what} of this history in seal.history is not the one in the journal" in found_details
    assert "the record of epoch 1 in seal.epoch is not the one in the journal" in found_details
    assert "the record of epoch 2 in seal.epoch is not in the journal" in found_details


def _seal_columns(db: Database) -> list[str]:
    query = "SELECT attname FROM pg_attribute WHERE attrelid = 'h'::regclass AND attname LIKE 'seal\\_%%' ORDER BY 1"
    return [name for (name,) in db.rows(query, [])]


def test_an_epoch_of_a_transaction_that_was_rolled_back(h: Database) -> None:
    rows, epochs = rolled_back(h, "ALTER TABLE h ADD COLUMN more int")
    replace(h, "epoch", epochs)
    assert details(h) == ["the record of epoch 2 in seal.epoch is not in the journal"]
    replace(h, "history", rows)
    assert "the number of the newest epoch of this history in seal.history is not the one in the journal" in details(h)


def test_a_history_of_a_transaction_that_was_rolled_back(h: Database) -> None:
    """A table attached, filled, rolled back; then its rows and records put there."""
    h.run("CREATE TABLE g (id int)")
    rows, epochs = rolled_back(h, "SELECT seal.attach('g')")
    replace(h, "history", rows)
    replace(h, "epoch", epochs)
    ours = [f for f in records(h) if f["history"] == "public.g"]
    assert "the journal has no entry of this history" in [f["detail"] for f in ours]
    assert details(h) == []


def test_an_epoch_removed(h: Database) -> None:
    h.run("ALTER TABLE h ADD COLUMN more int")
    assert_intact(h)
    h.run("DELETE FROM seal.epoch WHERE epoch = 1")
    assert details(h) == ["the record of epoch 1 was removed from seal.epoch"]


# -- detached, or not -------------------------------------------------------------------------------------------------


def forge_detach(db: Database, marks: Row) -> None:
    db.run(
        "UPDATE seal.history SET detached_at = %(detached_at)s, detached_by = %(detached_by)s,"
        " detach_mac = %(detach_mac)s WHERE history_id = %(history_id)s",
        marks,
    )


def marks_of(db: Database) -> Row:
    (marks,) = db.records("SELECT history_id, detached_at, detached_by, detach_mac FROM seal.history")
    return marks


@pytest.mark.parametrize("triggers", ["kept", "dropped", "table dropped"])
def test_a_detachment_that_was_rolled_back_is_none(h: Database, triggers: str) -> None:
    """Its mark is authentic, but the journal has the history as attached."""
    with h.connection.transaction(force_rollback=True):
        h.run("SELECT seal.detach('h')")
        marks = marks_of(h)
    forge_detach(h, marks)
    h.run("SET session_replication_role = replica")
    if triggers == "dropped":
        for name in ("seal", "guard", "truncate"):
            h.run(f"DROP TRIGGER zzz_pgseal_{name} ON h")
        h.run("DELETE FROM h WHERE id = 1")
    if triggers == "table dropped":
        h.run("DROP TABLE h")
    h.run("RESET session_replication_role")
    assert kinds(h) == ["epoch", "attach"]
    assert {verdict for (verdict,) in h.rows("SELECT verdict FROM seal.verify_history()")} == {"tampered"}
    assert ALTERED in found(h)
    assert h.value("SELECT seal.is_intact()") is False


def test_a_detachment_of_another_database_is_none(cluster: Cluster, h: Database) -> None:
    """A history of the same id is attached and detached elsewhere, with the same key."""
    number = h.value("SELECT history_id FROM seal.history")
    with cluster.database() as elsewhere:
        history(elsewhere, options=f"history_id => '{number}'")
        elsewhere.run("SELECT seal.detach('h')")
        marks = marks_of(elsewhere)
    forge_detach(h, marks)
    h.run("SET session_replication_role = replica")
    for name in ("seal", "guard", "truncate"):
        h.run(f"DROP TRIGGER zzz_pgseal_{name} ON h")
    h.run("RESET session_replication_role")
    assert ALTERED in found(h)


def test_a_detachment_undone(h: Database) -> None:
    """Marked as attached again: the journal has it as detached."""
    h.run("SELECT seal.detach('h')")
    h.run("UPDATE seal.history SET detached_at = NULL, detached_by = NULL, detach_mac = NULL")
    assert "this history was detached, but seal.history has it as attached" in details(h)


def test_a_detachment_undone_and_everything_of_the_table_put_back(h: Database) -> None:
    """Triggers and NOT NULL as well, so that rows are sealed again in silence."""
    triggers = [text for (text,) in h.rows(
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'h'::regclass AND NOT tgisinternal"
    )]  # fmt: skip
    h.run("SELECT seal.detach('h')")
    h.run("SET session_replication_role = replica")
    run(h.connection, *triggers, *(f"ALTER TABLE h ALTER COLUMN {name} SET NOT NULL" for name in _seal_columns(h)))
    run(h.connection, *(f"ALTER TABLE h ENABLE ALWAYS TRIGGER zzz_pgseal_{name}" for name in ("guard", "truncate")))
    h.run("RESET session_replication_role")
    h.run("UPDATE seal.history SET detached_at = NULL, detached_by = NULL, detach_mac = NULL")
    assert details(h) == ["this history was detached, but seal.history has it as attached"]


@pytest.fixture(scope="module")
def _detached(cluster: Cluster) -> Iterator[Database]:
    with cluster.database() as database:
        history(database)
        database.run("INSERT INTO h VALUES (1, 'x')")
        database.run("SELECT seal.detach('h')")
        yield database


@pytest.fixture
def detached(_detached: Database) -> Iterator[Database]:
    """The only history was detached; what a test does is rolled back."""
    assert found(_detached) == []
    with _detached.connection.transaction(force_rollback=True):
        yield _detached
    assert found(_detached) == []
    assert _detached.rows("SELECT verdict FROM seal.verify_history()") == [("nothing_sealed",)]


@pytest.mark.parametrize(
    "change",
    [
        "detached_at = detached_at + interval '1 second'",
        "detached_by = 'somebody'",
        "detach_mac = NULL",
        "detach_mac = sha256('x')",
        "attached_by = 'somebody'",
        "epoch = 2",
    ],
)
def test_a_real_detachment_changed(detached: Database, change: str) -> None:
    detached.run(f"UPDATE seal.history SET {change}")
    assert ALTERED in found(detached)
    assert detached.value("SELECT seal.is_intact()") is False


# -- detached, nothing else left --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attack", "kind", "position"),
    [
        ("UPDATE seal.journal SET who = 'somebody' WHERE kind = 'detach'", "modified", 3),
        ("UPDATE seal.journal SET sentence = 'x' WHERE seq = 1", "modified", 1),
        ("DELETE FROM seal.journal WHERE seq = 1", "missing", 1),
        ("DELETE FROM seal.journal WHERE kind = 'detach'", "truncated", 3),
    ],
)
def test_the_journal_counts_also_where_no_history_is_left(
    detached: Database, attack: str, kind: str, position: int
) -> None:
    place = (kind, f"journal {chain(detached)}", position, None)
    detached.run(attack)
    assert place in found(detached)
    assert set(detached.rows("SELECT verdict FROM seal.verify_history()")) == {("tampered",)}


# -- detached and attached again --------------------------------------------------------------------------------------


@pytest.fixture
def again(h: Database) -> Iterator[tuple[Database, str]]:
    """Detached, a row changed at leisure, attached again as a baseline; with the earlier history's id."""
    earlier = str(h.value("SELECT history_id FROM seal.history"))
    h.run("SELECT seal.detach('h')")
    h.run("UPDATE h SET tenant = 'other' WHERE id = 1")
    run(h.connection, *(f"ALTER TABLE h DROP COLUMN {name}" for name in _seal_columns(h)))
    attach(h, "h", "existing => 'seal'")
    yield h, earlier


def test_a_baseline_names_the_earlier_history(again: tuple[Database, str]) -> None:
    db, earlier = again
    assert kinds(db) == ["epoch", "attach", "detach", "epoch", "epoch", "attach"]
    (entry,) = db.records("SELECT sentence, details, history_id FROM seal.journal WHERE kind = 'attach' AND seq > 3")
    assert entry["sentence"] == f"public.h was attached with its rows as a baseline; it was history {earlier} before"
    assert entry["details"]["earlier"] == [earlier]
    assert str(entry["history_id"]) != earlier
    assert_intact(db)
    basis = db.value("SELECT basis FROM seal.verify_history()")
    assert basis.endswith(f"; the table was history {earlier} before it was attached anew")


def test_all_earlier_histories_are_named(again: tuple[Database, str]) -> None:
    db, earlier = again
    second = db.value("SELECT history_id::text FROM seal.history WHERE detached_at IS NULL")
    db.run("SELECT seal.detach('h')")
    run(db.connection, *(f"ALTER TABLE h DROP COLUMN {name}" for name in _seal_columns(db)))
    attach(db, "h", "existing => 'seal'")
    basis = db.value("SELECT basis FROM seal.verify_history()")
    assert basis.endswith(f"; the table was history {earlier}, {second} before it was attached anew")


def test_the_earlier_history_cannot_be_forgotten(again: tuple[Database, str]) -> None:
    """Its row and its records removed: the journal knows of it, and that it was detached."""
    db, earlier = again
    db.run("DELETE FROM seal.history WHERE history_id = %s", [earlier])
    db.run("DELETE FROM seal.epoch WHERE history_id = %s", [earlier])
    assert earlier in db.value("SELECT basis FROM seal.verify_history(history => 'h')")
    assert ALTERED in found(db)


def test_entries_of_the_earlier_history_are_nobodys(h: Database) -> None:
    """Its columns are still there: attach refuses, or the entries would look sealed."""
    h.run("SELECT seal.detach('h')")
    refused = refusal(h, "SELECT seal.attach('h', existing => 'seal')")
    assert refused.state in ("42701", "55000")
    assert "seal_" in refused.text
    assert kinds(h) == ["epoch", "attach", "detach"]
