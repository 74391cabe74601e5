"""Attach of a table that has rows: refused, or sealed as a labelled baseline that nobody else takes part in."""

from __future__ import annotations

from typing import Any

import pytest

from support.database import Database
from support.refusal import NOT_IN_STATE, refused_without_trace
from support.roles import Roles
from support.verification import assert_intact

TABLE = "CREATE TABLE h (n int PRIMARY KEY, tenant text, payload jsonb, touched timestamptz)"
ROWS = "INSERT INTO h SELECT i, 'acme', jsonb_build_object('i', i) FROM generate_series(1, 5) i"


def epochs(database: Database) -> list[tuple[Any, ...]]:
    return database.rows("SELECT epoch, record->'baseline', record ? 'previous' FROM seal.epoch ORDER BY 1")


def test_rows_are_refused_unless_asked_for(db: Database) -> None:
    db.run(f"{TABLE}; {ROWS}")
    refused = refused_without_trace(db, "h", "SELECT seal.attach('h')")
    assert (refused.state, refused.message) == (NOT_IN_STATE, 'table "public.h" already has rows')
    db.run(refused.hint.partition(": ")[2].rstrip("."))
    assert_intact(db, 5)


def test_the_baseline_is_epoch_1_and_later_rows_epoch_2(db: Database) -> None:
    db.run(f"{TABLE}; {ROWS}")
    answer = db.value("SELECT seal.attach('h', 'tenant', existing => 'seal')")
    assert "5 existing rows sealed as its baseline" in answer
    db.run("INSERT INTO h VALUES (6, 'acme')")
    assert epochs(db) == [(1, True, False), (2, False, True)]
    assert db.rows("SELECT seal_epoch, count(*), min(seal_seq), max(seal_seq) FROM h GROUP BY 1 ORDER BY 1") == [
        (1, 5, 1, 5),
        (2, 1, 6, 6),
    ]
    assert_intact(db, 6)


def test_without_rows_there_is_no_baseline(db: Database) -> None:
    db.run(f"{TABLE}; SELECT seal.attach('h', existing => 'seal')")
    assert epochs(db) == [(1, False, False)]


def test_nothing_else_of_a_row_changes(db: Database) -> None:
    db.run(f"{TABLE}; {ROWS}")
    before = db.rows("SELECT * FROM h ORDER BY n")
    db.run("SELECT seal.attach('h', existing => 'seal')")
    assert db.rows("SELECT n, tenant, payload, touched FROM h ORDER BY n") == before


def make_triggers(db: Database, table: str, moment: str) -> None:
    """Triggers on UPDATE for rows and statements that change the row and note down what they see."""
    db.run("CREATE TABLE IF NOT EXISTS seen (what text)")
    db.run("""CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
              BEGIN
                  INSERT INTO seen VALUES (TG_OP || ' ' || TG_LEVEL);
                  IF TG_LEVEL = 'ROW' THEN NEW.touched := now(); RETURN NEW; END IF;
                  RETURN NULL;
              END $$""")
    for level in ["ROW", "STATEMENT"]:
        db.run(f"CREATE TRIGGER a_{level} {moment} UPDATE ON {table} FOR EACH {level} EXECUTE FUNCTION touch()")


@pytest.mark.parametrize("moment", ["BEFORE", "AFTER"])
def test_no_trigger_of_the_table_sees_an_update(db: Database, moment: str) -> None:
    db.run(f"{TABLE}; {ROWS}")
    make_triggers(db, "h", moment)
    db.run("SELECT seal.attach('h', existing => 'seal')")
    assert db.rows("SELECT what FROM seen") == []
    assert db.value("SELECT count(*) FROM h WHERE touched IS NOT NULL") == 0
    assert db.rows("SELECT tgname, tgenabled FROM pg_trigger WHERE tgname LIKE 'a\\_%' ORDER BY 1") == [
        ("a_row", "O"),
        ("a_statement", "O"),
    ]
    assert db.value("SHOW session_replication_role") == "origin"
    assert_intact(db, 5)


def test_triggers_and_rules_that_would_fire_are_named_and_refused(db: Database) -> None:
    """Those fire whatever pgseal does, so that the owner has to decide."""
    db.run(f"{TABLE}; {ROWS}; CREATE RULE a_rule AS ON UPDATE TO h DO INSTEAD NOTHING")
    db.run("ALTER TABLE h DISABLE RULE a_rule")
    make_triggers(db, "h", "BEFORE")
    modes = {
        "TRIGGER a_row": ["ENABLE ALWAYS", "ENABLE REPLICA"],
        "TRIGGER a_statement": ["ENABLE ALWAYS", "ENABLE REPLICA"],
        "RULE a_rule": ["ENABLE", "ENABLE ALWAYS", "ENABLE REPLICA"],
    }
    for which, refusing in modes.items():
        name = which.split()[1]
        for mode in refusing:
            db.run(f"ALTER TABLE h {mode} {which}")
            refused = refused_without_trace(db, "h", "SELECT seal.attach('h', existing => 'seal')")
            assert refused.state == NOT_IN_STATE
            assert name in refused.message and refused.hint
        db.run(f"ALTER TABLE h DISABLE {which}")
    db.run("ALTER TABLE h ENABLE TRIGGER USER; SELECT seal.attach('h', existing => 'seal')")
    assert db.rows("SELECT what FROM seen") == []
    assert_intact(db, 5)


