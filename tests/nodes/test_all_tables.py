"""A publication FOR ALL TABLES takes pgseal's own tables along: of those only journal and anchors are taken in."""

from __future__ import annotations

from support.database import Database
from support.nodes import arrived, assert_intact, publish, share, subscribe
from support.witnessing import anchored

OWN = {
    "seal.history": "SELECT * FROM seal.history",
    "seal.epoch": "SELECT * FROM seal.epoch",
    "seal.run": "SELECT * FROM seal.run",
    "seal.checkpoint": "SELECT * FROM seal.checkpoint",
    "seal.alert": "SELECT * FROM seal.alert",
}


def test_each_nodes_settings_and_runs_stay_its_own(a: Database, b: Database) -> None:
    share(a, b)
    a.run("INSERT INTO h VALUES (1, 'a')")
    a.run("SELECT count(*) FROM seal.verify_and_prune('h')")
    b.run("INSERT INTO h VALUES (100, 'b')")
    b.run("SELECT count(*) FROM seal.verify_and_prune('h')")
    before = {table: b.rows(query) for table, query in OWN.items()}
    publish(a, "FOR ALL TABLES")
    subscribe(b, a)
    a.run("INSERT INTO h VALUES (2, 'a'); SELECT seal.set_window('h', 24); SELECT seal.test_alert()")
    a.run("SELECT count(*) FROM seal.verify_and_prune('h')")
    anchored(a)
    arrived(a, b)
    assert {table: b.rows(query) for table, query in OWN.items()} == before
    assert_intact(a, a=2)
    assert_intact(b, a=2, b=1)
    assert b.rows("SELECT verdict, entries FROM seal.verify_and_prune('h')") == [("intact", 3)]
    arrived(a, b)
    assert_intact(b, a=2, b=1)
