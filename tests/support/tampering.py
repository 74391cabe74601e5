"""What a superuser does to a history behind pgseal's back, and what verification says of it.

    history = History(db, "h")                                     keeps a copy of the honest rows
    history.attack("UPDATE h SET note = 'x' WHERE id = 3")         as superuser, triggers off
    history.expect(history.at("modified", 3))                      that, and nothing else, is found
    history.restore()

After `restore` the history must verify as intact again: `assert_intact`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from support.database import Database

SEAL_COLUMNS = ("seal_chain", "seal_seq", "seal_epoch", "seal_anchor", "seal_at", "seal_prev", "seal_mac")
MODES = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA", "D": "DISABLE"}

Place = tuple[str, str | None, int | None, int | None]
"""Kind, chain, position and last position of a finding."""

ALTERED: Place = ("configuration_altered", None, None, None)

NO_INDEXES = (ALTERED, ALTERED)
"""After `History.without_indexes`: the unique index of the seals is missing, and the primary key was removed."""

# Words of the implementation that must not be in a sentence for auditors.
JARGON = re.compile(r"\b(mac|hmac|hash|digest|prev|tuple|ctid|seal_mac|seal_prev)\b", re.IGNORECASE)

# Times are left out: a tampered one may be infinite, which Python does not know.
ANSWER = "verdict, history, node, entries, findings, findings_before_window, basis, next_step"


def tables(connection: psycopg.Connection[Any], table: str) -> list[str]:
    """The table and, if it is partitioned, all its partitions."""
    query = """SELECT c.oid::regclass::text FROM pg_class c
                WHERE c.oid = %(t)s::regclass OR c.oid IN (SELECT relid FROM pg_partition_tree(%(t)s::regclass))
                ORDER BY 1"""
    return [name for (name,) in connection.execute(query, {"t": table})]


def unguarded(statements: str) -> str:
    """SQL as a superuser runs it past the guard of definitions."""
    return f"SET session_replication_role = replica; {statements}; RESET session_replication_role"


@contextmanager
def triggers_off(connection: psycopg.Connection[Any], table: str, *, nulls: bool = False) -> Iterator[None]:
    """No trigger of the table (and its partitions) fires inside; afterwards each has its mode again.

    The event trigger would mend the guards at the next ALTER TABLE; as a replica's session it does not fire either.
    With `nulls` its columns also accept NULL inside. A column that then holds one goes on accepting it, which
    verification reports as configuration_altered if it is a seal column.
    """
    run(connection, "SET session_replication_role = replica")
    modes = [
        (part, name, mode)
        for part in tables(connection, table)
        for name, mode in connection.execute(
            "SELECT quote_ident(tgname), tgenabled::text FROM pg_trigger"
            " WHERE tgrelid = %s::regclass AND NOT tgisinternal",
            [part],
        ).fetchall()
    ]
    run(connection, *(f"ALTER TABLE ONLY {part} DISABLE TRIGGER {name}" for part, name, _ in modes))
    required = _required(connection, table) if nulls else []
    for column in required:
        run(connection, f"ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL")
    yield
    for column in required:
        require(connection, table, column)
    run(connection, *(f"ALTER TABLE ONLY {part} {MODES[mode]} TRIGGER {name}" for part, name, mode in modes))
    run(connection, "RESET session_replication_role")


def run(connection: psycopg.Connection[Any], *statements: str) -> None:
    for statement in statements:
        connection.execute(statement.encode())


def _required(connection: psycopg.Connection[Any], table: str) -> list[str]:
    """Columns that are NOT NULL and not part of the primary key."""
    query = """SELECT quote_ident(attname) FROM pg_attribute
                WHERE attrelid = %(t)s::regclass AND attnum > 0 AND attnotnull AND NOT attisdropped
                  AND NOT EXISTS (SELECT FROM pg_index
                                   WHERE indrelid = attrelid AND indisprimary AND attnum = ANY (indkey))"""
    return [name for (name,) in connection.execute(query, {"t": table})]


def require(connection: psycopg.Connection[Any], table: str, column: str) -> bool:
    """NOT NULL again, if no row stands against it."""
    row = connection.execute(f"SELECT EXISTS (SELECT FROM {table} WHERE {column} IS NULL)".encode()).fetchone()
    if row is None or row[0]:
        return False
    run(connection, f"ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL")
    return True


class History:
    """A history under attack, with a copy of its honest state out of the attacker's sight."""

    def __init__(self, database: Database, table: str) -> None:
        self.database = database
        self.table = table
        self._copy = f"honest_{table}"
        database.run(f"CREATE TABLE {self._copy} AS TABLE {table}")
        self._indexes = self._index_definitions()
        self._key = database.rows(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid = %s::regclass AND contype = 'p'",
            [table],
        )

    @property
    def chain(self) -> str:
        """Name of the only chain."""
        name = self.database.value(f"SELECT DISTINCT seal_chain FROM {self._copy}")
        assert isinstance(name, str)
        return name

    def at(self, kind: str, position: int | None, last: int | None = None) -> Place:
        return (kind, self.chain, position, last)

    def attack(self, *statements: str, nulls: bool = False) -> None:
        """As superuser, with triggers off. `honest` in a statement is the copy of the rows."""
        connection = self.database.connection
        with connection.transaction(), triggers_off(connection, self.table, nulls=nulls):
            run(connection, *(re.sub(r"\bhonest\b", self._copy, statement) for statement in statements))

    def without_indexes(self) -> list[str]:
        """Statements that allow a row to stand there twice; another index is put in the place of the seal's."""
        constraints = [f"ALTER TABLE {self.table} DROP CONSTRAINT {name}" for name, _ in self._key]
        indexes = [f"DROP INDEX {name}" for name in self._indexes if "seal_chain" in self._indexes[name]]
        return [*constraints, *indexes, f"CREATE INDEX again ON {self.table} (seal_chain, seal_seq)"]

    def copy_of(self, position: int, **changes: Any) -> str:
        """A statement that inserts the row of this position again, with changes."""
        changed = json.dumps(changes).replace("'", "''")
        return (
            f"INSERT INTO {self.table} SELECT (jsonb_populate_record(row, '{changed}')).*"
            f" FROM honest AS row WHERE seal_seq = {position}"
        )

    def expect(self, *expected: Place, tenant: str | None = None) -> list[dict[str, Any]]:
        return assert_tampered(self.database, list(expected), tenant, self.table)

    def restore(self) -> None:
        """Everything as it was: rows, indexes, NOT NULL."""
        connection = self.database.connection
        with triggers_off(connection, self.table):
            run(connection, f"DELETE FROM {self.table}", f"INSERT INTO {self.table} TABLE {self._copy}")
            present = self._index_definitions()
            run(connection, *(f"DROP INDEX {name}" for name in present if name not in self._indexes))
            for name, definition in self._key:
                if name not in present:
                    run(connection, f"ALTER TABLE {self.table} ADD CONSTRAINT {name} {definition}")
                    present[name] = definition
            run(connection, *(definition for name, definition in self._indexes.items() if name not in present))
        for column in SEAL_COLUMNS:
            assert require(connection, self.table, column)

    def _index_definitions(self) -> dict[str, str]:
        query = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s"
        return {name: definition for name, definition in self.database.rows(query, [self.table])}


