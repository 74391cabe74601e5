"""A server that anchors at once and hands each anchor to a witness: `witness`; with one history in it: `sealed`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database
from support.sealing import history
from support.servers import watched
from support.witnessing import AT_ONCE, Sink, set_command


@pytest.fixture(scope="session")
def fast() -> Iterator[Cluster]:
    """The server that the tests of this folder share."""
    with watched(AT_ONCE) as server:
        yield server


@pytest.fixture(scope="session")
def sink(fast: Cluster) -> Sink:
    return Sink(fast, "witness")


@pytest.fixture
def witness(fast: Cluster, sink: Sink) -> Sink:
    """What the server's witness command gets, of all databases; tests may set another one for themselves."""
    if fast.settings.get("pgseal.witness_command") != sink.command:
        set_command(fast, sink.command)
    return sink


@pytest.fixture
def fresh(fast: Cluster) -> Iterator[Database]:
    """A database with the extension."""
    with fast.database() as database:
        yield database


@pytest.fixture
def sealed(fresh: Database) -> Database:
    """A database with the history h, of one chain, which has three entries."""
    history(fresh, options="max_chains => 1")
    fresh.run("INSERT INTO h SELECT g, 'x' FROM generate_series(1, 3) g")
    return fresh
