"""Foreign keys: rows that point at entries, entries that point at rows, and what must not follow from it."""

from __future__ import annotations

import pytest

from support.application import assert_recorded
from support.database import Database
from support.refusal import refused_without_trace
from support.sealing import append_only, assert_whole, refused, run


def test_rows_that_point_at_entries(app: Database) -> None:
    app.run("CREATE TABLE note (id int PRIMARY KEY, entry bigint NOT NULL REFERENCES h ON DELETE CASCADE)")
    app.run("""WITH entry AS (INSERT INTO h (tenant) VALUES ('acme'), ('acme') RETURNING id)
               INSERT INTO note SELECT id * 10, id FROM entry""")
    with refused("23503", 'violates foreign key constraint "note_entry_fkey"'):
        app.run("INSERT INTO note VALUES (99, 99)")
    app.run("DELETE FROM note WHERE id = 10")
    with append_only("DELETE"):
        app.run("DELETE FROM h WHERE id = 2")
    with append_only("TRUNCATE"):
        app.run("TRUNCATE h CASCADE")
    assert app.rows("SELECT id FROM note") == [(20,)]
    assert_recorded(app, 2)


def test_rows_that_point_at_the_place_of_an_entry(app: Database) -> None:
    """The seal index is a unique index like any other."""
    app.run("ALTER TABLE h ADD UNIQUE (seal_mac)")
    app.run("CREATE TABLE receipt (mac bytea REFERENCES h (seal_mac))")
    app.run("WITH entry AS (INSERT INTO h DEFAULT VALUES RETURNING seal_mac) INSERT INTO receipt SELECT * FROM entry")
    with refused("23503", "violates foreign key constraint"):
        app.run(r"INSERT INTO receipt VALUES ('\x00')")
    assert_recorded(app, 1)


def test_entries_that_point_at_rows(db: Database) -> None:
    db.run("""CREATE TABLE person (id int PRIMARY KEY); INSERT INTO person VALUES (1), (2), (3);
              CREATE TABLE h (id int, person int NOT NULL REFERENCES person); SELECT seal.attach('h')""")
    db.run("INSERT INTO h VALUES (1, 1), (2, 2)")
    with refused("23503", 'violates foreign key constraint "h_person_fkey"'):
        db.run("INSERT INTO h VALUES (3, 1), (4, 9)")
    for statement in ("DELETE FROM person WHERE id = 1", "UPDATE person SET id = 10 WHERE id = 1"):
        with refused("23503", 'on table "person" violates foreign key constraint "h_person_fkey" on table "h"'):
            db.run(statement)
    db.run("DELETE FROM person WHERE id = 3")
    db.run("INSERT INTO h VALUES (5, 2)")
    assert_whole(db, entries=3)


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "SET DEFAULT"])
def test_what_would_change_entries_is_refused_before(db: Database, action: str) -> None:
    db.run(f"""CREATE TABLE person (id int PRIMARY KEY);
               CREATE TABLE h (id int, person int CONSTRAINT away REFERENCES person ON DELETE {action})""")
    said = refused_without_trace(db, "h", "SELECT seal.attach('h')")
    assert (said.state, '"away"' in said.message) == ("0A000", True)
    db.run(said.hint.partition(": ")[2].rstrip("."))
    db.run("SELECT seal.attach('h')")
    assert refused_without_trace(
        db, "h", f"ALTER TABLE h ADD FOREIGN KEY (id) REFERENCES person ON DELETE {action}"
    ).state == "0A000"  # fmt: skip
    db.run("INSERT INTO person VALUES (1); INSERT INTO h VALUES (1, 1)")
    assert_whole(db, entries=1)


def test_a_history_that_points_at_itself(app: Database) -> None:
    app.run("ALTER TABLE h ADD COLUMN corrects bigint REFERENCES h (id)")
    app.run("INSERT INTO h (id, corrects) VALUES (1, NULL), (2, 1), (3, 3)")
    with refused("23503", 'violates foreign key constraint "h_corrects_fkey"'):
        app.run("INSERT INTO h (id, corrects) VALUES (4, 3), (5, 99)")
    app.run("INSERT INTO h (id, corrects) VALUES (6, 3)")
    assert_recorded(app, 4)


def test_constraints_that_are_checked_at_the_end(db: Database) -> None:
    """What a deferred key or constraint trigger refuses at COMMIT was never stored."""
    db.run("""CREATE TABLE person (id int PRIMARY KEY);
              CREATE TABLE h (id int UNIQUE DEFERRABLE, person int REFERENCES person DEFERRABLE);
              SELECT seal.attach('h');
              CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$
              BEGIN IF NEW.id < 0 THEN RAISE check_violation; END IF; RETURN NULL; END $$;
              CREATE CONSTRAINT TRIGGER judged AFTER INSERT ON h DEFERRABLE FOR EACH ROW EXECUTE FUNCTION judge()""")
    session = db.connect()
    run(
        session, "BEGIN", "SET CONSTRAINTS ALL DEFERRED", "INSERT INTO h VALUES (1, 1)", "INSERT INTO person VALUES (1)"
    )
    run(session, "COMMIT")
    for row, state in (("(2, 9)", "23503"), ("(1, 1)", "23505"), ("(-1, 1)", "23514")):
        run(session, "BEGIN", "SET CONSTRAINTS ALL DEFERRED", f"INSERT INTO h VALUES (50, 1), {row}, (60, 1)")
        with refused(state, ""):
            session.execute("COMMIT")
        run(session, "BEGIN", "SET CONSTRAINTS ALL DEFERRED", "INSERT INTO h VALUES (70, 1)", "SAVEPOINT s")
        session.execute(f"INSERT INTO h VALUES {row}".encode())
        with refused(state, ""):
            session.execute("SET CONSTRAINTS ALL IMMEDIATE")
        run(session, "ROLLBACK TO s", "ROLLBACK")
    run(session, "INSERT INTO h VALUES (2, 1)")
    assert_whole(db, entries=2)
