"""Legitimate DDL goes through, is journaled as exactly what it changed, and leaves the history intact."""

from __future__ import annotations

import time

import psycopg
import pytest

from support.database import Database
from support.journal import definition_changes, forget, sentences
from support.refusal import refusal
from support.roles import Roles
from support.verification import assert_intact

HISTORY = """CREATE TYPE mood AS ENUM ('fine', 'bad'); CREATE DOMAIN word AS text CHECK (VALUE <> '');
             CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
             CREATE TABLE other (id int PRIMARY KEY);
             CREATE TABLE h (n int, m mood, w word, o int); SELECT seal.attach('h'); INSERT INTO h VALUES (1, 'fine')"""
ROLE = "CREATE ROLE r_{db}; "

# Statements, and what the last of them did: items with their text, and items that are gone.
CHANGES = [
    ("ALTER TABLE h RENAME TO history", {"table": "public.history"}, []),
    ("CREATE SCHEMA s; ALTER TABLE h SET SCHEMA s", {"table": "s.h"}, []),
    ("ALTER INDEX h RENAME TO history", {"table": "public.history"}, []),
    ("ALTER SCHEMA public RENAME TO p2",
     {"table": "p2.h", "column m": "p2.mood", "column w": "p2.word", "type p2.mood": 'enum ["fine", "bad"]',
      "type p2.word": "domain over text CONSTRAINT word_check CHECK ((VALUE <> ''::text))"},
     ["type public.mood", "type public.word"]),
    (ROLE + "ALTER TABLE h OWNER TO r_{db}", {"owner": "r_{db}"}, []),
    ("ALTER TABLE h ENABLE ROW LEVEL SECURITY", {"row security": "enabled"}, []),
    ("ALTER TABLE h ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY", {"row security": "enabled, forced"}, []),
    ("CREATE POLICY p ON h FOR SELECT TO postgres, pg_monitor USING (n > 1)",
     {"policy p": "permissive for select to pg_monitor, postgres using ((n > 1))"}, []),
    ("CREATE POLICY p ON h AS RESTRICTIVE WITH CHECK (n > 1); ALTER POLICY p ON h TO CURRENT_USER",
     {"policy p": "restrictive for all to postgres with check ((n > 1))"}, []),
    ("CREATE POLICY p ON h; ALTER POLICY p ON h RENAME TO q",
     {"policy q": "permissive for all to public"}, ["policy p"]),
    ("CREATE POLICY p ON h; DROP POLICY p ON h", {}, ["policy p"]),
    ("CREATE INDEX i ON h (m, lower(w)) WHERE n > 5",
     {"index i": "USING btree (m, lower((w)::text)) WHERE (n > 5)"}, []),
    ("CREATE UNIQUE INDEX CONCURRENTLY i ON h (n)", {"index i": "UNIQUE USING btree (n)"}, []),
    ("CREATE INDEX i ON h (n); DROP INDEX i", {}, ["index i"]),
    ("CREATE INDEX i ON h (n); DROP INDEX CONCURRENTLY i", {}, ["index i"]),
    ("CREATE INDEX i ON h (n); ALTER INDEX i RENAME TO j", {"index j": "USING btree (n)"}, ["index i"]),
    ("ALTER TABLE h ADD PRIMARY KEY (n)",
     {"constraint h_pkey": "PRIMARY KEY (n)", "column n": "integer NOT NULL"}, []),
    ("ALTER TABLE h ADD CONSTRAINT c CHECK (n > 0) NOT VALID", {"constraint c": "CHECK ((n > 0)) NOT VALID"}, []),
    ("ALTER TABLE h ADD CONSTRAINT c CHECK (n > 0) NOT VALID; ALTER TABLE h VALIDATE CONSTRAINT c",
     {"constraint c": "CHECK ((n > 0))"}, []),
    ("ALTER TABLE h ADD FOREIGN KEY (o) REFERENCES other",
     {"constraint h_o_fkey": "FOREIGN KEY (o) REFERENCES public.other(id)"}, []),
    ("ALTER TABLE h ADD FOREIGN KEY (o) REFERENCES other; ALTER TABLE other RENAME id TO nr",
     {"constraint h_o_fkey": "FOREIGN KEY (o) REFERENCES public.other(nr)"}, []),
    ("ALTER TABLE h ADD PRIMARY KEY (n), ADD FOREIGN KEY (o) REFERENCES h (n); ALTER TABLE h RENAME TO self",
     {"table": "public.self"}, []),
    ("ALTER TABLE h ADD CONSTRAINT c CHECK (n > 0); ALTER TABLE h DROP CONSTRAINT c", {}, ["constraint c"]),
    ("ALTER TABLE h ALTER n SET DEFAULT 5", {"default of column n": "5"}, []),
    ("ALTER TABLE h ALTER n SET DEFAULT 5; ALTER TABLE h ALTER n DROP DEFAULT", {}, ["default of column n"]),
    ("ALTER TABLE h ALTER n SET NOT NULL", {"column n": "integer NOT NULL"}, []),
    ("ALTER TABLE h ADD COLUMN c text COLLATE \"C\" DEFAULT 'x'",
     {"column c": 'text COLLATE pg_catalog."C"', "default of column c": "'x'::text"}, []),
    ("ALTER TABLE h ADD COLUMN g int GENERATED ALWAYS AS (n * 2) STORED",
     {"column g": "integer GENERATED ALWAYS AS ((n * 2))"}, []),
    ("ALTER TABLE h ADD COLUMN g int GENERATED ALWAYS AS (n * 2) STORED; ALTER TABLE h DROP COLUMN g",
     {}, ["column g"]),
    ("ALTER TABLE h RENAME n TO number", {"column number": "integer"}, ["column n"]),
    ("ALTER VIEW h RENAME COLUMN n TO number", {"column number": "integer"}, ["column n"]),
    ("CREATE TRIGGER a AFTER INSERT OR UPDATE OF n, w ON h FOR EACH ROW WHEN (NEW.n > 3) EXECUTE FUNCTION f('x')",
     {"trigger a": "AFTER INSERT OR UPDATE OF n, w FOR EACH ROW WHEN ((new.n > 3)) EXECUTE FUNCTION public.f('x')"},
     []),
    ("CREATE TRIGGER a AFTER INSERT ON h EXECUTE FUNCTION f(); ALTER TABLE h DISABLE TRIGGER a",
     {"trigger a": "AFTER INSERT FOR EACH STATEMENT EXECUTE FUNCTION public.f(), disabled"}, []),
    ("CREATE TRIGGER a AFTER INSERT ON h EXECUTE FUNCTION f(); ALTER TRIGGER a ON h RENAME TO b",
     {"trigger b": "AFTER INSERT FOR EACH STATEMENT EXECUTE FUNCTION public.f()"}, ["trigger a"]),
    ("CREATE TRIGGER a AFTER INSERT ON h EXECUTE FUNCTION f(); ALTER FUNCTION f RENAME TO g",
     {"trigger a": "AFTER INSERT FOR EACH STATEMENT EXECUTE FUNCTION public.g()"}, []),
    ("CREATE TRIGGER a AFTER INSERT ON h EXECUTE FUNCTION f(); DROP TRIGGER a ON h", {}, ["trigger a"]),
    ("CREATE RULE r AS ON UPDATE TO h DO ALSO NOTIFY x", {"rule r": "ON UPDATE DO\n NOTIFY x;"}, []),
    ("CREATE RULE r AS ON UPDATE TO h DO ALSO NOTIFY x; ALTER RULE r ON h RENAME TO q",
     {"rule q": "ON UPDATE DO\n NOTIFY x;"}, ["rule r"]),
    ("CREATE RULE r AS ON DELETE TO h DO ALSO NOTIFY x; DROP RULE r ON h", {}, ["rule r"]),
    ("ALTER TYPE mood ADD VALUE 'worse' BEFORE 'bad'", {"type public.mood": 'enum ["fine", "worse", "bad"]'}, []),
    ("ALTER TYPE mood RENAME TO feeling",
     {"type public.feeling": 'enum ["fine", "bad"]', "column m": "public.feeling"}, ["type public.mood"]),
    ("ALTER DOMAIN word DROP CONSTRAINT word_check", {"type public.word": "domain over text"}, []),
    (ROLE + "GRANT CREATE ON SCHEMA public TO r_{db}; REASSIGN OWNED BY r_{db} TO postgres; "
     "ALTER TABLE h OWNER TO r_{db}; REASSIGN OWNED BY r_{db} TO postgres", {"owner": "postgres"}, []),
    (ROLE + "CREATE POLICY p ON h TO r_{db}; ALTER ROLE r_{db} RENAME TO q_{db}",
     {"policy p": "permissive for all to q_{db}"}, []),
]  # fmt: skip
NOT_JOURNALED = [
    "COMMENT ON TABLE h IS 'x'; GRANT SELECT ON h TO PUBLIC; ANALYZE h; VACUUM FULL h; REINDEX TABLE h",
    "ALTER TABLE h SET (fillfactor = 50), ALTER n SET STATISTICS 5; ALTER INDEX h_seal_chain_seal_seq_idx RENAME TO i",
    "ALTER TABLE h ENABLE TRIGGER ALL; ALTER TABLE h ENABLE TRIGGER USER",
    "ALTER TABLE h ENABLE TRIGGER zzz_pgseal_guard; ALTER TABLE h ENABLE TRIGGER zzz_pgseal_truncate",
    "CREATE TABLE o2 (a int); ALTER TABLE o2 ADD COLUMN b int; DROP TABLE o2; CREATE VIEW v AS SELECT * FROM h",
    "ALTER TABLE h ALTER n SET DEFAULT NULL; CREATE TEMP TABLE t (a int); DROP TABLE t; DROP VIEW IF EXISTS nothing",
]


