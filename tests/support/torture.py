"""A server that dies again and again under many writers, and what must be left of it each time.

    torture = Torture(server, seed=7)
    for turn in torture.plan(rounds=5):
        print(torture.round(turn))          raises LedgerError or AssertionError with what is wrong
    torture.finish()

The seed decides how each round ends, what administrators do meanwhile and what the writers do; when exactly the
server dies also depends on the machine.
"""

from __future__ import annotations

import itertools
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import psycopg

from support.cluster import Cluster, ClusterError, Settings
from support.database import Database
from support.ledger import Ledger, Row
from support.ring import KeyFolder
from support.sealing import Session, attach, run
from support.torturers import HISTORIES, LEAVES, Writer

WRITERS = 16
SETTINGS: Settings = {
    "fsync": True,
    "pgseal.anchor_interval": "200ms",
    "max_prepared_transactions": 64,
    "checkpoint_timeout": "30s",
    "max_wal_size": "64MB",
}
LONGEST_ROUND = 2.0
WRITER = "torturer"
TERMINATED = 4
PATIENCE = 120.0
"""How long what the kill has ended, or a server that starts, may take, in seconds."""

# Whom SIGKILL meets; the whole server, or a process of a kind, whose loss restarts all others.
WHOLE = ("plug", "postmaster")
PROCESSES = {
    "backend": "backend_type IN ('client backend', 'parallel worker')",
    "anchor worker": "backend_type = 'pgseal anchor worker'",
    "launcher": "backend_type = 'pgseal launcher'",
}
KILLS = (*WHOLE, *PROCESSES)

# What sealing says when it believes that entries were removed or forged.
BELIES = re.compile(r"takes no more entries|entries of history .* are gone|entries of pgseal's journal are gone")

BROKEN = """SELECT count(*) FROM (
    SELECT seal_seq, seal_prev, lag(seal_seq, 1, 0::bigint) OVER chain AS seq_before,
           lag(seal_mac, 1, decode(repeat('00', 32), 'hex')) OVER chain AS mac_before FROM {}
    WINDOW chain AS (PARTITION BY seal_chain ORDER BY seal_seq)) e
 WHERE seal_seq <> seq_before + 1 OR seal_prev IS DISTINCT FROM mac_before"""


@dataclass(frozen=True)
class Turn:
    """One round: who is killed, and what administrators do meanwhile."""

    number: int
    kill: str
    act: str


