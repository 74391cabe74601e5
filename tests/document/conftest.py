"""A database of each test module of this folder: many rows of many types, one attach."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database
from support.rendering import PREPARATION


@pytest.fixture(scope="module")
def types_db(cluster: Cluster) -> Iterator[Database]:
    """With the types of support.rendering, and in the schema decoy what shadows a function or a type."""
    with cluster.database() as database:
        database.run(PREPARATION)
        database.run("""
            CREATE SCHEMA decoy;
            CREATE FUNCTION decoy.to_jsonb(anyelement) RETURNS jsonb LANGUAGE sql AS $$SELECT '"decoy"'::jsonb$$;
            CREATE FUNCTION decoy.count(anyelement) RETURNS bigint LANGUAGE sql AS $$SELECT 7::bigint$$;
            CREATE TYPE decoy.mood AS ENUM ('glad');
        """)
        yield database


@pytest.fixture(scope="module")
def sealed(cluster: Cluster) -> Iterator[Database]:
    """The history of docs/format.md, with what is hard about it: four chains, two epochs, NULL and empty tenants,
    JSON null beside SQL NULL, text beyond ASCII, control characters, line ends that are none."""
    with cluster.database() as database:
        database.run("""
            CREATE EXTENSION pgcrypto;
            CREATE TABLE history (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant text,
                at timestamptz NOT NULL, payload jsonb NOT NULL
            );
            SELECT seal.attach('history', tenant_column => 'tenant', window_months => 24);
        """)
        fill(database, "tenant, at, payload", "%s, %s, %s")
        database.run("ALTER TABLE history ADD COLUMN note text")
        fill(database, "tenant, at, payload, note", "%s, %s, %s, 'a\tb' || chr(10) || chr(1) || chr(133) || %s")
        assert database.value("SELECT count(DISTINCT seal_chain) FROM history") == 4
        assert database.value("SELECT count(DISTINCT seal_epoch) FROM history") == 2
        assert database.rows("SELECT verdict, entries FROM seal.verify_history()") == [("intact", 96)]
        yield database


TENANTS = ["acme", None, "", "Büro “Süd”\u2028", "\x01\t\\"]
PAYLOADS = ['{"price": 1.10, "a": [1e400, "\\u0001\\ud834\\udd1e\\\\"]}', "null", '"Grüße\u2028\x85"', "{}"]
TIMES = ["0044-03-15 12:00:00+00 BC", "infinity", "2024-02-29 23:59:59.999999+05:30"]


def fill(database: Database, columns: str, holders: str) -> None:
    """48 rows, a dozen in each of four transactions that are open at the same time."""
    writers = [database.connect(autocommit=False) for _ in range(4)]
    for number in range(48):
        row = [TENANTS[number % 5], TIMES[number % 3], PAYLOADS[number % 4], TENANTS[number % 5]]
        statement = f"INSERT INTO history ({columns}) VALUES ({holders})".encode()
        writers[number % 4].execute(statement, row[: holders.count("%s")])
    for writer in reversed(writers):
        writer.commit()
        writer.close()
