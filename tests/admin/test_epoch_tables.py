"""DDL that leaves the columns alone leaves the history intact, whoever runs it; what is no history is not disturbed."""

from __future__ import annotations

import pytest

from support.database import Database
from support.refusal import NOT_IN_STATE, refusal
from support.roles import Roles
from support.verification import assert_intact, kinds

HISTORY = """CREATE TABLE h (n int PRIMARY KEY, tenant text, payload jsonb); SELECT seal.attach('h', 'tenant');
             INSERT INTO h SELECT i, 't' || i % 3, jsonb_build_object('i', i) FROM generate_series(1, 50) i"""

ORDINARY = [
    "ALTER TABLE h RENAME TO renamed; ALTER TABLE renamed RENAME TO h",
    "CREATE SCHEMA s; ALTER TABLE h SET SCHEMA s; ALTER SCHEMA s RENAME TO s2; ALTER TABLE s2.h SET SCHEMA public",
    "CREATE ROLE other_{db}; ALTER TABLE h OWNER TO other_{db}; ALTER TABLE h OWNER TO postgres; DROP ROLE other_{db}",
    "VACUUM FULL h", "VACUUM (ANALYZE, FREEZE) h", "CLUSTER h USING h_pkey", "REINDEX TABLE h",
    "REINDEX (CONCURRENTLY) TABLE h",
    "ALTER TABLE h SET (fillfactor = 50), ALTER COLUMN payload SET STORAGE EXTERNAL, ALTER tenant SET STATISTICS 10",
    "ALTER TABLE h ALTER COLUMN tenant SET DEFAULT 'x', ALTER COLUMN tenant SET NOT NULL",
    "ALTER TABLE h ADD CONSTRAINT c CHECK (n > 0); ALTER TABLE h DROP CONSTRAINT c",
    "CREATE INDEX i ON h (tenant); ALTER INDEX i RENAME TO j; DROP INDEX j",
    "CREATE INDEX CONCURRENTLY i2 ON h (payload)",
    "COMMENT ON TABLE h IS 'x'; ANALYZE h; GRANT SELECT ON h TO PUBLIC",
    "ALTER TABLE h REPLICA IDENTITY FULL; ALTER TABLE h SET ACCESS METHOD heap",
    "ALTER TABLE h CLUSTER ON h_pkey; CLUSTER; ALTER TABLE h SET WITHOUT CLUSTER",
    "CREATE VIEW v AS SELECT * FROM h; CREATE STATISTICS st ON n, tenant FROM h",
    "CREATE FUNCTION a_f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;"
    " CREATE TRIGGER a_t BEFORE INSERT ON h FOR EACH ROW EXECUTE FUNCTION a_f(); ALTER TABLE h DISABLE TRIGGER a_t",
]  # fmt: skip


def test_ordinary_life_of_a_table(db: Database) -> None:
    db.run(HISTORY)
    entries = 50
    for commands in ORDINARY:
        for command in [commands] if "$$" in commands else commands.format(db=db.name).split("; "):
            db.run(command)
        entries += 1
        db.run(f"INSERT INTO h VALUES ({entries}, 't')")
        assert_intact(db, entries)
    assert db.value("SELECT epoch FROM seal.history") == 1


def test_a_rename_shows_in_the_answer(db: Database) -> None:
    db.run(f'{HISTORY}; CREATE SCHEMA s; ALTER TABLE h SET SCHEMA s; ALTER TABLE s.h RENAME TO "New Name"')
    assert db.rows("SELECT history, verdict FROM seal.verify_history()") == [('s."New Name"', "intact")]


def test_a_schema_with_types_of_the_history_is_renamed(db: Database) -> None:
    db.run("CREATE SCHEMA s; CREATE TYPE s.mood AS ENUM ('fine'); CREATE DOMAIN s.word AS text")
    db.run("CREATE TABLE s.h (tenant s.mood, w s.word, a s.mood[]); SELECT seal.attach('s.h', 'tenant')")
    db.run("INSERT INTO s.h VALUES ('fine', 'w', '{fine}')")
    for entries, change in enumerate(
        [
            "ALTER SCHEMA s RENAME TO s2",
            "ALTER TYPE s2.mood RENAME TO feeling",
            "ALTER DOMAIN s2.word RENAME TO term",
            "ALTER TYPE s2.feeling SET SCHEMA public",
            "ALTER TYPE feeling ADD VALUE 'bad'",
        ],
        2,
    ):
        db.run(change)
        db.run("INSERT INTO s2.h VALUES ('fine', 'w', '{fine}')")
        assert_intact(db, entries)


def test_ddl_by_an_owner_who_is_no_superuser(db: Database, roles: Roles) -> None:
    owner = roles.owner()
    owner.execute("CREATE TABLE h (n int, a text); SELECT seal.attach('h'); INSERT INTO h VALUES (1, 'x')")
    owner.execute("ALTER TABLE h ADD COLUMN c int DEFAULT 7; ALTER TABLE h RENAME a TO b; ALTER TABLE h RENAME TO h2")
    owner.execute("INSERT INTO h2 (n, b) VALUES (2, 'y')")
    assert refusal(owner, "ALTER TABLE h2 DROP COLUMN b").state == NOT_IN_STATE
    assert db.value("SELECT epoch FROM seal.history") == 3
    assert_intact(db, 2)


