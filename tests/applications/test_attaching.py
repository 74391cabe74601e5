"""A table becomes a history while applications go on using it, and one ceases to be."""

from __future__ import annotations

from support.application import COLUMNS, OWN_COLUMNS, assert_recorded
from support.database import Database
from support.sealing import SEAL_COLUMNS, attach, refused, run

INSERT = "INSERT INTO h (tenant) VALUES (%s)"


def test_sessions_that_have_prepared_their_inserts(db: Database) -> None:
    """From the next transaction on their rows are sealed; they need not connect again."""
    db.run(f"CREATE TABLE h ({COLUMNS})")
    session = db.connect(prepare_threshold=0)
    for _ in range(3):
        session.execute(INSERT, ["acme"])
    attach(db, options="tenant_column => 'tenant', existing => 'seal'")
    for _ in range(3):
        session.execute(INSERT, ["acme"])
    assert_recorded(db, 6)


def test_sessions_that_have_prepared_select_star(db: Database) -> None:
    """What returns all columns has other ones now: an error, as after any ALTER TABLE, until it is prepared anew."""
    db.run(f"CREATE TABLE h ({COLUMNS})")
    session = db.connect()
    run(session, "PREPARE look AS SELECT * FROM h", "PREPARE add AS INSERT INTO h DEFAULT VALUES RETURNING *")
    run(session, "PREPARE count AS SELECT count(*) FROM h", "EXECUTE look", "EXECUTE count")
    attach(db, options="tenant_column => 'tenant'")
    for statement in ("look", "add"):
        with refused("0A000", "cached plan must not change result type"):
            session.execute(f"EXECUTE {statement}".encode())
    assert session.execute("EXECUTE count").fetchall() == [(0,)]
    run(session, "DEALLOCATE ALL", "PREPARE add AS INSERT INTO h DEFAULT VALUES RETURNING *", "EXECUTE add")
    assert_recorded(db, 1)


def test_views_and_functions_that_were_there_before(db: Database) -> None:
    """A view of SELECT * keeps the columns that it was made with; what returns the row type has the new ones."""
    db.run(f"CREATE TABLE h ({COLUMNS}); CREATE VIEW v AS SELECT * FROM h")
    db.run("CREATE FUNCTION f() RETURNS SETOF h LANGUAGE sql AS 'SELECT * FROM h'")
    attach(db, options="tenant_column => 'tenant'")
    db.run("INSERT INTO v (tenant) VALUES ('acme')")
    assert list(db.records("SELECT * FROM v")[0]) == OWN_COLUMNS
    assert list(db.records("SELECT * FROM f()")[0]) == [*OWN_COLUMNS, *SEAL_COLUMNS]
    assert_recorded(db, 1)


def test_a_history_that_is_given_up(app: Database) -> None:
    """Inserts go on without a change of the application; the columns stay, and are empty in new rows."""
    session = app.connect(prepare_threshold=0)
    session.execute(INSERT, ["acme"])
    app.run("SELECT seal.detach('h')")
    session.execute(INSERT, ["acme"])
    session.execute("UPDATE h SET tenant = 'umbrella' WHERE seal_mac IS NULL")
    assert app.rows("SELECT tenant, seal_seq FROM h ORDER BY id") == [("acme", 1), ("umbrella", None)]
