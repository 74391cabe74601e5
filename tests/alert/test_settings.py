"""Settings that cannot be right are refused, with the place of the fault."""

from __future__ import annotations

import pytest

from support.alerting import set_alerts, tried
from support.cluster import Cluster
from support.database import Database
from support.refusal import BAD_PARAMETER, refusal
from support.servers import Servers

WRONG = [
    ("mail_server", "mail.example.org:25", "At byte 1: it must begin with smtp://, smtp+starttls:// or smtps://."),
    ("mail_server", "smtp://", "At byte 8: the name of the server is missing."),
    ("mail_server", "smtps://:465", "At byte 9: the name of the server is missing."),
    ("mail_server", "smtp://h:", "At byte 10: the port must be a number from 1 to 65535."),
    ("mail_server", "smtp://h:0", "At byte 10: the port must be a number from 1 to 65535."),
    ("mail_server", "smtp://h:65536", "At byte 10: the port must be a number from 1 to 65535."),
    ("mail_server", "smtp://h:2x", "At byte 9: only a colon and the port may follow here."),
    ("mail_server", "smtp://h/x", "At byte 9: '/' cannot be part of a server's name"),
    ("mail_server", "smtp://two words", "At byte 11: ' ' cannot be part of a server's name"),
    ("mail_server", "smtp://h\nx", "At byte 9: '\\n' cannot be part of a server's name"),
    ("mail_server", "smtp://[::1", "At byte 8: the bracket is not closed."),
    ("mail_server", "smtp://[h]:25", "At byte 9: there is no IPv6 address in the brackets."),
    ("mail_server", "smtp://[::1]25", "At byte 13: only a colon and the port may follow here."),
    ("mail_server", "smtp://me:secret@h:25", "At byte 17: user and password do not belong here but into the file"),
    ("mail_from", "nobody", "At byte 1, address 1: this is no mail address."),
    ("mail_from", "a@example.org, b@example.org", "There are 2 addresses, where one is wanted."),
    ("mail_to", "a@example.org, b", "At byte 16, address 2: this is no mail address."),
    ("mail_to", "a@example.org,,b@example.org", "At byte 15, address 2: there is none."),
    ("mail_to", "a@example.org,", "At byte 15, address 2: there is none."),
    ("mail_to", "a@example.org\nBcc: b@example.org", "At byte 14: there is a control character."),
    ("mail_cc", "ü@example.org", "At byte 1, address 1: write the address in ASCII"),
    ("mail_cc", '"x <a@example.org>', "At byte 1, address 1: this is no mail address."),
    ("mail_subject", "100% sure", "At byte 4: there is no placeholder % . There are %k %d %h"),
    ("mail_subject", "ü %x", "At byte 4: there is no placeholder %x."),
    ("mail_text", "100%", "At byte 4: a percent sign ends the text"),
]


@pytest.mark.parametrize(("setting", "value", "place"), WRONG)
def test_refused_with_the_place(db: Database, setting: str, value: str, place: str) -> None:
    quoted = "E'" + value.replace("\n", "\\n") + "'"
    refused = refusal(db, f"ALTER SYSTEM SET pgseal.{setting} = {quoted}")
    assert (refused.state, refused.message) == (BAD_PARAMETER, f'invalid value for parameter "pgseal.{setting}"')
    assert refused.detail.startswith(place)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("mail_server", ""),
        ("mail_server", "smtp://h"),
        ("mail_server", "smtps://mail-1.example.org:4650"),
        ("mail_server", "smtp+starttls://[2001:db8::1]:587"),
        ("mail_server", "smtp://192.0.2.1:25"),
        ("mail_to", ""),
        ("mail_to", 'a@example.org , "Roe, \\\\"J\\\\"" <b@example.org>,Jürgen <c@xn--bcher-kva.example>'),
        ("mail_subject", "%k%d%h%t%v%n%N%r%R%a%s%m%%"),
        ("mail_text", ""),
    ],
)
def test_accepted(db: Database, setting: str, value: str) -> None:
    try:
        db.run(f"ALTER SYSTEM SET pgseal.{setting} = E'{value}'")
    finally:
        db.run(f"ALTER SYSTEM RESET pgseal.{setting}")


def test_a_refused_reload_keeps_what_was_and_quotes_nothing(own_cluster: Servers) -> None:
    server = own_cluster({"pgseal.mail_server": "smtp://localhost:2525"})
    mark = server.log_position()
    server.configure({"pgseal.mail_server": "smtp://me:hunter2hunter2@localhost:25"})
    log = server.wait_for_log("contains errors", mark)
    assert 'invalid value for parameter "pgseal.mail_server"' in log and "At byte 25: user and password" in log
    with server.connect() as session:
        assert session.execute("SHOW pgseal.mail_server").fetchone() == ("smtp://localhost:2525",)
    mark = server.log_position()
    server.restart()
    with server.connect() as session:
        assert session.execute("SHOW pgseal.mail_server").fetchone() == ("",)
    assert 'invalid value for parameter "pgseal.mail_server"' in server.log(mark)
    assert "hunter2" not in server.log()


def test_no_session_sets_them(db: Database) -> None:
    names = [name for (name,) in db.rows("SELECT name FROM pg_settings WHERE name ~ '^pgseal.(mail|alert)_'")]
    assert len(names) == 11
    for name in names:
        assert refusal(db, f"SET {name} = '1'").state == "55P02"


def test_an_empty_template_is_the_default(alerting: Cluster, fresh: Database) -> None:
    set_alerts(alerting, mail_text="", mail_subject="")
    tried(fresh)
    subject, text = fresh.rows("SELECT subject, text FROM seal.alert")[0]
    assert subject.startswith("pgseal on ") and text.startswith("this is a test")
