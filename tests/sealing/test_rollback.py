"""A position is used only by a row that stays: rollbacks, savepoints, EXCEPTION, failed constraints, COPY."""

from __future__ import annotations

import psycopg
import pytest

from support.database import Database
from support.sealing import (
    assert_whole,
    background,
    chains,
    history,
    ids,
    owned,
    refused,
    run,
    wait_until_queued,
)


@pytest.fixture(autouse=True)
def table(db: Database) -> None:
    history(db, columns="id int PRIMARY KEY, p text CHECK (p <> 'bad')", options="max_chains => 1")


def test_a_rolled_back_transaction_uses_no_position(db: Database) -> None:
    db.run("INSERT INTO h VALUES (1, 'x')")
    db.run("BEGIN; INSERT INTO h SELECT g, 'x' FROM generate_series(10, 20) g; ROLLBACK")
    db.run("INSERT INTO h VALUES (2, 'x')")
    assert ids(db) == [1, 2]
    assert_whole(db, entries=2)


def test_nested_savepoints_give_back_what_was_sealed_inside(db: Database) -> None:
    run(
        db.connection,
        "BEGIN",
        "INSERT INTO h VALUES (1, 'x')",
        "SAVEPOINT a",
        "INSERT INTO h VALUES (2, 'x')",
        "SAVEPOINT b",
        "INSERT INTO h VALUES (3, 'x'), (4, 'x')",
        "SAVEPOINT c",
        "INSERT INTO h VALUES (5, 'x')",
        "RELEASE c",
        "ROLLBACK TO b",
        "INSERT INTO h VALUES (6, 'x')",
        "SAVEPOINT d",
        "INSERT INTO h VALUES (7, 'x')",
        "RELEASE d",
        "RELEASE a",
        "INSERT INTO h VALUES (8, 'x')",
        "COMMIT",
    )
    assert ids(db) == [1, 2, 6, 7, 8]
    assert_whole(db, entries=5)


def test_released_savepoints_go_when_an_outer_one_is_rolled_back(db: Database) -> None:
    run(
        db.connection,
        "BEGIN",
        "SAVEPOINT a",
        "SAVEPOINT b",
        "SAVEPOINT c",
        "INSERT INTO h VALUES (1, 'x')",
        "RELEASE c",
        "INSERT INTO h VALUES (2, 'x')",
        "RELEASE b",
        "ROLLBACK TO a",
        "INSERT INTO h VALUES (3, 'x')",
        "ROLLBACK TO a",
        "RELEASE a",
        "INSERT INTO h VALUES (4, 'x')",
        "COMMIT",
    )
    assert ids(db) == [4]
    assert chains(db) == [[1]]
    assert_whole(db)


def test_a_transaction_whose_every_savepoint_was_rolled_back_leaves_the_chain_as_it_was(db: Database) -> None:
    db.run("INSERT INTO h VALUES (1, 'x')")
    run(db.connection, "BEGIN", "SAVEPOINT a", "INSERT INTO h VALUES (2, 'x')", "ROLLBACK TO a", "COMMIT")
    assert_whole(db, entries=1)
    db.run("INSERT INTO h VALUES (3, 'x')")
    assert_whole(db, entries=2)


@pytest.mark.parametrize("again", [False, True])
def test_a_first_entry_in_a_rolled_back_savepoint_keeps_the_chain_from_a_waiting_rival(
    db: Database, again: bool
) -> None:
    first, rival = db.connect(), db.connect()
    run(first, "BEGIN", "SAVEPOINT a", "INSERT INTO h VALUES (1, 'x')")
    with background() as start:
        waiting = start(rival, "INSERT INTO h VALUES (2, 'x')")
        wait_until_queued(db, rival)
        run(first, "ROLLBACK TO a")
        if again:
            run(first, "INSERT INTO h VALUES (3, 'x')")
        assert owned(db) == [0]
        wait_until_queued(db, rival)
        run(first, "COMMIT")
        waiting.result()
    assert ids(db) == ([3, 2] if again else [2])
    assert len(chains(db)) == 1
    assert_whole(db)


def test_plpgsql_exception_blocks(db: Database) -> None:
    db.run("""
        DO $$
        BEGIN
            FOR i IN 1..20 LOOP
                BEGIN
                    INSERT INTO h VALUES (i, 'x');
                    BEGIN
                        INSERT INTO h VALUES (100 + i, 'x');
                        IF i % 2 = 0 THEN RAISE division_by_zero; END IF;
                    EXCEPTION WHEN division_by_zero THEN NULL;
                    END;
                    IF i % 5 = 0 THEN INSERT INTO h VALUES (200 + i, 'bad'); END IF;
                EXCEPTION WHEN check_violation THEN NULL;
                END;
            END LOOP;
        END $$""")
    assert ids(db)[:5] == [1, 101, 2, 3, 103]
    assert_whole(db, entries=16 + 8)


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("INSERT INTO h VALUES (10, 'x'), (11, 'bad')", "23514"),
        ("INSERT INTO h VALUES (10, 'x'), (1, 'x')", "23505"),
        ("INSERT INTO h VALUES (10, 'x'), (NULL, 'x')", "23502"),
        ("INSERT INTO h SELECT g, (1 / (12 - g))::text FROM generate_series(10, 12) g", "22012"),
    ],
)
@pytest.mark.parametrize("inside", ["nothing", "transaction", "savepoint"])
def test_a_statement_that_fails_half_way(db: Database, statement: str, sqlstate: str, inside: str) -> None:
    db.run("INSERT INTO h VALUES (1, 'x')")
    entries = 2
    if inside != "nothing":
        db.run("BEGIN")
        db.run("INSERT INTO h VALUES (2, 'x')")
    if inside == "savepoint":
        db.run("SAVEPOINT a")
    with pytest.raises(psycopg.Error) as caught:
        db.run(statement)
    assert caught.value.sqlstate == sqlstate
    if inside == "savepoint":
        db.run("ROLLBACK TO a")
        db.run("INSERT INTO h VALUES (3, 'x')")
        db.run("COMMIT")
        entries = 4
    elif inside == "transaction":
        db.run("ROLLBACK")
    db.run("INSERT INTO h VALUES (4, 'x')")
    assert chains(db) == [list(range(1, entries + 1))]
    assert_whole(db, entries=entries)


