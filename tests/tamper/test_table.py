"""The table itself: its triggers changed, gone, made again, with children, not permanent, its catalog altered."""

from __future__ import annotations

import pytest

from support.database import Database
from support.tampering import ALTERED, History, assert_intact, records

TRIGGERS = ["zzz_pgseal_seal", "zzz_pgseal_guard", "zzz_pgseal_truncate"]


def set_mode(history: History, trigger: str, mode: str) -> None:
    history.database.run(
        "UPDATE pg_trigger SET tgenabled = %s WHERE tgrelid = 'ledger'::regclass AND tgname = %s", [mode, trigger]
    )


@pytest.mark.parametrize("mode", ["D", "R", "other"])
@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_trigger_fires_at_other_times(ledger: History, trigger: str, mode: str) -> None:
    right = "O" if trigger.endswith("seal") else "A"
    set_mode(ledger, trigger, {"O": "A", "A": "O"}[right] if mode == "other" else mode)
    (finding,) = ledger.expect(ALTERED)
    assert "is missing, disabled or changed" in finding["detail"]
    set_mode(ledger, trigger, right)


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_trigger_dropped(ledger: History, trigger: str) -> None:
    with ledger.database.connection.transaction(force_rollback=True):
        ledger.database.run("SET LOCAL session_replication_role = replica")
        ledger.database.run(f"DROP TRIGGER {trigger} ON ledger")
        ledger.expect(ALTERED)


def test_a_trigger_with_a_condition(ledger: History) -> None:
    """It is there and enabled, and never fires."""
    with ledger.database.connection.transaction(force_rollback=True):
        ledger.database.run("SET LOCAL session_replication_role = replica")
        ledger.database.run("DROP TRIGGER zzz_pgseal_seal ON ledger")
        ledger.database.run(
            "CREATE TRIGGER zzz_pgseal_seal BEFORE INSERT ON ledger FOR EACH ROW WHEN (false)"
            " EXECUTE FUNCTION seal.seal_entry()"
        )
        ledger.expect(ALTERED)


def test_a_trigger_with_a_function_of_the_same_name(ledger: History) -> None:
    with ledger.database.connection.transaction(force_rollback=True):
        ledger.database.run("SET LOCAL session_replication_role = replica")
        ledger.database.run("DROP TRIGGER zzz_pgseal_guard ON ledger")
        ledger.database.run(
            "CREATE FUNCTION public.refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
        )
        ledger.database.run(
            "CREATE TRIGGER zzz_pgseal_guard BEFORE UPDATE OR DELETE ON ledger FOR EACH ROW"
            " EXECUTE FUNCTION public.refuse_change()"
        )
        ledger.database.run("ALTER TABLE ledger ENABLE ALWAYS TRIGGER zzz_pgseal_guard")
        ledger.expect(ALTERED)


def test_not_permanent(ledger: History) -> None:
    """It would be empty after a crash, and nobody to blame."""
    with ledger.database.connection.transaction(force_rollback=True):
        ledger.database.run("UPDATE pg_class SET relpersistence = 'u' WHERE oid = 'ledger'::regclass")
        ledger.expect(ALTERED)


@pytest.mark.parametrize("column", ["seal_chain", "seal_at", "seal_anchor"])
def test_a_seal_column_accepts_null(ledger: History, column: str) -> None:
    with ledger.database.connection.transaction(force_rollback=True):
        ledger.database.run("SET LOCAL session_replication_role = replica")
        ledger.database.run(f"ALTER TABLE ledger ALTER COLUMN {column} DROP NOT NULL")
        ledger.expect(ALTERED)


def test_dropped(db: Database) -> None:
    db.run("CREATE TABLE ledger (id int)")
    db.run("SELECT seal.attach('ledger')")
    db.run("INSERT INTO ledger VALUES (1)")
    db.run("SET session_replication_role = replica")
    db.run("DROP TABLE ledger")
    db.run("RESET session_replication_role")
    found = [(f["kind"], f["detail"]) for f in records(db)]
    assert len(found) == 1 and found[0][0] == "configuration_altered" and found[0][1].endswith("is gone")
    assert db.rows("SELECT verdict, entries FROM seal.verify_history()") == [("tampered", 0)]
    # A table of that name is another table.
    db.run("CREATE TABLE ledger (id int)")
    db.run("SELECT seal.attach('ledger')")
    assert [f["kind"] for f in records(db)] == ["configuration_altered"]
    assert db.value("SELECT seal.is_intact()") is False


def test_rows_in_a_child(ledger: History) -> None:
    """They are read with the table, and so they are verified with it."""
    database = ledger.database
    with database.connection.transaction(force_rollback=True):
        database.run("SET LOCAL session_replication_role = replica")  # children are refused otherwise
        database.run("CREATE TABLE child () INHERITS (ledger)")
        database.run("INSERT INTO child SELECT * FROM honest_ledger WHERE id = 5")
        ledger.expect(ledger.at("duplicated", 5))
        database.run("UPDATE child SET note = 'x'")
        ledger.expect(ledger.at("forged", 5))
        database.run("UPDATE child SET seal_seq = 10")
        (finding,) = ledger.expect(ledger.at("forged", 10))
        assert finding["row_key"] == {"id": 5}


def test_what_a_column_was_added_with_changed_in_the_catalog(db: Database) -> None:
    """No row is touched, and every old one shows another value."""
    db.run("CREATE TABLE ledger (id int)")
    db.run("SELECT seal.attach('ledger')")
    db.run("INSERT INTO ledger VALUES (1), (2)")
    db.run("ALTER TABLE ledger ADD COLUMN fee int DEFAULT 7")
    db.run("ALTER TABLE ledger ADD COLUMN bonus int DEFAULT 8")
    db.run("INSERT INTO ledger (id) VALUES (3)")
    assert_intact(db)
    ledger = History(db, "ledger")
    with db.connection.transaction(force_rollback=True):
        db.run(
            "UPDATE pg_attribute a SET attmissingval = b.attmissingval FROM pg_attribute b"
            " WHERE a.attrelid = 'ledger'::regclass AND b.attrelid = a.attrelid"
            " AND a.attname = 'fee' AND b.attname = 'bonus'"
        )
        assert db.rows("SELECT fee FROM ledger ORDER BY id") == [(8,), (8,), (7,)]
        ledger.expect(ledger.at("unknown_column", 1), ledger.at("unknown_column", 2))
    assert_intact(db)
