"""The worker is in nobody's way, and nobody in its: shutdown, DROP and CREATE DATABASE, long locks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from support.anchoring import add, is_anchored, make, newest, settle, wait_until_anchored
from support.cluster import KEYLESS, Cluster
from support.database import Database
from support.sealing import run, wait_for
from support.servers import Servers
from support.tampering import assert_intact


@contextmanager
def bursts(db: Database, name: str = "h") -> Iterator[None]:
    """Meanwhile a session connects, inserts and leaves, again and again, so that the worker comes and goes."""
    over = threading.Event()
    failures: list[BaseException] = []

    def write() -> None:
        number = 1000
        try:
            while not over.is_set():
                with db.cluster.connect(db.name) as session:
                    session.execute(f"INSERT INTO {name} VALUES (%s, 'x')".encode(), [number])
                number += 1
        except BaseException as failure:
            failures.append(failure)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()
    assert failures == []


def test_fast_shutdown(fresh: Database, quick: Cluster) -> None:
    """With everything to do for the worker: within two seconds."""
    make(fresh, "h")
    for _ in range(3):
        add(fresh, "h")
        start = time.monotonic()
        quick.stop()
        took = time.monotonic() - start
        quick.start()
        assert took < 2
    wait_until_anchored(fresh, "h")
    assert_intact(fresh)


def test_fast_shutdown_while_the_worker_waits_for_a_lock(fresh: Database, quick: Cluster) -> None:
    make(fresh, "h")
    settle(fresh)
    run(fresh.connect(), "BEGIN", "LOCK TABLE seal.anchor IN EXCLUSIVE MODE", "PREPARE TRANSACTION 'lock'")
    add(fresh, "h")
    wait_for(fresh, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pgseal anchor worker')")
    start = time.monotonic()
    quick.stop()
    took = time.monotonic() - start
    quick.start()
    fresh.run("ROLLBACK PREPARED 'lock'")
    assert took < 2
    wait_until_anchored(fresh, "h")


def test_fast_shutdown_right_after_a_failure(own_cluster: Servers) -> None:
    """The launcher would look again in some seconds; it does not sleep until then."""
    server = own_cluster({"pgseal.anchor_interval": "100ms"})
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    make(db, "h")
    server.configure(KEYLESS, restart=True)
    for _ in range(5):
        wait_for(db, "SELECT NOT ok FROM seal.check_setup() WHERE item = 'anchor worker'")
        start = time.monotonic()
        server.stop()
        took = time.monotonic() - start
        assert took < 2
        server.start()


def test_create_and_drop_database_beside_writers(quick: Cluster) -> None:
    """A copy needs a template that nobody is connected to. The worker comes right after the last writer has left."""
    template = quick.createdb()
    copies = []
    try:
        template.run("CREATE EXTENSION pgseal")
        make(template, "h")
        settle(template)
        for number in range(4):
            add(template, "h")
            template.close()
            start = time.monotonic()
            copies.append(quick.createdb(template.name))
            assert time.monotonic() - start < 4
            assert copies[-1].value("SELECT count(*) FROM h") == number + 1
        for copy in copies:
            add(copy, "h")
            copy.close()
            start = time.monotonic()
            quick.psql(f'DROP DATABASE "{copy.name}"')
            assert time.monotonic() - start < 4
        copies.clear()
        assert_intact(template)
    finally:
        for copy in [*copies, template]:
            copy.drop()


def test_other_databases_come_and_go_beside_writers(fresh: Database, quick: Cluster) -> None:
    """Both wait until every process of the server has taken notice, the launcher and the worker too."""
    make(fresh, "h")
    with bursts(fresh):
        for _ in range(2):
            start = time.monotonic()
            other = quick.createdb()
            quick.psql(f'DROP DATABASE "{other.name}"')
            assert time.monotonic() - start < 4
    settle(fresh, "h")
    assert_intact(fresh)


def test_a_database_dropped_with_news_in_it_leaves_no_error(quick: Cluster) -> None:
    quick.configure({"pgseal.anchor_interval": "500ms"})
    try:
        mark = quick.log_position()
        for _ in range(2):
            gone = quick.createdb()
            gone.run("CREATE EXTENSION pgseal")
            make(gone, "h")
            wait_for(gone, "SELECT count(*) > 0 FROM seal.anchor")
            add(gone, "h")
            gone.drop()
        other = quick.createdb()
        other.run("CREATE EXTENSION pgseal")
        make(other, "h")
        settle(other)
        add(other, "h")
        settle(other, "h")
        other.drop()
        assert "does not exist" not in quick.log(mark)
    finally:
        quick.configure({"pgseal.anchor_interval": "100ms"})


def test_a_slow_witness_blocks_nothing(own_cluster: Servers) -> None:
    """Its command may take ten seconds; meanwhile databases are dropped, copied, anchored, and the server stops."""
    command = "cat >/dev/null; sleep 9"
    server = own_cluster(
        {"pgseal.anchor_interval": "100ms", "pgseal.witness_command": command, "pgseal.witness_interval": 0}
    )
    db, other = server.createdb(), server.createdb()
    db.run("CREATE EXTENSION pgseal")
    make(db, "h")
    wait_for(db, "SELECT count(*) > 0 FROM seal.anchor")
    start = time.monotonic()
    other.close()
    server.psql(f'DROP DATABASE "{other.name}"')
    add(db, "h")
    wait_until_anchored(db, "h")
    db.close()
    copy = server.createdb(db.name)
    server.psql(f'DROP DATABASE "{db.name}"')
    assert time.monotonic() - start < 5
    assert copy.value("SELECT count(*) FROM h") == 1
    add(copy, "h")
    start = time.monotonic()
    server.stop()
    assert time.monotonic() - start < 2


def test_an_attach_that_stays_open(fresh: Database) -> None:
    make(fresh, "g")
    fresh.run("CREATE TABLE h (id int PRIMARY KEY)")
    with fresh.connect(autocommit=False) as administrator:
        administrator.execute("SELECT seal.attach('h')")
        administrator.execute("INSERT INTO h VALUES (1)")
        add(fresh, "g")
        first = settle(fresh, "g")
        fresh.run("SELECT seal.detach('g')")
        fresh.run("CREATE TABLE k (id int PRIMARY KEY, note text)")
        fresh.run("SELECT seal.attach('k')")
        add(fresh, "k")
        assert settle(fresh, "k") > first
        assert fresh.rows("SELECT history, worker FROM seal.status") == [("public.k", "running")]
        administrator.commit()
    settle(fresh, "h", "k")
    assert_intact(fresh)


@pytest.mark.parametrize("when", ["running", "restarted"])
def test_a_history_that_is_locked_for_long(fresh: Database, quick: Cluster, when: str) -> None:
    """Others are anchored meanwhile; what is not anchored of it follows when the lock is gone."""
    make(fresh, "h", "g")
    add(fresh, "h")
    settle(fresh, "h")
    session = fresh.connect()
    insert = "INSERT INTO h VALUES (7, 'x')"
    run(session, "BEGIN", insert, "PREPARE TRANSACTION 'entry'", "COMMIT PREPARED 'entry'")  # to be looked for
    run(session, "BEGIN", "LOCK TABLE h IN ACCESS EXCLUSIVE MODE", "PREPARE TRANSACTION 'lock'")
    if when == "restarted":
        quick.crash()
    for _ in range(3):
        before = newest(fresh)
        add(fresh, "g")
        wait_until_anchored(fresh, "g")
        assert newest(fresh) > before
    fresh.run("COMMIT PREPARED 'lock'")
    add(fresh, "g")  # it looks again by itself, but as seldom as once a minute
    settle(fresh, "h", "g")
    assert_intact(fresh)


def test_status_does_not_wait_for_a_locked_history(fresh: Database) -> None:
    make(fresh, "h", "g")
    settle(fresh)
    with fresh.connect(autocommit=False) as session:
        session.execute("LOCK TABLE h IN ACCESS EXCLUSIVE MODE")
        fresh.run("SET statement_timeout = '2s'")
        assert fresh.value("SELECT count(*) FROM seal.status") == 2
        assert fresh.value("SELECT count(*) > 0 FROM seal.check_setup()") is True


def test_a_prepared_transaction_holds_back_its_own_chain_only(fresh: Database) -> None:
    make(fresh, "h", "g")
    session = fresh.connect()
    run(session, "BEGIN", "INSERT INTO h VALUES (100, 'x')", "PREPARE TRANSACTION 'open'")
    for number in range(3):
        fresh.run(f"INSERT INTO h VALUES ({number}, 'x')")
        add(fresh, "g")
        settle(fresh, "h", "g")
    waiting = "running; some chains belong to open or prepared transactions and wait"
    assert fresh.rows("SELECT DISTINCT worker FROM seal.status") == [(waiting,)]
    fresh.run("COMMIT PREPARED 'open'")
    assert not is_anchored(fresh, "h")
    add(fresh, "g")
    settle(fresh, "h", "g")
    wait_for(fresh, "SELECT bool_and(worker = 'running') FROM seal.status")
    assert_intact(fresh)
