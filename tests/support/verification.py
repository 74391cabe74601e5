"""The auditor's questions, asked from a test."""

from __future__ import annotations

from typing import Any

from support.database import Database


def verdicts(database: Database, tenant: str | None = None, history: str | None = None) -> list[str]:
    """The verdict of each line of the answer."""
    sql = "SELECT verdict FROM seal.verify_history(%s, %s::regclass)"
    return [verdict for (verdict,) in database.rows(sql, [tenant, history])]


def verdict(database: Database, tenant: str | None = None, history: str | None = None) -> str:
    """The verdict of an answer of one line."""
    (only,) = verdicts(database, tenant, history)
    return only


def kinds(database: Database, tenant: str | None = None, history: str | None = None) -> list[str]:
    """The kinds of all findings, sorted."""
    sql = "SELECT kind FROM seal.findings(%s, %s::regclass) ORDER BY 1"
    return [kind for (kind,) in database.rows(sql, [tenant, history])]


def assert_intact(database: Database, entries: int, history: str | None = None) -> None:
    """Intact, with so many entries, and without a finding."""
    answer: list[dict[str, Any]] = database.records(
        "SELECT verdict, entries, findings FROM seal.verify_history(NULL, %s::regclass)", [history]
    )
    findings = database.rows("SELECT kind, detail FROM seal.findings(NULL, %s::regclass)", [history])
    assert findings == [], findings
    assert answer == [{"verdict": "intact", "entries": entries, "findings": 0}]
