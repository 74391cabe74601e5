"""Two nodes of the same name are refused where the second one's records arrive; renamed and promoted nodes stay one."""

from __future__ import annotations

from support.nodes import arrived, assert_intact, create_subscription, publish, share, start_nodes, subscribe
from support.sealing import wait_for
from support.servers import Servers
from support.standby import promote, standby_of

REFUSED = 'two nodes are called "main" in pgseal.chain_name'


def test_two_of_one_name_are_refused_until_one_is_renamed(own_cluster: Servers) -> None:
    first, second = start_nodes(own_cluster, "main", "main")
    a, b = first.createdb(), second.createdb()
    for db in (a, b):
        db.run("CREATE EXTENSION pgseal")
    share(a, b)
    a.run("INSERT INTO h VALUES (1, 'a')")
    publish(a)
    mark = second.log_position()
    create_subscription(b, a)
    log = second.wait_for_log(REFUSED, mark)
    assert "ALTER SYSTEM SET pgseal.chain_name" in log
    second.configure({"pgseal.chain_name": "b"}, restart=True)
    wait_for(b, "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel")
    b.run("INSERT INTO h VALUES (100, 'b')")
    arrived(a, b)
    assert_intact(b, b=1, main=1)
    b.run("DROP SUBSCRIPTION s")


def test_a_renamed_and_a_promoted_sender_stay_one_node(own_cluster: Servers) -> None:
    """Renamed after its first entries, then followed by its standby: the receiver judges all by one journal."""
    first, second = start_nodes(own_cluster, "main", "b")
    a, b = first.createdb(), second.createdb()
    for db in (a, b):
        db.run("CREATE EXTENSION pgseal")
    share(a, b)
    a.run("INSERT INTO h VALUES (1, 'main')")
    first.configure({"pgseal.chain_name": "a"}, restart=True)
    a.run("SELECT seal.set_window('h', 12)")  # the journal says under both names who this is
    a.run("INSERT INTO h VALUES (2, 'a')")
    publish(a)
    subscribe(b, a)
    b.run("INSERT INTO h VALUES (100, 'b')")
    assert_intact(b, a=1, b=1, main=1)
    standby = standby_of(own_cluster, a)
    b.run("ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s")
    first.stop()
    promote(standby)
    create_subscription(b, standby, ", copy_data = false", name="t")
    for db in (b, standby):
        db.run("ALTER TABLE h ADD COLUMN extra text")
    standby.run("INSERT INTO h (id, p, extra) VALUES (3, 'promoted', 'x')")
    arrived(standby, b)
    assert_intact(b, a=2, b=1, main=1)
    assert_intact(standby, a=2, main=1)
    b.run("DROP SUBSCRIPTION t")
