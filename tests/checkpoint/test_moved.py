"""A database goes elsewhere: its checkpoint goes with it, and what is sealed there is what came since."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.checkpointing import add, answer, assert_full, assert_rests, checkpoint, ledger, since
from support.cluster import Cluster
from support.database import Database
from support.restoring import FORMS
from support.sealing import wait_for
from support.servers import Servers, watched
from support.tampering import triggers_off
from support.verification import kinds
from support.witnessing import AT_ONCE, anchored


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with watched(AT_ONCE) as server:
        yield server


@pytest.fixture
def original(server: Cluster) -> Iterator[Database]:
    with server.database() as database:
        ledger(database)
        checkpoint(database)
        add(database, 13, 14, "acme")
        anchored(database)
        yield database


def assert_answers(db: Database) -> None:
    """From the checkpoint, at once and after further entries; and finds what is done there."""
    assert_rests(answer(db, "acme"), 6, since=2)
    assert_rests(since(db), 2, since=2)
    add(db, 15, 16, "acme")
    assert_rests(answer(db, "acme"), 8, since=4)
    assert db.value("SELECT count(DISTINCT split_part(seal_chain, '/', 1)) FROM h") == 2
    checkpoint(db)
    assert_rests(answer(db, "acme"), 8, since=0)
    assert_full(answer(db, None), "intact")
    with triggers_off(db.connection, "h"):
        db.run("DELETE FROM h WHERE id = 6")
    assert_full(answer(db, "acme"), "tampered")
    assert kinds(db, "acme") == ["missing"]


@pytest.mark.parametrize("form", ["custom", "inserts", "data only, as a replica"])
def test_dump_and_restore(server: Cluster, original: Database, form: str) -> None:
    copy = server.createdb()
    FORMS[form](original, copy)
    assert_answers(copy)
    copy.drop()


def test_a_template_copy(server: Cluster, original: Database) -> None:
    original.close()
    copy = server.createdb(original.name)
    assert_answers(copy)
    copy.drop()


@pytest.fixture
def primary(own_cluster: Servers) -> Database:
    db = own_cluster({**AT_ONCE, "max_wal_senders": 4, "wal_level": "replica"}).createdb()
    db.run("CREATE EXTENSION pgseal")
    ledger(db)
    checkpoint(db)
    add(db, 13, 14, "acme")
    anchored(db)
    return db


def caught_up(primary: Database, standby: Database) -> None:
    position = primary.value("SELECT pg_current_wal_insert_lsn()::text")
    wait_for(standby, "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [position])


def test_a_standby_and_its_promotion(own_cluster: Servers, primary: Database) -> None:
    copy = own_cluster.adopt(primary.cluster.basebackup({"hot_standby": True, "hot_standby_feedback": True}))
    standby = Database(copy, primary.name)
    assert_rests(answer(standby, "acme"), 6, since=2)
    assert_rests(since(standby), 2, since=2)
    assert "only replays" in answer(standby, "acme")["basis"]
    # It follows: further entries, further checkpoints, and what is done to them.
    add(primary, 17, 17, "zeta")
    run = checkpoint(primary)
    anchored(primary)
    caught_up(primary, standby)
    assert f"(run {run}: 15 entries)" in answer(standby, "acme")["basis"]
    assert_rests(answer(standby, "acme"), 6, since=0)
    primary.run("CREATE TABLE honest AS TABLE seal.checkpoint")
    primary.run("UPDATE seal.checkpoint SET record = jsonb_set(record, '{run}', '77')")
    caught_up(primary, standby)
    assert_full(answer(standby, "acme"), "tampered")
    assert kinds(standby, "acme") == ["checkpoint_altered"]
    primary.run("UPDATE seal.checkpoint c SET record = h.record FROM honest h")
    with triggers_off(primary.connection, "h"):
        primary.run("CREATE TABLE removed AS SELECT * FROM h WHERE id = 6; DELETE FROM h WHERE id = 6")
    caught_up(primary, standby)
    assert_full(answer(standby, "acme"), "tampered")
    assert_rests(answer(standby, "zeta"), 5, since=0)
    with triggers_off(primary.connection, "h"):
        primary.run("INSERT INTO h SELECT * FROM removed")
    caught_up(primary, standby)
    primary.cluster.stop()
    assert standby.value("SELECT pg_promote(true, 60)") is True
    assert_rests(answer(standby, "acme"), 6, since=0)
    add(standby, 18, 19, "acme")
    assert_rests(answer(standby, "acme"), 8, since=2)
    assert standby.value("SELECT count(DISTINCT split_part(seal_chain, '/', 1)) FROM h") == 2
    checkpoint(standby)
    assert_rests(answer(standby, "acme"), 8, since=0)
