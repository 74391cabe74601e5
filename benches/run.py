#!/usr/bin/env python3
"""make bench: a plain table, the tutorial's pgcrypto trigger and pgseal, side by side.

Rounds of alternating runs, all with fsync on; the table shows medians, and ratios within the rounds. About 20 minutes
on 2 cores; --quick takes 3 and is only a first look. Figures of every run go to target/bench/ as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from dataclasses import asdict, dataclass

import measure
from contestants import ALL, Contestant, write_rows
from report import Report, machine
from support.cluster import ROOT, Cluster

SETTINGS = {
    "shared_buffers": "1GB",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "timezone": "UTC",
}


@dataclass(frozen=True)
class Plan:
    rounds: int
    seconds: int
    rows: int
    snapshot_rounds: int
    snapshot_seconds: int


FULL = Plan(rounds=5, seconds=5, rows=1_000_000, snapshot_rounds=3, snapshot_seconds=30)
QUICK = Plan(rounds=3, seconds=2, rows=200_000, snapshot_rounds=1, snapshot_seconds=10)


class Benchmark:
    """Runs a plan's parts, each as rounds in which the contestants alternate."""

    def __init__(self, cluster: Cluster, contestants: list[Contestant], plan: Plan, report: Report) -> None:
        self.cluster = cluster
        self.contestants = contestants
        self.plan = plan
        self.report = report

    def turns(self, round_number: int) -> list[Contestant]:
        """The order of a round: another one begins each time."""
        first = round_number % len(self.contestants)
        return self.contestants[first:] + self.contestants[:first]

    def inserts(self) -> None:
        # Each round measures every number of clients, so that a disturbed minute spoils one round, not one line.
        for round_number in range(self.plan.rounds):
            for clients, synchronous in ((1, True), (8, True), (32, True), (1, False)):
                commits = "" if synchronous else ", asynchronous commits"
                progress(f"inserts, round {round_number + 1} of {self.plan.rounds}, clients: {clients}{commits}")
                for contestant in self.turns(round_number):
                    self._insert(contestant, clients, synchronous)

    def _insert(self, contestant: Contestant, clients: int, synchronous: bool) -> None:
        what = f"single INSERTs, {clients} client{'s' if clients > 1 else ''}"
        if not synchronous:
            what += ", synchronous_commit off"
        with measure.fresh(self.cluster, contestant) as database:
            measure.prefill(database)
            rate = measure.insert_rate(database, clients, self.plan.seconds, synchronous=synchronous)
            self.report.add(what, "tps", contestant.name, rate)
            if clients == 32:
                self.report.say("  its own check after that", contestant.name, contestant.verdict(database))

    def copies(self) -> None:
        rows_file = self.cluster.home / "rows"
        write_rows(rows_file, self.plan.rows)
        for round_number in range(self.plan.rounds):
            for contestant in self.turns(round_number):
                progress(f"COPY and checks, round {round_number + 1} of {self.plan.rounds}, {contestant.name}")
                with measure.fresh(self.cluster, contestant) as database:
                    rate = measure.copy_rate(database, rows_file, self.plan.rows)
                    self.report.add(f"one COPY of {self.plan.rows:,} rows", "rows/s", contestant.name, rate)
                    database.run("VACUUM ANALYZE history")
                    for parallel in (False, True):
                        seconds = measure.check_seconds(database, contestant, parallel=parallel)
                        manner = "parallel" if parallel else "serial"
                        self.report.add(f"checking them all ({manner}; plain: read all)", "s", contestant.name, seconds)
                    size = measure.row_bytes(database, self.plan.rows)
                    self.report.add("size per row", "bytes", contestant.name, size)

    def snapshots(self) -> None:
        last = 5
        for round_number in range(self.plan.snapshot_rounds):
            for contestant in self.turns(round_number):
                progress(f"open snapshot, round {round_number + 1} of {self.plan.snapshot_rounds}, {contestant.name}")
                with measure.fresh(self.cluster, contestant) as database:
                    measure.prefill(database)
                    before = measure.insert_rate(database, 8, self.plan.seconds)
                    self.report.add("8 clients, before a snapshot is opened", "tps", contestant.name, before)
                    with measure.open_snapshot(database):
                        during = measure.insert_rate(database, 8, self.plan.snapshot_seconds, last=last)
                    what = f"8 clients, after {self.plan.snapshot_seconds - last} s of it"
                    self.report.add(what, "tps", contestant.name, during)


def progress(text: str) -> None:
    """One line that is written over on a terminal; nothing in a log but the beginning of each part."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few short runs, for a first look")
    parser.add_argument("--only", default=",".join(ALL), help="contestants, for instance plain,pgseal")
    parser.add_argument("--rounds", type=int, help="alternating rounds of each measurement")
    parser.add_argument("--parts", default="inserts,copies,snapshots", help="for instance inserts")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    if arguments.rounds:
        plan = Plan(**{**asdict(plan), "rounds": arguments.rounds, "snapshot_rounds": arguments.rounds})
    contestants = [ALL[name] for name in arguments.only.split(",")]
    report = Report([contestant.name for contestant in contestants], asdict(plan))

    with Cluster(defaults=SETTINGS, preload="pgseal" in arguments.only) as cluster:
        benchmark = Benchmark(cluster, contestants, plan, report)
        with contextlib.suppress(KeyboardInterrupt):
            for part in arguments.parts.split(","):
                getattr(benchmark, part)()
        version = cluster.psql("SHOW server_version").stdout.strip()
    progress("")
    place = machine()
    print(f"PostgreSQL {version}, {place['cores']} × {place['processor']}, {place['memory_gb']} GB, fsync on;")
    print(f"medians of {plan.rounds} alternating rounds; ratios are medians of the rounds' ratios\n")
    print(report.table())
    print(f"\nevery run: {report.save(ROOT / 'target' / 'bench').relative_to(ROOT)}")


if __name__ == "__main__":
    main()
