"""Entries are queued in the transaction: what is rolled back leaves nothing, the rest is written in its order."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from support.cluster import Cluster
from support.database import Database
from support.journaling import Entry, entries, journal_is_whole, top
from support.refusal import refusal
from support.sealing import Session, history, run
from support.tampering import assert_intact


class Acts:
    """What is journaled from now on, in a database that all tests of this file use."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.since = top(db)

    def entries(self) -> list[Entry]:
        return entries(self.db, self.since)

    def attached(self) -> list[str]:
        """Tables in the order in which they were attached."""
        return [str(history).removeprefix("public.") for _, kind, history, _ in self.entries() if kind == "attach"]


@pytest.fixture(scope="module")
def _shared(cluster: Cluster) -> Iterator[Database]:
    with cluster.database() as database:
        yield database


@pytest.fixture
def acts(_shared: Database) -> Iterator[Acts]:
    """Tables a to e to attach; they are detached and dropped after the test."""
    for name in "abcde":
        _shared.run(f"CREATE TABLE {name} (id int PRIMARY KEY)")
    yield Acts(_shared)
    _shared.rows("SELECT seal.detach(relation) FROM seal.history WHERE detached_at IS NULL")
    left = _shared.rows("SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                        " AND relkind = 'r'")  # fmt: skip
    _shared.run(f"DROP TABLE {', '.join(name for (name,) in left)}")
    _shared.run("DROP FUNCTION IF EXISTS late()")
    journal_is_whole(_shared)


@pytest.fixture
def session(acts: Acts) -> Iterator[Session]:
    session = acts.db.connect()
    yield session
    session.close()


def attach(name: str) -> str:
    return f"SELECT seal.attach('{name}')"


def test_rollback_leaves_nothing(acts: Acts, session: Session) -> None:
    run(session, "BEGIN", attach("a"), "ROLLBACK")
    assert acts.entries() == []
    run(session, attach("b"))
    assert acts.attached() == ["b"]
    journal_is_whole(acts.db)


def test_a_failed_transaction_leaves_nothing(acts: Acts, session: Session) -> None:
    run(session, "BEGIN", attach("a"))
    assert refusal(session, "SELECT 1 / 0").state == "22012"
    run(session, "COMMIT")
    assert acts.entries() == []


def test_a_commit_that_fails_leaves_nothing(acts: Acts, session: Session) -> None:
    acts.db.run("CREATE TABLE checked (id int REFERENCES c DEFERRABLE INITIALLY DEFERRED)")
    run(session, "BEGIN", attach("a"), "INSERT INTO checked VALUES (1)")
    assert refusal(session, "COMMIT").state == "23503"
    assert acts.entries() == []
    run(session, attach("b"))
    assert acts.attached() == ["b"]
    journal_is_whole(acts.db)


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        (["SAVEPOINT s", "a", "ROLLBACK TO s", "b"], "b"),
        (["SAVEPOINT s", "a", "RELEASE s", "b"], "ab"),
        (["a", "SAVEPOINT s", "b", "ROLLBACK TO s"], "a"),
        (["a", "SAVEPOINT s", "b", "SAVEPOINT t", "c", "ROLLBACK TO t", "d"], "abd"),
        (["a", "SAVEPOINT s", "b", "SAVEPOINT t", "c", "RELEASE t", "ROLLBACK TO s", "d"], "ad"),
        (["SAVEPOINT s", "a", "SAVEPOINT t", "b", "RELEASE t", "c", "RELEASE s", "d"], "abcd"),
        (["SAVEPOINT s", "SAVEPOINT t", "SAVEPOINT u", "a", "RELEASE t", "ROLLBACK TO s", "b"], "b"),
        (["SAVEPOINT s", "a", "ROLLBACK TO s", "a", "ROLLBACK TO s", "a", "RELEASE s"], "a"),
        (["SAVEPOINT s", "a", "SAVEPOINT s", "b", "ROLLBACK TO s", "RELEASE s", "ROLLBACK TO s", "c"], "c"),
        (["c", "SAVEPOINT s", "b", "RELEASE s", "SAVEPOINT t", "e", "ROLLBACK TO t", "a"], "cba"),
    ],
)
def test_savepoints(acts: Acts, session: Session, steps: list[str], left: str) -> None:
    run(session, "BEGIN", *(attach(step) if len(step) == 1 else step for step in steps))
    assert acts.entries() == []
    run(session, "COMMIT")
    assert acts.attached() == list(left)
    assert acts.db.rows("SELECT relation::text FROM seal.history WHERE detached_at IS NULL ORDER BY 1") == [(name,) for name in sorted(left)]
    journal_is_whole(acts.db)
    for name in left:
        acts.db.run(f"INSERT INTO {name} VALUES (1)")
    assert_intact(acts.db)


def test_exception_blocks(acts: Acts, session: Session) -> None:
    """The inner one fails after the second attach, the outer one catches; a loop does it again and again."""
    run(session, """DO $$ BEGIN
        PERFORM seal.attach('a');
        FOR i IN 1..3 LOOP
            BEGIN
                PERFORM seal.attach('b');
                BEGIN PERFORM seal.attach('c'); EXCEPTION WHEN division_by_zero THEN NULL; END;
                PERFORM 1 / 0;
            EXCEPTION WHEN division_by_zero THEN NULL;
            END;
        END LOOP;
        BEGIN PERFORM seal.attach('d'); EXCEPTION WHEN division_by_zero THEN NULL; END;
    END $$""")  # fmt: skip
    assert acts.attached() == ["a", "d"]
    journal_is_whole(acts.db)


