"""Servers that anchor at once, and what their witnesses got.

    with watched(AT_ONCE) as server: ...                   an anchor within a tenth of a second
    witness = Sink(server); set_command(server, witness.command)
    anchored(db)                                           waits until everything is in an anchor
    witness.wait_for(db.name)                              waits until it has the newest one
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from support.cluster import Cluster, Settings
from support.database import Database
from support.sealing import wait_for

AT_ONCE: Settings = {"pgseal.anchor_interval": "100ms", "pgseal.witness_interval": "0s"}
FIELDS = ("database", "chain", "number", "at", "full", "heads", "key", "anchor", "mac")
LINE = re.compile(
    r"pgseal-anchor 1 database=(?P<database>\S+) chain=(?P<chain>\S+) number=(?P<number>[1-9][0-9]*)"
    r" at=(?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{6}Z) full=(?P<full>yes|no) heads=(?P<heads>[0-9]+)"
    r" key=(?P<key>\S+) anchor=(?P<anchor>[0-9a-f]{64}) mac=(?P<mac>[0-9a-f]{64})"
)
DEADLINE = 60.0

# Chains of this database that no anchor has as they are.
UNANCHORED = "SELECT coalesce(sum(unanchored), 0)::int FROM seal.status"


def anchored(db: Database) -> int:
    """Waits until every chain is in an anchor as it is; the number of this node's newest anchor."""
    wait_for(db, f"SELECT ({UNANCHORED}) = 0 AND EXISTS (SELECT FROM seal.status WHERE anchor IS NOT NULL)")
    return int(db.value("SELECT max(anchor) FROM seal.status"))


def expected_line(db: Database, number: int) -> dict[str, str]:
    """All fields but the database's name and the mac, as seal.anchor says they are, for a database with one chain of
    anchors."""
    (row,) = db.records(
        """SELECT chain, number::text, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at,
                  CASE WHEN complete THEN 'yes' ELSE 'no' END AS full, key, encode(mac, 'hex') AS anchor,
                  (SELECT count(*)::text FROM jsonb_each(heads - 'adopting') h, jsonb_object_keys(h.value)) AS heads
             FROM seal.anchor WHERE number = %s""",
        [number],
    )
    return {name: str(text) for name, text in row.items()}


def fields(line: str) -> dict[str, str]:
    """The fields of a line, which must be one."""
    found = LINE.fullmatch(line)
    assert found, line
    return found.groupdict()


def set_command(server: Cluster, command: str | None) -> None:
    """Sets the witness command, and returns when every new process of the server has it."""
    server.configure({"pgseal.witness_command": command})

    def is_known() -> bool:
        with server.connect() as session:
            row = session.execute("SHOW pgseal.witness_command").fetchone()
        return row == (command or "",)

    until(is_known, "the server has read its configuration")


class Sink:
    """A file to which a witness command adds what it gets."""

    def __init__(self, server: Cluster, name: str = "lines") -> None:
        self.path = server.sockets / name
        self.path.touch()
        server.give(self.path)

    @property
    def command(self) -> str:
        return f"cat >> {self.path}"

    def text(self) -> str:
        return self.path.read_text()

    def lines(self, database: str | None = None) -> list[str]:
        """All whole lines, in their order; of one database, whose name needs no escapes."""
        lines = [line.removesuffix("\n") for line in self.text().splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in lines if database is None or f" database={database} " in line]

    def wait_for(self, db: Database, name: str | None = None) -> str:
        """Waits until the newest line is that of the newest anchor, with everything anchored; returns it."""
        name = name or db.name
        newest = anchored(db)
        return self.wait_until(lambda lines: bool(lines) and fields(lines[-1])["number"] == str(newest), name)

    def wait_until(self, condition: Any, name: str | None = None) -> str:
        deadline = time.monotonic() + DEADLINE
        while not condition(lines := self.lines(name)):
            assert time.monotonic() < deadline, f"the witness has only {lines}"
            time.sleep(0.02)
        return lines[-1] if lines else ""


def until(condition: Any, what: str = "", deadline: float = DEADLINE) -> None:
    """Returns when a Python condition is true."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"not true within {deadline:.0f} s: {what}"
        time.sleep(0.02)


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
