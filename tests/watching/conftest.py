"""Histories whose verification takes long enough to be watched; tests leave them as they are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database
from support.tampering import triggers_off
from support.watching import large


@pytest.fixture(scope="session")
def intact(cluster: Cluster) -> Iterator[Database]:
    with cluster.database() as database:
        large(database)
        yield database


@pytest.fixture(scope="session")
def tampered(cluster: Cluster) -> Iterator[Database]:
    """Every entry was changed."""
    with cluster.database() as database:
        large(database)
        with triggers_off(database.connection, "h"):
            database.run("UPDATE h SET p = '{}'")
        yield database
