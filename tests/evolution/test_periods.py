"""Periods that end: a closing for each, also where nothing happened, where the server was down, where the clock jumped
and where transactions were open."""

from __future__ import annotations

import pytest

from support.database import Database
from support.evolving import Evolving, answer, basis, evolving_server, sequence, verdicts, wait_until_opened
from support.sealing import history, refused


def test_each_day_is_closed_empty_ones_too(db: Database, evolving: Evolving) -> None:
    evolving.days_pass(3)
    assert evolving.closings(db) == sequence(3) == evolving.closings(db, "h")
    db.run("INSERT INTO h VALUES (3, 'c')")
    evolving.days_pass()
    chains = db.rows(
        "SELECT c.value -> 0, c.value -> 2 FROM seal.closing, jsonb_each(record -> 'chains') c"
        " WHERE history_id = (SELECT history_id FROM seal.history) AND number IN (4, 5) ORDER BY number"
    )
    assert chains == [(2, 0), (3, 1)]
    assert answer(db) == []
    assert verdicts(db) == ["intact"]
    assert "signatures of closing records judged" in basis(db)


def test_a_month_is_a_month() -> None:
    with evolving_server("month") as evolving:
        db = evolving.server.createdb()
        db.run("CREATE EXTENSION pgseal")
        history(db)
        wait_until_opened(db, "h")
        first = evolving.state()["first"]
        assert first == evolving.today()
        db.run("INSERT INTO h VALUES (1, 'a')")
        evolving.months_pass(4)
        closed = evolving.state()["period"] - first
        assert closed in (3, 4)
        assert evolving.closings(db, "h") == sequence(closed)
        assert answer(db) == []


def test_the_state_file_is_private_and_has_the_secret_of_today_only(db: Database, evolving: Evolving) -> None:
    before = evolving.state()
    assert evolving.state_file.stat().st_mode & 0o7777 == 0o600
    evolving.days_pass()
    after = evolving.state()
    assert (after["period"], after["stream"]) == (before["period"] + 1, before["stream"])
    assert before["secret"] not in evolving.state_file.read_text()
    assert [file.name for file in evolving.state_file.parent.iterdir()] == ["pgseal"]
    assert before["secret"] not in evolving.server.log() and evolving.root not in evolving.server.log()


def test_days_on_which_the_server_was_down_are_closed_when_it_is_back(db: Database, evolving: Evolving) -> None:
    evolving.server.stop()
    evolving.clock.reboot(days=3)
    evolving.server.start()
    evolving.wait_until_closed()
    assert evolving.closings(db) == sequence(3)
    assert answer(db) == []


def test_a_history_that_is_attached_later_begins_then(db: Database, evolving: Evolving) -> None:
    evolving.days_pass(2)
    history(db, "later")
    db.run("INSERT INTO later VALUES (1, 'a')")
    wait_until_opened(db, "later")
    evolving.days_pass()
    assert evolving.closings(db, "later") == [("opening", 2), ("closing", 2)]
    assert answer(db) == []


def test_open_and_prepared_transactions_end_in_the_next_period(db: Database, evolving: Evolving) -> None:
    session = db.connect(autocommit=False)
    session.execute("INSERT INTO h VALUES (3, 'open')")
    db.run("BEGIN; INSERT INTO h VALUES (4, 'prepared'); PREPARE TRANSACTION 'p'")
    evolving.days_pass()
    session.commit()
    db.run("COMMIT PREPARED 'p'")
    db.run("INSERT INTO h VALUES (5, 'today')")
    assert answer(db) == []
    evolving.days_pass()
    assert evolving.closings(db, "h") == sequence(2)
    assert answer(db) == []
    assert verdicts(db) == ["intact"]


