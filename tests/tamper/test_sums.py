"""Sums that cannot be fooled: entries deleted and copies inserted so that every plain sum over the table fits."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import pytest

from support.cluster import Cluster
from support.forging import MODULUS, Entry, Forgery, forge
from support.tampering import ALTERED, History, Place, assert_intact, assert_tampered

COUNT = 4000
UNWANTED = set(range(1000, 1020))

# Everything that a check without a secret could add up, as numbers of 256 bits.
NUMBER = (
    "(SELECT sum(get_byte({0}, byte)::numeric * power(256::numeric, 31 - byte)) FROM generate_series(0, 31) AS byte)"
)


def sums(history: History, table: str) -> list[tuple[object, ...]]:
    steps = f"sum({NUMBER.format('seal_prev')} - {NUMBER.format('seal_mac')})"
    modulus = "power(2::numeric, 256)"
    return history.database.rows(
        "SELECT count(*), sum(seal_seq), min(seal_seq), max(seal_seq),"
        f" mod(mod({steps}, {modulus}) + {modulus}, {modulus}) FROM {table}"
    )


@pytest.fixture(scope="module")
def long(cluster: Cluster) -> Iterator[History]:
    with cluster.database() as database:
        database.run("CREATE TABLE long (id int, note text)")
        database.run("SELECT seal.attach('long')")
        database.run(f"INSERT INTO long SELECT g, 'note ' || g FROM generate_series(1, {COUNT}) g")
        yield History(database, "long")


@pytest.fixture(scope="module")
def forgery(long: History) -> Forgery:
    rows = long.database.rows("SELECT seal_seq, seal_prev, seal_mac FROM long ORDER BY seal_seq")
    entries = [
        Entry(position, (int.from_bytes(prev, "big") - int.from_bytes(mac, "big")) % MODULUS)
        for position, prev, mac in rows
    ]
    return forge(entries, UNWANTED, choices=120, fillers=2400)


def carry_out(history: History, forgery: Forgery, *afterwards: str) -> None:
    deleted = ", ".join(map(str, forgery.deleted))
    copies = ", ".join(f"({position}, {number})" for position, number in forgery.copies.items())
    drop = [statement for statement in history.without_indexes() if not statement.startswith("CREATE")]
    history.attack(
        *drop,
        f"DELETE FROM long WHERE seal_seq IN ({deleted})",
        f"INSERT INTO long SELECT o.* FROM (VALUES {copies}) AS copy (position, number)"
        " JOIN honest o ON o.seal_seq = copy.position CROSS JOIN generate_series(1, copy.number)",
        *afterwards,
    )


def expected(chain: str, forgery: Forgery) -> list[Place]:
    """A finding for each run of deleted entries and for each copy."""
    found: list[Place] = []
    for _, run in groupby(enumerate(sorted(forgery.deleted)), lambda pair: pair[1] - pair[0]):
        positions = [position for _, position in run]
        found.append(("missing", chain, positions[0], positions[-1] if len(positions) > 1 else None))
    for position, number in forgery.copies.items():
        found += [("duplicated", chain, position, None)] * number
    return sorted(found, key=lambda place: place[2] or 0)


# What the attacker leaves where the unique index was, and what is said of it.
LEFT = {
    "no index": ([], [ALTERED]),
    "another index": (["CREATE INDEX again ON long (seal_chain, seal_seq)"], [ALTERED]),
    "an index that is called unique": (
        [
            "CREATE INDEX again ON long (seal_chain, seal_seq)",
            "UPDATE pg_index SET indisunique = true WHERE indexrelid = 'again'::regclass",
        ],
        [],
    ),
}


@pytest.mark.parametrize("left", LEFT)
def test_forged_sums(long: History, forgery: Forgery, left: str) -> None:
    database = long.database
    honest = sums(long, "honest_long")
    assert sums(long, "long") == honest
    statements, altered = LEFT[left]
    carry_out(long, forgery, *statements)
    try:
        # The attack is real: nothing unwanted is left, every row is genuine, and all sums are as they were.
        assert database.value("SELECT count(*) FROM long WHERE seal_seq = ANY (%s)", [list(UNWANTED)]) == 0
        assert database.value("SELECT count(*) FROM (TABLE long EXCEPT TABLE honest_long) AS forged") == 0
        assert sums(long, "long") == honest
        assert forgery.deleted >= UNWANTED and sum(forgery.copies.values()) == len(forgery.deleted)
        assert_tampered(database, [*altered, *expected(long.chain, forgery)])
        (line,) = database.records("SELECT verdict, entries FROM seal.verify_history()")
        assert line == {"verdict": "tampered", "entries": COUNT}
    finally:
        long.restore()
    assert_intact(database)


def test_sums_forged_with_the_rows_in_any_order(long: History, forgery: Forgery) -> None:
    """Copies stand where the deleted entries stood, the whole table is written anew in another order."""
    database = long.database
    carry_out(long, forgery, "CREATE TABLE mixed AS TABLE long", "TRUNCATE long",
              "INSERT INTO long SELECT * FROM mixed ORDER BY seal_mac", "DROP TABLE mixed")  # fmt: skip
    try:
        assert sums(long, "long") == sums(long, "honest_long")
        assert_tampered(database, [ALTERED, *expected(long.chain, forgery)])
    finally:
        long.restore()
    assert_intact(database)


def test_a_single_copy_for_a_single_entry(long: History) -> None:
    """The least that can be done: the count alone is right."""
    carry_out(long, Forgery({1000}, {3000: 1}))
    try:
        assert sums(long, "long") != sums(long, "honest_long")
        assert_tampered(long.database, [ALTERED, *expected(long.chain, Forgery({1000}, {3000: 1}))])
    finally:
        long.restore()
    assert_intact(long.database)
