"""Copies of a pruned database, more findings than a record lists, anchors of a history that hides, and what else is
rare."""

from __future__ import annotations

import secrets

import pytest

from support.anchoring import newest, numbers, settle
from support.clock import Clock
from support.database import Database
from support.journaling import found
from support.pruning import OLD, aged, assert_whole, prune, remaining
from support.refusal import refusal
from support.tampering import unguarded
from support.windows import add, damage, later, ledger
from support.witnessing import anchored


def test_a_template_copy(db: Database, clock: Clock) -> None:
    """It knows the cut, seals in chains of its own, and prunes those of the original and its own."""
    name = aged(db, clock)
    assert prune(db)["pruned"] == OLD
    settle(db, "h")
    db.close()
    copy = db.cluster.createdb(db.name)
    try:
        assert_whole(copy, {name: OLD}, left=3)
        add(copy, 9, 9)
        anchored(copy)
        clock.forward(days=400)
        add(copy, 10, 10)
        anchored(copy)
        new = str(copy.value("SELECT seal_chain FROM h WHERE id = 9"))
        assert new != name
        outcome = prune(copy)
        assert (outcome["verdict"], outcome["cuts"]) == ("intact", {name: [6, 8], new: [1, 1]}), outcome
        assert found(copy) == []
        # The original has all of it still.
        assert_whole(db, {name: OLD}, left=3)
    finally:
        copy.drop()


def test_more_findings_than_a_record_lists(db: Database, clock: Clock) -> None:
    """It counts all of them, lists a thousand, and nobody is led to believe that those are all."""
    ledger(db)
    add(db, 1, 2_405)
    later(db, clock, 13)
    add(db, 2_406, 2_406)
    settle(db, "h")
    damage(db, "UPDATE h SET note = 'x' WHERE id <= 2400 AND id % 2 = 0")
    outcome = prune(db)
    assert (outcome["verdict"], outcome["findings"], outcome["findings_new"]) == ("intact_in_window", 1_200, 1_200)
    (record,) = db.records("SELECT findings, findings_new, jsonb_array_length(found) AS listed FROM seal.verification")
    assert record == {"findings": 1_200, "findings_new": 1_200, "listed": 1_000}
    listed = db.rows("SELECT kind, position FROM seal.findings(run => 1)")
    assert listed == [("modified", 2 * place) for place in range(1, 1_001)]
    text = db.value("SELECT text FROM seal.alert")
    assert "and 1180 more" in text and "findings: 1200, new ones: 1200" in text
    # Whoever files what a record lists has not filed the rest.
    assert db.value("SELECT seal.acknowledge('known', 'h')") == 1_200
    damage(db, "UPDATE h SET note = 'y' WHERE id = 2399")
    outcome = prune(db)
    assert (outcome["findings"], outcome["findings_new"], outcome["pruned"]) == (1_201, 1, 0)


@pytest.mark.parametrize("window", ["NULL", "36"])
def test_anchors_of_a_history_whose_row_was_taken_away(db: Database, clock: Clock, window: str) -> None:
    """Another history is run meanwhile: its narrower window says nothing of what the hidden one needs."""
    ledger(db, name="g")
    db.run(f"SELECT seal.set_window('g', {window})")
    add(db, 1, 3, name="g")
    settle(db, "g")
    db.cluster.restart()
    aged(db, clock)
    add(db, 4, 4, name="g")
    settle(db, "g", "h")
    first = min(numbers(db))
    db.run("CREATE TABLE row_of_g AS SELECT * FROM seal.history WHERE relation = 'g'::regclass")
    db.run(unguarded("DELETE FROM seal.history WHERE relation = 'g'::regclass"))
    outcome = prune(db)
    assert outcome["pruned"] == OLD and outcome["findings"] == 0
    db.run(unguarded("INSERT INTO seal.history SELECT * FROM row_of_g"))
    assert min(numbers(db)) == first < newest(db)
    assert_whole(db, {}, left=4, name="g")


@pytest.mark.parametrize("key", ["another", "none"])
def test_without_the_key(db: Database, clock: Clock, key: str) -> None:
    """Nothing is deleted of what cannot be verified, and nothing of it is forgotten: with the key it goes on."""
    name, server = aged(db, clock), db.cluster
    secret = server.key
    assert secret
    server.stop()
    server.write_key(secrets.token_hex(32))
    if key == "none":
        del server.settings["pgseal.key_file"]
        server.settings["pgseal.require_key"] = False
    server.start()
    try:
        refused = refusal(db, "SELECT * FROM seal.verify_and_prune('h')")
        assert refused.state == "55000" and "key" in refused.text
        assert db.rows("SELECT verdict FROM seal.verify_history()") == [("unverifiable",)]
        assert prune(db, dry=True)["pruned"] == 0 if key == "another" else True
        assert remaining(db) == [1, 2, 3, 4, 5, 6, 7, 8]
    finally:
        server.stop()
        server.write_key(secret)
        server.settings["pgseal.key_file"] = str(server.key_file)
        server.settings.pop("pgseal.require_key", None)
        server.start()
    # Nothing was written under the other key that would look like a forgery now.
    assert_whole(db, {}, left=8)
    assert prune(db)["cuts"] == {name: [1, OLD]}


def test_a_detached_history_keeps_no_anchors(db: Database, clock: Clock) -> None:
    """The first anchor after a start is complete: those before it may go."""
    ledger(db, None, name="g")
    add(db, 1, 3, name="g")
    settle(db, "g")
    db.cluster.restart()
    aged(db, clock)
    db.run("SELECT seal.detach('g')")
    first = min(numbers(db))
    assert prune(db)["pruned"] == OLD
    assert min(numbers(db)) > first
