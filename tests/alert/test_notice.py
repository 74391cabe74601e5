"""What listeners and the server's log get."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.alerting import ALARM, alerts, raise_alarm, set_alerts
from support.cluster import Cluster
from support.database import Database
from support.refusal import notices

STATES = {
    "tampered": "PS001", "unverifiable": "PS002", "before_window": "PS003", "missed": "PS004", "failed": "PS005",
}  # fmt: skip


def heard(db: Database, **changes: Any) -> tuple[str, dict[str, Any]]:
    """The payload that listeners get for an alarm, and what it says."""
    db.run("LISTEN pgseal_alert")
    raise_alarm(db, **changes)
    (notice,) = db.connection.notifies(timeout=10, stop_after=1)
    assert notice.channel == "pgseal_alert"
    return notice.payload, json.loads(notice.payload)


def test_the_payload(fresh: Database) -> None:
    details = {"chains": ["main.1", "main.2"], "kinds": {"modified": 2}}
    _, said = heard(fresh, details=json.dumps(details), history='public."a\nb"', sentence="one\ntwo")
    assert said.pop("host")
    assert said == {
        "kind": "tampered", "database": fresh.name, "history": 'public."a\nb"', "run": 17, "verdict": "tampered",
        "findings": 3, "findings_new": 2, "sentence": r"one\ntwo", "details": details,
    }  # fmt: skip


@pytest.mark.parametrize(
    "details",
    [
        {"findings": [{"chain": "main", "position": n, "kind": "modified"} for n in range(5_000)]},
        {"text": "\x01" * 20_000},
        {"text": "ü" * 20_000, "list": ["ü" * 1_000] * 1_000},
        {f"member {n}": n for n in range(5_000)},
        {"deep": [[["x" * 300] * 50] * 50] * 50},
    ],
    ids=["list", "control", "both", "members", "deep"],
)
def test_a_payload_is_cut_to_what_fits(fresh: Database, details: dict[str, Any]) -> None:
    payload, said = heard(fresh, details=json.dumps(details))
    assert len(payload.encode()) < 8000
    assert said["truncated"] is True
    for name in ["kind", "history", "run", "verdict", "findings", "findings_new", "sentence"]:
        assert said[name] == ALARM[name]


def test_everything_is_long(fresh: Database) -> None:
    payload, said = heard(fresh, history="ü" * 5_000, verdict="\x02" * 5_000, sentence="\x03" * 20_000)
    assert len(payload.encode()) < 8000 and said["truncated"] is True and said["run"] == 17


def test_nothing_is_said_or_kept_of_what_is_rolled_back(fresh: Database) -> None:
    fresh.run("LISTEN pgseal_alert")
    session = fresh.connect(autocommit=False)
    session.execute("LISTEN pgseal_alert")
    fresh.run("BEGIN")
    raise_alarm(fresh)
    fresh.run("ROLLBACK")
    assert list(fresh.connection.notifies(timeout=0.2)) == []
    assert alerts(fresh) == []


@pytest.mark.parametrize("kind", STATES)
def test_the_warning(alerting: Cluster, fresh: Database, kind: str) -> None:
    mark = alerting.log_position()
    with notices(fresh) as said:
        raise_alarm(fresh, kind=kind, sentence="one\ntwo")
    (warning,) = said
    assert (warning.state, warning.message) == (STATES[kind], r"one\ntwo")
    assert warning.detail == ALARM["report"]
    assert warning.hint == "Run: SELECT * FROM seal.findings(run => 17)."
    assert r"WARNING:  one\ntwo" in alerting.log(mark)


def test_without_a_way_it_is_on_record(alerting: Cluster, fresh: Database) -> None:
    set_alerts(alerting)
    raise_alarm(fresh)
    (row,) = alerts(fresh)
    assert (row["way"], row["kind"], row["history"], row["run"]) == ("log", "tampered", "public.h", 17)
    assert row["sent_at"] and row["next_attempt"] is None and row["attempts"] == 0
    assert fresh.value("SELECT seal.deliver_alerts()") == 0
