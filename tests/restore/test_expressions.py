"""PostgreSQL prints some expressions otherwise once a dump has been read: that is nobody's doing, a change is."""

from __future__ import annotations

import pytest

from support.cluster import Cluster
from support.database import Database
from support.expressions import CHECKS, expressive, printed
from support.journal import forget, sentences
from support.restoring import archive, restore
from support.witnessing import anchored

FINDINGS = "SELECT kind, detail FROM seal.findings()"
ALTERED = {
    "listed": "word IN ('a', 'it''s [b], (c)', '(ARRAY[e])::text[]') OR amount = 0",
    "amounts": "amount = ANY (ARRAY[2, 1]) OR amount = 0",
    "ranged": "id BETWEEN 1 AND 5 OR amount > 0 OR amount = 0",
}


@pytest.fixture
def restored(fast: Cluster, copy: Database) -> Database:
    with fast.database() as source:
        expressive(source)
        restore(copy, archive(source, "expressive", "-Fc"))
        before, after = printed(source), printed(copy)
    assert {name for name in before if before[name] != after[name]} == set(CHECKS)
    return copy


def test_an_expression_printed_otherwise_is_no_change(restored: Database) -> None:
    assert restored.rows(FINDINGS) == []
    # Nor is the restore taken for unfinished: what is done now is journaled, and only that.
    forget(restored)
    restored.run("CREATE INDEX fresh ON expressive (other)")
    assert sentences(restored) == ["CREATE INDEX changed public.expressive: index fresh was added"]
    anchored(restored)
    assert restored.rows(FINDINGS) == []


@pytest.mark.parametrize(("name", "condition"), ALTERED.items(), ids=ALTERED)
def test_a_changed_expression_is_one_after_a_restore(restored: Database, name: str, condition: str) -> None:
    def rewrite(text: str) -> None:
        with restored.connection.transaction():
            restored.run("SET LOCAL session_replication_role = replica")
            restored.run(f"ALTER TABLE expressive DROP CONSTRAINT {name}")
            restored.run(f"ALTER TABLE expressive ADD CONSTRAINT {name} CHECK ({text})")

    rewrite(condition)
    assert restored.rows(FINDINGS) == [
        ("configuration_altered", f"constraint {name} of table public.expressive was changed outside pgseal")
    ]
    rewrite(f"{CHECKS[name]} OR amount = 0")
    assert restored.rows(FINDINGS) == []


def test_an_expression_that_is_read_again_is_not_journaled(fast: Cluster) -> None:
    with fast.database() as db:
        expressive(db)
        forget(db)
        for name, before in printed(db).items():
            db.run(f"ALTER TABLE expressive DROP CONSTRAINT {name}, ADD CONSTRAINT {name} {before}")
            assert printed(db)[name] != before
        assert sentences(db) == []
        assert db.rows(FINDINGS) == []


def test_strings_print_alike_in_every_session(fast: Cluster) -> None:
    with fast.database() as db:
        db.run(r"CREATE TABLE slashed (id int, p text DEFAULT 'a\b'); SELECT seal.attach('slashed')")
        anchored(db)
        db.run("SET standard_conforming_strings = off")
        assert db.rows(FINDINGS) == []
