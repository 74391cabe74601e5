"""One server for each file, restarted with other keys; a history with an entry is in `sealed`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.starting import sealed_server


@pytest.fixture(scope="module")
def sealed() -> Iterator[Cluster]:
    with sealed_server() as own:
        yield own
