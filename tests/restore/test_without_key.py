"""A restore without the key, or with another one: nothing can be judged or sealed, nothing is called tampered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster import Cluster
from support.database import Database
from support.refusal import refusal
from support.restoring import HISTORIES, STATE, archive, assert_intact, furnish, insert_everywhere, state
from support.servers import Servers
from support.witnessing import AT_ONCE, anchored

VERDICTS = "SELECT history, verdict, entries, findings FROM seal.verify_history() ORDER BY 1"


@pytest.fixture(scope="module")
def source(fast: Cluster) -> Iterator[Path]:
    """A dump, and the key under which it was sealed, in `fast`."""
    database = furnish(fast.createdb())
    yield archive(database, "keyless", "-Fc")
    database.drop()


def restored(server: Cluster, source: Path) -> Database:
    database = server.createdb()
    done = server.run("pg_restore", "-d", database.name, "--exit-on-error", source)
    assert done.stderr == ""
    return database


def assert_closed(db: Database) -> None:
    for table in ("plain (id, p)", "one"):
        said = refusal(db, f"INSERT INTO {table} VALUES (10, 'x')")
        assert said.state != "" and "key" in said.text, said
    assert db.rows("SELECT count(*) FROM plain") == [(HISTORIES["public.plain"],)]
    assert db.rows("SELECT seal.is_intact()") == [(False,)]
    assert db.rows("SELECT item FROM seal.check_setup() WHERE NOT ok AND item IN ('key', 'history')") != []


def test_without_a_key_and_then_with_it(own_cluster: Servers, fast: Cluster, source: Path) -> None:
    server = own_cluster(AT_ONCE, key=None)
    db = restored(server, source)
    answer = {name: verdict for name, verdict, *_ in db.rows(VERDICTS)}
    # Whether the dropped one was detached by pgseal cannot be judged either.
    assert set(answer) > set(HISTORIES) and len(answer) == len(HISTORIES) + 1
    assert set(answer.values()) == {"unverifiable"}
    assert {kind for (kind,) in db.rows("SELECT kind FROM seal.findings()")} == {"unknown_key"}
    assert_closed(db)
    before = state(db)
    assert len(before) == len(STATE) and db.value("SELECT count(*) FROM seal.anchor") > 0
    # The key comes from escrow: now it is what it was.
    server.key = fast.key
    server.write_key(fast.key or "")
    server.configure({"pgseal.key_file": str(server.key_file)}, restart=True)
    # The worker may have written the first anchor of this place already.
    now = state(db)
    assert {**now, "seal.anchor": None} == {**before, "seal.anchor": None}
    assert_intact(db)
    insert_everywhere(db, 10)
    anchored(db)
    assert_intact(db, more=1)


def test_with_another_key_under_the_same_id(own_cluster: Servers, source: Path) -> None:
    server = own_cluster(AT_ONCE)
    db = restored(server, source)
    answer = db.rows(VERDICTS)
    assert {name for name, *_ in answer} > set(HISTORIES)
    # It says that the key is another one, and calls nothing tampered.
    assert {verdict for _, verdict, *_ in answer} == {"unverifiable"}
    assert {kind for (kind,) in db.rows("SELECT kind FROM seal.findings()")} == {"unknown_key"}
    assert_closed(db)
    said = refusal(db, "INSERT INTO one VALUES (10, 'x')")
    assert "The history was sealed with another key than this server has (fingerprint " in said.detail
    assert db.value("SELECT count(*) FROM seal.anchor WHERE chain NOT IN (SELECT seal_chain FROM one)") == 0
