"""A hot standby beside its primary, and its promotion while entries are being sealed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database
from support.sealing import background, history, partitioned, run, wait_for
from support.servers import Servers
from support.standby import COPIED, caught_up, promote, standby_of
from support.tampering import triggers_off
from support.witnessing import AT_ONCE, Sink, anchored, set_command, until

FINDINGS = "SELECT history, kind, chain, position, detail FROM seal.findings()"


@pytest.fixture
def primary(own_cluster: Servers) -> Cluster:
    return own_cluster({**AT_ONCE, **COPIED})


@pytest.fixture
def db(primary: Cluster) -> Iterator[Database]:
    database = primary.createdb()
    database.run("CREATE EXTENSION pgseal")
    history(database)
    partitioned(database, "p")
    database.run("INSERT INTO h VALUES (1, 'x'); INSERT INTO p VALUES (1, 1, 'x')")
    anchored(database)
    yield database


@pytest.fixture
def standby(own_cluster: Servers, db: Database) -> Database:
    return standby_of(own_cluster, db, hot_standby_feedback=True)


def writes(table: str, first: int, count: int) -> list[str]:
    leaf = ", 1" if table == "p" else ""
    return [f"INSERT INTO {table} VALUES ({number}{leaf}, 'x')" for number in range(first, first + count)]


def assert_intact(db: Database, **entries: int) -> None:
    assert db.rows(FINDINGS) == []
    answer = db.rows("SELECT history, verdict, entries FROM seal.verify_history() ORDER BY 1")
    assert answer == [(f"public.{name}", "intact", count) for name, count in sorted(entries.items())]


def test_beside_a_busy_primary_and_promoted_under_load(primary: Cluster, db: Database, standby: Database) -> None:
    # While the primary writes, the standby finds nothing wrong, and says what it compares with.
    with background() as start:
        writers = [start(db.connect(), *writes(table, 1_000, 250)) for table in ("h", "p")]
        rounds = 0
        while not all(writer.done() for writer in writers):
            assert standby.rows(FINDINGS) == []
            rounds += 1
        for writer in writers:
            writer.result()
    assert rounds > 0
    newest = anchored(db)
    caught_up(db, standby)
    at = standby.value(
        """SELECT replace(to_char(max(at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.'), ' ', '') FROM seal.anchor"""
    )
    bases = standby.rows("SELECT basis FROM seal.verify_history()")
    assert len(bases) == 2
    for (basis,) in bases:
        assert f"this server only replays, newest entries compared with anchor {newest} of {at}" in basis
    assert "only replays" in standby.value("SELECT DISTINCT worker FROM seal.status")

    # Promoted while the primary still writes: what comes later there is not here.
    with background() as start:
        writer = start(db.connect(), *writes("h", 3_000, 1_500))
        until(lambda: standby.value("SELECT count(*) > 300 FROM h") is True, "the standby follows")
        promote(standby)
        there = start(standby.connect(), *writes("h", 10_000, 100), *writes("p", 10_000, 100))
        while not there.done():
            assert standby.rows(FINDINGS) == []
        there.result()
        writer.result()
    anchored(standby)
    assert standby.rows(FINDINGS) == []
    old, new = _place(standby, 1), _place(standby, 10_000)
    assert old != new and _place(db, 1) == old
    assert {place for (place,) in standby.rows("SELECT DISTINCT split_part(seal_chain, '/', 1) FROM h")} == {old, new}
    first = "SELECT complete, heads FROM seal.anchor WHERE chain = %s AND number = 1"
    ((complete, heads),) = standby.rows(first, [new])
    assert complete and old in heads["anchors"] and old in heads["journal"]
    assert_intact(db, h=1 + 250 + 1_500, p=251)

    # The ends of the old chains, and the old anchors, are as safe as before.
    which = "(SELECT seal_chain, max(seal_seq) FROM h WHERE id < 10000 GROUP BY 1)"
    (chain, top) = standby.rows(f"SELECT * FROM {which} s ORDER BY 1 LIMIT 1")[0]
    with standby.connection.transaction(), triggers_off(standby.connection, "h"):
        run(standby.connection, f"DELETE FROM h WHERE seal_chain = '{chain}' AND seal_seq = {top}")
    found = "SELECT kind, chain, position FROM seal.findings(history => 'h')"
    assert standby.rows(found) == [("truncated", chain, top)]
    with standby.connection.transaction(), triggers_off(standby.connection, "h"):
        run(standby.connection, f"DELETE FROM seal.anchor WHERE chain = '{old}'")
    assert ("truncated", chain, top) in standby.rows(found)
    assert "anchor_altered" in {kind for kind, *_ in standby.rows(found)}
    standby.cluster.restart()
    assert ("truncated", chain, top) in standby.rows(found)


def test_prepared_before_and_committed_after_the_promotion(primary: Cluster, db: Database, standby: Database) -> None:
    session = db.connect()
    run(session, "BEGIN", "INSERT INTO h VALUES (2, 'x')", "INSERT INTO h VALUES (3, 'x')", "PREPARE TRANSACTION 'a'")
    run(session, "BEGIN", "INSERT INTO p VALUES (2, 1, 'x')", "PREPARE TRANSACTION 'b'")
    db.run("INSERT INTO h VALUES (4, 'x')")
    caught_up(db, standby)
    primary.stop()
    promote(standby)
    standby.run("INSERT INTO h VALUES (10, 'x'); INSERT INTO p VALUES (10, 1, 'x')")
    wait_for(standby, "SELECT count(DISTINCT chain) = 2 FROM seal.anchor")
    assert standby.rows(FINDINGS) == []
    standby.run("COMMIT PREPARED 'a'")
    assert standby.rows(FINDINGS) == []
    standby.run("ROLLBACK PREPARED 'b'")
    standby.run("INSERT INTO h VALUES (11, 'x')")
    old = _place(standby, 1)
    top = standby.value("SELECT seal_seq FROM h WHERE id = 3")
    seen = """SELECT coalesce(bool_or((chains.value -> %s ->> 0)::int = %s), false)
                FROM seal.anchor a, jsonb_each(a.heads) chains
               WHERE a.chain <> %s AND chains.key = (SELECT history_id::text FROM seal.history
                                                      WHERE relation = 'h'::regclass)"""
    wait_for(standby, seen, [old, top, old])
    assert_intact(standby, h=6, p=2)
    with standby.connection.transaction(), triggers_off(standby.connection, "h"):
        run(standby.connection, "DELETE FROM h WHERE id IN (2, 3)")
    found = standby.rows("SELECT kind, chain, position, last_position FROM seal.findings(history => 'h')")
    assert found == [("truncated", old, top - 1, top)]


def test_lines_across_the_promotion(primary: Cluster, db: Database, standby: Database) -> None:
    sink, own = Sink(primary), Sink(standby.cluster)
    set_command(primary, sink.command)
    set_command(standby.cluster, own.command)
    db.run("INSERT INTO h VALUES (2, 'x')")
    line = sink.wait_for(db)
    caught_up(db, standby)
    check = "SELECT contained FROM seal.check_witness(%s)"
    assert standby.value(check, [line]) is True
    assert standby.rows("SELECT DISTINCT verdict FROM seal.verify_history(witness => %s)", [line]) == [("intact",)]
    assert own.lines() == []
    promote(standby)
    standby.run("INSERT INTO h VALUES (3, 'x')")
    later = own.wait_for(standby)
    db.run("INSERT INTO h VALUES (4, 'x')")
    theirs = sink.wait_for(db)
    assert [standby.value(check, [kept]) for kept in (line, later, theirs)] == [True, True, False]
    assert [db.value(check, [kept]) for kept in (line, later, theirs)] == [True, False, True]


def _place(db: Database, row: int) -> str:
    return str(db.value("SELECT split_part(seal_chain, '/', 1) FROM h WHERE id = %s", [row]))
