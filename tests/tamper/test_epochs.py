"""Epochs: their number changed, content in columns that an entry's epoch does not know."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.database import Database
from support.tampering import History, assert_intact, honest

# Entries 1 to 3 are of epoch 1, 4 to 6 of epoch 2 (with the column late), 7 to 9 of epoch 3 (with other, 'x' before).
EPOCHS = [1, 1, 1, 2, 2, 2, 3, 3, 3]


@pytest.fixture(scope="module")
def _grown(module_db: Database) -> History:
    module_db.run("CREATE TABLE grown (id int PRIMARY KEY, tenant text, note text)")
    module_db.run("SELECT seal.attach('grown', tenant_column => 'tenant')")
    module_db.run("INSERT INTO grown SELECT g, 'acme', 'note' FROM generate_series(1, 3) g")
    module_db.run("ALTER TABLE grown ADD COLUMN late text")
    module_db.run("INSERT INTO grown (id, tenant, late) SELECT g, 'acme', 'late' FROM generate_series(4, 5) g")
    module_db.run("INSERT INTO grown (id, tenant, note) VALUES (6, 'acme', 'note')")
    module_db.run("ALTER TABLE grown ADD COLUMN other int DEFAULT 7")
    module_db.run("INSERT INTO grown (id, tenant, other) SELECT g, 'globex', g FROM generate_series(7, 9) g")
    return History(module_db, "grown")


@pytest.fixture
def grown(_grown: History) -> Iterator[History]:
    yield from honest(_grown)


def test_the_epochs(grown: History) -> None:
    assert [epoch for (epoch,) in grown.database.rows("SELECT seal_epoch FROM grown ORDER BY id")] == EPOCHS
    assert grown.database.value("SELECT DISTINCT other FROM grown WHERE id < 7") == 7


@pytest.mark.parametrize("position", [1, 3, 4, 6, 7, 9])
@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_another_epochs_number(grown: History, position: int, epoch: int) -> None:
    own = EPOCHS[position - 1]
    if own == epoch:
        epoch = 4
    grown.attack(f"UPDATE grown SET seal_epoch = {epoch} WHERE id = {position}")
    (finding,) = grown.expect(grown.at("wrong_epoch", position))
    assert (finding["expected"], finding["found"]) == (str(own), str(epoch))
    assert finding["detail"] == f"entry {position} was sealed under epoch {own} but names another"
    assert finding["row_key"] == {"id": position}


@pytest.mark.parametrize("epoch", [0, -1, 2147483647, -2147483648])
def test_an_unknown_epochs_number(grown: History, epoch: int) -> None:
    grown.attack(f"UPDATE grown SET seal_epoch = {epoch} WHERE id IN (2, 9)")
    findings = grown.expect(grown.at("wrong_epoch", 2), grown.at("wrong_epoch", 9))
    assert [finding["found"] for finding in findings] == [str(epoch)] * 2


def test_an_unknown_epoch_and_another_content(grown: History) -> None:
    """That the epoch is unknown is no excuse: never unverifiable, or worse, intact."""
    grown.attack("UPDATE grown SET seal_epoch = 9, note = 'x' WHERE id IN (2, 9)")
    kinds = {(f["kind"], f["position"]) for f in grown.database.records("SELECT kind, position FROM seal.findings()")}
    assert {position for _, position in kinds} == {2, 9}
    assert {kind for kind, _ in kinds} <= {"modified", "wrong_epoch"}
    assert grown.database.value("SELECT verdict FROM seal.verify_history()") == "tampered"


def test_all_of_an_epoch_under_another(grown: History) -> None:
    grown.attack("UPDATE grown SET seal_epoch = 2 WHERE id > 6")
    grown.expect(*(grown.at("wrong_epoch", position) for position in (7, 8, 9)))


def test_epochs_of_two_entries_exchanged(grown: History) -> None:
    grown.attack("UPDATE grown SET seal_epoch = 5 - seal_epoch WHERE id IN (6, 7)")
    grown.expect(grown.at("wrong_epoch", 6), grown.at("wrong_epoch", 7))


@pytest.mark.parametrize("position", [1, 3])
@pytest.mark.parametrize("content", ["'late'", "''", "'null'"])
def test_content_in_a_column_that_the_epoch_does_not_know(grown: History, position: int, content: str) -> None:
    grown.attack(f"UPDATE grown SET late = {content} WHERE id = {position}")
    (finding,) = grown.expect(grown.at("unknown_column", position))
    assert finding["detail"] == f"entry {position} has content in column late, which was not sealed"
    assert finding["row_key"] == {"id": position}
    assert finding["found"] == "late"


@pytest.mark.parametrize("position", [1, 4, 6])
@pytest.mark.parametrize("content", ["8", "0", "NULL"])
def test_another_content_than_the_default_it_was_added_with(grown: History, position: int, content: str) -> None:
    """All entries from before show 7 in it; one that shows something else, or nothing, was changed."""
    grown.attack(f"UPDATE grown SET other = {content} WHERE id = {position}")
    (finding,) = grown.expect(grown.at("unknown_column", position))
    assert "column other" in finding["detail"]


def test_unknown_content_concerns_its_tenant(grown: History) -> None:
    grown.attack("UPDATE grown SET late = 'x' WHERE id = 2")
    grown.expect(grown.at("unknown_column", 2), tenant="acme")
    assert_intact(grown.database, "globex")


def test_unknown_content_and_a_changed_value(grown: History) -> None:
    grown.attack("UPDATE grown SET late = 'x', note = 'y' WHERE id = 2")
    grown.expect(grown.at("modified", 2))


def test_a_known_column_emptied(grown: History) -> None:
    grown.attack("UPDATE grown SET late = NULL WHERE id = 4")
    grown.expect(grown.at("modified", 4))


def test_the_same_default_written_out_is_no_change(grown: History) -> None:
    grown.attack("UPDATE grown SET other = 7, late = NULL WHERE id < 4")
    assert_intact(grown.database)


def test_a_column_added_behind_the_event_triggers_back(grown: History) -> None:
    """No epoch knows it, so it could hold anything."""
    grown.attack("ALTER TABLE grown ADD COLUMN secret text", "UPDATE grown SET secret = 'x' WHERE id = 5")
    found = grown.database.rows("SELECT kind, position FROM seal.findings()")
    assert found == [("configuration_altered", None), ("unknown_column", 5)]
    grown.attack("ALTER TABLE grown DROP COLUMN secret")
