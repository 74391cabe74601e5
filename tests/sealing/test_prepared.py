"""PREPARE TRANSACTION: the chain stays owned until COMMIT PREPARED or ROLLBACK PREPARED, across a crash too."""

from __future__ import annotations

import psycopg
import pytest

from support.database import Database
from support.sealing import (
    DROP_SEAL_COLUMNS,
    assert_whole,
    attach,
    background,
    chains,
    history,
    ids,
    owned,
    run,
    wait_until_queued,
)
from support.servers import Servers

PREPARE = ["BEGIN", "INSERT INTO h VALUES (2, 'x'), (3, 'x')", "PREPARE TRANSACTION 'p'"]


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_the_chain_goes_on_after_what_was_stored(db: Database, end: str) -> None:
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x')")
    run(db.connection, *PREPARE)
    assert owned(db) == [0]
    assert_whole(db, entries=1)
    db.run("INSERT INTO h VALUES (4, 'x')")  # a chain of its own: it does not wait
    assert chains(db) == [[1], [1]]
    db.run(f"{end} PREPARED 'p'")
    assert owned(db) == []
    run(db.connect(), "INSERT INTO h VALUES (5, 'x')")
    assert chains(db) == ([[1, 2, 3, 4], [1]] if end == "COMMIT" else [[1, 2], [1]])
    assert_whole(db, entries=5 if end == "COMMIT" else 3)


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_with_one_chain_others_wait_for_the_prepared_transaction(db: Database, end: str) -> None:
    history(db, options="max_chains => 1")
    db.run("INSERT INTO h VALUES (1, 'x')")
    run(db.connection, *PREPARE)
    rival = db.connect()
    with background() as start:
        waiting = start(rival, "INSERT INTO h VALUES (4, 'x')")
        wait_until_queued(db, rival)
        db.run(f"{end} PREPARED 'p'")
        waiting.result()
    assert ids(db) == ([1, 2, 3, 4] if end == "COMMIT" else [1, 4])
    assert_whole(db)


def test_one_that_rolled_its_first_entry_back(db: Database) -> None:
    history(db, options="max_chains => 1")
    db.run("INSERT INTO h VALUES (1, 'x')")
    run(db.connection, "BEGIN", "SAVEPOINT a", "INSERT INTO h VALUES (2, 'x')", "ROLLBACK TO a")
    run(db.connection, "PREPARE TRANSACTION 'p'", "COMMIT PREPARED 'p'", "INSERT INTO h VALUES (3, 'x')")
    assert ids(db) == [1, 3]
    assert_whole(db)


def test_a_crash_between_prepare_and_its_end(own_cluster: Servers) -> None:
    server = own_cluster()
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    for name in ("kept", "lost"):
        history(db, name)
        db.run(f"INSERT INTO {name} VALUES (1, 'x')")
        run(
            db.connection,
            "BEGIN",
            f"INSERT INTO {name} VALUES (2, 'x'), (1, 'x'), (3, 'x') ON CONFLICT DO NOTHING",
            f"PREPARE TRANSACTION '{name}'",
        )
    server.crash()
    assert owned(db, "kept") == owned(db, "lost") == [0]
    for name in ("kept", "lost"):
        assert_whole(db, name, entries=1)
        db.run(f"INSERT INTO {name} VALUES (4, 'x')")
    server.crash()
    run(db.connection, "COMMIT PREPARED 'kept'", "ROLLBACK PREPARED 'lost'")
    assert_whole(db, "kept", entries=4)
    assert_whole(db, "lost", entries=2)
    for name in ("kept", "lost"):
        run(db.connect(), f"INSERT INTO {name} VALUES (5, 'x')")
    assert chains(db, "kept") == [[1, 2, 3, 4], [1]]
    assert chains(db, "lost") == [[1, 2], [1]]
    assert_whole(db, "kept")
    assert_whole(db, "lost")


def test_a_prepared_detach_does_not_confuse_a_later_history(db: Database) -> None:
    """Either it is refused, or what follows it is right."""
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x'), (2, 'x')")
    run(db.connection, "BEGIN", "SELECT seal.detach('h')")
    try:
        db.run("PREPARE TRANSACTION 'd'")
    except psycopg.errors.FeatureNotSupported as refusal:
        assert refusal.diag.message_hint
        assert_whole(db, entries=2)
        db.run("SELECT seal.detach('h')")
    else:
        db.run("COMMIT PREPARED 'd'")
    run(db.connection, DROP_SEAL_COLUMNS.format("h"), "TRUNCATE h")
    attach(db)
    db.run("INSERT INTO h VALUES (1, 'x')")
    assert_whole(db, entries=1)
