"""Histories to attack. Every test gets them in their honest state; after it that state must verify again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database
from support.tampering import History, honest

TENANTS = "(ARRAY['initech', 'acme', 'globex'])[1 + g % 3]"


@pytest.fixture(scope="module")
def module_db(cluster: Cluster) -> Iterator[Database]:
    """A database with pgseal for all tests of a file."""
    with cluster.database() as database:
        yield database


@pytest.fixture(scope="module")
def _ledger(module_db: Database) -> History:
    module_db.run("CREATE TABLE ledger (id int PRIMARY KEY, tenant text, payload jsonb, note text)")
    module_db.run("SELECT seal.attach('ledger', tenant_column => 'tenant')")
    module_db.run(
        f"INSERT INTO ledger SELECT g, {TENANTS}, jsonb_build_object('n', g, 'amount', 1.10), 'note ' || g"
        " FROM generate_series(1, 9) g"
    )
    return History(module_db, "ledger")


@pytest.fixture
def ledger(_ledger: History) -> Iterator[History]:
    """Nine entries, id = position, one chain; acme has 1, 4, 7, globex 2, 5, 8, initech 3, 6, 9."""
    yield from honest(_ledger)