class Torture:
    def __init__(self, server: Cluster, seed: int) -> None:
        """The server must run with SETTINGS; its keys come from a folder from now on."""
        self.server, self.seed = server, seed
        self.ledger, self.counts = Ledger(), Counter[str]()
        self._ids = [itertools.count(number, WRITERS) for number in range(WRITERS)]
        self._keys = KeyFolder(server)
        self._keys.make(1, server.key)
        server.configure({"pgseal.key_file": f"{self._keys.path}/%k"}, restart=True)
        self.db = server.createdb()
        self._create(self.db)

    @staticmethod
    def _create(db: Database) -> None:
        columns = "id bigint, k int, note text"
        db.run("CREATE EXTENSION pgseal")
        for name in ("plain", "single"):
            db.run(f"CREATE TABLE {name} ({columns}, PRIMARY KEY (id))")
        db.run(f"CREATE TABLE parts ({columns}, PRIMARY KEY (id, k)) PARTITION BY LIST (k)")
        for k in range(LEAVES):
            db.run(f"CREATE TABLE parts{k} PARTITION OF parts FOR VALUES IN ({k})")
        for name in HISTORIES:
            attach(db, name, "max_chains => 1" if name == "single" else "")

    def plan(self, rounds: int) -> Iterator[Turn]:
        """Every kind of kill and of act as often as any other, in an order that the seed makes."""
        dice = self._dice("plan")
        kills, acts = _decks(KILLS, dice), _decks(tuple(ACTS), dice)
        return (Turn(number, next(kills), next(acts)) for number in range(1, rounds + 1))

    def round(self, turn: Turn) -> str:
        """Writers write, the server dies and comes back, everything is as they were told. A line of figures."""
        dice, mark, started = self._dice(turn.number), self.server.log_position(), time.monotonic()
        writers = self._write_until_killed(turn, dice)
        self.server.start()
        recovered = time.monotonic() - started
        self.counts[f"killed: {turn.kill}"] += 1
        before = len(self.ledger.expected)
        self.ledger.close_round([writer.log for writer in writers], self._stored(), self._prepared())
        left_open = len(self.ledger.prepared)
        self.counts["prepared transactions open at a crash"] += left_open
        self.assert_whole()
        self._decide(dice)
        self.assert_whole()
        said = BELIES.search(self.server.log(mark))
        assert not said, f"the server says: {said and said.group()}"
        return (
            f"round {turn.number:2} {turn.kill:13} {turn.act:12}"
            f" {len(self.ledger.expected) - before:6,} entries, {left_open:2} prepared left open,"
            f" {recovered:4.1f} s, checked in {time.monotonic() - started - recovered:.1f} s"
        )

    def finish(self) -> None:
        """Ends what is still prepared; stopped and started in the ordinary way everything is there as before."""
        self._decide(self._dice("end"), leave=False)
        self.server.restart()
        self.assert_whole()
        for name in HISTORIES:
            self.counts[f"entries of {name}"] = self.db.value(f"SELECT count(*) FROM {name}")
            self.counts[f"chains of {name}"] = self.db.value(f"SELECT count(DISTINCT seal_chain) FROM {name}")
        self.counts["anchors"] = self.db.value("SELECT count(*) FROM seal.anchor")
        self.counts["keys"] = self.db.value("SELECT count(*) FROM seal.keys")
        assert self.counts["chains of single"] == 1, "max_chains => 1 has more than one"

    def figures(self) -> list[str]:
        """Everything that was counted, a line each."""
        return [f"{what}: {count:,}" for what, count in sorted({**self.counts, **self.ledger.counts}.items())]

    # -- until it dies -----------------------------------------------------------------------------------------------

    def _write_until_killed(self, turn: Turn, dice: random.Random) -> list[Writer]:
        stop, delay = threading.Event(), dice.uniform(0.1, LONGEST_ROUND)
        writers = [self._writer(turn, number, stop) for number in range(WRITERS)]
        verifier, admin = self.db.connect(), self.db.connect()
        with ThreadPoolExecutor(WRITERS + 2) as pool:
            crew = [pool.submit(writer.write) for writer in writers]
            crew.append(pool.submit(self._verify_beside, verifier, stop))
            crew.append(pool.submit(self._administer, turn, admin, stop, dice.uniform(0, delay / 2)))
            try:
                # A writer's second transaction: all have begun, and have something to lose.
                self._until(stop, lambda: all(len(writer.log) > 1 or writer.session.closed for writer in writers))
                stop.wait(delay)
                if not stop.is_set():
                    self._kill(turn.kill, dice)
                for member in crew:
                    member.result(timeout=PATIENCE)
            finally:
                stop.set()
        return writers

    def _writer(self, turn: Turn, number: int, stop: threading.Event) -> Writer:
        """Every fourth one does not wait for the disk."""
        session, dice = self.db.connect(application_name=WRITER), self._dice(turn.number, number)
        return Writer(session, number, dice, self._ids[number], stop, synchronous=number % 4 != 3)

    def _kill(self, kind: str, dice: random.Random) -> None:
        if kind == "plug":
            self.server.kill()
        elif kind == "postmaster":
            self.server.kill_postmaster()
        else:
            self._kill_process(PROCESSES[kind], dice)

    def _kill_process(self, condition: str, dice: random.Random) -> None:
        """One of a kind; they come and go, so until there is one that has not gone before the signal."""
        query = f"SELECT pid FROM pg_stat_activity WHERE {condition} AND pid <> pg_backend_pid() ORDER BY 1"
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if pids := [pid for (pid,) in self.db.rows(query)]:
                with suppress(ClusterError, ProcessLookupError):
                    self.server.kill_backend(dice.choice(pids))
                    return
        raise AssertionError(f"nobody to kill within {PATIENCE:.0f} s: {condition}")

    def _verify_beside(self, session: Session, stop: threading.Event) -> None:
        """Again and again, until the server dies: never a finding, whatever is going on."""
        with _until_lost(session, stop):
            while not stop.is_set():
                answers = session.execute("SELECT history, verdict, next_step FROM seal.verify_history()").fetchall()
                assert {verdict for _, verdict, _ in answers} <= {"intact", "nothing_sealed"}, answers
                self.counts["verifications beside writers"] += 1

    def _administer(self, turn: Turn, session: Session, stop: threading.Event, delay: float) -> None:
        """Begun before the kill; it may be done before, or never."""
        with _until_lost(session, stop):
            stop.wait(delay)
            ACTS[turn.act](self, session, turn)
            self.counts[f"done before the kill: {turn.act}"] += 1

    def _rotate(self, session: Session, turn: Turn) -> None:
        """The next key is made now: a rotation that was cut off takes the one that was made for it."""
        self._keys.make(1 + len(list(self._keys.path.iterdir())))
        session.execute("SELECT seal.rotate_key()")

    def _add_column(self, session: Session, turn: Turn) -> None:
        """To the history on which no prepared transaction is left open, which would keep it waiting for ever."""
        session.execute(f"ALTER TABLE single ADD COLUMN c{turn.number} int DEFAULT {turn.number}".encode())

    def _recorded_run(self, session: Session, turn: Turn) -> None:
        answers = session.execute("SELECT history, verdict, next_step FROM seal.verify_and_prune()").fetchall()
        assert {verdict for _, verdict, _ in answers} <= {"intact", "nothing_sealed"}, answers

    def _terminate(self, session: Session, turn: Turn) -> None:
        """Some writers, first of all those that wait for a lock. Nothing that a session had locked outlives it."""
        for _ in range(TERMINATED):
            victims = """SELECT pid FROM pg_stat_activity WHERE application_name = %s
                          ORDER BY wait_event_type = 'Lock' DESC NULLS LAST, random() LIMIT 1"""
            for (pid,) in session.execute(victims, [WRITER]).fetchall():
                gone = session.execute("SELECT pg_terminate_backend(%s, 60000)", [pid]).fetchone()
                if gone != (True,):
                    return  # The kill was faster.
                self.counts["sessions terminated"] += 1
                left = session.execute("SELECT locktype, mode FROM pg_locks WHERE pid = %s", [pid]).fetchall()
                assert left == [], f"session {pid} is gone, its locks are not: {left}"

    # -- afterwards --------------------------------------------------------------------------------------------------

    def assert_whole(self) -> None:
        """Rows as the ledger has them; no gap, no fork; no finding; as many entries verified as there are."""
        stored = self._stored()
        self.ledger.compare(stored)
        for name in HISTORIES:
            assert self.db.value(BROKEN.format(name)) == 0, f"{name} has a gap or a fork"
        findings = self.db.rows("SELECT history, kind, chain, position, detail FROM seal.findings()")
        assert findings == [], findings
        answers = self.db.rows("SELECT history, verdict, entries FROM seal.verify_history()")
        counts = Counter(name for name, _ in stored)
        verdicts = {name: "intact" if counts[name] else "nothing_sealed" for name in HISTORIES}
        expected = sorted((f"public.{name}", verdicts[name], counts[name]) for name in HISTORIES)
        assert sorted(answers) == expected, answers

    def _decide(self, dice: random.Random, *, leave: bool = True) -> None:
        """Ends most of the prepared transactions, one way or the other; some stay open across the next crash too."""
        for transaction in list(self.ledger.prepared):
            if leave and not transaction.keeps_waiting and dice.random() < 0.25:
                continue
            keep = dice.random() < 0.5
            self.db.run(f"{'COMMIT' if keep else 'ROLLBACK'} PREPARED '{transaction.gid}'")
            self.ledger.decide(transaction, keep=keep)

    def _stored(self) -> set[Row]:
        return {(name, number) for name in HISTORIES for (number,) in self.db.rows(f"SELECT id FROM {name}")}

    def _prepared(self) -> set[str]:
        return {gid for (gid,) in self.db.rows("SELECT gid FROM pg_prepared_xacts")}

    def _dice(self, *of: object) -> random.Random:
        return random.Random("/".join(map(str, (self.seed, *of))))

    @staticmethod
    def _until(stop: threading.Event, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition() and not stop.wait(0.01):
            assert time.monotonic() < deadline, "the writers have not begun"


ACTS: dict[str, Callable[[Torture, Session, Turn], None]] = {
    "nothing": lambda *_: None,
    "rotation": Torture._rotate,
    "new column": Torture._add_column,
    "recorded run": Torture._recorded_run,
    "terminations": Torture._terminate,
}


class _until_lost:
    """Inside, the server may die. Any other error ends the round."""

    def __init__(self, session: Session, stop: threading.Event) -> None:
        self.session, self.stop = session, stop

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: object, _: object) -> bool:
        lost = isinstance(error, psycopg.OperationalError) and self.session.broken
        if error and not lost:
            self.stop.set()
        return lost


def _decks(cards: tuple[str, ...], dice: random.Random) -> Iterator[str]:
    """All of them in some order, then all again in another."""
    while True:
        yield from dice.sample(cards, len(cards))
