"""A run that fails is told and tried again later; the others go on."""

from __future__ import annotations

import time

import pytest

from support.database import Database
from support.scheduling import EVERY_SECOND, RUN_WORKERS, lasts, running, runs, scheduled, slow, wait_for_runs
from support.sealing import history, wait_for
from support.servers import Servers

SETUP = "SELECT ok, problem FROM seal.check_setup() WHERE item = 'schedule'"
SET = "SELECT seal.set_schedule(%s, %s)"


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("pg_cancel_backend", "canceling statement due to user request"),
        ("pg_terminate_backend", "the worker was ended amid it"),
    ],
)
def test_the_others_go_on(own_cluster: Servers, ending: str, reason: str) -> None:
    """The failed one waits a minute."""
    server = own_cluster(scheduled(""))
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    slow(db)
    history(db, "g")
    lasts(db, 60)
    db.value(SET, ["h", EVERY_SECOND])
    pid = running(db)
    lasts(db, 0)
    db.value(SET, ["g", EVERY_SECOND])
    assert db.value(f"SELECT {ending}(%s)", [pid]) is True
    if ending == "pg_terminate_backend":
        # Nothing runs for a minute, then the others first.
        wait_for(db, f"SELECT problem LIKE '%%ended before it was done%%' FROM ({SETUP}) s")
        assert db.value("SELECT NOT ok AND worker = 'the run worker ended before it was done' FROM seal.status LIMIT 1")
        return
    wait_for_runs(db, "g", 2)
    assert runs(db) == []
    log = server.log()
    assert log.count(f"the scheduled run of public.h failed: {reason}; it is tried again at") == 1
    # That the others succeed does not hide it.
    ((ok, problem),) = db.rows(SETUP)
    assert not ok and problem.startswith(f"the scheduled run of public.h failed: {reason}; ")
    db.value(SET, ["h", "off"])
    wait_for(db, f"SELECT ok FROM ({SETUP}) s")


def test_one_that_always_fails(own_cluster: Servers) -> None:
    """Its row was removed by force: that is told, and it neither starves the others nor is tried all the time."""
    server = own_cluster(scheduled(EVERY_SECOND))
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    history(db, "g")
    wait_for_runs(db)
    mark = server.log_position()
    db.run("DELETE FROM seal.history WHERE relation = 'h'::regclass")
    server.wait_for_log("the scheduled run of public.h failed: its row was removed from seal.history", mark)
    wait_for_runs(db, "g", 3)
    assert server.log(mark).count("the scheduled run of public.h failed") == 1


def test_a_run_table_that_is_gone(own_cluster: Servers) -> None:
    server = own_cluster(scheduled(EVERY_SECOND))
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    wait_for_runs(db)
    mark = server.log_position()
    db.run("ALTER TABLE seal.run RENAME TO hidden")
    server.wait_for_log('the scheduled run of public.h failed: relation "seal.run" does not exist', mark)
    wait_for(db, f"SELECT NOT ok AND problem LIKE '%%seal.run%%' FROM ({SETUP}) s")
    assert server.log(mark).count("the scheduled run of public.h failed") == 1
    db.run("INSERT INTO h VALUES (1, 'x')")
    assert db.rows("SELECT kind, detail FROM seal.findings()") == [
        ("configuration_altered", "table seal.run is gone, or has other columns than pgseal made it with")
    ]


def test_no_free_worker_process(own_cluster: Servers) -> None:
    """Of three, PostgreSQL's own launcher has one and pgseal's another. That none is left is told, and tried again."""
    server = own_cluster(scheduled("*/3 * * * * *", max_worker_processes="3"))
    db, other = server.createdb(), server.createdb()
    for database in (db, other):
        database.run("CREATE EXTENSION pgseal")
    history(other)
    wait_for_runs(other)  # one place is enough for anchors and runs, in turn
    slow(db)
    lasts(db, 60)
    pid = running(db)
    problem = "no worker could be started for a scheduled run: raise max_worker_processes"
    wait_for(other, f"SELECT NOT ok AND problem LIKE '{problem}%%' FROM ({SETUP}) s")
    assert other.rows("SELECT ok, worker FROM seal.status") == [(False, problem)]
    assert 1 <= server.log().count(problem) <= 2  # once for each database, however often it was tried
    lasts(db, 0)
    db.run("SELECT pg_cancel_backend(%s)", [pid])
    wait_for_runs(other)
    wait_for(other, f"SELECT ok FROM ({SETUP}) s")


def test_a_database_whose_settings_would_break_a_run(own_cluster: Servers) -> None:
    server = own_cluster(scheduled(EVERY_SECOND))
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    for name, value in {
        "default_transaction_isolation": "serializable", "default_transaction_read_only": "on",
        "search_path": "nowhere", "lock_timeout": "1ms", "statement_timeout": "1ms", "timezone": "Asia/Tokyo", "datestyle": "SQL, DMY",
    }.items():  # fmt: skip
        db.run(f"ALTER DATABASE \"{db.name}\" SET {name} = '{value}'")
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x')")
    wait_for_runs(db, more=3)
    assert runs(db)[-1]["verdict"] == "intact"
    assert "failed" not in server.log()


def test_a_worker_that_waits_for_a_locked_history_can_be_ended(fresh: Database) -> None:
    history(fresh)
    fresh.value(SET, ["h", EVERY_SECOND])
    wait_for_runs(fresh)
    with fresh.connect(autocommit=False) as session:
        session.execute("LOCK TABLE h IN ACCESS EXCLUSIVE MODE")
        waiting = f"{RUN_WORKERS} AND wait_event_type = 'Lock'"
        wait_for(fresh, f"SELECT EXISTS ({waiting})")
        begun = time.monotonic()
        fresh.value(f"SELECT pg_terminate_backend(pid, 5000) FROM ({waiting}) w")
        assert time.monotonic() - begun < 1.0
        session.rollback()
