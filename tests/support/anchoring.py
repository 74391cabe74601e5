"""Anchors as tests see them: waiting for the worker, keeping it from writing, forging one with the server's own key.

    add(db, "h", 3)                     three rows
    settle(db, "h")                     every chain of h is anchored, and sealing knows of that anchor
    with nothing_anchored(db): ...      the worker writes no anchor meanwhile
    forge(db, ahead="1 hour")           an authentic anchor that the worker never wrote, to be met after a restart
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.database import Database
from support.sealing import history, run, wait_for

Fault = tuple[str, str | None, int | None, int | None]
"""Kind, chain, position and last position of a finding."""

# True when the newest position of each chain of a history is in an anchor.
ANCHORED = """SELECT NOT EXISTS (
    SELECT FROM (SELECT seal_chain, max(seal_seq) AS newest FROM {0} GROUP BY 1) c
     WHERE NOT EXISTS (SELECT FROM seal.anchor a JOIN seal.history r ON r.relation = '{0}'::regclass
                        WHERE (a.heads -> r.history_id::text -> seal_chain ->> 0)::bigint >= newest))"""

# True when a new entry would name the newest anchor that is stored.
PUBLISHED = """SELECT (SELECT max(anchor) FROM seal.status) = (SELECT max(number) FROM seal.anchor
    WHERE chain = (SELECT chain FROM seal.anchor ORDER BY at DESC LIMIT 1))"""

LAUNCHER = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pgseal launcher'"

MICROSECONDS = "(extract(epoch FROM {}) * 1000000)::bigint - 946684800000000"


def make(db: Database, *names: str, options: str = "") -> None:
    """Histories with the columns id and note."""
    for name in names:
        history(db, name, "id int PRIMARY KEY, note text", options)


def add(db: Database, name: str, count: int = 1) -> None:
    """Further rows, ids going on after the highest."""
    db.run(
        f"INSERT INTO {name} SELECT highest + g, 'x' FROM generate_series(1, {count}) g,"
        f" (SELECT coalesce(max(id), 0) AS highest FROM {name}) h"
    )


def wait_until_anchored(db: Database, *names: str) -> None:
    """Waits until the worker has anchored all chains of these histories."""
    for name in names:
        wait_for(db, ANCHORED.format(name))


def settle(db: Database, *names: str) -> int:
    """The same, and until sealing knows of it; returns the number of the newest anchor."""
    wait_until_anchored(db, *names)
    wait_for(db, PUBLISHED)
    return newest(db)


def is_anchored(db: Database, name: str) -> bool:
    return bool(db.value(ANCHORED.format(name)))


def newest(db: Database) -> int:
    """Number of the newest anchor, 0 without one."""
    return int(db.value("SELECT coalesce(max(number), 0) FROM seal.anchor"))


def numbers(db: Database) -> list[int]:
    return [number for (number,) in db.rows("SELECT number FROM seal.anchor ORDER BY 1")]


def place(db: Database) -> str:
    """Name of this server's first chain in this database, which is that of its journal and anchors too."""
    return str(db.value("SELECT DISTINCT chain FROM seal.journal"))


def faults(db: Database, name: str | None = None) -> list[Fault]:
    """All findings, sorted."""
    found = db.rows("SELECT kind, chain, position, last_position FROM seal.findings(history => %s)", [name])
    return sorted(found, key=str)


@contextmanager
def nothing_anchored(db: Database) -> Iterator[None]:
    """The worker cannot write into seal.anchor inside. If the server is killed meanwhile, that ends it."""
    with db.connect(autocommit=False) as session:
        session.execute("LOCK TABLE seal.anchor IN EXCLUSIVE MODE")
        lost = db.cluster.sessions_lost
        yield
        if db.cluster.sessions_lost == lost:
            session.rollback()
        else:
            session.close()


def block_worker(db: Database) -> None:
    """From now on, also after a restart, the worker cannot write into seal.anchor."""
    session = db.connect()
    run(session, "BEGIN", "LOCK TABLE seal.anchor IN EXCLUSIVE MODE", "PREPARE TRANSACTION 'worker'")


def unblock_worker(db: Database) -> None:
    db.run("ROLLBACK PREPARED 'worker'")


# -- the launcher ----------------------------------------------------------------------------------------------------


def sleeps(pid: int) -> int:
    """How often the process gave the processor away of its own accord, which it does once for each time it wakes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("voluntary_ctxt_switches:"):
            return int(line.split()[1])
    raise AssertionError("the kernel does not count it")


def wait_until_asleep(db: Database) -> int:
    """The launcher has done what there was to do: no worker, and it has not woken for three intervals."""
    wait_for(db, f"SELECT EXISTS ({LAUNCHER})")
    pid = int(db.value(LAUNCHER))
    deadline = time.monotonic() + 10
    seen, since = sleeps(pid), time.monotonic()
    while time.monotonic() - since < 0.3:
        assert time.monotonic() < deadline, "it never sleeps"
        if (now := sleeps(pid)) != seen:
            seen, since = now, time.monotonic()
    return pid


# -- with the key -----------------------------------------------------------------------------------------------------

_ANCHORS = b"pgseal anchors\0\0"


def _record_key(secret: bytes) -> bytes:
    """HKDF-SHA-256 in the place of a history's id that anchors have."""
    extracted = hmac.digest(_ANCHORS, secret, "sha256")
    return hmac.digest(extracted, b"pgseal record\x01", "sha256")


def _part(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


def signature(secret: bytes, anchor: dict[str, Any]) -> bytes:
    """The mac of an anchor; `at` in microseconds since 2000."""
    fields = [
        anchor["at"].to_bytes(8, "big", signed=True),
        bytes([anchor["complete"]]),
        anchor["heads"].encode(),
        anchor["boot"].encode(),
        anchor["boot_time"].to_bytes(8, "big", signed=True),
        anchor["key"].encode(),
        anchor["prev"],
    ]
    record = anchor["chain"].encode() + anchor["number"].to_bytes(8, "big")
    head = _part(b"anchor") + _part(_ANCHORS) + _part(record) + len(fields).to_bytes(4, "big")
    body = b"".join(b"\1" + _part(field) for field in fields)
    return hmac.digest(_record_key(secret), head + body, "sha256")


def stored(db: Database, number: int) -> dict[str, Any]:
    """An anchor with its time in microseconds and its heads as the server prints them."""
    (anchor,) = db.records(
        f"SELECT chain, number, {MICROSECONDS.format('at')} AS at, complete, heads::text AS heads, boot, boot_time,"
        " key, prev, mac FROM seal.anchor WHERE number = %s",
        [number],
    )
    return anchor


def forge(db: Database, ahead: str) -> int:
    """One more anchor, as if the clock had been ahead by this interval when it was written. Returns its number."""
    anchor = stored(db, newest(db))
    at = db.value(f"SELECT {MICROSECONDS.format('clock_timestamp() + %s::interval')}", [ahead])
    anchor.update(number=anchor["number"] + 1, at=at, prev=anchor["mac"])
    anchor["mac"] = signature(bytes.fromhex(db.cluster.key or ""), anchor)
    db.run(
        "INSERT INTO seal.anchor VALUES (%(chain)s, %(number)s, timestamptz '2000-01-01 00:00:00+00'"
        " + %(at)s * interval '1 microsecond', %(complete)s, %(heads)s, %(boot)s, %(boot_time)s, %(key)s, %(prev)s,"
        " %(mac)s)",
        anchor,
    )
    return int(anchor["number"])
