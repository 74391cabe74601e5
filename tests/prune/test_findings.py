"""Findings: nothing is pruned before somebody has looked; then pruning goes on around them and never over them."""

from __future__ import annotations

from typing import Any

import pytest

from support.clock import Clock
from support.database import Database
from support.journaling import found
from support.pruning import aged, assert_nothing_pruned, expired, keep_copy, prune, put_copy_back, remaining
from support.windows import add, damage, later, ledger

CHANGED = "UPDATE h SET note = 'x' WHERE id = {}"
REMOVED = "DELETE FROM h WHERE id = {}"


def acknowledge(db: Database, count: int = 1) -> None:
    assert db.value("SELECT seal.acknowledge('disk failure, ticket 4711', 'h')") == count


def counts(run: dict[str, Any]) -> tuple[str, int, int]:
    return (run["verdict"], run["findings"], run["findings_new"])


@pytest.mark.parametrize("row", [1, 2, 3, 4])
@pytest.mark.parametrize("deed", [CHANGED, REMOVED], ids=["changed", "removed"])
def test_a_fault_before_the_window(db: Database, clock: Clock, row: int, deed: str) -> None:
    """The evidence stays, and everything else with it."""
    name = aged(db, clock)
    damage(db, deed.format(row))
    for _ in range(2):
        run = prune(db)
        assert counts(run) == ("intact_in_window", 1, 1)
        assert_nothing_pruned(db, run, left=8 - (deed == REMOVED))
    assert "seal.findings(" in run["next_step"]
    assert found(db, "h") == [("missing" if deed == REMOVED else "modified", name, row, None)]


@pytest.mark.parametrize("row", [5, 6, 8])
@pytest.mark.parametrize("deed", [CHANGED, REMOVED], ids=["changed", "removed"])
def test_a_fault_at_the_edge_or_inside(db: Database, clock: Clock, row: int, deed: str) -> None:
    aged(db, clock)
    damage(db, deed.format(row))
    run = prune(db)
    assert counts(run) == ("tampered", 1, 1)
    assert_nothing_pruned(db, run, left=8 - (deed == REMOVED))


def test_just_before_the_window_then_a_run_a_month_later(db: Database, clock: Clock) -> None:
    """Changed while inside, out of it when the next run comes: it is not swept away."""
    ledger(db)
    add(db, 1, 3)
    later(db, clock, 11.9)
    add(db, 4, 4)
    damage(db, CHANGED.format(2))
    expired(db, clock, 1)
    run = prune(db)
    assert counts(run) == ("intact_in_window", 1, 1)
    assert_nothing_pruned(db, run, left=4)


@pytest.mark.parametrize("row", [2, 3, 4])
@pytest.mark.parametrize("deed", [CHANGED, REMOVED], ids=["changed", "removed"])
def test_acknowledged(db: Database, clock: Clock, row: int, deed: str) -> None:
    """What lies below it goes; it stays, with all above it, and stays counted."""
    name = aged(db, clock)
    damage(db, deed.format(row))
    acknowledge(db)
    run = prune(db)
    assert counts(run) == ("intact_in_window", 1, 0)
    assert (run["pruned"], run["cuts"]) == (row - 1, {name: [1, row - 1]})
    assert remaining(db) == [n for n in range(row, 9) if deed == CHANGED or n != row]
    kind = "missing" if deed == REMOVED else "modified"
    assert found(db, "h") == [(kind, name, row, None)]
    again = prune(db)
    assert (counts(again), again["pruned"]) == (("intact_in_window", 1, 0), 0)


def test_the_first_entry_acknowledged(db: Database, clock: Clock) -> None:
    aged(db, clock)
    damage(db, CHANGED.format(1))
    acknowledge(db)
    run = prune(db)
    assert counts(run) == ("intact_in_window", 1, 0)
    assert_nothing_pruned(db, run)


def test_acknowledged_inside_the_window(db: Database, clock: Clock) -> None:
    """The verdict stays, and so does the entry; what is old and intact may go."""
    name = aged(db, clock)
    damage(db, CHANGED.format(7))
    acknowledge(db)
    run = prune(db)
    assert counts(run) == ("tampered", 1, 0)
    assert run["cuts"] == {name: [1, 5]}
    assert remaining(db) == [6, 7, 8]
    assert found(db, "h") == [("modified", name, 7, None)]


