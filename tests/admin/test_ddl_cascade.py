"""Drops that take a history along without naming it: CASCADE, DROP OWNED, DROP EXTENSION; and nested commands."""

from __future__ import annotations

import pytest

from support.database import Database
from support.journal import forget, sentences
from support.refusal import NOT_IN_STATE, refusal, refused_without_trace
from support.roles import Roles
from support.verification import assert_intact

HISTORY = """CREATE SCHEMA s; CREATE TABLE s.h (n int, t text); SELECT seal.attach('s.h');
             INSERT INTO s.h VALUES (1, 'x')"""


def test_a_schema(db: Database) -> None:
    db.run(HISTORY)
    refused = refused_without_trace(db, "s.h", "DROP SCHEMA s CASCADE")
    assert (refused.state, refused.message) == (NOT_IN_STATE, 'cannot drop table "s.h": it is a history')
    assert refused.hint == "To give the table up as a history first: SELECT seal.detach('s.h')."
    db.run("SELECT seal.detach('s.h'); DROP SCHEMA s CASCADE")


def test_what_a_role_owns(db: Database, roles: Roles) -> None:
    owner = roles.owner()
    role = owner.info.user
    owner.execute("CREATE TABLE h (n int); SELECT seal.attach('h'); INSERT INTO h VALUES (1)")
    for session in [db, owner]:
        refused = refusal(session, f"DROP OWNED BY {role} CASCADE")
        assert (refused.state, refused.message) == (NOT_IN_STATE, f'cannot drop table "{role}.h": it is a history')
    assert_intact(db, 1)
    owner.execute("SELECT seal.detach('h'); DROP OWNED BY CURRENT_USER CASCADE")


@pytest.mark.parametrize("cascade", ["", "CASCADE"])
def test_the_extension(db: Database, cascade: str) -> None:
    db.run(HISTORY)
    refused = refused_without_trace(db, "s.h", f"DROP EXTENSION pgseal {cascade}")
    assert (refused.state, refused.message) == (
        NOT_IN_STATE,
        "cannot drop extension pgseal while histories are attached",
    )
    assert refused.detail == "Attached: s.h."
    assert refused.hint == "To give each up as a history first: SELECT seal.detach('s.h')."
    db.run(f"SELECT seal.detach('s.h'); DROP EXTENSION pgseal {cascade}; DROP TABLE s.h")


def test_the_extension_by_way_of_its_owner(db: Database, roles: Roles) -> None:
    other = db.cluster.createdb()
    role = roles.make("chief", options="SUPERUSER LOGIN")
    try:
        chief = other.connect(role)
        chief.execute("CREATE EXTENSION pgseal")
        other.run(HISTORY)
        refused = refusal(other, f"DROP OWNED BY {role} CASCADE")
        assert (refused.state, "pgseal" in refused.message) == (NOT_IN_STATE, True)
        assert_intact(other, 1)
    finally:
        other.drop()


def test_nothing_attached(db: Database) -> None:
    db.run("DROP EXTENSION pgseal; CREATE EXTENSION pgseal; CREATE TABLE h (n int); SELECT seal.attach('h')")
    db.run("SELECT seal.detach('h'); DROP EXTENSION pgseal CASCADE; DROP TABLE h")


def test_what_may_go_by_cascade_is_journaled(db: Database) -> None:
    db.run("""CREATE FUNCTION g() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE SEQUENCE seq;
              CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
              CREATE TABLE other (id int PRIMARY KEY);
              CREATE TABLE h (n int DEFAULT g(), k bigint DEFAULT nextval('seq'), r int REFERENCES other,
                              i int CONSTRAINT c CHECK (i > g()));
              CREATE TRIGGER a BEFORE INSERT ON h FOR EACH ROW EXECUTE FUNCTION f(); SELECT seal.attach('h')""")
    forget(db)
    db.run("DROP FUNCTION f() CASCADE")
    db.run("DROP SEQUENCE seq CASCADE")
    db.run("DROP TABLE other CASCADE")
    db.run("DROP FUNCTION g() CASCADE")
    assert sentences(db) == [
        "DROP FUNCTION changed public.h: trigger a was removed",
        "DROP SEQUENCE changed public.h: default of column k was removed",
        "DROP TABLE changed public.h: constraint h_r_fkey was removed",
        "DROP FUNCTION changed public.h: constraint c was removed, default of column n was removed",
    ]
    db.run("INSERT INTO h (n) VALUES (1)")
    assert_intact(db, 1)


