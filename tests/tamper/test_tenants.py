"""What an auditor of one tenant is told: all that may be about it, no other's keys, its entries counted."""

from __future__ import annotations

from typing import Any

import pytest

from support.database import Database
from support.tampering import ALTERED, NO_INDEXES, History, Place, assert_intact, assert_tampered, triggers_off

ACME, GLOBEX, INITECH = "acme", "globex", "initech"  # positions 1, 4, 7 · 2, 5, 8 · 3, 6, 9
TENANTS = [ACME, GLOBEX, INITECH]


def keys(findings: list[dict[str, Any]]) -> list[Any]:
    return [finding["row_key"] for finding in findings]


def entries(history: History, tenant: str | None) -> int:
    count = history.database.value("SELECT entries FROM seal.verify_history(%s)", [tenant])
    assert isinstance(count, int)
    return count


def for_all(history: History, *expected: Place) -> dict[str, list[dict[str, Any]]]:
    """Every tenant is told the same places."""
    return {tenant: history.expect(*expected, tenant=tenant) for tenant in TENANTS}


def untouched(history: History, *tenants: str) -> None:
    for tenant in tenants:
        assert_intact(history.database, tenant)
        assert entries(history, tenant) == 3


def test_the_honest_state(ledger: History) -> None:
    untouched(ledger, *TENANTS)
    assert entries(ledger, None) == 9
    basis = ledger.database.value("SELECT basis FROM seal.verify_history('acme')")
    assert "whole history (9 authentic entries in 1 chains), 3 of this tenant" in basis
    answer = ledger.database.rows("SELECT verdict, entries FROM seal.verify_history('nobody')")
    assert answer == [("nothing_sealed", 0)]
    assert ledger.database.value("SELECT seal.is_intact('nobody')") is False


def test_a_row_moved_to_another_tenant_is_found_for_both(ledger: History) -> None:
    ledger.attack("UPDATE ledger SET tenant = 'globex' WHERE id = 4")
    found = for_all(ledger, ledger.at("modified", 4))
    assert {tenant: keys(findings) for tenant, findings in found.items()} == {
        ACME: [None],
        GLOBEX: [{"id": 4}],
        INITECH: [None],
    }
    assert [entries(ledger, tenant) for tenant in TENANTS] == [2, 4, 3]
    assert keys(ledger.expect(ledger.at("modified", 4))) == [{"id": 4}]


@pytest.mark.parametrize("tenant", ["NULL", "''", "'ACME'", "'acme '", "'umbrella'"])
def test_a_row_moved_out_of_sight(ledger: History, tenant: str) -> None:
    ledger.attack(f"UPDATE ledger SET tenant = {tenant} WHERE id = 4")
    found = for_all(ledger, ledger.at("modified", 4))
    assert keys([finding for findings in found.values() for finding in findings]) == [None] * 3
    assert [entries(ledger, tenant) for tenant in TENANTS] == [2, 3, 3]


def test_all_of_a_tenant_moved(ledger: History) -> None:
    ledger.attack("UPDATE ledger SET tenant = 'globex' WHERE tenant = 'acme'")
    places = [ledger.at("modified", position) for position in (1, 4, 7)]
    for_all(ledger, *places)
    assert [entries(ledger, tenant) for tenant in TENANTS] == [0, 6, 3]


def test_tenants_of_two_rows_exchanged(ledger: History) -> None:
    ledger.attack("UPDATE ledger SET tenant = CASE id WHEN 4 THEN 'globex' ELSE 'acme' END WHERE id IN (4, 5)")
    found = for_all(ledger, ledger.at("modified", 4), ledger.at("modified", 5))
    assert keys(found[ACME]) == [None, {"id": 5}]
    assert keys(found[GLOBEX]) == [{"id": 4}, None]
    assert keys(found[INITECH]) == [None, None]
    assert [entries(ledger, tenant) for tenant in TENANTS] == [3, 3, 3]


def test_a_changed_row_may_have_been_anybodys(ledger: History) -> None:
    ledger.attack("UPDATE ledger SET note = 'x' WHERE id = 4")
    found = for_all(ledger, ledger.at("modified", 4))
    assert {tenant: keys(findings) for tenant, findings in found.items()} == {
        ACME: [{"id": 4}],
        GLOBEX: [None],
        INITECH: [None],
    }
    assert [entries(ledger, tenant) for tenant in TENANTS] == [3, 3, 3]


