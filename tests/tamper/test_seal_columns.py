"""Each seal column of an entry: another value, a value that pgseal never writes, NULL, a value of another entry."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from support.tampering import ALTERED, NO_INDEXES, SEAL_COLUMNS, History

FIRST, MIDDLE, NEWEST = 1, 5, 9

VALUES = [
    ("seal_chain", "'elsewhere'"),
    ("seal_chain", "seal_chain || '/1'"),
    ("seal_chain", "upper(seal_chain)"),
    ("seal_chain", "''"),
    ("seal_seq", "seal_seq + 100"),
    ("seal_seq", "9223372036854775807"),
    ("seal_seq", "0"),
    ("seal_seq", "-seal_seq"),
    ("seal_anchor", "seal_anchor + 1"),
    ("seal_anchor", "-1"),
    ("seal_at", "seal_at + interval '1 microsecond'"),
    ("seal_at", "seal_at - interval '13 months'"),
    ("seal_at", "'infinity'"),
    ("seal_at", "'-infinity'"),
    ("seal_prev", "set_byte(seal_prev, 31, get_byte(seal_prev, 31) # 1)"),
    ("seal_prev", "sha256('x')"),
    ("seal_prev", "'\\x00'"),
    ("seal_prev", "''"),
    ("seal_prev", "seal_prev || '\\x00'"),
    ("seal_mac", "set_byte(seal_mac, 0, get_byte(seal_mac, 0) # 128)"),
    ("seal_mac", "sha256('x')"),
    ("seal_mac", "'\\x00'"),
    ("seal_mac", "''"),
]


@pytest.mark.parametrize("position", [FIRST, MIDDLE, NEWEST])
@pytest.mark.parametrize(("column", "value"), VALUES)
def test_changed(ledger: History, column: str, value: str, position: int) -> None:
    original = ledger.database.value("SELECT encode(seal_mac, 'hex') FROM ledger WHERE id = %s", [position])
    ledger.attack(f"UPDATE ledger SET {column} = {value} WHERE id = {position}")
    (finding,) = ledger.expect(ledger.at("modified", position))
    assert finding["row_key"] == {"id": position}
    assert finding["history"] == "public.ledger"
    assert finding["in_window"] is True
    stored = ledger.database.value(f"SELECT {column}::text FROM ledger WHERE id = %s", [position])
    sentence = f"entry {position} was changed after it was sealed"
    match column:
        case "seal_chain":
            now = f"its chain was changed to {stored}" if stored else "its chain was removed"
            assert finding["detail"] == f"{sentence}: {now}"
            assert finding["expected"] == f"{ledger.chain}, position {position}"
            assert finding["found"] == f"{stored or 'no chain'}, position {position}"
        case "seal_seq":
            assert finding["detail"] == f"{sentence}: its position was changed to {stored}"
            assert finding["expected"] == f"{ledger.chain}, position {position}"
            assert finding["found"] == f"{ledger.chain}, position {stored}"
        case "seal_mac":
            assert finding["detail"] == sentence
            assert finding["expected"] == original
            assert finding["found"] == (stored.removeprefix("\\x") if len(stored) == 66 else None)
        case _:
            assert (finding["detail"], finding["expected"], finding["found"]) == (sentence, None, None)


@pytest.mark.parametrize("position", [FIRST, MIDDLE, NEWEST])
@pytest.mark.parametrize("column", SEAL_COLUMNS)
def test_null(ledger: History, column: str, position: int) -> None:
    """The column cannot be NOT NULL again, which is a finding of its own."""
    ledger.attack(f"UPDATE ledger SET {column} = NULL WHERE id = {position}", nulls=True)
    altered, finding = ledger.expect(ALTERED, ledger.at("modified", position))
    assert altered["detail"].startswith(f"column {column} of table public.ledger is missing")
    assert "accepts NULL" in altered["detail"]
    assert finding["row_key"] == {"id": position}
    removed = {"seal_chain": ": its chain was removed", "seal_seq": ": its position was removed"}.get(column, "")
    assert finding["detail"] == f"entry {position} was changed after it was sealed{removed}"


@pytest.mark.parametrize("position", [FIRST, MIDDLE])
def test_all_null(ledger: History, position: int) -> None:
    nothing = ", ".join(f"{column} = NULL" for column in SEAL_COLUMNS)
    ledger.attack(f"UPDATE ledger SET {nothing} WHERE id = {position}", nulls=True)
    findings = ledger.expect(*[ALTERED] * 7, ledger.at("missing", position), ("unsealed", None, None, None))
    assert findings[-1]["detail"] == "a row stands in the table without a seal"
    assert findings[-1]["row_key"] == {"id": position}


@dataclass(frozen=True)
class Exchange:
    columns: tuple[str, ...]
    rows: tuple[int, int]

    @property
    def statement(self) -> str:
        changes = ", ".join(f"{column} = other.{column}" for column in self.columns)
        a, b = self.rows
        return f"UPDATE ledger SET {changes} FROM honest other WHERE (ledger.id, other.id) IN (({a}, {b}), ({b}, {a}))"


PAIRS = [(1, 9), (3, 7), (4, 5), (8, 9), (1, 2)]


@pytest.mark.parametrize("rows", PAIRS)
@pytest.mark.parametrize("column", ["seal_seq", "seal_at", "seal_prev", "seal_mac"])
def test_exchanged_between_two_entries(ledger: History, column: str, rows: tuple[int, int]) -> None:
    exchange = Exchange((column,), rows)
    if column == "seal_at":
        # All were sealed in one statement; make sure that there is something to exchange.
        assert ledger.database.value("SELECT count(DISTINCT seal_at) FROM ledger") == 9
    if column == "seal_seq":
        # Past each other, without violating the index on the way.
        a, b = rows
        ledger.attack(
            f"UPDATE ledger SET seal_seq = -seal_seq WHERE id IN ({a}, {b})",
            f"UPDATE ledger SET seal_seq = {a} + {b} + seal_seq WHERE id IN ({a}, {b})",
        )
    else:
        ledger.attack(exchange.statement)
    findings = ledger.expect(*(ledger.at("modified", position) for position in rows))
    macs = dict(ledger.database.rows("SELECT seal_seq, encode(seal_mac, 'hex') FROM honest_ledger"))
    for finding in findings:
        if column == "seal_prev":
            assert finding["expected"] in (None, macs[finding["position"]])
        if column == "seal_seq":
            assert finding["row_key"] == {"id": finding["position"]}


@pytest.mark.parametrize("rows", PAIRS)
def test_all_seal_columns_exchanged(ledger: History, rows: tuple[int, int]) -> None:
    exchange = Exchange(SEAL_COLUMNS, rows)
    ledger.attack(*ledger.without_indexes(), exchange.statement)
    ledger.expect(*NO_INDEXES, *(ledger.at("modified", position) for position in rows))


@pytest.mark.parametrize("rows", PAIRS)
def test_all_content_exchanged(ledger: History, rows: tuple[int, int]) -> None:
    """The seals stay, the contents change places: an old payload over a newer row."""
    ledger.attack(Exchange(("tenant", "payload", "note"), rows).statement)
    findings = ledger.expect(*(ledger.at("modified", position) for position in rows))
    assert [finding["row_key"] for finding in findings] == [{"id": position} for position in rows]


def test_expected_is_only_said_where_it_is_known(ledger: History) -> None:
    """What the altered entry above claims to follow proves nothing about the one below."""
    honest = ledger.database.value("SELECT encode(seal_mac, 'hex') FROM ledger WHERE id = 3")
    ledger.attack("UPDATE ledger SET note = 'x' WHERE id = 3", "UPDATE ledger SET seal_prev = sha256('x') WHERE id = 4")
    below, above = ledger.expect(ledger.at("modified", 3), ledger.at("modified", 4))
    assert below["expected"] in (None, honest)
    assert above["expected"] is None
