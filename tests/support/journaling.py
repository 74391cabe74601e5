"""What pgseal writes about itself, as a test reads it, copies it and puts an older copy back.

    keep(db)                          copies of seal.history, seal.epoch, seal.journal, seal.anchor
    put_back(db, "journal")           that table as it was then
    found(db)                         the places of all findings
"""

from __future__ import annotations

from typing import Any

from support.database import Database
from support.tampering import Place, run, triggers_off

OWN_TABLES = ("history", "epoch", "journal", "anchor")

Entry = tuple[str, str, str | None, str]
"""Who, kind, history and sentence of an entry."""


def entries(db: Database, since: int = 0) -> list[Entry]:
    """The journal after a position, for a database with one chain of it."""
    rows = db.rows("SELECT who, kind, history, sentence FROM seal.journal WHERE seq > %s ORDER BY seq", [since])
    return [(str(who), str(kind), history, str(sentence)) for who, kind, history, sentence in rows]


def kinds(db: Database) -> list[str]:
    """What was journaled, in its order."""
    return [kind for _, kind, _, _ in entries(db)]


def top(db: Database) -> int:
    return int(db.value("SELECT coalesce(max(seq), 0) FROM seal.journal"))


def chain(db: Database) -> str:
    """Name of the only chain of the journal, which is that of the node's first chain of each history, too."""
    return str(db.value("SELECT DISTINCT chain FROM seal.journal"))


def journal_is_whole(db: Database) -> None:
    """Positions 1, 2, 3 … without a gap, each entry over the one before it."""
    rows = db.rows("SELECT seq, prev, mac FROM seal.journal ORDER BY chain, seq")
    before = bytes(32)
    for place, (position, prev, mac) in enumerate(rows, 1):
        assert (position, prev) == (place, before)
        before = mac


def found(db: Database, history: str | None = None) -> list[Place]:
    """The places of all findings, each once for every history that it concerns."""
    query = "SELECT kind, chain, position, last_position FROM seal.findings(history => %s)"
    return [(kind, chain, first, last) for kind, chain, first, last in db.rows(query, [history])]


def in_journal(db: Database, kind: str, position: int, last: int | None = None) -> Place:
    return (kind, f"journal {chain(db)}", position, last)


def keep(db: Database, *more: str) -> None:
    """Copies pgseal's tables, and others by their names."""
    for table in OWN_TABLES:
        db.run(f"CREATE TABLE older_{table} AS TABLE seal.{table}")
    for table in more:
        db.run(f"CREATE TABLE older_{table}_rows AS TABLE {table}")


def put_back(db: Database, *tables: str) -> None:
    """Puts pgseal's tables back as `keep` found them."""
    for table in tables:
        run(db.connection, f"DELETE FROM seal.{table}", f"INSERT INTO seal.{table} TABLE older_{table}")


def put_history_back(db: Database, table: str) -> None:
    """The same for a history, with triggers off; columns that it got since then are dropped."""
    kept = f"older_{table}_rows"
    connection = db.connection
    with connection.transaction(), triggers_off(connection, table):
        run(connection, f"DELETE FROM {table}")
        added = connection.execute(
            """SELECT quote_ident(attname) FROM pg_attribute
                WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
                  AND attname NOT IN (SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass)""",
            [table, kept],
        ).fetchall()
        run(connection, *(f"ALTER TABLE {table} DROP COLUMN {name}" for (name,) in added))
        columns = ", ".join(name for (name,) in connection.execute(
            "SELECT quote_ident(attname) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            [kept],
        ).fetchall())  # fmt: skip
        run(connection, f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {kept}")


def answer(db: Database, history: str | None = None, witness: str | None = None) -> list[tuple[Any, ...]]:
    """Verdict, findings and new findings of each line of an answer."""
    query = "SELECT verdict, findings, findings_new FROM seal.verify_history(history => %s, witness => %s)"
    return db.rows(query, [history, witness])
