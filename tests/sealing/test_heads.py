"""The server's memory of heads: a clear end when it is full, and nobody writes into another's place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.crowd import Crowd
from support.database import Database
from support.sealing import assert_whole, chains, findings, history, refused, run
from support.servers import assert_no_alarms
from support.tampering import triggers_off

SLOTS = 16
FULL = ("53400", "pgseal's shared memory has no room for another chain", "Raise pgseal.max_heads in postgresql.conf")


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with Cluster({"pgseal.max_heads": SLOTS}) as own:
        yield own
        assert_no_alarms(own)


@pytest.fixture
def small(server: Cluster) -> Iterator[Database]:
    """A database on a server that has just been started, with 16 slots for heads."""
    server.restart()
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    yield db
    db.drop()


def fill(db: Database) -> None:
    """As many histories as there are slots, a row in each, and one history more."""
    for number in range(SLOTS + 1):
        history(db, f"h{number}")
    for number in range(SLOTS):
        db.run(f"INSERT INTO h{number} VALUES (1, 'x')")


def test_when_it_is_full_the_insert_fails_and_says_what_to_do(small: Database, server: Cluster) -> None:
    fill(small)
    with refused(*FULL):
        small.run(f"INSERT INTO h{SLOTS} VALUES (1, 'x')")
    for number in range(SLOTS):
        small.run(f"INSERT INTO h{number} VALUES (2, 'x')")  # those that have a place go on
        assert_whole(small, f"h{number}", entries=2)
    assert_whole(small, f"h{SLOTS}", entries=0)
    server.restart()
    small.run(f"INSERT INTO h{SLOTS} VALUES (1, 'x')")
    assert_whole(small, f"h{SLOTS}", entries=1)


def test_a_second_chain_that_finds_no_room(small: Database) -> None:
    fill(small)
    owner = small.connect()
    run(owner, "BEGIN", "INSERT INTO h0 VALUES (2, 'x')")
    with refused(*FULL):
        small.run("INSERT INTO h0 VALUES (3, 'x')")
    run(owner, "COMMIT")
    small.run("INSERT INTO h0 VALUES (3, 'x')")
    assert chains(small, "h0") == [[1, 2, 3]]
    assert_whole(small, "h0")


def test_detached_histories_make_room_when_it_is_needed(small: Database) -> None:
    fill(small)
    small.run("SELECT seal.detach('h3')")
    small.run(f"INSERT INTO h{SLOTS} VALUES (1, 'x')")
    assert_whole(small, f"h{SLOTS}", entries=1)
    history(small, "more")
    with refused(*FULL):
        small.run("INSERT INTO more VALUES (1, 'x')")
    small.run("INSERT INTO h3 (id) VALUES (2)")  # works as any table


def test_a_rolled_back_detach_makes_no_room(small: Database) -> None:
    fill(small)
    run(small.connection, "BEGIN", "SELECT seal.detach('h3')", "ROLLBACK")
    with refused(*FULL):
        small.run(f"INSERT INTO h{SLOTS} VALUES (1, 'x')")


def test_a_detach_that_is_not_committed_makes_no_room(small: Database) -> None:
    """The heads of a history whose detachment is rolled back are still there."""
    fill(small)
    run(small.connection, "BEGIN", "SELECT seal.detach('h3')", "SAVEPOINT s")
    with refused(*FULL):
        small.run(f"INSERT INTO h{SLOTS} VALUES (1, 'x')")
    small.run("ROLLBACK")
    with triggers_off(small.connection, "h3"):
        small.run("DELETE FROM h3")
    assert [kind for kind, *_ in findings(small, "h3")] == ["truncated"]


def test_dropped_databases_make_room(small: Database, server: Cluster) -> None:
    other = server.createdb()
    other.run("CREATE EXTENSION pgseal")
    history(other)
    other.run("INSERT INTO h VALUES (1, 'x')")
    other.drop()
    fill(small)
    for number in range(SLOTS):
        assert_whole(small, f"h{number}", entries=1)


def test_a_session_that_ends_later_does_not_write_into_a_place_that_is_anothers_now(small: Database) -> None:
    fill(small)
    old = small.connect()
    run(old, "BEGIN", "SAVEPOINT s", "INSERT INTO h0 VALUES (2, 'x')", "ROLLBACK TO s")
    small.run("SELECT seal.detach('h0')")
    run(old, "COMMIT")
    for number in range(1, SLOTS):
        small.run(f"INSERT INTO h{number} VALUES (2, 'x')")
        assert_whole(small, f"h{number}", entries=2)


def test_many_transactions_that_begin_at_once_take_one_place_for_each_chain(small: Database) -> None:
    """With one chain, 15 places must stay free however many race for the first."""
    history(small, "one", options="max_chains => 1")
    committed = Crowd(small, 12, "READ COMMITTED", 0.3, "one").write()
    assert_whole(small, "one", entries=len(committed))
    for number in range(SLOTS - 1):
        history(small, f"h{number}")
        small.run(f"INSERT INTO h{number} VALUES (1, 'x')")
    history(small, "last")
    with refused(*FULL):
        small.run("INSERT INTO last VALUES (1, 'x')")
