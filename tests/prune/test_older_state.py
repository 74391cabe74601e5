"""Older copies of settings, journal and rows put back, or forged, to have something pruned or to hide that it was.

Each is found, and nothing more is deleted.
"""

from __future__ import annotations

from typing import Any

import pytest

from support.anchoring import newest, settle
from support.clock import Clock
from support.database import Database
from support.journaling import found, in_journal, keep, put_back, top
from support.pruning import aged, assert_pruned, keep_copy, prune, remaining, settle_journal
from support.tampering import ALTERED
from support.windows import add, damage, later

RESTARTS = ["running", "restart", "crash"]


def restart(db: Database, how: str) -> None:
    if how != "running":
        db.cluster.crash() if how == "crash" else db.cluster.restart()


def assert_found_and_kept(db: Database, kinds: set[str], left: int = 8) -> dict[str, Any]:
    """Found, by the run too, which deletes nothing."""
    assert {kind for kind, *_ in found(db, "h")} == kinds
    run = prune(db)
    assert run["verdict"] == "tampered" and run["findings_new"] >= 1
    assert (run["pruned"], run["cuts"], len(remaining(db))) == (0, {}, left)
    return run


@pytest.mark.parametrize("how", RESTARTS)
@pytest.mark.parametrize("months", [12, 1, 24])
def test_another_window_written_into_the_settings(db: Database, clock: Clock, months: int, how: str) -> None:
    """The journal says 36 months."""
    aged(db, clock, window=36)
    db.run(f"UPDATE seal.history SET window_months = {months}")
    restart(db, how)
    assert_found_and_kept(db, {"configuration_altered"})


@pytest.mark.parametrize("how", RESTARTS)
def test_an_older_window_put_back(db: Database, clock: Clock, how: str) -> None:
    """An authentic row of seal.history from before the window was made longer."""
    aged(db, clock)
    keep(db)
    db.run("SELECT seal.set_window('h', 36)")
    settle_journal(db)
    put_back(db, "history")
    restart(db, how)
    assert_found_and_kept(db, {"configuration_altered"})


@pytest.mark.parametrize("how", RESTARTS)
def test_an_older_window_put_back_with_the_journal(db: Database, clock: Clock, how: str) -> None:
    """Settings and journal agree; anchors and memory know that the journal went on."""
    aged(db, clock)
    keep(db)
    last = top(db) + 1
    db.run("SELECT seal.set_window('h', 36)")
    settle_journal(db)
    put_back(db, "history", "journal")
    restart(db, how)
    assert found(db, "h") == [in_journal(db, "truncated", last)]
    assert_found_and_kept(db, {"truncated"})


@pytest.mark.parametrize("how", RESTARTS)
@pytest.mark.parametrize("tenant", ["'acme'", "NULL"])
def test_the_hold_removed_from_the_journal(db: Database, clock: Clock, tenant: str, how: str) -> None:
    aged(db, clock)
    db.run(f"SELECT seal.hold('h', {tenant}, 'case')")
    position = top(db)
    settle_journal(db)
    db.run("DELETE FROM seal.journal WHERE kind = 'hold'")
    restart(db, how)
    assert found(db, "h") == [in_journal(db, "truncated", position)]
    assert_found_and_kept(db, {"truncated"})


def test_the_hold_removed_from_the_middle_of_the_journal(db: Database, clock: Clock) -> None:
    aged(db, clock)
    db.run("SELECT seal.hold('h', NULL, 'case')")
    position = top(db)
    db.run("SELECT seal.set_window('h', 13)")
    settle_journal(db)
    db.run("DELETE FROM seal.journal WHERE kind = 'hold'")
    assert found(db, "h") == [in_journal(db, "missing", position)]
    assert_found_and_kept(db, {"missing"})


