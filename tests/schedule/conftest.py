"""A server on which nothing is scheduled but what a test schedules for one history of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database
from support.scheduling import scheduled
from support.servers import assert_no_alarms


@pytest.fixture(scope="session")
def timed() -> Iterator[Cluster]:
    """The server that the tests of this folder share."""
    with Cluster(scheduled("")) as server:
        yield server
        assert_no_alarms(server)


@pytest.fixture
def fresh(timed: Cluster) -> Iterator[Database]:
    """A database with the extension."""
    database = timed.createdb()
    try:
        database.run("CREATE EXTENSION pgseal")
        yield database
    finally:
        database.drop()