def test_an_owner_without_any_role_of_pgseal(db: Database, roles: Roles) -> None:
    owner = roles.session("plain")
    role = owner.info.user
    db.run("CREATE TABLE h (n int) PARTITION BY RANGE (n); CREATE TABLE h1 PARTITION OF h FOR VALUES FROM (0) TO (9)")
    db.run(f"SELECT seal.attach('h'); GRANT CREATE ON SCHEMA public TO {role}")
    db.run(f"ALTER TABLE h OWNER TO {role}; ALTER TABLE h1 OWNER TO {role}")
    owner.execute("ALTER TABLE h ADD COLUMN c int; INSERT INTO h (n) VALUES (1)")
    # PostgreSQL asks whoever makes a partition for the right to create the root's triggers on it.
    partition = "CREATE TABLE h2 PARTITION OF h FOR VALUES FROM (10) TO (20)"
    assert refusal(owner, partition).state == "42501"
    db.run(f"GRANT pgseal_admin TO {role}")
    owner.execute(f"{partition}; INSERT INTO h (n) VALUES (11)".encode())
    assert_intact(db, 2)


def test_ddl_of_others_is_not_disturbed(db: Database, roles: Roles) -> None:
    db.run(HISTORY)
    other = roles.session("other")
    db.run(f"CREATE SCHEMA o AUTHORIZATION {other.info.user}")
    for statement in [
        "CREATE TABLE o.t (n int, seal_mac text)", "ALTER TABLE o.t ADD COLUMN c int DEFAULT 1",
        "ALTER TABLE o.t RENAME COLUMN c TO d", "ALTER TABLE o.t DROP COLUMN d", "CREATE TABLE o.u AS SELECT 1 AS n",
        "ALTER TABLE o.t ALTER COLUMN n TYPE bigint", "CREATE TABLE o.p (n int) PARTITION BY RANGE (n)",
        "CREATE TABLE o.p1 PARTITION OF o.p DEFAULT", "ALTER TABLE o.p DETACH PARTITION o.p1",
        "CREATE TEMP TABLE t (n int)",
        "ALTER TABLE pg_temp.t ADD COLUMN x int", "SELECT 1 AS n INTO o.v", "DROP TABLE o.t, o.u, o.p, o.p1, o.v",
    ]:  # fmt: skip
        other.execute(statement.encode())
    assert_intact(db, 50)


def test_with_the_event_trigger_disabled_inserts_fail_closed_with_a_hint_that_works(db: Database, roles: Roles) -> None:
    owner = roles.owner()
    owner.execute("CREATE TABLE h (n int); SELECT seal.attach('h'); INSERT INTO h VALUES (1)")
    db.run("ALTER EVENT TRIGGER pgseal_after_ddl DISABLE")
    owner.execute("ALTER TABLE h ADD COLUMN c int DEFAULT 3")
    refused = refusal(owner, "INSERT INTO h (n) VALUES (2)")
    table = f"{owner.info.user}.h"
    assert (refused.state, refused.message) == (
        NOT_IN_STATE,
        f'the columns of history "{table}" are not those of its newest epoch',
    )
    assert refused.detail == 'Column "c" is not part of epoch 1.'
    assert refused.hint == f"Run as the table's owner: SELECT seal.open_epoch('{table}')."
    # The default that shows in the first entry was signed by nobody.
    assert set(kinds(db)) == {"configuration_altered", "unknown_column"}
    owner.execute(refused.hint.partition(": ")[2].rstrip(".").encode())
    owner.execute("INSERT INTO h (n) VALUES (2)")
    owner.execute(f"SELECT seal.open_epoch('{table}')".encode())
    assert db.value("SELECT epoch FROM seal.history") == 2
    db.run("ALTER EVENT TRIGGER pgseal_after_ddl ENABLE")
    assert_intact(db, 2)


def test_a_rename_with_the_event_trigger_disabled_can_be_mended(db: Database) -> None:
    db.run(f"{HISTORY}; ALTER EVENT TRIGGER pgseal_after_ddl DISABLE; ALTER TABLE h RENAME payload TO content")
    refused = refusal(db, "INSERT INTO h VALUES (51)")
    assert refused.state == NOT_IN_STATE
    db.run(refused.hint.partition(": ")[2].rstrip("."))
    db.run("INSERT INTO h VALUES (51); ALTER EVENT TRIGGER pgseal_after_ddl ENABLE")
    assert_intact(db, 51)


@pytest.mark.parametrize("function", ["open_epoch", "detach"])
def test_the_table_of_another(db: Database, roles: Roles, function: str) -> None:
    db.run(HISTORY)
    admin = roles.session("admin", member_of="pgseal_admin")
    assert refusal(admin, f"SELECT seal.{function}('h')").state == "42501"
