"""Any mixture of changes: every row that is not as it was is reported once, and no other.

The judge is plain SQL: the table against the copy of its honest rows, compared to the last character.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.cluster import Cluster
from support.tampering import SEAL_COLUMNS, History, assert_intact

LENGTH, CHAINS = 5, 3
ROWS = range(LENGTH * CHAINS)
COLUMNS = ["tenant", "note", *SEAL_COLUMNS]

VALUES = {
    "tenant": ["'acme'", "NULL", "'x'"],
    "note": ["''", "note || ' '", "note"],
    "seal_chain": ["'x'", "seal_chain || '/1'", "(SELECT min(seal_chain) FROM honest)"],
    "seal_seq": ["seal_seq + 1", "seal_seq - 1", "1", "5", "6", "100", "0"],
    "seal_epoch": ["1", "2", "seal_epoch + 1"],
    "seal_anchor": ["0", "1", "-1"],
    "seal_at": ["seal_at + interval '1 microsecond'", "'-infinity'"],
    "seal_prev": ["sha256('x')", "'\\x00'", "seal_mac"],
    "seal_mac": ["sha256('x')", "''", "seal_prev"],
}


@pytest.fixture(scope="module")
def mixed(cluster: Cluster) -> Iterator[History]:
    """Three chains of five entries each; no index forbids a row to stand there twice."""
    with cluster.database() as database:
        database.run("CREATE TABLE mixed (id int, tenant text, note text)")
        database.run("SELECT seal.attach('mixed', tenant_column => 'tenant')")
        writers = [database.connect(autocommit=False) for _ in range(CHAINS)]
        for row in ROWS:
            values = [row, f"tenant {row % 4}", f"note {row}"]
            writers[row % CHAINS].execute("INSERT INTO mixed VALUES (%s, %s, %s)", values)
        for writer in writers:
            writer.commit()
        assert_intact(database)
        yield History(database, "mixed")


row = st.sampled_from(ROWS)
change = st.one_of(
    st.sampled_from(COLUMNS).flatmap(
        lambda column: st.builds(
            "UPDATE mixed SET {} = {} WHERE id = {}".format, st.just(column), st.sampled_from(VALUES[column]), row
        )
    ),
    st.builds(
        "UPDATE mixed m SET {0} = o.{0} FROM honest o WHERE m.id = {1} AND o.id = {2}".format,
        st.sampled_from(COLUMNS),
        row,
        row,
    ),
    st.builds("DELETE FROM mixed WHERE id = {}".format, row),
    st.builds("DELETE FROM mixed WHERE seal_seq > {}".format, st.integers(0, 4)),
    st.builds("INSERT INTO mixed SELECT * FROM honest WHERE id = {}".format, row),
    st.builds("INSERT INTO mixed SELECT * FROM mixed WHERE id = {}".format, row),
)

REPORTS_A_ROW = {"modified", "forged", "unsealed", "duplicated", "wrong_epoch"}
REPORTS_A_PLACE = {"modified", "missing", "truncated", "wrong_epoch"}


def difference(history: History, left: str, right: str) -> list[tuple[Any, ...]]:
    query = (
        f"SELECT r::text, r.seal_chain, r.seal_seq FROM {left} r EXCEPT ALL SELECT r::text, r.seal_chain, r.seal_seq"
    )
    return history.database.rows(f"{query} FROM {right} r")


@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(changes=st.lists(change, min_size=1, max_size=6))
def test_any_mixture(mixed: History, changes: list[str]) -> None:
    database = mixed.database
    with database.connection.transaction(force_rollback=True):
        database.run("SET LOCAL session_replication_role = replica")
        database.run("ALTER TABLE mixed DISABLE TRIGGER ALL")
        database.run("DROP INDEX mixed_seal_chain_seal_seq_idx")
        for statement in changes:
            database.run(statement.replace("honest", "honest_mixed"))
        database.run("ALTER TABLE mixed ENABLE TRIGGER zzz_pgseal_seal")
        for trigger in ("guard", "truncate"):
            database.run(f"ALTER TABLE mixed ENABLE ALWAYS TRIGGER zzz_pgseal_{trigger}")
        strange = difference(mixed, "mixed", "honest_mixed")
        absent = {(chain, position) for _, chain, position in difference(mixed, "honest_mixed", "mixed")}
        found = database.records("SELECT * FROM seal.findings() WHERE kind <> 'configuration_altered'")
        what = [(f["kind"], f["chain"], f["position"], f["last_position"]) for f in found]
        assert sum(kind in REPORTS_A_ROW for kind, *_ in what) == len(strange), what
        # What stands at the beginning of a chain that nobody knows may be an entry that was changed.
        known = {chain for (chain,) in database.rows("SELECT DISTINCT seal_chain FROM honest_mixed")}
        reported = Counter(
            (chain, position)
            for kind, chain, first, last in what
            if kind in REPORTS_A_PLACE and chain in known
            for position in range(first, (last or first) + 1)
        )
        assert set(reported.values()) <= {1}, what
        assert set(reported) == absent, what
        assert database.value("SELECT verdict FROM seal.verify_history()") == "tampered"
    assert_intact(database)
