"""A checkpoint that is not the one that was made is a finding, and nobody relies on it."""

from __future__ import annotations

import pytest

from support.checkpointing import add, answer, assert_full, assert_rests, checkpoint, ledger, since
from support.database import Database
from support.tampering import triggers_off
from support.verification import kinds

ROW = "(SELECT history_id FROM seal.history WHERE relation = 'h'::regclass)"

ALTERED = {
    "removed": "DELETE FROM seal.checkpoint",
    "another run": "UPDATE seal.checkpoint SET record = jsonb_set(record, '{run}', '77')",
    "another position": (
        "UPDATE seal.checkpoint SET record = jsonb_set(record, array['chains', c, 'position'], '3')"
        " FROM (SELECT min(seal_chain) AS c FROM h) h"
    ),
    "no chain": "UPDATE seal.checkpoint SET record = jsonb_set(record, '{chains}', '{}')",
    "no census": (
        "UPDATE seal.checkpoint SET record = jsonb_set(record, array['chains', c, 'census'], 'null')"
        " FROM (SELECT min(seal_chain) AS c FROM h) h"
    ),
    "a tenant less": (
        "UPDATE seal.checkpoint SET record = record #- array['chains', c, 'census', '0']"
        " FROM (SELECT min(seal_chain) AS c FROM h) h"
    ),
    "no record": "UPDATE seal.checkpoint SET record = 'null'",
    "somebody else's": "UPDATE seal.checkpoint SET history_id = gen_random_uuid()",
    "one more": "INSERT INTO seal.checkpoint SELECT gen_random_uuid(), record FROM seal.checkpoint",
    "twice": (
        "ALTER TABLE seal.checkpoint DROP CONSTRAINT checkpoint_pkey;"
        " INSERT INTO seal.checkpoint SELECT * FROM seal.checkpoint"
    ),
}


@pytest.mark.parametrize("what", ALTERED)
def test_each_is_found(db: Database, what: str) -> None:
    ledger(db)
    checkpoint(db)
    add(db, 13, 14, "zeta")
    for statement in ALTERED[what].split("; "):
        db.run(statement)
    found = set(kinds(db))
    assert found == {"checkpoint_altered"}
    for line in (answer(db, "acme"), answer(db, None), since(db)):
        assert_full(line, "tampered")


def test_the_next_run_makes_a_good_one(db: Database) -> None:
    """Once the finding is filed, or the row is put back."""
    ledger(db)
    checkpoint(db)
    db.run("CREATE TABLE honest AS TABLE seal.checkpoint")
    db.run("UPDATE seal.checkpoint SET record = jsonb_set(record, '{run}', '77')")
    assert db.value("SELECT verdict FROM seal.verify_and_prune('h')") == "tampered"
    assert_full(answer(db, "acme"), "tampered")
    db.run("UPDATE seal.checkpoint c SET record = h.record FROM honest h")
    assert_rests(answer(db, "acme"), 4, since=0)
    checkpoint(db)
    assert_rests(answer(db, "acme"), 4, since=0)


def test_without_anything_in_the_journal(db: Database) -> None:
    """A row made up where no run ever left one."""
    ledger(db)
    db.run(f"INSERT INTO seal.checkpoint VALUES ({ROW}, '{{}}')")
    assert kinds(db, "acme") == ["checkpoint_altered"]


@pytest.mark.parametrize("what", ["its rows", "its rows and its census", "and the older checkpoint"])
def test_hiding_all_of_a_tenant(db: Database, what: str) -> None:
    """Without its rows acme is nowhere: the census knows it, or is missing itself."""
    ledger(db, rows=0)
    add(db, 1, 6, "zeta")
    checkpoint(db)
    db.run("CREATE TABLE older AS TABLE seal.checkpoint")
    add(db, 7, 9, "acme")
    add(db, 10, 12, "zeta")
    checkpoint(db)
    with triggers_off(db.connection, "h"):
        db.run("DELETE FROM h WHERE tenant = 'acme'")
    if what == "its rows and its census":
        db.run(
            "UPDATE seal.checkpoint SET record = jsonb_set(record, array['chains', c, 'census'],"
            " (SELECT jsonb_agg(t) FROM jsonb_array_elements(record -> 'chains' -> c -> 'census') t WHERE t ->> 0 <> 'acme'))"
            " FROM (SELECT DISTINCT seal_chain AS c FROM h) h"
        )
    elif what == "and the older checkpoint":
        db.run("UPDATE seal.checkpoint c SET record = o.record FROM older o")
    assert_full(answer(db, "acme"), "tampered")
    assert "missing" in kinds(db, "acme")


def test_an_older_checkpoint_with_the_older_journal(db: Database) -> None:
    """Whoever puts back both has to put back the anchors too, and everything sealed since."""
    ledger(db)
    checkpoint(db)
    db.run("CREATE TABLE older AS TABLE seal.checkpoint")
    top = db.value("SELECT max(seq) FROM seal.journal")
    add(db, 13, 14, "acme")
    checkpoint(db)
    db.run("UPDATE seal.checkpoint c SET record = o.record FROM older o")
    db.run(f"DELETE FROM seal.journal WHERE seq > {top}")
    assert_full(answer(db, "acme"), "tampered")
    assert "truncated" in kinds(db, "acme")
