"""Several chains: rows exchanged between them, moved from one into another, whole chains gone or renamed."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from support.database import Database
from support.tampering import NO_INDEXES, SEAL_COLUMNS, History, Place, honest

LENGTH = 4
SEALS = ", ".join(f"{column} = o.{column}" for column in SEAL_COLUMNS)
CONTENT = "tenant = o.tenant, note = o.note"


@pytest.fixture(scope="module")
def _chains(module_db: Database) -> History:
    """Ids 1 to 4 in the first chain, 11 to 14 in /1, 21 to 24 in /2, all at positions 1 to 4."""
    module_db.run("CREATE TABLE parallel (id int PRIMARY KEY, tenant text, note text)")
    module_db.run("SELECT seal.attach('parallel', tenant_column => 'tenant')")
    writers = [module_db.connect(autocommit=False) for _ in range(3)]
    for row in range(1, LENGTH + 1):
        for number, writer in enumerate(writers):
            values = [10 * number + row, f"tenant {number}", f"note {number}.{row}"]
            writer.execute("INSERT INTO parallel VALUES (%s, %s, %s)", values)
    for writer in writers:
        writer.commit()
        writer.close()
    return History(module_db, "parallel")


@pytest.fixture
def chains(_chains: History) -> Iterator[History]:
    yield from honest(_chains)


def name(history: History, number: int) -> str:
    found = history.database.value("SELECT seal_chain FROM honest_parallel WHERE id = %s", [10 * number + 1])
    assert isinstance(found, str)
    return found


def at(history: History, kind: str, number: int, position: int, last: int | None = None) -> Place:
    return (kind, name(history, number), position, last)


def exchange(a: int, b: int, changes: str) -> str:
    return f"UPDATE parallel p SET {changes} FROM honest o WHERE (p.id, o.id) IN (({a}, {b}), ({b}, {a}))"


def test_the_chains(chains: History) -> None:
    base = name(chains, 0)
    assert [name(chains, number) for number in range(3)] == [base, f"{base}/1", f"{base}/2"]
    basis = chains.database.value("SELECT basis FROM seal.verify_history()")
    known = "newest entries compared with the server's memory and (no anchor yet|anchor [0-9]+ of [-0-9:.+T]+)"
    assert re.fullmatch(f"full verification: 12 authentic entries in 3 chains; {known}", basis), basis


@pytest.mark.parametrize(("a", "b"), [(2, 12), (1, 11), (4, 14)])
def test_chains_of_two_entries_exchanged(chains: History, a: int, b: int) -> None:
    chains.attack(*chains.without_indexes(), exchange(a, b, "seal_chain = o.seal_chain"))
    findings = chains.expect(*NO_INDEXES, at(chains, "modified", 0, a), at(chains, "modified", 1, b - 10))
    assert findings[2]["detail"].endswith(f"its chain was changed to {name(chains, 1)}")
    assert findings[2]["found"] == f"{name(chains, 1)}, position {a}"


@pytest.mark.parametrize(("a", "b"), [(2, 12), (2, 13), (4, 11)])
@pytest.mark.parametrize("changes", [SEALS, CONTENT, "seal_mac = o.seal_mac", "seal_prev = o.seal_prev"])
def test_values_of_two_entries_exchanged(chains: History, a: int, b: int, changes: str) -> None:
    extra, before = (NO_INDEXES, chains.without_indexes()) if changes == SEALS else ((), [])
    chains.attack(*before, exchange(a, b, changes))
    chains.expect(*extra, at(chains, "modified", 0, a), at(chains, "modified", 1, b - 10))


def test_entries_of_three_chains_in_a_ring(chains: History) -> None:
    ring = "(p.id, o.id) IN ((2, 12), (12, 22), (22, 2))"
    chains.attack(f"UPDATE parallel p SET {CONTENT} FROM honest o WHERE {ring}")
    chains.expect(*(at(chains, "modified", number, 2) for number in range(3)))


def test_an_entry_put_over_one_of_another_chain(chains: History) -> None:
    """Its chain's entry is gone; it says of itself that it is the other's."""
    chains.attack(
        "DELETE FROM parallel WHERE id = 12",
        f"UPDATE parallel SET seal_chain = '{name(chains, 1)}' WHERE id = 2",
    )
    findings = chains.expect(at(chains, "modified", 0, 2), at(chains, "missing", 1, 2))
    assert findings[0]["row_key"] == {"id": 2}


def test_an_entry_appended_to_another_chain(chains: History) -> None:
    chains.attack(f"UPDATE parallel SET seal_chain = '{name(chains, 1)}', seal_seq = 5 WHERE id = 4")
    (finding,) = chains.expect(at(chains, "modified", 0, 4))
    changed = f"its chain was changed to {name(chains, 1)} and its position was changed to 5"
    assert finding["detail"] == f"entry 4 was changed after it was sealed: {changed}"


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_whole_chain_removed(chains: History, number: int) -> None:
    chains.attack(f"DELETE FROM parallel WHERE id / 10 = {number}")
    (finding,) = chains.expect(at(chains, "truncated", number, 1, LENGTH))
    assert finding["detail"] == "the newest 4 entries of this chain (positions 1 to 4) were removed"
    assert chains.database.value("SELECT entries FROM seal.verify_history()") == 8


def test_all_chains_removed(chains: History) -> None:
    chains.attack("DELETE FROM parallel")
    chains.expect(*(at(chains, "truncated", number, 1, LENGTH) for number in range(3)))


def test_the_newest_of_each_removed(chains: History) -> None:
    chains.attack("DELETE FROM parallel WHERE id % 10 > 2 OR id = 22")
    lowest = [(0, 3), (1, 3), (2, 2)]
    chains.expect(*(at(chains, "truncated", number, position, LENGTH) for number, position in lowest))


def test_two_chains_exchange_their_names(chains: History) -> None:
    """Every entry of both; what became of each is said."""
    names = f"CASE seal_chain WHEN '{name(chains, 1)}' THEN '{name(chains, 2)}' ELSE '{name(chains, 1)}' END"
    chains.attack(*chains.without_indexes(), f"UPDATE parallel SET seal_chain = {names} WHERE id > 10")
    places = [at(chains, "modified", number, row) for number in (1, 2) for row in range(1, LENGTH + 1)]
    findings = chains.expect(*NO_INDEXES, *places)
    keys = [finding["row_key"]["ctid"] for finding in findings[2:]]
    assert len(set(keys)) == 8


def test_a_chain_renamed(chains: History) -> None:
    chains.attack("UPDATE parallel SET seal_chain = 'elsewhere' WHERE id / 10 = 1")
    findings = chains.expect(*(at(chains, "modified", 1, row) for row in range(1, LENGTH + 1)))
    assert [finding["row_key"] for finding in findings] == [{"id": 10 + row} for row in range(1, LENGTH + 1)]


def test_different_faults_in_each_chain(chains: History) -> None:
    chains.attack(
        "DELETE FROM parallel WHERE id IN (3, 24)",
        "UPDATE parallel SET note = '' WHERE id = 12",
        'INSERT INTO parallel SELECT (jsonb_populate_record(o, \'{"id": 50, "seal_seq": 9}\')).*'
        " FROM honest o WHERE id = 21",
    )
    chains.expect(
        at(chains, "missing", 0, 3),
        at(chains, "modified", 1, 2),
        at(chains, "truncated", 2, 4),
        at(chains, "forged", 2, 9),
    )
