"""The thief's test: with all that the server has at one moment, nothing of an earlier period can be changed, removed or
added unnoticed by a verifier with the root, whatever of the rest is forged so that it fits."""

from __future__ import annotations

import pytest

from support.database import Database
from support.evolving import JOURNAL, OF_HISTORY, Evolving, answer, basis, verdicts
from support.thief import Thief

EARLIER = "2 days"


@pytest.fixture
def thief(db: Database, evolving: Evolving) -> Thief:
    """After four days; the newest two were empty."""
    evolving.days_pass()
    db.run("INSERT INTO h VALUES (3, 'c'), (4, 'd')")
    evolving.days_pass()
    db.run("INSERT INTO h VALUES (5, 'e')")
    evolving.days_pass(2)
    db.run("INSERT INTO h VALUES (6, 'today')")
    return Thief(db, evolving)


def kinds(db: Database) -> set[str]:
    return {kind for kind, _ in answer(db)}


def test_what_he_forges_of_today_is_believed(db: Database, thief: Thief) -> None:
    """Or else the tests below show nothing: his signatures are right."""
    thief.run("UPDATE h SET p = 'forged' WHERE id = 6")
    thief.reseal()
    thief.rewrite()
    assert answer(db) == []
    assert verdicts(db) == ["intact"]


@pytest.mark.parametrize("row", [1, 3, 5])
def test_an_earlier_entry_changed(db: Database, thief: Thief, row: int) -> None:
    thief.run(f"UPDATE h SET p = 'forged' WHERE id = {row}")
    thief.reseal()
    thief.rewrite()
    assert kinds(db) & {"modified", "forged", "wrong_predecessor", "truncated"}
    assert verdicts(db) == ["tampered"]


def test_an_earlier_entry_removed(db: Database, thief: Thief) -> None:
    thief.run("DELETE FROM h WHERE id = 3")
    thief.reseal()
    thief.rewrite()
    assert verdicts(db) == ["tampered"]


def test_all_entries_after_an_earlier_one_removed(db: Database, thief: Thief) -> None:
    thief.run("DELETE FROM h WHERE id > 3")
    thief.reseal()
    thief.rewrite()
    assert "truncated" in kinds(db)
    assert verdicts(db) == ["tampered"]


def test_an_entry_added_with_an_earlier_date(db: Database, thief: Thief) -> None:
    thief.run(f"UPDATE h SET seal_at = seal_at - interval '{EARLIER}', seal_anchor = 1 WHERE id = 6")
    thief.reseal()
    thief.rewrite()
    assert answer(db) == [("forged", "dated before closing record 5, which does not have it")]
    assert verdicts(db) == ["tampered"]


def test_a_chain_added_with_an_earlier_date(db: Database, thief: Thief) -> None:
    earlier = f"seal_at = seal_at - interval '{EARLIER}', seal_anchor = 1"
    thief.run(f"UPDATE h SET seal_chain = seal_chain || '/7', {earlier} WHERE id = 6")
    thief.reseal()
    thief.rewrite()
    assert ("forged", "dated before closing record 5, which does not have it") in answer(db)
    assert verdicts(db) == ["tampered"]


def test_an_earlier_closing_written_anew(db: Database, thief: Thief) -> None:
    thief.run("UPDATE h SET p = 'forged' WHERE id = 5")
    thief.reseal()
    history = thief.subjects[1]
    chain, mac = db.rows("SELECT seal_chain, encode(seal_mac, 'hex') FROM h WHERE id = 5")[0]
    db.run(
        "UPDATE seal.closing SET record = jsonb_set(record, ARRAY['chains', %s, '1'], to_jsonb(%s::text))"
        " WHERE history_id = %s AND number >= 4",
        [chain, mac, history],
    )
    thief.relink(history, start=4)
    thief.rewrite()
    assert ("configuration_altered", "closing record 4 was changed or is forged") in answer(db)
    assert verdicts(db) == ["tampered"]


@pytest.mark.parametrize("number", [2, 4, 5])
def test_the_closing_of_a_period_removed(db: Database, thief: Thief, number: int) -> None:
    """That of an empty one too: journald's sealing did not notice."""
    for subject in thief.subjects:
        db.run("DELETE FROM seal.closing WHERE history_id = %s AND number = %s", [subject, number])
        thief.relink(subject, start=number)
    thief.rewrite()
    assert "configuration_altered" in kinds(db)
    assert verdicts(db) == ["tampered"]


def test_all_closings_removed_and_todays_opened(db: Database, thief: Thief) -> None:
    """As if pgseal had been installed today; the secret of today is right, the entries are older."""
    period = thief.state["period"]
    for subject in thief.subjects:
        db.run("DELETE FROM seal.closing WHERE history_id = %s AND number > 1", [subject])
        db.run(
            "UPDATE seal.closing SET record = record || jsonb_build_object('period', %s::int, 'chains', '{}'::jsonb)"
            " WHERE history_id = %s",
            [period, subject],
        )
        thief.relink(subject)
    thief.run("UPDATE h SET p = 'forged' WHERE id = 1")
    thief.reseal()
    thief.rewrite()
    assert verdicts(db) == ["tampered"]
    closed = db.value("SELECT (record ->> 'period')::int FROM seal.closing LIMIT 1") - 1
    day = db.value("SELECT (date '2000-01-01' + %s)::text", [closed])
    assert ("configuration_altered", f"closing records of {day} and before were removed") in answer(db)
    assert kinds(db) == {"configuration_altered", "forged"}


def test_closings_of_one_history_removed(db: Database, thief: Thief) -> None:
    db.run("DELETE FROM seal.closing WHERE history_id = %s", [thief.subjects[1]])
    thief.rewrite()
    # The worker may have opened the history anew already.
    assert "configuration_altered" in kinds(db)
    assert verdicts(db) == ["tampered"]


def test_all_closings_removed(db: Database, thief: Thief) -> None:
    db.run("DELETE FROM seal.closing")
    thief.rewrite()
    assert "tampered" in verdicts(db)


def test_truncated_and_resumed(db: Database, evolving: Evolving, thief: Thief) -> None:
    """The newest closings are gone with the entries that they name; the server goes on as if nothing had been."""
    thief.run("DELETE FROM h WHERE id >= 5")
    for subject in thief.subjects:
        db.run("DELETE FROM seal.closing WHERE history_id = %s AND number > 3", [subject])
    thief.reseal()
    thief.rewrite()
    db.run("INSERT INTO h VALUES (7, 'resumed')")
    evolving.days_pass()
    gap = [detail for _, detail in answer(db) if "after a gap" in detail]
    assert gap and verdicts(db) == ["tampered"]


def test_an_entry_of_the_journal_changed(db: Database, thief: Thief) -> None:
    db.run("UPDATE seal.journal SET who = 'somebody' WHERE kind = 'attach'")
    thief.rewrite()
    assert verdicts(db) == ["tampered"]


def test_without_the_root_the_order_is_still_judged(db: Database, evolving: Evolving, thief: Thief) -> None:
    evolving.hide_root()
    assert verdicts(db) == ["intact"]
    assert "signatures of closing records not judged" in basis(db)
    db.run(f"DELETE FROM seal.closing WHERE number = 3 AND history_id IN ('{JOURNAL}', {OF_HISTORY.format('h')})")
    assert answer(db) == [("configuration_altered", "closing record 3 was removed")] * 2


def test_a_wrong_root_is_no_success(db: Database, evolving: Evolving, thief: Thief) -> None:
    evolving.bring_root("ab" * 32)
    assert kinds(db) == {"unknown_key"}
    assert verdicts(db) == ["unverifiable"]
