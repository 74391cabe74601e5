"""Everything that can be done to the rows of seal.journal is found, column by column and row by row.

A history with two epochs, another one that was detached; nothing is anchored at first, so the server's memory and the
chain itself have to tell.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database
from support.journaling import chain, found, in_journal, kinds
from support.sealing import history
from support.tampering import ALTERED, Place, assert_intact, assert_sentences, records, run


@pytest.fixture(scope="module")
def _two(cluster: Cluster) -> Iterator[Database]:
    with cluster.database() as database:
        history(database, "ledger", "id int PRIMARY KEY, tenant text", "'tenant', max_chains => 2")
        history(database, "diary")
        database.run("ALTER TABLE ledger ADD COLUMN note text")
        database.run("INSERT INTO ledger (id, note) VALUES (1, 'a'), (2, 'b')")
        database.run("SELECT seal.detach('diary')")
        yield database


@pytest.fixture
def two(_two: Database) -> Iterator[Database]:
    """What a test does is rolled back. The entries: epoch, attach (ledger), epoch, attach (diary), epoch (ledger),
    (definitions,) detach (diary)."""
    assert_intact(_two)
    with _two.connection.transaction(force_rollback=True):
        yield _two
    assert_intact(_two)


def end(db: Database) -> int:
    return len(kinds(db))


def must_be_found(db: Database, *expected: Place) -> None:
    """These and no others, beside what the settings' tables say otherwise than the journal."""
    findings = records(db)
    assert_sentences(findings)
    places = {(f["kind"], f["chain"], f["position"], f["last_position"]) for f in findings}
    assert places - {ALTERED} == set(expected), "\n".join(f"{f['kind']} {f['chain']}: {f['detail']}" for f in findings)
    answers = set(db.rows("SELECT verdict, history FROM seal.verify_history()"))
    # The detached one counts as detached only while the journal says so.
    assert answers - {("tampered", "public.diary")} == {("tampered", "public.ledger")}
    assert db.value("SELECT seal.is_intact()") is False


CHANGES = [
    ("at", "at + interval '1 microsecond'"),
    ("at", "at - interval '1 year'"),
    ("at", "'infinity'"),
    ("at", "'-infinity'"),
    ("at", "'2000-01-01 00:00:00+00'"),
    ("who", "'somebody'"),
    ("who", "''"),
    ("who", "who || ' '"),
    ("kind", "'epoch '"),
    ("kind", "'acknowledge'"),
    ("kind", "''"),
    ("history", "'public.other'"),
    ("history", "''"),
    ("history", "NULL"),
    ("sentence", "'nothing happened'"),
    ("sentence", "sentence || E'\\n'"),
    ("sentence", "upper(sentence)"),
    ("details", "details || '{\"more\": 1}'"),
    ("details", "'{}'"),
    ("details", "'null'"),
    ("details", "'[]'"),
    ("details", "'1e400'"),
    ("history_id", "gen_random_uuid()"),
    ("history_id", "NULL"),
    ("history_id", "'00000000-0000-0000-0000-000000000000'"),
    ("anchor", "anchor + 1"),
    ("anchor", "-1"),
    ("anchor", "9223372036854775807"),
    ("anchor", "'-9223372036854775808'"),
    ("key", "'2'"),
    ("key", "''"),
    ("key", "key || ' '"),
    ("prev", "sha256('x')"),
    ("prev", "''"),
    ("prev", "prev || '\\x00'"),
    ("prev", "substr(prev, 2)"),
    ("mac", "sha256('x')"),
    ("mac", "''"),
    ("mac", "mac || '\\x00'"),
    ("mac", "substr(mac, 1, 31)"),
    ("mac", "prev"),
]


@pytest.mark.parametrize(("column", "value"), CHANGES)
def test_a_column_changed(two: Database, column: str, value: str) -> None:
    """In the first, a middle and the last entry, each alone."""
    for position in (1, 2, end(two)):
        with two.connection.transaction(force_rollback=True):
            two.run(f"UPDATE seal.journal SET {column} = {value} WHERE seq = {position}")
            must_be_found(two, in_journal(two, "modified", position))


NOT_NULL = ["at", "who", "kind", "sentence", "details", "anchor", "key", "prev", "mac"]


@pytest.mark.parametrize("column", NOT_NULL)
def test_a_column_null(two: Database, column: str) -> None:
    two.run(f"ALTER TABLE seal.journal ALTER COLUMN {column} DROP NOT NULL")
    for position in (1, 3, end(two)):
        with two.connection.transaction(force_rollback=True):
            two.run(f"UPDATE seal.journal SET {column} = NULL WHERE seq = {position}")
            places = found(two)
            assert in_journal(two, "modified", position) in places
            assert two.value("SELECT seal.is_intact()") is False


@pytest.mark.parametrize("column", ["chain", "seq"])
def test_its_place_null(two: Database, column: str) -> None:
    """An entry without a place is one that is missing, and one that is nobody's."""
    name = chain(two)
    two.run("ALTER TABLE seal.journal DROP CONSTRAINT journal_pkey")
    two.run(f"ALTER TABLE seal.journal ALTER COLUMN {column} DROP NOT NULL")
    two.run(f"UPDATE seal.journal SET {column} = NULL WHERE seq = 2")
    places = found(two)
    assert ("missing", f"journal {name}", 2, None) in places
    lost = "journal " if column == "chain" else f"journal {name}"
    assert ("modified", lost, 2 if column == "chain" else 0, None) in places


