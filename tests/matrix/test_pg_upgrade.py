"""pg_upgrade to the version under test, by copying and by linking: all is kept, sealing and pruning go on.

Only `make test-matrix` runs this, where two versions of PostgreSQL stand side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from support.anchoring import settle
from support.clock import Clock
from support.cluster import Cluster
from support.database import Database
from support.pruning import aged, assert_pruned, prune, settle_journal
from support.restoring import HISTORIES, assert_adopted, furnish, insert_everywhere, tag_of
from support.servers import Servers
from support.spelling import spelled
from support.upgrading import kept, older, upgrade
from support.windows import add, damage, later
from support.witnessing import anchored

ALL = {**HISTORIES, "public.h": 3, "public.spelled": 2}
TABLES = ("plain", "p", "one", "h", "spelled")
FINDINGS = "SELECT history, kind, chain, position, last_position FROM seal.findings()"
VERDICTS = "SELECT history, verdict, entries, findings FROM seal.verify_history() ORDER BY 1"
SYSTEM = "SELECT system_identifier FROM pg_control_system()"
MADE = 9
"""The id of what is inserted after the upgrade; all that was there before is below it."""


@dataclass
class Before:
    """The older version's cluster, stopped, and what it had."""

    server: Cluster
    clock: Clock
    database: str
    place: str
    kept: dict[str, list[str]]
    version: int
    system: int


@pytest.fixture(scope="module")
def before() -> Iterator[Before]:
    """Histories plain and partitioned, of several epochs, with a window, of one chain, pruned, with lists that the newer
    version prints in another spelling; runs and checkpoints."""
    clock = Clock()
    server = older(clock.env)
    try:
        server.create()
        server.start()
        db = furnish(server.createdb())
        spelled(db)
        aged(db, clock)
        place = tag_of(db, "plain", 1)
        assert_pruned(db, prune(db), {place: (1, 5)}, 3)
        assert prune(db, "plain")["verdict"] == "intact"
        settle(db, *TABLES)
        settle_journal(db)
        assert len(db.rows("SELECT FROM seal.checkpoint")) == 2
        version = db.connection.info.server_version // 10_000
        system = int(db.value(SYSTEM))
        server.stop()
        server.start()
        anchored(db)
        everything = kept(db, place, *TABLES)
        server.stop()
        yield Before(server, clock, db.name, place, everything, version, system)
    finally:
        server.destroy()
        clock.destroy()


@pytest.fixture
def upgraded(own_cluster: Servers, before: Before) -> Iterator[Callable[..., Database]]:
    """upgraded("--link"): the database in a started cluster of the version under test."""
    copies: list[Cluster] = []

    def made(*options: str) -> Database:
        copies.append(before.server.copy())
        copies[-1].bin = before.server.bin
        db = Database(own_cluster.adopt(upgrade(copies[-1], *options)), before.database)
        assert db.connection.info.server_version // 10_000 > before.version
        assert db.value(SYSTEM) != before.system
        return db

    yield made
    for copy in copies:
        copy.destroy()


@pytest.mark.parametrize("mode", ["--copy", "--link"])
def test_all_is_kept_and_sealing_goes_on(upgraded: Callable[..., Database], before: Before, mode: str) -> None:
    db = upgraded(mode)
    assert kept(db, before.place, *TABLES) == before.kept
    assert db.rows(FINDINGS) == []
    assert db.rows(VERDICTS) == sorted((name, "intact", entries, 0) for name, entries in ALL.items())
    insert_everywhere(db, MADE)
    db.run(f"INSERT INTO spelled (id, note) VALUES ({MADE}, 'a')")
    add(db, MADE, MADE)
    anchored(db)
    # Another system has begun chains of its own, and its first anchor has taken over the ends of the old ones.
    place = tag_of(db, "plain", MADE)
    assert place != before.place
    assert_adopted(db, before.place, place)
    for table in TABLES:
        assert db.rows(f"SELECT seal_chain, seal_seq FROM {table} WHERE id = {MADE}") == [(place, 1)], table
    assert db.rows(FINDINGS) == []
    assert db.rows(VERDICTS) == sorted((name, "intact", entries + 1, 0) for name, entries in ALL.items())
    db.cluster.restart()
    assert db.rows(FINDINGS) == []


def test_what_is_changed_afterwards_is_found(upgraded: Callable[..., Database], before: Before) -> None:
    db = upgraded("--link")
    add(db, MADE, MADE)
    anchored(db)
    (old,) = db.rows("SELECT seal_chain, seal_seq FROM plain WHERE id = 2")
    damage(db, "UPDATE plain SET p = 'other' WHERE id = 2", name="plain")
    assert db.rows(FINDINGS) == [("public.plain", "modified", *old, None)]
    damage(db, "UPDATE plain SET p = 'umbrella' WHERE id = 2", name="plain")
    assert db.rows(FINDINGS) == []
    # The newest entry of the old place: its head is known from the old place's anchors.
    damage(db, "DELETE FROM h WHERE id = 8")
    assert db.rows(FINDINGS) == [("public.h", "truncated", before.place, 8, None)]


def test_pruning_goes_on(upgraded: Callable[..., Database], before: Before) -> None:
    db = upgraded("--copy")
    add(db, MADE, MADE)
    later(db, before.clock, 13)
    add(db, MADE + 1, MADE + 1)
    settle(db, "h")
    settle_journal(db)
    place = tag_of(db, "h", MADE)
    assert place != before.place
    assert_pruned(db, prune(db), {before.place: (6, 8), place: (1, 1)}, 1)
