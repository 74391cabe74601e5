"""What a fault inside the window, before it and at its edge makes of the verdict.

A fault lies before the window only if a valid entry at the same or a higher position of its chain is older than the
window's start: what an attacker writes into a faulty entry proves nothing.
"""

from __future__ import annotations

import pytest

from support.anchoring import settle
from support.clock import Clock
from support.database import Database
from support.sealing import chains
from support.windows import (
    Fault,
    add,
    assert_before,
    assert_found,
    assert_in_window,
    damage,
    later,
    ledger,
    years,
)

CHANGED = "UPDATE h SET note = 'x' WHERE id = {}"
REMOVED = "DELETE FROM h WHERE id BETWEEN {} AND {}"


@pytest.fixture
def aged(db: Database, clock: Clock) -> Database:
    """Of twelve entries the first four are older than the window, the others are not."""
    years(db, clock)
    return db


def test_honest(aged: Database) -> None:
    assert_found(aged)
    start = aged.value("SELECT window_start FROM seal.verify_history()")
    edge = aged.rows("SELECT max(seal_at) FILTER (WHERE id <= 4) < %(s)s, min(seal_at) FILTER (WHERE id > 4) > %(s)s"
                     " FROM h", {"s": start})  # fmt: skip
    assert edge == [(True, True)]
    assert aged.value("SELECT %s - (now() - interval '12 months') BETWEEN '-1 min' AND '1 min'", [start])


@pytest.mark.parametrize("row", [1, 2, 3])
def test_changed_before_the_window(aged: Database, row: int) -> None:
    damage(aged, CHANGED.format(row))
    assert_before(aged, ("modified", row))


@pytest.mark.parametrize("row", [5, 6, 8, 9, 12])
def test_changed_in_the_window(aged: Database, row: int) -> None:
    damage(aged, CHANGED.format(row))
    assert_in_window(aged, ("modified", row))


def test_changed_last_before_the_window(aged: Database) -> None:
    """Nothing valid that is old stands at or above it."""
    damage(aged, CHANGED.format(4))
    assert_in_window(aged, ("modified", 4))


def test_both(aged: Database) -> None:
    """The one before is listed and counted, too."""
    damage(aged, CHANGED.format(2), CHANGED.format(6))
    assert_found(aged, (("modified", 2), False), (("modified", 6), True))


@pytest.mark.parametrize(
    ("first", "last", "fault", "inside"),
    [
        (1, 1, ("missing", 1), False),
        (2, 3, ("missing", 2, 3), False),
        (1, 3, ("missing", 1, 3), False),
        (4, 4, ("missing", 4), True),
        (1, 4, ("missing", 1, 4), True),
        (3, 5, ("missing", 3, 5), True),
        (6, 7, ("missing", 6, 7), True),
        (11, 12, ("truncated", 11, 12), True),
    ],
)
def test_removed(aged: Database, first: int, last: int, fault: Fault, inside: bool) -> None:
    """The oldest entry in the window must have its predecessor."""
    damage(aged, REMOVED.format(first, last))
    assert_found(aged, (fault, inside))


@pytest.mark.parametrize("time", ["seal_at - interval '14 months'", "'2001-01-01'", "'-infinity'"])
@pytest.mark.parametrize("row", [6, 10, 12])
def test_changed_and_its_time_set_back(aged: Database, row: int, time: str) -> None:
    damage(aged, f"UPDATE h SET note = 'x', seal_at = {time} WHERE id = {row}")
    assert_in_window(aged, ("modified", row))


def test_changed_with_all_above_it_set_back(aged: Database) -> None:
    damage(aged, "UPDATE h SET seal_at = seal_at - interval '14 months' WHERE id >= 6")
    assert_in_window(aged, *(("modified", row) for row in range(6, 13)))


def test_an_old_entry_with_the_time_of_today(aged: Database) -> None:
    """What is above it proves its age."""
    damage(aged, "UPDATE h SET note = 'x', seal_at = now() WHERE id = 2")
    assert_before(aged, ("modified", 2))


def test_a_copy_of_an_old_entry_is_no_proof(aged: Database) -> None:
    """An old and valid entry above the fault, but it is in another place there."""
    damage(
        aged,
        CHANGED.format(6),
        "DELETE FROM h WHERE id = 7",
        "INSERT INTO h SELECT 7, tenant, note, seal_chain, 7, seal_epoch, seal_anchor, seal_at, seal_prev, seal_mac"
        " FROM h WHERE id = 2",
    )
    assert_in_window(aged, ("modified", 6), ("modified", 7))


def test_an_old_fault_may_be_a_recent_deed(aged: Database, clock: Clock) -> None:
    """A fault in the window lies before it once enough time has passed."""
    damage(aged, CHANGED.format(6))
    assert_in_window(aged, ("modified", 6))
    clock.forward(days=180)
    assert_before(aged, ("modified", 6))


def test_the_end_of_a_chain_that_nobody_uses_any_more(db: Database, clock: Clock) -> None:
    """All its entries are old; what was its newest one is gone, and nothing above proves when."""
    ledger(db)
    add(db, 1, 4)
    later(db, clock, 14)
    damage(db, REMOVED.format(4, 4))
    assert_in_window(db, ("truncated", 4))


def test_old_entries_of_another_chain_prove_nothing(db: Database, clock: Clock) -> None:
    """The same position in two chains: one is old, the other was written today."""
    ledger(db)
    add(db, 1, 4)
    later(db, clock, 14)
    writers = [db.connect(autocommit=False) for _ in range(2)]
    for number, writer in enumerate(writers):
        first = 5 + 4 * number
        writer.execute(f"INSERT INTO h SELECT g, 'acme', 'x' FROM generate_series({first}, {first + 3}) g".encode())
    for writer in writers:
        writer.commit()
    settle(db, "h")
    assert chains(db) == [list(range(1, 9)), [1, 2, 3, 4]]
    damage(db, "UPDATE h SET note = 'y' WHERE id = 10", CHANGED.format(2))
    base = db.value("SELECT seal_chain FROM h WHERE id = 1")
    found = db.rows("SELECT kind, chain, position, in_window FROM seal.findings(history => 'h') ORDER BY chain")
    assert found == [("modified", base, 2, False), ("modified", f"{base}/1", 2, True)]


def test_a_definition_has_no_age(aged: Database) -> None:
    damage(aged, "ALTER TABLE h ADD CONSTRAINT late CHECK (id > 0)")
    found = aged.rows("SELECT DISTINCT kind, in_window FROM seal.findings(history => 'h')")
    assert found == [("configuration_altered", True)]
