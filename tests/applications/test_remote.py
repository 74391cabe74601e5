"""Entries that come over a connection between databases: dblink and postgres_fdw."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.application import assert_recorded, journal
from support.cluster import Cluster
from support.database import Database
from support.refusal import Refusal, refusal
from support.sealing import SEAL_COLUMNS, refused, run


@pytest.fixture
def remote(cluster: Cluster) -> Iterator[Database]:
    with cluster.database() as database:
        journal(database)
        yield database


def place(db: Database) -> str:
    return f"host '{db.cluster.sockets}', port '{db.cluster.port}', dbname '{db.name}'"


@pytest.fixture
def near(db: Database, remote: Database) -> Database:
    """Another database, to which the history and its seal columns are foreign."""
    db.run(f"""CREATE EXTENSION postgres_fdw; CREATE SCHEMA far;
               CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({place(remote)}, batch_size '10');
               CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user 'postgres', password_required 'false');
               IMPORT FOREIGN SCHEMA public LIMIT TO (h) FROM SERVER far INTO far OPTIONS (import_default 'false')""")
    # A foreign table's own columns are all sent, as NULL if nothing is given: those that the far side fills go.
    db.run("""CREATE FOREIGN TABLE door (tenant text, payload jsonb DEFAULT '{}') SERVER far OPTIONS (table_name 'h');
              CREATE FOREIGN TABLE sealed (tenant text, payload jsonb DEFAULT '{}', seal_seq bigint, seal_mac bytea)
                  SERVER far OPTIONS (table_name 'h')""")
    return db


class TestForeignTable:
    def test_inserts(self, near: Database, remote: Database) -> None:
        near.run("INSERT INTO door (tenant) SELECT 'acme' FROM generate_series(1, 25)")
        with near.connection.cursor() as cursor, cursor.copy("COPY door (tenant) FROM STDIN") as copy:
            copy.write("acme\n" * 15)
        run(near.connection, "BEGIN", "INSERT INTO door (tenant) VALUES ('umbrella')", "ROLLBACK")
        run(near.connection, "BEGIN", "INSERT INTO door (tenant) VALUES ('umbrella')", "SAVEPOINT s")
        run(near.connection, "INSERT INTO door (tenant) VALUES ('acme')", "ROLLBACK TO s", "COMMIT")
        assert near.value("SELECT count(*) FROM far.h") == 41
        assert_recorded(remote, 41)

    def test_with_all_its_columns_as_imported(self, near: Database, remote: Database) -> None:
        """The seal columns go as NULL, which is as good as leaving them out; and they can be returned."""
        columns = "(id, tenant, at, payload)"
        near.run(f"INSERT INTO far.h {columns} SELECT g, 'acme', now(), '1' FROM generate_series(1, 25) g")
        (row,) = near.records(f"INSERT INTO far.h {columns} VALUES (26, 'acme', now(), '2') RETURNING *")
        assert [row["seal_seq"], len(row["seal_mac"])] == [26, 32]
        assert list(row)[-7:] == list(SEAL_COLUMNS)
        assert near.rows("SELECT * FROM far.h ORDER BY id") == remote.rows("SELECT * FROM h ORDER BY id")
        assert_recorded(remote, 26)

    def test_what_comes_back(self, near: Database, remote: Database) -> None:
        rows = near.rows("INSERT INTO sealed (tenant) VALUES ('acme'), ('umbrella') RETURNING seal_seq, seal_mac")
        assert rows == remote.rows("SELECT seal_seq, seal_mac FROM h ORDER BY seal_seq")
        assert_recorded(remote, 2)

    def test_a_foreign_partition_of_a_plain_table(self, near: Database, remote: Database) -> None:
        near.run("""CREATE TABLE events (tenant text, payload jsonb) PARTITION BY LIST (tenant);
                    CREATE TABLE others PARTITION OF events DEFAULT;
                    CREATE FOREIGN TABLE acme PARTITION OF events FOR VALUES IN ('acme') SERVER far
                        OPTIONS (table_name 'h')""")
        near.run(
            "INSERT INTO events SELECT CASE g % 2 WHEN 0 THEN 'acme' ELSE 'x' END, '1' FROM generate_series(1, 40) g"
        )
        assert near.value("SELECT count(*) FROM others") == 20
        assert_recorded(remote, 20)

    def test_refusals_keep_their_words(self, near: Database, remote: Database) -> None:
        near.run("INSERT INTO door (tenant) VALUES ('acme')")
        said: dict[str, Refusal] = {
            statement: refusal(near, statement)
            for statement in (
                "UPDATE door SET tenant = 'umbrella'",
                "DELETE FROM door",
                "TRUNCATE door",
                "INSERT INTO sealed (tenant, seal_seq) VALUES ('acme', 9)",
            )
        }
        for statement in list(said)[:3]:
            kind = statement.split()[0]
            assert said[statement].state == "55000"
            assert said[statement].message == f'{kind} is not allowed on history "public.h"'
            assert said[statement].hint.startswith("Insert a new row that corrects the old one.")
        supplied = said["INSERT INTO sealed (tenant, seal_seq) VALUES ('acme', 9)"]
        assert (supplied.state, supplied.hint[:31]) == ("428C9", "Leave the seal_ columns out of ")
        assert_recorded(remote, 1)


class TestLink:
    def test_inserts_and_refusals(self, db: Database, remote: Database) -> None:
        link = f"host={remote.cluster.sockets} port={remote.cluster.port} dbname={remote.name} user=postgres"
        db.run("CREATE EXTENSION dblink")
        db.rows("SELECT dblink_connect('far', %s)", [link])
        insert = "INSERT INTO h (tenant) VALUES (''acme'') RETURNING id, seal_seq"
        assert db.rows(f"SELECT * FROM dblink('far', '{insert}') AS (id bigint, place bigint)") == [(1, 1)]
        db.rows("SELECT dblink_exec('far', 'BEGIN'), dblink_exec('far', 'INSERT INTO h DEFAULT VALUES')")
        db.rows("SELECT dblink_exec('far', 'ROLLBACK')")
        with refused("55000", 'DELETE is not allowed on history "public.h"', "seal.detach("):
            db.rows("SELECT dblink_exec('far', 'DELETE FROM h')")
        with refused("428C9", 'COPY into history "public.h" needs a list of columns', "COPY public.h (id, tenant, at,"):
            db.rows("SELECT dblink_exec('far', 'COPY h FROM PROGRAM ''true''')")
        db.rows("SELECT dblink_exec('far', 'INSERT INTO h DEFAULT VALUES'), dblink_disconnect('far')")
        assert_recorded(remote, 2)

    def test_a_log_that_outlives_a_rollback(self, app: Database) -> None:
        """The way to write an entry although one's own transaction fails: by a connection back to the same database."""
        link = f"host={app.cluster.sockets} port={app.cluster.port} dbname={app.name} user=postgres"
        app.run("CREATE EXTENSION dblink")
        run(app.connection, "BEGIN", "INSERT INTO h (tenant) VALUES ('umbrella')")
        app.rows("SELECT dblink_exec(%s, 'INSERT INTO h (tenant) VALUES (''acme'')')", [link])
        run(app.connection, "ROLLBACK", "INSERT INTO h (tenant) VALUES ('acme')")
        assert app.rows("SELECT tenant FROM h") == [("acme",), ("acme",)]
        assert_recorded(app, 2)
