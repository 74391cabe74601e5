"""pgseal.schedule and pgseal.schedule_timezone: refused at the place of the fault, taken over by a reload."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from support.database import Database
from support.refusal import BAD_PARAMETER, refusal
from support.scheduling import EVERY_SECOND, NEVER_SOON, next_run, nothing_scheduled, runs, scheduled, wait_for_runs
from support.sealing import history, wait_for
from support.servers import Servers

EXAMPLE = "such as '0 3 * * *' for 03:00 every day"


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        ("0 24 * * *", "Field 2 (hour), character 3: 24 is not within 0 to 23."),
        ("0 3 * * MON-FOO", "Field 5 (day of week), character 13: 'FOO' means nothing here."),
        ("0 3 * *", "Character 8: it has 4 fields, not 5 or 6."),
        ("60 0 3 * * *", "Field 1 (second), character 1: 60 is not within 0 to 59."),
        ("0 0 30 2 *", "Such a date never comes."),
    ],
)
def test_an_invalid_schedule_is_refused_with_its_place(fresh: Database, value: str, detail: str) -> None:
    refused = refusal(fresh, f"ALTER SYSTEM SET pgseal.schedule = '{value}'")
    assert (refused.state, refused.message) == (BAD_PARAMETER, f'invalid schedule "{value}"')
    assert refused.detail == detail
    assert EXAMPLE in refused.hint
    assert refusal(fresh, f"SET pgseal.schedule = '{value}'").state == "55P02"


def test_an_unknown_time_zone_is_refused(fresh: Database) -> None:
    refused = refusal(fresh, "ALTER SYSTEM SET pgseal.schedule_timezone = 'Europe/Atlantis'")
    assert refused.state == BAD_PARAMETER
    assert refused.message == 'unknown time zone "Europe/Atlantis" in pgseal.schedule_timezone'
    assert "'Europe/Berlin'" in refused.hint


def test_an_invalid_one_in_the_file_changes_nothing(own_cluster: Servers) -> None:
    server = own_cluster(scheduled("0 3 * * *"))
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    before = next_run(db)
    mark = server.log_position()
    server.configure({"pgseal.schedule": "0 3 * * 8", "pgseal.schedule_timezone": "Mars/Olympus"})
    server.wait_for_log('invalid schedule "0 3 * * 8"', mark)
    log = server.wait_for_log('unknown time zone "Mars/Olympus"', mark)
    assert "Field 5 (day of week), character 9: 8 is not within 0 to 7." in log
    assert db.value("SHOW pgseal.schedule") == "0 3 * * *"
    assert next_run(db) == before
    db.run("INSERT INTO h VALUES (1, 'x')")  # the server goes on
    assert db.value("SELECT seal.is_intact()") is True


def test_a_reload_changes_when_runs_are_due(own_cluster: Servers) -> None:
    """What was not scheduled before was not missed: a history that was attached earlier waits for its first time."""
    server = own_cluster(scheduled(""))
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    nothing_scheduled(db)
    server.configure({"pgseal.schedule": NEVER_SOON})
    assert next_run(db).strftime("%m-%d %H:%M:%S") == "02-29 00:00:00"
    assert runs(db) == []
    server.configure({"pgseal.schedule": EVERY_SECOND})
    wait_for_runs(db, more=2)
    server.configure({"pgseal.schedule": "off"})
    nothing_scheduled(db)
    count = len(runs(db))
    server.configure({"pgseal.schedule": "0 0 1 1 *"})
    due = next_run(db)
    assert (due.month, due.day) == (1, 1)
    assert len(runs(db)) == count
    assert "was missed" not in server.log()


def test_the_time_zone(own_cluster: Servers) -> None:
    """That of log_timezone, unless another is set; what the database says does not matter."""
    server = own_cluster(scheduled("30 3 * * *", log_timezone="Asia/Tokyo"))
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    db.run(f"ALTER DATABASE \"{db.name}\" SET timezone = 'America/New_York'")
    history(db)
    for zone in ("Asia/Tokyo", "Asia/Kathmandu", "Europe/Berlin", "Asia/Tokyo"):
        if zone != "Asia/Tokyo":
            server.configure({"pgseal.schedule_timezone": zone.lower()})
        else:
            server.configure({"pgseal.schedule_timezone": None})
        expected = expected_time(zone)
        fits = "SELECT problem LIKE %s FROM seal.check_setup() WHERE item = 'schedule'"
        wait_for(db, fits, [f"%{expected.astimezone(UTC):%Y-%m-%dT%H:%M:%S}%"])


def expected_time(zone: str) -> datetime:
    """The next 03:30 there."""
    now = datetime.now(ZoneInfo(zone))
    today = now.replace(hour=3, minute=30, second=0, microsecond=0)
    return today if today > now else (today + timedelta(days=1))
