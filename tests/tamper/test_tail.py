"""The newest entries: protected by the server's memory while it runs, by nothing yet after a restart."""

from __future__ import annotations

import pytest

from support.cluster import Cluster
from support.database import Database
from support.servers import Servers
from support.tampering import History, assert_intact

PROTECTED = "newest entries compared with the server's memory"


def make(database: Database, table: str = "ledger") -> None:
    database.run(f"CREATE TABLE {table} (id int PRIMARY KEY, note text)")
    database.run(f"SELECT seal.attach('{table}')")


def insert(database: Database, first: int, last: int, table: str = "ledger") -> None:
    database.run(f"INSERT INTO {table} SELECT g, 'note' FROM generate_series({first}, {last}) g")


def basis(database: Database) -> str:
    text = database.value("SELECT basis FROM seal.verify_history()")
    assert isinstance(text, str)
    return text


def test_the_newest_is_known_the_moment_it_is_committed(db: Database) -> None:
    make(db)
    for position in range(1, 6):
        insert(db, position, position)
        history = History(db, "ledger")
        history.attack(f"DELETE FROM ledger WHERE id = {position}")
        history.expect(history.at("truncated", position))
        history.restore()
        db.run("DROP TABLE honest_ledger")
        assert_intact(db)


def test_rows_of_an_open_transaction_are_no_tail(db: Database) -> None:
    """Neither their absence nor their presence is a fault, from inside or outside."""
    make(db)
    insert(db, 1, 3)
    with db.connect(autocommit=False) as writer:
        writer.execute("INSERT INTO ledger VALUES (4, 'open')")
        assert writer.execute("SELECT seal.is_intact()").fetchone() == (True,)
        assert_intact(db)
        writer.rollback()
    assert_intact(db)


def test_writers_go_on_above_removed_entries(db: Database) -> None:
    """The gap stays visible for ever: as missing, once there are entries above it."""
    make(db)
    insert(db, 1, 5)
    history = History(db, "ledger")
    history.attack("DELETE FROM ledger WHERE id > 3")
    history.expect(history.at("truncated", 4, 5))
    insert(db, 6, 7)
    assert db.rows("SELECT seal_seq FROM ledger WHERE id > 5 ORDER BY 1") == [(6,), (7,)]
    history.expect(history.at("missing", 4, 5))


def test_writers_go_on_after_all_was_removed(db: Database) -> None:
    make(db)
    insert(db, 1, 5)
    history = History(db, "ledger")
    history.attack("TRUNCATE ledger")
    insert(db, 6, 6)
    assert db.value("SELECT seal_seq FROM ledger") == 6
    history.expect(history.at("missing", 1, 5))


def prepared(database: Database) -> History:
    """Entry 4 is committed by COMMIT PREPARED, and nobody has written since."""
    make(database)
    insert(database, 1, 3)
    with database.connect(autocommit=False) as writer:
        writer.execute("INSERT INTO ledger VALUES (4, 'prepared')")
        writer.execute("PREPARE TRANSACTION 'tail'")
    assert_intact(database)
    database.run("COMMIT PREPARED 'tail'")
    assert_intact(database)
    return History(database, "ledger")


def test_the_newest_of_a_prepared_transaction_once_the_chain_goes_on(db: Database) -> None:
    prepared(db)
    insert(db, 5, 5)
    db.run("DROP TABLE honest_ledger")
    history = History(db, "ledger")
    history.attack("DELETE FROM ledger WHERE id > 3")
    history.expect(history.at("truncated", 4, 5))


def test_the_newest_of_a_prepared_transaction_before_that(db: Database) -> None:
    """What came before is protected; for the entry itself, it is found or the answer says that it may not be."""
    history = prepared(db)
    said = basis(db)
    history.attack("DELETE FROM ledger WHERE id = 4")
    found = db.rows("SELECT kind, position FROM seal.findings()")
    assert found == [("truncated", 4)] or (found == [] and "not protected" in said), said
    history.attack("DELETE FROM ledger WHERE id = 3")
    assert db.rows("SELECT kind, position FROM seal.findings()") == [("truncated", 3)]


def test_a_removed_row_of_each_of_many_chains(db: Database) -> None:
    make(db)
    writers = [db.connect(autocommit=False) for _ in range(5)]
    for number, writer in enumerate(writers):
        writer.execute("INSERT INTO ledger VALUES (%s, 'x')", [number])
    for writer in writers:
        writer.commit()
    history = History(db, "ledger")
    chains = [chain for (chain,) in db.rows('SELECT seal_chain FROM honest_ledger ORDER BY seal_chain COLLATE "C"')]
    assert len(chains) == 5
    history.attack("DELETE FROM ledger")
    history.expect(*(("truncated", chain, 1, None) for chain in chains))


@pytest.fixture
def restarted(own_cluster: Servers) -> tuple[Cluster, Database]:
    """Five entries, then the server is started again."""
    server = own_cluster()
    database = server.createdb()
    database.run("CREATE EXTENSION pgseal")
    make(database)
    insert(database, 1, 5)
    assert basis(database) == f"full verification: 5 authentic entries in 1 chains; {PROTECTED}"
    server.restart()
    return server, database


def test_after_a_restart_it_is_said_that_the_tail_is_not_protected(restarted: tuple[Cluster, Database]) -> None:
    _, database = restarted
    assert_intact(database)
    said = basis(database)
    assert "tail of 1 not protected: not used since the server started" in said
    assert "removal of the newest entries across a restart" in database.value("SELECT not_covered FROM seal.status")
    # What is not the tail is found all the same.
    history = History(database, "ledger")
    history.attack("UPDATE ledger SET note = 'x' WHERE id = 5", "DELETE FROM ledger WHERE id = 2")
    history.expect(history.at("missing", 2), history.at("modified", 5))
    history.restore()
    history.attack("DELETE FROM ledger WHERE id > 3")
    assert database.rows("SELECT kind FROM seal.findings()") == []
    assert "tail of 1 not protected" in basis(database)
    history.restore()
    # As soon as somebody writes, the chain is remembered again.
    insert(database, 6, 6)
    assert basis(database) == f"full verification: 6 authentic entries in 1 chains; {PROTECTED}"
    database.run("DROP TABLE honest_ledger")
    history = History(database, "ledger")
    history.attack("DELETE FROM ledger WHERE id = 6")
    history.expect(history.at("truncated", 6))


def test_all_removed_after_a_restart_is_not_called_intact(restarted: tuple[Cluster, Database]) -> None:
    """It cannot be found yet, but it is no success either."""
    _, database = restarted
    History(database, "ledger").attack("DELETE FROM ledger")
    assert database.rows("SELECT verdict, entries FROM seal.verify_history()") == [("nothing_sealed", 0)]
    assert database.value("SELECT seal.is_intact()") is False