def test_a_removed_row_may_have_been_anybodys(ledger: History) -> None:
    ledger.attack("DELETE FROM ledger WHERE id IN (4, 9)")
    for_all(ledger, ledger.at("missing", 4), ledger.at("truncated", 9))
    assert [entries(ledger, tenant) for tenant in TENANTS] == [2, 3, 2]


def test_a_tenant_removed_altogether(ledger: History) -> None:
    """Not «nothing sealed»: entries are gone, and they may have been this tenant's."""
    ledger.attack("DELETE FROM ledger WHERE tenant = 'acme'")
    for_all(ledger, *(ledger.at("missing", position) for position in (1, 4, 7)))
    assert [entries(ledger, tenant) for tenant in TENANTS] == [0, 3, 3]


def test_everything_removed(ledger: History) -> None:
    ledger.attack("DELETE FROM ledger")
    for_all(ledger, ledger.at("truncated", 1, 9))
    assert [entries(ledger, tenant) for tenant in TENANTS] == [0, 0, 0]


def test_a_forged_row_concerns_only_its_tenant(ledger: History) -> None:
    ledger.attack(ledger.copy_of(4, id=50, seal_seq=10))
    assert keys(ledger.expect(ledger.at("forged", 10), tenant=ACME)) == [{"id": 50}]
    untouched(ledger, GLOBEX, INITECH)
    assert entries(ledger, ACME) == 4


def test_a_generated_column_concerns_only_its_tenant(db: Database) -> None:
    """The entry itself is as it was sealed, so it is known whose it is."""
    db.run("CREATE TABLE bill (id int, tenant text, n int, twice int GENERATED ALWAYS AS (n * 2) STORED)")
    db.run("SELECT seal.attach('bill', tenant_column => 'tenant')")
    db.run("INSERT INTO bill VALUES (1, 'acme', 1), (2, 'globex', 2)")
    db.run("SET allow_system_table_mods = on")
    generated = "UPDATE pg_attribute SET attgenerated = '{}' WHERE attrelid = 'bill'::regclass AND attname = 'twice'"
    db.run(generated.format(""))
    with triggers_off(db.connection, "bill"):
        db.run("UPDATE bill SET twice = 98765 WHERE id = 2")
    db.run(generated.format("s"))
    chain = db.value("SELECT DISTINCT seal_chain FROM bill")
    assert_tampered(db, [("modified", chain, 2, None)], "globex")
    assert_intact(db, "acme")


def test_a_copy_concerns_only_its_tenant(ledger: History) -> None:
    """The dropped indexes concern everybody."""
    ledger.attack(*ledger.without_indexes(), ledger.copy_of(4))
    ledger.expect(*NO_INDEXES, ledger.at("duplicated", 4), tenant=ACME)
    ledger.expect(*NO_INDEXES, tenant=GLOBEX)
    assert [entries(ledger, tenant) for tenant in TENANTS] == [4, 3, 3]


def test_an_unsealed_row_concerns_only_its_tenant(ledger: History) -> None:
    ledger.attack("INSERT INTO ledger (id, tenant) VALUES (50, 'acme')", nulls=True)
    unsealed: Place = ("unsealed", None, None, None)
    assert keys(ledger.expect(*[ALTERED] * 7, unsealed, tenant=ACME))[-1] == {"id": 50}
    ledger.expect(*[ALTERED] * 7, tenant=GLOBEX)
    assert [entries(ledger, tenant) for tenant in TENANTS] == [4, 3, 3]


def test_a_position_moved_concerns_everybody(ledger: History) -> None:
    ledger.attack("UPDATE ledger SET seal_seq = 77 WHERE id = 4")
    found = for_all(ledger, ledger.at("modified", 4))
    assert [keys(found[tenant]) for tenant in TENANTS] == [[{"id": 4}], [None], [None]]


def test_other_tenants_values_are_not_said(ledger: History) -> None:
    """Neither key nor content of another tenant's row is in any column of the answer."""
    ledger.attack("UPDATE ledger SET id = 987654, note = 'secret of globex' WHERE id = 5")
    answer = str(assert_tampered(ledger.database, [ledger.at("modified", 5)], ACME))
    assert "987654" not in answer and "secret" not in answer and "globex" not in answer
