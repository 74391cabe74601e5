"""An older state of everything, put back: intact to the database itself, found by whoever kept a line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database
from support.restoring import settle
from support.sealing import history
from support.servers import Servers
from support.tampering import run, triggers_off
from support.witnessing import AT_ONCE, Sink, anchored, fields, set_command

TABLES = ["h", "i", "seal.journal", "seal.anchor", "seal.history", "seal.epoch"]
VERDICTS = "SELECT history, verdict, entries, findings FROM seal.verify_history(witness => %s) ORDER BY 1"
CHECK = "SELECT contained, detail FROM seal.check_witness(%s)"


@pytest.fixture
def server(own_cluster: Servers) -> Cluster:
    return own_cluster(AT_ONCE)


@pytest.fixture
def kept(server: Cluster) -> Sink:
    """What the witness of this server has."""
    sink = Sink(server)
    set_command(server, sink.command)
    return sink


@pytest.fixture
def db(server: Cluster, kept: Sink) -> Iterator[Database]:
    database = server.createdb()
    database.run("CREATE EXTENSION pgseal")
    for table in ("h", "i"):
        history(database, table)
        database.run(f"INSERT INTO {table} SELECT g, 'x' FROM generate_series(1, 3) g")
    settle(database)
    yield database


def go_on(db: Database) -> None:
    for number in (10, 11):
        db.run(f"INSERT INTO h VALUES ({number}, 'x'); INSERT INTO i VALUES ({number}, 'x')")
        anchored(db)


def assert_only_the_witness_knows(db: Database, before: str, after: str) -> None:
    """`before` is a line of the state that was put back, `after` one of later."""
    number = int(fields(after)["number"])
    lost = (
        f"the witness saw anchor {number} of {fields(after)['chain']},"
        f" this database has {fields(before)['number']} at most"
    )
    intact = [("public.h", "intact", 3, 0), ("public.i", "intact", 3, 0)]
    assert db.rows("SELECT * FROM seal.findings()") == []
    for nothing in (None, before):
        assert db.rows(VERDICTS, [nothing]) == intact
    assert db.rows(CHECK, [before])[0][0] is True
    assert db.rows(CHECK, [after]) == [(False, lost)]
    assert db.rows(VERDICTS, [after]) == [("public.h", "tampered", 3, 1), ("public.i", "tampered", 3, 1)]
    # Nor does it help to go on until the number is reached again.
    go_on(db)
    go_on_until(db, number)
    assert db.rows("SELECT verdict FROM seal.verify_history()") == [("intact",)] * 2
    another = f"the witness saw another anchor {number} of {fields(after)['chain']} than this database has"
    assert db.rows(CHECK, [after]) == [(False, another)]
    assert {verdict for _, verdict, _, _ in db.rows(VERDICTS, [after])} == {"tampered"}


def go_on_until(db: Database, number: int) -> None:
    place = 100
    while anchored(db) < number:
        db.run(f"INSERT INTO h VALUES ({place}, 'x')")
        place += 1


def test_copies_of_all_tables(db: Database, server: Cluster, kept: Sink) -> None:
    before = kept.wait_for(db)
    for place, table in enumerate(TABLES):
        db.run(f"CREATE TABLE older{place} AS TABLE {table}")
    go_on(db)
    after = kept.wait_for(db)
    with db.connection.transaction():
        for table, of in (("h", TABLES[:1]), ("i", TABLES[1:])):
            with triggers_off(db.connection, table):
                for part in of:
                    put_back = f"INSERT INTO {part} TABLE older{TABLES.index(part)}"
                    run(db.connection, f"DELETE FROM {part}", put_back)
    # As long as the server runs it remembers: h, i and the anchors are too short.
    assert {verdict for _, verdict, _, _ in db.rows(VERDICTS, [None])} == {"tampered"}
    server.restart()
    assert_only_the_witness_knows(db, before, after)


def test_an_older_disk(db: Database, server: Cluster, kept: Sink, own_cluster: Servers) -> None:
    before = kept.wait_for(db)
    server.stop()
    older = server.copy({"pgseal.witness_command": "cat >/dev/null"})
    server.start()
    go_on(db)
    after = kept.wait_for(db)
    own_cluster.adopt(older)
    assert_only_the_witness_knows(Database(older, db.name), before, after)


def test_all_but_one_table(db: Database, server: Cluster, kept: Sink) -> None:
    """Whoever forgets the anchors, or only puts the anchors back, needs no witness to be found."""
    kept.wait_for(db)
    for place, table in enumerate(TABLES):
        db.run(f"CREATE TABLE older{place} AS TABLE {table}")
    go_on(db)
    chain = db.value("SELECT DISTINCT chain FROM seal.anchor")
    newest = anchored(db)
    for place, table in enumerate(TABLES[:2]):
        with db.connection.transaction(), triggers_off(db.connection, table):
            run(db.connection, f"DELETE FROM {table}", f"INSERT INTO {table} TABLE older{place}")
    server.restart()
    found = db.rows("SELECT history, kind, position, last_position FROM seal.findings() ORDER BY 1")
    assert found == [("public.h", "truncated", 4, 5), ("public.i", "truncated", 4, 5)]
    with db.connection.transaction():
        run(db.connection, "SET LOCAL session_replication_role = replica")
        run(db.connection, "DELETE FROM seal.anchor", "INSERT INTO seal.anchor TABLE older3")
    server.restart()
    # Now all that is in the database is an older state, but for what is not in these tables.
    assert {verdict for _, verdict, _, _ in db.rows(VERDICTS, [None])} == {"intact"}
    known = [line for line in kept.lines(db.name) if f" number={newest} " in line]
    assert db.rows(CHECK, [known[0]])[0][0] is False
    assert fields(known[0])["chain"] == chain
