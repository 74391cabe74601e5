"""From a run by schedule to whoever is told of it: mail, NOTIFY, log and seal.alert, by themselves."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from support.alerting import alerts, set_alerts
from support.anchoring import settle
from support.clock import Clock, travelling_server
from support.cluster import Cluster
from support.database import Database
from support.mail import Listener, MailServer, unused_port
from support.parts import begin, over, run_once
from support.pruning import aged
from support.pruning import runs as manual
from support.scheduling import EVERY_SECOND, RUN_WORKERS
from support.sealing import wait_for
from support.windows import add, damage, later, ledger
from support.witnessing import AT_ONCE, until

TO = {"mail_to": "db@example.org"}
SET = "SELECT seal.set_schedule(%s, %s)"


@pytest.fixture(scope="module")
def travel() -> Iterator[tuple[Cluster, Clock]]:
    """Its log has SQLSTATEs."""
    with travelling_server({**AT_ONCE, "log_line_prefix": "%m [%p] %e %d "}) as both:
        yield both


@pytest.fixture
def server(travel: tuple[Cluster, Clock]) -> Iterator[Cluster]:
    yield travel[0]
    set_alerts(travel[0])


@pytest.fixture
def mail(server: Cluster) -> Iterator[MailServer]:
    with MailServer() as mail:
        set_alerts(server, mail_server=mail.url, **TO)
        yield mail


def kinds(db: Database) -> list[tuple[Any, ...]]:
    return db.rows("SELECT kind, history, run, way, sent_at IS NOT NULL FROM seal.alert ORDER BY id")


def wait_until_sent(db: Database, count: int) -> None:
    wait_for(db, "SELECT count(*) >= %s AND bool_and(sent_at IS NOT NULL) FROM seal.alert", [count])


def listen(db: Database) -> None:
    db.run("LISTEN pgseal_alert")


def heard(db: Database, count: int) -> list[dict[str, Any]]:
    notices = db.connection.notifies(timeout=10, stop_after=count)
    return [json.loads(notice.payload) for notice in notices]


def test_tampered_until_it_is_acknowledged(db: Database, clock: Clock, server: Cluster, mail: MailServer) -> None:
    name = aged(db, clock)
    damage(db, "UPDATE h SET note = 'x' WHERE id = 7", "DELETE FROM h WHERE id = 3")
    listen(db)
    mark = server.log_position()
    begin(db)
    wait_until_sent(db, 1)
    over(db)
    count = db.value("SELECT count(*) FROM seal.verification")
    (first, *_) = mail.wait_for(1)
    assert first.recipients == ["db@example.org"]
    assert first.mail["Subject"].endswith("history public.h was tampered with: 2 new findings")
    assert "public.h: tampered, 7 entries\n" in first.text
    assert f"- missing {name} 3: " in first.text and f"- modified {name} 7: " in first.text
    assert "kind: tampered\nhistory: public.h\nverdict: tampered\nfindings: 2, new ones: 2\nrun: 1\n" in first.text
    (said, *_) = heard(db, 1)
    assert {key: said[key] for key in ("kind", "history", "run", "verdict", "findings", "findings_new", "database")} == {
        "kind": "tampered", "history": "public.h", "run": 1, "verdict": "tampered", "findings": 2, "findings_new": 2,
        "database": db.name,
    }  # fmt: skip
    assert said["details"]["found"] == [
        {"kind": "missing", "chain": name, "position": 3, "last_position": None, "in_window": False},
        {"kind": "modified", "chain": name, "position": 7, "last_position": None, "in_window": True},
    ]
    assert said["details"]["how"] == "schedule" and said["details"]["findings_before_window"] == 1
    warning = " PS001  WARNING:  history public.h was tampered with: 2 new findings"
    assert server.log(mark).count(warning) == count == len(mail.received)
    assert kinds(db) == [("tampered", "public.h", run + 1, "mail", True) for run in range(count)]
    # The same findings again: nobody has looked at them yet.
    run_once(db)
    wait_until_sent(db, count + 1)
    known = len(alerts(db))
    assert known == db.value("SELECT count(*) FROM seal.verification")
    assert [got.text.count("new ones: 2") for got in mail.wait_for(known)] == [1] * known
    assert db.value("SELECT seal.acknowledge('ticket 4711', 'h')") == 2
    run_once(db)
    assert (len(alerts(db)), len(mail.received)) == (known, known)
    last = db.rows("SELECT verdict, findings, findings_new FROM seal.verification ORDER BY run DESC LIMIT 1")
    assert last == [("tampered", 2, 0)]
    assert len(db.rows("SELECT FROM seal.findings(run => (SELECT max(run) FROM seal.verification))")) == 2
    # A further one is told, and the others with their number only.
    damage(db, "UPDATE h SET note = 'y' WHERE id = 8")
    begin(db)
    wait_until_sent(db, known + 1)
    over(db)
    newest = mail.wait_for(known + 1)[known]
    assert "findings: 3, new ones: 1\n" in newest.text
    assert f"- modified {name} 8: " in newest.text and f"- modified {name} 7" not in newest.text


def test_before_the_window(db: Database, clock: Clock, server: Cluster, mail: MailServer) -> None:
    aged(db, clock)
    damage(db, "UPDATE h SET note = 'x' WHERE id = 2")
    mark = server.log_position()
    begin(db)
    wait_until_sent(db, 1)
    over(db)
    (first, *_) = mail.wait_for(1)
    assert "kind: before_window\nhistory: public.h\nverdict: intact_in_window\nfindings: 1, new ones: 1\n" in first.text
    assert " PS003 " in server.log(mark)
    assert db.value("SELECT count(*) FROM h") == 8


@pytest.mark.parametrize(
    ("key", "schedule"), [("another", "its own"), ("another", "of the server"), ("none", "its own")]
)
def test_without_the_key(
    db: Database, clock: Clock, server: Cluster, mail: MailServer, key: str, schedule: str
) -> None:
    """What cannot be verified by schedule is told, whoever has to ask for the schedule."""
    aged(db, clock)
    secret = server.key
    assert secret
    if schedule == "its own":
        db.value(SET, ["h", "0 0 * * *"])
    else:
        server.configure({"pgseal.schedule": "0 0 * * *"})
    settle(db, "h")
    server.stop()
    if key == "another":
        server.write_key(secrets.token_hex(32))
    mark = server.log_position()
    try:
        server.settings.update({"pgseal.mail_server": mail.url})
        if key == "none":
            del server.settings["pgseal.key_file"]
            server.settings["pgseal.require_key"] = False
        server.start()
        clock.forward(days=2)
        # Nobody can insert here: the launcher looks by itself when the server starts.
        server.restart()
        until(lambda: any(got.text for got in mail.received), "a mail", 20)
        (first, *_) = mail.received
        assert "kind: failed\nhistory: public.h\n" in first.text and "key" in first.mail["Subject"], first.text
        assert db.value("SELECT count(*) FROM h") == 8
        assert db.rows("SELECT pruned_entries FROM seal.verification WHERE pruned_entries > 0") == []
        assert " PS005 " in server.log(mark)
    finally:
        server.stop()
        server.write_key(secret)
        server.settings.pop("pgseal.schedule", None)
        server.settings["pgseal.key_file"] = str(server.key_file)
        server.settings.pop("pgseal.require_key", None)
        server.start()
    # Nothing was written under another key that would look like a forgery now; its schedule goes on.
    assert db.rows("SELECT kind, chain, position, detail FROM seal.findings()") == []


def test_missed_once(db: Database, clock: Clock, server: Cluster, mail: MailServer) -> None:
    ledger(db)
    add(db, 1, 3)
    db.value(SET, ["h", "0 0 * * *"])
    later(db, clock, 0.1)
    server.stop()
    clock.forward(days=3)
    server.start()
    wait_until_sent(db, 1)
    add(db, 4, 4)
    settle(db, "h")
    server.restart()
    over(db)
    assert [kind for kind, *_ in kinds(db)] == ["missed"]
    (got,) = mail.received
    assert "public.h" in got.mail["Subject"] and "was missed; it was caught up at" in got.text
    assert db.rows("SELECT how, verdict FROM seal.verification") == [("schedule", "intact")]


def test_somebody_else_runs_it_for_long(db: Database, clock: Clock, server: Cluster, mail: MailServer) -> None:
    """A session sits on a run of its own while the schedule's time comes and goes: after an hour that is told."""
    ledger(db)
    add(db, 1, 3)
    settle(db, "h")
    db.value(SET, ["h", EVERY_SECOND])
    over(db)
    other = db.connect(autocommit=False)
    while True:
        try:
            other.execute("SELECT * FROM seal.verify_and_prune('h')")
            break
        except psycopg.errors.ObjectInUse:
            other.rollback()
    made = db.value("SELECT count(*) FROM seal.verification")
    clock.forward(minutes=50)
    add(db, 4, 4)
    wait_for(db, "SELECT problem LIKE '%%the next run is at%%' FROM seal.check_setup() WHERE item = 'schedule'")
    assert alerts(db) == []
    clock.forward(hours=2)
    add(db, 5, 5)
    wait_until_sent(db, 1)
    ((kind, history, run, *_), *more) = kinds(db)
    assert (kind, history, run, more) == ("failed", "public.h", None, [])
    assert "somebody else is running it, and its time is more than an hour ago" in mail.received[0].text
    assert db.value("SELECT count(*) FROM seal.verification") == made
    other.rollback()
    clock.forward(minutes=3)
    add(db, 6, 6)
    wait_for(db, "SELECT count(*) > %s FROM seal.verification", [made])
    db.value(SET, ["h", "off"])
    over(db)
    assert {kind for kind, *_ in kinds(db)} == {"failed"}


