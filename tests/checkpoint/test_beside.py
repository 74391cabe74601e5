"""No false alarm: transactions that are open, prepared, rolled back or older than it, and writers beside runs."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from support.checkpointing import add, answer, assert_full, assert_rests, checkpoint, ledger, since
from support.cluster import Cluster
from support.database import Database
from support.sealing import background, value
from support.servers import watched

MINE = "SELECT (verdict, entries, basis LIKE 'checkpoint%')::text FROM seal.verify_history('acme')"
NEW = "SELECT (verdict, entries, basis LIKE 'checkpoint%')::text FROM seal.verify_since_checkpoint()"

# 300 transactions in a second and a half or more.
WRITES = """DO $$ BEGIN FOR row IN {0} + 1 .. {0} + 300 LOOP
                INSERT INTO h VALUES (row, 'acme', 'x'); COMMIT; PERFORM pg_sleep(0.005); END LOOP; END $$"""


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with watched({"pgseal.anchor_interval": "500ms", "max_prepared_transactions": 10}) as server:
        yield server


@pytest.fixture
def db(server: Cluster) -> Iterator[Database]:
    with server.database() as database:
        yield database


def prepare(db: Database, name: str, *rows: int) -> None:
    with db.connect(autocommit=False) as session:
        for row in rows:
            session.execute(f"INSERT INTO h VALUES ({row}, 'acme', 'x')".encode())
        session.execute(f"PREPARE TRANSACTION '{name}'".encode())


def test_prepared_before_it_and_committed_after(db: Database) -> None:
    ledger(db)
    prepare(db, "a", 100, 101)
    checkpoint(db)
    assert_rests(answer(db, "acme"), 4, since=0)
    db.run("COMMIT PREPARED 'a'")
    assert_rests(answer(db, "acme"), 6, since=2)
    prepare(db, "b", 102)
    checkpoint(db)
    db.run("ROLLBACK PREPARED 'b'")
    add(db, 103, 104, "acme")
    assert_rests(answer(db, "acme"), 8, since=2)
    assert_full(answer(db, None), "intact")


def test_rows_that_are_not_stored(db: Database) -> None:
    ledger(db)
    checkpoint(db)
    db.run("INSERT INTO h VALUES (13, 'acme', 'x'), (3, 'acme', 'x') ON CONFLICT DO NOTHING")
    db.run("BEGIN; SAVEPOINT a; INSERT INTO h VALUES (14, 'acme', 'x'); ROLLBACK TO a; COMMIT")
    db.run("BEGIN; INSERT INTO h VALUES (14, 'acme', 'x'); ROLLBACK")
    assert_rests(answer(db, "acme"), 5, since=1)
    assert_rests(since(db), 1, since=1)


def test_inside_a_transaction_that_has_inserted(db: Database) -> None:
    ledger(db)
    checkpoint(db)
    with db.connection.transaction(force_rollback=True):
        add(db, 13, 14, "acme")
        assert_rests(answer(db, "acme"), 6, since=2)
        assert_rests(since(db), 2, since=2)
    assert_rests(answer(db, "acme"), 4, since=0)


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE READ ONLY DEFERRABLE"])
def test_a_transaction_that_is_older(db: Database, level: str) -> None:
    """It is answered from what is there now."""
    ledger(db)
    session = db.connect(autocommit=False)
    session.execute(f"SET TRANSACTION ISOLATION LEVEL {level}".encode())
    assert value(session, "SELECT count(*) FROM h") == 12
    checkpoint(db)
    add(db, 13, 14, "acme")
    assert (value(session, MINE), value(session, NEW)) == ("(intact,6,t)", "(intact,2,t)")
    assert value(session, "SELECT count(*) FROM h") == 12


def test_a_run_in_a_transaction_that_is_older(db: Database) -> None:
    """It cannot leave a checkpoint in the place of one that it does not see, and is told so as the server tells it."""
    ledger(db)
    checkpoint(db)
    session = db.connect(autocommit=False)
    session.execute(b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    assert value(session, "SELECT count(*) FROM h") == 12
    checkpoint(db)
    with pytest.raises(psycopg.errors.SerializationFailure):
        session.execute(b"SELECT seal.verify_and_prune('h')")
    session.rollback()
    assert_rests(answer(db, "acme"), 4, since=0)


def test_a_run_with_rows_of_its_own(db: Database) -> None:
    """The checkpoint has them, and comes and goes with them."""
    ledger(db)
    first = checkpoint(db)
    with db.connection.transaction(force_rollback=True):
        add(db, 13, 13, "acme")
        checkpoint(db)
        add(db, 14, 14, "acme")
        assert_rests(answer(db, "acme"), 6, since=1)
    line = answer(db, "acme")
    assert_rests(line, 4, since=0)
    assert f"(run {first}:" in line["basis"]
    with db.connection.transaction():
        add(db, 13, 13, "acme")
        with db.connection.transaction(force_rollback=True):
            checkpoint(db)
        add(db, 14, 14, "acme")
    assert_rests(answer(db, "acme"), 6, since=2)
    with db.connection.transaction():
        add(db, 15, 15, "acme")
        checkpoint(db)
    assert_rests(answer(db, "acme"), 7, since=0)
    assert_full(answer(db, None), "intact")


def test_runs_and_checks_beside_writers(db: Database) -> None:
    ledger(db)
    checkpoint(db)
    verifier, checker = db.connect(), db.connect()
    with background() as start:
        writers = [start(db.connect(), WRITES.format(first)) for first in (1_000, 2_000, 3_000)]
        rounds = 0
        while not all(writer.done() for writer in writers):
            checkpoint(db)
            assert value(verifier, MINE).startswith("(intact,")
            assert value(checker, NEW).endswith(",t)") and value(checker, NEW).startswith("(intact,")
            assert db.value("SELECT seal.is_intact('acme')")
            rounds += 1
        for writer in writers:
            writer.result()
    assert rounds > 1
    checkpoint(db)
    assert_rests(answer(db, "acme"), 904, since=0)
