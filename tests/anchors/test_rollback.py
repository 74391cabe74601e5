"""The newest entries of one chain are removed, its older state put back: found as soon as an anchor has seen them."""

from __future__ import annotations

import pytest

from support.anchoring import add, faults, make, newest, nothing_anchored, place, settle
from support.database import Database
from support.sealing import wait_for
from support.tampering import History, assert_intact

RESTARTS = ["none", "fast", "crash"]
OLD_STATE = ["DELETE FROM h", "INSERT INTO h SELECT * FROM honest WHERE seal_seq <= 3"]


def restart(db: Database, how: str) -> None:
    if how == "crash":
        db.cluster.crash()
    elif how != "none":
        db.cluster.restart(how)


@pytest.mark.parametrize("how", RESTARTS)
@pytest.mark.parametrize("attack", [["DELETE FROM h WHERE seal_seq > 3"], OLD_STATE], ids=["removed", "put back"])
def test_an_older_state_of_one_chain(fresh: Database, attack: list[str], how: str) -> None:
    make(fresh, "h", "g")
    add(fresh, "h", 3)
    settle(fresh, "h")
    add(fresh, "h", 2)
    add(fresh, "g")
    settle(fresh, "h", "g")
    history = History(fresh, "h")
    history.attack(*attack)
    restart(fresh, how)
    history.expect(history.at("truncated", 4, 5))
    assert_intact(fresh, history="g")
    add(fresh, "g")
    settle(fresh, "g")
    history.expect(history.at("truncated", 4, 5))
    history.restore()
    assert_intact(fresh)


@pytest.mark.parametrize("how", RESTARTS)
def test_all_entries_of_a_history(fresh: Database, how: str) -> None:
    make(fresh, "h")
    add(fresh, "h", 3)
    settle(fresh, "h")
    history = History(fresh, "h")
    history.attack("TRUNCATE h")
    restart(fresh, how)
    history.expect(history.at("truncated", 1, 3))


def test_while_the_server_runs_no_anchor_is_needed(fresh: Database) -> None:
    make(fresh, "h")
    add(fresh, "h", 3)
    settle(fresh, "h")
    with nothing_anchored(fresh):
        add(fresh, "h", 2)
        history = History(fresh, "h")
        history.attack("DELETE FROM h WHERE seal_seq > 3")
        history.expect(history.at("truncated", 4, 5))


def test_the_last_seconds_before_a_crash_are_not_protected_and_it_is_said(fresh: Database) -> None:
    """The limit that DESIGN 9 names: if the rollback comes before the worker has looked, nobody knows of the entry."""
    make(fresh, "h")
    add(fresh, "h", 3)
    settle(fresh, "h")
    with nothing_anchored(fresh):
        add(fresh, "h")
        History(fresh, "h").attack("DELETE FROM h WHERE seal_seq = 4")
        assert faults(fresh) == [("truncated", place(fresh), 4, None)]
        fresh.cluster.crash()
    assert_intact(fresh)
    assert "the last seconds before a restart" in fresh.value("SELECT not_covered FROM seal.status")


def test_one_of_several_chains(fresh: Database) -> None:
    """Each chain's tail is protected by itself."""
    make(fresh, "h")
    writers = [fresh.connect(autocommit=False) for _ in range(3)]
    for number, writer in enumerate(writers):
        writer.execute("INSERT INTO h VALUES (%s, 'x')", [number])
    for writer in writers:
        writer.commit()
    settle(fresh, "h")
    name = place(fresh)
    for chain in (name, f"{name}/1", f"{name}/2"):
        history = History(fresh, "h")
        history.attack(f"DELETE FROM h WHERE seal_chain = '{chain}'")
        fresh.cluster.restart()
        history.expect(("truncated", chain, 1, None))
        history.restore()
        fresh.run("DROP TABLE honest_h")
        assert_intact(fresh)


def test_the_tail_exchanged_for_entries_of_another_history(fresh: Database) -> None:
    """Authentic rows of another history in the place of the removed ones are no tail."""
    make(fresh, "h", "g")
    add(fresh, "h", 5)
    add(fresh, "g", 5)
    settle(fresh, "h", "g")
    history = History(fresh, "h")
    history.attack("DELETE FROM h WHERE seal_seq > 3", "INSERT INTO h SELECT * FROM g WHERE seal_seq > 3")
    fresh.cluster.restart()
    history.expect(history.at("modified", 4), history.at("modified", 5))


def test_verification_beside_the_worker_raises_no_alarm(fresh: Database) -> None:
    make(fresh, "h", "g")
    first = newest(fresh)
    for _ in range(25):
        add(fresh, "h")
        assert faults(fresh) == []
        add(fresh, "g")
        assert fresh.value("SELECT seal.is_intact()") is True
    wait_for(fresh, "SELECT max(number) > %s FROM seal.anchor", [first + 1])
    assert faults(fresh) == []
