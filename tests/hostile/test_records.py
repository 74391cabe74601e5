"""A part of one of pgseal's own records is another JSON value: that is found, whatever it is, and nothing breaks.

A superuser can write these tables. Each record is read before anybody knows whether it is authentic.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from support.anchoring import settle
from support.cluster import Cluster
from support.database import Database
from support.sealing import history

QUICK = settings(
    max_examples=12, deadline=None, database=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip

RECORDS = {
    "epoch": ("record", "configuration_altered"),
    "journal": ("details", None),
    "anchor": ("heads", None),
    "run": ("record", "configuration_altered"),
    "checkpoint": ("record", "checkpoint_altered"),
}
"""Table: its column, and the kind of what is found there, if that does not depend on the row."""

LOOKED_AT = [
    "SELECT * FROM seal.findings()",
    "SELECT * FROM seal.verify_history('acme')",
    "SELECT * FROM seal.status",
    "SELECT * FROM seal.check_setup()",
    "SELECT * FROM seal.metrics",
    "SELECT * FROM seal.holds",
]

numbers = st.sampled_from([0, 1, -1, 2**31, 2**32, 2**63, 2**64, -(2**63), 10**40, 0.5])
leaves = st.one_of(st.none(), st.booleans(), numbers, st.sampled_from(["", "0", "é", "0" * 64, "main.0a1b2c3d"]))
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
)

GONE = object()


@st.composite
def changed(draw: st.DrawFn, record: Any) -> Any:
    """A copy in which one part is another value, or gone."""
    record = copy.deepcopy(record)
    value = draw(st.one_of(st.just(GONE), values))
    holder, place, part = None, None, record
    while part and isinstance(part, dict | list) and draw(st.integers(0, 5)):
        places = sorted(part) if isinstance(part, dict) else range(len(part))
        holder, place = part, draw(st.sampled_from(places))
        part = part[place]
    if holder is None:
        return None if value is GONE else value
    if value is GONE:
        del holder[place]
    else:
        holder[place] = value
    return record


@pytest.fixture(scope="module")
def recorded(cluster: Cluster) -> Iterator[Database]:
    """A history with two epochs, a window, a hold, a schedule, a run and its checkpoint."""
    with cluster.database() as database:
        history(database, "h", "id int PRIMARY KEY, tenant text", "'tenant', window_months => 24")
        database.run("INSERT INTO h VALUES (1, 'acme'), (2, NULL)")
        database.run("ALTER TABLE h ADD note text DEFAULT 'none'")
        database.run("INSERT INTO h (id, tenant) VALUES (3, 'acme')")
        database.run("SELECT seal.hold('h', 'acme', 'a case'), seal.set_schedule('h', 'off')")
        settle(database, "h")
        database.rows("SELECT * FROM seal.verify_and_prune()")
        yield database


@pytest.mark.parametrize("table", RECORDS)
def test_another_value(recorded: Database, table: str) -> None:
    column, kind = RECORDS[table]
    session = recorded.connection
    process = session.info.backend_pid
    rows = recorded.rows(f"SELECT ctid::text, {column} FROM seal.{table}")

    @QUICK
    @given(st.data())
    def try_it(data: st.DataObject) -> None:
        place, record = data.draw(st.sampled_from(rows))
        record = json.dumps(data.draw(changed(record)))
        with session.transaction(force_rollback=True):
            session.execute("SET LOCAL session_replication_role = replica")
            differs = f"WHERE ctid = %s AND {column} IS DISTINCT FROM %s::jsonb"
            update = f"UPDATE seal.{table} SET {column} = %s::jsonb {differs}"
            if not session.execute(update.encode(), [record, place, record]).rowcount:
                return
            verdicts = [verdict for (verdict,) in recorded.rows("SELECT verdict FROM seal.verify_history()")]
            assert verdicts and "intact" not in verdicts, (record, verdicts)
            kinds = {found for (found,) in recorded.rows("SELECT kind FROM seal.findings()")}
            assert kinds and (kind is None or kind in kinds), (record, kinds)
            for query in LOOKED_AT:
                recorded.rows(query)
        assert recorded.value("SELECT pg_backend_pid()") == process

    try_it()
    assert recorded.value("SELECT verdict FROM seal.verify_history()") == "intact"
