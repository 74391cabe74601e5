"""Objects that are named like the system's, in a schema that comes first or in pg_temp, change nothing."""

from __future__ import annotations

from support.database import Database
from support.roles import Roles
from support.verification import assert_intact

DECOYS = """
CREATE FUNCTION {s}.count(anyelement) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
CREATE FUNCTION {s}.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'decoy now'; END $$;
CREATE FUNCTION {s}.format(text, VARIADIC text[]) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RAISE 'decoy format'; END $$;
CREATE FUNCTION {s}.encode(bytea, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'decoy encode'; END $$;
CREATE FUNCTION {s}.current_setting(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'decoy setting'; END $$;
CREATE FUNCTION {s}.equal(bigint, integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'decoy ='; END $$;
CREATE FUNCTION {s}.equal(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'decoy ='; END $$;
CREATE FUNCTION {s}.equal(oid, integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'decoy ='; END $$;
CREATE OPERATOR {s}.= (LEFTARG = bigint, RIGHTARG = integer, FUNCTION = {s}.equal);
CREATE OPERATOR {s}.= (LEFTARG = text, RIGHTARG = text, FUNCTION = {s}.equal);
CREATE OPERATOR {s}.= (LEFTARG = oid, RIGHTARG = integer, FUNCTION = {s}.equal);
CREATE TYPE {s}.text AS (decoy int);
CREATE TYPE {s}.jsonb AS (decoy int);
CREATE TYPE {s}.bigint AS (decoy int);
"""


def plant(db: Database, schema: str) -> None:
    db.run(DECOYS.format(s=schema))


def test_a_schema_before_pg_catalog(db: Database, roles: Roles) -> None:
    db.run("CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC")
    plant(db, "evil")
    db.run("CREATE TYPE public.mood AS ENUM ('fine', 'bad')")
    owner = roles.owner()
    table = f"{owner.info.user}.h"
    owner.execute(f"SET search_path = evil, pg_catalog, {owner.info.user}, public".encode())
    columns = "tenant pg_catalog.text, n int, feels public.mood, words pg_catalog.text[]"
    owner.execute(f"CREATE TABLE {table} ({columns})".encode())
    owner.execute(f"INSERT INTO {table} VALUES ('acme', 1, 'fine', '{{a,b}}')".encode())
    owner.execute(f"SELECT seal.attach('{table}', 'tenant', existing => 'seal')".encode())
    owner.execute(f"INSERT INTO {table} VALUES ('acme', 2, 'bad', '{{c}}')".encode())
    owner.execute(f"ALTER TABLE {table} ADD COLUMN later pg_catalog.text DEFAULT 'x'".encode())
    owner.execute(f"INSERT INTO {table} (tenant, n, feels, later) VALUES ('acme', 3, 'bad', 'y')".encode())
    answer = owner.execute("SELECT verdict, entries FROM seal.verify_history('acme')").fetchall()
    assert answer == [("intact", 3)]
    assert owner.execute("SELECT * FROM seal.findings()").fetchall() == []
    assert owner.execute("SELECT ok FROM seal.status").fetchall() == [(True,)]
    auditor = roles.session("auditor", member_of="pgseal_auditor")
    auditor.execute("SET search_path = evil, pg_catalog")
    assert auditor.execute("SELECT verdict FROM seal.verify_history()").fetchall() == [("intact",)]
    assert auditor.execute("SELECT seal.is_intact('acme')").fetchall() == [(True,)]
    assert_intact(db, 3)
    documents = f"SELECT seal.document(h)::pg_catalog.jsonb ->> 'feels' FROM {table} h ORDER BY n"
    assert owner.execute(documents.encode()).fetchall() == [("fine",), ("bad",), ("bad",)]


def test_sealing_does_not_depend_on_the_inserters_path(db: Database) -> None:
    db.run("CREATE SCHEMA app; CREATE TYPE app.mood AS ENUM ('fine'); CREATE DOMAIN app.word AS text")
    db.run("CREATE TABLE app.h (tenant app.mood, w app.word, m app.mood[]); SELECT seal.attach('app.h', 'tenant')")
    for path in ["app", "public", "''", "app, pg_catalog", "pg_catalog, app", "pg_temp, app"]:
        with db.connect() as session:
            session.execute(f"SET search_path = {path}".encode())
            session.execute("INSERT INTO app.h VALUES ('fine', 'w', '{fine}')")
            assert session.execute("SELECT seal.is_intact('fine')").fetchall() == [(True,)]
    assert_intact(db, 6)


def test_temporary_objects_in_front_of_everything(db: Database, roles: Roles) -> None:
    owner = roles.owner()
    owner.execute("CREATE TABLE h (n int); SELECT seal.attach('h'); INSERT INTO h VALUES (1)")
    owner.execute("CREATE TEMP TABLE pg_class (oid oid); CREATE TEMP TABLE pg_trigger (x int)")
    owner.execute("CREATE TEMP TABLE history (history_id uuid); CREATE TEMP TABLE pg_roles (rolname text)")
    owner.execute("CREATE TEMP VIEW pg_attribute AS SELECT 1 AS attrelid")
    owner.execute(f"SET search_path = pg_temp, {owner.info.user}".encode())
    assert owner.execute("SELECT verdict, entries FROM seal.verify_history()").fetchall() == [("intact", 1)]
    owner.execute("INSERT INTO h VALUES (2)")
    owner.execute("ALTER TABLE h ADD COLUMN t text")
    owner.execute("INSERT INTO h VALUES (3)")
    assert_intact(db, 3)
