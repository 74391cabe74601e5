"""One primary and one standby for all tests here: a history of an earlier test is gone when the next one is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.places import Places, places


@pytest.fixture(scope="package")
def here() -> Iterator[Places]:
    with places() as opened:
        yield opened
