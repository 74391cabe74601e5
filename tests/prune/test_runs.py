"""Recorded runs: what seal.verification says, that findings can be read again, and that records cannot be touched."""

from __future__ import annotations

from datetime import timedelta

import pytest

from support.anchoring import settle
from support.clock import Clock
from support.database import Database
from support.journaling import found, kinds
from support.pruning import aged, prune
from support.refusal import notices
from support.roles import Roles
from support.windows import add, damage, later, ledger

COLUMNS = "history, chain, position, last_position, kind, in_window, row_key, expected, found, detail"


def test_what_is_recorded(db: Database, clock: Clock) -> None:
    name = aged(db, clock)
    before = clock.now()
    run = prune(db)
    (record,) = db.records("SELECT * FROM seal.verification")
    expected = {
        "run": run["run"],
        "history": "public.h",
        "how": "manual",
        "who": "postgres",
        "verdict": "intact",
        "entries": 8,
        "findings": 0,
        "findings_new": 0,
        "findings_before_window": 0,
        "window_months": 12,
        "window_start": run["window_start"],
        "found": [],
        "pruned": {name: [1, 5]},
        "pruned_entries": 5,
    }
    assert {key: record[key] for key in expected} == expected
    second = timedelta(seconds=1)
    assert before - second <= record["started"] <= record["finished"] <= clock.now() + second
    assert record["keys"] == [db.value("SELECT record->>'key' FROM seal.epoch")]
    assert record["basis"].startswith("full verification: 8 authentic entries in 1 chain")
    assert record["host"] == db.value("SELECT trim(pg_read_file('/proc/sys/kernel/hostname'), E'\\n')")
    assert record["version"] == db.value("SELECT extversion FROM pg_extension WHERE extname = 'pgseal'")


def test_verify_history_records_nothing(db: Database, clock: Clock) -> None:
    ledger(db)
    db.rows("SELECT * FROM seal.verify_history()")
    assert db.rows("SELECT * FROM seal.verification") == []
    assert "verify" not in kinds(db)


def test_findings_as_they_were(db: Database, clock: Clock) -> None:
    """Also when more was found since, and when what was found has been put right."""
    aged(db, clock)
    db.run("CREATE TABLE honest AS TABLE h")
    damage(db, "UPDATE h SET note = 'x' WHERE id = 2", "DELETE FROM h WHERE id IN (4, 7)")
    then = db.rows(f"SELECT {COLUMNS} FROM seal.findings(history => 'h')")
    first = prune(db)["run"]
    damage(db, "UPDATE h SET note = 'y' WHERE id = 8")
    second = prune(db)["run"]
    assert len(then) == 3
    assert db.rows(f"SELECT {COLUMNS} FROM seal.findings(run => %s)", [first]) == then
    assert len(db.rows("SELECT * FROM seal.findings(run => %s)", [second])) == 4
    damage(db, "DELETE FROM h", "INSERT INTO h TABLE honest")
    assert db.rows(f"SELECT {COLUMNS} FROM seal.findings(run => %s)", [first]) == then
    assert found(db) == []
    third = prune(db)
    assert (third["verdict"], third["pruned"]) == ("intact", 5)
    assert db.rows("SELECT * FROM seal.findings(run => %s)", [third["run"]]) == []
    verdicts = db.rows("SELECT verdict, findings, findings_new, findings_before_window FROM seal.verification"
                       " ORDER BY run")  # fmt: skip
    assert verdicts == [("tampered", 3, 3, 2), ("tampered", 4, 4, 2), ("intact", 0, 0, 0)]


def test_a_run_that_is_not(db: Database, clock: Clock) -> None:
    """An empty answer would look like a good one."""
    aged(db, clock)
    prune(db)
    with pytest.raises(Exception, match="run 4711") as caught:
        db.rows("SELECT * FROM seal.findings(run => 4711)")
    assert getattr(caught.value, "sqlstate", None) == "42704"


