"""Pruning beside everything else: verification raises no false alarm, writers write, whatever the order of things."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.anchoring import settle
from support.clock import Clock
from support.crowd import Crowd
from support.database import Database
from support.journaling import found
from support.pruning import assert_whole, prune, remaining
from support.sealing import history
from support.windows import add, later, ledger

ROUNDS = 12
ROUND = 200


def verify(db: Database, enough: threading.Event) -> tuple[int, set[str]]:
    """Again and again until there is enough; how often, and what was ever found."""
    session, times, kinds = db.connect(), 0, set()
    while not enough.is_set():
        kinds |= {str(row) for row in session.execute("SELECT kind, chain, position, detail FROM seal.findings()")}
        times += 1
    return times, kinds


def test_verification(db: Database, clock: Clock) -> None:
    """What it sees of the entries and what it knows of the cut are of the same moment."""
    ledger(db)
    enough = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        verifiers = [pool.submit(verify, db, enough) for _ in range(2)]
        try:
            for round in range(ROUNDS):
                add(db, round * ROUND + 1, (round + 1) * ROUND)
                settle(db, "h")
                clock.forward(days=400)
                assert prune(db)["pruned"] == ROUND
        finally:
            enough.set()
        for verifier in verifiers:
            times, kinds = verifier.result(timeout=30)
            assert kinds == set()
            assert times > 3
    assert remaining(db) == []


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
def test_verification_in_an_older_transaction(db: Database, clock: Clock, level: str) -> None:
    """It began before the pruning, and has inserted."""
    ledger(db)
    add(db, 1, 5)
    later(db, clock, 13)
    session = db.connect(autocommit=False)
    session.execute(f"SET TRANSACTION ISOLATION LEVEL {level}".encode())
    assert session.execute("SELECT count(*) FROM h").fetchone() == (5,)
    session.execute("INSERT INTO h VALUES (6, 'acme', 'x')")
    assert prune(db)["pruned"] == 5
    assert session.execute("SELECT kind, chain, position FROM seal.findings()").fetchall() == []
    assert session.execute("SELECT verdict FROM seal.verify_history()").fetchall() == [("intact",)]
    session.commit()
    assert remaining(db) == [6]
    assert found(db) == []


def test_a_crowd_of_writers(db: Database, clock: Clock) -> None:
    """Savepoints, conflicts and rollbacks in four sessions; meanwhile time passes and what is old goes."""
    history(db, "h", "id int PRIMARY KEY, p text", "window_months => 12")
    writers = Crowd(db, 4, "READ COMMITTED", seconds=8)
    pruned = 0

    def beside() -> None:
        nonlocal pruned
        clock.forward(days=400)
        run = prune(db)
        assert (run["verdict"] in ("intact", "nothing_sealed"), run["findings"]) == (True, 0), run
        pruned += run["pruned"]
        time.sleep(0.05)

    committed = writers.write(beside)
    settle(db, "h")
    assert pruned > 0
    assert found(db) == []
    left = remaining(db)
    assert len(left) == len(set(left) & set(committed)) == len(committed) - pruned


def test_prepared_transactions(db: Database, clock: Clock) -> None:
    """One that is open over a year holds nothing up, and what it has sealed goes when its time has come."""
    ledger(db)
    add(db, 1, 3)
    settle(db, "h")
    name = str(db.value("SELECT DISTINCT seal_chain FROM h"))
    session = db.connect()
    session.execute("BEGIN")
    session.execute("INSERT INTO h VALUES (4, 'acme', 'prepared')")
    session.execute(f"PREPARE TRANSACTION '{db.name}'".encode())
    clock.forward(days=400)
    add(db, 5, 5)
    run = prune(db)
    assert (run["verdict"], run["cuts"]) == ("intact", {name: [1, 3]})
    db.cluster.crash()
    db.run(f"COMMIT PREPARED '{db.name}'")
    assert remaining(db) == [4, 5]
    assert found(db) == []
    settle(db, "h")
    assert prune(db)["cuts"] == {name: [4, 4]}
    assert found(db) == []
    add(db, 6, 6)
    assert found(db) == []


def test_vacuum_and_rewrites(db: Database, clock: Clock) -> None:
    ledger(db)
    add(db, 1, 5)
    later(db, clock, 13)
    add(db, 6, 8)
    settle(db, "h")
    name = str(db.value("SELECT DISTINCT seal_chain FROM h"))
    prune(db)
    for statement in ("VACUUM h", "VACUUM FULL h", "CLUSTER h USING h_pkey", "REINDEX TABLE h", "VACUUM seal.journal"):
        db.run(statement)
        assert_whole(db, {name: 5}, left=3)
    db.cluster.restart()
    add(db, 9, 9)
    assert_whole(db, {name: 5}, left=4)
