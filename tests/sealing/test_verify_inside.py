"""Verification inside a transaction that writes, at every isolation level that allows it."""

from __future__ import annotations

import pytest

from support.database import Database
from support.sealing import assert_whole, history, partitioned, refused, run

HINT = "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE"
ANSWER = "SELECT verdict, entries, findings FROM seal.verify_history(history => 'h')"


@pytest.fixture(autouse=True)
def table(db: Database) -> None:
    history(db)
    db.run("INSERT INTO h SELECT g, 'x' FROM generate_series(1, 10) g")


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
def test_in_a_transaction_that_has_inserted_itself(db: Database, level: str) -> None:
    run(db.connection, f"BEGIN ISOLATION LEVEL {level}", "INSERT INTO h VALUES (11, 'x')")
    assert db.rows(ANSWER) == [("intact", 11, 0)]
    run(db.connection, "SAVEPOINT a", "INSERT INTO h VALUES (12, 'x'), (11, 'x') ON CONFLICT DO NOTHING")
    assert db.rows(ANSWER) == [("intact", 12, 0)]
    run(db.connection, "ROLLBACK TO a")
    assert db.rows(ANSWER) == [("intact", 11, 0)]
    run(db.connection, "INSERT INTO h VALUES (13, 'x')")
    assert db.rows(ANSWER) == [("intact", 12, 0)]
    run(db.connection, "ROLLBACK")
    assert_whole(db, entries=10)


def test_in_a_transaction_beside_a_rival_that_commits_meanwhile(db: Database) -> None:
    rival = db.connect()
    run(db.connection, "BEGIN", "INSERT INTO h VALUES (11, 'x')")
    run(rival, "INSERT INTO h VALUES (12, 'x')", "BEGIN", "INSERT INTO h VALUES (13, 'x')")
    assert db.rows(ANSWER) == [("intact", 12, 0)]
    run(rival, "COMMIT")
    assert db.rows(ANSWER) == [("intact", 13, 0)]
    run(db.connection, "COMMIT")
    assert_whole(db, entries=13)


def test_in_repeatable_read_with_an_old_snapshot(db: Database) -> None:
    old = db.connect()
    run(old, "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM h")
    db.run("INSERT INTO h SELECT g, 'x' FROM generate_series(11, 20) g")
    assert old.execute(ANSWER.encode()).fetchall() == [("intact", 20, 0)]
    run(old, "INSERT INTO h VALUES (21, 'x')")
    assert old.execute(ANSWER.encode()).fetchall() == [("intact", 21, 0)]
    assert old.execute(b"SELECT count(*) FROM h").fetchone() == (11,)
    run(old, "COMMIT")
    assert_whole(db, entries=21)


@pytest.mark.parametrize("clause", ["", "ON CONFLICT DO NOTHING"])
@pytest.mark.parametrize(
    "query",
    [
        "WITH i AS ({insert} RETURNING id) SELECT v.verdict, v.findings FROM seal.verify_history() v, i LIMIT 1",
        "WITH i AS ({insert} RETURNING id) SELECT v.verdict, v.findings FROM i, seal.verify_history() v LIMIT 1",
        "WITH i AS ({insert}) SELECT v.verdict, v.findings FROM seal.verify_history() v",
        "WITH v AS MATERIALIZED (SELECT * FROM seal.verify_history()), i AS ({insert}) SELECT verdict, findings FROM v",
        """{insert} RETURNING (SELECT verdict FROM seal.verify_history() WHERE id > 0),
                              (SELECT count(*) FROM seal.findings())""",
        "{insert} RETURNING CASE WHEN seal.is_intact(CASE WHEN id < 0 THEN 'no' END) THEN 'intact' END, 0",
    ],
)
def test_in_a_cte_or_returning_list_beside_an_insert(db: Database, clause: str, query: str) -> None:
    rows = "VALUES (11, 'x'), (12, 'x'), (13, 'x')" + (", (11, 'x')" if clause else "")
    answers = db.rows(query.format(insert=f"INSERT INTO h {rows} {clause}"))
    assert set(answers) == {("intact", 0)}
    assert_whole(db, entries=13)


def test_in_triggers_of_the_history_itself(db: Database) -> None:
    db.run("""CREATE TABLE seen (intact boolean);
              CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS
                  $$ BEGIN INSERT INTO seen SELECT seal.is_intact(); RETURN NEW; END $$;
              CREATE TRIGGER a BEFORE INSERT ON h FOR EACH ROW EXECUTE FUNCTION look();
              CREATE TRIGGER b AFTER INSERT ON h FOR EACH ROW EXECUTE FUNCTION look();
              CREATE TRIGGER c BEFORE INSERT ON h EXECUTE FUNCTION look();
              CREATE TRIGGER d AFTER INSERT ON h EXECUTE FUNCTION look()""")
    db.run("INSERT INTO h VALUES (11, 'x'), (12, 'x'), (1, 'x') ON CONFLICT DO NOTHING")
    assert db.rows("SELECT intact, count(*) FROM seen GROUP BY 1") == [(True, 7)]
    assert_whole(db, entries=12)


@pytest.mark.parametrize("mode", ["", "READ ONLY", "DEFERRABLE"])
def test_serializable_is_refused(db: Database, mode: str) -> None:
    for query in ("* FROM seal.verify_history()", "* FROM seal.findings()", "seal.is_intact()"):
        db.run(f"BEGIN ISOLATION LEVEL SERIALIZABLE {mode}")
        with refused("25001", "cannot be verified in a SERIALIZABLE transaction", HINT):
            db.run(f"SELECT {query}")
        db.run("ROLLBACK")


def test_serializable_read_only_deferrable_works_and_disturbs_no_writer(db: Database) -> None:
    writer = db.connect()
    run(writer, "BEGIN ISOLATION LEVEL SERIALIZABLE", "SELECT count(*) FROM h WHERE id = 1")
    run(db.connection, "BEGIN ISOLATION LEVEL REPEATABLE READ")
    assert db.rows(ANSWER) == [("intact", 10, 0)]
    run(writer, "INSERT INTO h VALUES (11, 'x')", "COMMIT")
    assert db.rows(ANSWER) == [("intact", 11, 0)]
    run(db.connection, "COMMIT", "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE")
    assert db.rows(ANSWER) == [("intact", 11, 0)]
    assert db.value("SELECT count(*) FROM pg_locks WHERE mode = 'SIReadLock'") == 0
    db.run("COMMIT")


def test_verification_assigns_no_transaction_id_and_runs_read_only(db: Database) -> None:
    db.run("BEGIN READ ONLY")
    assert db.rows(ANSWER) == [("intact", 10, 0)]
    assert db.value("SELECT pg_current_xact_id_if_assigned()") is None
    db.run("COMMIT")


def test_a_prepared_rival_is_not_there_yet(db: Database) -> None:
    partitioned(db, "q")
    run(db.connection, "BEGIN", "INSERT INTO q VALUES (1, 0, 'x'), (2, 1, 'x')", "PREPARE TRANSACTION 'v'")
    try:
        assert db.rows("SELECT verdict, entries FROM seal.verify_history(history => 'q')") == [("nothing_sealed", 0)]
    finally:
        db.run("COMMIT PREPARED 'v'")
    assert_whole(db, "q", entries=2)
