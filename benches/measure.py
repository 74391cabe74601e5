"""The single measurements. Each begins with a new database; each gives one number."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contestants import SQL, Contestant, sql
from support.cluster import Cluster
from support.database import Database

PARALLEL_WORKERS = 2


class BenchmarkError(RuntimeError):
    """A run that cannot be counted: failed transactions, or rows that are missing."""


@contextmanager
def fresh(cluster: Cluster, contestant: Contestant) -> Iterator[Database]:
    """A database with the contestant's empty table; checkpointed, so that nobody pays for whoever was before."""
    database = cluster.createdb()
    try:
        contestant.set_up(database)
        database.run("SET statement_timeout = 0")
        database.run("CHECKPOINT")
        yield database
    finally:
        database.drop()


def prefill(database: Database) -> None:
    """Ten thousand rows, and the planner's figures for them."""
    database.psql(sql("prefill.sql"))
    database.run("CHECKPOINT")


def insert_rate(database: Database, clients: int, seconds: int, *, synchronous: bool = True, last: int = 0) -> float:
    """Single-row transactions per second, over the whole run or over about its last seconds."""
    script = database.cluster.home / "insert.pgbench"
    if not script.exists():
        shutil.copy(SQL / "insert.pgbench", script)
    options = ["-n", "-M", "prepared", "-c", str(clients), "-j", str(min(clients, 2)), "-T", str(seconds)]
    progress = ["-P", str(last)] if last else []
    if not synchronous:
        database.run(f'ALTER DATABASE "{database.name}" SET synchronous_commit = off')
    done = database.cluster.run(
        "pgbench", *options, *progress, "-f", script, database.name, timeout=seconds + 120, check=True
    )
    failed = re.search(r"number of failed transactions: (\d+)", done.stdout)
    if "aborted" in done.stderr or (failed and failed.group(1) != "0"):
        raise BenchmarkError(done.stderr[-2000:])
    if last:
        return float(re.findall(r"^progress: .*?, ([\d.]+) tps", done.stderr, re.MULTILINE)[-1])
    found = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    if not found:
        raise BenchmarkError(done.stdout[-2000:])
    return float(found.group(1))


def copy_rate(database: Database, rows_file: Path, rows: int) -> float:
    """Rows per second of one COPY."""
    started = time.perf_counter()
    database.run(f"COPY history (tenant, at, payload) FROM '{rows_file}'")
    elapsed = time.perf_counter() - started
    if database.value("SELECT count(*) FROM history") != rows:
        raise BenchmarkError("rows are missing after COPY")
    return rows / elapsed


def check_seconds(database: Database, contestant: Contestant, *, parallel: bool) -> float:
    """How long the contestant's check takes, everything in memory or in the system's cache."""
    database.run(f"SET max_parallel_workers_per_gather = {PARALLEL_WORKERS if parallel else 0}")
    started = time.perf_counter()
    database.rows(contestant.check)
    return time.perf_counter() - started


def row_bytes(database: Database, rows: int) -> float:
    """Table, TOAST and indexes, per row."""
    return int(database.value("SELECT pg_total_relation_size('history')")) / rows


@contextmanager
def open_snapshot(database: Database) -> Iterator[None]:
    """Somebody's forgotten transaction, which holds back what could be cleaned up."""
    with database.connect(autocommit=False) as forgotten:
        forgotten.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        forgotten.execute("SELECT count(*) FROM pg_class")
        yield
        forgotten.rollback()
