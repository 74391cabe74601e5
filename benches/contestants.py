"""Who is measured: the same table, unprotected, with the tutorial's trigger, and sealed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support.database import Database

SQL = Path(__file__).parent / "sql"


def sql(name: str) -> str:
    return (SQL / name).read_text()


@dataclass(frozen=True)
class Contestant:
    """A way to keep a history: the files that set it up, and the question whether the history is whole."""

    name: str
    files: tuple[str, ...]
    check: str  # the query whose time is compared
    verdict: Callable[[Database], str]

    def set_up(self, database: Database) -> None:
        for file in self.files:
            database.run(sql(file))


def _pgcrypto_verdict(database: Database) -> str:
    breaks = database.value(sql("pgcrypto_check.sql"))
    return "intact" if breaks == 0 else f"{breaks:,} breaks"


def _pgseal_verdict(database: Database) -> str:
    return str(database.value("SELECT verdict FROM seal.verify_history()"))


PLAIN = Contestant("plain", ("plain.sql",), "SELECT count(payload::text) FROM history", lambda _: "–")
PGCRYPTO = Contestant("pgcrypto", ("plain.sql", "pgcrypto.sql"), sql("pgcrypto_check.sql"), _pgcrypto_verdict)
PGSEAL = Contestant("pgseal", ("plain.sql", "pgseal.sql"), "SELECT * FROM seal.verify_history()", _pgseal_verdict)
ALL = {contestant.name: contestant for contestant in (PLAIN, PGCRYPTO, PGSEAL)}


def write_rows(path: Path, rows: int) -> None:
    """A file for COPY: documents of about 300 bytes, a hundred tenants, one row per millisecond of a day."""
    document = {
        "task": "approve invoice",
        "by": "someone@example.org",
        "from": "10.20.30.40",
        "state": {"old": "submitted", "new": "approved"},
        "amount": 1234.5,
        "currency": "EUR",
        "comment": "checked against the order, delivery is complete",
        "items": [101, 102, 103],
    }
    body = json.dumps(document)[:-1]
    with path.open("w") as file:
        for n in range(rows):
            second, millisecond = divmod(n, 1000)
            at = f"2026-01-01 {second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}.{millisecond:03}+00"
            file.write(f'tenant{n % 100}\t{at}\t{body}, "n": {n}}}\n')
