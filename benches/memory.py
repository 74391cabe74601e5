#!/usr/bin/env python3
"""make bench-memory: how much memory each process takes while ten million entries of a thousand tenants are verified.

Counted is RssAnon of /proc/PID/status, sampled while the verification runs: the pages that a process has for itself,
so that the machine needs them once more for each further one. Not in it: shared_buffers, of which a process that reads
a large table maps more and more (VmRSS and VmHWM count them in full, in each process), and the pages of the program's
file. In it, though nobody pays for them twice: pages that the process still shares with the postmaster from which it
was forked, a few MB, which are shown as the session's before. A few minutes and about 10 GB of disk; --rows makes it
less. A run of ten million writes memory.json beside this file, any other into target/bench.
"""

from __future__ import annotations

import argparse
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memory_figures import GOAL, MemoryFigures, MemoryRun
from progress import progress
from publish import MEMORY, PUBLISHED, UNPUBLISHED, publish
from server import SETTINGS, BenchmarkError, copy, fresh, in_words, place, rows_file
from support.cluster import ROOT, Cluster
from support.database import Database
from table import aligned, goal_cells
from variants import PGSEAL

ROWS = 10_000_000
TENANTS = 1_000
AT_ONCE = 1_000_000
PAUSE = 0.02

VERIFY = "SELECT verdict, basis FROM seal.verify_history()"
RUNS: tuple[tuple[str, int, str], ...] = (
    ("all, one process", 0, VERIFY),
    ("all, leader and one worker", 1, VERIFY),
    ("all, recorded", 0, "SELECT verdict, '' FROM seal.verify_and_prune('history')"),
    ("one tenant after that", 0, "SELECT verdict, basis FROM seal.verify_history('tenant7')"),
)
"""What is run, beside how many workers. A recorded run leaves a checkpoint, with a count for each tenant."""


def private_mb(pid: int) -> float | None:
    """None when the process is gone."""
    try:
        found = re.search(r"^RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found.group(1)) / 1024 if found else None


@contextmanager
def watching(database: Database, leader: int) -> Iterator[dict[int, float]]:
    """The peak of a session and of each worker that it starts, in MB by process id."""
    peaks: dict[int, float] = {}
    done = threading.Event()
    session = database.connect()

    def watch() -> None:
        while not done.wait(PAUSE):
            workers = session.execute("SELECT pid FROM pg_stat_activity WHERE leader_pid = %s", [leader]).fetchall()
            for pid in (leader, *(worker for (worker,) in workers)):
                peaks[pid] = max(peaks.get(pid, 0.0), private_mb(pid) or 0.0)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        done.set()
        watcher.join(30)
        session.close()


def verification(database: Database, what: str, workers: int, query: str) -> MemoryRun:
    """By a new session, which has nothing left over from another run."""
    settings = f"-c statement_timeout=0 -c max_parallel_workers_per_gather={workers}"
    with database.connect(options=settings) as session:
        pid = session.info.backend_pid
        session.execute("SELECT 1")
        before = private_mb(pid) or 0.0
        started = time.monotonic()
        with watching(database, pid) as peaks:
            answer = session.execute(query.encode()).fetchall()
        seconds = time.monotonic() - started
    if len(answer) != 1 or answer[0][0] != "intact":
        raise BenchmarkError(f"{what}: {answer}")
    verdict, basis = answer[0]
    if len(peaks) != 1 + workers:
        raise BenchmarkError(f"{what}: {len(peaks) - 1} workers took part instead of {workers}")
    own = peaks.pop(pid)
    return MemoryRun(what, seconds, before, [own, *peaks.values()], verdict, basis.partition(";")[0])


def measure(cluster: Cluster, rows: int) -> MemoryFigures:
    figures = MemoryFigures(rows, TENANTS, place(cluster))
    with fresh(cluster, PGSEAL) as database:
        file = rows_file(cluster, min(rows, AT_ONCE), TENANTS)
        for number in range(rows // min(rows, AT_ONCE)):
            progress(f"COPY {number + 1} of {rows // min(rows, AT_ONCE)}")
            copy(database, file)
        progress("VACUUM")
        database.run("VACUUM ANALYZE history")
        database.run("CHECKPOINT")
        for what, workers, query in RUNS:
            progress(f"verifying {what}")
            figures.runs.append(verification(database, what, workers, query))
    progress("")
    return figures


def table(figures: MemoryFigures) -> str:
    head = ["", "basis", "s", "MB before", "MB at most", "of a worker"]
    body = [[run.what, run.basis, *_numbers(run)] for run in figures.runs]
    bar, aim, reached = goal_cells(GOAL, GOAL.reached(figures.peak_mb))
    goal = f"at most {figures.peak_mb:.1f} MB of a process; bar {bar}, aim {aim}: {reached}"
    return "\n".join([*aligned(head, body), "", goal])


def _numbers(run: MemoryRun) -> list[str]:
    workers = ", ".join(f"{peak:.1f}" for peak in run.peaks_mb[1:]) or "–"
    return [f"{run.seconds:.1f}", f"{run.before_mb:.1f}", f"{run.peaks_mb[0]:.1f}", workers]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS, help="how many entries; millions, or less than one")
    rows = parser.parse_args().rows
    if rows > AT_ONCE and rows % AT_ONCE:
        parser.error("--rows: millions, or less than one")
    with Cluster(defaults={**SETTINGS, "max_wal_size": "2GB"}) as cluster:
        figures = measure(cluster, rows)
    print(f"{in_words(figures.place)}; {figures.rows:,} entries of {figures.tenants:,} tenants\n\n{table(figures)}\n")
    folder = PUBLISHED if rows == ROWS else UNPUBLISHED
    figures.save(folder / MEMORY)
    for path in publish(folder):
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
