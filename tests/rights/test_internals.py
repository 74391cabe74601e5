"""The parts of a verification do nothing on their own, and odd calls end in an ERROR, not in a crash."""

from __future__ import annotations

import psycopg
import pytest

from support.database import Database
from support.refusal import NOT_PERMITTED, refusal
from support.roles import Roles
from support.servers import Servers

SEAL = "seal_chain, seal_seq, seal_epoch, seal_anchor, seal_at, seal_prev, seal_mac"
HISTORY = "CREATE TABLE h (n int, t text); SELECT seal.attach('h'); INSERT INTO h VALUES (1, 'a'), (2, 'b')"
ALONE = "a part of pgseal's verification was called on its own"
PLAN = """format('{"relation": %s, "tenant": null, "key": []}', 'h'::regclass::oid::int)"""


def calls(aggregate: str) -> list[str]:
    """The aggregate with plans and rows of every kind."""
    return [
        f"SELECT seal.{aggregate}({plan}, {seal}, ctid, {columns}{order}) FROM h"
        for plan in [PLAN, "'{}'", "''", "NULL", "'[1]'", """'{"relation": 1, "tenant": null, "key": []}'"""]
        for seal in [SEAL, "NULL, NULL, NULL, NULL, NULL, NULL, NULL"]
        for columns in ["n, t", "1", "7, 7", "NULL", "NULL::text, 1", "n, t, n, t, n", "0.5, true"]
        for order in ["", " ORDER BY n"]
    ]


@pytest.fixture
def apart(own_cluster: Servers) -> Database:
    """A history on a server of its own: what might crash it hurts no other test."""
    server = own_cluster({
        "parallel_setup_cost": 0, "parallel_tuple_cost": 0, "min_parallel_table_scan_size": 0,
        "force_parallel_mode": "on",
    })  # fmt: skip
    database = server.createdb()
    database.run(f"CREATE EXTENSION pgseal; {HISTORY}")
    return database


def test_a_superuser_cannot_call_an_aggregate_on_its_own(apart: Database) -> None:
    database = apart
    database.run("SET force_parallel_mode = off")
    for call in calls("audit") + calls("locate"):
        refused = refusal(database, call)
        assert (refused.state, refused.message) == (NOT_PERMITTED, ALONE), call
        assert refused.hint == "Run: SELECT * FROM seal.verify_history()."
    assert database.value("SELECT verdict FROM seal.verify_history()") == "intact"


def test_an_auditor_may_not_call_one_at_all(db: Database, roles: Roles) -> None:
    db.run(f"{HISTORY}; GRANT SELECT ON h TO PUBLIC")
    auditor = roles.session("auditor", member_of="pgseal_auditor")
    for aggregate in ["audit", "locate"]:
        refused = refusal(auditor, f"SELECT seal.{aggregate}({PLAN}, {SEAL}, ctid, n, t) FROM h")
        assert (refused.state, refused.message) == (NOT_PERMITTED, f"permission denied for aggregate {aggregate}")


def test_aggregates_over_no_row_are_no_answer_either(db: Database) -> None:
    """Without a row nothing is called; `false` says that nothing was looked at."""
    db.run("CREATE TABLE h (n int, t text); SELECT seal.attach('h')")
    for aggregate in ["audit", "locate"]:
        call = f"SELECT seal.{aggregate}({PLAN}, {SEAL}, ctid, n, t) FROM h"
        try:
            assert db.value(call) is not True
        except psycopg.Error as error:
            assert error.diag.message_primary == ALONE


def test_a_cancelled_run_does_not_leave_the_door_open(db: Database) -> None:
    db.run(f"{HISTORY}; INSERT INTO h SELECT i, repeat('x', 300) FROM generate_series(1, 20000) i")
    session = db.connect()
    session.execute("SET statement_timeout = '5ms'")
    assert refusal(session, "SELECT * FROM seal.verify_history()").state == "57014"
    session.execute("SET statement_timeout = 0")
    assert refusal(session, f"SELECT seal.audit({PLAN}, {SEAL}, ctid, n, t) FROM h").message == ALONE


