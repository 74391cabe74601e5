"""What was missed while nothing could run is caught up once: after a stop, after a crash, in the middle of a run."""

from __future__ import annotations

import os
import signal
from datetime import timedelta

import pytest

from support.cluster import Cluster
from support.database import Database
from support.scheduling import (
    EVERY_SECOND,
    NEVER_SOON,
    RUN_WORKERS,
    lasts,
    next_run,
    once,
    running,
    runs,
    scheduled,
    slow,
    soon,
    state,
    until_clock,
    wait_for_runs,
)
from support.sealing import history, wait_for
from support.servers import Servers

SET = "SELECT seal.set_schedule('h', %s)"
MISSED = "the scheduled run of public.h that was due at"


@pytest.fixture
def server(own_cluster: Servers) -> Cluster:
    return own_cluster(scheduled(""))


@pytest.fixture
def db(server: Cluster) -> Database:
    database = server.createdb()
    database.run("CREATE EXTENSION pgseal")
    return database


@pytest.mark.parametrize("how", ["fast", "immediate", "kill -9"])
def test_once_after_downtime(server: Cluster, db: Database, how: str) -> None:
    history(db)
    at = soon(3)
    db.value(SET, [once(at)])
    assert next_run(db) == at
    server.kill() if how == "kill -9" else server.stop(how)
    until_clock(at + timedelta(seconds=0.2))
    mark = server.log_position()
    server.start()
    log = server.wait_for_log(MISSED, mark)
    assert f"{MISSED} {at:%Y-%m-%dT%H:%M:%S}" in log and "caught up at" in log
    assert next_run(db).year == at.year + 1
    assert len(runs(db)) == 1
    server.restart()
    assert next_run(db).year == at.year + 1
    assert len(runs(db)) == 1
    assert server.log(mark).count(MISSED) == 1


def test_one_for_many_that_were_missed(server: Cluster, db: Database) -> None:
    """Its time came three times while the server was down."""
    history(db)
    first = soon(3)
    while first.second > 56:
        first += timedelta(seconds=1)
    seconds = ",".join(str(first.second + more) for more in range(3))
    db.value(SET, [once(first).replace(str(first.second), seconds, 1)])
    assert next_run(db) == first
    server.stop()
    until_clock(first + timedelta(seconds=2.2))
    mark = server.log_position()
    server.start()
    server.wait_for_log(MISSED, mark)
    assert next_run(db).year == first.year + 1
    assert len(runs(db)) == 1
    assert server.log(mark).count(MISSED) == 1


def test_nothing_is_caught_up_that_was_not_missed(server: Cluster, db: Database) -> None:
    """A schedule that is younger than the time in question; a run that was made in time."""
    history(db)
    at = soon(1)
    db.value(SET, [once(at)])
    wait_for_runs(db)
    assert len(runs(db)) == 1 and runs(db)[0]["started"] >= at
    # The times of this one have all been today, before it was set.
    db.value(SET, [once(at - timedelta(seconds=30))])
    assert next_run(db).year == at.year + 1
    mark = server.log_position()
    server.restart()
    assert next_run(db).year == at.year + 1
    assert len(runs(db)) == 1
    assert MISSED not in server.log()
    assert "scheduled run" not in server.log(mark)


@pytest.mark.parametrize("what", ["worker", "everything"])
def test_killed_in_the_middle_of_a_run(server: Cluster, db: Database, what: str) -> None:
    """No half of it is recorded; it comes back and is caught up."""
    slow(db)
    lasts(db, 60)
    at = soon(1)
    db.value(SET, [once(at)])
    pid = running(db)
    lasts(db, 0)
    if what == "worker":
        server.kill_backend(pid)
    else:
        server.crash()
    wait_for_runs(db)
    (run,) = runs(db)
    assert run["verdict"] == "intact" and run["started"] >= at
    assert next_run(db).year == at.year + 1
    assert len(runs(db)) == 1
    assert db.rows("SELECT verdict FROM seal.verify_history()") == [("intact",)]


def test_the_launcher_killed_in_the_middle_of_a_run(server: Cluster, db: Database) -> None:
    """A new one finds the worker of the old one and starts no second."""
    slow(db)
    lasts(db, 8)
    db.value(SET, [EVERY_SECOND])
    pid = running(db)
    launcher = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pgseal launcher'"
    before = db.value(launcher)
    os.kill(before, signal.SIGTERM)
    wait_for(db, f"SELECT EXISTS ({launcher} AND pid <> %s)", [before])
    assert db.rows(RUN_WORKERS) == [(pid,)]
    lasts(db, 0)
    wait_for_runs(db, more=2)
    assert "ended before it was done" not in state(db)


def test_due_while_the_launcher_was_busy_elsewhere_is_no_miss(server: Cluster, db: Database) -> None:
    """Another history of the same database is at it for some seconds."""
    slow(db)
    history(db, "g")
    lasts(db, 4)
    db.value(SET, [once(soon(1))])
    running(db)
    at = soon(0)
    db.run(f"SELECT seal.set_schedule('g', '{once(at)}')")
    wait_for_runs(db, "g")
    wait_for_runs(db, "h", 0)
    assert len(runs(db, "g")) == 1
    db.value(SET, [NEVER_SOON])
    assert "was missed" not in server.log()
