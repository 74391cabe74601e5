"""Values that look alike: what is a change is found, what is none is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.database import Database
from support.tampering import History, assert_intact

# Type, value, a value that is another one although it looks alike.
CHANGES = [
    ("jsonb", """'{"amount": 1.10}'""", """'{"amount": 1.1}'"""),
    ("jsonb", """'{"n": 9007199254740993}'""", """'{"n": 9007199254740992}'"""),
    ("jsonb", """'{"n": 1.00000000000000000001}'""", """'{"n": 1.00000000000000000002}'"""),
    ("jsonb", """'{"s": "a"}'""", """'{"s": "a "}'"""),
    ("jsonb", """'{"s": "a"}'""", """'{"s": "A"}'"""),
    ("jsonb", """'{"s": "é"}'""", """'{"s": "e\u0301"}'"""),
    ("jsonb", """'{"s": "1"}'""", """'{"s": 1}'"""),
    ("jsonb", """'{"s": "null"}'""", """'{"s": null}'"""),
    ("jsonb", """'{"s": null}'""", "'{}'"),
    ("jsonb", "'null'", "NULL"),
    ("jsonb", "NULL", "'null'"),
    ("jsonb", "'{}'", "'[]'"),
    ("jsonb", "'[]'", "'[[]]'"),
    ("jsonb", "'[1]'", "'1'"),
    ("jsonb", "'[1, 2]'", "'[2, 1]'"),
    ("jsonb", """'{"": 1}'""", """'{" ": 1}'"""),
    ("jsonb", """'{"a": {"b": 1}, "c": 2}'""", """'{"a": {"b": 1, "c": 2}}'"""),
    ("jsonb", "'0'", "'0.0'"),
    ("jsonb", "'true'", """'"true"'"""),
    ("numeric", "1.10", "1.1"),
    ("numeric", "9007199254740993", "9007199254740992"),
    ("numeric", "0", "0.00"),
    ("numeric", "'NaN'", "'Infinity'"),
    ("float8", "'-0'", "'0'"),
    ("float8", "'0'", "'-0'"),
    ("float4", "'-0'", "'0'"),
    ("float8", "'NaN'", "NULL"),
    ("float8", "'NaN'", "'0'"),
    ("float8", "'Infinity'", "'-Infinity'"),
    ("float8", "0.1", "0.1::float8 + 2e-17"),
    ("float8", "5e-324", "0"),
    ("text", "'a'", "'a '"),
    ("text", "''", "NULL"),
    ("text", "'é'", "'e\u0301'"),
    ("text", "'a\u200bb'", "'ab'"),
    ("text", "E'a\\nb'", "E'a\\r\\nb'"),
    ("text", "'null'", "NULL"),
    ("varchar(5)", "'a'", "'a '"),
    ('"char"', "'a'", "''"),
    ("timestamp", "'2024-01-01 00:00:00.000001'", "'2024-01-01 00:00:00'"),
    ("timestamptz", "'2024-01-01 00:00:00.000001+00'", "'2024-01-01 00:00:00+00'"),
    ("timestamptz", "'2024-01-01 00:00:00+00'", "'2024-01-01 00:00:00+01'"),
    ("timetz", "'12:00+00'", "'13:00+01'"),
    ("time", "'24:00'", "'00:00'"),
    ("date", "'infinity'", "'-infinity'"),
    ("date", "'0001-01-01 BC'", "'0001-01-01'"),
    ("interval", "'1 month'", "'30 days'"),
    ("interval", "'1 day'", "'24 hours'"),
    ("int[]", "'[0:1]={1,2}'", "'{1,2}'"),
    ("int[]", "'{1,2}'", "'{{1,2}}'"),
    ("int[]", "'{}'", "'{NULL}'"),
    ("text[]", "'{NULL}'", "'{\"NULL\"}'"),
    ("text[]", "'{a,b}'", "'{\"a,b\"}'"),
    ("jsonb[]", "ARRAY['1.10'::jsonb]", "ARRAY['1.1'::jsonb]"),
    ("json", """'{"a": 1, "a": 2}'""", """'{"a": 2}'"""),
    ("json", """'{"a": 1, "a": 2}'""", """'{"a": 2, "a": 1}'"""),
    ("json", """'{"a": 1}'""", """'{"a":1}'"""),
    ("json", """'{"a": 1}'""", """'{"a": 1} '"""),
    ("json", """'{"a": 1, "b": 2}'""", """'{"b": 2, "a": 1}'"""),
    ("json", """'"A"'""", """'"\\u0041"'"""),
    ("json", "'null'", "NULL"),
    ("json", "'1e2'", "'100'"),
    ("char(4)", "'ab'", "' ab'"),
    ("bytea", "'\\x00'", "''"),
    ("bytea", "'\\x0000'", "'\\x00'"),
    ("bit(4)", "B'0001'", "B'0010'"),
    ("varbit", "B'0001'", "B'001'"),
    ("inet", "'10.0.0.1/8'", "'10.0.0.1/9'"),
    ("int4range", "'empty'", "'(,)'"),
    ("numrange", "'[1.0,2]'", "'[1.00,2]'"),
    ("xml", "'<a/>'", "'<a></a>'"),
    ("pair", "ROW(1.0, NULL)", "ROW(1.00, NULL)"),
    ("pair", "ROW(1, '')", "ROW(1, NULL)"),
    ("pair", "ROW(NULL, NULL)", "NULL"),
]

# Type, value, another spelling of the same value.
SAME = [
    ("timestamptz", "'2024-01-01 00:00:00+00'", "'2024-01-01 01:00:00+01'"),
    ("timestamptz", "'2024-06-01 12:00:00+00'", "'2024-06-01 14:00:00 Europe/Berlin'"),
    ("jsonb", """'{"a": 1, "b": 2}'""", """'{"b":2,  "a":1}'"""),
    ("jsonb", """'{"a": 1, "a": 2}'""", """'{"a": 2}'"""),
    ("jsonb", "'100'", "'1e2'"),
    ("float8", "'NaN'", "'nan'::float4::float8"),
    ("char(4)", "'ab'", "'ab  '"),
    ("int4range", "'[1,3]'", "'[1,4)'"),
    ("bytea", "'\\x61'", "'a'"),
    ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "'{a0eebc999c0b4ef8bb6d6bb9bd380a11}'"),
    ("int[]", "'{1,2}'", "'[1:2]={1,2}'"),
    ("float8", "0.1", "0.1000000000000000055511151231257827"),
]


@pytest.fixture(scope="module")
def _alike(module_db: Database) -> History:
    """One row for each pair above; column c0, c1 … of its type is filled in row 1, 2 …"""
    module_db.run("CREATE TYPE pair AS (a numeric, b text)")
    pairs = CHANGES + SAME
    columns = ", ".join(f"c{number} {type_name}" for number, (type_name, _, _) in enumerate(pairs))
    module_db.run(f"CREATE TABLE alike (id int PRIMARY KEY, {columns})")
    module_db.run("SELECT seal.attach('alike')")
    for number, (_, value, _) in enumerate(pairs):
        module_db.run(f"INSERT INTO alike (id, c{number}) VALUES ({number + 1}, {value})")
    return History(module_db, "alike")


@pytest.fixture
def alike(_alike: History) -> Iterator[History]:
    yield _alike
    _alike.restore()


@pytest.mark.parametrize("number", range(len(CHANGES)), ids=[f"{t} {a} to {b}" for t, a, b in CHANGES])
def test_another_value(alike: History, number: int) -> None:
    position = number + 1
    alike.attack(f"UPDATE alike SET c{number} = {CHANGES[number][2]} WHERE id = {position}")
    (finding,) = alike.expect(alike.at("modified", position))
    assert finding["row_key"] == {"id": position}


def test_the_same_values_in_other_words(alike: History) -> None:
    for number, (_, _, spelling) in enumerate(SAME, len(CHANGES)):
        alike.attack(f"UPDATE alike SET c{number} = {spelling} WHERE id = {number + 1}")
    assert_intact(alike.database)


def test_one_after_the_other(alike: History) -> None:
    """All of them changed: one finding each, whatever stands beside it."""
    changes = [f"UPDATE alike SET c{n} = {value} WHERE id = {n + 1}" for n, (_, _, value) in enumerate(CHANGES)]
    alike.attack(*changes)
    alike.expect(*(alike.at("modified", number + 1) for number in range(len(CHANGES))))
    alike.restore()
    assert_intact(alike.database)


@pytest.mark.parametrize(
    "setting",
    ["TimeZone = 'Asia/Kathmandu'", "DateStyle = 'German, DMY'", "IntervalStyle = iso_8601", "extra_float_digits = -15",
     "bytea_output = escape", "xmloption = document", "search_path = nowhere", "lc_monetary = 'C'"],
)  # fmt: skip
def test_settings_are_no_change(alike: History, setting: str) -> None:
    with alike.database.connection.transaction(force_rollback=True):
        alike.database.run(f"SET LOCAL {setting}")
        assert alike.database.rows("SELECT * FROM seal.findings()") == []