def test_a_baseline_fires_no_trigger_of_a_leaf(db: Database) -> None:
    db.run("CREATE TABLE h (n int, touched timestamptz) PARTITION BY RANGE (n); CREATE TABLE h1 PARTITION OF h DEFAULT")
    db.run("INSERT INTO h VALUES (1)")
    make_triggers(db, "h1", "BEFORE")
    db.run("ALTER TABLE h1 ENABLE ALWAYS TRIGGER a_row")
    refused = refused_without_trace(db, "h", "SELECT seal.attach('h', existing => 'seal')")
    assert refused.state == NOT_IN_STATE and "a_row" in refused.message
    db.run("ALTER TABLE h1 ENABLE TRIGGER a_row; SELECT seal.attach('h', existing => 'seal')")
    assert db.rows("SELECT what FROM seen") == []
    assert_intact(db, 1)


def test_rows_that_row_security_hides_from_the_owner_are_not_overlooked(db: Database, roles: Roles) -> None:
    owner = roles.owner()
    owner.execute(TABLE)
    owner.execute(ROWS)
    owner.execute("ALTER TABLE h ENABLE ROW LEVEL SECURITY; ALTER TABLE h FORCE ROW LEVEL SECURITY")
    owner.execute("CREATE POLICY few ON h USING (n <= 0)")
    table = f"{owner.info.user}.h"
    refused = refused_without_trace(db, table, "SELECT seal.attach('h')", owner)
    assert (refused.state, refused.message) == (NOT_IN_STATE, f'table "{table}" already has rows')
    refused = refused_without_trace(db, table, "SELECT seal.attach('h', existing => 'seal')", owner)
    assert refused.state == "42501" and "NO FORCE ROW LEVEL SECURITY" in refused.hint
    owner.execute("ALTER TABLE h NO FORCE ROW LEVEL SECURITY; SELECT seal.attach('h', existing => 'seal')")
    owner.execute("ALTER TABLE h FORCE ROW LEVEL SECURITY")
    assert_intact(db, 5)


@pytest.mark.parametrize("block", ["{}", "DO $$ BEGIN PERFORM ({}); END $$", "BEGIN; {}; COMMIT"])
def test_in_autocommit_in_a_block_and_in_a_transaction(db: Database, block: str) -> None:
    db.run(f"{TABLE}; {ROWS}")
    db.run(block.format("SELECT seal.attach('h', existing => 'seal')"))
    db.run("INSERT INTO h VALUES (6)")
    assert_intact(db, 6)


def test_rolled_back_nothing_is_left(db: Database) -> None:
    db.run(f"{TABLE}; {ROWS}")
    with db.connect(autocommit=False) as session:
        session.execute("SELECT seal.attach('h', existing => 'seal')")
        session.execute("INSERT INTO h VALUES (6)")
        session.rollback()
    assert db.rows("SELECT relation FROM seal.history") == []
    assert db.value("SELECT count(*) FROM pg_attribute WHERE attrelid = 'h'::regclass AND attname LIKE 'seal%'") == 0
    db.run("UPDATE h SET payload = '{}'; SELECT seal.attach('h', existing => 'seal'); INSERT INTO h VALUES (6)")
    assert_intact(db, 6)


def test_foreign_keys_and_checks_are_no_obstacle(db: Database) -> None:
    db.run("CREATE TABLE person (id int PRIMARY KEY); INSERT INTO person VALUES (1)")
    db.run("CREATE TABLE h (n int PRIMARY KEY CHECK (n > 0), person int REFERENCES person, up int REFERENCES h)")
    db.run("INSERT INTO h VALUES (1, 1, NULL), (2, 1, 1)")
    db.run("CREATE TABLE note (n int REFERENCES h); INSERT INTO note VALUES (2)")
    db.run("SELECT seal.attach('h', existing => 'seal'); INSERT INTO h VALUES (3, 1, 2)")
    assert_intact(db, 3)


def test_a_table_of_twenty_thousand_rows_with_large_values(db: Database) -> None:
    db.run("CREATE TABLE h (n int, tenant text, payload jsonb, raw bytea)")
    db.run("""INSERT INTO h SELECT i, 't' || i % 7, jsonb_build_object('i', i, 'fill', repeat('ab', i % 400)),
                                   CASE WHEN i % 1000 = 0 THEN decode(repeat('5ea1', 20000), 'hex') END
                FROM generate_series(1, 20000) i""")
    db.run("SELECT seal.attach('h', 'tenant', existing => 'seal')")
    db.run("INSERT INTO h VALUES (0, 't1')")
    assert_intact(db, 20001)
