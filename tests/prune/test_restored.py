"""A pruned history somewhere else: dumped and restored, on a standby, after promotion, from a base backup."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.clock import Clock, travelling_server
from support.cluster import Cluster
from support.database import Database
from support.journaling import found
from support.pruning import aged, assert_whole, prune, remaining, settle_journal
from support.refusal import refusal
from support.sealing import wait_for
from support.standby import COPIED
from support.windows import add
from support.witnessing import AT_ONCE, anchored


@pytest.fixture(scope="module")
def travel() -> Iterator[tuple[Cluster, Clock]]:
    with travelling_server({**AT_ONCE, **COPIED}) as both:
        yield both


@pytest.fixture
def pruned(db: Database, clock: Clock) -> str:
    """Five entries were pruned, three are left; a tenant is on hold. Returns the chain's name."""
    name = aged(db, clock)
    assert prune(db)["pruned"] == 5
    db.run("SELECT seal.hold('h', 'held', 'case 12/26')")
    settle_journal(db)
    return name


RECORDS = "SELECT * FROM seal.verification ORDER BY run"


@pytest.mark.parametrize("form", ["plain", "inserts", "as a replica"])
def test_dumped_and_restored(db: Database, clock: Clock, pruned: str, form: str) -> None:
    """Cut, hold and record come along; sealing begins new chains, and the old one can be pruned on."""
    copy = db.cluster.createdb()
    try:
        options = ["--inserts"] if form == "inserts" else []
        script = db.cluster.run("pg_dump", "-d", db.name, *options).stdout
        copy.psql(("SET session_replication_role = replica;\n" if form == "as a replica" else "") + script)
        assert copy.rows(RECORDS) == db.rows(RECORDS)
        assert copy.rows("SELECT tenant, reason FROM seal.holds") == [("held", "case 12/26")]
        assert_whole(copy, {pruned: 5}, left=3)
        add(copy, 9, 10)
        add(copy, 11, 11, tenant="held")
        anchored(copy)
        clock.forward(days=400)
        add(copy, 12, 12)
        anchored(copy)
        run = prune(copy)
        assert run["run"] == 2
        new = str(copy.value("SELECT seal_chain FROM h WHERE id = 12"))
        assert new != pruned
        assert run["cuts"] == {pruned: [6, 8], new: [1, 2]}
        assert remaining(copy) == [11, 12]
        assert found(copy) == []
    finally:
        copy.drop()


def test_rows_put_back_in_a_copy(db: Database, clock: Clock) -> None:
    """Whoever restores a dump from before the pruning over one from after it."""
    name = aged(db, clock)
    db.run("CREATE TABLE honest_h AS TABLE h")
    prune(db)
    copy = db.cluster.createdb()
    try:
        copy.psql(db.cluster.run("pg_dump", "-d", db.name).stdout)
        copy.run("SET session_replication_role = replica; INSERT INTO h SELECT * FROM honest_h WHERE id <= 5")
        copy.run("RESET session_replication_role")
        assert found(copy, "h") == [("cut_altered", name, 1, 5)]
    finally:
        copy.drop()


def test_standby_and_promotion(db: Database, clock: Clock, pruned: str) -> None:
    standby_server = db.cluster.basebackup()
    try:
        standby_server.start()
        standby = Database(standby_server, db.name)
        assert_whole(standby, {pruned: 5}, left=3)
        refused = refusal(standby, "SELECT * FROM seal.verify_and_prune('h')")
        assert refused.state == "25006" and "seal.verify_history()" in refused.hint
        # What is pruned while it replays.
        clock.forward(days=400)
        add(db, 9, 9)
        assert prune(db)["cuts"] == {pruned: [6, 8]}
        wait_for(standby, "SELECT count(*) = 1 FROM h")
        assert_whole(standby, {pruned: 8}, left=1)
        standby.run("SELECT pg_promote()")
        add(standby, 10, 10)
        anchored(standby)
        new = str(standby.value("SELECT seal_chain FROM h WHERE id = 10"))
        assert new != pruned
        clock.forward(days=400)
        add(standby, 11, 11)
        anchored(standby)
        run = prune(standby)
        assert run["cuts"] == {pruned: [9, 9], new: [1, 1]}
        assert found(standby) == []
    finally:
        standby_server.destroy()


def test_a_base_backup_from_before_the_pruning(db: Database, clock: Clock) -> None:
    """It has everything; recovered to its own end it knows of no cut."""
    name = aged(db, clock)
    backup = db.cluster.basebackup(standby=False)
    try:
        prune(db)
        backup.start()
        copy = Database(backup, db.name)
        assert_whole(copy, {}, left=8)
        assert prune(copy)["cuts"] == {name: [1, 5]}
        assert_whole(copy, {name: 5}, left=3)
    finally:
        backup.destroy()
