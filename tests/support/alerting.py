"""Alarms: a way to raise one, and what became of it.

`prepare(db)` makes functions of the test's own over the extension's library; a superuser may.
"""

from __future__ import annotations

from typing import Any

from support.cluster import Cluster, Setting
from support.database import Database
from support.witnessing import until

MAIL_SETTINGS = (
    *("mail_server", "mail_credentials_file", "mail_tls_ca_file", "mail_from", "mail_to", "mail_cc", "mail_subject"),
    *("mail_text", "mail_on_success", "alert_command", "alert_retry_interval"),
)
ALARM: dict[str, Any] = {
    "kind": "tampered",
    "history": "public.h",
    "run": 17,
    "verdict": "tampered",
    "findings": 3,
    "findings_new": 2,
    "sentence": "history public.h is tampered: 3 findings, 2 of them new",
    "report": "chain main, position 5: modified\nNext: SELECT * FROM seal.findings(run => 17);",
    "details": "{}",
    "anchor_line": None,
}


def prepare(db: Database) -> None:
    db.run(
        "CREATE FUNCTION public.raise_alert(kind text, history text, run bigint, verdict text, findings bigint,"
        " findings_new bigint, sentence text, report text, details text, anchor_line text) RETURNS void"
        " LANGUAGE c AS 'pgseal', 'raise_alert_wrapper'"
    )


def raise_alarm(db: Database, **changes: Any) -> None:
    """Raises an alarm as a run would; `changes` to ALARM."""
    alarm = ALARM | changes
    assert alarm.keys() == ALARM.keys()
    arguments = ", ".join(f"{name} => %({name})s" for name in alarm)
    db.run(f"SELECT public.raise_alert({arguments})", alarm)


def alerts(db: Database) -> list[dict[str, Any]]:
    return db.records("SELECT * FROM seal.alert ORDER BY id")


def tried(db: Database) -> dict[str, tuple[bool, str]]:
    """The answer of seal.test_alert(), by way."""
    return {way: (ok, detail) for way, ok, detail in db.rows("SELECT way, ok, detail FROM seal.test_alert()")}


def make_due(db: Database) -> None:
    """Lets the time until the next attempt be over."""
    db.run("UPDATE seal.alert SET next_attempt = now() WHERE next_attempt IS NOT NULL")


def set_alerts(server: Cluster, **settings: Setting | None) -> None:
    """Sets exactly these of the settings of alarms (and a sender), and returns when every session has them."""
    assert settings.keys() <= set(MAIL_SETTINGS)

    def loaded() -> Any:
        with server.connect() as session:
            return session.execute("SELECT pg_conf_load_time()").fetchone()

    before = loaded()
    settings = {"mail_from": "pgseal@example.org", **settings}
    server.configure({f"pgseal.{name}": settings.get(name) for name in MAIL_SETTINGS})
    until(lambda: loaded() != before, "the server has read its configuration")
