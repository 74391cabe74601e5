"""Templates, and names that try to be more than names."""

from __future__ import annotations

import pytest

from support.alerting import ALARM, alerts, prepare, raise_alarm, set_alerts
from support.cluster import Cluster
from support.database import Database
from support.mail import MailServer
from support.sealing import wait_for
from support.servers import Servers

EVIL = 'x\r\nBcc: thief@example.org\nSubject: all is well\r\n\r\nAll is intact.\u2028\u202enever'
ESCAPED = r"x\r\nBcc: thief@example.org\nSubject: all is well\r\n\r\nAll is intact.\u{2028}\u{202e}never"


def template(alerting: Cluster, db: Database, text: str, **changes: object) -> str:
    """What a text template becomes."""
    set_alerts(alerting, mail_text=text)
    raise_alarm(db, **changes)
    return str(alerts(db)[-1]["text"])


def test_every_placeholder(alerting: Cluster, fresh: Database) -> None:
    text = template(alerting, fresh, "%k|%d|%t|%v|%n|%N|%r|%R|%a|%s|100%%|%%k", anchor_line="line of a witness")
    values = ["tampered", fresh.name, "public.h", "tampered", "3", "2", "17", ALARM["report"], "line of a witness"]
    assert text == "|".join([*values, ALARM["sentence"], "100%", "%k"])
    host, at = template(alerting, fresh, "%h|%m").split("|")
    assert host == fresh.value("SELECT trim(pg_read_file('/proc/sys/kernel/hostname'), E'\\n')")
    assert fresh.value("SELECT abs(extract(epoch FROM now() - %s::timestamptz)) < 30", [at])


def test_what_there_is_not(alerting: Cluster, fresh: Database) -> None:
    nothing = {"history": None, "run": None, "verdict": None, "findings": 0, "findings_new": 0, "report": ""}
    assert template(alerting, fresh, "%t|%v|%r|%R|%a|%n", **nothing) == "-|-|-||-|0"


@pytest.mark.parametrize("kind", ["tampered", "unverifiable", "before_window", "missed", "failed"])
def test_kinds(alerting: Cluster, fresh: Database, kind: str) -> None:
    assert template(alerting, fresh, "%k", kind=kind) == kind
    assert [row["kind"] for row in alerts(fresh)] == [kind]


def test_the_line_of_the_newest_anchor_is_looked_up(own_cluster: Servers) -> None:
    alerting = own_cluster({"pgseal.anchor_interval": "100ms"})
    fresh = alerting.createdb()
    fresh.run("CREATE EXTENSION pgseal")
    prepare(fresh)
    fresh.run("CREATE TABLE h (n int); SELECT seal.attach('h'); INSERT INTO h VALUES (1)")
    wait_for(fresh, "SELECT bool_and(unanchored = 0 AND anchor IS NOT NULL) FROM seal.status")
    line = template(alerting, fresh, "%a")
    assert fresh.value("SELECT contained FROM seal.check_witness(%s)", [line]) is True


def test_names_add_no_header_and_no_line(alerting: Cluster, fresh: Database) -> None:
    with MailServer() as mail:
        set_alerts(alerting, mail_server=mail.url, mail_to="db@example.org", mail_subject="%t|%v", mail_text="%t\n%s\n")
        raise_alarm(fresh, history=EVIL, verdict=EVIL, sentence=EVIL)
        fresh.run("SELECT seal.deliver_alerts()")
    (got,) = mail.received
    assert got.recipients == ["db@example.org"]
    assert got.mail["Bcc"] is None and len(got.mail.get_all("Subject")) == 1
    assert str(got.mail["Subject"]).startswith(ESCAPED)
    assert got.text.splitlines() == [ESCAPED, ESCAPED]
    assert b"thief@example.org\r\n" not in got.raw and b"\r\nBcc" not in got.raw


def test_a_table_whose_name_is_an_attack(alerting: Cluster, fresh: Database) -> None:
    name = "h\nBcc: thief@example.org\n\nx"
    fresh.run(f'CREATE TABLE "{name}" (n int)')
    fresh.run("SELECT seal.attach(%s::regclass)", [f'"{name}"'])
    (shown,) = fresh.rows("SELECT history FROM seal.status")
    with MailServer() as mail:
        set_alerts(alerting, mail_server=mail.url, mail_to="db@example.org", mail_subject="%t")
        raise_alarm(fresh, history=shown[0], sentence=f"history {shown[0]} is tampered")
        fresh.run("SELECT seal.deliver_alerts()")
    (got,) = mail.received
    assert got.recipients == ["db@example.org"] and got.mail["Bcc"] is None
    assert r"\nBcc: thief@example.org\n\nx" in str(got.mail["Subject"])
    assert got.mail["Message-ID"] and got.mail["Date"]  # no header was pushed into the body


def test_a_report_keeps_its_lines_and_nothing_else(alerting: Cluster, fresh: Database) -> None:
    assert template(alerting, fresh, "%R", report="a\n\tb\x1b[31m\rc\x07") == "a\n\tb\\u{1b}[31m\\rc\\u{7}"


def test_a_subject_is_one_short_line(alerting: Cluster, fresh: Database) -> None:
    set_alerts(alerting, mail_subject="%R")
    raise_alarm(fresh, report="first\nsecond ü" + "ü" * 500)
    subject = alerts(fresh)[0]["subject"]
    assert subject.startswith(r"first\nsecond ü") and 230 < len(subject.encode()) <= 240
