"""Who may make a report, when, of what; and what the page of one tenant keeps to itself."""

from __future__ import annotations

import pytest

from support.database import Database
from support.refusal import BAD_PARAMETER, NOT_PERMITTED, refusal
from support.reporting import ask, checked, headline, report, section, whole
from support.roles import Roles
from support.windows import damage

SECRET = ["'other'", "other-", "bob", "case 12"]


@pytest.mark.parametrize("role", ["pgseal_auditor", "pgseal_operator", "pgseal_admin"])
def test_the_roles_make_and_check_reports_without_a_right_on_the_table(
    sealed: Database, roles: Roles, role: str
) -> None:
    session = roles.session("reader", member_of=role)
    name = session.info.user
    text = report(session)
    assert headline(text) == "INTACT" and f" by {name}; took" in section(text, "Made")[0]
    assert checked(session, text)["contained"] is True
    assert headline(report(session, previous=text, since="2020-01-01")) == "INTACT"
    assert whole(session)["verdict"] == "intact"
    assert refusal(session, "SELECT FROM h").state == NOT_PERMITTED
    assert session.execute("SELECT current_user").fetchall() == [(name,)]


def test_with_whose_rights_it_was_made(sealed: Database) -> None:
    with sealed.connect() as session:
        session.execute("SET ROLE pgseal_auditor")
        assert " by postgres with the rights of pgseal_auditor; took " in section(report(session), "Made")[0]
        made = whole(session)["made"]
        assert (made["by"], made["role"]) == ("postgres", "pgseal_auditor")


def test_nobody_else(sealed: Database, roles: Roles) -> None:
    session = roles.session("stranger")
    for question in ["seal.report()", "seal.check_report('x')"]:
        assert refusal(session, f"SELECT * FROM {question}").state == NOT_PERMITTED


def test_a_format_that_there_is_not(sealed: Database) -> None:
    for name in ["pdf", "TEXT", ""]:
        said = refusal(sealed, "SELECT seal.report(format => %s)", [name])
        assert (said.state, said.message) == (BAD_PARAMETER, f'there is no report in the format "{name}"')
        assert said.hint == "Use format => 'text' or format => 'json'."


@pytest.mark.parametrize(
    "period",
    ["since => '2026-01-02', until => '2026-01-01'", "since => '2026-01-01', until => '2026-01-01'",
     "since => 'infinity'", "until => '-infinity'"],
)  # fmt: skip
def test_a_period_that_ends_before_it_begins(sealed: Database, period: str) -> None:
    said = refusal(sealed, f"SELECT seal.report({period})")
    assert (said.state, said.message) == (BAD_PARAMETER, "the period of a report ends before it begins")


def test_a_table_that_is_no_history(sealed: Database) -> None:
    sealed.run("CREATE TABLE plain (n int)")
    assert refusal(sealed, "SELECT seal.report(history => 'plain')").message.endswith("is not attached to pgseal")


def test_not_of_what_may_still_be_rolled_back(sealed: Database) -> None:
    with sealed.connect(autocommit=False) as session:
        assert headline(report(session)) == "INTACT"
        session.execute("INSERT INTO h VALUES (100, 'acme', 'x')")
        said = refusal(session, "SELECT seal.report()")
        assert (said.state, "COMMIT first" in said.hint) == ("25001", True)
        session.rollback()
        session.execute("SAVEPOINT a")
        session.execute("SELECT seal.hold('h', 'acme', 'case 1')")
        session.execute("INSERT INTO h VALUES (100, 'acme', 'x')")
        assert refusal(session, "SELECT seal.report()").state == "25001"
    assert headline(report(sealed)) == "INTACT"


def test_it_can_be_kept_in_a_table(sealed: Database) -> None:
    sealed.run("CREATE TABLE kept (at timestamptz DEFAULT now(), report text)")
    sealed.run("INSERT INTO kept (report) SELECT seal.report()")
    assert checked(sealed, sealed.value("SELECT report FROM kept"))["authentic"] is True


def test_it_assigns_no_transaction_id(sealed: Database) -> None:
    with sealed.connect(autocommit=False) as session:
        session.execute("SET TRANSACTION READ ONLY")
        made = report(session)
        assert headline(report(session, previous=made)) == "INTACT" and checked(session, made)["contained"] is True
        assert session.execute("SELECT pg_current_xact_id_if_assigned() IS NULL").fetchall() == [(True,)]


@pytest.mark.parametrize("kind", ["text", "json"])
def test_the_page_of_one_tenant_says_nothing_of_others(db: Database, kind: str) -> None:
    db.run("CREATE TABLE h (id text PRIMARY KEY, tenant text, note text); SELECT seal.attach('h', 'tenant')")
    db.run("INSERT INTO h SELECT t || '-' || i, t, 'x' FROM unnest('{acme,other}'::text[]) t, generate_series(1, 4) i")
    db.run("SELECT seal.hold('h', 'other', 'bob is sued, case 12'); SELECT seal.hold('h', 'acme', 'ours')")
    db.run("SELECT seal.hold('h', NULL, 'the whole audit'); SELECT seal.release('h', 'other', 'bob again')")
    db.run("SELECT seal.hold('h', 'other', 'bob is sued, case 12')")
    damage(db, "UPDATE h SET note = 'y' WHERE id IN ('acme-2', 'other-2')", "DELETE FROM h WHERE id = 'other-3'")
    db.run("SELECT seal.acknowledge('bob said so', 'h', kind => 'missing')")
    page = ask(db, format=kind, tenant="acme")
    assert [word for word in SECRET if word in page] == []
    assert "acme-2" in page and "ours" in page and "the whole audit" in page
    everything = ask(db, format=kind)
    assert [word for word in SECRET if word not in everything] == []


def test_what_the_page_of_one_tenant_says_instead(sealed: Database) -> None:
    sealed.run("SELECT seal.hold('h', 'other', 'bob is sued'); SELECT seal.release('h', 'other', 'bob is free')")
    sealed.run("SELECT seal.hold('h', 'other', 'bob again'); SELECT seal.accept_clock('bob moved it')")
    text = report(sealed, tenant="acme")
    assert section(text, "Holds") == ["1 hold of another tenant"]
    assert [line.split(": ", 1)[1] for line in section(text, "Changes")[3:]] == [
        "entries of another tenant of public.h were put on hold",
        "entries of another tenant of public.h were released from their hold",
        "entries of another tenant of public.h were put on hold",
        "what the clock had done was accepted",
    ]