def records(database: Database, tenant: str | None = None, history: str | None = None) -> list[dict[str, Any]]:
    """All findings with all that is said of them."""
    return database.records("SELECT * FROM seal.findings(%s, %s)", [tenant, history])


def assert_sentences(findings: list[dict[str, Any]]) -> None:
    for finding in findings:
        detail = finding["detail"]
        assert detail and not detail.endswith((".", ",", ":")), detail
        assert len(detail.split()) >= 4, detail
        assert finding["kind"] == "configuration_altered" or not JARGON.search(detail), detail


def assert_tampered(
    database: Database, expected: list[Place], tenant: str | None = None, history: str | None = None
) -> list[dict[str, Any]]:
    """Exactly these findings, nothing else, and the verdict that follows. Returns the findings."""
    findings = records(database, tenant, history)
    found = [(f["kind"], f["chain"], f["position"], f["last_position"]) for f in findings]
    assert found == expected, "\n".join(f"{f['kind']} {f['chain']}:{f['position']}: {f['detail']}" for f in findings)
    assert_sentences(findings)
    lines = database.records(f"SELECT {ANSWER} FROM seal.verify_history(%s, %s)", [tenant, history])
    assert {line["verdict"] for line in lines} == {"tampered"}
    assert {line["findings"] for line in lines} == {len(expected)}
    assert {line["findings_before_window"] for line in lines} == {0}
    assert all("cause not determined" in line["next_step"] for line in lines)
    assert database.value("SELECT seal.is_intact(%s, %s)", [tenant, history]) is False
    return findings


def honest(history: History) -> Iterator[History]:
    """For a fixture: the history in its honest state, which must verify again after the test."""
    yield history
    history.restore()
    assert_intact(history.database)


def assert_intact(database: Database, tenant: str | None = None, history: str | None = None) -> None:
    """No finding, and the verdict that follows."""
    assert records(database, tenant, history) == []
    verdicts = database.rows("SELECT verdict FROM seal.verify_history(%s, %s)", [tenant, history])
    assert set(verdicts) == {("intact",)}
    assert database.value("SELECT seal.is_intact(%s, %s)", [tenant, history]) is True
