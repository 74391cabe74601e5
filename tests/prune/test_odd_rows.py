"""Rows in an old partition that pruning must not take along: what is malformed, unsealed or was put back. It stays
with its partition, and the run goes on."""

from __future__ import annotations

import pytest

from support.anchoring import settle
from support.clock import Clock
from support.database import Database
from support.pruning import prune
from support.sealing import run
from support.tampering import triggers_off


Chains = dict[str, str]


def quarters(db: Database, clock: Clock, *writers: str) -> Chains:
    """h with a partition for each quarter, in which these writers add two rows each; each has a chain of its own."""
    start = clock.now().date()
    db.run("CREATE TABLE h (id int, at date, note text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)")
    for number in range(len(writers)):
        first, last = (f"date '{start}' + {91 * quarter - 2}" for quarter in (number, number + 1))
        db.run(f"CREATE TABLE h{number} PARTITION OF h FOR VALUES FROM ({first}) TO ({last})")
    db.run("SELECT seal.attach('h', window_months => 12)")
    sessions = {name: db.connect(autocommit=False) for name in "ab"}
    for number, names in enumerate(writers):
        for name in names:
            session, base = sessions[name], 10 * number + 2 * "ab".index(name)
            run(session, f"INSERT INTO h SELECT {base} + g, '{clock.now().date()}', 'x' FROM generate_series(1, 2) g")
        for name in names:
            sessions[name].commit()
        settle(db, "h")
        clock.forward(days=91)
    return {name: str(db.value(f"SELECT seal_chain FROM h0 WHERE id = {1 + 2 * 'ab'.index(name)}")) for name in "ab"}


def leaves(db: Database) -> list[str]:
    return [name for (name,) in db.rows("SELECT relid::regclass::text FROM pg_partition_tree('h') WHERE isleaf ORDER BY 1")]


def attack(db: Database, *statements: str) -> None:
    with db.connection.transaction(), triggers_off(db.connection, "h"):
        run(db.connection, *statements)


COPY = "INSERT INTO h1 SELECT 77, at, note, {} FROM h1 WHERE id = 11"
ROWS = {
    "position 0": COPY.format("seal_chain, 0, seal_epoch, seal_anchor, seal_at, seal_prev, seal_mac"),
    "a negative position": COPY.format("seal_chain, -7, seal_epoch, seal_anchor, seal_at, seal_prev, seal_mac"),
    "no name of a chain": COPY.format("'', seal_seq, seal_epoch, seal_anchor, seal_at, seal_prev, seal_mac"),
    "another chain": COPY.format("seal_chain || '7', 1, seal_epoch, seal_anchor, seal_at, seal_prev, seal_mac"),
    "a short signature": COPY.format("'x', 1, seal_epoch, seal_anchor, seal_at, seal_prev, '\\x00'"),
}


@pytest.mark.parametrize("row", ROWS)
def test_a_foreign_row(db: Database, clock: Clock, row: str) -> None:
    names = quarters(db, clock, "ab", "ab", "ab")
    clock.forward(days=365)
    attack(db, ROWS[row])
    outcome = prune(db)
    assert outcome["findings_new"] > 0 and outcome["pruned"] == 0
    db.run("SELECT seal.acknowledge('known', 'h')")
    outcome = prune(db)
    assert (outcome["cuts"], outcome["findings_new"]) == ({name: [1, 2] for name in names.values()}, 0)
    assert leaves(db) == ["h1", "h2"]
    assert db.value("SELECT count(*) FROM h") == 9
    again = prune(db)
    assert (again["pruned"], again["findings_new"]) == (0, 0)


def test_rows_put_back_beside_others_that_may_go(db: Database, clock: Clock) -> None:
    """Chain a was pruned as a whole, and rows of it are put back into a partition of chain b."""
    names = quarters(db, clock, "ab", "b", "b")
    db.run("CREATE TABLE kept AS SELECT * FROM h WHERE id IN (1, 2)")
    clock.forward(days=365 - 2 * 91 + 5)
    assert prune(db)["cuts"] == {name: [1, 2] for name in names.values()}
    assert leaves(db) == ["h1", "h2"]
    attack(db, "INSERT INTO h1 SELECT id, (SELECT min(at) FROM h1), note, seal_chain, seal_seq, seal_epoch, seal_anchor,"
               " seal_at, seal_prev, seal_mac FROM kept")  # fmt: skip
    clock.forward(days=91)
    assert prune(db)["findings_new"] > 0
    db.run("SELECT seal.acknowledge('known', 'h')")
    outcome = prune(db)
    assert (outcome["pruned"], outcome["findings_new"], leaves(db)) == (0, 0, ["h1", "h2"])
    assert db.value("SELECT count(*) FROM h WHERE id IN (1, 2)") == 2
