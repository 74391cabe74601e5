"""Another key seals from now on; what was sealed before stays verifiable under the key that it was sealed with."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.anchoring import wait_until_anchored
from support.cluster import Cluster
from support.database import Database
from support.refusal import NOT_IN_STATE, refusal
from support.ring import KeyFolder, with_ring

HISTORY = "CREATE TABLE h (tenant text, n int PRIMARY KEY); SELECT seal.attach('h', tenant_column => 'tenant')"


@pytest.fixture
def ring(own_cluster: Callable[..., Cluster]) -> tuple[Cluster, KeyFolder, Database]:
    server, keys = with_ring(own_cluster)
    database = server.createdb(name="sealed")
    database.run("CREATE EXTENSION pgseal")
    database.run(HISTORY)
    database.run("INSERT INTO h VALUES ('a', 1), ('b', 2)")
    return server, keys, database


def verdict(database: Database) -> str:
    return database.value("SELECT verdict FROM seal.verify_history(history => 'h')")


def kinds(database: Database) -> list[tuple[str, str | None]]:
    return database.rows("SELECT DISTINCT kind, detail FROM seal.findings(history => 'h') ORDER BY 1, 2")


def states(database: Database) -> list[tuple[str, str]]:
    return database.rows("SELECT id, state FROM seal.keys")


def reconnected(server: Cluster) -> Database:
    return Database(server, "sealed")


def restarted(server: Cluster) -> Database:
    server.restart()
    return reconnected(server)


def test_a_new_key_seals_and_the_old_one_verifies(ring: tuple[Cluster, KeyFolder, Database]) -> None:
    server, keys, database = ring
    said = database.value("SELECT seal.rotate_key()")
    fingerprint = database.value("SELECT fingerprint FROM seal.keys WHERE id = '2'")
    assert said == f"key 2 with fingerprint {fingerprint} seals from now on: epoch 2 of public.h"
    database.run("INSERT INTO h VALUES ('a', 3)")
    assert database.rows("SELECT n, seal_epoch FROM h ORDER BY n") == [(1, 1), (2, 1), (3, 2)]
    assert verdict(database) == "intact"
    assert states(database) == [("1", "verifies what it sealed"), ("2", "in force")]
    assert database.rows("SELECT source, retired FROM seal.keys") == [("pgseal.key_file", None)] * 2
    database.close()
    # The worker has kept the id for the next start, which needs no other key.
    keys.wait_until_kept(2)
    keys.hide(1)
    with_two = restarted(server)
    with_two.run("INSERT INTO h VALUES ('a', 4)")
    assert verdict(with_two) == "unverifiable"
    assert {kind for kind, _ in kinds(with_two)} == {"unknown_key"}
    assert states(with_two)[0][1].startswith("verifies what it sealed, not available: ")
    with_two.close()
    keys.bring_back(1)
    complete = reconnected(server)
    assert verdict(complete) == "intact"


def test_two_rotations_and_a_restart(ring: tuple[Cluster, KeyFolder, Database]) -> None:
    server, keys, database = ring
    keys.make(3)
    database.run("SELECT seal.rotate_key()")
    database.run("INSERT INTO h VALUES ('a', 3)")
    database.run("SELECT seal.rotate_key()")
    database.run("INSERT INTO h VALUES ('b', 4)")
    database.close()
    again = restarted(server)
    again.run("INSERT INTO h VALUES ('b', 5)")
    assert verdict(again) == "intact"
    assert again.rows("SELECT seal_epoch, count(*) FROM h GROUP BY 1 ORDER BY 1") == [(1, 2), (2, 1), (3, 2)]
    assert [line[0] for line in states(again)] == ["1", "2", "3"]


def test_a_rotation_that_is_rolled_back_changes_nothing(ring: tuple[Cluster, KeyFolder, Database]) -> None:
    _, _, database = ring
    with database.connect(autocommit=False) as session:
        session.execute("SELECT seal.rotate_key()")
        session.execute("INSERT INTO h VALUES ('a', 3)")
        session.rollback()
    database.run("INSERT INTO h VALUES ('a', 4)")
    assert database.rows("SELECT n, seal_epoch FROM h WHERE n > 2") == [(4, 1)]
    assert states(database) == [("1", "in force")]
    assert verdict(database) == "intact"


def test_there_must_be_a_next_key(ring: tuple[Cluster, KeyFolder, Database]) -> None:
    server, keys, database = ring
    keys.hide(2)
    refused = refusal(database, "SELECT seal.rotate_key()")
    assert refused.state == NOT_IN_STATE
    assert refused.message == "there is no next key to rotate to"
    assert f'the key file "{keys.file(2)}" cannot be read' in refused.detail
    keys.make(2, server.key)
    refused = refusal(database, "SELECT seal.rotate_key()")
    assert refused.message == "key 2 is the same secret as key 1"
    server.configure({"pgseal.key_file": str(keys.file(1))}, restart=True)
    database = reconnected(server)
    refused = refusal(database, "SELECT seal.rotate_key()")
    assert refused.detail.startswith("Setting pgseal.key_file names one key only: it has no %k")
    database.run("INSERT INTO h VALUES ('a', 3)")
    assert verdict(database) == "intact"


def test_a_key_under_an_old_id_that_is_another_one_is_named(ring: tuple[Cluster, KeyFolder, Database]) -> None:
    server, keys, database = ring
    first = database.value("SELECT fingerprint FROM seal.keys")
    database.run("SELECT seal.rotate_key()")
    database.run("INSERT INTO h VALUES ('a', 3)")
    keys.wait_until_kept(2)
    keys.make(1)
    database.close()
    again = restarted(server)
    again.run("INSERT INTO h VALUES ('a', 4)")
    assert verdict(again) == "unverifiable"
    assert {kind for kind, _ in kinds(again)} == {"unknown_key"}
    state = again.value("SELECT state FROM seal.keys WHERE id = '1'")
    assert f"(fingerprint {first}, here " in state


def test_a_retired_key_is_not_in_force_any_more(ring: tuple[Cluster, KeyFolder, Database]) -> None:
    _, keys, database = ring
    refused = refusal(database, "SELECT seal.retire_key('1')")
    assert (refused.state, refused.message, refused.detail) == (NOT_IN_STATE, "key 1 is in force", "It seals public.h.")
    refused = refusal(database, "SELECT seal.retire_key('7')")
    assert (refused.state, refused.message) == ("42704", 'key "7" is not known in this database')
    database.run("SELECT seal.rotate_key()")
    assert database.value("SELECT seal.retire_key('1')") == "key 1 is retired"
    assert states(database) == [("1", "retired"), ("2", "in force")]
    assert database.value("SELECT retired > created FROM seal.keys WHERE id = '1'")
    assert verdict(database) == "intact"
    keys.hide(1)
    assert database.value("SELECT seal.retire_key('1')") == "key 1 was retired before"


def test_each_database_is_rotated_for_itself(ring: tuple[Cluster, KeyFolder, Database]) -> None:
    server, keys, database = ring
    other = server.createdb(name="other")
    other.run("CREATE EXTENSION pgseal")
    other.run(HISTORY)
    database.run("SELECT seal.rotate_key()")
    other.run("INSERT INTO h VALUES ('a', 1)")
    assert other.value("SELECT seal_epoch FROM h") == 1
    keys.wait_until_kept(2)
    # The server's newest key, not one more.
    assert other.value("SELECT seal.rotate_key()").startswith("key 2 ")
    other.run("INSERT INTO h VALUES ('a', 2)")
    third = server.createdb(name="third")
    third.run("CREATE EXTENSION pgseal")
    third.run(HISTORY)
    assert states(third) == [("2", "in force")]
    third.run("INSERT INTO h VALUES ('a', 1)")
    for each in (database, other, third):
        assert verdict(each) == "intact"


def test_a_record_that_names_another_key_is_tampering(ring: tuple[Cluster, KeyFolder, Database]) -> None:
    """Whoever makes an epoch name a key that nobody has would otherwise turn «tampered» into «unverifiable»."""
    _, _, database = ring
    database.run("SELECT seal.rotate_key()")
    database.run("INSERT INTO h VALUES ('a', 3)")
    for epoch in (1, 2):
        database.run("SET session_replication_role = replica")
        database.run("UPDATE seal.epoch SET record = jsonb_set(record, '{key}', '\"9\"') WHERE epoch = %s", (epoch,))
        assert verdict(database) == "tampered"
        found = {kind for kind, _ in kinds(database)}
        assert "configuration_altered" in found
        database.run(
            "UPDATE seal.epoch SET record = jsonb_set(record, '{key}', to_jsonb(%s::text)) WHERE epoch = %s",
            (str(epoch), epoch),
        )
        database.run("RESET session_replication_role")
    assert verdict(database) == "intact"


def test_journal_and_anchors_that_name_another_key_are_tampering(ring: tuple[Cluster, KeyFolder, Database]) -> None:
    _, keys, database = ring
    wait_until_anchored(database, "h")
    database.run("SELECT seal.rotate_key()")
    keys.wait_until_kept(2)
    database.run("SET session_replication_role = replica")
    for table, kind in (("journal", "modified"), ("anchor", "anchor_altered")):
        database.run(f"UPDATE seal.{table} SET key = '9' WHERE key = '1'")
        assert verdict(database) == "tampered"
        assert kind in {kind for kind, _ in kinds(database)}
        database.run(f"UPDATE seal.{table} SET key = '1' WHERE key = '9'")
    assert verdict(database) == "intact"


def test_an_id_that_is_no_number_never_reaches_the_command(own_cluster: Callable[..., Cluster]) -> None:
    """Ids come from tables, and go into a shell."""
    server, keys = with_ring(own_cluster)
    server.configure({"pgseal.key_file": None, "pgseal.key_command": f"cat {keys.path}/%k"}, restart=True)
    database = server.createdb(name="sealed")
    database.run("CREATE EXTENSION pgseal")
    database.run(HISTORY)
    database.run("INSERT INTO h VALUES ('a', 1)")
    mark = server.home / "reached"
    database.run("SET session_replication_role = replica")
    for table in ("epoch", "journal", "anchor"):
        evil = f"1; touch {mark}"
        change = "record = jsonb_set(record, '{key}', to_jsonb(%s::text))" if table == "epoch" else "key = %s"
        database.run(f"UPDATE seal.{table} SET {change}", (evil,))
        assert verdict(database) != "intact", table
    assert not mark.exists()
