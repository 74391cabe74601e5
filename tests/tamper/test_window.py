"""A window of twelve months: times moved out of it are no way out of it."""

from __future__ import annotations

import pytest

from support.database import Database
from support.tampering import History, assert_intact


@pytest.fixture
def windowed(db: Database) -> History:
    db.run("CREATE TABLE ledger (id int PRIMARY KEY, tenant text, note text)")
    db.run("SELECT seal.attach('ledger', tenant_column => 'tenant', window_months => 12)")
    db.run("INSERT INTO ledger SELECT g, 'acme', 'note' FROM generate_series(1, 6) g")
    assert_intact(db)
    return History(db, "ledger")


def back_to_honest(history: History) -> None:
    history.restore()
    assert_intact(history.database)


@pytest.mark.parametrize("time", ["seal_at - interval '3 years'", "'-infinity'", "'2000-01-01'"])
def test_the_time_of_every_entry_moved_out(windowed: History, time: str) -> None:
    """Only what is validly sealed can prove its age."""
    windowed.attack(f"UPDATE ledger SET seal_at = {time}, note = 'x'")
    findings = windowed.expect(*(windowed.at("modified", position) for position in range(1, 7)))
    assert all(finding["in_window"] for finding in findings)
    back_to_honest(windowed)


def test_what_is_beside_an_entry_moved_out(windowed: History) -> None:
    windowed.attack("UPDATE ledger SET seal_at = '2001-01-01' WHERE id = 4", "DELETE FROM ledger WHERE id IN (1, 3, 6)")
    findings = windowed.expect(
        windowed.at("missing", 1), windowed.at("missing", 3), windowed.at("modified", 4), windowed.at("truncated", 6)
    )
    assert all(finding["in_window"] for finding in findings)
    back_to_honest(windowed)


@pytest.mark.parametrize("months", ["NULL", "1", "1000000", "-5", "0"])
def test_another_window(windowed: History, months: str) -> None:
    """Narrowed to hide faults, or widened: the setting itself is the finding, whatever else there is."""
    db = windowed.database
    windowed.attack("UPDATE ledger SET note = 'x' WHERE id = 2")
    with db.connection.transaction(force_rollback=True):
        db.run(f"UPDATE seal.history SET window_months = {months}")
        windowed.expect(("configuration_altered", None, None, None), windowed.at("modified", 2))
    back_to_honest(windowed)