def test_a_check_that_fails_in_the_middle_of_a_copy(db: Database) -> None:
    db.run("INSERT INTO h VALUES (1, 'x')")
    script = "COPY h (id, p) FROM STDIN\n"
    rows = [f"{i}\t{'bad' if i == 1500 else 'x'}" for i in range(2, 2002)]
    with refused("23514", "violates check constraint"), db.connection.cursor() as cursor, cursor.copy(script) as copy:
        copy.write("\n".join(rows) + "\n")
    assert_whole(db, entries=1)
    db.run("BEGIN")
    db.run("SAVEPOINT a")
    with refused("23514", "violates check constraint"), db.connection.cursor() as cursor, cursor.copy(script) as copy:
        copy.write("\n".join(rows) + "\n")
    db.run("ROLLBACK TO a")
    with db.connection.cursor() as cursor, cursor.copy(script) as copy:
        copy.write("2\tx\n3\tx\n")
    db.run("COMMIT")
    assert ids(db) == [1, 2, 3]
    assert_whole(db, entries=3)


def test_a_deferred_constraint_that_fails_at_commit(db: Database) -> None:
    history(db, "d", "id int UNIQUE DEFERRABLE INITIALLY DEFERRED", "max_chains => 1")
    db.run("INSERT INTO d VALUES (1)")
    run(db.connection, "BEGIN", "INSERT INTO d VALUES (2), (1)")
    with refused("23505", "duplicate key value"):
        db.run("COMMIT")
    db.run("INSERT INTO d VALUES (2)")
    assert chains(db, "d") == [[1, 2]]
    assert_whole(db, "d")


def test_a_deferred_trigger_may_still_seal_at_commit(db: Database) -> None:
    db.run("""CREATE TABLE source (id int);
              CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS
                  $$ BEGIN INSERT INTO h VALUES (NEW.id, 'late'); RETURN NULL; END $$;
              CREATE CONSTRAINT TRIGGER t AFTER INSERT ON source DEFERRABLE INITIALLY DEFERRED
                  FOR EACH ROW EXECUTE FUNCTION log()""")
    run(db.connection, "BEGIN", "INSERT INTO source VALUES (2), (3)", "INSERT INTO h VALUES (1, 'x')", "COMMIT")
    assert ids(db) == [1, 2, 3]
    run(db.connection, "BEGIN", "INSERT INTO source VALUES (4)", "ROLLBACK")
    db.run("INSERT INTO source VALUES (5)")
    assert_whole(db, entries=4)


def test_a_transaction_made_read_only_before_its_commit(db: Database) -> None:
    run(
        db.connection,
        "BEGIN",
        "INSERT INTO h VALUES (1, 'x')",
        "INSERT INTO h VALUES (1, 'x') ON CONFLICT DO NOTHING",
        "SET transaction_read_only = on",
        "COMMIT",
    )
    db.run("INSERT INTO h VALUES (2, 'x')")
    assert_whole(db, entries=2)


def test_commit_and_chain(db: Database) -> None:
    run(db.connection, "BEGIN ISOLATION LEVEL REPEATABLE READ")
    for i in range(5):
        run(db.connection, f"INSERT INTO h VALUES ({i}, 'x')", "COMMIT AND CHAIN")
        run(db.connection, f"INSERT INTO h VALUES ({10 + i}, 'x')", "ROLLBACK AND CHAIN")
    run(db.connection, "COMMIT")
    assert ids(db) == [0, 1, 2, 3, 4]
    assert_whole(db, entries=5)


def test_commit_and_rollback_inside_a_procedure(db: Database) -> None:
    db.run("""CREATE PROCEDURE fill() LANGUAGE plpgsql AS $$
              BEGIN
                  FOR i IN 1..10 LOOP
                      INSERT INTO h VALUES (i, 'x');
                      INSERT INTO h VALUES (i, 'x') ON CONFLICT DO NOTHING;
                      IF i % 3 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
                  END LOOP;
                  INSERT INTO h VALUES (11, 'x');
              END $$""")
    db.run("CALL fill()")
    assert ids(db) == [1, 2, 4, 5, 7, 8, 10, 11]
    assert_whole(db, entries=8)
