"""The views answer whatever is missing: the key, tables, the primary."""

from __future__ import annotations

import secrets

import pytest

from support.cluster import KEYLESS, Cluster
from support.database import Database
from support.monitoring import counted, of_database, of_history, record_run
from support.refusal import refusal
from support.sealing import history, wait_for
from support.servers import Servers
from support.standby import COPIED, standby_of
from support.tampering import unguarded
from support.witnessing import anchored


# The tables belong to the extension no more, so that a superuser can drop them.
NO_MEMBERS = """
DELETE FROM pg_depend d USING pg_class c
 WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND d.classid = 'pg_class'::regclass
   AND d.objid = c.oid AND c.relnamespace = 'seal'::regnamespace AND c.relkind IN ('r', 'S')"""


@pytest.fixture
def server(own_cluster: Servers) -> Cluster:
    return own_cluster({"pgseal.anchor_interval": "500ms", **COPIED})


def sealed(server: Cluster) -> Database:
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x')")
    record_run(db, "h", "intact", age="1 hour")
    anchored(db)
    return db


def test_without_a_key(server: Cluster) -> None:
    db = sealed(server)
    server.configure(KEYLESS, restart=True)
    assert refusal(db, "INSERT INTO h VALUES (2, 'x')").state == "55000"
    assert (of_database(db)["key_usable"], of_history(db)["key_usable"]) == (0, 0)
    assert counted(db) == {"sealing_errors": 1, "sealing_errors_key": 1}
    assert of_history(db)["last_verdict"] == 1
    wait_for(db, "SELECT worker_ok = 0 FROM seal.database_metrics")


def test_with_another_key(server: Cluster) -> None:
    db = sealed(server)
    server.write_key(secrets.token_hex(32))
    server.restart()
    assert refusal(db, "INSERT INTO h VALUES (2, 'x')").state == "55000"
    assert (of_database(db)["key_usable"], of_history(db)["key_usable"]) == (1, 0)
    assert counted(db) == {"sealing_errors": 1, "sealing_errors_key": 1}


def test_when_nothing_was_ever_attached(db: Database) -> None:
    assert db.rows("SELECT * FROM seal.metrics") == []
    line = of_database(db)
    assert (line["up"], line["histories"], line["unanchored_chains"], line["anchor_wait_seconds"]) == (1, 0, 0, 0)
    assert (line["anchor_age_seconds"], line["next_run_seconds"]) == (None, None)


def test_when_the_histories_table_was_dropped(db: Database) -> None:
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x')")
    oid = db.value("SELECT 'h'::regclass::oid::text")
    record_run(db, "h", "intact", age="1 hour")
    db.run(unguarded("DROP TABLE h"))
    assert db.rows("SELECT history, last_verdict, entries FROM seal.metrics") == [(oid, 1, 1)]
    assert of_database(db)["histories"] == 1
    assert db.rows("SELECT problem, last_verdict FROM seal.status") == [("the table is gone", "intact")]


@pytest.mark.parametrize(
    ("damage", "histories"),
    [
        ("DROP TABLE seal.run CASCADE", 1),
        ("ALTER TABLE seal.run RENAME COLUMN record TO gone", 1),
        ("ALTER TABLE seal.run ALTER COLUMN id TYPE text", 1),
        ("DROP TABLE IF EXISTS seal.alert CASCADE", 1),
        ("DROP TABLE seal.epoch CASCADE", 1),
        ("DROP TABLE seal.journal, seal.anchor CASCADE", 1),
        ("ALTER TABLE seal.history RENAME COLUMN mac TO gone", 0),
        ("DROP TABLE seal.history, seal.epoch, seal.journal, seal.anchor, seal.run CASCADE", 0),
    ],
)
def test_when_pgseals_own_tables_are_gone(db: Database, damage: str, histories: int) -> None:
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x')")
    record_run(db, "h", "tampered", findings=2, new=1)
    db.run(f"SET allow_system_table_mods = on; {NO_MEMBERS}; {unguarded(damage)}")
    found = db.rows("SELECT history, last_verdict, run_findings_new FROM seal.metrics")
    known = ("public.h", 0, None) if "seal.run" in damage else ("public.h", 5, 1)
    assert found == [known] * histories
    line = of_database(db)
    assert (line["up"], line["histories"]) == (1, histories)
    assert db.value("SELECT count(*) FROM seal.status") == histories


def test_on_a_standby(own_cluster: Servers, server: Cluster) -> None:
    primary = sealed(server)
    db = standby_of(own_cluster, primary)
    line = of_database(db)
    assert (line["up"], line["in_recovery"], line["scheduler_up"], line["worker_ok"]) == (1, 1, 0, 1)
    assert (line["anchor_age_seconds"], counted(db)) == (None, {})
    wait_for(db, "SELECT last_verdict = 1 FROM seal.metrics")
    assert of_history(db)["verified_age_seconds"] == pytest.approx(3600, abs=120)
    assert db.rows("SELECT last_verdict FROM seal.status") == [("intact",)]
