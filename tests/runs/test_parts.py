"""A run by schedule prunes in several transactions: what happens between them, and within one."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from support.clock import Clock
from support.database import Database
from support.journaling import found, journal_is_whole, kinds
from support.parts import NEW, PART, begin, cuts, held_between, held_within, many, over, run_once
from support.pruning import assert_whole
from support.scheduling import EVERY_SECOND, runs, state
from support.sealing import wait_for

REST = 5
HOLD = "SELECT seal.hold('h', 'nobody', 'case 12/26')"
ALERTS = "SELECT kind FROM seal.alert ORDER BY id"


def alerts(db: Database) -> list[str]:
    return [kind for (kind,) in db.rows(ALERTS)]


def recorded(db: Database) -> list[tuple[Any, ...]]:
    return db.rows("SELECT how, verdict, entries, pruned_entries FROM seal.verification ORDER BY run")


def assert_goes_on(db: Database, name: str) -> None:
    """The next run prunes what this one has left."""
    assert_whole(db, {name: PART}, left=REST + NEW)
    run_once(db)
    assert cuts(db) == [(1, PART), (PART + 1, PART + REST)]
    assert_whole(db, {name: PART + REST}, left=NEW)
    journal_is_whole(db)


def test_each_part_has_its_cut(db: Database, clock: Clock) -> None:
    name = many(db, clock, 2 * PART + 50_000)
    run_once(db)
    total = 2 * PART + 50_000
    assert cuts(db) == [(1, PART), (PART + 1, 2 * PART), (2 * PART + 1, total)]
    (first, *later) = db.records("SELECT * FROM seal.verification ORDER BY run")
    assert (first["how"], first["verdict"], first["entries"]) == ("schedule", "intact", total + NEW)
    assert (first["pruned"], first["pruned_entries"]) == ({name: [1, total]}, total)
    assert [run["pruned_entries"] for run in later] == [0] * len(later)
    assert [kind for kind in kinds(db) if kind != "schedule"][:6] == ["epoch", "attach", "verify", "cut", "cut", "cut"]
    assert alerts(db) == []
    assert_whole(db, {name: total}, left=NEW)
    journal_is_whole(db)


@pytest.mark.parametrize("what", ["worker", "postmaster"])
def test_kill_9_between_parts(db: Database, clock: Clock, what: str) -> None:
    name = many(db, clock, PART + REST)
    with held_between(db, HOLD) as pid:
        db.cluster.kill_backend(pid) if what == "worker" else db.cluster.crash()
    assert cuts(db) == [(1, PART)]
    assert_goes_on(db, name)


@pytest.mark.parametrize("what", ["worker", "postmaster"])
def test_kill_9_within_the_second_part(db: Database, clock: Clock, what: str) -> None:
    name = many(db, clock, PART + REST)
    with held_within(db, PART + 3) as pid:
        assert cuts(db) == [(1, PART)]
        db.cluster.kill_backend(pid) if what == "worker" else db.cluster.crash()
    assert_goes_on(db, name)


def test_a_worker_that_is_ended_within_a_part(db: Database, clock: Clock) -> None:
    """That part is undone. A minute later it is said, and after another one tried again."""
    name = many(db, clock, PART + REST)
    with held_within(db, PART + 3) as pid:
        os.kill(pid, signal.SIGTERM)
        over(db)
    assert (cuts(db), alerts(db)) == ([(1, PART)], [])
    assert_whole(db, {name: PART}, left=REST + NEW)
    assert "the run worker ended before it was done" in state(db)
    clock.forward(minutes=2)
    db.value("SELECT seal.set_schedule('h', %s)", [EVERY_SECOND])
    wait_for(db, "SELECT EXISTS (SELECT FROM seal.alert)")
    assert "run of public.h failed: the worker was ended amid it" in str(db.value("SELECT text FROM seal.alert"))
    over(db)
    assert len(runs(db)) == 1
    clock.forward(minutes=2)
    run_once(db)
    assert cuts(db) == [(1, PART), (PART + 1, PART + REST)]
    assert_whole(db, {name: PART + REST}, left=NEW)
    assert alerts(db) == ["failed"]


@pytest.mark.parametrize("tenant", ["'acme'", "NULL"])
def test_a_hold_between_parts(db: Database, clock: Clock, tenant: str) -> None:
    name = many(db, clock, PART + REST)
    mark = db.cluster.log_position()
    with held_between(db, f"SELECT seal.hold('h', {tenant}, 'case 12/26')"):
        pass
    over(db)
    assert "of public.h left entries that it might have pruned" in db.cluster.log(mark)
    assert "Reason: its settings were changed meanwhile; the next run follows them." in db.cluster.log(mark)
    assert (cuts(db), alerts(db)) == ([(1, PART)], [])
    assert_whole(db, {name: PART}, left=REST + NEW)
    run_once(db)
    assert cuts(db) == [(1, PART)]
    db.run(f"SELECT seal.release('h', {tenant}, 'closed')")
    assert_goes_on(db, name)


def test_a_hold_that_is_rolled_back_between_parts(db: Database, clock: Clock) -> None:
    """The run has waited for it, and goes on."""
    name = many(db, clock, PART + REST)
    with held_between(db, "SAVEPOINT s", HOLD, "ROLLBACK TO s"):
        pass
    over(db)
    assert cuts(db) == [(1, PART), (PART + 1, PART + REST)]
    assert recorded(db)[0] == ("schedule", "intact", PART + REST + NEW, PART + REST)
    assert_whole(db, {name: PART + REST}, left=NEW)


def test_a_wider_window_between_parts(db: Database, clock: Clock) -> None:
    name = many(db, clock, PART + REST)
    with held_between(db, "SELECT seal.set_window('h', 24)"):
        pass
    over(db)
    run_once(db)
    assert (cuts(db), alerts(db)) == ([(1, PART)], [])
    assert_whole(db, {name: PART}, left=REST + NEW)
    db.run("SELECT seal.set_window('h', 12)")
    assert_goes_on(db, name)


def test_detached_between_parts(db: Database, clock: Clock) -> None:
    """What is no history any more is not pruned."""
    many(db, clock, PART + REST)
    with held_between(db, "SELECT seal.detach('h')"):
        pass
    over(db)
    assert (cuts(db), alerts(db)) == ([(1, PART)], [])
    assert db.value("SELECT count(*) FROM h") == REST + NEW
    assert found(db) == []


def test_changed_between_parts(db: Database, clock: Clock) -> None:
    """An entry that was intact when the run looked at it, and is not when its turn comes: it stays, and it is told."""
    name = many(db, clock, PART + REST)
    disable = "ALTER TABLE h DISABLE TRIGGER USER"
    change = f"UPDATE h SET note = 'x' WHERE id = {PART + 3}"
    modes = db.rows("SELECT tgname, tgenabled::text FROM pg_trigger WHERE tgrelid = 'h'::regclass AND NOT tgisinternal")
    enable = [
        f"ALTER TABLE h ENABLE {'ALWAYS ' if mode == 'A' else ''}TRIGGER {trigger}" for trigger, mode in modes
    ]
    with held_between(db, "SET LOCAL session_replication_role = replica", disable, change, *enable,
                      "ALTER TABLE h ENABLE TRIGGER pass"):  # fmt: skip
        pass
    over(db)
    assert (cuts(db), alerts(db)) == ([(1, PART)], ["failed"])
    assert "entries of history" in str(db.value("SELECT text FROM seal.alert")), db.value("SELECT text FROM seal.alert")
    assert found(db, "h") == [("modified", name, PART + 3, None)]
    clock.forward(minutes=2)
    begin(db)
    assert recorded(db)[-1] == ("schedule", "intact_in_window", REST + NEW, 0)
    assert alerts(db)[:2] == ["failed", "before_window"]
    assert cuts(db) == [(1, PART)]


def test_a_fast_shutdown_within_a_part(db: Database, clock: Clock) -> None:
    """It deletes when it is asked to end."""
    name = many(db, clock, PART + REST)
    begin(db)
    before = time.monotonic()
    db.cluster.stop()
    assert time.monotonic() - before < 2
    db.cluster.start()
    assert cuts(db) in ([], [(1, PART)], [(1, PART), (PART + 1, PART + REST)])
    gone = max((last for _, last in cuts(db)), default=0)
    assert_whole(db, {name: gone}, left=PART + REST + NEW - gone)
    run_once(db)
    assert_whole(db, {name: PART + REST}, left=NEW)


def test_a_fast_shutdown_between_parts(db: Database, clock: Clock) -> None:
    """A session that is in its way must not be in the shutdown's."""
    name = many(db, clock, PART + REST)
    with held_between(db, HOLD):
        before = time.monotonic()
        db.cluster.stop()
        assert time.monotonic() - before < 2
        db.cluster.start()
    assert_goes_on(db, name)
