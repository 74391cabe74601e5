"""A database for the statements of one file, on the server that all tests share, with a tablespace beside the usual."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database

TABLESPACE = "life_elsewhere"


@pytest.fixture(scope="module")
def ground(cluster: Cluster) -> Iterator[Database]:
    # In place: within the data folder, so that no folder of the test's own is needed.
    cluster.psql(f"SET allow_in_place_tablespaces = on; CREATE TABLESPACE {TABLESPACE} LOCATION ''")
    try:
        with cluster.database() as database:
            yield database
    finally:
        cluster.psql(f"DROP TABLESPACE {TABLESPACE}")