def test_one_of_two_acknowledged(db: Database, clock: Clock) -> None:
    aged(db, clock)
    damage(db, CHANGED.format(2))
    acknowledge(db)
    damage(db, CHANGED.format(4))
    run = prune(db)
    assert counts(run) == ("intact_in_window", 2, 1)
    assert_nothing_pruned(db, run)


def test_an_acknowledged_one_changed_once_more(db: Database, clock: Clock) -> None:
    aged(db, clock)
    damage(db, CHANGED.format(3))
    acknowledge(db)
    damage(db, "UPDATE h SET note = 'y' WHERE id = 3")
    run = prune(db)
    assert counts(run) == ("intact_in_window", 1, 1)
    assert_nothing_pruned(db, run)


def test_pruning_around_an_acknowledged_one_in_another_chain(db: Database, clock: Clock) -> None:
    ledger(db)
    writers = [db.connect(autocommit=False) for _ in range(2)]
    for number, writer in enumerate(writers):
        first = 10 * number + 1
        writer.execute(f"INSERT INTO h SELECT g, 'acme', 'x' FROM generate_series({first}, {first + 4}) g".encode())
    for writer in writers:
        writer.commit()
    later(db, clock, 13)
    add(db, 30, 30)
    base = db.value("SELECT seal_chain FROM h WHERE id = 1")
    damage(db, "UPDATE h SET note = 'y' WHERE id = 13")
    acknowledge(db)
    run = prune(db)
    assert run["cuts"] == {base: [1, 5], f"{base}/1": [1, 2]}
    assert remaining(db) == [13, 14, 15, 30]


@pytest.mark.parametrize("place", ["'x', 3", "'x', 1", "seal_chain, 50", "seal_chain, -3"])
def test_a_foreign_row_acknowledged(db: Database, clock: Clock, place: str) -> None:
    """It stays where it is, in a chain of its own or far above; the rest goes as ever."""
    name = aged(db, clock)
    damage(
        db,
        "INSERT INTO h (id, tenant, note, seal_chain, seal_seq, seal_epoch, seal_anchor, seal_at, seal_prev, seal_mac)"
        f" SELECT 99, tenant, note, {place}, seal_epoch, seal_anchor, seal_at, seal_prev, seal_mac FROM h WHERE id = 3",
    )
    before = found(db, "h")
    assert before
    acknowledge(db, len(before))
    assert prune(db)["cuts"] == {name: [1, 5]}
    assert remaining(db) == [6, 7, 8, 99]
    assert found(db, "h") == before
    assert prune(db)["pruned"] == 0


@pytest.mark.parametrize("how", ["running", "restart", "crash"])
def test_rows_put_back_below_the_cut(db: Database, clock: Clock, how: str) -> None:
    """They are authentic, but they are gone: whoever has a copy cannot bring them back unseen."""
    name = aged(db, clock)
    keep_copy(db)
    prune(db)
    put_copy_back(db, "seal_seq IN (2, 5)")
    if how != "running":
        db.cluster.crash() if how == "crash" else db.cluster.restart()
    assert found(db, "h") == [("cut_altered", name, 2, None), ("cut_altered", name, 5, None)]
    run = prune(db)
    assert (run["findings_new"], run["pruned"]) == (2, 0)
    assert remaining(db) == [2, 5, 6, 7, 8]


def test_rows_put_back_acknowledged(db: Database, clock: Clock) -> None:
    """They stay, below the cut; the chain has its beginning above it and can be pruned on."""
    name = aged(db, clock)
    keep_copy(db)
    prune(db)
    put_copy_back(db, "seal_seq IN (2, 5)")
    acknowledge(db, 2)
    later(db, clock, 13)
    add(db, 9, 9)
    run = prune(db)
    assert counts(run)[1:] == (2, 0)
    assert run["cuts"] == {name: [6, 8]}
    assert remaining(db) == [2, 5, 9]
    assert found(db, "h") == [("cut_altered", name, 2, None), ("cut_altered", name, 5, None)]


def test_all_rows_put_back(db: Database, clock: Clock) -> None:
    """The whole table as it was before; only the journal knows better."""
    name = aged(db, clock)
    keep_copy(db)
    prune(db)
    damage(db, "DELETE FROM h", "INSERT INTO h TABLE honest_h")
    assert found(db, "h") == [("cut_altered", name, 1, 5)]
    run = prune(db)
    assert (run["verdict"], run["findings_new"], run["pruned"]) == ("tampered", 1, 0)
    assert len(remaining(db)) == 8
