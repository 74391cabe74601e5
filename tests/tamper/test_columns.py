"""Each column of an entry, of every type that can be signed: another value, NULL, another entry's value."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.database import Database
from support.tampering import ALTERED, History, assert_intact, honest

TYPES = """
    CREATE TYPE mood AS ENUM ('fine', 'so so', 'bad');
    CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
"""

# Name, type, value of entry g, another value.
COLUMNS = [
    ("c_bool", "boolean", "g % 2 = 0", "NOT c_bool"),
    ("c_int2", "smallint", "g", "c_int2 + 1"),
    ("c_int4", "integer", "g", "-c_int4"),
    ("c_int8", "bigint", "9007199254740990 + g", "c_int8 + 1"),
    ("c_numeric", "numeric", "g + 0.10", "c_numeric + 0.01"),
    ("c_float4", "real", "g + 0.1", "c_float4 * 1.000001"),
    ("c_float8", "double precision", "g + 0.1", "c_float8 + 1e-15"),
    ("c_text", "text", "'note ' || g", "c_text || ' '"),
    ("c_varchar", "varchar(20)", "'short ' || g", "upper(c_varchar)"),
    ("c_char", "char(8)", "'code' || g", "'other'"),
    ("c_name", "name", "'name' || g", "'other'"),
    ("c_uuid", "uuid", "md5(g::text)::uuid", "md5(c_uuid::text)::uuid"),
    ("c_date", "date", "date '2024-02-28' + g", "c_date + 1"),
    ("c_time", "time", "time '12:00' + g * interval '1 s'", "c_time + interval '1 us'"),
    ("c_timetz", "timetz", "timetz '12:00+02' + g * interval '1 s'", "c_timetz + interval '1 us'"),
    ("c_timestamp", "timestamp", "timestamp '2024-03-31 02:30' + g * interval '1 d'", "c_timestamp + interval '1 us'"),
    ("c_timestamptz", "timestamptz", "timestamptz '2024-03-31 00:30+00' + g * interval '1 d'",
     "c_timestamptz - interval '1 us'"),
    ("c_interval", "interval", "g * interval '1 day'", "g * interval '24 hours'"),
    ("c_jsonb", "jsonb", "jsonb_build_object('n', g, 'list', jsonb_build_array(1, null, 'x'))", "c_jsonb - 'list'"),
    ("c_json", "json", "json_build_object('n', g)", "(c_json::text || ' ')::json"),
    ("c_bytea", "bytea", "sha256(g::text::bytea)", "set_byte(c_bytea, 31, get_byte(c_bytea, 31) # 1)"),
    ("c_array", "int[]", "ARRAY[g, 2, NULL]", "c_array || 1"),
    ("c_texts", "text[]", "ARRAY['a', 'b,' || g]", "ARRAY['a', 'b', g::text]"),
    ("c_enum", "mood", "(enum_range(NULL::mood))[1 + g % 3]", "(enum_range(NULL::mood))[1 + (g + 1) % 3]"),
    ("c_pair", "pair", "ROW(g, 'x')::pair", "ROW(g, '')::pair"),
    ("c_domain", "positive", "g", "c_domain + 1"),
    ("c_range", "int4range", "int4range(g, 20)", "int4range(g, 21)"),
    ("c_multirange", "int4multirange", "int4multirange(int4range(g, 20))", "'{}'"),
    ("c_inet", "inet", "inet '10.0.0.0/8' + g", "set_masklen(c_inet, 16)"),
    ("c_bits", "bit varying", "(g % 4)::bit(8)", "c_bits || B'0'"),
    ("c_point", "point", "point(g, 1)", "point(g, 1.0000000000000002)"),
    ("c_tsvector", "tsvector", "to_tsvector('simple', 'word' || g)", "c_tsvector || 'x'::tsvector"),
    ("c_xid", "xid8", "g::text::xid8", "(g + 1)::text::xid8"),
]  # fmt: skip

NAMES = [name for name, *_ in COLUMNS]


@pytest.fixture(scope="module")
def _wide(cluster: Cluster) -> Iterator[History]:
    with cluster.database() as database:
        yield make(database)


def make(database: Database) -> History:
    database.run(TYPES)
    columns = ", ".join(f"{name} {type_name}" for name, type_name, *_ in COLUMNS)
    database.run(f"CREATE TABLE wide (g int PRIMARY KEY, {columns})")
    database.run("SELECT seal.attach('wide')")
    values = ", ".join(value for _, _, value, _ in COLUMNS)
    database.run(f"INSERT INTO wide SELECT g, {values} FROM generate_series(1, 6) g")
    return History(database, "wide")


@pytest.fixture
def wide(_wide: History) -> Iterator[History]:
    yield from honest(_wide)


def modified(history: History, *positions: int) -> None:
    findings = history.expect(*(history.at("modified", position) for position in positions))
    for position, finding in zip(positions, findings, strict=True):
        assert finding["detail"] == f"entry {position} was changed after it was sealed"
        assert (finding["expected"], finding["found"]) == (None, None)
        assert finding["row_key"] == {"g": position}


@pytest.mark.parametrize(("column", "value"), [(name, other) for name, _, _, other in COLUMNS], ids=NAMES)
def test_changed(wide: History, column: str, value: str) -> None:
    position = 1 + NAMES.index(column) % 6
    wide.attack(f"UPDATE wide SET {column} = {value} WHERE g = {position}")
    modified(wide, position)


@pytest.mark.parametrize("column", NAMES)
def test_null(wide: History, column: str) -> None:
    position = 1 + NAMES.index(column) % 6
    wide.attack(f"UPDATE wide SET {column} = NULL WHERE g = {position}")
    modified(wide, position)


@pytest.mark.parametrize("column", NAMES)
def test_exchanged_between_two_entries(wide: History, column: str) -> None:
    pair = (2, 3) if NAMES.index(column) % 2 else (1, 6)
    exchange = f"UPDATE wide SET {column} = o.{column} FROM honest o WHERE (wide.g, o.g) IN ((%d, %d), (%d, %d))"
    wide.attack(exchange % (*pair, *reversed(pair)))
    modified(wide, *pair)


def test_a_value_where_none_was(db: Database) -> None:
    """SQL NULL is absent from what is signed; a value that looks like nothing is not NULL."""
    names = ["c_text", "c_jsonb", "c_json", "c_array", "c_bytea", "c_char", "c_int4"]
    empty = ["''", "'null'", "'null'", "'{}'", "''", "''", "0"]
    db.run(TYPES)
    types = {name: type_name for name, type_name, *_ in COLUMNS}
    db.run("CREATE TABLE sparse (id int, " + ", ".join(f"{name} {types[name]}" for name in names) + ")")
    db.run("SELECT seal.attach('sparse')")
    db.run("INSERT INTO sparse (id) SELECT generate_series(1, 7)")
    sparse = History(db, "sparse")
    for position, (name, value) in enumerate(zip(names, empty, strict=True), 1):
        sparse.attack(f"UPDATE sparse SET {name} = {value} WHERE id = {position}")
        sparse.expect(sparse.at("modified", position))
        sparse.restore()
    assert_intact(db)


def test_the_primary_key(wide: History) -> None:
    wide.attack("UPDATE wide SET g = 77 WHERE g = 3")
    (finding,) = wide.expect(wide.at("modified", 3))
    assert finding["row_key"] == {"g": 77}
    wide.restore()
    wide.attack("ALTER TABLE wide DROP CONSTRAINT wide_pkey", "ALTER TABLE wide ALTER g DROP NOT NULL")
    dropped = wide.expect(ALTERED, ALTERED)
    assert [finding["detail"] for finding in dropped] == [
        "column g of table public.wide was changed outside pgseal",
        "constraint wide_pkey of table public.wide was removed outside pgseal",
    ]
    wide.attack("UPDATE wide SET g = NULL WHERE g = 3")
    *_, finding = wide.expect(ALTERED, ALTERED, wide.at("modified", 3))
    assert list(finding["row_key"]) == ["ctid"]


def test_every_column_at_once(wide: History) -> None:
    nothing = ", ".join(f"{name} = NULL" for name in NAMES)
    wide.attack(f"UPDATE wide SET {nothing} WHERE g IN (1, 4, 6)")
    modified(wide, 1, 4, 6)


def test_written_again_is_no_change(wide: History) -> None:
    """Control: the same values in new row versions, in another order on disk, compressed or not."""
    same = ", ".join(f"{name} = {name}" for name in NAMES)
    wide.attack(f"UPDATE wide SET {same} WHERE g % 2 = 0")
    assert_intact(wide.database)
    wide.database.run("VACUUM FULL wide")
    assert_intact(wide.database)
    assert ALTERED not in wide.database.rows("SELECT kind FROM seal.findings()")
