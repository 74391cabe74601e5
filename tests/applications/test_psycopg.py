"""psycopg: pipeline mode, executemany, cursors in the server, binary COPY, statements that are prepared."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.types.json import Jsonb

from support.application import assert_recorded
from support.database import Database
from support.sealing import chains, refused

INSERT = "INSERT INTO h (tenant, payload) VALUES (%s, %s)"


def test_a_pipeline_in_a_transaction(app: Database) -> None:
    session = app.connect(autocommit=False)
    with session.pipeline():
        for number in range(200):
            session.execute(INSERT, ["acme", Jsonb({"number": number})])
            if number % 50 == 49:
                session.commit()
    assert_recorded(app, 200)


def test_a_pipeline_in_autocommit(app: Database) -> None:
    """Everything up to a sync is one transaction."""
    session = app.connect()
    with session.pipeline() as pipeline:
        for number in range(30):
            session.execute(INSERT, ["acme", Jsonb(number)])
            if number % 10 == 9:
                pipeline.sync()
    assert app.value("SELECT count(DISTINCT xmin::text) FROM h") == 3
    assert_recorded(app, 30)


def test_a_pipeline_with_an_error_in_the_middle(app: Database) -> None:
    """What stood before the last sync stays, what is after it goes: with it, and up to the next one."""
    session = app.connect()
    with pytest.raises(psycopg.errors.CheckViolation), session.pipeline() as pipeline:
        session.execute(INSERT, ["acme", Jsonb(1)])
        pipeline.sync()
        session.execute(INSERT, ["acme", Jsonb(2)])
        session.execute(INSERT, ["nobody", Jsonb(3)])
        session.execute(INSERT, ["acme", Jsonb(4)])
        pipeline.sync()
    with refused("55000", 'UPDATE is not allowed on history "public.h"', "Insert a new row"), session.pipeline():
        session.execute(INSERT, ["acme", Jsonb(5)])
        session.execute("UPDATE h SET tenant = 'umbrella'")
        session.execute(INSERT, ["acme", Jsonb(6)])
    app.run(INSERT, ["umbrella", Jsonb(7)])
    assert app.value("SELECT array_agg(payload::int ORDER BY id) FROM h") == [1, 7]
    assert_recorded(app, 2)


def test_many_rows_and_what_they_return(app: Database) -> None:
    session = app.connect(autocommit=False)
    rows = [("acme", Jsonb(number)) for number in range(120)]
    with session.cursor() as cursor:
        cursor.executemany(INSERT + " RETURNING seal_seq", rows, returning=True)
        positions = []
        while True:
            positions += [place for (place,) in cursor.fetchall()]
            if not cursor.nextset():
                break
    session.commit()
    assert positions == list(range(1, 121))
    assert_recorded(app, 120)


def test_a_binary_copy(app: Database) -> None:
    copy = b"COPY h (tenant, payload) FROM STDIN (FORMAT binary)"
    with app.connection.cursor() as cursor, cursor.copy(copy) as rows:
        rows.set_types(["text", "jsonb"])
        for number in range(500):
            rows.write_row(["acme" if number % 2 else "umbrella", Jsonb(number)])
    assert_recorded(app, 500)


def test_a_copy_that_the_application_gives_up(app: Database) -> None:
    class GivenUp(Exception):
        pass

    session = app.connect(autocommit=False)
    session.execute(INSERT, ["acme", Jsonb(1)])
    session.commit()
    with pytest.raises(GivenUp), session.cursor() as cursor, cursor.copy("COPY h (tenant) FROM STDIN") as rows:
        for _ in range(10_000):
            rows.write_row(["acme"])
        raise GivenUp
    session.rollback()
    session.execute(INSERT, ["acme", Jsonb(2)])
    session.commit()
    assert_recorded(app, 2)


def test_a_cursor_in_the_server_beside_inserts(app: Database) -> None:
    """It shows the history as it was when it was opened, seal columns too; also WITH HOLD after the commit."""
    app.run("INSERT INTO h (tenant) SELECT 'acme' FROM generate_series(1, 500)")
    session = app.connect(autocommit=False)
    with session.cursor("entries", withhold=True) as cursor:
        cursor.itersize = 100
        cursor.execute("SELECT * FROM h ORDER BY seal_chain, seal_seq")
        columns = [column.name for column in cursor.description or []]
        places = []
        for row in cursor:
            places.append(row[columns.index("seal_seq")])
            if len(places) % 250 == 0:
                session.execute("INSERT INTO h (tenant) VALUES ('umbrella')")
                session.commit()
    session.commit()
    assert places == list(range(1, 501))
    assert_recorded(app, 502)


def test_where_current_of_is_refused(app: Database) -> None:
    app.run("INSERT INTO h (tenant) VALUES ('acme')")
    session = app.connect(autocommit=False)
    for statement in ("UPDATE h SET tenant = 'umbrella'", "DELETE FROM h"):
        with session.cursor("entries") as cursor:
            cursor.execute("SELECT * FROM h FOR UPDATE")
            cursor.fetchone()
            with refused("55000", f'{statement.split()[0]} is not allowed on history "public.h"', "seal.detach("):
                session.execute(f"{statement} WHERE CURRENT OF entries".encode())
            session.rollback()
    assert_recorded(app, 1)


@pytest.mark.parametrize("change", ["ADD COLUMN origin text", "ADD COLUMN origin text NOT NULL DEFAULT 'here'"])
def test_prepared_before_a_column_is_added(app: Database, change: str) -> None:
    """The statement is planned anew: what comes after the column is signed with it."""
    session = app.connect(prepare_threshold=0)
    for number in range(3):
        session.execute(INSERT, ["acme", Jsonb(number)])
    app.run(f"ALTER TABLE h {change}")
    for number in range(3):
        session.execute(INSERT, ["acme", Jsonb(number)])
    assert app.rows("SELECT seal_epoch, count(*) FROM h GROUP BY 1 ORDER BY 1") == [(1, 3), (2, 3)]
    assert_recorded(app, 6)


def test_sessions_side_by_side_take_chains_of_their_own(app: Database) -> None:
    first, second = app.connect(autocommit=False), app.connect(autocommit=False)
    for number in range(5):
        first.execute(INSERT, ["acme", Jsonb(number)])
        second.execute(INSERT, ["umbrella", Jsonb(number)])
    second.commit()
    first.commit()
    assert chains(app) == [[1, 2, 3, 4, 5]] * 2
    assert_recorded(app, 10)


def test_notifications_of_triggers(app: Database) -> None:
    """AFTER INSERT, of rows and of statements; the notification comes with the commit and may carry the mac."""
    app.run("""CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
               BEGIN PERFORM pg_notify('entries', NEW.id || ' ' || encode(NEW.seal_mac, 'hex')); RETURN NULL; END $$;
               CREATE TRIGGER tell AFTER INSERT ON h FOR EACH ROW EXECUTE FUNCTION tell();
               CREATE FUNCTION count_new() RETURNS trigger LANGUAGE plpgsql AS $$
               BEGIN PERFORM pg_notify('statements', (SELECT count(*) FROM new_rows)::text); RETURN NULL; END $$;
               CREATE TRIGGER counted AFTER INSERT ON h REFERENCING NEW TABLE AS new_rows
                   FOR EACH STATEMENT EXECUTE FUNCTION count_new()""")
    listener = app.connect()
    listener.execute("LISTEN entries")
    listener.execute("LISTEN statements")
    app.run("BEGIN; INSERT INTO h (tenant) VALUES ('acme'); ROLLBACK")
    app.run("INSERT INTO h (tenant) VALUES ('acme'), ('umbrella')")
    heard = [(note.channel, note.payload) for note in listener.notifies(timeout=60, stop_after=3)]
    stored = app.rows("SELECT 'entries', id || ' ' || encode(seal_mac, 'hex') FROM h ORDER BY id")
    assert sorted(heard) == sorted([*stored, ("statements", "2")])
    assert_recorded(app, 2)