@pytest.mark.parametrize("change", [
    "details = jsonb_set(details, '{tenant}', '\"other\"')", "kind = 'release'", "history_id = gen_random_uuid()",
    "kind = 'nothing'",
])  # fmt: skip
def test_the_hold_changed_in_the_journal(db: Database, clock: Clock, change: str) -> None:
    aged(db, clock)
    db.run("SELECT seal.hold('h', 'acme', 'case')")
    position = top(db)
    settle_journal(db)
    db.run(f"UPDATE seal.journal SET {change} WHERE kind = 'hold'")
    assert in_journal(db, "modified", position) in found(db, "h")
    run = prune(db)
    assert (run["verdict"], run["pruned"], len(remaining(db))) == ("tampered", 0, 8)


def test_a_release_copied_from_an_earlier_case(db: Database, clock: Clock) -> None:
    aged(db, clock)
    for reason in ("first case", "second case"):
        db.run(f"SELECT seal.hold('h', NULL, '{reason}')")
        if reason == "first case":
            db.run("SELECT seal.release('h', NULL, 'closed')")
    settle(db, "h")
    columns = "at, who, kind, history, sentence, details, history_id, chain, {}, anchor, key, prev, mac"
    db.run(f"INSERT INTO seal.journal ({columns.format('seq')}) SELECT {columns.format('seq + 100')}"
           " FROM seal.journal WHERE kind = 'release'")  # fmt: skip
    run = prune(db)
    assert (run["verdict"], run["pruned"], len(remaining(db))) == ("tampered", 0, 8)
    assert any(kind in ("forged", "modified") for kind, *_ in found(db, "h"))


@pytest.mark.parametrize("how", RESTARTS)
def test_a_row_of_a_held_tenant_moved_to_another(db: Database, clock: Clock, how: str) -> None:
    name = aged(db, clock)
    db.run("SELECT seal.hold('h', 'acme', 'case')")
    damage(db, "UPDATE h SET tenant = 'other' WHERE id <= 5")
    restart(db, how)
    run = prune(db)
    assert (run["verdict"], run["findings_new"], run["pruned"]) == ("tampered", 5, 0)
    assert found(db, "h") == [("modified", name, row, None) for row in range(1, 6)]
    assert len(remaining(db)) == 8


@pytest.mark.parametrize("how", RESTARTS)
@pytest.mark.parametrize("with_rows", [False, True], ids=["alone", "with the rows"])
def test_the_cut_removed_from_the_journal(db: Database, clock: Clock, with_rows: bool, how: str) -> None:
    """As if nothing had been pruned."""
    name = aged(db, clock)
    keep_copy(db)
    assert_pruned(db, prune(db), {name: (1, 5)}, left=3)
    settle_journal(db)
    position = db.value("SELECT seq FROM seal.journal WHERE kind = 'cut'")
    db.run("DELETE FROM seal.journal WHERE kind IN ('cut', 'checkpoint')")
    if with_rows:
        damage(db, "INSERT INTO h SELECT * FROM honest_h WHERE id <= 5")
    restart(db, how)
    expected = {in_journal(db, "truncated", position, position + 1), ("checkpoint_altered", None, None, None)}
    if not with_rows:
        expected.add(("missing", name, 1, 5))
    places = set(found(db, "h"))
    assert expected <= places and {place[0] for place in places} <= {
        *("truncated", "missing", "anchor_altered", "checkpoint_altered")
    }, places
    run = prune(db)
    assert (run["verdict"], run["pruned"], len(remaining(db))) == ("tampered", 0, 8 if with_rows else 3)


@pytest.mark.parametrize("how", RESTARTS)
def test_the_older_cut_put_back_with_what_was_pruned_since(db: Database, clock: Clock, how: str) -> None:
    """Everything of the time between two runs: rows, settings and journal."""
    aged(db, clock)
    prune(db)
    later(db, clock, 13)
    add(db, 9, 10)
    settle(db, "h")
    keep_copy(db)
    keep(db)
    run = prune(db)
    assert list(run["cuts"].values()) == [[6, 8]]
    settle_journal(db)
    put_back(db, "history", "journal", "epoch")
    damage(db, "DELETE FROM h", "INSERT INTO h TABLE honest_h")
    restart(db, how)
    # The record of the second run and its checkpoint are there, and the journal of before knows nothing of them.
    assert {kind for kind, *_ in found(db, "h")} == {"truncated", "configuration_altered", "checkpoint_altered"}
    run = prune(db)
    assert (run["verdict"], run["pruned"], len(remaining(db))) == ("tampered", 0, 5)


