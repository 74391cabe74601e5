"""On a standby, on a copy, without the key, after a crash: what a report then says."""

from __future__ import annotations

from support.anchoring import settle
from support.cluster import KEYLESS
from support.database import Database
from support.reporting import checked, headline, report, section, whole
from support.restoring import archive, restore
from support.sealing import history
from support.servers import Servers
from support.witnessing import AT_ONCE, anchored


def test_on_a_standby(own_cluster: Servers) -> None:
    primary = own_cluster({**AT_ONCE, "max_wal_senders": 4, "wal_level": "replica"})
    db = primary.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x'), (2, 'x')")
    anchored(db)
    there = report(db)
    standby = Database(own_cluster.adopt(primary.basebackup({"hot_standby": True})), db.name)
    text = report(standby, previous=there)
    assert headline(text) == "INTACT" and ", a standby, PostgreSQL" in section(text, "Server")[0]
    assert section(text, "Previous")[0].startswith("still contained: the report of ")
    assert "another server" not in section(text, "Previous")[0]
    assert section(text, "Witness") == ["this server only replays: anchors leave the primary, if they do"]
    assert section(text, "Anchor") == section(there, "Anchor")
    assert section(text, "Heads") == section(there, "Heads")
    assert whole(standby)["server"]["standby"] is True
    assert checked(db, text)["contained"] is True and checked(standby, there)["contained"] is True


def test_in_a_restored_copy(own_cluster: Servers) -> None:
    server = own_cluster(AT_ONCE)
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x'), (2, 'x')")
    settle(db, "h")
    before = report(db)
    dump = archive(db, "report", "-Fc")
    copy = server.createdb(name="copy")
    restore(copy, dump, "--exit-on-error")
    text = report(copy, previous=before)
    assert headline(text) == "INTACT" and section(text, "Previous")[0].startswith("still contained")
    db.run("INSERT INTO h VALUES (3, 'x')")
    settle(db, "h")
    after = report(db)
    assert headline(report(copy, previous=after)) == "TAMPERED"


def test_without_the_key(own_cluster: Servers) -> None:
    server = own_cluster(AT_ONCE)
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x')")
    settle(db, "h")
    server.configure(KEYLESS, restart=True)
    text = report(db)
    assert headline(text) == "UNVERIFIABLE"
    assert text.split("\n")[1].endswith("a key or a column is missing. This is not a success.")
    assert section(text, "Changes")[:2] == [
        "none by administrators",
        "the journal was altered or cannot be read: this may not be all",
    ]
    assert whole(db)["changes_complete"] is False


def test_what_a_report_saw_survives_a_crash(own_cluster: Servers) -> None:
    """Also what was committed without waiting for the disk."""
    server = own_cluster({"pgseal.anchor_interval": "1h", "fsync": True, "wal_writer_delay": "10s"})
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    db.run("SET synchronous_commit = off")
    for number in range(5):
        db.run("INSERT INTO h VALUES (%s, 'x')", [number])
        seen = report(db)
    server.crash()
    assert section(report(db, previous=seen), "Previous")[0].startswith("still contained")
    assert db.value("SELECT count(*) FROM h") == 5


def test_at_the_very_end_of_a_page_of_the_log(own_cluster: Servers) -> None:
    """What lies behind the header of a page that nobody has begun cannot be flushed."""
    server = own_cluster({"pgseal.anchor_interval": "1h", "autovacuum": False})
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x')")
    settle(db, "h")
    position = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint % 8192"
    mark = server.log_position()
    ends = 0
    for _ in range(40):
        # A message's record is some bytes longer than its text, and takes a page's header where it goes over its end.
        before = int(db.value(position))
        db.run("SELECT pg_logical_emit_message(false, '', repeat('x', 400))")
        overhead = int(db.value(position)) - before - 400
        left = 8192 - int(db.value(position))
        if overhead < 0 or left < 400:
            continue
        db.run("SELECT pg_logical_emit_message(false, '', repeat('x', %s))", [left - overhead])
        ends += db.value(position) in (24, 40)
        assert headline(report(db)) == "INTACT"
        if ends == 3:
            break
    assert ends > 0
    assert "flush" not in server.log(mark)
