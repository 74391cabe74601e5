"""Certificates, passwords and whoever sits in between."""

from __future__ import annotations

import base64
import socket
from pathlib import Path

import pytest

from support.alerting import alerts, raise_alarm, set_alerts, tried
from support.cluster import Cluster
from support.database import Database
from support.mail import PASSWORD, USER, Certificates, Listener, MailServer
from support.servers import Servers


@pytest.mark.parametrize("security", ["starttls", "smtps"])
def test_a_certificate_of_an_unknown_authority(
    alerting: Cluster, fresh: Database, tls: Certificates, credentials: Path, security: str
) -> None:
    with MailServer(tls, security) as mail:
        set_alerts(
            alerting, mail_server=mail.url, mail_to="db@example.org", mail_credentials_file=str(credentials)
        )
        ok, detail = tried(fresh)["mail"]
        assert not ok and "invalid peer certificate: UnknownIssuer" in detail
    assert mail.received == [] and mail.connections == 1


def test_a_certificate_of_another_server(
    alerting: Cluster, fresh: Database, tls: Certificates, authority: str
) -> None:
    """It names localhost and 127.0.0.1, so it does not name this."""
    with MailServer(tls, "smtps") as mail:
        names = {name: f"smtps://{name}:{mail.port}" for name in ["127.0.0.1", "127.0.0.2"]}
        for name, refusal in [("127.0.0.1", "530"), ("127.0.0.2", "certificate not valid for name")]:
            set_alerts(alerting, mail_server=names[name], mail_to="db@example.org", mail_tls_ca_file=authority)
            ok, detail = tried(fresh)["mail"]
            assert not ok and refusal in detail
    assert mail.received == []


def test_a_server_without_starttls_gets_nothing(alerting: Cluster, fresh: Database, credentials: Path) -> None:
    with MailServer() as mail:
        url = mail.url.replace("smtp://", "smtp+starttls://")
        set_alerts(alerting, mail_server=url, mail_to="db@example.org", mail_credentials_file=str(credentials))
        ok, detail = tried(fresh)["mail"]
    assert not ok and detail == "changing to TLS: internal client error: STARTTLS is not supported on this server"
    assert mail.received == []


def test_answers_slipped_in_before_tls(alerting: Cluster, fresh: Database, tls: Certificates, authority: str) -> None:
    """Whoever sits in between answers in the open, in one go with the word that TLS may begin; then lets the true
    server speak. Taken for answers of the server, they would make an alarm look delivered that was not."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"220 mail.example.org\r\n")
        connection.recv(1000)
        connection.sendall(b"250-mail.example.org\r\n250 STARTTLS\r\n")
        connection.recv(1000)
        connection.sendall(b"220 go ahead\r\n" + b"250 slipped in\r\n" * 6)
        with tls.context().wrap_socket(connection, server_side=True) as private:
            while said := private.recv(10_000):
                heard.append(said)

    heard: list[bytes] = []
    with Listener(talk) as listener:
        set_alerts(
            alerting, mail_server=f"smtp+starttls://localhost:{listener.port}", mail_to="db@example.org",
            mail_tls_ca_file=authority,
        )  # fmt: skip
        ok, detail = tried(fresh)["mail"]
    assert not ok and detail.startswith("changing to TLS: ")
    assert heard == []


@pytest.mark.parametrize("security", ["starttls", "smtps"])
def test_a_wrong_password(
    alerting: Cluster, fresh: Database, tls: Certificates, authority: str, credentials: Path, security: str
) -> None:
    """The test's server repeats in its refusal what it was told: that must not be passed on."""
    with MailServer(tls, security, password="another") as mail:
        set_alerts(
            alerting, mail_server=mail.url, mail_to="db@example.org", mail_tls_ca_file=authority,
            mail_credentials_file=str(credentials),
        )  # fmt: skip
        raise_alarm(fresh)
        assert fresh.value("SELECT seal.deliver_alerts()") == 0
    (row,) = alerts(fresh)
    assert row["sent_at"] is None and row["attempts"] == 1
    assert row["last_error"] == "logging in: permanent error (535): 5.7.8 wrong: ***"


def test_no_password_in_the_open(own_cluster: Servers) -> None:
    server = own_cluster()
    credentials = server.write_key(f"{USER}:{PASSWORD}", server.sockets / "credentials")
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    # An address of the documentation's: nobody answers there, and nobody is asked.
    set_alerts(
        server, mail_server="smtp://192.0.2.1:25", mail_to="db@example.org", mail_credentials_file=str(credentials)
    )
    ok, detail = tried(db)["mail"]
    assert not ok and "the password would travel unencrypted" in detail


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        (f"{USER}:{PASSWORD}", 0o640, "has mode 0640: others than its owner can use it"),
        (f"{USER}:{PASSWORD}", 0o604, "has mode 0604: others than its owner can use it"),
        (PASSWORD.replace(":", ""), 0o600, "does not hold user:password on its first line"),
        ("", 0o600, "does not hold user:password on its first line"),
        (f"\n{USER}:{PASSWORD}", 0o600, "does not hold user:password on its first line"),
    ],
)
def test_a_bad_credentials_file(alerting: Cluster, fresh: Database, content: str, mode: int, reason: str) -> None:
    path = alerting.write_key(content, alerting.sockets / "bad", mode)
    with MailServer() as mail:
        set_alerts(alerting, mail_server=mail.url, mail_to="db@example.org", mail_credentials_file=str(path))
        answer = tried(fresh)["mail"]
    assert answer == (False, f'the file "{path}" of pgseal.mail_credentials_file {reason}')
    assert mail.connections == 0


def test_files_that_are_not_there(alerting: Cluster, fresh: Database) -> None:
    with MailServer() as mail:
        to = {"mail_server": mail.url, "mail_to": "db@example.org"}
        set_alerts(alerting, mail_credentials_file="/nowhere", **to)
        assert "cannot be read: No such file" in tried(fresh)["mail"][1]
        set_alerts(alerting, mail_tls_ca_file="/nowhere", **to | {"mail_server": f"smtps://localhost:{mail.port}"})
        assert 'the file "/nowhere" of pgseal.mail_tls_ca_file cannot be read' in tried(fresh)["mail"][1]
        set_alerts(alerting, mail_tls_ca_file="/etc/passwd", **to | {"mail_server": f"smtps://localhost:{mail.port}"})
        assert "holds no certificate in PEM form" in tried(fresh)["mail"][1]
    assert mail.connections == 0


def test_the_password_shows_nowhere(
    alerting: Cluster, fresh: Database, tls: Certificates, authority: str, credentials: Path
) -> None:
    """The log of this server is searched for it once more when the server ends."""
    mark = alerting.log_position()
    for password in [PASSWORD, "another"]:
        with MailServer(tls, "starttls", password=password) as mail:
            set_alerts(
                alerting, mail_server=mail.url, mail_to="db@example.org", mail_tls_ca_file=authority,
                mail_credentials_file=str(credentials),
            )  # fmt: skip
            raise_alarm(fresh)
            fresh.run("SELECT seal.deliver_alerts()")
            fresh.run("SELECT * FROM seal.test_alert()")
    seen = [fresh.rows(f"SELECT t::text FROM {view} t") for view in ["seal.alert", "pg_settings", "pg_stat_activity"]]
    seen += [alerting.log(mark)]
    assert "DEBUG" in seen[-1] and "5.7.8 wrong" in seen[-1]
    encoded = [base64.b64encode(text.encode()).decode() for text in [PASSWORD, f"\0{USER}\0{PASSWORD}"]]
    for secret in [PASSWORD, *encoded]:
        assert secret not in repr(seen)
