"""seal.test_alert(): tries every way, says how each went, leaves a record; who may call it, and what is dumped."""

from __future__ import annotations

import json

import pytest

from support.alerting import alerts, raise_alarm, set_alerts, tried
from support.cluster import Cluster
from support.database import Database
from support.mail import MailServer, unused_port
from support.refusal import NOT_PERMITTED, notices, refusal
from support.roles import Roles

NOTIFY = "listeners of channel pgseal_alert get it when this transaction commits"
LOG = "a WARNING with SQLSTATE PS000 went to the server's log"


def test_nothing_configured_is_said_plainly(alerting: Cluster, fresh: Database) -> None:
    set_alerts(alerting)
    answer = tried(fresh)
    assert list(answer) == ["none", "notify", "log"]
    ok, detail = answer["none"]
    assert not ok and detail.startswith("neither mail nor a command is configured") and "pgseal.mail_server" in detail
    assert answer["notify"] == (True, NOTIFY) and answer["log"] == (True, LOG)


def test_every_way(alerting: Cluster, fresh: Database) -> None:
    fresh.run("LISTEN pgseal_alert")
    mark = alerting.log_position()
    with MailServer() as mail:
        set_alerts(alerting, mail_server=mail.url, mail_to="db@example.org", alert_command="cat >&2")
        with notices(fresh) as said:
            answer = tried(fresh)
    assert answer == {
        "mail": (True, "250 kept as number 4711"),
        "command": (True, "exit status 0"),
        "notify": (True, NOTIFY),
        "log": (True, LOG),
    }
    sentence = f"this is a test of pgseal's alarms in database {fresh.name}"
    assert [got.text.splitlines()[0] for got in mail.received] == [sentence]
    assert [(warning.state, warning.message) for warning in said] == [("PS000", sentence)]
    assert f"WARNING:  {sentence}" in alerting.log(mark)
    (notice,) = fresh.connection.notifies(timeout=10, stop_after=1)
    assert json.loads(notice.payload)["kind"] == "test"
    assert [(row["way"], row["kind"], row["attempts"]) for row in alerts(fresh)] == [
        ("mail", "test", 1), ("command", "test", 1),
    ]  # fmt: skip
    assert all(row["sent_at"] for row in alerts(fresh))


def test_a_failed_test_is_not_tried_again(alerting: Cluster, fresh: Database) -> None:
    set_alerts(
        alerting, mail_server=f"smtp://localhost:{unused_port()}", mail_to="db@example.org", alert_command="exit 4"
    )
    answer = tried(fresh)
    assert answer["mail"] == (False, "connecting: Connection refused (os error 111)")
    assert answer["command"] == (False, "pgseal.alert_command ended with exit status 4")
    assert answer["notify"][0] and answer["log"][0]
    assert [(row["given_up_at"] is not None, row["next_attempt"]) for row in alerts(fresh)] == [(True, None)] * 2
    assert fresh.value("SELECT seal.deliver_alerts()") == 0


@pytest.mark.parametrize("setting", ["mail_from", "mail_to"])
def test_half_configured(alerting: Cluster, fresh: Database, setting: str) -> None:
    with MailServer() as mail:
        settings = {"mail_server": mail.url, "mail_to": "db@example.org", "mail_from": "pgseal@example.org"}
        set_alerts(alerting, **settings | {setting: ""})
        assert tried(fresh)["mail"] == (False, f"pgseal.{setting} is not set")
    assert mail.connections == 0


def test_a_log_that_takes_no_warnings(alerting: Cluster, fresh: Database) -> None:
    fresh.run("SET log_min_messages = error")
    assert tried(fresh)["log"] == (False, "log_min_messages keeps warnings out of the server's log")


def test_who_may(db: Database, roles: Roles) -> None:
    for role, may in {"pgseal_admin": True, "pgseal_operator": True, "pgseal_auditor": False}.items():
        session = roles.session(role, member_of=role)
        for work in ["SELECT * FROM seal.test_alert()", "SELECT seal.deliver_alerts()"]:
            if may:
                assert session.execute(work.encode()).fetchall()
            else:
                assert refusal(session, work).state == NOT_PERMITTED
        assert session.execute("SELECT count(*) FROM seal.alert").fetchone() is not None
        assert refusal(session, "DELETE FROM seal.alert").state == NOT_PERMITTED
    nobody = roles.session("nobody")
    for work in ["SELECT * FROM seal.test_alert()", "SELECT seal.deliver_alerts()", "SELECT * FROM seal.alert"]:
        assert refusal(nobody, work).state == NOT_PERMITTED


def test_a_dump_has_the_record_and_not_what_waits(alerting: Cluster, fresh: Database) -> None:
    set_alerts(alerting)
    raise_alarm(fresh, sentence="over")
    set_alerts(alerting, mail_server=f"smtp://localhost:{unused_port()}", mail_to="db@example.org")
    raise_alarm(fresh, sentence="waits")
    dump = alerting.run("pg_dump", "-h", alerting.sockets, "-U", "postgres", fresh.name).stdout
    copy = alerting.createdb()
    try:
        copy.psql(dump)
        assert [(row["id"], row["way"]) for row in alerts(copy)] == [(1, "log")]
        raise_alarm(copy)
        assert [row["id"] for row in alerts(copy)] == [1, 3]
    finally:
        copy.drop()


def test_names_of_the_session_mean_nothing(alerting: Cluster, fresh: Database) -> None:
    set_alerts(alerting)
    fresh.run("CREATE SCHEMA evil")
    never = "RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz'"
    fresh.run(f"CREATE FUNCTION evil.clock_timestamp() {never}")
    fresh.run("SET search_path = evil, public, pg_catalog")
    raise_alarm(fresh)
    assert len(alerts(fresh)) == 1

