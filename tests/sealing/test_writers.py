"""Any number of writers at every isolation level: no error, no gap, no fork; verification beside them is right."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.crowd import NOTHING, Crowd
from support.database import Database
from support.sealing import assert_whole, chains, history, ids, run, value
from support.servers import watched

LEVELS = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """A server that each test restarts, so that no chain's head is in its memory."""
    with watched() as own:
        yield own


@pytest.fixture
def cold(server: Cluster) -> Iterator[Database]:
    """Two histories on a server that has just been started."""
    with server.database() as db:
        history(db)
        db.run("INSERT INTO h VALUES (0, 'x')")
        server.restart()
        yield db
        log = server.log()
        assert "takes no more entries" not in log and "are gone" not in log


@pytest.mark.parametrize("level", LEVELS)
def test_32_writers_without_an_error_caused_by_sealing(cold: Database, server: Cluster, level: str) -> None:
    first = Crowd(cold, 32, level, 0.5).write()
    assert_whole(cold, entries=len(first) + 1)
    server.restart()
    second = Crowd(cold, 32, level, 1.0, first_id=max(first) + 1).write()
    assert_whole(cold, entries=len(first) + len(second) + 1)
    assert sorted(ids(cold)) == [0, *first, *second]
    assert 2 <= len(chains(cold)) <= 33


@pytest.mark.parametrize("level", LEVELS)
def test_verification_beside_writers_finds_nothing(cold: Database, server: Cluster, level: str) -> None:
    auditors = [cold.connect() for _ in range(5)]
    run(auditors[2], "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM h")
    runs = 0

    def verify() -> None:
        nonlocal runs
        runs += 1
        for auditor, before, after in [
            (auditors[0], [], []),
            (auditors[1], ["BEGIN ISOLATION LEVEL REPEATABLE READ"], ["COMMIT"]),
            (auditors[2], [], []),  # with the snapshot of the beginning
            (auditors[3], ["BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE"], ["COMMIT"]),
            (auditors[4], ["BEGIN", f"INSERT INTO h VALUES ({-runs}, 'x'), ({-runs}, 'x') {NOTHING}"], ["COMMIT"]),
        ]:
            run(auditor, *before)
            assert auditor.execute("SELECT kind, chain, position FROM seal.findings()").fetchall() == []
            assert value(auditor, "SELECT verdict FROM seal.verify_history()") == "intact"
            run(auditor, *after)

    committed = Crowd(cold, 16, level, 2.5).write(beside=verify)
    assert runs >= 1
    assert_whole(cold, entries=len(committed) + 1 + runs)


def test_writers_with_one_chain_queue(cold: Database) -> None:
    history(cold, "one", options="max_chains => 1")
    committed = Crowd(cold, 8, "SERIALIZABLE", 0.5, "one").write()
    assert len(chains(cold, "one")) == 1
    assert_whole(cold, "one", entries=len(committed))


def test_writers_that_start_at_once_on_a_history_that_no_one_has_used(cold: Database) -> None:
    """Heads are reserved once for each chain, not once for each writer."""
    history(cold, "fresh", options="max_chains => 4")
    committed = Crowd(cold, 16, "READ COMMITTED", 0.3, "fresh").write()
    assert len(chains(cold, "fresh")) <= 4
    assert_whole(cold, "fresh", entries=len(committed))
    assert cold.value("SELECT chains FROM seal.status WHERE history LIKE '%fresh'") == len(chains(cold, "fresh"))
