"""The table's definition changed under the entries: names, types, casts, enum labels, generated columns."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.database import Database
from support.tampering import ALTERED, History, assert_intact, unguarded


@pytest.fixture
def form(db: Database) -> Iterator[History]:
    """Two columns of the same type, an enum, a domain and a generated column; three entries."""
    db.run("CREATE TYPE mood AS ENUM ('fine', 'bad')")
    db.run("CREATE DOMAIN positive AS int CHECK (VALUE > 0)")
    db.run(
        "CREATE TABLE form (id int PRIMARY KEY, payer text, payee text, feeling mood, amount positive,"
        " twice int GENERATED ALWAYS AS (amount * 2) STORED)"
    )
    db.run("SELECT seal.attach('form')")
    db.run("INSERT INTO form SELECT g, 'ann ' || g, 'bob ' || g, 'fine', g FROM generate_series(1, 3) g")
    assert_intact(db)
    yield History(db, "form")
    assert_intact(db)


def kinds(history: History) -> set[tuple[str, int | None]]:
    return set(history.database.rows("SELECT kind, position FROM seal.findings()"))


EVERY = {("modified", 1), ("modified", 2), ("modified", 3)}


def rename(history: History, names: list[tuple[str, str]]) -> None:
    """Without the event trigger, which would follow it with a new epoch."""
    history.attack(*(f"ALTER TABLE form RENAME COLUMN {old} TO {new}" for old, new in names))


def test_names_of_two_columns_exchanged(form: History) -> None:
    """Whoever paid was paid: types and records are as they were, only what is signed as payer stands under payee."""
    rename(form, [("payer", "x"), ("payee", "payer"), ("x", "payee")])
    form.expect(*(form.at("modified", position) for position in (1, 2, 3)))
    rename(form, [("payer", "x"), ("payee", "payer"), ("x", "payee")])


def test_names_of_two_columns_exchanged_in_the_catalog(form: History) -> None:
    def exchange() -> None:
        form.attack(
            "UPDATE pg_attribute SET attname = CASE attname WHEN 'payer' THEN 'payee_' ELSE 'payer_' END"
            " WHERE attrelid = 'form'::regclass AND attname IN ('payer', 'payee')",
            "UPDATE pg_attribute SET attname = rtrim(attname::text, '_')::name"
            " WHERE attrelid = 'form'::regclass AND attname IN ('payer_', 'payee_')",
        )

    form.database.run("SET allow_system_table_mods = on")
    exchange()
    form.expect(*(form.at("modified", position) for position in (1, 2, 3)))
    exchange()


def test_names_exchanged_by_ordinary_renames_are_followed(form: History) -> None:
    """Control: what administrators do in the open is no tampering; entries stay what they were."""
    for old, new in [("payer", "x"), ("payee", "payer"), ("x", "payee")]:
        form.database.run(f"ALTER TABLE form RENAME COLUMN {old} TO {new}")
    assert_intact(form.database)


def test_a_column_renamed_behind_the_event_triggers_back(form: History) -> None:
    rename(form, [("payer", "giver")])
    found = kinds(form)
    assert ("configuration_altered", None) in found
    assert {kind for kind, _ in found} <= {"configuration_altered", "unknown_column"}
    assert form.database.value("SELECT verdict FROM seal.verify_history()") == "tampered"
    rename(form, [("giver", "payer")])


def test_a_column_dropped_behind_the_event_triggers_back(db: Database) -> None:
    db.run("CREATE TABLE form (id int PRIMARY KEY, note text)")
    db.run("SELECT seal.attach('form')")
    db.run("INSERT INTO form SELECT g, 'x' FROM generate_series(1, 3) g")
    form = History(db, "form")
    form.attack("ALTER TABLE form DROP COLUMN note")
    found = form.database.rows("SELECT kind, position, last_position, detail FROM seal.findings()")
    assert (
        "configuration_altered",
        None,
        None,
        "the signed column note was removed or renamed outside pgseal",
    ) in found
    assert db.value("SELECT verdict FROM seal.verify_history()") == "tampered"


def test_a_type_changed_behind_the_event_triggers_back(db: Database) -> None:
    """Every value is printed as before: only the definition tells, and no value can be judged by it."""
    db.run("CREATE TABLE form (id int PRIMARY KEY, note varchar(10))")
    db.run("SELECT seal.attach('form')")
    db.run("INSERT INTO form SELECT g, 'x' FROM generate_series(1, 3) g")
    form = History(db, "form")
    form.attack("ALTER TABLE form ALTER COLUMN note TYPE text")
    findings = form.expect(ALTERED, form.at("unknown_column", 1, 3))
    assert "the type of the signed column note was changed" in findings[0]["detail"]
    form.attack("ALTER TABLE form ALTER COLUMN note TYPE varchar(10)")
    assert_intact(db)


def test_an_enum_label_renamed(form: History) -> None:
    """It changes what every entry says, and so it is found at every entry that bears the label, and at the type."""
    form.database.run(unguarded("ALTER TYPE mood RENAME VALUE 'fine' TO 'splendid'"))
    form.expect(ALTERED, *(form.at("modified", position) for position in (1, 2, 3)))
    form.database.run(unguarded("ALTER TYPE mood RENAME VALUE 'splendid' TO 'fine'"))


def test_a_new_enum_label_is_no_change(form: History) -> None:
    form.database.run("ALTER TYPE mood ADD VALUE 'worse' BEFORE 'fine'")
    assert_intact(form.database)


def test_a_domains_constraint_is_no_change(form: History) -> None:
    form.database.run("ALTER DOMAIN positive DROP CONSTRAINT positive_check")
    assert_intact(form.database)
    form.attack("UPDATE form SET amount = -2 WHERE id = 2")
    form.expect(form.at("modified", 2))
    form.attack("UPDATE form SET amount = 2 WHERE id = 2")


def test_a_generated_column_overwritten(form: History) -> None:
    form.database.run("SET allow_system_table_mods = on")
    generated = "UPDATE pg_attribute SET attgenerated = '{}' WHERE attrelid = 'form'::regclass AND attname = 'twice'"

    def write(value: str) -> None:
        form.attack(generated.format(""), f"UPDATE form SET twice = {value} WHERE id = 2", generated.format("s"))

    write("77")
    (finding,) = form.expect(form.at("modified", 2))
    assert (finding["expected"], finding["found"]) == ("4", "77")
    assert finding["detail"] == "the generated column twice of entry 2 is not what its expression gives"
    assert finding["row_key"] == {"id": 2}
    write("NULL")
    (finding,) = form.expect(form.at("modified", 2))
    write("4")


def test_a_cast_to_json_is_not_called(db: Database) -> None:
    """to_jsonb calls a user's cast: it would hide a change, or run code of whoever made it."""
    db.run("CREATE TYPE level AS ENUM ('low', 'high')")
    db.run("CREATE TABLE form (id int PRIMARY KEY, risk level, risks level[])")
    db.run("SELECT seal.attach('form')")
    db.run("INSERT INTO form SELECT g, 'low', '{low}' FROM generate_series(1, 3) g")
    form = History(db, "form")
    db.run("CREATE SEQUENCE calls")
    db.run(
        "CREATE FUNCTION hide(level) RETURNS json LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM nextval('public.calls'); RETURN '\"low\"'; END $$"
    )
    db.run("CREATE CAST (level AS json) WITH FUNCTION hide(level)")
    assert db.value("SELECT to_jsonb('high'::level)") == "low"
    assert db.value("SELECT last_value FROM calls") == 1
    assert_intact(db)
    form.attack("UPDATE form SET risk = 'high' WHERE id = 2", "UPDATE form SET risks = '{high}' WHERE id = 3")
    form.expect(form.at("modified", 2), form.at("modified", 3))
    db.run("INSERT INTO form VALUES (4, 'high')")
    form.expect(form.at("modified", 2), form.at("modified", 3))
    assert db.value("SELECT nextval('calls')") == 2


def test_names_in_front_of_pg_catalog_do_not_reach_verification(form: History) -> None:
    db = form.database
    db.run("CREATE SCHEMA trap")
    for name in ("lower", "sha256", "encode", "format"):
        db.run(f"CREATE FUNCTION trap.{name}(text) RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$")
    for name in ("pg_class", "pg_trigger", "pg_attribute", "pg_index", "history", "epoch"):
        db.run(f"CREATE TABLE trap.{name} (oid oid)")
    db.run("CREATE FUNCTION trap.equal(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'")
    db.run("CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.equal)")
    trapped = "SELECT kind, position FROM seal.findings()"
    db.run("SET search_path = trap, pg_catalog, public, seal")
    assert db.rows(trapped) == []
    db.run("RESET search_path")
    form.attack("UPDATE form SET payer = 'x' WHERE id = 2")
    db.run("SET search_path = trap, pg_catalog, public, seal")
    assert db.rows(trapped) == [("modified", 2)]
    db.run("RESET search_path")
    form.attack("UPDATE form SET payer = 'ann 2' WHERE id = 2")
