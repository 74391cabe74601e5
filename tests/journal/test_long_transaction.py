"""An attach that stays open keeps nobody waiting: administration, inserts, anchors and verification go on elsewhere."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from support.database import Database
from support.journaling import entries, found, journal_is_whole, top
from support.sealing import Session, history, run, value
from support.tampering import assert_intact
from support.witnessing import anchored

LEVELS = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
IMPATIENT = "SET lock_timeout = '3s'"


ACTS = ["SELECT seal.attach('t')", "ALTER TABLE g ADD COLUMN x int", "SELECT seal.detach('g')"]


@pytest.mark.parametrize("act", ACTS)
def test_others_go_on(quick: Database, act: str) -> None:
    history(quick)
    history(quick, "g")
    quick.run("CREATE TABLE t (id int)")
    before, number = top(quick), anchored(quick)
    open_one = quick.connect(autocommit=False)
    run(open_one, act)
    run(quick.connection, IMPATIENT)
    quick.run("INSERT INTO h VALUES (1, 'x')")
    history(quick, "other")
    quick.run("ALTER TABLE other ADD COLUMN more int")
    quick.run("INSERT INTO other (id) VALUES (1)")
    assert anchored(quick) > number
    assert [name for _, _, name, _ in entries(quick, before)] == ["public.other"] * (top(quick) - before)
    assert quick.rows("SELECT verdict FROM seal.verify_history(history => 'h')") == [("intact",)]
    assert quick.value("SELECT seal.is_intact(history => 'other')") is True
    middle = top(quick)
    open_one.commit()
    assert top(quick) > middle
    assert entries(quick, middle)[-1][2] == ("public.t" if "attach" in act else "public.g")
    assert found(quick) == []
    journal_is_whole(quick)


def test_its_entries_are_as_old_as_its_commit(quick: Database) -> None:
    """The journal's times never go back, though the act was done first."""
    history(quick)
    quick.run("CREATE TABLE t (id int)")
    open_one = quick.connect(autocommit=False)
    run(open_one, "SELECT seal.attach('t')")
    history(quick, "g")
    open_one.commit()
    times = [at for (at,) in quick.rows("SELECT at FROM seal.journal ORDER BY seq")]
    assert times == sorted(times)
    attached_at = quick.value("SELECT attached_at FROM seal.history WHERE relation = 't'::regclass")
    assert attached_at < times[2] < times[-1]
    assert found(quick) == []


@pytest.mark.parametrize("level", LEVELS)
def test_attach_insert_and_verify_inside(db: Database, level: str) -> None:
    """No false finding, before and after the commit; SERIALIZABLE does not verify, and says so."""
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x')")
    db.run("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2)")
    session = db.connect()
    run(session, f"BEGIN ISOLATION LEVEL {level}", "SELECT count(*) FROM h")
    run(session, "SELECT seal.attach('t', existing => 'seal')")
    run(session, "INSERT INTO t (id) VALUES (3), (4)", "INSERT INTO h VALUES (2, 'y')")
    # Meanwhile, somebody else.
    db.run("INSERT INTO h VALUES (3, 'z')")
    db.run("CREATE TABLE other (id int)")
    db.run("SELECT seal.attach('other')")
    verify = "SELECT verdict, history, entries FROM seal.verify_history() ORDER BY 2"
    if level != "SERIALIZABLE":
        assert session.execute(b"SELECT * FROM seal.findings()").fetchall() == []
        inside = session.execute(verify.encode()).fetchall()
        assert ("intact", "public.t", 4) in inside
        assert {verdict for verdict, _, _ in inside} <= {"intact", "nothing_sealed"}
    run(session, "ALTER TABLE t ADD COLUMN more int", "INSERT INTO t (id, more) VALUES (5, 5)")
    if level != "SERIALIZABLE":
        assert session.execute(b"SELECT * FROM seal.findings()").fetchall() == []
    run(session, "COMMIT")
    assert db.rows("SELECT * FROM seal.findings()") == []
    assert db.rows(verify) == [
        ("intact", "public.h", 3), ("nothing_sealed", "public.other", 0), ("intact", "public.t", 5),
    ]  # fmt: skip
    journal_is_whole(db)


