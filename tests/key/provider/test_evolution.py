"""With key evolution a library is asked for the root too, which must be another secret than the one that seals."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database
from support.providing import asked
from support.sealing import wait_for
from support.starting import refused_as_it_is

TO_SIGN, TO_VERIFY = "the first process for key 1 to sign", "the first process for key 1 to verify"


@pytest.fixture
def evolving(server: Cluster) -> Iterator[Cluster]:
    """The server, stopped, with evolution on and no state file."""
    server.stop()
    folder = server.home / "state"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o700)
    server.give(folder)
    (folder / "pgseal").unlink(missing_ok=True)
    server.settings.update({
        "pgseal.key_evolution": "day", "pgseal.key_state_file": str(folder / "pgseal"), "testprovider.mode": "good",
    })  # fmt: skip
    yield server


def test_the_root_begins_a_stream(evolving: Cluster) -> None:
    mark = evolving.log_position()
    evolving.start()
    assert asked(evolving.log(mark))[:2] == [TO_SIGN, TO_VERIFY]
    mark = evolving.log_position()
    evolving.restart()
    assert TO_VERIFY not in asked(evolving.log(mark))
    database = Database(evolving, "sealed")
    wait_for(database, "SELECT count(*) > 0 FROM seal.closing")
    assert database.rows("SELECT verdict FROM seal.verify_history()") == [("intact",)]
    database.close()
    assert "a child for key 1 to verify" in asked(evolving.log(mark))


def test_a_provider_that_takes_no_notice_of_the_purpose(evolving: Cluster) -> None:
    evolving.settings["testprovider.mode"] = "one secret"
    fatal, hint = refused_as_it_is(evolving)
    same = "testprovider gives one and the same secret of key 1 to sign and to verify"
    assert fatal == f"pgseal's key cannot evolve: the root secret cannot be had: {same}"
    assert "another secret for %p = verify than for sign" in hint
    assert not (evolving.home / "state" / "pgseal").exists()
    evolving.settings["testprovider.mode"] = "good"
    evolving.start()
