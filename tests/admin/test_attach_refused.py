"""What cannot be a history: each refused with SQLSTATE and HINT, and nothing half-done."""

from __future__ import annotations

import re

import pytest

from support.database import Database
from support.refusal import (
    BAD_PARAMETER,
    DUPLICATE_COLUMN,
    NOT_IN_STATE,
    NOT_SUPPORTED,
    TOO_MANY_COLUMNS,
    UNDEFINED_COLUMN,
    WRONG_OBJECT,
    refusal,
    refused_without_trace,
)

ATTACH = "SELECT seal.attach('h')"


def test_an_unknown_tenant_column(db: Database) -> None:
    db.run("CREATE TABLE h (n int, gone int, mandant text); ALTER TABLE h DROP COLUMN gone")
    for name in ["tenant", "Mandant", "gone", "ctid", "", "n "]:
        refused = refused_without_trace(db, "h", f"SELECT seal.attach('h', tenant_column => '{name}')")
        assert refused.state == UNDEFINED_COLUMN
        assert refused.message == f'column "{name}" does not exist in table "public.h"'
        assert refused.detail == "Its columns are: n, mandant."
        assert refused.hint == "Name one of them as tenant_column, or leave it out for a history without tenants."


def test_a_generated_tenant_column(db: Database) -> None:
    db.run("CREATE TABLE h (n int, tenant int GENERATED ALWAYS AS (n % 2) STORED)")
    refused = refused_without_trace(db, "h", "SELECT seal.attach('h', 'tenant')")
    assert (refused.state, refused.hint) == (NOT_SUPPORTED, "Name a column that the application fills.")


def test_a_column_that_is_already_called_like_a_seal_column(db: Database) -> None:
    db.run("CREATE TABLE h (n int, placeholder text)")
    before = "placeholder"
    for column in ["seal_chain", "seal_seq", "seal_epoch", "seal_anchor", "seal_at", "seal_prev", "seal_mac"]:
        db.run(f"ALTER TABLE h RENAME COLUMN {before} TO {column}")
        refused = refused_without_trace(db, "h", ATTACH)
        assert refused.state == DUPLICATE_COLUMN
        assert refused.message == f'column "{column}" of table "public.h" has a name that pgseal needs'
        assert f"RENAME COLUMN {column}" in refused.hint
        before = column
    db.run(f'ALTER TABLE h RENAME COLUMN {before} TO "Seal_Mac"; {ATTACH}')


KINDS = [
    ("CREATE VIEW h AS SELECT 1 AS n", "a view"),
    ("CREATE MATERIALIZED VIEW h AS SELECT 1 AS n", "a materialized view"),
    (
        "CREATE EXTENSION file_fdw; CREATE SERVER s FOREIGN DATA WRAPPER file_fdw;"
        " CREATE FOREIGN TABLE h (n int) SERVER s OPTIONS (filename '/dev/null')",
        "a foreign table",
    ),
    ("CREATE TEMP TABLE h (n int)", "a temporary table"),
    ("CREATE UNLOGGED TABLE h (n int)", "an unlogged table"),
    ("CREATE SEQUENCE h", "not a table"),
    ("CREATE TABLE t (n int); CREATE INDEX h ON t (n)", "not a table"),
    ("CREATE TYPE h AS (n int)", "not a table"),
]


def test_what_is_no_ordinary_table(db: Database) -> None:
    for number, (statement, kind) in enumerate(KINDS):
        name = f"kind{number}h"
        db.run(re.sub(r"\bh\b", name, statement))
        refused = refused_without_trace(db, name, f"SELECT seal.attach('{name}')")
        assert refused.state == WRONG_OBJECT
        assert refused.message.endswith(f'{name}" cannot be a history: it is {kind}')
        unlogged = f"Run: ALTER TABLE public.{name} SET LOGGED."
        assert refused.hint == (unlogged if "unlogged" in kind else "Attach the table that stores the rows.")


def test_tables_of_the_system_and_of_pgseal(db: Database) -> None:
    toast = db.value("SELECT oid::regclass::text FROM pg_class WHERE relkind = 't' ORDER BY oid LIMIT 1")
    for table in ["pg_class", "pg_authid", "information_schema.sql_features", "seal.history", "seal.epoch", toast]:
        refused = refused_without_trace(db, table, f"SELECT seal.attach('{table}')")
        assert refused.state == WRONG_OBJECT and refused.hint


def test_parents_and_children_of_inheritance(db: Database) -> None:
    db.run("CREATE TABLE parent (n int); CREATE TABLE child () INHERITS (parent)")
    for table in ["parent", "child"]:
        refused = refused_without_trace(db, table, f"SELECT seal.attach('{table}')")
        assert (refused.state, refused.hint) == (WRONG_OBJECT, "Use declarative partitioning instead of INHERITS.")


