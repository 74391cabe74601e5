"""No answer looks like success by silence: there is always a line, its verdict comes first, and it says what to do."""

from __future__ import annotations

import pytest

from support.database import Database
from support.refusal import UNDEFINED_OBJECT, refusal
from support.tampering import unguarded
from support.verification import kinds, verdict, verdicts

SEALED = "CREATE TABLE h (n int, tenant text); SELECT seal.attach('h', 'tenant')"
ANSWER = "SELECT verdict, history, entries, findings, next_step FROM seal.verify_history(%s)"


def test_no_history_at_all(db: Database) -> None:
    for tenant in [None, "acme", ""]:
        (answer,) = db.records(ANSWER, [tenant])
        assert (answer["verdict"], answer["history"], answer["entries"]) == ("nothing_sealed", None, 0)
        assert "seal.attach('TABLE'" in answer["next_step"]
        assert db.value("SELECT seal.is_intact(%s)", [tenant]) is False
    assert db.rows("SELECT * FROM seal.findings()") == []


def test_an_empty_history(db: Database) -> None:
    db.run(SEALED)
    (answer,) = db.records(ANSWER, [None])
    assert (answer["verdict"], answer["history"]) == ("nothing_sealed", "public.h")
    assert answer["next_step"] == "no row was inserted since the table was attached"
    assert db.value("SELECT seal.is_intact()") is False
    assert db.value("SELECT seal.is_intact(history => 'h')") is False


def test_an_unknown_tenant(db: Database) -> None:
    db.run(f"{SEALED}; INSERT INTO h VALUES (1, 'acme')")
    for tenant in ["Acme", "acme ", "", "NULL", "acm", "acme'; --"]:
        (answer,) = db.records(ANSWER, [tenant])
        assert (answer["verdict"], answer["entries"]) == ("nothing_sealed", 0)
        assert f"no entry of tenant '{tenant}'" in answer["next_step"]
        assert db.value("SELECT seal.is_intact(%s)", [tenant]) is False


def test_a_tenant_where_there_is_no_tenant_column(db: Database) -> None:
    db.run("CREATE TABLE h (n int); SELECT seal.attach('h'); INSERT INTO h VALUES (1)")
    (answer,) = db.records(ANSWER, ["acme"])
    assert answer["verdict"] == "nothing_sealed"
    assert "has no tenant column" in answer["next_step"]
    db.run(answer["next_step"].partition(": ")[2])


@pytest.mark.parametrize(
    ("table", "names"),
    [("h", ["h", "public.h"]), ('"My Table"', ["My Table", 'public."My Table"']), ('"it\'s"', ["it's"])],
)
def test_the_tables_name_in_the_tenants_place(db: Database, table: str, names: list[str]) -> None:
    db.run(f"CREATE TABLE {table} (tenant text); INSERT INTO {table} VALUES ('acme')")
    db.run("SELECT seal.attach(%s::regclass, 'tenant', existing => 'seal')", [table])
    for name in names:
        (answer,) = db.records(ANSWER, [name])
        assert answer["verdict"] == "nothing_sealed"
        assert "is a history, not a tenant" in answer["next_step"] and "history =>" in answer["next_step"]
        command = answer["next_step"].partition("tenant: ")[2]
        assert db.rows(command)[0][0] == "intact"


def test_without_from_the_verdict_comes_first(db: Database) -> None:
    db.run(f"{SEALED}; INSERT INTO h VALUES (1, 'acme')")
    assert db.value("SELECT seal.verify_history()::text").startswith("(intact,public.h,main,1,")
    assert db.psql("SELECT seal.verify_history()").stdout.startswith("(intact,")
    assert db.value("SELECT seal.verify_history('nobody')::text").startswith("(nothing_sealed,")
    assert db.value("SELECT seal.verify_history(NULL, NULL, NULL)::text").startswith("(intact,")


def test_a_table_that_was_never_attached(db: Database) -> None:
    db.run(f"{SEALED}; CREATE TABLE plain (n int)")
    for question in ["verify_history", "findings", "is_intact"]:
        refused = refusal(db, f"SELECT * FROM seal.{question}(history => 'plain')")
        assert (refused.state, refused.message) == (UNDEFINED_OBJECT, 'table "public.plain" is not attached to pgseal')
        assert refused.detail == "Nothing of it is sealed, so there is nothing to verify."
        assert "SELECT seal.attach('public.plain')" in refused.hint


def test_a_run_that_does_not_exist_is_refused(db: Database) -> None:
    db.run(f"{SEALED}; INSERT INTO h VALUES (1)")
    refused = refusal(db, "SELECT * FROM seal.findings(run => 1)")
    assert (refused.state, refused.message) == (UNDEFINED_OBJECT, "there is no run 1")
    assert "seal.verification" in refused.hint


