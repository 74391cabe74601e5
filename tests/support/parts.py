"""Scheduled runs that prune in several transactions, held up at a known place.

    name = many(db, clock, PART + 5)    h: so many entries are too old, three are not
    run_once(db)                        a run by schedule, to its end
    with held_within(db, 500) as pid:   a run by schedule that waits before it deletes entry 500; it goes on at the end
    with held_between(db, "SELECT …"):  a run whose first part is committed and whose second one waits for this statement,
                                        which is committed at the end
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from support.anchoring import settle
from support.clock import Clock
from support.database import Database
from support.pruning import chain
from support.scheduling import EVERY_SECOND, RUN_WORKERS
from support.sealing import Session, run, wait_for
from support.windows import add, later, ledger

PART = 100_000
"""How many entries a run by schedule prunes in one transaction."""
NEW = 3
"""How many entries are not too old."""

WAITS = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock')"

CUTS = """SELECT (span.value ->> 'first')::bigint, (span.value ->> 'last')::bigint
            FROM seal.journal j, jsonb_each(details -> 'chains') span WHERE kind = 'cut' ORDER BY j.at, j.seq"""


def many(db: Database, clock: Clock, old: int, window: int = 12) -> str:
    """A history with so many entries that are too old and three that are not, in one chain; returns its name."""
    ledger(db, window)
    add(db, 1, old)
    later(db, clock, 13)
    add(db, old + 1, old + NEW)
    settle(db, "h")
    return chain(db)


def cuts(db: Database) -> list[tuple[Any, ...]]:
    """First and last entry of each act of pruning."""
    return db.rows(CUTS)


def begin(db: Database) -> None:
    """Has a run begin by schedule, and no other after it; returns when it is recorded."""
    known = int(db.value("SELECT count(*) FROM seal.verification"))
    db.value("SELECT seal.set_schedule('h', %s)", [EVERY_SECOND])
    wait_for(db, "SELECT count(*) > %s FROM seal.verification", [known])
    db.value("SELECT seal.set_schedule('h', 'off')")


def over(db: Database) -> None:
    """Waits until no run worker is at work."""
    wait_for(db, f"SELECT NOT EXISTS ({RUN_WORKERS})")


def run_once(db: Database) -> None:
    """At least one run by schedule, to its end."""
    begin(db)
    over(db)


def worker(db: Database) -> int:
    """Waits until the run worker waits for a lock; its process id."""
    wait_for(db, f"SELECT EXISTS ({RUN_WORKERS} AND wait_event_type = 'Lock')")
    return int(db.value(RUN_WORKERS))


@contextmanager
def _held(db: Database, session: Session, *statements: str) -> Iterator[None]:
    """A transaction with these statements, committed at the end of the block unless the server was lost meanwhile."""
    lost = db.cluster.sessions_lost
    run(session, *statements)
    yield
    if db.cluster.sessions_lost == lost:
        session.commit()
    else:
        session.close()


@contextmanager
def held_within(db: Database, at: int) -> Iterator[int]:
    """A run by schedule waits before it deletes the entry of this id; the worker's process id."""
    db.run(
        f"""CREATE TABLE gate (id int); GRANT SELECT ON gate TO PUBLIC;
            CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM FROM public.gate; RETURN OLD; END $$;
            CREATE TRIGGER pass BEFORE DELETE ON h FOR EACH ROW WHEN (OLD.id = {at}) EXECUTE FUNCTION pass()"""
    )
    with _held(db, db.connect(autocommit=False), "LOCK TABLE gate IN ACCESS EXCLUSIVE MODE"):
        begin(db)
        yield worker(db)


@contextmanager
def held_between(db: Database, *statements: str) -> Iterator[int]:
    """A run by schedule has committed its first part; its second waits for these statements, one of which has to
    wait for the first part. The worker's process id."""
    session = db.connect(autocommit=False)
    with ThreadPoolExecutor(1) as pool:
        with held_within(db, 7) as pid:
            waiting = pool.submit(run, session, *statements)
            wait_for(db, WAITS, [session.info.backend_pid])
        waiting.result(timeout=60)
    with _held(db, session):
        assert worker(db) == pid
        assert cuts(db) == [(1, PART)]
        yield pid
