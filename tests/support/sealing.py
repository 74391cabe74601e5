"""Histories that tests write to, what a whole chain looks like, and waiting for a session that waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
import pytest

from support.database import Database

Session = psycopg.Connection[Any]

SEAL_COLUMNS = ("seal_chain", "seal_seq", "seal_epoch", "seal_anchor", "seal_at", "seal_prev", "seal_mac")
DROP_SEAL_COLUMNS = "ALTER TABLE {} " + ", ".join(f"DROP COLUMN {name}" for name in SEAL_COLUMNS)
WAIT = 60.0


def run(session: Session, *statements: str) -> None:
    """Runs statements one by one, each as a message of its own."""
    for statement in statements:
        session.execute(statement.encode())


def value(session: Session, query: str) -> Any:
    """The only column of the only row."""
    rows = session.execute(query.encode()).fetchall()
    assert len(rows) == 1 and len(rows[0]) == 1, f"not one value: {rows!r}"
    return rows[0][0]


def history(db: Database, name: str = "h", columns: str = "id int PRIMARY KEY, p text", options: str = "") -> None:
    """A new history; `options` are further arguments of seal.attach."""
    db.run(f"CREATE TABLE {name} ({columns})")
    attach(db, name, options)


def attach(db: Database, name: str = "h", options: str = "") -> None:
    db.run(f"SELECT seal.attach('{name}'{', ' + options if options else ''})")


def partitioned(db: Database, name: str = "h", leaves: int = 2, options: str = "") -> None:
    """A history with a leaf for each `k` from 0 on: h0, h1, …"""
    db.run(f"CREATE TABLE {name} (id int, k int, p text, PRIMARY KEY (id, k)) PARTITION BY LIST (k)")
    for k in range(leaves):
        db.run(f"CREATE TABLE {name}{k} PARTITION OF {name} FOR VALUES IN ({k})")
    attach(db, name, options)


def chains(db: Database, name: str = "h") -> list[list[int]]:
    """The positions in each chain, chains in the order of their numbers."""
    query = f"""SELECT array_agg(seal_seq ORDER BY seal_seq) FROM {name} GROUP BY seal_chain
                 ORDER BY split_part(seal_chain, '/', 2)::text = '' DESC, length(seal_chain), seal_chain"""
    return [positions for (positions,) in db.rows(query)]


def ids(db: Database, name: str = "h") -> list[int]:
    """The ids of the rows in the order in which they were sealed; for a history with one chain."""
    return [number for (number,) in db.rows(f"SELECT id FROM {name} ORDER BY seal_chain, seal_seq")]


def verdict(db: Database, name: str = "h") -> str:
    return str(db.value("SELECT verdict FROM seal.verify_history(history => %s)", [name]))


def findings(db: Database, name: str = "h") -> list[tuple[str, int | None, int | None]]:
    query = "SELECT kind, position, last_position FROM seal.findings(history => %s)"
    return [(kind, first, last) for kind, first, last in db.rows(query, [name])]


def assert_whole(db: Database, name: str = "h", entries: int | None = None) -> None:
    """Intact to the verifier and to plain SQL: no gap, no fork, each row over the one before it."""
    assert findings(db, name) == []
    count = db.value(f"SELECT count(*) FROM {name}")
    assert entries is None or count == entries
    answer = db.rows("SELECT verdict, entries, findings FROM seal.verify_history(history => %s)", [name])
    assert answer == [("intact" if count else "nothing_sealed", count, 0)]
    assert all(positions == list(range(1, len(positions) + 1)) for positions in chains(db, name))
    forks = db.value(
        f"""SELECT count(*) FROM (SELECT *, lag(seal_mac, 1, decode(repeat('00', 32), 'hex'))
                                            OVER (PARTITION BY seal_chain ORDER BY seal_seq) AS before FROM {name}) e
             WHERE seal_prev IS DISTINCT FROM before"""
    )
    assert forks == 0


@contextmanager
def refused(sqlstate: str, message: str, hint: str = "") -> Iterator[None]:
    """The block ends with exactly this SQLSTATE; message and HINT hold these texts (and there is a HINT if asked)."""
    with pytest.raises(psycopg.Error) as caught:
        yield
    found = caught.value.diag
    assert (caught.value.sqlstate, message in (found.message_primary or "")) == (sqlstate, True), str(caught.value)
    assert hint in (found.message_hint or ""), str(caught.value)


APPEND_ONLY = "Insert a new row that corrects the old one. To give the table up as a history: SELECT seal.detach("


def append_only(statement: str, table: str = "h") -> AbstractContextManager[None]:
    """The guard's answer to a statement of this kind."""
    return refused("55000", f'{statement} is not allowed on history "public.{table}"', APPEND_ONLY)


# -- sessions that wait -----------------------------------------------------------------------------------------------


@contextmanager
def background() -> Iterator[Callable[..., Future[None]]]:
    """Runs statements in other threads: `start(session, "INSERT …")` gives a future."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        yield lambda session, *statements: pool.submit(run, session, *statements)


def wait_for(db: Database, condition: str, parameters: Any = None) -> None:
    """Returns when a query says true."""
    deadline = time.monotonic() + WAIT
    while not db.value(condition, parameters):
        assert time.monotonic() < deadline, f"not true within {WAIT:.0f} s: {condition} {parameters}"
        time.sleep(0.01)


CHAIN_LOCKS = """pg_locks WHERE locktype = 'object' AND classid = 'seal.history'::regclass
                           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


def wait_until_queued(db: Database, session: Session) -> None:
    """Returns when this session waits for a chain that another transaction owns."""
    wait_for(db, f"SELECT count(*) = 1 FROM {CHAIN_LOCKS} AND pid = %s AND NOT granted", [session.info.backend_pid])


def owned(db: Database, name: str = "h") -> list[int]:
    """Numbers of the chains of a history that open transactions own."""
    query = f"SELECT objsubid FROM {CHAIN_LOCKS} AND objid = '{name}'::regclass AND granted ORDER BY 1"
    return [number for (number,) in db.rows(query)]
