"""On a hot standby every question has the same answer, whatever was done on the primary."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.database import Database
from support.restoring import furnish, settle
from support.scheduling import slow
from support.servers import Servers
from support.standby import COPIED, answers, caught_up, standby_of
from support.tampering import triggers_off
from support.watching import Verification
from support.witnessing import AT_ONCE, Sink, set_command

Pair = tuple[Database, Database, str]
"""The database on the primary, on its standby, and a line of the witness."""


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    servers = Servers()
    try:
        primary = servers({**AT_ONCE, **COPIED})
        db = furnish(primary.createdb())
        db.run("SELECT seal.verify_and_prune(); SELECT seal.hold('plain', 'acme', 'case 1')")
        settle(db)
        sink = Sink(primary)
        set_command(primary, sink.command)
        db.run("INSERT INTO plain (id, p) VALUES (5, 'acme')")
        line = sink.wait_for(db)
        set_command(primary, None)
        yield db, standby_of(servers, db), line
        servers.assert_no_alarms()
    finally:
        servers.destroy()


def assert_same_answers(pair: Pair) -> None:
    db, standby, line = pair
    settle(db)
    caught_up(db, standby)
    assert standby.value("SELECT pg_is_in_recovery()")
    theirs, ours = answers(db, line), answers(standby, line)
    for name, answer in theirs.items():
        assert ours[name] == answer, name


def test_what_is_intact(pair: Pair) -> None:
    assert_same_answers(pair)
    _, standby, line = pair
    assert {row[0] for row in answers(standby, line)["verify_history"]} == {"intact"}


@pytest.mark.parametrize(
    ("table", "change", "kinds"),
    [
        ("plain", "UPDATE plain SET p = 'umbrella' WHERE id = 1", ["modified"]),
        ("plain", "DELETE FROM plain WHERE id = 2", ["missing"]),
        ("plain", "DELETE FROM plain WHERE id >= 4", ["truncated"]),
        ("one", "TRUNCATE one", ["truncated"]),
        ("p", "UPDATE p SET seal_prev = seal_mac WHERE id = 2", ["modified"]),
        ("seal.anchor", "DELETE FROM seal.anchor WHERE number = 2", ["anchor_altered"]),
        ("seal.anchor", "UPDATE seal.anchor SET at = at - interval '1 day' WHERE number = 2", ["anchor_altered"]),
        ("seal.journal", "DELETE FROM seal.journal WHERE seq = 1", None),
        ("seal.history", "UPDATE seal.history SET max_chains = 7", None),
    ],
)
def test_what_is_not(pair: Pair, table: str, change: str, kinds: list[str] | None) -> None:
    """Tampered on the primary, found on the standby; then put back."""
    db, standby, line = pair
    session = db.connection
    db.run(f"CREATE TABLE honest AS TABLE {table}")
    with session.transaction(), triggers_off(session, table):
        db.run(change)
    try:
        assert_same_answers(pair)
        found = answers(standby, line)
        assert "tampered" in {row[0] for row in found["verify_history"]}
        if kinds:
            assert {row[4] for row in found["findings"]} == set(kinds)
    finally:
        with session.transaction(), triggers_off(session, table):
            db.run(f"DELETE FROM {table}; INSERT INTO {table} TABLE honest; DROP TABLE honest")
    assert_same_answers(pair)
    assert {row[0] for row in answers(standby, line)["verify_history"]} == {"intact"}


def test_progress_is_shown_there_too(own_cluster: Servers) -> None:
    db = own_cluster({**AT_ONCE, **COPIED}).createdb()
    db.run("CREATE EXTENSION pgseal")
    slow(db)
    standby = standby_of(own_cluster, db)
    with Verification(standby, before=("SET test.lasts = 5",)) as running:
        running.wait_for("checking generated columns")
        assert db.rows("SELECT * FROM seal.verification_progress") == []
        running.cancel()
    assert standby.rows("SELECT * FROM seal.verification_progress") == []
