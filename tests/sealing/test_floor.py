"""What the server remembers of a chain is its floor: removed newest entries stay visible for ever."""

from __future__ import annotations

import pytest

from support.database import Database
from support.sealing import chains, findings, history, run
from support.tampering import triggers_off

FORGET = ["BEGIN", "INSERT INTO h VALUES (9, 'x')", "PREPARE TRANSACTION 'f'", "ROLLBACK PREPARED 'f'"]


@pytest.mark.parametrize("reloaded", [False, True])
def test_sealing_goes_on_above_removed_entries(db: Database, reloaded: bool) -> None:
    history(db, options="max_chains => 1")
    db.run("INSERT INTO h SELECT g, 'x' FROM generate_series(1, 5) g")
    if reloaded:
        run(db.connection, *FORGET)  # the next owner looks into the table
    with triggers_off(db.connection, "h"):
        db.run("DELETE FROM h WHERE id > 3")
    assert [kind for kind, *_ in findings(db)] == ["truncated"]
    mark = db.cluster.log_position()
    warnings: list[tuple[str, str]] = []
    db.connection.add_notice_handler(
        lambda notice: warnings.append((notice.severity or "", notice.message_primary or ""))
    )
    db.run("INSERT INTO h VALUES (6, 'x')")
    assert chains(db) == [[1, 2, 3, 6]]
    assert findings(db) == [("missing", 4, 5)]
    # The worker may have looked before the rows were removed: then memory knows the head, and nothing is to be said.
    if reloaded and warnings:
        assert warnings == [("WARNING", 'entries of history "public.h" are gone')]
        assert "Sealing goes on after 5, so that the gap stays visible." in db.cluster.log(mark)
    db.run("INSERT INTO h VALUES (7, 'x')")
    assert findings(db) == [("missing", 4, 5)]


def test_an_emptied_history_does_not_begin_anew(db: Database) -> None:
    history(db, options="max_chains => 1")
    db.run("INSERT INTO h SELECT g, 'x' FROM generate_series(1, 5) g")
    with triggers_off(db.connection, "h"):
        db.run("TRUNCATE h")
    db.run("INSERT INTO h VALUES (6, 'x')")
    assert chains(db) == [[6]]
    assert findings(db) == [("missing", 1, 5)]
