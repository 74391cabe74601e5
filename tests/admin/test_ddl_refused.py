"""DDL that would break a chain, its guards or sealed entries is refused, with a HINT, whoever runs it."""

from __future__ import annotations

import pytest

from support.database import Database
from support.journal import forget, sentences
from support.refusal import NOT_IN_STATE, WRONG_OBJECT, Session, refusal, refused_without_trace
from support.roles import Roles
from support.verification import assert_intact

PLAIN = """CREATE TYPE mood AS ENUM ('fine', 'bad'); CREATE TYPE pair AS (a int, b text); CREATE DOMAIN word AS text;
           CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
           CREATE TABLE h (n int PRIMARY KEY, m mood, p pair, ps pair[], w word); SELECT seal.attach('h');
           INSERT INTO h VALUES (1, 'fine', '(1,x)', '{}', 'w')"""
PARTS = """CREATE TABLE h (n int, t text) PARTITION BY RANGE (n);
           CREATE TABLE h1 PARTITION OF h FOR VALUES FROM (0) TO (10);
           CREATE TABLE h2 PARTITION OF h FOR VALUES FROM (10) TO (20); SELECT seal.attach('h');
           INSERT INTO h VALUES (1, 'x')"""

DETACH = "SELECT seal.detach("
OWN = "cannot change the triggers of pgseal on table"
SEAL_COLUMN = "cannot drop, rename or change a seal column of history"
INDEX = "cannot drop the index on (seal_chain, seal_seq) of table"
ENTRIES = "from a history: it has sealed entries"

