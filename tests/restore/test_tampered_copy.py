"""After a restore and its first anchor, what was sealed before is as well protected as what is sealed here."""

from __future__ import annotations

import pytest

from support.database import Database
from support.restoring import FORMS, insert_everywhere, tag_of
from support.sealing import wait_for
from support.tampering import run, triggers_off
from support.witnessing import anchored

FOUND = "SELECT DISTINCT kind, chain, position, last_position FROM seal.findings(history => %s) ORDER BY 1, 2, 3, 4"

WHOLE = "SELECT kind, chain, position, last_position, detail FROM seal.findings(history => 'one')"


@pytest.fixture
def used(original: Database, copy: Database) -> Database:
    """A restored copy that has anchors of its own."""
    FORMS["plain"](original, copy)
    insert_everywhere(copy, 10)
    anchored(copy)
    insert_everywhere(copy, 11)
    anchored(copy)
    return copy


def tamper(db: Database, *statements: str, table: str = "one") -> None:
    with db.connection.transaction(), triggers_off(db.connection, table):
        run(db.connection, *statements)


Place = tuple[str, str | None, int | None, int | None]


def assert_found(db: Database, table: str, *expected: Place) -> None:
    """Exactly these, while the server runs and after new entries and anchors."""
    assert db.rows(FOUND, [table]) == list(expected), db.rows(WHOLE)
    insert_everywhere(db, 20)
    anchored(db)
    assert db.rows(FOUND, [table]) == list(expected)
    assert db.rows("SELECT verdict FROM seal.verify_history(history => %s)", [table]) == [("tampered",)]


def test_the_tail_of_an_old_chain(used: Database) -> None:
    old = tag_of(used, "one", 1)
    tamper(used, "DELETE FROM one WHERE id = 2")
    assert_found(used, "one", ("truncated", old, 2, None))


def test_an_old_chain(used: Database) -> None:
    old = tag_of(used, "one", 1)
    tamper(used, "DELETE FROM one WHERE id <= 2")
    assert_found(used, "one", ("truncated", old, 1, 2))


def test_an_old_chain_and_the_old_anchors(used: Database) -> None:
    """As if it had never been restored: the first anchor of this place knows better."""
    old = tag_of(used, "one", 1)
    newest = used.value("SELECT max(number) FROM seal.anchor WHERE chain = %s", [old])
    named = "SELECT min(anchor), max(anchor) FROM seal.journal WHERE chain = %s AND anchor > 0"
    ((first, last),) = used.rows(named, [old])
    tamper(used, "DELETE FROM one WHERE id <= 2", f"DELETE FROM seal.anchor WHERE chain = '{old}'")
    # All of them by the first anchor of this place, some by the journal too.
    ends, by_journal = ((1, newest), (first, last if last > first else None))
    altered = [("anchor_altered", f"anchors {old}", *place) for place in sorted({ends, by_journal}, key=str)]
    assert_found(used, "one", *sorted(altered, key=lambda found: found[2]), ("truncated", old, 1, 2))


def test_the_newest_old_anchor(used: Database) -> None:
    old = tag_of(used, "one", 1)
    newest = used.value("SELECT max(number) FROM seal.anchor WHERE chain = %s", [old])
    tamper(used, f"DELETE FROM seal.anchor WHERE chain = '{old}' AND number = {newest}")
    assert_found(used, "one", ("anchor_altered", f"anchors {old}", newest, None))


def test_a_changed_old_anchor(used: Database) -> None:
    old = tag_of(used, "one", 1)
    tamper(used, f"UPDATE seal.anchor SET at = at - interval '1 h' WHERE chain = '{old}' AND number = 2")
    assert_found(used, "one", ("anchor_altered", f"anchors {old}", 2, None))


@pytest.mark.parametrize("entries", ["seq = (SELECT max(seq) FROM seal.journal WHERE chain = '{0}')", "true"])
def test_the_old_journal(used: Database, entries: str) -> None:
    old = tag_of(used, "one", 1)
    top = used.value("SELECT max(seq) FROM seal.journal WHERE chain = %s", [old])
    tamper(used, f"DELETE FROM seal.journal WHERE chain = '{old}' AND {entries.format(old)}")
    place = ("truncated", f"journal {old}", top, None) if "max" in entries else ("truncated", f"journal {old}", 1, top)
    assert place in used.rows(FOUND, ["one"])
    insert_everywhere(used, 20)
    anchored(used)
    assert place in used.rows(FOUND, ["one"])


def test_all_anchors_of_this_place(used: Database) -> None:
    new = tag_of(used, "one", 10)
    newest = anchored(used)
    last_named = used.value("SELECT max(seal_anchor) FROM one WHERE seal_chain = %s", (new,))
    tamper(used, f"DELETE FROM seal.anchor WHERE chain = '{new}'")
    # Entry 11 names one of the first, and memory knows the newest.
    named = ("anchor_altered", f"anchors {new}", 1, None if last_named == 1 else last_named)
    assert used.rows(FOUND, ["one"]) == sorted([named, ("anchor_altered", f"anchors {new}", 1, newest)], key=str)


def test_a_tail_before_the_first_anchor(original: Database, copy: Database) -> None:
    """Even then the restored anchors have it, as long as they are there."""
    FORMS["plain"](original, copy)
    old = tag_of(copy, "one", 1)
    tamper(copy, "DELETE FROM one WHERE id = 2")
    assert_found(copy, "one", ("truncated", old, 2, None))


def test_an_entry_changed_inside_the_dump(original: Database, copy: Database) -> None:
    old = tag_of(original, "one", 1)
    text = original.cluster.run("pg_dump", "-d", original.name).stdout
    assert text.count(f"\n2\tx\t{old}\t2\t") == 1
    copy.psql(text.replace(f"\n2\tx\t{old}\t2\t", f"\n2\ty\t{old}\t2\t"))
    assert_found(copy, "one", ("modified", old, 2, None))


def test_an_entry_left_out_of_the_dump(original: Database, copy: Database) -> None:
    old = tag_of(original, "one", 1)
    lines = original.cluster.run("pg_dump", "-d", original.name).stdout.splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(f"2\tx\t{old}\t2\t")]
    assert len(kept) == len(lines) - 1
    copy.psql("".join(kept))
    assert_found(copy, "one", ("truncated", old, 2, None))


def test_restored_twice(original: Database, copy: Database) -> None:
    """Rows that come a second time are refused, or found."""
    FORMS["custom"](original, copy)
    text = original.cluster.run("pg_dump", "-d", original.name, "--data-only").stdout
    done = copy.psql("SET session_replication_role = replica;\n" + text, check=False)
    assert done.returncode == 3 and "duplicate key value violates unique constraint" in done.stderr
    wait_for(copy, "SELECT count(*) = 0 FROM seal.findings()")
