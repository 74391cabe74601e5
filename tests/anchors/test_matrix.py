"""seal.anchor: each column changed, rows removed, added, exchanged, put back, its primary key dropped.

Anchors 1 to 5; 1 is complete, 2 to 4 are named by entries, 5 is the newest, which the server's memory has too.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.anchoring import Fault, add, faults, make, place, settle
from support.cluster import Cluster
from support.database import Database
from support.sealing import wait_for
from support.tampering import assert_sentences, records

NEWEST = 5

# Each column with values that it never has in anchor 3.
CHANGED = {
    "at": ["at + interval '1 microsecond'", "at - interval '1 microsecond'", "'infinity'", "'-infinity'"],
    "complete": ["NOT complete"],
    "heads": [
        "'{}'",
        "'null'",
        "'[]'",
        """heads || '{"journal": {}}'""",
        "jsonb_set(heads, path, to_jsonb((heads #>> path)::bigint - 1))",
        "jsonb_set(heads, path, to_jsonb((heads #>> path)::numeric + 0.5))",
    ],
    "boot": ["boot || ' '", "''"],
    "boot_time": ["boot_time + 1", "-boot_time"],
    "key": ["'2'", "''", "repeat('1', 1000)"],
    "prev": ["sha256('x')", "''", "prev || '\\x00'"],
    "mac": ["sha256('x')", "''", "substr(mac, 1, 31)", "mac || '\\x00'"],
}
PATH = "(SELECT ARRAY[h, c, '0'] FROM jsonb_each(heads) AS a (h, v), jsonb_object_keys(v) AS c LIMIT 1)"

CASES = [(column, value) for column, values in CHANGED.items() for value in values]


@pytest.fixture(scope="module")
def _anchored(quick: Cluster) -> Iterator[Database]:
    with quick.database() as database:
        make(database, "h")
        assert settle(database) == 1
        for number in range(2, NEWEST + 1):
            add(database, "h")
            assert settle(database, "h") == number
        yield database


@pytest.fixture
def db(_anchored: Database) -> Iterator[Database]:
    """What a test does is rolled back."""
    with _anchored.connection.transaction(force_rollback=True):
        yield _anchored
    assert _anchored.rows("SELECT verdict, findings FROM seal.verify_history()") == [("intact", 0)]


def altered(db: Database, first: int, last: int | None = None, chain: str | None = None) -> Fault:
    return ("anchor_altered", f"anchors {chain or place(db)}", first, last)


def expect(db: Database, *expected: Fault) -> None:
    """These findings, in whole sentences, and the verdict that follows."""
    findings = records(db)
    found = [(f["kind"], f["chain"], f["position"], f["last_position"]) for f in findings]
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert_sentences(findings)
    assert db.rows("SELECT verdict, findings FROM seal.verify_history()") == [("tampered", len(expected))]


def change(db: Database, number: int, column: str, value: str) -> None:
    if value == "NULL":
        db.run(f"ALTER TABLE seal.anchor ALTER COLUMN {column} DROP NOT NULL")
    db.run(f"UPDATE seal.anchor SET {column} = {value.replace('path', PATH)} WHERE number = {number}")


@pytest.mark.parametrize(("column", "value"), CASES)
@pytest.mark.parametrize("number", [1, 3])
def test_a_changed_column(db: Database, number: int, column: str, value: str) -> None:
    change(db, number, column, value)
    expect(db, altered(db, number))


@pytest.mark.parametrize(("column", "value"), CASES)
def test_a_changed_column_of_the_newest(db: Database, column: str, value: str) -> None:
    """That anchor is as good as gone."""
    change(db, NEWEST, column, value)
    found = faults(db)
    assert altered(db, NEWEST) in found
    assert {fault[1:] for fault in found} <= {altered(db, NEWEST)[1:], (place(db), 4, None)}, found


@pytest.mark.parametrize("column", [*CHANGED])
def test_null_in_a_column(db: Database, column: str) -> None:
    change(db, 3, column, "NULL")
    found = faults(db)
    assert altered(db, 3) in found
    assert {chain for kind, chain, *_ in found if kind != "configuration_altered"} == {f"anchors {place(db)}"}


@pytest.mark.parametrize("number", [6, 7, 100, 0, -1, 9223372036854775807])
def test_a_changed_number(db: Database, number: int) -> None:
    change(db, 3, "number", str(number))
    expected = [altered(db, 3), altered(db, max(number, 0))]
    if number > NEWEST + 1:
        expected.append(altered(db, NEWEST + 1, number - 1 if number > NEWEST + 2 else None))
    expect(db, *expected)


def test_a_changed_chain(db: Database) -> None:
    change(db, 3, "chain", "'other'")
    expect(db, altered(db, 3), altered(db, 3, chain="other"), altered(db, 1, 2, chain="other"))


@pytest.mark.parametrize(("first", "last"), [(1, 1), (3, 3), (2, 4), (1, 4)])
def test_removed_rows(db: Database, first: int, last: int) -> None:
    db.run(f"DELETE FROM seal.anchor WHERE number BETWEEN {first} AND {last}")
    expect(db, altered(db, first, last if last > first else None))


@pytest.mark.parametrize("first", [5, 4, 1])
def test_removed_newest_rows(db: Database, first: int) -> None:
    db.run(f"DELETE FROM seal.anchor WHERE number >= {first}")
    found = faults(db)
    assert altered(db, first, NEWEST if first < NEWEST else None) in found
    assert {(kind, chain) for kind, chain, *_ in found} == {altered(db, 1)[:2]}


def test_exchanged_numbers(db: Database) -> None:
    change(db, 2, "number", "99")
    change(db, 3, "number", "2")
    change(db, 99, "number", "3")
    expect(db, altered(db, 2), altered(db, 3))


def test_exchanged_content(db: Database) -> None:
    """Number 2 says what number 4 said, mac and all, and the other way round."""
    db.run(
        "UPDATE seal.anchor a SET (at, heads, boot_time, prev, mac) = (o.at, o.heads, o.boot_time, o.prev, o.mac)"
        " FROM seal.anchor o WHERE a.number IN (2, 4) AND o.number = 6 - a.number"
    )
    expect(db, altered(db, 2), altered(db, 4))


@pytest.mark.parametrize("number", [0, -5, 6, 8])
def test_an_added_copy_under_another_number(db: Database, number: int) -> None:
    columns = "at, complete, heads, boot, boot_time, key, prev, mac"
    db.run(
        f"INSERT INTO seal.anchor (chain, number, {columns})"
        f" SELECT chain, {number}, {columns} FROM seal.anchor WHERE number = 5"
    )
    gap = [altered(db, 6, 7)] if number == 8 else []
    expect(db, altered(db, max(number, 0)), *gap)


def test_an_older_row_put_back_in_the_place_of_a_newer_one(db: Database) -> None:
    """Numbers without gap, each authentic under another number."""
    db.run("DELETE FROM seal.anchor WHERE number = 4")
    db.run("INSERT INTO seal.anchor SELECT (jsonb_populate_record(a, '{\"number\": 4}')).* FROM seal.anchor a"
           " WHERE number = 2")  # fmt: skip
    expect(db, altered(db, 4))


# -- the table itself -------------------------------------------------------------------------------------------------

NO_KEY = "the primary key of seal.anchor is gone, so that anchors cannot be checked"


def sentences(db: Database) -> list[str]:
    return [detail for (detail,) in db.rows("SELECT detail FROM seal.findings()")]


@pytest.mark.parametrize(
    "index",
    [
        "",
        "CREATE INDEX ON seal.anchor (chain, number)",
        "CREATE UNIQUE INDEX ON seal.anchor (chain, number) WHERE number < 5",
        "CREATE UNIQUE INDEX ON seal.anchor (number, chain)",
        "CREATE UNIQUE INDEX ON seal.anchor (chain, number, at)",
        "CREATE UNIQUE INDEX ON seal.anchor (chain, (number + 0))",
    ],
)
def test_its_primary_key_dropped(db: Database, index: str) -> None:
    db.run("ALTER TABLE seal.anchor DROP CONSTRAINT anchor_pkey")
    if index:
        db.run(index)
    assert NO_KEY in sentences(db)
    assert {kind for kind, *_ in faults(db)} <= {"configuration_altered", "anchor_altered"}
    assert db.value("SELECT verdict FROM seal.verify_history()") == "tampered"


def test_its_primary_key_dropped_and_a_row_doubled(db: Database) -> None:
    db.run("ALTER TABLE seal.anchor DROP CONSTRAINT anchor_pkey")
    db.run("INSERT INTO seal.anchor SELECT * FROM seal.anchor WHERE number = 3")
    assert NO_KEY in sentences(db)


def test_an_index_in_the_other_direction(db: Database) -> None:
    """Whoever goes through it from the end meets the oldest first."""
    db.run("ALTER TABLE seal.anchor DROP CONSTRAINT anchor_pkey")
    db.run("CREATE UNIQUE INDEX ON seal.anchor (chain, number DESC)")
    assert db.value("SELECT verdict FROM seal.verify_history()") == "tampered"


@pytest.mark.parametrize(
    "change",
    [
        "ALTER COLUMN heads TYPE text",
        "ALTER COLUMN heads TYPE json",
        "ALTER COLUMN at TYPE timestamp",
        "ALTER COLUMN boot_time TYPE int USING 1",
        "ALTER COLUMN number TYPE int",
        "ALTER COLUMN number TYPE numeric",
        "ALTER COLUMN chain TYPE name",
        "ALTER COLUMN mac TYPE text",
        "ALTER COLUMN complete TYPE text",
        "DROP COLUMN boot",
        "DROP COLUMN heads, ADD COLUMN heads jsonb",
        "RENAME COLUMN heads TO hands",
        "RENAME TO unchor",
        "SET SCHEMA public",
    ],
)
def test_the_table_has_another_shape(db: Database, change: str) -> None:
    db.run(f"ALTER TABLE seal.anchor {change}")
    assert faults(db) == [("configuration_altered", None, None, None)]
    assert sentences(db) == ["table seal.anchor is gone, or has other columns than pgseal made it with"]
    assert db.value("SELECT verdict FROM seal.verify_history()") == "tampered"


def test_a_row_moved_into_a_child_table(db: Database) -> None:
    """A query of seal.anchor shows it, but it is not there."""
    db.run("CREATE TABLE child () INHERITS (seal.anchor)")
    db.run("INSERT INTO child SELECT * FROM seal.anchor WHERE number = 3")
    db.run("DELETE FROM ONLY seal.anchor WHERE number = 3")
    assert db.value("SELECT count(*) FROM seal.anchor") == NEWEST
    expect(db, altered(db, 3))


def test_a_trigger_that_swallows_anchors(fresh: Database) -> None:
    """The next entry names an anchor that was never stored."""
    make(fresh, "h")
    add(fresh, "h")
    last = settle(fresh, "h")
    fresh.run("CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    fresh.run("CREATE TRIGGER swallow BEFORE INSERT ON seal.anchor FOR EACH ROW EXECUTE FUNCTION nothing()")
    add(fresh, "h")
    wait_for(fresh, "SELECT max(anchor) = %s FROM seal.status", [last + 1])
    add(fresh, "h")
    assert set(faults(fresh)) == {altered(fresh, last + 1)}
    fresh.cluster.restart()
    assert altered(fresh, last + 1) in faults(fresh)
