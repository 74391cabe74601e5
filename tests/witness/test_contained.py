"""Whatever ordinary life does to a database, what a witness saw stays contained."""

from __future__ import annotations

import pytest

from support.database import Database
from support.sealing import DROP_SEAL_COLUMNS, history, partitioned
from support.servers import Servers
from support.witnessing import AT_ONCE, Sink, anchored, set_command

CHECK = "SELECT contained FROM seal.check_witness(%s)"
VERIFY = "SELECT verdict, findings FROM seal.verify_history(witness => %s)"


def assert_contained(db: Database, *lines: str) -> None:
    for line in lines:
        assert db.rows(CHECK, [line]) == [(True,)], line
        assert set(db.rows(VERIFY, [line])) == {("intact", 0)}, line


ORDINARY = {
    "more entries": ["INSERT INTO h SELECT g, 'y' FROM generate_series(10, 500) g"],
    "VACUUM FULL": ["VACUUM FULL h", "VACUUM FULL seal.anchor", "VACUUM FULL seal.journal"],
    "CLUSTER": ["CLUSTER h USING h_pkey", "REINDEX TABLE h"],
    "rename": ['ALTER TABLE h RENAME TO "an other"', 'CREATE SCHEMA "S"', 'ALTER TABLE "an other" SET SCHEMA "S"'],
    "new column": ["ALTER TABLE h ADD COLUMN c int DEFAULT 7", "INSERT INTO h (id, c) VALUES (10, 1)"],
    "another history": ["CREATE TABLE i (n int)", "SELECT seal.attach('i')", "INSERT INTO i VALUES (1)"],
    "rolled back": ["BEGIN", "INSERT INTO h VALUES (10, 'y')", "ROLLBACK"],
}


@pytest.mark.parametrize("statements", ORDINARY.values(), ids=ORDINARY)
def test_after(witness: Sink, sealed: Database, statements: list[str]) -> None:
    sealed.run("INSERT INTO h VALUES (9, 'y')")
    line = witness.wait_for(sealed)
    for statement in statements:
        sealed.run(statement)
    assert_contained(sealed, line)
    anchored(sealed)
    assert_contained(sealed, line, *witness.lines(sealed.name))


def test_what_it_says(witness: Sink, sealed: Database) -> None:
    sealed.run("INSERT INTO h VALUES (9, 'y')")
    line = witness.wait_for(sealed)
    (answer,) = sealed.records("SELECT * FROM seal.check_witness(%s)", [line])
    (newest,) = sealed.records("SELECT chain, number, at FROM seal.anchor ORDER BY number DESC LIMIT 1")
    assert answer == {
        "contained": True,
        **newest,
        "detail": f"anchor {newest['number']} and the 2 newest entries of that time are there",
        "next_step": "verify what is between them: SELECT * FROM seal.verify_history()",
    }


def test_in_many_chains_and_partitions(witness: Sink, fresh: Database) -> None:
    partitioned(fresh, "p")
    sessions = [fresh.connect(autocommit=False) for _ in range(3)]
    for number, session in enumerate(sessions):
        session.execute("INSERT INTO p VALUES (%s, %s, 'x')", [number, number % 2])
    for session in sessions:
        session.commit()
        session.close()
    line = witness.wait_for(fresh)
    assert fresh.value("SELECT count(DISTINCT seal_chain) FROM p") == 3
    assert_contained(fresh, line)
    assert "the 4 newest entries" in fresh.value("SELECT detail FROM seal.check_witness(%s)", [line])


def test_inside_transactions(witness: Sink, sealed: Database) -> None:
    """Also of an isolation level whose snapshot is older than the anchor."""
    session = sealed.connect(autocommit=False)
    session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    session.execute("SELECT 1")
    sealed.run("INSERT INTO h VALUES (9, 'y')")
    line = witness.wait_for(sealed)
    assert session.execute(CHECK, [line]).fetchall() == [(True,)]
    assert session.execute(VERIFY, [line]).fetchall() == [("intact", 0)]
    session.rollback()
    session.execute("INSERT INTO h VALUES (10, 'y')")
    assert session.execute(CHECK, [line]).fetchall() == [(True,)]
    session.commit()
    session.close()


@pytest.mark.parametrize(
    "since",
    [
        ["DELETE FROM h WHERE id = 3"],
        ["DELETE FROM h", DROP_SEAL_COLUMNS.format("h")],
        [DROP_SEAL_COLUMNS.format("h"), "SELECT seal.attach('h', existing => 'seal')", "INSERT INTO h VALUES (9, 'y')"],
        ["DROP TABLE h"],
    ],
    ids=["deleted", "columns dropped", "attached anew", "dropped"],
)
def test_a_detached_history_is_an_ordinary_table(witness: Sink, sealed: Database, since: list[str]) -> None:
    history(sealed, "other")
    line = witness.wait_for(sealed)
    sealed.run("SELECT seal.detach('h')")
    for statement in since:
        sealed.run(statement)
    assert sealed.rows(CHECK, [line]) == [(True,)]
    assert "tampered" not in {verdict for verdict, _ in sealed.rows(VERIFY, [line])}


def test_after_restart_crash_dump_and_restore(own_cluster: Servers) -> None:
    server = own_cluster({**AT_ONCE, "pgseal.witness_interval": "0s"})
    sink = Sink(server)
    set_command(server, sink.command)
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x')")
    lines = [sink.wait_for(db)]
    for stop in (server.restart, server.crash):
        stop()
        assert_contained(db, *lines)
        db.run(f"INSERT INTO h VALUES ({10 + len(lines)}, 'x')")
        lines.append(sink.wait_for(db))
        assert_contained(db, *lines)
    other = server.createdb()
    other.psql(server.run("pg_dump", "-d", db.name).stdout)
    assert_contained(other, *lines)
    other.run("INSERT INTO h VALUES (20, 'x')")
    line = sink.wait_for(other)
    assert_contained(other, line, *lines)
    # The original has never seen what the copy has sealed.
    answer = db.rows("SELECT contained, detail FROM seal.check_witness(%s)", [line])
    chain = other.value("SELECT seal_chain FROM h WHERE id = 20").split("/")[0]
    assert answer == [(False, f"the witness saw anchor 1 of {chain}, of which this database has no anchor")]
