"""Sessions that write to several histories in every way there is, until their server dies.

    writer = Writer(session, 3, random.Random(…), ids, stop, synchronous=True)
    writer.write()              returns when the server is gone, or `stop` is set
    writer.log                  its transactions, in their order, as the ledger wants them
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from itertools import islice

import psycopg

from support.ledger import Fate, Transaction
from support.sealing import Session, run

# In this order within a transaction: `single` is the only one that makes writers wait, and it comes last.
HISTORIES = ("plain", "parts", "single")
LEAVES = 3
LEVELS = ("READ COMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
NOTHING = "ON CONFLICT DO NOTHING"


class Writer:
    """One session, and what it knows of its transactions."""

    def __init__(
        self,
        session: Session,
        number: int,
        dice: random.Random,
        ids: Iterator[int],
        stop: threading.Event,
        *,
        synchronous: bool,
    ) -> None:
        self.session, self.number, self.dice, self.ids, self.stop = session, number, dice, ids, stop
        self.synchronous = synchronous
        self.log: list[Transaction] = []
        self._left_open: Transaction | None = None
        self._acts: tuple[Callable[[Transaction, str], None], ...] = (
            self._one_by_one, self._together, self._conflict, self._skipped_last, self._copy,
            self._first_seal_undone, self._nested, self._failed,
        )  # fmt: skip

    def write(self) -> None:
        try:
            run(self.session, f"SET synchronous_commit = {'on' if self.synchronous else 'off'}")
            while not self.stop.is_set():
                self._transaction()
        except psycopg.OperationalError:
            # Waiting too long, or a deadlock, would be one too: only a lost session is expected.
            if not self.session.broken:
                self.stop.set()
                raise
        except BaseException:
            self.stop.set()
            raise

    def _transaction(self) -> None:
        transaction = Transaction(synchronous=self.synchronous)
        self.log.append(transaction)
        run(self.session, f"BEGIN ISOLATION LEVEL {self.dice.choice(LEVELS)}")
        chosen = self.dice.sample(HISTORIES, self.dice.choice((1, 1, 2)))
        transaction.keeps_waiting = "single" in chosen
        for history in sorted(chosen, key=HISTORIES.index):
            for _ in range(self.dice.randint(1, 2)):
                self.dice.choice(self._acts)(transaction, history)
        ending = self.dice.random()
        if ending < 0.6:
            self._end(transaction, "COMMIT", Fate.COMMITTING, Fate.COMMITTED)
        elif ending < 0.75:
            self._end(transaction, "ROLLBACK", Fate.OPEN, Fate.ROLLED_BACK)
        else:
            self._prepare(transaction)

    def _end(self, transaction: Transaction, statement: str, doubt: Fate, fate: Fate) -> None:
        transaction.fate = doubt
        run(self.session, statement)
        transaction.fate = fate

    def _prepare(self, transaction: Transaction) -> None:
        """Left open beside one other at most; where others wait for it, for a moment only."""
        transaction.gid = f"torture {self.number} {next(self.ids)}"
        self._end(transaction, f"PREPARE TRANSACTION '{transaction.gid}'", Fate.PREPARING, Fate.PREPARED)
        if transaction.keeps_waiting:
            self.stop.wait(self.dice.uniform(0, 0.03))
            self._decide(transaction)
        else:
            if self._left_open:
                self._decide(self._left_open)
            self._left_open = transaction

    def _decide(self, transaction: Transaction) -> None:
        if self.dice.random() < 0.6:
            self._end(transaction, f"COMMIT PREPARED '{transaction.gid}'", Fate.ENDING_KEPT, Fate.COMMITTED)
        else:
            self._end(transaction, f"ROLLBACK PREPARED '{transaction.gid}'", Fate.ENDING_LOST, Fate.ROLLED_BACK)

    # -- what a transaction does to one history ----------------------------------------------------------------------

    def _one_by_one(self, transaction: Transaction, history: str) -> None:
        for number in self._numbers(2):
            self._insert(history, [number])
            transaction.rows.add((history, number))

    def _together(self, transaction: Transaction, history: str) -> None:
        numbers = self._numbers(self.dice.randint(2, 8))
        self._insert(history, numbers)
        self._keep(transaction, history, numbers)

    def _conflict(self, transaction: Transaction, history: str) -> None:
        """The last one of a statement is skipped, and then a whole statement."""
        first, second = self._numbers(2)
        self._insert(history, [first, second, first], NOTHING)
        self._insert(history, [second], NOTHING)
        self._keep(transaction, history, [first, second])

    def _skipped_last(self, transaction: Transaction, history: str) -> None:
        """What was skipped in a savepoint, which is then undone or not."""
        first, second = self._numbers(2)
        self._insert(history, [first])
        run(self.session, "SAVEPOINT skipped")
        self._insert(history, [first, second, first], NOTHING)
        kept = self.dice.random() < 0.5
        run(self.session, "RELEASE skipped" if kept else "ROLLBACK TO skipped")
        self._keep(transaction, history, [first, second] if kept else [first])

    def _copy(self, transaction: Transaction, history: str) -> None:
        numbers = self._numbers(self.dice.randint(3, 30))
        with (
            self.session.cursor() as cursor,
            cursor.copy(f"COPY {history} (id, k, note) FROM STDIN".encode()) as copy,
        ):
            for number in numbers:
                copy.write_row((number, number % LEAVES, self._note()))
        self._keep(transaction, history, numbers)

    def _first_seal_undone(self, transaction: Transaction, history: str) -> None:
        first, second = self._numbers(2)
        run(self.session, "SAVEPOINT undone")
        self._insert(history, [first])
        run(self.session, "ROLLBACK TO undone")
        self._insert(history, [second])
        self._keep(transaction, history, [second])

    def _nested(self, transaction: Transaction, history: str) -> None:
        first, second, third = self._numbers(3)
        run(self.session, "SAVEPOINT a")
        self._insert(history, [first])
        run(self.session, "SAVEPOINT b")
        self._insert(history, [second])
        run(self.session, self.dice.choice(("ROLLBACK TO b", "ROLLBACK TO b; RELEASE b")))
        self._insert(history, [third])
        if self.dice.random() < 0.5:
            run(self.session, "RELEASE a")
            self._keep(transaction, history, [first, third])
        else:
            run(self.session, "ROLLBACK TO a")

    def _failed(self, transaction: Transaction, history: str) -> None:
        first, second = self._numbers(2)
        self._insert(history, [first])
        run(self.session, "SAVEPOINT failed")
        try:
            self._insert(history, [second, first])
        except psycopg.errors.UniqueViolation as violation:
            assert "_pkey" in (violation.diag.constraint_name or ""), str(violation)
        else:
            raise AssertionError(f"row {first} stands in {history} twice")
        run(self.session, "ROLLBACK TO failed")
        self._keep(transaction, history, [first])

    def _insert(self, history: str, numbers: list[int], clause: str = "") -> None:
        rows = ", ".join(f"({number}, {number % LEAVES}, '{self._note()}')" for number in numbers)
        run(self.session, f"INSERT INTO {history} (id, k, note) VALUES {rows} {clause}")

    def _numbers(self, count: int) -> list[int]:
        return list(islice(self.ids, count))

    def _note(self) -> str:
        return "x" * self.dice.choice((0, 5, 50, 500))

    def _keep(self, transaction: Transaction, history: str, numbers: list[int]) -> None:
        transaction.rows |= {(history, number) for number in numbers}
