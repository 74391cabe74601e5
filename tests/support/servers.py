"""Servers for one test alone, and what must not be in any server's log."""

from __future__ import annotations

from typing import Any

from support.cluster import Cluster, Settings


def assert_no_alarms(cluster: Cluster) -> None:
    alarms = cluster.alarms()
    assert not alarms, "in the server's log:\n" + "\n".join(alarms)


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
