"""Servers for one test or some tests alone, and what must not be in any server's log.

    with watched(settings) as server: ...      a server of its own; its log is read at the end
    servers = Servers(); servers(settings)     several, started one by one: what own_cluster gives
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from support.cluster import Cluster, Settings


def assert_no_alarms(cluster: Cluster) -> None:
    alarms = cluster.alarms()
    assert not alarms, "in the server's log:\n" + "\n".join(alarms)


@contextmanager
def watched(settings: Settings | None = None, **options: Any) -> Iterator[Cluster]:
    """A server that ends with the block, and whose log must then be clean; the arguments are those of Cluster."""
    with Cluster(settings, **options) as server:
        yield server
        assert_no_alarms(server)


class Servers:
    """Starts servers that end with the test."""

    def __init__(self) -> None:
        self._running: list[Cluster] = []

    def __call__(self, settings: Settings | None = None, **options: Any) -> Cluster:
        """A new server; the arguments are those of Cluster."""
        server = Cluster(settings, **options)
        self._running.append(server)
        server.create()
        server.start()
        return server

    def adopt(self, server: Cluster) -> Cluster:
        """Starts what `basebackup` or `copy` has made."""
        self._running.append(server)
        server.start()
        return server

    def assert_no_alarms(self) -> None:
        for server in self._running:
            assert_no_alarms(server)

    def destroy(self) -> None:
        for server in self._running:
            server.destroy()
