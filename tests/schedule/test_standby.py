"""On a standby nothing runs; it begins by itself when the standby is promoted."""

from __future__ import annotations

from support.scheduling import EVERY_SECOND, runs, scheduled, state, until, wait_for_runs
from support.sealing import history
from support.servers import Servers
from support.standby import COPIED, promote, standby_of


def test_it_waits_for_the_promotion(own_cluster: Servers) -> None:
    primary = own_cluster({**scheduled(EVERY_SECOND), **COPIED})
    db = primary.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x')")
    wait_for_runs(db)
    standby = standby_of(own_cluster, db, hot_standby_feedback=True)
    wait_for_runs(db, more=2)
    until(lambda: len(runs(standby)) >= len(runs(db)) - 1)
    assert state(standby) == "this server only replays: runs begin when it is promoted"
    assert standby.rows("SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'pgseal%'") == []
    primary.stop()
    made = runs(standby)
    # While the primary is down their time comes again and again.
    last = standby.value("SELECT clock_timestamp()")
    until(lambda: (standby.value("SELECT clock_timestamp()") - last).total_seconds() > 2.5)
    assert runs(standby) == made
    promote(standby)
    wait_for_runs(standby, more=2)
    assert runs(standby)[: len(made)] == made
    assert runs(standby)[-1]["verdict"] == "intact"
    assert standby.cluster.log().count("was missed; it was caught up at") == 1
