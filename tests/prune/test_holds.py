"""Holds: what they protect, who sets and lifts them, and what the journal says of it."""

from __future__ import annotations

import pytest

from support.anchoring import settle
from support.clock import Clock
from support.database import Database
from support.journaling import entries, kinds, top
from support.pruning import aged, assert_nothing_pruned, assert_pruned, assert_whole, chain, prune, remaining
from support.refusal import BAD_PARAMETER, refusal, refused_without_trace
from support.roles import Roles
from support.windows import add, later, ledger


def tenants(db: Database, clock: Clock, *order: str) -> str:
    """Old entries of these tenants, one each, in one chain, and a new one."""
    ledger(db)
    for number, tenant in enumerate(order, 1):
        add(db, number, number, tenant)
    later(db, clock, 13)
    add(db, len(order) + 1, len(order) + 1)
    settle(db, "h")
    return chain(db)


def hold(db: Database, tenant: str | None, reason: str = "case 12/26") -> str:
    return str(db.value("SELECT seal.hold('h', %s, %s)", [tenant, reason]))


def release(db: Database, tenant: str | None, reason: str = "case closed") -> str:
    return str(db.value("SELECT seal.release('h', %s, %s)", [tenant, reason]))


def holds(db: Database) -> list[tuple[str, str | None, str, str]]:
    return db.rows("SELECT history, tenant, reason, held_by FROM seal.holds ORDER BY tenant")


def test_the_whole_history(db: Database, clock: Clock) -> None:
    name = aged(db, clock)
    hold(db, None)
    assert holds(db) == [("public.h", None, "case 12/26", "postgres")]
    run = prune(db)
    assert run["verdict"] == "intact"
    assert_nothing_pruned(db, run)
    assert "hold" in run["next_step"] and "case 12/26" in run["next_step"]
    release(db, None)
    assert holds(db) == []
    assert_pruned(db, prune(db), {name: (1, 5)}, left=3)


def test_dry_run_respects_it(db: Database, clock: Clock) -> None:
    name = tenants(db, clock, "acme", "acme", "held", "acme")
    hold(db, "held")
    assert prune(db, dry=True)["cuts"] == {name: [1, 2]}


def test_a_tenant_and_all_above_it(db: Database, clock: Clock) -> None:
    """A chain loses a prefix only, so that what stands above the tenant's first entry stays, too."""
    name = tenants(db, clock, "acme", "acme", "held", "acme", "held", "acme")
    hold(db, "held")
    assert_pruned(db, prune(db), {name: (1, 2)}, left=5)
    assert remaining(db) == [3, 4, 5, 6, 7]
    assert prune(db)["pruned"] == 0
    release(db, "held")
    assert_pruned(db, prune(db), {name: (3, 6)}, left=1)


def test_two_tenants(db: Database, clock: Clock) -> None:
    name = tenants(db, clock, "acme", "one", "acme", "two", "acme")
    hold(db, "one", "case 1")
    hold(db, "two", "case 2")
    assert holds(db) == [("public.h", "one", "case 1", "postgres"), ("public.h", "two", "case 2", "postgres")]
    assert prune(db)["cuts"] == {name: [1, 1]}
    release(db, "one")
    assert prune(db)["cuts"] == {name: [2, 3]}
    release(db, "two")
    assert_pruned(db, prune(db), {name: (4, 5)}, left=1)


def test_a_tenant_beside_the_whole_history(db: Database, clock: Clock) -> None:
    """One is lifted, the other stays."""
    name = tenants(db, clock, "acme", "held", "acme")
    hold(db, "held")
    hold(db, None, "audit")
    release(db, "held")
    assert_nothing_pruned(db, prune(db), left=4)
    hold(db, "held")
    release(db, None)
    assert_pruned(db, prune(db), {name: (1, 1)}, left=3)


def test_other_chains_are_pruned(db: Database, clock: Clock) -> None:
    ledger(db)
    writers = [db.connect(autocommit=False) for _ in range(2)]
    for number, writer in enumerate(writers):
        writer.execute(
            f"INSERT INTO h SELECT g, CASE g WHEN 12 THEN 'held' ELSE 'acme' END, 'x'"
            f" FROM generate_series({10 * number + 1}, {10 * number + 4}) g".encode()
        )
    for writer in writers:
        writer.commit()
    later(db, clock, 13)
    add(db, 30, 30)
    settle(db, "h")
    hold(db, "held")
    base = str(db.value("SELECT seal_chain FROM h WHERE id = 1"))
    assert_pruned(db, prune(db), {base: (1, 4), f"{base}/1": (1, 1)}, left=4)


def test_a_tenant_that_has_no_entry(db: Database, clock: Clock) -> None:
    """It may come yet; what is there is not kept by it."""
    name = aged(db, clock)
    hold(db, "later")
    assert len(holds(db)) == 1
    assert_pruned(db, prune(db), {name: (1, 5)}, left=3)


@pytest.mark.parametrize("tenant", ["o'brien", "", 'a "b" \\ c', "tab\there", "ünïcode", "held   "])
def test_names_of_tenants(db: Database, clock: Clock, tenant: str) -> None:
    ledger(db)
    db.run("INSERT INTO h VALUES (1, 'acme', 'x')")
    db.run("INSERT INTO h VALUES (2, %s, 'x')", [tenant])
    later(db, clock, 13)
    hold(db, tenant)
    assert db.value("SELECT tenant FROM seal.holds") == tenant
    assert_pruned(db, prune(db), {chain(db): (1, 1)}, left=1)


@pytest.mark.parametrize(("type_name", "value"), [("int", "7"), ("uuid", "6f0ad9a0-0000-4000-8000-000000000007"),
                                                  ("char(8)", "held"), ("varchar", "held")])  # fmt: skip
