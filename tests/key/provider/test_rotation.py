"""A library gives the next key to a session, and an earlier one to whoever verifies; what happens when it does not."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from support.cluster import Cluster
from support.database import Database
from support.providing import asked, fingerprint_of, secret_of
from support.refusal import NOT_IN_STATE, refusal
from support.ring import KeyFolder
from support.sealing import background, wait_for

ROTATE = "SELECT seal.rotate_key()"
GAVE_NO_KEY = 'The key with id "2" is not at hand: the key provider "testprovider" gave no key: '


@pytest.fixture
def database(server: Cluster) -> Iterator[Database]:
    """A history under key 1 on a server whose key in force is 1."""
    server.stop()
    (server.data / "pgseal.key_id").unlink(missing_ok=True)
    server.settings["testprovider.mode"] = "good"
    server.start()
    with server.database() as made:
        made.run("CREATE TABLE h (n int); SELECT seal.attach('h'); INSERT INTO h VALUES (1)")
        yield made


def assert_intact(database: Database, entries: int) -> None:
    assert database.rows("SELECT verdict, entries FROM seal.verify_history()") == [("intact", entries)]


def states(database: Database) -> list[tuple[str, str, str, str]]:
    return database.rows("SELECT id, fingerprint, source, state FROM seal.keys")


def switch(database: Database, mode: str) -> None:
    """Until the session knows it, too."""
    database.cluster.configure({"testprovider.mode": mode})
    wait_for(database, "SELECT current_setting('testprovider.mode') = %s", [mode])


FIRST, SECOND = fingerprint_of(secret_of("1")), fingerprint_of(secret_of("2"))
BEFORE = [("1", FIRST, "testprovider", "in force")]
AFTER = [("1", FIRST, "testprovider", "verifies what it sealed"), ("2", SECOND, "testprovider", "in force")]


def test_a_rotation_and_a_restart(server: Cluster, database: Database) -> None:
    mark = server.log_position()
    assert states(database) == BEFORE
    assert database.value(ROTATE) == f"key 2 with fingerprint {SECOND} seals from now on: epoch 2 of public.h"
    database.run("INSERT INTO h VALUES (2)")
    assert states(database) == AFTER
    assert_intact(database, 2)
    assert asked(server.log(mark)) == ["a child for key 2 to sign"]
    KeyFolder(server).wait_until_kept(2)
    mark = server.log_position()
    server.restart()
    again = Database(server, database.name)
    again.run("INSERT INTO h VALUES (3)")
    assert_intact(again, 3)
    assert states(again) == AFTER
    again.close()
    # More than one process may have needed key 1 at the same time.
    first, *others = asked(server.log(mark))
    assert (first, set(others)) == ("the first process for key 2 to sign", {"a child for key 1 to sign"})


@pytest.mark.parametrize(
    ("mode", "complaint"),
    [
        ("down", "it returned 7: the vault is sealed, call [31mthe operator."),
        ("raises", "it raised an error: token went away."),
        ("raises the key", "it raised an error: token went away with ***."),
        ("short", "the key has 31 bytes, at least 32 are needed."),
    ],
)
def test_a_rotation_that_gets_no_key_changes_nothing(
    server: Cluster, database: Database, mode: str, complaint: str
) -> None:
    mark = server.log_position()
    switch(database, mode)
    refused = refusal(database, ROTATE)
    assert (refused.state, refused.message) == (NOT_IN_STATE, "there is no next key to rotate to")
    assert refused.detail == GAVE_NO_KEY + complaint
    assert not server.shows_key(refused.text) and secret_of("2").hex()[:16] not in server.log(mark)
    # The session can be cancelled as before: an ERROR in the provider has not put its counters out of order.
    database.run("SET statement_timeout = '50ms'")
    assert refusal(database, "SELECT pg_sleep(60)").state == "57014"
    database.run("RESET statement_timeout")
    database.run("INSERT INTO h VALUES (2)")
    assert states(database) == BEFORE
    assert_intact(database, 2)
    switch(database, "good")
    database.run(ROTATE)
    database.run("INSERT INTO h VALUES (3)")
    assert_intact(database, 3)
    assert states(database) == AFTER


def test_while_it_waits_nothing_jumps_out_of_it(server: Cluster, database: Database) -> None:
    """A careless provider asks for interrupts itself; the cancel takes effect when it has returned."""
    slow = server.data / "slow"
    mark = server.log_position()
    slow.touch()
    session = database.connect()
    with background() as start:
        try:
            rotation = start(session, ROTATE)
            server.wait_for_log("asked by a child for key 2", mark)
            database.run("SELECT pg_cancel_backend(%s)", [session.info.backend_pid])
            server.wait_for_log("testprovider was not cancelled", mark)
        finally:
            slow.unlink()
        with pytest.raises(psycopg.errors.QueryCanceled):
            rotation.result(timeout=30)
    session.execute("INSERT INTO h VALUES (2)")
    assert states(database) == BEFORE
    session.execute(ROTATE.encode())
    session.execute("INSERT INTO h VALUES (3)")
    assert states(database) == AFTER
    assert_intact(database, 3)


def test_an_earlier_key_that_it_has_no_more(server: Cluster, database: Database) -> None:
    database.run(ROTATE)
    database.run("INSERT INTO h VALUES (2)")
    KeyFolder(server).wait_until_kept(2)
    server.configure({"testprovider.mode": "without 1"}, restart=True)
    without = Database(server, database.name)
    without.run("INSERT INTO h VALUES (3)")
    assert without.rows("SELECT verdict, entries FROM seal.verify_history()") == [("unverifiable", 3)]
    assert {kind for (kind,) in without.rows("SELECT kind FROM seal.findings()")} == {"unknown_key"}
    state = without.value("SELECT state FROM seal.keys WHERE id = '1'")
    assert state == (
        'verifies what it sealed, not available: the key with id "1" is not at hand: the key provider "testprovider" '
        "gave no key: it returned 7: the vault is sealed, call [31mthe operator"
    )
    without.close()
    server.configure({"testprovider.mode": "good"})
    complete = Database(server, database.name)
    assert_intact(complete, 3)
    complete.close()
