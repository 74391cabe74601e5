"""Sessions that are killed, and servers that crash: what was committed is there, the chains are whole and go on."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from support.database import Database
from support.sealing import (
    assert_whole,
    background,
    chains,
    history,
    ids,
    owned,
    run,
    wait_for,
    wait_until_queued,
)
from support.servers import Servers

BUSY = [
    "BEGIN",
    "INSERT INTO h VALUES (2, 'x')",
    "SAVEPOINT s",
    "INSERT INTO h VALUES (3, 'x'), (1, 'x') ON CONFLICT DO NOTHING",
]


def terminate(db: Database, pid: int) -> None:
    assert db.value("SELECT pg_terminate_backend(%s, 10000)", [pid])


@pytest.mark.parametrize("options", ["", "max_chains => 1"])
def test_a_session_terminated_in_the_middle_of_a_transaction(db: Database, options: str) -> None:
    history(db, options=options)
    db.run("INSERT INTO h VALUES (1, 'x')")
    victim = db.connect()
    run(victim, *BUSY)
    assert owned(db) == [0]
    terminate(db, victim.info.backend_pid)
    assert owned(db) == []
    assert_whole(db, entries=1)
    db.run("INSERT INTO h VALUES (4, 'x')")
    assert chains(db) == [[1, 2]]
    assert_whole(db, entries=2)


def test_a_session_terminated_in_the_middle_of_a_copy(db: Database) -> None:
    history(db, options="max_chains => 1")
    db.run("INSERT INTO h VALUES (1, 'x')")
    victim = db.connect()
    with (
        contextlib.suppress(psycopg.Error),
        victim.cursor() as cursor,
        cursor.copy("COPY h (id, p) FROM STDIN") as copy,
    ):
        copy.write("\n".join(f"{number}\tx" for number in range(2, 50_000)) + "\n")
        wait_for(db, "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'object' AND objid = 'h'::regclass")
        terminate(db, victim.info.backend_pid)
    db.run("INSERT INTO h VALUES (2, 'x')")
    assert chains(db) == [[1, 2]]
    assert_whole(db, entries=2)


def test_a_cancelled_statement(db: Database) -> None:
    history(db, options="max_chains => 1")
    run(db.connection, "SET statement_timeout = '200ms'", "BEGIN", "INSERT INTO h VALUES (1, 'x')", "SAVEPOINT s")
    with pytest.raises(psycopg.errors.QueryCanceled):
        db.run("INSERT INTO h SELECT g, pg_sleep(0.001)::text FROM generate_series(2, 100000) g")
    run(db.connection, "ROLLBACK TO s", "INSERT INTO h VALUES (2, 'x')", "COMMIT", "RESET statement_timeout")
    assert chains(db) == [[1, 2]]
    assert_whole(db, entries=2)


def test_a_killed_backend_restarts_the_server_and_the_chains_go_on(own_cluster: Servers) -> None:
    server = own_cluster()
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    history(db, "one", options="max_chains => 1")
    db.run("INSERT INTO h VALUES (1, 'x'); INSERT INTO one VALUES (1, 'x')")
    victim = db.connect()
    run(victim, *BUSY, "INSERT INTO one VALUES (2, 'x')")
    server.kill_backend(victim.info.backend_pid)
    for name in ("h", "one"):
        assert_whole(db, name, entries=1)
        db.run(f"INSERT INTO {name} VALUES (4, 'x'), (1, 'x') ON CONFLICT DO NOTHING")
        assert chains(db, name) == [[1, 2]]
        assert_whole(db, name, entries=2)
    log = server.log()
    assert "takes no more entries" not in log and "are gone" not in log


def test_the_plug_is_pulled_while_writers_write(own_cluster: Servers) -> None:
    server = own_cluster({"fsync": True})
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    committed: list[int] = []
    enough = threading.Event()
    sessions = [db.connect() for _ in range(6)]

    def write(number: int) -> None:
        with contextlib.suppress(psycopg.OperationalError):
            for turn in range(100_000):
                run(sessions[number], f"INSERT INTO h VALUES ({turn * 10 + number}, 'x')")
                committed.append(turn * 10 + number)
                if len(committed) > 300:
                    enough.set()

    with ThreadPoolExecutor(6) as pool:
        for number in range(6):
            pool.submit(write, number)
        assert enough.wait(30)
        server.kill()
    server.start()
    stored = set(ids(db))
    assert set(committed) <= stored
    assert len(stored) <= len(committed) + 6  # each session may have had one whose answer never came
    assert_whole(db, entries=len(stored))
    db.run("INSERT INTO h VALUES (-1, 'x')")
    assert_whole(db, entries=len(stored) + 1)


def test_a_session_terminated_inside_a_savepoint_while_it_waits_for_a_chain(db: Database) -> None:
    """All that it had locked is free again, not only the chain."""
    history(db, options="max_chains => 1")
    owner, victim = db.connect(), db.connect()
    run(owner, "BEGIN", "INSERT INTO h VALUES (1, 'x')")
    run(victim, "CREATE TABLE other (id int)", "BEGIN", "LOCK TABLE other", "SAVEPOINT s")
    with background() as start:
        waiting = start(victim, "INSERT INTO h VALUES (2, 'x')")
        wait_until_queued(db, victim)
        terminate(db, victim.info.backend_pid)
        with pytest.raises(psycopg.errors.AdminShutdown):
            waiting.result()
    run(owner, "COMMIT")
    db.run("SET lock_timeout = '30s'; LOCK TABLE other")
    db.run("INSERT INTO h VALUES (3, 'x')")
    assert ids(db) == [1, 3]
    assert_whole(db, entries=2)
