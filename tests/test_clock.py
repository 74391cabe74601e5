"""Clocks that tests move: what the server sees of them, and that nobody moves the time of a seal from within SQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from support.anchoring import settle
from support.clock import Clock
from support.cluster import Cluster
from support.database import Database
from support.roles import Roles
from support.sealing import history, refused
from support.tampering import assert_intact, triggers_off

NEAR = timedelta(minutes=1)
YEAR = timedelta(days=365)


@pytest.fixture
def db(travel: tuple[Cluster, Clock]) -> Iterator[Database]:
    """Takes the place of the shared server's database, for `roles` too."""
    with travel[0].database() as database:
        history(database)
        yield database


def insert(db: Database, row: int) -> datetime:
    """Seals a row in a transaction of its own and returns its time."""
    sealed = db.value(f"INSERT INTO h VALUES ({row}, 'x') RETURNING seal_at")
    assert isinstance(sealed, datetime)
    return sealed


def newest(db: Database) -> dict[str, Any]:
    """The newest anchor, once everything is anchored."""
    (anchor,) = db.records("SELECT at, boot, boot_time FROM seal.anchor WHERE number = %s", [settle(db, "h")])
    return {**anchor, "boot_time": timedelta(microseconds=anchor["boot_time"])}


def is_near(one: timedelta, other: timedelta) -> bool:
    return abs(one - other) < NEAR


def test_time_that_passes_moves_both_clocks(db: Database, clock: Clock) -> None:
    first, before = insert(db, 1), newest(db)
    assert is_near(first - clock.now(), timedelta())
    clock.forward(days=400)
    second, after = insert(db, 2), newest(db)
    assert is_near(second - first, timedelta(days=400))
    assert is_near(after["at"] - before["at"], timedelta(days=400))
    assert is_near(after["boot_time"] - before["boot_time"], timedelta(days=400))
    assert after["boot"] == before["boot"] == clock.boot_id
    assert is_near(db.value("SELECT now()") - second, timedelta())
    assert_intact(db)


def test_a_clock_that_is_set_leaves_the_time_since_boot(db: Database, clock: Clock) -> None:
    first, before = insert(db, 1), newest(db)
    clock.jump(days=400)
    second, after = insert(db, 2), newest(db)
    assert is_near(second - first, timedelta(days=400))
    assert is_near(after["at"] - before["at"], timedelta(days=400))
    assert is_near(after["boot_time"], before["boot_time"])
    assert_intact(db)


def test_a_clock_that_is_set_back_takes_no_seal_and_no_anchor_with_it(db: Database, clock: Clock) -> None:
    """The worker goes on at once, and time along a chain never runs backwards."""
    first, before = insert(db, 1), newest(db)
    clock.back(days=400)
    second, after = insert(db, 2), newest(db)
    assert is_near(db.value("SELECT now()") - first, timedelta(days=-400))
    assert first <= second and is_near(second - first, timedelta())
    assert before["at"] <= after["at"] and is_near(after["at"] - before["at"], timedelta())
    assert_intact(db)


@pytest.mark.parametrize("how", ["fast", "crash"])
def test_a_restart_of_the_server_keeps_the_clocks(db: Database, clock: Clock, how: str) -> None:
    clock.forward(days=10)
    before = (insert(db, 1), newest(db))
    if how == "crash":
        db.cluster.crash()
    else:
        db.cluster.restart()
    after = (insert(db, 2), newest(db))
    assert is_near(after[0] - before[0], timedelta())
    assert is_near(after[1]["boot_time"] - before[1]["boot_time"], timedelta())
    assert after[1]["boot"] == before[1]["boot"]
    assert_intact(db)


def test_a_restart_of_the_machine(db: Database, clock: Clock) -> None:
    first, before = insert(db, 1), newest(db)
    db.cluster.stop()
    clock.reboot(days=3)
    db.cluster.start()
    second, after = insert(db, 2), newest(db)
    assert is_near(second - first, timedelta(days=3))
    assert timedelta(seconds=5) < after["boot_time"] < NEAR
    assert (before["boot"] != after["boot"], after["boot"]) == (True, clock.boot_id)
    assert_intact(db)


# -- nobody else moves it ---------------------------------------------------------------------------------------------

SETTINGS = [
    "SET pgseal.now = '2001-01-01'",
    "SET LOCAL pgseal.clock = '2001-01-01'",
    "SELECT set_config('pgseal.seal_at', '2001-01-01', false)",
    "ALTER SYSTEM SET pgseal.test_clock = '2001-01-01'",
    "ALTER ROLE CURRENT_USER SET pgseal.time = '2001-01-01'",
]
VALUES = [
    "INSERT INTO h (id, seal_at) VALUES (7, '2001-01-01')",
    "INSERT INTO h (id, seal_at) VALUES (7, now() + interval '1 year')",
    "INSERT INTO h (id, seal_at) VALUES (7, 'infinity')",
    "INSERT INTO h (id, seal_at) SELECT 7, max(seal_at) FROM h",
]


