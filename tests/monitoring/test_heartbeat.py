"""seal.metrics, seal.database_metrics and seal.status: how long ago, what was found, what waits."""

from __future__ import annotations

from datetime import timedelta

import pytest

from support.anchoring import nothing_anchored, wait_until_anchored
from support.database import Database
from support.monitoring import of_database, of_history, record_run
from support.sealing import history, wait_for

STATUS = "SELECT last_verified, last_verdict, verified_age, next_run FROM seal.status WHERE history = 'public.h'"


def test_before_the_first_run_the_age_counts_from_the_attach(db: Database) -> None:
    history(db)
    line = of_history(db)
    age = db.value("SELECT extract(epoch FROM now() - attached_at)::float8 FROM seal.history")
    assert line["verified_age_seconds"] == pytest.approx(age, abs=5)
    assert (line["verified"], line["last_verdict"], line["run_age_seconds"]) == (0, 0, None)
    runs = ["run_entries", "run_findings", "run_findings_new", "run_findings_before_window"]
    assert [line[name] for name in runs] == [None] * 4
    assert db.rows(STATUS) == [(None, None, None, None)]
    assert (line["key_usable"], line["chains"], line["entries"], line["unanchored_chains"]) == (1, 0, 0, 0)


@pytest.mark.parametrize(
    ("verdict", "number", "success"),
    [
        ("intact", 1, True),
        ("intact_in_window", 2, True),
        ("nothing_sealed", 3, False),
        ("unverifiable", 4, False),
        ("tampered", 5, True),
        ("of tomorrow", 6, False),
    ],
)
def test_every_verdict_has_its_number(db: Database, verdict: str, number: int, success: bool) -> None:
    history(db)
    record_run(db, "h", "intact", age="3 days")
    record_run(db, "h", verdict, age="1 hour", findings=9, before_window=2)
    line = of_history(db)
    assert (line["verified"], line["last_verdict"]) == (1, number)
    assert line["verified_age_seconds"] == pytest.approx(3600 if success else 3 * 86400, abs=60)
    assert line["run_age_seconds"] == pytest.approx(3600, abs=60)
    assert (line["run_entries"], line["run_findings"], line["run_findings_new"]) == (7, 9, 0)
    assert line["run_findings_before_window"] == 2
    ((verified, last, age, _),) = db.rows(STATUS)
    assert last == verdict
    wanted = timedelta(hours=1) if success else timedelta(days=3)
    assert abs(age - wanted) < timedelta(minutes=1)
    assert abs(db.value("SELECT now()") - wanted - verified) < timedelta(minutes=1)


@pytest.mark.parametrize("verdict", ["intact", "intact_in_window"])
def test_a_run_with_new_findings_is_no_success(db: Database, verdict: str) -> None:
    history(db)
    record_run(db, "h", verdict, age="1 hour", findings=1, new=1, before_window=1)
    line = of_history(db)
    assert (line["verified"], line["run_findings_new"]) == (0, 1)
    assert line["verified_age_seconds"] < 60 < line["run_age_seconds"]
    assert db.rows(STATUS)[0][:2] == (None, verdict)


def test_each_history_has_its_own_runs(db: Database) -> None:
    for name in ("h", "other", "gone"):
        history(db, name)
    record_run(db, "h", "intact", age="1 day")
    record_run(db, "other", "tampered", age="2 days", findings=4, new=3)
    record_run(db, "gone", "tampered", age="1 minute")
    db.run("SELECT seal.detach('gone')")
    lines = db.rows("SELECT history, last_verdict, run_findings_new, verified FROM seal.metrics ORDER BY 1")
    assert lines == [("public.h", 1, 0, 1), ("public.other", 5, 3, 0)]
    assert of_database(db)["histories"] == 2


def test_a_known_incident_is_no_failure_of_the_schedule(db: Database) -> None:
    history(db)
    record_run(db, "h", "intact", age="2 days")
    record_run(db, "h", "tampered", age="1 day", findings=1, new=1)
    assert round(of_history(db)["verified_age_seconds"]) == 2 * 86_400
    record_run(db, "h", "tampered", findings=1)
    assert round(of_history(db)["verified_age_seconds"]) == 0


def test_a_forged_time_breaks_nothing(db: Database) -> None:
    """Such a run has a verdict, but no age."""
    history(db)
    record_run(db, "h", "intact", age="1 day")
    for time in ("null", '"infinity"', '"x"', "1e40"):
        record_run(db, "h", "tampered", findings=1, new=1)
        newest = "(SELECT max(id) FROM seal.run)"
        db.run(f"UPDATE seal.run SET record = jsonb_set(record, '{{finished}}', '{time}') WHERE id = {newest}")
        assert (of_history(db)["run_age_seconds"], round(of_history(db)["verified_age_seconds"])) == (None, 86_400)


def test_what_waits_for_an_anchor(db: Database) -> None:
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x'), (2, 'x')")
    wait_until_anchored(db, "h")
    wait_for(db, "SELECT unanchored_chains = 0 AND anchor_wait_seconds = 0 FROM seal.database_metrics")
    line, whole = of_history(db), of_database(db)
    assert (line["chains"], line["entries"], line["unanchored_chains"]) == (1, 2, 0)
    assert 0 <= whole["anchor_age_seconds"] < 60
    with nothing_anchored(db):
        db.run("INSERT INTO h VALUES (3, 'x')")
        wait_for(db, "SELECT anchor_age_seconds > 1.5 FROM seal.database_metrics")
        assert (of_history(db)["unanchored_chains"], of_history(db)["entries"]) == (1, 3)
        assert of_database(db)["unanchored_chains"] == 1


def test_a_server_that_is_well(db: Database) -> None:
    history(db)
    wait_for(db, "SELECT worker_ok = 1 AND scheduler_up = 1 FROM seal.database_metrics")
    line = of_database(db)
    assert {name: line[name] for name in ("database", "up", "in_recovery", "key_usable", "running_seconds")} == {
        "database": db.name, "up": 1, "in_recovery": 0, "key_usable": 1, "running_seconds": 0,
    }  # fmt: skip
    assert line["remembered_chains_limit"] == int(db.value("SHOW pgseal.max_heads"))
    assert 0 < line["remembered_chains"] <= line["remembered_chains_limit"]


def test_the_views_do_not_read_the_histories(db: Database) -> None:
    """A table that somebody locks, so that nobody can even look at it, keeps no monitoring system waiting."""
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x')")
    wait_until_anchored(db, "h")
    with db.connect(autocommit=False) as locker:
        locker.execute("LOCK TABLE h IN ACCESS EXCLUSIVE MODE")
        db.run("SET statement_timeout = '5s'")
        assert of_history(db)["entries"] == 1
        assert of_database(db)["up"] == 1
        locker.rollback()
