"""Attach: partitioned tables, with leaves that differ, come and go."""

from __future__ import annotations

import pytest

from support.database import Database
from support.refusal import NOT_IN_STATE, notices, refusal, refused_without_trace
from support.tampering import unguarded
from support.verification import assert_intact

RANGE = """
CREATE TABLE h (n int NOT NULL, tenant text, payload jsonb) PARTITION BY RANGE (n);
CREATE TABLE h1 PARTITION OF h FOR VALUES FROM (0) TO (100);
CREATE TABLE h2 PARTITION OF h FOR VALUES FROM (100) TO (200);
CREATE TABLE hx PARTITION OF h DEFAULT;
"""
TWO_LEVELS = """
CREATE TABLE h (n int NOT NULL, tenant text, payload jsonb) PARTITION BY LIST (tenant);
CREATE TABLE ha PARTITION OF h FOR VALUES IN ('a') PARTITION BY RANGE (n);
CREATE TABLE ha1 PARTITION OF ha FOR VALUES FROM (0) TO (100);
CREATE TABLE ha2 PARTITION OF ha DEFAULT;
CREATE TABLE hb PARTITION OF h FOR VALUES IN ('b', NULL) PARTITION BY HASH (n);
CREATE TABLE hb1 PARTITION OF hb FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hb2 PARTITION OF hb FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE hd PARTITION OF h DEFAULT;
"""
SHIFTED = """
CREATE TABLE h (gone1 int, n int NOT NULL, tenant text, payload jsonb, gone2 text) PARTITION BY RANGE (n);
ALTER TABLE h DROP COLUMN gone1;
CREATE TABLE h1 (payload jsonb, x int, tenant text, n int NOT NULL, gone2 text);
ALTER TABLE h1 DROP COLUMN x;
ALTER TABLE h ATTACH PARTITION h1 FOR VALUES FROM (0) TO (100);
CREATE TABLE h2 (gone2 text, tenant text, n int NOT NULL, payload jsonb);
ALTER TABLE h ATTACH PARTITION h2 FOR VALUES FROM (100) TO (200);
ALTER TABLE h DROP COLUMN gone2;
CREATE TABLE h3 PARTITION OF h DEFAULT;
"""
FILL = """INSERT INTO h (n, tenant, payload) SELECT i, (array['a', 'b', 'c'])[1 + i % 3], jsonb_build_object('i', i)
            FROM generate_series(0, 299, 7) i"""
ROWS = 43
EXTRA = "INSERT INTO h (n, tenant) VALUES (1, 'a'), (101, 'b'), (201, 'c'), (50, NULL)"

SHAPES = {"range": RANGE, "two levels": TWO_LEVELS, "shifted": SHIFTED}


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> str:
    return SHAPES[request.param]


def test_rows_of_every_leaf_are_sealed_and_verified(db: Database, shape: str) -> None:
    db.run(f"{shape}; SELECT seal.attach('h', 'tenant'); {FILL}; {EXTRA}")
    assert_intact(db, ROWS + 4)
    counts = dict(db.rows("SELECT tenant, count(*) FROM h WHERE tenant IS NOT NULL GROUP BY 1"))
    for name, count in counts.items():
        assert db.rows("SELECT verdict, entries FROM seal.verify_history(%s)", [name]) == [("intact", count)]


def test_inserted_into_a_leaf_directly(db: Database) -> None:
    db.run(f"{SHIFTED}; SELECT seal.attach('h', 'tenant')")
    db.run("INSERT INTO h1 (n, tenant) VALUES (1, 'a'); INSERT INTO h2 (n, tenant) VALUES (101, 'a')")
    with db.connection.cursor().copy("COPY h2 (n, tenant) FROM STDIN") as copy:
        copy.write("102\ta\n")
    assert db.rows("SELECT DISTINCT seal_chain, max(seal_seq) OVER () FROM h")[0][1] == 3
    assert_intact(db, 3)


def test_rows_that_are_there_become_the_baseline(db: Database, shape: str) -> None:
    db.run(f"{shape}; {FILL}")
    before = db.rows("SELECT n, tenant, payload FROM h ORDER BY n")
    refused = refused_without_trace(db, "h", "SELECT seal.attach('h')")
    assert (refused.state, refused.message) == (NOT_IN_STATE, 'table "public.h" already has rows')
    assert f"{ROWS} existing rows" in db.value("SELECT seal.attach('h', 'tenant', existing => 'seal')")
    db.run(EXTRA)
    assert db.rows("SELECT n, tenant, payload FROM h WHERE seal_epoch = 1 ORDER BY n") == before
    assert db.value("SELECT count(*) FROM h WHERE seal_epoch = 2") == 4
    assert_intact(db, ROWS + 4)


