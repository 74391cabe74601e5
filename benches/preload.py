#!/usr/bin/env python3
"""make bench-preload: what a server that only preloads pgseal pays for it, where no database has created it.

Two servers, with and without, measured in turns, so that what disturbs a round disturbs both; the figures are medians,
and medians of the rounds' ratios with the middle half of them. A ratio of processor times is steadier on a busy machine
than one of transactions per second; on a very busy one only --instructions says something, by valgrind. Some minutes on
2 cores.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import instructions
from progress import progress
from server import SETTINGS, BenchmarkError, in_words, place
from support.cluster import Cluster, Settings
from variants import SQL, sql

# No process comes or goes by itself, so that the time of those that end is pgbench's.
QUIET: Settings = {**SETTINGS, "shared_buffers": "256MB", "autovacuum": False}
DATABASE = "bench"
SCALE = 10


@dataclass(frozen=True)
class Load:
    title: str
    script: tuple[str, str]
    clients: int


LOADS = (
    Load("SELECT by key, 1 client", ("-b", "select-only"), 1),
    Load("SELECT by key, 8 clients", ("-b", "select-only"), 8),
    Load("INSERT of a row, 1 client", ("-f", "insert.pgbench"), 1),
    Load("TPC-B-like, 8 clients", ("-b", "tpcb-like"), 8),
)


STATEMENTS = {
    "SELECT by key": "SELECT abalance FROM pgbench_accounts WHERE aid = {n}",
    "UPDATE by key": "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = {n}",
    "INSERT of a row": "INSERT INTO history (tenant, at, payload) VALUES ('tenant{n}', now(), '{}')",
}


@dataclass(frozen=True)
class Measured:
    rate: float
    """Transactions per second."""
    microseconds: float
    """Processor time of the server for one transaction."""


def processor_seconds(server: Cluster) -> float:
    """Of the postmaster and of all its processes that have ended; waits until those of the clients have."""
    deadline = time.monotonic() + 60
    while any(serves_client(pid) for pid in server.children()):
        if time.monotonic() > deadline:
            raise BenchmarkError("the sessions do not end")
        time.sleep(0.01)
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def serves_client(pid: int) -> bool:
    """Whether a process is of our database, or has ended and the postmaster has not asked for its times yet."""
    process = Path("/proc") / str(pid)
    with contextlib.suppress(OSError):
        title = process.joinpath("cmdline").read_text(errors="replace")
        # Who is about to end has none any more.
        return not title or f" {DATABASE} " in title
    return False


def measure(server: Cluster, load: Load, seconds: int) -> Measured:
    """One pgbench, and what it has cost."""
    option, script = load.script
    if option == "-f":
        readable = server.home / script
        readable.write_text((SQL / script).read_text())
        script = str(readable)
    server.psql("CHECKPOINT", DATABASE)
    before = processor_seconds(server)
    done = server.run(
        "pgbench", "-n", "-M", "prepared", "-c", str(load.clients), "-j", str(min(load.clients, 2)), "-T", str(seconds),
        option, script, DATABASE, timeout=seconds + 120,
    )  # fmt: skip
    spent = processor_seconds(server) - before
    rate = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    count = re.search(r"transactions actually processed: (\d+)", done.stdout)
    if not rate or not count or "aborted" in done.stderr:
        raise BenchmarkError(done.stdout + done.stderr)
    return Measured(float(rate.group(1)), spent / int(count.group(1)) * 1e6)


def fill(server: Cluster) -> None:
    server.createdb(name=DATABASE)
    server.run("pgbench", "-i", "-q", "-s", str(SCALE), DATABASE)
    server.psql(sql("plain.sql"), DATABASE)


def count_instructions(without: Cluster, preloaded: Cluster) -> None:
    """Of the statements that `make bench-preload` times, each planned anew."""
    for server in (without, preloaded):
        server.stop()
    for title, statement in STATEMENTS.items():
        progress(f"counting instructions: {title}")
        bare, loaded = (instructions.each(server, DATABASE, statement) for server in (without, preloaded))
        progress("")
        print(f"{title:26} {bare:9,.0f} {loaded:9,.0f} instructions, {loaded / bare:.4f}", flush=True)


def measure_in_turns(without: Cluster, preloaded: Cluster, rounds: int, seconds: int) -> None:
    servers = {False: without, True: preloaded}
    measured: dict[tuple[Load, bool], list[Measured]] = {}
    for number in range(rounds):
        for load in LOADS:
            progress(f"round {number + 1} of {rounds}: {load.title}")
            for has_pgseal in (False, True) if number % 2 else (True, False):
                measured.setdefault((load, has_pgseal), []).append(measure(servers[has_pgseal], load, seconds))
    progress("")
    print(f"{rounds} rounds of {seconds} s")
    print(f"{'':26} {'without':>9} {'preloaded':>9}       {'ratio':24} {'without':>7} {'preloaded':>7}   ratio")
    for load in LOADS:
        print(line(load, measured[load, False], measured[load, True]))


def in_short(ratios: list[float]) -> str:
    """Median and middle half."""
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def line(load: Load, without: list[Measured], preloaded: list[Measured]) -> str:
    rates = [statistics.median(one.rate for one in side) for side in (without, preloaded)]
    times = [statistics.median(one.microseconds for one in side) for side in (without, preloaded)]
    of_rate = in_short([b.rate / a.rate for a, b in zip(without, preloaded, strict=True)])
    of_time = in_short([b.microseconds / a.microseconds for a, b in zip(without, preloaded, strict=True)])
    return (
        f"{load.title:26} {rates[0]:9,.0f} {rates[1]:9,.0f} per s {of_rate:24}"
        f" {times[0]:7,.1f} {times[1]:7,.1f} µs {of_time}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="alternating rounds (9; at least 2)")
    parser.add_argument("--seconds", type=int, default=4, help="of each measurement (4)")
    parser.add_argument("--instructions", action="store_true", help="count instructions instead")
    arguments = parser.parse_args()
    with (
        Cluster(defaults=QUIET, preload=False) as without,
        Cluster(defaults=QUIET) as preloaded,
    ):
        for server in (without, preloaded):
            fill(server)
        print(in_words(place(preloaded)))
        if arguments.instructions:
            count_instructions(without, preloaded)
        else:
            measure_in_turns(without, preloaded, arguments.rounds, arguments.seconds)


if __name__ == "__main__":
    main()
