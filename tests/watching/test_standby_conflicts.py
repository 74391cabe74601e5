"""A verification on a standby that lasts longer than `max_standby_streaming_delay`, while the primary is busy."""

from __future__ import annotations

import re

import psycopg
import pytest

from support.anchoring import wait_until_anchored
from support.database import Database
from support.scheduling import slow
from support.sealing import run, wait_for
from support.servers import Servers
from support.standby import COPIED, caught_up, promote, standby_of
from support.watching import ALL, Verification, assert_nothing_left
from support.witnessing import AT_ONCE

IMPATIENT = {"max_standby_streaming_delay": "1s", "max_standby_archive_delay": "1s"}
PHASE = "checking generated columns"
LONG = ("SET test.lasts = 60",)
INTACT = [("public.h", "intact", 1, 0)]


@pytest.fixture
def db(own_cluster: Servers) -> Database:
    """A history whose verification lasts as long as a session says, beside a table of the application."""
    database = own_cluster({**AT_ONCE, **COPIED}).createdb()
    database.run("CREATE EXTENSION pgseal; CREATE TABLE busy AS SELECT g FROM generate_series(1, 1000) g")
    slow(database)
    wait_until_anchored(database, "h")
    return database


def vacuum(db: Database) -> None:
    """What any autovacuum does to any table of the database."""
    db.run("UPDATE busy SET g = g + 1")
    db.run("VACUUM busy")


def conflict(running: Verification) -> str:
    """Why the server ended it. It asks again after 5 ms, and a session that has not given everything back by then is ended
    as a whole: running.session is another one then."""
    with pytest.raises(psycopg.OperationalError):
        running.answer.result(30)
    log = running.db.cluster.log()
    told = re.search(r"ERROR:  canceling statement due to conflict with recovery\n.*DETAIL:  (.*)", log)
    assert told, log[-2000:]
    try:
        running.session.execute("SELECT")
    except psycopg.OperationalError:
        assert "FATAL:  terminating connection due to conflict with recovery" in running.db.cluster.log()
        running.session = running.db.connect()
    return told[1]


def test_a_vacuum_on_the_primary_ends_it(own_cluster: Servers, db: Database) -> None:
    standby = standby_of(own_cluster, db, **IMPATIENT)
    with Verification(standby, before=LONG) as running:
        running.wait_for(PHASE)
        vacuum(db)
        assert conflict(running) == "User query might have needed to see row versions that must be removed."
    caught_up(db, standby)
    assert_nothing_left(standby, running.session)
    run(running.session, "RESET test.lasts")
    assert running.session.execute(ALL).fetchall() == INTACT


def test_a_change_of_the_table_on_the_primary_ends_it(own_cluster: Servers, db: Database) -> None:
    """Pruning whole partitions needs the same lock. No setting but the delay helps against that."""
    standby = standby_of(own_cluster, db, **IMPATIENT, hot_standby_feedback=True)
    with Verification(standby, before=LONG) as running:
        running.wait_for(PHASE)
        db.run("ALTER TABLE h ADD COLUMN added int")
        assert conflict(running) == "User was holding a relation lock for too long."
    caught_up(db, standby)
    assert_nothing_left(standby, running.session)
    assert standby.rows(ALL) == INTACT


def test_it_waits_for_a_longer_delay(own_cluster: Servers, db: Database) -> None:
    """The standby falls behind by as long as it takes."""
    standby = standby_of(own_cluster, db, **{**IMPATIENT, "max_standby_streaming_delay": "30s"})
    with Verification(standby, before=("SET test.lasts = 3",)) as running:
        running.wait_for(PHASE)
        vacuum(db)
    assert running.answer.result() == INTACT
    caught_up(db, standby)


def test_feedback_keeps_the_vacuum_from_removing_what_it_needs(own_cluster: Servers, db: Database) -> None:
    standby = standby_of(own_cluster, db, **IMPATIENT, hot_standby_feedback=True, wal_receiver_status_interval="1s")
    with Verification(standby, before=("SET test.lasts = 6",)) as running:
        running.wait_for(PHASE)
        wait_for(db, "SELECT backend_xmin IS NOT NULL FROM pg_stat_replication")
        vacuum(db)
        # Replay goes on beside it.
        caught_up(db, standby)
        assert not running.answer.done()
    assert running.answer.result() == INTACT


def test_with_replay_paused(own_cluster: Servers, db: Database) -> None:
    """It answers for the moment of the pause; what was done later is found when replay has gone on."""
    standby = standby_of(own_cluster, db, **IMPATIENT)
    standby.run("SELECT pg_wal_replay_pause()")
    wait_for(standby, "SELECT pg_get_wal_replay_pause_state() = 'paused'")
    with Verification(standby, before=("SET test.lasts = 3",)) as running:
        running.wait_for(PHASE)
        vacuum(db)
        db.run("INSERT INTO h (id, p) VALUES (2, 'x'); ALTER TABLE h ADD COLUMN added int")
    assert running.answer.result() == INTACT
    assert standby.rows(ALL) == INTACT
    standby.run("SELECT pg_wal_replay_resume()")
    caught_up(db, standby)
    assert standby.rows(ALL) == [("public.h", "intact", 2, 0)]


def test_promoted_in_between(own_cluster: Servers, db: Database) -> None:
    """What was begun on a standby ends on a primary, and is no false alarm."""
    standby = standby_of(own_cluster, db)
    with Verification(standby, before=("SET test.lasts = 4",)) as running:
        running.wait_for(PHASE)
        promote(standby)
        standby.run("INSERT INTO h (id, p) VALUES (2, 'x')")
        assert not running.answer.done()
    assert running.answer.result() == INTACT
    assert standby.rows(ALL) == [("public.h", "intact", 2, 0)]
