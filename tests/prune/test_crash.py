"""kill -9 of the postmaster while entries are being pruned, again and again: what is there verifies, and each batch is
there as a whole or gone as a whole."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from support.anchoring import settle
from support.clock import Clock
from support.database import Database
from support.journaling import found, journal_is_whole
from support.pruning import prune
from support.sealing import Session
from support.windows import add, ledger

CRASHES = 8
ROUND = 40


def pruning(session: Session, started: threading.Event) -> None:
    """Prunes until the server dies."""
    started.set()
    try:
        session.execute("SELECT * FROM seal.verify_and_prune()")
    except psycopg.OperationalError:
        return


def state(db: Database) -> tuple[int, int, int]:
    """How far the journal says that chains were pruned, the lowest entry that is left, and how many there are."""
    cut = """SELECT coalesce(max((span.value->>'last')::bigint), 0) FROM seal.journal,
                    jsonb_each(details->'chains') span WHERE kind = 'cut'"""
    lowest, count = db.rows("SELECT min(seal_seq), count(*) FROM h")[0]
    return int(db.value(cut)), int(lowest), int(count)


def crash_once(db: Database, delay: float) -> None:
    """Kills the server this long after a run has begun."""
    started = threading.Event()
    session = db.connect()
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(pruning, session, started)
        assert started.wait(10)
        # Not to wait for anything: to be anywhere within the run.
        time.sleep(delay)
        db.cluster.kill()
        run.result(timeout=30)
    db.cluster.start()


def duration(db: Database) -> float:
    before = time.monotonic()
    prune(db, None)
    return time.monotonic() - before


def aged_again(db: Database, clock: Clock, round: int) -> None:
    """Forty further entries, of which thirty are too old a year later."""
    first = round * ROUND + 1
    add(db, first, first + 29)
    settle(db, "h")
    clock.forward(days=400)
    add(db, first + 30, first + ROUND - 1)
    settle(db, "h")


def assert_consistent(db: Database, total: int) -> bool:
    """Everything verifies; a cut is journaled exactly when its entries are gone. Returns whether they are."""
    cut, lowest, count = state(db)
    assert (lowest, count) == (cut + 1, total - cut)
    assert found(db) == []
    assert db.rows("SELECT verdict, entries FROM seal.verify_history()") == [("intact", total - cut)]
    journal_is_whole(db)
    recorded = db.value("SELECT coalesce(sum(pruned_entries), 0)::bigint FROM seal.verification")
    assert recorded == cut
    return cut > 0


def test_anywhere_within_a_run(db: Database, clock: Clock) -> None:
    """Delays from nothing to a little more than a run takes; afterwards sealing and pruning go on."""
    ledger(db)
    dice = random.Random(4)
    aged_again(db, clock, 0)
    takes = duration(db)
    for round in range(1, CRASHES + 1):
        aged_again(db, clock, round)
        crash_once(db, dice.uniform(0, 1.2 * takes))
        assert_consistent(db, total=ROUND * (round + 1))
    aged_again(db, clock, CRASHES + 1)
    run = prune(db, None)
    assert run["verdict"] == "intact"
    cut, _, _ = state(db)
    assert cut == ROUND * (CRASHES + 2) - 10
    assert_consistent(db, total=ROUND * (CRASHES + 2))


PHASES = {
    # What the run waits for, so that the kill meets it there.
    "verifying": "LOCK TABLE seal.anchor IN ACCESS EXCLUSIVE MODE",
    "deleting": "LOCK TABLE gate IN ACCESS EXCLUSIVE MODE",
    "journaling": "LOCK TABLE seal.journal IN SHARE MODE",
}


@pytest.mark.parametrize("phase", PHASES)
def test_in_each_phase(db: Database, clock: Clock, phase: str) -> None:
    """A session in the way holds the run at a known point; nothing of it was committed, nothing is lost."""
    ledger(db)
    db.run(
        """CREATE TABLE gate (id int);
           CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN IF OLD.id = 20 THEN PERFORM FROM public.gate; END IF; RETURN OLD; END $$;
           CREATE TRIGGER pass BEFORE DELETE ON h FOR EACH ROW EXECUTE FUNCTION pass()"""
    )
    aged_again(db, clock, 0)
    blocker, session = db.connect(autocommit=False), db.connect()
    blocker.execute(PHASES[phase].encode())
    started = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(pruning, session, started)
        deadline = time.monotonic() + 10
        waits = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s"
        while not db.value(waits, [session.info.backend_pid]):
            assert time.monotonic() < deadline, "it does not wait there"
            time.sleep(0.01)
        db.cluster.kill()
        run.result(timeout=30)
    db.cluster.start()
    assert assert_consistent(db, total=ROUND) is False
    assert prune(db, None)["pruned"] == 30
    assert assert_consistent(db, total=ROUND) is True
    db.cluster.crash()
    assert assert_consistent(db, total=ROUND) is True


def test_the_backend_alone(db: Database, clock: Clock) -> None:
    """Killed, terminated, cancelled: the others go on, and so does the next run."""
    ledger(db)
    db.run(
        """CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN PERFORM pg_sleep(0.02); RETURN OLD; END $$;
           CREATE TRIGGER slowly BEFORE DELETE ON h FOR EACH ROW EXECUTE FUNCTION slowly()"""
    )
    aged_again(db, clock, 0)
    for call in ("pg_cancel_backend", "pg_terminate_backend"):
        session = db.connect()
        with ThreadPoolExecutor(1) as pool:
            run = pool.submit(session.execute, "SELECT * FROM seal.verify_and_prune()")
            deadline = time.monotonic() + 10
            asleep = "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = %s"
            while not db.value(asleep, [session.info.backend_pid]):
                assert time.monotonic() < deadline, "it does not delete"
            db.value(f"SELECT {call}(%s)", [session.info.backend_pid])
            with pytest.raises(psycopg.OperationalError):
                run.result(timeout=30)
        assert assert_consistent(db, total=ROUND) is False
    assert prune(db, None)["pruned"] == 30
    assert assert_consistent(db, total=ROUND) is True
