"""The table of an application."""

from __future__ import annotations

import pytest

from support.application import journal
from support.database import Database


@pytest.fixture
def app(db: Database) -> Database:
    """A database with the history `h`."""
    journal(db)
    return db
