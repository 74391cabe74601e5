"""pgseal's own tables: each column changed, NULL, exchanged; rows removed, doubled, put back as they were.

An older state of all rows that fit together, put back at once, is what the journal's tests are about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from support.database import Database
from support.tampering import ALTERED, Place, assert_intact, assert_sentences, assert_tampered, records

HISTORY = "relation = 'ledger'::regclass"
EPOCHS = "history_id = (SELECT history_id FROM seal.history WHERE relation = 'ledger'::regclass)"

FREE = [
    "DROP INDEX seal.history_relation_idx",
    "ALTER TABLE seal.history DROP CONSTRAINT history_pkey",
    "ALTER TABLE seal.epoch DROP CONSTRAINT epoch_pkey",
]


@pytest.fixture(scope="module")
def _two(module_db: Database) -> Database:
    """Two histories: ledger, whose rows were there before (epochs 1 and 2), and diary, with a third epoch."""
    for number, table in enumerate(("ledger", "diary")):
        module_db.run(f"CREATE TABLE {table} (id int PRIMARY KEY, tenant text, note text)")
        module_db.run(f"INSERT INTO {table} SELECT g, 'acme', 'old' FROM generate_series(1, 2) g")
        attach = (
            f"SELECT seal.attach('{table}', tenant_column => 'tenant', existing => 'seal', max_chains => {number + 2})"
        )
        module_db.run(attach)
        module_db.run(f"INSERT INTO {table} SELECT g, 'globex', 'new' FROM generate_series(3, 5) g")
    module_db.run("ALTER TABLE diary ADD COLUMN extra text")
    module_db.run("INSERT INTO diary (id, tenant, extra) VALUES (6, 'acme', 'x')")
    return module_db


@pytest.fixture
def two(_two: Database) -> Iterator[Database]:
    """What a test does is rolled back."""
    assert_intact(_two)
    with _two.connection.transaction(force_rollback=True):
        yield _two
    assert_intact(_two)


def nullable(table: str, column: str) -> str:
    return f"ALTER TABLE seal.{table} ALTER COLUMN {column} DROP NOT NULL"


def expect_altered(database: Database, detail: str, *, history: str = "ledger", others: bool = True) -> None:
    (finding,) = assert_tampered(database, [ALTERED], None, history)
    assert finding["detail"] == detail
    assert finding["history"] == f"public.{history}"
    if others:
        assert_intact(database, history="diary" if history == "ledger" else "ledger")


SETTINGS = "the settings of this history in seal.history were changed outside pgseal"

CHANGED = [
    ("tenant_column", "'note'"),
    ("tenant_column", "NULL"),
    ("max_chains", "3"),
    ("max_chains", "NULL"),
    ("max_chains", "0"),
    ("window_months", "12"),
    ("epoch", "3"),
    ("epoch", "1"),
    ("epoch", "0"),
    ("epoch", "-1"),
    ("epoch_digest", "sha256('x')"),
    ("epoch_digest", "''"),
    ("attached_at", "attached_at + interval '1 microsecond'"),
    ("attached_at", "'2000-01-01 00:00:00+00'"),
    ("attached_by", "'somebody'"),
    ("attached_by", "attached_by || ' '"),
    ("attached_by", "''"),
    ("mac", "sha256('x')"),
    ("mac", "''"),
    ("history_id", "gen_random_uuid()"),
]


@pytest.mark.parametrize(("column", "value"), CHANGED)
def test_a_setting_changed(two: Database, column: str, value: str) -> None:
    honest = two.value(f"SELECT encode(mac, 'hex') FROM seal.history WHERE {HISTORY}")
    two.run(f"UPDATE seal.history SET {column} = {value} WHERE {HISTORY}")
    expect_altered(two, SETTINGS)
    (finding,) = records(two, history="ledger")
    # What is found tells changes apart; what would be right is not said, or anybody could have a change signed.
    assert finding["expected"] is None
    assert re.fullmatch("content [0-9a-f]{32}", finding["found"])
    assert honest not in repr(finding)
    two.run(f"UPDATE seal.history SET window_months = 99 WHERE {HISTORY}")
    assert records(two, history="ledger")[0]["found"] != finding["found"]


@pytest.mark.parametrize(
    "column",
    ["epoch", "epoch_digest", "attached_at", "attached_by", "mac", "tenant_column", "history_id", "max_chains"],
)
def test_a_setting_null(two: Database, column: str) -> None:
    for statement in FREE:
        two.run(statement)
    two.run(nullable("history", column))
    two.run(f"UPDATE seal.history SET {column} = NULL WHERE {HISTORY}")
    expect_altered(two, SETTINGS)


@pytest.mark.parametrize(
    "change", ["detached_by = 'x'", "detach_mac = sha256('x')", "detached_by = '', detach_mac = ''"]
)
def test_marks_of_a_detachment_that_was_not(two: Database, change: str) -> None:
    two.run(f"UPDATE seal.history SET {change} WHERE {HISTORY}")
    (finding,) = assert_tampered(two, [ALTERED], None, "ledger")
    assert "detach" in finding["detail"]


@pytest.mark.parametrize("mac", ["NULL", "sha256('x')", "mac", "''"])
def test_marked_as_detached(two: Database, mac: str) -> None:
    """It would be left out of every answer."""
    change = f"detached_at = now(), detached_by = 'postgres', detach_mac = {mac}"
    two.run(f"UPDATE seal.history SET {change} WHERE {HISTORY}")
    found = records(two)
    assert [(f["history"], f["kind"], f["detail"]) for f in found] == [
        (
            "public.ledger",
            "configuration_altered",
            "history public.ledger is marked as detached, but not by pgseal under its key",
        )
    ]
    assert two.value("SELECT seal.is_intact()") is False


@pytest.mark.parametrize("column", ["epoch", "epoch_digest", "attached_at", "mac", "max_chains"])
def test_settings_of_two_histories_exchanged(two: Database, column: str) -> None:
    for statement in FREE:
        two.run(statement)
    two.run(f"UPDATE seal.history a SET {column} = b.{column} FROM seal.history b WHERE a.history_id <> b.history_id")
    expect_altered(two, SETTINGS, others=False)
    expect_altered(two, SETTINGS, history="diary", others=False)


def test_the_tables_of_two_histories_exchanged(two: Database) -> None:
    """Which table is meant is not signed, since restoring a dump changes it: all entries of both are nobody's."""
    for statement in FREE:
        two.run(statement)
    two.run("UPDATE seal.history a SET relation = b.relation FROM seal.history b WHERE a.history_id <> b.history_id")
    answers = two.rows("SELECT history, verdict, entries FROM seal.verify_history() ORDER BY 1")
    assert answers == [("public.diary", "tampered", 6), ("public.ledger", "tampered", 5)]


