"""The newest entries of the journal removed: found, and the journal goes on above them, the gap visible for ever."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from support.cluster import Cluster
from support.database import Database
from support.journaling import chain, entries, found, in_journal, kinds, top
from support.refusal import Refusal, notices
from support.sealing import history
from support.servers import watched
from support.tampering import ALTERED, Place, triggers_off
from support.witnessing import AT_ONCE, anchored

GONE = "entries of pgseal's journal are gone"


@pytest.fixture
def h(quick: Database) -> Database:
    """A history, anchored: epoch and attach are entries 1 and 2; a second epoch is entry 3."""
    history(quick)
    quick.run("INSERT INTO h VALUES (1, 'x')")
    quick.run("ALTER TABLE h ADD COLUMN more int")
    anchored(quick)
    return quick


def go_on(db: Database, table: str) -> list[Refusal]:
    """The next two acts, and the warnings heard."""
    with notices(db) as heard:
        history(db, table)
    return [notice for notice in heard if notice.message == GONE]


def test_while_the_server_runs(h: Database) -> None:
    last = top(h)
    h.run(f"DELETE FROM seal.journal WHERE seq = {last}")
    assert [place for place in found(h) if place != ALTERED] == [in_journal(h, "truncated", last)]
    # Memory knows the position: the gap stays.
    go_on(h, "g")
    assert [seq for (seq,) in h.rows("SELECT seq FROM seal.journal ORDER BY 1")][last - 1 :] == [last + 1, last + 2]
    assert [place for place in found(h, "g")] == [in_journal(h, "missing", last)]


def test_a_tail_that_no_anchor_has(db: Database) -> None:
    """Memory alone tells."""
    history(db)
    db.run("DELETE FROM seal.journal WHERE seq = 2")
    assert [place for place in found(db) if place != ALTERED] == [in_journal(db, "truncated", 2)]
    go_on(db, "g")
    assert found(db, "g") == [in_journal(db, "missing", 2)]


def test_another_entry_in_its_place(h: Database) -> None:
    """The newest entry changed into an entry that was once at the end: it was not."""
    last = top(h)
    h.run(f"CREATE TABLE kept AS SELECT * FROM seal.journal WHERE seq = {last - 1}")
    h.run(f"DELETE FROM seal.journal WHERE seq >= {last - 1}")
    h.run(f"UPDATE kept SET seq = {last}")
    h.run("INSERT INTO seal.journal SELECT * FROM kept")
    places = [place for place in found(h) if place != ALTERED]
    assert places == [in_journal(h, "missing", last - 1), in_journal(h, "modified", last)]


def test_a_forged_next_entry_does_not_stop_administration(h: Database) -> None:
    """Somebody puts a row where the next entry belongs: it is found, and goes on being found; attach goes on, too."""
    last = top(h)
    h.run(
        "INSERT INTO seal.journal SELECT at, who, kind, history, sentence, details, history_id, chain, seq + 1, anchor,"
        f" key, mac, sha256(mac) FROM seal.journal WHERE seq = {last}"
    )
    forged = in_journal(h, "modified", last + 1)
    assert found(h) == [forged]
    history(h, "g")
    assert kinds(h).count("attach") == 2
    assert forged in found(h, "g")
    assert h.value("SELECT seal.acknowledge('somebody wrote into the journal', 'h')") >= 1
    assert h.value("SELECT findings_new FROM seal.verify_history(history => 'h')") == 0


# -- with a restart ---------------------------------------------------------------------------------------------------


@dataclass
class Lost:
    db: Database
    chain: str
    last: int
    places: list[Place]


@pytest.fixture(scope="module")
def lost() -> Iterator[tuple[Cluster, Lost, Lost]]:
    """The newest entry removed, and all of them, before a restart."""
    with watched(AT_ONCE) as server:
        made = []
        for condition in ("seq = (SELECT max(seq) FROM seal.journal)", "true"):
            db = server.createdb()
            db.run("CREATE EXTENSION pgseal")
            history(db)
            db.run("ALTER TABLE h ADD COLUMN more int")
            db.run("INSERT INTO h (id) VALUES (1)")
            anchored(db)
            made.append(Lost(db, chain(db), top(db), []))
            db.run(f"DELETE FROM seal.journal WHERE {condition}")
        server.restart()
        for case in made:
            case.places = found(case.db)
        yield server, made[0], made[1]


def test_after_a_restart(lost: tuple[Cluster, Lost, Lost]) -> None:
    _, one, everything = lost
    assert set(one.places) == {ALTERED, ("truncated", f"journal {one.chain}", one.last, None)}
    assert set(everything.places) == {ALTERED, ("truncated", f"journal {everything.chain}", 1, everything.last)}


def test_the_journal_goes_on_above(lost: tuple[Cluster, Lost, Lost]) -> None:
    """At once, or when the worker looked: it is said in the log, and the gap stays."""
    server, *cases = lost
    for case, first in zip(cases, (cases[0].last, 1), strict=True):
        go_on(case.db, "g")
        said = f"Its chain {case.chain} ends at position {first - 1}, {case.last} were known."
        assert f"{said} It goes on after {case.last}, so that the gap stays visible." in server.log()
        assert [kind for _, kind, _, _ in entries(case.db, case.last)] == ["epoch", "attach"]
        assert min(seq for (seq,) in case.db.rows("SELECT seq FROM seal.journal WHERE history = 'public.g'")) == (
            case.last + 1
        )
        place: Place = ("missing", f"journal {case.chain}", first, case.last if first < case.last else None)
        # Of a history of which not one entry is left, only the anchors know; that concerns all.
        assert found(case.db, "g") == [place, *([ALTERED] if first == 1 else [])]
    server.restart()
    for case, first in zip(cases, (cases[0].last, 1), strict=True):
        place = ("missing", f"journal {case.chain}", first, case.last if first < case.last else None)
        case.db.run("INSERT INTO g VALUES (1, 'x')")
        assert found(case.db, "g") == [place, *([ALTERED] if first == 1 else [])]


def test_sealing_goes_on_above_removed_entries(anchoring: Cluster, quick: Database) -> None:
    """Not the journal's: those of a history. Its head is read again after a rolled back insert of a prepared one."""
    history(quick)
    quick.run("INSERT INTO h SELECT g, 'x' FROM generate_series(1, 5) g")
    anchored(quick)
    with triggers_off(quick.connection, "h"):
        quick.run("DELETE FROM h WHERE id > 3")
    gid = f"gone_{quick.name}"
    name = chain(quick)
    for statement in ("BEGIN", "INSERT INTO h VALUES (6, 'x')", f"PREPARE TRANSACTION '{gid}'"):
        quick.run(statement)
    quick.run(f"ROLLBACK PREPARED '{gid}'")
    mark = anchoring.log_position()
    with notices(quick) as heard:
        quick.run("INSERT INTO h VALUES (7, 'x')")
    if not heard:
        anchoring.wait_for_log("are gone", mark)
    warning = next(notice for notice in heard if notice.message == 'entries of history "public.h" are gone')
    assert warning.detail == (
        f"Chain {name} ends at position 3, 5 entries were known."
        " Sealing goes on after 5, so that the gap stays visible."
    )
    assert warning.hint == "Run: SELECT * FROM seal.findings()."
    assert quick.rows("SELECT id, seal_seq FROM h WHERE id > 3") == [(7, 6)]
    assert found(quick) == [("missing", name, 4, 5)]