def drop_roles(db: Database) -> None:
    for name in ("r", "q"):
        role = f"{name}_{db.name}"
        if db.value("SELECT count(*) FROM pg_roles WHERE rolname = %s", [role]):
            db.run(f"REASSIGN OWNED BY {role} TO postgres; DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.parametrize(("statements", "set_items", "unset"), CHANGES)
def test_what_is_journaled(db: Database, statements: str, set_items: dict[str, str], unset: list[str]) -> None:
    db.run(HISTORY)
    forget(db)
    *before, last = statements.format(db=db.name).split("; ")
    for statement in before:
        db.run(statement)
    forget(db)
    db.run(last)
    try:
        (change,) = definition_changes(db)
        assert change["details"]["set"] == {item: text.format(db=db.name) for item, text in set_items.items()}
        assert change["details"]["unset"] == unset
        assert change["sentence"].startswith(f"{change['details']['command']} changed public.h: ")
        assert_intact(db, 1)
        table = set_items.get("table", "public.h")
        db.run(f"INSERT INTO {table} VALUES (2, 'bad')")
        assert_intact(db, 2)
    finally:
        drop_roles(db)


@pytest.mark.parametrize("statements", NOT_JOURNALED)
def test_what_is_not(db: Database, statements: str) -> None:
    db.run(HISTORY)
    forget(db)
    for statement in statements.split("; "):
        db.run(statement)
    assert sentences(db) == []
    assert db.rows("SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'h'::regclass ORDER BY 1") == [
        ("zzz_pgseal_guard", "A"), ("zzz_pgseal_seal", "O"), ("zzz_pgseal_truncate", "A"),
    ]  # fmt: skip
    assert_intact(db, 1)


def test_partitions(db: Database) -> None:
    db.run("""CREATE TABLE h (n int, t text DEFAULT 'x') PARTITION BY RANGE (n);
              CREATE TABLE h1 PARTITION OF h FOR VALUES FROM (0) TO (10); SELECT seal.attach('h');
              CREATE TABLE fresh (LIKE h)""")
    forget(db)
    for statement, set_items, unset in [
        ("CREATE TABLE h2 PARTITION OF h FOR VALUES FROM (10) TO (20)",
         {"partition public.h2": "FOR VALUES FROM (10) TO (20)"}, []),
        ("ALTER TABLE h2 ALTER t SET DEFAULT 'y'",
         {"default of column t on partition public.h2": "'y'::text"}, []),
        ("CREATE INDEX i2 ON h2 (t)", {"index i2 on partition public.h2": "USING btree (t)"}, []),
        ("CREATE INDEX i ON h (n)", {"index i": "USING btree (n)"}, []),
        ("ALTER TABLE h DETACH PARTITION h2", {},
         ["default of column t on partition public.h2", "index i2 on partition public.h2", "partition public.h2"]),
        ("ALTER TABLE h ATTACH PARTITION fresh DEFAULT",
         {"partition public.fresh": "DEFAULT", "default of column t on partition public.fresh": "none"}, []),
        ("DROP TABLE fresh", {}, ["default of column t on partition public.fresh", "partition public.fresh"]),
        ("CREATE TABLE h3 PARTITION OF h FOR VALUES FROM (30) TO (50) PARTITION BY RANGE (n)",
         {"partition public.h3": "FOR VALUES FROM (30) TO (50) (partitioned)"}, []),
        ("CREATE SCHEMA s CREATE TABLE h31 PARTITION OF public.h3 FOR VALUES FROM (30) TO (40)",
         {"partition s.h31": "of public.h3 FOR VALUES FROM (30) TO (40)"}, []),
    ]:  # fmt: skip
        db.run(statement)
        change = definition_changes(db)[-1]
        assert (change["details"]["set"], change["details"]["unset"]) == (set_items, unset), statement
    assert len(sentences(db)) == 9
    db.run("INSERT INTO h VALUES (1), (35)")
    assert refusal(db, "DELETE FROM s.h31").state == "55000"
    assert refusal(db, "TRUNCATE s.h31").state == "55000"
    assert_intact(db, 2)


def test_an_index_that_could_not_be_built(db: Database) -> None:
    """What CONCURRENTLY leaves behind is part of the definition, since it stays."""
    db.run(f"{HISTORY}; INSERT INTO h VALUES (1, 'bad')")
    forget(db)
    assert refusal(db, "CREATE UNIQUE INDEX CONCURRENTLY i ON h (n)").state == "23505"
    assert sentences(db) == ["CREATE INDEX changed public.h: index i was added"]
    db.run("CREATE INDEX j ON h (n)")
    db.run("DROP INDEX i")
    assert sentences(db)[1:] == [
        "CREATE INDEX changed public.h: index j was added",
        "DROP INDEX changed public.h: index i was removed",
    ]
    assert_intact(db, 2)


def test_by_an_owner_without_rights_on_pgseal(db: Database, roles: Roles) -> None:
    owner = roles.session("plain")
    role = owner.info.user
    db.run(f"{HISTORY}; GRANT CREATE ON SCHEMA public TO {role}; ALTER TABLE h OWNER TO {role}")
    forget(db)
    owner.execute("CREATE INDEX i ON h (n); ALTER TABLE h ENABLE ROW LEVEL SECURITY; ALTER TABLE h RENAME TO g")
    assert len(sentences(db)) == 3
    assert_intact(db, 1)


def test_nothing_of_the_sessions_is_called(db: Database, roles: Roles) -> None:
    """A search path with operators of the session's own must not reach what pgseal asks the catalogs."""
    owner = roles.owner()
    role = owner.info.user
    owner.execute(
        f"""CREATE TABLE h (n int PRIMARY KEY); SELECT seal.attach('h');
            CREATE FUNCTION spy(name, name) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RAISE ''spied''; END';
            CREATE FUNCTION spy(oid, oid) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RAISE ''spied''; END';
            CREATE OPERATOR = (FUNCTION = spy, LEFTARG = name, RIGHTARG = name);
            CREATE OPERATOR = (FUNCTION = spy, LEFTARG = oid, RIGHTARG = oid);
            SET search_path = {role}, pg_catalog""".encode()
    )
    for statement in [
        "CREATE INDEX i ON h (n)", "DROP INDEX i", "ALTER TABLE h RENAME TO g", "ALTER TABLE g RENAME TO h",
        "CREATE TABLE other (a int)", "DROP TABLE other", f"ALTER SCHEMA {role} RENAME TO {role}",
    ]:  # fmt: skip
        try:
            owner.execute(statement.encode())
        except psycopg.Error as error:
            assert "spied" not in str(error), statement
    assert refusal(owner, "DROP TABLE h").message == f'cannot drop table "{role}.h": it is a history'


def test_create_table_stays_cheap(db: Database) -> None:
    def cost() -> float:
        times = []
        for _ in range(40):
            started = time.perf_counter()
            db.run("CREATE TEMP TABLE x (a int)")
            times.append(time.perf_counter() - started)
            db.run("DROP TABLE x")
        return sorted(times)[len(times) // 2]

    before = cost()
    for number in range(10):
        db.run(f"CREATE TABLE h{number} (n int PRIMARY KEY, t text); SELECT seal.attach('h{number}')")
    assert cost() - before < 0.001
