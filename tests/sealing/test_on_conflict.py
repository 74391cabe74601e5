"""ON CONFLICT: BEFORE triggers fire for rows that are then skipped, and their positions are used by the next row."""

from __future__ import annotations

import pytest

from support.database import Database
from support.sealing import assert_whole, background, chains, history, ids, partitioned, run, wait_for
from support.tampering import unguarded

NOTHING = "ON CONFLICT DO NOTHING"
NOTHING_ON_ID = "ON CONFLICT (id) DO NOTHING"
UPDATE_NONE = "ON CONFLICT (id) DO UPDATE SET p = 'y' WHERE false"
CLAUSES = [NOTHING, NOTHING_ON_ID, UPDATE_NONE]
ENDS = {
    "commit": ["COMMIT"],
    "prepare": ["PREPARE TRANSACTION 'p'", "COMMIT PREPARED 'p'"],
    "release": ["RELEASE s", "COMMIT"],
}


@pytest.fixture(autouse=True)
def table(db: Database) -> None:
    history(db, options="max_chains => 1")
    db.run("INSERT INTO h VALUES (0, 'x')")


ROWS = {
    (1,): [1],
    (0,): [],
    (1, 2, 3): [1, 2, 3],
    (0, 0, 0): [],
    (0, 1): [1],
    (1, 0): [1],
    (1, 0, 2, 0, 0, 3, 0): [1, 2, 3],
}


@pytest.mark.parametrize("clause", CLAUSES)
def test_in_autocommit(db: Database, clause: str) -> None:
    for case, (rows, stored) in enumerate(ROWS.items()):
        history(db, f"t{case}", options="max_chains => 1")
        db.run(f"INSERT INTO t{case} VALUES (0, 'x')")
        values = ", ".join(f"({row}, 'x')" for row in rows)
        inserted = db.connection.execute(f"INSERT INTO t{case} VALUES {values} {clause}".encode())
        assert inserted.rowcount == len(stored)
        db.run(f"INSERT INTO t{case} VALUES (9, 'x')")
        assert ids(db, f"t{case}") == [0, *stored, 9]
        assert_whole(db, f"t{case}", entries=len(stored) + 2)


@pytest.mark.parametrize("clause", CLAUSES)
@pytest.mark.parametrize("end", ENDS)
def test_the_last_row_is_skipped_and_then_the_transaction_or_savepoint_ends(
    db: Database, clause: str, end: str
) -> None:
    savepoint = ["SAVEPOINT s"] if end == "release" else []
    for last, before in ((9, ""), (10, "(1, 'x'), ")):
        statement = f"INSERT INTO h VALUES {before}(0, 'x') {clause}"
        run(db.connection, "BEGIN", *savepoint, statement, *ENDS[end])
        db.run(f"INSERT INTO h VALUES ({last}, 'x')")
        assert_whole(db)
    assert ids(db) == [0, 9, 1, 10]


def test_a_skipped_row_and_a_rolled_back_savepoint(db: Database) -> None:
    run(
        db.connection,
        "BEGIN",
        f"INSERT INTO h VALUES (1, 'x'), (0, 'x') {NOTHING}",
        "SAVEPOINT a",
        f"INSERT INTO h VALUES (0, 'x') {NOTHING}",
        "SAVEPOINT b",
        f"INSERT INTO h VALUES (2, 'x'), (0, 'x') {NOTHING}",
        "ROLLBACK TO a",
        f"INSERT INTO h VALUES (3, 'x'), (0, 'x') {NOTHING}",
        "COMMIT",
    )
    assert ids(db) == [0, 1, 3]
    assert_whole(db)


def test_a_row_that_conflicts_with_one_of_the_same_statement(db: Database) -> None:
    db.run(f"INSERT INTO h VALUES (1, 'a'), (1, 'b'), (2, 'c'), (2, 'd') {NOTHING}")
    assert db.rows("SELECT id, p FROM h ORDER BY seal_seq") == [(0, "x"), (1, "a"), (2, "c")]
    assert_whole(db)


def test_a_row_that_waits_for_a_rival_and_is_then_skipped(db: Database) -> None:
    history(db, "w")
    rival, session = db.connect(), db.connect()
    run(rival, "BEGIN", "INSERT INTO w VALUES (1, 'x')")
    with background() as start:
        waiting = start(session, f"INSERT INTO w VALUES (1, 'y') {NOTHING}")
        pid = session.info.backend_pid
        wait_for(db, "SELECT wait_event = 'transactionid' FROM pg_stat_activity WHERE pid = %s", [pid])
        run(rival, "COMMIT")
        waiting.result()
    run(session, "INSERT INTO w VALUES (2, 'x')")
    assert sorted(chains(db, "w")) == [[1], [1]]
    assert_whole(db, "w", entries=2)


@pytest.mark.parametrize("end", ENDS)
def test_the_row_before_stands_in_another_leaf(db: Database, end: str) -> None:
    partitioned(db, "q", leaves=3, options="max_chains => 1")
    db.run("INSERT INTO q VALUES (0, 0, 'x'), (0, 1, 'x'), (0, 2, 'x')")
    run(db.connection, "BEGIN", *(["SAVEPOINT s"] if end == "release" else []))
    run(
        db.connection,
        f"INSERT INTO q VALUES (1, 0, 'x'), (0, 1, 'x'), (2, 2, 'x'), (0, 0, 'x'), (3, 1, 'x'), (0, 2, 'x') {NOTHING}",
        f"INSERT INTO q VALUES (4, 1, 'x'), (0, 0, 'x') {NOTHING}",
        *ENDS[end],
    )
    db.run("INSERT INTO q VALUES (5, 2, 'x')")
    assert ids(db, "q")[3:] == [1, 2, 3, 4, 5]
    assert len(chains(db, "q")) == 1
    assert_whole(db, "q", entries=8)


