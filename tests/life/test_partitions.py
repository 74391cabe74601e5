"""What a partitioned history and its leaves live through, statement by statement."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.database import Database
from support.life import SERVERS_OWN, Outcome, Refused, Sealed, born
from support.refusal import NOT_IN_STATE, WRONG_OBJECT

# Rows 48 and 49 are in the first leaf, 50 to 52 in the second, which has its columns in another order.
TABLES = (
    "CREATE TABLE h (gone int, id int PRIMARY KEY, tenant text, p jsonb) PARTITION BY RANGE (id)",
    "ALTER TABLE h DROP COLUMN gone",
    "CREATE TABLE h1 PARTITION OF h FOR VALUES FROM (0) TO (50)",
    "CREATE TABLE h2 (p jsonb, id int NOT NULL, gone int, tenant text)",
    "ALTER TABLE h2 DROP COLUMN gone",
    "ALTER TABLE h ATTACH PARTITION h2 FOR VALUES FROM (50) TO (100)",
    "CREATE TABLE empty PARTITION OF h FOR VALUES FROM (1000) TO (2000)",
)
INDEX = "h1_seal_chain_seal_seq_idx"
FRESH = "FOR VALUES FROM (3000) TO (4000)"
INTO_FRESH = "INSERT INTO {h} (id, tenant) VALUES (3001, 'acme')"
HAS_ENTRIES = "Old entries go by pruning"
ROOT = "SELECT seal.detach('life.h')"
NO_UNLOGGED = Refused(WRONG_OBJECT, '"life.fresh" cannot be a history: it is an unlogged table', "SET LOGGED")


def entries_in(leaf: str, action: str) -> Refused:
    return Refused(
        NOT_IN_STATE, f'cannot {action} partition "life.{leaf}" from a history: it has sealed entries', HAS_ENTRIES
    )


def concurrently(leaf: str) -> Refused:
    message = f'cannot detach partition "life.{leaf}" from a history concurrently'
    return Refused(NOT_IN_STATE, message, "Run it without CONCURRENTLY.")


def append_only(statement: str, table: str) -> Refused:
    return Refused(NOT_IN_STATE, f'{statement} is not allowed on history "life.{table}"', ROOT)


LEAVES: dict[str, Outcome] = {
    f"CREATE TABLE fresh PARTITION OF h {FRESH}": Sealed("partition life.fresh was added", insert=INTO_FRESH),
    "CREATE TABLE fresh PARTITION OF h DEFAULT": Sealed("partition life.fresh was added", insert=INTO_FRESH),
    f"CREATE TABLE fresh PARTITION OF h {FRESH} PARTITION BY HASH (id); "
    "CREATE TABLE below PARTITION OF fresh FOR VALUES WITH (MODULUS 1, REMAINDER 0)": Sealed(
        "partition life.below was added", insert=INTO_FRESH
    ),
    f"CREATE UNLOGGED TABLE fresh PARTITION OF h {FRESH}": NO_UNLOGGED,
    f"CREATE TABLE fresh (LIKE h INCLUDING ALL); ALTER TABLE h ATTACH PARTITION fresh {FRESH}": Sealed(
        "partition life.fresh was added", insert=INTO_FRESH
    ),
    "CREATE TABLE fresh (gone int, LIKE h INCLUDING ALL); ALTER TABLE fresh DROP COLUMN gone; "
    f"ALTER TABLE h ATTACH PARTITION fresh {FRESH}": Sealed(
        "partition life.fresh was added", insert="INSERT INTO life.fresh (id, tenant) VALUES (3001, 'acme')"
    ),
    f"CREATE UNLOGGED TABLE fresh (LIKE h); ALTER TABLE h ATTACH PARTITION fresh {FRESH}": NO_UNLOGGED,
    f"CREATE TABLE fresh (LIKE h); ALTER TABLE fresh ALTER seal_mac SET DEFAULT ''; "
    f"ALTER TABLE h ATTACH PARTITION fresh {FRESH}": Refused(
        NOT_IN_STATE, 'cannot drop, rename or change a seal column of history "life.h"', ROOT
    ),
    "ALTER TABLE h DETACH PARTITION empty": Sealed("partition life.empty was removed"),
    "ALTER TABLE h DETACH PARTITION empty CONCURRENTLY": concurrently("empty"),
    "ALTER TABLE h DETACH PARTITION h1": entries_in("h1", "detach"),
    "ALTER TABLE h DETACH PARTITION h1 CONCURRENTLY": concurrently("h1"),
    "ALTER TABLE h DETACH PARTITION h1 FINALIZE": Refused(
        NOT_IN_STATE, 'cannot complete detaching partition "h1"', SERVERS_OWN
    ),
    "ALTER TABLE h DETACH PARTITION empty; "
    "ALTER TABLE h ATTACH PARTITION empty FOR VALUES FROM (1000) TO (2000)": Refused(
        "42804", 'column "seal_chain" in child table must be marked NOT NULL', SERVERS_OWN
    ),
    "DROP TABLE empty": Sealed("partition life.empty was removed"),
    "DROP TABLE h1": entries_in("h1", "drop"),
    "TRUNCATE empty": append_only("TRUNCATE", "empty"),
    "TRUNCATE h1": append_only("TRUNCATE", "h1"),
    "UPDATE h SET id = 70 WHERE id = 48": append_only("UPDATE", "h1"),
}
LEAVES_LIKE_TABLES: dict[str, Outcome] = {
    "ALTER TABLE h1 RENAME TO renamed": Sealed("partition life.h1 was removed, partition life.renamed was added"),
    "CREATE SCHEMA elsewhere; ALTER TABLE h1 SET SCHEMA elsewhere": Sealed(
        "partition life.h1 was removed, partition elsewhere.h1 was added"
    ),
    "ALTER TABLE h1 SET TABLESPACE life_elsewhere": Sealed(),
    "ALTER TABLE h SET TABLESPACE life_elsewhere; CREATE TABLE fresh PARTITION OF h DEFAULT": Sealed(
        "partition life.fresh was added", insert=INTO_FRESH
    ),
    "VACUUM FULL h": Sealed(),
    "CLUSTER h USING h_pkey": Sealed(),
    "CLUSTER h2 USING h2_pkey": Sealed(),
    "REINDEX TABLE h": Sealed(),
    "REINDEX TABLE CONCURRENTLY h": Sealed(),
    f"REINDEX INDEX CONCURRENTLY {INDEX}": Sealed(),
    f"DROP INDEX {INDEX}": Refused(
        NOT_IN_STATE, 'cannot drop the index on (seal_chain, seal_seq) of table "life.h1"', "Leave it"
    ),
    "ALTER TABLE h1 DISABLE TRIGGER ALL": Refused(
        NOT_IN_STATE, 'cannot change the triggers of pgseal on table "life.h1"', ROOT
    ),
    "ALTER TABLE h1 SET UNLOGGED": Refused(
        WRONG_OBJECT, '"life.h1" cannot be a history: it is an unlogged table', "Run: ALTER TABLE life.h1 SET LOGGED."
    ),
    "ALTER TABLE h1 ALTER seal_seq SET DEFAULT 7": Refused(
        NOT_IN_STATE, 'cannot drop, rename or change a seal column of history "life.h"', ROOT
    ),
    "ALTER TABLE h1 ALTER tenant SET DEFAULT 'acme'": Sealed(
        "default of column tenant on partition life.h1 was added",
        insert="INSERT INTO life.h1 (id) VALUES (20)",
    ),
    "ALTER TABLE h1 ADD CONSTRAINT c CHECK (id < 1000)": Sealed("constraint c on partition life.h1 was added"),
    "ALTER TABLE h1 ENABLE ROW LEVEL SECURITY": Sealed("row security on partition life.h1 was added"),
    "ALTER TABLE h1 REPLICA IDENTITY FULL": Sealed(),
    "CREATE RULE r AS ON INSERT TO h1 DO INSTEAD NOTHING": Refused(
        NOT_IN_STATE, 'rule "r" would change what INSERT does to history "life.h1"', "Use a trigger AFTER INSERT"
    ),
}
COLUMNS: dict[str, Outcome] = {
    "ALTER TABLE h ADD COLUMN c int DEFAULT 5": Sealed("column c was added, default of column c was added", epoch=2),
    "ALTER TABLE h ADD COLUMN g int GENERATED ALWAYS AS (id * 2) STORED; ALTER TABLE h DROP COLUMN g": Sealed(
        "column g was removed"
    ),
    "ALTER TABLE h DROP COLUMN p": Refused(
        NOT_IN_STATE, 'cannot drop column "p" of history "life.h"', "Add a new column and leave this one."
    ),
    "ALTER TABLE h ALTER p TYPE json": Refused(
        NOT_IN_STATE, 'cannot change the type of column "p" of history "life.h"', "Add a new column"
    ),
    "ALTER TABLE h RENAME COLUMN p TO payload": Sealed("column p was removed, column payload was added", epoch=2),
    "ALTER TABLE h1 ADD COLUMN c int": Refused("42809", "cannot add column to a partition", SERVERS_OWN),
    "ALTER TABLE h1 DROP COLUMN p": Refused("42P16", 'cannot drop inherited column "p"', SERVERS_OWN),
    "ALTER TABLE h ALTER tenant SET NOT NULL": Sealed("column tenant was changed"),
    "CREATE INDEX i ON ONLY h (tenant); CREATE INDEX i1 ON h1 (tenant); ALTER INDEX i ATTACH PARTITION i1": Sealed(
        "index i1 on partition life.h1 was removed"
    ),
}


@pytest.fixture
def life(ground: Database) -> Iterator[Database]:
    with born(ground, *TABLES) as database:
        yield database


@pytest.mark.parametrize("statements", LEAVES)
def test_leaves_come_and_go(life: Database, statements: str) -> None:
    LEAVES[statements].check(life, statements)


@pytest.mark.parametrize("statements", LEAVES_LIKE_TABLES)
def test_leaves_are_tables(life: Database, statements: str) -> None:
    LEAVES_LIKE_TABLES[statements].check(life, statements)


@pytest.mark.parametrize("statements", COLUMNS)
def test_columns_of_all_leaves(life: Database, statements: str) -> None:
    COLUMNS[statements].check(life, statements)


def test_an_empty_leaf_that_was_detached_comes_back(life: Database) -> None:
    """What detaching took away has to be given again; the guards come by themselves."""
    life.run("ALTER TABLE h DETACH PARTITION empty")
    columns = ("seal_chain", "seal_seq", "seal_epoch", "seal_anchor", "seal_at", "seal_prev", "seal_mac")
    life.run("ALTER TABLE empty " + ", ".join(f"ALTER {column} SET NOT NULL" for column in columns))
    statement = "ALTER TABLE h ATTACH PARTITION empty FOR VALUES FROM (1000) TO (2000)"
    insert = "INSERT INTO life.empty (id, tenant) VALUES (1000, 'acme')"
    Sealed("partition life.empty was added", insert=insert).check(life, statement)
