"""A server for each test, whose days a test lets pass, and a database with a history in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.database import Database
from support.evolving import Evolving, evolving_server, wait_until_opened
from support.sealing import history


@pytest.fixture
def evolving() -> Iterator[Evolving]:
    with evolving_server(max_prepared_transactions=4) as evolving:
        yield evolving


@pytest.fixture
def db(evolving: Evolving) -> Database:
    """The shared fixture's place; history `h` with two entries, opened."""
    db = evolving.server.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    db.run("INSERT INTO h VALUES (1, 'a'), (2, 'b')")
    wait_until_opened(db, "h")
    return db
