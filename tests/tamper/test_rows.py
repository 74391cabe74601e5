"""Whole rows: removed, there twice; the index that forbids it dropped."""

from __future__ import annotations

import pytest

from support.tampering import ALTERED, NO_INDEXES, History

REMOVED = [
    ("id = 1", [("missing", 1, None)]),
    ("id IN (1, 2)", [("missing", 1, 2)]),
    ("id = 5", [("missing", 5, None)]),
    ("id BETWEEN 4 AND 6", [("missing", 4, 6)]),
    ("id IN (2, 4, 5, 8)", [("missing", 2, None), ("missing", 4, 5), ("missing", 8, None)]),
    ("id = 9", [("truncated", 9, None)]),
    ("id > 6", [("truncated", 7, 9)]),
    ("id IN (3, 9)", [("missing", 3, None), ("truncated", 9, None)]),
    ("tenant = 'acme'", [("missing", 1, None), ("missing", 4, None), ("missing", 7, None)]),
    ("tenant = 'initech'", [("missing", 3, None), ("missing", 6, None), ("truncated", 9, None)]),
    ("id <> 9", [("missing", 1, 8)]),
    ("id > 1", [("truncated", 2, 9)]),
    ("true", [("truncated", 1, 9)]),
]


@pytest.mark.parametrize(("which", "expected"), REMOVED)
def test_removed(ledger: History, which: str, expected: list[tuple[str, int, int | None]]) -> None:
    ledger.attack(f"DELETE FROM ledger WHERE {which}")
    findings = ledger.expect(*(ledger.at(*place) for place in expected))
    assert all(finding["row_key"] is None for finding in findings)
    left = ledger.database.value("SELECT count(*) FROM ledger")
    assert ledger.database.value("SELECT entries FROM seal.verify_history()") == left


def test_what_is_said_of_removed_entries(ledger: History) -> None:
    ledger.attack("DELETE FROM ledger WHERE id IN (1, 3, 4, 9)")
    findings = ledger.expect(ledger.at("missing", 1), ledger.at("missing", 3, 4), ledger.at("truncated", 9))
    assert [finding["detail"] for finding in findings] == [
        "entry 1 was removed",
        "entries 3 to 4 were removed",
        "the newest entry of this chain (position 9) was removed",
    ]
    ledger.attack("DELETE FROM ledger WHERE id = 8")
    (*_, last) = ledger.expect(ledger.at("missing", 1), ledger.at("missing", 3, 4), ledger.at("truncated", 8, 9))
    assert last["detail"] == "the newest 2 entries of this chain (positions 8 to 9) were removed"


def test_truncate_with_triggers_off(ledger: History) -> None:
    ledger.attack("TRUNCATE ledger")
    ledger.expect(ledger.at("truncated", 1, 9))


def test_removed_and_changed_side_by_side(ledger: History) -> None:
    ledger.attack("DELETE FROM ledger WHERE id IN (1, 5)", "UPDATE ledger SET note = '' WHERE id IN (2, 4, 6, 9)")
    expected = [("missing", 1), ("modified", 2), ("modified", 4), ("missing", 5), ("modified", 6), ("modified", 9)]
    ledger.expect(*(ledger.at(*place) for place in expected))


def test_all_changed(ledger: History) -> None:
    ledger.attack("UPDATE ledger SET payload = '{}'")
    ledger.expect(*(ledger.at("modified", position) for position in range(1, 10)))


@pytest.mark.parametrize("position", [1, 5, 9])
def test_there_twice(ledger: History, position: int) -> None:
    ledger.attack(*ledger.without_indexes(), ledger.copy_of(position))
    *_, finding = ledger.expect(*NO_INDEXES, ledger.at("duplicated", position))
    assert finding["detail"] == f"a copy of entry {position} was inserted"
    assert list(finding["row_key"]) == ["ctid"]
    assert ledger.database.value("SELECT entries FROM seal.verify_history()") == 10


def test_there_three_times(ledger: History) -> None:
    ledger.attack(*ledger.without_indexes(), ledger.copy_of(5), ledger.copy_of(5), ledger.copy_of(2))
    ledger.expect(*NO_INDEXES, ledger.at("duplicated", 2), *[ledger.at("duplicated", 5)] * 2)


def test_one_removed_and_another_there_twice(ledger: History) -> None:
    """The number of entries is right."""
    ledger.attack(*ledger.without_indexes(), "DELETE FROM ledger WHERE id = 3", ledger.copy_of(5))
    ledger.expect(*NO_INDEXES, ledger.at("missing", 3), ledger.at("duplicated", 5))


def test_index_dropped(ledger: History) -> None:
    ledger.attack("DROP INDEX ledger_seal_chain_seal_seq_idx")
    (finding,) = ledger.expect(ALTERED)
    sentence = "the unique index on (seal_chain, seal_seq) of table public.ledger is missing or not valid"
    assert finding["detail"] == sentence


@pytest.mark.parametrize(
    ("index", "new"),
    [
        ("CREATE INDEX again ON ledger (seal_chain, seal_seq)", False),
        ("CREATE UNIQUE INDEX again ON ledger (seal_chain, seal_seq) WHERE seal_seq > 5", False),
        ("CREATE UNIQUE INDEX again ON ledger (seal_chain, seal_seq, seal_mac)", True),
        ("CREATE UNIQUE INDEX again ON ledger (seal_chain, (seal_seq + 1))", True),
        ("CREATE UNIQUE INDEX again ON ledger (seal_seq, seal_chain)", True),
    ],
)
def test_index_replaced_by_a_weaker_one(ledger: History, index: str, new: bool) -> None:
    """One that is something else is also named as what nobody has journaled."""
    ledger.attack("DROP INDEX ledger_seal_chain_seal_seq_idx", index)
    findings = ledger.expect(*[ALTERED] * (1 + new))
    added = "index again of table public.ledger was added outside pgseal"
    assert [finding["detail"] for finding in findings[1:]] == [added] * new


@pytest.mark.parametrize("flag", ["indisvalid", "indisready", "indisunique"])
def test_index_switched_off(ledger: History, flag: str) -> None:
    where = "WHERE indexrelid = 'ledger_seal_chain_seal_seq_idx'::regclass"
    ledger.attack(f"UPDATE pg_index SET {flag} = false {where}")
    try:
        ledger.expect(ALTERED)
    finally:
        ledger.attack(f"UPDATE pg_index SET {flag} = true {where}")
