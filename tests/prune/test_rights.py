"""Who may prune, and that nobody else deletes: not before, not after, not beside."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from support.clock import Clock
from support.database import Database
from support.pruning import aged, assert_whole, chain, prune
from support.refusal import refusal
from support.roles import Roles
from support.sealing import append_only

CALLS = [
    "SELECT * FROM seal.verify_and_prune('h')",
    "SELECT * FROM seal.verify_and_prune('h', dry_run => true)",
    "SELECT * FROM seal.verify_and_prune()",
]


@pytest.fixture
def h(db: Database, clock: Clock) -> Database:
    aged(db, clock)
    return db


@pytest.mark.parametrize("group", ["pgseal_operator", "pgseal_admin"])
def test_allowed(h: Database, roles: Roles, group: str) -> None:
    """They need no right on the table itself."""
    session = roles.session("runner", member_of=group)
    (row,) = session.execute("SELECT pruned, verdict FROM seal.verify_and_prune('h')").fetchall()
    assert row == (5, "intact")
    assert h.value("SELECT who FROM seal.verification") == session.info.user
    assert h.rows("SELECT DISTINCT who FROM seal.journal WHERE kind IN ('verify', 'cut')") == [(session.info.user,)]
    assert_whole(h, {chain(h): 5}, left=3)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("group", ["", "pgseal_auditor"])
def test_refused(h: Database, roles: Roles, group: str, call: str) -> None:
    session = roles.session("nobody", member_of=group)
    assert refusal(session, call).state == "42501"
    assert_whole(h, {}, left=8)


@pytest.mark.parametrize("call", CALLS)
def test_refused_to_the_owner(h: Database, roles: Roles, call: str) -> None:
    """Whoever owns a table cannot have its entries deleted."""
    owner = roles.session("owner")
    h.run(f"ALTER TABLE h OWNER TO {owner.info.user}")
    assert refusal(owner, call).state == "42501"
    assert_whole(h, {}, left=8)


@pytest.mark.parametrize(("function", "arguments"), [
    ("verify_and_prune", "'h'"), ("hold", "'h', NULL, 'x'"), ("release", "'h', NULL, 'x'"),
    ("set_window", "'h', NULL"), ("accept_clock", "'x'"),
])  # fmt: skip
def test_a_role_that_may_use_the_schema_only(h: Database, roles: Roles, function: str, arguments: str) -> None:
    session = roles.session("user")
    h.run(f"GRANT USAGE ON SCHEMA seal TO {session.info.user}")
    assert refusal(session, f"SELECT seal.{function}({arguments})").state == "42501"


STATEMENTS = [("DELETE", "DELETE FROM h WHERE id = {}"), ("UPDATE", "UPDATE h SET note = 'x' WHERE id = {}"),
              ("TRUNCATE", "TRUNCATE h")]  # fmt: skip


def refuse_all(session: psycopg.Connection[Any], row: int) -> None:
    for kind, statement in STATEMENTS:
        with append_only(kind):
            session.execute(statement.format(row).encode())


def test_everybody_else_is_still_refused(h: Database, roles: Roles) -> None:
    """Also the session that has just pruned, its owner, and the superuser."""
    operator = roles.session("operator", member_of="pgseal_operator")
    h.run(f"GRANT ALL ON h TO {operator.info.user}")
    refuse_all(operator, 2)
    operator.execute("SELECT * FROM seal.verify_and_prune('h')")
    refuse_all(operator, 6)
    refuse_all(h.connection, 6)
    prune(h)
    refuse_all(h.connection, 6)
    assert_whole(h, {chain(h): 5}, left=3)


@pytest.mark.parametrize(("kind", "statement"), STATEMENTS)
def test_in_the_transaction_that_prunes(h: Database, kind: str, statement: str) -> None:
    session = h.connect(autocommit=False)
    session.execute("SELECT * FROM seal.verify_and_prune('h')")
    with append_only(kind):
        session.execute(statement.format(6).encode())
    session.rollback()
    assert_whole(h, {}, left=8)


def test_after_a_run_that_failed(h: Database) -> None:
    """An error in the midst of deleting leaves no door open."""
    h.run(
        """CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN IF OLD.id = 3 THEN RAISE 'no' USING ERRCODE = 'P0001'; END IF; RETURN OLD; END $$;
           CREATE TRIGGER aaa BEFORE DELETE ON h FOR EACH ROW EXECUTE FUNCTION fail()"""
    )
    session = h.connect()
    assert refusal(session, CALLS[0]).state == "P0001"
    refuse_all(session, 1)
    # The same within one transaction, where a savepoint catches the error.
    with session.transaction():
        with pytest.raises(psycopg.Error, match="no"), session.transaction():
            session.execute(CALLS[0].encode())
        for kind, statement in STATEMENTS:
            with append_only(kind), session.transaction():
                session.execute(statement.format(1).encode())
    assert_whole(h, {}, left=8)


def test_two_runs_never_overlap(h: Database) -> None:
    first = h.connect(autocommit=False)
    first.execute(CALLS[0].encode())
    for call in CALLS:
        refused = refusal(h, call)
        assert refused.state == "55006" and f"pg_terminate_backend({first.info.backend_pid})" in refused.hint
    first.commit()
    assert prune(h)["pruned"] == 0
    assert_whole(h, {chain(h): 5}, left=3)


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE READ WRITE"])
def test_other_isolation_levels(h: Database, level: str) -> None:
    """It prunes, or says that it will not; it never leaves half of it."""
    session = h.connect(autocommit=False)
    session.execute(f"SET TRANSACTION ISOLATION LEVEL {level}".encode())
    session.execute("SELECT 1")
    try:
        session.execute(CALLS[0].encode())
        session.commit()
        assert_whole(h, {chain(h): 5}, left=3)
    except psycopg.Error as error:
        assert error.sqlstate in ("0A000", "55000", "25001") and error.diag.message_hint, str(error)
        session.rollback()
        assert_whole(h, {}, left=8)


def test_read_only(h: Database) -> None:
    session = h.connect()
    session.execute("SET default_transaction_read_only = on")
    assert refusal(session, CALLS[0]).state == "25006"
    assert_whole(h, {}, left=8)
