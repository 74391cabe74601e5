"""Rows that somebody puts into seal.anchor never reach a witness, and do not keep it from its lines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database
from support.sealing import history
from support.servers import Servers
from support.witnessing import AT_ONCE, Sink, anchored, fields, set_command, until

FORGED = """INSERT INTO seal.anchor
            SELECT chain, {number}, now(), true, '{{}}', boot, boot_time, key, mac, sha256(mac)
              FROM seal.anchor ORDER BY number DESC LIMIT 1"""


@pytest.fixture
def server(own_cluster: Servers) -> Cluster:
    return own_cluster(AT_ONCE)


@pytest.fixture
def db(server: Cluster) -> Iterator[Database]:
    database = server.createdb()
    database.run("CREATE EXTENSION pgseal")
    history(database)
    database.run("INSERT INTO h VALUES (1, 'x')")
    yield database


@pytest.mark.parametrize("ahead", [1, 998])
def test_after_a_restart(server: Cluster, db: Database, ahead: int) -> None:
    sink = Sink(server)
    set_command(server, sink.command)
    db.run("INSERT INTO h VALUES (2, 'x')")
    line = sink.wait_for(db)
    newest = int(fields(line)["number"])
    known = len(sink.lines())
    db.run(FORGED.format(number=newest + ahead))
    server.restart()
    assert sink.wait_until(lambda lines: len(lines) > known) == line
    place = (f"anchors {fields(line)['chain']}", newest + ahead)
    assert ("anchor_altered", *place) in db.rows("SELECT kind, chain, position FROM seal.findings()")
    db.run(f"DELETE FROM seal.anchor WHERE number = {newest + ahead}")
    db.run("INSERT INTO h VALUES (3, 'x')")
    assert int(fields(sink.wait_for(db))["number"]) == newest + 1
    assert db.rows("SELECT kind FROM seal.findings()") == []
    assert {fields(kept)["number"] for kept in sink.lines()} <= {str(n) for n in range(1, newest + 2)}


def test_while_a_failed_command_is_tried_again(server: Cluster, db: Database) -> None:
    calls = Sink(server, "calls")
    set_command(server, f"echo called >> {calls.path}; exit 1")
    db.run("INSERT INTO h VALUES (2, 'x')")
    until(lambda: bool(calls.lines()), "it was called")
    newest = anchored(db)
    db.run(FORGED.format(number=newest + 400))
    sink = Sink(server)
    set_command(server, sink.command)
    sink.wait_until(lambda lines: bool(lines))
    assert fields(sink.lines()[-1])["number"] == str(newest)


def test_a_damaged_anchor_is_not_handed_out(server: Cluster, db: Database) -> None:
    """What cannot be read does not end the worker for good: the next anchor comes, and the damage stays visible."""
    sink = Sink(server)
    set_command(server, sink.command)
    db.run("INSERT INTO h VALUES (2, 'x')")
    line = sink.wait_for(db)
    damaged, known = int(fields(line)["number"]), len(sink.lines())
    db.run(f"UPDATE seal.anchor SET heads = '[1]', mac = '\\x00' WHERE number = {damaged}")
    server.restart()
    db.run("INSERT INTO h VALUES (3, 'x')")
    sink.wait_until(lambda lines: len(lines) > known)
    assert int(fields(sink.wait_for(db))["number"]) > damaged
    (later,) = {kept for kept in sink.lines()[known:] if int(fields(kept)["number"]) == anchored(db)}
    assert db.value("SELECT contained FROM seal.check_witness(%s)", [later]) is True
    assert db.value("SELECT contained FROM seal.check_witness(%s)", [line]) is False
    place = ("anchor_altered", f"anchors {fields(line)['chain']}", damaged)
    assert place in db.rows("SELECT kind, chain, position FROM seal.findings()")
    assert str(damaged) not in {fields(kept)["number"] for kept in sink.lines()[known:]}
