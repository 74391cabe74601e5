"""A rotation that a crash, a restart or a promotion cuts off leaves one state: the old key in force, or the new one."""

from __future__ import annotations


import pytest

from support.cluster import Cluster
from support.database import Database
from support.ring import KeyFolder, with_ring
from support.sealing import assert_whole, history
from support.servers import Servers
from support.standby import caught_up, promote


@pytest.fixture
def ring(own_cluster: Servers) -> tuple[Cluster, KeyFolder, Database]:
    server, keys = with_ring(own_cluster)
    database = server.createdb(name="sealed")
    database.run("CREATE EXTENSION pgseal")
    history(database)
    database.run("INSERT INTO h VALUES (1, 'a'), (2, 'b')")
    return server, keys, database


def states(database: Database) -> list[tuple[str, str]]:
    return database.rows("SELECT id, state FROM seal.keys")


def epochs(database: Database) -> list[tuple[int, int]]:
    return database.rows("SELECT id, seal_epoch FROM h ORDER BY id")


def after_crash(server: Cluster, database: Database) -> Database:
    database.close()
    server.crash()
    return Database(server, "sealed")


def test_a_crash_before_the_commit(ring: tuple[Cluster, KeyFolder, Database]) -> None:
    server, _, database = ring
    with database.connect(autocommit=False) as session:
        session.execute("SELECT seal.rotate_key()")
        session.execute("INSERT INTO h VALUES (3, 'c')")
        again = after_crash(server, database)
    again.run("INSERT INTO h VALUES (4, 'd')")
    assert states(again) == [("1", "in force")]
    assert epochs(again) == [(1, 1), (2, 1), (4, 1)]
    assert_whole(again, entries=3)
    assert again.value("SELECT seal.rotate_key()").startswith("key 2 ")
    again.run("INSERT INTO h VALUES (5, 'e')")
    assert_whole(again, entries=4)


def test_a_crash_right_after_the_commit(ring: tuple[Cluster, KeyFolder, Database]) -> None:
    """Whether or not the worker came to keep the new id for the next start."""
    server, _, database = ring
    database.run("SELECT seal.rotate_key()")
    again = after_crash(server, database)
    again.run("INSERT INTO h VALUES (3, 'c')")
    assert states(again) == [("1", "verifies what it sealed"), ("2", "in force")]
    assert epochs(again) == [(1, 1), (2, 1), (3, 2)]
    assert_whole(again, entries=3)


def test_a_start_with_an_id_of_before(ring: tuple[Cluster, KeyFolder, Database]) -> None:
    """The file with the id is a hint: lost or put back, the histories still name the key that they need."""
    server, keys, database = ring
    database.run("SELECT seal.rotate_key()")
    keys.wait_until_kept(2)
    for content in (None, "1\n", "junk", "99999999999\n"):
        database.close()
        server.stop()
        kept = server.data / "pgseal.key_id"
        kept.unlink() if content is None else kept.write_text(content)
        server.start()
        database = Database(server, "sealed")
        database.run("INSERT INTO h SELECT max(id) + 1, 'more' FROM h")
        assert_whole(database)
    assert [epoch for _, epoch in epochs(database)] == [1, 1, 2, 2, 2, 2]


def test_a_promotion(ring: tuple[Cluster, KeyFolder, Database], own_cluster: Servers) -> None:
    server, keys, database = ring
    copy = server.basebackup({"pgseal.key_file": f"{keys.path}/%k"})
    standby = Database(own_cluster.adopt(copy), "sealed")
    open_rotation = database.connect(autocommit=False)
    database.run("SELECT seal.rotate_key()")
    database.run("INSERT INTO h VALUES (3, 'c')")
    caught_up(database, standby)
    # The standby was started with key 1, and needs both.
    assert_whole(standby, entries=3)
    assert states(standby) == [("1", "verifies what it sealed"), ("2", "in force")]
    keys.make(3)
    open_rotation.execute("SELECT seal.rotate_key()")
    open_rotation.close()
    database.close()
    server.stop()
    promote(standby)
    standby.run("INSERT INTO h VALUES (4, 'd')")
    assert epochs(standby) == [(1, 1), (2, 1), (3, 2), (4, 2)]
    assert standby.value("SELECT seal.rotate_key()").startswith("key 3 ")
    standby.run("INSERT INTO h VALUES (5, 'e')")
    assert_whole(standby, entries=5)
    standby.close()


def test_keys_outlive_a_crash_of_one_backend(ring: tuple[Cluster, KeyFolder, Database]) -> None:
    """A crash of one backend restarts all others: what the server held it still holds, without its source."""
    server, keys, database = ring
    database.run("SELECT seal.rotate_key()")
    keys.wait_until_kept(2)
    keys.hide(1)
    keys.hide(2)
    server.kill_backend(database.connect().info.backend_pid)
    database.close()
    again = Database(server, "sealed")
    again.run("INSERT INTO h VALUES (3, 'c')")
    assert_whole(again, entries=3)
