"""No byte of the key anywhere that anybody can look: logs, messages, settings, views, process lists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.cluster import Cluster, Settings
from support.database import Database
from support.leaking import Hidden
from support.refusal import refusal
from support.servers import assert_no_alarms

KEY = "f00dfeedc0ffee11" * 4
OTHER = "5a1adba11cafeb0a" * 4
SECRET = Hidden(KEY, OTHER)
CHATTY: Settings = {
    "shared_preload_libraries": "pgseal,pg_stat_statements",
    "log_min_duration_statement": 0,
    "log_min_messages": "debug5",
    "log_statement": "all",
    "log_error_verbosity": "verbose",
    "debug_print_plan": True,
    "log_duration": True,
    "track_activity_query_size": 100000,
}


def shows(text: str | bytes) -> bool:
    """Six bytes in a row of a key, raw, as hex or as base64 at any offset."""
    return bool(SECRET.in_text(text))


@pytest.fixture(scope="module", params=["pgseal.key_file", "pgseal.key_command", "pgseal.key"])
def server(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    own = Cluster(CHATTY, key=KEY, env={"RUST_BACKTRACE": "1"})
    try:
        own.create()
        del own.settings["pgseal.key_file"]
        own.settings[request.param] = {
            "pgseal.key": KEY, "pgseal.key_file": str(own.key_file), "pgseal.key_command": f"cat {own.key_file}",
        }[request.param]  # fmt: skip
        own.start()
        yield own
        assert_no_alarms(own)
        assert SECRET.in_text(own.log()) == []
    finally:
        own.destroy()


@pytest.fixture
def database(server: Cluster) -> Iterator[Database]:
    with server.database() as made:
        made.run("CREATE TABLE h (n int); SELECT seal.attach('h'); INSERT INTO h VALUES (1)")
        yield made


def everything(session: psycopg.Connection[Any], sql: str) -> str:
    return repr(session.execute(sql.encode()).fetchall())


def test_work_and_failures_leave_nothing_in_log_and_messages(server: Cluster, database: Database) -> None:
    mark = server.log_position()
    database.run("ALTER TABLE h ADD COLUMN c text; INSERT INTO h VALUES (2); SELECT * FROM seal.verify_history()")
    for statement in [
        "DELETE FROM h", "INSERT INTO h (n, seal_mac) VALUES (1, '')", "SELECT seal.attach('h')",
        "SELECT seal.document(ROW(NULL::h))", "SET pgseal.key = 'x'", "SET pgseal.key_file = 'x'",
    ]:  # fmt: skip
        try:
            text = refusal(database, statement).text
        except AssertionError:
            text = ""
        assert not shows(text)
    log = server.log(mark)
    assert "INSERT INTO h VALUES (2)" in log and "DEBUG" in log
    assert not shows(server.log())
    database.run("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    statements = everything(database.connection, "SELECT * FROM pg_stat_statements")
    assert "INSERT INTO h" in statements and not shows(statements)


@pytest.mark.parametrize("role", ["postgres", "reader", "nobody"])
def test_settings_do_not_show_it(server: Cluster, database: Database, role: str) -> None:
    database.run("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN IN ROLE pg_read_all_settings, pg_monitor")
    database.run("DROP ROLE IF EXISTS nobody; CREATE ROLE nobody LOGIN")
    session = database.connect(user=role)
    for view in ["pg_settings", "pg_stat_activity", "pg_stat_get_activity(NULL)", "pg_show_all_settings()"]:
        assert not shows(everything(session, f"SELECT * FROM {view}"))
    assert not shows(everything(session, "SHOW ALL"))
    assert session.execute("SELECT count(*) FROM pg_settings WHERE name = 'pgseal.key'").fetchone() == (0,)
    for question in ["SHOW pgseal.key", "SELECT current_setting('pgseal.key')"]:
        try:
            assert session.execute(question.encode()).fetchall() == [("(not shown)",)]
        except psycopg.errors.InsufficientPrivilege:
            assert role == "nobody"
    if role != "postgres":
        for view in ["pg_file_settings", "pg_show_all_file_settings()"]:
            assert refusal(session, f"SELECT * FROM {view}").state == "42501"


def test_nor_do_pgseals_own_tables_and_answers(database: Database) -> None:
    for relation in ["seal.history", "seal.epoch", "seal.status", "seal.check_setup()", "seal.verify_history()", "h"]:
        assert not shows(everything(database.connection, f"SELECT * FROM {relation}"))
    fingerprint = database.value("SELECT key_fingerprint FROM seal.status")
    assert len(fingerprint) == 16 and fingerprint not in KEY


def test_nor_do_process_lists(server: Cluster, database: Database) -> None:
    session = database.connect()
    lasting = [server.pid, session.info.backend_pid]
    for pid in lasting + [pid for (pid,) in database.rows("SELECT pid FROM pg_stat_activity")]:
        for name in ["cmdline", "environ", "comm"]:
            try:
                assert not shows(Path(f"/proc/{pid}/{name}").read_bytes())
            except (FileNotFoundError, ProcessLookupError):
                assert pid not in lasting


@pytest.mark.parametrize("name", ["pgseal.key"])
def test_it_cannot_be_set_by_alter_system_or_in_a_session(database: Database, name: str) -> None:
    for statement in [f"ALTER SYSTEM SET {name} = 'ab'", f"SET {name} = 'ab'", f"SET LOCAL {name} = 'ab'",
                      f"ALTER DATABASE {database.name} SET {name} = 'ab'", f"ALTER ROLE postgres SET {name} = 'ab'",
                      f"SELECT set_config('{name}', 'ab', false)"]:  # fmt: skip
        refused = refusal(database, statement)
        assert refused.state in ("55P02", "42602", "22023"), (statement, refused)
    with pytest.raises(psycopg.OperationalError):
        database.connect(options=f"-c {name}=ab")


def test_a_misspelt_setting_is_an_error(database: Database) -> None:
    assert refusal(database, "SET pgseal.kee = 'x'").state == "42602"


def test_the_function_that_verifies_can_be_looked_at_without_it(database: Database) -> None:
    source = everything(database.connection, "SELECT pg_get_functiondef(oid) FROM pg_proc"
                        " WHERE pronamespace = 'seal'::regnamespace AND prokind = 'f'")  # fmt: skip
    assert not shows(source)
    plan = "EXPLAIN (ANALYZE, VERBOSE, SETTINGS) SELECT * FROM seal.verify_history()"
    assert not shows(everything(database.connection, plan))
