"""What one node prunes goes on the other by replication, with the cut that says so; or each prunes for itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.clock import Clock
from support.cluster import Cluster
from support.database import Database
from support.nodes import arrived, assert_intact, publish, share, start_nodes, subscribe
from support.servers import Servers
from support.tampering import triggers_off
from support.windows import MONTH
from support.witnessing import anchored

PRUNED = "SELECT verdict, pruned FROM seal.verify_and_prune('h')"
WINDOW = ", window_months => 12"


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[list[Cluster], Clock]]:
    started, clock = Servers(), Clock()
    try:
        yield start_nodes(started, "a", "b", env=clock.env), clock
        started.assert_no_alarms()
    finally:
        started.destroy()
        clock.destroy()


@pytest.fixture
def aged(servers: tuple[list[Cluster], Clock], request: pytest.FixtureRequest) -> Iterator[tuple[Database, Database]]:
    """Of a five entries that are older than the window and three that are not; of b two and one."""
    (first, second), clock = servers
    with first.database() as a, second.database() as b:
        share(a, b, options=WINDOW)
        publish(a, f"FOR TABLE h, seal.journal, seal.anchor WITH (publish = '{request.param}')")
        subscribe(b, a)
        a.run("INSERT INTO h SELECT g, 'a' FROM generate_series(1, 5) g")
        b.run("INSERT INTO h SELECT g, 'b' FROM generate_series(101, 102) g")
        anchored(a)
        anchored(b)
        arrived(a, b)
        clock.forward(days=13 * MONTH)
        a.run("INSERT INTO h SELECT g, 'a' FROM generate_series(6, 8) g")
        b.run("INSERT INTO h VALUES (103, 'b')")
        anchored(a)
        anchored(b)
        arrived(a, b)
        yield a, b
        b.run("DROP SUBSCRIPTION s")


@pytest.mark.parametrize("aged", ["insert, update, delete"], indirect=True)
def test_replicated(aged: tuple[Database, Database]) -> None:
    a, b = aged
    assert_intact(b, a=8, b=3)
    assert a.rows(PRUNED) == [("intact", 5)]
    arrived(a, b)
    assert [number for (number,) in b.rows("SELECT id FROM h ORDER BY id")] == [6, 7, 8, 101, 102, 103]
    assert_intact(a, a=3)
    assert_intact(b, a=3, b=3)
    assert b.rows(PRUNED) == [("intact", 2)]
    assert_intact(b, a=3, b=1)
    assert b.rows("SELECT verdict FROM seal.verify_since_checkpoint('h')") == [("intact",)]
    with triggers_off(b.connection, "h"):
        b.run("DELETE FROM h WHERE id = 6")
    assert b.rows("SELECT kind, position FROM seal.findings()") == [("missing", 6)]
    assert_intact(a, a=3)


@pytest.mark.parametrize("aged", ["insert"], indirect=True)
def test_each_for_itself(aged: tuple[Database, Database]) -> None:
    a, b = aged
    assert a.rows(PRUNED) == [("intact", 5)]
    arrived(a, b)
    assert_intact(a, a=3)
    assert_intact(b, a=8, b=3)
    assert b.rows(PRUNED) == [("intact", 7)]
    assert_intact(b, a=3, b=1)
    a.run("INSERT INTO h VALUES (9, 'a')")
    arrived(a, b)
    assert_intact(b, a=4, b=1)
