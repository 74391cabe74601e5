"""Other triggers of a history: earlier ones may change the row, later ones are refused, all may insert into it."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest

from support.database import Database
from support.sealing import assert_whole, findings, history, ids, partitioned, refused, run
from support.tampering import unguarded

BODIES = {
    "returns null": "RETURN NULL",
    "changes new": "NEW.p := 'changed'; RETURN NEW",
    "changes nothing": "RETURN NEW",
    "removes the seal": "NEW.seal_mac := NULL; RETURN NEW",
}


def function(db: Database, body: str, name: str = "f") -> None:
    db.run(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$")


def later(name: str = "zzzz", table: str = "h") -> str:
    """As it comes only past the guard of definitions."""
    return unguarded(f"CREATE TRIGGER {name} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION f()")


def refuses(trigger: str = "zzzz", table: str = "h") -> AbstractContextManager[None]:
    return refused(
        "55000",
        f'trigger "{trigger}" on "public.{table}" would run after the row was signed',
        f'ALTER TRIGGER "{trigger}" ON public.{table} RENAME TO "a_{trigger}".',
    )


@pytest.fixture(autouse=True)
def table(db: Database) -> None:
    history(db, options="max_chains => 1")
    db.run("INSERT INTO h VALUES (1, 'x')")


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO h VALUES (2, 'x')",
        "INSERT INTO h VALUES (2, 'x') ON CONFLICT DO NOTHING",
        "COPY h (id) FROM PROGRAM 'echo 2'",
    ],
)
def test_a_later_trigger_is_refused_and_renamed_it_works(db: Database, body: str, statement: str) -> None:
    function(db, BODIES[body])
    db.run(later())
    with refuses():
        db.run(statement)
    assert ids(db) == [1]
    db.run('ALTER TRIGGER "zzzz" ON public.h RENAME TO "a_zzzz"')
    db.run(statement)
    stored = body != "returns null"
    assert_whole(db, entries=1 + stored)
    if body == "changes new":
        assert db.value("SELECT p FROM h WHERE id = 2") == "changed"


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE h DISABLE TRIGGER zzzz",
        "DROP TRIGGER zzzz ON h",
    ],
)
def test_without_it_inserts_go_on(db: Database, change: str) -> None:
    function(db, "RETURN NULL")
    db.run(later())
    with refuses():
        db.run("INSERT INTO h VALUES (2, 'x')")
    db.run(change)
    db.run("INSERT INTO h VALUES (2, 'x')")
    assert_whole(db, entries=2)


@pytest.mark.parametrize("when", ["", "WHEN (NEW.id > 100)"])
def test_every_name_that_sorts_behind_and_every_condition(db: Database, when: str) -> None:
    function(db, "RETURN NEW")
    for name in ("zzz_pgseal_seal_", "zzz_pgseal_seal0", "zzz_pgseal_sealed", "zzz_pgseam", "é"):
        trigger = f'CREATE TRIGGER "{name}" BEFORE INSERT OR UPDATE ON h FOR EACH ROW {when} EXECUTE FUNCTION f()'
        with refused("55000", f'trigger "{name}" of history "public.h" would run after the row was signed', "Give it"):
            db.run(trigger)
        db.run(unguarded(trigger))
        with refuses(name):
            db.run("INSERT INTO h VALUES (2, 'x')")
        db.run(f'DROP TRIGGER "{name}" ON h')
    db.run("INSERT INTO h VALUES (2, 'x')")
    assert_whole(db, entries=2)


def test_on_a_leaf_only(db: Database) -> None:
    partitioned(db, "q")
    function(db, "RETURN NULL")
    db.run(later(table="q1"))
    with refuses(table="q1"):
        db.run("INSERT INTO q VALUES (1, 0, 'x'), (2, 1, 'x')")
    db.run("INSERT INTO q VALUES (1, 0, 'x')")
    assert findings(db, "q") == [("configuration_altered", None, None)]
    db.run("DROP TRIGGER zzzz ON q1")
    assert_whole(db, "q", entries=1)


def test_one_that_appears_while_sessions_have_sealed_already(db: Database) -> None:
    other = db.connect()
    run(other, "INSERT INTO h VALUES (2, 'x')")
    function(db, "RETURN NULL")
    db.run(later())
    with refuses():
        run(other, "INSERT INTO h VALUES (3, 'x')")


def test_attach_refuses_a_table_that_has_one(db: Database) -> None:
    db.run("CREATE TABLE g (id int, p text)")
    function(db, "RETURN NEW")
    db.run(later(table="g"))
    with refused("55000", 'trigger "zzzz" of table "public.g" would run after the row was signed', "RENAME TO"):
        db.run("SELECT seal.attach('g')")


def test_later_ones_of_other_kinds_are_fine(db: Database) -> None:
    function(db, "RETURN NULL")
    db.run("""CREATE TRIGGER zzzz1 BEFORE INSERT ON h EXECUTE FUNCTION f();
              CREATE TRIGGER zzzz2 AFTER INSERT ON h FOR EACH ROW EXECUTE FUNCTION f();
              CREATE TRIGGER zzzz3 AFTER INSERT ON h EXECUTE FUNCTION f()""")
    db.run("INSERT INTO h VALUES (2, 'x')")
    assert_whole(db, entries=2)


def test_what_an_earlier_trigger_has_made_is_what_is_signed(db: Database) -> None:
    function(db, "NEW.p := upper(NEW.p) || ' ' || NEW.id; IF NEW.id % 3 = 0 THEN RETURN NULL; END IF; RETURN NEW")
    db.run("CREATE TRIGGER a BEFORE INSERT ON h FOR EACH ROW EXECUTE FUNCTION f()")
    db.run("INSERT INTO h SELECT g, 'a' FROM generate_series(2, 7) g")
    assert db.rows("SELECT id, p FROM h ORDER BY seal_seq") == [
        (1, "x"), (2, "A 2"), (4, "A 4"), (5, "A 5"), (7, "A 7"),
    ]  # fmt: skip
    assert_whole(db, entries=5)


def test_an_earlier_trigger_cannot_fill_seal_columns(db: Database) -> None:
    function(db, "NEW.seal_seq := 5; RETURN NEW")
    db.run(later("a"))
    with refused("428C9", 'column "seal_seq" of history "public.h" is filled by pgseal', "Leave the seal_ columns out"):
        db.run("INSERT INTO h VALUES (2, 'x')")


@pytest.mark.parametrize("time", ["BEFORE", "AFTER"])
@pytest.mark.parametrize("clause", ["", "ON CONFLICT DO NOTHING"])
def test_triggers_that_insert_into_the_same_history(db: Database, time: str, clause: str) -> None:
    function(
        db,
        f"""IF NEW.id < 100 THEN
                INSERT INTO h VALUES (NEW.id + 100, 'nested'), (999, 'skipped') ON CONFLICT DO NOTHING;
                BEGIN
                    INSERT INTO h VALUES (NEW.id + 200, 'lost');
                    RAISE division_by_zero;
                EXCEPTION WHEN division_by_zero THEN NULL;
                END;
                INSERT INTO h VALUES (NEW.id + 300, 'nested') {clause};
            END IF;
            RETURN NEW""",
    )
    db.run(f"CREATE TRIGGER a {time} INSERT ON h FOR EACH ROW EXECUTE FUNCTION f()")
    db.run(f"INSERT INTO h VALUES (999, 'x'), (2, 'x'), (3, 'x') {clause}")
    expected = {"BEFORE": [1, 999, 102, 302, 2, 103, 303, 3], "AFTER": [1, 999, 2, 3, 102, 302, 103, 303]}
    assert ids(db) == expected[time]
    assert_whole(db, entries=8)


@pytest.mark.parametrize("time", ["BEFORE", "AFTER"])
def test_a_nested_row_before_one_that_is_skipped(db: Database, time: str) -> None:
    function(db, "IF NEW.id < 100 THEN INSERT INTO h VALUES (NEW.id + 100, 'nested'); END IF; RETURN NEW")
    db.run(f"CREATE TRIGGER a {time} INSERT ON h FOR EACH ROW EXECUTE FUNCTION f()")
    db.run("INSERT INTO h VALUES (1, 'skipped'), (2, 'x') ON CONFLICT DO NOTHING")
    db.run("INSERT INTO h VALUES (100, 'x')")
    # The nested row may go to a chain of its own, where it cannot be told from one inside a row on its way.
    assert sorted(ids(db)) == ([1, 2, 100, 101, 102] if time == "BEFORE" else [1, 2, 100, 102])
    assert_whole(db)
