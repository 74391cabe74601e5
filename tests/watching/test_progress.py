"""`seal.verification_progress`: who verifies what, how far it is, and that a line goes with its verification."""

from __future__ import annotations

import signal
from datetime import timedelta

import pytest

from support.cluster import Cluster
from support.database import Database
from support.refusal import refusal
from support.roles import Roles
from support.scheduling import EVERY_SECOND, lasts, running, scheduled, slow
from support.sealing import history, run, wait_for
from support.servers import Servers
from support.watching import ALL, ALONE, ENTRIES, PARALLEL, PART, SERIAL, Line, Verification, line_of

COLUMNS = ["pid", "history", "phase", "entries_done", "entries_estimated", "percent", "started"]
PHASES = [
    "locking",
    "reading the journal and anchors",
    "checking entries",
    "sorting entries",
    "naming findings",
    "checking generated columns",
]
VIEW = "SELECT * FROM seal.verification_progress"


def assert_sound(lines: list[Line], pid: int) -> None:
    """Of one verification: phases in their order, each counting up to what was estimated."""
    assert {(line["pid"], line["history"]) for line in lines} == {(pid, "public.h")}
    assert len({line["started"] for line in lines}) == 1
    places = [PHASES.index(line["phase"]) for line in lines]
    assert places == sorted(places)
    for phase in PHASES:
        of_phase = [line for line in lines if line["phase"] == phase]
        done = [line["entries_done"] for line in of_phase]
        assert done == sorted(done)
        for line in of_phase:
            if phase in ("checking entries", "sorting entries", "naming findings"):
                assert line["entries_estimated"] == ENTRIES
                assert line["percent"] == line["entries_done"] * 1_000 // ENTRIES / 10 <= 100
            else:
                assert (line["entries_done"], line["entries_estimated"], line["percent"]) == (0, None, None)


def counts(lines: list[Line], phase: str) -> list[int]:
    return [line["entries_done"] for line in lines if line["phase"] == phase and line["entries_done"] > 0]


def test_it_moves_while_one_process_verifies(intact: Database) -> None:
    before = intact.value("SELECT clock_timestamp()")
    with Verification(intact, before=(SERIAL,)) as running:
        lines = running.lines()
    assert running.answer.result() == [("public.h", "intact", ENTRIES, 0)]
    assert_sound(lines, running.pid)
    assert len(counts(lines, "checking entries")) > 3
    assert before <= lines[0]["started"] <= intact.value("SELECT clock_timestamp()")
    assert line_of(intact.connection, running.pid) is None


def test_parallel_workers_count_for_their_leader(intact: Database) -> None:
    with Verification(intact, before=(*PARALLEL, "SET parallel_leader_participation = off")) as running:
        running.wait_for_workers()
        lines = running.lines()
    assert running.answer.result() == [("public.h", "intact", ENTRIES, 0)]
    assert_sound(lines, running.pid)
    assert len(counts(lines, "checking entries")) > 3


def test_findings_are_named_in_further_phases(tampered: Database) -> None:
    with Verification(tampered) as running:
        lines = running.lines()
    assert running.answer.result() == [("public.h", "tampered", ENTRIES, ENTRIES)]
    assert_sound(lines, running.pid)
    assert {"checking entries", "sorting entries", "naming findings"} <= {line["phase"] for line in lines}
    assert len(counts(lines, "naming findings")) > 3
    assert counts(lines, "naming findings")[-1] == ENTRIES


def test_waiting_for_the_table(db: Database) -> None:
    history(db)
    blocker = db.connect(autocommit=False)
    blocker.execute("LOCK TABLE h IN ACCESS EXCLUSIVE MODE")
    with Verification(db) as running:
        line = running.wait_for("locking")
        assert list(line) == COLUMNS
        assert (line["pid"], line["history"], line["percent"]) == (running.pid, "public.h", None)
        blocker.rollback()
    assert running.answer.result() == [("public.h", "nothing_sealed", 0, 0)]
    assert db.rows(VIEW) == []


def test_generated_columns_and_one_history_after_the_other(db: Database) -> None:
    for name in ("a", "b"):
        slow(db, name)
    lasts(db, 1)
    with Verification(db) as running:
        first = running.wait_for("checking generated columns", lambda line: line["history"] == "public.a")
        second = running.wait_for("checking generated columns", lambda line: line["history"] == "public.b")
    assert second["started"] - first["started"] >= timedelta(seconds=1)
    assert db.rows(VIEW) == []


def test_it_is_shown_in_its_own_database_only(cluster: Cluster, db: Database) -> None:
    slow(db)
    lasts(db, 1)
    with cluster.database() as elsewhere, Verification(db) as running:
        running.wait_for("checking generated columns")
        assert elsewhere.rows(VIEW) == []
        assert [pid for pid, *_ in db.rows(VIEW)] == [running.pid]


@pytest.mark.parametrize("group", ["pg_monitor", "pgseal_auditor", "pgseal_operator", "pgseal_admin"])
def test_who_may_look(db: Database, roles: Roles, group: str) -> None:
    slow(db)
    lasts(db, 1)
    reader = roles.session("reader", member_of=group)
    with Verification(db) as running:
        running.wait_for("checking generated columns")
        assert [row[:2] for row in reader.execute(VIEW).fetchall()] == [(running.pid, "public.h")]


def test_nobody_else_may(db: Database, roles: Roles) -> None:
    session = roles.session("nobody")
    for what in (VIEW, "SELECT * FROM seal.progress_lines()"):
        assert refusal(session, what).state == "42501"


def test_an_error_gives_the_slot_back(db: Database) -> None:
    slow(db)
    session = db.connect()
    run(session, "SET test.lasts = 'x'")
    assert refusal(session, ALL).state == "22P02"
    assert line_of(db.connection, session.info.backend_pid) is None
    run(session, "SET test.lasts = '0'")
    assert session.execute(ALL).fetchall() == [("public.h", "intact", 1, 0)]


def test_a_terminated_session_gives_the_slot_back(db: Database) -> None:
    """Nothing is unwound in it, and the next session has its number."""
    slow(db)
    lasts(db, 60)
    with Verification(db) as running:
        running.wait_for("checking generated columns")
        db.run("SELECT pg_terminate_backend(%s)", [running.pid])
        assert "terminating connection" in str(running.answer.exception(10))
    wait_for(db, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)", [running.pid])
    assert db.rows(VIEW) == []
    for session in [db.connect() for _ in range(10)]:
        assert refusal(session, PART.format("h")).message == ALONE
    assert db.rows(VIEW) == []


def test_a_killed_session_gives_the_slot_back(own_cluster: Servers) -> None:
    server = own_cluster()
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    slow(db)
    lasts(db, 60)
    with Verification(db) as running:
        running.wait_for("checking generated columns")
        server.kill_backend(running.pid, signal.SIGKILL)
        assert running.answer.exception(10) is not None
    lasts(db, 0)
    assert db.rows(VIEW) == []
    assert db.connect().execute(ALL).fetchall() == [("public.h", "intact", 1, 0)]


def test_a_scheduled_run_is_shown(own_cluster: Servers) -> None:
    server = own_cluster(scheduled(EVERY_SECOND))
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    slow(db)
    lasts(db, 60)
    pid = running(db)
    line = line_of(db.connection, pid)
    assert line is not None
    assert (line["history"], line["phase"]) == ("public.h", "checking generated columns")
