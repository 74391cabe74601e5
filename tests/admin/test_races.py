"""DDL beside verifications: no false finding, no deadlock, whatever comes first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from support.database import Database
from support.verification import assert_intact

SECONDS = 1.5
SET_UP = """
CREATE TABLE h (n int PRIMARY KEY, t text, g bigint GENERATED ALWAYS AS (n * 2) STORED);
SELECT seal.attach('h');
INSERT INTO h (n, t) SELECT i, repeat('x', 100) FROM generate_series(1, 2000) i;
"""
PARTS = """
CREATE TABLE h (n int, t text) PARTITION BY RANGE (n);
CREATE TABLE h0 PARTITION OF h DEFAULT;
SELECT seal.attach('h');
INSERT INTO h SELECT -i, repeat('x', 100) FROM generate_series(1, 2000) i;
"""

Session = psycopg.Connection[Any]


class Loop:
    """Does a thing again and again in a thread with a session of its own until all stop."""

    def __init__(self, db: Database, stop: threading.Event, work: Callable[[Session, int], None]) -> None:
        self.rounds = 0
        self.failure: Exception | None = None
        self._session = db.connect()
        self._stop = stop
        self._work = work
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._work(self._session, self.rounds)
                self.rounds += 1
        except Exception as error:
            self.failure = error
            self._stop.set()


def race(db: Database, *works: Callable[[Session, int], None]) -> None:
    """Runs all beside each other; each must get on and none may fail."""
    stop = threading.Event()
    loops = [Loop(db, stop, work) for work in works]
    for loop in loops:
        loop.thread.start()
    stop.wait(SECONDS)
    deadline = time.monotonic() + 20
    while not stop.is_set() and min(loop.rounds for loop in loops) < 2 and time.monotonic() < deadline:
        stop.wait(0.1)
    stop.set()
    for loop in loops:
        loop.thread.join(60)
        assert not loop.thread.is_alive()
    for loop in loops:
        if loop.failure:
            raise loop.failure
    assert min(loop.rounds for loop in loops) >= 2


def verify(session: Session, _round: int) -> None:
    ((verdict, entries),) = session.execute("SELECT verdict, entries FROM seal.verify_history()").fetchall()
    assert verdict == "intact" and entries >= 2000, (verdict, entries)


def find(session: Session, _round: int) -> None:
    assert session.execute("SELECT * FROM seal.findings()").fetchall() == []


def insert(session: Session, number: int) -> None:
    session.execute("INSERT INTO h (n) VALUES (%s)", [number + 1_000_000])


def statements(*texts: str) -> Callable[[Session, int], None]:
    def run(session: Session, number: int) -> None:
        session.execute(texts[number % len(texts)].format(i=number, j=number - 1).encode())

    return run


@pytest.mark.parametrize(
    "rewriting",
    [
        statements("ALTER TABLE h ALTER COLUMN g TYPE numeric", "ALTER TABLE h ALTER COLUMN g TYPE bigint"),
        statements("VACUUM FULL h"),
        statements("CLUSTER h USING h_pkey", "REINDEX TABLE h"),
        statements("ALTER TABLE h ADD COLUMN c{i} int DEFAULT {i}", "ALTER TABLE h RENAME COLUMN c{j} TO d{j}"),
    ],
    ids=["alter type", "vacuum full", "cluster", "columns"],
)
def test_a_table_that_is_rewritten(db: Database, rewriting: Callable[[Session, int], None]) -> None:
    db.run(SET_UP)

    def slowly(session: Session, number: int) -> None:
        if number < 40:
            rewriting(session, number)
        else:
            time.sleep(0.01)

    race(db, slowly, verify, find, insert)
    assert_intact(db, db.value("SELECT count(*) FROM h"))


def test_leaves_that_come_and_go(db: Database) -> None:
    db.run(PARTS)

    def come_and_go(session: Session, i: int) -> None:
        bounds = f"FOR VALUES FROM ({i * 10}) TO ({i * 10 + 10})"
        session.execute(f"CREATE TABLE new{i} PARTITION OF h {bounds}".encode())
        if i % 3 == 0:
            session.execute(f"INSERT INTO h VALUES ({i * 10})".encode())
        else:
            session.execute(f"ALTER TABLE h DETACH PARTITION new{i}".encode())
        if i % 3 == 1:
            session.execute(f"CREATE TABLE again{i} (LIKE h)".encode())
            session.execute(f"ALTER TABLE h ATTACH PARTITION again{i} {bounds}".encode())
            session.execute(f"INSERT INTO h VALUES ({i * 10 + 1})".encode())

    def insert_below(session: Session, number: int) -> None:
        session.execute("INSERT INTO h VALUES (%s)", [-number - 10_000])

    race(db, come_and_go, verify, find, insert_below)
    assert_intact(db, db.value("SELECT count(*) FROM h"))


@pytest.mark.parametrize("made", [SET_UP, PARTS], ids=["plain", "parts"])
def test_attempts_to_truncate(db: Database, made: str) -> None:
    db.run(made)

    def truncate(session: Session, _round: int) -> None:
        try:
            session.execute("TRUNCATE h")
        except psycopg.errors.ObjectNotInPrerequisiteState:
            return
        raise AssertionError("it was truncated")

    race(db, truncate, verify, find, insert)
    assert_intact(db, db.value("SELECT count(*) FROM h"))


def test_attach_and_detach(db: Database) -> None:
    db.run(f"{SET_UP}; CREATE TABLE other (n int)")

    def attach(session: Session, _round: int) -> None:
        session.execute("SELECT seal.attach('other'); INSERT INTO other VALUES (1); SELECT seal.detach('other')")
        session.execute("DROP TABLE other; CREATE TABLE other (n int)")

    def verify_all(session: Session, _round: int) -> None:
        rows = session.execute("SELECT history, verdict FROM seal.verify_history()").fetchall()
        assert ("public.h", "intact") in rows
        assert {verdict for _, verdict in rows} <= {"intact", "nothing_sealed"}, rows

    race(db, attach, verify_all, insert)
    assert_intact(db, db.value("SELECT count(*) FROM h"))