ATTACKS = {
    "removed": "DELETE FROM seal.run WHERE id = 1",
    "all removed": "DELETE FROM seal.run",
    "verdict": "UPDATE seal.run SET record = jsonb_set(record, '{verdict}', '\"intact\"') WHERE id = 1",
    "findings": "UPDATE seal.run SET record = jsonb_set(record, '{found}', '[]') WHERE id = 1",
    "renumbered": "UPDATE seal.run SET id = 7 WHERE id = 1",
    "exchanged": "UPDATE seal.run SET id = -id; UPDATE seal.run SET id = 3 + id",
    "added": "INSERT INTO seal.run SELECT 7, record FROM seal.run WHERE id = 2",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_records_that_were_touched(db: Database, clock: Clock, attack: str) -> None:
    """A bad verdict is not made a good one afterwards."""
    aged(db, clock)
    db.run("CREATE TABLE honest AS TABLE h")
    damage(db, "UPDATE h SET note = 'x' WHERE id = 2")
    prune(db)
    damage(db, "DELETE FROM h", "INSERT INTO h TABLE honest")
    prune(db, dry=True)
    db.run("SELECT seal.hold('h', NULL, 'keep it for the test')")
    prune(db)
    assert found(db) == []
    db.run("SET session_replication_role = replica")
    db.run(ATTACKS[attack])
    db.run("RESET session_replication_role")
    assert {(kind, chain) for kind, chain, *_ in found(db)} == {("configuration_altered", None)}
    details = [detail for (detail,) in db.rows("SELECT detail FROM seal.findings()")]
    assert any("run 1" in detail or "run 2" in detail or "run 7" in detail for detail in details), details
    db.run("SELECT seal.release('h', NULL, 'over')")
    run = prune(db)
    assert (run["verdict"], run["pruned"], len(db.rows("TABLE h"))) == ("tampered", 0, 8)


def test_who_may_read_it(db: Database, clock: Clock, roles: Roles) -> None:
    aged(db, clock)
    damage(db, "UPDATE h SET note = 'x' WHERE id = 2")
    prune(db)
    auditor = roles.session("auditor", member_of="pgseal_auditor")
    plain = roles.session("plain")
    assert auditor.execute("SELECT verdict FROM seal.verification").fetchall() == [("intact_in_window",)]
    assert len(auditor.execute("SELECT * FROM seal.findings(run => 1)").fetchall()) == 1
    for statement in ("SELECT * FROM seal.verification", "SELECT * FROM seal.run", "SELECT seal.findings(run => 1)"):
        with pytest.raises(Exception, match="permission denied"):
            plain.execute(statement.encode())


@pytest.mark.parametrize("deed", ["UPDATE seal.run SET id = id", "DELETE FROM seal.run", "TRUNCATE seal.run",
                                  "INSERT INTO seal.run SELECT 9, record FROM seal.run"])  # fmt: skip
def test_nobody_else_writes_it(db: Database, clock: Clock, roles: Roles, deed: str) -> None:
    aged(db, clock)
    prune(db)
    for group in ("pgseal_auditor", "pgseal_operator", "pgseal_admin"):
        session = roles.session(group.removeprefix("pgseal_"), member_of=group)
        with pytest.raises(Exception, match="permission denied"):
            session.execute(deed.encode())


def test_why_nothing_is_pruned_is_recorded_and_told_if_it_is_a_trouble(db: Database, clock: Clock) -> None:
    aged(db, clock)
    with notices(db.connection) as told:
        db.run("SELECT seal.hold('h', NULL, 'case')")
        prune(db)
        assert told == []
        db.run("SELECT seal.release('h', NULL, 'closed')")
        clock.jump(days=30)
        run = prune(db)
        clock.back(days=30)
    (warning,) = told
    assert run["pruned"] == 0 and warning.message == 'nothing of history "public.h" is pruned'
    assert "the clock was set ahead by 30 days" in warning.detail
    reasons = [reason for (reason,) in db.rows("SELECT not_pruned FROM seal.verification ORDER BY run")]
    assert [reason[:19] for reason in reasons] == ["it is on hold since", "between " + reasons[1][8:19]]


def test_a_witness_whose_anchor_was_pruned_is_named_in_the_basis(db: Database, clock: Clock) -> None:
    ledger(db)
    db.run("LISTEN pgseal_anchor")
    add(db, 1, 5)
    (anchor,) = db.connection.notifies(timeout=20, stop_after=1)
    line = anchor.payload
    later(db, clock, 13)
    db.cluster.restart()  # the first anchor after a start is complete
    add(db, 6, 8)
    settle(db, "h")
    later(db, clock, 13)
    add(db, 9, 10)
    settle(db, "h")
    prune(db)
    assert db.value("SELECT contained FROM seal.check_witness(%s)", [line]) is None
    ((verdict, basis),) = db.rows("SELECT verdict, basis FROM seal.verify_history(witness => %s)", [line])
    assert verdict == "intact" and basis.endswith("the anchor of the witness was pruned: compare with a newer line")
