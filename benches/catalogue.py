"""What is measured, what is compared with what, and how far pgseal has to come."""

from __future__ import annotations

from dataclasses import dataclass

from variants import PGCRYPTO, PGSEAL, PLAIN, Variant


@dataclass(frozen=True)
class Plan:
    """How much of everything. Seconds are those of one measurement. An open snapshot takes longest, in fewer rounds."""

    rounds: int
    seconds: int
    rows: int
    alone_seconds: int
    snapshot_seconds: int
    snapshot_rounds: int


FULL = Plan(rounds=5, seconds=5, rows=1_000_000, alone_seconds=10, snapshot_seconds=60, snapshot_rounds=2)
QUICK = Plan(rounds=3, seconds=2, rows=200_000, alone_seconds=4, snapshot_seconds=10, snapshot_rounds=1)


@dataclass(frozen=True)
class Workload:
    """One number per variant and round. A title may name numbers of the plan."""

    key: str
    title: str
    unit: str


@dataclass(frozen=True)
class Goal:
    """What the ratio of pgseal has to be (the bar), and what would be good (the aim)."""

    bar: float
    aim: float
    at_most: bool = False

    def reached(self, ratio: float) -> str:
        """`aim`, `bar` or `no`."""
        for mark, name in ((self.aim, "aim"), (self.bar, "bar")):
            if (ratio <= mark) if self.at_most else (ratio >= mark):
                return name
        return "no"

    @property
    def sign(self) -> str:
        return "≤" if self.at_most else "≥"


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a workload, of the variant in question or always of the same one."""

    workload: Workload
    variant: Variant | None = None


@dataclass(frozen=True)
class Comparison:
    """A ratio for each variant that has both sides; the figure is the median of the rounds' ratios.

    What disturbs a round disturbs both of its numbers, so the ratios within rounds are steadier than the numbers.
    """

    words: str
    of: Side
    to: Side
    goal: Goal | None = None


@dataclass(frozen=True)
class Section:
    """A workload's lines in the table: the numbers, then what they are compared with."""

    workload: Workload
    comparisons: tuple[Comparison, ...] = ()


def _of_plain(workload: Workload, goal: Goal | None = None) -> Comparison:
    return Comparison("of plain", Side(workload), Side(workload, PLAIN), goal)


INSERT = Workload("insert", "INSERT of a row, 1 client", "per s")
INSERT_ASYNC = Workload("insert_async", "INSERT of a row, 1 client, synchronous_commit off", "per s")
INSERT_MANY = Workload("insert_many", "INSERT of a row, 32 clients", "per s")
TRANSACTIONS = Workload("transactions", "10 INSERTs and 5 ms of other work, 16 clients", "per s")
COPY = Workload("copy", "COPY of {rows:,} rows", "rows per s")
SIZE = Workload("size", "size of a row with indexes", "bytes")
BEFORE_SNAPSHOT = Workload("before_snapshot", "INSERT of a row, 32 clients, before a snapshot is opened", "per s")
IN_SNAPSHOT = Workload("in_snapshot", "INSERT of a row, 32 clients, after {snapshot_seconds} s of a snapshot", "per s")
READ = Workload("read", "reading the payloads of {rows:,} rows", "s")
VERIFY = Workload("verify", "verifying {rows:,} rows, one process", "s")
VERIFY_BY_TWO = Workload("verify_by_two", "verifying {rows:,} rows, leader and one worker", "s")
VERIFY_TENANT = Workload("verify_tenant", "verifying a tenant with 1 % of {rows:,} rows", "s")

INSERT_OF_PLAIN = _of_plain(INSERT, Goal(0.88, 0.95))
INSERT_ASYNC_OF_PLAIN = _of_plain(INSERT_ASYNC, Goal(0.80, 0.90))
INSERT_MANY_OF_PLAIN = _of_plain(INSERT_MANY, Goal(0.88, 0.95))
INSERT_MANY_OF_PGCRYPTO = Comparison("× pgcrypto", Side(INSERT_MANY), Side(INSERT_MANY, PGCRYPTO), Goal(3, 5))
TRANSACTIONS_OF_PLAIN = _of_plain(TRANSACTIONS, Goal(0.90, 0.98))
COPY_OF_PLAIN = _of_plain(COPY, Goal(0.58, 0.68))
SIZE_OF_PLAIN = _of_plain(SIZE)
SNAPSHOT_OF_BEFORE = Comparison("of before", Side(IN_SNAPSHOT), Side(BEFORE_SNAPSHOT), Goal(0.90, 1.0))
VERIFY_OF_READING = Comparison("of reading them", Side(VERIFY), Side(READ), Goal(1.0, 0.7, at_most=True))
VERIFY_FASTER_THAN_SQL = Comparison("× faster than in SQL", Side(VERIFY, PGCRYPTO), Side(VERIFY), Goal(5, 10))
TWO_OF_ONE = Comparison("× one process", Side(VERIFY), Side(VERIFY_BY_TWO), Goal(1.6, 1.9))
TENANT_OF_ALL = Comparison("of verifying all", Side(VERIFY_TENANT), Side(VERIFY), Goal(0.03, 0.015, at_most=True))
TWO_OF_READING = Comparison("of reading them", Side(VERIFY_BY_TWO), Side(READ))
TENANT_OF_READING = Comparison("of reading all", Side(VERIFY_TENANT), Side(READ))

SECTIONS = (
    Section(INSERT, (INSERT_OF_PLAIN,)),
    Section(INSERT_ASYNC, (INSERT_ASYNC_OF_PLAIN,)),
    Section(INSERT_MANY, (INSERT_MANY_OF_PLAIN, INSERT_MANY_OF_PGCRYPTO)),
    Section(TRANSACTIONS, (TRANSACTIONS_OF_PLAIN,)),
    Section(BEFORE_SNAPSHOT),
    Section(IN_SNAPSHOT, (SNAPSHOT_OF_BEFORE,)),
    Section(COPY, (COPY_OF_PLAIN,)),
    Section(SIZE, (SIZE_OF_PLAIN,)),
    Section(READ),
    Section(VERIFY, (VERIFY_OF_READING, VERIFY_FASTER_THAN_SQL)),
    Section(VERIFY_BY_TWO, (TWO_OF_ONE,)),
    Section(VERIFY_TENANT, (TENANT_OF_ALL,)),
)

VERDICT = "its own check after 32 clients"
BASIS = "what a tenant's answer rests on"

JUDGED = PGSEAL
"""Whose ratios the goals are for."""
