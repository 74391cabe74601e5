"""A run that prunes leaves a checkpoint of what stays; one that was made before something was pruned serves no more."""

from __future__ import annotations

import pytest

from support.checkpointing import answer, assert_full, assert_rests, since
from support.clock import Clock
from support.database import Database
from support.pruning import prune
from support.windows import add, damage, later, ledger


def aged(db: Database, clock: Clock, window: int = 12) -> None:
    """Old: 1 to 4 of acme, 5 and 6 of zeta. New: 7 and 8 of acme, 9 of zeta."""
    ledger(db, window)
    add(db, 1, 4)
    add(db, 5, 6, "zeta")
    later(db, clock, 13)
    add(db, 7, 8)
    add(db, 9, 9, "zeta")


def test_it_counts_what_stays(aging: Database, clock: Clock) -> None:
    aged(aging, clock)
    assert prune(aging)["pruned"] == 6
    assert_rests(answer(aging, "acme"), 2, since=0)
    assert_rests(answer(aging, "zeta"), 1, since=0)
    add(aging, 10, 11, "zeta")
    assert_rests(answer(aging, "zeta"), 3, since=2)
    assert "6 older entries were pruned" in answer(aging, "zeta")["basis"]
    damage(aging, "DELETE FROM h WHERE id = 7")
    assert_full(answer(aging, "acme"), "tampered")


def test_of_what_a_hold_protects_nothing_is_left_out(aging: Database, clock: Clock) -> None:
    """The hold on zeta keeps everything from its first entry on."""
    aged(aging, clock)
    aging.run("SELECT seal.hold('h', 'zeta', 'court order')")
    assert prune(aging)["pruned"] == 4
    assert_rests(answer(aging, "acme"), 2, since=0)
    assert_rests(answer(aging, "zeta"), 3, since=0)
    damage(aging, "UPDATE h SET note = 'x' WHERE id = 5")
    assert_full(answer(aging, "zeta"), "intact_in_window")


def test_everything_was_pruned(aging: Database, clock: Clock) -> None:
    ledger(aging)
    add(aging, 1, 4)
    later(aging, clock, 13)
    assert prune(aging)["pruned"] == 4
    assert_rests(since(aging), 0, since=0)
    add(aging, 5, 6)
    assert_rests(answer(aging, "acme"), 2, since=2)
    assert_rests(since(aging), 2, since=2)


@pytest.mark.parametrize("what", ["UPDATE h SET note = 'x' WHERE id = 8", "DELETE FROM h WHERE id = 8"])
def test_a_run_that_finds_something_leaves_the_older_one(aging: Database, clock: Clock, what: str) -> None:
    aged(aging, clock)
    prune(aging)
    older = aging.rows("SELECT * FROM seal.checkpoint")
    damage(aging, what)
    assert prune(aging)["verdict"] == "tampered"
    assert aging.rows("SELECT * FROM seal.checkpoint") == older
    assert_full(answer(aging, "acme"), "tampered")
    assert_rests(answer(aging, "zeta"), 1, since=0)


def test_partitions_that_go_as_a_whole(aging: Database, clock: Clock) -> None:
    today = clock.now().date()
    aging.run("CREATE TABLE h (id int, at date, tenant text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)")
    aging.run(f"CREATE TABLE h0 PARTITION OF h FOR VALUES FROM (MINVALUE) TO ('{today}'::date + 30)")
    aging.run(f"CREATE TABLE h1 PARTITION OF h FOR VALUES FROM ('{today}'::date + 30) TO (MAXVALUE)")
    aging.run("SELECT seal.attach('h', 'tenant', window_months => 12)")
    aging.run(
        f"INSERT INTO h SELECT g, '{today}', CASE WHEN g < 3 THEN 'acme' ELSE 'zeta' END FROM generate_series(1, 5) g"
    )
    later(aging, clock, 15)
    for number, tenant in enumerate(["acme", "acme", "acme", "zeta"], start=6):
        aging.run("INSERT INTO h VALUES (%s, %s, %s)", [number, clock.now().date(), tenant])
    assert prune(aging)["pruned"] == 5
    assert_rests(answer(aging, "acme"), 3, since=0)
    assert_rests(answer(aging, "zeta"), 1, since=0)
