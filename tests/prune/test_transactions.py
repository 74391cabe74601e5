"""verify_and_prune within transactions of every kind: all of it happened, or nothing."""

from __future__ import annotations

import pytest

from support.clock import Clock
from support.database import Database
from support.journaling import journal_is_whole, kinds
from support.pruning import NEW, OLD, aged, assert_whole, prune
from support.refusal import refusal
from support.sealing import background, run, wait_for
from support.windows import add

CALL = "SELECT run, verdict, pruned FROM seal.verify_and_prune('h')"
ALL = OLD + NEW


def test_rolled_back_to_a_savepoint(db: Database, clock: Clock) -> None:
    """What the transaction inserted before stays, of the run nothing does."""
    name = aged(db, clock)
    session = db.connect(autocommit=False)
    run(session, "INSERT INTO h VALUES (9, 'acme', 'before')", "SAVEPOINT s")
    assert session.execute(CALL).fetchall() == [(1, "intact", OLD)]
    run(session, "INSERT INTO h VALUES (10, 'acme', 'within')", "ROLLBACK TO s", "INSERT INTO h VALUES (11, 'acme', 'after')")
    session.commit()
    assert ("cut" in kinds(db), "verify" in kinds(db), db.rows("TABLE seal.verification")) == (False, False, [])
    assert_whole(db, {}, left=ALL + 2)
    assert prune(db)["cuts"] == {name: [1, OLD]}
    assert_whole(db, {name: OLD}, left=NEW + 2)
    journal_is_whole(db)


def test_once_more_after_a_savepoint(db: Database, clock: Clock) -> None:
    """The second run of the transaction does what the first one had done, which was rolled back."""
    name = aged(db, clock)
    session = db.connect(autocommit=False)
    for end in ("ROLLBACK TO s", "RELEASE s"):
        run(session, "SAVEPOINT s")
        ((_, verdict, pruned),) = session.execute(CALL).fetchall()
        assert (verdict, pruned) == ("intact", OLD)
        run(session, end)
    assert session.execute(CALL).fetchall()[0][1:] == ("intact", 0)
    session.commit()
    assert_whole(db, {name: OLD}, left=NEW)
    assert db.rows("SELECT pruned_entries FROM seal.verification ORDER BY run") == [(OLD,), (0,)]


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_isolation_levels(db: Database, clock: Clock, level: str) -> None:
    """In one that reads an older state than it deletes, and in one where reading would make others fail."""
    name = aged(db, clock)
    session = db.connect(autocommit=False)
    run(session, f"SET TRANSACTION ISOLATION LEVEL {level}", "SELECT count(*) FROM h")
    add(db, ALL + 1, ALL + 1)
    if level == "SERIALIZABLE":
        assert refusal(session, CALL).state == "25001"
        session.rollback()
        assert_whole(db, {}, left=ALL + 1)
        return
    assert session.execute(CALL).fetchall() == [(1, "intact", OLD)]
    session.commit()
    assert_whole(db, {name: OLD}, left=NEW + 1)


@pytest.mark.parametrize("mode", ["READ ONLY", "SERIALIZABLE READ ONLY DEFERRABLE"])
def test_read_only(db: Database, clock: Clock, mode: str) -> None:
    aged(db, clock)
    session = db.connect(autocommit=False)
    run(session, f"SET TRANSACTION ISOLATION LEVEL {mode}" if "SERIAL" in mode else f"SET TRANSACTION {mode}")
    assert refusal(session, CALL).state == "25006"
    session.rollback()
    assert_whole(db, {}, left=ALL)


def test_prepared(db: Database, clock: Clock) -> None:
    """Refused, and with it all that the transaction did."""
    name = aged(db, clock)
    session = db.connect()
    run(session, "BEGIN", CALL, "INSERT INTO h VALUES (9, 'acme', 'x')")
    refused = refusal(session, "PREPARE TRANSACTION 'pruned'")
    assert refused.state in ("0A000", "55000") and refused.hint, refused
    run(session, "ROLLBACK")
    assert db.rows("SELECT gid FROM pg_prepared_xacts") == []
    assert_whole(db, {}, left=ALL)
    assert prune(db)["cuts"] == {name: [1, OLD]}


