"""Many clients at once: PostgreSQL's own pgbench with the scripts in sql/."""

from __future__ import annotations

import re
import shutil
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from server import BenchmarkError
from support.database import Database
from variants import SQL


def rate(database: Database, script: str, clients: int, seconds: int) -> float:
    """Transactions per second over so many seconds."""
    done = database.cluster.run(
        "pgbench", *_options(database, script, clients, seconds), database.name, timeout=seconds + 120
    )
    failed = re.search(r"number of failed transactions: (\d+)", done.stdout)
    if "aborted" in done.stderr or (failed and failed.group(1) != "0"):
        raise BenchmarkError(done.stderr[-2000:])
    found = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    if not found:
        raise BenchmarkError(done.stdout[-2000:])
    return float(found.group(1))


@dataclass
class Writers:
    """A pgbench that goes on, with its rate second by second."""

    seconds: list[tuple[float, float]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def rate(self, first: float, last: float) -> float:
        """Median transactions per second between two moments of time.monotonic."""
        return statistics.median(rate for at, rate in self.seconds if first <= at <= last)

    def read(self, line: str) -> None:
        found = re.match(r"progress: [\d.]+ s, ([\d.]+) tps.*?(\d+) failed", line)
        if found:
            self.seconds.append((time.monotonic(), float(found.group(1))))
        if (found and found.group(2) != "0") or "aborted" in line:
            self.complaints.append(line)


@contextmanager
def writing(database: Database, script: str, clients: int) -> Iterator[Writers]:
    """Clients that write until the block ends."""
    writers = Writers()
    process = database.cluster.popen("pgbench", *_options(database, script, clients, 3600), "-P", "1", database.name)

    def read() -> None:
        for line in process.stderr or ():
            writers.read(line)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield writers
        if process.poll() is not None or writers.complaints:
            raise BenchmarkError("".join(writers.complaints) or "pgbench has ended by itself")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        reader.join(30)


def _options(database: Database, script: str, clients: int, seconds: int) -> list[str | Path]:
    """The server's user must be able to read the script, wherever this project lies."""
    readable = database.cluster.home / script
    if not readable.exists():
        shutil.copy(SQL / script, readable)
    numbers = ["-c", str(clients), "-j", str(min(clients, 2)), "-T", str(seconds)]
    return ["-n", "-M", "prepared", *numbers, "-f", readable]