@pytest.mark.parametrize("relation", ["999999", "NULL", "0"])
def test_the_table_of_a_history_is_gone(two: Database, relation: str) -> None:
    two.run(nullable("history", "relation"))
    two.run(f"UPDATE seal.history SET relation = {relation} WHERE {HISTORY}")
    found = records(two)
    assert_sentences(found)
    assert [(f["history"], f["kind"]) for f in found][-1] == ("public.ledger", "configuration_altered")
    assert {f["kind"] for f in found} == {"configuration_altered"} and len(found) == 2
    assert two.value("SELECT seal.is_intact()") is False


def test_another_table_in_its_place(two: Database) -> None:
    two.run("CREATE TABLE innocent (id int PRIMARY KEY, tenant text, note text)")
    two.run(f"UPDATE seal.history SET relation = 'innocent'::regclass WHERE {HISTORY}")
    found = records(two)
    assert {f["kind"] for f in found} <= {"configuration_altered", "truncated"}
    assert ("public.ledger", "configuration_altered") in {(f["history"], f["kind"]) for f in found}


def test_a_history_removed(two: Database) -> None:
    two.run(f"DELETE FROM seal.history WHERE {HISTORY}")
    found = records(two)
    assert [(f["history"], f["kind"]) for f in found] == [("public.ledger", "configuration_altered")]
    assert found[0]["detail"] == "table public.ledger was sealed by pgseal, but its row was removed from seal.history"
    assert two.value("SELECT seal.is_intact()") is False


