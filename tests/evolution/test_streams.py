"""How streams begin: at the first start, after a lost state file, in copies and on a promoted standby; with the root at
hand, and without."""

from __future__ import annotations

import pytest

from support.cluster import ClusterError
from support.database import Database
from support.evolving import JOURNAL, Evolving, answer, sequence, verdicts, wait_until_opened
from support.restoring import FORMS
from support.sealing import history, wait_for
from support.servers import Servers
from support.standby import COPIED, caught_up, promote, standby_of

STREAMS = "SELECT count(*)::int FROM seal.journal WHERE kind = 'stream'"


def refused(evolving: Evolving, *texts: str) -> None:
    with pytest.raises(ClusterError) as caught:
        evolving.server.start()
    for text in texts:
        assert text in str(caught.value)


def test_the_journal_says_which_stream_and_by_which_root(db: Database, evolving: Evolving) -> None:
    members = "details ->> 'stream', details ->> 'root', details ->> 'kind'"
    (stream,) = db.rows(f"SELECT {members} FROM seal.journal WHERE kind = 'stream'")
    state = evolving.state()
    assert stream == (state["stream"], state["root"], "day")
    assert db.value("SELECT ok FROM seal.check_setup() WHERE item = 'key evolution'") is True


def test_a_lost_state_file_begins_a_new_stream(db: Database, evolving: Evolving) -> None:
    evolving.days_pass()
    before = evolving.state()["stream"]
    evolving.server.stop()
    evolving.state_file.unlink()
    evolving.server.start()
    db.run("INSERT INTO h VALUES (3, 'c')")
    wait_for(db, f"SELECT ({STREAMS}) = 2")
    assert evolving.state()["stream"] != before
    evolving.days_pass()
    whats = db.rows(f"SELECT record ->> 'what' FROM seal.closing WHERE history_id = '{JOURNAL}' ORDER BY number")
    assert whats == [("opening",), ("closing",), ("opening",), ("closing",)]
    assert answer(db) == []


def test_periods_that_no_stream_closed_are_found(db: Database, evolving: Evolving) -> None:
    evolving.days_pass()
    evolving.server.stop()
    evolving.state_file.unlink()
    evolving.clock.reboot(days=2)
    evolving.server.start()
    wait_for(db, f"SELECT ({STREAMS}) = 2")
    details = {detail for _, detail in answer(db)}
    assert details and all("begins a stream after a gap" in detail for detail in details)
    assert verdicts(db) == ["tampered"]


def test_a_server_without_the_root(db: Database, evolving: Evolving) -> None:
    text = db.value("SELECT seal.new_stream()")
    evolving.hide_root()
    evolving.days_pass()
    assert verdicts(db) == ["intact"]
    evolving.server.restart()
    evolving.server.stop()
    evolving.state_file.unlink()
    refused(evolving, "pgseal's key cannot evolve: the root secret cannot be had", "seal.new_stream()")
    # The ceremony.
    evolving.state_file.write_text(text)
    evolving.server.give(evolving.state_file)
    refused(evolving, "has mode 0644", f'chmod 600 "{evolving.state_file}"')
    evolving.state_file.chmod(0o600)
    evolving.server.start()
    wait_for(db, f"SELECT ({STREAMS}) = 2")
    evolving.days_pass()
    evolving.bring_root()
    assert answer(db) == []


def test_what_is_no_state_is_not_overwritten(db: Database, evolving: Evolving) -> None:
    evolving.server.stop()
    whole = evolving.state_file.read_text()
    for text in (whole[:-40], "0", "null", "[]", whole.replace('"secret"', '"other"')):
        evolving.state_file.write_text(text)
        refused(evolving, "is damaged", "It is not overwritten")
        assert evolving.state_file.read_text() == text
    evolving.state_file.write_text(whole)
    evolving.server.settings["pgseal.key_evolution"] = "month"
    refused(evolving, "is of a stream with periods of a day, pgseal.key_evolution is month")