def test_missed_and_then_somebody_else_ran_it(db: Database, clock: Clock, server: Cluster, mail: MailServer) -> None:
    """What was missed is told when it is caught up, though it had to wait for somebody's run."""
    ledger(db)
    add(db, 1, 3)
    db.value(SET, ["h", "0 0 * * *"])
    settle(db, "h")
    wait_for(db, "SELECT problem LIKE '%%the next run is at%%' FROM seal.check_setup() WHERE item = 'schedule'")
    server.stop()
    until_midnight = timedelta(days=1) - timedelta(hours=clock.now().hour, minutes=clock.now().minute)
    clock.forward(seconds=until_midnight.total_seconds() + 60)
    server.start()
    # The launcher has five seconds to begin, a session as long as it takes to connect.
    other = db.connect(autocommit=False)
    try:
        other.execute("SELECT * FROM seal.verify_and_prune('h')")
        wait_for(db, "SELECT problem LIKE '%%the next run is at%%' FROM seal.check_setup() WHERE item = 'schedule'")
    except psycopg.errors.ObjectInUse:
        pass
    other.rollback()
    clock.forward(seconds=10)
    wait_until_sent(db, 1)
    over(db)
    assert [kind for kind, *_ in kinds(db)] == ["missed"]


def test_success_with_an_anchor(db: Database, clock: Clock, server: Cluster) -> None:
    """The mailbox is a witness."""
    aged(db, clock)
    with MailServer() as mail:
        set_alerts(server, mail_server=mail.url, mail_on_success=True, **TO)
        begin(db)
        wait_until_sent(db, 1)
        over(db)
        (first, *_) = mail.wait_for(1)
    assert first.mail["Subject"].endswith("history public.h was verified: intact")
    line = first.text.rpartition("newest anchor: ")[2].strip()
    assert db.rows("SELECT contained FROM seal.check_witness(%s)", [line]) == [(True,)]
    assert db.rows("SELECT verdict FROM seal.verify_history(witness => %s)", [line]) == [("intact",)]
    assert {kind for kind, *_ in kinds(db)} == {"success"}
    assert db.value("SELECT count(*) FROM h") == 3
    # The anchor that the mailbox has is gone with all that came after it.
    number = int(re.findall(r"number=(\d+)", line)[0])
    db.run(f"SET session_replication_role = replica; DELETE FROM seal.anchor WHERE number >= {number}")
    (answer,) = db.rows("SELECT contained FROM seal.check_witness(%s)", [line])
    assert answer == (False,)


