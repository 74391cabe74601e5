"""The servers whose key comes from testprovider.c."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster import Cluster
from support.providing import compiled, provided_server

SOURCE = Path(__file__).with_name("testprovider.c")


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """One server for each file; a history with an entry is in the database `sealed`."""
    with provided_server() as own:
        library = compiled(own, "testprovider", SOURCE.read_text())
        own.settings.update({"shared_preload_libraries": f"{library}, pgseal", "testprovider.mode": "good"})
        own.start()
        database = own.createdb(name="sealed")
        database.run("CREATE EXTENSION pgseal; CREATE TABLE h (n int); SELECT seal.attach('h')")
        database.run("INSERT INTO h VALUES (1)")
        database.close()
        yield own
