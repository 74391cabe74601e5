"""The proof in Python after a rotation: each entry under the key that its epoch names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from support.cluster import Cluster
from support.proof import psql, run_command
from support.ring import with_ring


def test_each_key_for_its_own(own_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    server, keys = with_ring(own_cluster)
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    db.run("""
        CREATE TABLE history (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant text, at timestamptz NOT NULL, payload jsonb NOT NULL
        );
        SELECT seal.attach('history', tenant_column => 'tenant', window_months => 24)""")
    insert = "INSERT INTO history (tenant, at, payload) SELECT 'acme', now(), '{\"a\": 1}' FROM generate_series(1, 5)"
    db.run(insert)
    db.run("SELECT seal.rotate_key()")
    db.run(insert)
    (tmp_path / "export.jsonl").write_text(psql(db, "", "documents: pgseal", "export"), "utf-8")
    first, second = (keys.file(number).read_text().strip() for number in (1, 2))
    code, lines = run_command(tmp_path, f"1 {first}\n2 {second}")
    assert (code, lines[-1]) == (0, "10 entries in 1 chains, 0 faults")
    # Without the second key its epoch, the settings and its five entries fit nothing.
    code, lines = run_command(tmp_path, first)
    assert (code, lines[-1]) == (1, "10 entries in 1 chains, 7 faults")
    code, lines = run_command(tmp_path, f"1 {second}\n2 {first}")
    assert (code, lines[-1]) == (1, "10 entries in 1 chains, 13 faults")
