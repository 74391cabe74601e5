"""Attach: ordinary tables, tenants of every kind, names of every kind, parameters."""

from __future__ import annotations

import uuid

import psycopg
import psycopg.sql

from support.database import Database
from support.refusal import DUPLICATE_OBJECT, notices, refusal, refused_without_trace
from support.verification import assert_intact, verdict

SEAL_COLUMNS = [
    ("seal_chain", "text", "C"),
    ("seal_seq", "bigint", None),
    ("seal_epoch", "integer", None),
    ("seal_anchor", "bigint", None),
    ("seal_at", "timestamp with time zone", None),
    ("seal_prev", "bytea", None),
    ("seal_mac", "bytea", None),
]


def test_a_table_without_a_tenant_is_sealed_from_the_first_row(db: Database) -> None:
    db.run("CREATE TABLE h (n int, payload jsonb)")
    answer = db.value("SELECT seal.attach('h')")
    assert answer.startswith("public.h is sealed from now on (")
    db.run("INSERT INTO h SELECT i, jsonb_build_object('i', i) FROM generate_series(1, 3) i")
    assert db.rows("SELECT seal_seq, seal_epoch FROM h ORDER BY n") == [(1, 1), (2, 1), (3, 1)]
    assert_intact(db, 3)


def test_the_seven_columns_are_not_null_and_stand_last(db: Database) -> None:
    db.run("CREATE TABLE h (n int); SELECT seal.attach('h')")
    found = db.rows("""SELECT attname, format_type(atttypid, atttypmod), collname FROM pg_attribute
                         LEFT JOIN pg_collation c ON c.oid = attcollation
                        WHERE attrelid = 'h'::regclass AND attnum > 1 AND attnotnull AND NOT atthasdef
                        ORDER BY attnum""")
    assert found == SEAL_COLUMNS


def test_the_index_and_the_three_triggers(db: Database) -> None:
    db.run("CREATE TABLE h (n int); SELECT seal.attach('h')")
    assert db.rows("SELECT indisunique, indkey::text FROM pg_index WHERE indrelid = 'h'::regclass") == [(True, "2 3")]
    assert db.rows("SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'h'::regclass ORDER BY 1") == [
        ("zzz_pgseal_guard", "A"),
        ("zzz_pgseal_seal", "O"),
        ("zzz_pgseal_truncate", "A"),
    ]


TENANTS = [
    ("text", ["acme", "", "ümlaut ☃", "NULL"]),
    ("varchar(20)", ["acme", "it's"]),
    ("integer", ["1", "-2147483648"]),
    ("bigint", ["9007199254740993"]),
    ("uuid", ["0f0e0d0c-0b0a-4908-8706-050403020100"]),
    ("colour", ["red", "deep blue"]),
    ("boolean", ["t", "f"]),
    ("timestamptz", ["2020-02-29 12:00:00.000001+00"]),
]


def test_a_tenant_of_any_type_is_asked_for_by_its_text(db: Database) -> None:
    db.run("CREATE TYPE colour AS ENUM ('red', 'deep blue')")
    for number, (column_type, values) in enumerate(TENANTS):
        table = f"h{number}"
        db.run(f"CREATE TABLE {table} (tenant {column_type}, n int); SELECT seal.attach('{table}', 'tenant')")
        for count, value in enumerate(values, 1):
            for n in range(count):
                db.run(f"INSERT INTO {table} VALUES (%s::{column_type}, {n})", [value])
        db.run(f"INSERT INTO {table} VALUES (NULL, 0)")
        for count, value in enumerate(values, 1):
            answer = db.rows("SELECT verdict, entries FROM seal.verify_history(%s, %s::regclass)", [value, table])
            assert answer == [("intact", count)]
        assert_intact(db, sum(range(1, len(values) + 1)) + 1, table)


def test_a_null_tenant_is_nobodys_and_not_the_empty_text(db: Database) -> None:
    db.run("CREATE TABLE h (tenant text); SELECT seal.attach('h', 'tenant'); INSERT INTO h VALUES (NULL), (NULL)")
    assert verdict(db, "") == "nothing_sealed"
    assert_intact(db, 2)


NAMES = [
    ("public", "History", "Tenant"),
    ("My Schema", "select", "from"),
    ("o'clock", "it's", "who's"),
    ('sch"ema', 'ta"b.le', 'col"umn'),
    ("données", "Geschäft 表 🦆", "mandant_ß"),
    ("back\\slash", "per%cent %s", "br{ace}"),
    ("s" * 63, "t" * 63, "c" * 63),
]


