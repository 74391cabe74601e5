"""A run in progress is in nobody's way: shutdown, DROP DATABASE, CREATE DATABASE … TEMPLATE, ALTER DATABASE."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from support.cluster import Cluster
from support.database import Database
from support.scheduling import (
    EVERY_SECOND,
    RUN_WORKERS,
    lasts,
    next_run,
    running,
    runs,
    scheduled,
    slow,
    until,
    wait_for_runs,
)
from support.sealing import wait_for
from support.servers import Servers

AT_ONCE = "SELECT seal.set_schedule('h', %s)"


@pytest.fixture
def server(own_cluster: Servers) -> Cluster:
    return own_cluster(scheduled(EVERY_SECOND))


@pytest.fixture
def db(server: Cluster) -> Database:
    """A run is in the middle of h, and will be for long; nobody else is connected."""
    database = server.createdb()
    database.run("CREATE EXTENSION pgseal")
    slow(database)
    lasts(database, 100)
    running(database)
    database.close()
    return database


@pytest.mark.parametrize("mode", ["fast", "smart"])
def test_shutdown(server: Cluster, db: Database, mode: str) -> None:
    start = time.monotonic()
    server.stop(mode)
    assert time.monotonic() - start < 1.5
    assert "abnormal" not in server.log()
    server.start()
    running(db)


def test_shutdown_while_it_reads_a_big_history(own_cluster: Servers) -> None:
    server = own_cluster(scheduled(""))
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal; CREATE TABLE h (id int, p text); SELECT seal.attach('h')")
    db.run("INSERT INTO h SELECT g, repeat('x', 500) FROM generate_series(1, 150000) g")
    db.value(AT_ONCE, [EVERY_SECOND])
    for _ in range(3):
        wait_for(db, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query = 'scheduled run of public.h')")
        start = time.monotonic()
        server.stop()
        assert time.monotonic() - start < 1.5
        server.start()
    wait_for_runs(db)
    assert {(run["verdict"], run["entries"]) for run in runs(db)} == {("intact", 150_000)}


def test_drop_database(server: Cluster, db: Database) -> None:
    mark = server.log_position()
    start = time.monotonic()
    server.psql(f'DROP DATABASE "{db.name}"')
    assert time.monotonic() - start < 3
    other = server.createdb()
    other.run("CREATE EXTENSION pgseal")
    slow(other)
    wait_for_runs(other, more=2)
    assert "does not exist" not in server.log(mark)


def test_create_database_from_it(server: Cluster, db: Database) -> None:
    """The run is tried again a minute later; by then the launcher has also found the copy."""
    mark = server.log_position()
    start = time.monotonic()
    copy = server.createdb(db.name)
    assert time.monotonic() - start < 3
    assert "a scheduled run makes way" in server.log(mark)
    assert (runs(db), db.rows(RUN_WORKERS)) == ([], [])
    assert db.value("SELECT ok FROM seal.status") is True
    ahead = next_run(db).timestamp() - time.time()
    assert 40 < ahead <= 61
    lasts(db, 0)
    until(lambda: bool(runs(db)) and bool(runs(copy)), 80)
    assert "failed" not in server.log()


def test_alter_database_set_tablespace(server: Cluster, db: Database) -> None:
    place = Path(server.home) / "elsewhere"
    place.mkdir(mode=0o700)
    server.give(place)
    server.psql(f"CREATE TABLESPACE elsewhere LOCATION '{place}'")
    start = time.monotonic()
    server.psql(f'ALTER DATABASE "{db.name}" SET TABLESPACE elsewhere')
    assert time.monotonic() - start < 4
    db.run("SET test.lasts = 0")
    assert db.rows("SELECT verdict FROM seal.verify_history()") == [("intact",)]


def test_another_database_comes_and_goes(server: Cluster, db: Database) -> None:
    """That ends no run."""
    other = server.createdb()
    copy = server.createdb(other.name)
    for gone in (other, copy):
        gone.close()
        server.psql(f'DROP DATABASE "{gone.name}"')
    pid = running(db)
    assert running(db) == pid
    assert "makes way" not in server.log()
