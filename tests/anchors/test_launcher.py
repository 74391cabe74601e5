"""The launcher: started again when it is killed; what keeps it from its work is shown; it sleeps when there is none."""

from __future__ import annotations

import time

import pytest

from support.anchoring import (
    LAUNCHER,
    add,
    make,
    newest,
    nothing_anchored,
    settle,
    sleeps,
    wait_until_asleep,
)
from support.cluster import KEYLESS, Cluster
from support.database import Database
from support.sealing import wait_for
from support.servers import Servers
from support.tampering import assert_intact

WORKERS = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pgseal anchor worker'"
WORKER = "SELECT ok, problem, fix FROM seal.check_setup() WHERE item = 'anchor worker'"


def statuses(db: Database) -> list[str]:
    return [worker for (worker,) in db.rows("SELECT DISTINCT worker FROM seal.status")]


@pytest.mark.parametrize("how", ["pg_terminate_backend", "kill -9"])
def test_it_starts_again(fresh: Database, how: str) -> None:
    make(fresh, "h")
    add(fresh, "h")
    settle(fresh, "h")
    pid = fresh.value(LAUNCHER)
    if how == "kill -9":
        fresh.cluster.kill_backend(pid)
    else:
        assert fresh.value("SELECT pg_terminate_backend(%s)", [pid]) is True
    wait_for(fresh, f"SELECT EXISTS ({LAUNCHER} AND pid <> %s)", [pid])
    add(fresh, "h")
    settle(fresh, "h")
    assert statuses(fresh) == ["running"]
    assert_intact(fresh)


@pytest.mark.parametrize(
    ("processes", "problem"),
    [(2, "no worker could be started, all of max_worker_processes are taken"), (1, "the launcher is not running")],
)
def test_no_free_worker_process(own_cluster: Servers, processes: int, problem: str) -> None:
    """PostgreSQL's own launcher for logical replication has the first one, ours the second, if there is a second."""
    server = own_cluster({"pgseal.anchor_interval": "100ms", "max_worker_processes": processes})
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    make(db, "h")
    add(db, "h")
    wait_for(db, f"SELECT (NOT ok, problem) = (true, %s) FROM ({WORKER}) w", [problem])
    fix = db.value(f"SELECT fix FROM ({WORKER}) w")
    assert "raise max_worker_processes" in fix and "restart the server" in fix
    assert statuses(db) == [problem]
    assert_intact(db)
    assert newest(db) == 0
    assert processes == 1 or problem in server.log()
    server.configure({"max_worker_processes": 8}, restart=True)
    settle(db, "h")
    assert (db.rows(WORKER), statuses(db)) == ([(True, "running", None)], ["running"])


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("", "canceling statement due to lock timeout"),
        ("pg_cancel_backend", "canceling statement due to user request"),
        ("pg_terminate_backend", ""),
    ],
)
def test_an_anchor_that_fails_is_told_and_made_later(fresh: Database, ending: str, reason: str) -> None:
    """The worker waits for a lock; that takes too long, or somebody ends it."""
    waiting = f"{WORKERS} AND wait_event_type = 'Lock'"
    make(fresh, "h")
    settle(fresh)
    mark = fresh.cluster.log_position()
    with nothing_anchored(fresh):
        add(fresh, "h")
        wait_for(fresh, f"SELECT EXISTS ({waiting})")
        if ending:
            fresh.rows(f"SELECT {ending}(pid) FROM ({waiting}) w")
        wait_for(fresh, f"SELECT NOT ok FROM ({WORKER}) w")
        ((_, told, fix),) = fresh.rows(WORKER)
        assert told.startswith(("the last anchor failed: ", "the worker ended")) and reason in told
        assert (statuses(fresh), fix) == ([told], "see the server's log")
        assert reason in fresh.cluster.log(mark)
    fresh.run("INSERT INTO h VALUES (2, 'x')")
    settle(fresh, "h")
    assert statuses(fresh) == ["running"]
    assert_intact(fresh)