def quoted(name: str) -> str:
    return psycopg.sql.Identifier(name).as_string(None)


def test_names_of_every_kind(db: Database) -> None:
    for schema, table, column in NAMES:
        check_names(db, schema, table, column)


def check_names(db: Database, schema: str, table: str, column: str) -> None:
    name = f"{quoted(schema)}.{quoted(table)}"
    db.run(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
    db.run(f"CREATE TABLE {name} ({quoted(column)} text, payload jsonb)")
    db.run("SELECT seal.attach(%s::regclass, tenant_column => %s)", [name, column])
    db.run(f"INSERT INTO {name} VALUES ('acme', '{{}}'), ('other', '{{}}')")
    shown = db.value("SELECT history FROM seal.verify_history()")
    assert db.value("SELECT %s::regclass = %s::regclass", [shown, name])
    assert_intact(db, 2, name)
    assert verdict(db, "acme", name) == "intact"
    # What a HINT tells to run can be run as it stands.
    refused = refusal(db, f"DELETE FROM {name}")
    command = refused.hint.partition(": ")[2].rstrip(".")
    assert command.startswith("SELECT seal.detach(")
    db.run(command)
    db.run(f"DELETE FROM {name}")


def test_a_second_attach_is_refused(db: Database) -> None:
    db.run("CREATE TABLE h (n int); SELECT seal.attach('h')")
    refused = refused_without_trace(db, "h", "SELECT seal.attach('h')")
    assert (refused.state, refused.message) == (DUPLICATE_OBJECT, 'table "public.h" is already attached')
    assert "seal.status" in refused.hint


def test_the_window_is_raised_to_a_year_and_says_so(db: Database) -> None:
    db.run("CREATE TABLE h (n int)")
    with notices(db) as heard:
        db.run("SELECT seal.attach('h', window_months => 3)")
    assert "the window of 3 months was raised to 12" in [notice.message for notice in heard]
    assert db.value("SELECT window_months FROM seal.history") == 12


def test_a_window_of_a_year_or_more_is_taken_as_it_is(db: Database) -> None:
    for months in [12, 13, 120]:
        db.run(f"CREATE TABLE h{months} (n int)")
        with notices(db) as heard:
            db.run(f"SELECT seal.attach('h{months}', window_months => {months})")
        assert not [notice for notice in heard if "raised" in notice.message]
    starts = db.rows("""SELECT v.window_start - (now() - make_interval(months => h.window_months))
                               BETWEEN '-1 minute' AND '1 minute'
                          FROM seal.verify_history() v JOIN seal.history h ON h.relation = v.history::regclass""")
    assert starts == [(True,)] * 3


def test_one_chain_only(db: Database) -> None:
    db.run("CREATE TABLE h (n int); SELECT seal.attach('h', max_chains => 1)")
    assert db.value("SELECT max_chains FROM seal.history") == 1
    db.run("INSERT INTO h VALUES (1)")
    assert_intact(db, 1)


def test_the_history_id_can_be_given_and_is_part_of_the_signature(db: Database) -> None:
    wanted = uuid.UUID("11111111-2222-4333-8444-555555555555")
    db.run("CREATE TABLE h (n int); CREATE TABLE other (n int)")
    db.run("SELECT seal.attach('h', history_id => %s)", [wanted])
    db.run("SELECT seal.attach('other')")
    ids = dict(db.rows("SELECT relation::text, history_id FROM seal.history"))
    assert ids["h"] == wanted
    assert ids["other"] != wanted and ids["other"].version == 4


def test_a_history_id_that_is_taken_is_refused(db: Database) -> None:
    db.run("CREATE TABLE h (n int); CREATE TABLE other (n int); SELECT seal.attach('h')")
    refused = refused_without_trace(
        db, "other", "SELECT seal.attach('other', history_id => (SELECT history_id FROM seal.history))"
    )
    assert refused.state == DUPLICATE_OBJECT
    assert "already used" in refused.message and "Leave history_id out" in refused.hint


def test_null_for_existing_means_refuse(db: Database) -> None:
    db.run("CREATE TABLE h (n int); INSERT INTO h VALUES (1)")
    assert refused_without_trace(db, "h", "SELECT seal.attach('h', existing => NULL)").state == "55000"