def test_ddl_inside_of_ddl(db: Database) -> None:
    db.run("CREATE TABLE h (n int, t text); SELECT seal.attach('h')")
    db.run("CREATE TABLE other (n int); INSERT INTO other VALUES (1)")
    db.run("""CREATE FUNCTION index_it() RETURNS int LANGUAGE plpgsql AS $$
              BEGIN CREATE INDEX inner_one ON h (t); CREATE TABLE IF NOT EXISTS made (a int); RETURN 1; END $$""")
    forget(db)
    db.run("ALTER TABLE other ADD COLUMN c int DEFAULT index_it()")
    db.run("DO $$ BEGIN CREATE INDEX second ON h (n); CREATE INDEX third ON h (n, t); END $$")
    db.run("DO $$ BEGIN CREATE INDEX lost ON h (n); RAISE 'x'; EXCEPTION WHEN raise_exception THEN NULL; END $$")
    assert sentences(db) == [
        f"CREATE INDEX changed public.h: index {name} was added" for name in ["inner_one", "second", "third"]
    ]


def test_ddl_inside_of_ddl_on_the_same_history(db: Database) -> None:
    db.run("CREATE TABLE h (n int, t text); SELECT seal.attach('h'); INSERT INTO h VALUES (1)")
    db.run("""CREATE TABLE other (n int); INSERT INTO other VALUES (1);
              CREATE FUNCTION index_it() RETURNS int LANGUAGE plpgsql AS $$
              BEGIN CREATE INDEX inner_one ON h (t); RETURN 1; END $$""")
    forget(db)
    # CASCADE: the outer command could change any history.
    db.run("ALTER TABLE other DROP COLUMN n CASCADE, ADD COLUMN c int DEFAULT index_it()")
    assert sentences(db) == ["CREATE INDEX changed public.h: index inner_one was added"]


def test_savepoints(db: Database) -> None:
    db.run("CREATE TABLE h (n int, t text); SELECT seal.attach('h')")
    with db.connect(autocommit=False) as session:
        session.execute("CREATE INDEX one ON h (n)")
        session.execute("SAVEPOINT s; CREATE INDEX two ON h (n); ROLLBACK TO s")
        assert refusal(session, "DROP TABLE h").state == NOT_IN_STATE
        session.execute("ROLLBACK TO s; CREATE INDEX three ON h (n); RELEASE s; DROP INDEX one")
        session.commit()
    assert sentences(db)[-3:] == [
        "CREATE INDEX changed public.h: index one was added",
        "CREATE INDEX changed public.h: index three was added",
        "DROP INDEX changed public.h: index one was removed",
    ]


def test_in_one_transaction_with_attach_and_detach(db: Database) -> None:
    with db.connect(autocommit=False) as session:
        session.execute("CREATE TABLE h (n int, t text); CREATE INDEX zero ON h (n); SELECT seal.attach('h')")
        session.execute("CREATE INDEX one ON h (n); INSERT INTO h VALUES (1)")
        assert refusal(session.execute("SAVEPOINT s").connection, "DROP TABLE h").state == NOT_IN_STATE
        session.execute("ROLLBACK TO s")
        session.commit()
    assert sentences(db) == ["CREATE INDEX changed public.h: index one was added"]
    assert_intact(db, 1)
    with db.connect(autocommit=False) as session:
        session.execute("SELECT seal.detach('h'); CREATE INDEX two ON h (n); ALTER TABLE h DROP COLUMN t; DROP TABLE h")
        session.commit()
    assert len(sentences(db)) == 1
