"""A server whose worker anchors at once. Its tests restart it, kill it and change its settings: each puts them back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database
from support.servers import watched

SETTINGS = {"pgseal.anchor_interval": "100ms", "autovacuum": False, "deadlock_timeout": "10s"}


@pytest.fixture(scope="session")
def quick() -> Iterator[Cluster]:
    """An anchor every tenth of a second, when there is something to anchor."""
    with watched(SETTINGS) as server:
        yield server


@pytest.fixture
def fresh(quick: Cluster) -> Iterator[Database]:
    """A database with pgseal on that server."""
    with quick.database() as database:
        yield database
        for (gid,) in database.rows("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"):
            database.run(f"ROLLBACK PREPARED '{gid}'")