def test_each_leaf_has_an_index_and_every_level_the_guards(db: Database) -> None:
    db.run(f"{TWO_LEVELS}; SELECT seal.attach('h')")
    leaves = ["ha1", "ha2", "hb1", "hb2", "hd"]
    assert sorted(indexed(db)) == leaves
    assert guarded(db) == {name: ["A", "O", "A"] for name in ["h", "ha", "hb", *leaves]}


def indexed(db: Database) -> list[str]:
    """Tables with a usable unique index on (seal_chain, seal_seq)."""
    rows = db.rows("""SELECT indrelid::regclass::text FROM pg_index i WHERE indisunique AND indisvalid AND
                      pg_get_indexdef(indexrelid) LIKE '%(seal_chain, seal_seq)'""")
    return [name for (name,) in rows]


def guarded(db: Database) -> dict[str, list[str]]:
    """Modes of guard, seal and truncate trigger of each table that has some."""
    rows = db.rows("""SELECT tgrelid::regclass::text, array_agg(tgenabled::text ORDER BY tgname) FROM pg_trigger
                       WHERE tgname LIKE 'zzz\\_pgseal\\_%' GROUP BY 1""")
    return dict(rows)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE new PARTITION OF h FOR VALUES FROM (200) TO (300)",
        "CREATE TABLE new (LIKE h); ALTER TABLE h ATTACH PARTITION new FOR VALUES FROM (200) TO (300)",
        "CREATE TABLE new PARTITION OF h FOR VALUES FROM (200) TO (300) PARTITION BY LIST (tenant);"
        " CREATE TABLE new_a PARTITION OF new DEFAULT",
    ],
)
def test_a_new_leaf_gets_index_and_guards_by_itself(db: Database, statement: str) -> None:
    db.run(f"{RANGE}; SELECT seal.attach('h', 'tenant'); {EXTRA.replace('(201, ', '(42, ')}")
    db.run(statement)
    db.run("INSERT INTO h VALUES (250, 'a')")
    for name in ["new", "new_a"] if "new_a" in statement else ["new"]:
        assert guarded(db)[name] == ["A", "O", "A"]
        assert refusal(db, f"TRUNCATE {name}").state == NOT_IN_STATE
        assert refusal(db, f"DELETE FROM {name}").state == NOT_IN_STATE
        assert refusal(db, f"UPDATE {name} SET tenant = 'b'").state == NOT_IN_STATE
    assert ("new_a" if "new_a" in statement else "new") in indexed(db)
    assert_intact(db, 5)


def test_a_table_without_the_seal_columns_cannot_become_a_leaf_and_rows_in_one_are_found(db: Database) -> None:
    db.run(f"{RANGE}; SELECT seal.attach('h'); CREATE TABLE new (n int NOT NULL, tenant text, payload jsonb)")
    attach = "ALTER TABLE h ATTACH PARTITION new FOR VALUES FROM (200) TO (300)"
    assert refusal(db, attach).state in ("42804", "42703")
    db.run("DROP TABLE new; CREATE TABLE new (LIKE h)")
    db.run("""INSERT INTO h VALUES (1);
              INSERT INTO new SELECT 250, 'a', '{}', seal_chain, 2, 1, 0, now(), seal_mac, seal_mac FROM h""")
    db.run(attach)
    assert db.rows("SELECT kind, position FROM seal.findings()") == [("forged", 2)]


def test_a_leaf_with_entries_cannot_be_detached(db: Database) -> None:
    db.run(f"{RANGE}; SELECT seal.attach('h'); INSERT INTO h VALUES (1)")
    for statement in ["ALTER TABLE h DETACH PARTITION h1", "ALTER TABLE ONLY h DETACH PARTITION h1"]:
        refused = refused_without_trace(db, "h", statement)
        assert refused.state == NOT_IN_STATE
        assert refused.message == 'cannot detach partition "public.h1" from a history: it has sealed entries'
        assert "pruning" in refused.hint
    assert_intact(db, 1)


