"""Checkpoints as tests make and use them.

ledger(db)                       h with tenants acme, zeta and without one, in two chains, and an index on the tenant
checkpoint(db)                   a recorded run that leaves one
answer(db, "acme")               one line of seal.verify_history
assert_rests(answer, 3, since=2) on the checkpoint: three entries of the tenant, two of anybody since
"""

from __future__ import annotations

import re
from typing import Any

from support.database import Database
from support.sealing import history

COLUMNS = "id int PRIMARY KEY, tenant text, note text"
TENANTS = ("acme", "zeta", None)

RESTS = re.compile(r"^checkpoint of .+ \(run (\d+): (\d+) entries\) plus (\d+) entries since; (.*)$")


def ledger(db: Database, rows: int = 12, name: str = "h") -> None:
    """Rows 1 … of the tenants in turn, half of them in a second chain."""
    history(db, name, COLUMNS, "tenant_column => 'tenant'")
    db.run(f"CREATE INDEX ON {name} (tenant)")
    first, second = db.connect(autocommit=False), db.connect(autocommit=False)
    for number in range(1, rows + 1):
        (first if number % 2 else second).execute(_insert(name, number, TENANTS[number % 3]))
    for session in (first, second):
        session.commit()
        session.close()


def add(db: Database, first: int, last: int, tenant: str | None, name: str = "h") -> None:
    for number in range(first, last + 1):
        db.connection.execute(_insert(name, number, tenant))


def _insert(name: str, number: int, tenant: str | None) -> bytes:
    value = "NULL" if tenant is None else f"'{tenant}'"
    return f"INSERT INTO {name} VALUES ({number}, {value}, 'note {number}')".encode()


def checkpoint(db: Database, name: str = "h") -> int:
    """Runs the history; returns the number of the run, which has left a checkpoint."""
    [(run, verdict)] = db.rows("SELECT run, verdict FROM seal.verify_and_prune(%s)", [name])
    assert verdict == "intact"
    made = db.value(
        "SELECT record -> 'run' FROM seal.checkpoint JOIN seal.history USING (history_id) WHERE relation = %s::regclass",
        [name],
    )
    assert made == run
    return int(run)


def answer(db: Database, tenant: str | None, name: str = "h") -> dict[str, Any]:
    (line,) = db.records("SELECT * FROM seal.verify_history(%s, %s::regclass)", [tenant, name])
    return line


def since(db: Database, name: str = "h") -> dict[str, Any]:
    (line,) = db.records("SELECT * FROM seal.verify_since_checkpoint(%s::regclass)", [name])
    return line


def assert_rests(line: dict[str, Any], entries: int, *, since: int, verdict: str = "intact") -> None:
    """Intact, and nothing else was read than what a checkpoint leaves to read."""
    match = RESTS.match(line["basis"])
    assert match, line["basis"]
    assert (line["verdict"], line["entries"], line["findings"], int(match[3])) == (verdict, entries, 0, since)


def assert_full(line: dict[str, Any], verdict: str) -> None:
    """Everything was read."""
    assert line["basis"].startswith("full verification"), line["basis"]
    assert line["verdict"] == verdict, line
