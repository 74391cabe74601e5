"""Who may ask whether a line is contained: auditors, operators, administrators; nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.database import Database
from support.refusal import NOT_PERMITTED, refusal
from support.roles import Roles
from support.witnessing import Sink

CHECK = "SELECT contained FROM seal.check_witness(%s)"
VERIFY = "SELECT verdict FROM seal.verify_history(witness => %s)"


@pytest.fixture
def people(sealed: Database) -> Iterator[Roles]:
    made = Roles(sealed)
    yield made
    made.drop()


@pytest.mark.parametrize("group", ["pgseal_auditor", "pgseal_operator", "pgseal_admin"])
def test_they_may(witness: Sink, sealed: Database, people: Roles, group: str) -> None:
    line = witness.wait_for(sealed)
    session = people.session("somebody", member_of=group)
    assert session.execute(CHECK, [line]).fetchall() == [(True,)]
    assert session.execute(VERIFY, [line]).fetchall() == [("intact",)]
    sealed.run("SET session_replication_role = replica; DELETE FROM seal.anchor; RESET session_replication_role")
    assert session.execute(CHECK, [line]).fetchall() == [(False,)]
    # They need no right on the table, and learn nothing of it but the position.
    assert refusal(session, "SELECT FROM h").state == NOT_PERMITTED


def test_everybody_else_may_not(witness: Sink, sealed: Database, people: Roles) -> None:
    line = witness.wait_for(sealed)
    session = people.session("nobody")
    assert refusal(session, CHECK, [line]).state == NOT_PERMITTED
    assert refusal(session, VERIFY, [line]).state == NOT_PERMITTED
    sealed.run(f"GRANT USAGE ON SCHEMA seal TO {session.info.user}")
    said = refusal(session, CHECK, [line])
    assert (said.state, said.message) == (NOT_PERMITTED, "permission denied for function check_witness")
    assert refusal(session, "SELECT FROM seal.anchor").state == NOT_PERMITTED


def test_nobody_can_have_a_line_made(sealed: Database, people: Roles) -> None:
    """No function of the schema takes an anchor and gives a line."""
    functions = "SELECT proname FROM pg_proc WHERE pronamespace = 'seal'::regnamespace AND prosrc ILIKE '%%witness%%'"
    assert sealed.rows(functions, []) == [("check_witness",)]
