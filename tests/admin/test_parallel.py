"""Parallel workers are planned and really launched by a verification, and answer as one process does."""

from __future__ import annotations

import re

import pytest

from support.database import Database
from support.refusal import notices
from support.tampering import unguarded

BIG = """
CREATE TABLE h (n int, tenant text, payload text) {partitioning};
{leaves}
SELECT seal.attach('h', 'tenant');
INSERT INTO h SELECT i, 't' || i % 5, repeat('x', 250) FROM generate_series(1, 24000) i;
ANALYZE h;
"""
EXPLAIN = """
SET min_parallel_table_scan_size = '2MB';
LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on;
SET auto_explain.log_nested_statements = on; SET auto_explain.log_level = 'notice';
"""


def fill(db: Database, parts: bool) -> None:
    leaves = "CREATE TABLE h1 PARTITION OF h FOR VALUES FROM (0) TO (12001); CREATE TABLE h2 PARTITION OF h DEFAULT;"
    db.run(BIG.format(partitioning="PARTITION BY RANGE (n)" if parts else "", leaves=leaves if parts else ""))
    size = db.value("SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relname IN ('h', 'h1', 'h2')")
    assert size > 8 * 1024 * 1024


def tamper(db: Database) -> None:
    db.run(unguarded("""ALTER TABLE h DISABLE TRIGGER zzz_pgseal_guard; UPDATE h SET payload = 'y' WHERE n IN (77, 20000);
              DELETE FROM h WHERE n = 12345; ALTER TABLE h ENABLE ALWAYS TRIGGER zzz_pgseal_guard"""))


@pytest.mark.parametrize("parts", [False, True])
def test_two_workers_are_launched_and_the_answers_are_the_same(db: Database, parts: bool) -> None:
    fill(db, parts)
    session = db.connect()
    session.execute(EXPLAIN)
    for broken in [False, True]:
        if broken:
            tamper(db)
        answers = []
        for workers in [2, 0]:
            session.execute(f"SET max_parallel_workers_per_gather = {workers}".encode())
            with notices(session) as heard:
                answer = session.execute("SELECT verdict, entries, findings FROM seal.verify_history()").fetchall()
            plans = [notice.message for notice in heard if "seal.audit" in notice.message]
            assert len(plans) == 1
            launched = re.findall(r"Workers Launched: (\d+)", plans[0])
            assert launched == (["2"] if workers else []), plans[0]
            tenant = session.execute("SELECT verdict, entries FROM seal.verify_history('t2')").fetchall()
            found = session.execute("SELECT kind, position FROM seal.findings()").fetchall()
            answers.append((answer, tenant, found))
        assert answers[0] == answers[1]
        assert answers[0][2] == ([("modified", 77), ("missing", 12345), ("modified", 20000)] if broken else [])
        assert answers[0][0] == ([("tampered", 23999, 3)] if broken else [("intact", 24000, 0)])
