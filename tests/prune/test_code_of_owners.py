"""Triggers, foreign keys and rules of a table's owner meet pruning: nothing is lost, and nobody gains a right."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from support.clock import Clock
from support.database import Database
from support.pruning import aged, assert_nothing_pruned, assert_pruned, assert_whole, chain, prune, remaining, state
from support.refusal import CORRUPTED, refusal
from support.roles import Roles
from support.windows import damage

SECRETS = "CREATE TABLE loot (who text, is_superuser boolean); GRANT ALL ON loot TO PUBLIC"
NOTE = """INSERT INTO public.loot SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user"""


@pytest.fixture
def owned(db: Database, clock: Clock, roles: Roles) -> psycopg.Connection[Any]:
    """h with five entries to prune belongs to the role of this session, which is no superuser."""
    aged(db, clock)
    owner = roles.owner()
    db.run(f"ALTER TABLE h OWNER TO {owner.info.user}; {SECRETS}")
    db.run(f"GRANT CREATE ON SCHEMA public TO {owner.info.user}")
    return owner


def trigger(owner: psycopg.Connection[Any], body: str, when: str = "BEFORE DELETE", more: str = "") -> None:
    """A trigger of the owner's with a function of the owner's."""
    kind = "CONSTRAINT TRIGGER" if "DEFERR" in more else "TRIGGER"
    owner.execute(
        f"""CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
            CREATE {kind} aaa {when} ON h {more} FOR EACH ROW EXECUTE FUNCTION meddle()""".encode()
    )


def assert_unpruned(db: Database, sqlstate: str) -> str:
    """The run ends with an error, which undoes everything. Returns its text."""
    before = state(db)
    refused = refusal(db, "SELECT * FROM seal.verify_and_prune('h')")
    assert refused.state == sqlstate, refused
    assert state(db) == before
    assert_whole(db, {}, left=8)
    return refused.text


def superusers(db: Database) -> list[str]:
    return [name for (name,) in db.rows("SELECT rolname FROM pg_roles WHERE rolsuper ORDER BY 1")]


def test_it_runs_with_the_rights_of_the_owner(db: Database, owned: psycopg.Connection[Any]) -> None:
    trigger(owned, f"{NOTE}; RETURN OLD;")
    assert_pruned(db, prune(db), {chain(db): (1, 5)}, left=3)
    assert db.rows("SELECT * FROM loot") == [(owned.info.user, False)] * 5


def test_also_what_runs_after_the_deletion(db: Database, owned: psycopg.Connection[Any]) -> None:
    trigger(owned, f"{NOTE}; RETURN NULL;", "AFTER DELETE")
    assert_pruned(db, prune(db), {chain(db): (1, 5)}, left=3)
    assert db.rows("SELECT * FROM loot") == [(owned.info.user, False)] * 5


@pytest.mark.parametrize("more", ["DEFERRABLE INITIALLY DEFERRED", "DEFERRABLE INITIALLY IMMEDIATE"])
def test_what_would_run_at_commit(db: Database, owned: psycopg.Connection[Any], more: str) -> None:
    """By then the rights of whoever runs the pruning are back."""
    trigger(owned, f"{NOTE}; RETURN NULL;", "AFTER DELETE", more)
    run = prune(db)
    assert run["verdict"] == "intact"
    assert_nothing_pruned(db, run)
    assert "trigger aaa on public.h" in run["next_step"] and "DISABLE TRIGGER aaa" in run["next_step"]
    assert db.rows("SELECT * FROM loot") == []
    owned.execute("ALTER TABLE h DISABLE TRIGGER aaa")
    assert_pruned(db, prune(db), {chain(db): (1, 5)}, left=3)


@pytest.mark.parametrize("step", [
    "SET ROLE postgres", "RESET ROLE", "SET SESSION AUTHORIZATION postgres", "RESET SESSION AUTHORIZATION",
    "SET LOCAL ROLE postgres", "PERFORM set_config('role', 'postgres', true)",
    "EXECUTE 'ALTER ROLE ' || session_user || ' SUPERUSER'", "EXECUTE format('ALTER ROLE %I SUPERUSER', current_user)",
])  # fmt: skip
def test_no_way_to_be_somebody_else(db: Database, owned: psycopg.Connection[Any], step: str) -> None:
    before = superusers(db)
    trigger(owned, f"{step}; {NOTE}; EXECUTE format('ALTER ROLE %I SUPERUSER', '{owned.info.user}'); RETURN OLD;")
    assert_unpruned(db, "42501")
    assert superusers(db) == before
    assert db.rows("SELECT * FROM loot") == []


def test_settings_do_not_outlive_it(db: Database, owned: psycopg.Connection[Any]) -> None:
    """A search_path left behind would have the caller's next statements call functions of the owner's."""
    trigger(
        owned,
        """PERFORM set_config('search_path', 'evil, public', false);
           PERFORM set_config('statement_timeout', '7s', false);
           PERFORM set_config('row_security', 'on', false);
           PERFORM set_config('enable_seqscan', 'off', false);
           RETURN OLD;""",
    )
    shown = "SELECT name, setting FROM pg_settings WHERE source <> 'override' ORDER BY 1"
    before = db.rows(shown)
    assert_pruned(db, prune(db), {chain(db): (1, 5)}, left=3)
    assert db.rows(shown) == before


@pytest.mark.parametrize("body", ["RETURN NULL;", "IF OLD.id = 3 THEN RETURN NULL; END IF; RETURN OLD;"])
def test_a_trigger_that_keeps_rows(db: Database, owned: psycopg.Connection[Any], body: str) -> None:
    trigger(owned, body)
    text = assert_unpruned(db, CORRUPTED)
    assert "could not be deleted" in text or "could be deleted" in text


# Not again for the rows that it deletes itself.
ONCE = "IF pg_trigger_depth() = 1 THEN {}; END IF; RETURN OLD;"


@pytest.mark.parametrize(("body", "sqlstate"), [
    ("DELETE FROM public.h WHERE id = 7", "55000"),
    ("DELETE FROM ONLY public.h WHERE id > 5", "55000"),
    ("TRUNCATE public.h", "55006"),
    ("UPDATE public.h SET note = 'x' WHERE id = 7", "55000"),
    ("UPDATE public.h SET note = 'x' WHERE id = 2", "55000"),
    ("RAISE 'no' USING ERRCODE = 'P0001'", "P0001"),
    ("DELETE FROM public.h WHERE id = OLD.id + 1", "27000"),
])  # fmt: skip
def test_a_trigger_that_deletes_and_changes(
    db: Database, owned: psycopg.Connection[Any], body: str, sqlstate: str
) -> None:
    """What pruning may delete is open to nobody else, also not while it is at it."""
    trigger(owned, ONCE.format(body))
    assert_unpruned(db, sqlstate)


@pytest.mark.parametrize("deed", ["DELETE FROM public.h WHERE id >= 6", "UPDATE public.h SET note = 'x'",
                                  "TRUNCATE public.h", "DELETE FROM public.h WHERE id = 7"])  # fmt: skip
def test_a_trigger_that_swallows_the_refusal(db: Database, owned: psycopg.Connection[Any], deed: str) -> None:
    trigger(owned, ONCE.format(f"BEGIN {deed}; EXCEPTION WHEN OTHERS THEN NULL; END"))
    assert_pruned(db, prune(db), {chain(db): (1, 5)}, left=3)


def test_a_trigger_that_deletes_what_is_being_pruned_elsewhere(db: Database, owned: psycopg.Connection[Any]) -> None:
    """Chain and positions are the same in another history."""
    db.run("CREATE TABLE g (id int PRIMARY KEY, note text); SELECT seal.attach('g')")
    db.run(f"INSERT INTO public.g SELECT n, 'x' FROM generate_series(1, 5) n; ALTER TABLE g OWNER TO {owned.info.user}")
    trigger(owned, "DELETE FROM public.g WHERE id = OLD.id; RETURN OLD;")
    assert_unpruned(db, "55000")
    assert_whole(db, {}, left=5, name="g")


def test_a_trigger_that_inserts(db: Database, owned: psycopg.Connection[Any]) -> None:
    trigger(owned, "INSERT INTO public.h VALUES (100 + OLD.id, 'acme', 'was pruned'); RETURN OLD;")
    name = chain(db)
    prune(db)
    assert remaining(db) == [6, 7, 8, 101, 102, 103, 104, 105]
    assert_whole(db, {name: 5}, left=8)


@pytest.mark.parametrize("table", ["seal.journal", "seal.run", "seal.anchor", "seal.history"])
def test_a_trigger_gets_none_of_pgseals_rights(db: Database, owned: psycopg.Connection[Any], table: str) -> None:
    trigger(owned, f"DELETE FROM {table}; RETURN OLD;")
    assert_unpruned(db, "42501")


CHECKED = ["", "ON DELETE NO ACTION", "ON DELETE RESTRICT", "DEFERRABLE"]
REFUSED = ["ON DELETE CASCADE", "ON DELETE SET NULL", "ON DELETE SET DEFAULT", "DEFERRABLE INITIALLY DEFERRED",
           "ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED"]  # fmt: skip


def referenced(db: Database, clock: Clock, action: str) -> None:
    """A row of another table points at an old entry, one at a new one."""
    aged(db, clock)
    db.run(f"CREATE TABLE detail (h_id int REFERENCES h {action}); INSERT INTO detail VALUES (2), (7)")


@pytest.mark.parametrize("action", CHECKED)
def test_a_row_that_points_at_an_old_entry(db: Database, clock: Clock, action: str) -> None:
    """It is in the way as it would be of any deletion; once it has gone, the entry may go."""
    referenced(db, clock, action)
    assert "detail" in assert_unpruned(db, "23503")
    db.run("DELETE FROM detail WHERE h_id = 2")
    assert_pruned(db, prune(db), {chain(db): (1, 5)}, left=3)


@pytest.mark.parametrize("action", REFUSED)
def test_a_foreign_key_that_would_change_other_tables_or_wait(db: Database, clock: Clock, action: str) -> None:
    """Rows of other tables are neither taken along nor checked when it is too late."""
    referenced(db, clock, action)
    run = prune(db)
    assert run["verdict"] == "intact"
    assert_nothing_pruned(db, run)
    assert "detail_h_id_fkey" in run["next_step"]
    assert db.rows("SELECT h_id FROM detail ORDER BY 1") == [(2,), (7,)]


def test_a_rule_on_delete(db: Database, clock: Clock) -> None:
    """Made with the guard off, it is a finding; nothing is deleted and nothing happens instead."""
    aged(db, clock)
    db.run("CREATE TABLE other (id int)")
    damage(db, "CREATE RULE instead AS ON DELETE TO h DO INSTEAD INSERT INTO other VALUES (1)")
    run = prune(db)
    assert (run["verdict"], run["pruned"], remaining(db)) == ("tampered", 0, list(range(1, 9)))
    assert db.rows("SELECT * FROM other") == []


@pytest.mark.parametrize("right", ["DELETE", "SELECT", "DELETE, SELECT", "ALL"])
def test_an_owner_who_gave_rights_away(db: Database, owned: psycopg.Connection[Any], right: str) -> None:
    """Append-only by REVOKE as well: it is said what is missing, and given back it prunes."""
    owned.execute(f"REVOKE {right} ON h FROM {owned.info.user}".encode())
    run = prune(db)
    assert run["verdict"] == "intact"
    assert_nothing_pruned(db, run)
    assert f"GRANT SELECT, DELETE ON public.h TO {owned.info.user}" in run["next_step"]
    owned.execute(f"GRANT SELECT, DELETE ON h TO {owned.info.user}".encode())
    assert_pruned(db, prune(db), {chain(db): (1, 5)}, left=3)


def test_row_security(db: Database, owned: psycopg.Connection[Any]) -> None:
    """A policy hides rows from the owner, too; what pruning does not see it must not leave behind."""
    owned.execute("CREATE POLICY few ON h USING (id <> 3)")
    owned.execute("ALTER TABLE h ENABLE ROW LEVEL SECURITY; ALTER TABLE h FORCE ROW LEVEL SECURITY")
    run = prune(db)
    assert run["verdict"] == "intact"
    assert_nothing_pruned(db, run)
    assert "ALTER TABLE public.h NO FORCE ROW LEVEL SECURITY" in run["next_step"]
    owned.execute("ALTER TABLE h NO FORCE ROW LEVEL SECURITY")
    assert_pruned(db, prune(db), {chain(db): (1, 5)}, left=3)
