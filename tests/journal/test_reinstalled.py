"""Another chain name, another installation: what is done honestly is no finding, the rest is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from support.cluster import Cluster
from support.database import Database
from support.journaling import found, kinds
from support.sealing import history, run, wait_for
from support.servers import watched
from support.tampering import Place, assert_intact, triggers_off
from support.witnessing import AT_ONCE, anchored


def installed(server: Cluster, options: str = "") -> Database:
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    history(db, options=options)
    return db


def test_pgseal_dropped_and_created_again(quick: Database) -> None:
    """After everything was detached: nothing of it is left that could be missed."""
    history(quick)
    quick.run("INSERT INTO h VALUES (1, 'x')")
    anchored(quick)
    run(quick.connection, "SELECT seal.detach('h')", "DROP EXTENSION pgseal CASCADE", "CREATE EXTENSION pgseal")
    assert found(quick) == []
    history(quick, "g")
    quick.run("INSERT INTO g VALUES (1, 'x')")
    anchored(quick)
    assert_intact(quick)
    assert kinds(quick) == ["epoch", "attach"]


@dataclass
class Renamed:
    """A server whose chain name was changed and changed back."""

    honest: Database
    tail: Database
    places_of_tail: list[Place]
    brought: Database
    elsewhere: Database
    at_once: list[list[Place]]
    """What was found in the honest ones as soon as the server was there again."""


@pytest.fixture(scope="module")
def renamed() -> Iterator[Renamed]:
    """Three histories with three anchors; of one the tail and all anchors were removed before the change, and of
    another one a history of the same id was detached in another database under the other name."""
    with watched(AT_ONCE) as server:
        honest, tail, brought = (installed(server) for _ in range(3))
        number = brought.value("SELECT history_id FROM seal.history")
        for db in (honest, tail, brought):
            for row in range(3):
                db.run("INSERT INTO h VALUES (%s, 'x')", [row])
                anchored(db)
        with triggers_off(tail.connection, "h"):
            tail.run("DELETE FROM h WHERE id = 2")
        tail.run("DELETE FROM seal.anchor")

        server.configure({"pgseal.chain_name": "other"}, restart=True)
        run(honest.connection, "ALTER TABLE h ADD COLUMN more int", "INSERT INTO h (id) VALUES (10)")
        anchored(honest)
        assert_intact(honest)
        places = found(tail)
        elsewhere = installed(server, f"history_id => '{number}'")
        elsewhere.run("SELECT seal.detach('h')")

        server.configure({"pgseal.chain_name": None}, restart=True)
        at_once = [found(db) for db in (honest, brought, elsewhere)]
        yield Renamed(honest, tail, places, brought, elsewhere, at_once)


def test_an_honest_change_and_back(renamed: Renamed) -> None:
    """History, journal and anchors go on under each name; chains of both are protected."""
    db = renamed.honest
    run(db.connection, "INSERT INTO h (id) VALUES (11)", "ALTER TABLE h ADD COLUMN even_more int")
    anchored(db)
    assert_intact(db)
    (other,) = {name for (name,) in db.rows("SELECT chain FROM seal.journal") if name.startswith("other.")}
    with db.connection.transaction(force_rollback=True):
        db.run("DELETE FROM seal.journal WHERE chain = %s", [other])
        assert "truncated" in {kind for kind, chain, *_ in found(db) if chain == f"journal {other}"}
    with db.connection.transaction(force_rollback=True):
        db.run("DELETE FROM seal.anchor WHERE chain = %s", [other])
        assert "anchor_altered" in {kind for kind, chain, *_ in found(db) if chain == f"anchors {other}"}


def test_right_after_the_change(renamed: Renamed) -> None:
    """The worker has perhaps not been there yet: no false alarm until then."""
    assert renamed.at_once == [[], [], []]


def test_the_tail_and_all_anchors_removed_before_the_change(renamed: Renamed) -> None:
    assert ("anchor_altered", 1) in {(kind, position) for kind, _, position, _ in renamed.places_of_tail}
    assert ("anchor_altered", 1) in {(kind, position) for kind, _, position, _ in found(renamed.tail)}


def test_a_detachment_brought_with_its_journal(renamed: Renamed) -> None:
    db, elsewhere = renamed.brought, renamed.elsewhere
    wait_for(db, "SELECT EXISTS (SELECT FROM seal.anchor WHERE chain LIKE 'main.%%' AND heads ? 'anchors')", [])
    assert_intact(db)
    rows: list[tuple[Any, ...]] = elsewhere.rows("SELECT to_jsonb(j)::text FROM seal.journal j")
    (marks,) = elsewhere.rows("SELECT detached_at, detached_by, detach_mac FROM seal.history")
    with db.connection.transaction(force_rollback=True):
        for row in rows:
            db.rows("INSERT INTO seal.journal SELECT * FROM jsonb_populate_record(NULL::seal.journal, %s::jsonb)"
                    " RETURNING 1", row)  # fmt: skip
        db.run("UPDATE seal.history SET detached_at = %s, detached_by = %s, detach_mac = %s", marks)
        run(db.connection, "SET LOCAL session_replication_role = replica")
        run(db.connection, *(f"DROP TRIGGER zzz_pgseal_{name} ON h" for name in ("seal", "guard", "truncate")))
        assert db.value("SELECT seal.is_intact()") is False
        assert "tampered" in {verdict for (verdict,) in db.rows("SELECT verdict FROM seal.verify_history()")}
    assert_intact(db)
