"""Mails as they arrive: who gets them, what they say, by plain, STARTTLS and TLS from the first byte."""

from __future__ import annotations

from email.utils import getaddresses
from pathlib import Path

import pytest

from support.alerting import ALARM, alerts, prepare, raise_alarm, set_alerts, tried
from support.cluster import Cluster
from support.database import Database
from support.mail import USER, Certificates, MailServer
from support.sealing import wait_for
from support.servers import Servers

TO = 'db@example.org, "Roe, Jane" <jane@example.org>,Jürgen Müßig <jm@example.org>'
CC = "audit@example.net, db@example.org"


def test_everybody_gets_it_once(alerting: Cluster, fresh: Database) -> None:
    with MailServer() as mail:
        set_alerts(alerting, mail_server=mail.url, mail_from="Sealed <pgseal@example.org>", mail_to=TO, mail_cc=CC)
        raise_alarm(fresh)
        assert mail.received == []
        assert fresh.value("SELECT seal.deliver_alerts()") == 1
    (got,) = mail.received
    assert got.sender == "pgseal@example.org"
    assert got.recipients == ["db@example.org", "jane@example.org", "jm@example.org", "audit@example.net"]
    assert getaddresses([str(got.mail["From"])]) == [("Sealed", "pgseal@example.org")]
    assert getaddresses([str(got.mail["To"])]) == [
        ("", "db@example.org"), ("Roe, Jane", "jane@example.org"), ("Jürgen Müßig", "jm@example.org"),
    ]  # fmt: skip
    assert getaddresses([str(got.mail["Cc"])]) == [("", "audit@example.net"), ("", "db@example.org")]
    assert got.mail["Auto-Submitted"] == "auto-generated" and got.mail["Date"] and got.mail["Message-ID"]
    assert got.raw.isascii() and got.mail.get_content_type() == "text/plain"
    assert not got.encrypted and got.logged_in is None


def test_what_it_says_by_default(alerting: Cluster, fresh: Database) -> None:
    with MailServer() as mail:
        set_alerts(alerting, mail_server=mail.url, mail_to="db@example.org")
        report = "Zeile 1: Größe ≠ 5\nline 2 " + "x" * 2000 + "\n.\nlast"
        raise_alarm(fresh, report=report, anchor_line="pgseal-anchor 1 …")
        fresh.run("SELECT seal.deliver_alerts()")
    (got,) = mail.received
    host = fresh.value("SELECT substring(subject FROM 'pgseal on (\\S+): ') FROM seal.alert")
    assert got.mail["Subject"] == f"pgseal on {host}: {ALARM['sentence']}"
    first, *_ = got.text.splitlines()
    assert first == ALARM["sentence"]
    assert f"\n\n{report}\n\n" in got.text
    assert got.text.endswith(
        f"host: {host}\ndatabase: {fresh.name}\nkind: tampered\nhistory: public.h\nverdict: tampered\n"
        "findings: 3, new ones: 2\nrun: 17\nnewest anchor: pgseal-anchor 1 …\n"
    )
    (row,) = alerts(fresh)
    assert row["text"] == got.text and row["subject"] == got.mail["Subject"]


@pytest.mark.parametrize("security", ["starttls", "smtps"])
def test_encrypted_with_login(
    alerting: Cluster, fresh: Database, tls: Certificates, authority: str, credentials: Path, security: str
) -> None:
    with MailServer(tls, security) as mail:
        set_alerts(
            alerting, mail_server=mail.url, mail_to="db@example.org", mail_tls_ca_file=authority,
            mail_credentials_file=str(credentials),
        )  # fmt: skip
        assert tried(fresh)["mail"] == (True, "250 kept as number 4711")
        raise_alarm(fresh)
        assert fresh.value("SELECT seal.deliver_alerts()") == 1
    assert [(got.encrypted, got.logged_in) for got in mail.received] == [(True, USER)] * 2
    test, alarm = alerts(fresh)
    assert (test["kind"], test["answer"], test["attempts"]) == ("test", "250 kept as number 4711", 1)
    assert (alarm["kind"], alarm["answer"], alarm["last_error"]) == ("tampered", "250 kept as number 4711", None)
    assert alarm["sent_at"] and alarm["next_attempt"] is None and alarm["given_up_at"] is None


def test_one_recipient_is_refused_the_others_get_it(alerting: Cluster, fresh: Database) -> None:
    with MailServer() as mail:
        mail.refused_recipients["gone@example.org"] = "550 5.1.1 no such user"
        set_alerts(alerting, mail_server=mail.url, mail_to="gone@example.org, db@example.org")
        raise_alarm(fresh)
        assert fresh.value("SELECT seal.deliver_alerts()") == 1
        ok, detail = tried(fresh)["mail"]
        assert not ok and "gone@example.org was refused" in detail and detail.startswith("250 ")
        set_alerts(alerting, mail_server=mail.url, mail_to="gone@example.org")
        ok, detail = tried(fresh)["mail"]
        assert not ok and "550" in detail and "no such user" in detail
    assert [got.recipients for got in mail.received] == [["db@example.org"]] * 2
    sent, *_ = alerts(fresh)
    assert sent["sent_at"] and "gone@example.org was refused" in sent["last_error"] and "550" in sent["last_error"]


def test_the_same_alarm_has_the_same_id(alerting: Cluster, fresh: Database) -> None:
    with MailServer() as mail:
        set_alerts(alerting, mail_server=mail.url, mail_to="db@example.org")
        for _ in range(2):
            raise_alarm(fresh)
        fresh.run("SELECT seal.deliver_alerts()")
        fresh.run("UPDATE seal.alert SET sent_at = NULL, next_attempt = now() WHERE id = 1")
        fresh.run("SELECT seal.deliver_alerts()")
    first, second, again = (got.mail["Message-ID"] for got in mail.received)
    assert first == again != second


def test_success_goes_to_the_mailbox_alone_and_only_on_demand(own_cluster: Servers) -> None:
    alerting = own_cluster({"pgseal.anchor_interval": "100ms"})
    fresh = alerting.createdb()
    fresh.run("CREATE EXTENSION pgseal")
    prepare(fresh)
    fresh.run("CREATE TABLE h (n int); SELECT seal.attach('h'); INSERT INTO h VALUES (1)")
    fresh.run("LISTEN pgseal_alert")
    success = {"kind": "success", "verdict": "intact", "findings": 0, "findings_new": 0, "sentence": "all is intact"}
    with MailServer() as mail:
        ways = {"mail_server": mail.url, "mail_to": "db@example.org", "alert_command": "cat"}
        set_alerts(alerting, **ways)
        raise_alarm(fresh, **success)
        assert alerts(fresh) == []
        set_alerts(alerting, mail_on_success=True, **ways)
        newest = "SELECT max(number) FROM seal.anchor"
        wait_for(fresh, f"SELECT ({newest}) IS NOT NULL AND bool_and(unanchored = 0) FROM seal.status")
        raise_alarm(fresh, **success)
        # Sent by the worker.
        wait_for(fresh, "SELECT count(*) = 1 FROM seal.alert WHERE sent_at IS NOT NULL")
    (got,) = mail.received
    line = got.text.rpartition("newest anchor: ")[2].strip()
    answer = fresh.rows("SELECT contained, number FROM seal.check_witness(%s)", [line])
    assert answer == [(True, fresh.value(newest))]
    assert [row["way"] for row in alerts(fresh)] == ["mail"]
    assert list(fresh.connection.notifies(timeout=0.2)) == []
