"""Histories whose entries are of several ages, and what is said of faults in them.

    years(db, clock)                    h: ids 1 to 4 are 16 months old, 5 to 8 are 8 months old, 9 to 12 are new
    damage(db, "UPDATE h …")            as superuser, with triggers off
    assert_in_window(db, (kind, 6))     that is found, inside the window: tampered
    assert_before(db, (kind, 2))        that is found, before the window: intact in the window
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from support.anchoring import settle
from support.clock import Clock
from support.database import Database
from support.sealing import history
from support.tampering import triggers_off

MONTH = 30.5
LEDGER = "id int PRIMARY KEY, tenant text, note text"

Fault = tuple[str, int | None] | tuple[str, int | None, int | None]
"""Kind and position, and the last position where it is more than one."""


def ledger(db: Database, window: int | None = 12, name: str = "h") -> None:
    """A history with a tenant column and a window of so many months."""
    months = "" if window is None else f", window_months => {window}"
    history(db, name, LEDGER, f"'tenant'{months}")


def add(db: Database, first: int, last: int, tenant: str = "acme", name: str = "h") -> None:
    db.run(f"INSERT INTO {name} SELECT g, '{tenant}', 'note ' || g FROM generate_series({first}, {last}) g")


def later(db: Database, clock: Clock, months: float, *names: str) -> None:
    """Time passes once everything is anchored."""
    settle(db, *(names or ("h",)))
    clock.forward(days=months * MONTH)


def years(db: Database, clock: Clock, window: int | None = 12) -> None:
    """Four entries of 16 months ago, four of 8 months ago, four of today, in one chain."""
    ledger(db, window)
    for first in (1, 5, 9):
        if first > 1:
            later(db, clock, 8)
        add(db, first, first + 3)
    settle(db, "h")


def damage(db: Database, *statements: str, name: str = "h") -> None:
    """As superuser, with triggers off."""
    connection = db.connection
    with connection.transaction(), triggers_off(connection, name):
        for statement in statements:
            connection.execute(statement.encode())


def faults(db: Database, name: str = "h") -> list[tuple[str, int | None, int | None, bool]]:
    """Kind, first and last position of each finding, and whether it is in the window."""
    query = "SELECT kind, position, last_position, in_window FROM seal.findings(history => %s)"
    return [(kind, first, last, inside) for kind, first, last, inside in db.rows(query, [name])]


def answer(db: Database, name: str = "h") -> dict[str, Any]:
    query = """SELECT verdict, findings, findings_new, findings_before_window FROM seal.verify_history(history => %s)"""
    (line,) = db.records(query, [name])
    return line


def assert_found(db: Database, *expected: tuple[Fault, bool], name: str = "h") -> None:
    """Exactly these faults, each in the window or before it, and the verdict that follows."""
    assert faults(db, name) == [(*fault, *(None,) * (3 - len(fault)), inside) for fault, inside in expected]
    before = sum(not inside for _, inside in expected)
    verdict = "tampered" if before < len(expected) else "intact_in_window" if before else "intact"
    assert answer(db, name) == {
        "verdict": verdict,
        "findings": len(expected),
        "findings_new": len(expected),
        "findings_before_window": before,
    }
    assert db.value("SELECT seal.is_intact(history => %s)", [name]) is (verdict != "tampered")


def assert_in_window(db: Database, *expected: Fault) -> None:
    assert_found(db, *((fault, True) for fault in expected))


def assert_before(db: Database, *expected: Fault) -> None:
    assert_found(db, *((fault, False) for fault in expected))


def months_before(clock: Clock, months: int) -> tuple[Any, Any]:
    """Between which times a window of so many months starts, whatever those months are."""
    now = clock.now()
    return now - timedelta(days=31 * months), now - timedelta(days=30 * months)
