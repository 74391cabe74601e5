"""A chain that was used once and never again: the worker anchors it, whoever committed it and whatever came between."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.anchoring import (
    ANCHORED,
    add,
    faults,
    is_anchored,
    make,
    nothing_anchored,
    place,
    settle,
    wait_until_anchored,
    wait_until_asleep,
)
from support.database import Database
from support.sealing import run, wait_for
from support.tampering import assert_intact, triggers_off


def remove(db: Database, name: str, position: int) -> None:
    with triggers_off(db.connection, name):
        db.run(f"DELETE FROM {name} WHERE seal_seq = {position}")


def prepared(db: Database, *, wait: bool) -> None:
    """Entry 4 by COMMIT PREPARED, if asked after the worker has met the prepared transaction."""
    session = db.connect()
    run(session, "BEGIN", "INSERT INTO h VALUES (4, 'x')", "PREPARE TRANSACTION 'tail'")
    if wait:
        wait_for(db, "SELECT worker LIKE '%prepared transactions and wait' FROM seal.status LIMIT 1")
    run(session, "COMMIT PREPARED 'tail'")


def commit_prepared(db: Database) -> None:
    prepared(db, wait=False)


def commit_prepared_later(db: Database) -> None:
    prepared(db, wait=True)


def commit_prepared_after_a_crash(db: Database) -> None:
    run(db.connect(), "BEGIN", "INSERT INTO h VALUES (4, 'x')", "PREPARE TRANSACTION 'tail'")
    db.cluster.crash()
    db.run("COMMIT PREPARED 'tail'")


def commit_prepared_long_after_a_crash(db: Database) -> None:
    """The worker has looked through the tables meanwhile, and did not see what was prepared."""
    run(db.connect(), "BEGIN", "INSERT INTO h VALUES (4, 'x')", "PREPARE TRANSACTION 'tail'")
    db.cluster.crash()
    wait_until_asleep(Database(db.cluster, "postgres"))
    db.run("COMMIT PREPARED 'tail'")


def crash(db: Database) -> None:
    with nothing_anchored(db):
        add(db, "h")
        db.cluster.crash()


def fast_restart(db: Database) -> None:
    with nothing_anchored(db):
        add(db, "h")
        db.cluster.restart()


def crash_twice(db: Database) -> None:
    with nothing_anchored(db):
        add(db, "h")
        db.cluster.crash()
        db.cluster.crash()


def crash_while_the_table_is_locked(db: Database) -> None:
    """Whoever holds the table when the worker first looks does not hold it for ever."""
    with nothing_anchored(db):
        add(db, "h")
        run(db.connect(), "BEGIN", "LOCK TABLE h IN ACCESS EXCLUSIVE MODE", "PREPARE TRANSACTION 'lock'")
        db.cluster.crash()
    add(db, "g")
    wait_until_anchored(db, "g")
    db.run("COMMIT PREPARED 'lock'")


def open_for(db: Database, connections: bool) -> None:
    with db.cluster.connect() as administrator:
        administrator.execute(f"ALTER DATABASE {db.name} ALLOW_CONNECTIONS {connections}".encode())


def while_nobody_may_connect(db: Database) -> None:
    """Sessions that are there already go on."""
    open_for(db, False)
    add(db, "h")
    wait_for(db, f"SELECT bool_or(anchor IS NULL OR NOT ok) OR ({ANCHORED.format('h')}) FROM seal.status")
    open_for(db, True)


def crash_while_nobody_may_connect(db: Database) -> None:
    with nothing_anchored(db):
        add(db, "h")
        open_for(db, False)
        db.cluster.crash()
    wait_until_asleep(Database(db.cluster, "postgres"))
    open_for(db, True)


WAYS = [
    while_nobody_may_connect,
    crash_while_nobody_may_connect,
    commit_prepared,
    commit_prepared_later,
    commit_prepared_after_a_crash,
    commit_prepared_long_after_a_crash,
    crash,
    fast_restart,
    crash_twice,
    crash_while_the_table_is_locked,
]


@pytest.mark.parametrize("way", WAYS)
def test_its_tail_is_anchored_and_protected(fresh: Database, way: Callable[[Database], None]) -> None:
    make(fresh, "h", "g")
    add(fresh, "h", 3)
    add(fresh, "g")
    settle(fresh, "h", "g")
    way(fresh)
    settle(fresh, "h")
    fresh.cluster.restart()
    remove(fresh, "h", 4)
    assert faults(fresh, "h") == [("truncated", place(fresh), 4, None)]
    assert_intact(fresh, history="g")


@pytest.mark.parametrize("how", ["ROLLBACK PREPARED 'tail'", "COMMIT PREPARED 'tail'"])
def test_a_chain_whose_only_entry_was_prepared(fresh: Database, how: str) -> None:
    """Nothing else was ever written to it. What was rolled back is nobody's tail."""
    make(fresh, "h")
    run(fresh.connect(), "BEGIN", "INSERT INTO h VALUES (1, 'x')", "PREPARE TRANSACTION 'tail'", how)
    if how.startswith("COMMIT"):
        settle(fresh, "h")
        fresh.cluster.crash()
        remove(fresh, "h", 1)
        assert faults(fresh) == [("truncated", place(fresh), 1, None)]
    else:
        wait_for(fresh, "SELECT bool_and(worker = 'running') FROM seal.status")
        assert fresh.rows("SELECT verdict, findings FROM seal.verify_history()") == [("nothing_sealed", 0)]


