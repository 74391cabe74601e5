"""The same value, however it is stored: compressed, out of line, short header, default, expanded; and big values."""

from __future__ import annotations

import pytest

from support.database import Database
from support.rendering import AS_JSONB, AS_OUTPUT, TypedTable, verdict

MEGABYTE = 1 << 20
KINDS = {
    "text": AS_JSONB,
    "jsonb": AS_JSONB,
    "numeric": AS_JSONB,
    "json": AS_OUTPUT,
    "bytea": AS_OUTPUT,
    "int4[]": AS_OUTPUT,
    "hstore": AS_OUTPUT,
    "xml": AS_OUTPUT,
    "part": AS_OUTPUT,
    "whole": AS_OUTPUT,
}

# A big value of each kind: nothing of it can be compressed much, or all of it.
RANDOM = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, {n}) i)"
REPEATED = "repeat('abcdefgh', {n} * 4)"


def value(kind: str, text: str) -> str:
    """An SQL expression of this type with the text in it."""
    return {
        "text": text,
        "jsonb": f"jsonb_build_object('k', {text}, '', jsonb_build_array({text}, NULL))",
        "numeric": f"translate({text}, 'abcdefgh', '01234567')::numeric / 100",
        "json": f"json_build_object('k', {text})",
        "bytea": f"convert_to({text}, 'UTF8')",
        "int4[]": f"(SELECT array_agg(ascii(c)) FROM regexp_split_to_table({text}, '') c)",
        "hstore": f"hstore('k', {text})",
        "xml": f"xmlelement(name a, {text})",
        "part": f"ROW(1, {text}, '-0', NULL)::part",
        "whole": f"ROW(NULL, ARRAY[ROW(1, {text}, 1, NULL)::part], '1 day', 'sad', to_json(({text})::text))::whole",
    }[kind]


@pytest.fixture(scope="module")
def history(types_db: Database) -> TypedTable:
    table = TypedTable(types_db, "stored", KINDS)
    table.create()
    table.attach()
    return table


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("storage", ["PLAIN", "EXTERNAL", "EXTENDED", "MAIN"])
def test_values_out_of_another_tables_storage(history: TypedTable, kind: str, storage: str) -> None:
    """INSERT … SELECT brings compressed and toasted values of the source as they are."""
    db, column = history.db, history.column_of(kind)
    source = f"source_{storage.lower()}_{column}"
    db.run(f"CREATE TABLE {source} (v {kind})")
    db.run(f"ALTER TABLE {source} ALTER v SET STORAGE {storage}")
    sizes = [0, 3, 60] if storage == "PLAIN" else [1, 60, 150, 1000]
    for n in sizes:
        for text in (RANDOM, REPEATED):
            expression = value(kind, f"coalesce({text.format(n=n)}, '0')" if n else "'7'")
            db.run(f"INSERT INTO {source} VALUES ({expression})")
    before = history.newest()
    db.run(f"INSERT INTO {history.name} ({column}) SELECT v FROM {source}")
    assert history.newest() == before + 2 * len(sizes)
    assert history.wrong(db.connection, before) == []
    assert verdict(db.connection, history.name) == ("intact", history.newest())


def test_every_compression_that_the_server_has(history: TypedTable) -> None:
    db, column = history.db, history.column_of("text")
    methods = db.value("SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'")
    assert "pglz" in methods
    for method in methods:
        source = f"source_{method}"
        db.run(f"CREATE TABLE {source} (v text COMPRESSION {method})")
        db.run(f"INSERT INTO {source} VALUES ({REPEATED.format(n=1000)}), ({REPEATED.format(n=60_000)})")
        assert db.rows(f"SELECT DISTINCT pg_column_compression(v) FROM {source}") == [(method,)]
        before = history.newest()
        db.run(f"INSERT INTO {history.name} ({column}) SELECT v FROM {source}")
        assert db.rows(f"SELECT DISTINCT pg_column_compression({column}) FROM {history.name} WHERE k > {before}") == [
            (method,)
        ]
        assert history.wrong(db.connection, before) == []
    assert verdict(db.connection, history.name) == ("intact", history.newest())


def test_a_megabyte(history: TypedTable) -> None:
    db, before = history.db, history.newest()
    text = 'ä\x01\\"𝄞' + "x" * MEGABYTE
    columns = {kind: history.column_of(kind) for kind in ("text", "jsonb", "bytea", "json")}
    db.rows(
        f"INSERT INTO {history.name} ({', '.join(columns.values())}) VALUES "
        "(%(text)s, jsonb_build_object(%(text)s::text, jsonb_build_array(%(text)s::text)),"
        " convert_to(%(text)s, 'UTF8'), to_json(%(text)s::text))"
        " RETURNING k",
        {"text": text},
    )
    db.run(f"INSERT INTO {history.name} ({columns['jsonb']}) SELECT jsonb_agg(i) FROM generate_series(1, 150000) i")
    db.run(
        f"INSERT INTO {history.name} ({columns['jsonb']}) "
        "SELECT jsonb_object_agg(i, i / 7.0) FROM generate_series(1, 40000) i"
    )
    assert history.wrong(db.connection, before) == []
    assert db.value(f"SELECT max(length(seal.document(h))) FROM {history.name} h") > 5 * MEGABYTE
    assert verdict(db.connection, history.name)[0] == "intact"


@pytest.mark.parametrize("shape", ["[{}]", '{{"a": {}}}', '[1, {{"": [{}, "x"]}}]'])
def test_deep_nesting(history: TypedTable, shape: str) -> None:
    db, before = history.db, history.newest()
    opening, closing = shape.format("\n").replace("{{", "{").split("\n")
    for depth in (1, 100, 2000):
        text = opening * depth + '"\\u0001"' + closing * depth
        db.rows(f"INSERT INTO {history.name} ({history.column_of('jsonb')}) VALUES (%s) RETURNING k", (text,))
    assert history.wrong(db.connection, before) == []


NUMBERS = ["1e400", "-1e-400", "1e131071", "1e-16383", "9" * 70_000, "0." + "9" * 16_000, "1.10", "9007199254740993",
           "0", "-0", "0.000", "10000", "9999.9999", "100000000.0001"]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:20])
def test_long_numbers(history: TypedTable, number: str) -> None:
    db, before = history.db, history.newest()
    columns = f"{history.column_of('numeric')}, {history.column_of('jsonb')}"
    db.rows(f"INSERT INTO {history.name} ({columns}) VALUES (%s, %s) RETURNING k", (number, f'{{"n": [{number}]}}'))
    assert history.wrong(db.connection, before) == []


def test_arrays_that_plpgsql_holds_expanded(history: TypedTable) -> None:
    db, before = history.db, history.newest()
    arrays, parts = history.column_of("int4[]"), history.column_of("part")
    db.run(f"""DO $$
        DECLARE a int[] := '[5:6]={{1,2}}'; p part := ROW(1, 'x', '-0', NULL);
        BEGIN
            FOR i IN 1..300 LOOP a := a || i; END LOOP;
            p.b := 'y';
            INSERT INTO {history.name} ({arrays}, {parts}) VALUES (a, p);
        END $$""")
    assert history.wrong(db.connection, before) == []
    assert verdict(db.connection, history.name)[0] == "intact"
