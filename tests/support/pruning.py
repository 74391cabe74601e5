"""Pruning as tests ask for it, and what must be true of a history afterwards.

    aged(db, clock)                  h with a window: ids 1 to 5 are older than it, 6 to 8 are not, one chain
    run = prune(db)                  verify_and_prune('h'), one line of answer
    assert_pruned(db, run, {chain: (1, 5)})
    assert_nothing_pruned(db, run)   the answer says so, and no entry has gone
"""

from __future__ import annotations

from typing import Any

from support.anchoring import settle
from support.clock import Clock
from support.database import Database
from support.journaling import kinds
from support.sealing import wait_for
from support.windows import add, damage, later, ledger

OLD, NEW = 5, 3
SEAL_SETTINGS = "SELECT window_months FROM seal.history WHERE relation = 'h'::regclass"

Spans = dict[str, tuple[int, int]]
"""By chain: the first and the last entry that was pruned."""

# Everything that a run could have changed; anchors come by themselves.
STATE = {
    "entries": "SELECT * FROM h ORDER BY seal_chain, seal_seq",
    "journal": "SELECT * FROM seal.journal ORDER BY chain, seq",
    "history": "SELECT * FROM seal.history ORDER BY history_id",
    "runs": "SELECT * FROM seal.run ORDER BY id",
    "first anchor": "SELECT min(number) FROM seal.anchor",
}


def aged(db: Database, clock: Clock, window: int | None = 12, months: float = 13) -> str:
    """Five entries older than the window and three new ones, all anchored; returns the name of their chain."""
    ledger(db, window)
    add(db, 1, OLD)
    later(db, clock, months)
    add(db, OLD + 1, OLD + NEW)
    settle(db, "h")
    return chain(db)


def chain(db: Database, name: str = "h") -> str:
    """Name of the only chain."""
    return str(db.value(f"SELECT DISTINCT seal_chain FROM {name}"))


def prune(db: Database, name: str | None = "h", *, dry: bool = False) -> dict[str, Any]:
    """The answer of a run over one history."""
    (line,) = runs(db, name, dry=dry)
    return line


def runs(db: Database, name: str | None = None, *, dry: bool = False) -> list[dict[str, Any]]:
    """The answers, one for each history."""
    return db.records("SELECT * FROM seal.verify_and_prune(%s, %s) ORDER BY history", [name, dry])


def spans(cuts: dict[str, Any]) -> Spans:
    return {name: (first, last) for name, (first, last) in cuts.items()}


def entries(cuts: Spans) -> int:
    return sum(last - first + 1 for first, last in cuts.values())


def remaining(db: Database, name: str = "h") -> list[int]:
    return [number for (number,) in db.rows(f"SELECT id FROM {name} ORDER BY id")]


def state(db: Database, *, without: tuple[str, ...] = ()) -> dict[str, list[tuple[Any, ...]]]:
    return {name: db.rows(query) for name, query in STATE.items() if name not in without}


def assert_pruned(db: Database, run: dict[str, Any], expected: Spans, left: int, name: str = "h") -> None:
    """The answer, the record and the journal say that this was pruned, and it is gone; what is left is intact."""
    assert (run["verdict"], run["findings"], run["findings_new"]) == ("intact", 0, 0), run
    assert (spans(run["cuts"]), run["pruned"]) == (expected, entries(expected)), run
    assert run["entries"] == left + entries(expected)
    assert db.rows("SELECT pruned, pruned_entries FROM seal.verification WHERE run = %s", [run["run"]]) == [
        ({chain: list(span) for chain, span in expected.items()}, entries(expected))
    ]
    assert_whole(db, {chain: last for chain, (_, last) in expected.items()}, left, name)


def assert_whole(db: Database, cuts: dict[str, int], left: int, name: str = "h") -> None:
    """Intact to the verifier and to plain SQL: each chain goes on after its cut without a gap."""
    assert db.rows("SELECT kind, chain, position, detail FROM seal.findings(history => %s)", [name]) == []
    answer = db.rows("SELECT verdict, entries, findings FROM seal.verify_history(history => %s)", [name])
    assert answer == [("intact" if left or cuts else "nothing_sealed", left, 0)]
    assert len(remaining(db, name)) == left
    for chain, positions in db.rows(
        f"SELECT seal_chain, array_agg(seal_seq ORDER BY seal_seq) FROM {name} GROUP BY seal_chain"
    ):
        first = cuts.get(chain, 0) + 1
        assert positions == list(range(first, first + len(positions))), chain


def assert_nothing_pruned(db: Database, run: dict[str, Any], left: int = OLD + NEW) -> None:
    """The answer, the record and the journal say so, and every entry is there."""
    assert (run["pruned"], run["cuts"]) == (0, {}), run
    assert run["next_step"]
    assert db.value("SELECT pruned_entries FROM seal.verification WHERE run = %s", [run["run"]]) == 0
    assert "cut" not in kinds(db)
    assert len(remaining(db)) == left


def expired(db: Database, clock: Clock, months: float) -> None:
    """So much time passes, and everything is anchored again."""
    later(db, clock, months)
    settle(db, "h")


def put_copy_back(db: Database, condition: str) -> None:
    """Rows of `honest_h` again in their place, with triggers off."""
    damage(db, f"INSERT INTO h SELECT * FROM honest_h WHERE {condition}")


def keep_copy(db: Database) -> None:
    """A copy of the rows, and of what pgseal says of itself."""
    db.run("CREATE TABLE honest_h AS TABLE h")


def settle_journal(db: Database) -> None:
    """Returns when the newest entry of the journal stands in an anchor, so that a restart forgets nothing."""
    wait_for(
        db,
        """SELECT coalesce(max((heads->'journal'->j.chain->>0)::bigint), 0) = max(j.seq) FROM seal.anchor,
                  (SELECT chain, max(seq) AS seq FROM seal.journal GROUP BY 1) j""",
    )