def test_types_of_tenants(db: Database, clock: Clock, type_name: str, value: str) -> None:
    db.run(f"CREATE TABLE h (id int PRIMARY KEY, tenant {type_name}, note text)")
    db.run("SELECT seal.attach('h', 'tenant', window_months => 12)")
    db.run("INSERT INTO h VALUES (1, NULL, 'x')")
    db.run(f"INSERT INTO h VALUES (2, '{value}', 'x')")
    later(db, clock, 13)
    hold(db, value)
    assert_pruned(db, prune(db), {chain(db): (1, 1)}, left=1)


def test_a_renamed_column(db: Database, clock: Clock) -> None:
    """The hold is on the tenant, whatever the column is called."""
    name = tenants(db, clock, "acme", "held", "acme")
    hold(db, "held")
    db.run("ALTER TABLE h RENAME COLUMN tenant TO customer; ALTER TABLE h RENAME TO history")
    assert prune(db, "history")["cuts"] == {name: [1, 1]}
    assert db.rows("SELECT history, tenant FROM seal.holds") == [("public.history", "held")]


@pytest.mark.parametrize("tenant", ["'acme'", "NULL"])
def test_while_a_run_is_deleting(db: Database, clock: Clock, tenant: str) -> None:
    """Whoever was told that something is on hold must not lose it to a run that had begun before."""
    aged(db, clock)
    pruner, holder = db.connect(autocommit=False), db.connect()
    pruner.execute("SELECT * FROM seal.verify_and_prune('h')")
    holder.execute("SET lock_timeout = '500ms'")
    refused = refusal(holder, f"SELECT seal.hold('h', {tenant}, 'case')")
    assert refused.state in ("55006", "55P03"), refused
    pruner.rollback()
    db.run(f"SELECT seal.hold('h', {tenant}, 'case')")
    assert_nothing_pruned(db, prune(db))


def test_they_are_journaled(db: Database, clock: Clock) -> None:
    aged(db, clock)
    before = top(db)
    hold(db, "acme", "case 12/26")
    release(db, "acme", "settled")
    first, second = entries(db, before)
    assert (first[:3], second[:3]) == (("postgres", "hold", "public.h"), ("postgres", "release", "public.h"))
    assert "acme" in first[3] and "case 12/26" in first[3]
    assert "acme" in second[3] and "settled" in second[3]
    details = db.rows("SELECT details->>'tenant', details->>'reason' FROM seal.journal WHERE seq > %s", [before])
    assert details == [("acme", "case 12/26"), ("acme", "settled")]


@pytest.mark.parametrize("reason", ["", "   "])
def test_without_a_reason(db: Database, clock: Clock, reason: str) -> None:
    ledger(db)
    hold(db, "acme")
    before = top(db)
    for function in ("hold", "release"):
        for tenant in ("'acme'", "NULL"):
            refused = refused_without_trace(db, "h", f"SELECT seal.{function}('h', {tenant}, '{reason}')")
            assert refused.state == BAD_PARAMETER
            assert "reason" in refused.message and f"seal.{function}(" in refused.hint
    assert (top(db), len(holds(db))) == (before, 1)


def test_released_without_a_hold(db: Database, clock: Clock) -> None:
    """A release that would lift nothing is a mistake: another tenant, or the whole history was meant."""
    ledger(db)
    hold(db, "acme")
    before = top(db)
    for tenant in ("'other'", "NULL"):
        refused = refusal(db, f"SELECT seal.release('h', {tenant}, 'over')")
        assert refused.state == "42704" and "seal.holds" in refused.hint
    assert (top(db), len(holds(db))) == (before, 1)


def test_a_tenant_where_there_is_no_column_for_it(db: Database) -> None:
    db.run("CREATE TABLE h (id int); SELECT seal.attach('h', window_months => 12)")
    refused = refused_without_trace(db, "h", "SELECT seal.hold('h', 'acme', 'case')")
    assert refused.state == BAD_PARAMETER and "tenant" in refused.message


def test_rolled_back(db: Database, clock: Clock) -> None:
    name = aged(db, clock)
    with db.connection.transaction(force_rollback=True):
        hold(db, None)
        assert len(holds(db)) == 1
    assert (holds(db), "hold" in kinds(db)) == ([], False)
    assert_pruned(db, prune(db), {name: (1, 5)}, left=3)


@pytest.mark.parametrize("how", ["restart", "crash"])
def test_it_survives(db: Database, clock: Clock, how: str) -> None:
    name = tenants(db, clock, "acme", "held", "acme")
    hold(db, "held")
    db.cluster.crash() if how == "crash" else db.cluster.restart()
    assert_pruned(db, prune(db), {name: (1, 1)}, left=3)
    assert_whole(db, {name: 1}, left=3)


def test_who_may(db: Database, roles: Roles) -> None:
    ledger(db)
    operator = roles.session("operator", member_of="pgseal_operator")
    auditor = roles.session("auditor", member_of="pgseal_auditor")
    plain = roles.session("plain")
    operator.execute("SELECT seal.hold('h', 'acme', 'case 12/26')")
    assert holds(db) == [("public.h", "acme", "case 12/26", operator.info.user)]
    for session in (auditor, plain):
        for function in ("hold", "release"):
            assert refusal(session, f"SELECT seal.{function}('h', 'acme', 'x')").state == "42501"
    assert auditor.execute("SELECT tenant FROM seal.holds").fetchall() == [("acme",)]
    operator.execute("SELECT seal.release('h', 'acme', 'closed')")
    assert holds(db) == []
