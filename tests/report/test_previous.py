"""Continuity: a report says whether everything that a former one saw is still there."""

from __future__ import annotations

from typing import Any

import pytest

from support.anchoring import nothing_anchored, settle
from support.clock import Clock
from support.cluster import Cluster
from support.database import Database
from support.pruning import aged, prune
from support.refusal import BAD_PARAMETER, refusal
from support.reporting import ask, checked, headline, report, section, whole
from support.sealing import history
from support.servers import Servers
from support.windows import add, damage, ledger
from support.witnessing import AT_ONCE


def previous(db: Database, earlier: str, **arguments: Any) -> str:
    """What a new report says of an earlier one."""
    (said,) = section(report(db, previous=earlier, **arguments), "Previous")
    return said


@pytest.mark.parametrize("kind", ["text", "json"])
def test_still_contained_however_much_came_since(sealed: Database, kind: str) -> None:
    earlier = ask(sealed, format=kind)
    add(sealed, 10, 500)
    sealed.run("ALTER TABLE h RENAME TO renamed")
    sealed.run("VACUUM FULL renamed")
    said = previous(sealed, earlier)
    assert said.startswith("still contained: the report of ") and " (INTACT): anchor " in said
    assert said.endswith("; 1 newest entry that it names is there")
    assert headline(report(sealed, previous=earlier)) == "INTACT"
    read = whole(sealed, previous=earlier)
    assert read["previous"]["contained"] is True and read["previous"]["headline"] == "INTACT"


def test_from_report_to_report(sealed: Database) -> None:
    """Each contains the one before, whatever the one before was compared with."""
    made = report(sealed)
    for round in range(3):
        add(sealed, 10 + round, 10 + round)
        after = report(sealed, previous=made)
        assert section(after, "Previous")[0].startswith("still contained")
        assert "an older state of the whole server" not in section(after, "Not covered")[0]
        made = after


@pytest.mark.parametrize("kind", ["text", "json"])
def test_entries_younger_than_the_anchor_are_missed_after_a_restart(own_cluster: Servers, kind: str) -> None:
    """Neither memory nor an anchor knows them any more: only the report does."""
    server = own_cluster({"pgseal.anchor_interval": "1h"})
    with server.database() as db:
        history(db)
        with nothing_anchored(db):
            db.run("INSERT INTO h SELECT g, 'x' FROM generate_series(1, 5) g")
            earlier = ask(db, format=kind)
            assert previous(db, earlier).startswith("still contained")
            with db.connect() as other:
                other.execute("SET session_replication_role = replica; ALTER TABLE h DISABLE TRIGGER ALL")
                other.execute("DELETE FROM h WHERE id = 5")
                other.execute("ALTER TABLE h ENABLE TRIGGER zzz_pgseal_seal")
                other.execute("ALTER TABLE h ENABLE ALWAYS TRIGGER zzz_pgseal_guard")
                other.execute("ALTER TABLE h ENABLE ALWAYS TRIGGER zzz_pgseal_truncate")
            server.restart("immediate")
        assert headline(report(db)) == "INTACT"
        text = report(db, previous=earlier)
        assert headline(text) == "TAMPERED"
        assert text.split("\n")[1].startswith("Something that the previous report saw is not there any more.")
        said = section(text, "Previous")[0]
        assert said.startswith("NOT CONTAINED: the report of ")
        assert "entry 5 of chain " in said and said.endswith(" of public.h, which it names, is gone or was changed")
        assert checked(db, earlier)["contained"] is False


def test_another_entry_in_its_place(sealed: Database) -> None:
    earlier = report(sealed)
    damage(sealed, "UPDATE h SET seal_mac = sha256(seal_mac) WHERE id = 5")
    said = previous(sealed, earlier)
    assert said.startswith("NOT CONTAINED") and "entry 5 of chain " in said
    assert headline(report(sealed, previous=earlier)) == "TAMPERED"


def test_an_older_state_of_everything_put_back(own_cluster: Servers) -> None:
    server = own_cluster(AT_ONCE)
    database = server.createdb()
    database.run("CREATE EXTENSION pgseal")
    history(database)
    database.run("INSERT INTO h VALUES (1, 'x')")
    settle(database, "h")
    copy = own_cluster.adopt(server.basebackup(standby=False))
    database.run("INSERT INTO h VALUES (2, 'x')")
    settle(database, "h")
    later = report(database)
    older = Database(copy, database.name)
    assert headline(report(older)) == "INTACT"
    text = report(older, previous=later)
    assert headline(text) == "TAMPERED" and section(text, "Previous")[0].startswith("NOT CONTAINED")


def test_what_was_pruned_need_not_be_there(travel: tuple[Cluster, Clock], clock: Clock) -> None:
    with travel[0].database() as db:
        ledger(db, 12)
        add(db, 1, 3)
        settle(db, "h")
        earlier = report(db)
        clock.forward(days=400)
        add(db, 4, 6)
        settle(db, "h")
        assert prune(db)["pruned"] == 3
        said = previous(db, earlier)
        assert said.startswith(("still contained", "nothing left to compare with")), said
        text = report(db, previous=earlier)
        assert headline(text) == "INTACT"
        assert section(text, "Pruned")[0].startswith("3 entries, the last on ")
        assert section(text, "Pruned")[0].endswith("; 3 ever")
        until = db.value("SELECT min(seal_at)::text FROM h")
        assert section(report(db, until=until), "Pruned") == ["nothing in the asked period; 3 entries ever"]


def test_a_window_with_older_faults(travel: tuple[Cluster, Clock], clock: Clock) -> None:
    with travel[0].database() as db:
        aged(db, clock)
        damage(db, "UPDATE h SET note = 'x' WHERE id = 2")
        text = report(db)
        assert headline(text) == "INTACT IN THE WINDOW ONLY"
        assert section(text, "Findings")[0] == "1: 1 new, 0 acknowledged; 1 before the window"
        assert section(text, "Findings")[1].startswith("new, before the window: entry 2 was changed")


def test_a_detached_history_is_nobodys_promise(sealed: Database) -> None:
    history(sealed, "other")
    sealed.run("INSERT INTO other VALUES (1, 'x')")
    settle(sealed, "other")
    earlier = report(sealed)
    sealed.run("SELECT seal.detach('other'); DROP TABLE other")
    text = report(sealed, previous=earlier)
    assert headline(text) == "INTACT"
    assert section(text, "Previous")[0].endswith("; 1 newest entry that it names is there")


def test_what_cannot_be_compared_with(sealed: Database) -> None:
    made = report(sealed)
    for given, detail in {
        "": "It is no report of pgseal, or does not end with the mac of one.",
        "PGSEAL REPORT: INTACT": "It is no report of pgseal, or does not end with the mac of one.",
        made.replace("INTACT", "TAMPERED"): "It was changed after it was made, or was made with another key.",
        made.replace("key 1,", "key 2,"): "It was made with key 2, which this server does not have.",
    }.items():
        said = refusal(sealed, "SELECT seal.report(previous => %s)", [given])
        assert (said.state, said.message) == (BAD_PARAMETER, "the previous report cannot be compared with")
        assert said.detail == detail and "word for word as seal.report made it" in said.hint
