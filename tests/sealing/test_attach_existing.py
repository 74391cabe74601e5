"""Rows that were there before: sealed by attach in every kind of transaction; attaching again starts anew."""

from __future__ import annotations

import psycopg
import pytest

from support.database import Database
from support.sealing import (
    DROP_SEAL_COLUMNS,
    SEAL_COLUMNS,
    assert_whole,
    attach,
    background,
    chains,
    findings,
    history,
    ids,
    partitioned,
    run,
    wait_until_queued,
)
from support.tampering import triggers_off

SEAL = "seal.attach('h', existing => 'seal')"
UPDATE_TRIGGERS = """
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.p := 'touched'; RETURN NEW; END $$;
    CREATE TRIGGER a BEFORE UPDATE ON h FOR EACH ROW EXECUTE FUNCTION touch();
    CREATE TRIGGER zzzz BEFORE UPDATE ON h FOR EACH ROW EXECUTE FUNCTION touch()"""
AGAIN = ["SELECT seal.detach('h')", DROP_SEAL_COLUMNS.format("h")]


@pytest.fixture
def rows(db: Database) -> None:
    db.run("CREATE TABLE h (id int PRIMARY KEY, p text); INSERT INTO h SELECT g, 'x' FROM generate_series(1, 100) g")


def seal_columns(db: Database) -> int:
    return int(
        db.value(
            "SELECT count(*) FROM pg_attribute WHERE attrelid = 'h'::regclass AND attname = ANY (%s)",
            [list(SEAL_COLUMNS)],
        )
    )


@pytest.mark.usefixtures("rows")
class TestBaseline:
    @pytest.mark.parametrize(
        "statement",
        [
            f"SELECT {SEAL}",
            f"DO $$ BEGIN PERFORM {SEAL}; END $$",
            f"DO $$ BEGIN BEGIN PERFORM {SEAL}; EXCEPTION WHEN division_by_zero THEN NULL; END; END $$",
            f"""DO $$ BEGIN
                    BEGIN PERFORM {SEAL}; RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END;
                    PERFORM {SEAL};
                END $$""",
        ],
        ids=["autocommit", "do", "exception block", "second attempt"],
    )
    def test_all_rows_become_one_whole_chain(self, db: Database, statement: str) -> None:
        db.run(statement)
        assert chains(db) == [list(range(1, 101))]
        assert_whole(db, entries=100)
        db.run("INSERT INTO h VALUES (101, 'x')")
        assert chains(db) == [list(range(1, 102))]
        assert_whole(db, entries=101)

    @pytest.mark.parametrize(
        "statement",
        [
            f"DO $$ BEGIN PERFORM {SEAL}; RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END $$",
            f"BEGIN; SELECT {SEAL}; ROLLBACK",
            f"BEGIN; SAVEPOINT a; SELECT {SEAL}; INSERT INTO h VALUES (0, 'x'); ROLLBACK TO a; COMMIT",
        ],
        ids=["exception block", "transaction", "savepoint"],
    )
    def test_rolled_back_it_never_happened(self, db: Database, statement: str) -> None:
        db.run(statement)
        assert seal_columns(db) == 0
        assert db.value("SELECT count(*) FROM seal.history") == 0
        run(db.connection, "UPDATE h SET p = 'y'", "DELETE FROM h WHERE id = 1", f"SELECT {SEAL}")
        assert_whole(db, entries=99)
        db.run("INSERT INTO h VALUES (1, 'x')")
        assert_whole(db, entries=100)

    def test_in_one_transaction_with_rows_before_and_after(self, db: Database) -> None:
        run(
            db.connection,
            "BEGIN",
            "INSERT INTO h VALUES (101, 'x')",
            f"SELECT {SEAL}",
            "INSERT INTO h VALUES (102, 'x'), (1, 'x') ON CONFLICT DO NOTHING",
            "SAVEPOINT a",
            "INSERT INTO h VALUES (103, 'x')",
            "ROLLBACK TO a",
            "COMMIT",
        )
        assert chains(db) == [list(range(1, 103))]
        assert_whole(db, entries=102)

    def test_the_replication_role_is_the_callers_again(self, db: Database) -> None:
        run(db.connection, "BEGIN", f"SELECT {SEAL}")
        assert db.value("SHOW session_replication_role") == "origin"
        db.run("COMMIT")

    def test_ordinary_update_triggers_see_nothing_of_it(self, db: Database) -> None:
        db.run(UPDATE_TRIGGERS)
        db.run(f"SELECT {SEAL}")
        assert db.value("SELECT count(*) FROM h WHERE p = 'x'") == 100
        assert_whole(db, entries=100)

    @pytest.mark.parametrize("mode", ["ALWAYS", "REPLICA"])
    @pytest.mark.parametrize("trigger", ["a", "zzzz"])
    def test_one_that_would_take_part_is_refused_or_left_out(self, db: Database, mode: str, trigger: str) -> None:
        db.run(UPDATE_TRIGGERS)
        db.run(f"ALTER TABLE h ENABLE {mode} TRIGGER {trigger}")
        try:
            db.run(f"SELECT {SEAL}")
        except psycopg.Error as refusal:
            assert refusal.sqlstate == "55000"
            assert trigger in (refusal.diag.message_primary or "") and refusal.diag.message_hint
            assert seal_columns(db) == 0
        else:
            assert_whole(db, entries=100)
        assert db.value("SELECT count(*) FROM h WHERE p = 'x'") == 100


