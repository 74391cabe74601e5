"""A row that pgseal did not write stands at the next position: an error or another chain, never a vanished INSERT."""

from __future__ import annotations

import pytest

from support.database import Database
from support.sealing import (
    background,
    chains,
    findings,
    history,
    partitioned,
    refused,
    run,
    wait_for,
    wait_until_queued,
)

FORGED = """INSERT INTO {table} ({columns}seal_chain, seal_seq, seal_epoch, seal_anchor, seal_at, seal_prev, seal_mac)
            SELECT {values}seal_chain, {position}, seal_epoch, seal_anchor, seal_at, seal_mac, sha256('forged')
              FROM {source} WHERE seal_seq = 3"""
NOTHING = "ON CONFLICT DO NOTHING"


def forge(db: Database, position: int = 4, table: str = "h", columns: str = "id, ", values: str = "666, ") -> None:
    """Stands a row above the newest one (3), as a superuser whose session fires no ordinary triggers."""
    statement = FORGED.format(
        table=table, source=table.rstrip("0123456789"), columns=columns, values=values, position=position
    )
    session = db.connect(options="-c session_replication_role=replica")
    run(session, statement)
    session.close()


@pytest.fixture(autouse=True)
def table(db: Database) -> None:
    history(db, options="max_chains => 1")
    db.run("INSERT INTO h SELECT g, 'x' FROM generate_series(1, 3) g")


def stored(db: Database, table: str = "h") -> list[int]:
    return [number for (number,) in db.rows(f"SELECT id FROM {table} WHERE id <> 666 ORDER BY id")]


def test_an_insert_fails_and_the_next_one_goes_on_in_another_chain(db: Database) -> None:
    forge(db)
    with refused("23505", 'unique constraint "h_seal_chain_seal_seq_idx"'):
        db.run("INSERT INTO h VALUES (4, 'x')")
    db.run("INSERT INTO h VALUES (4, 'x')")
    db.run("INSERT INTO h VALUES (5, 'x')")
    assert stored(db) == [1, 2, 3, 4, 5]
    assert sorted(chains(db)) == [[1, 2], [1, 2, 3, 4]]
    assert findings(db) == [("forged", 4, None)]


def test_an_error_that_a_savepoint_caught_is_remembered_beyond_the_commit(db: Database) -> None:
    forge(db)
    session = db.connect(autocommit=False)
    session.execute("SAVEPOINT s")
    with refused("23505", 'unique constraint "h_seal_chain_seal_seq_idx"'):
        session.execute("INSERT INTO h VALUES (4, 'x')")
    session.execute("ROLLBACK TO s")
    session.commit()
    session.close()
    db.run("INSERT INTO h VALUES (4, 'x')")
    assert stored(db) == [1, 2, 3, 4]
    assert findings(db) == [("forged", 4, None)]


@pytest.mark.parametrize("rows", ["(4, 'x')", "(4, 'x'), (5, 'x')", "(4, 'x'), (1, 'x')"])
@pytest.mark.parametrize(
    "clause", [NOTHING, "ON CONFLICT (id) DO NOTHING", "ON CONFLICT (id) DO UPDATE SET p = 'y' WHERE false"]
)
def test_on_conflict_does_not_take_it_for_a_conflict(db: Database, rows: str, clause: str) -> None:
    forge(db)
    statement = f"INSERT INTO h VALUES {rows} {clause}"
    if clause == NOTHING:
        expected = refused("XX001", "a foreign row stands at position 4 of chain", "Run: SELECT * FROM seal.findings()")
    else:
        expected = refused("23505", 'unique constraint "h_seal_chain_seal_seq_idx"')
    with expected:
        db.run(statement)
    assert stored(db) == [1, 2, 3]
    inserted = db.connection.execute(statement.encode())
    assert inserted.rowcount == 1 + ("5" in rows)
    assert stored(db)[3:] == ([4, 5] if "5" in rows else [4])
    assert findings(db) == [("forged", 4, None)]


@pytest.mark.parametrize(
    "end",
    [
        ["COMMIT"],
        ["PREPARE TRANSACTION 'p'"],
        ["RELEASE s", "COMMIT"],
        ["SAVEPOINT t", "RELEASE t", "COMMIT"],
        ["INSERT INTO h VALUES (5, 'x')"],
        ["SAVEPOINT t", "INSERT INTO h VALUES (5, 'x')"],
    ],
    ids=str,
)
def test_on_conflict_in_a_transaction_fails_at_the_next_look(db: Database, end: list[str]) -> None:
    """Before the next position is used, and at the end at the latest: never is a row missing after COMMIT."""
    forge(db)
    run(db.connection, "BEGIN", "SAVEPOINT s", f"INSERT INTO h VALUES (4, 'x') {NOTHING}", *end[:-1])
    with refused("XX001", "a foreign row stands at position 4 of chain", "Run: SELECT * FROM seal.findings()"):
        db.run(end[-1])
    db.run("ROLLBACK")
    db.run(f"INSERT INTO h VALUES (4, 'x') {NOTHING}")
    assert stored(db) == [1, 2, 3, 4]


def test_a_forger_who_has_not_committed(db: Database) -> None:
    """The writer waits for him as for any rival in a unique index, and then fails."""
    forger = db.connect(autocommit=False, options="-c session_replication_role=replica")
    run(forger, FORGED.format(table="h", source="h", columns="id, ", values="666, ", position=4))
    writer = db.connect()
    with background() as start:
        waiting = start(writer, f"INSERT INTO h VALUES (4, 'x') {NOTHING}")
        pid = writer.info.backend_pid
        wait_for(db, "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s", [pid])
        forger.commit()
        with refused("XX001", "a foreign row stands at position 4 of chain"):
            waiting.result()
    run(writer, f"INSERT INTO h VALUES (4, 'x') {NOTHING}")
    assert stored(db) == [1, 2, 3, 4]
    assert findings(db) == [("forged", 4, None)]


def test_a_rival_who_waited_for_the_chain_does_not_lose_his_row(db: Database) -> None:
    owner, rival = db.connect(), db.connect()
    run(owner, "BEGIN", "INSERT INTO h VALUES (4, 'x')")
    forge(db, position=5)
    with background() as start:
        waiting = start(rival, "INSERT INTO h VALUES (5, 'x')")
        wait_until_queued(db, rival)
        run(owner, "COMMIT")
        with refused("23505", "h_seal_chain_seal_seq_idx"):
            waiting.result()
    run(rival, "INSERT INTO h VALUES (5, 'x')")
    assert stored(db) == [1, 2, 3, 4, 5]
    assert findings(db) == [("forged", 5, None)]


def test_in_another_leaf_where_no_index_shows_it(db: Database) -> None:
    partitioned(db, "q", options="max_chains => 1")
    db.run("INSERT INTO q SELECT g, 0, 'x' FROM generate_series(1, 3) g")
    forge(db, table="q", columns="id, k, ", values="666, 1, ")
    db.run(f"INSERT INTO q VALUES (4, 0, 'x'), (1, 0, 'x') {NOTHING}")
    db.run("INSERT INTO q VALUES (5, 0, 'x')")
    assert stored(db, "q") == [1, 2, 3, 4, 5]
    assert findings(db, "q") == [("forged", 4, None)]
