"""Detach: afterwards the table is a table like any other; the history cannot be made to vanish."""

from __future__ import annotations

import pytest

from support.cluster import KEYLESS
from support.database import Database
from support.refusal import DUPLICATE_COLUMN, NOT_IN_STATE, UNDEFINED_OBJECT, refusal, refused_without_trace
from support.roles import Roles
from support.servers import Servers
from support.verification import assert_intact, verdict

SEALED = """CREATE TABLE h (n int PRIMARY KEY, tenant text);
            SELECT seal.attach('h', 'tenant'); INSERT INTO h VALUES (1, 'acme')"""
PARTS = """CREATE TABLE h (n int PRIMARY KEY, tenant text) PARTITION BY RANGE (n);
           CREATE TABLE h1 PARTITION OF h FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (n);
           CREATE TABLE h11 PARTITION OF h1 DEFAULT; CREATE TABLE h2 PARTITION OF h DEFAULT;
           SELECT seal.attach('h', 'tenant'); INSERT INTO h VALUES (1, 'acme')"""
SEAL_COLUMNS = ["seal_chain", "seal_seq", "seal_epoch", "seal_anchor", "seal_at", "seal_prev", "seal_mac"]


def use_as_an_ordinary_table(db: Database) -> None:
    db.run("INSERT INTO h VALUES (2, 'b'), (20, 'c'); UPDATE h SET tenant = 'x' WHERE n = 1; DELETE FROM h WHERE n = 1")
    db.run("INSERT INTO h VALUES (20, 'd') ON CONFLICT (n) DO UPDATE SET tenant = 'd'; TRUNCATE h")
    with db.connection.cursor().copy("COPY h (n, tenant) FROM STDIN") as copy:
        copy.write("7\tx\n")
    db.run("ALTER TABLE h ALTER COLUMN tenant TYPE varchar(9); ALTER TABLE h DROP COLUMN tenant")
    assert db.value("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'zzz_pgseal%'") == 0


@pytest.mark.parametrize("made", [SEALED, PARTS])
def test_afterwards_it_works_as_any_table(db: Database, made: str) -> None:
    db.run(made)
    seal = db.rows("SELECT seal_chain, seal_seq, seal_mac FROM h")
    answer = db.value("SELECT seal.detach('h')")
    assert answer == "public.h is not sealed any more; its entries and their signatures stay"
    assert db.rows("SELECT seal_chain, seal_seq, seal_mac FROM h") == seal
    use_as_an_ordinary_table(db)
    db.run("DROP TABLE h")
    assert verdict(db) == "nothing_sealed"


NEEDS = [
    ("ALTER TABLE h DROP CONSTRAINT h_pkey; ALTER TABLE h ADD CONSTRAINT sealed PRIMARY KEY (seal_chain, seal_seq, n)",
     'seal column "seal_chain" is part of primary key "sealed"', "Run: ALTER TABLE public.h DROP CONSTRAINT sealed."),
    ("ALTER TABLE {leaf} REPLICA IDENTITY USING INDEX {leaf}_seal_chain_seal_seq_idx",
     'seal column "seal_chain" is part of replica identity of table "public.{leaf}"',
     "Run: ALTER TABLE public.{leaf} REPLICA IDENTITY DEFAULT."),
]  # fmt: skip


@pytest.mark.parametrize(("made", "leaf"), [(SEALED, "h"), (PARTS, "h11")], ids=["plain", "partitioned"])
@pytest.mark.parametrize(("statements", "message", "hint"), NEEDS, ids=["primary key", "replica identity"])
def test_what_needs_the_seal_columns_is_named(
    db: Database, made: str, leaf: str, statements: str, message: str, hint: str
) -> None:
    db.run(f"{made}; {statements.format(leaf=leaf)}; INSERT INTO h VALUES (2, 'acme')")
    refused = refused_without_trace(db, "h", "SELECT seal.detach('h')")
    assert refused.state == NOT_IN_STATE
    assert refused.message == f'cannot detach history "public.h": {message.format(leaf=leaf)}'
    assert refused.hint == hint.format(leaf=leaf)
    assert_intact(db, 2)
    db.run(refused.hint.removeprefix("Run: ").rstrip("."))
    db.run("SELECT seal.detach('h')")
    db.run("INSERT INTO h VALUES (30, 'b'); UPDATE h SET tenant = 'x'; TRUNCATE h")


def test_an_empty_partition_whose_seal_columns_something_needs_can_be_detached(db: Database) -> None:
    db.run(f"{PARTS}; ALTER TABLE h2 REPLICA IDENTITY USING INDEX h2_seal_chain_seal_seq_idx")
    db.run("ALTER TABLE h DETACH PARTITION h2")
    assert_intact(db, 1)
    required = "attrelid = 'h2'::regclass AND attname ~ '^seal' AND attnotnull"
    assert db.rows(f"SELECT attname::text FROM pg_attribute WHERE {required} ORDER BY 1") == [
        ("seal_chain",),
        ("seal_seq",),
    ]


