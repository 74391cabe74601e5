"""seal.set_window: what it takes, who may, what is journaled, and what follows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.clock import Clock
from support.database import Database
from support.journaling import entries, found, top
from support.refusal import BAD_PARAMETER, Refusal, notices, refusal, refused_without_trace
from support.roles import Roles
from support.sealing import refused
from support.windows import assert_before, assert_found, assert_in_window, damage, ledger, years

CHANGED = "UPDATE h SET note = 'x' WHERE id = {}"


def set_window(db: Database, months: int | None) -> str:
    return str(db.value("SELECT seal.set_window('h', %s)", [months]))


def window(db: Database) -> int | None:
    found: int | None = db.value("SELECT window_months FROM seal.history WHERE detached_at IS NULL")
    return found


def start_is_months_ago(db: Database, months: int) -> bool:
    query = "SELECT window_start - (now() - make_interval(months => %s)) FROM seal.verify_history()"
    return bool(abs(db.value(query, [months]).total_seconds()) < 60)


@pytest.mark.parametrize("months", [12, 13, 24, 1200])
def test_months(db: Database, months: int) -> None:
    ledger(db, None)
    db.run("INSERT INTO h VALUES (1, 'acme', 'x')")
    assert db.value("SELECT window_start FROM seal.verify_history()") is None
    with notices(db) as heard:
        assert str(months) in set_window(db, months)
    assert heard == []
    assert window(db) == months
    assert start_is_months_ago(db, months)
    assert found(db) == []


def fewer_by_set(db: Database, months: int) -> list[Refusal]:
    ledger(db, 24)
    with notices(db) as heard:
        assert "12" in set_window(db, months)
    return heard


def fewer_by_attach(db: Database, months: int) -> list[Refusal]:
    with notices(db) as heard:
        ledger(db, months)
    return heard


@pytest.mark.parametrize("months", [1, 6, 11])
@pytest.mark.parametrize("way", [fewer_by_set, fewer_by_attach])
def test_less_than_a_year_becomes_a_year(db: Database, way: Callable[..., list[Refusal]], months: int) -> None:
    heard = [said for said in way(db, months) if "window" in said.message]
    assert [(said.state, said.message) for said in heard] == [
        ("00000", f"the window of {months} months was raised to 12")
    ]
    assert window(db) == 12
    assert found(db) == []


@pytest.mark.parametrize("months", [0, -1, -12, 1201, 2147483647])
def test_out_of_range(db: Database, months: int) -> None:
    ledger(db, 24)
    before = top(db)
    said = refused_without_trace(db, "h", f"SELECT seal.set_window('h', {months})")
    assert (said.state, window(db), top(db)) == (BAD_PARAMETER, 24, before)
    assert str(months) in said.message


def test_none(db: Database, clock: Clock) -> None:
    """Without a window everything counts."""
    years(db, clock)
    damage(db, CHANGED.format(2))
    assert_before(db, ("modified", 2))
    set_window(db, None)
    assert window(db) is None
    assert_in_window(db, ("modified", 2))
    set_window(db, 12)
    assert_before(db, ("modified", 2))


def test_wider_and_narrower(db: Database, clock: Clock) -> None:
    """Entries of 16 and 8 months ago: 24 months reach all of them, 12 the younger ones."""
    years(db, clock, 24)
    damage(db, CHANGED.format(2), CHANGED.format(6))
    assert_in_window(db, ("modified", 2), ("modified", 6))
    set_window(db, 12)
    assert_found(db, (("modified", 2), False), (("modified", 6), True))
    set_window(db, 17)
    assert_in_window(db, ("modified", 2), ("modified", 6))


def test_it_is_journaled(db: Database) -> None:
    ledger(db)
    before = top(db)
    for months in (24, None, 3):
        set_window(db, months)
    journaled = entries(db, before)
    assert [(who, kind, history) for who, kind, history, _ in journaled] == [("postgres", "window", "public.h")] * 3
    sentences = [sentence for *_, sentence in journaled]
    assert "24 months" in sentences[0] and "12 months" in sentences[2]
    details = db.rows("SELECT (details->>'months')::int FROM seal.journal WHERE seq > %s ORDER BY seq", [before])
    assert details == [(24,), (None,), (12,)]
    assert found(db) == []


def test_rolled_back(db: Database) -> None:
    ledger(db)
    before = top(db)
    with db.connection.transaction(force_rollback=True):
        set_window(db, 36)
        assert window(db) == 36
        assert found(db) == []
    assert (window(db), top(db)) == (12, before)
    assert found(db) == []


@pytest.mark.parametrize("how", ["restart", "crash"])
def test_it_survives(db: Database, how: str) -> None:
    ledger(db)
    db.run("INSERT INTO h VALUES (1, 'acme', 'x')")
    set_window(db, 36)
    db.cluster.crash() if how == "crash" else db.cluster.restart()
    assert window(db) == 36
    assert start_is_months_ago(db, 36)
    assert found(db) == []


def test_a_partition_means_its_history(db: Database) -> None:
    db.run("CREATE TABLE h (id int) PARTITION BY RANGE (id); CREATE TABLE h1 PARTITION OF h FOR VALUES FROM (0) TO (9)")
    db.run("SELECT seal.attach('h')")
    db.run("SELECT seal.set_window('h1', 24)")
    assert window(db) == 24
    assert found(db) == []


def test_a_table_that_is_no_history(db: Database) -> None:
    ledger(db)
    db.run("CREATE TABLE t (id int)")
    assert refusal(db, "SELECT seal.set_window('t', 24)").state == refusal(db, "SELECT seal.detach('t')").state
    with refused("42P01", "nowhere"):
        db.run("SELECT seal.set_window('nowhere', 24)")


def test_who_may(db: Database, roles: Roles) -> None:
    """Administrators whose table it is, and superusers; a window decides what is deleted."""
    ledger(db)
    admin = roles.owner()
    db.run(f"ALTER TABLE h OWNER TO {admin.info.user}")
    admin.execute("SELECT seal.set_window('h', 24)")
    before = top(db)
    for group in ("pgseal_auditor", "pgseal_operator", ""):
        session = roles.session(group or "plain", member_of=group)
        assert refusal(session, "SELECT seal.set_window('h', 36)").state == "42501"
    assert (window(db), top(db)) == (24, before)
    assert entries(db)[-1][:2] == (admin.info.user, "window")
    db.run("SELECT seal.set_window('h', 36)")
    assert window(db) == 36
