"""The old primary comes back with pg_rewind as a standby of the new one, and takes over again."""

from __future__ import annotations

from support.cluster import Cluster
from support.database import Database
from support.sealing import background, history, partitioned
from support.servers import Servers
from support.standby import COPIED, caught_up, promote, standby_of
from support.witnessing import AT_ONCE, Sink, anchored, set_command, until

FOUND = "SELECT history, kind, chain, position, detail FROM seal.findings()"
ANSWER = "SELECT history, verdict, entries FROM seal.verify_history(witness => %s) ORDER BY 1"
CONTAINED = "SELECT contained FROM seal.check_witness(%s)"


def rewound(old: Cluster, new: Cluster) -> None:
    """Makes a standby of the new primary out of the crashed old one, which pg_rewind itself starts and stops before."""
    source = f"host={new.sockets} port={new.port} user=postgres dbname=postgres"
    done = old.run("pg_rewind", "--target-pgdata", old.data, "--source-server", source, "-R", "--no-sync", "--progress")
    assert "rewinding from last common checkpoint" in done.stderr, done.stderr


def places(db: Database) -> list[str]:
    """Where the entries of `h` were sealed, in the order of their first one."""
    query = "SELECT split_part(seal_chain, '/', 1) FROM h GROUP BY 1 ORDER BY min(seal_at)"
    return [place for (place,) in db.rows(query)]


def assert_intact(db: Database, line: str | None = None, **entries: int) -> None:
    assert db.rows(FOUND) == []
    assert db.rows(ANSWER, [line]) == [(f"public.{name}", "intact", count) for name, count in entries.items()]


def test_the_old_primary_comes_back(own_cluster: Servers) -> None:
    primary = own_cluster({**AT_ONCE, **COPIED, "wal_log_hints": True, "wal_keep_size": "128MB"})
    sink = Sink(primary)
    set_command(primary, sink.command)
    a = primary.createdb()
    a.run("CREATE EXTENSION pgseal")
    history(a)
    partitioned(a, "p")
    a.run("INSERT INTO h SELECT g, 'x' FROM generate_series(1, 50) g; INSERT INTO p VALUES (1, 1, 'x')")
    common = sink.wait_for(a)
    b = standby_of(own_cluster, a)
    caught_up(a, b)

    # Both write: what the old one seals after the promotion is nowhere else.
    with background() as start:
        writer = start(a.connect(), *(f"INSERT INTO h VALUES ({row}, 'a')" for row in range(1_000, 1_400)))
        until(lambda: b.value("SELECT count(*) > 100 FROM h") is True, "the standby follows", 60)
        promote(b)
        there = start(b.connect(), *(f"INSERT INTO h VALUES ({row}, 'b')" for row in range(2_000, 2_100)))
        there.result()
        writer.result()
    a.run("INSERT INTO h VALUES (1999, 'a'); INSERT INTO p VALUES (9, 1, 'a')")
    a.run("ALTER TABLE p ADD COLUMN lost int; CREATE TABLE lost (n int); SELECT seal.attach('lost')")
    a.run("INSERT INTO lost VALUES (1)")
    lost = sink.wait_for(a)
    kept = b.value("SELECT count(*) FROM h")
    assert kept < 50 + 400 + 100
    assert_intact(a, lost, h=451, lost=1, p=2)

    # Its plug is pulled, and it comes back as the standby of the other.
    primary.kill()
    a.close()
    anchored(b)
    b.run("CHECKPOINT")
    rewound(primary, b.cluster)
    primary.configure({"hot_standby": True})
    primary.start()
    assert a.value("SELECT pg_is_in_recovery()") is True
    b.run("INSERT INTO p VALUES (10, 1, 'b')")
    caught_up(b, a)
    for db in (a, b):
        assert db.value("SELECT count(*) FROM h WHERE id = 1999 OR id = 1399") == 0
        assert_intact(db, common, h=kept, p=2)
        assert db.value(CONTAINED, [common]) is True
        # That it once had more, its own line from before knows.
        assert db.value(CONTAINED, [lost]) is False
        assert {verdict for _, verdict, _ in db.rows(ANSWER, [lost])} == {"tampered"}

    # While the new primary writes, the old one verifies.
    with background() as start:
        writer = start(b.connect(), *(f"INSERT INTO h VALUES ({row}, 'b')" for row in range(3_000, 3_200)))
        rounds = 0
        while not writer.done() or rounds == 0:
            assert a.rows(FOUND) == []
            rounds += 1
        writer.result()
    caught_up(b, a)
    dump = primary.run("pg_dump", "-d", a.name).stdout

    # And back again: a third place, not the first one's, whose positions were used for what is gone.
    b.cluster.stop()
    promote(a)
    a.run("INSERT INTO h VALUES (4000, 'a again'); INSERT INTO p VALUES (11, 0, 'a again')")
    anchored(a)
    first, second, third = places(a)
    assert len({first, second, third}) == 3
    assert_intact(a, common, h=kept + 200 + 1, p=3)

    # What was dumped on it while it was a standby is restored like any other dump.
    restored = primary.createdb()
    restored.psql(dump)
    assert_intact(restored, common, h=kept + 200, p=2)
