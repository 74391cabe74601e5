"""kill -9 while administrators are at work: the journal is whole, what was committed is in it, and nothing else."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg

from support.database import Database
from support.journaling import entries, found, in_journal, journal_is_whole, top
from support.sealing import Session, history, run
from support.servers import Servers
from support.tampering import assert_intact
from support.witnessing import AT_ONCE, anchored

DURABLE = {"fsync": True, "pgseal.anchor_interval": "100ms"}


def administer(number: int, session: Session, committed: list[str], enough: threading.Event) -> None:
    """Attaches tables until the server dies; notes what it knows to be committed."""
    try:
        for turn in range(10_000):
            name = f"t{number}_{turn}"
            run(session, f"CREATE TABLE {name} (id int)", "BEGIN", f"SELECT seal.attach('{name}')")
            run(session, f"INSERT INTO {name} (id) VALUES (1)", "COMMIT")
            committed.append(f"public.{name}")
            if turn == 3:
                enough.set()
    except psycopg.OperationalError:
        return


def test_in_the_middle(own_cluster: Servers) -> None:
    server = own_cluster(DURABLE)
    db: Database = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    committed: list[str] = []
    events = [threading.Event() for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        workers = [pool.submit(administer, n, db.connect(), committed, event) for n, event in enumerate(events)]
        for event in events:
            assert event.wait(30)
        server.kill()
        for worker in workers:
            worker.result(timeout=30)
    server.start()
    attached = [name for _, kind, name, _ in entries(db) if kind == "attach"]
    assert set(committed) <= set(attached)
    assert len(attached) - len(committed) <= 3
    assert sorted(str(name) for name in attached) == [
        f"public.{name}" for (name,) in db.rows("SELECT relation::regclass::text FROM seal.history ORDER BY 1")
    ]
    assert found(db) == []
    journal_is_whole(db)
    history(db, "afterwards")
    db.run("INSERT INTO afterwards VALUES (1, 'x')")
    journal_is_whole(db)
    assert_intact(db)


def test_a_backend_killed_with_an_open_act(own_cluster: Servers) -> None:
    """What it had queued is gone with it, the journal goes on where it stood; anchors know of a removed tail."""
    server = own_cluster(AT_ONCE)
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    db.run("CREATE TABLE t (id int)")
    anchored(db)
    victim = db.connect(autocommit=False)
    run(victim, "SELECT seal.attach('t')")
    server.kill_backend(victim.info.backend_pid)
    assert top(db) == 2
    assert found(db) == []
    db.run("SELECT seal.attach('t')")
    assert [kind for _, kind, _, _ in entries(db)] == ["epoch", "attach", "epoch", "attach"]
    db.run("INSERT INTO t VALUES (1)")
    anchored(db)
    db.run("DELETE FROM seal.journal WHERE seq = 4")
    place = in_journal(db, "truncated", 4)
    server.crash()
    assert place in found(db, "h")