@pytest.mark.parametrize("number", ["1", "3", "(SELECT max(seq) FROM seal.journal)"])
def test_an_entry_renamed_into_another_chain(two: Database, number: str) -> None:
    name, position = chain(two), int(two.value(f"SELECT {number}::int"))
    last = position == end(two)
    two.run(f"UPDATE seal.journal SET chain = 'main.00000000' WHERE seq = {number}")
    places = {place for place in found(two) if place != ALTERED}
    assert ("truncated" if last else "missing", f"journal {name}", position, None) in places
    assert ("modified", "journal main.00000000", position, None) in places


def test_entries_removed(two: Database) -> None:
    last = end(two)
    for first, through in [(1, 1), (2, 2), (2, 3), (1, 3)]:
        with two.connection.transaction(force_rollback=True):
            two.run(f"DELETE FROM seal.journal WHERE seq BETWEEN {first} AND {through}")
            must_be_found(two, in_journal(two, "missing", first, through if through > first else None))
    for first in (last, last - 1):
        with two.connection.transaction(force_rollback=True):
            place = in_journal(two, "truncated", first, last if last > first else None)
            two.run(f"DELETE FROM seal.journal WHERE seq >= {first}")
            must_be_found(two, place)


def test_a_removed_tail_is_one_finding(two: Database) -> None:
    two.run("DELETE FROM seal.journal WHERE seq = (SELECT max(seq) FROM seal.journal)")
    assert [place for place in found(two) if place[0] == "truncated"] == [in_journal(two, "truncated", end(two) + 1)]


def test_all_entries_removed(two: Database) -> None:
    place = in_journal(two, "truncated", 1, end(two))
    two.run("DELETE FROM seal.journal")
    must_be_found(two, place)
    assert "the journal has no entry of this history" in [f["detail"] for f in records(two)]


def test_an_entry_added(two: Database) -> None:
    """At the next position, at a taken one, far above, below the first, in another chain."""
    last, name = end(two), chain(two)
    columns = "at, who, kind, history, sentence, details, history_id, chain, seq, anchor, key, prev, mac"
    for place, position in [(name, last + 1), (name, last + 7), (name, 0), (name, -3), ("main.00000000", 1), ("x", 1)]:
        with two.connection.transaction(force_rollback=True):
            source = columns.replace("chain, seq", f"'{place}', {position}").replace("prev, mac", "mac, sha256('x')")
            two.run(f"INSERT INTO seal.journal ({columns}) SELECT {source} FROM seal.journal WHERE seq = {last}")
            expected: list[Place] = [("modified", f"journal {place}", max(position, 0), None)]
            if position > last + 1:
                expected.append(("missing", f"journal {place}", last + 1, position - 1))
            if place != name:
                # As if another place had written it.
                expected.append(("forged", f"journal {place}", 1, None))
            must_be_found(two, *expected)


def test_an_entry_there_twice(two: Database) -> None:
    two.run("ALTER TABLE seal.journal DROP CONSTRAINT journal_pkey")
    for position in (1, 2, end(two)):
        with two.connection.transaction(force_rollback=True):
            two.run(f"INSERT INTO seal.journal SELECT * FROM seal.journal WHERE seq = {position}")
            assert in_journal(two, "modified", position) in found(two)


def test_two_entries_exchanged(two: Database) -> None:
    two.run("UPDATE seal.journal SET seq = -seq WHERE seq IN (1, 3)")
    two.run("UPDATE seal.journal SET seq = 4 + seq WHERE seq < 0")
    must_be_found(two, in_journal(two, "modified", 1), in_journal(two, "modified", 3))


def test_the_content_of_two_entries_exchanged(two: Database) -> None:
    """With all but their places; then with their seals, too."""
    contents = ["at, who, kind, history, sentence, details, history_id, anchor", "prev, mac", "mac"]
    for content in [*contents, contents[0] + ", key, prev, mac"]:
        with two.connection.transaction(force_rollback=True):
            sets = ", ".join(f"{name} = b.{name}" for name in content.split(", "))
            two.run(f"UPDATE seal.journal a SET {sets} FROM seal.journal b"
                    " WHERE a.seq IN (2, 4) AND a.seq + b.seq = 6 AND b.chain = a.chain")  # fmt: skip
            must_be_found(two, in_journal(two, "modified", 2), in_journal(two, "modified", 4))


def test_entries_numbered_anew(two: Database) -> None:
    """A gap closed: everything above it has other positions now."""
    last = end(two)
    two.run("DELETE FROM seal.journal WHERE seq = 2")
    two.run("UPDATE seal.journal SET seq = -seq WHERE seq > 2")
    two.run("UPDATE seal.journal SET seq = -seq - 1 WHERE seq < 0")
    changed = [in_journal(two, "modified", position) for position in range(2, last)]
    must_be_found(two, *changed, in_journal(two, "truncated", last))


def test_the_primary_key_dropped(two: Database) -> None:
    two.run("ALTER TABLE seal.journal DROP CONSTRAINT journal_pkey")
    details = [f["detail"] for f in records(two)]
    assert found(two) == [ALTERED]
    assert details[0].startswith("the primary key of seal.journal is gone")


def must_be_gone(db: Database) -> None:
    (finding,) = records(db)
    assert (finding["history"], finding["kind"]) == ("seal", "configuration_altered")
    assert finding["detail"] == "table seal.journal is gone, or has other columns than pgseal made it with"
    assert db.value("SELECT seal.is_intact()") is False


def test_the_table_taken_away(two: Database) -> None:
    run(two.connection,
        "ALTER EXTENSION pgseal DROP TABLE seal.journal", "ALTER TABLE seal.journal SET SCHEMA public",
        "ALTER TABLE journal RENAME TO elsewhere")  # fmt: skip
    must_be_gone(two)
    run(two.connection, "CREATE TABLE seal.journal AS TABLE elsewhere")
    run(two.connection, "ALTER TABLE seal.journal DROP COLUMN who")
    must_be_gone(two)
