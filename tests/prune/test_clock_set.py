"""Whoever sets the clock ahead would have everything pruned: nothing is, until somebody says that it is right."""

from __future__ import annotations

import pytest

from support.anchoring import nothing_anchored, settle
from support.clock import Clock
from support.database import Database
from support.journaling import entries, found, kinds, top
from support.pruning import aged, assert_nothing_pruned, assert_pruned, chain, expired, prune
from support.refusal import BAD_PARAMETER, refusal
from support.roles import Roles
from support.windows import add, later, ledger

YEAR = 13 * 30.5


def recent(db: Database) -> None:
    """Eight entries of today, all anchored."""
    ledger(db)
    add(db, 1, 8)
    settle(db, "h")


def accept(db: Database, reason: str = "clock was a year behind, ticket 4711") -> str:
    return str(db.value("SELECT seal.accept_clock(%s)", [reason]))


def assert_stopped(db: Database, left: int = 8) -> None:
    """The run is intact, and says why it deletes nothing and what to do."""
    for dry in (True, False):
        run = prune(db, dry=dry)
        assert run["verdict"] == "intact"
        assert (run["pruned"], run["cuts"]) == (0, {})
        assert "seal.accept_clock(" in run["next_step"], run["next_step"]
    assert_nothing_pruned(db, run, left=left)


@pytest.mark.parametrize("how", ["running", "restart", "crash", "with an entry"])
def test_set_ahead(db: Database, clock: Clock, how: str) -> None:
    """A real year prunes; a year that nothing counted does not, whatever happens to the server meanwhile."""
    recent(db)
    clock.jump(days=YEAR)
    if how == "with an entry":
        add(db, 9, 9)
        settle(db, "h")
    elif how != "running":
        db.cluster.crash() if how == "crash" else db.cluster.restart()
    assert_stopped(db, left=8 + (how == "with an entry"))


def test_set_while_the_server_was_down(db: Database, clock: Clock) -> None:
    recent(db)
    db.cluster.stop()
    clock.jump(days=YEAR)
    db.cluster.start()
    add(db, 9, 9)
    settle(db, "h")
    assert_stopped(db, left=9)
    db.cluster.restart()
    assert_stopped(db, left=9)


def test_in_small_steps(db: Database, clock: Clock) -> None:
    """Forty times ten days, with an entry and an anchor after each."""
    recent(db)
    for step in range(40):
        clock.jump(days=10)
        add(db, 9 + step, 9 + step)
    settle(db, "h")
    assert_stopped(db, left=48)


def test_in_steps_that_each_would_pass(db: Database, clock: Clock) -> None:
    """A minute is what a clock that is set right may move. Ten times that between anchors is what nobody sets right."""
    recent(db)
    for step in range(10):
        clock.jump(minutes=1)
        add(db, 9 + step, 9 + step)
        settle(db, "h")
    clock.forward(days=YEAR)
    assert_stopped(db, left=18)


def test_a_clock_that_is_set_right(db: Database, clock: Clock) -> None:
    """A minute now and then is no jump."""
    name = aged(db, clock)
    clock.jump(minutes=1)
    add(db, 9, 9)
    settle(db, "h")
    clock.back(minutes=1)
    assert_pruned(db, prune(db), {name: (1, 5)}, left=4)


def test_after_it_was_set_back(db: Database, clock: Clock) -> None:
    """What was sealed meanwhile has a time in the future; nothing is old, and the jump is not forgotten."""
    recent(db)
    clock.jump(days=YEAR)
    add(db, 9, 9)
    settle(db, "h")
    clock.back(days=YEAR)
    add(db, 10, 10)
    settle(db, "h")
    assert_stopped(db, left=10)
    db.cluster.restart()
    assert_stopped(db, left=10)
    clock.forward(days=YEAR)
    add(db, 11, 11)
    settle(db, "h")
    assert_stopped(db, left=11)


def test_set_back_only(db: Database, clock: Clock) -> None:
    """Entries that really are old enough wait, too, until somebody has looked at the clock."""
    aged(db, clock)
    clock.back(days=3)
    assert_stopped(db)


def test_ahead_and_back_between_two_anchors(db: Database, clock: Clock) -> None:
    """Nothing was sealed meanwhile, and the clock agrees again: nothing happened."""
    name = aged(db, clock)
    clock.jump(days=YEAR)
    clock.back(days=YEAR)
    assert_pruned(db, prune(db), {name: (1, 5)}, left=3)


def test_accepted(db: Database, clock: Clock) -> None:
    """Then the clock is believed, and what is older than the window goes."""
    recent(db)
    clock.jump(days=YEAR)
    add(db, 9, 9)
    settle(db, "h")
    assert_stopped(db, left=9)
    before = top(db)
    accept(db, "clock was a year behind, ticket 4711")
    (entry,) = entries(db, before)
    assert entry[:3] == ("postgres", "clock", None)
    assert "clock was a year behind, ticket 4711" in entry[3]
    assert_pruned(db, prune(db), {chain(db): (1, 8)}, left=1)


@pytest.mark.parametrize("how", ["running", "restart", "crash"])
def test_accepted_once_is_not_accepted_for_ever(db: Database, clock: Clock, how: str) -> None:
    recent(db)
    clock.jump(days=30)
    accept(db)
    if how != "running":
        db.cluster.crash() if how == "crash" else db.cluster.restart()
    clock.jump(days=YEAR)
    assert_stopped(db)