def test_the_state_file_has_no_place_in_the_data_directory(db: Database, evolving: Evolving) -> None:
    evolving.server.stop()
    for path in (evolving.server.data / "state", evolving.server.data / "base" / ".." / "state"):
        evolving.server.settings["pgseal.key_state_file"] = str(path)
        refused(evolving, "would stand in the data directory")
    evolving.server.settings["pgseal.key_state_file"] = "state"
    refused(evolving, "is no absolute path")
    evolving.server.settings.pop("pgseal.key_state_file")
    refused(evolving, "pgseal.key_state_file is not set")


def test_one_secret_for_both_purposes_is_refused(db: Database, evolving: Evolving) -> None:
    evolving.server.stop()
    evolving.server.settings["pgseal.key_file"] = str(evolving.server.home / "keys" / "1-sign")
    refused(evolving, "pgseal.key_file gives the same secret for both purposes", "%p")


def test_a_restored_copy_goes_on_with_a_new_stream(db: Database, evolving: Evolving) -> None:
    evolving.days_pass(2)
    copy = evolving.server.createdb()
    FORMS["plain"](db, copy)
    copy.run("INSERT INTO h VALUES (9, 'copy')")
    wait_for(copy, f"SELECT ({STREAMS}) = 2")
    db.run("INSERT INTO h VALUES (9, 'original')")
    wait_for(db, f"SELECT ({STREAMS}) = 2")
    evolving.days_pass()
    for database in (db, copy):
        assert answer(database) == []
        assert verdicts(database) == ["intact"]


def test_a_copy_without_the_root_says_what_it_needs(db: Database, evolving: Evolving) -> None:
    evolving.days_pass()
    evolving.hide_root()
    copy = evolving.server.createdb()
    FORMS["plain"](db, copy)
    copy.run("INSERT INTO h VALUES (9, 'copy')")
    evolving.server.wait_for_log("the root secret cannot be had")
    wait_for(copy, "SELECT NOT ok AND fix IS NOT NULL FROM seal.check_setup() WHERE item = 'key evolution'")
    # The others' periods end as ever.
    evolving.days_pass()
    evolving.bring_root()
    assert answer(db) == []


def standby_with_a_state_of_its_own(db: Database, evolving: Evolving) -> Database:
    state = evolving.server.home / "state" / "standby"
    source = evolving.server.settings["pgseal.key_file"]
    return standby_of(Servers(), db, **{"pgseal.key_file": source, "pgseal.key_state_file": str(state)})


def test_a_promoted_standby_goes_on_with_its_own_stream(db: Database, evolving: Evolving) -> None:
    evolving.server.configure(dict(COPIED), restart=True)
    evolving.days_pass()
    standby = standby_with_a_state_of_its_own(db, evolving)
    try:
        caught_up(db, standby)
        assert verdicts(standby) == ["intact"]
        promote(standby)
        standby.run("INSERT INTO h VALUES (3, 'promoted')")
        wait_for(standby, f"SELECT ({STREAMS}) = 2")
        wait_until_opened(standby, "h")
        assert answer(standby) == []
        assert verdicts(standby) == ["intact"]
    finally:
        standby.cluster.destroy()



def test_a_promotion_while_a_period_is_half_closed(db: Database, evolving: Evolving) -> None:
    """One database is closed when the primary goes, the other is not."""
    evolving.server.configure(dict(COPIED), restart=True)
    other = evolving.server.createdb()
    other.run("CREATE EXTENSION pgseal")
    history(other)
    other.run("INSERT INTO h VALUES (1, 'a')")
    wait_until_opened(other, "h")
    evolving.days_pass()
    standby = standby_with_a_state_of_its_own(db, evolving)
    try:
        blocker = other.connect(autocommit=False)
        blocker.execute("LOCK TABLE h IN ACCESS EXCLUSIVE MODE")
        evolving.clock.forward(days=1)
        evolving.tick()
        evolving.server.wait_for_log("is not closed in every database")
        assert evolving.closings(db, "h") == sequence(2)
        caught_up(db, standby)
        evolving.server.stop("immediate")
        promote(standby)
        for database in (standby, Database(standby.cluster, other.name)):
            database.run("INSERT INTO h VALUES (3, 'promoted')")
            wait_for(database, f"SELECT ({STREAMS}) = 2")
            wait_until_opened(database, "h")
            assert answer(database) == []
            assert verdicts(database) == ["intact"]
    finally:
        standby.cluster.destroy()