@pytest.fixture
def everybody(db: Database, roles: Roles) -> list[psycopg.Connection[Any]]:
    """A session of a role that may insert, of the table's owner, and of a superuser."""
    owner = roles.owner()
    plain = roles.session("plain")
    db.run(f"ALTER TABLE h OWNER TO {owner.info.user}; GRANT SELECT, INSERT ON h TO {plain.info.user}")
    insert(db, 1)
    return [plain, owner, db.connect()]


def assert_sealed_now(db: Database, row: int = 7) -> None:
    (sealed, passed) = db.rows(f"SELECT seal_at, clock_timestamp() - seal_at FROM h WHERE id = {row}")[0]
    assert timedelta() <= passed < NEAR, sealed
    assert_intact(db)


@pytest.mark.parametrize("statement", SETTINGS)
def test_no_setting_takes_a_time(everybody: list[psycopg.Connection[Any]], statement: str) -> None:
    for session in everybody:
        with pytest.raises(psycopg.Error) as caught:
            session.execute(statement.encode())
        # No such parameter, or not theirs to set anything.
        assert caught.value.sqlstate in ("42704", "42602", "42501"), str(caught.value)


def test_no_setting_of_pgseal_is_about_the_time_of_a_seal(db: Database) -> None:
    """Whoever adds one has to say here why it is none."""
    about_time = "clock|now$|_at$|time(?!out|_?zone)"
    assert db.rows("SELECT name FROM pg_settings WHERE name LIKE 'pgseal.%%' AND name ~ %s", [about_time]) == []


@pytest.mark.parametrize("statement", VALUES)
def test_no_value_is_taken(everybody: list[psycopg.Connection[Any]], statement: str) -> None:
    for session in everybody:
        with refused("428C9", "seal_at"):
            session.execute(statement.encode())


def test_neither_zone_nor_snapshot_nor_search_path(db: Database, everybody: list[psycopg.Connection[Any]]) -> None:
    """An open transaction's now() is old, functions of the same name stand first in the path, zones are far away."""
    db.run("CREATE SCHEMA first; GRANT USAGE ON SCHEMA first TO PUBLIC")
    for name in ("now", "clock_timestamp", "transaction_timestamp"):
        db.run(f"CREATE FUNCTION first.{name}() RETURNS timestamptz RETURN timestamptz '2001-01-01'")
    for row, session in enumerate(everybody, 7):
        with session.transaction():
            session.execute("SET LOCAL search_path = first, pg_catalog, public")
            session.execute("SET LOCAL TimeZone = 'Pacific/Kiritimati'; SET LOCAL DateStyle = 'SQL, DMY'")
            session.execute(f"INSERT INTO public.h VALUES ({row}, 'x')".encode())
        assert_sealed_now(db, row)


def test_a_trigger_or_default_of_the_owner_sets_nothing(db: Database, everybody: list[psycopg.Connection[Any]]) -> None:
    db.run(
        """CREATE FUNCTION early() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN NEW.seal_at := '2001-01-01'; RETURN NEW; END $$;
           CREATE TRIGGER early BEFORE INSERT ON h FOR EACH ROW EXECUTE FUNCTION early()"""
    )
    for session in everybody:
        with refused("428C9", "seal_at"):
            session.execute("INSERT INTO h VALUES (7, 'x')")
    db.run("DROP TRIGGER early ON h")
    everybody[1].execute("INSERT INTO h VALUES (7, 'x')")
    assert_sealed_now(db)


def test_a_superuser_who_writes_the_time_is_found(db: Database) -> None:
    insert(db, 1)
    with triggers_off(db.connection, "h"):
        db.run("UPDATE h SET seal_at = seal_at - interval '2 years'")
    assert db.rows("SELECT kind, position FROM seal.findings(history => 'h')") == [("modified", 1)]


def test_an_anchor_that_nobody_sealed_does_not_move_it(db: Database) -> None:
    """Entries are never older than the newest anchor; a row put there by hand is none, also after a restart."""
    insert(db, 1)
    number = settle(db, "h")
    db.run(
        "INSERT INTO seal.anchor SELECT chain, number + 1, at + interval '2 years', complete, heads, boot, boot_time,"
        f" key, mac, mac FROM seal.anchor WHERE number = {number}"
    )
    db.cluster.restart()
    sealed = db.value("INSERT INTO h VALUES (7, 'x') RETURNING clock_timestamp() - seal_at")
    assert timedelta() <= sealed < NEAR
