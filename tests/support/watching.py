"""Verifications that run in a session of their own, watched from another one.

    with Verification(db) as running:
        running.wait_for("checking entries")        its line of seal.verification_progress
        running.cancel()                            ends it, within a second
    assert_nothing_left(db, running.session)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import psycopg
import pytest

from support.anchoring import wait_until_anchored
from support.database import Database
from support.refusal import refusal
from support.sealing import Session, history, run

ALL = "SELECT history, verdict, entries, findings FROM seal.verify_history() ORDER BY 1"
SERIAL = "SET max_parallel_workers_per_gather = 0"
PARALLEL = (
    "SET max_parallel_workers_per_gather = 2",
    "SET parallel_setup_cost = 0",
    "SET min_parallel_table_scan_size = 0",
)

ENTRIES = 200_000
LEDGER = "id int PRIMARY KEY, tenant text, p jsonb"
DOCUMENTS = """INSERT INTO h SELECT g, 't' || g % 10, jsonb_build_object('n', g, 'text', repeat('x', 250))
                 FROM generate_series(1, {}) g"""

SECOND = 1.0
PATIENCE = 60.0

Line = dict[str, Any]


def large(db: Database) -> None:
    """A history h whose verification takes long enough to be watched."""
    history(db, "h", LEDGER, "tenant_column => 'tenant'")
    db.run(DOCUMENTS.format(ENTRIES))
    wait_until_anchored(db, "h")


class Verification:
    """A statement in another session; ended with the block, in whatever way."""

    def __init__(self, db: Database, statement: str = ALL, *, user: str = "postgres", before: tuple[str, ...] = ()):
        self.db, self.statement = db, statement
        self.session = db.connect(user)
        run(self.session, *before)
        self.watcher = db.connect()
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> Verification:
        self.answer = self._pool.submit(lambda: self.session.execute(self.statement.encode()).fetchall())
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> TracebackType | None:
        if kind is not None and not self.answer.done():
            self.watcher.execute("SELECT pg_terminate_backend(%s)", [self.pid])
        self._pool.shutdown()
        self.watcher.close()
        return None

    @property
    def pid(self) -> int:
        return self.session.info.backend_pid

    def line(self) -> Line | None:
        """What seal.verification_progress says of it now."""
        return line_of(self.watcher, self.pid)

    def lines(self) -> list[Line]:
        """All different lines until it ends."""
        seen: list[Line] = []
        while not self.answer.done():
            line = self.line()
            if line is not None and (not seen or line != seen[-1]):
                seen.append(line)
        return seen

    def wait_for(self, phase: str, more: Callable[[Line], bool] = lambda _: True) -> Line:
        """Returns the first line in this phase of which `more` is true."""
        deadline = time.monotonic() + PATIENCE
        seen: Line | None = None
        while time.monotonic() < deadline:
            line = self.line()
            if line is not None and line["phase"] == phase and more(line):
                return line
            assert not self.answer.done(), f"it ended before: {seen}, {self.answer.exception()}"
            seen = line or seen
        raise AssertionError(f"never {phase}: {seen}")

    def wait_for_workers(self) -> None:
        """Returns when parallel workers are at it."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE leader_pid = %s AND backend_type = 'parallel worker'"
        while self.watcher.execute(query, [self.pid]).fetchone() == (0,):
            assert not self.answer.done(), "it ended without a worker"

    def cancel(self, within: float = SECOND) -> None:
        """Cancels it; it must be over within a second."""
        assert self.watcher.execute("SELECT pg_cancel_backend(%s)", [self.pid]).fetchone() == (True,)
        self.assert_cancelled(time.monotonic(), within)

    def assert_cancelled(self, since: float, within: float = SECOND) -> None:
        with pytest.raises(psycopg.errors.QueryCanceled):
            self.answer.result(PATIENCE)
        took = time.monotonic() - since
        assert took < within, took


def line_of(session: Session, pid: int) -> Line | None:
    query = "SELECT * FROM seal.verification_progress WHERE pid = %s"
    with session.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        lines = cursor.execute(query, [pid]).fetchall()
    assert len(lines) <= 1, lines
    return lines[0] if lines else None


# A parallel worker locks the database while it connects.
HELD = """SELECT locktype, relation::regclass::text, mode FROM pg_locks
           WHERE (locktype, classid) IS DISTINCT FROM ('object', 'pg_database'::regclass::oid)
             AND (pid = %(pid)s OR pid IN (SELECT pid FROM pg_stat_activity WHERE leader_pid = %(pid)s))"""
# A part of a verification, called by hand.
PART = """SELECT seal.audit(format('{{"relation": %s, "tenant": null, "key": []}}', '{0}'::regclass::oid::bigint),
                            seal_chain, seal_seq, seal_epoch, seal_anchor, seal_at, seal_prev, seal_mac, ctid, id)
            FROM {0}"""
ALONE = "a part of pgseal's verification was called on its own"


def assert_nothing_left(db: Database, session: Session, name: str = "h") -> None:
    """No progress, no lock, no parallel worker, no temporary file, no secret by which a part could be called."""
    pid = session.info.backend_pid
    assert line_of(db.connection, pid) is None
    assert db.rows(HELD, {"pid": pid}) == []
    assert db.rows("SELECT pid FROM pg_stat_activity WHERE leader_pid = %s", [pid]) == []
    assert db.rows("SELECT name FROM pg_ls_tmpdir()") == []
    run(session, "SET statement_timeout = 0")
    assert refusal(session, PART.format(name)).message == ALONE
