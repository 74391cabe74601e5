"""Checks between runs: every pgseal.checkpoint_interval what is new is verified, and what is found is raised once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from support.anchoring import settle
from support.checkpointing import add, answer, assert_rests, checkpoint, ledger
from support.cluster import Cluster
from support.database import Database
from support.scheduling import RUN_WORKERS, lasts, running, slow
from support.sealing import wait_for
from support.servers import Servers, watched
from support.tampering import triggers_off

EVERY_SECOND = {"pgseal.anchor_interval": "100ms", "pgseal.checkpoint_interval": "1s"}


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with watched(EVERY_SECOND) as server:
        yield server


@pytest.fixture
def db(server: Cluster) -> Iterator[Database]:
    with server.database() as database:
        yield database


def runs(db: Database) -> list[dict[str, Any]]:
    """What checks have recorded."""
    return db.records(
        "SELECT run, verdict, findings, findings_new FROM seal.verification WHERE how = 'check' ORDER BY run"
    )


def alarms(db: Database) -> list[tuple[str, int]]:
    return db.rows("SELECT kind, run FROM seal.alert ORDER BY id")


def checked(db: Database, times: int = 2) -> None:
    """Returns when so many more workers have read checkpoints; each says so when it ends. Nobody else may read them."""
    for _ in range(times):
        scans = "pg_stat_get_numscans('seal.checkpoint'::regclass)"
        wait_for(db, f"SELECT {scans} > %s", [db.value(f"SELECT {scans}")])


def damage(db: Database, sql: str) -> None:
    with db.connection.transaction(), triggers_off(db.connection, "h"):
        db.run(sql)


def test_what_is_found_is_raised_once(db: Database, server: Cluster) -> None:
    ledger(db)
    checkpoint(db)
    add(db, 13, 15, "acme")
    checked(db)
    assert (runs(db), alarms(db)) == ([], [])
    damage(db, "UPDATE h SET note = 'x' WHERE id = 14")
    wait_for(db, "SELECT count(*) = 1 FROM seal.alert")
    first = {"run": 2, "verdict": "tampered", "findings": 1, "findings_new": 1}
    assert (runs(db), alarms(db)) == ([first], [("tampered", 2)])
    checked(db, 3)
    assert (runs(db), alarms(db)) == ([first], [("tampered", 2)])
    damage(db, "DELETE FROM h WHERE id = 13")
    wait_for(db, "SELECT count(*) = 2 FROM seal.alert")
    second = {"run": 3, "verdict": "tampered", "findings": 2, "findings_new": 2}
    checked(db)
    assert (runs(db), alarms(db)) == ([first, second], [("tampered", 2), ("tampered", 3)])
    assert db.value("SELECT seal.acknowledge('ticket 4711', 'h')") == 2
    checked(db)
    assert len(runs(db)) == 2
    # One of them is mended: nothing new.
    damage(db, "UPDATE h SET note = 'note 14' WHERE id = 14")
    checked(db)
    assert len(runs(db)) == 2
    # What is filed is filed with its content: another change of the same entry is new.
    damage(db, "UPDATE h SET note = 'y' WHERE id = 14")
    wait_for(db, "SELECT count(*) = 3 FROM seal.alert")
    assert runs(db)[2] == {"run": 4, "verdict": "tampered", "findings": 2, "findings_new": 1}
    assert "failed" not in server.log()


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM h WHERE id > 13",
        "DELETE FROM seal.anchor WHERE number = (SELECT max(number) FROM seal.anchor)",
        "DELETE FROM seal.journal WHERE seq = (SELECT max(seq) FROM seal.journal)",
        "UPDATE seal.checkpoint SET record = jsonb_set(record, '{run}', '77')",
        "DELETE FROM seal.run WHERE id = 1",
        "UPDATE seal.history SET window_months = 12",
    ],
)
def test_however_it_changes_with_what_comes_after(db: Database, sql: str) -> None:
    """The recorded run itself goes on above what was removed."""
    ledger(db)
    checkpoint(db)
    add(db, 13, 15, "acme")
    settle(db, "h")
    damage(db, sql)
    wait_for(db, "SELECT count(*) >= 1 FROM seal.alert")
    checked(db, 2)
    if "seal.history" not in sql:  # with other settings nothing is sealed
        add(db, 16, 17, "zeta")
        checked(db, 2)
    assert [kind for kind, _ in alarms(db)] == ["tampered"]


def test_a_row_key_that_no_float_holds(db: Database) -> None:
    """What was recorded is known again, whatever its numbers look like."""
    db.run("CREATE TABLE h (id numeric PRIMARY KEY, tenant text, note text); SELECT seal.attach('h', 'tenant')")
    db.run("INSERT INTO h VALUES (12345678901234567890.5, 'acme'), (1e300, 'acme'), (1.10, 'acme')")
    checkpoint(db)
    db.run("INSERT INTO h VALUES (12345678901234567891.25, 'acme'), (1e301, 'acme'), (1.20, 'acme')")
    damage(db, "UPDATE h SET note = 'x' WHERE seal_seq > 3")
    wait_for(db, "SELECT count(*) = 1 FROM seal.alert")
    checked(db, 3)
    assert [run["findings"] for run in runs(db)] == [3]


def test_old_entries_are_a_matter_of_runs(db: Database) -> None:
    ledger(db)
    checkpoint(db)
    damage(db, "UPDATE h SET note = 'x' WHERE id = 6")
    checked(db)
    assert runs(db) == []
    assert db.value("SELECT verdict FROM seal.verify_and_prune('h')") == "tampered"
    checked(db)
    assert runs(db) == []
    add(db, 13, 14, "acme")
    damage(db, "UPDATE h SET note = 'x' WHERE id = 14")
    wait_for(db, "SELECT count(*) = 1 FROM seal.verification WHERE how = 'check'")
    assert runs(db) == [{"run": 3, "verdict": "tampered", "findings": 2, "findings_new": 2}]


def test_detached_and_attached_again(db: Database, server: Cluster) -> None:
    ledger(db)
    checkpoint(db)
    checked(db)
    db.run("SELECT seal.detach('h')")
    damage(db, "DELETE FROM h WHERE id > 6")
    db.run("CREATE TABLE g (id int PRIMARY KEY); SELECT seal.attach('g')")
    checked(db)
    assert (runs(db), alarms(db)) == ([], [])
    assert "the check of" not in server.log()


def test_nothing_goes_on_where_nothing_is_attached(db: Database) -> None:
    ledger(db)
    checkpoint(db)
    checked(db)
    db.run("SELECT seal.detach('h')")
    quiet, deadline = time.monotonic(), time.monotonic() + 20
    while time.monotonic() - quiet < 3:
        assert time.monotonic() < deadline, "there is always another worker"
        if db.rows(RUN_WORKERS):
            quiet = time.monotonic()
        time.sleep(0.02)


def test_a_table_that_is_locked(db: Database, server: Cluster) -> None:
    """The check waits; who has the table, and who drops the database, does not wait for it."""
    ledger(db)
    checkpoint(db)
    with db.connect(autocommit=False) as session:
        session.execute(b"LOCK TABLE h IN ACCESS EXCLUSIVE MODE")
        wait_for(db, f"SELECT EXISTS ({RUN_WORKERS} AND wait_event_type = 'Lock')")
        assert db.value("SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == "check of public.h"
        session.execute(b"INSERT INTO h VALUES (13, 'acme', 'x')")
    checked(db)
    assert_rests(answer(db, "acme"), 5, since=1)
    assert "the check of" not in server.log()


def test_a_database_that_is_dropped(server: Cluster) -> None:
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    slow(db)
    lasts(db, 100)
    running(db)
    mark = server.log_position()
    db.close()
    # Fails if a session is still connected after five seconds.
    server.psql(f'DROP DATABASE "{db.name}"')
    assert "does not exist" not in server.log(mark)


def test_without_its_key(own_cluster: Servers) -> None:
    """One alarm, not one a second."""
    server = own_cluster(EVERY_SECOND)
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    ledger(db)
    checkpoint(db)
    checked(db)
    key = server.key
    server.stop()
    server.write_key("ab" * 32)
    server.start()
    server.wait_for_log("the check of public.h since its checkpoint failed")
    mark = server.log_position()
    launched = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgseal run worker'"
    for _ in range(3):
        wait_for(db, f"SELECT ({launched}) > 0")
        wait_for(db, f"SELECT ({launched}) = 0")
    assert "failed" not in server.log(mark)
    server.stop()
    server.write_key(key or "")
    server.start()
    checked(db)
    assert db.value("SELECT verdict FROM seal.verify_history()") == "intact"
    assert runs(db) == []