def test_a_chain_whose_only_entry_was_prepared_before_a_crash(fresh: Database) -> None:
    make(fresh, "h", "g")
    add(fresh, "g")
    settle(fresh, "g")
    run(fresh.connect(), "BEGIN", "INSERT INTO h VALUES (1, 'x')", "PREPARE TRANSACTION 'tail'")
    fresh.cluster.crash()
    wait_until_asleep(Database(fresh.cluster, "postgres"))
    fresh.run("COMMIT PREPARED 'tail'")
    settle(fresh, "h")
    fresh.cluster.restart()
    remove(fresh, "h", 1)
    assert faults(fresh, "h") == [("truncated", place(fresh), 1, None)]


def test_second_chains_of_before_a_crash(fresh: Database) -> None:
    """A restart forgets which chains there are; the worker finds each in the table."""
    make(fresh, "h")
    settle(fresh)
    writers = [fresh.connect(autocommit=False) for _ in range(3)]
    with nothing_anchored(fresh):
        for number, writer in enumerate(writers):
            writer.execute("INSERT INTO h VALUES (%s, 'x')", [number])
        for writer in writers:
            writer.commit()
        assert not is_anchored(fresh, "h")
        fresh.cluster.crash()
    settle(fresh, "h")
    fresh.cluster.crash()
    with triggers_off(fresh.connection, "h"):
        fresh.run("DELETE FROM h")
    name = place(fresh)
    expected = [("truncated", chain, 1, None) for chain in (name, f"{name}/1", f"{name}/2")]
    assert faults(fresh) == sorted(expected)


def test_leaves_of_a_partitioned_history(fresh: Database) -> None:
    fresh.run("CREATE TABLE h (id int, k int, PRIMARY KEY (id, k)) PARTITION BY LIST (k)")
    for k in range(3):
        fresh.run(f"CREATE TABLE h{k} PARTITION OF h FOR VALUES IN ({k})")
    fresh.run("SELECT seal.attach('h')")
    settle(fresh)
    with nothing_anchored(fresh):
        fresh.run("INSERT INTO h SELECT g, (g + 1) % 3 FROM generate_series(1, 4) g")
        fresh.cluster.crash()
    settle(fresh, "h")
    fresh.cluster.crash()
    with triggers_off(fresh.connection, "h"):
        fresh.run("DELETE FROM h WHERE seal_seq > 2")
    assert faults(fresh) == [("truncated", place(fresh), 3, 4)]
