"""Histories are verified when their schedule says so: the server's, or one of their own."""

from __future__ import annotations

from support.anchoring import wait_until_anchored
from support.cluster import Cluster
from support.database import Database
from support.refusal import BAD_PARAMETER, NOT_PERMITTED, UNDEFINED_OBJECT, notices, refusal
from support.roles import Roles
from support.scheduling import (
    EVERY_SECOND,
    NEVER_SOON,
    RUN_WORKERS,
    lasts,
    next_run,
    nothing_scheduled,
    running,
    runs,
    scheduled,
    slow,
    wait_for_runs,
)
from support.sealing import background, history, wait_for
from support.servers import Servers
from support.tampering import triggers_off

SET = "SELECT seal.set_schedule(%s, %s)"


def test_every_history_at_the_times_of_the_setting(own_cluster: Servers) -> None:
    server = own_cluster(scheduled("*/2 * * * * *"))
    db, other = server.createdb(), server.createdb()
    for database in (db, other):
        database.run("CREATE EXTENSION pgseal")
        history(database)
        database.run("INSERT INTO h VALUES (1, 'x'), (2, 'x')")
    history(db, "g")
    wait_for_runs(db, more=3)
    wait_for_runs(other)
    found = runs(db)
    assert {(run["verdict"], run["entries"]) for run in found} <= {("intact", 2), ("nothing_sealed", 0)}
    assert all(run["started"].second % 2 == 0 or run["started"].microsecond > 0 for run in found)
    assert found[-1]["verdict"] == "intact"
    assert {run["verdict"] for run in runs(db, "g")} == {"nothing_sealed"}
    # Each time once: no two runs for the same second of the schedule.
    times = [int(run["started"].timestamp()) // 2 for run in found]
    assert times == sorted(set(times))
    assert "was missed" not in server.log() and "failed" not in server.log()
    # What is found is recorded.
    with db.connection.transaction(), triggers_off(db.connection, "h"):
        db.run("DELETE FROM h WHERE id = 1")
    wait_for(db, "SELECT verdict = 'tampered' FROM seal.verification WHERE history = 'public.h' ORDER BY started DESC LIMIT 1")


def test_one_of_its_own(fresh: Database) -> None:
    history(fresh)
    history(fresh, "g")
    nothing_scheduled(fresh)
    answer = fresh.value(SET, ["h", f" {EVERY_SECOND} "])
    assert answer == "public.h is verified at '* * * * * *' in the time zone UTC"
    wait_for_runs(fresh, more=2)
    assert runs(fresh, "g") == []
    assert fresh.value(SET, ["h", "off"]) == "public.h is never verified by schedule"
    nothing_scheduled(fresh)
    count = len(runs(fresh))
    fresh.value(SET, ["h", NEVER_SOON])
    assert next_run(fresh).month == 2
    with notices(fresh) as heard:
        assert fresh.value(SET, ["h", None]) == "public.h is verified when pgseal.schedule says so"
    assert [notice.message for notice in heard] == ["public.h is not verified by schedule now"]
    nothing_scheduled(fresh)
    assert len(runs(fresh)) == count
    entries = "SELECT history, details ->> 'schedule' FROM seal.journal WHERE kind = 'schedule' ORDER BY seq"
    assert fresh.rows(entries) == [("public.h", value) for value in (EVERY_SECOND, "off", NEVER_SOON, None)]
    assert fresh.rows("SELECT * FROM seal.findings()") == []


def test_off_for_one_while_the_others_run(own_cluster: Servers) -> None:
    db = own_cluster(scheduled(EVERY_SECOND)).createdb()
    db.run("CREATE EXTENSION pgseal")
    db.run("BEGIN; CREATE TABLE h (id int); CREATE TABLE g (id int); SELECT seal.attach('h'), seal.attach('g');"
           " SELECT seal.set_schedule('h', 'off'); COMMIT")  # fmt: skip
    wait_for_runs(db, "g", 2)
    assert runs(db) == []
    db.value(SET, ["h", None])
    wait_for_runs(db)
    db.run("SELECT seal.detach('g')")
    count = len(runs(db, "g"))
    wait_for_runs(db, more=2)
    assert len(runs(db, "g")) - count <= 1  # one may have been on its way


def test_what_is_refused(fresh: Database) -> None:
    history(fresh)
    fresh.run("CREATE TABLE plain (id int)")
    refused = refusal(fresh, SET, ["h", "0 3 * * FOO"])
    assert (refused.state, refused.message) == (BAD_PARAMETER, 'invalid schedule "0 3 * * FOO"')
    assert refused.detail == "Field 5 (day of week), character 9: 'FOO' means nothing here."
    assert "'0 3 * * *'" in refused.hint
    assert refusal(fresh, SET, ["h", ""]).detail == "Character 1: it has 0 fields, not 5 or 6."
    assert refusal(fresh, SET, ["plain", "@daily"]).state == UNDEFINED_OBJECT
    assert refusal(fresh, SET, [None, "@daily"]).state == "22004"
    assert fresh.value("SELECT count(*) FROM seal.journal WHERE kind = 'schedule'") == 0


def test_who_may(db: Database, roles: Roles) -> None:
    owner, other = roles.owner(), roles.session("other", member_of="pgseal_admin")
    auditor = roles.session("auditor", member_of="pgseal_auditor")
    owner.execute(f"CREATE TABLE {owner.info.user}.h (id int)".encode())
    name = f"{owner.info.user}.h"
    owner.execute(b"SELECT seal.attach(%s)", [name])
    db.run("GRANT USAGE ON SCHEMA {0} TO PUBLIC".format(owner.info.user))
    assert refusal(other, SET, [name, "off"]).state == NOT_PERMITTED
    assert refusal(auditor, SET, [name, "off"]).state == NOT_PERMITTED
    owner.execute(SET.encode(), [name, "off"])
    assert db.rows("SELECT who FROM seal.journal WHERE kind = 'schedule'") == [(owner.info.user,)]


def test_runs_of_one_history_do_not_overlap(own_cluster: Servers) -> None:
    """Its time comes again and again while one is at it; anchors go on meanwhile."""
    server = own_cluster(scheduled(EVERY_SECOND))
    db = server.createdb()
    db.run("CREATE EXTENSION pgseal")
    slow(db)
    history(db, "g")
    lasts(db, 2.5)
    pid = running(db)
    assert db.rows(RUN_WORKERS) == [(pid,)]
    assert "running since" in db.value("SELECT problem FROM seal.check_setup() WHERE item = 'schedule'")
    db.run("INSERT INTO g VALUES (1, 'x')")
    wait_until_anchored(db, "g")
    assert db.rows(RUN_WORKERS) == [(pid,)]
    wait_for_runs(db, more=2)
    found = runs(db)
    assert all(later["started"] >= earlier["finished"] for earlier, later in zip(found, found[1:], strict=False))
    assert max((run["finished"] - run["started"]).total_seconds() for run in found) > 2.5


def test_the_lock_shows_who_runs(fresh: Database) -> None:
    slow(fresh)
    lasts(fresh, 60)
    fresh.value(SET, ["h", EVERY_SECOND])
    pid = running(fresh)
    held = fresh.rows(
        "SELECT pid, mode, granted FROM pg_locks WHERE locktype = 'object' AND classid = 'seal.run'::regclass"
        " AND objid = 'h'::regclass"
    )
    assert held == [(pid, "ExclusiveLock", True)]
    assert fresh.value("SELECT query FROM pg_stat_activity WHERE pid = %s", [pid]) == "scheduled run of public.h"


def test_writers_and_a_second_verification_go_on_beside_a_run(fresh: Database) -> None:
    slow(fresh)
    verifier = fresh.connect()
    lasts(fresh, 60)
    fresh.value(SET, ["h", EVERY_SECOND])
    running(fresh)
    fresh.run("INSERT INTO h VALUES (2, 'x')")
    with background() as start:
        assert start(verifier, "SELECT * FROM seal.verify_history()").result(timeout=10) is None
    assert fresh.rows("SELECT verdict, entries FROM seal.verify_history()") == [("intact", 2)]


def test_nothing_of_it_outlives_the_extension(fresh: Database, timed: Cluster) -> None:
    history(fresh)
    fresh.value(SET, ["h", EVERY_SECOND])
    wait_for_runs(fresh)
    mark = timed.log_position()
    fresh.run("SELECT seal.detach('h'); DROP EXTENSION pgseal; CREATE EXTENSION pgseal")
    nothing = "SELECT problem NOT LIKE '%%the next run%%' FROM seal.check_setup() WHERE item = 'schedule'"
    wait_for(fresh, nothing)
    history(fresh, "again")
    nothing_scheduled(fresh)
    assert fresh.value("SELECT count(*) FROM seal.run") == 0
    assert "ERROR" not in timed.log(mark)
