"""What was rolled back, piece by piece or all together, is missed by whoever kept a line."""

from __future__ import annotations

import pytest

from support.database import Database
from support.sealing import attach, history
from support.tampering import run, triggers_off
from support.witnessing import Sink, anchored, fields

NEXT = "an older state was put back, or this is another database: compare with a backup of that time"
ANSWER = "SELECT contained, detail, next_step FROM seal.check_witness(%s)"


def tamper(db: Database, *statements: str, table: str = "h") -> None:
    with db.connection.transaction(), triggers_off(db.connection, table):
        run(db.connection, *statements)


def assert_lost(db: Database, line: str, detail: str) -> None:
    assert db.rows(ANSWER, [line]) == [(False, detail, NEXT)]
    lines = db.rows("SELECT verdict, findings > 0 FROM seal.verify_history(witness => %s)", [line])
    assert set(lines) == {("tampered", True)}


def chain(db: Database) -> str:
    return str(db.value("SELECT DISTINCT seal_chain FROM h"))


def entry(position: int, of: str, table: str = "public.h") -> str:
    return f"entry {position} of chain {of} of {table}, which the witness saw, is gone or was changed"


@pytest.fixture
def line(witness: Sink, sealed: Database) -> str:
    anchored(sealed)
    sealed.run("INSERT INTO h VALUES (4, 'x')")
    return witness.wait_for(sealed)


def test_the_tail(sealed: Database, line: str) -> None:
    of = chain(sealed)
    tamper(sealed, "DELETE FROM h WHERE seal_seq = 4")
    assert_lost(sealed, line, entry(4, of))


def test_the_whole_chain(sealed: Database, line: str) -> None:
    of = chain(sealed)
    tamper(sealed, "DELETE FROM h")
    assert_lost(sealed, line, entry(4, of))


def test_another_entry_in_its_place(sealed: Database, line: str) -> None:
    of = chain(sealed)
    tamper(sealed, "UPDATE h SET seal_mac = sha256(seal_mac) WHERE seal_seq = 4")
    assert_lost(sealed, line, entry(4, of))


def test_the_journal(sealed: Database, line: str) -> None:
    of = chain(sealed)
    tamper(sealed, "DELETE FROM seal.journal WHERE seq = 2")
    assert_lost(sealed, line, entry(2, of, "seal.journal"))


def test_the_newest_anchor(sealed: Database, line: str) -> None:
    number = int(fields(line)["number"])
    tamper(sealed, f"DELETE FROM seal.anchor WHERE number = {number}")
    assert_lost(
        sealed, line, f"the witness saw anchor {number} of {chain(sealed)}, this database has {number - 1} at most"
    )


def test_an_anchor_in_between(sealed: Database, witness: Sink, line: str) -> None:
    number = int(fields(line)["number"])
    sealed.run("INSERT INTO h VALUES (10, 'x')")
    newest = anchored(sealed)
    tamper(sealed, f"DELETE FROM seal.anchor WHERE number = {number}")
    assert_lost(sealed, line, f"the witness saw anchor {number} of {chain(sealed)}, this database has {newest} at most")


def test_all_anchors(sealed: Database, line: str) -> None:
    tamper(sealed, "DELETE FROM seal.anchor")
    number = fields(line)["number"]
    assert_lost(
        sealed, line, f"the witness saw anchor {number} of {chain(sealed)}, of which this database has no anchor"
    )


def test_another_anchor_under_its_number(sealed: Database, line: str) -> None:
    number = fields(line)["number"]
    tamper(sealed, f"UPDATE seal.anchor SET mac = sha256(mac) WHERE number = {number}")
    assert_lost(
        sealed, line, f"the witness saw another anchor {number} of {chain(sealed)} than this database has"
    )


def test_the_same_mac_with_another_content(sealed: Database, line: str) -> None:
    number = fields(line)["number"]
    tamper(sealed, f"UPDATE seal.anchor SET heads = '{{}}' WHERE number = {number}")
    assert_lost(
        sealed, line, f"the witness saw another anchor {number} of {chain(sealed)} than this database has"
    )


def test_a_history_that_is_not_registered_any_more(sealed: Database, line: str) -> None:
    history(sealed, "other")
    anchored(sealed)
    which = sealed.value("SELECT history_id FROM seal.history WHERE relation = 'h'::regclass")
    tamper(sealed, "DELETE FROM seal.history WHERE relation = 'h'::regclass", table="h")
    ((contained, detail, _),) = sealed.rows(ANSWER, [line])
    assert (contained, detail) == (False, f"history {which}, which the witness saw, is gone")


def test_one_that_only_seems_detached(sealed: Database, line: str) -> None:
    """A history that the journal has as attached must still show its entries."""
    of = chain(sealed)
    tamper(
        sealed,
        "UPDATE seal.history SET detached_at = now(), detached_by = 'postgres'",
        "DELETE FROM h WHERE seal_seq = 4",
    )
    ((contained, detail, _),) = sealed.rows(ANSWER, [line])
    assert (contained, detail) == (False, entry(4, of))


def test_a_line_of_another_database_with_the_same_key(witness: Sink, sealed: Database, line: str) -> None:
    number = fields(line)["number"]
    with sealed.cluster.database() as other:
        history(other)
        other.run("INSERT INTO h VALUES (1, 'x')")
        anchored(other)
        lost = f"the witness saw anchor {number} of {chain(sealed)}, of which this database has no anchor"
        assert_lost(other, line, lost)
        assert other.rows("SELECT verdict FROM seal.verify_history()") == [("intact",)]


def test_a_database_that_was_made_anew(witness: Sink, sealed: Database, line: str) -> None:
    """The same name, the same tables, the same number of anchors."""
    number, name = fields(line)["number"], sealed.name
    of = chain(sealed)
    sealed.drop()
    again = sealed.cluster.createdb(name=name)
    again.run("CREATE EXTENSION pgseal")
    lost = f"the witness saw anchor {number} of {of}, of which this database has no anchor"
    # Before anything is attached there is nothing to verify, but the line is not contained all the same.
    assert again.rows(ANSWER, [line]) == [(False, lost, NEXT)]
    ((verdict, findings),) = again.rows("SELECT verdict, findings FROM seal.verify_history(witness => %s)", [line])
    assert (verdict, findings) == ("tampered", 1)
    again.run("CREATE TABLE h (id int PRIMARY KEY, p text)")
    attach(again, "h", "max_chains => 1")
    again.run("INSERT INTO h SELECT g, 'x' FROM generate_series(1, 4) g")
    anchored(again)
    assert again.rows("SELECT verdict FROM seal.verify_history()") == [("intact",)]
    assert_lost(again, line, lost)
    again.close()
