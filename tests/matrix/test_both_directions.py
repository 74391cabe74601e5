"""Two nodes that replicate to each other, with `origin = none`, which PostgreSQL has from version 16 on."""

from __future__ import annotations

from support.nodes import arrived, assert_intact, create_subscription, publish, share, start_nodes, subscribe
from support.sealing import background, wait_for
from support.servers import Servers
from support.tampering import triggers_off
from support.witnessing import anchored

ONLY_ITS_OWN = ", origin = none"


def test_both_seal_and_both_verify_both(own_cluster: Servers) -> None:
    a, b = (server.createdb() for server in start_nodes(own_cluster, "a", "b"))
    for db in (a, b):
        db.run("CREATE EXTENSION pgseal")
    share(a, b)
    publish(a, "FOR ALL TABLES")
    subscribe(b, a, ONLY_ITS_OWN)
    publish(b, "FOR TABLE h")
    create_subscription(a, b, ONLY_ITS_OWN + ", copy_data = false")
    b.run("CREATE PUBLICATION records FOR TABLE seal.journal, seal.anchor")
    create_subscription(a, b, ONLY_ITS_OWN, name="r", publication="records")
    wait_for(a, "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel")
    with background() as start:
        writers = [
            start(db.connect(), *(f"INSERT INTO h VALUES ({number}, 'x')" for number in range(first, first + 200)))
            for db, first in ((a, 1), (b, 10_001))
        ]
        for writer in writers:
            writer.result()
    a.run("SELECT seal.rotate_key(); INSERT INTO h VALUES (1000, 'a')")
    b.run("SELECT seal.rotate_key(); INSERT INTO h VALUES (11000, 'b')")
    anchored(a)
    anchored(b)
    arrived(a, b)
    arrived(b, a)
    for db in (a, b):
        assert_intact(db, a=201, b=201)
    with triggers_off(a.connection, "h"):
        a.run("DELETE FROM h WHERE id = 10050")
    assert [kind for (kind,) in a.rows("SELECT kind FROM seal.findings()")] == ["missing"]
    a.run("DROP SUBSCRIPTION r")
    for db in (a, b):
        db.run("DROP SUBSCRIPTION s")