def test_attached_again_after_dropping_the_left_columns(db: Database) -> None:
    db.run(f"{SEALED}; SELECT seal.detach('h')")
    refused = refused_without_trace(db, "h", "SELECT seal.attach('h', existing => 'seal')")
    assert refused.state == DUPLICATE_COLUMN and '"seal_' in refused.message
    assert "left from an earlier attachment" in refused.hint and "DROP COLUMN" in refused.hint
    db.run("ALTER TABLE h " + ", ".join(f"DROP COLUMN {column}" for column in SEAL_COLUMNS))
    db.run("SELECT seal.attach('h', 'tenant', existing => 'seal'); INSERT INTO h VALUES (2, 'acme')")
    assert_intact(db, 2, "h")
    assert_intact(db, 2)
    assert db.value("SELECT count(*) FROM seal.history") == 2
    assert db.value("SELECT count(DISTINCT history_id) FROM seal.history") == 2


def test_twice_and_of_what_was_never_attached(db: Database) -> None:
    db.run(f"{SEALED}; CREATE TABLE plain (n int); SELECT seal.detach('h')")
    for table in ["h", "plain", "pg_class"]:
        refused = refused_without_trace(db, table, f"SELECT seal.detach('{table}')")
        assert refused.state == UNDEFINED_OBJECT and refused.message.endswith('" is not attached to pgseal')
        assert refused.hint == "Attached tables: SELECT history FROM seal.status."


def test_by_the_owner_who_may_not_write_pgseals_tables(db: Database, roles: Roles) -> None:
    owner = roles.owner()
    owner.execute("CREATE TABLE h (n int); SELECT seal.attach('h'); INSERT INTO h VALUES (1)")
    owner.execute("SELECT seal.detach('h')")
    owner.execute("DELETE FROM h")
    assert db.rows("SELECT detached_by, detached_at IS NOT NULL, detach_mac IS NOT NULL FROM seal.history") == [
        (owner.info.user, True, True)
    ]


def test_rolled_back_it_is_sealed_as_before(db: Database) -> None:
    db.run(SEALED)
    with db.connect(autocommit=False) as session:
        session.execute("SELECT seal.detach('h'); DELETE FROM h; INSERT INTO h VALUES (5)")
        session.rollback()
    db.run("INSERT INTO h VALUES (2)")
    assert_intact(db, 2)


def test_verification_of_a_detached_table_says_what_it_is(db: Database) -> None:
    db.run(f"{SEALED}; CREATE TABLE other (n int); SELECT seal.attach('other'); INSERT INTO other VALUES (1)")
    db.run("SELECT seal.detach('h'); UPDATE h SET tenant = 'changed'")
    refused = refusal(db, "SELECT * FROM seal.verify_history(history => 'h')")
    assert refused.state == UNDEFINED_OBJECT and "seal.attach('public.h')" in refused.hint
    assert refusal(db, "SELECT seal.is_intact(history => 'h')").state == UNDEFINED_OBJECT
    assert db.rows("SELECT history, verdict FROM seal.verify_history()") == [("public.other", "intact")]
    assert db.rows("SELECT history FROM seal.status") == [("public.other",)]


def test_a_forged_detachment_does_not_hide_the_history(db: Database) -> None:
    db.run(SEALED)
    for change in [
        "detached_at = now()",
        "detached_at = now(), detached_by = 'postgres'",
        "detached_at = now(), detached_by = 'postgres', detach_mac = mac",
        "detached_at = now(), detached_by = 'postgres', detach_mac = ''",
    ]:
        db.run(f"UPDATE seal.history SET {change}")
        assert db.rows("SELECT history, verdict FROM seal.verify_history()") == [("public.h", "tampered")]
        assert db.rows("SELECT kind FROM seal.findings()") == [("configuration_altered",)]
        assert verdict(db, history="h") == "tampered"
        assert db.value("SELECT seal.is_intact()") is False
        # And nothing gets into it unsealed.
        assert refusal(db, "INSERT INTO h VALUES (2)").state == "55000"
        db.run("UPDATE seal.history SET detached_at = NULL, detached_by = NULL, detach_mac = NULL")
    assert_intact(db, 1)


def test_the_detachment_of_another_history_cannot_be_used(db: Database) -> None:
    db.run(f"{SEALED}; CREATE TABLE other (n int); SELECT seal.attach('other'); SELECT seal.detach('other')")
    db.run("""UPDATE seal.history h
                 SET detached_at = o.detached_at, detached_by = o.detached_by, detach_mac = o.detach_mac
                FROM seal.history o WHERE o.relation = 'other'::regclass AND h.relation = 'h'::regclass""")
    assert db.rows("SELECT history, verdict FROM seal.verify_history()") == [("public.h", "tampered")]


@pytest.mark.parametrize("made", [SEALED, PARTS])
def test_without_a_key(own_cluster: Servers, made: str) -> None:
    server = own_cluster()
    db = server.createdb()
    db.run(f"CREATE EXTENSION pgseal; {made}")
    db.close()
    server.configure(KEYLESS, restart=True)
    assert refusal(db, "INSERT INTO h VALUES (2)").state == "55000"
    db.run("SELECT seal.detach('h')")
    use_as_an_ordinary_table(db)
    # Nobody could sign that it was detached: with the key back, that is said, and not taken for nothing.
    db.close()
    server.configure({"pgseal.key_file": str(server.key_file)}, restart=True)
    (answer,) = db.records("SELECT verdict, next_step FROM seal.verify_history()")
    assert answer["verdict"] == "tampered"
    (found,) = db.rows("SELECT kind, detail FROM seal.findings()")
    assert found[0] == "configuration_altered" and "detached" in found[1]