REFUSED = [
    ("ALTER TABLE {h} DISABLE TRIGGER ALL", OWN, DETACH),
    ("ALTER TABLE {h} DISABLE TRIGGER USER", OWN, "Name the trigger that you mean"),
    ("ALTER TABLE {h} DISABLE TRIGGER zzz_pgseal_seal", OWN, DETACH),
    ("ALTER TABLE {h} DISABLE TRIGGER zzz_pgseal_guard", OWN, DETACH),
    ("ALTER TABLE {h} DISABLE TRIGGER zzz_pgseal_truncate", OWN, DETACH),
    ("ALTER TABLE {h} ENABLE REPLICA TRIGGER zzz_pgseal_guard", OWN, DETACH),
    ("ALTER TABLE {h} ENABLE REPLICA TRIGGER zzz_pgseal_seal", OWN, DETACH),
    ("ALTER TABLE {h} ENABLE ALWAYS TRIGGER zzz_pgseal_seal", OWN, DETACH),
    ("ALTER TABLE {h} ALTER n SET DEFAULT 5, DISABLE TRIGGER zzz_pgseal_truncate", OWN, DETACH),
    ("DROP TRIGGER zzz_pgseal_seal ON {h}", OWN, DETACH),
    ("DROP TRIGGER zzz_pgseal_guard ON {h} CASCADE", OWN, DETACH),
    ("DROP TRIGGER zzz_pgseal_truncate ON {h}", OWN, DETACH),
    ("ALTER TRIGGER zzz_pgseal_seal ON {h} RENAME TO aaa", OWN, DETACH),
    ("ALTER TRIGGER zzz_pgseal_truncate ON {h} RENAME TO aaa", OWN, DETACH),
    ("CREATE OR REPLACE TRIGGER zzz_pgseal_guard BEFORE UPDATE ON {h} FOR EACH ROW EXECUTE FUNCTION f()", OWN, DETACH),
    ("CREATE RULE r AS ON INSERT TO {h} DO INSTEAD NOTHING", "would change what INSERT does", "AFTER INSERT"),
    ("CREATE RULE r AS ON INSERT TO {h} DO ALSO SELECT 1", "would change what INSERT does", "AFTER INSERT"),
    ("CREATE TRIGGER zzzz BEFORE INSERT ON {h} FOR EACH ROW EXECUTE FUNCTION f()",
     'trigger "zzzz" of history "public.h" would run after the row was signed', 'such as "a_zzzz"'),
    ("DROP TABLE {h}", 'cannot drop table "public.h": it is a history', DETACH),
    ("DROP TABLE IF EXISTS nothing, {h} CASCADE", 'cannot drop table "public.h": it is a history', DETACH),
    ("ALTER TABLE {h} ALTER seal_mac DROP NOT NULL", SEAL_COLUMN, DETACH),
    ("ALTER TABLE {h} RENAME seal_mac TO mac", SEAL_COLUMN, DETACH),
    ("ALTER TABLE {h} DROP COLUMN seal_prev", SEAL_COLUMN, DETACH),
    ("ALTER TABLE {h} DROP COLUMN seal_prev CASCADE", SEAL_COLUMN, DETACH),
    ("ALTER TABLE {h} DROP COLUMN IF EXISTS seal_chain", SEAL_COLUMN, DETACH),
    ("ALTER TABLE {h} ALTER seal_seq TYPE int", SEAL_COLUMN, DETACH),
]  # fmt: skip
PLAIN_ONLY = [
    ("DROP INDEX h_seal_chain_seal_seq_idx", INDEX, "Leave it"),
    ("DROP INDEX h_seal_chain_seal_seq_idx CASCADE", INDEX, "Leave it"),
    ("ALTER TYPE mood RENAME VALUE 'fine' TO 'good'", "cannot change type public.mood: history", "Create a new type"),
    ("ALTER TYPE pair ADD ATTRIBUTE c int", "cannot change type public.pair: history", "Create a new type"),
    ("ALTER TYPE pair DROP ATTRIBUTE b", "cannot change type public.pair: history", "Create a new type"),
    ("ALTER TYPE pair RENAME ATTRIBUTE a TO z", "cannot change type public.pair: history", "Create a new type"),
    ("DROP TYPE mood CASCADE", 'cannot drop column "m" of history "public.h"', "Add a new column"),
    ("DROP TYPE pair CASCADE", "of history", "Add a new column"),
    ("DROP DOMAIN word CASCADE", 'cannot drop column "w" of history "public.h"', "Add a new column"),
    ("DO $$ BEGIN DROP TYPE mood CASCADE; END $$", 'cannot drop column "m" of history', "Add a new column"),
    ("DO $$ BEGIN EXECUTE 'ALTER TABLE h DISABLE TRIGGER ALL'; END $$", OWN, DETACH),
]
PARTS_ONLY = [
    ("DROP TABLE h1", f'cannot drop partition "public.h1" {ENTRIES}', "pruning"),
    ("ALTER TABLE h DETACH PARTITION h1", f'cannot detach partition "public.h1" {ENTRIES}', "pruning"),
    ("ALTER TABLE h DETACH PARTITION h1 CONCURRENTLY", "cannot detach partition", "without CONCURRENTLY"),
    ("DROP INDEX h1_seal_chain_seal_seq_idx", INDEX, "Leave it"),
    ("ALTER TABLE h1 DISABLE TRIGGER ALL", OWN, DETACH),
    ("ALTER TABLE ONLY h DISABLE TRIGGER zzz_pgseal_guard", OWN, DETACH),
    ("ALTER TABLE h2 DISABLE TRIGGER zzz_pgseal_seal", OWN, DETACH),
    ("DROP TRIGGER zzz_pgseal_truncate ON h2", OWN, DETACH),
    ("CREATE RULE r AS ON INSERT TO h2 DO INSTEAD NOTHING", "would change what INSERT does", "AFTER INSERT"),
    ("CREATE TRIGGER zzzz BEFORE INSERT ON h1 FOR EACH ROW EXECUTE FUNCTION f()", "would run after", "a_zzzz"),
]


def check(db: Database, session: Session, case: tuple[str, str, str], table: str = "h") -> None:
    statement, message, hint = case
    refused = refused_without_trace(db, "h", statement.format(h=table), session)
    assert (refused.state, message in refused.message, hint in refused.hint) == (NOT_IN_STATE, True, True), refused
    assert refused.detail or "column" in refused.message
    assert sentences(db) == []


@pytest.mark.parametrize("case", [*REFUSED, *PLAIN_ONLY])
def test_of_a_plain_table(db: Database, case: tuple[str, str, str]) -> None:
    db.run(PLAIN)
    check(db, db, case)
    db.run("INSERT INTO h (n) VALUES (2)")
    assert_intact(db, 2)


@pytest.mark.parametrize("case", [*REFUSED, *PARTS_ONLY])
def test_of_a_partitioned_table(db: Database, case: tuple[str, str, str]) -> None:
    db.run(f"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; {PARTS}")
    check(db, db, case)
    db.run("INSERT INTO h VALUES (2), (12)")
    assert_intact(db, 3)


