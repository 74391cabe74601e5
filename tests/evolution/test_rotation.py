"""What a rotation of the key leaves behind, with evolution and without."""

from __future__ import annotations

from collections.abc import Callable

from support.cluster import Cluster
from support.database import Database
from support.evolving import OF_HISTORY, Evolving, answer, verdicts
from support.ring import with_ring
from support.sealing import history

OF_H = f"history_id = {OF_HISTORY.format('h')}"
WHAT = f"""SELECT record ->> 'what', record ->> 'key', record ->> 'period'
             FROM seal.closing WHERE {OF_H} ORDER BY number"""


def test_without_evolution(own_cluster: Callable[..., Cluster]) -> None:
    server, _ = with_ring(own_cluster)
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db)
    db.run("INSERT INTO h VALUES (1, 'a'), (2, 'b')")
    db.run("SELECT seal.rotate_key()")
    assert db.rows(WHAT) == [("rotation", "1", None)]
    pins = db.rows(f"SELECT value -> 0 FROM seal.closing, jsonb_each(record -> 'chains') WHERE {OF_H}")
    assert pins == [(2,)]
    db.run("INSERT INTO h VALUES (3, 'c')")
    assert answer(db) == []
    db.run("UPDATE seal.closing SET record = jsonb_set(record, '{closed}', '7')")
    assert ("configuration_altered", "closing record 1 was changed or is forged") in answer(db)


def test_with_evolution(db: Database, evolving: Evolving) -> None:
    evolving.server.write_key("cd" * 32, evolving.server.home / "keys" / "2-sign")
    evolving.days_pass()
    db.run("SELECT seal.rotate_key()")
    evolving.days_pass()
    assert [what for what, _, _ in db.rows(WHAT)] == ["opening", "closing", "rotation", "closing"]
    assert answer(db) == []
    assert verdicts(db) == ["intact"]
