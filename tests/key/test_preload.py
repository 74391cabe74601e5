"""Without preloading nothing works, and the HINT is the line for postgresql.conf."""

from __future__ import annotations

import pytest

from support.refusal import NOT_IN_STATE, refusal
from support.servers import Servers


@pytest.mark.parametrize(
    ("others", "line"),
    [
        ("", "shared_preload_libraries = 'pgseal'"),
        ("auto_explain, pg_stat_statements", "shared_preload_libraries = 'auto_explain, pg_stat_statements, pgseal'"),
    ],
)
def test_create_extension_without_preloading(own_cluster: Servers, others: str, line: str) -> None:
    server = own_cluster({"shared_preload_libraries": others}, preload=False)
    database = server.createdb()
    for statement in ["CREATE EXTENSION pgseal", "LOAD 'pgseal'"]:
        refused = refusal(database, statement)
        assert (refused.state, refused.message) == (NOT_IN_STATE, "pgseal must be loaded when the server starts")
        key = "Set pgseal.key_file or pgseal.key_command, without which it does not start"
        assert refused.hint == f"{key}, put this line into postgresql.conf, and restart the server: {line}"
    assert database.rows("SELECT 1 FROM pg_namespace WHERE nspname = 'seal'") == []
    assert database.rows("SELECT 1 FROM pg_roles WHERE rolname LIKE 'pgseal%'") == []
    # The line does what it promises.
    settings = {"shared_preload_libraries": line.split("'")[1], "pgseal.key_file": str(server.write_key("ab" * 32))}
    server.configure(settings, restart=True)
    database.run("CREATE EXTENSION pgseal")


def test_a_sealed_database_on_a_server_that_does_not_preload(own_cluster: Servers) -> None:
    server = own_cluster()
    database = server.createdb()
    database.run("CREATE EXTENSION pgseal; CREATE TABLE h (n int); SELECT seal.attach('h'); INSERT INTO h VALUES (1)")
    settings = {"shared_preload_libraries": "", "pgseal.key_file": None}
    server.configure(settings, restart=True)
    for statement in ["INSERT INTO h VALUES (2)", "SELECT * FROM seal.verify_history()", "DELETE FROM h", "TRUNCATE h"]:
        assert refusal(database, statement).hint.endswith("shared_preload_libraries = 'pgseal'")
    assert database.value("SELECT count(*) FROM h") == 1
    server.configure({"shared_preload_libraries": "pgseal", "pgseal.key_file": str(server.key_file)}, restart=True)
    database.run("INSERT INTO h VALUES (2)")
    assert database.rows("SELECT verdict, entries FROM seal.verify_history()") == [("intact", 2)]
