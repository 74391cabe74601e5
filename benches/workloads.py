"""The parts of a run. Each measures in rounds in which the variants alternate, each time in a new database."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import catalogue
import pgbench
from catalogue import Plan, Workload
from figures import Figures
from progress import progress
from server import BenchmarkError, copy, fresh, prefill, rows_file
from support.cluster import Cluster
from support.database import Database
from variants import SEALED, Variant

MANY = 32
TENANT = "tenant7"
PASSES = 3
"""How often a round times each query on the same table; their median is the round's number."""


@dataclass(frozen=True)
class Load:
    """A workload that pgbench makes."""

    workload: Workload
    script: str
    clients: int
    synchronous: bool = True


LOADS = (
    Load(catalogue.INSERT, "insert.pgbench", 1),
    Load(catalogue.INSERT_ASYNC, "insert.pgbench", 1, synchronous=False),
    Load(catalogue.INSERT_MANY, "insert.pgbench", MANY),
    Load(catalogue.TRANSACTIONS, "transaction.pgbench", 16),
)


class Benchmark:
    def __init__(self, cluster: Cluster, variants: list[Variant], plan: Plan, figures: Figures) -> None:
        self.cluster = cluster
        self.variants = variants
        self.plan = plan
        self.figures = figures

    def turns(self, what: str, number: int) -> Iterator[Variant]:
        """The variants in the order of a round: another one begins each time."""
        first = number % len(self.variants)
        for variant in self.variants[first:] + self.variants[:first]:
            progress(f"round {number + 1} of {self.plan.rounds}: {what}, {variant.title}")
            yield variant

    # -- writing ------------------------------------------------------------------------------------------------------

    def inserts(self) -> None:
        # Each round measures every workload, so that a disturbed minute spoils one round, not one line.
        for number in range(self.plan.rounds):
            for load in LOADS:
                for variant in self.turns(load.workload.title.strip(" …"), number):
                    with fresh(self.cluster, variant) as database:
                        self._rate(load, variant, database)

    def _rate(self, load: Load, variant: Variant, database: Database) -> None:
        prefill(database)
        if not load.synchronous:
            database.run(f'ALTER DATABASE "{database.name}" SET synchronous_commit = off')
        self.figures.add(load.workload, variant, pgbench.rate(database, load.script, load.clients, self.plan.seconds))
        if load.workload is catalogue.INSERT_MANY:
            self.figures.say(catalogue.VERDICT, variant, variant.verdict(database))

    def snapshots(self) -> None:
        """Before a snapshot is opened, and the last seconds of it, when what it holds back has piled up."""
        for number in range(self.plan.snapshot_rounds):
            for variant in self.turns("an open snapshot", number):
                with fresh(self.cluster, variant) as database:
                    self._snapshot(variant, database)

    def _snapshot(self, variant: Variant, database: Database) -> None:
        alone = self.plan.alone_seconds
        prefill(database)
        with pgbench.writing(database, "insert.pgbench", MANY) as writers:
            time.sleep(2 + alone)
            opened = time.monotonic()
            with open_snapshot(database):
                time.sleep(self.plan.snapshot_seconds)
                closed = time.monotonic()
        self.figures.add(catalogue.BEFORE_SNAPSHOT, variant, writers.rate(opened - alone, opened))
        self.figures.add(catalogue.IN_SNAPSHOT, variant, writers.rate(closed - alone, closed))

    # -- COPY and verification ----------------------------------------------------------------------------------------

    def copies(self) -> None:
        for number in range(self.plan.rounds):
            for variant in self.turns("COPY and verification", number):
                with fresh(self.cluster, variant) as database:
                    self._copy(variant, database)
                    self._verification(variant, database)

    def _copy(self, variant: Variant, database: Database) -> None:
        rows = self.plan.rows
        file = rows_file(self.cluster, rows)
        self.figures.add(catalogue.COPY, variant, rows / seconds(lambda: copy(database, file)))
        if database.value("SELECT count(*) FROM history") != rows:
            raise BenchmarkError("rows are missing after COPY")
        database.run("VACUUM ANALYZE history")
        database.run("CHECKPOINT")
        size = int(database.value("SELECT pg_total_relation_size('history')"))
        self.figures.add(catalogue.SIZE, variant, size / rows)

    def _verification(self, variant: Variant, database: Database) -> None:
        """Everything in memory or in the system's cache, where the first reading brings it."""
        timed = {catalogue.READ: lambda: reading(database)}
        if variant.check:
            timed[catalogue.VERIFY] = lambda: verifying(database, variant)
        if variant in SEALED:
            timed[catalogue.VERIFY_BY_TWO] = lambda: verifying(database, variant, workers=1)
        reading(database)
        self._time(timed, variant)
        if variant in SEALED:
            # A recorded run leaves a checkpoint, on which the answer for a tenant can rest.
            if database.value("SELECT verdict FROM seal.verify_and_prune('history')") != "intact":
                raise BenchmarkError("the recorded run has not ended intact")
            basis = database.value("SELECT basis FROM seal.verify_history(%s)", [TENANT])
            self.figures.say(catalogue.BASIS, variant, str(basis).partition(";")[0])
            self._time({catalogue.VERIFY_TENANT: lambda: verifying_tenant(database, self.plan.rows // 100)}, variant)

    def _time(self, timed: dict[Workload, Callable[[], None]], variant: Variant) -> None:
        """The queries in turn, so that what disturbs one disturbs the others."""
        passes = [{workload: seconds(query) for workload, query in timed.items()} for _ in range(PASSES)]
        for workload in timed:
            self.figures.add(workload, variant, statistics.median(times[workload] for times in passes))


PARTS: dict[str, Callable[[Benchmark], None]] = {
    "inserts": Benchmark.inserts,
    "copies": Benchmark.copies,
    "snapshots": Benchmark.snapshots,
}


def seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def reading(database: Database) -> None:
    """All documents become text, in one process: what any check in SQL has to do first."""
    database.run("SET max_parallel_workers_per_gather = 0")
    database.value("SELECT count(payload::text) FROM history")


def verifying(database: Database, variant: Variant, workers: int = 0) -> None:
    """In one process, or in the session's own and as many workers beside it."""
    database.run(f"SET max_parallel_workers_per_gather = {workers}")
    if (verdict := variant.verdict(database)) != "intact":
        raise BenchmarkError(f"{variant.title}: {verdict}")


def verifying_tenant(database: Database, entries: int) -> None:
    database.run("SET max_parallel_workers_per_gather = 0")
    answer = database.rows("SELECT verdict, entries FROM seal.verify_history(%s)", [TENANT])
    if answer != [("intact", entries)]:
        raise BenchmarkError(f"{TENANT}: {answer}")


@contextmanager
def open_snapshot(database: Database) -> Iterator[None]:
    """Somebody's forgotten transaction, which holds back what could be cleaned up."""
    with database.connect(autocommit=False) as forgotten:
        forgotten.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        forgotten.execute("SELECT count(*) FROM pg_class")
        yield
        forgotten.rollback()
