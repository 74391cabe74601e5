"""Why a run by schedule pruned nothing: nobody reads its answer, so that its record says it."""

from __future__ import annotations

import re

from support.anchoring import settle
from support.clock import Clock
from support.database import Database
from support.parts import run_once
from support.pruning import aged, assert_whole, chain
from support.windows import add, damage

WHY = "SELECT not_pruned FROM seal.verification ORDER BY run DESC LIMIT 1"


def reason(db: Database) -> str:
    """After a run by schedule."""
    run_once(db)
    return str(db.value(WHY))


def test_each_reason(db: Database, clock: Clock) -> None:
    name = aged(db, clock, window=None)
    assert reason(db) == "it has no window, so that nothing of it is ever deleted"
    db.run("SELECT seal.set_window('h', 24)")
    assert reason(db).startswith("nothing that may go is older than ")
    db.run("SELECT seal.set_window('h', 12); SELECT seal.hold('h', NULL, 'case 12/26')")
    assert "it is on hold since" in reason(db) and db.value(WHY).endswith(": case 12/26")
    db.run("SELECT seal.release('h', NULL, 'closed')")
    damage(db, "UPDATE h SET note = 'x' WHERE id = 3")
    assert reason(db) == "1 findings are not acknowledged"
    assert_findings_only(db)
    db.run("SELECT seal.acknowledge('known', 'h')")
    assert reason(db) == "None" or reason(db).startswith("nothing that may go")
    assert db.value("SELECT min(seal_seq) FROM h WHERE seal_chain = %s", [name]) == 3


def assert_findings_only(db: Database) -> None:
    assert db.value("SELECT count(*) FROM h") == 8


def test_a_clock_that_was_set_ahead(db: Database, clock: Clock) -> None:
    """Nothing is deleted, and what stands in the way is on record, with what to do if the clock is right."""
    aged(db, clock, months=5)
    clock.jump(days=400)
    add(db, 9, 9)
    settle(db, "h")
    why = reason(db)
    # The whole days of 400 days, give or take the resolution of two clocks.
    assert re.search("the clock was set ahead by (399|400) days", why) and "seal.accept_clock('REASON')" in why
    assert_whole(db, {}, left=9)
    db.run("SELECT seal.accept_clock('moved the machine')")
    run_once(db)
    assert db.value("SELECT count(*) FROM seal.verification WHERE not_pruned IS NULL AND pruned_entries = 8") == 1
    assert_whole(db, {chain(db): 8}, left=1)