WAYS = {
    "cte": [
        f"WITH i AS (INSERT INTO h VALUES (1, 'x'), (0, 'x') {NOTHING} RETURNING id) SELECT * FROM i",
        f"WITH i AS (INSERT INTO h VALUES (2, 'x'), (0, 'x') {NOTHING}) SELECT 1",
    ],
    "two ctes": [
        f"""WITH i AS (INSERT INTO h VALUES (1, 'x'), (0, 'x') {NOTHING}),
                 j AS (INSERT INTO h VALUES (0, 'x') {NOTHING}) INSERT INTO h VALUES (2, 'x')""",
        f"INSERT INTO h SELECT 0, 'x' FROM h {NOTHING}",
    ],
    "a cte that feeds the statement": [
        f"""WITH i AS (INSERT INTO h VALUES (1, 'x'), (0, 'x') {NOTHING} RETURNING id)
            INSERT INTO h SELECT id + n, 'x' FROM i, generate_series(0, 1) n {NOTHING}""",
    ],
    "prepared": [
        f"PREPARE ins (int, int) AS INSERT INTO h VALUES ($1, 'x'), ($2, 'x') {NOTHING}",
        *["EXECUTE ins (0, 0)"] * 6,
        "EXECUTE ins (1, 0)",
        "EXECUTE ins (0, 2)",
        "EXECUTE ins (2, 0)",
    ],
    "sql function": [
        f"""CREATE FUNCTION ins(a int, b int) RETURNS void LANGUAGE sql AS
            $$ INSERT INTO h VALUES (a, 'x'), (b, 'x') {NOTHING} $$""",
        "SELECT ins(g, 0) FROM generate_series(0, 1) g",
        "SELECT ins(2, 0), ins(0, 0)",
    ],
    "plpgsql function": [
        f"""CREATE FUNCTION ins(a int, b int) RETURNS void LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO h VALUES (a, 'x'), (b, 'x') {NOTHING};
                     INSERT INTO h VALUES (b, 'x') {UPDATE_NONE}; END $$""",
        "SELECT ins(g, 0) FROM generate_series(0, 2) g",
    ],
    "for loop over returning": [
        f"""DO $$ DECLARE r record; BEGIN
            FOR r IN INSERT INTO h VALUES (1, 'x'), (0, 'x'), (2, 'x'), (0, 'x') {NOTHING} RETURNING id LOOP
                INSERT INTO h VALUES (0, 'x') {NOTHING};
            END LOOP; END $$"""
    ],
    "explain analyze": [f"EXPLAIN ANALYZE INSERT INTO h VALUES (1, 'x'), (2, 'x'), (0, 'x') {NOTHING}"],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("transaction", [False, True])
def test_in_a_cte_a_prepared_statement_or_a_function(db: Database, way: str, transaction: bool) -> None:
    frame = (["BEGIN"], ["COMMIT"]) if transaction else ([], [])
    run(db.connection, *frame[0], *WAYS[way], *frame[1])
    db.run("INSERT INTO h VALUES (9, 'x')")
    assert sorted(ids(db)) == [0, 1, 2, 9]  # the order within a statement is PostgreSQL's
    assert_whole(db, entries=4)


JSON_CHECK = """CREATE FUNCTION is_json(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
                BEGIN PERFORM t::jsonb; RETURN true; EXCEPTION WHEN others THEN RETURN false; END $$"""


@pytest.mark.parametrize(
    "frame", [([], []), (["BEGIN"], ["COMMIT"]), (["BEGIN", "SAVEPOINT s"], ["RELEASE s", "COMMIT"])]
)
def test_a_check_that_opens_a_subtransaction_between_trigger_and_row(
    db: Database, frame: tuple[list[str], list[str]]
) -> None:
    db.run(JSON_CHECK)
    history(db, "j", "id int PRIMARY KEY, p text CHECK (is_json(p))", "max_chains => 1")
    for first in (1, 3, 5):
        run(
            db.connection,
            *frame[0],
            f"INSERT INTO j VALUES ({first}, '1'), (1, '1'), ({first + 1}, '2') {NOTHING}",
            f"INSERT INTO j VALUES (1, '1') {NOTHING}",
            *frame[1],
        )
    assert ids(db, "j") == [1, 2, 3, 4, 5, 6]
    assert chains(db, "j") == [[1, 2, 3, 4, 5, 6]]
    assert_whole(db, "j")


def test_what_this_transaction_drops_need_not_be_there_at_its_end(db: Database) -> None:
    partitioned(db, "q")
    run(db.connection, "BEGIN", f"INSERT INTO q VALUES (1, 1, 'x') {NOTHING}", unguarded("DROP TABLE q"), "COMMIT")
    run(db.connection, "BEGIN", f"INSERT INTO h VALUES (1, 'x') {NOTHING}", unguarded("DROP TABLE h"), "COMMIT")
    assert db.value("SELECT to_regclass('h')") is None
