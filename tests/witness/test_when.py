"""When the witness gets its lines: after the anchor is durable, not more often than wanted, and the newest in the end."""

from __future__ import annotations

import time

from support.cluster import Cluster
from support.database import Database
from support.sealing import history
from support.servers import Servers
from support.witnessing import AT_ONCE, Sink, anchored, fields, set_command, until

INTERVAL = 2.0


def test_only_what_no_crash_can_take_away(own_cluster: Servers) -> None:
    """Also where commits are not flushed, a server that is killed the moment a line is out has its anchor."""
    server = own_cluster({**AT_ONCE, "synchronous_commit": "off", "wal_writer_delay": "10s", "autovacuum": False})
    sink = Sink(server)
    set_command(server, sink.command)
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    for number in range(1, 4):
        before = int(fields(sink.wait_for(db))["number"])
        db.run(f"INSERT INTO h VALUES ({number}, 'x')")
        sink.wait_until(lambda lines, before=before: int(fields(lines[-1])["number"]) > before)
        server.kill()
        lines = sink.lines()
        server.start()
        for line in lines:
            assert db.rows("SELECT contained FROM seal.check_witness(%s)", [line]) == [(True,)], line
        assert db.value("SELECT count(*) FROM h") == number
        assert db.rows("SELECT verdict FROM seal.verify_history()") == [("intact",)]


def test_not_more_often_than_wanted_and_the_newest_in_the_end(fast: Cluster, sealed: Database) -> None:
    times, sink = Sink(fast, "times"), Sink(fast, "seldom")
    anchored(sealed)
    fast.configure({"pgseal.witness_interval": f"{INTERVAL:.0f}s"})
    set_command(fast, f"date +%s.%N >> {times.path}; {sink.command}")
    try:
        # Something new, whoever took what was there before.
        sealed.run("INSERT INTO h VALUES (99, 'x')")
        until(lambda: len(sink.lines(sealed.name)) >= 1, "the first line")
        before = anchored(sealed)
        sealed.run("LISTEN pgseal_anchor")
        end = time.monotonic() + 2.2 * INTERVAL
        number = 100
        while time.monotonic() < end:
            sealed.run(f"INSERT INTO h VALUES ({number}, 'x')")
            number += 1
            anchored(sealed)
        # Quiet now.
        line = sink.wait_for(sealed)
        newest = anchored(sealed)
        assert fields(line)["number"] == str(newest) and newest - before > 6
        moments = [float(moment) for moment in times.lines()]
        assert len(moments) == len(sink.lines()) and len(moments) <= 5
        gaps = [later - earlier for earlier, later in zip(moments, moments[1:], strict=False)]
        assert min(gaps) > INTERVAL - 0.3, gaps
        # Listeners hear no more and no less.
        heard = [notice.payload for notice in sealed.connection.notifies(timeout=0.2)]
        assert heard == sink.lines(sealed.name)[1:]
        assert sealed.rows("SELECT contained FROM seal.check_witness(%s)", [line]) == [(True,)]
    finally:
        set_command(fast, None)
        fast.configure({"pgseal.witness_interval": "0s"})
