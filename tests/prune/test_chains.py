"""Several chains: each loses its own prefix; one of which nothing is left goes on after its cut, whatever happens."""

from __future__ import annotations

import pytest

from support.anchoring import settle
from support.clock import Clock
from support.database import Database
from support.journaling import found
from support.pruning import assert_pruned, assert_whole, prune
from support.windows import add, damage, later, ledger


def parallel(db: Database, first: int, count: int, writers: int) -> None:
    """So many writers at the same time, each with so many rows in a chain of its own."""
    sessions = [db.connect(autocommit=False) for _ in range(writers)]
    for number, session in enumerate(sessions):
        start = first + number * count
        session.execute(
            f"INSERT INTO h SELECT g, 'acme', 'x' FROM generate_series({start}, {start + count - 1}) g".encode()
        )
    for session in sessions:
        session.commit()
        session.close()


def names(db: Database, count: int) -> list[str]:
    base = str(db.value("SELECT DISTINCT split_part(seal_chain, '/', 1) FROM h"))
    return [base] + [f"{base}/{number}" for number in range(1, count)]


def after(db: Database, how: str) -> None:
    if how == "crash":
        db.cluster.crash()
    elif how == "restart":
        db.cluster.restart()


def test_each_has_its_own_prefix(db: Database, clock: Clock) -> None:
    """Three chains with four old entries; then two of them get newer ones."""
    ledger(db)
    parallel(db, 1, 4, 3)
    later(db, clock, 13)
    parallel(db, 13, 2, 2)
    settle(db, "h")
    base, one, two = names(db, 3)
    assert_pruned(db, prune(db), {base: (1, 4), one: (1, 4), two: (1, 4)}, left=4)
    parallel(db, 17, 1, 3)
    assert db.rows("SELECT seal_chain, max(seal_seq) FROM h GROUP BY 1 ORDER BY 1") == [(base, 7), (one, 7), (two, 5)]
    assert_whole(db, {base: 4, one: 4, two: 4}, left=7)


@pytest.mark.parametrize("how", ["running", "restart", "crash"])
def test_whole_chains_that_nobody_uses(db: Database, clock: Clock, how: str) -> None:
    """The cut is the head. What is sealed next goes on after it, also when memory knows nothing."""
    ledger(db)
    parallel(db, 1, 4, 2)
    later(db, clock, 13)
    base, one = names(db, 2)
    assert_pruned(db, prune(db), {base: (1, 4), one: (1, 4)}, left=0)
    after(db, how)
    assert_whole(db, {base: 4, one: 4}, left=0)
    parallel(db, 9, 2, 2)
    assert db.rows("SELECT seal_chain, min(seal_seq) FROM h GROUP BY 1 ORDER BY 1") == [(base, 5), (one, 5)]
    assert_whole(db, {base: 4, one: 4}, left=4)
    settle(db, "h")
    after(db, how)
    assert_whole(db, {base: 4, one: 4}, left=4)


@pytest.mark.parametrize("how", ["running", "restart", "crash"])
def test_entries_that_vanish_beside_the_cut(db: Database, clock: Clock, how: str) -> None:
    ledger(db)
    parallel(db, 1, 4, 2)
    later(db, clock, 13)
    parallel(db, 9, 4, 2)
    settle(db, "h")
    base, one = names(db, 2)
    prune(db)
    damage(db, f"DELETE FROM h WHERE seal_chain = '{base}' AND seal_seq <= 6", "DELETE FROM h WHERE id = 13")
    after(db, how)
    assert found(db, "h") == [("missing", base, 5, 6), ("missing", one, 5, None)]
    assert db.value("SELECT bool_and(in_window) FROM seal.findings()")


@pytest.mark.parametrize("how", ["running", "restart", "crash"])
def test_all_that_was_left_vanishes(db: Database, clock: Clock, how: str) -> None:
    """Nothing stands there any more: the head is known all the same."""
    ledger(db)
    parallel(db, 1, 4, 2)
    later(db, clock, 13)
    parallel(db, 9, 4, 2)
    settle(db, "h")
    base, one = names(db, 2)
    prune(db)
    damage(db, f"DELETE FROM h WHERE seal_chain = '{one}'")
    after(db, how)
    assert found(db, "h") == [("truncated", one, 5, 8)]
    damage(db, f"DELETE FROM h WHERE seal_chain = '{base}'")
    assert found(db, "h") == [("truncated", base, 5, 8), ("truncated", one, 5, 8)]


def test_writers_go_on_while_chains_are_pruned(db: Database, clock: Clock) -> None:
    """Open transactions own their chains; those chains are pruned below all the same, and nobody waits."""
    ledger(db)
    parallel(db, 1, 4, 2)
    later(db, clock, 13)
    base, one = names(db, 2)
    writers = [db.connect(autocommit=False) for _ in range(2)]
    for number, writer in enumerate(writers):
        writer.execute("SET LOCAL lock_timeout = '2s'")
        writer.execute("INSERT INTO h VALUES (%s, 'acme', 'before')", [9 + number])
    run = prune(db)
    for number, writer in enumerate(writers):
        writer.execute("INSERT INTO h VALUES (%s, 'acme', 'after')", [11 + number])
        writer.commit()
    assert {name: tuple(span) for name, span in run["cuts"].items()} == {base: (1, 4), one: (1, 4)}
    assert_whole(db, {base: 4, one: 4}, left=4)


def test_an_earlier_row_in_one_statement_with_pruning(db: Database, clock: Clock) -> None:
    """A run right after a commit that no anchor has seen yet."""
    ledger(db)
    add(db, 1, 5)
    later(db, clock, 13)
    add(db, 6, 6)
    base = names(db, 1)[0]
    assert_pruned(db, prune(db), {base: (1, 5)}, left=1)
    db.cluster.crash()
    assert_whole(db, {base: 5}, left=1)
