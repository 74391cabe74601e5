"""A template copy goes on by itself, and nothing that is sealed in it can be brought into the original."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database
from support.restoring import settle
from support.sealing import history
from support.servers import Servers
from support.witnessing import AT_ONCE, anchored

FOUND = "SELECT DISTINCT kind, chain, position, last_position FROM seal.findings() ORDER BY 1, 2, 3"
VERDICT = "SELECT verdict, entries FROM seal.verify_history()"


@pytest.fixture
def db(fast: Cluster) -> Iterator[Database]:
    with fast.database() as database:
        history(database)
        database.run("INSERT INTO h VALUES (1, 'x')")
        anchored(database)
        database.run("INSERT INTO h VALUES (2, 'x')")
        anchored(database)
        yield database


@pytest.fixture
def twin(db: Database) -> Iterator[Database]:
    """A template copy: entry 10 names no anchor, entry 11 does, and a history was attached in it."""
    settle(db)
    db.close()
    copied = db.cluster.createdb(template=db.name)
    copied.run("INSERT INTO h VALUES (10, 'twin')")
    anchored(copied)
    copied.run("INSERT INTO h VALUES (11, 'twin')")
    anchored(copied)
    copied.run("CREATE TABLE i (n int); SELECT seal.attach('i')")
    settle(copied)
    yield copied
    copied.drop()


def place(db: Database, row: int) -> str:
    return str(db.value("SELECT seal_chain FROM h WHERE id = %s", [row]))


def bring(source: Database, target: Database, table: str, condition: str) -> None:
    """Copies rows from one database to another, as a superuser without triggers."""
    rows = source.psql(f"COPY (SELECT * FROM {table} WHERE {condition}) TO STDOUT").stdout
    assert rows
    target.psql(f"SET session_replication_role = replica;\nCOPY {table} FROM STDIN;\n{rows}\\.\n")


def test_both_go_on_by_themselves(db: Database, twin: Database) -> None:
    old, new = place(db, 1), place(twin, 10)
    assert old.split(".")[0] == new.split(".")[0] and old != new
    assert twin.rows("SELECT DISTINCT seal_chain, seal_seq, seal_anchor FROM h WHERE id = 10") == [(new, 1, 0)]
    for number in range(20, 23):
        db.run(f"INSERT INTO h VALUES ({number}, 'x')")
        twin.run(f"INSERT INTO h VALUES ({number}, 'twin')")
    anchored(db)
    anchored(twin)
    assert place(db, 22) == old and place(twin, 22) == new
    assert db.rows(VERDICT) == [("intact", 5)]
    assert twin.rows("SELECT verdict, entries FROM seal.verify_history(history => 'h')") == [("intact", 7)]
    assert (db.rows(FOUND), twin.rows(FOUND)) == ([], [])
    ((complete, heads),) = twin.rows("SELECT complete, heads FROM seal.anchor WHERE chain = %s AND number = 1", [new])
    since = twin.value("SELECT at FROM seal.anchor WHERE chain = %s AND number = 1", [new])
    newest = "SELECT number, encode(mac, 'hex') FROM seal.anchor WHERE at < %s ORDER BY number DESC LIMIT 1"
    assert complete and heads["anchors"] == {old: list(db.rows(newest, [since])[0])}


def test_an_entry_that_names_no_anchor(db: Database, twin: Database) -> None:
    bring(twin, db, "h", "id = 10")
    expected = [("forged", place(twin, 10), 1, None)]
    assert db.rows(FOUND) == expected
    db.run("INSERT INTO h VALUES (30, 'x')")
    anchored(db)
    assert db.rows(FOUND) == expected
    assert db.rows("SELECT verdict FROM seal.verify_history()") == [("tampered",)]


def test_entries_and_their_anchors(db: Database, twin: Database) -> None:
    """Nor does it help to bring all that belongs to them, and to have the original go on over it."""
    new = place(twin, 10)
    bring(twin, db, "h", "id IN (10, 11)")
    bring(twin, db, "seal.anchor", f"chain = '{new}'")
    assert ("forged", new, 1, 2) in db.rows(FOUND)
    db.run("INSERT INTO h VALUES (30, 'x')")
    anchored(db)
    assert ("forged", new, 1, 2) in db.rows(FOUND)
    assert db.rows("SELECT verdict FROM seal.verify_history()") == [("tampered",)]


def test_the_journal_of_the_copy(db: Database, twin: Database) -> None:
    new = place(twin, 10)
    bring(twin, db, "seal.journal", f"chain = '{new}'")
    found = db.rows(FOUND)
    assert found and {chain for _, chain, *_ in found if chain} <= {f"journal {new}", f"anchors {new}", new}
    assert db.rows("SELECT DISTINCT verdict FROM seal.verify_history(history => 'h')") == [("tampered",)]
    bring(twin, db, "seal.anchor", f"chain = '{new}'")
    assert db.rows(FOUND) != []


def test_anchors_of_the_copy_alone(db: Database, twin: Database) -> None:
    new = place(twin, 10)
    bring(twin, db, "seal.anchor", f"chain = '{new}'")
    found = db.rows(FOUND)
    assert {chain for _, chain, *_ in found} <= {f"anchors {new}", f"journal {new}", new}
    newest = twin.value("SELECT max(number) FROM seal.anchor WHERE chain = %s", [new])
    assert ("anchor_altered", f"anchors {new}", 1, newest) in found


def test_an_entry_of_the_copy_in_the_place_of_one(db: Database, twin: Database) -> None:
    """Under the original's chain it is nobody's signature."""
    old, new = place(db, 1), place(twin, 10)
    rows = twin.psql("COPY (SELECT * FROM h WHERE id = 10) TO STDOUT").stdout.replace(new, old)
    db.psql(
        "SET session_replication_role = replica; ALTER TABLE h DISABLE TRIGGER ALL; DELETE FROM h WHERE id = 1;"
        f"\nCOPY h FROM STDIN;\n{rows}\\.\nALTER TABLE h ENABLE TRIGGER zzz_pgseal_seal;"
        "ALTER TABLE h ENABLE ALWAYS TRIGGER zzz_pgseal_guard; ALTER TABLE h ENABLE ALWAYS TRIGGER zzz_pgseal_truncate;"
    )
    assert db.rows(FOUND) == [("modified", old, 1, None)]


def test_under_another_nodes_name(own_cluster: Servers) -> None:
    """What another node has sealed is accepted without its anchors, so the answer must not promise to protect it."""
    server = own_cluster(AT_ONCE)
    original = server.createdb()
    original.run("CREATE EXTENSION pgseal")
    history(original)
    original.run("INSERT INTO h VALUES (1, 'x')")
    settle(original)
    original.close()
    other = server.createdb(template=original.name)
    server.configure({"pgseal.chain_name": "elsewhere"}, restart=True)
    other.run("INSERT INTO h VALUES (10, 'elsewhere')")
    anchored(other)
    assert place(other, 10).startswith("elsewhere.")
    server.configure({"pgseal.chain_name": "main"}, restart=True)
    bring(other, original, "h", "id = 10")
    anchored(original)
    answer = dict(original.rows("SELECT node, basis FROM seal.verify_history()"))
    assert set(answer) == {"main", "elsewhere"}
    tampered = original.rows("SELECT DISTINCT verdict FROM seal.verify_history()") == [("tampered",)]
    assert tampered or "tail not protected here" in answer["elsewhere"]


def test_the_copy_under_the_name_of_the_original(db: Database, twin: Database) -> None:
    """It is intact in itself; that it is another database only shows in what it does not have."""
    db.run("LISTEN pgseal_anchor")
    db.run("INSERT INTO h VALUES (40, 'x')")
    (heard,) = db.connection.notifies(timeout=10, stop_after=1)
    name = db.name
    db.drop()
    twin.close()
    db.cluster.psql(f"ALTER DATABASE {twin.name} RENAME TO {name}")
    twin.name = name
    assert twin.rows(FOUND) == []
    contained, detail = twin.rows("SELECT contained, detail FROM seal.check_witness(%s)", [heard.payload])[0]
    assert contained is False and " this database has " in detail and detail.endswith(" at most")
