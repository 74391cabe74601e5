"""The proofs of docs/format.md on a history that was pruned: what is left verifies, and a cut hides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.anchoring import place, settle
from support.clock import Clock
from support.cluster import Cluster
from support.database import Database
from support.proof import DOCUMENTS, psql, unequal_macs, verify
from support.pruning import prune, settle_journal

OFF = "SET session_replication_role = replica; ALTER TABLE history DISABLE TRIGGER ALL;"


@pytest.fixture(scope="module")
def pruned(travel: tuple[Cluster, Clock]) -> Iterator[Database]:
    """Of seven entries in one chain four were pruned, and anchors with them; a copy of all seven is in `copy`."""
    server, clock = travel
    with server.database() as database:
        database.run("""
            CREATE EXTENSION pgcrypto;
            CREATE TABLE history (
                id int PRIMARY KEY, tenant text, at timestamptz NOT NULL, payload jsonb NOT NULL, note text
            );
            SELECT seal.attach('history', tenant_column => 'tenant', window_months => 12);
        """)
        for months, first, last in [(0, 1, 2), (1, 3, 4), (13, 5, 7)]:
            if months:
                settle(database, "history")
                server.restart()  # the next anchor has all chains
                clock.forward(days=31 * months)
            database.run(
                f"INSERT INTO history SELECT g, 'acme', now(), to_jsonb(g), 'n' FROM generate_series({first}, {last}) g"
            )
        settle(database, "history")
        database.run("CREATE TABLE copy AS TABLE history")
        assert prune(database, "history")["cuts"] == {place(database): [1, 4]}
        settle_journal(database)
        assert database.value("SELECT min(number) FROM seal.anchor") > 1
        yield database


@pytest.mark.parametrize("documents", DOCUMENTS)
def test_what_is_left_verifies(pruned: Database, tmp_path: Path, documents: str) -> None:
    chain = place(pruned)
    assert unequal_macs(pruned, documents) == (3, 3, "")
    code, (line, last) = verify(pruned, tmp_path, documents)
    assert line.startswith(f"{chain}: 3 entries, the last at 7 with mac ")
    assert (code, last) == (0, "3 entries in 1 chains, 0 faults")


def test_chains_and_records_begin_at_their_cuts(pruned: Database) -> None:
    (line,) = psql(pruned, "", "chains").splitlines()
    assert (line.split("|")[:3], line.split("|")[4:]) == ([place(pruned), "3", "7"], ["0", "0"])
    lines = [line.split("|") for line in psql(pruned, "", "records").splitlines()]
    assert [line[0] for line in lines] == ["anchor", "journal"]
    assert all(line[1] == line[2] and line[3:] == ["0", "0"] for line in lines), lines
    assert psql(pruned, "", "heads") == ""


CHANGES = {
    "entries beside the cut": ("DELETE FROM history WHERE id = 5", ["{} 6: position 5 should be here"]),
    "pruned entries put back": (
        "INSERT INTO history SELECT * FROM copy WHERE id IN (1, 4)",
        ["{} 1: was pruned and stands here again", "{} 4: was pruned and stands here again"],
    ),
    "the cut removed": ("DELETE FROM seal.journal WHERE kind = 'cut'", ["{} 5: position 1 should be here"]),
    "an entry and the cut moved": (
        """DELETE FROM history WHERE id = 5; UPDATE seal.journal
              SET details = jsonb_set(details, ARRAY['chains', chain, 'last'], '5') WHERE details ? 'chains'""",
        ["journal {} 4: this cut was changed", "{} 6: position 1 should be here"],
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_cut_hides_nothing(pruned: Database, tmp_path: Path, change: str) -> None:
    statement, expected = CHANGES[change]
    code, lines = verify(pruned, tmp_path, "server", f"{OFF} {statement};")
    assert (code, lines[1:-1]) == (1, [sentence.format(place(pruned)) for sentence in expected])


def test_anchors_removed_beside_their_cut(pruned: Database) -> None:
    remove = f"{OFF} DELETE FROM seal.anchor WHERE number = (SELECT min(number) FROM seal.anchor);"
    anchors = psql(pruned, remove, "records").splitlines()[0].split("|")
    assert anchors[0] == "anchor" and anchors[3] != "0"
