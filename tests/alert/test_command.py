"""pgseal.alert_command: what it gets, and what is kept of how it ended."""

from __future__ import annotations

import time

import pytest

from support.alerting import alerts, make_due, raise_alarm, set_alerts, tried
from support.cluster import Cluster
from support.database import Database
from support.witnessing import Sink, read


def test_it_gets_the_text_on_standard_input(alerting: Cluster, fresh: Database) -> None:
    sink = Sink(alerting, f"report-{fresh.name}")
    set_alerts(alerting, alert_command=f"cat > {sink.path}")
    raise_alarm(fresh, report="Größe\n'quoted' $(touch pwned) %k\n")
    assert fresh.value("SELECT seal.deliver_alerts()") == 1
    (row,) = alerts(fresh)
    assert read(sink.path) == row["text"] and "'quoted' $(touch pwned) %k\n" in row["text"]
    assert (row["way"], row["answer"], row["attempts"]) == ("command", "exit status 0", 1) and row["sent_at"]
    assert not list(alerting.data.glob("**/pwned"))


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("exit 3", "ended with exit status 3"),
        ("echo no paper >&2; exit 1", "ended with exit status 1: no paper"),
        ("kill -9 $$", "ended with signal 9"),
        ("no-such-command-at-all", "ended with exit status 127: "),
        ("yes", "printed more than 65536 bytes"),
    ],
)
def test_how_it_failed_is_kept_and_it_is_tried_again(
    alerting: Cluster, fresh: Database, command: str, error: str
) -> None:
    set_alerts(alerting, alert_command=command)
    raise_alarm(fresh)
    assert fresh.value("SELECT seal.deliver_alerts()") == 0
    (row,) = alerts(fresh)
    assert row["last_error"].startswith(f"pgseal.alert_command {error}")
    assert row["sent_at"] is None and row["next_attempt"] is not None
    set_alerts(alerting, alert_command="true")
    make_due(fresh)
    assert fresh.value("SELECT seal.deliver_alerts()") == 1
    (row,) = alerts(fresh)
    assert row["attempts"] == 2 and row["sent_at"] and row["last_error"] is None


def test_it_has_ten_seconds(alerting: Cluster, fresh: Database) -> None:
    set_alerts(alerting, alert_command="sleep 60")
    started = time.monotonic()
    assert tried(fresh)["command"] == (False, "pgseal.alert_command did not end within 10 s and was killed")
    assert 9 < time.monotonic() - started < 13


def test_only_superusers_see_it(alerting: Cluster, fresh: Database) -> None:
    fresh.run("CREATE ROLE curious LOGIN")
    try:
        session = fresh.connect("curious")
        for name in ["alert_command", "mail_credentials_file"]:
            found = session.execute("SELECT count(*) FROM pg_settings WHERE name = %s", [f"pgseal.{name}"]).fetchone()
            assert found == (0,)
        session.close()
    finally:
        fresh.run("DROP ROLE curious")