def test_order_within_a_transaction_and_the_same_time(acts: Acts, session: Session) -> None:
    names = ["d", "a", "c", "b"]
    run(session, "BEGIN", *map(attach, names), "SELECT seal.detach('c')", "ALTER TABLE a ADD COLUMN x int", "COMMIT")
    done = [(kind, name) for _, kind, name, _ in acts.entries() if kind in ("attach", "detach")]
    assert done == [*(("attach", f"public.{name}") for name in names), ("detach", "public.c")]
    assert ("postgres", "epoch", "public.a", "epoch 2 of public.a signs id, x with key 1") in acts.entries()
    assert acts.db.rows("SELECT seq FROM seal.journal ORDER BY at, seq") == acts.db.rows(
        "SELECT seq FROM seal.journal ORDER BY seq"
    )
    journal_is_whole(acts.db)


def test_attached_and_detached_in_one_transaction(acts: Acts, session: Session) -> None:
    run(session, "BEGIN", attach("a"), "INSERT INTO a VALUES (1)", "SELECT seal.detach('a')", "COMMIT")
    assert [kind for _, kind, _, _ in acts.entries()] == ["epoch", "attach", "detach"]
    assert acts.db.rows("SELECT verdict, history FROM seal.verify_history()") == [("nothing_sealed", None)]


def test_the_user_of_each_act_counts(acts: Acts) -> None:
    """Also where the session's user changes before the commit."""
    role = f"other_{acts.db.name}"
    acts.db.run(f"CREATE ROLE {role} SUPERUSER")
    try:
        history(acts.db)
        run(acts.db.connection, "BEGIN", "SELECT seal.detach('h')", f"SET LOCAL SESSION AUTHORIZATION {role}")
        run(acts.db.connection, "CREATE TABLE g (id int)", attach("g"), "COMMIT")
        assert [(who, kind) for who, kind, _, _ in acts.entries()[2:]] == [
            ("postgres", "detach"), (role, "epoch"), (role, "attach"),
        ]  # fmt: skip
    finally:
        run(acts.db.connection, "SELECT seal.detach('g')", f"DROP OWNED BY {role}", f"DROP ROLE {role}")


@pytest.mark.parametrize(
    "act",
    [attach("a"), "SELECT seal.detach('h')", "ALTER TABLE h ADD COLUMN x int", "SELECT seal.acknowledge('x', 'h')"],
)
def test_prepare_is_refused(acts: Acts, session: Session, act: str) -> None:
    history(acts.db)
    acts.db.run("INSERT INTO h VALUES (1, 'x')")
    run(acts.db.connection, "SET session_replication_role = replica", "DROP INDEX h_seal_chain_seal_seq_idx",
        "RESET session_replication_role")  # fmt: skip
    before = top(acts.db)
    run(session, "BEGIN", act)
    refused = refusal(session, "PREPARE TRANSACTION 'administered'")
    assert (refused.state, refused.message) == ("0A000", "cannot PREPARE a transaction that administered a history")
    assert refused.hint == "End it with COMMIT."
    assert acts.db.rows("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()") == []
    assert top(acts.db) == before
    assert session.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_prepare_of_what_was_rolled_back_is_not_refused(acts: Acts, session: Session) -> None:
    history(acts.db)
    run(session, "BEGIN", "SAVEPOINT s", attach("a"), "ROLLBACK TO s", "INSERT INTO h VALUES (1, 'x')")
    gid = f"fine_{acts.db.name}"
    run(session, f"PREPARE TRANSACTION '{gid}'", f"COMMIT PREPARED '{gid}'")
    assert acts.attached() == ["h"]
    assert_intact(acts.db)


def test_what_a_refused_prepare_leaves(acts: Acts, session: Session) -> None:
    """The queue is empty for the session's next transaction."""
    run(session, "BEGIN", attach("a"))
    refusal(session, "PREPARE TRANSACTION 'administered'")
    run(session, "BEGIN", "CREATE TABLE other (id int)", "COMMIT", attach("b"))
    assert acts.attached() == ["b"]
    assert acts.db.rows("SELECT relation::text FROM seal.history WHERE detached_at IS NULL") == [("b",)]
    journal_is_whole(acts.db)


def test_no_act_while_the_transaction_commits(acts: Acts, session: Session) -> None:
    """A deferred trigger runs before the journal is written, and may still administer."""
    acts.db.run("CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql"
                " AS $$ BEGIN PERFORM seal.attach('b'); RETURN NULL; END $$")  # fmt: skip
    acts.db.run("CREATE CONSTRAINT TRIGGER late AFTER INSERT ON c DEFERRABLE INITIALLY DEFERRED"
                " FOR EACH ROW EXECUTE FUNCTION late()")  # fmt: skip
    run(session, "BEGIN", attach("a"), "INSERT INTO c VALUES (1)", "COMMIT")
    assert acts.attached() == ["a", "b"]
    journal_is_whole(acts.db)
