"""COPY: with a list of columns in every format; without one it is refused with the command that works."""

from __future__ import annotations

import psycopg
import pytest

from support.application import assert_recorded, journal
from support.database import Database
from support.refusal import refusal
from support.roles import Roles
from support.sealing import assert_whole, attach, partitioned, refused, run
from support.servers import Servers

MESSAGE = 'COPY into history "public.h" needs a list of columns'
LIST = "COPY public.h (id, tenant, at, payload) FROM"
FORMATS = {"text": "", "csv": "(FORMAT csv, HEADER)", "binary": "(FORMAT binary)"}


def copied_out(db: Database, query: str, options: str) -> bytes:
    with db.connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT {options}".encode()) as copy:
        return b"".join(bytes(part) for part in copy)


def copied_in(db: Database | psycopg.Connection, statement: str, data: bytes) -> None:
    session = db.connection if isinstance(db, Database) else db
    with session.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        copy.write(data)


@pytest.mark.parametrize("form", FORMATS)
def test_with_a_list(app: Database, form: str) -> None:
    query = "SELECT g::bigint id, 'acme' tenant, jsonb_build_object('n', g) payload FROM generate_series(1, 300) g"
    data = copied_out(app, query, FORMATS[form])
    copied_in(app, f"COPY h (id, tenant, payload) FROM STDIN {FORMATS[form]}", data)
    assert_recorded(app, 300)
    assert copied_out(app, "SELECT id, tenant, payload FROM h ORDER BY id", FORMATS[form]) == data


@pytest.mark.parametrize("form", FORMATS)
def test_without_a_list(app: Database, form: str) -> None:
    own = copied_out(app, "SELECT 1::bigint id, 'acme' tenant, now() at, '{}'::jsonb payload", FORMATS[form])
    with refused("428C9", MESSAGE, f"Name the columns that the data has: {LIST} …, or \\copy in psql."):
        copied_in(app, f"COPY h FROM STDIN {FORMATS[form]}", own)
    assert_recorded(app, 0)
    copied_in(app, f"{LIST} STDIN {FORMATS[form]}", own)
    whole = copied_out(app, "SELECT * FROM h", FORMATS[form])
    with refused("428C9", MESSAGE, LIST):
        copied_in(app, f"COPY h FROM STDIN {FORMATS[form]}", whole)
    assert_recorded(app, 1)


def test_what_the_refusal_says_of_odd_names(db: Database) -> None:
    db.run("""CREATE TABLE "My ""History" ("Order" int, g int GENERATED ALWAYS AS (1) STORED, "na,me" text)""")
    db.run("""SELECT seal.attach('"My ""History"'); ALTER TABLE "My ""History" ADD COLUMN later int""")
    said = refusal(db, """COPY "My ""History" FROM PROGRAM 'true'""")
    assert said.state == "428C9"
    assert said.detail == "Without a list it means every column, also the seven that are filled by pgseal."
    command = said.hint.removeprefix("Name the columns that the data has: ").partition(" …")[0]
    assert command == 'COPY public."My ""History" ("Order", "na,me", later) FROM'
    copied_in(db, f"{command} STDIN", b"1\tx\t2\n")
    assert db.rows('SELECT "Order", g, "na,me", later FROM "My ""History"') == [(1, 1, "x", 2)]


def test_a_leaf_and_its_parent(db: Database) -> None:
    partitioned(db)
    for table in ("h", "h1"):
        with refused("428C9", f'COPY into history "public.{table}" needs', f"COPY public.{table} (id, k, p) FROM …"):
            copied_in(db, f"COPY {table} FROM STDIN", b"1\t1\tx\n")
    copied_in(db, "COPY h (id, k, p) FROM STDIN", b"1\t1\tx\n2\t0\tx\n")
    copied_in(db, "COPY h1 (id, k, p) FROM STDIN", b"3\t1\tx\n")
    assert_whole(db, entries=3)


def test_in_a_transaction_that_goes_on(app: Database) -> None:
    """The statement fails, the savepoint comes back, and the rest is sealed."""
    run(app.connection, "BEGIN", "INSERT INTO h DEFAULT VALUES", "SAVEPOINT s")
    with refused("428C9", MESSAGE):
        copied_in(app, "COPY h FROM STDIN", b"1\n")
    run(app.connection, "ROLLBACK TO s")
    copied_in(app, "COPY h (tenant) FROM STDIN", b"acme\numbrella\n")
    run(app.connection, "COMMIT")
    assert_recorded(app, 3)


