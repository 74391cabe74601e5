"""Entries that were pruned, put back from a backup: authentic, but no longer where they belong."""

from __future__ import annotations

import pytest

from support.checkpointing import answer, assert_full, assert_rests, since
from support.clock import Clock
from support.database import Database
from support.pruning import prune
from support.tampering import triggers_off
from support.verification import kinds
from support.windows import add, later, ledger


def pruned(db: Database, clock: Clock) -> None:
    """Of acme 1 to 3 and of zeta 4 to 6 are gone and kept in a backup, 7 of acme and 8 of zeta stay."""
    ledger(db, 12)
    add(db, 1, 3)
    add(db, 4, 6, "zeta")
    later(db, clock, 13)
    add(db, 7, 7)
    add(db, 8, 8, "zeta")
    db.run("CREATE TABLE backup AS TABLE h")
    assert prune(db)["pruned"] == 6
    assert_rests(answer(db, "acme"), 1, since=0)


@pytest.mark.parametrize("which", ["id = 2", "id = 3", "id < 7", "id = 6"])
def test_put_back(aging: Database, clock: Clock, which: str) -> None:
    pruned(aging, clock)
    with triggers_off(aging.connection, "h"):
        aging.run(f"INSERT INTO h SELECT * FROM backup WHERE {which}")
    assert_full(since(aging), "tampered")
    assert set(kinds(aging)) == {"cut_altered"}
    for tenant in ("acme", "zeta"):
        line = answer(aging, tenant)
        assert_full(line, "tampered" if kinds(aging, tenant) else "intact")


def test_pruned_again_beyond_it(aging: Database, clock: Clock) -> None:
    """The older checkpoint put back is not the journal's; the newest one serves."""
    pruned(aging, clock)
    aging.run("CREATE TABLE older AS TABLE seal.checkpoint")
    later(aging, clock, 13)
    add(aging, 9, 9)
    assert prune(aging)["pruned"] == 2
    assert_rests(answer(aging, "acme"), 1, since=0)
    assert_rests(answer(aging, "zeta"), 0, since=0, verdict="nothing_sealed")
    aging.run("UPDATE seal.checkpoint c SET record = o.record FROM older o")
    assert_full(answer(aging, "acme"), "tampered")
    assert kinds(aging, "acme") == ["checkpoint_altered"]


def test_held_released_and_pruned(aging: Database, clock: Clock) -> None:
    ledger(aging, 12)
    add(aging, 1, 3)
    add(aging, 4, 5, "zeta")
    later(aging, clock, 13)
    add(aging, 6, 6, "zeta")
    aging.run("SELECT seal.hold('h', 'acme', 'court order')")
    assert prune(aging)["pruned"] == 0
    assert_rests(answer(aging, "acme"), 3, since=0)
    aging.run("SELECT seal.release('h', 'acme', 'over')")
    assert_rests(answer(aging, "acme"), 3, since=0)
    assert prune(aging)["pruned"] == 5
    assert_rests(answer(aging, "acme"), 0, since=0, verdict="nothing_sealed")
    assert_rests(answer(aging, "zeta"), 1, since=0)