@pytest.mark.parametrize("level", LEVELS)
def test_detach_and_verify_inside(db: Database, level: str) -> None:
    history(db)
    history(db, "g")
    db.run("INSERT INTO g VALUES (1, 'x')")
    session = db.connect()
    run(session, f"BEGIN ISOLATION LEVEL {level}", "SELECT count(*) FROM g", "SELECT seal.detach('h')")
    if level != "SERIALIZABLE":
        assert session.execute(b"SELECT * FROM seal.findings()").fetchall() == []
        assert value(session, "SELECT string_agg(history, ', ') FROM seal.verify_history()") == "public.g"
    run(session, "COMMIT")
    assert_intact(db)


def open_two(db: Database, level: str) -> dict[str, Session]:
    db.run("CREATE TABLE a (id int); CREATE TABLE b (id int)")
    sessions = {name: db.connect() for name in "ab"}
    for name, session in sessions.items():
        run(session, f"BEGIN ISOLATION LEVEL {level}", "SELECT 1", f"SELECT seal.attach('{name}')")
        run(session, f"INSERT INTO {name} (id) VALUES (1)")
    return sessions


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
def test_two_administrators_open_at_once(db: Database, level: str) -> None:
    """Each began before the other committed; the one that commits first is first in the journal."""
    sessions = open_two(db, level)
    for name in "ba":
        run(sessions[name], "COMMIT")
    assert [name for _, kind, name, _ in entries(db) if kind == "attach"] == ["public.b", "public.a"]
    journal_is_whole(db)
    assert_intact(db)


def test_two_serializable_administrators(db: Database) -> None:
    """One may have to try again, as SERIALIZABLE has it; nothing is left of what it did before."""
    sessions = open_two(db, "SERIALIZABLE")
    refused = []
    for name in "ba":
        try:
            run(sessions[name], "COMMIT")
        except psycopg.errors.SerializationFailure:
            refused.append(name)
    assert len(refused) <= 1
    attached = [name for _, kind, name, _ in entries(db) if kind == "attach"]
    assert attached == [f"public.{name}" for name in "ba" if name not in refused]
    for name in refused:
        run(sessions[name], "BEGIN ISOLATION LEVEL SERIALIZABLE", f"SELECT seal.attach('{name}')")
        run(sessions[name], f"INSERT INTO {name} (id) VALUES (1)", "COMMIT")
    assert db.rows("SELECT relation::regclass::text FROM seal.history ORDER BY 1") == [("a",), ("b",)]
    journal_is_whole(db)
    assert_intact(db)


def test_many_administrators_at_once(db: Database) -> None:
    """Threads: everything commits, without a deadlock, a gap or a fork; verification beside them finds nothing."""
    size, rounds = 4, 4
    sessions = [db.connect() for _ in range(size)]
    together = threading.Barrier(size + 1)
    done = threading.Event()

    def administer(number: int, session: Session) -> None:
        together.wait()
        for turn in range(rounds):
            name = f"t{number}_{turn}"
            run(session, f"CREATE TABLE {name} (id int)", "BEGIN", f"SELECT seal.attach('{name}')", "SAVEPOINT s",
                f"ALTER TABLE {name} ADD COLUMN more int", "ROLLBACK TO s" if turn % 2 else "RELEASE s",
                f"INSERT INTO {name} (id) VALUES (1)", "COMMIT")  # fmt: skip
            if turn % 2:
                run(session, f"SELECT seal.detach('{name}')")

    def verify(session: Session) -> None:
        together.wait()
        while not done.is_set():
            assert session.execute(b"SELECT * FROM seal.findings()").fetchall() == []

    with ThreadPoolExecutor(size + 1) as pool:
        auditor = pool.submit(verify, db.connect())
        try:
            for future in [pool.submit(administer, *pair) for pair in enumerate(sessions)]:
                future.result(timeout=60)
        finally:
            done.set()
        auditor.result(timeout=60)
    attached = [name for _, kind, name, _ in entries(db) if kind == "attach"]
    assert len(attached) == len(set(attached)) == size * rounds
    assert sum(kind == "detach" for _, kind, _, _ in entries(db)) == size * rounds // 2
    journal_is_whole(db)
    assert_intact(db)


def test_two_administrators_of_one_table(db: Database) -> None:
    """The second waits for the table, then hears that it is attached."""
    db.run("CREATE TABLE t (id int)")
    first, second = db.connect(autocommit=False), db.connect()
    run(first, "SELECT seal.attach('t')")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(run, second, "SELECT seal.attach('t')")
        first.commit()
        error = waiting.exception(timeout=30)
    assert getattr(error, "sqlstate", None) in ("42701", "42710")
    assert [kind for _, kind, _, _ in entries(db)].count("attach") == 1
    journal_is_whole(db)
