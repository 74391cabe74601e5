"""Ways to insert that are rarer than INSERT … VALUES: what they store is one whole chain."""

from __future__ import annotations

import psycopg
import pytest

from support.database import Database
from support.sealing import assert_whole, history, ids, run
from support.tampering import unguarded

NOTHING = "ON CONFLICT DO NOTHING"


@pytest.fixture(autouse=True)
def table(db: Database) -> None:
    history(db, options="max_chains => 1")
    db.run("INSERT INTO h VALUES (0, 'x')")
    db.run(f"""CREATE FUNCTION ins(n int) RETURNS int LANGUAGE plpgsql AS $$
               BEGIN INSERT INTO h VALUES (n, 'f'), (0, 'f') {NOTHING}; RETURN n + 100; END $$""")


WAYS = {
    "merge": [
        """MERGE INTO h USING generate_series(0, 3) g ON id = g WHEN NOT MATCHED AND g <> 2 THEN INSERT VALUES (g, 'm')
           WHEN NOT MATCHED THEN DO NOTHING"""
    ],
    "a function of the source": ["INSERT INTO h SELECT ins(g), 'x' FROM generate_series(1, 2) g"],
    "that, on conflict": [f"INSERT INTO h SELECT ins(g), 'x' FROM generate_series(1, 2) g {NOTHING}"],
    "a function of what is returned": [
        f"INSERT INTO h VALUES (101, 'x'), (0, 'x'), (102, 'x') {NOTHING} RETURNING ins(id - 100)"
    ],
    "a function in DO UPDATE": [
        "INSERT INTO h VALUES (0, 'x'), (102, 'x') ON CONFLICT (id) DO UPDATE SET p = 'y' WHERE ins(1) IS NULL",
    ],
    "holdable cursor": ["BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT ins(g) FROM generate_series(1, 3) g", "COMMIT"],
    "copy from a query's program": ["COPY h (id) FROM PROGRAM 'seq 1 3' WHERE id <> 2"],
    "copy after on conflict": [
        "BEGIN",
        f"INSERT INTO h VALUES (0, 'x') {NOTHING}",
        "COPY h (id) FROM PROGRAM 'seq 1 3'",
        "COMMIT",
    ],
    "cluster before the end": ["BEGIN", "SELECT ins(1), ins(2)", "CLUSTER h USING h_pkey", "COMMIT"],
    "a new column before the end": [
        "BEGIN",
        "SELECT ins(1)",
        "ALTER TABLE h ADD COLUMN n int DEFAULT 7",
        "SELECT ins(2)",
        "COMMIT",
    ],
    "reindex before the end": ["BEGIN", "SELECT ins(1)", "REINDEX TABLE h", "SELECT ins(2)", "COMMIT"],
    "a row security policy": [
        "CREATE ROLE {role}; GRANT INSERT, SELECT ON h TO {role}; ALTER TABLE h ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY c ON h USING (true) WITH CHECK (id < 50)",
        "SET ROLE {role}",
        f"INSERT INTO h VALUES (1, 'x'), (0, 'x'), (2, 'x') {NOTHING}",
        "RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}",
    ],
}
STORED = {
    "merge": [1, 3],
    "a function of the source": [1, 101, 2, 102],
    "that, on conflict": [1, 101, 2, 102],
    "a function of what is returned": [101, 1, 102, 2],
    "a function in DO UPDATE": [1, 102],
    "copy from a query's program": [1, 3],
    "cluster before the end": [1, 2],
    "a new column before the end": [1, 2],
    "reindex before the end": [1, 2],
    "a row security policy": [1, 2],
}


@pytest.mark.parametrize("way", WAYS)
def test_what_it_stores_is_one_whole_chain(db: Database, way: str) -> None:
    run(db.connection, *(statement.replace("{role}", f"writer_{db.name}") for statement in WAYS[way]))
    db.run("INSERT INTO h (id) VALUES (999)")
    assert sorted(ids(db)) == sorted([0, *STORED.get(way, [1, 2, 3]), 999])
    assert_whole(db)


@pytest.mark.parametrize("clause", ["", NOTHING])
def test_a_check_that_inserts_into_the_same_history(db: Database, clause: str) -> None:
    """Stored or refused with an error: a row never vanishes."""
    db.run(f"""CREATE FUNCTION note(n int) RETURNS boolean LANGUAGE plpgsql AS $$
               BEGIN IF n < 100 THEN INSERT INTO h VALUES (n + 100, 'note') {clause}; END IF; RETURN true; END $$""")
    db.run("ALTER TABLE h ADD CHECK (note(id)) NOT VALID")
    try:
        db.run(f"INSERT INTO h VALUES (1, 'x'), (2, 'x') {clause}")
    except psycopg.Error:
        assert ids(db) == [0]
    else:
        assert sorted(ids(db)) == [0, 1, 2, 101, 102]
    db.run("INSERT INTO h VALUES (200, 'x')")
    assert_whole(db)


def test_an_index_dropped_before_the_end(db: Database) -> None:
    """What cannot be looked up at commit is looked up by the next writer."""
    drop = unguarded("DROP INDEX h_seal_chain_seal_seq_idx")
    run(db.connection, "BEGIN", f"INSERT INTO h VALUES (1, 'x') {NOTHING}", drop)
    run(db.connection, "COMMIT", "CREATE UNIQUE INDEX ON h (seal_chain, seal_seq)", "INSERT INTO h VALUES (2, 'x')")
    assert ids(db) == [0, 1, 2]
    assert_whole(db)


@pytest.mark.parametrize("target", ["h", "plain"])
def test_errors_keep_their_fields(db: Database, target: str) -> None:
    """Applications tell a duplicate from another by the constraint's name, on every table of the server."""
    db.run("CREATE TABLE plain (id int PRIMARY KEY, p text); INSERT INTO plain VALUES (0, 'x')")
    with pytest.raises(psycopg.errors.UniqueViolation) as caught:
        db.run(f"INSERT INTO {target} VALUES (0, 'x')")
    found = caught.value.diag
    assert (found.schema_name, found.table_name, found.constraint_name) == ("public", target, f"{target}_pkey")
    with pytest.raises(psycopg.errors.NotNullViolation) as missing:
        db.run(f"INSERT INTO {target} VALUES (NULL, 'x')")
    assert missing.value.diag.column_name == "id"
