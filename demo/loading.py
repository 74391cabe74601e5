"""Writes the events as an application would: eight connections at once, half with INSERT, half with COPY."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from packages import Event
from support.cluster import Cluster

CONNECTIONS = 8
ROWS_PER_COPY = 100


@dataclass(frozen=True)
class Loaded:
    inserts: int
    copies: int
    milliseconds: float


def load(cluster: Cluster, database: str, role: str, events: Sequence[Event]) -> Loaded:
    """Every eighth event goes through the same connection. Each INSERT and each COPY is a transaction of its own."""
    shares = [events[first::CONNECTIONS] for first in range(CONNECTIONS)]
    inserting, copying = shares[0::2], shares[1::2]
    batches = [_batches(share) for share in copying]
    scripts = ["".join(map(_insert, share)) for share in inserting]
    scripts += ["".join(map(_copy, share)) for share in batches]
    started = time.monotonic()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(lambda script: cluster.psql(script, database, role), scripts))
    elapsed = (time.monotonic() - started) * 1000
    return Loaded(sum(map(len, inserting)), sum(map(len, batches)), elapsed)


def _batches(events: Sequence[Event]) -> list[Sequence[Event]]:
    return [events[first : first + ROWS_PER_COPY] for first in range(0, len(events), ROWS_PER_COPY)]


def _insert(event: Event) -> str:
    values = ", ".join("'" + value.replace("'", "''") + "'" for value in (event.tenant, event.at, event.payload))
    return f"INSERT INTO history (tenant, at, payload) VALUES ({values});\n"


def _copy(events: Sequence[Event]) -> str:
    rows = ("\t".join(map(_copy_field, (event.tenant, event.at, event.payload))) + "\n" for event in events)
    return "COPY history (tenant, at, payload) FROM STDIN;\n" + "".join(rows) + "\\.\n"


def _copy_field(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
