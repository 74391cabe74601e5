"""What an answer says that rests on a checkpoint, and when it does."""

from __future__ import annotations

import pytest

from support.checkpointing import add, answer, assert_full, assert_rests, checkpoint, ledger, since
from support.database import Database
from support.sealing import attach


def test_without_one_the_whole_history_is_read(db: Database) -> None:
    ledger(db)
    line = answer(db, "acme")
    assert_full(line, "intact")
    assert line["basis"].split("; ")[1] == "there was no checkpoint to rest on"
    assert_full(since(db), "intact")


def test_a_tenants_answer(db: Database) -> None:
    ledger(db)
    run = checkpoint(db)
    line = answer(db, "acme")
    assert_rests(line, 4, since=0)
    assert f"(run {run}: 12 entries)" in line["basis"]
    assert "4 of this tenant, each checked and compared with its census" in line["basis"]
    [times] = db.rows("SELECT min(seal_at), max(seal_at) FROM h WHERE tenant = 'acme'")
    assert (line["first_sealed_at"], line["last_sealed_at"]) == times


def test_entries_since_belong_to_it(db: Database) -> None:
    ledger(db)
    checkpoint(db)
    add(db, 13, 15, "acme")
    add(db, 16, 20, "zeta")
    assert_rests(answer(db, "acme"), 7, since=8)
    assert_rests(answer(db, "zeta"), 9, since=8)
    assert db.rows("SELECT * FROM seal.findings('acme')") == []
    assert db.value("SELECT seal.is_intact('acme')")


def test_a_new_tenant_and_one_that_never_was(db: Database) -> None:
    ledger(db)
    checkpoint(db)
    add(db, 13, 13, "new")
    assert_rests(answer(db, "new"), 1, since=1)
    assert_rests(answer(db, "acmee"), 0, since=1, verdict="nothing_sealed")
    assert_rests(answer(db, ""), 0, since=1, verdict="nothing_sealed")


def test_new_chains_are_since(db: Database) -> None:
    ledger(db)
    checkpoint(db)
    sessions = [db.connect(autocommit=False) for _ in range(4)]
    for number, session in enumerate(sessions):
        session.execute(f"INSERT INTO h VALUES ({20 + number}, 'acme', 'x')".encode())
    for session in sessions:
        session.commit()
        session.close()
    assert db.value("SELECT count(DISTINCT seal_chain) FROM h") == 4
    assert_rests(answer(db, "acme"), 8, since=4)
    assert_rests(since(db), 4, since=4)


def test_everything_is_read_where_everything_is_asked(db: Database) -> None:
    ledger(db)
    checkpoint(db)
    assert_full(answer(db, None), "intact")


def test_since_the_checkpoint(db: Database) -> None:
    ledger(db)
    checkpoint(db)
    assert_rests(since(db), 0, since=0)
    add(db, 13, 15, "acme")
    line = since(db)
    assert_rests(line, 3, since=3)
    assert "what the checkpoint has was not read again" in line["basis"]
    assert [line["history"] for line in db.records("SELECT * FROM seal.verify_since_checkpoint()")] == ["public.h"]


def test_a_run_of_an_empty_history_leaves_none(db: Database) -> None:
    """Nothing sealed is not a success."""
    ledger(db, rows=0)
    assert db.value("SELECT verdict FROM seal.verify_and_prune('h')") == "nothing_sealed"
    assert db.value("SELECT count(*) FROM seal.checkpoint") == 0
    add(db, 1, 2, "acme")
    assert_full(since(db), "intact")


def test_the_next_run_takes_its_place(db: Database) -> None:
    ledger(db)
    checkpoint(db)
    add(db, 13, 15, "acme")
    second = checkpoint(db)
    line = answer(db, "acme")
    assert_rests(line, 7, since=0)
    assert f"(run {second}: 15 entries)" in line["basis"]
    assert db.value("SELECT count(*) FROM seal.checkpoint") == 1


def test_a_trial_leaves_none(db: Database) -> None:
    ledger(db)
    db.run("SELECT seal.verify_and_prune('h', dry_run => true)")
    assert db.value("SELECT count(*) FROM seal.checkpoint") == 0


def test_a_run_that_is_rolled_back_leaves_none(db: Database) -> None:
    ledger(db)
    with db.connection.transaction(force_rollback=True):
        checkpoint(db)
        assert_rests(answer(db, "acme"), 4, since=0)
    assert_full(answer(db, "acme"), "intact")


