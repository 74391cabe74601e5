"""An acknowledgement is an entry of the journal: it lasts, and one that pgseal did not write does not count."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database
from support.journaling import chain, found, keep, put_back, top
from support.sealing import history, wait_for
from support.servers import watched
from support.tampering import triggers_off
from support.witnessing import AT_ONCE, anchored


def damaged(db: Database) -> Database:
    """Five entries, the third is gone."""
    history(db)
    db.run("INSERT INTO h SELECT g, 'x' FROM generate_series(1, 5) g")
    with triggers_off(db.connection, "h"):
        db.run("DELETE FROM h WHERE id = 3")
    return db


def counts(db: Database) -> tuple[int, int]:
    (row,) = db.rows("SELECT findings, findings_new FROM seal.verify_history(history => 'h')")
    return row  # type: ignore[return-value]


def acknowledged_entry(db: Database) -> str:
    """All columns of the acknowledgement, as JSON; it is rolled back."""
    with db.connection.transaction(force_rollback=True):
        db.run("SELECT seal.acknowledge('forged', 'h')")
        # The journal's row is written at the commit, so this is what a superuser can know.
        detail = db.value("SELECT detail FROM seal.findings()")
        assert "acknowledged by" in detail
    (entry,) = db.records("SELECT to_jsonb(j) AS row FROM seal.journal j ORDER BY seq DESC LIMIT 1")
    return json.dumps(entry["row"])


def fingerprint_of(db: Database) -> str:
    """From another database, in which the same finding was filed."""
    return str(db.value("SELECT details -> 'findings' ->> 0 FROM seal.journal WHERE kind = 'acknowledge'"))


def test_forged_by_insert(db: Database) -> None:
    damaged(db)
    entry = acknowledged_entry(db)
    position, name = top(db), chain(db)
    db.rows(
        """INSERT INTO seal.journal
           SELECT (jsonb_populate_record(j, jsonb_build_object('kind', 'acknowledge', 'seq', j.seq + 1,
                      'details', '{"reason": "forged", "findings": ["00"], "places": []}'::jsonb,
                      'prev', j.mac))).*
             FROM jsonb_populate_record(NULL::seal.journal, %s::jsonb) j RETURNING 1""",
        [entry],
    )
    assert found(db, "h") == [("modified", f"journal {name}", position + 1, None), ("missing", name, 3, None)]
    assert counts(db) == (2, 2)
    assert not any("acknowledged by" in detail for (detail,) in db.rows("SELECT detail FROM seal.findings()"))


def test_a_real_one_made_to_file_more(db: Database) -> None:
    """The fingerprints of an acknowledgement exchanged for those of another."""
    damaged(db)
    db.run("SELECT seal.acknowledge('one', 'h')")
    filed = fingerprint_of(db)
    assert counts(db) == (1, 0)
    with triggers_off(db.connection, "h"):
        db.run("UPDATE h SET p = 'y' WHERE id = 5")
    assert counts(db) == (2, 1)
    db.run("SELECT seal.acknowledge('two', 'h')")
    assert counts(db) == (2, 0)
    db.run("UPDATE seal.journal SET details = jsonb_set(details, '{findings,0}', to_jsonb(%s::text))"
           " WHERE kind = 'acknowledge' AND seq = (SELECT max(seq) FROM seal.journal)", [filed])  # fmt: skip
    # The changed entry is one more finding, and what it filed is new again.
    assert counts(db) == (3, 2)


def test_copied_from_another_database(cluster: Cluster, db: Database) -> None:
    """Of a history with the same id, in which the same finding was filed: authentic, but not of this place."""
    damaged(db)
    # This place has begun its own chains.
    wait_for(db, "SELECT EXISTS (SELECT FROM seal.anchor)")
    number = db.value("SELECT history_id FROM seal.history")
    with cluster.database() as elsewhere:
        history(elsewhere, options=f"history_id => '{number}'")
        elsewhere.run("INSERT INTO h SELECT g, 'x' FROM generate_series(1, 5) g")
        with triggers_off(elsewhere.connection, "h"):
            elsewhere.run("DELETE FROM h WHERE id = 3")
        elsewhere.run("SELECT seal.acknowledge('there', 'h')")
        rows = elsewhere.rows("SELECT to_jsonb(j)::text FROM seal.journal j")
    for row in rows:
        db.rows("INSERT INTO seal.journal SELECT * FROM jsonb_populate_record(NULL::seal.journal, %s::jsonb)"
                " RETURNING 1", row)  # fmt: skip
    places = found(db, "h")
    assert "forged" in {kind for kind, *_ in places}
    assert ("missing", chain_of(db), 3, None) in places
    assert counts(db)[1] == len(places)


def chain_of(db: Database) -> str:
    return str(db.value("SELECT DISTINCT seal_chain FROM h"))


# -- with a restart ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filed() -> Iterator[tuple[Cluster, Database, Database]]:
    """Filed and anchored; filed, and the journal (in the second case with the anchors) put back to before that."""
    with watched(AT_ONCE) as server:
        made = []
        for _ in range(2):
            db = server.createdb()
            db.run("CREATE EXTENSION pgseal")
            damaged(db)
            anchored(db)
            keep(db)
            db.run("SELECT seal.acknowledge('ticket 4711', 'h')")
            anchored(db)
            made.append(db)
        server.restart()
        yield server, made[0], made[1]


def test_it_survives_a_restart(filed: tuple[Cluster, Database, Database]) -> None:
    for db in filed[1:]:
        assert counts(db) == (1, 0)
        (detail,) = db.rows("SELECT detail FROM seal.findings()")
        assert "(acknowledged by postgres at " in detail[0] and detail[0].endswith(": ticket 4711)")


def test_an_older_journal_makes_it_new(filed: tuple[Cluster, Database, Database]) -> None:
    server, journal_only, anchors_too = filed
    name = chain_of(journal_only)
    put_back(journal_only, "journal")
    put_back(anchors_too, "journal", "anchor")
    for when in ("running", "restarted"):
        assert counts(journal_only) == (2, 2)
        assert set(found(journal_only, "h")) == {("missing", name, 3, None), ("truncated", f"journal {name}", 3, None)}
        findings, new = counts(anchors_too)
        # Once the server has forgotten, it is as if nobody had ever filed it.
        assert (findings, new) == (1, 1) if when == "restarted" else findings == new > 1
        if when == "running":
            server.restart()
