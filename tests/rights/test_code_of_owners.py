"""Nothing that a table's owner can define runs with more than the owner's rights, whoever attaches or verifies.

Each test gives a table some code of its owner, `spy()`, which notes down as whom it runs, and lets a superuser, an
auditor or the event trigger (which runs as the extension's owner) touch the table.
"""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from support.database import Database
from support.refusal import refusal
from support.roles import Roles
from support.tampering import unguarded
from support.verification import assert_intact, verdict

SPY = """
CREATE TABLE seen (who text, note text);
GRANT INSERT ON seen TO PUBLIC;
CREATE FUNCTION spy(note text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO {schema}.seen VALUES (current_user, note);
    RETURN true;
END $$;
CREATE FUNCTION spy_number(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.spy('expression');
    RETURN n;
END $$;
"""

Owner = psycopg.Connection[Any]


@pytest.fixture
def owner(roles: Roles) -> Owner:
    session = roles.owner()
    session.execute(SPY.format(schema=session.info.user).encode())
    return session


def strangers(owner: Owner) -> list[tuple[Any, ...]]:
    """As whom the owner's code has run, except as the owner."""
    return owner.execute("SELECT DISTINCT who, note FROM seen WHERE who <> current_user").fetchall()


def superuser_attaches(db: Database, owner: Owner) -> None:
    rows = db.value(f"SELECT count(*) FROM {owner.info.user}.h")
    db.run(f"SELECT seal.attach('{owner.info.user}.h', existing => 'seal')")
    assert_intact(db, rows, f"{owner.info.user}.h")


DEFINITIONS = [
    "CREATE TABLE h (n int CHECK (spy('check')))",
    "CREATE TABLE h (n int, twice int GENERATED ALWAYS AS (spy_number(n)) STORED)",
    "CREATE TABLE h (n int); CREATE INDEX ON h (spy_number(n))",
    "CREATE TABLE h (n int); CREATE INDEX ON h (n) WHERE spy_number(n) > 0",
    "CREATE TABLE h (n int, at timestamptz DEFAULT CASE WHEN spy('default') THEN now() END)",
]


def test_superusers_baseline_runs_the_owners_code_as_the_owner(db: Database, owner: Owner) -> None:
    for statement in DEFINITIONS:
        owner.execute(statement.encode())
        owner.execute("INSERT INTO h VALUES (1), (2)")
        superuser_attaches(db, owner)
        assert strangers(owner) == [], statement
        owner.execute("SELECT seal.detach('h'); DROP TABLE h")


def test_superusers_baseline_fires_no_trigger_and_obeys_no_rule_of_the_owner(db: Database, owner: Owner) -> None:
    owner.execute("CREATE TABLE h (n int); INSERT INTO h VALUES (1)")
    owner.execute(
        f"""CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS $$
                      BEGIN PERFORM {owner.info.user}.spy('trigger'); RETURN NEW; END $$""".encode()
    )
    owner.execute("CREATE TRIGGER t BEFORE UPDATE ON h FOR EACH ROW EXECUTE FUNCTION fires()")
    owner.execute("CREATE RULE r AS ON UPDATE TO h DO ALSO SELECT spy('rule')")
    attach = f"SELECT seal.attach('{owner.info.user}.h', existing => 'seal')"
    for which in ["TRIGGER t", "RULE r"]:
        for mode in ["ALWAYS", "REPLICA"]:
            owner.execute(f"ALTER TABLE h ENABLE {mode} {which}".encode())
            assert refusal(db, attach).state == "55000"
        owner.execute(f"ALTER TABLE h DISABLE {which}".encode())
    owner.execute("ALTER TABLE h ENABLE TRIGGER t")
    superuser_attaches(db, owner)
    assert owner.execute("TABLE seen").fetchall() == []


def test_verification_computes_generated_columns_as_the_owner(db: Database, owner: Owner, roles: Roles) -> None:
    owner.execute("CREATE TABLE h (n int, twice int GENERATED ALWAYS AS (spy_number(n)) STORED)")
    owner.execute("SELECT seal.attach('h'); INSERT INTO h VALUES (1), (2)")
    db.run("SELECT * FROM seal.verify_history(); SELECT * FROM seal.findings()")
    auditor = roles.session("auditor", member_of="pgseal_auditor")
    auditor.execute("SELECT * FROM seal.verify_history()")
    assert strangers(owner) == []


def make_type(owner: Owner, context: str = "") -> None:
    """A type whose cast to text is code of its owner."""
    owner.execute("CREATE TYPE shape AS (n int)")
    owner.execute(
        f"""CREATE FUNCTION shape_text(shape) RETURNS text LANGUAGE plpgsql AS $$
                      BEGIN PERFORM {owner.info.user}.spy('cast to text'); RETURN 'shape'; END $$""".encode()
    )
    owner.execute(f"CREATE CAST (shape AS text) WITH FUNCTION shape_text(shape) {context}".encode())


