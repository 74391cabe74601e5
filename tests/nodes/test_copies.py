"""A standby of a receiving node, and a dump of it: what is another node's stays another node's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.database import Database
from support.nodes import arrived, assert_intact, publish, share, start_nodes, subscribe
from support.servers import Servers
from support.standby import caught_up, promote, standby_of
from support.witnessing import anchored


@pytest.fixture
def receiving(own_cluster: Servers) -> Iterator[tuple[Database, Database]]:
    """Two entries of a, one of b, on b; each has more epochs than the other knows."""
    a, b = (server.createdb() for server in start_nodes(own_cluster, "a", "b"))
    for db in (a, b):
        db.run("CREATE EXTENSION pgseal")
    share(a, b)
    a.run("INSERT INTO h VALUES (1, 'a')")
    publish(a)
    subscribe(b, a)
    a.run("SELECT seal.open_epoch('h'); INSERT INTO h VALUES (2, 'a')")
    b.run("INSERT INTO h VALUES (100, 'b')")
    anchored(a)
    anchored(b)
    arrived(a, b)
    yield a, b
    b.run("DROP SUBSCRIPTION s")


def test_a_standby_of_it_answers_alike_and_goes_on(
    receiving: tuple[Database, Database], own_cluster: Servers
) -> None:
    _, b = receiving
    standby = standby_of(own_cluster, b)
    caught_up(b, standby)
    assert_intact(standby, a=2, b=1)
    promote(standby)
    standby.run("ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s")
    standby.run("INSERT INTO h VALUES (101, 'b')")
    anchored(standby)
    assert_intact(standby, a=2, b=2)


def test_a_dump_of_it_restored_as_a_third_node(receiving: tuple[Database, Database]) -> None:
    a, b = receiving
    dump = b.cluster.sockets / "dump"
    b.cluster.run("pg_dump", "-Fc", "--no-subscriptions", "-f", dump, b.name)
    b.cluster.configure({"pgseal.chain_name": "c"}, restart=True)
    copy = b.cluster.createdb()
    b.cluster.run("pg_restore", "-d", copy.name, dump)
    assert_intact(copy, a=2, b=1)
    copy.run("INSERT INTO h VALUES (200, 'c')")
    anchored(copy)
    assert_intact(copy, a=2, b=1, c=1)
    copy.run("SELECT seal.set_window('h', 24)")
    assert_intact(copy, a=2, b=1, c=1)
    b.cluster.configure({"pgseal.chain_name": "b"}, restart=True)
    arrived(a, b)
