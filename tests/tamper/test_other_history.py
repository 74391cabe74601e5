"""Rows of another history of the same shape, sealed under the same key in a chain of the same name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.database import Database
from support.tampering import SEAL_COLUMNS, History, assert_intact

SEALS = ", ".join(SEAL_COLUMNS)
CONTENT = "id, tenant, payload, note"


@pytest.fixture(scope="module")
def _other(_ledger: History) -> History:
    database = _ledger.database
    database.run("CREATE TABLE other (id int PRIMARY KEY, tenant text, payload jsonb, note text)")
    database.run("SELECT seal.attach('other', tenant_column => 'tenant')")
    database.run(f"INSERT INTO other SELECT {CONTENT} FROM honest_ledger ORDER BY id")
    return History(database, "other")


@pytest.fixture
def other(ledger: History, _other: History) -> Iterator[History]:
    assert _other.chain == ledger.chain
    yield _other
    _other.restore()


def replace(position: int, columns: str) -> list[str]:
    """Puts these columns of the other history's entry over the ledger's."""
    changes = ", ".join(f"{column} = o.{column}" for column in columns.split(", "))
    return [f"UPDATE ledger SET {changes} FROM other o WHERE ledger.id = {position} AND o.id = {position}"]


@pytest.mark.parametrize("position", [2, 5, 9])
@pytest.mark.parametrize("columns", [SEALS, "seal_mac", "seal_at, seal_mac", "seal_prev"])
def test_its_seal_over_an_entry_of_the_same_content(
    ledger: History, other: History, position: int, columns: str
) -> None:
    """Content, chain, position are equal; only the history's own id makes the signatures differ."""
    ledger.attack(*replace(position, columns))
    (finding,) = ledger.expect(ledger.at("modified", position))
    assert finding["row_key"] == {"id": position}
    assert_intact(ledger.database, history="other")


def test_all_its_rows_in_place_of_the_histories_own(ledger: History, other: History) -> None:
    ledger.attack("DELETE FROM ledger", "INSERT INTO ledger TABLE other")
    ledger.expect(*(ledger.at("modified", position) for position in range(1, 10)))


def test_a_further_row(ledger: History, other: History) -> None:
    ledger.attack(
        f"INSERT INTO ledger ({CONTENT}, {SEALS}) SELECT 100 + id, tenant, payload, note, seal_chain, 10, seal_epoch,"
        " seal_anchor, seal_at, seal_prev, seal_mac FROM other WHERE id = 1"
    )
    (finding,) = ledger.expect(ledger.at("forged", 10))
    assert finding["row_key"] == {"id": 101}
    assert finding["detail"] == "a row that was never sealed stands at position 10, which the chain has not reached"


def test_rows_of_two_histories_exchanged(ledger: History, other: History) -> None:
    ledger.attack(*replace(4, SEALS))
    seals = ", ".join(f"{column} = l.{column}" for column in SEAL_COLUMNS)
    other.attack(f"UPDATE other SET {seals} FROM honest_ledger l WHERE other.id = 4 AND l.id = 4")
    ledger.expect(ledger.at("modified", 4))
    other.expect(other.at("modified", 4))


def test_the_tables_exchanged_by_name(ledger: History, other: History) -> None:
    """Histories follow their table, not its name: nothing was tampered with."""
    database = ledger.database
    swap(database)
    try:
        assert_intact(database)
    finally:
        swap(database)


def swap(database: Database) -> None:
    database.run("ALTER TABLE ledger RENAME TO between")
    database.run("ALTER TABLE other RENAME TO ledger")
    database.run("ALTER TABLE between RENAME TO other")