def test_a_new_column_of_a_type_with_a_cast(db: Database, owner: Owner) -> None:
    owner.execute("CREATE TABLE h (n int); SELECT seal.attach('h'); INSERT INTO h VALUES (1), (2)")
    make_type(owner, "AS IMPLICIT")
    owner.execute("ALTER TABLE h ADD COLUMN s shape")
    owner.execute("INSERT INTO h (n, s) VALUES (3, ROW(1))")
    db.run("SELECT * FROM seal.verify_history(); SELECT * FROM seal.findings(); SELECT * FROM seal.status")
    assert strangers(owner) == []


def test_a_new_column_with_a_default_of_such_a_type(db: Database, owner: Owner) -> None:
    owner.execute("CREATE TABLE h (n int); SELECT seal.attach('h'); INSERT INTO h VALUES (1), (2)")
    make_type(owner)
    owner.execute("ALTER TABLE h ADD COLUMN s shape DEFAULT ROW(1)::shape")
    db.run("SELECT * FROM seal.verify_history(); SELECT * FROM seal.findings()")
    assert strangers(owner) == []


@pytest.mark.parametrize(("column", "kind"), [("seal_seq", "bigint"), ("seal_chain", "text"), ("seal_mac", "bytea")])
def test_a_seal_column_that_was_given_another_type(db: Database, owner: Owner, column: str, kind: str) -> None:
    """Verification hands the seal columns to a function of its own: no implicit cast may stand between."""
    user = owner.info.user
    owner.execute("CREATE TABLE h (n int); SELECT seal.attach('h'); INSERT INTO h VALUES (1), (2)")
    owner.execute("CREATE TYPE odd AS (n int)")
    owner.execute(
        f"""CREATE FUNCTION odd_cast(odd) RETURNS {kind} LANGUAGE plpgsql AS $$
                      BEGIN PERFORM {user}.spy('cast of a seal column'); RETURN NULL; END $$""".encode()
    )
    owner.execute(f"CREATE CAST (odd AS {kind}) WITH FUNCTION odd_cast(odd) AS IMPLICIT".encode())
    change = f"ALTER TABLE h ALTER COLUMN {column} TYPE odd USING ROW(1)::odd"
    assert refusal(owner, "DROP INDEX h_seal_chain_seal_seq_idx").state == "55000"
    with db.connect() as superuser:
        superuser.execute(f"SET search_path = {user}".encode())
        superuser.execute(unguarded("DROP INDEX h_seal_chain_seal_seq_idx").encode())
    refused = refusal(owner, change)
    assert refused.state == "55000" and "seal column" in refused.message and refused.hint
    # Nor if nobody was asked.
    with db.connect() as superuser:
        superuser.execute("ALTER EVENT TRIGGER pgseal_after_ddl DISABLE")
        superuser.execute(f"SET search_path = {user}".encode())
        superuser.execute(change.encode())
    assert verdict(db) == "tampered"
    found = db.rows("SELECT kind FROM seal.findings() WHERE detail LIKE %s", [f"%{column}%type%"])
    assert found == [("configuration_altered",)]
    assert strangers(owner) == []


def test_row_security_of_the_owner_is_not_asked(db: Database, owner: Owner, roles: Roles) -> None:
    owner.execute("CREATE TABLE h (n int); SELECT seal.attach('h'); INSERT INTO h VALUES (1), (2)")
    owner.execute("CREATE POLICY p ON h USING (spy('policy'))")
    owner.execute("ALTER TABLE h ENABLE ROW LEVEL SECURITY; ALTER TABLE h FORCE ROW LEVEL SECURITY")
    auditor = roles.session("auditor", member_of="pgseal_auditor")
    answer = auditor.execute("SELECT verdict, entries FROM seal.verify_history()").fetchall()
    assert answer == [("intact", 2)]
    assert strangers(owner) == []


def test_ordering_and_comparing_use_the_systems_operators(db: Database, owner: Owner, roles: Roles) -> None:
    """A default operator class of the owner's own type is never asked, and one for a type of the system needs a
    superuser; what is left is a domain over it."""
    owner.execute("CREATE DOMAIN word AS text CHECK (spy('domain'))")
    owner.execute("CREATE TABLE h (w word, tenant word); SELECT seal.attach('h', 'tenant')")
    owner.execute("INSERT INTO h VALUES ('a', 'acme')")
    owner.execute("TRUNCATE seen")
    owner.execute("ALTER TABLE h ADD COLUMN v word DEFAULT 'x'")
    roles.session("auditor", member_of="pgseal_auditor").execute("SELECT * FROM seal.verify_history('acme')")
    db.run("SELECT * FROM seal.findings('acme')")
    assert strangers(owner) == []