FORGED_CUTS = {
    "further": "jsonb_set(details, ARRAY['chains', '{chain}', 'last'], '7')",
    "less far": "jsonb_set(details, ARRAY['chains', '{chain}', 'last'], '3')",
    "another mac": "jsonb_set(details, ARRAY['chains', '{chain}', 'mac'], to_jsonb(repeat('00', 32)))",
    "another chain": "jsonb_set(details, ARRAY['chains', '{chain}/1'], details->'chains'->'{chain}')",
    "none": "details - 'chains'",
}


@pytest.mark.parametrize("forgery", FORGED_CUTS)
def test_a_cut_changed_in_the_journal(db: Database, clock: Clock, forgery: str) -> None:
    """To remove two more rows, or to have the journal agree with rows put back."""
    name = aged(db, clock)
    keep_copy(db)
    prune(db)
    position = db.value("SELECT seq FROM seal.journal WHERE kind = 'cut'")
    settle_journal(db)
    db.run(f"UPDATE seal.journal SET details = {FORGED_CUTS[forgery].format(chain=name)} WHERE kind = 'cut'")
    if forgery == "further":
        damage(db, "DELETE FROM h WHERE seal_seq IN (6, 7)")
    if forgery == "less far":
        damage(db, "INSERT INTO h SELECT * FROM honest_h WHERE seal_seq IN (4, 5)")
    places = found(db, "h")
    assert in_journal(db, "modified", position) in places, places
    before = remaining(db)
    run = prune(db)
    assert (run["verdict"], run["pruned"], remaining(db)) == ("tampered", 0, before)


def test_a_cut_added_to_the_journal(db: Database, clock: Clock) -> None:
    """Another history's authentic cut, with this history's name on it."""
    name = aged(db, clock)
    prune(db)
    columns = "at, who, kind, history, sentence, {details}, history_id, chain, {seq}, anchor, key, prev, mac"
    forged = (
        f"jsonb_build_object('chains', jsonb_build_object('{name}', details->'chains'->'{name}' || '{{\"last\": 7}}'))"
    )
    names = columns.format(details="details", seq="seq")
    db.run(f"INSERT INTO seal.journal ({names}) SELECT {columns.format(details=forged, seq='seq + 2')}"
           " FROM seal.journal WHERE kind = 'cut'")  # fmt: skip
    damage(db, "DELETE FROM h WHERE seal_seq IN (6, 7)")
    places = found(db, "h")
    assert ("missing", name, 6, 7) in places, places
    assert {kind for kind, *_ in places} & {"forged", "modified"}


def test_everything_of_before_put_back_is_known_to_memory(db: Database, clock: Clock) -> None:
    """All tables of pgseal and the rows: while the server runs, its memory knows better."""
    aged(db, clock)
    settle(db, "h")
    kept = newest(db)
    keep_copy(db)
    keep(db)
    prune(db)
    add(db, 9, 9)
    assert settle(db, "h") > kept
    put_back(db, "history", "epoch", "journal", "anchor")
    damage(db, "DELETE FROM h", "INSERT INTO h TABLE honest_h", "DELETE FROM seal.run")
    kinds = {kind for kind, *_ in found(db, "h")}
    assert {"truncated", "anchor_altered"} <= kinds
    run = prune(db)
    assert (run["verdict"], run["pruned"], len(remaining(db))) == ("tampered", 0, 8)


def test_a_rule_of_the_definition_does_not_change_what_is_kept(db: Database, clock: Clock) -> None:
    """Detached by hand: the journal does not say so, and a detached history is not pruned."""
    aged(db, clock)
    db.run("UPDATE seal.history SET detached_at = now(), detached_by = 'nobody'")
    lines = db.records("SELECT * FROM seal.verify_and_prune()")
    assert [(line["pruned"], line["verdict"]) for line in lines] == [(0, "tampered")]
    assert ALTERED in found(db)
    assert len(remaining(db)) == 8