def test_a_child_cannot_be_added_later_either(db: Database) -> None:
    db.run(f"CREATE TABLE h (n int); {ATTACH}; CREATE TABLE plain (LIKE h)")
    for statement in ["CREATE TABLE child () INHERITS (h)", "ALTER TABLE plain INHERIT h"]:
        refused = refused_without_trace(db, "h", statement)
        assert (refused.state, refused.hint) == (WRONG_OBJECT, "Use declarative partitioning instead of INHERITS.")


TYPES = ["money", "regclass", "regproc", "regprocedure", "regtype", "regrole", "regnamespace", "regconfig",
         "regdictionary", "regcollation", "regoper", "regoperator"]  # fmt: skip


def test_types_whose_text_depends_on_other_things(db: Database) -> None:
    for name in TYPES:
        db.run(f"CREATE TABLE h (n int, bad {name})")
        refused = refused_without_trace(db, "h", ATTACH)
        assert refused.state == NOT_SUPPORTED
        assert refused.message == f'column "bad" of table "public.h" has a type that cannot be signed: {name}'
        assert "ALTER COLUMN bad TYPE text" in refused.hint
        db.run("DROP TABLE h")


NESTED = ["money[]", "regclass[][]", "cash", "cash[]", "pair", "pair[]", "boxed", "deep", "deep[]", "priced", "prices",
          "several"]  # fmt: skip


def test_such_types_inside_others(db: Database) -> None:
    db.run("""CREATE DOMAIN cash AS money; CREATE TYPE pair AS (n int, what regtype); CREATE DOMAIN boxed AS pair;
              CREATE TYPE deep AS (a int, b boxed[]); CREATE TYPE priced AS RANGE (SUBTYPE = money,
              MULTIRANGE_TYPE_NAME = prices); CREATE DOMAIN several AS cash[]""")
    for nested in NESTED:
        db.run(f"CREATE TABLE h (n int, bad {nested})")
        refused = refused_without_trace(db, "h", ATTACH)
        assert refused.state == NOT_SUPPORTED and "cannot be signed" in refused.message and "bad" in refused.hint
        db.run("DROP TABLE h")


def test_such_a_column_cannot_be_added_later_either(db: Database) -> None:
    db.run(f"CREATE DOMAIN cash AS money; CREATE TABLE h (n int); {ATTACH}; INSERT INTO h VALUES (1)")
    for nested in ["money", "regclass[]", "cash"]:
        refused = refused_without_trace(db, "h", f"ALTER TABLE h ADD COLUMN bad {nested}")
        assert refused.state == NOT_SUPPORTED and "cannot be signed" in refused.message


def test_generated_and_dropped_columns_may_have_any_type(db: Database) -> None:
    db.run("CREATE TABLE h (n int, m money, r regclass GENERATED ALWAYS AS (NULL) STORED); ALTER TABLE h DROP COLUMN m")
    db.run(f"{ATTACH}; INSERT INTO h VALUES (1)")
    assert db.value("SELECT verdict FROM seal.verify_history()") == "intact"


def test_foreign_keys_that_change_the_history(db: Database) -> None:
    db.run("CREATE TABLE person (id int PRIMARY KEY); CREATE TABLE h (n int, p int)")
    for event in ["DELETE", "UPDATE"]:
        for action in ["CASCADE", "SET NULL", "SET DEFAULT"]:
            key = f"FOREIGN KEY (p) REFERENCES person ON {event} {action}"
            db.run(f"ALTER TABLE h ADD CONSTRAINT away {key}")
            refused = refused_without_trace(db, "h", ATTACH)
            assert refused.state == NOT_SUPPORTED and '"away"' in refused.message
            assert "NO ACTION" in refused.hint
            db.run(refused.hint.partition(": ")[2].rstrip("."))
    db.run(ATTACH)


@pytest.mark.parametrize("leaf", [False, True])
def test_such_a_foreign_key_cannot_come_later_or_by_a_leaf(db: Database, leaf: bool) -> None:
    db.run("CREATE TABLE person (id int PRIMARY KEY); CREATE TABLE h (n int, p int) PARTITION BY RANGE (n)")
    db.run("CREATE TABLE h1 PARTITION OF h DEFAULT")
    key = f"ALTER TABLE {'h1' if leaf else 'h'} ADD CONSTRAINT away FOREIGN KEY (p) REFERENCES person ON DELETE CASCADE"
    db.run(key)
    assert refused_without_trace(db, "h", ATTACH).state == NOT_SUPPORTED
    db.run(f"ALTER TABLE {'h1' if leaf else 'h'} DROP CONSTRAINT away; {ATTACH}")
    refused = refused_without_trace(db, "h", key)
    assert refused.state == NOT_SUPPORTED and "away" in refused.message and refused.hint


