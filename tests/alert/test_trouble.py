"""Mail servers that are down, hang or come back: nothing is lost, and nobody is held up."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import psycopg
import pytest

from support.alerting import alerts, make_due, prepare, raise_alarm, set_alerts, tried
from support.cluster import Cluster
from support.database import Database
from support.mail import Listener, MailServer, unused_port
from support.refusal import notices
from support.servers import Servers
from support.witnessing import until

TO = {"mail_to": "db@example.org"}
WAITED = """SELECT extract(epoch FROM next_attempt - now())::float8 FROM seal.alert"""


def failing(session: psycopg.Connection[Any], work: str) -> threading.Thread:
    """A thread in which this session runs what will fail."""
    return threading.Thread(target=lambda: pytest.raises(psycopg.Error, session.execute, work.encode()))


def test_down_recorded_retried_and_sent_when_it_is_back(alerting: Cluster, fresh: Database) -> None:
    port = unused_port()
    set_alerts(alerting, mail_server=f"smtp://localhost:{port}", **TO)
    raise_alarm(fresh)
    with notices(fresh) as heard:
        assert fresh.value("SELECT seal.deliver_alerts()") == 0
    (row,) = alerts(fresh)
    assert row["attempts"] == 1 and row["sent_at"] is None and row["given_up_at"] is None
    assert row["last_error"] == "connecting: Connection refused (os error 111)"
    (said,) = heard
    assert (said.state, said.message) == ("08000", f"alarm {row['id']} could not be sent by mail yet")
    assert "Connection refused" in said.detail
    assert fresh.value("SELECT seal.deliver_alerts()") == 0  # not due yet
    with MailServer(port=port) as mail:
        make_due(fresh)
        assert fresh.value("SELECT seal.deliver_alerts()") == 1
    assert len(mail.received) == 1
    (row,) = alerts(fresh)
    assert (row["attempts"], row["last_error"], row["next_attempt"]) == (2, None, None) and row["sent_at"]


def test_the_time_between_attempts_doubles_up_to_an_hour(alerting: Cluster, fresh: Database) -> None:
    set_alerts(alerting, mail_server=f"smtp://localhost:{unused_port()}", **TO)
    raise_alarm(fresh)
    for minutes in [1, 2, 4, 8, 16, 32, 60, 60]:
        make_due(fresh)
        fresh.run("SELECT seal.deliver_alerts()")
        assert fresh.value(WAITED) == pytest.approx(60 * minutes, abs=5)


def test_the_first_step_is_a_setting(alerting: Cluster, fresh: Database) -> None:
    set_alerts(alerting, mail_server=f"smtp://localhost:{unused_port()}", alert_retry_interval="10min", **TO)
    raise_alarm(fresh)
    for minutes in [10, 20, 40, 60]:
        make_due(fresh)
        fresh.run("SELECT seal.deliver_alerts()")
        assert fresh.value(WAITED) == pytest.approx(60 * minutes, abs=5)


def test_one_attempt_tells_enough_of_a_server_that_is_down(alerting: Cluster, fresh: Database) -> None:
    report = alerting.sockets / "reports"
    set_alerts(alerting, mail_server=f"smtp://localhost:{unused_port()}", alert_command=f"cat >> {report}", **TO)
    for _ in range(5):
        raise_alarm(fresh)
    assert fresh.value("SELECT seal.deliver_alerts()") == 5
    rows = alerts(fresh)
    assert sorted(row["attempts"] for row in rows if row["way"] == "mail") == [0, 0, 0, 0, 1]
    assert all(row["sent_at"] for row in rows if row["way"] == "command")
    make_due(fresh)
    fresh.run("SELECT seal.deliver_alerts()")
    assert sorted(row["attempts"] for row in alerts(fresh) if row["way"] == "mail") == [0, 0, 0, 1, 1]


def test_after_a_week_it_is_given_up(alerting: Cluster, fresh: Database) -> None:
    set_alerts(alerting, mail_server=f"smtp://localhost:{unused_port()}", **TO)
    raise_alarm(fresh)
    fresh.run("UPDATE seal.alert SET at = now() - interval '6 days 23 hours'")
    fresh.run("SELECT seal.deliver_alerts()")
    assert alerts(fresh)[0]["given_up_at"] is None
    fresh.run("UPDATE seal.alert SET at = now() - interval '7 days 1 second', next_attempt = now()")
    mark = alerting.log_position()
    with notices(fresh) as heard:
        assert fresh.value("SELECT seal.deliver_alerts()") == 0
    (row,) = alerts(fresh)
    assert row["given_up_at"] and row["next_attempt"] is None and row["sent_at"] is None and row["attempts"] == 2
    assert [(said.state, said.message) for said in heard] == [
        ("PS009", f"alarm {row['id']} could not be sent by mail and is given up")
    ]
    assert f"WARNING:  alarm {row['id']} could not be sent by mail and is given up" in alerting.log(mark)


def test_a_server_that_says_nothing_has_ten_seconds(alerting: Cluster, fresh: Database) -> None:
    with Listener() as hanging:
        set_alerts(alerting, mail_server=f"smtp://localhost:{hanging.port}", **TO)
        started = time.monotonic()
        answer = tried(fresh)["mail"]
        took = time.monotonic() - started
    assert answer == (False, "waiting for the greeting: no end within 10 s")
    assert 9 < took < 13


def test_a_server_that_drips_has_ten_seconds(alerting: Cluster, fresh: Database) -> None:
    def drip(connection: socket.socket) -> None:
        while not ended.wait(0.2):
            connection.sendall(b"2")

    ended = threading.Event()
    with Listener(drip) as dripping:
        set_alerts(alerting, mail_server=f"smtp://localhost:{dripping.port}", **TO)
        started = time.monotonic()
        answer = tried(fresh)["mail"]
        took = time.monotonic() - started
        ended.set()
    assert answer == (False, "waiting for the greeting: no end within 10 s")
    assert 9 < took < 13


def test_a_cancel_ends_it_at_once(alerting: Cluster, fresh: Database) -> None:
    with Listener() as hanging:
        set_alerts(alerting, mail_server=f"smtp://localhost:{hanging.port}", **TO)
        fresh.run("SET statement_timeout = '300ms'")
        started = time.monotonic()
        with pytest.raises(psycopg.errors.QueryCanceled):
            tried(fresh)
        assert time.monotonic() - started < 3
        assert hanging.connected()
        session = fresh.connect()
        waiting = failing(session, "SELECT seal.test_alert()")
        known = len(hanging.open)
        waiting.start()
        until(lambda: len(hanging.open) > known)
        started = time.monotonic()
        fresh.run("SELECT pg_terminate_backend(%s)", [session.info.backend_pid])
        waiting.join(10)
        assert time.monotonic() - started < 3 and not waiting.is_alive()


def test_a_shutdown_ends_it_at_once(own_cluster: Servers) -> None:
    server = own_cluster({"max_worker_processes": 1})  # no worker sends it first
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    prepare(db)
    with Listener() as hanging:
        set_alerts(server, mail_server=f"smtp://localhost:{hanging.port}", **TO)
        raise_alarm(db)
        session = db.connect()
        waiting = failing(session, "SELECT seal.deliver_alerts()")
        waiting.start()
        until(hanging.connected)
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < 3
        waiting.join(10)
    server.start()
    (row,) = alerts(db)
    assert row["next_attempt"] and row["sent_at"] is None  # still to be sent


def test_a_host_that_does_not_exist(alerting: Cluster, fresh: Database) -> None:
    set_alerts(alerting, mail_server="smtp://no-such-host.invalid:25", **TO)
    ok, detail = tried(fresh)["mail"]
    assert not ok and detail.startswith("looking up the mail server: ")


def test_two_sessions_never_send_the_same(alerting: Cluster, fresh: Database) -> None:
    with Listener() as hanging:
        set_alerts(alerting, mail_server=f"smtp://localhost:{hanging.port}", **TO)
        raise_alarm(fresh)
        session = fresh.connect()
        waiting = failing(session, "SELECT seal.deliver_alerts()")
        waiting.start()
        until(hanging.connected)
        assert fresh.value("SELECT seal.deliver_alerts()") == 0
        assert len(hanging.open) == 1
        fresh.run("SELECT pg_cancel_backend(%s)", [session.info.backend_pid])
        waiting.join(10)


def test_a_mail_server_that_was_taken_out_of_the_settings(alerting: Cluster, fresh: Database) -> None:
    set_alerts(alerting, mail_server=f"smtp://localhost:{unused_port()}", **TO)
    raise_alarm(fresh)
    set_alerts(alerting)

    def is_said() -> bool:
        # The worker may have tried it while there still was a server.
        make_due(fresh)
        assert fresh.value("SELECT seal.deliver_alerts()") == 0
        return bool(alerts(fresh)[0]["last_error"] == "pgseal.mail_server is not set")

    until(is_said, "the missing setting is said")