PLPGSQL = "CREATE FUNCTION f() RETURNS bigint LANGUAGE plpgsql AS $$ DECLARE n bigint; BEGIN {} END $$"
SQL = "CREATE FUNCTION f() RETURNS bigint {} LANGUAGE sql AS $$ SELECT pruned FROM seal.verify_and_prune('h') $$"
CALLS = {
    "plpgsql": (PLPGSQL.format("SELECT pruned INTO n FROM seal.verify_and_prune('h'); RETURN n;"), "SELECT f()"),
    "with an exception block": (
        PLPGSQL.format(
            "BEGIN SELECT pruned INTO n FROM seal.verify_and_prune('h'); RETURN n;"
            " EXCEPTION WHEN division_by_zero THEN RETURN -1; END;"
        ),
        "SELECT f()",
    ),
    "sql": (SQL.format("VOLATILE"), "SELECT f()"),
    "called stable": (SQL.format("STABLE"), "SELECT f()"),
    "select list": ("SELECT (seal.verify_and_prune('h')).pruned",),
    "cte": ("WITH gone AS MATERIALIZED (SELECT pruned FROM seal.verify_and_prune('h')) SELECT pruned FROM gone",),
    "do": ("DO $$ BEGIN PERFORM seal.verify_and_prune('h'); END $$", f"SELECT {OLD}"),
}


@pytest.mark.parametrize("way", CALLS)
def test_called_from(db: Database, clock: Clock, way: str) -> None:
    name = aged(db, clock)
    *before, call = CALLS[way]
    for statement in before:
        db.run(statement)
    assert db.value(call) == OLD
    assert_whole(db, {name: OLD}, left=NEW)
    journal_is_whole(db)


@pytest.mark.parametrize("hold", ["", "WITH HOLD "])
def test_in_a_cursor(db: Database, clock: Clock, hold: str) -> None:
    """It prunes when the first row is fetched, or when the cursor is kept beyond the transaction."""
    name = aged(db, clock)
    session = db.connect(autocommit=False)
    run(session, f"DECLARE c CURSOR {hold}FOR SELECT pruned FROM seal.verify_and_prune('h')")
    if hold:
        session.commit()
    assert session.execute("FETCH c").fetchall() == [(OLD,)]
    assert session.execute("FETCH c").fetchall() == []
    run(session, "CLOSE c")
    session.commit()
    assert_whole(db, {name: OLD}, left=NEW)


def test_all_of_it_for_nothing(db: Database, clock: Clock) -> None:
    """Nobody asks for the answer: it may not run, but it never does half."""
    aged(db, clock)
    db.run("SELECT FROM seal.verify_and_prune('h') LIMIT 0")
    assert db.rows("SELECT verdict FROM seal.verify_history()") == [("intact",)]
    done = kinds(db).count("cut")
    assert (kinds(db).count("verify"), db.value("SELECT count(*) FROM h")) == (done, ALL - OLD * done)


@pytest.mark.parametrize("change", ["SELECT seal.hold('h', 'acme', 'case')", "SELECT seal.set_window('h', 24)"])
def test_a_change_that_is_on_its_way(db: Database, clock: Clock, change: str) -> None:
    """A run waits for it, follows it, and says so."""
    aged(db, clock)
    changer, pruner = db.connect(autocommit=False), db.connect()
    run(changer, change)
    with background() as start:
        done = start(pruner, "CREATE TABLE answer AS SELECT * FROM seal.verify_and_prune('h')")
        wait_for(db, "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s", [pruner.info.backend_pid])
        changer.commit()
        done.result(timeout=30)
    assert db.rows("SELECT verdict, pruned, next_step FROM answer") == [
        ("intact", 0, "nothing was pruned: its settings were changed meanwhile; the next run follows them")
    ]
    assert_whole(db, {}, left=ALL)
    assert prune(db)["pruned"] == 0
