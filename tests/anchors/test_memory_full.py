"""Memory for 16 chains and many more of them: what is anchored makes room, and stays protected all the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.anchoring import add, faults, make, nothing_anchored, place, settle, wait_until_anchored
from support.cluster import Cluster
from support.database import Database
from support.sealing import chains, refused, run, wait_for
from support.servers import watched
from support.tampering import assert_intact, triggers_off

SLOTS = 16
MANY = [f"h{number}" for number in range(SLOTS + 4)]
FULL = ("53400", "pgseal's shared memory has no room for another chain", "Raise pgseal.max_heads in postgresql.conf")


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with watched({"pgseal.max_heads": SLOTS, "pgseal.anchor_interval": "100ms", "autovacuum": False}) as own:
        yield own


@pytest.fixture
def small(server: Cluster) -> Iterator[Database]:
    """A database with twenty histories, each with two anchored entries, on a server that remembers 16 chains."""
    with server.database() as database:
        with database.connection.transaction():
            make(database, *MANY)
        fill(database, MANY)
        yield database


def fill(db: Database, names: list[str]) -> None:
    """Two entries into each; a few at a time, so that the worker can follow."""
    for part in (names[:10], names[10:]):
        with db.connection.transaction():
            for name in part:
                add(db, name, 2)
        settle(db, *part)
        wait_for(db, "SELECT sum(unanchored) = 0 FROM seal.status")


def remove_newest(db: Database, name: str) -> None:
    with triggers_off(db.connection, name):
        db.run(f"DELETE FROM {name} WHERE seal_seq = (SELECT max(seal_seq) FROM {name})")


def test_anchored_chains_make_room(small: Database) -> None:
    """Round and round through more histories than there are places."""
    fill(small, MANY)
    assert_intact(small)
    assert small.value("SELECT sum(n) FROM (SELECT count(*) AS n FROM h0 UNION ALL SELECT count(*) FROM h19) x") == 8
    assert small.value("SELECT max(chains) FROM seal.status") == 1


def test_what_made_room_stays_protected(small: Database) -> None:
    """Forgotten by the server's memory, not by the anchors."""
    forgotten = small.rows("SELECT split_part(history, '.', 2) FROM seal.status WHERE chains = 0 ORDER BY 1")
    assert forgotten
    (name,) = forgotten[0]
    remove_newest(small, name)
    assert faults(small, name) == [("truncated", place(small), 2, None)]
    small.cluster.crash()
    assert faults(small, name) == [("truncated", place(small), 2, None)]


@pytest.mark.parametrize("before", ["", "rolled back"])
def test_sealing_goes_on_above_what_was_removed(small: Database, before: str) -> None:
    (name,) = small.rows("SELECT split_part(history, '.', 2) FROM seal.status WHERE chains = 0 ORDER BY 1")[0]
    other = small.value("SELECT split_part(history, '.', 2) FROM seal.status WHERE chains = 1 ORDER BY 1 DESC LIMIT 1")
    remove_newest(small, name)
    insert = f"INSERT INTO {name} VALUES (50, 'x')"
    if before == "rolled back":
        run(small.connection, "BEGIN", insert, "ROLLBACK")
    add(small, other)
    settle(small, other)
    small.run(insert)
    assert chains(small, name) == [[1, 3]]
    settle(small, name)
    assert faults(small, name) == [("missing", place(small), 2, None)]


def test_a_place_that_this_transaction_holds_is_not_taken(small: Database) -> None:
    """It owns chains that are anchored; that it needs one more must not make it lose them."""
    held = small.rows("SELECT split_part(history, '.', 2) FROM seal.status WHERE chains = 1 ORDER BY 1")[:3]
    others = small.rows("SELECT split_part(history, '.', 2) FROM seal.status WHERE chains = 0 ORDER BY 1")
    with nothing_anchored(small):
        with small.connection.transaction():
            for (name,) in held + others:
                small.run(f"INSERT INTO {name} VALUES (50, 'x')")
        for (name,) in held:
            remove_newest(small, name)
            assert faults(small, name) == [("truncated", place(small), 3, None)]


def test_nothing_makes_room_that_is_not_anchored(small: Database) -> None:
    """Then the INSERT fails and says what to do."""
    with nothing_anchored(small):
        done = []
        with refused(*FULL):
            for name in MANY:
                small.run(f"INSERT INTO {name} VALUES (50, 'x')")
                done.append(name)
        assert len(done) == SLOTS - 1  # and the journal
        for name in done:
            small.run(f"INSERT INTO {name} VALUES (51, 'x')")
        remove_newest(small, done[0])
        assert faults(small, done[0]) == [("truncated", place(small), 4, None)]
    settle(small, *done[1:])
    for name in MANY[SLOTS:]:
        small.run(f"INSERT INTO {name} VALUES (52, 'x')")


def test_tails_of_before_a_crash_that_find_no_place(small: Database) -> None:
    """Whichever the worker looks at first, it comes to all."""
    last = MANY[-8:]
    with nothing_anchored(small):
        for name in last:
            add(small, name)
        small.cluster.crash()
    wait_until_anchored(small, *last)
    assert_intact(small)
    for name in last:
        remove_newest(small, name)
    small.cluster.crash()
    for name in last:
        assert faults(small, name) == [("truncated", place(small), 3, None)]


def test_administration_finds_a_place_for_the_journal(small: Database) -> None:
    small.cluster.crash()
    add(small, MANY[-1])
    settle(small, MANY[-1])
    make(small, "more")
    add(small, "more")
    settle(small, "more")
    assert_intact(small)


def test_another_database_finds_a_place(small: Database, server: Cluster) -> None:
    """What is anchored makes room for whoever needs it."""
    with server.database() as other:
        make(other, "h")
        add(other, "h")
        settle(other, "h")
        assert_intact(other)
        assert_intact(small)
