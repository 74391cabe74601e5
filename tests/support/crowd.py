"""Many sessions that write to the same history at the same time."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg

from support.database import Database
from support.sealing import Session, run

NOTHING = "ON CONFLICT DO NOTHING"


class Crowd:
    """`size` writers, each in its own session, for some seconds."""

    def __init__(
        self, db: Database, size: int, level: str, seconds: float, table: str = "h", first_id: int = 1
    ) -> None:
        self.db, self.size, self.level, self.seconds, self.table = db, size, level, seconds, table
        self.first_id = first_id
        self.sessions = [db.connect() for _ in range(size)]
        self._together = threading.Barrier(size)
        self._stop = threading.Event()

    def write(self, beside: Callable[[], None] | None = None) -> list[int]:
        """Runs all; meanwhile, again and again, what is to run beside them. Every error is raised here."""
        with ThreadPoolExecutor(self.size) as pool:
            writers: list[Future[list[int]]] = [pool.submit(self._writer, n) for n in range(self.size)]
            try:
                while beside and not all(writer.done() for writer in writers):
                    beside()
            except BaseException:
                self._stop.set()
                raise
            return sorted(number for writer in writers for number in writer.result())

    def _writer(self, number: int) -> list[int]:
        try:
            return self._write(number)
        except BaseException:
            # Its locks go, and nobody waits for it.
            self._stop.set()
            self.sessions[number].close()
            raise

    def _write(self, number: int) -> list[int]:
        session, dice = self.sessions[number], random.Random(number)
        committed: list[int] = []
        next_id = self.first_id + number
        self._together.wait()
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline and not self._stop.is_set():
            ids = [next_id + self.size * i for i in range(4)]
            next_id += self.size * 4
            committed += self._transaction(session, dice, ids)
        return committed

    def _transaction(self, session: Session, dice: random.Random, ids: list[int]) -> list[int]:
        """One of: a row, four rows with a skipped last one, savepoints, a failed statement; kept or rolled back."""
        first, second, third, fourth = (f"({number}, 'x')" for number in ids)
        insert = f"INSERT INTO {self.table} VALUES"
        run(session, f"BEGIN ISOLATION LEVEL {self.level}", f"{insert} {first}")
        kept = [ids[0]]
        match dice.randrange(4):
            case 0:
                run(session, f"{insert} {second}, {third}, {first} {NOTHING}")
                kept += ids[1:3]
            case 1:
                run(session, "SAVEPOINT a", f"{insert} {second}", "SAVEPOINT b", f"{insert} {third}", "ROLLBACK TO a")
                run(session, f"{insert} {fourth}", "RELEASE a")
                kept.append(ids[3])
            case 2:
                run(session, "SAVEPOINT a")
                try:
                    run(session, f"{insert} {second}, {first}")
                except psycopg.errors.UniqueViolation as violation:
                    assert f'"{self.table}_pkey' in (violation.diag.message_primary or ""), str(violation)
                run(session, "ROLLBACK TO a")
        if dice.random() < 0.3:
            run(session, "ROLLBACK")
            return []
        run(session, "COMMIT")
        return kept
