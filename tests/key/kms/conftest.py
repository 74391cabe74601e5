"""A server with the key of the file's own KMS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.kms import Kms
from support.kms.stories import keyed_server


@pytest.fixture(scope="module")
def server(kms: Kms) -> Iterator[Cluster]:
    with keyed_server(kms) as started:
        yield started