def test_the_mail_server_is_down_meanwhile(db: Database, clock: Clock, server: Cluster) -> None:
    """The run is not held up; the mail comes by itself when the server is back."""
    aged(db, clock)
    damage(db, "UPDATE h SET note = 'x' WHERE id = 7")
    port = unused_port()
    set_alerts(server, mail_server=f"smtp://localhost:{port}", alert_retry_interval="1s", **TO)
    begin(db)
    took = db.value("SELECT extract(epoch FROM max(finished - started))::float8 FROM seal.verification")
    assert took < 2
    wait_for(db, "SELECT bool_and(sent_at IS NULL) AND max(attempts) > 1 FROM seal.alert")
    assert "Connection refused" in db.value("SELECT DISTINCT last_error FROM seal.alert WHERE last_error IS NOT NULL")
    with MailServer(port=port) as mail:
        wait_until_sent(db, 1)
        assert len(mail.received) == len(alerts(db))
    over(db)


def test_drop_database_while_a_mail_server_says_nothing(clock: Clock, server: Cluster) -> None:
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    aged(db, clock)
    damage(db, "UPDATE h SET note = 'x' WHERE id = 7")
    with Listener() as hanging:
        set_alerts(server, mail_server=f"smtp://localhost:{hanging.port}", **TO)
        db.value(SET, ["h", EVERY_SECOND])
        until(hanging.connected)
        wait_for(db, f"SELECT EXISTS ({RUN_WORKERS})")
        db.close()
        before = time.monotonic()
        server.psql(f'DROP DATABASE "{db.name}"')
        assert time.monotonic() - before < 4


