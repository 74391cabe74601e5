"""What an answer that rests on a checkpoint reads, by the server's own count of rows and blocks."""

from __future__ import annotations

import pytest

from support.checkpointing import add, answer, assert_rests, checkpoint, since
from support.database import Database
from support.sealing import history

ROWS = 40_000
SEALS = "h_seal_chain_seal_seq_idx"

READ = """SELECT pg_stat_force_next_flush(), pg_stat_get_numscans('h'::regclass) AS scans,
                 pg_stat_get_tuples_fetched('h'::regclass) AS rows,
                 pg_stat_get_blocks_fetched('{0}'::regclass) AS blocks"""


class Meter:
    """What this database's session has read since it was asked last."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._last = self._now()

    def _now(self) -> dict[str, int]:
        self._db.run("SELECT pg_stat_force_next_flush()")
        self._db.run("SELECT pg_stat_clear_snapshot()")
        (line,) = self._db.records(READ.format(SEALS))
        return {name: int(line[name]) for name in ("scans", "rows", "blocks")}

    def read(self) -> dict[str, int]:
        now = self._now()
        read = {name: now[name] - self._last[name] for name in now}
        self._last = now
        return read


def make(db: Database, chains: int) -> None:
    """A hundred tenants of equal size, t0 … t99, in so many chains; nothing is ever analyzed by itself."""
    history(db, "h", "id int PRIMARY KEY, tenant text, note text", "tenant_column => 'tenant'")
    db.run("ALTER TABLE h SET (autovacuum_enabled = off); CREATE INDEX ON h (tenant)")
    sessions = [db.connect(autocommit=False) for _ in range(chains)]
    size = ROWS // chains
    for number, session in enumerate(sessions):
        span = f"generate_series({number * size + 1}, {number * size + size})"
        session.execute(f"INSERT INTO h SELECT g, 't' || g % 100, repeat('x', 200) FROM {span} g".encode())
    for session in sessions:
        session.commit()
        session.close()
    assert db.value("SELECT count(DISTINCT seal_chain) FROM h") == chains


@pytest.mark.parametrize("analyzed", [False, True])
@pytest.mark.parametrize("chains", [1, 40])
def test_it_reads_the_tenants_rows_and_the_new_ones(db: Database, chains: int, analyzed: bool) -> None:
    make(db, chains)
    if analyzed:
        db.run("ANALYZE h")
    checkpoint(db)
    add(db, -50, -1, "t5")
    assert_rests(answer(db, "t7"), ROWS // 100, since=50)  # caches are filled
    meter = Meter(db)
    # Heads are looked up one by one: of each chain that of the checkpoint, memory's, and an anchor's.
    heads = 3 * chains
    assert_rests(answer(db, "t7"), ROWS // 100, since=50)
    read = meter.read()
    assert read["scans"] == 0
    assert read["rows"] <= ROWS // 100 + 50 + heads
    # A few steps down the index for each; walking along it would be a hundred and fifty blocks more.
    assert read["blocks"] <= 3 * (3 * chains + 2 + heads) + 5
    assert_rests(since(db), 50, since=50)
    read = meter.read()
    assert read["scans"] == 0
    assert read["rows"] <= 50 + heads


def test_partitions(db: Database) -> None:
    db.run("CREATE TABLE h (id int, tenant text, note text, PRIMARY KEY (id)) PARTITION BY RANGE (id)")
    for number in range(5):
        db.run(f"CREATE TABLE h{number} PARTITION OF h FOR VALUES FROM ({number * 1000}) TO ({number * 1000 + 1000})")
    db.run("SELECT seal.attach('h', 'tenant'); CREATE INDEX ON h (tenant)")
    db.run("INSERT INTO h SELECT g, 't' || g % 100, 'x' FROM generate_series(0, 4999) g")
    checkpoint(db)
    scans = "SELECT sum(pg_stat_get_numscans(('h' || n)::regclass)) FROM generate_series(0, 4) n"
    assert_rests(answer(db, "t7"), 50, since=0)
    db.run("SELECT pg_stat_force_next_flush()")
    before = db.value(scans)
    assert_rests(answer(db, "t7"), 50, since=0)
    assert_rests(since(db), 0, since=0)
    db.run("SELECT pg_stat_force_next_flush()")
    assert db.value(scans) == before
