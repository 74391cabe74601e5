"""PostgreSQL spells `varchar IN (…)` otherwise once a dump has been read: that is nobody's doing, anything else is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database
from support.journal import sentences
from support.restoring import archive, restore
from support.spelling import ALTERED, LIST, spelled, spellings
from support.witnessing import anchored

FINDINGS = "SELECT kind, detail FROM seal.findings()"


@pytest.fixture
def restored(cluster: Cluster, db: Database) -> Iterator[Database]:
    spelled(db)
    with cluster.database(extension=False) as copy:
        restore(copy, archive(db, "spelled", "-Fc"))
        yield copy


def test_another_spelling_after_a_restore_is_no_finding(db: Database, restored: Database) -> None:
    before, after = spellings(db), spellings(restored)
    # The server has indeed printed each of them anew.
    assert {item for item in before if before[item] != after[item]} == set(before)
    assert restored.rows(FINDINGS) == []
    # Nor does it count as a part of the restore that is still to come: what is done now is journaled.
    known = sentences(restored)
    restored.run("CREATE INDEX fresh ON spelled (other)")
    assert sentences(restored)[len(known) :] == ["CREATE INDEX changed public.spelled: index fresh was added"]
    restored.run("INSERT INTO spelled VALUES (3, 'a')")
    anchored(restored)
    assert restored.rows(FINDINGS) == []


def test_another_list_is_one_in_either_spelling(db: Database, restored: Database) -> None:
    changed = ("configuration_altered", "constraint listed of table public.spelled was changed outside pgseal")
    for place in (db, restored):
        for condition, findings in (*((altered, [changed]) for altered in ALTERED), (f"note IN ({LIST})", [])):
            with place.connection.transaction():
                place.run("SET LOCAL session_replication_role = replica")
                place.run("ALTER TABLE spelled DROP CONSTRAINT listed")
                place.run(f"ALTER TABLE spelled ADD CONSTRAINT listed CHECK ({condition})")
            assert place.rows(FINDINGS) == findings, condition
