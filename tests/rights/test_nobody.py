"""A role without privileges, and one that may insert only: what they cannot do, learn or break."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest

from support.database import Database
from support.refusal import NOT_PERMITTED, refusal, refused_without_trace
from support.roles import Roles
from support.verification import assert_intact

Session = psycopg.Connection[Any]

HISTORY = "CREATE TABLE h (id int PRIMARY KEY, tenant text, payload jsonb); SELECT seal.attach('h', 'tenant')"

# Of a strict function that is given NULL nobody asks whether it may be called; of a pg_ddl_command there is no other.
CALLS = """
SELECT format('SELECT %s(%s)', p.oid::regproc,
              (SELECT string_agg(CASE WHEN type IN ('internal'::regtype, '"any"'::regtype) THEN 'NULL'
                                      WHEN type = 'record'::regtype THEN 'ROW(1)'
                                      WHEN type = 'regclass'::regtype THEN '''h''::regclass'
                                      WHEN type IN ('oid'::regtype, 'int'::regtype) AND proisstrict THEN '0'
                                      WHEN type = 'boolean'::regtype THEN 'true'
                                      ELSE 'NULL::' || format_type(type, NULL) END, ', ' ORDER BY place)
                 FROM unnest(proargtypes::oid[]) WITH ORDINALITY AS a (type, place)))
  FROM pg_proc p WHERE pronamespace = 'seal'::regnamespace AND 'pg_ddl_command'::regtype <> ALL (proargtypes) ORDER BY 1
"""


@pytest.fixture
def nobody(db: Database, roles: Roles) -> Session:
    db.run(HISTORY)
    db.run("INSERT INTO h VALUES (1, 'acme', '{\"secret\": 42}')")
    return roles.session("nobody")


def test_no_function_can_be_called(db: Database, nobody: Session) -> None:
    calls = [call for (call,) in db.rows(CALLS)]
    assert len(calls) == db.value("SELECT count(*) - 1 FROM pg_proc WHERE pronamespace = 'seal'::regnamespace")
    for call in calls:
        refused = refusal(nobody, call)
        assert (refused.state, refused.message) == (NOT_PERMITTED, "permission denied for schema seal"), call


def test_not_even_with_usage_of_the_schema(db: Database, nobody: Session) -> None:
    db.run(f"GRANT USAGE ON SCHEMA seal TO {nobody.info.user}")
    for (call,) in db.rows(CALLS):
        refused = refusal(nobody, call)
        # No value of the type internal can be written in SQL: the parser refuses before anybody asks for rights.
        internal = re.search(r"seal\.(audit|locate)_", call)
        assert refused.state in (("0A000", "42883") if internal else (NOT_PERMITTED,)), (call, refused)


@pytest.mark.parametrize("relation", ["seal.history", "seal.epoch", "seal.status"])
def test_no_table_or_view_can_be_read_or_written(db: Database, nobody: Session, relation: str) -> None:
    db.run(f"GRANT USAGE ON SCHEMA seal TO {nobody.info.user}")
    column = db.value("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 1", [relation])
    for statement in [
        f"TABLE {relation}",
        f"SELECT FROM {relation}",
        f"INSERT INTO {relation} DEFAULT VALUES",
        f"UPDATE {relation} SET {column} = {column}",
        f"DELETE FROM {relation}",
        f"TRUNCATE {relation}",
        f"COPY {relation} TO STDOUT",
        f"DO $$ BEGIN LOCK {relation}; END $$",
    ]:
        not_for_views = relation == "seal.status" and not statement.startswith(("TABLE", "SELECT", "DO"))
        refused = refusal(nobody, statement)
        assert refused.state == NOT_PERMITTED or not_for_views, statement
    for statement in [f"ALTER TABLE {relation} ADD COLUMN x int", f"DROP TABLE {relation}", "DROP EXTENSION pgseal"]:
        assert refusal(nobody, statement.replace("TABLE seal.status", "VIEW seal.status")).state in ("42501", "42601")


def test_it_can_attach_neither_the_tables_of_others_nor_its_own(db: Database, nobody: Session) -> None:
    db.run(f"CREATE TABLE foreign_one (n int); CREATE TABLE own (n int); ALTER TABLE own OWNER TO {nobody.info.user}")
    for table in ["foreign_one", "own"]:
        refused = refused_without_trace(db, table, f"SELECT seal.attach('{table}')", nobody)
        assert refused.state == NOT_PERMITTED


def test_it_cannot_make_the_seal_triggers_on_its_own_table(db: Database, nobody: Session) -> None:
    db.run(f"GRANT USAGE ON SCHEMA seal TO {nobody.info.user}; GRANT CREATE ON SCHEMA public TO {nobody.info.user}")
    nobody.execute("CREATE TABLE own (n int)")
    for function in ["seal_entry", "refuse_change"]:
        statement = f"CREATE TRIGGER t BEFORE INSERT ON own FOR EACH ROW EXECUTE FUNCTION seal.{function}()"
        assert refusal(nobody, statement).state == NOT_PERMITTED


def test_whoever_may_insert_needs_nothing_else(db: Database, nobody: Session) -> None:
    db.run(f"GRANT INSERT ON h TO {nobody.info.user}")
    nobody.execute("INSERT INTO h VALUES (2, 'acme', '{}')")
    with nobody.cursor().copy("COPY h (id, tenant) FROM STDIN") as copy:
        copy.write("3\tacme\n")
    assert_intact(db, 3)
    for question in ["SELECT * FROM h", "SELECT seal_mac FROM h", "INSERT INTO h VALUES (4) RETURNING payload"]:
        assert refusal(nobody, question).state == NOT_PERMITTED
    # Nor may it choose a seal, or learn by a conflict which there are.
    supplied = refusal(nobody, "INSERT INTO h (id, seal_chain, seal_seq) SELECT 9, 'main', 1")
    assert supplied.state == "428C9" and "seal_chain" in supplied.message
    conflict = "INSERT INTO h VALUES (9) ON CONFLICT (seal_chain, seal_seq) DO NOTHING"
    assert refusal(nobody, conflict).state == NOT_PERMITTED


def test_no_message_shows_anything_of_a_row(db: Database, nobody: Session) -> None:
    db.run(f"GRANT INSERT ON h TO {nobody.info.user}")
    refused = refusal(nobody, "INSERT INTO h VALUES (1, 'x', '{}')")
    assert refused.state == "23505" and "secret" not in refused.text and refused.detail == ""


def test_columns_that_an_inserter_may_not_name_are_sealed_all_the_same(db: Database, nobody: Session) -> None:
    db.run(f"GRANT INSERT (id, tenant) ON h TO {nobody.info.user}")
    nobody.execute("INSERT INTO h (id, tenant) VALUES (2, 'acme')")
    assert_intact(db, 2)
    assert refusal(nobody, "INSERT INTO h (id, seal_seq) VALUES (3, 1)").state == NOT_PERMITTED


def test_an_admin_who_does_not_own_the_table_cannot_attach_or_detach_it(db: Database, roles: Roles) -> None:
    admin = roles.session("admin", member_of="pgseal_admin")
    db.run(f"CREATE TABLE plain (n int); {HISTORY}; GRANT ALL ON plain, h TO {admin.info.user}")
    refused = refused_without_trace(db, "plain", "SELECT seal.attach('plain')", admin)
    assert (refused.state, refused.message) == (NOT_PERMITTED, 'must be owner of table "public.plain"')
    assert refused.hint == "Ask its owner, or a superuser, to run it."
    for function in ["detach", "open_epoch"]:
        refused = refused_without_trace(db, "h", f"SELECT seal.{function}('h')", admin)
        assert (refused.state, refused.hint) == (NOT_PERMITTED, "Ask its owner, or a superuser, to run it.")


def test_an_admin_may_not_write_pgseals_tables_though_attach_does(db: Database, roles: Roles) -> None:
    owner = roles.owner()
    owner.execute("CREATE TABLE h (n int); SELECT seal.attach('h')")
    for statement in ["UPDATE seal.history SET epoch = 9", "DELETE FROM seal.epoch", "TRUNCATE seal.epoch"]:
        assert refusal(owner, statement).state == NOT_PERMITTED
    for statement in ["SELECT seal.follow_definition(0, 0)", "SELECT seal.audit_finish(NULL)"]:
        assert refusal(owner, statement).state in (NOT_PERMITTED, "0A000", "42883")