def test_own_rows_that_are_not_committed(db: Database) -> None:
    ledger(db)
    checkpoint(db)
    with db.connection.transaction():
        add(db, 13, 14, "acme")
        assert_rests(answer(db, "acme"), 6, since=2)
        checkpoint(db)
        assert_rests(answer(db, "acme"), 6, since=0)
    assert_rests(answer(db, "acme"), 6, since=0)


def test_several_histories(db: Database) -> None:
    """Each answer rests on what there is for it."""
    ledger(db)
    ledger(db, name="other")
    checkpoint(db)
    lines = db.records("SELECT * FROM seal.verify_history('acme') ORDER BY history")
    assert_rests(lines[0], 4, since=0)
    assert_full(lines[1], "intact")


@pytest.mark.parametrize(
    ("type_name", "values", "asked"),
    [
        ("int", ["7", "-8"], {"7": 3, "-8": 3, "07": 0, "seven": 0, "99999999999": 0, "7 ": 0}),
        ("bigint", ["7", "-9223372036854775808"], {"7": 3, "-9223372036854775808": 3, "+7": 0}),
        ("smallint", ["7", "8"], {"7": 3, "70000": 0}),
        (
            "uuid",
            ["'00000000-0000-0000-0000-00000000000a'", "NULL"],
            {"00000000-0000-0000-0000-00000000000a": 3, "00000000-0000-0000-0000-00000000000A": 0, "a": 0},
        ),
        ("varchar(9)", ["'it''s'", "'\\'"], {"it's": 3, "\\": 3, "its": 0}),
        ("char(4)", ["'ab'", "'cd'"], {"ab  ": 3, "ab": 0}),
        ("numeric", ["1.0", "1.00"], {"1.0": 3, "1.00": 3, "1": 0}),
        ("date", ["'2026-01-31'", "'2026-02-01'"], {"2026-01-31": 3, "31.01.2026": 0}),
        ("jsonb", ["'{\"a\": 1}'", "'1'"], {'{"a": 1}': 3, "1": 3, '{"a":1}': 0}),
    ],
)
def test_tenants_of_other_types(db: Database, type_name: str, values: list[str], asked: dict[str, int]) -> None:
    """The tenant is the text that the type prints, no other spelling of it."""
    db.run(f"CREATE TABLE h (id int PRIMARY KEY, tenant {type_name})")
    attach(db, "h", "tenant_column => 'tenant'")
    for number in range(6):
        db.run(f"INSERT INTO h VALUES ({number}, {values[number % 2]})")
    checkpoint(db)
    for tenant, count in asked.items():
        verdict = "intact" if count else "nothing_sealed"
        assert_rests(answer(db, tenant), count, since=0, verdict=verdict)


def test_a_collation_that_takes_different_texts_for_equal(db: Database) -> None:
    db.run("CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    db.run("CREATE TABLE h (id int PRIMARY KEY, tenant text COLLATE nocase)")
    db.run("CREATE INDEX ON h (tenant)")
    attach(db, "h", "tenant_column => 'tenant'")
    db.run("INSERT INTO h VALUES (1, 'acme'), (2, 'ACME'), (3, 'Acme')")
    checkpoint(db)
    assert_rests(answer(db, "acme"), 1, since=0)
    assert_rests(answer(db, "aCmE"), 0, since=0, verdict="nothing_sealed")


def test_a_history_without_tenants(db: Database) -> None:
    db.run("CREATE TABLE h (id int PRIMARY KEY)")
    attach(db)
    db.run("INSERT INTO h SELECT generate_series(1, 5)")
    checkpoint(db)
    db.run("INSERT INTO h VALUES (6)")
    assert_rests(since(db), 1, since=1)
    assert_rests(answer(db, "acme"), 0, since=1, verdict="nothing_sealed")


def test_a_renamed_tenant_column(db: Database) -> None:
    ledger(db)
    checkpoint(db)
    db.run("ALTER TABLE h RENAME tenant TO client")
    add(db, 13, 13, "acme")
    assert_rests(answer(db, "acme"), 5, since=1)


def test_partitions(db: Database) -> None:
    db.run("CREATE TABLE h (id int, tenant text, note text, PRIMARY KEY (id)) PARTITION BY RANGE (id)")
    for n in range(3):
        db.run(f"CREATE TABLE h{n} PARTITION OF h FOR VALUES FROM ({n * 10}) TO ({n * 10 + 10})")
    attach(db, "h", "tenant_column => 'tenant'")
    add(db, 1, 12, "acme")
    checkpoint(db)
    add(db, 13, 25, "zeta")
    assert_rests(answer(db, "acme"), 12, since=13)
    assert_rests(since(db), 13, since=13)
