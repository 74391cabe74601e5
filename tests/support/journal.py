"""What pgseal has journaled of a test's commands."""

from __future__ import annotations

from typing import Any

from support.database import Database


def definition_changes(db: Database) -> list[dict[str, Any]]:
    """Sentence and details of each change of a definition since `forget`, oldest first."""
    query = "SELECT sentence, details FROM seal.journal WHERE kind = 'definition' ORDER BY at, seq OFFSET %s"
    return db.records(query, [_forgotten.get(db.name, 0)])


def sentences(db: Database) -> list[str]:
    return [change["sentence"] for change in definition_changes(db)]


def forget(db: Database) -> None:
    """Begins anew."""
    _forgotten[db.name] = db.value("SELECT count(*) FROM seal.journal WHERE kind = 'definition'")


_forgotten: dict[str, int] = {}
