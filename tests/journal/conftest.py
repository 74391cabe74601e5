"""Servers that anchor at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database
from support.servers import watched
from support.witnessing import AT_ONCE


@pytest.fixture(scope="session")
def anchoring() -> Iterator[Cluster]:
    """A server for the tests of this folder, with an anchor within a tenth of a second; some restart it."""
    with watched(AT_ONCE) as server:
        yield server


@pytest.fixture
def quick(anchoring: Cluster) -> Iterator[Database]:
    """A database with pgseal on that server."""
    with anchoring.database() as database:
        yield database
