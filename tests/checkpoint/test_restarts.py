"""What a server knows after a restart or a crash is enough for an answer that rests on a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.anchoring import block_worker, newest, settle, unblock_worker
from support.checkpointing import add, answer, assert_full, assert_rests, checkpoint, ledger, since
from support.cluster import Cluster
from support.database import Database
from support.servers import watched
from support.tampering import triggers_off
from support.verification import kinds


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with watched({"pgseal.anchor_interval": "100ms", "max_prepared_transactions": 10}) as server:
        yield server


@pytest.fixture
def db(server: Cluster) -> Iterator[Database]:
    with server.database() as database:
        yield database


def again(db: Database, how: str) -> None:
    if how == "crash":
        db.cluster.crash()
    elif how == "restart":
        db.cluster.restart()


def checked(db: Database) -> int:
    """Run 1 has left a checkpoint, and an anchor has everything that stands there; the number of that anchor."""
    ledger(db)
    settle(db, "h")
    checkpoint(db)
    add(db, 13, 14, "acme")
    return settle(db, "h")


@pytest.mark.parametrize("how", ["restart", "crash"])
def test_nothing_was_done(db: Database, how: str) -> None:
    checked(db)
    again(db, how)
    assert_rests(answer(db, "acme"), 6, since=2)
    assert_rests(since(db), 2, since=2)
    add(db, 15, 15, "acme")
    assert_rests(answer(db, "acme"), 7, since=3)
    checkpoint(db)
    again(db, how)
    assert_rests(answer(db, "acme"), 7, since=0)


@pytest.mark.parametrize("how", ["", "restart", "crash"])
@pytest.mark.parametrize("which", ["id = 14", "id > 12", "id = 12", "id IN (3, 14)"])
def test_the_newest_removed(db: Database, how: str, which: str) -> None:
    """The anchors remember what memory has forgotten."""
    checked(db)
    with triggers_off(db.connection, "h"):
        db.run(f"DELETE FROM h WHERE {which}")
    again(db, how)
    assert_full(answer(db, "acme"), "tampered")
    assert_full(since(db), "tampered")


@pytest.mark.parametrize("how", ["", "restart"])
def test_the_anchors_since_removed(db: Database, how: str) -> None:
    """With the entries that they had. The checkpoint's own entry in the journal was in them."""
    last = checked(db)
    seen = db.value("SELECT max(a.value ->> 0)::int FROM seal.checkpoint, jsonb_each(record -> 'anchors') a")
    assert seen < last
    with triggers_off(db.connection, "h"):
        db.run(f"DELETE FROM h WHERE id > 12; DELETE FROM seal.anchor WHERE number >= {seen}")
    block_worker(db)
    try:
        again(db, how)
        assert newest(db) == seen - 1
        line = answer(db, "acme")
        assert_full(line, "tampered")
        assert "anchor_altered" in kinds(db, "acme")
    finally:
        unblock_worker(db)


def test_an_anchor_that_the_run_saw_was_made_anew(db: Database) -> None:
    """The server itself fills the number again after a restart, with a valid anchor."""
    checked(db)
    seen = db.value("SELECT max(a.value ->> 0)::int FROM seal.checkpoint, jsonb_each(record -> 'anchors') a")
    db.run(f"DELETE FROM seal.anchor WHERE number >= {seen}")
    again(db, "restart")
    while newest(db) < seen + 3:
        add(db, 100 + newest(db), 100 + newest(db), "zeta")
        settle(db, "h")
    assert_full(answer(db, "acme"), "tampered")
    found = db.rows("SELECT position FROM seal.findings('acme') WHERE kind = 'anchor_altered' ORDER BY 1")
    assert (seen,) in found


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE seal.anchor SET mac = decode(repeat('ab', 32), 'hex') WHERE number = {0}",
        "DELETE FROM seal.anchor WHERE number = {0}",
        "UPDATE seal.anchor SET heads = '{{}}' WHERE number = {0}",
    ],
)
@pytest.mark.parametrize("which", ["the one that the run saw", "one since"])
def test_an_altered_anchor(db: Database, sql: str, which: str) -> None:
    checked(db)
    seen = db.value("SELECT max(a.value ->> 0)::int FROM seal.checkpoint, jsonb_each(record -> 'anchors') a")
    add(db, 15, 15, "zeta")
    settle(db, "h")
    db.run(sql.format(seen if which == "the one that the run saw" else seen + 1))
    assert_full(answer(db, "acme"), "tampered")
    assert set(kinds(db, "acme")) == {"anchor_altered"}


def test_an_older_anchor_is_not_in_the_answer(db: Database) -> None:
    """basis says what it rests on; every full verification finds it."""
    checked(db)
    again(db, "restart")
    add(db, 15, 15, "zeta")
    settle(db, "h")
    assert db.value("SELECT max(number) > 1 FROM seal.anchor WHERE complete")
    checkpoint(db)
    db.run("DELETE FROM seal.anchor WHERE number = 1")
    assert_rests(answer(db, "acme"), 6, since=0)
    assert_full(answer(db, None), "tampered")


def test_prepared_across_a_crash(db: Database) -> None:
    ledger(db)
    with db.connect(autocommit=False) as session:
        session.execute(b"INSERT INTO h VALUES (100, 'acme', 'x')")
        session.execute(b"PREPARE TRANSACTION 'a'")
    checkpoint(db)
    again(db, "crash")
    assert_rests(answer(db, "acme"), 4, since=0)
    db.run("COMMIT PREPARED 'a'")
    again(db, "crash")
    assert_rests(answer(db, "acme"), 5, since=1)
