"""Errors and notices as a DBA reads them, and what a refused statement must leave untouched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.errors import Diagnostic

from support.database import Database

Session = Database | psycopg.Connection[Any]

NOT_PERMITTED = "42501"
NOT_IN_STATE = "55000"
NOT_SUPPORTED = "0A000"
WRONG_OBJECT = "42809"
UNDEFINED_COLUMN = "42703"
UNDEFINED_OBJECT = "42704"
DUPLICATE_OBJECT = "42710"
DUPLICATE_COLUMN = "42701"
TOO_MANY_COLUMNS = "54011"
BAD_PARAMETER = "22023"
CORRUPTED = "XX001"


@dataclass(frozen=True)
class Refusal:
    """An ERROR or a NOTICE, with empty texts where a part is missing."""

    state: str
    message: str
    detail: str
    hint: str

    @property
    def text(self) -> str:
        return "\n".join([self.message, self.detail, self.hint])


def said(report: Diagnostic) -> Refusal:
    """What is worth comparing of a report, which itself lives no longer than its callback."""
    parts = report.sqlstate, report.message_primary, report.message_detail, report.message_hint
    return Refusal(*(part or "" for part in parts))


def connection_of(session: Session) -> psycopg.Connection[Any]:
    return session.connection if isinstance(session, Database) else session


def refusal(session: Session, sql: str, parameters: Any = None) -> Refusal:
    """Runs what must fail."""
    try:
        connection_of(session).execute(sql.encode(), parameters)
    except psycopg.Error as error:
        return said(error.diag)
    raise AssertionError(f"it was not refused: {sql}")


def refused_without_trace(database: Database, table: str, sql: str, session: Session | None = None) -> Refusal:
    """Runs what must fail, and leave the table, pgseal's tables and the relation's rows as they were."""
    before = definition(database, table)
    refused = refusal(session or database, sql)
    assert definition(database, table) == before, "something half-done was left"
    return refused


def definition(database: Database, table: str) -> dict[str, list[tuple[Any, ...]]]:
    """All that `attach` or DDL could have changed of a table, and of its partitions."""
    members = f"""(SELECT '{table.replace("'", "''")}'::regclass::oid UNION
                   SELECT relid FROM pg_partition_tree('{table.replace("'", "''")}'::regclass))"""
    return {
        name: database.rows(query)
        for name, query in {
            "class": f"SELECT to_jsonb(c) - '{{reltuples,relpages,relallvisible,relfrozenxid}}'::text[]"
            f" FROM pg_class c WHERE oid IN {members} ORDER BY oid",
            "columns": "SELECT to_jsonb(a) - 'attstattarget' FROM pg_attribute a"
            f" WHERE attrelid IN {members} ORDER BY attrelid, attnum",
            "triggers": f"SELECT to_jsonb(t) FROM pg_trigger t WHERE tgrelid IN {members} ORDER BY oid",
            "indexes": f"SELECT to_jsonb(i) FROM pg_index i WHERE indrelid IN {members} ORDER BY indexrelid",
            "constraints": f"SELECT to_jsonb(c) FROM pg_constraint c WHERE conrelid IN {members} ORDER BY oid",
            "histories": "SELECT to_jsonb(h) FROM seal.history h ORDER BY history_id",
            "epochs": "SELECT to_jsonb(e) FROM seal.epoch e ORDER BY history_id, epoch",
        }.items()
    }


@contextmanager
def notices(session: Session) -> Iterator[list[Refusal]]:
    """Collects what the server says beside the result."""
    heard: list[Refusal] = []
    connection = connection_of(session)

    def listen(report: Diagnostic) -> None:
        heard.append(said(report))

    connection.add_notice_handler(listen)
    try:
        yield heard
    finally:
        connection.remove_notice_handler(listen)
