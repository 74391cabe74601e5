"""An older state of a server whose secret evolves, with the state file of today beside it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from support.cluster import Cluster
from support.database import Database
from support.evolving import Evolving, answer, evolving_server, verdicts, wait_until_opened
from support.sealing import history, wait_for
from support.servers import Servers

STREAMS = "SELECT count(DISTINCT record ->> 'stream') FROM seal.closing"


@pytest.fixture
def evolving() -> Iterator[Evolving]:
    with evolving_server(wal_level="replica", max_wal_senders=4) as made:
        yield made


@pytest.fixture
def db(evolving: Evolving) -> Database:
    db = evolving.server.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    db.run("INSERT INTO h VALUES (1, 'a'), (2, 'b')")
    wait_until_opened(db, "h")
    return db


def put_back(servers: Servers, evolving: Evolving, db: Database, backup: Cluster) -> Database:
    """The database in the older state, with keys and state file of today; `evolving` follows."""
    (backup.home / "state").symlink_to(evolving.state_file.parent)
    evolving.server.stop()
    restored = Database(servers.adopt(backup), db.name)
    backup.wait_for_log("database system is ready to accept connections")
    evolving.server = restored.cluster
    return restored


@pytest.fixture
def backup(evolving: Evolving, db: Database) -> Cluster:
    """Of the first day; two more go by, with an entry each."""
    files = {name: evolving.server.settings[name] for name in ("pgseal.key_file", "pgseal.key_state_file")}
    made = evolving.server.basebackup({**files, "restore_command": "false"}, standby=False)
    for row in (11, 12):
        evolving.days_pass()
        db.run(f"INSERT INTO h VALUES ({row}, 'lost')")
    return made


def test_recovered_to_a_new_timeline(own_cluster: Servers, evolving: Evolving, db: Database, backup: Cluster) -> None:
    """It has a stream of its own, like a copy elsewhere: what was lost is not missed."""
    signal = backup.data / "recovery.signal"
    signal.touch()
    backup.give(signal)
    restored = put_back(own_cluster, evolving, db, backup)
    assert (verdicts(restored), answer(restored)) == (["intact"], [])
    restored.run("INSERT INTO h VALUES (20, 'restored')")
    wait_for(restored, f"SELECT ({STREAMS}) = 2")
    evolving.days_pass(2)
    restored.run("INSERT INTO h VALUES (21, 'restored')")
    assert (verdicts(restored), answer(restored)) == (["intact"], [])


def test_recovered_where_nothing_runs_by_itself(
    own_cluster: Servers, evolving: Evolving, db: Database, backup: Cluster
) -> None:
    """A copy that is evidence has no launcher; nor has any server in the first moment after a promotion."""
    # With fewer workers than the primary had, a hot standby would wait for somebody.
    backup.settings |= {"max_worker_processes": 0, "hot_standby": False}
    signal = backup.data / "recovery.signal"
    signal.touch()
    backup.give(signal)
    restored = put_back(own_cluster, evolving, db, backup)
    assert (verdicts(restored), answer(restored)) == (["intact"], [])


def test_started_as_it_is(own_cluster: Servers, evolving: Evolving, db: Database, backup: Cluster) -> None:
    """The state file is a witness of its own: it has gone on, and the days that it closed are not in the journal."""
    first = evolving.clock.now().date() - timedelta(days=2)
    restored = put_back(own_cluster, evolving, db, backup)
    lost = f"{first} to {first + timedelta(days=1)}"
    said = ("configuration_altered", f"{lost} is not closed, or its closing records were removed")
    assert (verdicts(restored), answer(restored)) == (["tampered"], [said])
    restored.run("INSERT INTO h VALUES (20, 'restored')")
    evolving.days_pass()
    restored.run("INSERT INTO h VALUES (21, 'restored')")
    # The next day is closed, and the gap before it stays: of the history and of the journal.
    stays = f"closing record 2 comes after a gap: {lost} was not closed, or its closing was removed"
    assert (verdicts(restored), answer(restored)) == (["tampered"], [("configuration_altered", stays)] * 2)
    assert restored.value(STREAMS) == 1
