"""A server that is stopped does not wait for the launcher or its worker, whatever they are doing."""

from __future__ import annotations

import time

import pytest

from support.cluster import Cluster
from support.sealing import history, run, wait_for
from support.servers import Servers

LIMIT = 2.0
WAITING_WORKER = """SELECT count(*) = 1 FROM pg_stat_activity
                     WHERE backend_type = 'pgseal anchor worker' AND wait_event_type = 'Lock'"""


def seconds_to_stop(server: Cluster, mode: str) -> float:
    started = time.monotonic()
    server.stop(mode)
    return time.monotonic() - started


@pytest.mark.parametrize("mode", ["fast", "smart"])
def test_while_the_worker_is_at_work(own_cluster: Servers, mode: str) -> None:
    server = own_cluster({"pgseal.anchor_interval": "100ms"})
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    other = db.connect()
    run(other, "BEGIN", "LOCK TABLE seal.anchor IN EXCLUSIVE MODE")
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x')")
    wait_for(db, WAITING_WORKER)
    if mode == "smart":
        db.close()
    assert seconds_to_stop(server, mode) < LIMIT
    server.start()
    wait_for(db, "SELECT unanchored = 0 AND anchor > 0 FROM seal.status")
