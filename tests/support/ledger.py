"""What writers know of their transactions when their server dies, and what of it must be there afterwards.

    transaction = Transaction(rows={("h", 1)}, synchronous=True)     its writer keeps `fate` up to date
    ledger.close_round([log, …], stored, prepared)                   each log one writer's transactions, in order

A writer changes `fate` before it sends what decides and once more when the answer has come, so that only what was
on its way when the server died is in doubt. Of a transaction all rows are there, or none.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

Row = tuple[str, int]
"""A history's name, and the id of one of its rows."""


class Fate(enum.Enum):
    OPEN = "open"
    """Nothing was sent that could make it stay."""
    COMMITTING = "on its way to be committed"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"
    PREPARING = "on its way to be prepared"
    PREPARED = "prepared"
    ENDING_KEPT = "prepared, on its way to be committed"
    ENDING_LOST = "prepared, on its way to be rolled back"


@dataclass
class Transaction:
    """`rows` are those that its commit makes stay: what was rolled back within, or skipped, is not among them."""

    synchronous: bool
    """Whether its commit returns only when it is on disk. A prepared one always is."""
    rows: set[Row] = field(default_factory=set)
    fate: Fate = Fate.OPEN
    gid: str | None = None
    keeps_waiting: bool = False
    """Whether it owns what others wait for. It does so even if all that it inserted there was rolled back within."""


class LedgerError(AssertionError):
    """What the server has is not what its writers were told."""


class Ledger:
    """All rounds: rows that must be there, transactions that are prepared, and how often what happened."""

    def __init__(self) -> None:
        self.expected: set[Row] = set()
        self.prepared: list[Transaction] = []
        self.counts: Counter[str] = Counter()
        self._faults: list[str] = []

    def close_round(self, logs: Sequence[Sequence[Transaction]], stored: set[Row], prepared: set[str]) -> None:
        """After a crash: settles what was in doubt. Raises LedgerError with everything that is not as it must be."""
        for log in [self.prepared, *logs]:
            self._settle(log, stored, prepared)
        self.prepared = [t for log in [self.prepared, *logs] for t in log if t.fate is Fate.PREPARED]
        known = {transaction.gid for transaction in self.prepared}
        self._fault_if(prepared - known, "prepared, and nobody has prepared it")
        self.compare(stored)

    def decide(self, transaction: Transaction, *, keep: bool) -> None:
        """A prepared transaction that was left open has been ended."""
        self.prepared.remove(transaction)
        transaction.fate = Fate.COMMITTED if keep else Fate.ROLLED_BACK
        if keep:
            self.expected |= transaction.rows

    def compare(self, stored: set[Row]) -> None:
        """Exactly the rows of committed transactions are there."""
        self._fault_if(self.expected - stored, "acknowledged, and lost")
        self._fault_if(stored - self.expected, "stored, and never committed")
        faults, self._faults = self._faults, []
        if faults:
            raise LedgerError("\n".join(faults))

    def _settle(self, log: Sequence[Transaction], stored: set[Row], prepared: set[str]) -> None:
        lost: Transaction | None = None
        for transaction in log:
            doubtful = transaction.fate in (Fate.COMMITTING, Fate.PREPARING, Fate.ENDING_KEPT, Fate.ENDING_LOST)
            if self._may_be_lost(transaction, stored):
                self.counts["asynchronous commits lost"] += 1
                transaction.fate, lost = Fate.ROLLED_BACK, lost or transaction
                continue
            transaction.fate = self._fate(transaction, stored, prepared)
            if transaction.fate is Fate.COMMITTED:
                self.expected |= transaction.rows
            if lost and transaction.rows and transaction.fate in (Fate.COMMITTED, Fate.PREPARED):
                self._fault_if(lost.rows, "lost, while a later transaction of the same session was kept")
            if transaction.fate in (Fate.COMMITTED, Fate.ROLLED_BACK):
                self.counts[f"transactions {transaction.fate.value}"] += 1
            self.counts["transactions in doubt at a crash"] += doubtful

    def _may_be_lost(self, transaction: Transaction, stored: set[Row]) -> bool:
        """Its COMMIT returned before it was on disk, and it has gone with all its rows."""
        unsure = transaction.fate is Fate.COMMITTED and not transaction.synchronous and transaction.gid is None
        return unsure and bool(transaction.rows) and not transaction.rows & stored

    def _fate(self, transaction: Transaction, stored: set[Row], prepared: set[str]) -> Fate:
        """What became of it, for what the server has."""
        there = transaction.rows & stored
        if there and there != transaction.rows:
            self._fault_if(transaction.rows - there, f"missing from a transaction that was {transaction.fate.value}")
        if transaction.gid in prepared:
            if transaction.fate in (Fate.COMMITTED, Fate.ROLLED_BACK):
                self._faults.append(f"{transaction.gid} is prepared, and was {transaction.fate.value}")
            return Fate.PREPARED
        match transaction.fate:
            case Fate.COMMITTED:
                return Fate.COMMITTED
            case Fate.COMMITTING | Fate.ENDING_KEPT if there:
                return Fate.COMMITTED
            case Fate.PREPARED:
                self._faults.append(f"{transaction.gid} was prepared, and is gone")
            case Fate.ENDING_KEPT if transaction.rows:
                self._faults.append(f"{transaction.gid} was {transaction.fate.value}, and is gone")
        return Fate.ROLLED_BACK

    def _fault_if(self, rows: set[Row] | set[str], what: str) -> None:
        if rows:
            some = ", ".join(map(str, sorted(rows)[:5]))
            self._faults.append(f"{len(rows)} {what}: {some}")
