"""A history partitioned by time: whole partitions go, the definition stays what the journal says, writers go on."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from support.anchoring import settle
from support.clock import Clock
from support.database import Database
from support.journal import definition_changes, forget
from support.journaling import found, journal_is_whole
from support.pruning import assert_nothing_pruned, assert_pruned, assert_whole, prune, remaining
from support.refusal import refusal
from support.sealing import run
from support.windows import damage

MONTHS = ("date", "timestamp", "timestamptz")


def partitioned(db: Database, clock: Clock, type_name: str = "date", window: int = 12) -> date:
    """h with a partition for each quarter of two years from today on: h0 to h7, and one for all that is later."""
    start = clock.now().date()
    db.run(f"CREATE TABLE h (id int, at {type_name}, tenant text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)")
    for quarter in range(8):
        first, last = (start + timedelta(days=91 * n) for n in (quarter, quarter + 1))
        first = first if quarter else start - timedelta(days=2)
        db.run(f"CREATE TABLE h{quarter} PARTITION OF h FOR VALUES FROM ('{first}') TO ('{last}')")
    db.run(f"CREATE TABLE later PARTITION OF h FOR VALUES FROM ('{start + timedelta(days=728)}') TO (MAXVALUE)")
    db.run(f"SELECT seal.attach('h', 'tenant', window_months => {window})")
    forget(db)
    return start


def add(db: Database, clock: Clock, *ids: int, tenant: str = "acme") -> None:
    for row in ids:
        db.run("INSERT INTO h VALUES (%s, %s, %s)", [row, clock.now().date(), tenant])


def quarters(db: Database, clock: Clock, count: int) -> str:
    """Two entries in each of the first so many quarters, in one chain; returns its name."""
    for quarter in range(count):
        if quarter:
            settle(db, "h")
            clock.forward(days=91)
        add(db, clock, 2 * quarter + 1, 2 * quarter + 2)
    settle(db, "h")
    clock.forward(days=5)
    return str(db.value("SELECT DISTINCT seal_chain FROM h"))


def leaves(db: Database) -> list[str]:
    return [name for (name,) in db.rows(
        "SELECT relid::regclass::text FROM pg_partition_tree('h') WHERE isleaf ORDER BY 1"
    )]  # fmt: skip


def everything_of(db: Database, *names: str) -> list[Any]:
    return db.rows("SELECT relname FROM pg_class WHERE relname = ANY (%s)", [list(names)])


@pytest.mark.parametrize("type_name", MONTHS)
def test_whole_partitions(db: Database, clock: Clock, type_name: str) -> None:
    """Seven quarters: the window reaches back into the third, so that the first two are dropped."""
    partitioned(db, clock, type_name)
    name = quarters(db, clock, 7)
    dry = prune(db, dry=True)
    assert (dry["cuts"], dry["pruned"]) == ({name: [1, 4]}, 4)
    assert "h0" in leaves(db)
    assert_pruned(db, prune(db), {name: (1, 4)}, left=10)
    assert leaves(db) == ["h2", "h3", "h4", "h5", "h6", "h7", "later"]
    assert everything_of(db, "h0", "h1", "h0_pkey", "h1_pkey") == []
    journal_is_whole(db)
    add(db, clock, 15)
    assert_whole(db, {name: 4}, left=11)


def test_the_definition_is_journaled(db: Database, clock: Clock) -> None:
    partitioned(db, clock)
    quarters(db, clock, 7)
    assert definition_changes(db) == []
    prune(db)
    changes = definition_changes(db)
    assert len(changes) == 1 and "h0" in changes[0]["sentence"] and "h1" in changes[0]["sentence"]
    assert found(db) == []
    db.run("CREATE INDEX ON h (tenant)")
    assert found(db) == []
    db.cluster.crash()
    assert found(db) == []


def test_a_second_run(db: Database, clock: Clock) -> None:
    partitioned(db, clock)
    name = quarters(db, clock, 7)
    prune(db)
    assert prune(db)["pruned"] == 0
    clock.forward(days=91)
    add(db, clock, 15)
    settle(db, "h")
    assert_pruned(db, prune(db), {name: (5, 6)}, left=9)
    assert leaves(db) == ["h3", "h4", "h5", "h6", "h7", "later"]


def test_a_partition_that_is_not_quite_over(db: Database, clock: Clock) -> None:
    """Rows of it may be old enough; it stays as a whole."""
    partitioned(db, clock)
    add(db, clock, 1)
    settle(db, "h")
    clock.forward(days=380)
    add(db, clock, 2)
    settle(db, "h")
    assert_nothing_pruned(db, prune(db), left=2)
    assert "h0" in leaves(db)


def test_an_old_partition_with_a_late_entry(db: Database, clock: Clock) -> None:
    """Its time is old, but it was sealed today."""
    start = partitioned(db, clock)
    name = quarters(db, clock, 7)
    db.run("INSERT INTO h VALUES (99, %s, 'late')", [start + timedelta(days=100)])
    assert_pruned(db, prune(db), {name: (1, 2)}, left=13)
    assert "h1" in leaves(db) and "h0" not in leaves(db)


def test_a_hold(db: Database, clock: Clock) -> None:
    partitioned(db, clock)
    add(db, clock, 1)
    settle(db, "h")
    clock.forward(days=91)
    add(db, clock, 2, tenant="held")
    settle(db, "h")
    clock.forward(days=91 * 6)
    add(db, clock, 3)
    settle(db, "h")
    db.run("SELECT seal.hold('h', 'held', 'case')")
    name = str(db.value("SELECT DISTINCT seal_chain FROM h"))
    assert_pruned(db, prune(db), {name: (1, 1)}, left=2)
    db.run("SELECT seal.release('h', 'held', 'closed')")
    assert_pruned(db, prune(db), {name: (2, 2)}, left=1)
    assert remaining(db) == [3]


def test_a_finding(db: Database, clock: Clock) -> None:
    partitioned(db, clock)
    name = quarters(db, clock, 7)
    damage(db, "UPDATE h SET tenant = 'x' WHERE id = 3")
    outcome = prune(db)
    assert (outcome["verdict"], outcome["findings_new"]) == ("intact_in_window", 1)
    assert_nothing_pruned(db, outcome, left=14)
    db.run("SELECT seal.acknowledge('known', 'h')")
    assert prune(db)["cuts"] == {name: [1, 2]}
    assert "h0" not in leaves(db) and "h1" in leaves(db)
    assert found(db, "h") == [("modified", name, 3, None)]


@pytest.mark.parametrize("action", ["NO ACTION", "CASCADE"])
def test_a_foreign_key(db: Database, clock: Clock, action: str) -> None:
    """Rows that point into a partition are neither left behind nor taken along."""
    partitioned(db, clock)
    name = quarters(db, clock, 7)
    db.run(f"CREATE TABLE detail (id int, at date, FOREIGN KEY (id, at) REFERENCES h ON DELETE {action})")
    db.run("INSERT INTO detail SELECT id, at FROM h WHERE id = 2")
    if action == "CASCADE":
        outcome = prune(db)
        assert "detail_id_at_fkey" in outcome["next_step"]
        assert_nothing_pruned(db, outcome, left=14)
    else:
        refused = refusal(db, "SELECT * FROM seal.verify_and_prune('h')")
        assert refused.state == "23503" and "detail" in refused.text, refused
    assert (len(db.rows("TABLE detail")), len(leaves(db))) == (1, 9)
    assert_whole(db, {}, left=14)
    if action == "NO ACTION":
        db.run("DELETE FROM detail")
        assert_pruned(db, prune(db), {name: (1, 4)}, left=10)


def test_a_view_on_a_partition(db: Database, clock: Clock) -> None:
    """It is not taken along."""
    partitioned(db, clock)
    quarters(db, clock, 7)
    db.run("CREATE VIEW first_quarter AS SELECT id FROM h0")
    refused = refusal(db, "SELECT * FROM seal.verify_and_prune('h')")
    assert refused.state == "2BP01" and "first_quarter" in refused.text
    assert_whole(db, {}, left=14)


@pytest.mark.parametrize("holder", ["SELECT FROM h LIMIT 1", "INSERT INTO h VALUES (77, now()::date, 'other')"])
def test_no_writer_waits_for_it(db: Database, clock: Clock, holder: str) -> None:
    """An open transaction is in its way; others do not queue behind it. It goes on when that is over."""
    partitioned(db, clock)
    name = quarters(db, clock, 7)
    reader, writer, pruner = db.connect(autocommit=False), db.connect(), db.connect()
    reader.execute(holder.encode())
    writer.execute("SET lock_timeout = '1s'")
    with pruner.pipeline():
        answer = pruner.execute("SELECT cuts FROM seal.verify_and_prune('h')")
        pruner.pgconn.send_flush_request()
        pruner.pgconn.flush()
        for row in range(100, 120):
            run(writer, f"INSERT INTO h VALUES ({row}, now()::date, 'beside'), ({row + 100}, now()::date, 'beside')")
        reader.commit()
        assert answer.fetchall() == [({name: [1, 4]},)]
    settle(db, "h")
    assert_whole(db, {name: 4}, left=50 + holder.startswith("INSERT"))


def test_another_history_that_takes_long(db: Database, clock: Clock) -> None:
    """Its partitions are gone; while rows of another one are deleted, nobody waits for a lock on this one."""
    partitioned(db, clock)
    db.run("CREATE TABLE slow (id int); SELECT seal.attach('slow', window_months => 12)")
    db.run("INSERT INTO slow SELECT g FROM generate_series(1, 30) g")
    quarters(db, clock, 7)
    db.run(
        """CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN PERFORM pg_sleep(0.1); RETURN OLD; END $$;
           CREATE TRIGGER wait BEFORE DELETE ON slow FOR EACH ROW EXECUTE FUNCTION wait()"""
    )
    writer, pruner = db.connect(), db.connect()
    writer.execute("SET lock_timeout = '1s'")
    with pruner.pipeline():
        answer = pruner.execute("SELECT pruned FROM seal.verify_and_prune() ORDER BY pruned")
        pruner.pgconn.send_flush_request()
        pruner.pgconn.flush()
        for row in range(100, 130):
            run(writer, f"INSERT INTO h VALUES ({row}, now()::date, 'beside')", "SELECT pg_sleep(0.05)")
        assert answer.fetchall() == [(4,), (30,)]


def test_not_by_time(db: Database, clock: Clock) -> None:
    """Partitions by anything else: rows are deleted, partitions stay."""
    db.run("CREATE TABLE h (id int, k int, PRIMARY KEY (id, k)) PARTITION BY LIST (k)")
    for k in range(2):
        db.run(f"CREATE TABLE h{k} PARTITION OF h FOR VALUES IN ({k})")
    db.run("SELECT seal.attach('h', window_months => 12)")
    db.run("INSERT INTO h SELECT g, g % 2 FROM generate_series(1, 5) g")
    settle(db, "h")
    clock.forward(days=400)
    db.run("INSERT INTO h SELECT g, g % 2 FROM generate_series(6, 8) g")
    settle(db, "h")
    name = str(db.value("SELECT DISTINCT seal_chain FROM h"))
    assert_pruned(db, prune(db), {name: (1, 5)}, left=3)
    assert leaves(db) == ["h0", "h1"]
