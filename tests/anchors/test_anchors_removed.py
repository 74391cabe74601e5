"""One chain's tail and all anchors since then are removed, the server is restarted: what others say gives it away."""

from __future__ import annotations

import pytest

from support.anchoring import add, block_worker, faults, make, newest, numbers, place, settle, unblock_worker
from support.database import Database
from support.sealing import wait_for
from support.tampering import History


def gone(db: Database, first: int, last: int | None = None) -> tuple[str, str, int, int | None]:
    return ("anchor_altered", f"anchors {place(db)}", first, last)


def rolled_back(db: Database) -> int:
    """h is put back to three entries and the anchors to that time; g names two of them. Returns the last that stays."""
    make(db, "h", "g")
    add(db, "h", 3)
    add(db, "g")
    kept = settle(db, "h", "g")
    add(db, "h", 2)
    assert settle(db, "h") == kept + 1
    for _ in range(2):
        add(db, "g")
        settle(db, "g")
    assert db.rows("SELECT seal_anchor FROM g WHERE seal_seq > 1 ORDER BY 1") == [(kept + 1,), (kept + 2,)]
    history = History(db, "h")
    history.attack("DELETE FROM h WHERE seal_seq > 3", f"DELETE FROM seal.anchor WHERE number > {kept}")
    return kept


def test_while_the_server_runs(fresh: Database) -> None:
    kept = rolled_back(fresh)
    assert faults(fresh, "h") == sorted([gone(fresh, kept + 1, kept + 3), ("truncated", place(fresh), 4, 5)], key=str)


@pytest.mark.parametrize("how", ["fast", "crash"])
def test_entries_of_other_chains_name_anchors_that_are_gone(fresh: Database, how: str) -> None:
    kept = rolled_back(fresh)
    block_worker(fresh)
    try:
        if how == "crash":
            fresh.cluster.crash()
        else:
            fresh.cluster.restart()
        assert newest(fresh) == kept
        assert faults(fresh, "g") == [gone(fresh, kept + 1, kept + 2)]
        assert set(fresh.rows("SELECT history, verdict FROM seal.verify_history()")) >= {("public.g", "tampered")}
        assert fresh.value("SELECT seal.is_intact()") is False
    finally:
        unblock_worker(fresh)


def test_anchors_made_anew_at_those_numbers_are_found_by_their_time(fresh: Database) -> None:
    """The worker itself fills the numbers again, with new times."""
    kept = rolled_back(fresh)
    fresh.cluster.restart()
    while newest(fresh) < kept + 2:
        add(fresh, "g")
        settle(fresh, "g")
    found = fresh.rows("SELECT kind, position, detail FROM seal.findings(history => 'g') ORDER BY position")
    assert [(kind, number) for kind, number, _ in found] == [
        ("anchor_altered", kept + 1),
        ("anchor_altered", kept + 2),
    ]
    assert all("is younger than entries that name it" in detail for *_, detail in found)
    assert numbers(fresh) == list(range(1, newest(fresh) + 1))


def test_it_stays_found_for_ever(fresh: Database) -> None:
    kept = rolled_back(fresh)
    fresh.cluster.restart()
    for _ in range(4):
        add(fresh, "g")
        settle(fresh, "g")
    fresh.cluster.crash()
    assert gone(fresh, kept + 1) in faults(fresh, "g")


def test_the_journal_names_anchors_too(fresh: Database) -> None:
    """No other history is written to; an administrator's act after the anchor gives it away."""
    make(fresh, "h")
    add(fresh, "h", 3)
    kept = settle(fresh, "h")
    add(fresh, "h", 2)
    assert settle(fresh, "h") == kept + 1
    make(fresh, "g")
    wait_for(fresh, "SELECT max(anchor) = %s FROM seal.journal", [kept + 1])
    wait_for(fresh, "SELECT max(number) = %s FROM seal.anchor", [kept + 2])
    history = History(fresh, "h")
    history.attack("DELETE FROM h WHERE seal_seq > 3", f"DELETE FROM seal.anchor WHERE number > {kept}")
    block_worker(fresh)
    try:
        fresh.cluster.restart()
        found = faults(fresh, "h")
        assert found and set(found) == {gone(fresh, kept + 1)}
    finally:
        unblock_worker(fresh)


def test_all_anchors_removed(fresh: Database) -> None:
    make(fresh, "h", "g")
    add(fresh, "h")
    settle(fresh, "h")
    add(fresh, "g")
    last = settle(fresh, "g")
    fresh.run("DELETE FROM seal.anchor")
    assert gone(fresh, 1, last) in faults(fresh, "g")
    assert {(kind, chain) for kind, chain, *_ in faults(fresh)} == {gone(fresh, 1)[:2]}
    block_worker(fresh)
    try:
        fresh.cluster.restart()
        named = fresh.value("SELECT max(seal_anchor) FROM g")
        assert reached(fresh) == named
    finally:
        unblock_worker(fresh)
    wait_for(fresh, "SELECT count(*) > 0 FROM seal.anchor")
    assert reached(fresh) == named


def reached(db: Database) -> int:
    """The highest anchor that something names and that is gone or was made anew; nothing else is found."""
    found = faults(db)
    assert found and {(kind, chain) for kind, chain, *_ in found} == {gone(db, 1)[:2]}
    return max(last or first or 0 for *_, first, last in found)
