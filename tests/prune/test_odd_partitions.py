"""Histories partitioned by time in less usual ways."""

from __future__ import annotations

import time
from datetime import timedelta

from support.anchoring import settle
from support.clock import Clock
from support.database import Database
from support.journaling import journal_is_whole
from support.pruning import assert_whole, prune
from support.sealing import background, run
from support.windows import MONTH

TIME = "FROM ('{}') TO ('{}')"


def leaves(db: Database) -> list[str]:
    return [name for (name,) in db.rows("SELECT relid::regclass::text FROM pg_partition_tree('h') WHERE isleaf ORDER BY 1")]


def two_years(db: Database, clock: Clock, *, more: str = "") -> str:
    """h with a partition for each of two years, each with one more level by tenant, and two entries of each tenant in
    each year, in one chain; its name."""
    start = clock.now().date()
    db.run("CREATE TABLE h (id int, at date, tenant text, PRIMARY KEY (id, at, tenant)) PARTITION BY RANGE (at)")
    for year in range(2):
        first, last = (start + timedelta(days=400 * n - 2) for n in (year, year + 1))
        db.run(f"CREATE TABLE y{year} PARTITION OF h FOR VALUES {TIME.format(first, last)} PARTITION BY LIST (tenant)")
        for tenant in ("a", "b", "c"):
            db.run(f"CREATE TABLE y{year}{tenant} PARTITION OF y{year} FOR VALUES IN ('{tenant}')")
    if more:
        db.run(more)
    db.run("SELECT seal.attach('h', 'tenant', window_months => 12)")
    for year in range(2):
        db.run(
            f"INSERT INTO h SELECT {10 * year} + g, '{clock.now().date()}', CASE WHEN g > 2 THEN 'b' ELSE 'a' END"
            " FROM generate_series(1, 4) g"
        )
        settle(db, "h")
        clock.forward(days=400)
    return str(db.value("SELECT DISTINCT seal_chain FROM h"))


def test_partitions_of_partitions(db: Database, clock: Clock) -> None:
    name = two_years(db, clock)
    dry = prune(db, dry=True)
    assert dry["cuts"] == {name: [1, 4]}
    assert prune(db)["cuts"] == {name: [1, 4]}
    assert not {"y0a", "y0b"} & set(leaves(db)) and {"y1a", "y1b", "y1c"} <= set(leaves(db))
    assert_whole(db, {name: 4}, left=4)
    journal_is_whole(db)
    db.run(f"INSERT INTO h VALUES (99, '{clock.now().date() - timedelta(days=400)}', 'c')")
    assert_whole(db, {name: 4}, left=5)


def test_a_hold_in_one_of_them(db: Database, clock: Clock) -> None:
    """Tenant b's two entries follow those of a in their chain."""
    name = two_years(db, clock)
    db.run("SELECT seal.hold('h', 'b', 'case')")
    assert prune(db)["cuts"] == {name: [1, 2]}
    assert "y0a" not in leaves(db) and "y0b" in leaves(db)
    db.run("SELECT seal.release('h', 'b', 'closed')")
    assert prune(db)["cuts"] == {name: [3, 4]}
    assert_whole(db, {name: 4}, left=4)


def test_a_long_reader(db: Database, clock: Clock) -> None:
    """Fourteen seconds later the run is recorded without having pruned, and says why; nobody was kept waiting."""
    name = two_years(db, clock)
    reader, writer, pruner = db.connect(autocommit=False), db.connect(), db.connect()
    run(reader, "SELECT FROM h LIMIT 1")
    run(writer, "SET lock_timeout = '1s'")
    with background() as start:
        done = start(pruner, "CREATE TABLE answer AS SELECT * FROM seal.verify_and_prune('h')")
        begun, row = time.monotonic(), 100
        while not done.done():
            run(writer, f"INSERT INTO h VALUES ({row}, '{clock.now().date() - timedelta(days=400)}', 'c')",
                "SELECT pg_sleep(0.1)")  # fmt: skip
            row += 1
        done.result()
    assert 10 < time.monotonic() - begun < 30
    (answer,) = db.records("SELECT * FROM answer")
    assert (answer["run"], answer["verdict"], answer["pruned"], answer["cuts"]) == (1, "intact", 0, {})
    assert answer["next_step"] == (
        "nothing was pruned: its partitions are in use for too long; the next run tries again"
    )
    assert db.rows("SELECT run, verdict, pruned_entries FROM seal.verification") == [(1, "intact", 0)]
    assert len(leaves(db)) == 6
    reader.commit()
    assert prune(db)["cuts"] == {name: [1, 4]}
    assert_whole(db, {name: 4}, left=4 + row - 100)


def test_a_default_partition(db: Database, clock: Clock) -> None:
    """An old entry in a partition that never ends stays, and so does what follows it in its chain; it is said."""
    start = clock.now().date()
    db.run("CREATE TABLE h (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)")
    db.run(f"CREATE TABLE h0 PARTITION OF h FOR VALUES {TIME.format(start - timedelta(days=2), start + timedelta(days=30))}")
    db.run("CREATE TABLE others PARTITION OF h DEFAULT; SELECT seal.attach('h', window_months => 12)")
    for row, at in ((1, start), (2, start - timedelta(days=5000)), (3, start)):
        db.run("INSERT INTO h VALUES (%s, %s)", [row, at])
    settle(db, "h")
    clock.forward(days=14 * MONTH)
    db.run("INSERT INTO h VALUES (4, %s)", [clock.now().date()])
    settle(db, "h")
    outcome = prune(db)
    assert (outcome["verdict"], outcome["pruned"]) == ("intact", 0)
    assert "others" in outcome["next_step"]
    assert_whole(db, {}, left=4)

