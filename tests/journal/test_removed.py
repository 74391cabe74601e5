"""A history removed with all that told of it, pgseal installed anew: still reported, or told by a witness."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.database import Database
from support.journaling import answer, chain
from support.sealing import history, run
from support.servers import watched
from support.witnessing import AT_ONCE, anchored

TRIGGERS = [f"DROP TRIGGER zzz_pgseal_{name} ON h" for name in ("seal", "guard", "truncate")]
ROW, RECORDS, JOURNAL, ANCHORS = (f"DELETE FROM seal.{name}" for name in ("history", "epoch", "journal", "anchor"))
ENTRIES = JOURNAL + " WHERE history = 'public.h'"
OF_H = " WHERE history_id = (SELECT history_id FROM seal.journal WHERE kind = 'attach' AND history = 'public.h')"

# What a superuser does: its name, whether another history is there, the statements.
ATTACKS: dict[str, tuple[bool, list[str]]] = {
    "row": (True, [RECORDS + OF_H, ROW + OF_H]),
    "row and triggers": (True, [*TRIGGERS, RECORDS + OF_H, ROW + OF_H]),
    "row and table": (True, ["DROP TABLE h", RECORDS + OF_H, ROW + OF_H]),
    "row and table, alone": (False, ["DROP TABLE h", RECORDS, ROW]),
    "entries, too": (True, ["DROP TABLE h", RECORDS + OF_H, ROW + OF_H, ENTRIES]),
    "entries, too, alone": (False, ["DROP TABLE h", RECORDS, ROW, JOURNAL]),
    "anchors, too": (True, ["DROP TABLE h", RECORDS + OF_H, ROW + OF_H, ENTRIES, ANCHORS]),
    "all is new": (False, ["DROP TABLE h", "DROP EXTENSION pgseal CASCADE", "CREATE EXTENSION pgseal"]),
    "all is new, and attached": (
        False,
        ["DROP TABLE h", "DROP EXTENSION pgseal CASCADE"],
    ),
}  # fmt: skip
# Done when the server has started again.
AFTERWARDS = {
    "all is new, and attached": [
        "CREATE EXTENSION pgseal",
        "CREATE TABLE h (id int PRIMARY KEY, p text)",
        "SELECT seal.attach('h')",
        "INSERT INTO h VALUES (1, 'x')",
    ]
}

SEEN = "SELECT history, kind, chain, position, last_position, detail FROM seal.findings()"


class Case:
    def __init__(self, db: Database, alone: bool) -> None:
        self.db = db
        db.run("CREATE EXTENSION pgseal")
        history(db)
        if not alone:
            history(db, "g")
            db.run("INSERT INTO g VALUES (1, 'x')")
        db.run("INSERT INTO h VALUES (1, 'x'), (2, 'y')")
        self.chain = ""
        self.line = ""
        self.running: list[tuple[Any, ...]] = []
        self.restarted: list[tuple[Any, ...]] = []
        self.verdicts: set[str] = set()
        self.witness: list[tuple[Any, ...]] = []
        self.contained: bool | None = None

    def wait(self) -> None:
        """Until all is anchored; then the line of an anchor."""
        listener = self.db.connect()
        listener.execute("LISTEN pgseal_anchor")
        anchored(self.db)
        self.db.run("INSERT INTO h VALUES (3, 'z')")
        (notification,) = listener.notifies(timeout=10, stop_after=1)
        self.line = notification.payload
        anchored(self.db)
        self.chain = chain(self.db)


@pytest.fixture(scope="module")
def cases() -> Iterator[dict[str, Case]]:
    with watched(AT_ONCE) as server:
        made = {name: Case(server.createdb(), not others) for name, (others, _) in ATTACKS.items()}
        for name, case in made.items():
            case.wait()
            run(case.db.connection, "SET session_replication_role = replica", *ATTACKS[name][1])
            case.db.run("RESET session_replication_role")
            case.running = [] if name in AFTERWARDS else case.db.rows(SEEN)
        server.restart()
        for name, case in made.items():
            run(case.db.connection, *AFTERWARDS.get(name, []))
            case.restarted = case.db.rows(SEEN)
            case.verdicts = {verdict for verdict, *_ in answer(case.db)}
            case.witness = case.db.rows(
                "SELECT verdict, findings FROM seal.verify_history(witness => %s)", [case.line]
            )
            case.contained = case.db.value("SELECT contained FROM seal.check_witness(%s)", [case.line])
        yield made


INSIDE = [name for name in ATTACKS if not name.startswith("all is new")]


@pytest.mark.parametrize("name", INSIDE)
def test_found_while_the_server_runs_and_after_a_restart(cases: dict[str, Case], name: str) -> None:
    case = cases[name]
    for seen in (case.running, case.restarted):
        # With the anchors gone nobody knows whose entries are missing.
        kind = "missing" if name == "anchors, too" else "configuration_altered"
        assert kind in [found for _, found, *_ in seen]
    assert "tampered" in case.verdicts


@pytest.mark.parametrize("name", ["row and triggers", "row and table", "row and table, alone"])
def test_the_journal_tells_which(cases: dict[str, Case], name: str) -> None:
    expected = "the journal has public.h as attached, but its row was removed from seal.history"
    assert ("public.h", "configuration_altered", None, None, None, expected) in cases[name].restarted


@pytest.mark.parametrize("name", ["entries, too", "entries, too, alone"])
def test_the_anchors_tell_that_there_was_one(cases: dict[str, Case], name: str) -> None:
    case = cases[name]
    kind, last = ("truncated", 2) if "alone" in name else ("missing", 2)
    assert [row[1:5] for row in case.restarted if row[1] != "configuration_altered"] == [
        (kind, f"journal {case.chain}", 1, last)
    ]
    details = [detail for _, kind, _, _, _, detail in case.restarted if kind == "configuration_altered"]
    assert len(details) == 1
    assert details[0].endswith(", whose entries the anchors have, is not in the journal")


@pytest.mark.parametrize("name", list(ATTACKS))
def test_the_witness_tells(cases: dict[str, Case], name: str) -> None:
    case = cases[name]
    assert "tampered" in {verdict for verdict, _ in case.witness}
    assert sum(findings for _, findings in case.witness) >= 1
    if name != "row" and name != "row and triggers":
        assert case.contained is False


def test_pgseal_installed_anew_is_told_by_a_witness_only(cases: dict[str, Case]) -> None:
    assert cases["all is new"].restarted == []
    assert cases["all is new"].verdicts == {"nothing_sealed"}
    assert cases["all is new, and attached"].restarted == []
    assert cases["all is new, and attached"].verdicts == {"intact"}
    for name in ("all is new", "all is new, and attached"):
        assert [verdict for verdict, _ in cases[name].witness] == ["tampered"]
        assert cases[name].contained is False
