"""The auditor: verifies without SELECT on any payload, and sees of other tenants only that something is wrong."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from support.database import Database
from support.refusal import NOT_PERMITTED, refusal
from support.roles import Roles
from support.tampering import unguarded

Session = psycopg.Connection[Any]

SET_UP = """
CREATE TABLE h (id text PRIMARY KEY, tenant text, payload text);
SELECT seal.attach('h', 'tenant');
INSERT INTO h SELECT t || '-' || i, t, 'secret of ' || t || i
                FROM unnest('{acme,other}'::text[]) t, generate_series(1, 3) i;
REVOKE ALL ON h FROM PUBLIC;
"""


@pytest.fixture
def auditor(db: Database, roles: Roles) -> Session:
    db.run(SET_UP)
    return roles.session("auditor", member_of="pgseal_auditor")


def tamper(db: Database) -> None:
    """One entry of each tenant changed, one of `other` removed."""
    db.run(unguarded("""ALTER TABLE h DISABLE TRIGGER ALL;
              UPDATE h SET payload = 'changed' WHERE id IN ('acme-2', 'other-1');
              DELETE FROM h WHERE id = 'other-2';
              ALTER TABLE h ENABLE TRIGGER zzz_pgseal_seal;
              ALTER TABLE h ENABLE ALWAYS TRIGGER zzz_pgseal_guard;
              ALTER TABLE h ENABLE ALWAYS TRIGGER zzz_pgseal_truncate"""))


def test_every_question_is_answered_without_select_on_the_table(auditor: Session) -> None:
    assert refusal(auditor, "SELECT FROM h").state == NOT_PERMITTED
    assert auditor.execute("SELECT verdict, entries FROM seal.verify_history()").fetchall() == [("intact", 6)]
    assert auditor.execute("SELECT verdict, entries FROM seal.verify_history('acme')").fetchall() == [("intact", 3)]
    assert auditor.execute("SELECT seal.is_intact(), seal.is_intact('acme')").fetchall() == [(True, True)]
    assert auditor.execute("SELECT * FROM seal.findings()").fetchall() == []
    assert auditor.execute("SELECT ok, entries FROM seal.status").fetchall() == [(True, 6)]
    assert auditor.execute("SELECT item FROM seal.check_setup() WHERE NOT ok").fetchall() == [("witness",)]
    journal = auditor.execute("SELECT kind, history FROM seal.journal ORDER BY seq").fetchall()
    assert journal == [("epoch", "public.h"), ("attach", "public.h")]
    assert auditor.execute("SELECT count(DISTINCT chain) <= 1 FROM seal.anchor").fetchall() == [(True,)]


def test_by_history_without_any_right_on_its_schema(db: Database, auditor: Session) -> None:
    db.run("CREATE SCHEMA closed; ALTER TABLE h SET SCHEMA closed")
    assert auditor.execute("SELECT history, verdict FROM seal.verify_history()").fetchall() == [("closed.h", "intact")]


def test_of_other_tenants_no_key_and_no_content(db: Database, auditor: Session) -> None:
    tamper(db)
    found = auditor.execute("SELECT * FROM seal.findings('acme')").fetchall()
    shown = repr(found)
    assert "acme-2" in shown
    assert "other-" not in shown and "secret" not in shown and "changed'" not in shown
    assert auditor.execute("SELECT verdict FROM seal.verify_history('acme')").fetchall() == [("tampered",)]
    assert "other-" not in repr(auditor.execute("SELECT * FROM seal.verify_history('acme')").fetchall())


def test_no_payload_even_without_a_filter(db: Database, auditor: Session) -> None:
    tamper(db)
    shown = repr(auditor.execute("SELECT * FROM seal.findings()").fetchall())
    assert "acme-2" in shown and "other-1" in shown
    assert "secret of" not in shown and "'changed'" not in shown


def test_an_unkeyed_row_is_named_by_its_place_only(db: Database, roles: Roles) -> None:
    db.run("CREATE TABLE h (payload text); SELECT seal.attach('h'); INSERT INTO h VALUES ('one'), ('two')")
    db.run(unguarded("""ALTER TABLE h DISABLE TRIGGER ALL; UPDATE h SET payload = 'ONE' WHERE seal_seq = 1;
              ALTER TABLE h ENABLE TRIGGER zzz_pgseal_seal;
              ALTER TABLE h ENABLE ALWAYS TRIGGER zzz_pgseal_guard;
              ALTER TABLE h ENABLE ALWAYS TRIGGER zzz_pgseal_truncate"""))
    auditor = roles.session("auditor", member_of="pgseal_auditor")
    found = auditor.execute("SELECT kind, position, row_key FROM seal.findings()").fetchall()
    assert found == [("modified", 1, {"ctid": db.value("SELECT ctid::text FROM h WHERE seal_seq = 1")})]


@pytest.mark.parametrize("force", [False, True])
def test_row_security_never_makes_entries_missing(db: Database, roles: Roles, force: bool) -> None:
    owner = roles.owner()
    owner.execute("CREATE TABLE h (n int, tenant text); SELECT seal.attach('h', 'tenant')")
    owner.execute("INSERT INTO h SELECT i, 't' || i % 3 FROM generate_series(1, 9) i")
    owner.execute("ALTER TABLE h ENABLE ROW LEVEL SECURITY; CREATE POLICY one ON h FOR SELECT USING (tenant = 't0')")
    owner.execute("CREATE POLICY all_in ON h FOR INSERT WITH CHECK (true)")
    if force:
        owner.execute("ALTER TABLE h FORCE ROW LEVEL SECURITY")
        owner.execute("INSERT INTO h VALUES (10, 't1')")
    entries = 10 if force else 9
    reader = roles.session("reader", member_of="pgseal_auditor")
    db.run(f"GRANT USAGE ON SCHEMA {owner.info.user} TO PUBLIC; GRANT SELECT ON {owner.info.user}.h TO PUBLIC")
    for session in [owner, reader, db.connection]:
        for setting in ["on", "off"]:
            session.execute(f"SET row_security = {setting}".encode())
            answer = session.execute("SELECT verdict, entries FROM seal.verify_history()").fetchall()
            assert answer == [("intact", entries)], session.info.user
            assert session.execute("SELECT * FROM seal.findings()").fetchall() == []
            assert session.execute("SELECT entries FROM seal.verify_history('t1')").fetchall() == [(4 if force else 3,)]


def test_nor_does_that_of_the_schemas_owner_hide_a_row(db: Database, roles: Roles) -> None:
    """Whoever owns the schema, rows that a policy hides are not taken for missing, and forged ones not overlooked."""
    bob = roles.make("bob")
    db.run(f"{SET_UP}; ALTER SCHEMA seal OWNER TO {bob}; GRANT ALL ON ALL TABLES IN SCHEMA seal TO {bob}")
    db.run(f"GRANT ALL ON h TO {bob}")
    db.run("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA seal TO PUBLIC; ALTER TABLE h ENABLE ROW LEVEL SECURITY")
    db.run("CREATE POLICY p ON h USING (id <> 'acme-2')")
    try:
        assert db.rows("SELECT verdict, entries FROM seal.verify_history()") == [("intact", 6)]
    except psycopg.errors.InsufficientPrivilege as error:
        assert "row-level security" in str(error)
    db.run("ALTER SCHEMA seal OWNER TO postgres")


def test_the_callers_rights_come_back(auditor: Session) -> None:
    me = auditor.info.user
    auditor.execute("SELECT * FROM seal.verify_history()")
    assert auditor.execute("SELECT current_user, session_user").fetchall() == [(me, me)]
    auditor.execute("SELECT * FROM seal.check_setup()")
    assert refusal(auditor, "SELECT FROM h").state == NOT_PERMITTED


def test_also_after_an_error_in_the_middle_of_a_run(db: Database, auditor: Session) -> None:
    """A statement that is cancelled must leave neither the owner's rights nor an open run behind."""
    db.run("INSERT INTO h SELECT 'x-' || i, 'x', repeat('x', 300) FROM generate_series(1, 20000) i")
    for question in ["verify_history()", "findings()", "is_intact()", "verify_history('acme')"]:
        auditor.execute("SET statement_timeout = '5ms'")
        assert refusal(auditor, f"SELECT * FROM seal.{question}").state == "57014"
        auditor.execute("SET statement_timeout = 0")
        assert auditor.execute("SELECT current_user = session_user").fetchall() == [(True,)]
        assert refusal(auditor, "SELECT FROM h").state == NOT_PERMITTED
    assert auditor.execute("SELECT verdict FROM seal.verify_history()").fetchall() == [("intact",)]
