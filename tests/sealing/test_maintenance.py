"""Maintenance while writers write and auditors verify: rewritten tables, new indexes, leaves that come and go."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.crowd import Crowd
from support.database import Database
from support.sealing import Session, assert_whole, chains, findings, history, ids, partitioned, run

MAINTENANCE = {
    "vacuum full": "VACUUM FULL h",
    "cluster": "CLUSTER h USING h_pkey",
    "reindex": "REINDEX TABLE h",
    "reindex concurrently": "REINDEX TABLE CONCURRENTLY h",
    "new column": "ALTER TABLE h ADD COLUMN c{n} int DEFAULT {n}",
    "analyze and vacuum": "VACUUM ANALYZE h",
}


@pytest.mark.parametrize("what", MAINTENANCE)
def test_beside_writers_and_a_verification(db: Database, what: str) -> None:
    history(db)
    db.run("INSERT INTO h SELECT -g, repeat('x', 500) FROM generate_series(1, 3000) g")
    worker, auditor = db.connect(), db.connect()
    run(worker, "SET lock_timeout = '10s'")
    turn = itertools.count()

    def verify(session: Session) -> list[object]:
        return list(session.execute("SELECT kind, position, detail FROM seal.findings()").fetchall())

    def beside() -> None:
        # A snapshot from before; REINDEX CONCURRENTLY would wait for the end of its transaction.
        old = "concurrently" not in what
        if old:
            run(auditor, "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM pg_class")
        with ThreadPoolExecutor(1) as pool:
            found = pool.submit(verify, db.connection)
            run(worker, MAINTENANCE[what].format(n=next(turn)))
            assert found.result() == []
        assert verify(auditor) == []
        if old:
            run(auditor, "COMMIT")

    committed = Crowd(db, 6, "READ COMMITTED", 0.6).write(beside)
    assert next(turn) >= 1
    assert_whole(db, entries=3000 + len(committed))


def test_leaves_that_come_and_go(db: Database) -> None:
    partitioned(db, "q", leaves=1)
    writer, auditor = db.connect(), db.connect()
    for k in range(1, 6):
        run(auditor, "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM pg_class")
        run(
            db.connection,
            "BEGIN",
            f"CREATE TABLE q{k} PARTITION OF q FOR VALUES IN ({k})",
            f"INSERT INTO q VALUES (1, {k}, 'x'), (1, 0, 'x'), (1, {k}, 'x') ON CONFLICT DO NOTHING",
            "SAVEPOINT s",
            "CREATE TABLE q9 (p text, k int NOT NULL, id int NOT NULL)",
        )
        run(db.connection, "ROLLBACK TO s", "COMMIT")
        run(writer, f"INSERT INTO q VALUES (2, {k}, 'x'), (2, 0, 'x') ON CONFLICT DO NOTHING")
        run(db.connection, f"CREATE TABLE e{k} PARTITION OF q FOR VALUES IN (1{k})")
        run(db.connection, f"ALTER TABLE q DETACH PARTITION e{k}")
        assert findings(db, "q") == []
        assert auditor.execute("SELECT kind, detail FROM seal.findings(history => 'q')").fetchall() == []
        run(auditor, "COMMIT")
        run(db.connection, f"INSERT INTO e{k} (id, k) VALUES (1, 1{k})", f"TRUNCATE e{k}")  # an ordinary table now
    assert_whole(db, "q", entries=5 * 2 + 2)


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK TO s", "ROLLBACK"])
def test_a_new_epoch_inside_a_transaction(db: Database, end: str) -> None:
    history(db, options="max_chains => 1")
    other = db.connect()
    run(other, "INSERT INTO h VALUES (1, 'x')")
    run(db.connection, "BEGIN", "INSERT INTO h VALUES (2, 'x')", "SAVEPOINT s", "ALTER TABLE h ADD COLUMN extra int")
    run(db.connection, "INSERT INTO h (id, p, extra) VALUES (3, 'x', 3), (1, 'x', 3) ON CONFLICT DO NOTHING")
    run(db.connection, end)
    if end == "ROLLBACK TO s":
        run(db.connection, "INSERT INTO h VALUES (4, 'x')", "COMMIT")
    run(other, "INSERT INTO h VALUES (5, 'x')")
    assert ids(db) == {"COMMIT": [1, 2, 3, 5], "ROLLBACK TO s": [1, 2, 4, 5], "ROLLBACK": [1, 5]}[end]
    assert len(chains(db)) == 1
    epochs = db.value("SELECT count(DISTINCT seal_epoch) FROM h")
    assert epochs == (2 if end == "COMMIT" else 1)
    assert_whole(db)
