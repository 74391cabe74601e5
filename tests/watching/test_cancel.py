"""A verification ends within a second wherever it is, and leaves nothing behind."""

from __future__ import annotations

import signal
import time

import pytest

from support.clock import Clock
from support.cluster import Cluster
from support.database import Database
from support.pruning import remaining
from support.scheduling import lasts, slow
from support.sealing import history, run, wait_for
from support.watching import ALL, ENTRIES, PARALLEL, SERIAL, Verification, assert_nothing_left
from support.windows import add, later, ledger

INTACT = [("public.h", "intact", ENTRIES, 0)]
TAMPERED = [("public.h", "tampered", ENTRIES, ENTRIES)]
FINDINGS = "SELECT count(*) FROM seal.findings()"


def test_in_the_unordered_pass(intact: Database) -> None:
    with Verification(intact, before=(SERIAL,)) as running:
        running.wait_for("checking entries", lambda line: line["entries_done"] > 0)
        running.cancel()
    assert_nothing_left(intact, running.session)
    assert running.session.execute(ALL).fetchall() == INTACT


def test_in_the_unordered_pass_with_workers(intact: Database) -> None:
    with Verification(intact, before=PARALLEL) as running:
        running.wait_for_workers()
        running.wait_for("checking entries", lambda line: line["entries_done"] > 0)
        running.cancel()
    assert_nothing_left(intact, running.session)
    assert running.session.execute(ALL).fetchall() == INTACT


@pytest.mark.parametrize("statement", [ALL, FINDINGS], ids=["verify_history", "findings"])
@pytest.mark.parametrize(
    ("phase", "percent"), [("sorting entries", 0), ("naming findings", 20), ("naming findings", 100)]
)
def test_while_findings_are_named(tampered: Database, statement: str, phase: str, percent: int) -> None:
    with Verification(tampered, statement) as running:
        running.wait_for(phase, lambda line: line["percent"] >= percent)
        running.cancel()
    assert_nothing_left(tampered, running.session)
    assert running.session.execute(ALL).fetchall() == TAMPERED


def crowd(db: Database, table: str, number: str) -> None:
    """Very many records, copies of the oldest one with other numbers; nobody has signed them."""
    columns = "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum"
    values = ", ".join(f"{name} + g" if name == number else name for (name,) in db.rows(columns, [table]))
    db.run(
        f"INSERT INTO {table} SELECT {values} FROM (SELECT * FROM {table} ORDER BY {number} LIMIT 1) r,"
        " generate_series(100000, 350000) g"
    )


@pytest.mark.parametrize(("table", "number"), [("seal.journal", "seq"), ("seal.anchor", "number")])
def test_in_the_journal_and_the_anchors(db: Database, table: str, number: str) -> None:
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x')")
    wait_for(db, "SELECT count(*) > 0 FROM seal.anchor")
    crowd(db, table, number)
    with Verification(db) as running:
        running.wait_for("reading the journal and anchors")
        running.cancel()
    assert_nothing_left(db, running.session)
    db.run(f"DELETE FROM {table} WHERE {number} >= 100000")
    assert running.session.execute(ALL).fetchall() == [("public.h", "intact", 1, 0)]


def test_while_it_waits_for_the_table(db: Database) -> None:
    history(db)
    blocker = db.connect(autocommit=False)
    blocker.execute("LOCK TABLE h IN ACCESS EXCLUSIVE MODE")
    with Verification(db) as running:
        running.wait_for("locking")
        running.cancel()
    blocker.rollback()
    assert_nothing_left(db, running.session)
    assert running.session.execute(ALL).fetchall() == [("public.h", "nothing_sealed", 0, 0)]


def test_in_a_generated_columns_expression(db: Database) -> None:
    slow(db)
    lasts(db, 60)
    with Verification(db) as running:
        running.wait_for("checking generated columns")
        running.cancel()
    assert_nothing_left(db, running.session)
    run(running.session, "SET test.lasts = 0")
    assert running.session.execute(ALL).fetchall() == [("public.h", "intact", 1, 0)]


@pytest.mark.parametrize("before", [(SERIAL,), PARALLEL], ids=["serial", "parallel"])
def test_a_statement_timeout(intact: Database, before: tuple[str, ...]) -> None:
    since = time.monotonic()
    with Verification(intact, before=(*before, "SET statement_timeout = '100ms'")) as running:
        running.assert_cancelled(since + 0.1)
    assert_nothing_left(intact, running.session)
    assert running.session.execute(ALL).fetchall() == INTACT


def test_ctrl_c(intact: Database) -> None:
    client = intact.cluster.popen("psql", "-X", "-d", intact.name, "-c", SERIAL, "-c", ALL)
    watched = "SELECT pid FROM seal.verification_progress WHERE phase = 'checking entries' AND entries_done > 0"
    wait_for(intact, f"SELECT EXISTS ({watched})")
    client.send_signal(signal.SIGINT)
    since = time.monotonic()
    _, said = client.communicate(timeout=60)
    assert time.monotonic() - since < 1
    assert "canceling statement due to user request" in said
    assert intact.rows("SELECT * FROM seal.verification_progress") == []


def test_documents(intact: Database) -> None:
    with Verification(intact, "SELECT count(seal.document(h)) FROM h, generate_series(1, 20)") as running:
        wait_for(intact, "SELECT state = 'active' FROM pg_stat_activity WHERE pid = %s", [running.pid])
        running.cancel()
    assert_nothing_left(intact, running.session)


def test_one_large_document(db: Database) -> None:
    """One row of 80 MB: what is hashed of it is hashed in one go."""
    history(db, columns="id int PRIMARY KEY, p jsonb")
    session = db.connect()
    run(session, "INSERT INTO h SELECT 1, jsonb_agg(repeat(md5(g::text), 1000)) FROM generate_series(1, 2500) g")
    with Verification(db, ALL) as running:
        running.wait_for("checking entries")
        # Less than a second of work, but on a machine that has other things to do.
        running.cancel(within=5.0)
    assert_nothing_left(db, running.session)
    assert session.execute(ALL).fetchall() == [("public.h", "intact", 1, 0)]


OLD, BATCH = 6_000, 5_000


def test_while_pruning(travel: tuple[Cluster, Clock], clock: Clock) -> None:
    """Nothing is deleted, and no run is recorded; the next one does both."""
    with travel[0].database() as db:
        ledger(db)
        add(db, 1, OLD)
        later(db, clock, 13)
        add(db, OLD + 1, OLD + 10)
        blocker = db.connect(autocommit=False)
        blocker.execute("SELECT FROM h WHERE id = %s FOR UPDATE", [BATCH + 1])
        with Verification(db, "SELECT verdict, pruned FROM seal.verify_and_prune('h')") as running:
            line = running.wait_for("pruning", lambda line: line["entries_done"] > 0)
            assert (line["history"], line["entries_done"], line["entries_estimated"]) == ("public.h", BATCH, OLD)
            assert line["percent"] == 83.3
            running.cancel()
        assert_nothing_left(db, running.session)
        blocker.rollback()
        assert len(remaining(db)) == OLD + 10
        assert db.rows("SELECT * FROM seal.verification") == []
        assert running.session.execute(running.statement.encode()).fetchall() == [("intact", OLD)]