def test_of_an_owner(db: Database, roles: Roles) -> None:
    owner = roles.owner()
    role = owner.info.user
    db.run(f"{PLAIN}; GRANT CREATE ON SCHEMA public TO {role}; GRANT EXECUTE ON FUNCTION f() TO {role}")
    db.run(f"ALTER TABLE h OWNER TO {role}; ALTER TYPE mood OWNER TO {role}; ALTER TYPE pair OWNER TO {role}")
    db.run(f"ALTER DOMAIN word OWNER TO {role}")
    forget(db)
    for case in [*REFUSED, *PLAIN_ONLY]:
        if "DISABLE TRIGGER ALL" not in case[0]:
            check(db, owner, case, "public.h")
    assert_intact(db, 1)


def test_of_strangers_the_server_itself_complains(db: Database, roles: Roles) -> None:
    db.run(PLAIN)
    stranger = roles.session("stranger")
    for statement in ["DROP TABLE h", "ALTER TABLE h DISABLE TRIGGER ALL", "DROP EXTENSION pgseal CASCADE",
                      "DROP INDEX h_seal_chain_seal_seq_idx", "ALTER TYPE pair DROP ATTRIBUTE b",
                      "DROP TRIGGER zzz_pgseal_seal ON h"]:  # fmt: skip
        assert refusal(stranger, statement).state == "42501", statement


def test_an_index_dropped_concurrently(db: Database) -> None:
    db.run(PLAIN)
    refused = refused_without_trace(db, "h", "DROP INDEX CONCURRENTLY h_seal_chain_seal_seq_idx")
    assert (refused.state, INDEX in refused.message) == (NOT_IN_STATE, True)
    db.run("CREATE UNIQUE INDEX another ON h (seal_chain, seal_seq)")
    db.run("DROP INDEX CONCURRENTLY h_seal_chain_seal_seq_idx")
    db.run("INSERT INTO h (n) VALUES (2)")
    assert refusal(db, "DROP INDEX another").state == NOT_IN_STATE
    assert_intact(db, 2)


def test_a_trigger_renamed_or_enabled_to_come_after(db: Database) -> None:
    db.run(PLAIN)
    db.run("CREATE TRIGGER a BEFORE INSERT ON h FOR EACH ROW EXECUTE FUNCTION f()")
    refused = refused_without_trace(db, "h", "ALTER TRIGGER a ON h RENAME TO zzzz")
    assert (refused.state, "zzzz" in refused.message) == (NOT_IN_STATE, True)
    db.run("SET session_replication_role = replica; ALTER TRIGGER a ON h RENAME TO zzzz;"
           "ALTER TABLE h DISABLE TRIGGER zzzz; RESET session_replication_role")  # fmt: skip
    assert refused_without_trace(db, "h", "ALTER TABLE h ENABLE TRIGGER zzzz").state == NOT_IN_STATE
    db.run("DROP TRIGGER zzzz ON h; INSERT INTO h (n) VALUES (2)")


def test_unlogged_and_inheritance(db: Database) -> None:
    db.run(f"{PLAIN}; CREATE TABLE parent (LIKE h); CREATE TABLE above (LIKE h) PARTITION BY RANGE (n)")
    for statement, message in [
        ("ALTER TABLE h SET UNLOGGED", "an unlogged table"),
        ("ALTER TABLE h INHERIT parent", "cannot become a partition or a child"),
        ("ALTER TABLE above ATTACH PARTITION h DEFAULT", "cannot become a partition or a child"),
        ("CREATE TABLE child () INHERITS (h)", "takes part in table inheritance"),
        ("ALTER TABLE parent INHERIT h", "takes part in table inheritance"),
    ]:
        refused = refused_without_trace(db, "h", statement)
        assert (refused.state, message in refused.message) == (WRONG_OBJECT, True), refused
        assert refused.hint
    assert_intact(db, 1)


def test_a_row_type_of_another_table(db: Database) -> None:
    """What the type of a signed column is made of can be another table's row."""
    db.run("CREATE TABLE other (a int, b text); CREATE TABLE h (n int, o other, os other[]); SELECT seal.attach('h')")
    db.run("INSERT INTO h VALUES (1, '(1,x)', '{}')")
    for change in ["ADD COLUMN c int", "DROP COLUMN b", "RENAME COLUMN a TO z"]:
        refused = refused_without_trace(db, "h", f"ALTER TABLE other {change}")
        assert refused.message == 'cannot change type public.other: history "public.h" uses it'
    db.run("ALTER TABLE other RENAME TO another; ALTER TABLE another ALTER a SET NOT NULL; INSERT INTO h VALUES (2)")
    assert_intact(db, 2)
    assert refusal(db, "DROP TABLE another CASCADE").message.startswith("cannot drop column")