def test_a_clock_that_jumps_burns_no_period(db: Database, evolving: Evolving) -> None:
    evolving.days_pass()
    period = evolving.state()["period"]
    evolving.clock.jump(days=100)
    db.run("INSERT INTO h VALUES (3, 'c')")
    evolving.server.wait_for_log("the clock is off by")
    assert evolving.state()["period"] == period
    line = db.rows("SELECT ok, problem FROM seal.check_setup() WHERE item = 'key evolution'")
    assert line[0][0] is False and "off by" in line[0][1]
    evolving.clock.back(days=100)
    evolving.days_pass()
    assert evolving.closings(db) == sequence(2)
    assert answer(db) == []


def test_a_clock_that_was_set_right_is_believed_once_somebody_accepts_it(db: Database, evolving: Evolving) -> None:
    evolving.clock.jump(days=2)
    db.run("INSERT INTO h VALUES (3, 'c')")
    evolving.server.wait_for_log("the clock is off by")
    db.run("SELECT seal.accept_clock('the machine was suspended')")
    evolving.wait_until_closed()
    assert evolving.closings(db) == sequence(2)
    assert answer(db) == []


@pytest.mark.parametrize("mode", ["kill", "immediate"])
def test_a_crash_amid_an_advance_leaves_one_consistent_state(db: Database, evolving: Evolving, mode: str) -> None:
    other = evolving.server.createdb()
    other.run("CREATE EXTENSION pgseal")
    history(other)
    wait_until_opened(other, "h")
    # The table is locked: one database cannot be closed, the other is.
    locker = other.connect(autocommit=False)
    locker.execute("LOCK TABLE h IN ACCESS EXCLUSIVE MODE")
    evolving.clock.forward(days=1)
    evolving.tick()
    evolving.server.wait_for_log("is not closed in every database")
    assert evolving.closings(db) == sequence(1)
    before = db.rows("SELECT history_id, number, record::text, mac FROM seal.closing ORDER BY 1, 2")
    evolving.server.kill() if mode == "kill" else evolving.server.stop("immediate")
    evolving.server.start()
    evolving.wait_until_closed()
    assert db.rows("SELECT history_id, number, record::text, mac FROM seal.closing ORDER BY 1, 2") == before
    assert evolving.closings(other) == sequence(1)
    for database in (db, other):
        assert answer(database) == []


def test_a_period_that_is_closed_is_not_closed_again(db: Database, evolving: Evolving) -> None:
    """The server ends when all is closed and the state file is not replaced yet."""
    folder = evolving.state_file.parent
    folder.chmod(0o500)
    evolving.clock.forward(days=1)
    evolving.tick()
    evolving.server.wait_for_log("cannot be written")
    before = db.rows("SELECT history_id, number, record::text, mac FROM seal.closing ORDER BY 1, 2")
    assert evolving.closings(db) == sequence(1)
    evolving.server.kill()
    folder.chmod(0o700)
    evolving.server.start()
    evolving.wait_until_closed()
    assert db.rows("SELECT history_id, number, record::text, mac FROM seal.closing ORDER BY 1, 2") == before
    evolving.days_pass()
    assert evolving.closings(db) == sequence(2)
    assert answer(db) == []


def test_a_crash_after_the_file_was_written_goes_on_with_it(db: Database, evolving: Evolving) -> None:
    evolving.days_pass()
    half = evolving.state_file.with_name("pgseal.new")
    half.write_text('{"version": 1')
    evolving.server.give(half)
    evolving.server.crash()
    evolving.days_pass()
    assert not half.exists()
    assert evolving.closings(db) == sequence(2)
    assert answer(db) == []


def test_only_superusers_draw_streams(db: Database, evolving: Evolving) -> None:
    text = db.value("SELECT seal.new_stream()")
    assert text != db.value("SELECT seal.new_stream()")
    db.run("DROP ROLE IF EXISTS nobody_special; CREATE ROLE nobody_special LOGIN IN ROLE pgseal_admin")
    with refused("42501", "permission denied for function new_stream"):
        db.connect("nobody_special").execute("SELECT seal.new_stream()")
