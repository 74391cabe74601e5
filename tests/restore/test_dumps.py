"""Dump and restore, in every form: all comes back exactly once, nothing is sealed anew, and sealing goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.database import Database
from support.refusal import refusal
from support.restoring import (
    FORMS,
    archive,
    assert_adopted,
    assert_intact,
    insert_everywhere,
    restore,
    state,
    tag_of,
)
from support.sealing import background
from support.witnessing import anchored

Form = Callable[[Database, Database], None]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_everything_comes_back_and_goes_on(original: Database, copy: Database, form: Form) -> None:
    before = state(original)
    form(original, copy)
    assert state(copy) == before == state(original)
    assert_intact(copy)
    # Detached histories too come back.
    assert copy.value("SELECT count(*) FROM seal.history") == original.value("SELECT count(*) FROM seal.history") == 4
    insert_everywhere(copy, 10)
    anchored(copy)
    old, new = tag_of(copy, "one", 1), tag_of(copy, "one", 10)
    assert old != new and {tag_of(copy, table, 10) for table in ("plain", "p")} == {new}
    assert copy.value("SELECT seal_seq FROM one WHERE id = 10") == 1
    assert_adopted(copy, old, new)
    assert_intact(copy, more=1)
    insert_everywhere(copy, 11)
    newest = anchored(copy)
    assert copy.value("SELECT seal_anchor FROM one WHERE id = 11") in range(1, newest)
    assert_intact(copy, more=2)
    # What was restored is what it was.
    kept = {name: [row for row in rows if new not in row] for name, rows in state(copy).items()}
    assert {name: kept[name] for name in before} == before
    # It is guarded, and administration goes on in a journal of its own.
    assert refusal(copy, "DELETE FROM p").state == "55000"
    assert refusal(copy, "TRUNCATE plain").state == "55000"
    copy.run("CREATE TABLE later (n int); SELECT seal.attach('later')")
    anchored(copy)
    assert copy.rows("SELECT seq, kind FROM seal.journal WHERE chain = %s ORDER BY seq", [new]) == [
        (1, "epoch"),
        (2, "attach"),
    ]
    assert copy.rows("SELECT kind FROM seal.findings()") == []


def test_a_copy_of_a_copy(original: Database, copy: Database) -> None:
    FORMS["plain"](original, copy)
    insert_everywhere(copy, 10)
    anchored(copy)
    third = copy.cluster.createdb()
    try:
        FORMS["custom"](copy, third)
        assert state(third) == state(copy)
        assert_intact(third, more=1)
        insert_everywhere(third, 11)
        anchored(third)
        new = tag_of(third, "one", 11)
        assert_adopted(third, tag_of(third, "one", 1), new)
        heads = third.value("SELECT heads -> 'anchors' FROM seal.anchor WHERE chain = %s AND number = 1", [new])
        assert sorted(heads) == sorted([tag_of(third, "one", 1), tag_of(third, "one", 10)])
        assert_intact(third, more=2)
    finally:
        third.drop()


def test_a_restored_copy_writes_nothing_until_it_is_used(original: Database, copy: Database) -> None:
    FORMS["custom"](original, copy)
    before = state(copy)
    copy.run("LISTEN pgseal_anchor")
    assert list(copy.connection.notifies(timeout=1.0)) == []
    assert state(copy) == before


def test_data_only_with_triggers_is_refused(original: Database, copy: Database) -> None:
    """It would seal everything anew; nothing half-done is left."""
    source = archive(original, "refused", "-Fc")
    restore(copy, source, "--schema-only")
    done = copy.cluster.run("pg_restore", "-d", copy.name, "--data-only", "-1", source, check=False)
    assert done.returncode == 1
    assert "is filled by pgseal" in done.stderr or "is not attached to pgseal" in done.stderr
    for table in ("plain", "p", "one", "seal.history", "seal.journal"):
        assert copy.value(f"SELECT count(*) FROM {table}") == 0


def test_dumped_while_writers_and_the_worker_run(copy: Database) -> None:
    server = copy.cluster
    busy = server.createdb()
    try:
        busy.run("CREATE EXTENSION pgseal; CREATE TABLE h (id int PRIMARY KEY, p text)")
        busy.run("SELECT seal.attach('h')")
        with background() as start:
            writers = [
                start(busy.connect(), *(f"INSERT INTO h VALUES ({row}, 'x')" for row in range(first, first + 400)))
                for first in (1_000, 2_000, 3_000)
            ]
            dumps = [server.run("pg_dump", "-d", busy.name).stdout]
            while not all(writer.done() for writer in writers):
                dumps.append(server.run("pg_dump", "-d", busy.name).stdout)
            for writer in writers:
                writer.result()
        assert any(dump.count("\tx\tmain.") > 0 for dump in dumps)
        for dump in dumps[:: max(1, len(dumps) // 3)]:
            restored = server.createdb()
            restored.psql(dump)
            count = restored.value("SELECT count(*) FROM h")
            assert restored.rows("SELECT kind, chain, position, detail FROM seal.findings()") == []
            restored.run("INSERT INTO h VALUES (1, 'y')")
            anchored(restored)
            answer = restored.rows("SELECT verdict, entries FROM seal.verify_history()")
            assert answer == [("intact", count + 1)]
            restored.drop()
    finally:
        busy.drop()
