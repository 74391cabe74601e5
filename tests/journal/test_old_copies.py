"""Older copies of pgseal's own tables, put back by a superuser with triggers off: alone, in pairs, three, all four.

Then: a second epoch, four more entries, newer anchors. What is put back does not fit to the rest, before and after a
restart. Only where the history itself goes back with all of them is nothing left in the server that knows better once
it has forgotten its memory; what a witness saw tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import pytest

from support.cluster import Cluster
from support.database import Database
from support.journaling import OWN_TABLES, answer, chain, found, keep, put_back, put_history_back, top
from support.sealing import history
from support.servers import watched
from support.tampering import ALTERED, Place
from support.witnessing import AT_ONCE, anchored

SUBSETS = [names for size in range(1, len(OWN_TABLES) + 1) for names in combinations(OWN_TABLES, size)]


@dataclass
class Case:
    """A database in which something older was put back, and what was found before and after the restart."""

    db: Database
    chain: str
    kept: int = 0
    """The newest anchor in the copies."""
    named: list[int] = field(default_factory=list)
    """Anchors that are not, and that entries name."""
    last: int = 0
    """The newest entry of the journal before the attack."""
    line: str = ""
    """Of the newest anchor before the attack."""
    running: set[Place] = field(default_factory=set)
    restarted: set[Place] = field(default_factory=set)
    answers: dict[str, Any] = field(default_factory=dict)


def newest_line(db: Database, listener: Any) -> str:
    """What NOTIFY said of the newest anchor."""
    number = anchored(db)
    for notification in listener.notifies(timeout=10):
        if f" number={number} " in notification.payload:
            return str(notification.payload)
    raise AssertionError(f"nobody said anything of anchor {number}")


def build(server: Cluster) -> dict[tuple[str, ...], Case]:
    """A database for each set of tables, and one in which the history goes back with all four."""
    cases: dict[tuple[str, ...], Case] = {}
    for names in [*SUBSETS, (*OWN_TABLES, "h")]:
        db = server.createdb()
        db.run("CREATE EXTENSION pgseal")
        history(db)
        db.run("INSERT INTO h SELECT g, 'first' FROM generate_series(1, 3) g")
        cases[names] = Case(db, chain(db))
    for case in cases.values():
        anchored(case.db)
        keep(case.db, "h")
        case.kept = case.db.value("SELECT max(number) FROM older_anchor")
        case.db.run("ALTER TABLE h ADD COLUMN extra text")
        case.db.run("INSERT INTO h (id, extra) SELECT g, 'x' FROM generate_series(4, 6) g")
    for case in cases.values():
        listener = case.db.connect()
        listener.execute("LISTEN pgseal_anchor")
        anchored(case.db)
        case.db.run("INSERT INTO h (id, extra) VALUES (7, 'names a newer anchor')")
        case.line = newest_line(case.db, listener)
        query = "SELECT DISTINCT seal_anchor FROM h WHERE seal_anchor > %s ORDER BY 1"
        case.named = [number for (number,) in case.db.rows(query, [case.kept])]
        case.last = top(case.db)
        assert found(case.db) == []
    return cases


def rewind(case: Case, names: tuple[str, ...]) -> None:
    put_back(case.db, *(name for name in names if name in OWN_TABLES))
    if "h" in names:
        put_history_back(case.db, "h")


@pytest.fixture(scope="module")
def cases() -> Iterator[dict[tuple[str, ...], Case]]:
    with watched(AT_ONCE) as server:
        made = build(server)
        for names, case in made.items():
            rewind(case, names)
            case.running = set(found(case.db))
            case.answers["running"] = answer(case.db)
        server.restart()
        for case in made.values():
            case.restarted = set(found(case.db))
            case.answers["restarted"] = answer(case.db)
            case.answers["witness"] = answer(case.db, witness=case.line)
            (case.answers["check"],) = case.db.records("SELECT * FROM seal.check_witness(%s)", [case.line])
        yield made


def ids(names: tuple[str, ...]) -> str:
    return "+".join(names)


@pytest.mark.parametrize("names", SUBSETS, ids=ids)
def test_while_the_server_runs(cases: dict[tuple[str, ...], Case], names: tuple[str, ...]) -> None:
    case = cases[names]
    expected: set[Place] = set()
    if names != ("anchor",):
        expected.add(ALTERED)
    if "history" in names:
        expected |= {("wrong_epoch", case.chain, position, None) for position in range(4, 8)}
    if "journal" in names:
        expected.add(("truncated", f"journal {case.chain}", 3, case.last))
    found = {place for place in case.running if place[0] != "anchor_altered"}
    assert found == expected
    gone = {place[1:3] for place in case.running if place[0] == "anchor_altered"}
    removed, named = ((f"anchors {case.chain}", number) for number in (case.kept + 1, case.named[0]))
    # Entries whose epoch is there name them, too.
    expected_gone = {removed} if {"history", "epoch"} & set(names) else {removed, named}
    assert gone == (expected_gone if "anchor" in names else set())
    assert {verdict for verdict, *_ in case.answers["running"]} == {"tampered"}


@pytest.mark.parametrize("names", SUBSETS, ids=ids)
def test_after_a_restart(cases: dict[tuple[str, ...], Case], names: tuple[str, ...]) -> None:
    case = cases[names]
    expected: set[Place] = set()
    if names != ("anchor",):
        expected.add(ALTERED)
    if "history" in names:
        # Without the anchors nobody knows how far the chain had got.
        kind = "forged" if "anchor" in names else "wrong_epoch"
        expected |= {(kind, case.chain, position, None) for position in range(4, 8)}
    if "journal" in names and "anchor" not in names:
        expected.add(("truncated", f"journal {case.chain}", 3, case.last))
    found = {place for place in case.restarted if place[0] != "anchor_altered"}
    assert found == expected
    # Entries whose epoch is there name anchors that are gone, or made anew since.
    gone = {place[1:3] for place in case.restarted if place[0] == "anchor_altered"}
    named = "anchor" in names and not {"history", "epoch"} & set(names)
    assert min(gone, default=None) == ((f"anchors {case.chain}", case.named[0]) if named else None)
    assert gone <= {(f"anchors {case.chain}", number) for number in case.named}
    assert {verdict for verdict, *_ in case.answers["restarted"]} == {"tampered"}


@pytest.mark.parametrize("names", [names for names in SUBSETS if "anchor" in names], ids=ids)
def test_a_witness_tells_too(cases: dict[tuple[str, ...], Case], names: tuple[str, ...]) -> None:
    assert cases[names].answers["check"]["contained"] is False
    assert {verdict for verdict, *_ in cases[names].answers["witness"]} == {"tampered"}


def test_everything_and_the_history(cases: dict[tuple[str, ...], Case]) -> None:
    """Found by the memory of a running server; after a restart by a witness, and by nothing else."""
    case = cases[(*OWN_TABLES, "h")]
    assert {place[:3] for place in case.running} == {
        ("truncated", case.chain, 4),
        ("truncated", f"journal {case.chain}", 3),
        ("anchor_altered", f"anchors {case.chain}", case.kept + 1),
    }
    assert case.restarted == set()
    assert case.answers["restarted"] == [("intact", 0, 0)]
    ((verdict, findings, new),) = case.answers["witness"]
    assert (verdict, findings, new) == ("tampered", 1, 1)
    check = case.answers["check"]
    newest = int(case.line.split(" number=")[1].split(" ")[0])
    assert (check["contained"], check["chain"], check["number"]) == (False, case.chain, newest)
    assert check["detail"].startswith(f"the witness saw anchor {newest} of {case.chain}, this database has ")
    assert "an older state was put back" in check["next_step"]


def test_the_witness_still_tells_after_sealing_went_on(cases: dict[tuple[str, ...], Case]) -> None:
    """Until the numbers are reached again: another anchor stands there."""
    case = cases[(*OWN_TABLES, "h")]
    newest = int(case.line.split(" number=")[1].split(" ")[0])
    number, row = anchored(case.db), 100
    while number < newest + 1:
        row += 1
        case.db.run("INSERT INTO h (id) VALUES (%s)", [row])
        number = anchored(case.db)
    assert answer(case.db) == [("intact", 0, 0)]
    assert answer(case.db, witness=case.line) == [("tampered", 1, 1)]
    (check,) = case.db.records("SELECT * FROM seal.check_witness(%s)", [case.line])
    assert check["contained"] is False
    assert check["detail"] == f"the witness saw another anchor {newest} of {case.chain} than this database has"
