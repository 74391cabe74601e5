"""What is counted since the server's start: waits, changes of chain, refused rows, entries, closed chains."""

from __future__ import annotations

import pytest

from support.cluster import Cluster
from support.database import Database
from support.monitoring import counted, of_database
from support.refusal import refusal
from support.sealing import background, history, run, wait_for, wait_until_queued
from support.servers import Servers
from support.tampering import unguarded


def test_a_new_database_begins_at_zero(db: Database) -> None:
    assert counted(db) == {}


def test_entries_are_counted_when_they_are_committed(db: Database) -> None:
    history(db)
    db.run("INSERT INTO h SELECT g, 'x' FROM generate_series(1, 10) g")
    assert counted(db) == {"entries_sealed": 10}
    session = db.connect()
    run(session, "BEGIN", "INSERT INTO h VALUES (11, 'x')", "SAVEPOINT s", "INSERT INTO h VALUES (12, 'x')")
    assert counted(db) == {"entries_sealed": 10}
    run(session, "ROLLBACK TO s", "COMMIT", "BEGIN", "INSERT INTO h VALUES (13, 'x')", "ROLLBACK")
    assert counted(db) == {"entries_sealed": 11}
    run(session, "INSERT INTO h VALUES (1, 'x'), (14, 'x') ON CONFLICT DO NOTHING")
    assert counted(db) == {"entries_sealed": 12}
    db.run("CREATE TABLE old AS SELECT g AS n FROM generate_series(1, 5) g")
    db.run("SELECT seal.attach('old', existing => 'seal')")
    assert counted(db) == {"entries_sealed": 17}


def test_each_writer_that_waits_for_a_chain(db: Database) -> None:
    history(db, options="max_chains => 1")
    owner, rivals = db.connect(), [db.connect(), db.connect()]
    run(owner, "BEGIN", "INSERT INTO h VALUES (1, 'x')")
    assert counted(db) == {}
    with background() as start:
        waiting = []
        for number, rival in enumerate(rivals, 2):
            waiting.append(start(rival, f"INSERT INTO h VALUES ({number}, 'x')"))
            wait_until_queued(db, rival)
            assert counted(db) == {"chain_waits": number - 1}
        run(owner, "COMMIT")
        for one in waiting:
            one.result()
    assert counted(db) == {"chain_waits": 2, "entries_sealed": 3}


def test_a_writer_whose_chain_is_taken_goes_on_in_another(db: Database) -> None:
    history(db)
    owner, other = db.connect(), db.connect()
    run(owner, "BEGIN", "INSERT INTO h VALUES (1, 'x')")
    run(other, "INSERT INTO h VALUES (2, 'x')", "INSERT INTO h VALUES (3, 'x')")
    # The second time it preferred the chain that it has now.
    assert counted(db) == {"chain_changes": 1, "entries_sealed": 2}
    run(owner, "COMMIT")
    assert counted(db) == {"chain_changes": 1, "entries_sealed": 3}


HARMLESS = "suppress_redundant_updates_trigger"
REFUSED = {
    "input": ("", "INSERT INTO h (id, seal_seq) VALUES (1, 1)", "428C9"),
    "definition with a later trigger": (
        unguarded(f"CREATE TRIGGER zzzz BEFORE INSERT ON h FOR EACH ROW EXECUTE FUNCTION {HARMLESS}()"), None, "55000",
    ),  # fmt: skip
    "definition without an index": (unguarded("DROP INDEX h_seal_chain_seal_seq_idx"), None, "55000"),
    "record": ("UPDATE seal.epoch SET mac = 'x'", None, "XX001"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_each_refused_row_is_counted_by_its_kind(db: Database, case: str) -> None:
    history(db)
    preparation, statement, state = REFUSED[case]
    if preparation:
        db.run(preparation)
    before = of_database(db)
    for times in (1, 2, 3):
        refused = refusal(db, statement or "INSERT INTO h VALUES (1, 'x')")
        assert refused.state == state, refused
        assert counted(db, before) == {"sealing_errors": times, f"sealing_errors_{case.split()[0]}": times}


def test_errors_that_are_not_pgseals_are_not_counted(db: Database) -> None:
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x')")
    assert refusal(db, "INSERT INTO h VALUES (1, 'x')").state == "23505"
    assert refusal(db, "INSERT INTO h VALUES ('x', 'x')").state == "22P02"
    assert refusal(db, "DELETE FROM h").state == "55000"
    assert counted(db) == {"entries_sealed": 1}


def test_a_chain_that_a_foreign_row_closes(db: Database) -> None:
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x')")
    db.run(
        unguarded(
            "ALTER TABLE h DISABLE TRIGGER zzz_pgseal_seal; INSERT INTO h SELECT 2, p, seal_chain, 2, seal_epoch,"
            " seal_anchor, seal_at, seal_mac, seal_mac FROM h; ALTER TABLE h ENABLE TRIGGER zzz_pgseal_seal"
        )
    )
    session = db.connect()
    assert refusal(db, "INSERT INTO h VALUES (3, 'x')").state in {"23505", "XX001"}
    run(session, "INSERT INTO h VALUES (4, 'x')")
    assert counted(db)["chains_closed"] == 1
    assert db.value("SELECT split_part(seal_chain, '/', 2) FROM h WHERE id = 4") == "1"


def test_databases_count_apart_and_a_restart_begins_anew(own_cluster: Servers) -> None:
    server: Cluster = own_cluster()
    one, other = server.createdb(), server.createdb()
    for db in (one, other):
        db.run("CREATE EXTENSION pgseal")
        history(db)
    one.run("INSERT INTO h VALUES (1, 'x'), (2, 'x')")
    other.run("INSERT INTO h VALUES (1, 'x')")
    assert (counted(one), counted(other)) == ({"entries_sealed": 2}, {"entries_sealed": 1})
    server.restart()
    assert (counted(one), counted(other)) == ({}, {})
    # The worker has found the chain of before, and let go of it.
    wait_for(one, "SELECT chains = 1 FROM seal.status")
    one.run("INSERT INTO h VALUES (3, 'x')")
    assert (counted(one), counted(other)) == ({"entries_sealed": 1}, {})