def test_foreign_keys_that_refuse_are_fine(db: Database) -> None:
    db.run("CREATE TABLE person (id int PRIMARY KEY); CREATE TABLE h (p int REFERENCES person ON DELETE RESTRICT)")
    db.run(f"{ATTACH}; INSERT INTO person VALUES (1); INSERT INTO h VALUES (1)")
    # RESTRICT has a SQLSTATE of its own from PostgreSQL 18 on.
    state = "23001" if db.connection.info.server_version >= 180_000 else "23503"
    assert refusal(db, "DELETE FROM person").state == state


def test_too_many_columns(db: Database) -> None:
    columns = ", ".join(f"c{i} int" for i in range(91))
    db.run(f"CREATE TABLE h ({columns})")
    refused = refused_without_trace(db, "h", ATTACH)
    assert (refused.state, refused.message) == (
        TOO_MANY_COLUMNS,
        'table "public.h" has 91 columns, at most 90 can be signed',
    )
    assert refused.hint == "Put rarely used columns into one jsonb column."
    db.run(f"ALTER TABLE h DROP COLUMN c90; {ATTACH}; INSERT INTO h (c0, c89) VALUES (1, 2)")
    assert db.value("SELECT verdict FROM seal.verify_history()") == "intact"
    assert refused_without_trace(db, "h", "ALTER TABLE h ADD COLUMN more int").state == TOO_MANY_COLUMNS


def test_no_columns_at_all(db: Database) -> None:
    db.run("CREATE TABLE h ()")
    assert refused_without_trace(db, "h", ATTACH).hint == "Add the columns first."


PARAMETERS = [
    ("max_chains", "0"), ("max_chains", "-1"), ("max_chains", "10001"), ("window_months", "0"),
    ("window_months", "-12"), ("window_months", "2147483647"),
    ("existing", "'Seal'"), ("existing", "''"), ("existing", "'drop'"),
]  # fmt: skip


def test_invalid_parameters(db: Database) -> None:
    db.run("CREATE TABLE h (n int)")
    for parameter, value in PARAMETERS:
        refused = refused_without_trace(db, "h", f"SELECT seal.attach('h', {parameter} => {value})")
        assert refused.state == BAD_PARAMETER
        assert refused.message.startswith(f'invalid value for parameter "{parameter}": ')
        assert refused.detail.startswith("Allowed: ")
        assert refused.hint == f"Call it with another {parameter}, or leave it out."


@pytest.mark.parametrize(("name", "place"), [("zzz_pgseal_seal_2", "h"), ("zzzz", "h1"), ("ä_later", "h")])
def test_a_later_before_trigger(db: Database, name: str, place: str) -> None:
    db.run("CREATE TABLE h (n int) PARTITION BY RANGE (n); CREATE TABLE h1 PARTITION OF h DEFAULT")
    db.run("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$")
    db.run(f"CREATE TRIGGER {name} BEFORE INSERT ON {place} FOR EACH ROW EXECUTE FUNCTION f()")
    refused = refused_without_trace(db, "h", ATTACH)
    assert refused.state == NOT_IN_STATE and f'"{name}"' in refused.message
    db.run(refused.hint.partition(": ")[2].rstrip("."))
    db.run(f"{ATTACH}; INSERT INTO h VALUES (1)")
    assert db.value("SELECT verdict FROM seal.verify_history()") == "intact"


def test_no_such_table(db: Database) -> None:
    assert refusal(db, "SELECT seal.attach('nowhere')").state == "42P01"
    for oid in ["0", "4294967295", "1"]:
        refused = refusal(db, f"SELECT seal.attach({oid}::oid::regclass)")
        assert refused.state in (WRONG_OBJECT, "42P01", "42501") and refused.hint
    # NULL is no table, and no silent success either.
    assert refusal(db, "SELECT seal.attach(NULL)").hint


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_in_another_encoding(db: Database, encoding: str) -> None:
    other = Database(db.cluster, f"{db.name}_{encoding.lower()}")
    db.run(f"CREATE DATABASE {other.name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    try:
        session = other.connect(client_encoding="utf8")
        session.execute("CREATE EXTENSION pgseal; CREATE TABLE h (n int)")
        refused = refusal(session, ATTACH)
        assert (refused.state, refused.message) == (NOT_SUPPORTED, "the database is not in UTF8")
        assert refused.hint == "Create a database with ENCODING 'UTF8' TEMPLATE template0 and move the table there."
        columns = "SELECT attname FROM pg_attribute WHERE attrelid = 'h'::regclass AND attnum > 0"
        assert session.execute(columns.encode()).fetchall() == [("n",)]
        ((fix,),) = session.execute("SELECT fix FROM seal.check_setup() WHERE item = 'encoding'").fetchall()
        assert "ENCODING 'UTF8'" in fix
    finally:
        other.drop()
