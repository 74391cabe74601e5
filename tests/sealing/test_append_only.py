"""Nothing changes or removes an entry: every way is refused with the command that helps, in every replication role."""

from __future__ import annotations

import pytest

from support.database import Database
from support.sealing import SEAL_COLUMNS, append_only, assert_whole, history, partitioned, refused, run

PLAIN = {
    "UPDATE h SET p = 'y'": "UPDATE",
    "UPDATE h SET p = p WHERE id = 2": "UPDATE",
    "UPDATE h SET seal_mac = seal_mac WHERE id = 2": "UPDATE",
    "DELETE FROM h": "DELETE",
    "DELETE FROM ONLY h WHERE id = 3": "DELETE",
    "DELETE FROM h USING generate_series(1, 2) g WHERE id = g": "DELETE",
    "WITH d AS (DELETE FROM h RETURNING *) SELECT * FROM d": "DELETE",
    "TRUNCATE h": "TRUNCATE",
    "TRUNCATE ONLY h": "TRUNCATE",
    "TRUNCATE h RESTART IDENTITY CASCADE": "TRUNCATE",
    "MERGE INTO h USING generate_series(1, 2) g ON id = g WHEN MATCHED THEN UPDATE SET p = 'y'": "UPDATE",
    "MERGE INTO h USING generate_series(1, 2) g ON id = g WHEN MATCHED THEN DELETE": "DELETE",
    "INSERT INTO h VALUES (4, 'x'), (1, 'y') ON CONFLICT (id) DO UPDATE SET p = excluded.p": "UPDATE",
    "WITH i AS (INSERT INTO h VALUES (1, 'y') ON CONFLICT (id) DO UPDATE SET p = 'y') SELECT 1": "UPDATE",
}
LEAVES = {
    "UPDATE q SET p = 'y'": ("UPDATE", "q0"),
    "UPDATE q SET k = 1 WHERE k = 0": ("UPDATE", "q0"),
    "UPDATE q1 SET p = 'y'": ("UPDATE", "q1"),
    "DELETE FROM q WHERE k = 1": ("DELETE", "q1"),
    "DELETE FROM q1": ("DELETE", "q1"),
    "TRUNCATE q": ("TRUNCATE", "q"),
    "TRUNCATE q1": ("TRUNCATE", "q1"),
    "TRUNCATE ONLY q0": ("TRUNCATE", "q0"),
    "MERGE INTO q USING q1 s ON q.id = s.id WHEN MATCHED THEN UPDATE SET k = 0": ("UPDATE", "q1"),
    "INSERT INTO q VALUES (2, 0, 'y') ON CONFLICT (id, k) DO UPDATE SET k = 1": ("UPDATE", "q0"),
}
HARMLESS = [
    "UPDATE h SET p = 'y' WHERE id = 99",
    "UPDATE h SET p = 'y' WHERE false",
    "DELETE FROM h WHERE id > 99",
    "DELETE FROM h WHERE p IS NULL",
    "MERGE INTO h USING generate_series(50, 52) g ON id = g WHEN MATCHED THEN DELETE",
    "MERGE INTO h USING generate_series(1, 3) g ON id = g WHEN MATCHED THEN DO NOTHING",
    "INSERT INTO h VALUES (1, 'y') ON CONFLICT (id) DO UPDATE SET p = 'y' WHERE false",
    "SELECT * FROM h FOR UPDATE",
]
ROLES = ["origin", "replica", "local"]


@pytest.fixture(autouse=True)
def table(db: Database) -> None:
    history(db)
    db.run("INSERT INTO h SELECT g, 'x' FROM generate_series(1, 3) g")


@pytest.fixture
def leaves(db: Database) -> None:
    partitioned(db, "q")
    db.run("INSERT INTO q SELECT g, g % 2, 'x' FROM generate_series(1, 4) g")


@pytest.mark.parametrize("role", ROLES)
def test_a_plain_history(db: Database, role: str) -> None:
    db.run(f"SET session_replication_role = {role}")
    for statement, refusal in PLAIN.items():
        if role == "replica" and statement.startswith("INSERT INTO h VALUES (4"):
            continue  # its first row fails already: unsealed rows have no place
        if role == "replica" and statement.startswith("WITH i"):
            continue
        with append_only(refusal):
            db.run(statement)
    db.run("RESET session_replication_role")
    assert_whole(db, entries=3)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.usefixtures("leaves")
def test_leaves(db: Database, role: str) -> None:
    db.run(f"SET session_replication_role = {role}")
    for statement, (refusal, leaf) in LEAVES.items():
        if role == "replica" and statement.startswith("INSERT"):
            continue
        with append_only(refusal, leaf):
            db.run(statement)
    db.run("RESET session_replication_role")
    assert_whole(db, "q", entries=4)