def test_a_line_that_is_wrong_leaves_nothing(app: Database) -> None:
    lines = "".join(f"acme\t{{}}\t{n}\n" for n in range(1, 2000))
    with refused("22P02", "invalid input syntax for type json"):
        copied_in(app, "COPY h (tenant, payload, id) FROM STDIN", lines.encode() + b"acme\t{\t2000\n")
    with refused("23514", "violates check constraint"):
        copied_in(app, "COPY h (tenant, payload, id) FROM STDIN", lines.encode() + b"nobody\t{}\t2000\n")
    copied_in(app, "COPY h (tenant, payload, id) FROM STDIN", lines.encode())
    assert_recorded(app, 1999)


def test_by_a_role_that_may_only_insert(app: Database, roles: Roles) -> None:
    writer = roles.session("writer")
    app.run(f"GRANT INSERT ON h TO {writer.info.user}")
    with refused("428C9", MESSAGE):
        copied_in(writer, "COPY h FROM STDIN", b"")
    copied_in(writer, "COPY h (tenant) FROM STDIN", b"acme\n")
    stranger = roles.session("stranger")
    with refused("42501", "permission denied for table h"):
        copied_in(stranger, "COPY h (tenant) FROM STDIN", b"acme\n")
    assert_recorded(app, 1)


def test_whole_rows_come_back_where_nothing_seals_them(app: Database) -> None:
    """What a data-only restore by hand does; entries keep their seals."""
    app.run("INSERT INTO h (tenant) VALUES ('acme'), ('umbrella')")
    whole = copied_out(app, "SELECT * FROM h ORDER BY seal_seq", "")
    app.run("CREATE TABLE copy (LIKE h)")
    copied_in(app, "COPY copy FROM STDIN", whole)
    assert copied_out(app, "SELECT * FROM copy ORDER BY seal_seq", "") == whole
    replica = app.connect(options="-c session_replication_role=replica")
    with refused("23505", "duplicate key value"):
        copied_in(replica, "COPY h FROM STDIN", whole)
    assert_recorded(app, 2)


def test_other_tables_are_nobodys_business(db: Database) -> None:
    db.run("CREATE TABLE h (id int, p text); CREATE TABLE other (id int); CREATE TEMP TABLE t (seal_mac int)")
    attach(db, "other")
    for table in ("h", "t"):
        copied_in(db, f"COPY {table} FROM STDIN", b"1\tx\n" if table == "h" else b"1\n")
    with refused("42P01", 'relation "nowhere" does not exist'):
        copied_in(db, "COPY nowhere FROM STDIN", b"")
    with refused("3F000", 'schema "nowhere" does not exist'):
        copied_in(db, "COPY nowhere.h FROM STDIN", b"")
    db.run("SELECT seal.detach('other')")
    with refused("22P04", 'missing data for column "seal_chain"'):
        copied_in(db, "COPY other FROM STDIN", b"1\n")
    assert db.rows("SELECT * FROM h") == [(1, "x")]


def test_with_headers_that_must_match(app: Database) -> None:
    with refused("428C9", MESSAGE):
        copied_in(app, "COPY h FROM STDIN (FORMAT csv, HEADER match)", b"tenant\nacme\n")
    copied_in(app, "COPY h (tenant) FROM STDIN (FORMAT csv, HEADER match)", b"tenant\nacme\n")
    assert_recorded(app, 1)


@pytest.mark.parametrize("libraries", ["pgseal,pg_stat_statements", "pg_stat_statements,pgseal"])
def test_beside_another_library_that_sees_statements(own_cluster: Servers, libraries: str) -> None:
    """Both see each statement, whichever was loaded first, and errors arrive with all that they had."""
    with own_cluster({"shared_preload_libraries": libraries}).database() as db:
        journal(db)
        db.run("CREATE EXTENSION pg_stat_statements")
        with refused("428C9", MESSAGE, LIST):
            db.run("COPY h FROM PROGRAM 'echo 1'")
        copied_in(db, "COPY h (id) FROM STDIN", b"1\n2\n")
        with pytest.raises(psycopg.errors.UniqueViolation) as caught:
            db.run("DO $$ BEGIN INSERT INTO h (id) VALUES (2); END $$")
        assert (caught.value.diag.table_name, caught.value.diag.constraint_name) == ("h", "h_pkey")
        counted = db.rows("SELECT calls, rows FROM pg_stat_statements WHERE query LIKE 'COPY h (id)%'")
        assert counted == [(1, 2)]
        assert_recorded(db, 2)
