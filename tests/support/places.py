"""A primary with a hot standby that has always replayed what was committed last, and sessions that ask both the same.

    with places() as here: ...
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from hypothesis import HealthCheck, settings

from support.database import Database
from support.judging import Judge
from support.sealing import Session, run
from support.servers import Servers
from support.witnessing import AT_ONCE, until

HISTORIES = os.environ.get("PGSEAL_HISTORIES")

thorough = settings(
    max_examples=int(HISTORIES or 10),
    derandomize=HISTORIES is None,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
"""The same random histories each time, unless somebody asks for so many others: PGSEAL_HISTORIES=1000."""

PATIENCE = 0 if HISTORIES else 1200
"""Seconds for a test of them all, on a machine that has other things to do."""

# The tables ask for two workers themselves, so small catalogs are not read in parallel too.
PARALLEL = {"max_parallel_workers_per_gather": 2, "parallel_setup_cost": 0, "parallel_tuple_cost": 0}

REPLICATING = {"max_wal_senders": 4, "wal_level": "replica", "synchronous_commit": "local"}


@dataclass
class Places:
    database: Database
    """On the primary."""
    judge: Judge
    askers: dict[str, Session]
    """serial, parallel and standby."""
    offender: Session
    """What it commits, the standby has replayed."""


@contextmanager
def places() -> Iterator[Places]:
    servers = Servers()
    try:
        primary = servers({**AT_ONCE, **REPLICATING})
        database = primary.createdb()
        database.run("CREATE EXTENSION pgseal")
        standby = servers.adopt(primary.basebackup({"hot_standby": True, "hot_standby_feedback": True}))
        primary.configure({"synchronous_standby_names": "*"})
        is_followed = "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
        until(lambda: database.value(is_followed), "the standby is synchronous")
        askers = {
            "serial": database.connect(),
            "parallel": database.connect(),
            "standby": Database(standby, database.name).connect(),
        }
        run(askers["serial"], "SET max_parallel_workers_per_gather = 0")
        run(askers["parallel"], *(f"SET {name} = {value}" for name, value in PARALLEL.items()))
        offender = database.connect()
        run(offender, "SET synchronous_commit = remote_apply")
        with closing(Judge()) as judge:
            yield Places(database, judge, askers, offender)
        servers.assert_no_alarms()
    finally:
        servers.destroy()
