"""The server's memory of heads: a clear end when it is full, room for others when the anchors have what it knows, and
nobody writes into another's place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.crowd import Crowd
from support.database import Database
from support.sealing import assert_whole, chains, findings, history, refused, run, wait_for
from support.servers import watched
from support.tampering import triggers_off

SLOTS = 16
PLACES = SLOTS - 1  # the journal of the database has one
FULL = ("53400", "pgseal's shared memory has no room for another chain", "Raise pgseal.max_heads in postgresql.conf")


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """With 16 slots for heads. It anchors when it starts, and then for an hour nothing."""
    with watched({"pgseal.max_heads": SLOTS, "pgseal.anchor_interval": "1h"}) as own:
        yield own


@pytest.fixture
def small(server: Cluster) -> Iterator[Database]:
    """A database with the empty history h0, on a server that has just been started."""
    with server.database() as db:
        history(db, "h0")
        anchor_all(db)
        yield db


def anchor_all(db: Database) -> None:
    """Everything is anchored, and nothing of what is sealed from now on will be."""
    db.cluster.restart()
    wait_for(db, "SELECT sum(unanchored) = 0 AND count(anchor) = count(*) FROM seal.status")
    wait_for(db, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pgseal anchor worker'")


def fill(db: Database) -> None:
    """As many histories as there are places, a row in each, none of them anchored, and one history more."""
    for number in range(1, PLACES + 1):
        history(db, f"h{number}")
    for number in range(PLACES):
        db.run(f"INSERT INTO h{number} VALUES (1, 'x')")
    assert db.value("SELECT sum(unanchored) FROM seal.status") == PLACES


def test_when_it_is_full_the_insert_fails_and_says_what_to_do(small: Database) -> None:
    fill(small)
    with refused(*FULL):
        small.run(f"INSERT INTO h{PLACES} VALUES (1, 'x')")
    for number in range(PLACES):
        small.run(f"INSERT INTO h{number} VALUES (2, 'x')")  # those that have a place go on
        assert_whole(small, f"h{number}", entries=2)
    assert_whole(small, f"h{PLACES}", entries=0)
    anchor_all(small)
    small.run(f"INSERT INTO h{PLACES} VALUES (1, 'x')")
    assert_whole(small, f"h{PLACES}", entries=1)


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


def test_what_the_anchors_have_makes_room_when_it_is_needed(small: Database) -> None:
    fill(small)
    anchor_all(small)
    small.run(f"INSERT INTO h{PLACES} VALUES (1, 'x')")
    # Those that gave their places up are looked up again, and protected by the anchors meanwhile.
    assert small.value("SELECT sum(chains) FROM seal.status") == 1
    for number in range(PLACES):
        assert_whole(small, f"h{number}", entries=1)
    with triggers_off(small.connection, "h3"):
        small.run("DELETE FROM h3")
    assert findings(small, "h3") == [("truncated", 1, None)]
    small.run("INSERT INTO h3 VALUES (2, 'x')")
    assert findings(small, "h3") == [("missing", 1, None)]
    for number in range(PLACES - 2):
        small.run(f"INSERT INTO h{number + (number >= 3)} VALUES (2, 'x')")
    # None of the places is anchored as it is: it is full again.
    with refused(*FULL):
        small.run(f"INSERT INTO h{PLACES - 1} VALUES (2, 'x')")


def test_a_chain_that_went_on_since_the_anchor_keeps_its_place(small: Database) -> None:
    """Only memory knows of its newest entry."""
    fill(small)
    anchor_all(small)
    small.run("INSERT INTO h3 VALUES (2, 'x')")
    small.run(f"INSERT INTO h{PLACES} VALUES (1, 'x')")
    assert small.rows("SELECT history FROM seal.status WHERE chains > 0 ORDER BY 1") == [
        (f"public.h{PLACES}",),
        ("public.h3",),
    ]
    with triggers_off(small.connection, "h3"):
        small.run("DELETE FROM h3 WHERE id = 2")
    assert findings(small, "h3") == [("truncated", 2, None)]


def test_a_chain_that_somebody_owns_keeps_its_place(small: Database) -> None:
    fill(small)
    anchor_all(small)
    owner = small.connect()
    run(owner, "BEGIN", "INSERT INTO h3 VALUES (2, 'x')")
    small.run(f"INSERT INTO h{PLACES} VALUES (1, 'x')")
    assert small.value("SELECT chains FROM seal.status WHERE history = 'public.h3'") == 1
    run(owner, "COMMIT")
    assert_whole(small, "h3", entries=2)
    with triggers_off(small.connection, "h3"):
        small.run("DELETE FROM h3 WHERE id = 2")
    assert findings(small, "h3") == [("truncated", 2, None)]


def test_detached_histories_make_room_when_it_is_needed(small: Database) -> None:
    """The journal says that nobody needs them any more, so no anchor is waited for."""
    fill(small)
    small.run("SELECT seal.detach('h3')")
    small.run(f"INSERT INTO h{PLACES} VALUES (1, 'x')")
    assert_whole(small, f"h{PLACES}", entries=1)
    history(small, "more")
    with refused(*FULL):
        small.run("INSERT INTO more VALUES (1, 'x')")
    small.run("INSERT INTO h3 (id) VALUES (2)")  # works as any table


def test_also_after_a_restart(small: Database) -> None:
    fill(small)
    for number in range(PLACES):
        small.run(f"SELECT seal.detach('h{number}')")
    anchor_all(small)
    small.run(f"INSERT INTO h{PLACES} VALUES (1, 'x')")
    assert_whole(small, f"h{PLACES}", entries=1)


@pytest.mark.parametrize("end", ["ROLLBACK", "SAVEPOINT s"])
def test_a_detachment_that_is_not_committed_makes_no_room(small: Database, end: str) -> None:
    """The heads of a history whose detachment is rolled back are still there."""
    fill(small)
    run(small.connection, "BEGIN", "SELECT seal.detach('h3')", end)
    with refused(*FULL):
        small.run(f"INSERT INTO h{PLACES} VALUES (1, 'x')")
    run(small.connection, "ROLLBACK")
    with triggers_off(small.connection, "h3"):
        small.run("DELETE FROM h3")
    assert findings(small, "h3") == [("truncated", 1, None)]


@pytest.mark.parametrize("mark", ["detach_mac", "decode(repeat('00', 32), 'hex')", "NULL"])
def test_nor_does_a_history_that_is_only_marked_as_detached(small: Database, mark: str) -> None:
    fill(small)
    marks = "detached_at, detached_by, detach_mac"
    run(small.connection, "BEGIN", "SELECT seal.detach('h3')")
    seen = small.rows(f"SELECT {marks} FROM seal.history WHERE relation = 'h3'::regclass")[0]
    run(small.connection, "ROLLBACK")
    small.run(f"UPDATE seal.history SET ({marks}) = (%s, %s, %s) WHERE relation = 'h3'::regclass", seen)
    small.run(f"UPDATE seal.history SET detach_mac = {mark} WHERE relation = 'h3'::regclass")
    with refused(*FULL):
        small.run(f"INSERT INTO h{PLACES} VALUES (1, 'x')")


def test_dropped_databases_make_room(small: Database, server: Cluster) -> None:
    other = server.createdb()
    other.run("CREATE EXTENSION pgseal")
    history(other)
    other.run("INSERT INTO h VALUES (1, 'x')")
    other.drop()
    fill(small)
    for number in range(PLACES):
        assert_whole(small, f"h{number}", entries=1)


def test_a_session_that_ends_later_does_not_write_into_a_place_that_is_anothers_now(small: Database) -> None:
    fill(small)
    anchor_all(small)
    old = small.connect()
    run(old, "BEGIN", "SAVEPOINT s", "INSERT INTO h0 VALUES (2, 'x')", "ROLLBACK TO s")
    # All others are taken; this one is its as long as the transaction is open.
    for number in range(1, PLACES):
        small.run(f"INSERT INTO h{number} VALUES (2, 'x')")
    with refused(*FULL):
        small.run(f"INSERT INTO h{PLACES} VALUES (1, 'x')")
    run(old, "COMMIT")
    for number in range(1, PLACES):
        assert_whole(small, f"h{number}", entries=2)
        small.run(f"INSERT INTO h{number} VALUES (3, 'x')")
        assert_whole(small, f"h{number}", entries=3)
    small.run("INSERT INTO h0 VALUES (3, 'x')")
    assert chains(small, "h0") == [[1, 2]]
    assert_whole(small, "h0")


def test_a_rolled_back_transaction_keeps_no_place(small: Database) -> None:
    """Everything is anchored and nobody owns a chain."""
    fill(small)
    anchor_all(small)
    for number in range(PLACES):
        run(small.connection, "BEGIN", f"INSERT INTO h{number} VALUES (2, 'x')", "ROLLBACK")
    small.run(f"INSERT INTO h{PLACES} VALUES (1, 'x')")
    for number in range(PLACES + 1):
        assert_whole(small, f"h{number}", entries=1)


def test_chains_without_an_entry_keep_no_place(small: Database) -> None:
    """They are needed once, in a burst that was rolled back. The worker finds them empty."""
    history(small, "h1")
    sessions = [small.connect() for _ in range(PLACES)]
    for number, session in enumerate(sessions):
        run(session, "BEGIN", f"INSERT INTO h0 VALUES ({number}, 'x')")
    with refused(*FULL):
        small.run("INSERT INTO h0 VALUES (99, 'x')")
    for session in sessions:
        run(session, "ROLLBACK")
    small.cluster.configure({"pgseal.anchor_interval": "100ms"})
    try:
        wait_for(small, "SELECT sum(unanchored) = 0 AND min(worker) = 'running' FROM seal.status")
        small.run("INSERT INTO h1 VALUES (1, 'x')")
    finally:
        small.cluster.configure({"pgseal.anchor_interval": "1h"})
    assert_whole(small, "h1", entries=1)


def test_many_transactions_that_begin_at_once_take_one_place_for_each_chain(small: Database) -> None:
    """With one chain, all other places must stay free however many race for the first."""
    history(small, "one", options="max_chains => 1")
    committed = Crowd(small, 12, "READ COMMITTED", 0.3, "one").write()
    assert_whole(small, "one", entries=len(committed))
    for number in range(PLACES - 1):
        if number > 0:
            history(small, f"h{number}")
        small.run(f"INSERT INTO h{number} VALUES (1, 'x')")
    history(small, "last")
    with refused(*FULL):
        small.run("INSERT INTO last VALUES (1, 'x')")
