"""The newest entries: protected by the server's memory while it runs, by the anchors across a restart."""

from __future__ import annotations

import re

import pytest

from support.cluster import Cluster
from support.database import Database
from support.sealing import wait_for
from support.servers import Servers
from support.tampering import History, assert_intact

ANCHOR = "(no anchor yet|anchor [0-9]+ of [-0-9:.+T]+)"
PROTECTED = f"newest entries compared with the server's memory and {ANCHOR}"


def make(database: Database, table: str = "ledger") -> None:
    database.run(f"CREATE TABLE {table} (id int PRIMARY KEY, note text)")
    database.run(f"SELECT seal.attach('{table}')")


def insert(database: Database, first: int, last: int, table: str = "ledger") -> None:
    database.run(f"INSERT INTO {table} SELECT g, 'note' FROM generate_series({first}, {last}) g")


def basis(database: Database) -> str:
    text = database.value("SELECT basis FROM seal.verify_history()")
    assert isinstance(text, str)
    return text


def assert_protected(database: Database, entries: int) -> None:
    """The answer says that the end of the only chain was compared with what is known of it."""
    expected = f"full verification: {entries} authentic entries in 1 chains; {PROTECTED}"
    assert re.fullmatch(expected, basis(database)), basis(database)


def wait_until_anchored(database: Database) -> None:
    wait_for(database, "SELECT sum(unanchored) = 0 AND count(anchor) = count(*) FROM seal.status")


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
    """The worker looks at the chain that nobody has used since, and anchors its end."""
    history = prepared(db)
    wait_until_anchored(db)
    assert_protected(db, 4)
    history.attack("DELETE FROM ledger WHERE id = 4")
    history.expect(history.at("truncated", 4))
    history.attack("DELETE FROM ledger WHERE id = 3")
    history.expect(history.at("truncated", 3, 4))


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
def anchored(own_cluster: Servers) -> tuple[Cluster, Database]:
    """Five entries, all in an anchor."""
    server = own_cluster({"pgseal.anchor_interval": "100ms"})
    database = server.createdb()
    database.run("CREATE EXTENSION pgseal")
    make(database)
    insert(database, 1, 5)
    wait_until_anchored(database)
    return server, database


def start_again(server: Cluster, how: str) -> None:
    if how == "kill":
        server.crash()
    else:
        server.restart(how)


@pytest.mark.parametrize("how", ["fast", "kill"])
def test_removed_before_a_restart(anchored: tuple[Cluster, Database], how: str) -> None:
    """What memory forgets, the anchors have; sealing goes on after the removed entries, and the gap stays."""
    server, database = anchored
    history = History(database, "ledger")
    chain = history.chain
    history.attack("DELETE FROM ledger WHERE id > 3")
    history.expect(history.at("truncated", 4, 5))
    start_again(server, how)
    history.expect(history.at("truncated", 4, 5))
    insert(database, 6, 6)
    assert database.rows("SELECT seal_chain, seal_seq FROM ledger WHERE id = 6") == [(chain, 6)]
    history.expect(history.at("missing", 4, 5))


@pytest.mark.parametrize("how", ["fast", "kill"])
def test_removed_after_a_restart(anchored: tuple[Cluster, Database], how: str) -> None:
    server, database = anchored
    start_again(server, how)
    assert_intact(database)
    assert_protected(database, 5)
    history = History(database, "ledger")
    for number in (5, 4, 1):
        history.attack(f"DELETE FROM ledger WHERE id >= {number}")
        history.expect(history.at("truncated", number, 5 if number < 5 else None))
    history.restore()
    assert_intact(database)
    # What is not the tail is found all the same.
    history.attack("UPDATE ledger SET note = 'x' WHERE id = 5", "DELETE FROM ledger WHERE id = 2")
    history.expect(history.at("missing", 2), history.at("modified", 5))
    history.restore()
    insert(database, 6, 6)
    assert_protected(database, 6)
    database.run("DROP TABLE honest_ledger")
    history = History(database, "ledger")
    history.attack("DELETE FROM ledger WHERE id = 6")
    history.expect(history.at("truncated", 6))


def test_all_removed_after_a_restart_and_written_to_again(anchored: tuple[Cluster, Database]) -> None:
    server, database = anchored
    server.restart()
    history = History(database, "ledger")
    history.attack("TRUNCATE ledger")
    history.expect(history.at("truncated", 1, 5))
    assert database.rows("SELECT verdict, entries FROM seal.verify_history()") == [("tampered", 0)]
    insert(database, 6, 6)
    assert database.value("SELECT seal_seq FROM ledger") == 6
    history.expect(history.at("missing", 1, 5))


def test_what_no_anchor_has_is_said_not_to_be_protected_across_a_restart(own_cluster: Servers) -> None:
    """The gap that is left: entries since the newest anchor, removed after a crash before the worker has looked. Here
    it cannot look, since the server is started without its key."""
    server = own_cluster({"pgseal.anchor_interval": "1h"})
    database = server.createdb()
    database.run("CREATE EXTENSION pgseal")
    make(database)
    insert(database, 1, 1)
    wait_for(database, "SELECT count(*) > 0 FROM seal.anchor")
    insert(database, 2, 5)
    assert_protected(database, 5)
    said = "removal of entries of the last seconds before a restart; "
    assert database.rows("SELECT unanchored, left(not_covered, %s) FROM seal.status", [len(said)]) == [(1, said)]
    server.kill()
    key = server.settings.pop("pgseal.key_file")
    server.settings["pgseal.require_key"] = False
    server.start()
    History(database, "ledger").attack("DELETE FROM ledger WHERE id > 3")
    server.settings["pgseal.key_file"] = key
    server.restart()
    wait_until_anchored(database)
    assert database.rows("SELECT verdict, entries FROM seal.verify_history()") == [("intact", 3)]
