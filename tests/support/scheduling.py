"""Scheduled runs as tests see them: waiting for one, holding one up, reading when the next is due.

    server = own_cluster(scheduled(EVERY_SECOND))
    slow(db)                            history h, whose verification lasts as long as `lasts` says for its database
    lasts(db, 60); pid = running(db)    a run is at it, and will be for a minute
    wait_for_runs(db, "h", 2)           two more runs of h are recorded
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from support.cluster import Settings
from support.database import Database
from support.sealing import history, wait_for

EVERY_SECOND = "* * * * * *"
NEVER_SOON = "0 0 29 2 *"

RUN_WORKERS = """SELECT pid FROM pg_stat_activity
                  WHERE backend_type = 'pgseal run worker' AND datname = current_database()"""
STATE = "SELECT problem FROM seal.check_setup() WHERE item = 'schedule'"
TIME = re.compile(r"the next run is at (\S+)")


def scheduled(schedule: str, **more: str) -> Settings:
    """Settings of a server that anchors at once and runs every history at these times, in UTC."""
    return {"pgseal.anchor_interval": "100ms", "pgseal.schedule": schedule, **more}


def slow(db: Database, name: str = "h") -> None:
    """A history with one row, whose verification can be made to last by `lasts`."""
    db.run(
        """CREATE OR REPLACE FUNCTION waits(id int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
           $$ BEGIN PERFORM pg_sleep(coalesce(nullif(current_setting('test.lasts', true), ''), '0')::float);
                    RETURN id; END $$"""
    )
    history(db, name, "id int PRIMARY KEY, p text, waited int GENERATED ALWAYS AS (waits(id)) STORED")
    db.run(f"INSERT INTO {name} VALUES (1, 'x')")


def lasts(db: Database, seconds: float) -> None:
    """From now on a verification of a slow history takes so long, but not in sessions that are open already."""
    db.run(f"ALTER DATABASE \"{db.name}\" SET test.lasts = '{seconds}'")


def running(db: Database) -> int:
    """Waits until a run is in the middle of a slow history; the worker's process id."""
    sleeping = f"{RUN_WORKERS} AND wait_event = 'PgSleep'"
    wait_for(db, f"SELECT EXISTS ({sleeping})")
    return int(db.value(sleeping))


def runs(db: Database, name: str = "h") -> list[dict[str, Any]]:
    """What is recorded of a history's scheduled runs, the oldest first."""
    return db.records(
        "SELECT started, finished, verdict, entries, how FROM seal.verification"
        " WHERE history = %s AND how = 'schedule' ORDER BY started",
        [f"public.{name}"],
    )


def wait_for_runs(db: Database, name: str = "h", more: int = 1) -> None:
    """Returns when so many further runs of a history are recorded."""
    known = len(runs(db, name))
    wait_for(db, "SELECT count(*) >= %s FROM seal.verification WHERE history = %s", [known + more, f"public.{name}"])


def state(db: Database) -> str:
    """What seal.check_setup says of the schedule."""
    return str(db.value(STATE))


def next_run(db: Database) -> datetime:
    """Waits until it is known when the next run is due; that time."""
    wait_for(db, f"SELECT problem LIKE '%%the next run is at%%' FROM ({STATE}) s")
    found = TIME.search(state(db))
    assert found, state(db)
    return datetime.fromisoformat(found[1].rstrip(";"))


def nothing_scheduled(db: Database) -> None:
    """Waits until the server has found out that no run is due ever."""
    wait_for(db, f"SELECT problem LIKE '%%no history is verified by schedule%%' FROM ({STATE}) s")


def once(at: datetime) -> str:
    """An expression for this second, and then not for a year."""
    return f"{at.second} {at.minute} {at.hour} {at.day} {at.month} *"


def soon(seconds: float) -> datetime:
    """A full second that lies so far ahead at least."""
    return (datetime.now(UTC) + timedelta(seconds=seconds + 1)).replace(microsecond=0)


def until_clock(at: datetime) -> None:
    """Returns when it is this late: a server that is down cannot be asked."""
    until(lambda: datetime.now(UTC) > at, 30)


def until(condition: Callable[[], bool], deadline: float = 10.0) -> None:
    """Returns when a condition holds."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)
