"""A hot standby beside its primary.

    primary = own_cluster({**COPIED, …})             a server that standbys can be made of
    standby = standby_of(own_cluster, db)            the same database on a standby of its server
    caught_up(db, standby)                           it has replayed all that the primary has written
    promote(standby)
    answers(db) == answers(standby)                  every question that needs no writing, answered
"""

from __future__ import annotations

from typing import Any

from support.cluster import Setting, Settings
from support.database import Database
from support.sealing import wait_for
from support.servers import Servers

COPIED: Settings = {"max_wal_senders": 4, "wal_level": "replica"}

# The times of a window move with the clock, and what an answer rests on says that this server only replays.
ANSWER = """verdict, history, node, entries, first_sealed_at, last_sealed_at, window_start IS NULL AS no_window,
            findings, findings_new, findings_before_window, next_step"""

# By name: what is asked of both. `%(line)s` is a line of the witness.
QUESTIONS = {
    "verify_history": f"SELECT {ANSWER} FROM seal.verify_history() ORDER BY history",
    "verify_history of a tenant": f"SELECT {ANSWER} FROM seal.verify_history('acme') ORDER BY history",
    "verify_history with a witness": f"SELECT {ANSWER} FROM seal.verify_history(witness => %(line)s) ORDER BY history",
    "verify_since_checkpoint": f"SELECT {ANSWER} FROM seal.verify_since_checkpoint() ORDER BY history",
    "report": r"SELECT split_part(seal.report(), E'\n', 1), split_part(seal.report('acme'), E'\n', 1)",
    "findings": "SELECT * FROM seal.findings() ORDER BY history, kind, chain, position",
    "findings of a tenant": "SELECT * FROM seal.findings('acme') ORDER BY history, kind, chain, position",
    "findings of a run": "SELECT * FROM seal.findings(run => 1) ORDER BY history, kind, chain, position",
    "is_intact": "SELECT seal.is_intact(), seal.is_intact('acme')",
    "document": "SELECT seal.document(plain) FROM plain ORDER BY id",
    "check_witness": "SELECT * FROM seal.check_witness(%(line)s)",
    "verification": "SELECT * FROM seal.verification ORDER BY run",
    "holds": "SELECT * FROM seal.holds ORDER BY history, since",
    "metrics": "SELECT history, key_usable, verified, last_verdict, run_entries, run_findings_new FROM seal.metrics",
    "status": """SELECT history, ok, problem, key_id, key_fingerprint, epoch, window_months, not_covered, last_verified,
                        last_verdict, next_run FROM seal.status ORDER BY history""",
    "check_setup": "SELECT item, ok FROM seal.check_setup()",
}


def standby_of(servers: Servers, db: Database, **settings: Setting) -> Database:
    """The same database on a new hot standby of its server, which has `settings` beside those of the primary."""
    return Database(servers.adopt(db.cluster.basebackup({"hot_standby": True, **settings})), db.name)


def caught_up(db: Database, standby: Database) -> None:
    """Returns when the standby has replayed all that its primary has written until now."""
    written = db.value("SELECT pg_current_wal_insert_lsn()::text")
    wait_for(standby, "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [written])


def promote(standby: Database) -> None:
    assert standby.value("SELECT pg_promote(true, 60)") is True


def answers(db: Database, line: str) -> dict[str, list[tuple[Any, ...]]]:
    return {name: db.rows(query, {"line": line}) for name, query in QUESTIONS.items()}
