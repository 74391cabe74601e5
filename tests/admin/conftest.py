"""Roles that go with the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.database import Database
from support.roles import Roles


@pytest.fixture
def roles(db: Database) -> Iterator[Roles]:
    """Makes roles for this test; they are dropped after its database."""
    made = Roles(db)
    try:
        yield made
    finally:
        made.drop()
