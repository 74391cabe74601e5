"""What each act of an administrator leaves in seal.journal, and who may read and write it."""

from __future__ import annotations

from typing import Any

import pytest

from support.database import Database
from support.journaling import chain, entries, journal_is_whole, top
from support.refusal import refusal
from support.roles import Roles
from support.sealing import attach, history
from support.tampering import assert_intact, triggers_off

ROLES = ["pgseal_auditor", "pgseal_operator", "pgseal_admin"]
WRITES = [
    statement.format(table)
    for table in ("journal", "anchor")
    for statement in (
        "INSERT INTO seal.{0} SELECT * FROM seal.{0}",
        "UPDATE seal.{} SET chain = 'x'",
        "DELETE FROM seal.{}",
        "TRUNCATE seal.{}",
        "COPY seal.{} FROM STDIN",
    )
]


def newest(db: Database) -> dict[str, Any]:
    (row,) = db.records("SELECT * FROM seal.journal ORDER BY seq DESC LIMIT 1")
    return row


def row_of(db: Database) -> dict[str, Any]:
    (row,) = db.records(
        "SELECT *, (extract(epoch FROM attached_at) * 1000000)::int8 - 946684800000000 AS attached_us,"
        " (extract(epoch FROM detached_at) * 1000000)::int8 - 946684800000000 AS detached_us FROM seal.history"
    )
    return row


def test_attach(db: Database) -> None:
    before = db.value("SELECT clock_timestamp()")
    history(db, columns="id int PRIMARY KEY, tenant text", options="'tenant', max_chains => 3, window_months => 24")
    assert entries(db) == [
        ("postgres", "epoch", "public.h", "epoch 1 of public.h signs id, tenant with key 1"),
        ("postgres", "attach", "public.h", "public.h was attached"),
    ]
    entry, row = newest(db), row_of(db)
    assert before < entry["at"] < db.value("SELECT clock_timestamp()")
    assert entry["history_id"] == row["history_id"]
    assert (entry["seq"], entry["anchor"], entry["key"]) == (2, 0, "1")
    assert entry["details"]["settings"] == {
        "tenant_column": "tenant",
        "max_chains": 3,
        "window_months": 24,
        "attached_at": row["attached_us"],
        "attached_by": "postgres",
    }
    assert entry["details"]["earlier"] == []
    journal_is_whole(db)


def test_attach_with_rows(db: Database) -> None:
    db.run("CREATE TABLE h (id int PRIMARY KEY)")
    db.run("INSERT INTO h VALUES (1), (2)")
    attach(db, "h", "existing => 'seal'")
    assert entries(db) == [
        ("postgres", "epoch", "public.h", "epoch 1 of public.h of rows that were there before signs id with key 1"),
        ("postgres", "epoch", "public.h", "epoch 2 of public.h signs id with key 1"),
        ("postgres", "attach", "public.h", "public.h was attached with its rows as a baseline"),
    ]


def test_epoch(db: Database) -> None:
    history(db)
    db.run("ALTER TABLE h ADD COLUMN more jsonb")
    sentence = "epoch 2 of public.h signs id, p, more with key 1"
    assert entries(db, since=2)[0] == ("postgres", "epoch", "public.h", sentence)
    (entry,) = db.records("SELECT * FROM seal.journal WHERE kind = 'epoch' AND seq > 2")
    (stored,) = db.records(
        "SELECT record, encode(sha256(convert_to(record::text, 'UTF8')), 'hex') AS digest FROM seal.epoch"
        " WHERE epoch = 2"
    )
    assert entry["details"] == {
        "epoch": 2, "digest": stored["digest"], "tenant_column": None, "record": stored["record"],
        "key_source": "pgseal.key_file",
    }  # fmt: skip
    assert entry["history_id"] == row_of(db)["history_id"]
    assert_intact_journal(db)


def test_detach(db: Database) -> None:
    history(db)
    db.run("SELECT seal.detach('h')")
    assert entries(db, since=2) == [("postgres", "detach", "public.h", "public.h was detached")]
    entry, row = newest(db), row_of(db)
    assert entry["details"] == {"detached_at": row["detached_us"], "detached_by": "postgres"}
    assert entry["history_id"] == row["history_id"]