@pytest.mark.parametrize("line", ["x", "", " ", "pgseal-anchor 1", "pgseal-anchor 2 database=x"])
def test_a_witness_that_says_nothing_is_not_passed_over(db: Database, line: str) -> None:
    """Also where it could change nothing: before the first history, of a tenant, of one history."""
    for setting in ["", f"{SEALED}; INSERT INTO h VALUES (1, 'acme')"]:
        db.run(setting)
        for arguments in ["", "tenant => 'acme', ", "history => 'h', "][: 3 if setting else 1]:
            refused = refusal(db, f"SELECT * FROM seal.verify_history({arguments}witness => '{line}')")
            assert (refused.state, refused.message) == ("22023", "this is not the line of a witness")
            assert refused.detail.startswith("Reason: ")
            assert refused.hint.startswith("Give the whole line as it was written")


def test_a_dropped_table(db: Database) -> None:
    db.run(f"{SEALED}; INSERT INTO h VALUES (1, 'acme'); {unguarded('DROP TABLE h')}")
    for tenant in [None, "acme", "nobody"]:
        assert verdict(db, tenant) == "tampered"
        assert kinds(db, tenant) == ["configuration_altered"]
        assert db.value("SELECT seal.is_intact(%s)", [tenant]) is False
    (detail,) = db.rows("SELECT detail FROM seal.findings()")[0:1][0]
    assert "is gone" in detail
    assert db.rows("SELECT ok, problem FROM seal.status") == [(False, "the table is gone")]
    assert db.rows("SELECT ok FROM seal.check_setup() WHERE item = 'history'") == [(False,)]


def test_its_name_taken_by_another_table(db: Database) -> None:
    db.run(f"{SEALED}; INSERT INTO h VALUES (1, 'acme'); {unguarded('DROP TABLE h')}; CREATE TABLE h (n int, tenant text)")
    assert verdict(db) == "tampered"
    db.run("SELECT seal.attach('h', 'tenant'); INSERT INTO h VALUES (1, 'acme')")
    assert sorted(verdicts(db)) == ["intact", "tampered"]


def test_a_removed_row_of_the_settings(db: Database) -> None:
    db.run(f"{SEALED}; INSERT INTO h VALUES (1, 'acme'); DELETE FROM seal.history")
    for tenant in [None, "acme", "nobody"]:
        assert verdict(db, tenant) == "tampered"
        assert kinds(db, tenant) == ["configuration_altered"]
        assert db.value("SELECT seal.is_intact(%s)", [tenant]) is False


def test_also_with_its_epochs_or_of_an_empty_history(db: Database) -> None:
    db.run(f"{SEALED}; DELETE FROM seal.history; DELETE FROM seal.epoch")
    assert verdict(db) == "tampered"
    assert refusal(db, "INSERT INTO h VALUES (1)").hint


def test_the_removed_row_does_not_hide_behind_others(db: Database) -> None:
    db.run(f"{SEALED}; INSERT INTO h VALUES (1, 'acme')")
    db.run("CREATE TABLE g (n int); SELECT seal.attach('g'); INSERT INTO g VALUES (1)")
    db.run("DELETE FROM seal.history WHERE relation = 'h'::regclass")
    assert dict(db.rows("SELECT history, verdict FROM seal.verify_history()")) == {
        "public.g": "intact",
        "public.h": "tampered",
    }
    assert db.value("SELECT seal.is_intact()") is False


def test_another_table_in_the_settings(db: Database) -> None:
    db.run(f"{SEALED}; INSERT INTO h VALUES (1, 'acme'); CREATE TABLE g (n int, tenant text)")
    db.run("UPDATE seal.history SET relation = 'g'::regclass")
    answer = dict(db.rows("SELECT history, verdict FROM seal.verify_history()"))
    assert answer["public.h"] == "tampered" and answer["public.g"] == "tampered"


@pytest.mark.parametrize("value", ["0", "NULL", "'seal.status'::regclass"])
def test_no_table_in_the_settings(db: Database, value: str) -> None:
    db.run(f"{SEALED}; INSERT INTO h VALUES (1, 'acme'); ALTER TABLE seal.history ALTER relation DROP NOT NULL")
    db.run(f"UPDATE seal.history SET relation = {value}")
    assert set(verdicts(db)) == {"tampered"}
    assert db.value("SELECT seal.is_intact()") is False
    assert db.rows("SELECT ok FROM seal.status") in ([(False,)], [])


def test_several_histories_each_have_a_line(db: Database) -> None:
    for name in ["a", "b", "c"]:
        db.run(f"CREATE TABLE {name} (n int, tenant text); SELECT seal.attach('{name}', 'tenant')")
    db.run("INSERT INTO a VALUES (1, 'acme'), (2, 'acme'); INSERT INTO b VALUES (1, 'other')")
    rows = db.rows("SELECT history, verdict, entries FROM seal.verify_history('acme') ORDER BY 1")
    assert rows == [("public.a", "intact", 2), ("public.b", "nothing_sealed", 0), ("public.c", "nothing_sealed", 0)]
    assert db.value("SELECT seal.is_intact('acme')") is False
    assert db.value("SELECT seal.is_intact('acme', 'a')") is True
