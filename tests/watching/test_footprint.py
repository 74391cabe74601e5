"""What a verification costs others: no temporary file in the unordered pass, no lock in anybody's way, no flood of
messages however much is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from support.database import Database
from support.sealing import attach, run, wait_for
from support.watching import ALL, ENTRIES, HELD, PARALLEL, SERIAL, Verification

# Little enough for any sort of so many entries to spill; the looks into the catalogs need half of it.
SMALL = ("SET work_mem = '512kB'", "SET log_temp_files = 0")
TEMPORARY = "SELECT temp_files, temp_bytes FROM pg_stat_database WHERE datname = current_database()"
MOST_LISTED = 100_000
MOST_RECORDED = 1_000


def temporary_files(db: Database, before: tuple[str, ...]) -> tuple[int, Any]:
    """How many the log tells of, and by how many the statistics rise, while everything is verified."""
    session = db.connect()
    run(session, *SMALL, *before, "SELECT pg_stat_force_next_flush()")
    (counted,) = db.rows(TEMPORARY)
    mark = db.cluster.log_position()
    assert session.execute(ALL).fetchone() is not None
    run(session, "SELECT pg_stat_force_next_flush()")
    (now,) = db.rows(TEMPORARY)
    return db.cluster.log(mark).count("temporary file:"), now[0] - counted[0]


@pytest.mark.parametrize("before", [(SERIAL,), PARALLEL], ids=["serial", "parallel"])
def test_the_unordered_pass_makes_no_temporary_file(intact: Database, before: tuple[str, ...]) -> None:
    assert temporary_files(intact, before) == (0, 0)


def test_the_ordered_pass_does(tampered: Database) -> None:
    """It sorts; so the test above would see one."""
    logged, counted = temporary_files(tampered, (SERIAL,))
    assert logged > 0 and counted > 0


def modes(running: Verification) -> set[tuple[str, str, str]]:
    """Every lock that the verification is seen to hold or wait for until it ends."""
    seen: set[tuple[str, str, str]] = set()
    while not running.answer.done():
        seen |= set(running.watcher.execute(HELD, {"pid": running.pid}).fetchall())
    return seen


@pytest.mark.parametrize("state", ["intact", "tampered"])
def test_no_lock_stronger_than_access_share(state: str, request: pytest.FixtureRequest) -> None:
    """Nor a transaction's number, which a standby could not give."""
    db: Database = request.getfixturevalue(state)
    with Verification(db, before=PARALLEL) as running:
        held = modes(running)
    relations = {(name, mode) for kind, name, mode in held if kind == "relation"}
    assert ("h", "AccessShareLock") in relations
    assert ("seal.journal", "AccessShareLock") in relations
    assert {mode for _, mode in relations} == {"AccessShareLock"}
    assert {kind for kind, *_ in held} <= {"relation", "virtualxid"}


def test_partitions_and_whoever_writes_to_them(db: Database) -> None:
    """While every lock is held, rows come, and a partition is vacuumed and analyzed."""
    db.run("CREATE TABLE h (id int, waited int GENERATED ALWAYS AS (id + 1) STORED) PARTITION BY LIST (id)")
    db.run("CREATE TABLE h1 PARTITION OF h FOR VALUES IN (1); CREATE TABLE h2 PARTITION OF h FOR VALUES IN (2)")
    attach(db)
    db.run("INSERT INTO h VALUES (1), (2)")
    session = db.connect(autocommit=False)
    assert session.execute(ALL).fetchall() == [("public.h", "intact", 2, 0)]
    held = db.rows(HELD, {"pid": session.info.backend_pid})
    assert {("h", "AccessShareLock"), ("h1", "AccessShareLock"), ("h2", "AccessShareLock")} <= {
        (name, mode) for _, name, mode in held
    }
    assert {mode for kind, _, mode in held if kind == "relation"} == {"AccessShareLock"}
    writer = db.connect()
    run(writer, "SET lock_timeout = '1s'", "INSERT INTO h VALUES (1), (2)", "VACUUM (TRUNCATE off) h1", "ANALYZE h")
    session.rollback()


def test_a_flood_of_findings_is_no_flood_of_messages(tampered: Database) -> None:
    """All are counted, a hundred thousand listed, a thousand recorded, and the log has a few lines."""
    session = tampered.connect()
    notices: list[str | None] = []
    session.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    mark = tampered.cluster.log_position()
    assert session.execute(ALL).fetchall() == [("public.h", "tampered", ENTRIES, ENTRIES)]
    listed = session.execute("SELECT count(*), count(DISTINCT position) FROM seal.findings()").fetchone()
    assert listed == (MOST_LISTED, MOST_LISTED)
    assert session.execute("SELECT seal.is_intact()").fetchone() == (False,)
    assert notices == []
    assert tampered.name not in tampered.cluster.log(mark)

    recorded = session.execute("SELECT run, findings FROM seal.verify_and_prune()").fetchall()
    ((number, findings),) = recorded
    assert findings == ENTRIES
    kept = session.execute("SELECT count(*) FROM seal.findings(run => %s)", [number]).fetchone()
    assert kept == (MOST_RECORDED,)
    wait_for(tampered, "SELECT count(*) > 0 FROM seal.alert")
    assert len(notices) <= 1
    written = tampered.cluster.log(mark)
    assert 1 <= written.count("WARNING:") <= 2
    assert len(written) < 5_000
