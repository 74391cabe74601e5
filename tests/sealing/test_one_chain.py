"""max_chains: writers queue as they do for a row, and PostgreSQL's own deadlock detection ends a deadlock."""

from __future__ import annotations

from concurrent.futures import Future

import psycopg
import pytest

from support.database import Database
from support.sealing import assert_whole, background, chains, history, ids, owned, refused, run, wait_until_queued


def test_two_histories_in_opposite_order_are_an_ordinary_deadlock(db: Database) -> None:
    for name in ("a", "b"):
        history(db, name, options="max_chains => 1")
        db.run(f"INSERT INTO {name} VALUES (0, 'x')")
    one, other = db.connect(), db.connect()
    for session in (one, other):
        run(session, "SET deadlock_timeout = '50ms'", "BEGIN")
    run(one, "INSERT INTO a VALUES (1, 'x')")
    run(other, "INSERT INTO b VALUES (2, 'x')")
    with background() as start:
        tries = [start(one, "INSERT INTO b VALUES (1, 'x')"), start(other, "INSERT INTO a VALUES (2, 'x')")]
        errors = [error for error in map(Future.exception, tries) if error]
    assert len(errors) == 1
    assert isinstance(errors[0], psycopg.errors.DeadlockDetected) and errors[0].sqlstate == "40P01"
    for session in (one, other):
        run(session, "COMMIT")  # the victim's is a rollback
    db.run("INSERT INTO a VALUES (9, 'x'); INSERT INTO b VALUES (9, 'x')")
    for name in ("a", "b"):
        assert chains(db, name) == [[1, 2, 3]]
        assert_whole(db, name)


def test_a_deadlock_inside_a_savepoint_costs_only_the_savepoint(db: Database) -> None:
    for name in ("a", "b"):
        history(db, name, options="max_chains => 1")
    one, other = db.connect(), db.connect()
    run(one, "SET deadlock_timeout = '10s'", "BEGIN", "INSERT INTO a VALUES (1, 'x')")
    run(other, "SET deadlock_timeout = '10ms'", "BEGIN", "INSERT INTO b VALUES (2, 'x')", "SAVEPOINT s")
    with background() as start:
        waiting = start(one, "INSERT INTO b VALUES (1, 'x')")
        wait_until_queued(db, one)
        with refused("40P01", "deadlock detected"):
            run(other, "INSERT INTO a VALUES (2, 'x')")
        run(other, "ROLLBACK TO s", "INSERT INTO b VALUES (3, 'x')", "COMMIT")
        waiting.result()
    run(one, "COMMIT")
    assert (ids(db, "a"), ids(db, "b")) == ([1], [2, 3, 1])
    assert_whole(db, "a")
    assert_whole(db, "b")


def test_writers_queue_in_the_order_in_which_they_came_and_pg_locks_shows_it(db: Database) -> None:
    history(db, options="max_chains => 1")
    owner, *rivals = [db.connect() for _ in range(4)]
    run(owner, "BEGIN", "INSERT INTO h VALUES (0, 'x')")
    with background() as start:
        waiting = []
        for number, rival in enumerate(rivals, start=1):
            waiting.append(start(rival, f"INSERT INTO h VALUES ({number}, 'x')"))
            wait_until_queued(db, rival)
        shown = db.rows(
            """SELECT locktype, classid::regclass::text, objid::regclass::text, objsubid, mode, granted, count(*)
                 FROM pg_locks WHERE locktype = 'object' AND objid = 'h'::regclass
                GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 6"""
        )
        assert shown == [
            ("object", "seal.history", "h", 0, "ExclusiveLock", False, 3),
            ("object", "seal.history", "h", 0, "ExclusiveLock", True, 1),
        ]
        blocked = db.rows(
            "SELECT wait_event_type, wait_event, pg_blocking_pids(pid) FROM pg_stat_activity WHERE pid = %s",
            [rivals[0].info.backend_pid],
        )
        assert blocked == [("Lock", "object", [owner.info.backend_pid])]
        run(owner, "COMMIT")
        for future in waiting:
            future.result()
    assert ids(db) == [0, 1, 2, 3]
    assert_whole(db, entries=4)


@pytest.mark.parametrize(
    ("setting", "sqlstate", "message"),
    [("lock_timeout", "55P03", "lock timeout"), ("statement_timeout", "57014", "statement timeout")],
)
def test_a_timeout_or_cancel_while_queued_leaves_the_chain_whole(
    db: Database, setting: str, sqlstate: str, message: str
) -> None:
    history(db, options="max_chains => 1")
    owner, rival = db.connect(), db.connect()
    run(owner, "BEGIN", "INSERT INTO h VALUES (1, 'x')")
    run(rival, f"SET {setting} = '50ms'", "BEGIN", "SAVEPOINT s")
    with refused(sqlstate, message):
        run(rival, "INSERT INTO h VALUES (2, 'x')")
    run(rival, "ROLLBACK TO s")
    run(owner, "COMMIT")
    run(rival, "INSERT INTO h VALUES (3, 'x')", "COMMIT")
    assert ids(db) == [1, 3]
    assert_whole(db)


def test_as_many_chains_as_allowed_and_then_the_queue(db: Database) -> None:
    history(db, options="max_chains => 3")
    sessions = [db.connect() for _ in range(4)]
    for number, session in enumerate(sessions[:3]):
        run(session, "BEGIN", f"INSERT INTO h VALUES ({number}, 'x')")
    assert owned(db) == [0, 1, 2]
    with background() as start:
        waiting = start(sessions[3], "INSERT INTO h VALUES (3, 'x')")
        wait_until_queued(db, sessions[3])
        assert owned(db) == [0, 1, 2]
        for session in sessions[:3]:
            run(session, "COMMIT")
        waiting.result()
    assert sorted(map(len, chains(db))) == [1, 1, 2]
    assert_whole(db, entries=4)