def test_acknowledge(db: Database) -> None:
    history(db)
    db.run("INSERT INTO h SELECT g, 'x' FROM generate_series(1, 4) g")
    with triggers_off(db.connection, "h"):
        db.run("DELETE FROM h WHERE id IN (2, 3)")
        db.run("UPDATE h SET p = 'y' WHERE id = 4")
    before = top(db)
    assert db.value("SELECT seal.acknowledge('disk, ticket 4711', 'h')") == 2
    sentence = "2 findings of public.h were acknowledged: disk, ticket 4711"
    assert entries(db, before) == [("postgres", "acknowledge", "public.h", sentence)]
    details, name = newest(db)["details"], chain(db)
    assert details["reason"] == "disk, ticket 4711"
    assert len(set(details["findings"])) == 2
    assert details["places"] == [
        {"kind": "missing", "chain": name, "position": 2, "last_position": 3},
        {"kind": "modified", "chain": name, "position": 4, "last_position": None},
    ]


def test_what_did_nothing_is_not_journaled(db: Database) -> None:
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x')")
    db.rows("SELECT * FROM seal.verify_history()")
    assert db.value("SELECT seal.acknowledge('nothing is wrong', 'h')") == 0
    db.run("SELECT seal.open_epoch('h')")
    assert refusal(db, "SELECT seal.attach('h')").state == "42710"
    assert top(db) == 2


def test_who_is_the_sessions_user(db: Database, roles: Roles) -> None:
    """Whatever role it has taken, and inside functions of other owners."""
    owner = roles.owner()
    name = owner.info.user
    owner.execute(f"CREATE TABLE {name}.h (id int)".encode())
    owner.execute(b"SET ROLE pgseal_admin")
    owner.execute(b"RESET ROLE")
    db.run(f"CREATE FUNCTION {name}.do_it() RETURNS text LANGUAGE sql SECURITY DEFINER"
           f" AS $$ SELECT seal.attach('{name}.h') $$")  # fmt: skip
    owner.execute(f"SELECT {name}.do_it()".encode())
    assert {who for who, *_ in entries(db)} == {name}
    db.run(f"SET ROLE {name}")
    db.run(f"SELECT seal.detach('{name}.h')")
    db.run("RESET ROLE")
    assert entries(db, since=2) == [("postgres", "detach", f"{name}.h", f"{name}.h was detached")]


def test_odd_names_and_reasons(db: Database) -> None:
    table = "Ünlaut \"x\\y'z"
    quoted = '"' + table.replace('"', '""') + '"'
    db.run(f"CREATE TABLE {quoted} (id int)")
    db.rows("SELECT seal.attach(%s)", [quoted])
    db.run(f"INSERT INTO {quoted} (id) VALUES (1), (2)")
    with triggers_off(db.connection, quoted):
        db.run(f"DELETE FROM {quoted} WHERE id = 1")
    reason = "it's \\ \"100 %\"\n\tüber, 🔒 {a} $1 %s"
    assert db.rows("SELECT seal.acknowledge(%s, %s)", [reason, quoted]) == [(1,)]
    assert {name for _, _, name, _ in entries(db)} == {f"public.{quoted}"}
    assert newest(db)["details"]["reason"] == reason
    assert db.value("SELECT findings_new FROM seal.verify_history()") == 0
    detail = db.value("SELECT detail FROM seal.findings()")
    assert detail.endswith(f": {reason})")


def test_the_journal_of_two_histories_is_one_chain(db: Database) -> None:
    history(db, "a")
    history(db, "b")
    db.run("ALTER TABLE a ADD COLUMN more int")
    db.run("SELECT seal.detach('b')")
    assert [name for _, _, name, _ in entries(db)][:4] == ["public.a", "public.a", "public.b", "public.b"]
    assert entries(db)[-1][1:3] == ("detach", "public.b")
    journal_is_whole(db)


@pytest.mark.parametrize("role", ROLES)
def test_roles_read_and_cannot_write(db: Database, roles: Roles, role: str) -> None:
    history(db)
    session = roles.session("reader", member_of=role)
    assert session.execute("SELECT count(*) FROM seal.journal").fetchone() == (2,)
    for statement in WRITES:
        assert refusal(session, statement).state == "42501"


def test_nobody_else_reads(db: Database, roles: Roles) -> None:
    history(db)
    session = roles.session("stranger")
    for statement in ["SELECT FROM seal.journal", "SELECT FROM seal.anchor", *WRITES]:
        assert refusal(session, statement).state == "42501"


def assert_intact_journal(db: Database) -> None:
    db.run("INSERT INTO h (id) VALUES (1)")
    assert_intact(db)
    journal_is_whole(db)
