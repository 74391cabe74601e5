"""On a hot standby verification answers as on its primary, beside writers; a promoted one begins chains of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database
from support.sealing import background, history, partitioned, run, value
from support.servers import Servers

ENTRIES = 200


@pytest.fixture
def primary(own_cluster: Servers) -> Cluster:
    return own_cluster({"max_wal_senders": 4, "wal_level": "replica"})


@pytest.fixture
def db(primary: Cluster) -> Iterator[Database]:
    database = primary.createdb()
    database.run("CREATE EXTENSION pgseal")
    history(database)
    partitioned(database, "p")
    database.run(f"INSERT INTO h SELECT g, 'x' FROM generate_series(1, {ENTRIES}) g")
    database.run(f"INSERT INTO p SELECT g, g % 2, 'x' FROM generate_series(1, {ENTRIES}) g")
    yield database


def replica(own_cluster: Servers, primary: Cluster, db: Database) -> Database:
    standby = own_cluster.adopt(primary.basebackup({"hot_standby": True}))
    return Database(standby, db.name)


def answers(db: Database) -> list[tuple[str, str, int, int]]:
    return db.rows("SELECT history, verdict, entries, findings FROM seal.verify_history() ORDER BY 1")


def test_it_verifies_and_says_that_the_tail_is_not_protected(
    own_cluster: Servers, primary: Cluster, db: Database
) -> None:
    standby = replica(own_cluster, primary, db)
    assert standby.value("SELECT pg_is_in_recovery()")
    assert answers(standby) == [("public.h", "intact", ENTRIES, 0), ("public.p", "intact", ENTRIES, 0)]
    assert standby.rows("SELECT * FROM seal.findings()") == []
    assert standby.value("SELECT seal.is_intact()")
    for (basis,) in standby.rows("SELECT basis FROM seal.verify_history()"):
        assert "tail not protected here" in basis
    assert standby.rows("SELECT history FROM seal.status WHERE NOT ok") == []
    assert standby.rows("SELECT item FROM seal.check_setup() WHERE NOT ok") == []


def test_it_finds_what_was_done_on_the_primary(own_cluster: Servers, primary: Cluster, db: Database) -> None:
    session = db.connect()
    run(session, "ALTER TABLE h DISABLE TRIGGER ALL", "UPDATE h SET p = 'y' WHERE id = 17")
    run(
        session,
        "ALTER TABLE h ENABLE TRIGGER zzz_pgseal_seal",
        "ALTER TABLE h ENABLE ALWAYS TRIGGER zzz_pgseal_guard",
        "ALTER TABLE h ENABLE ALWAYS TRIGGER zzz_pgseal_truncate",
    )
    standby = replica(own_cluster, primary, db)
    assert standby.rows("SELECT history, kind, position FROM seal.findings()") == [("public.h", "modified", 17)]


def test_beside_writers_on_the_primary(own_cluster: Servers, primary: Cluster, db: Database) -> None:
    standby = replica(own_cluster, primary, db)

    def inserts(table: str, first: int) -> list[str]:
        leaf = ", 1" if table == "p" else ""
        return [f"INSERT INTO {table} VALUES ({number}{leaf}, 'x')" for number in range(first, first + 300)]

    with background() as start:
        writers = [start(db.connect(), *inserts(table, first)) for table in ("h", "p") for first in (1_000, 2_000)]
        while not all(writer.done() for writer in writers):
            assert standby.rows("SELECT kind, position FROM seal.findings()") == []
        for writer in writers:
            writer.result()
    assert answers(db) == [("public.h", "intact", ENTRIES + 600, 0), ("public.p", "intact", ENTRIES + 600, 0)]


def test_after_promotion_new_chains_begin(own_cluster: Servers, primary: Cluster, db: Database) -> None:
    standby = replica(own_cluster, primary, db)
    primary.stop()
    promoted = standby.value("SELECT pg_promote(true, 60)")
    assert promoted
    standby.run("INSERT INTO h VALUES (5000, 'after')")
    tags = {value(standby.connect(), f"SELECT split_part(seal_chain, '.', 2) FROM h WHERE id = {i}") for i in (1, 5000)}
    assert len(tags) == 2
    assert standby.value("SELECT seal_seq FROM h WHERE id = 5000") == 1
    assert answers(standby)[0] == ("public.h", "intact", ENTRIES + 1, 0)
