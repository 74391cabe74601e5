"""seal.acknowledge: who may, what it needs, what it takes, and that it never makes anything intact."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from support.cluster import Cluster
from support.database import Database
from support.journaling import chain, kinds, top
from support.refusal import notices, refusal
from support.roles import Roles
from support.sealing import history
from support.tampering import assert_intact, triggers_off


def damaged(db: Database) -> Database:
    """Nine entries; 3 and 4 are gone, 6 was changed."""
    history(db, columns="id int PRIMARY KEY, tenant text, p text", options="'tenant'")
    db.run("INSERT INTO h SELECT g, 'acme', 'p' || g FROM generate_series(1, 9) g")
    attack(db, "DELETE FROM h WHERE id IN (3, 4)", "UPDATE h SET p = 'changed' WHERE id = 6")
    return db


@pytest.fixture
def h(db: Database) -> Database:
    return damaged(db)


@pytest.fixture(scope="module")
def shared(cluster: Cluster) -> Iterator[Database]:
    with cluster.database() as database:
        yield damaged(database)


@pytest.fixture
def trial(shared: Database) -> Iterator[Database]:
    """The same; what a test does is rolled back."""
    before = top(shared)
    with shared.connection.transaction(force_rollback=True):
        yield shared
    assert counts(shared) == ("tampered", 2, 2)
    assert top(shared) == before


def attack(db: Database, *statements: str) -> None:
    with triggers_off(db.connection, "h"):
        for statement in statements:
            db.run(statement)


def acknowledge(db: Database, reason: str = "ticket 4711", **filters: Any) -> int:
    names = "".join(f", {name} => %({name})s" for name in filters)
    query = f"SELECT seal.acknowledge(%(reason)s, 'h'{names})"
    return int(db.value(query, {"reason": reason, **filters}))


def counts(db: Database) -> tuple[str, int, int]:
    (row,) = db.rows("SELECT verdict, findings, findings_new FROM seal.verify_history(history => 'h')")
    return row  # type: ignore[return-value]


def details(db: Database) -> list[str]:
    return [detail for (detail,) in db.rows("SELECT detail FROM seal.findings()")]


def test_filed_and_still_tampered(h: Database) -> None:
    assert counts(h) == ("tampered", 2, 2)
    before = h.value("SELECT clock_timestamp()")
    assert acknowledge(h, "disk failure, ticket 4711") == 2
    assert counts(h) == ("tampered", 2, 0)
    assert h.value("SELECT seal.is_intact()") is False
    step = h.value("SELECT next_step FROM seal.verify_history()")
    assert step == "every finding is acknowledged: SELECT * FROM seal.findings(history => 'public.h')"
    (at,) = h.rows("SELECT at FROM seal.journal WHERE kind = 'acknowledge'")[0]
    assert before < at
    for detail in details(h):
        (text,) = re.findall(r" \(acknowledged by postgres at (\S+): disk failure, ticket 4711\)$", detail)
        assert datetime.fromisoformat(text) == at
    places = h.rows("SELECT kind, chain, position, last_position FROM seal.findings()")
    assert places == [("missing", chain(h), 3, 4), ("modified", chain(h), 6, None)]


def test_some_of_them(trial: Database) -> None:
    assert acknowledge(trial, kind="missing") == 1
    assert counts(trial) == ("tampered", 2, 1)
    assert "cause not determined" in trial.value("SELECT next_step FROM seal.verify_history()")
    filed = [detail for detail in details(trial) if "(acknowledged by" in detail]
    assert len(filed) == 1 and "removed" in filed[0]
    assert acknowledge(trial) == 1
    assert counts(trial) == ("tampered", 2, 0)


@pytest.mark.parametrize(
    ("filters", "taken"),
    [
        ({"kind": "missing"}, 1),
        ({"kind": "modified"}, 1),
        ({"kind": "forged"}, 0),
        ({"entry": 6}, 1),
        ({"entry": 3}, 1),
        ({"entry": 4}, 0),
        ({"entry": -6}, 0),
        ({"kind": "missing", "entry": 6}, 0),
        ({"kind": "modified", "entry": 6}, 1),
        ({"chain": "main.00000000"}, 0),
        ({"kind": "Missing"}, 0),
    ],
)
def test_filters(trial: Database, filters: dict[str, Any], taken: int) -> None:
    with notices(trial) as heard:
        assert acknowledge(trial, **filters) == taken
    said = [notice.message for notice in heard]
    assert said == ([] if taken else ["no new finding matches, nothing was acknowledged"])
    assert counts(trial) == ("tampered", 2, 2 - taken)
    assert acknowledge(trial, chain=chain(trial)) == 2 - taken
    assert acknowledge(trial) == 0


@pytest.mark.parametrize("reason", ["''", "' '", "E'\\n\\t '", "NULL", "E'\\u00a0\\u2003'"])
def test_not_without_a_reason(shared: Database, reason: str) -> None:
    before = top(shared)
    refused = refusal(shared, f"SELECT seal.acknowledge({reason}, 'h')")
    assert (refused.state, refused.message) == ("22023", "a finding cannot be acknowledged without a reason")
    assert "seal.acknowledge(" in refused.hint
    assert top(shared) == before


def test_not_without_a_history(shared: Database) -> None:
    assert refusal(shared, "SELECT seal.acknowledge('x', NULL)").state == "22004"
    refused = refusal(shared, "SELECT seal.acknowledge('x', 'pg_class')")
    assert refused.state == "42704" and "is not attached" in refused.message
    assert refusal(shared, "SELECT seal.acknowledge('x', 'nowhere')").state == "42P01"


def test_in_a_transaction_that_is_rolled_back(trial: Database) -> None:
    """Seen inside, with a time; afterwards it never was."""
    assert acknowledge(trial) == 2
    assert counts(trial) == ("tampered", 2, 0)
    assert all("(acknowledged by postgres at 2" in detail for detail in details(trial))


@pytest.mark.parametrize(("role", "may"), [("auditor", True), ("admin", True), ("operator", False), ("", False)])
def test_who_may(h: Database, roles: Roles, role: str, may: bool) -> None:
    session = roles.session("someone", member_of=f"pgseal_{role}" if role else "")
    if not may:
        assert refusal(session, "SELECT seal.acknowledge('x', 'h'::regclass)").state == "42501"
        assert counts(h) == ("tampered", 2, 2)
        return
    assert session.execute("SELECT seal.acknowledge('by role', 'h')").fetchone() == (2,)
    assert counts(h) == ("tampered", 2, 0)
    assert all(f"(acknowledged by {session.info.user} at " in detail for detail in details(h))
    assert h.value("SELECT who FROM seal.journal WHERE kind = 'acknowledge'") == session.info.user


def test_the_same_entry_changed_once_more_is_new(trial: Database) -> None:
    acknowledge(trial)
    attack(trial, "UPDATE h SET p = 'changed again' WHERE id = 6")
    assert counts(trial) == ("tampered", 2, 1)
    assert acknowledge(trial, "again") == 1
    attack(trial, "UPDATE h SET p = 'changed' WHERE id = 6")
    # As it was when it was filed at first.
    assert counts(trial) == ("tampered", 2, 0)
    attack(trial, "UPDATE h SET tenant = 'other' WHERE id = 6")
    assert counts(trial) == ("tampered", 2, 1)


def test_another_finding_at_the_same_place_is_new(trial: Database) -> None:
    acknowledge(trial)
    attack(trial, "DELETE FROM h WHERE id = 6")
    assert counts(trial) == ("tampered", 2, 1)
    assert ("missing", chain(trial), 6) in trial.rows("SELECT kind, chain, position FROM seal.findings()")


def test_more_removed_beside_it_is_new(trial: Database) -> None:
    acknowledge(trial, kind="missing")
    attack(trial, "DELETE FROM h WHERE id = 5")
    assert counts(trial)[1:] == (2, 2)


def test_another_row_at_a_filed_gap_is_new(trial: Database) -> None:
    acknowledge(trial)
    attack(trial, "INSERT INTO h SELECT 3, tenant, p, seal_chain, 3, seal_epoch, seal_anchor, seal_at, seal_prev,"
              " seal_mac FROM h WHERE id = 5")  # fmt: skip
    verdict, _, new = counts(trial)
    assert verdict == "tampered" and new >= 1


def test_not_in_advance(db: Database) -> None:
    history(db)
    db.run("INSERT INTO h SELECT g, 'x' FROM generate_series(1, 5) g")
    assert acknowledge(db) == 0
    assert acknowledge(db, kind="missing", entry=3) == 0
    assert kinds(db) == ["epoch", "attach"]
    attack(db, "DELETE FROM h WHERE id = 3")
    assert counts(db) == ("tampered", 1, 1)


def test_what_concerns_pgseals_own_records(db: Database) -> None:
    """An entry of the journal changed, filed, changed again: new."""
    history(db)
    history(db, "g")
    db.run("UPDATE seal.journal SET sentence = 'x' WHERE seq = 4")
    assert acknowledge(db) >= 1
    assert counts(db)[2] == 0
    # In the other history nobody has filed it.
    assert db.value("SELECT findings_new FROM seal.verify_history(history => 'g')") >= 1
    db.run("UPDATE seal.journal SET sentence = 'y' WHERE seq = 4")
    assert counts(db)[2] == 1


def test_what_stands_for_the_whole_history(db: Database) -> None:
    """Marked as detached by somebody: can be filed like all the rest, once."""
    history(db)
    db.run("UPDATE seal.history SET detached_at = now(), detached_by = 'somebody'")
    assert counts(db) == ("tampered", 1, 1)
    assert acknowledge(db) == 1
    assert counts(db) == ("tampered", 1, 0)
    assert acknowledge(db) == 0
    assert "(acknowledged by postgres at " in details(db)[0]


def test_it_is_of_this_history_only(h: Database) -> None:
    history(h, "other")
    h.run("INSERT INTO other SELECT g, 'x' FROM generate_series(1, 9) g")
    with triggers_off(h.connection, "other"):
        h.run("DELETE FROM other WHERE id IN (3, 4)")
    acknowledge(h)
    assert h.value("SELECT findings_new FROM seal.verify_history(history => 'other')") == 1


def test_a_tenants_answer(trial: Database) -> None:
    acknowledge(trial)
    (row,) = trial.rows("SELECT verdict, findings, findings_new FROM seal.verify_history('acme')")
    assert row[0] == "tampered" and row[1] >= 1 and row[2] == 0


def test_all_mended_is_intact_again(h: Database) -> None:
    """Whoever has the rows puts them back; what was filed then is no matter."""
    acknowledge(h, kind="modified")
    attack(h, "UPDATE h SET p = 'p6' WHERE id = 6")
    assert counts(h) == ("tampered", 1, 1)
    history(h, "clean")
    h.run("INSERT INTO clean VALUES (1, 'x')")
    assert_intact(h, history="clean")
