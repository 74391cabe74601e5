"""The server that is measured, the machine that it runs on, and tables to begin with."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.cluster import Cluster, Settings
from support.database import Database
from variants import Variant, sql

# fsync stays on. No checkpoint falls into a measurement, and no query compiles itself: what it gains or loses by that
# depends on the size of the table.
SETTINGS: Settings = {
    "shared_buffers": "1GB",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "jit": False,
    "timezone": "UTC",
}

TENANTS = 100


class BenchmarkError(RuntimeError):
    """A run that cannot be counted: failed transactions, rows that are missing, a history that is not intact."""


def place(cluster: Cluster) -> dict[str, Any]:
    """What the figures were measured on."""
    models = [text for text in Path("/proc/cpuinfo").read_text().splitlines() if text.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "server": cluster.psql("SHOW server_version").stdout.split()[0],
        "processor": models[0].partition(": ")[2] if models else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 2**30),
        "kernel": platform.release(),
    }


def in_words(place: dict[str, Any]) -> str:
    """The same as a phrase."""
    processors = f"{place['cores']} × {place['processor']}"
    return f"PostgreSQL {place['server']}, {processors}, {place['memory_gb']} GB, fsync on, jit off"


@contextmanager
def fresh(cluster: Cluster, variant: Variant) -> Iterator[Database]:
    """A database with the variant's empty table; checkpointed, so that nobody pays for whoever was before."""
    database = cluster.createdb()
    try:
        variant.set_up(database)
        database.run("SET statement_timeout = 0")
        database.run("CHECKPOINT")
        yield database
    finally:
        database.drop()


def prefill(database: Database) -> None:
    """Ten thousand rows, and the planner's figures for them."""
    database.psql(sql("prefill.sql"))
    database.run("CHECKPOINT")


def rows_file(cluster: Cluster, rows: int, tenants: int = TENANTS) -> Path:
    """A file for `copy`, made once: documents of about 300 bytes, tenants in turn, a row per millisecond of a day."""
    path = cluster.home / f"rows-{rows}-{tenants}"
    if path.exists():
        return path
    document = {
        "task": "approve invoice",
        "by": "someone@example.org",
        "from": "10.20.30.40",
        "state": {"old": "submitted", "new": "approved"},
        "amount": 1234.5,
        "currency": "EUR",
        "comment": "checked against the order, delivery is complete",
        "items": [101, 102, 103],
    }
    body = json.dumps(document)[:-1]
    with path.open("w") as file:
        for n in range(rows):
            second, millisecond = divmod(n, 1000)
            at = f"2026-01-01 {second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}.{millisecond:03}+00"
            file.write(f'tenant{n % tenants}\t{at}\t{body}, "n": {n}}}\n')
    return path


def copy(database: Database, file: Path) -> None:
    """Appends what is in a `rows_file`."""
    database.run(f"COPY history (tenant, at, payload) FROM '{file}'")
