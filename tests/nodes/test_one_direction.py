"""Node b receives what node a sealed: each seals its own inserts, and verification on b covers both."""

from __future__ import annotations

import pytest

from support.database import Database
from support.nodes import arrived, assert_intact, create_subscription, publish, share, subscribe
from support.sealing import wait_for
from support.tampering import triggers_off
from support.witnessing import anchored

SEALS = "SELECT * FROM h WHERE id < 100 ORDER BY id"
FOLLOWED = """INSERT INTO h SELECT 9, p, seal_chain, 4, seal_epoch, seal_anchor, seal_at, seal_mac, seal_mac
                FROM h WHERE id = 3"""


@pytest.fixture
def shared(a: Database, b: Database) -> None:
    """Three rows of a, one of b."""
    share(a, b)
    a.run("INSERT INTO h VALUES (1, 'a'), (2, 'a')")
    publish(a)
    subscribe(b, a)
    a.run("INSERT INTO h VALUES (3, 'a')")
    b.run("INSERT INTO h VALUES (100, 'b')")
    anchored(a)
    arrived(a, b)


@pytest.mark.usefixtures("shared")
def test_each_seals_its_own_and_both_are_verified(a: Database, b: Database) -> None:
    assert b.rows(SEALS) == a.rows(SEALS)
    assert_intact(a, a=3)
    assert_intact(b, a=3, b=1)
    assert "tail not protected here" in b.value("SELECT basis FROM seal.verify_history() WHERE node = 'a'")


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize(
    ("change", "kind", "position"),
    [
        ("UPDATE h SET p = 'x' WHERE id = 2", "modified", 2),
        ("DELETE FROM h WHERE id = 2", "missing", 2),
        ("UPDATE h SET seal_seq = 5 WHERE id = 3", "forged", 5),
        (FOLLOWED, "modified", 4),
        ("DELETE FROM seal.journal WHERE chain LIKE 'a.%' AND kind = 'epoch'", "missing", 1),
    ],
)
def test_what_is_done_on_the_receiving_node_to_entries_of_the_other(
    a: Database, b: Database, change: str, kind: str, position: int
) -> None:
    with triggers_off(b.connection, "h"):
        b.run(change)
    found = b.rows("SELECT kind, position FROM seal.findings(history => 'h')")
    assert (kind, position) in found, found
    assert b.value("SELECT DISTINCT verdict FROM seal.verify_history()") == "tampered"
    assert_intact(a, a=3)


@pytest.mark.usefixtures("shared")
def test_a_new_epoch_of_the_sender(a: Database, b: Database) -> None:
    """A column more on both, in an epoch of each; only the sender then opens one more."""
    for db in (b, a):
        db.run("ALTER TABLE h ADD COLUMN extra text")
    a.run("INSERT INTO h (id, p, extra) VALUES (4, 'a', 'x')")
    b.run("INSERT INTO h (id, p, extra) VALUES (101, 'b', 'y')")
    b.run("ALTER TABLE h ADD COLUMN third int DEFAULT 7")
    a.run("ALTER TABLE h ADD COLUMN third int DEFAULT 7")
    a.run("INSERT INTO h (id, p, third) VALUES (5, 'a', 8)")
    arrived(a, b)
    assert_intact(a, a=5)
    assert_intact(b, a=5, b=2)


@pytest.mark.usefixtures("shared")
def test_rotations_of_their_own(a: Database, b: Database) -> None:
    a.run("SELECT seal.rotate_key()")
    a.run("INSERT INTO h VALUES (4, 'a')")
    arrived(a, b)
    assert_intact(b, a=4, b=1)
    b.run("SELECT seal.rotate_key()")
    b.run("INSERT INTO h VALUES (101, 'b')")
    a.run("INSERT INTO h VALUES (5, 'a')")
    arrived(a, b)
    assert_intact(a, a=5)
    assert_intact(b, a=5, b=2)


@pytest.mark.usefixtures("shared")
def test_settings_of_the_sender_are_its_own(a: Database, b: Database) -> None:
    a.run("SELECT seal.set_window('h', 24)")
    a.run("CREATE TABLE other (id int PRIMARY KEY)")
    a.run("SELECT seal.attach('other')")
    a.run("INSERT INTO other VALUES (1)")
    anchored(a)
    arrived(a, b)
    assert b.value("SELECT window_months FROM seal.history") is None
    assert_intact(b, a=3, b=1)
    assert b.rows("SELECT ok, problem FROM seal.status") == [(True, None)]


@pytest.mark.usefixtures("shared")
def test_a_node_that_lags(a: Database, b: Database) -> None:
    """Its anchors are ahead of its entries: that is said, and is no tampering."""
    a.run("CREATE PUBLICATION records FOR TABLE seal.journal, seal.anchor; ALTER PUBLICATION p SET TABLE h")
    b.run("ALTER SUBSCRIPTION s REFRESH PUBLICATION")
    b.run("ALTER SUBSCRIPTION s DISABLE")
    a.run("INSERT INTO h VALUES (4, 'a'), (5, 'a')")
    anchored(a)
    b.run("DELETE FROM seal.journal WHERE chain LIKE 'a.%'; DELETE FROM seal.anchor WHERE chain LIKE 'a.%'")
    create_subscription(b, a, name="t", publication="records")
    wait_for(b, "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel")
    assert_intact(b, a=3, b=1)
    basis = b.value("SELECT basis FROM seal.verify_history() WHERE node = 'a'")
    assert "lagging: 2 entries that node a has anchored have not arrived here" in basis
    b.run("ALTER SUBSCRIPTION s ENABLE")
    arrived(a, b)
    assert_intact(b, a=5, b=1)
    assert "lagging" not in b.value("SELECT basis FROM seal.verify_history() WHERE node = 'a'")