def test_accepted_before_it_is_set(db: Database, clock: Clock) -> None:
    """In advance nothing is accepted."""
    recent(db)
    accept(db)
    clock.jump(days=YEAR)
    assert_stopped(db)


def test_accepted_and_set_back(db: Database, clock: Clock) -> None:
    recent(db)
    clock.jump(days=YEAR)
    add(db, 9, 9)
    settle(db, "h")
    accept(db)
    clock.back(days=YEAR)
    assert_stopped(db, left=9)


def test_accepting_that_was_rolled_back(db: Database, clock: Clock) -> None:
    recent(db)
    clock.jump(days=YEAR)
    with db.connection.transaction(force_rollback=True):
        accept(db)
    assert "clock" not in kinds(db)
    assert_stopped(db)


@pytest.mark.parametrize("reason", ["", "  "])
def test_accepting_without_a_reason(db: Database, clock: Clock, reason: str) -> None:
    recent(db)
    refused = refusal(db, "SELECT seal.accept_clock(%s)", [reason])
    assert refused.state == BAD_PARAMETER and "seal.accept_clock(" in refused.hint
    assert "clock" not in kinds(db)


def test_who_may_accept(db: Database, clock: Clock, roles: Roles) -> None:
    recent(db)
    clock.jump(days=YEAR)
    for group in ("", "pgseal_auditor"):
        session = roles.session(group or "plain", member_of=group)
        assert refusal(session, "SELECT seal.accept_clock('x')").state == "42501"
    assert_stopped(db)


def test_a_year_of_ordinary_life(db: Database, clock: Clock) -> None:
    """Time that passes needs no word from anybody, with restarts of the server and of the machine in it."""
    ledger(db)
    add(db, 1, 5)
    for month in range(1, 15):
        later(db, clock, 1)
        add(db, 5 + month, 5 + month)
        if month % 5 == 0:
            settle(db, "h")
            db.cluster.stop()
            if month == 10:
                clock.reboot(hours=3)
            db.cluster.start()
    settle(db, "h")
    run = prune(db)
    assert (run["verdict"], run["cuts"]) == ("intact", {chain(db): [1, 7]}), run["next_step"]
    assert found(db) == []


@pytest.mark.parametrize(("days", "believed"), [(2, True), (400, False)])
def test_while_the_machine_was_off(db: Database, clock: Clock, days: int, believed: bool) -> None:
    """Nothing counts over a boot: a short gap is believed, a year is not."""
    name = aged(db, clock)
    db.cluster.stop()
    clock.reboot(days=days)
    db.cluster.start()
    add(db, 9, 9)
    settle(db, "h")
    if not believed:
        assert_stopped(db, left=9)
        accept(db)
    assert_pruned(db, prune(db), {name: (1, 5 if believed else 8)}, left=4 if believed else 1)


def test_without_a_single_anchor(db: Database, clock: Clock) -> None:
    """Whoever keeps the worker from writing any takes away what the clock is measured by."""
    with nothing_anchored(db):
        ledger(db)
        add(db, 1, 8)
        clock.jump(days=YEAR)
        assert db.value("SELECT count(*) FROM seal.anchor") == 0
        run = prune(db)
        assert (run["verdict"], run["pruned"]) == ("intact", 0)
    settle(db, "h")
    assert_stopped(db)


def test_the_anchors_that_show_the_jump_stay(db: Database, clock: Clock) -> None:
    """Two years ahead in two steps, so that the anchors of the first seem to be older than any window; the second is
    taken back before an anchor has seen it."""
    recent(db)
    clock.jump(days=YEAR)
    add(db, 9, 9)
    settle(db, "h")
    db.cluster.restart()
    add(db, 10, 10)
    settle(db, "h")
    session = db.connect(autocommit=False)
    clock.jump(days=YEAR)
    session.execute("SELECT * FROM seal.verify_and_prune()")
    clock.back(days=YEAR)
    session.commit()
    assert db.value("SELECT min(number) FROM seal.anchor") == 1
    assert_stopped(db, left=10)


def test_anchors_of_the_time_before_it_removed(db: Database, clock: Clock) -> None:
    """With the anchors goes what the clock was measured by; that they are gone is found."""
    recent(db)
    clock.jump(days=YEAR)
    add(db, 9, 9)
    last = settle(db, "h")
    db.run(f"DELETE FROM seal.anchor WHERE number < {last}")
    run = prune(db)
    assert run["verdict"] == "tampered" and run["findings_new"] >= 1
    assert_nothing_pruned(db, run, left=9)


def test_another_boot_id_written_into_anchors(db: Database, clock: Clock) -> None:
    recent(db)
    clock.jump(days=YEAR)
    add(db, 9, 9)
    settle(db, "h")
    db.run("UPDATE seal.anchor SET boot = gen_random_uuid()::text")
    run = prune(db)
    assert run["verdict"] == "tampered" and ("anchor_altered" in {kind for kind, *_ in found(db)})
    assert_nothing_pruned(db, run, left=9)


def test_a_database_made_after_the_jump(db: Database, clock: Clock) -> None:
    """It knows nothing else than this clock."""
    clock.jump(days=YEAR)
    name = aged(db, clock)
    expired(db, clock, 1)
    assert_pruned(db, prune(db), {name: (1, 5)}, left=3)
