"""Rows that pgseal never sealed, and rows that it sealed for a transaction that was rolled back."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from support.database import Database
from support.tampering import NO_INDEXES, History, assert_intact

RANDOM = "\\x" + "5a" * 32


def mac(history: History, position: int) -> str:
    text = history.database.value("SELECT seal_mac::text FROM honest_ledger WHERE id = %s", [position])
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize("position", [10, 11, 1000, 9223372036854775807])
@pytest.mark.parametrize("seal", ["copied", "random", "following"])
def test_at_a_position_that_was_not_reached(ledger: History, position: int, seal: str) -> None:
    changes: dict[str, Any] = {"id": 50, "seal_seq": position}
    if seal != "copied":
        changes["seal_mac"] = RANDOM
    if seal == "following":
        changes["seal_prev"] = mac(ledger, 9)
    ledger.attack(ledger.copy_of(9, **changes))
    (finding,) = ledger.expect(ledger.at("forged", position))
    assert finding["row_key"] == {"id": 50}
    assert finding["found"] == (mac(ledger, 9) if seal == "copied" else RANDOM).removeprefix("\\x")
    sentence = f"a row that was never sealed stands at position {position}, which the chain has not reached"
    assert finding["detail"] == sentence


def test_at_the_next_position_the_writers_go_on_elsewhere(ledger: History) -> None:
    """One INSERT is told by the index that the place is taken; then the forged row is in nobody's way."""
    database = ledger.database
    ledger.attack(ledger.copy_of(9, id=50, seal_seq=10, seal_mac=RANDOM, seal_prev=mac(ledger, 9)))
    with pytest.raises(psycopg.errors.UniqueViolation, match="ledger_seal_chain_seal_seq_idx"):
        database.run("INSERT INTO ledger VALUES (51, 'acme', '{}', 'genuine')")
    with database.connection.transaction(force_rollback=True):
        database.run("INSERT INTO ledger VALUES (51, 'acme', '{}', 'genuine')")
        assert database.rows("SELECT kind, position, row_key FROM seal.findings()") == [("forged", 10, {"id": 50})]
        assert database.value("SELECT seal_chain FROM ledger WHERE id = 51") == f"{ledger.chain}/1"


@pytest.mark.parametrize("position", [1, 5, 9])
@pytest.mark.parametrize("seal", ["copied", "random"])
def test_at_a_taken_position(ledger: History, position: int, seal: str) -> None:
    changes = {"id": 50} if seal == "copied" else {"id": 50, "seal_mac": RANDOM}
    ledger.attack(*ledger.without_indexes(), ledger.copy_of(position, **changes))
    *_, finding = ledger.expect(*NO_INDEXES, ledger.at("forged", position))
    assert finding["detail"] == f"a row that was never sealed like this stands beside entry {position}"


def test_many_at_one_position(ledger: History) -> None:
    copies = [ledger.copy_of(5, id=50 + number, seal_mac=RANDOM) for number in range(3)]
    ledger.attack(*ledger.without_indexes(), *copies)
    ledger.expect(*NO_INDEXES, *[ledger.at("forged", 5)] * 3)


def test_in_the_place_of_a_removed_entry(ledger: History) -> None:
    """What stands at the place of an entry is that entry, changed."""
    ledger.attack(
        "DELETE FROM ledger WHERE id IN (5, 9)", *[ledger.copy_of(p, id=50 + p, seal_mac=RANDOM) for p in (5, 9)]
    )
    findings = ledger.expect(ledger.at("modified", 5), ledger.at("modified", 9))
    assert [finding["row_key"] for finding in findings] == [{"id": 55}, {"id": 59}]
    assert [finding["expected"] for finding in findings] == [mac(ledger, 5)[2:], mac(ledger, 9)[2:]]


@pytest.mark.parametrize("chain", ["made up", "main.00000000", "main.00000000/3", "paris.0a0b0c0d"])
def test_in_a_new_chain(ledger: History, chain: str) -> None:
    """Not at its beginning, where nobody could say that there was no such chain."""
    ledger.attack(*[ledger.copy_of(position, id=50 + position, seal_chain=chain) for position in (4, 5)])
    findings = ledger.expect(("forged", chain, 4, None), ("forged", chain, 5, None))
    assert [finding["row_key"] for finding in findings] == [{"id": 54}, {"id": 55}]


@pytest.mark.parametrize("chain", ["made up", "main.00000000", "paris.0a0b0c0d"])
def test_at_the_beginning_of_a_new_chain(ledger: History, chain: str) -> None:
    """Whether it was a chain's first entry that was changed, or none ever was, cannot be known."""
    ledger.attack(*[ledger.copy_of(position, id=50 + position, seal_chain=chain) for position in (1, 2)])
    ledger.expect(("modified", chain, 1, None), ("modified", chain, 2, None))


