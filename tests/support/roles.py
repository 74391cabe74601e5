"""Roles for one test: they belong to the whole server, so each has a name of its own and goes at the end."""

from __future__ import annotations

from typing import Any

import psycopg

from support.database import Database


class Roles:
    """Makes roles and sessions of theirs; `drop` also drops the database, which may hold what they own."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._made: list[str] = []

    def make(self, name: str, *, member_of: str = "", options: str = "LOGIN") -> str:
        """A role whose name begins with `name`; returns the whole name."""
        role = f"{name}_{self.database.name}"
        groups = f" IN ROLE {member_of}" if member_of else ""
        self.database.run(f"CREATE ROLE {role} {options}{groups}")
        self._made.append(role)
        return role

    def session(self, name: str, *, member_of: str = "", autocommit: bool = True) -> psycopg.Connection[Any]:
        """A new role and a session of it."""
        return self.database.connect(self.make(name, member_of=member_of), autocommit=autocommit)

    def owner(self, name: str = "owner") -> psycopg.Connection[Any]:
        """A role that may create tables and attach its own."""
        session = self.session(name, member_of="pgseal_admin")
        role = session.info.user
        self.database.run(f"CREATE SCHEMA {role} AUTHORIZATION {role}")
        return session

    def drop(self) -> None:
        self.database.drop()
        for role in reversed(self._made):
            self.database.cluster.psql(f"DROP ROLE {role}")