def test_nor_an_intermediate_partition_with_entries_below(db: Database) -> None:
    db.run(f"{TWO_LEVELS}; SELECT seal.attach('h'); INSERT INTO h VALUES (1, 'a')")
    assert refused_without_trace(db, "h", "ALTER TABLE h DETACH PARTITION ha").state == NOT_IN_STATE
    assert_intact(db, 1)


def test_an_empty_leaf_can_be_detached_and_is_an_ordinary_table_then(db: Database) -> None:
    db.run(f"{TWO_LEVELS}; SELECT seal.attach('h'); INSERT INTO h VALUES (1, 'b'); ALTER TABLE h DETACH PARTITION ha")
    db.run("ALTER TABLE ha DETACH PARTITION ha1; ALTER TABLE h DETACH PARTITION hd")
    for table in ["ha1", "hd", "ha"]:
        db.run(f"INSERT INTO {table} (n, tenant) VALUES (1000, 'a'); UPDATE {table} SET n = 1001; DELETE FROM {table}")
        db.run(f"INSERT INTO {table} (n, tenant) VALUES (1000, 'a'); TRUNCATE {table}")
    assert_intact(db, 1)
    db.run("DROP TABLE ha, ha1, hd")
    assert_intact(db, 1)


def test_a_leaf_that_is_dropped_with_its_entries_is_refused_or_found(db: Database) -> None:
    db.run(f"{RANGE}; SELECT seal.attach('h'); INSERT INTO h VALUES (1), (101), (2), (102), (3)")
    refused = refused_without_trace(db, "h", "DROP TABLE h2")
    assert refused.message == 'cannot drop partition "public.h2" from a history: it has sealed entries'
    db.run(unguarded("DROP TABLE h2"))
    found = db.rows("SELECT kind, position, last_position FROM seal.findings() ORDER BY 2")
    assert found == [("missing", 2, None), ("missing", 4, None), ("configuration_altered", None, None)]


def test_a_row_that_moves_to_another_leaf_is_refused(db: Database) -> None:
    db.run(f"{RANGE}; SELECT seal.attach('h'); INSERT INTO h VALUES (1)")
    assert refusal(db, "UPDATE h SET n = 101").state == NOT_IN_STATE


def test_attaching_a_leaf_names_the_root(db: Database) -> None:
    db.run(TWO_LEVELS)
    for leaf in ["ha", "ha1", "hd"]:
        refused = refused_without_trace(db, leaf, f"SELECT seal.attach('{leaf}')")
        assert refused.state == "42809"
        assert refused.message == f'"public.{leaf}" is a partition of "public.h"'
        assert refused.hint == "Run it for the whole history: 'public.h'."


def test_verify_and_detach_by_the_name_of_a_leaf(db: Database) -> None:
    db.run(f"{TWO_LEVELS}; SELECT seal.attach('h'); INSERT INTO h VALUES (1, 'a')")
    answer = db.rows("SELECT history, verdict FROM seal.verify_history(history => 'ha1')")
    assert answer == [("public.h", "intact")]
    assert refused_without_trace(db, "h", "SELECT seal.detach('ha1')").state == "42809"


def test_a_partition_of_another_kind_is_refused_and_named(db: Database) -> None:
    db.run(f"{RANGE}; CREATE UNLOGGED TABLE hu PARTITION OF h FOR VALUES FROM (300) TO (400)")
    refused = refused_without_trace(db, "h", "SELECT seal.attach('h')")
    assert refused.state == "42809" and "hu" in refused.message and "SET LOGGED" in refused.hint


@pytest.mark.parametrize("kind", ["UNLOGGED", "FOREIGN"])
def test_such_a_partition_cannot_come_later_either(db: Database, kind: str) -> None:
    db.run(f"{RANGE}; SELECT seal.attach('h')")
    db.run("CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw")
    server = "SERVER files OPTIONS (filename '/dev/null')" if kind == "FOREIGN" else ""
    refused = refused_without_trace(
        db, "h", f"CREATE {kind} TABLE later PARTITION OF h FOR VALUES FROM (300) TO (400) {server}"
    )
    assert refused.hint


def test_the_notice_counts_all_leaves(db: Database) -> None:
    db.run(f"{RANGE}; INSERT INTO h SELECT i, repeat('x', 400) FROM generate_series(0, 199) i")
    with notices(db) as heard:
        db.run("SELECT seal.attach('h', existing => 'seal')")
    (size,) = [notice.message for notice in heard if notice.message.startswith("attaching public.h (")]
    assert int(size.split("(")[1].split()[0]) >= 80