def test_in_a_chain_of_another_node(ledger: History) -> None:
    """It is listed with its node, and counted there."""
    ledger.attack(ledger.copy_of(4, id=54, seal_chain="paris.0a0b0c0d"))
    ledger.expect(("forged", "paris.0a0b0c0d", 4, None))
    answer = "SELECT node, entries, verdict FROM seal.verify_history() ORDER BY 1"
    assert ledger.database.rows(answer) == [("main", 9, "tampered"), ("paris", 1, "tampered")]


def insert(database: Database, *numbers: int) -> None:
    for number in numbers:
        database.run("INSERT INTO ledger VALUES (%s, 'acme', '{}', 'genuine')", [number])


def ghosts(database: Database, *numbers: int) -> list[dict[str, Any]]:
    """Genuine rows of a transaction that is rolled back; their positions are used again."""
    with database.connection.transaction(force_rollback=True):
        return [
            database.value(
                "INSERT INTO ledger VALUES (%s, 'acme', '{}', 'rolled back') RETURNING to_jsonb(ledger)", [number]
            )
            for number in numbers
        ]


def put(rows: list[dict[str, Any]]) -> list[str]:
    texts = [json.dumps(row).replace("'", "''") for row in rows]
    return [f"INSERT INTO ledger SELECT (jsonb_populate_record(NULL::ledger, '{text}')).*" for text in texts]


@pytest.fixture
def branched(db: Database) -> tuple[History, list[dict[str, Any]]]:
    """Six entries, and genuine rows 103 and 104 for the positions 3 and 4 that nobody committed."""
    db.run("CREATE TABLE ledger (id int PRIMARY KEY, tenant text, payload jsonb, note text)")
    db.run("SELECT seal.attach('ledger', tenant_column => 'tenant')")
    insert(db, 1, 2)
    rolled_back = ghosts(db, 103, 104)
    insert(db, 3, 4, 5, 6)
    assert [row["seal_seq"] for row in rolled_back] == [3, 4]
    assert_intact(db)
    return History(db, "ledger"), rolled_back


Branched = tuple[History, list[dict[str, Any]]]


def test_a_rolled_back_row_in_place_of_the_stored_one(branched: Branched) -> None:
    """It follows entry 2 as entry 3 did; that 4 does not follow it is what shows."""
    history, rolled_back = branched
    history.attack("DELETE FROM ledger WHERE id = 3", *put(rolled_back[:1]))
    (finding,) = history.expect(history.at("wrong_predecessor", 4))
    assert finding["detail"] == "entry 4 was not sealed after the entry that stands before it"
    assert finding["expected"] == rolled_back[0]["seal_mac"].removeprefix("\\x")
    assert finding["found"] == history.database.value("SELECT encode(seal_prev, 'hex') FROM ledger WHERE id = 4")
    history.restore()
    assert_intact(history.database)


def test_two_rolled_back_rows_in_place_of_the_stored_ones(branched: Branched) -> None:
    history, rolled_back = branched
    history.attack("DELETE FROM ledger WHERE id IN (3, 4)", *put(rolled_back))
    history.expect(history.at("wrong_predecessor", 5))
    history.restore()
    history.attack("DELETE FROM ledger WHERE id = 4", *put(rolled_back[1:]))
    (finding,) = history.expect(history.at("wrong_predecessor", 4))
    assert finding["row_key"] == {"id": 104}


def test_a_rolled_back_row_beside_the_stored_one(branched: Branched) -> None:
    history, rolled_back = branched
    history.attack(*history.without_indexes(), *put(rolled_back[:1]))
    *_, finding = history.expect(*NO_INDEXES, history.at("duplicated", 3))
    assert finding["detail"] == "entry 3 stands there twice, with different content"
    history.restore()
    history.attack(*history.without_indexes(), *put(rolled_back))
    history.expect(*NO_INDEXES, history.at("duplicated", 3, 4))


def test_a_rolled_back_row_in_place_of_the_newest(branched: Branched) -> None:
    """Nothing in the table tells it from the newest entry: the server's memory does."""
    history, _ = branched
    database = history.database
    (ghost,) = ghosts(database, 107)
    insert(database, 7)
    stored = database.value("SELECT encode(seal_mac, 'hex') FROM ledger WHERE id = 7")
    history.attack("DELETE FROM ledger WHERE id = 7", *put([ghost]))
    (finding,) = history.expect(history.at("wrong_predecessor", 7))
    assert finding["detail"] == "the server remembers another newest entry at position 7"
    assert finding["expected"] == stored
    assert finding["found"] == ghost["seal_mac"].removeprefix("\\x")
    assert finding["row_key"] == {"id": 107}


def test_a_rolled_back_row_at_the_next_position(branched: Branched) -> None:
    """Genuine and in its place: whoever can put it there could as well have inserted it. Nothing is built upon it."""
    history, _ = branched
    history.attack(*put(ghosts(history.database, 107)))
    assert_intact(history.database)
    insert(history.database, 8)
    assert_intact(history.database)
    assert history.database.value("SELECT seal_chain FROM ledger WHERE id = 8") == f"{history.chain}/1"
