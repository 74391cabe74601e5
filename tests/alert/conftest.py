"""A server whose settings of alarms each test makes: `alerting`; in it a database: `fresh`; certificates: `tls`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.alerting import MAIL_SETTINGS, prepare, set_alerts
from support.cluster import Cluster
from support.database import Database
from support.mail import PASSWORD, USER, Certificates
from support.servers import assert_no_alarms


@pytest.fixture(scope="session")
def alerting() -> Iterator[Cluster]:
    """The server that the tests of this folder share. No line of its log may hold the password. There is no room for
    pgseal's workers, which would send what the tests want to send themselves (tests/runs has them)."""
    with Cluster({"max_worker_processes": 1, "log_min_messages": "debug5", "log_statement": "all"}) as server:
        yield server
        assert_no_alarms(server)
        assert PASSWORD not in server.log()


@pytest.fixture
def fresh(alerting: Cluster) -> Iterator[Database]:
    """A database with the extension, in which alarms can be raised; afterwards no setting is left."""
    database = alerting.createdb()
    database.run("CREATE EXTENSION pgseal")
    prepare(database)
    yield database
    database.drop()
    if any(f"pgseal.{name}" in alerting.settings for name in MAIL_SETTINGS):
        set_alerts(alerting)


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def authority(alerting: Cluster, tls: Certificates) -> str:
    """Path of the authority's certificate, where the server can read it."""
    path = alerting.sockets / "ca.pem"
    path.write_bytes(tls.authority.read_bytes())
    alerting.give(path)
    return str(path)


@pytest.fixture
def credentials(alerting: Cluster) -> Path:
    """A file with user and password for the server's user alone."""
    return alerting.write_key(f"{USER}:{PASSWORD}", alerting.sockets / "credentials")