def test_a_hanging_mail_server_and_the_next_run(db: Database, clock: Clock, server: Cluster) -> None:
    """Runs that are due go on being made while a mail server keeps everybody waiting."""
    aged(db, clock)
    damage(db, "UPDATE h SET note = 'x' WHERE id = 7")
    with Listener() as hanging:
        set_alerts(server, mail_server=f"smtp://localhost:{hanging.port}", alert_retry_interval="1s", **TO)
        db.value(SET, ["h", EVERY_SECOND])
        until(hanging.connected)
        count = db.value("SELECT count(*) FROM seal.verification")
        until(lambda: db.value("SELECT count(*) FROM seal.verification") > count, "another run", 14)
        server.stop()
        server.start()
    db.value(SET, ["h", "off"])


def test_one_of_two(db: Database, clock: Clock, server: Cluster, mail: MailServer) -> None:
    """The other one is pruned, and nobody is told of it."""
    ledger(db, name="g")
    add(db, 1, 2, name="g")
    aged(db, clock)
    add(db, 3, 3, name="g")
    settle(db, "g", "h")
    damage(db, "UPDATE h SET note = 'x' WHERE id = 1")
    db.value(SET, ["g", EVERY_SECOND])
    begin(db)
    wait_for(db, "SELECT count(*) > 0 FROM seal.verification WHERE history = 'public.g'")
    db.value(SET, ["g", "off"])
    over(db)
    wait_until_sent(db, 1)
    assert {(kind, history) for kind, history, *_ in kinds(db)} == {("before_window", "public.h")}
    assert db.rows("SELECT count(*) FROM g") == [(1,)] and db.rows("SELECT count(*) FROM h") == [(8,)]


def test_rolled_back(db: Database, clock: Clock, server: Cluster, mail: MailServer) -> None:
    """A run that did not take place tells nobody; one in the same session that did does."""
    aged(db, clock)
    damage(db, "UPDATE h SET note = 'x' WHERE id = 7")
    listen(db)
    with db.connection.transaction(force_rollback=True):
        assert manual(db, "h")[0]["verdict"] == "tampered"
        assert len(alerts(db)) == 1
    assert (alerts(db), db.rows("TABLE seal.verification")) == ([], [])
    manual(db, "h")
    wait_until_sent(db, 1)
    assert [said["run"] for said in heard(db, 1)] == [2]
    assert [len(mail.received), *kinds(db)] == [1, ("tampered", "public.h", 2, "mail", True)]
