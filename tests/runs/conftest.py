"""Databases on a server whose clocks the tests move."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.clock import Clock
from support.cluster import Cluster
from support.database import Database


@pytest.fixture
def db(travel: tuple[Cluster, Clock]) -> Iterator[Database]:
    """A fresh database with pgseal there, in the place of the shared server's."""
    with travel[0].database() as database:
        yield database
