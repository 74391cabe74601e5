"""What DESIGN says a document is, said in SQL: the judge of seal.document.

    table = TypedTable(db, "h", TYPES); table.create(); table.attach()
    table.wrong(session)            keys of the rows whose document is not the model's, by this session

The model is a function with settings of its own, so it can be asked in any session. It uses nothing of pgseal: what
to_jsonb prints for some types, the type's output text for all others (`format`: a cast to text is another thing for
inet, char(n) or bool, and may be the user's own).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

from support.database import Database

# How a column's value stands in the document.
AS_JSONB = "to_jsonb"
AS_FLOAT = "to_jsonb, but -0"
AS_OUTPUT = "output text"

PINNED = {
    "search_path": "pg_catalog",
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
}

# Types that the columns of a TypedTable may need, and what they need.
PREPARATION = """
CREATE EXTENSION hstore;
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('sad', 'so "so"', 'happy, ja', '');
CREATE TYPE part AS (a int, b text, f float8, at timestamptz);
CREATE TYPE whole AS (p part, ps part[], i interval, m mood, j json);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN label AS varchar(20);
CREATE DOMAIN far AS float8;
CREATE DOMAIN papers AS jsonb;
CREATE DOMAIN parts AS part[];
CREATE TYPE floats AS RANGE (subtype = float8, multirange_type_name = floatss);
"""

# Column type → how it is written. Every type of DESIGN section 3 and many that are «everything else».
TYPES: dict[str, str] = {
    **dict.fromkeys(
        ["bool", "int2", "int4", "int8", "numeric", "text", "varchar", "char(5)", "uuid", "date", "time", "timetz",
         "timestamp", "timestamptz", "jsonb", "positive", "label", "papers"],
        AS_JSONB,
    ),
    **dict.fromkeys(["float4", "float8", "far"], AS_FLOAT),
    **dict.fromkeys(
        ["json", "bytea", "int4[]", "text[]", "float8[]", "timestamptz[]", "jsonb[]", "bytea[]", "interval[]", "mood",
         "mood[]", "int4range", "numrange", "tstzrange", "daterange", "floats", "int4multirange", "tstzmultirange",
         "part", "whole", "parts", "inet", "cidr", "macaddr", "interval", "xml", "tsvector", "tsquery", "bit(5)",
         "varbit", '"char"', "name", "oid", "hstore", "citext", "point", "circle", "pg_lsn", "xid8", "jsonpath"],
        AS_OUTPUT,
    ),
}  # fmt: skip


def member(column: str, rule: str) -> str:
    """The value of a column as jsonb, NULL where the column is. («IS NULL» would be true of a row of NULLs.)"""
    output = f"to_jsonb(format('%s', {column}))"
    if rule == AS_JSONB:
        return f"to_jsonb({column})"
    if rule == AS_FLOAT:
        return f"CASE WHEN format('%s', {column}) = '-0' THEN {output} ELSE to_jsonb({column}) END"
    return f"CASE WHEN num_nonnulls({column}) = 1 THEN {output} END"


def model_function(name: str, row_type: str, columns: Mapping[str, str]) -> str:
    """CREATE FUNCTION name(row_type): the document of a row by the server's own means. columns: name → rule."""

    def quote(identifier: str) -> str:
        return '"' + identifier.replace('"', '""') + '"'

    def literal(text: str) -> str:
        return "'" + text.replace("'", "''") + "'"

    members = ",\n".join(
        f"({literal(column)}, {member(f'(r).{quote(column)}', rule)})" for column, rule in columns.items()
    )
    settings = " ".join(f"SET {setting} = '{value}'" for setting, value in PINNED.items())
    return f"""
        CREATE FUNCTION {name}(r {row_type}) RETURNS text LANGUAGE sql STABLE {settings} AS $model$
            SELECT coalesce(jsonb_object_agg(m.name, m.value), '{{}}')::text
              FROM (VALUES {members}) AS m(name, value) WHERE m.value IS NOT NULL
        $model$"""


class TypedTable:
    """A table with a key and one column per type, c1, c2 …, and the model of its rows."""

    def __init__(self, db: Database, name: str, types: Mapping[str, str]) -> None:
        self.db = db
        self.name = name
        self.types = list(types)
        self.columns = {f"c{number}": kind for number, kind in enumerate(types, 1)}
        self.rules = {"k": AS_JSONB, **{f"c{number}": rule for number, rule in enumerate(types.values(), 1)}}

    def create(self) -> None:
        columns = ", ".join(f"{column} {kind}" for column, kind in self.columns.items())
        self.db.run(f"CREATE TABLE {self.name} (k bigint GENERATED ALWAYS AS IDENTITY, {columns})")
        self.db.run(model_function(f"model_of_{self.name}", self.name, self.rules))

    def attach(self) -> None:
        self.db.rows("SELECT seal.attach(%s::regclass)", (self.name,))

    def column_of(self, kind: str) -> str:
        return f"c{self.types.index(kind) + 1}"

    def insert(self, session: psycopg.Connection[Any], rows: list[dict[str, str]]) -> None:
        """Rows as type → input text (absent: NULL), in few round trips."""
        names = ", ".join(self.columns)
        holders = ", ".join("%s" for _ in self.columns)
        statement = f"INSERT INTO public.{self.name} ({names}) VALUES ({holders})".encode()
        with session.cursor() as cursor, session.pipeline():
            cursor.executemany(statement, [[row.get(kind) for kind in self.types] for row in rows])

    def newest(self) -> int:
        """The highest key so far."""
        return int(self.db.value(f"SELECT coalesce(max(k), 0) FROM {self.name}"))

    def wrong(self, session: psycopg.Connection[Any], after: int = 0) -> list[tuple[Any, ...]]:
        """(key, document, model) of every row after this key that the two write differently in this session."""
        return session.execute(
            sql.SQL(
                "SELECT k, document, model FROM (SELECT k, seal.document(h), public.{model}(h) FROM public.{table} h"
                " WHERE k > {after}) AS d(k, document, model) WHERE document IS DISTINCT FROM model ORDER BY k"
            ).format(
                model=sql.Identifier(f"model_of_{self.name}"), table=sql.Identifier(self.name), after=sql.Literal(after)
            )
        ).fetchall()


def apply(session: psycopg.Connection[Any], settings: Mapping[str, str]) -> None:
    """SET, in one round trip."""
    session.execute(
        sql.SQL("SELECT {}").format(
            sql.SQL(", ").join(
                sql.SQL("set_config({}, {}, false)").format(sql.Literal(name), sql.Literal(value))
                for name, value in settings.items()
            )
        )
    )


def verdict(session: psycopg.Connection[Any], history: str) -> tuple[str, int]:
    """Verdict and number of entries of one history."""
    row = session.execute(
        "SELECT verdict, entries FROM seal.verify_history(history => %s::regclass)", (f"public.{history}",)
    ).fetchone()
    assert row is not None
    return row[0], row[1]
