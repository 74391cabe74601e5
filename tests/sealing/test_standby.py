"""On a hot standby verification answers as on its primary, beside writers; a promoted one begins chains of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.anchoring import nothing_anchored
from support.cluster import Cluster
from support.database import Database
from support.sealing import background, history, partitioned, run, value
from support.servers import Servers
from support.standby import COPIED, promote, standby_of
from support.tampering import triggers_off
from support.witnessing import AT_ONCE, anchored

ENTRIES = 200


@pytest.fixture
def primary(own_cluster: Servers) -> Cluster:
    return own_cluster({**COPIED, **AT_ONCE})


@pytest.fixture
def db(primary: Cluster) -> Iterator[Database]:
    database = primary.createdb()
    database.run("CREATE EXTENSION pgseal")
    history(database)
    partitioned(database, "p")
    database.run(f"INSERT INTO h SELECT g, 'x' FROM generate_series(1, {ENTRIES}) g")
    database.run(f"INSERT INTO p SELECT g, g % 2, 'x' FROM generate_series(1, {ENTRIES}) g")
    yield database


def verdicts(db: Database) -> list[tuple[str, str, int, int]]:
    return db.rows("SELECT history, verdict, entries, findings FROM seal.verify_history() ORDER BY 1")


def test_it_verifies_and_says_with_which_anchor_the_tails_were_compared(
    own_cluster: Servers, primary: Cluster, db: Database
) -> None:
    anchored(db)
    standby = standby_of(own_cluster, db)
    assert standby.value("SELECT pg_is_in_recovery()")
    assert verdicts(standby) == [("public.h", "intact", ENTRIES, 0), ("public.p", "intact", ENTRIES, 0)]
    assert standby.rows("SELECT * FROM seal.findings()") == []
    assert standby.value("SELECT seal.is_intact()")
    newest = db.value("SELECT max(number) FROM seal.anchor")
    for (basis,) in standby.rows("SELECT basis FROM seal.verify_history()"):
        assert f"; this server only replays, newest entries compared with anchor {newest} of " in basis
    assert standby.rows("SELECT history FROM seal.status WHERE NOT ok") == []
    assert standby.rows("SELECT item FROM seal.check_setup() WHERE NOT ok") == [("witness",)]
    (worker,) = standby.rows("SELECT problem FROM seal.check_setup() WHERE item = 'anchor worker'")
    assert worker == ("this server only replays: the primary writes anchors",)


def test_before_the_first_anchor_it_says_that_there_is_none(own_cluster: Servers, primary: Cluster) -> None:
    database = primary.createdb()
    database.run("CREATE EXTENSION pgseal")
    with nothing_anchored(database):
        history(database)
        database.run("INSERT INTO h VALUES (1, 'x')")
        standby = standby_of(own_cluster, database)
        basis = standby.value("SELECT basis FROM seal.verify_history()")
    assert basis.endswith("; this server only replays, newest entries compared with no anchor yet")


def test_it_finds_what_was_done_on_the_primary(own_cluster: Servers, db: Database) -> None:
    session = db.connect()
    run(session, "SET session_replication_role = replica", "ALTER TABLE h DISABLE TRIGGER ALL")
    run(session, "UPDATE h SET p = 'y' WHERE id = 17")
    run(
        session,
        "ALTER TABLE h ENABLE TRIGGER zzz_pgseal_seal",
        "ALTER TABLE h ENABLE ALWAYS TRIGGER zzz_pgseal_guard",
        "ALTER TABLE h ENABLE ALWAYS TRIGGER zzz_pgseal_truncate",
    )
    standby = standby_of(own_cluster, db)
    assert standby.rows("SELECT history, kind, position FROM seal.findings()") == [("public.h", "modified", 17)]


def test_it_finds_what_is_missing_at_the_end(own_cluster: Servers, db: Database) -> None:
    """Nothing but the anchors remembers these entries here."""
    anchored(db)
    session = db.connect()
    with triggers_off(session, "h"):
        run(session, f"DELETE FROM h WHERE id > {ENTRIES - 3}")
    with triggers_off(session, "p"):
        run(session, "TRUNCATE p")
    standby = standby_of(own_cluster, db)
    found = standby.rows("SELECT history, kind, position, last_position FROM seal.findings() ORDER BY 1")
    assert found == [
        ("public.h", "truncated", ENTRIES - 2, ENTRIES),
        ("public.p", "truncated", 1, ENTRIES),
    ]


def test_beside_writers_on_the_primary(own_cluster: Servers, db: Database) -> None:
    standby = standby_of(own_cluster, db)

    def inserts(table: str, first: int) -> list[str]:
        leaf = ", 1" if table == "p" else ""
        return [f"INSERT INTO {table} VALUES ({number}{leaf}, 'x')" for number in range(first, first + 300)]

    with background() as start:
        writers = [start(db.connect(), *inserts(table, first)) for table in ("h", "p") for first in (1_000, 2_000)]
        while not all(writer.done() for writer in writers):
            assert standby.rows("SELECT kind, position FROM seal.findings()") == []
        for writer in writers:
            writer.result()
    assert verdicts(db) == [("public.h", "intact", ENTRIES + 600, 0), ("public.p", "intact", ENTRIES + 600, 0)]


def test_after_promotion_new_chains_begin(own_cluster: Servers, primary: Cluster, db: Database) -> None:
    standby = standby_of(own_cluster, db)
    primary.stop()
    promote(standby)
    standby.run("INSERT INTO h VALUES (5000, 'after')")
    tags = {value(standby.connect(), f"SELECT split_part(seal_chain, '.', 2) FROM h WHERE id = {i}") for i in (1, 5000)}
    assert len(tags) == 2
    assert standby.value("SELECT seal_seq FROM h WHERE id = 5000") == 1
    assert verdicts(standby)[0] == ("public.h", "intact", ENTRIES + 1, 0)
