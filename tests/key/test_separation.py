"""What verifies one history and no other: a server that holds only that judges this history, and cannot seal."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from support.anchoring import wait_until_anchored
from support.cluster import Cluster
from support.database import Database
from support.refusal import NOT_IN_STATE, NOT_PERMITTED, refusal
from support.ring import KeyFolder, with_ring
from support.roles import Roles
from support.servers import Servers
from support.tampering import triggers_off

ONLY_VERIFIES = "This server holds verification secrets only and cannot seal."


@dataclass
class Pair:
    """The server that seals, with histories `h` and `other`, and a copy of it that verifies `h` alone."""

    server: Cluster
    keys: KeyFolder
    database: Database
    lines: list[str]


@pytest.fixture
def sealing(own_cluster: Servers) -> Pair:
    server, keys = with_ring(own_cluster)
    database = server.createdb(name="sealed")
    database.run("CREATE EXTENSION pgseal")
    for name in ("h", "other"):
        database.run(f"CREATE TABLE {name} (tenant text, n int PRIMARY KEY)")
        database.run(f"SELECT seal.attach('{name}', tenant_column => 'tenant')")
        database.run(f"INSERT INTO {name} SELECT 'acme', i FROM generate_series(1, 20) AS i")
    database.run("SELECT seal.rotate_key()")
    database.run("INSERT INTO h VALUES ('acme', 21)")
    wait_until_anchored(database, "h", "other")
    return Pair(server, keys, database, [])


def verifying(pair: Pair, servers: Servers, *lines: str, standby: bool = False) -> Cluster:
    """A copy of the server, as a standby or restored, that has these lines instead of a key."""
    copy = pair.server.basebackup(standby=standby)
    file = copy.home / "verification"
    copy.write_key("\n".join(lines) + "\n", file)
    copy.configure({"pgseal.key_file": None, "pgseal.verification_file": str(file)})
    return servers.adopt(copy)


def verdicts(database: Database) -> dict[str, str]:
    return dict(database.rows("SELECT history, verdict FROM seal.verify_history()"))


@pytest.mark.parametrize("standby", [True, False], ids=["standby", "restored copy"])
def test_one_history_can_be_verified_and_no_other(sealing: Pair, own_cluster: Servers, standby: bool) -> None:
    line = sealing.database.value("SELECT seal.history_secret('h')")
    copy = Database(verifying(sealing, own_cluster, line, standby=standby), "sealed")
    assert verdicts(copy) == {"public.h": "intact", "public.other": "unverifiable"}
    assert set(copy.rows("SELECT kind FROM seal.findings(history => 'other')")) == {("unknown_key",)}
    assert copy.value("SELECT seal.is_intact('acme', 'h')")
    copy.close()


def test_tampering_is_found_with_it(sealing: Pair, own_cluster: Servers) -> None:
    line = sealing.database.value("SELECT seal.history_secret('h')")
    copy = Database(verifying(sealing, own_cluster, line), "sealed")
    with triggers_off(copy.connection, "h"):
        copy.run("UPDATE h SET tenant = 'evil' WHERE n = 7")
        copy.run("DELETE FROM h WHERE n = 9")
    found = copy.rows("SELECT kind, position FROM seal.findings(history => 'h') WHERE position IS NOT NULL")
    assert set(found) >= {("modified", 7), ("missing", 9)}
    copy.close()


def test_it_cannot_seal(sealing: Pair, own_cluster: Servers) -> None:
    line = sealing.database.value("SELECT seal.history_secret('h')")
    copy = Database(verifying(sealing, own_cluster, line), "sealed")
    for statement in ("INSERT INTO h VALUES ('acme', 100)", "INSERT INTO other VALUES ('acme', 100)"):
        refused = refusal(copy, statement)
        assert (refused.state, refused.detail) == (NOT_IN_STATE, ONLY_VERIFIES)
    for statement in (
        "SELECT seal.attach('third')",
        "SELECT seal.rotate_key()",
        "SELECT seal.set_window('h', 12)",
        "SELECT * FROM seal.verify_and_prune('h')",
        "SELECT seal.history_secret('h')",
    ):
        if "third" in statement:
            copy.run("CREATE TABLE third (n int)")
        refused = refusal(copy, statement)
        assert (refused.state, refused.detail) == (NOT_IN_STATE, ONLY_VERIFIES), statement
    item, ok = copy.rows("SELECT item, ok FROM seal.check_setup() WHERE item = 'key'")[0]
    assert (item, ok) == ("key", True)
    assert verdicts(copy)["public.h"] == "intact"
    copy.close()


def test_several_histories_stand_line_by_line(sealing: Pair, own_cluster: Servers) -> None:
    lines = [sealing.database.value("SELECT seal.history_secret(%s)", (name,)) for name in ("h", "other")]
    copy = Database(verifying(sealing, own_cluster, *lines), "sealed")
    assert verdicts(copy) == {"public.h": "intact", "public.other": "intact"}
    copy.close()


def test_what_is_handed_out_holds_no_key(sealing: Pair) -> None:
    database = sealing.database
    line = database.value("SELECT seal.history_secret('h')")
    for number in (1, 2):
        secret = sealing.keys.file(number).read_text().strip()
        assert secret not in line
    given = json.loads(line)
    assert given["table"] == "public.h"
    assert [key["id"] for key in given["keys"]] == ["1", "2"]
    other = json.loads(database.value("SELECT seal.history_secret('other')"))
    for mine, others in zip(given["keys"], other["keys"], strict=True):
        assert mine["history"] != others["history"]
        assert (mine["journal"], mine["anchors"]) == (others["journal"], others["anchors"])
    journaled = database.rows("SELECT history, sentence FROM seal.journal WHERE kind = 'export' ORDER BY at")
    assert journaled == [
        ("public.h", "what verifies public.h was handed out"),
        ("public.other", "what verifies public.other was handed out"),
    ]


def test_only_superusers_get_it(db: Database, roles: Roles) -> None:
    db.run("CREATE TABLE h (n int); SELECT seal.attach('h')")
    for role in ("pgseal_admin", "pgseal_auditor"):
        with roles.session(role.removeprefix("pgseal_"), member_of=role) as session:
            assert refusal(session, "SELECT seal.history_secret('h')").state == NOT_PERMITTED


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty"),
        ("no secret\n", "has in line 1 something that seal.history_secret did not give"),
        ("{}\n", "has in line 1 something that seal.history_secret did not give"),
    ],
)
def test_a_file_that_is_none(sealing: Pair, own_cluster: Servers, content: str, reason: str) -> None:
    copy = sealing.server.basebackup(standby=False)
    file = copy.home / "verification"
    copy.write_key(content, file)
    copy.configure({"pgseal.key_file": None, "pgseal.verification_file": str(file), "pgseal.require_key": False})
    own_cluster.adopt(copy)
    assert reason in copy.log()


def test_a_key_and_verification_secrets_are_two_sources(sealing: Pair, own_cluster: Servers) -> None:
    copy = sealing.server.basebackup(standby=False)
    copy.configure({"pgseal.verification_file": "/nowhere", "pgseal.require_key": False})
    own_cluster.adopt(copy)
    assert "pgseal.key_file and pgseal.verification_file are both set" in copy.log()
