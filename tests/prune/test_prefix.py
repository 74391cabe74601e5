"""What a run prunes: a prefix of each chain that is older than the window, and nothing else; what is left verifies."""

from __future__ import annotations

from datetime import timedelta

import pytest

from support.anchoring import settle
from support.clock import Clock
from support.database import Database
from support.journaling import journal_is_whole, kinds, top
from support.pruning import (
    aged,
    assert_nothing_pruned,
    assert_pruned,
    assert_whole,
    chain,
    expired,
    prune,
    remaining,
    state,
)
from support.windows import add, later, ledger


def test_what_is_older_than_the_window(db: Database, clock: Clock) -> None:
    name = aged(db, clock)
    run = prune(db)
    assert_pruned(db, run, {name: (1, 5)}, left=3)
    assert remaining(db) == [6, 7, 8]
    assert run["history"] == "public.h"
    start = run["window_start"]
    assert start and abs(clock.now() - start - timedelta(days=365)) < timedelta(days=2)
    assert kinds(db)[-3:] == ["verify", "cut", "checkpoint"]
    journal_is_whole(db)


def test_the_cut_is_journaled_with_what_the_history_starts_from(db: Database, clock: Clock) -> None:
    name = aged(db, clock)
    mac = db.value("SELECT encode(seal_mac, 'hex') FROM h WHERE seal_seq = 5")
    prune(db)
    (cut,) = db.records("SELECT who, history, sentence, details FROM seal.journal WHERE kind = 'cut'")
    assert (cut["who"], cut["history"]) == ("postgres", "public.h")
    assert cut["details"]["chains"][name] | {"mac": mac, "first": 1, "last": 5} == cut["details"]["chains"][name]
    assert "5" in cut["sentence"] and "public.h" in cut["sentence"]
    assert db.value("SELECT encode(seal_prev, 'hex') FROM h WHERE seal_seq = 6") == mac


def test_sealing_goes_on(db: Database, clock: Clock) -> None:
    name = aged(db, clock)
    prune(db)
    add(db, 9, 12)
    assert db.rows("SELECT DISTINCT seal_chain, min(seal_seq), max(seal_seq) FROM h GROUP BY 1") == [(name, 6, 12)]
    assert_whole(db, {name: 5}, left=7)


def test_a_second_run(db: Database, clock: Clock) -> None:
    """First nothing more is old enough; a year later the next ones are, and the cut moves."""
    name = aged(db, clock)
    prune(db)
    again = prune(db)
    assert (again["verdict"], again["pruned"], again["cuts"], again["entries"]) == ("intact", 0, {}, 3)
    assert kinds(db).count("cut") == 1
    add(db, 9, 9)
    expired(db, clock, 13)
    add(db, 10, 11)
    settle(db, "h")
    assert_pruned(db, prune(db), {name: (6, 9)}, left=2)
    assert kinds(db).count("cut") == 2
    assert db.rows("SELECT run, pruned_entries FROM seal.verification ORDER BY run") == [(1, 5), (2, 0), (3, 4)]


def test_an_entry_exactly_inside(db: Database, clock: Clock) -> None:
    """Months are those of the calendar: an entry of 360 days ago stays, one of 370 days ago goes."""
    ledger(db)
    add(db, 1, 1)
    settle(db, "h")
    clock.forward(days=10)
    add(db, 2, 2)
    settle(db, "h")
    clock.forward(days=360)
    add(db, 3, 3)
    settle(db, "h")
    assert_pruned(db, prune(db), {chain(db): (1, 1)}, left=2)
    assert remaining(db) == [2, 3]


def test_nothing_is_old_enough(db: Database, clock: Clock) -> None:
    aged(db, clock, months=11)
    run = prune(db)
    assert run["verdict"] == "intact"
    assert_nothing_pruned(db, run)


def test_without_a_window(db: Database, clock: Clock) -> None:
    """Everything is verified, nothing is ever deleted."""
    aged(db, clock, window=None, months=60)
    run = prune(db)
    assert (run["verdict"], run["entries"], run["window_start"]) == ("intact", 8, None)
    assert_nothing_pruned(db, run)


def test_a_longer_window(db: Database, clock: Clock) -> None:
    name = aged(db, clock, window=24, months=13)
    assert_nothing_pruned(db, prune(db))
    expired(db, clock, 13)
    add(db, 9, 9)
    settle(db, "h")
    assert_pruned(db, prune(db), {name: (1, 5)}, left=4)


def test_dry_run_says_the_same_and_changes_nothing(db: Database, clock: Clock) -> None:
    aged(db, clock)
    before = state(db)
    dry = prune(db, dry=True)
    assert state(db) == before
    real = prune(db)
    same = ("history", "verdict", "entries", "findings", "findings_new", "pruned", "cuts")
    assert {name: dry[name] for name in same} == {name: real[name] for name in same}
    assert (real["pruned"], dry["run"]) == (5, None)


def test_dry_run_of_all_histories(db: Database, clock: Clock) -> None:
    aged(db, clock)
    ledger(db, None, name="g")
    add(db, 1, 2, name="g")
    before = state(db)
    lines = db.rows("SELECT history, verdict, pruned FROM seal.verify_and_prune(dry_run => true) ORDER BY 1")
    assert lines == [("public.g", "intact", 0), ("public.h", "intact", 5)]
    assert state(db) == before


def test_all_histories(db: Database, clock: Clock) -> None:
    """Each has a run of its own, and a window of its own."""
    ledger(db, 24, name="g")
    add(db, 1, 4, name="g")
    name = aged(db, clock)
    lines = db.rows("SELECT run, history, pruned FROM seal.verify_and_prune() ORDER BY history")
    assert lines in ([(1, "public.g", 0), (2, "public.h", 5)], [(2, "public.g", 0), (1, "public.h", 5)])
    assert_whole(db, {name: 5}, left=3)
    assert_whole(db, {}, left=4, name="g")


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_inside_a_transaction_of_the_caller(db: Database, clock: Clock, end: str) -> None:
    """Whatever becomes of that transaction: what is left verifies, and the journal says what is gone."""
    aged(db, clock)
    session = db.connect(autocommit=False)
    session.execute("INSERT INTO h VALUES (9, 'acme', 'of the caller')")
    session.execute("SELECT * FROM seal.verify_and_prune('h')")
    session.execute(end.encode())
    pruned = kinds(db).count("cut")
    assert pruned == db.value("SELECT count(*) FROM seal.verification WHERE pruned_entries = 5")
    assert_whole(db, {chain(db): 5 * pruned}, left=8 - 5 * pruned + (end == "COMMIT"))
    prune(db)
    assert_whole(db, {chain(db): 5}, left=3 + (end == "COMMIT"))


def test_nothing_sealed(db: Database, clock: Clock) -> None:
    ledger(db)
    run = prune(db)
    assert (run["verdict"], run["entries"]) == ("nothing_sealed", 0)
    assert_nothing_pruned(db, run, left=0)
    assert top(db) == 3


def test_the_time_of_a_seal_never_goes_below_the_cut(db: Database, clock: Clock) -> None:
    """A chain of which nothing is left goes on at its cut, with the cut's time as its floor."""
    ledger(db)
    add(db, 1, 5)
    later(db, clock, 13)
    name, newest = chain(db), db.value("SELECT max(seal_at) FROM h")
    assert_pruned(db, prune(db), {name: (1, 5)}, left=0)
    clock.back(days=1000)
    add(db, 6, 6)
    assert db.rows("SELECT seal_seq, seal_at >= %s FROM h", [newest]) == [(6, True)]
    assert_whole(db, {name: 5}, left=1)