def test_a_history_removed_with_triggers_and_not_null(two: Database) -> None:
    """Nothing at the table tells that it was one; the server's memory does."""
    two.run("SET session_replication_role = replica")
    for trigger in ("seal", "guard", "truncate"):
        two.run(f"DROP TRIGGER zzz_pgseal_{trigger} ON ledger")
    for column in ("seal_chain", "seal_seq", "seal_mac"):
        two.run(f"ALTER TABLE ledger ALTER COLUMN {column} DROP NOT NULL")
    two.run("RESET session_replication_role")
    two.run(f"DELETE FROM seal.epoch WHERE {EPOCHS}")
    two.run(f"DELETE FROM seal.history WHERE {HISTORY}")
    found = records(two)
    assert [f["kind"] for f in found] == ["configuration_altered"]
    assert "removed from seal.history" in found[0]["detail"]


def test_all_records_removed(two: Database) -> None:
    two.run("DELETE FROM seal.epoch")
    two.run("DELETE FROM seal.history")
    found = [(f["history"], f["kind"]) for f in records(two)]
    assert found == [("public.diary", "configuration_altered"), ("public.ledger", "configuration_altered")]
    assert two.rows("SELECT DISTINCT verdict FROM seal.verify_history()") == [("tampered",)]


def test_a_history_there_twice(two: Database) -> None:
    for statement in FREE:
        two.run(statement)
    two.run(f"INSERT INTO seal.history SELECT * FROM seal.history WHERE {HISTORY}")
    found = records(two)
    assert {(f["history"], f["detail"]) for f in found} == {
        ("public.ledger", "history public.ledger stands twice in seal.history")
    }
    assert two.value("SELECT seal.is_intact()") is False


RECORD = "the record of epoch {} in seal.epoch was changed outside pgseal"

RECORDS = [
    ("record", "record || '{\"baseline\": true}'", "2"),
    ("record", 'record || \'{"key": "2"}\'', "2"),
    ("record", 'record || \'{"tenant": "note"}\'', "2"),
    ("record", "record - 'tenant'", "2"),
    ("record", "record - 'previous'", "2"),
    ("record", "record || '{\"more\": 1}'", "2"),
    ("record", "jsonb_set(record, '{id}', to_jsonb(gen_random_uuid()))", "2"),
    ("record", "jsonb_set(record, '{previous}', '\"00\"')", "2"),
    ("record", "jsonb_set(record, '{columns,0,id}', '9')", "2"),
    ("record", "jsonb_set(record, '{columns,2,name}', '\"other\"')", "2"),
    ("record", "jsonb_set(record, '{columns,0,type}', '\"bigint\"')", "2"),
    ("record", "jsonb_set(record, '{columns,2,default}', '\"x\"')", "2"),
    ("record", "record #- '{columns,2}'", "2"),
    ("record", "'{}'", "2"),
    ("record", "'null'", "2"),
    ("record", "'[1e400]'", "2"),
    ("mac", "sha256('x')", "2"),
    ("mac", "''", "2"),
    ("epoch", "3", "3"),
    ("epoch", "0", "0"),
    ("epoch", "-2", "-2"),
    ("epoch", "2147483647", "2147483647"),
]


@pytest.mark.parametrize(("column", "value", "number"), RECORDS)
def test_the_record_of_an_epoch_changed(two: Database, column: str, value: str, number: str) -> None:
    two.run(f"UPDATE seal.epoch SET {column} = {value} WHERE epoch = 2 AND {EPOCHS}")
    expect_altered(two, RECORD.format(number))


@pytest.mark.parametrize(("column", "number"), [("record", "1"), ("mac", "1"), ("epoch", "0")])
def test_the_record_of_an_epoch_null(two: Database, column: str, number: str) -> None:
    for statement in FREE:
        two.run(statement)
    two.run(nullable("epoch", column))
    two.run(f"UPDATE seal.epoch SET {column} = NULL WHERE epoch = 1 AND {EPOCHS}")
    expect_altered(two, RECORD.format(number))


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("how", ["DELETE FROM seal.epoch", "UPDATE seal.epoch SET history_id = gen_random_uuid()"])
def test_the_record_of_an_epoch_removed(two: Database, how: str, number: int) -> None:
    two.run(f"{how} WHERE epoch = {number} AND {EPOCHS}")
    expect_altered(two, f"the record of epoch {number} was removed from seal.epoch")


def test_all_epochs_removed(two: Database) -> None:
    two.run(f"DELETE FROM seal.epoch WHERE {EPOCHS}")
    expect_altered(two, "the record of epoch 1 was removed from seal.epoch")


