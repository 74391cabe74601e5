"""Two servers with the same keys, a and b, and a database with pgseal on each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database
from support.nodes import start_nodes
from support.servers import Servers


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Cluster, Cluster]]:
    servers = Servers()
    try:
        a, b = start_nodes(servers, "a", "b")
        yield a, b
        servers.assert_no_alarms()
    finally:
        servers.destroy()


@pytest.fixture
def a(both: tuple[Cluster, Cluster]) -> Iterator[Database]:
    with both[0].database() as database:
        yield database


@pytest.fixture
def b(both: tuple[Cluster, Cluster], a: Database) -> Iterator[Database]:
    """Ends its subscriptions before the databases go."""
    with both[1].database() as database:
        yield database
        for (name,) in database.rows("SELECT subname FROM pg_subscription"):
            database.run(f"DROP SUBSCRIPTION {name}")
