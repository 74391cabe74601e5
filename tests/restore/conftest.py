"""A server that anchors at once, with a furnished database in it, and copies of that one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database
from support.restoring import furnish
from support.servers import watched
from support.standby import COPIED
from support.witnessing import AT_ONCE


@pytest.fixture(scope="session")
def fast() -> Iterator[Cluster]:
    """The server that the tests of this folder share."""
    with watched({**AT_ONCE, **COPIED}) as server:
        yield server


@pytest.fixture(scope="session")
def original(fast: Cluster) -> Iterator[Database]:
    """A database that tests leave as it is."""
    yield furnish(fast.createdb())


@pytest.fixture
def copy(fast: Cluster) -> Iterator[Database]:
    """An empty database beside it."""
    with fast.database(extension=False) as database:
        yield database