def test_the_functions_below_cannot_be_called_by_sql(db: Database) -> None:
    for call in ["audit_finish(NULL)", "audit_save(NULL)", "audit_merge(NULL, NULL)", "audit_load('', NULL)",
                 "locate_finish(NULL)", "audit_load('\\x00', 'x')"]:  # fmt: skip
        assert refusal(db, f"SELECT seal.{call}").state in ("0A000", "42883")
    for call in ["seal_entry()", "refuse_change()", "before_ddl()", "after_ddl()"]:
        refused = refusal(db, f"SELECT seal.{call}")
        assert refused.state in ("0A000", "39P01", "39P03", "55000") and refused.message
    assert db.value("SELECT 1") == 1


FOREIGN_STATES = [
    ("SFUNC = int8_avg_accum, FINALFUNC = seal.audit_finish", "(bigint)"),
    ("SFUNC = int8_avg_accum, FINALFUNC = seal.locate_finish", "(bigint)"),
    ("SFUNC = int8_avg_accum, FINALFUNC = numeric_poly_avg, COMBINEFUNC = seal.audit_merge,"
     " SERIALFUNC = seal.audit_save, DESERIALFUNC = seal.audit_load, PARALLEL = SAFE", "(bigint)"),
]  # fmt: skip


def test_aggregates_of_a_superuser_made_from_the_parts(apart: Database) -> None:
    """Types do not protect a state of type internal: the parts must know that no run is on."""
    database = apart
    for number, (parts, arguments) in enumerate(FOREIGN_STATES):
        database.run(f"CREATE AGGREGATE odd{number}{arguments} (STYPE = internal, {parts})")
        refused = refusal(database, f"SELECT odd{number}(n) FROM h")
        assert refused.message == ALONE, parts
    assert database.value("SELECT verdict FROM seal.verify_history()") == "intact"


PLACES = [
    ("AFTER INSERT ON h FOR EACH ROW", "INSERT INTO h VALUES (3, 'c')"),
    ("BEFORE INSERT ON h FOR EACH STATEMENT", "INSERT INTO h VALUES (3, 'c')"),
    ("AFTER INSERT ON h FOR EACH STATEMENT", "INSERT INTO h VALUES (3, 'c')"),
    ("INSTEAD OF INSERT ON v FOR EACH ROW", "INSERT INTO v VALUES (3, 'c')"),
    ("BEFORE INSERT ON other FOR EACH ROW", "INSERT INTO other VALUES (2)"),
    ("BEFORE UPDATE ON other FOR EACH ROW", "UPDATE other SET n = 2"),
    ("AFTER DELETE ON other FOR EACH ROW", "DELETE FROM other"),
    ("BEFORE TRUNCATE ON other", "TRUNCATE other"),
]


def test_trigger_functions_in_strange_places(db: Database) -> None:
    db.run(f"{HISTORY}; CREATE VIEW v AS SELECT n, t FROM h; CREATE TABLE other (n int); INSERT INTO other VALUES (1)")
    for function in ["seal_entry", "refuse_change"]:
        for place, statement in PLACES:
            # Its name sorts before the seal trigger's, so that it fires first.
            db.run(f"CREATE TRIGGER a {place} EXECUTE FUNCTION seal.{function}()")
            refused = refusal(db, statement)
            assert refused.hint and refused.message, (function, place)
            db.run(f"DROP TRIGGER a ON {place.split(' ON ')[1].split()[0]}")
    assert db.value("SELECT count(*) FROM h") == 2 and db.value("SELECT count(*) FROM other") == 1


DOCUMENTS = [
    ("ROW(1, 'a')", '{"f1": 1, "f2": "a"}'),
    ("ROW()", "{}"),
    ("NULL::h", None),
    ("NULL::record", None),
    ("ROW(NULL, NULL)", "{}"),
    ("ROW(ROW(1), ARRAY[1])", '{"f1": "(1)", "f2": "{1}"}'),
    ("(SELECT h FROM h WHERE n = 1)", '{"n": 1, "t": "a"}'),
    ("(SELECT x FROM (SELECT 1.10 AS one, 'ü' AS two) x)", '{"one": 1.10, "two": "ü"}'),
    ("'(9,z)'::pair", '{"a": 9, "b": "z"}'),
]


def test_documents_of_odd_rows(db: Database) -> None:
    db.run(f"{HISTORY}; CREATE TYPE pair AS (a int, b text)")
    for argument, expected in DOCUMENTS:
        assert db.value(f"SELECT seal.document({argument})") == expected, argument
