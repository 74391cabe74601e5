"""Names change between runs, nodes change theirs, tenants are of odd types: holds hold, and what may go goes."""

from __future__ import annotations

import pytest

from support.anchoring import settle
from support.clock import Clock
from support.database import Database
from support.journaling import found
from support.pruning import aged, assert_whole, chain, prune, remaining
from support.windows import add, later, ledger
from support.witnessing import anchored

HELD = "SELECT seal.hold('{}', 'held', 'case 12/26')"


def mixed(db: Database, clock: Clock) -> str:
    """Old entries of acme, acme, held, acme, in one chain, and a new one; the chain's name."""
    ledger(db)
    for number, tenant in enumerate(("acme", "acme", "held", "acme"), 1):
        add(db, number, number, tenant)
    later(db, clock, 13)
    add(db, 5, 5)
    settle(db, "h")
    return chain(db)


RENAMES = {
    "table": ("ALTER TABLE h RENAME TO g", "g"),
    "schema": ("CREATE SCHEMA s; ALTER TABLE h SET SCHEMA s", "s.h"),
    "renamed schema": ("CREATE SCHEMA s; ALTER TABLE h SET SCHEMA s; ALTER SCHEMA s RENAME TO \"S 2\"", '"S 2".h'),
    "tenant column": ("ALTER TABLE h RENAME tenant TO \"Tenant's\"", "h"),
    "columns swapped": (
        "ALTER TABLE h RENAME tenant TO t; ALTER TABLE h RENAME note TO tenant; ALTER TABLE h RENAME t TO note", "h"
    ),
    "another column of that name": ("ALTER TABLE h RENAME tenant TO t; ALTER TABLE h ADD tenant text DEFAULT 'x'", "h"),
}  # fmt: skip


@pytest.mark.parametrize("held_first", [True, False])
@pytest.mark.parametrize("what", RENAMES)
def test_renamed(db: Database, clock: Clock, what: str, held_first: bool) -> None:
    name = mixed(db, clock)
    statements, today = RENAMES[what]
    if held_first:
        db.run(HELD.format("h"))
    for statement in statements.split("; "):
        db.run(statement)
    if not held_first:
        db.run(HELD.format(today))
    settle(db, today)
    dry = prune(db, today, dry=True)
    assert (dry["verdict"], dry["cuts"]) == ("intact", {name: [1, 2]})
    assert prune(db, today)["cuts"] == {name: [1, 2]}
    assert db.rows("SELECT tenant FROM seal.holds") == [("held",)]
    db.run(f"SELECT seal.release('{today}', 'held', 'closed')")
    assert prune(db, today)["cuts"] == {name: [3, 4]}
    assert (found(db), remaining(db, today)) == ([], [5])
    recorded = db.rows("SELECT history, pruned_entries FROM seal.verification ORDER BY run")
    assert [entries for _, entries in recorded] == [2, 2]


@pytest.mark.parametrize(
    ("before", "type_name", "value", "held"),
    [
        ("CREATE EXTENSION citext", "citext", "Held", "hELD"),
        ("CREATE DOMAIN name_of_tenant AS varchar(20) CHECK (VALUE <> '')", "name_of_tenant", "held", "held"),
        ("CREATE TYPE of_tenant AS ENUM ('held', 'other')", "of_tenant", "held", "held"),
        ("SELECT 1", "bigint", "-7", "-7"),
        ("SELECT 1", "date", "2024-02-29", "2024-02-29"),
        ("SELECT 1", "uuid", "6F0AD9A0-0000-4000-8000-00000000000A", "6F0AD9A0-0000-4000-8000-00000000000A"),
        ("SELECT 1", "text", "line\nbreak\r\n\ttab", "line\nbreak\r\n\ttab"),
        ("SELECT 1", "text", "a'b\"c\\d$$e", "a'b\"c\\d$$e"),
        ("CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
         "text COLLATE nocase", "HELD", "held"),
    ],
)  # fmt: skip
def test_what_a_tenant_may_be(db: Database, clock: Clock, before: str, type_name: str, value: str, held: str) -> None:
    db.run(before)
    db.run(f"CREATE TABLE h (id int PRIMARY KEY, tenant {type_name}, note text)")
    db.run("SELECT seal.attach('h', 'tenant', window_months => 12)")
    db.run("INSERT INTO h VALUES (1, NULL, 'x')")
    db.run(f"INSERT INTO h VALUES (2, %s::text::{type_name.split(' ')[0]}, 'x')", [value])
    later(db, clock, 13)
    db.run("SELECT seal.hold('h', %s, 'case')", [held])
    name = chain(db)
    # Settings of the session by which values are printed mean nothing.
    db.run("SET datestyle = 'German'; SET quote_all_identifiers = on; SET bytea_output = 'escape'")
    assert db.value("SELECT cuts FROM seal.verify_and_prune('h')") == {name: [1, 1]}
    assert remaining(db) == [2]


def test_chains_of_another_node(db: Database, clock: Clock) -> None:
    """The node got another name: what it sealed under the old one is pruned too, and anchors tell the time on."""
    name = aged(db, clock)
    db.cluster.configure({"pgseal.chain_name": "other"}, restart=True)
    try:
        add(db, 9, 9)
        anchored(db)
        new = str(db.value("SELECT seal_chain FROM h WHERE id = 9"))
        assert new.startswith("other.")
        outcome = prune(db)
        assert (outcome["verdict"], outcome["cuts"]) == ("intact", {name: [1, 5]}), outcome
        later(db, clock, 13)
        add(db, 10, 10)
        anchored(db)
        assert prune(db)["cuts"] == {name: [6, 8], new: [1, 1]}
        assert (found(db), remaining(db)) == ([], [10])
    finally:
        db.cluster.configure({"pgseal.chain_name": None}, restart=True)
    anchored(db)
    later(db, clock, 13)
    add(db, 11, 11)
    anchored(db)
    assert prune(db)["cuts"] == {new: [2, 2]}
    assert_whole(db, {name: 8, new: 2}, left=1)
