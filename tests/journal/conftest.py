"""Servers that anchor at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database
from support.servers import assert_no_alarms
from support.witnessing import AT_ONCE


@pytest.fixture(scope="session")
def anchoring() -> Iterator[Cluster]:
    """A server for the tests of this folder, with an anchor within a tenth of a second; some restart it."""
    with Cluster(AT_ONCE) as server:
        yield server
        assert_no_alarms(server)


@pytest.fixture
def quick(anchoring: Cluster) -> Iterator[Database]:
    """A database with pgseal on that server."""
    database = anchoring.createdb()
    try:
        database.run("CREATE EXTENSION pgseal")
        yield database
    finally:
        database.drop()
