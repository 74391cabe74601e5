"""The README's recipe for tables that are updated in place, as it stands there."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest

from support.cluster import ROOT
from support.database import Database
from support.roles import Roles

SECTION = "Tables that are updated in place"


def recipe() -> str:
    """The SQL of the README's section."""
    text = (ROOT / "README.md").read_text()
    section = text.split(f"\n## {SECTION}\n")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"^```sql\n(.*?)^```", section, re.DOTALL | re.MULTILINE))


@pytest.fixture
def recorded(db: Database) -> Database:
    """A database with the recipe and three tasks."""
    db.run(recipe())
    db.run(
        "INSERT INTO task VALUES (1, 'acme', NULL, 'open'), (2, 'acme', 'ann', 'open'), (3, 'other', 'eve', 'open')"
    )
    return db


def images(db: Database) -> list[tuple[Any, ...]]:
    return db.rows("SELECT tenant, row_key, action, old_row, new_row FROM change_history ORDER BY id")


def drift(db: Database) -> list[tuple[Any, ...]]:
    return db.rows("SELECT id, recorded ->> 'state', stored ->> 'state' FROM task_drift ORDER BY id")


def verdict(db: Database, tenant: str | None = None) -> tuple[Any, ...]:
    return db.rows("SELECT verdict, entries FROM seal.verify_history(%s, 'change_history')", [tenant])[0]


def test_every_change_leaves_an_image_of_both_sides(recorded: Database) -> None:
    recorded.run("UPDATE task SET assignee = 'bob', state = 'done' WHERE id = 1")
    recorded.run("DELETE FROM task WHERE id = 2")
    one = {"id": 1, "tenant": "acme", "assignee": None, "state": "open"}
    two = {"id": 2, "tenant": "acme", "assignee": "ann", "state": "open"}
    three = {"id": 3, "tenant": "other", "assignee": "eve", "state": "open"}
    assert images(recorded) == [
        ("acme", "1", "INSERT", None, one),
        ("acme", "2", "INSERT", None, two),
        ("other", "3", "INSERT", None, three),
        ("acme", "1", "UPDATE", one, {**one, "assignee": "bob", "state": "done"}),
        ("acme", "2", "DELETE", two, None),
    ]
    assert verdict(recorded) == ("intact", 5)
    assert verdict(recorded, "acme") == ("intact", 4)
    assert drift(recorded) == []


def test_upsert_merge_and_truncate_are_recorded(recorded: Database) -> None:
    recorded.run(
        "INSERT INTO task VALUES (1, 'acme', 'bob', 'done'), (4, 'acme', 'bob', 'new')"
        " ON CONFLICT (id) DO UPDATE SET state = EXCLUDED.state"
    )
    recorded.run("INSERT INTO task VALUES (1, 'acme', 'bob', 'lost') ON CONFLICT DO NOTHING")
    recorded.run("MERGE INTO task USING (VALUES (3)) AS source (id) ON task.id = source.id WHEN MATCHED THEN DELETE")
    recorded.run("TRUNCATE task")
    assert [(key, action) for _, key, action, _, _ in images(recorded)[3:]] == [
        ("1", "UPDATE"), ("4", "INSERT"), ("3", "DELETE"), (None, "TRUNCATE"),
    ]  # fmt: skip
    assert verdict(recorded) == ("intact", 7)
    assert drift(recorded) == []
    recorded.run("INSERT INTO task VALUES (1, 'acme', NULL, 'again')")
    assert drift(recorded) == []


def test_a_change_that_is_rolled_back_leaves_nothing(recorded: Database) -> None:
    with recorded.connect(autocommit=False) as session:
        session.execute("UPDATE task SET state = 'done'")
        session.rollback()
        session.execute("SAVEPOINT a")
        session.execute("DELETE FROM task WHERE id = 1")
        session.execute("ROLLBACK TO a")
        session.execute("UPDATE task SET state = 'late' WHERE id = 3")
        session.commit()
    assert [(key, action) for _, key, action, _, _ in images(recorded)[3:]] == [("3", "UPDATE")]
    assert verdict(recorded) == ("intact", 4)
    assert drift(recorded) == []


def test_the_application_needs_no_right_on_the_history(recorded: Database) -> None:
    roles = Roles(recorded)
    try:
        application = roles.session("app")
        name = application.info.user
        recorded.run(f"GRANT SELECT, INSERT, UPDATE ON task TO {name}")
        application.execute("UPDATE task SET state = 'done' WHERE id = 1")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            application.execute("INSERT INTO change_history (source, action) VALUES ('public.task', 'UPDATE')")
        assert recorded.rows("SELECT action, by FROM change_history WHERE id > 3") == [("UPDATE", name)]
        assert verdict(recorded) == ("intact", 4)
    finally:
        roles.drop()


def test_changes_with_the_trigger_off_show_as_drift(recorded: Database) -> None:
    recorded.run(
        "ALTER TABLE task DISABLE TRIGGER ALL;"
        "UPDATE task SET state = 'done' WHERE id = 1;"
        "DELETE FROM task WHERE id = 3;"
        "INSERT INTO task VALUES (9, 'acme', NULL, 'open');"
        "ALTER TABLE task ENABLE TRIGGER ALL"
    )
    assert drift(recorded) == [("1", "open", "done"), ("3", "open", None), ("9", None, "open")]
    assert verdict(recorded) == ("intact", 3)


def test_an_image_that_is_changed_to_fit_is_found(recorded: Database) -> None:
    recorded.run(
        "SET session_replication_role = replica;"
        "ALTER TABLE change_history DISABLE TRIGGER ALL; ALTER TABLE task DISABLE TRIGGER ALL;"
        "UPDATE task SET state = 'done' WHERE id = 1;"
        "UPDATE change_history SET new_row = (SELECT to_jsonb(task) FROM task WHERE id = 1) WHERE row_key = '1'"
    )
    assert drift(recorded) == []
    assert verdict(recorded) == ("tampered", 3)
    findings = recorded.rows("SELECT kind, row_key FROM seal.findings(history => 'change_history') WHERE position = 1")
    assert findings == [("modified", {"id": 1})]
