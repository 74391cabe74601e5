#!/usr/bin/env python3
"""make bench-pruning: what eight writers notice while the older half of a history is pruned.

The server's clocks are moved, so that the first half is older than the window. A few minutes on 2 cores; --rows makes
it shorter. "plain" is a DELETE of as many rows of an ordinary table, with the same writers.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from pgbench import writing
from progress import progress
from server import SETTINGS, copy, in_words, place, rows_file
from support.clock import Clock, travelling_server
from support.cluster import Cluster
from support.database import Database
from support.sealing import wait_for
from variants import PGSEAL, PLAIN, Variant

CLIENTS = 8
ALONE = 15.0


def half_old(database: Database, clock: Clock, variant: Variant, rows: int) -> None:
    """As many old rows as new ones."""
    file = rows_file(database.cluster, rows)
    variant.set_up(database)
    database.run("SET statement_timeout = 0")
    if variant is PGSEAL:
        database.run("SELECT seal.set_window('history', 12)")
    copy(database, file)
    if variant is PGSEAL:
        wait_for(database, "SELECT sum(unanchored) = 0 FROM seal.status")
        clock.forward(days=400)
    copy(database, file)
    database.run("VACUUM ANALYZE history")
    database.run("CHECKPOINT")


def size(database: Database) -> float:
    return int(database.value("SELECT pg_total_relation_size('history')")) / 2**20


def measure(cluster: Cluster, clock: Clock, variant: Variant, rows: int, prune: Callable[[Database], int]) -> None:
    database = cluster.createdb()
    progress(f"{variant.title}: {rows:,} old rows and {rows:,} new ones")
    half_old(database, clock, variant, rows)
    before = size(database)
    progress(f"{variant.title}: {CLIENTS} writers, alone and beside the pruning")
    with writing(database, "insert.pgbench", CLIENTS) as writers:
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
    print(f"{variant.title}: {pruned:,} entries in {ended - started:.1f} s ({pruned / (ended - started):,.0f} per s);"
          f" writers {alone:,.0f} tps alone, {beside:,.0f} beside it: {beside / alone:.2f}")  # fmt: skip
    print(f"  size {before:,.0f} MB before, {after:,.0f} MB after, {size(database):,.0f} MB after VACUUM"
          f" ({vacuum:.1f} s, {dead:,} dead rows)", flush=True)  # fmt: skip
    if variant is PGSEAL:
        print(f"  afterwards: {variant.verdict(database)}", flush=True)
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
        print(in_words(place(cluster)))
        measure(cluster, clock, PLAIN, rows, delete)
        measure(cluster, clock, PGSEAL, rows, verify_and_prune)


if __name__ == "__main__":
    main()
