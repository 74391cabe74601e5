"""A clock that was ahead for a while and is right again keeps no run and no mail waiting."""

from __future__ import annotations

from support.alerting import set_alerts
from support.anchoring import settle
from support.clock import Clock
from support.cluster import Cluster
from support.database import Database
from support.mail import MailServer, unused_port
from support.parts import over
from support.pruning import aged
from support.sealing import wait_for
from support.windows import add, damage, ledger

SET = "SELECT seal.set_schedule('h', %s)"
RUNS = "SELECT count(*) FROM seal.verification"
PLANNED = "SELECT problem LIKE '%%the next run is at%%' FROM seal.check_setup() WHERE item = 'schedule'"


def wait_for_run(db: Database, row: int) -> None:
    """Another run by schedule is recorded, once something wakes the launcher."""
    known = db.value(RUNS)
    add(db, row, row)
    wait_for(db, f"SELECT ({RUNS}) > %s", [known])
    over(db)


def daily(db: Database, clock: Clock) -> None:
    ledger(db)
    add(db, 1, 1)
    db.value(SET, ["0 0 * * *"])
    settle(db, "h")


def test_a_run_that_was_made_then(db: Database, clock: Clock) -> None:
    daily(db, clock)
    clock.jump(days=400)
    wait_for_run(db, 2)
    wait_for(db, PLANNED)
    clock.back(days=400)
    clock.forward(days=2)
    wait_for_run(db, 3)
    clock.forward(days=1)
    wait_for_run(db, 4)
    assert db.rows("SELECT DISTINCT how, verdict FROM seal.verification") == [("schedule", "intact")]


def test_a_schedule_that_was_set_then(db: Database, clock: Clock) -> None:
    ledger(db)
    add(db, 1, 1)
    settle(db, "h")
    clock.jump(days=400)
    db.value(SET, ["0 0 * * *"])
    wait_for(db, PLANNED)
    clock.back(days=400)
    clock.forward(days=2)
    wait_for_run(db, 2)
    db.cluster.restart()
    clock.forward(days=1)
    wait_for_run(db, 3)


def test_the_schedule_of_the_server_that_was_read_then(db: Database, clock: Clock) -> None:
    server: Cluster = db.cluster
    ledger(db)
    add(db, 1, 1)
    settle(db, "h")
    clock.jump(days=400)
    server.configure({"pgseal.schedule": "0 0 * * *"})
    try:
        wait_for(db, PLANNED)
        clock.back(days=400)
        clock.forward(days=2)
        wait_for_run(db, 2)
    finally:
        server.configure({"pgseal.schedule": None})


def test_a_mail_that_was_put_off_then(db: Database, clock: Clock) -> None:
    server, port = db.cluster, unused_port()
    aged(db, clock)
    damage(db, "UPDATE h SET note = 'x' WHERE id = 7")
    set_alerts(server, mail_server=f"smtp://localhost:{port}", mail_to="db@example.org")
    try:
        clock.jump(days=400)
        db.run("SELECT * FROM seal.verify_and_prune('h')")
        wait_for(db, "SELECT max(attempts) = 1 AND bool_and(last_error IS NOT NULL) FROM seal.alert")
        over(db)
        clock.back(days=400)
        with MailServer(port=port) as mail:
            add(db, 9, 9)
            (got,) = mail.wait_for(1)
        assert "kind: before_window" in got.text
        wait_for(db, "SELECT bool_and(sent_at IS NOT NULL) FROM seal.alert")
    finally:
        set_alerts(server)
