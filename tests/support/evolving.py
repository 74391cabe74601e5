"""Servers whose secrets evolve, with clocks that a test moves.

    with evolving_server() as evolving:                    pgseal.key_evolution = day; the root beside the key
        evolving.days_pass(3)                              and their closings are there
        evolving.closings(db)                              what each record of the journal's closings is, in order
        evolving.hide_root(); evolving.bring_root()        a server that never has the root, and one that has
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from support.clock import Clock
from support.cluster import Cluster, Setting
from support.database import Database
from support.servers import assert_no_alarms
from support.witnessing import AT_ONCE

JOURNAL = "70677365-616c-206a-6f75-726e616c0000"
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
DEADLINE = 30.0

OF_HISTORY = "(SELECT history_id FROM seal.history WHERE relation = '{}'::regclass AND detached_at IS NULL)"


@dataclass
class Evolving:
    server: Cluster
    clock: Clock
    root: str

    @property
    def root_file(self) -> Path:
        return self.server.home / "keys" / "1-verify"

    @property
    def state_file(self) -> Path:
        return self.server.home / "state" / "pgseal"

    def state(self) -> dict[str, Any]:
        state = json.loads(self.state_file.read_text())
        assert isinstance(state, dict)
        return state

    def today(self) -> int:
        """The period that it is now."""
        now = self.clock.now()
        if self.server.settings["pgseal.key_evolution"] == "month":
            return (now.year - EPOCH.year) * 12 + now.month - 1
        return (now - EPOCH).days

    def hide_root(self) -> None:
        self.root_file.unlink()

    def bring_root(self, root: str | None = None) -> None:
        self.server.write_key(root or self.root, self.root_file)

    def tick(self) -> None:
        """Has the launcher look at its clock."""
        self.server.reload()

    def wait_until_closed(self) -> None:
        """Until the period of today is in force."""
        deadline = time.monotonic() + DEADLINE
        while self.state()["period"] < self.today():
            assert time.monotonic() < deadline, f"{self.state()['period']} is in force\n{self.server.log()[-3000:]}"
            self.tick()
            time.sleep(0.02)

    def days_pass(self, days: int = 1) -> None:
        for _ in range(days):
            self.clock.forward(days=1)
            self.wait_until_closed()

    def months_pass(self, months: int = 1) -> None:
        """For periods of a month."""
        for _ in range(months):
            self.clock.forward(days=30.5)
            self.wait_until_closed()

    def closings(self, db: Database, history: str | None = None) -> list[tuple[str, int]]:
        """What each record is and its period, counted from the stream's first, in order."""
        subject = OF_HISTORY.format(history) if history else f"'{JOURNAL}'"
        first = self.state()["first"]
        rows = db.rows(
            "SELECT record ->> 'what', (record ->> 'period')::int"
            f" FROM seal.closing WHERE history_id = {subject} ORDER BY number"
        )
        return [(what, period - first) for what, period in rows]


def sequence(days: int) -> list[tuple[str, int]]:
    """An opening and a closing for each day."""
    return [("opening", 0), *(("closing", day) for day in range(days))]


def prepared(server: Cluster, clock: Clock, kind: str) -> Evolving:
    """Key, root and settings of a server that is not made yet."""
    keys, state = server.home / "keys", server.home / "state"
    for folder in (keys, state):
        folder.mkdir()
        server.give(folder)
    evolving = Evolving(server, clock, secrets.token_hex(32))
    assert server.key
    server.write_key(server.key, keys / "1-sign")
    evolving.bring_root()
    server.settings |= {
        "pgseal.key_file": f"{keys}/%k-%p",
        "pgseal.key_evolution": kind,
        "pgseal.key_state_file": str(evolving.state_file),
    }
    return evolving


@contextmanager
def evolving_server(kind: str = "day", **settings: Setting) -> Iterator[Evolving]:
    clock = Clock()
    server = Cluster({**AT_ONCE, **settings}, env=clock.env)
    try:
        evolving = prepared(server, clock, kind)
        server.create()
        # Far from midnight.
        now = clock.now()
        clock.forward(seconds=(12 - now.hour) * 3600 % 86400)
        server.start()
        yield evolving
        assert_no_alarms(server)
    finally:
        server.destroy()
        clock.destroy()


def wait_until_opened(db: Database, *histories: str) -> None:
    """Until each history has its first record."""
    deadline = time.monotonic() + DEADLINE
    for history in histories:
        query = f"SELECT count(*) > 0 FROM seal.closing WHERE history_id = {OF_HISTORY.format(history)}"
        while not db.value(query):
            assert time.monotonic() < deadline, f"{history} was never opened\n{db.cluster.log()[-3000:]}"
            time.sleep(0.02)


def answer(db: Database) -> list[tuple[str, str]]:
    """Kind and detail of each finding."""
    return [(kind, detail) for kind, detail in db.rows("SELECT kind, detail FROM seal.findings() ORDER BY 1, 2")]


def verdicts(db: Database) -> list[str]:
    return [verdict for (verdict,) in db.rows("SELECT verdict FROM seal.verify_history() ORDER BY history")]


def basis(db: Database) -> str:
    return str(db.value("SELECT basis FROM seal.verify_history() LIMIT 1"))