@pytest.mark.parametrize("number", [1, 2])
def test_the_record_of_an_epoch_there_twice(two: Database, number: int) -> None:
    for statement in FREE:
        two.run(statement)
    two.run(f"INSERT INTO seal.epoch SELECT * FROM seal.epoch WHERE epoch = {number} AND {EPOCHS}")
    expect_altered(two, f"the record of epoch {number} stands twice in seal.epoch")


@pytest.mark.parametrize("column", ["record", "mac", "record = b.record, mac"])
def test_epochs_of_two_histories_exchanged(two: Database, column: str) -> None:
    """Also with their seal: it is of the history."""
    condition = "a.history_id <> b.history_id AND a.epoch = 1 AND b.epoch = 1"
    two.run(f"UPDATE seal.epoch a SET {column} = b.{column.rpartition(' ')[2]} FROM seal.epoch b WHERE {condition}")
    expect_altered(two, RECORD.format(1), others=False)
    expect_altered(two, RECORD.format(1), history="diary", others=False)


@pytest.mark.parametrize("column", ["record", "mac", "record = b.record, mac"])
def test_two_epochs_of_a_history_exchanged(two: Database, column: str) -> None:
    condition = f"a.history_id = b.history_id AND a.epoch + b.epoch = 3 AND a.{EPOCHS}"
    two.run(f"UPDATE seal.epoch a SET {column} = b.{column.rpartition(' ')[2]} FROM seal.epoch b WHERE {condition}")
    findings = assert_tampered(two, [ALTERED, ALTERED], None, "ledger")
    assert [f["detail"] for f in findings] == [RECORD.format(1), RECORD.format(2)]


def test_an_older_state_of_a_historys_row_put_back(db: Database) -> None:
    """Without the epochs that it does not know of, which stay."""
    db.run("CREATE TABLE ledger (id int PRIMARY KEY)")
    db.run("SELECT seal.attach('ledger')")
    db.run("CREATE TABLE older AS TABLE seal.history")
    db.run("ALTER TABLE ledger ADD COLUMN note text")
    db.run("INSERT INTO ledger (id, note) VALUES (1, 'x')")
    assert_intact(db)
    db.run("DELETE FROM seal.history")
    db.run("INSERT INTO seal.history TABLE older")
    found: list[Place] = [(f["kind"], f["chain"], f["position"], f["last_position"]) for f in records(db)]
    assert ALTERED in found
    assert db.value("SELECT seal.is_intact()") is False


def test_a_decoy_in_its_place(two: Database) -> None:
    """An older state of the table, with all that belongs to a history: what is gone from it is remembered."""
    two.run("SET LOCAL session_replication_role = replica")
    two.run("CREATE TABLE decoy (LIKE ledger INCLUDING ALL)")
    for name, event, function in [
        ("seal", "BEFORE INSERT ON {} FOR EACH ROW", "seal_entry"),
        ("guard", "BEFORE UPDATE OR DELETE ON {} FOR EACH ROW", "refuse_change"),
        ("truncate", "BEFORE TRUNCATE ON {} FOR EACH STATEMENT", "refuse_change"),
    ]:
        two.run(f"CREATE TRIGGER zzz_pgseal_{name} {event.format('decoy')} EXECUTE FUNCTION seal.{function}()")
        two.run(f"DROP TRIGGER zzz_pgseal_{name} ON ledger")
    two.run("INSERT INTO decoy SELECT * FROM ledger WHERE id < 5")
    two.run("ALTER TABLE decoy ENABLE ALWAYS TRIGGER zzz_pgseal_guard")
    two.run("ALTER TABLE decoy ENABLE ALWAYS TRIGGER zzz_pgseal_truncate")
    two.run(f"UPDATE seal.history SET relation = 'decoy'::regclass WHERE {HISTORY}")
    chain = two.value("SELECT DISTINCT seal_chain FROM decoy")
    *moved, _ = assert_tampered(two, [ALTERED, ALTERED, ALTERED, ("truncated", chain, 5, None)], None, "decoy")
    assert [finding["detail"] for finding in moved] == [
        "constraint decoy_pkey of table public.ledger was added outside pgseal",
        "table public.ledger was renamed or moved outside pgseal",
        "constraint ledger_pkey of table public.ledger was removed outside pgseal",
    ]
