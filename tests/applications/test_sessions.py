"""What a session has set: replication role, isolation, read-only, time zone, search path, time-outs."""

from __future__ import annotations

import pytest

from support.application import assert_recorded
from support.database import Database
from support.sealing import append_only, refused, run


def test_as_a_replica_rows_come_as_they_are_or_not_at_all(app: Database) -> None:
    """In this role nothing is sealed, so a row without seal has no place; one with its seal comes once."""
    app.run("INSERT INTO h (tenant) VALUES ('acme')")
    app.run("CREATE TABLE kept AS TABLE h")
    app.run("SET session_replication_role = replica")
    with refused("23502", 'null value in column "seal_chain" of relation "h" violates not-null constraint'):
        app.run("INSERT INTO h (tenant) VALUES ('acme')")
    with refused("23505", "duplicate key value"):
        app.run("INSERT INTO h TABLE kept")
    with append_only("DELETE"):
        app.run("DELETE FROM h")
    app.run("SET session_replication_role = local")
    app.run("INSERT INTO h (tenant) VALUES ('acme')")
    app.run("RESET session_replication_role")
    app.run("INSERT INTO h (tenant) VALUES ('acme')")
    assert_recorded(app, 3)


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_read_then_write(app: Database, level: str) -> None:
    """Two sessions at once that append according to what they read: at SERIALIZABLE one is told to try again."""
    first, second = app.connect(), app.connect()
    for session in (first, second):
        run(session, f"BEGIN ISOLATION LEVEL {level}")
        session.execute("SELECT count(*) FROM h").fetchall()
    run(first, "INSERT INTO h (tenant) VALUES ('acme')", "COMMIT")
    if level == "SERIALIZABLE":
        with refused("40001", "could not serialize access", "might succeed if retried"):
            run(second, "INSERT INTO h (tenant) VALUES ('umbrella')", "COMMIT")
        run(second, "ROLLBACK", f"BEGIN ISOLATION LEVEL {level}")
    run(second, "INSERT INTO h (tenant) VALUES ('umbrella')", "COMMIT")
    assert_recorded(app, 2)


def test_a_session_that_reads_only(app: Database) -> None:
    app.run("SET default_transaction_read_only = on")
    with refused("25006", "cannot execute INSERT in a read-only transaction"):
        app.run("INSERT INTO h DEFAULT VALUES")
    with refused("25006", "cannot execute COPY FROM in a read-only transaction"):
        app.run("COPY h (tenant) FROM PROGRAM 'echo acme'")
    run(app.connection, "RESET default_transaction_read_only", "INSERT INTO h DEFAULT VALUES")
    assert_recorded(app, 1)


def test_settings_of_clients_all_over_the_world(app: Database) -> None:
    """What is signed does not depend on how a session shows it."""
    worlds = ["TimeZone=Asia/Kathmandu", "DateStyle=German", "IntervalStyle=iso_8601", "extra_float_digits=-15",
              "bytea_output=escape", "search_path=", "client_encoding=LATIN1", "standard_conforming_strings=off",
              "transform_null_equals=on", "xmlbinary=hex"]  # fmt: skip
    app.run("ALTER TABLE h ADD COLUMN f float8 DEFAULT 0.1234567890123456, ADD COLUMN b bytea DEFAULT '\\x01ff'")
    for world in worlds:
        session = app.connect(options=f"-c {world}")
        session.execute("INSERT INTO public.h (tenant, at) VALUES ('acme', '2026-03-29 02:30:00+01')")
    assert_recorded(app, len(worlds))


def test_a_statement_that_is_cancelled(app: Database) -> None:
    """After it has sealed three rows: none of them is there, and their positions are taken again."""
    session = app.connect()
    session.execute("SET statement_timeout = 300")
    with refused("57014", "canceling statement due to statement timeout"):
        session.execute("INSERT INTO h (id) SELECT g FROM generate_series(1, 4) g WHERE g < 4 OR pg_sleep(300) IS NULL")
    session.execute("RESET statement_timeout")
    session.execute("INSERT INTO h (tenant) VALUES ('acme')")
    assert_recorded(app, 1)


def test_temporary_tables_and_stacked_transactions(app: Database) -> None:
    """A staging table that ends with the transaction, as loaders use it."""
    run(app.connection, "BEGIN", "CREATE TEMP TABLE staged (LIKE h INCLUDING DEFAULTS) ON COMMIT DROP")
    app.run("""ALTER TABLE staged DROP COLUMN seal_chain, DROP COLUMN seal_seq, DROP COLUMN seal_epoch,
               DROP COLUMN seal_anchor, DROP COLUMN seal_at, DROP COLUMN seal_prev, DROP COLUMN seal_mac""")
    run(app.connection, "COPY staged (id, tenant) FROM PROGRAM 'printf \"1\\tacme\\n2\\tumbrella\\n\"'")
    run(app.connection, "INSERT INTO h (id, tenant, at, payload) TABLE staged", "COMMIT")
    assert_recorded(app, 2)