def test_partitions_and_their_sub_partitions(db: Database) -> None:
    db.run("""CREATE TABLE h (id int, k int) PARTITION BY LIST (k);
              CREATE TABLE h0 PARTITION OF h FOR VALUES IN (0) PARTITION BY RANGE (id);
              CREATE TABLE h0a PARTITION OF h0 FOR VALUES FROM (0) TO (50);
              CREATE TABLE h0b PARTITION OF h0 FOR VALUES FROM (50) TO (100);
              CREATE TABLE h1 (extra text, k int, id int);
              ALTER TABLE h1 DROP COLUMN extra;
              ALTER TABLE h ATTACH PARTITION h1 FOR VALUES IN (1);
              INSERT INTO h SELECT g, g % 2 FROM generate_series(0, 99) g""")
    db.run(f"SELECT {SEAL}")
    assert_whole(db, entries=100)
    db.run("INSERT INTO h SELECT g, g % 2 FROM generate_series(0, 99) g")
    assert_whole(db, entries=200)


class TestAgain:
    """Detached and attached again, a table is another history, and its chains begin at 1."""

    @pytest.mark.parametrize("before", [[], ["INSERT INTO h VALUES (0, 'x')"]])
    @pytest.mark.parametrize("together", [False, True])
    def test_with_its_rows(self, db: Database, before: list[str], together: bool) -> None:
        history(db)
        db.run("INSERT INTO h VALUES (1, 'x'), (2, 'x'), (3, 'x')")
        steps = [*before, *AGAIN, f"SELECT {SEAL}"]
        run(db.connection, *(["BEGIN", *steps, "COMMIT"] if together else steps))
        assert_whole(db, entries=3 + len(before))
        db.run("INSERT INTO h VALUES (4, 'x')")
        assert_whole(db, entries=4 + len(before))

    @pytest.mark.parametrize("goes_on", [False, True])
    def test_while_another_session_owned_a_chain_of_the_old_history(self, db: Database, goes_on: bool) -> None:
        history(db)
        db.run("INSERT INTO h VALUES (1, 'x'), (2, 'x'), (3, 'x')")
        other = db.connect()
        run(other, "BEGIN", "SAVEPOINT s", "INSERT INTO h VALUES (4, 'x')", "ROLLBACK TO s")
        run(db.connection, *AGAIN, "TRUNCATE h")
        attach(db)
        db.run("INSERT INTO h VALUES (1, 'x')")
        run(other, *(["INSERT INTO h VALUES (5, 'x')"] if goes_on else []), "COMMIT")
        run(db.connect(), "INSERT INTO h VALUES (6, 'x')")
        assert_whole(db, entries=2 + goes_on)

    def test_with_one_chain_where_there_were_more(self, db: Database) -> None:
        history(db)
        one, other = db.connect(), db.connect()
        run(one, "BEGIN", "INSERT INTO h VALUES (1, 'x')")
        run(other, "INSERT INTO h VALUES (2, 'x')")
        run(one, "COMMIT")
        run(db.connection, *AGAIN, "TRUNCATE h")
        attach(db, options="max_chains => 1")
        run(other, "BEGIN", "INSERT INTO h VALUES (1, 'x')")
        with background() as start:
            waiting = start(one, "INSERT INTO h VALUES (2, 'x')")
            wait_until_queued(db, one)
            run(other, "COMMIT")
            waiting.result()
        assert chains(db) == [[1, 2]]
        assert ids(db) == [1, 2]

    def test_a_rolled_back_detach_forgets_nothing(self, db: Database) -> None:
        """The server's memory still protects the newest entry."""
        history(db)
        db.run("INSERT INTO h VALUES (1, 'x'), (2, 'x'), (3, 'x')")
        run(db.connection, "BEGIN", "SAVEPOINT s", "SELECT seal.detach('h')", "ROLLBACK TO s", "COMMIT")
        assert_whole(db, entries=3)
        with triggers_off(db.connection, "h"):
            db.run("DELETE FROM h WHERE id = 3")
        assert [kind for kind, *_ in findings(db)] == ["truncated"]

    def test_detach_after_rows_that_on_conflict_may_have_skipped(self, db: Database) -> None:
        history(db)
        run(
            db.connection,
            "BEGIN",
            "INSERT INTO h VALUES (1, 'x'), (1, 'x') ON CONFLICT DO NOTHING",
            *AGAIN,
            "COMMIT",
        )
        assert db.rows("SELECT * FROM h") == [(1, "x")]


def test_a_partitioned_history_attached_again(db: Database) -> None:
    partitioned(db)
    db.run("INSERT INTO h SELECT g, g % 2, 'x' FROM generate_series(1, 10) g")
    run(db.connection, *AGAIN, f"SELECT {SEAL}", "INSERT INTO h VALUES (11, 1, 'x')")
    assert_whole(db, entries=11)
