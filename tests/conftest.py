"""Fixtures of every test: the servers, and a database for each test.

    def test_something(db):                 a fresh database with pgseal in it, on the server that all tests share
    def test_restart(own_cluster):          own_cluster({"pgseal.max_heads": 64}): a server for this test alone
    def test_two_databases(cluster):        the shared server; what a test creates there it also drops
    def test_a_year(travel, clock):         a server for the tests of this file, whose clocks `clock` moves

At the end of every server its log is read: a PANIC, a crash, a failed assertion or a part of the key in it fails the
test.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from types import FrameType

import pytest

from support.clock import Clock, travelling_server
from support.cluster import Cluster, Settings
from support.database import Database
from support.roles import Roles
from support.servers import Servers, watched
from support.witnessing import AT_ONCE

# Anchors ten times as often as by default: nobody waits long for one, and every test has the worker beside it.
SHARED: Settings = {"pgseal.anchor_interval": "500ms"}


def pytest_configure(config: pytest.Config) -> None:
    def leave(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    # Ended from outside: exit in the ordinary way, so that servers and folders go too.
    signal.signal(signal.SIGTERM, leave)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The server that all tests share. A test that restarts it, or changes its settings, takes own_cluster instead."""
    with watched(SHARED) as shared:
        yield shared


@pytest.fixture
def db(cluster: Cluster) -> Iterator[Database]:
    """A fresh database with the extension, dropped after the test."""
    with cluster.database() as database:
        yield database


@pytest.fixture
def roles(db: Database) -> Iterator[Roles]:
    """Makes roles for this test; they are dropped after its database."""
    made = Roles(db)
    try:
        yield made
    finally:
        made.drop()


@pytest.fixture
def own_cluster() -> Iterator[Servers]:
    """A factory of servers for this test alone: own_cluster(settings), own_cluster.adopt(primary.basebackup())."""
    servers = Servers()
    try:
        yield servers
        servers.assert_no_alarms()
    finally:
        servers.destroy()


@pytest.fixture(scope="module")
def travel() -> Iterator[tuple[Cluster, Clock]]:
    """A server for the tests of one file, with an anchor within a tenth of a second, and its clock."""
    with travelling_server(AT_ONCE) as both:
        yield both


@pytest.fixture
def clock(travel: tuple[Cluster, Clock]) -> Clock:
    """Of that server. Each test begins where the last one left it, with a database that knows no other time."""
    return travel[1]
