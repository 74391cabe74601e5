"""A database of a test: short ways to run SQL and read the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.cluster import Cluster

if TYPE_CHECKING:
    import subprocess

    import psycopg


class Database:
    """Opens one connection of its own, as superuser, in autocommit, when first asked; more by `connect`."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name
        self._own: psycopg.Connection[Any] | None = None
        self._own_since = 0
        self._all: list[psycopg.Connection[Any]] = []

    def connect(self, user: str = "postgres", *, autocommit: bool = True, **options: Any) -> psycopg.Connection[Any]:
        """Another session of this database; whoever forgets to close it need not mind."""
        connection = self.cluster.connect(self.name, user, autocommit=autocommit, **options)
        self._all.append(connection)
        return connection

    @property
    def connection(self) -> psycopg.Connection[Any]:
        """This object's own session; opened again after the server has restarted."""
        if self._own is None or self._own.closed or self._own_since != self.cluster.sessions_lost:
            self._own = self.connect()
            self._own_since = self.cluster.sessions_lost
        return self._own

    def run(self, sql: str, parameters: Any = None) -> None:
        """Runs a statement (or several, without parameters) for what it does."""
        self.connection.execute(sql.encode(), parameters)

    def rows(self, sql: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self.connection.execute(sql.encode(), parameters).fetchall()

    def records(self, sql: str, parameters: Any = None) -> list[dict[str, Any]]:
        """All rows of a query, each by its column names."""
        from psycopg.rows import dict_row

        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(sql.encode(), parameters).fetchall()

    def value(self, sql: str, parameters: Any = None) -> Any:
        """The only column of the only row."""
        rows = self.rows(sql, parameters)
        assert len(rows) == 1 and len(rows[0]) == 1, f"not one value: {rows!r}"
        return rows[0][0]

    def psql(self, script: str, user: str = "postgres", **options: Any) -> subprocess.CompletedProcess[str]:
        """psql on this database: scripts with backslash commands, COPY FROM STDIN, exact output."""
        return self.cluster.psql(script, self.name, user, **options)

    def close(self) -> None:
        """Closes every session that this object has opened."""
        for connection in self._all:
            connection.close()
        self._all.clear()

    def drop(self) -> None:
        """Closes the sessions and drops the database."""
        self.close()
        self.cluster.dropdb(self.name)
