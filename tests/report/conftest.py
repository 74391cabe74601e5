"""A history of two tenants, whose chain is in an anchor."""

from __future__ import annotations

import pytest

from support.anchoring import settle
from support.database import Database
from support.windows import add, ledger


@pytest.fixture
def sealed(db: Database) -> Database:
    """h: entries 1 to 3 are acme's, 4 and 5 another's."""
    ledger(db, None)
    add(db, 1, 3)
    add(db, 4, 5, tenant="other")
    settle(db, "h")
    return db
