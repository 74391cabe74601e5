"""Who may read the numbers: the monitoring role of the page, and pgseal's own roles; nobody else."""

from __future__ import annotations

import re

import pytest

from support.database import Database
from support.monitoring import README
from support.refusal import refusal
from support.roles import Roles
from support.sealing import history

VIEWS = ("seal.metrics", "seal.database_metrics")


@pytest.mark.parametrize("group", ["pg_monitor", "pgseal_auditor", "pgseal_operator", "pgseal_admin"])
def test_members_read_both_views(db: Database, roles: Roles, group: str) -> None:
    history(db)
    session = roles.session("reader", member_of=group)
    for view in VIEWS:
        assert len(session.execute(f"SELECT * FROM {view}".encode()).fetchall()) == 1


def test_a_monitoring_role_reads_nothing_else(db: Database, roles: Roles) -> None:
    history(db)
    session = roles.session("reader", member_of="pg_monitor")
    for what in ("seal.status", "seal.journal", "seal.run", "seal.history", "seal.verify_history()", "h"):
        assert refusal(session, f"SELECT * FROM {what}").state == "42501", what
    for view in VIEWS:
        assert refusal(session, f"DELETE FROM {view}").state in {"42501", "55000"}
    functions = """SELECT p.oid::regprocedure::text FROM pg_proc p WHERE pronamespace = 'seal'::regnamespace
                      AND has_function_privilege('pg_monitor', p.oid, 'EXECUTE') ORDER BY 1"""
    assert db.rows(functions) == [
        ("seal.database_metrics_line()",),
        ("seal.metrics_lines()",),
        ("seal.progress_lines()",),
    ]


def test_others_do_not(db: Database, roles: Roles) -> None:
    session = roles.session("nobody")
    for view in VIEWS:
        assert refusal(session, f"SELECT * FROM {view}").state == "42501"


def test_the_grants_of_the_page_are_enough(db: Database, roles: Roles) -> None:
    history(db)
    blocks = re.findall(r"^```sql\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    (block,) = [sql for sql in blocks if "GRANT" in sql]
    role = roles.make("monitoring")
    created, *grants = block.strip().splitlines()
    assert created == "CREATE ROLE monitoring LOGIN;"
    db.run("\n".join(grants).replace("TO monitoring;", f"TO {role};"))
    session = db.connect(role)
    for view in VIEWS:
        assert len(session.execute(f"SELECT * FROM {view}".encode()).fetchall()) == 1
    assert refusal(session, "SELECT * FROM seal.status").state == "42501"
