"""Values by chance, of every type, inserted in one session and looked at in another with other settings."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from support.database import Database
from support.examples import EXAMPLES, MORE
from support.rendering import TYPES, TypedTable, apply, verdict
from support.values import VALUES, rows, sessions

Row = dict[str, str]
Settings = dict[str, str]

# No shrinking: a failure names the row, and what is generated is small. No database: every run is a new one.
QUICK = settings(
    deadline=None, database=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)

HOME = {
    "TimeZone": "UTC", "DateStyle": "ISO, MDY", "IntervalStyle": "postgres", "bytea_output": "hex",
    "extra_float_digits": "1", "search_path": "public", "quote_all_identifiers": "off", "xmlbinary": "base64",
}  # fmt: skip
ABROAD = {
    "TimeZone": "Asia/Kathmandu", "DateStyle": "German", "IntervalStyle": "sql_standard", "bytea_output": "escape",
    "extra_float_digits": "-15", "search_path": "decoy, public", "quote_all_identifiers": "on", "xmlbinary": "hex",
}  # fmt: skip


class Scene:
    """A history with a column of every type, and two sessions of which each has its own settings."""

    def __init__(self, db: Database) -> None:
        self.table = TypedTable(db, "generated", TYPES)
        self.table.create()
        self.table.attach()
        self.writer: psycopg.Connection = db.connect()
        self.reader: psycopg.Connection = db.connect()

    def check(self, batch: list[Row], inserting: Settings, verifying: Settings) -> None:
        apply(self.writer, inserting)
        apply(self.reader, verifying)
        before = self.table.newest()
        self.table.insert(self.writer, batch)
        assert self.table.newest() == before + len(batch)
        assert self.table.wrong(self.writer, before) == []
        assert self.table.wrong(self.reader, before) == []


@pytest.fixture(scope="module")
def scene(types_db: Database) -> Iterator[Scene]:
    yield Scene(types_db)


def test_there_are_values_for_every_type() -> None:
    assert VALUES.keys() == EXAMPLES.keys() == TYPES.keys()
    assert MORE.keys() <= TYPES.keys()


@pytest.mark.parametrize("inserting", [HOME, ABROAD], ids=["home", "abroad"])
@pytest.mark.parametrize("verifying", [HOME, ABROAD], ids=["home", "abroad"])
def test_values_by_hand(scene: Scene, inserting: Settings, verifying: Settings) -> None:
    batch = [EXAMPLES, {}, *({kind: value} for kind, values in MORE.items() for value in values)]
    scene.check(batch, inserting, verifying)
    assert verdict(scene.reader, "generated") == ("intact", scene.table.newest())


def test_values_that_differ_have_documents_that_differ(scene: Scene) -> None:
    """Of every type, values that are not the same to the server's output are not the same in the document."""
    apply(scene.writer, HOME)
    before = scene.table.newest()
    batch = [{kind: value} for kind, values in MORE.items() for value in [EXAMPLES[kind], *values]]
    scene.table.insert(scene.writer, batch)
    for kind in MORE:
        column = scene.table.column_of(kind)
        texts, documents = scene.table.db.rows(
            f"""SELECT count(DISTINCT format('%%s', {column})), count(DISTINCT (seal.document(h)::jsonb - 'k')::text)
                  FROM generated h WHERE k > %s AND num_nonnulls({column}) = 1""",
            (before,),
        )[0]
        assert (kind, documents) == (kind, texts)
        assert texts > 1


@pytest.mark.parametrize("kind", TYPES)
def test_a_type(scene: Scene, kind: str) -> None:
    @settings(QUICK, max_examples=8)
    @given(st.lists(VALUES[kind], min_size=1, max_size=10), sessions, sessions)
    def values(batch: list[str], inserting: Settings, verifying: Settings) -> None:
        scene.check([{kind: value} for value in batch], inserting, verifying)

    values()
    assert verdict(scene.reader, "generated") == ("intact", scene.table.newest())


@settings(QUICK, max_examples=20)
@given(batch=st.lists(rows, min_size=1, max_size=8), inserting=sessions, verifying=sessions)
def test_rows_of_several_types(scene: Scene, batch: list[Row], inserting: Settings, verifying: Settings) -> None:
    scene.check(batch, inserting, verifying)
    assert verdict(scene.reader, "generated") == ("intact", scene.table.newest())
