"""Columns of pgseal's own tables with another type, in another order, or gone: a finding; the server lives on."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from support.cluster import Cluster
from support.database import Database
from support.journaling import found, top
from support.refusal import refusal
from support.sealing import history
from support.tampering import assert_intact, records
from support.witnessing import anchored

ALTERATIONS = [
    ("journal", "ALTER COLUMN sentence TYPE int USING 1"),
    ("journal", "ALTER COLUMN at TYPE text"),
    ("journal", "ALTER COLUMN details TYPE text"),
    ("journal", "ALTER COLUMN seq TYPE text"),
    ("journal", "ALTER COLUMN seq TYPE int"),
    ("journal", "ALTER COLUMN history_id TYPE text"),
    ("journal", "ALTER COLUMN mac TYPE bit varying USING B'1'"),
    ("journal", "ALTER COLUMN mac TYPE int USING 7"),
    ("journal", "DROP COLUMN mac"),
    ("journal", "DROP COLUMN sentence, ADD COLUMN sentence int"),
    ("journal", "DROP COLUMN who, ADD COLUMN who text NOT NULL DEFAULT 'postgres'"),
    ("journal", "RENAME COLUMN who TO whom"),
    ("anchor", "ALTER COLUMN heads TYPE int USING 1"),
    ("anchor", "ALTER COLUMN number TYPE text"),
    ("anchor", "DROP COLUMN mac"),
    ("anchor", "ALTER COLUMN boot TYPE int USING 1"),
    ("history", "ALTER COLUMN attached_by TYPE int USING 1"),
    ("history", "ALTER COLUMN epoch_digest TYPE int USING 1"),
    ("history", "ALTER COLUMN mac TYPE int USING 1"),
    ("history", "DROP COLUMN detach_mac"),
    ("history", "ALTER COLUMN tenant_column TYPE int USING 1"),
    ("epoch", "ALTER COLUMN record TYPE int USING 1"),
    ("epoch", "ALTER COLUMN mac TYPE int USING 1"),
    ("epoch", "DROP COLUMN record"),
]


@pytest.fixture(scope="module")
def own(anchoring: Cluster) -> Iterator[Database]:
    """A history on a server that no other file uses: it may not survive."""
    with anchoring.database() as database:
        history(database)
        anchored(database)
        # One more, which has but what changed.
        database.run("INSERT INTO h VALUES (1, 'x')")
        anchored(database)
        assert database.value("SELECT complete FROM seal.anchor ORDER BY number DESC LIMIT 1") is False
        yield database


@pytest.mark.parametrize(("table", "alteration"), ALTERATIONS)
def test_a_column_altered(own: Database, table: str, alteration: str) -> None:
    db = own
    assert_intact(db)
    with db.connection.transaction(force_rollback=True):
        db.run("SET LOCAL session_replication_role = replica")
        db.run(f"ALTER TABLE seal.{table} {alteration}")
        findings = records(db)
        sentence = f"table seal.{table} is gone, or has other columns than pgseal made it with"
        assert (sentence, "configuration_altered") in {(f["detail"], f["kind"]) for f in findings}
        assert db.value("SELECT seal.is_intact()") is False
    assert_intact(db)


def test_what_else_is_asked_meanwhile(own: Database) -> None:
    """Sealing and administering fail or go on, but say something; nothing takes the server down."""
    db = own
    for table, alteration in ALTERATIONS:
        with db.connection.transaction(force_rollback=True):
            db.run("SET LOCAL session_replication_role = replica")
            db.run(f"ALTER TABLE seal.{table} {alteration}")
            db.run("SET LOCAL session_replication_role = origin")
            for statement in (
                "INSERT INTO h VALUES (100, 'x')",
                "SELECT * FROM seal.status",
                "SELECT * FROM seal.check_setup()",
                "CREATE TABLE g (id int); SELECT seal.attach('g')",
                "ALTER TABLE h ADD COLUMN more int",
                "SELECT seal.acknowledge('x', 'h')",
                "SELECT seal.detach('h')",
            ):
                db.run("SAVEPOINT before")
                try:
                    db.run(statement)
                except psycopg.Error as error:
                    assert not db.connection.closed, f"{alteration}: {statement}: {error}"
                db.run("ROLLBACK TO before")
    assert_intact(db)


def test_committed_and_anchored(anchoring: Cluster, quick: Database) -> None:
    """The worker looks at it, too, and so does the server's next start."""
    history(quick)
    quick.run("INSERT INTO h VALUES (1, 'x')")
    quick.run("ALTER TABLE seal.journal ALTER COLUMN sentence TYPE int USING 1")
    quick.run("ALTER TABLE seal.anchor ALTER COLUMN heads TYPE int USING 1")
    mark = anchoring.log_position()
    anchoring.restart()
    anchoring.wait_for_log("ready to accept connections", mark)
    quick.run("CREATE TABLE g (id int)")
    assert refusal(quick, "SELECT seal.attach('g')").state != ""
    assert {f["kind"] for f in records(quick)} == {"configuration_altered"}
    assert quick.value("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgseal launcher'") == 1
    assert top(quick) == 2


@pytest.mark.parametrize("column", ["at", "complete", "heads", "boot", "boot_time", "key", "prev", "mac"])
def test_an_anchor_with_null(own: Database, column: str) -> None:
    """Whatever a NULL could be mistaken for: zero, false, nothing."""
    name, number = own.rows("SELECT chain, max(number) FROM seal.anchor GROUP BY 1")[0]
    with own.connection.transaction(force_rollback=True):
        own.run(f"ALTER TABLE seal.anchor ALTER COLUMN {column} DROP NOT NULL")
        own.run(f"UPDATE seal.anchor SET {column} = NULL WHERE number = {number}")
        assert ("anchor_altered", f"anchors {name}", number, None) in found(own)
