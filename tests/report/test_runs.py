"""Scheduled runs that were made, and a line in plain words for each that was not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from support.anchoring import settle
from support.clock import Clock
from support.cluster import Cluster
from support.database import Database
from support.reporting import headline, report, section, whole
from support.scheduling import runs, wait_for_runs
from support.windows import add, damage, ledger


@pytest.fixture
def db(travel: tuple[Cluster, Clock], clock: Clock) -> Iterator[Database]:
    with travel[0].database() as database:
        ledger(database, None)
        add(database, 1, 3)
        settle(database, "h")
        yield database


def daily(db: Database, at: datetime) -> str:
    """A schedule for this time of each day."""
    expression = f"{at.minute} {at.hour} * * *"
    db.value("SELECT seal.set_schedule('h', %s)", [expression])
    return expression


def shown(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def test_without_a_schedule(db: Database) -> None:
    assert section(report(db), "Runs") == ["none was recorded; schedule: none, nothing is verified by itself"]
    assert section(report(db), "Missed") == []
    db.value("SELECT seal.set_schedule('h', 'off')")
    assert section(report(db), "Runs") == ["none was recorded; schedule: none, nothing is verified by itself"]


def test_days_without_a_run(db: Database, clock: Clock) -> None:
    """Three times pass in one night; what is caught up after it is no run in time for any of them."""
    at = (clock.now() - timedelta(hours=2)).replace(second=0, microsecond=0)
    expression = daily(db, at)
    clock.forward(days=3)
    wait_for_runs(db)
    (run,) = runs(db)
    times = [at + timedelta(days=day) for day in (1, 2, 3)]
    text = report(db)
    assert headline(text) == "INTACT"
    assert section(text, "Missed") == [
        f"3 scheduled runs from {shown(times[0])} to {shown(times[-1])} were not made;"
        f" the next one began on {shown(run['started'])}"
    ]
    assert section(text, "Runs") == [
        f"1 by schedule, 0 by hand, all intact, the last on {shown(run['finished'])}; schedule: {expression} in UTC"
    ]
    (history,) = whole(db)["histories"]
    (gap,) = history["runs"]["missed"]
    assert (gap["times"], gap["first"]) == (3, f"{times[0]:%Y-%m-%dT%H:%M:%S}+00:00")
    assert (history["runs"]["by_schedule"], history["runs"]["missed_complete"]) == (1, True)

    # Only times of the asked period count.
    (one,) = section(report(db, since=times[1].isoformat(), until=times[2].isoformat()), "Missed")
    assert one.startswith(f"the scheduled run of {shown(times[1])} was not made; the next one began on ")
    (two,) = section(report(db, since=(times[0] + timedelta(seconds=1)).isoformat()), "Missed")
    assert two.startswith(f"2 scheduled runs from {shown(times[1])} to {shown(times[2])} were not made")


def test_a_run_in_time_is_not_missed(db: Database, clock: Clock) -> None:
    at = (clock.now() + timedelta(minutes=30)).replace(second=0, microsecond=0)
    daily(db, at)
    clock.forward(minutes=31)
    wait_for_runs(db)
    clock.forward(hours=5)
    assert section(report(db), "Missed") == []


def test_one_that_is_not_due_for_an_hour_is_not_missed_yet(db: Database, clock: Clock) -> None:
    """Nobody can know whether it will be made in time."""
    daily(db, (clock.now() - timedelta(minutes=10)).replace(second=0, microsecond=0))
    with db.connect(autocommit=False) as session:
        # As long as this one holds the table, no run goes on.
        session.execute("LOCK TABLE h IN ACCESS EXCLUSIVE MODE")
        clock.forward(days=1)
        session.rollback()
    assert section(report(db), "Missed") == []


def test_runs_that_found_something_are_named(db: Database) -> None:
    damage(db, "UPDATE h SET note = 'x' WHERE id = 2")
    db.rows("SELECT * FROM seal.verify_and_prune('h')")
    (run,) = db.records("SELECT run, finished FROM seal.verification")
    when = shown(run["finished"])
    assert section(report(db), "Runs") == [
        f"0 by schedule, 1 by hand, 1 of them not intact, the last on {when} (tampered);"
        " schedule: none, nothing is verified by itself",
        f"run {run['run']} of {when} by postgres (manual): tampered, 1 new",
    ]
    assert section(report(db, since=(run["finished"] + timedelta(seconds=1)).isoformat()), "Runs")[0].startswith("none")


def test_a_record_that_was_changed_does_not_count(db: Database) -> None:
    db.rows("SELECT * FROM seal.verify_and_prune('h')")
    db.run("UPDATE seal.run SET record = jsonb_set(record, '{who}', '\"nobody\"')")
    text = report(db)
    assert headline(text) == "TAMPERED" and "nobody" not in text
    assert section(text, "Runs")[0].startswith("none was recorded")
