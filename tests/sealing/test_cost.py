"""What sealing does not cost: dead rows, locks on leaves that are not touched, a slow first insert after a start."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from support.database import Database
from support.sealing import assert_whole, chains, history, partitioned, run, wait_for
from support.servers import watched

LEAVES = 1000
SECONDS = 5.0


def test_sealing_under_a_long_snapshot_leaves_no_dead_rows(db: Database) -> None:
    history(db)
    reader = db.connect()
    run(reader, "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM h")
    writer = db.connect()
    for number in range(300):
        run(writer, f"INSERT INTO h VALUES ({number}, 'x')")
    run(writer, "SELECT pg_stat_force_next_flush()")
    wait_for(db, "SELECT n_tup_ins = 300 FROM pg_stat_all_tables WHERE relid = 'h'::regclass")
    tables = db.rows(
        """SELECT relid::regclass::text, n_tup_upd + n_tup_del + n_dead_tup FROM pg_stat_all_tables
            WHERE relid = 'h'::regclass OR schemaname = 'seal' ORDER BY 1"""
    )
    # seal.history is written by attach itself, which opens the first epoch.
    assert {name for name, changed in tables if changed} <= {"seal.history"}
    before = db.value("SELECT n_tup_upd + n_tup_ins FROM pg_stat_all_tables WHERE relid = 'seal.history'::regclass")
    assert before <= 2
    assert_whole(db, entries=300)


@pytest.fixture(scope="module")
def wide() -> Iterator[Database]:
    """A history of 1,000 leaves, a row in every tenth, on a server that has just been started."""
    with watched({"max_locks_per_transaction": 256}) as server:
        db = server.createdb()
        db.run("CREATE EXTENSION pgseal")
        partitioned(db, leaves=LEAVES)
        db.run(f"INSERT INTO h SELECT g, g, 'x' FROM generate_series(0, {LEAVES - 1}, 10) g")
        server.restart()
        yield db


def test_the_first_insert_into_a_thousand_leaves_is_quick_and_locks_one(wide: Database) -> None:
    session = wide.connect()
    pid = session.info.backend_pid
    run(session, "BEGIN")
    started = time.monotonic()
    run(session, "INSERT INTO h VALUES (1, 7, 'x')")
    assert time.monotonic() - started < SECONDS
    locked = wide.rows(
        """SELECT DISTINCT relation::regclass::text FROM pg_locks
            WHERE pid = %s AND relation::regclass::text ~ '^h' ORDER BY 1""",
        [pid],
    )
    assert locked == [("h",), ("h7",)]
    run(session, "COMMIT")
    assert chains(wide) == [list(range(1, LEAVES // 10 + 2))]
    assert_whole(wide, entries=LEAVES // 10 + 1)
