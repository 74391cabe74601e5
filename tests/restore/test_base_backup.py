"""A base backup started as another server with the same key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database
from support.sealing import background, history, wait_for
from support.servers import Servers
from support.standby import COPIED
from support.witnessing import AT_ONCE, anchored

FINDINGS = "SELECT kind, chain, position, detail FROM seal.findings()"


@pytest.fixture
def server(own_cluster: Servers) -> Cluster:
    return own_cluster({**AT_ONCE, **COPIED})


@pytest.fixture
def db(server: Cluster) -> Iterator[Database]:
    database = server.createdb()
    database.run("CREATE EXTENSION pgseal")
    history(database)
    database.run("INSERT INTO h VALUES (1, 'x')")
    anchored(database)
    yield database


def test_taken_under_load_and_started_elsewhere(own_cluster: Servers, server: Cluster, db: Database) -> None:
    with background() as start:
        statements = [f"INSERT INTO h VALUES ({number}, 'x')" for number in range(10, 2_000)]
        writer = start(db.connect(), *statements)
        backup = server.basebackup(standby=False)
        writer.result()
    copy = Database(own_cluster.adopt(backup), db.name)
    count = copy.value("SELECT count(*) FROM h")
    assert 1 <= count <= 1_991
    assert copy.rows(FINDINGS) == []
    copy.run("INSERT INTO h VALUES (5000, 'y')")
    anchored(copy)
    assert copy.rows(FINDINGS) == []
    assert copy.rows("SELECT verdict, entries FROM seal.verify_history()") == [("intact", count + 1)]
    # Each entry is found as the original has it.
    both = "SELECT id, seal_chain, seal_seq, encode(seal_mac, 'hex') FROM h WHERE id < 5000"
    assert set(copy.rows(both)) <= set(db.rows(both))


def test_restored_to_a_point_in_time_it_begins_chains_of_its_own(
    own_cluster: Servers, server: Cluster, db: Database
) -> None:
    """With recovery.signal the copy gets a timeline of its own, and thereby a tag."""
    backup = server.basebackup({"restore_command": "false"}, standby=False)
    signal = backup.data / "recovery.signal"
    signal.touch()
    backup.give(signal)
    copy = Database(own_cluster.adopt(backup), db.name)
    wait_for(copy, "SELECT NOT pg_is_in_recovery()")
    copy.run("INSERT INTO h VALUES (3, 'copy')")
    anchored(copy)
    db.run("INSERT INTO h VALUES (2, 'x')")
    anchored(db)
    place = "SELECT split_part(seal_chain, '/', 1) FROM h WHERE id = %s"
    old, new = copy.value(place, [1]), copy.value(place, [3])
    assert old != new and db.value(place, [2]) == old
    assert (copy.rows(FINDINGS), db.rows(FINDINGS)) == ([], [])
    # What it sealed cannot be brought into the original.
    row = copy.psql("COPY (SELECT * FROM h WHERE id = 3) TO STDOUT").stdout
    db.psql(f"SET session_replication_role = replica;\nCOPY h FROM STDIN;\n{row}\\.\n")
    assert ("forged", new, 1) in {(kind, chain, position) for kind, chain, position, _ in db.rows(FINDINGS)}


def test_started_without_recovery_its_entries_fit_nowhere_else(
    own_cluster: Servers, server: Cluster, db: Database
) -> None:
    """A plain start keeps the timeline, so both go on in the same chain; whatever is brought over is still found."""
    copy = Database(own_cluster.adopt(server.basebackup(standby=False)), db.name)
    copy.run("INSERT INTO h VALUES (2, 'copy')")
    anchored(copy)
    copy.run("INSERT INTO h VALUES (3, 'copy')")
    anchored(copy)
    db.run("INSERT INTO h VALUES (4, 'x')")
    newest = anchored(db)
    chain = db.value("SELECT DISTINCT seal_chain FROM h")
    # Its second entry follows one that the original does not have.
    row = copy.psql("COPY (SELECT * FROM h WHERE id = 3) TO STDOUT").stdout
    db.psql(f"SET session_replication_role = replica;\nCOPY h FROM STDIN;\n{row}\\.\n")
    found = {(kind, where, position) for kind, where, position, _ in db.rows(FINDINGS)}
    assert ("wrong_predecessor", chain, 3) in found
    # Its entries and anchors instead of the original's own: the server's memory knows better, as do its anchors.
    rows = copy.psql("COPY (SELECT * FROM h WHERE id = 2) TO STDOUT").stdout
    db.psql(
        "SET session_replication_role = replica; ALTER TABLE h DISABLE TRIGGER ALL; DELETE FROM h WHERE id = 4;"
        f"\nCOPY h FROM STDIN;\n{rows}\\.\nALTER TABLE h ENABLE TRIGGER zzz_pgseal_seal;"
        "ALTER TABLE h ENABLE ALWAYS TRIGGER zzz_pgseal_guard; ALTER TABLE h ENABLE ALWAYS TRIGGER zzz_pgseal_truncate;"
    )
    server.restart()
    found = {(kind, where, position) for kind, where, position, _ in db.rows(FINDINGS)}
    assert any(where == chain and position == 2 for _, where, position in found), found
    assert newest >= 2
