"""Sealing takes no part in serializable conflicts, and sees what it needs whatever the transaction's snapshot."""

from __future__ import annotations

import pytest

from support.database import Database
from support.sealing import assert_whole, chains, history, owned, refused, run


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("first", ["", "SELECT count(*) FROM unrelated"])
def test_a_chain_goes_on_after_what_the_snapshot_cannot_see(db: Database, level: str, first: str) -> None:
    history(db)
    db.run("CREATE TABLE unrelated (n int)")
    old, other = db.connect(), db.connect()
    run(old, f"BEGIN ISOLATION LEVEL {level}", first or "SELECT 1")
    run(other, "INSERT INTO h VALUES (1, 'x'), (2, 'x')")
    run(old, "INSERT INTO h VALUES (3, 'x'), (3, 'x') ON CONFLICT DO NOTHING", "COMMIT")
    assert chains(db) == [[1, 2, 3]]
    assert_whole(db)


def test_serializable_writers_that_overlap_all_commit(db: Database) -> None:
    history(db)
    sessions = [db.connect() for _ in range(6)]
    for session in sessions:
        run(session, "BEGIN ISOLATION LEVEL SERIALIZABLE")
    for turn in range(3):
        for number, session in enumerate(sessions):
            run(session, f"INSERT INTO h VALUES ({turn * 10 + number}, 'x'), (0, 'x') ON CONFLICT (id) DO NOTHING")
            if number == 0 and turn == 0:
                run(session, "COMMIT", "BEGIN ISOLATION LEVEL SERIALIZABLE")
    assert owned(db) == [0, 1, 2, 3, 4, 5]
    for session in reversed(sessions):
        run(session, "COMMIT")
    assert_whole(db, entries=18)


def test_sealing_leaves_no_serializable_locks(db: Database) -> None:
    history(db, options="max_chains => 1")
    db.run("INSERT INTO h VALUES (1, 'x')")
    session = db.connect()
    run(session, "BEGIN ISOLATION LEVEL SERIALIZABLE")
    run(session, "SAVEPOINT a", "INSERT INTO h VALUES (2, 'x')", "ROLLBACK TO a", "INSERT INTO h VALUES (2, 'x')")
    assert db.value("SELECT count(*) FROM pg_locks WHERE mode = 'SIReadLock'") == 0
    run(session, "COMMIT")


def test_a_real_serialization_failure_is_still_one(db: Database) -> None:
    history(db)
    one, other = db.connect(), db.connect()
    run(one, "BEGIN ISOLATION LEVEL SERIALIZABLE", "SELECT sum(id) FROM h")
    run(other, "BEGIN ISOLATION LEVEL SERIALIZABLE", "SELECT sum(id) FROM h")
    run(one, "INSERT INTO h VALUES (1, 'x')")
    run(other, "INSERT INTO h VALUES (2, 'x')")
    run(one, "COMMIT")
    with refused("40001", "could not serialize access"):
        run(other, "COMMIT")
    run(other, "INSERT INTO h VALUES (3, 'x')")
    assert_whole(db, entries=2)


def test_a_writer_never_waits_while_there_is_a_free_chain(db: Database) -> None:
    """Two histories in opposite order: nobody waits, nobody is a victim."""
    for name in ("a", "b"):
        history(db, name)
    one, other = db.connect(), db.connect()
    for session in (one, other):
        run(session, "SET lock_timeout = '2s'", "BEGIN")
    run(one, "INSERT INTO a VALUES (1, 'x')")
    run(other, "INSERT INTO b VALUES (2, 'x')")
    run(one, "INSERT INTO b VALUES (1, 'x')")
    run(other, "INSERT INTO a VALUES (2, 'x')", "COMMIT")
    run(one, "COMMIT")
    assert chains(db, "a") == chains(db, "b") == [[1], [1]]


def test_a_backend_prefers_the_chain_that_it_used_last(db: Database) -> None:
    history(db)
    one, other = db.connect(), db.connect()
    run(one, "BEGIN", "INSERT INTO h VALUES (1, 'x')")
    run(other, "INSERT INTO h VALUES (2, 'x')")
    run(one, "COMMIT")
    for number in range(3, 6):
        run(other, f"INSERT INTO h VALUES ({number}, 'x')")
    assert chains(db) == [[1], [1, 2, 3, 4]]
    assert_whole(db)
