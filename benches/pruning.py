#!/usr/bin/env python3
"""make bench-pruning: what eight writers notice while the older half of a history is pruned.

The server's clocks are moved, so that the first half is older than the window. A few minutes on 2 cores; --rows makes
it shorter. "plain" is a DELETE of as many rows of an ordinary table, with the same writers.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from contestants import PGSEAL, PLAIN, SQL, Contestant, write_rows
from report import machine
from run import SETTINGS, progress
from support.clock import Clock, travelling_server
from support.cluster import Cluster
from support.database import Database
from support.sealing import wait_for

CLIENTS = 8
ALONE = 15.0


@dataclass
class Writers:
    """pgbench with its rate, second by second."""

    seconds: list[tuple[float, float]] = field(default_factory=list)

    def rate(self, first: float, last: float) -> float:
        """Median transactions per second between two moments."""
        return statistics.median(rate for at, rate in self.seconds if first <= at <= last)


@contextmanager
def writing(database: Database) -> Iterator[Writers]:
    writers = Writers()
    script = database.cluster.home / "insert.pgbench"
    shutil.copy(SQL / "insert.pgbench", script)
    process = database.cluster.popen(
        "pgbench", "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", "3600", "-P", "1", "-f", script,
        database.name,
    )  # fmt: skip

    def read() -> None:
        for line in process.stderr or ():
            found = re.match(r"progress: [\d.]+ s, ([\d.]+) tps", line)
            if found:
                writers.seconds.append((time.monotonic(), float(found.group(1))))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield writers
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        reader.join(30)


def half_old(database: Database, clock: Clock, contestant: Contestant, rows_file: Path) -> None:
    """As many old rows as new ones."""
    contestant.set_up(database)
    database.run("SET statement_timeout = 0")
    if contestant is PGSEAL:
        database.run("SELECT seal.set_window('history', 12)")
    database.run(f"COPY history (tenant, at, payload) FROM '{rows_file}'")
    if contestant is PGSEAL:
        wait_for(database, "SELECT sum(unanchored) = 0 FROM seal.status")
        clock.forward(days=400)
    database.run(f"COPY history (tenant, at, payload) FROM '{rows_file}'")
    database.run("VACUUM ANALYZE history")
    database.run("CHECKPOINT")


def size(database: Database) -> float:
    return int(database.value("SELECT pg_total_relation_size('history')")) / 2**20


def measure(cluster: Cluster, clock: Clock, contestant: Contestant, rows: int, prune: Callable[[Database], int]) -> None:
    rows_file = cluster.home / "rows"
    if not rows_file.exists():
        write_rows(rows_file, rows)
    database = cluster.createdb()
    progress(f"{contestant.name}: {rows:,} old rows and {rows:,} new ones")
    half_old(database, clock, contestant, rows_file)
    before = size(database)
    progress(f"{contestant.name}: {CLIENTS} writers, alone and beside the pruning")
    with writing(database) as writers:
        time.sleep(ALONE)
        started = time.monotonic()
        pruned = prune(database)
        ended = time.monotonic()
        time.sleep(2)
    alone, beside = writers.rate(started - ALONE + 3, started), writers.rate(started + 1, ended + 1)
    after = size(database)
    dead = database.value("SELECT n_dead_tup FROM pg_stat_user_tables WHERE relid = 'history'::regclass")
    vacuum = time.monotonic()
    database.run("VACUUM history")
    vacuum = time.monotonic() - vacuum
    progress("")
    print(f"{contestant.name}: {pruned:,} entries in {ended - started:.1f} s ({pruned / (ended - started):,.0f} per s);"
          f" writers {alone:,.0f} tps alone, {beside:,.0f} beside it: {beside / alone:.2f}")  # fmt: skip
    print(f"  size {before:,.0f} MB before, {after:,.0f} MB after, {size(database):,.0f} MB after VACUUM"
          f" ({vacuum:.1f} s, {dead:,} dead rows)", flush=True)  # fmt: skip
    if contestant is PGSEAL:
        print(f"  afterwards: {contestant.verdict(database)}", flush=True)
    database.drop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="how many are pruned, and how many stay")
    rows = parser.parse_args().rows

    def delete(database: Database) -> int:
        return int(database.connection.execute(f"DELETE FROM history WHERE id <= {rows}".encode()).rowcount)

    def verify_and_prune(database: Database) -> int:
        return int(database.value("SELECT pruned FROM seal.verify_and_prune('history')"))

    with travelling_server(None, defaults=SETTINGS) as (cluster, clock):
        version = cluster.psql("SHOW server_version").stdout.strip()
        place = machine()
        print(f"PostgreSQL {version}, {place['cores']} × {place['processor']}, {place['memory_gb']} GB, fsync on")
        measure(cluster, clock, PLAIN, rows, delete)
        measure(cluster, clock, PGSEAL, rows, verify_and_prune)


if __name__ == "__main__":
    sys.exit(main())
