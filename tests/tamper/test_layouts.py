"""Other shapes of a table: without primary key, partitioned, with leaves of another column order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.database import Database
from support.tampering import ALTERED, History, honest


@pytest.fixture(scope="module")
def _keyless(module_db: Database) -> History:
    module_db.run("CREATE TABLE keyless (tenant text, payload jsonb)")
    module_db.run("SELECT seal.attach('keyless', tenant_column => 'tenant')")
    module_db.run("INSERT INTO keyless SELECT 'acme', to_jsonb(g) FROM generate_series(1, 5) g")
    return History(module_db, "keyless")


@pytest.fixture
def keyless(_keyless: History) -> Iterator[History]:
    yield from honest(_keyless)


def test_without_primary_key_a_row_is_known_by_its_place(keyless: History) -> None:
    keyless.attack("UPDATE keyless SET payload = '0' WHERE seal_seq IN (2, 5)")
    findings = keyless.expect(keyless.at("modified", 2), keyless.at("modified", 5))
    for finding in findings:
        row = keyless.database.rows("SELECT seal_seq FROM keyless WHERE ctid = %s::tid", [finding["row_key"]["ctid"]])
        assert row == [(finding["position"],)]


def test_without_primary_key_a_copy_needs_no_other_change(keyless: History) -> None:
    keyless.attack(*keyless.without_indexes(), keyless.copy_of(3))
    keyless.expect(ALTERED, keyless.at("duplicated", 3))


PARTITIONED = """
    CREATE TABLE parts (id int, day date, tenant text, note text, PRIMARY KEY (id, day, tenant))
        PARTITION BY RANGE (day);
    CREATE TABLE part_a PARTITION OF parts FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
    CREATE TABLE part_b (note text, tenant text NOT NULL, gone int, day date NOT NULL, id int NOT NULL);
    ALTER TABLE part_b DROP COLUMN gone;
    ALTER TABLE parts ATTACH PARTITION part_b FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
    CREATE TABLE part_c PARTITION OF parts DEFAULT PARTITION BY LIST (tenant);
    CREATE TABLE part_c1 PARTITION OF part_c FOR VALUES IN ('acme');
    CREATE TABLE part_c2 PARTITION OF part_c DEFAULT;
"""


@pytest.fixture(scope="module")
def _parts(module_db: Database) -> History:
    """One chain through four leaves: entries 1, 5, 9 in part_a, 2, 6, 10 in part_b, the others in part_c1, part_c2."""
    module_db.run(PARTITIONED)
    module_db.run("SELECT seal.attach('parts', tenant_column => 'tenant')")
    module_db.run(
        "INSERT INTO parts SELECT g, date '2024-01-15' + g % 4 * interval '1 month' - interval '1 month',"
        " CASE WHEN g % 4 = 3 THEN 'acme' ELSE 'globex' END, 'note ' || g FROM generate_series(1, 12) g"
    )
    return History(module_db, "parts")


@pytest.fixture
def parts(_parts: History) -> Iterator[History]:
    yield from honest(_parts)


def leaf(history: History, position: int) -> str:
    name = history.database.value("SELECT tableoid::regclass::text FROM parts WHERE seal_seq = %s", [position])
    assert isinstance(name, str)
    return name


def test_the_leaves(parts: History) -> None:
    assert len({leaf(parts, position) for position in range(1, 5)}) == 4


@pytest.mark.parametrize("position", [1, 2, 3, 4, 12])
def test_changed_through_the_leaf(parts: History, position: int) -> None:
    parts.attack(f"UPDATE {leaf(parts, position)} SET note = 'x' WHERE seal_seq = {position}")
    (finding,) = parts.expect(parts.at("modified", position))
    assert finding["history"] == "public.parts"
    assert finding["row_key"]["id"] == position


def test_a_leaf_emptied(parts: History) -> None:
    parts.attack(f"TRUNCATE {leaf(parts, 2)}")
    gone = [position for position in range(1, 13) if position % 4 == 2]
    parts.expect(*(parts.at("missing", position) for position in gone))


def test_a_row_moved_to_another_leaf_by_its_content(parts: History) -> None:
    parts.attack("UPDATE parts SET day = '2024-02-10' WHERE seal_seq = 5")
    parts.expect(parts.at("modified", 5))


def test_rows_of_two_leaves_exchanged(parts: History) -> None:
    parts.attack("UPDATE parts p SET note = o.note FROM honest o WHERE (p.id, o.id) IN ((5, 6), (6, 5))")
    parts.expect(parts.at("modified", 5), parts.at("modified", 6))


def test_a_copy_in_another_leaf(parts: History) -> None:
    """Each leaf has an index of its own, so that no index stands in the way; its content must differ, though."""
    parts.attack(
        'INSERT INTO parts SELECT (jsonb_populate_record(o, \'{"day": "2024-02-10"}\')).* FROM honest o WHERE id = 5'
    )
    (finding,) = parts.expect(parts.at("forged", 5))
    assert finding["row_key"] == {"id": 5, "day": "2024-02-10", "tenant": "globex"}


@pytest.mark.parametrize("name", ["part_a", "part_b", "part_c1"])
def test_the_index_of_one_leaf_dropped(parts: History, name: str) -> None:
    database = parts.database
    index = database.value(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = %s::regclass AND NOT indisprimary", [name]
    )
    parts.attack(f"DROP INDEX {index}")
    (finding,) = parts.expect(ALTERED)
    assert name in finding["detail"]
    database.run(f"CREATE UNIQUE INDEX {index} ON {name} (seal_chain, seal_seq)")


@pytest.mark.parametrize("trigger", ["zzz_pgseal_seal", "zzz_pgseal_guard", "zzz_pgseal_truncate"])
@pytest.mark.parametrize("name", ["parts", "part_b", "part_c", "part_c2"])
def test_a_trigger_of_one_table_disabled(parts: History, name: str, trigger: str) -> None:
    back = "O" if trigger.endswith("seal") else "A"
    change = "UPDATE pg_trigger SET tgenabled = '{}' WHERE tgrelid = '{}'::regclass AND tgname = '{}'"
    parts.database.run(change.format("D", name, trigger))
    (finding,) = parts.expect(ALTERED)
    assert name in finding["detail"] and "is missing, disabled or changed" in finding["detail"]
    parts.database.run(change.format(back, name, trigger))


def test_a_leaf_with_its_entries_taken_out(parts: History) -> None:
    """Behind the event trigger's back; put back, all is well."""
    database = parts.database
    database.run("SET session_replication_role = replica")
    database.run("ALTER TABLE parts DETACH PARTITION part_a")
    gone = [position for position in range(1, 13) if position % 4 == 1]
    found = database.rows("SELECT history, kind, position FROM seal.findings() ORDER BY 3 NULLS FIRST")
    assert found == [
        ("public.parts", "configuration_altered", None),
        ("public.part_a", "configuration_altered", None),
        *(("public.parts", "missing", position) for position in gone),
    ]
    database.run("ALTER TABLE parts ATTACH PARTITION part_a FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')")
    database.run("RESET session_replication_role")
