"""What was pruned is not missed; a cut that says that younger entries were pruned is found."""

from __future__ import annotations

import json

from support.anchoring import settle
from support.database import Database
from support.evolving import Evolving, answer, evolving_server, wait_until_opened
from support.sealing import history
from support.thief import Thief


def old(evolving: Evolving) -> Database:
    """A history with a window of a year: entries of 16 months ago, of 6 months ago, of today."""
    db = evolving.server.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db, options="window_months => 12")
    db.run("INSERT INTO h VALUES (1, 'a'), (2, 'b')")
    wait_until_opened(db, "h")
    for row, months in ((3, 10), (4, 6)):
        settle(db, "h")
        evolving.months_pass(months)
        db.run(f"INSERT INTO h VALUES ({row}, 'c')")
    settle(db, "h")
    return db


def test_what_was_pruned_is_not_missed() -> None:
    with evolving_server("month") as evolving:
        db = old(evolving)
        db.run("SELECT * FROM seal.verify_and_prune('h')")
        assert db.rows("SELECT id FROM h ORDER BY 1") == [(3,), (4,)]
        assert answer(db) == []
        evolving.months_pass()
        assert answer(db) == []


def test_a_cut_above_what_is_a_year_old_is_found() -> None:
    with evolving_server("month") as evolving:
        db = old(evolving)
        db.run("SELECT * FROM seal.verify_and_prune('h')")
        thief = Thief(db, evolving)
        chain, position, mac = db.rows("SELECT seal_chain, seal_seq, encode(seal_mac, 'hex') FROM h WHERE id = 3")[0]
        details = db.value("SELECT details FROM seal.journal WHERE kind = 'cut' AND history_id IS NOT NULL")
        details["chains"][chain] |= {"last": position, "mac": mac}
        db.run(
            "UPDATE seal.journal SET details = %s WHERE kind = 'cut' AND history_id IS NOT NULL", [json.dumps(details)]
        )
        thief.run("DELETE FROM h WHERE id = 3")
        thief.rewrite()
        kinds = {kind for kind, _ in answer(db)}
        assert "cut_altered" in kinds