def test_without_a_key(own_cluster: Servers) -> None:
    server = own_cluster({"pgseal.anchor_interval": "100ms"})
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    make(db, "h")
    add(db, "h")
    last = settle(db, "h")
    file = server.settings["pgseal.key_file"]
    mark = server.log_position()
    server.configure(KEYLESS, restart=True)
    wait_for(db, f"SELECT NOT ok FROM ({WORKER}) w")
    ((_, told, fix),) = db.rows(WORKER)
    assert told.startswith("the last anchor failed: ") and "key" in told
    assert fix
    assert statuses(db) == [told]
    assert ("key", False) in db.rows("SELECT item, ok FROM seal.check_setup()")
    assert "key" in server.log(mark)
    server.configure({"pgseal.key_file": file}, restart=True)
    add(db, "h")
    assert settle(db, "h") == last + 1
    assert statuses(db) == ["running"]
    assert_intact(db)


def test_it_sleeps_while_nothing_changes(fresh: Database, quick: Cluster) -> None:
    """Also beside readers, verification, other tables and an open transaction. One second is enough: at the worker's
    interval of 100 ms, whoever polls is seen ten times."""
    make(fresh, "h")
    fresh.run("CREATE TABLE other (id int)")
    add(fresh, "h")
    settle(fresh, "h")
    add(fresh, "h")
    last = settle(fresh, "h")
    pid = wait_until_asleep(fresh)
    before = sleeps(pid)
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:
        fresh.run("INSERT INTO other VALUES (1)")
        fresh.rows("SELECT * FROM h")
        assert fresh.value("SELECT seal.is_intact()") is True
        assert fresh.rows("SELECT unanchored, worker FROM seal.status") == [(0, "running")]
    assert sleeps(pid) - before <= 1
    assert newest(fresh) == last
    quick.restart()
    assert_intact(fresh)
    pid = wait_until_asleep(fresh)
    assert newest(fresh) == last  # nothing new, nothing written


def test_writers_wake_it_once_for_an_anchor(fresh: Database) -> None:
    """Hundreds of commits, a few wake-ups."""
    make(fresh, "h")
    add(fresh, "h")
    first = settle(fresh, "h")
    pid = wait_until_asleep(fresh)
    before = sleeps(pid)
    for number in range(10, 410):
        fresh.run(f"INSERT INTO h VALUES ({number}, 'x')")
    made = settle(fresh, "h") - first
    assert sleeps(pid) - before <= 12 * (made + 1)


def test_nothing_is_written_where_nothing_is_attached(quick: Cluster) -> None:
    """The worker looks into each database once after a start; it does not even use a transaction id there."""
    empty = quick.createdb()
    visit = 'starting background worker process "pgseal anchor worker"'
    try:
        empty.run("CREATE EXTENSION pgseal")
        before = empty.value("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
        mark = quick.log_position()
        quick.configure({"log_min_messages": "debug1"}, restart=True)
        databases = empty.value("SELECT count(*) FROM pg_database WHERE datallowconn")
        while quick.log(mark).count(visit) < databases:
            quick.wait_for_log(visit, mark)
        wait_until_asleep(empty)
        assert empty.value("SELECT pg_snapshot_xmax(pg_current_snapshot())::text") == before
        for table in ("seal.anchor", "seal.journal"):
            assert empty.rows(f"SELECT pg_relation_size('{table}'), count(*) FROM {table} ORDER BY 1") == [(0, 0)]
        assert empty.rows("SELECT ok, problem FROM seal.check_setup() WHERE item = 'anchor worker'") == [
            (True, "running, nothing to anchor yet")
        ]
        assert quick.log(mark).count(visit) == databases
    finally:
        empty.drop()
        quick.configure({"log_min_messages": None})


@pytest.mark.parametrize(
    "setting", ["default_transaction_read_only = on", "default_transaction_isolation = 'serializable'"]
)
def test_what_a_database_sets_keeps_no_anchor_from_being_written(fresh: Database, setting: str) -> None:
    make(fresh, "h")
    with fresh.cluster.connect() as administrator:
        administrator.execute(f"ALTER DATABASE {fresh.name} SET {setting}".encode())
    add(fresh, "h")
    settle(fresh, "h")
    assert_intact(fresh)
