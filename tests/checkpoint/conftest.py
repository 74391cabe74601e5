"""A server whose clocks the tests move, and databases on it, for what is pruned."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.clock import Clock
from support.cluster import Cluster
from support.database import Database


@pytest.fixture
def aging(travel: tuple[Cluster, Clock]) -> Iterator[Database]:
    """A fresh database on the server with the clock."""
    with travel[0].database() as database:
        yield database
