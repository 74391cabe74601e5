"""Anchors go with the entries that they were for; what is left of them still tells what it told."""

from __future__ import annotations

import pytest

from support.anchoring import numbers, place, settle
from support.clock import Clock
from support.database import Database
from support.journaling import found, journal_is_whole
from support.pruning import assert_whole, prune, remaining, runs, settle_journal
from support.windows import add, damage, later, ledger

RESTARTS = ["running", "restart", "crash"]


def restart(db: Database, how: str) -> None:
    if how != "running":
        db.cluster.crash() if how == "crash" else db.cluster.restart()


def years(db: Database, clock: Clock, window: int | None = 12) -> list[int]:
    """A restart, and so an anchor with all chains, every second month of twenty, with an entry and an anchor each.
    Returns the numbers of the anchors."""
    ledger(db, window)
    for month in range(10):
        add(db, month + 1, month + 1)
        if month in (2, 7):
            settle(db, "h")
            db.cluster.restart()
            add(db, month + 101, month + 101)
        later(db, clock, 2)
    add(db, 11, 11)
    settle(db, "h")
    return numbers(db)


def cut_of_anchors(db: Database) -> int:
    """The newest anchor that was pruned, as the journal says."""
    query = "SELECT max((details->'anchors'->%s->>'last')::bigint) FROM seal.journal WHERE kind = 'cut'"
    return int(db.value(query, [place(db)]) or 0)


def pruned(db: Database, clock: Clock) -> int:
    """A run over everything; returns the newest pruned anchor."""
    before = years(db, clock)
    (run,) = runs(db)
    assert (run["verdict"], run["findings"]) == ("intact", 0)
    assert run["pruned"] > 0
    cut = cut_of_anchors(db)
    assert 0 < cut < max(before)
    return cut


@pytest.mark.parametrize("how", RESTARTS)
def test_old_anchors_go(db: Database, clock: Clock, how: str) -> None:
    """The first one that stays has all chains; entries that name pruned ones are as good as ever."""
    cut = pruned(db, clock)
    assert numbers(db)[0] == cut + 1
    assert db.value("SELECT complete FROM seal.anchor WHERE number = %s", [cut + 1]) is True
    oldest = db.value("SELECT window_start FROM seal.verify_history()")
    assert db.value("SELECT at < %s FROM seal.anchor WHERE number = %s", [oldest, cut + 1]) is True
    restart(db, how)
    assert found(db) == []
    add(db, 200, 200)
    settle(db, "h")
    assert found(db) == []
    assert numbers(db) == list(range(cut + 1, numbers(db)[-1] + 1))
    journal_is_whole(db)


def test_the_widest_window_counts(db: Database, clock: Clock) -> None:
    """They are for all histories, also where only one is in the run."""
    ledger(db, 36, name="g")
    before = years(db, clock)
    assert prune(db, "h")["pruned"] > 0
    assert numbers(db)[: len(before)] == before
    db.run("SELECT seal.set_window('g', 12)")
    assert prune(db, "h")["verdict"] == "intact"
    assert numbers(db)[0] > before[0]
    assert found(db) == []


def test_a_history_without_window_keeps_them(db: Database, clock: Clock) -> None:
    ledger(db, None, name="g")
    before = years(db, clock)
    assert {line["pruned"] > 0 for line in runs(db)} == {True, False}
    assert numbers(db)[: len(before)] == before


def test_dry_run_leaves_them(db: Database, clock: Clock) -> None:
    before = years(db, clock)
    runs(db, dry=True)
    assert numbers(db)[: len(before)] == before


def test_a_finding_keeps_them(db: Database, clock: Clock) -> None:
    before = years(db, clock)
    damage(db, "UPDATE h SET note = 'x' WHERE id = 2")
    runs(db)
    db.run("SELECT seal.acknowledge('known', 'h')")
    runs(db)
    assert numbers(db)[: len(before)] == before


@pytest.mark.parametrize("how", RESTARTS)
@pytest.mark.parametrize("which", ["first", "first two", "second"])
def test_removed_beside_their_cut(db: Database, clock: Clock, which: str, how: str) -> None:
    cut = pruned(db, clock)
    gone = {"first": [cut + 1], "first two": [cut + 1, cut + 2], "second": [cut + 2]}[which]
    db.run("DELETE FROM seal.anchor WHERE number = ANY (%s)", [gone])
    restart(db, how)
    places = found(db, "h")
    assert ("anchor_altered", f"anchors {place(db)}") in {entry[:2] for entry in places}, places
    assert {position for kind, _, position, _ in places if kind == "anchor_altered"} >= {gone[0]}
    left = remaining(db)
    (run,) = runs(db)
    assert (run["verdict"], run["pruned"], remaining(db)) == ("tampered", 0, left)


@pytest.mark.parametrize("which", ["all", "the newest of them"])
def test_put_back_below_their_cut(db: Database, clock: Clock, which: str) -> None:
    years(db, clock)
    db.run("CREATE TABLE honest_anchor AS TABLE seal.anchor")
    runs(db)
    cut = cut_of_anchors(db)
    first = 1 if which == "all" else cut
    db.run(f"INSERT INTO seal.anchor SELECT * FROM honest_anchor WHERE number BETWEEN {first} AND {cut}")
    places = found(db, "h")
    assert {kind for kind, *_ in places} == {"anchor_altered"}, places
    left = remaining(db)
    (run,) = runs(db)
    assert (run["verdict"], run["pruned"], remaining(db)) == ("tampered", 0, left)


def test_their_cut_removed_from_the_journal(db: Database, clock: Clock) -> None:
    cut = pruned(db, clock)
    settle_journal(db)
    db.run("DELETE FROM seal.journal WHERE kind = 'cut' AND details ? 'anchors'")
    places = found(db, "h")
    assert ("anchor_altered", f"anchors {place(db)}", 1, cut) in places, places
    assert any(kind in ("missing", "truncated") and str(chain).startswith("journal") for kind, chain, *_ in places)


@pytest.mark.parametrize("how", RESTARTS)
def test_a_quiet_chain_whose_anchors_are_gone(db: Database, clock: Clock, how: str) -> None:
    """Its newest entry stands in the first anchor that stays, so that its removal is found."""
    ledger(db, 12, name="g")
    add(db, 1, 3, name="g")
    db.run("SELECT seal.hold('g', NULL, 'kept')")
    settle(db, "g")
    years(db, clock)
    cut = 0
    for line in runs(db):
        assert line["verdict"] == "intact"
        cut = cut_of_anchors(db)
    assert cut > 0
    name = db.value("SELECT DISTINCT seal_chain FROM g")
    damage(db, "DELETE FROM g WHERE id = 3", name="g")
    restart(db, how)
    assert found(db, "g") == [("truncated", name, 3, None)]


def test_a_second_time(db: Database, clock: Clock) -> None:
    first = pruned(db, clock)
    db.cluster.restart()
    add(db, 300, 300)
    later(db, clock, 14)
    add(db, 301, 301)
    settle(db, "h")
    (run,) = runs(db)
    assert run["verdict"] == "intact"
    assert cut_of_anchors(db) > first
    assert numbers(db)[0] == cut_of_anchors(db) + 1
    assert_whole(db, {place(db): db.value("SELECT min(seal_seq) - 1 FROM h")}, left=len(remaining(db)))