def test_statements_that_match_no_row_are_harmless(db: Database) -> None:
    for statement in HARMLESS:
        db.run(statement)
    assert_whole(db, entries=3)


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "SET DEFAULT"])
def test_foreign_keys_that_would_change_entries(db: Database, action: str) -> None:
    """Refused when they are made, or else when they strike."""
    db.run("CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent SELECT generate_series(1, 3)")
    try:
        db.run(f"ALTER TABLE h ADD FOREIGN KEY (id) REFERENCES parent ON DELETE {action} ON UPDATE {action}")
    except Exception as refusal:
        assert getattr(refusal, "sqlstate", None) in ("0A000", "55000"), refusal
        assert refusal.diag.message_hint  # type: ignore[attr-defined]
    else:
        with append_only("DELETE" if action == "CASCADE" else "UPDATE"):
            db.run("DELETE FROM parent WHERE id = 1")
        with append_only("UPDATE"):
            db.run("UPDATE parent SET id = 10 WHERE id = 1")
    assert_whole(db, entries=3)


def test_truncate_cascade_from_a_referenced_table(db: Database) -> None:
    db.run("""CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent SELECT generate_series(1, 3);
              ALTER TABLE h ADD FOREIGN KEY (id) REFERENCES parent""")
    with append_only("TRUNCATE"):
        db.run("TRUNCATE parent CASCADE")
    with refused("23503", "violates foreign key constraint"):
        db.run("DELETE FROM parent WHERE id = 1")
    assert_whole(db, entries=3)


def test_through_a_view_a_rule_or_a_function(db: Database) -> None:
    db.run("""CREATE VIEW v AS SELECT id, p FROM h;
              CREATE FUNCTION clear() RETURNS void LANGUAGE sql AS 'DELETE FROM h';
              CREATE TABLE r (id int);
              CREATE RULE gone AS ON INSERT TO r DO INSTEAD DELETE FROM h""")
    for statement, refusal in {
        "UPDATE v SET p = 'y'": "UPDATE",
        "DELETE FROM v": "DELETE",
        "SELECT clear()": "DELETE",
        "INSERT INTO r VALUES (1)": "DELETE",
        "DO $$ BEGIN TRUNCATE h; EXCEPTION WHEN foreign_key_violation THEN NULL; END $$": "TRUNCATE",
    }.items():
        with append_only(refusal):
            db.run(statement)
    db.run("INSERT INTO v VALUES (4, 'x')")
    assert_whole(db, entries=4)


def test_a_refused_change_in_a_savepoint_leaves_the_rest(db: Database) -> None:
    run(db.connection, "BEGIN", "INSERT INTO h VALUES (4, 'x')", "SAVEPOINT s")
    with append_only("UPDATE"):
        db.run("INSERT INTO h VALUES (5, 'x'), (4, 'y') ON CONFLICT (id) DO UPDATE SET p = 'y'")
    run(db.connection, "ROLLBACK TO s", "INSERT INTO h VALUES (5, 'x')", "COMMIT")
    assert_whole(db, entries=5)


class TestSealColumns:
    """Filled by pgseal alone."""

    VALUES = ("'main.00000000'", "7", "1", "0", "now()", r"'\x00'", r"'\x00'")

    @pytest.mark.parametrize(("column", "given"), list(zip(SEAL_COLUMNS, VALUES, strict=True)))
    def test_an_insert_that_names_one_is_refused(self, db: Database, column: str, given: str) -> None:
        message = f'column "{column}" of history "public.h" is filled by pgseal'
        hint = "Leave the seal_ columns out of the column list"
        with refused("428C9", message, hint):
            db.run(f"INSERT INTO h (id, {column}) VALUES (4, {given})")
        copied = given.strip("'").replace("\\", "\\\\")
        line = "4\t2030-01-01\n" if given == "now()" else f"4\t{copied}\n"
        statement = f"COPY h (id, {column}) FROM STDIN".encode()
        with refused("428C9", message, hint), db.connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(line)
        with refused("428C9", message, hint):
            db.run(f"INSERT INTO h (id, {column}) SELECT 4, {column} FROM h LIMIT 1 ON CONFLICT DO NOTHING")
        assert_whole(db, entries=3)

    def test_null_and_default_are_what_leaving_them_out_is(self, db: Database) -> None:
        db.run("INSERT INTO h (id, seal_mac, seal_seq) VALUES (4, NULL, DEFAULT)")
        assert_whole(db, entries=4)

    def test_a_row_copied_as_it_is_is_refused(self, db: Database) -> None:
        with refused("428C9", 'column "seal_chain" of history "public.h" is filled by pgseal'):
            db.run("INSERT INTO h SELECT * FROM h")

    @pytest.mark.parametrize("target", ["h", "q", "q1"])
    @pytest.mark.usefixtures("leaves")
    def test_rows_that_no_trigger_seals_have_no_place(self, db: Database, target: str) -> None:
        db.run("SET session_replication_role = replica")
        columns, values = ("id", "9") if target == "h" else ("id, k", "9, 1")
        with refused("23502", 'null value in column "seal_chain"'):
            db.run(f"INSERT INTO {target} ({columns}) VALUES ({values})")
        with refused("23502", 'null value in column "seal_mac"'):
            db.run(
                f"""INSERT INTO {target} ({columns}, seal_chain, seal_seq, seal_epoch, seal_anchor, seal_at, seal_prev)
                    VALUES ({values}, 'main.0', 9, 1, 0, now(), '')"""
            )
        db.run("RESET session_replication_role")
        assert_whole(db, target[0], entries=3 if target == "h" else 4)
