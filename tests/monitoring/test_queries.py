"""The sample queries, the views and the page that explains them say the same."""

from __future__ import annotations

import re
from typing import Any

import pytest

from support.database import Database
from support.monitoring import README, VIEWS, declared, queries, record_run
from support.roles import Roles
from support.sealing import history

TYPES = {"LABEL": {"text"}, "GAUGE": {"bigint", "double precision"}, "COUNTER": {"bigint"}}
TABLE_ROW = re.compile(r"^\| `(\w+)` \| (gauge|counter) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def columns(db: Database, view: str) -> list[tuple[Any, ...]]:
    query = """SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
                WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum"""
    return db.rows(query, [view])


def explained() -> dict[str, dict[str, tuple[str, str]]]:
    """What the page says: by view, by metric, its type and its unit."""
    sections = re.split(r"^## One row per .*`(seal\.\w+)`$", README.read_text(), flags=re.MULTILINE)
    pairs = zip(sections[1::2], sections[2::2], strict=True)
    rows = {view: TABLE_ROW.findall(text) for view, text in pairs}
    return {view: {name: (kind, unit.strip()) for name, kind, unit, _ in found} for view, found in rows.items()}


def test_there_is_a_query_for_each_view() -> None:
    assert set(queries()) == set(VIEWS)
    assert set(explained()) == set(VIEWS.values())


@pytest.mark.parametrize("name", VIEWS)
def test_every_column_of_the_view_is_declared_with_a_type_that_fits(db: Database, name: str) -> None:
    usage = declared(name)
    found = columns(db, VIEWS[name])
    assert [column for column, _ in found] == list(usage)
    for column, of_type in found:
        assert of_type in TYPES[usage[column]], column
        assert (usage[column] == "COUNTER") == column.endswith("_total"), column
        assert (of_type == "double precision") == column.endswith("_seconds"), column


@pytest.mark.parametrize("name", VIEWS)
def test_every_metric_is_explained(name: str) -> None:
    page = explained()[VIEWS[name]]
    usage = declared(name)
    assert {metric: kind.upper() for metric, (kind, _) in page.items()} == {
        metric: kind for metric, kind in usage.items() if kind != "LABEL"
    }
    for metric, (_, unit) in page.items():
        assert (unit == "seconds") == metric.endswith("_seconds"), metric


@pytest.mark.parametrize("name", VIEWS)
def test_the_queries_run_as_the_role_of_the_page(db: Database, roles: Roles, name: str) -> None:
    history(db)
    db.run("INSERT INTO h VALUES (1, 'x')")
    record_run(db, "h", "intact")
    session = roles.session("exporter", member_of="pg_monitor")
    answer = session.execute(queries()[name]["query"].encode())
    assert answer.description
    assert [column.name for column in answer.description] == list(declared(name))
    (row,) = answer.fetchall()
    assert row[0] == db.name
    for (metric, usage), value in zip(declared(name).items(), row, strict=True):
        assert value is None or isinstance(value, str if usage == "LABEL" else (int, float)), metric
    assert {type(facts["description"]) for entry in queries()[name]["metrics"] for facts in entry.values()} == {str}
