"""Recovery from an archive to an earlier moment: it verifies as of then, and a witness from before shows the loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from support.archiving import Archive, recovered
from support.cluster import Cluster
from support.database import Database
from support.refusal import NOT_IN_STATE, refusal
from support.sealing import history, partitioned, wait_for
from support.servers import Servers
from support.standby import promote
from support.witnessing import AT_ONCE, Sink, anchored, set_command

VERDICTS = "SELECT history, verdict, entries FROM seal.verify_history(witness => %s) ORDER BY 1"
COUNTS = "SELECT history, verdict, findings FROM seal.verify_history(witness => %s) ORDER BY 1"
FOUND = "SELECT DISTINCT history, kind, chain, position, last_position FROM seal.findings() ORDER BY 1, 2, 3, 4"


@dataclass
class Story:
    """What happened on the original: a backup, entries until `moment`, and what a recovery to then loses."""

    db: Database
    backup: Cluster
    moment: str
    """The time at which the restore point `moment` was made."""
    line: str
    """The witness's newest line at that moment."""
    lost: str
    """The witness's newest line of all."""


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    started = Servers()
    try:
        yield started
        started.assert_no_alarms()
    finally:
        started.destroy()


@pytest.fixture(scope="module")
def story(servers: Servers) -> Iterator[Story]:
    archive = Archive()
    try:
        primary = servers({**AT_ONCE, **archive.settings})
        yield _told(primary, archive)
    finally:
        archive.remove()


def _told(primary: Cluster, archive: Archive) -> Story:
    sink = Sink(primary)
    set_command(primary, sink.command)
    db = primary.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    partitioned(db, "p")
    db.run("INSERT INTO h SELECT g, 'backed up' FROM generate_series(1, 20) g; INSERT INTO p VALUES (1, 1, 'x')")
    anchored(db)
    backup = primary.basebackup(standby=False)
    db.run("ALTER TABLE h ADD COLUMN added int DEFAULT 5; INSERT INTO h SELECT g, 'x' FROM generate_series(21, 30) g")
    db.run("INSERT INTO p VALUES (2, 0, 'x')")
    line = sink.wait_for(db)
    # Prepared before the moment, committed after it: there it is still open.
    session = db.connect()
    session.execute("BEGIN")
    session.execute("INSERT INTO h VALUES (40, 'prepared')")
    session.execute("PREPARE TRANSACTION 'over the moment'")
    db.run("SELECT pg_create_restore_point('moment')")
    moment = db.value("SELECT clock_timestamp()::text")
    db.run("COMMIT PREPARED 'over the moment'")
    db.run("INSERT INTO h SELECT g, 'lost' FROM generate_series(41, 60) g; INSERT INTO p VALUES (3, 1, 'lost')")
    db.run("ALTER TABLE h RENAME COLUMN added TO lost; CREATE TABLE later (n int); SELECT seal.attach('later')")
    db.run("INSERT INTO later VALUES (1); INSERT INTO h (id, p, lost) VALUES (61, 'lost', 6)")
    lost = sink.wait_for(db)
    archive.complete(db)
    return Story(db, backup, moment, line, lost)


def assert_loss_is_found(db: Database, story: Story, **entries: int) -> None:
    """Intact in itself, contained in what the witness saw until the moment, and short of what it saw afterwards."""
    assert db.rows(FOUND) == []
    intact = [(f"public.{name}", "intact", count) for name, count in entries.items()]
    assert db.rows(VERDICTS, [None]) == intact
    assert db.rows(VERDICTS, [story.line]) == intact
    assert db.value("SELECT contained FROM seal.check_witness(%s)", [story.line]) is True
    contained, detail = db.rows("SELECT contained, detail FROM seal.check_witness(%s)", [story.lost])[0]
    assert contained is False and "at most" in detail, detail
    # For each history one finding: the anchor that the witness saw is not there.
    assert db.rows(COUNTS, [story.lost]) == [(f"public.{name}", "tampered", 1) for name in entries]


def test_to_a_restore_point(servers: Servers, story: Story) -> None:
    server = recovered(servers, story.backup, recovery_target_name="moment", recovery_target_action="pause")
    db = Database(server, story.db.name)
    wait_for(db, "SELECT pg_get_wal_replay_pause_state() = 'paused'")
    # Paused there, it is a standby that verifies.
    assert_loss_is_found(db, story, h=30, p=2)
    promote(db)
    old = db.value("SELECT DISTINCT split_part(seal_chain, '/', 1) FROM h")
    db.run("INSERT INTO h (id, p, added) VALUES (100, 'new', 7); INSERT INTO p VALUES (100, 1, 'new')")
    db.run("ROLLBACK PREPARED 'over the moment'")
    anchored(db)
    new = db.value("SELECT DISTINCT seal_chain FROM h WHERE id = 100 AND seal_seq = 1")
    assert new.startswith("main.") and new != old
    assert_loss_is_found(db, story, h=31, p=3)
    # What was done there is not done here: another column, another epoch with the number that was lost.
    db.run("ALTER TABLE h RENAME COLUMN added TO kept; INSERT INTO h (id, p, kept) VALUES (101, 'new', 8)")
    assert db.value("SELECT max(seal_epoch) FROM h") == story.db.value("SELECT max(seal_epoch) FROM h") == 3
    assert refusal(db, "DELETE FROM h").state == NOT_IN_STATE
    anchored(db)
    server.restart()
    assert_loss_is_found(db, story, h=32, p=3)


def test_to_a_time_twice_from_the_same_backup(servers: Servers, story: Story) -> None:
    copies = []
    for row in (100, 200):
        server = recovered(servers, story.backup, recovery_target_time=story.moment, recovery_target_action="promote")
        db = Database(server, story.db.name)
        wait_for(db, "SELECT NOT pg_is_in_recovery()")
        # What was prepared at that moment has its outcome still before it.
        db.run("COMMIT PREPARED 'over the moment'")
        db.run(f"INSERT INTO h (id, p, added) VALUES ({row}, 'new', 7)")
        anchored(db)
        assert_loss_is_found(db, story, h=32, p=2)
        # Until the archive knows its timeline, another recovery would choose the same.
        wait_for(db, "SELECT archived_count > 0 FROM pg_stat_archiver")
        copies.append(db)
    first, second = copies
    places = [db.rows("SELECT DISTINCT split_part(seal_chain, '/', 1) FROM h ORDER BY 1") for db in copies]
    assert len({*places[0], *places[1]}) == 3, places

    # Neither what the other sealed nor what was lost belongs here: brought over, it is found.
    for source, row in ((story.db, 61), (second, 200)):
        line = source.psql(f"COPY (SELECT * FROM h WHERE id = {row}) TO STDOUT").stdout
        first.psql(f"SET session_replication_role = replica;\nCOPY h FROM STDIN;\n{line}\\.\n")
    old = story.db.value("SELECT seal_seq FROM h WHERE id = 61")
    assert first.rows(FOUND) == sorted(
        [("public.h", "forged", place(second, 200), 1, None), ("public.h", "forged", place(story.db, 61), old, None)]
    )


def place(db: Database, row: int) -> str:
    return str(db.value(f"SELECT seal_chain FROM h WHERE id = {row}"))
