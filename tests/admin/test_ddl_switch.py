"""The guard's switch, what it leaves alone, and its own event triggers."""

from __future__ import annotations

import pytest

from support.cluster import KEYLESS
from support.database import Database
from support.journal import forget, sentences
from support.refusal import refusal
from support.sealing import background, wait_for
from support.tampering import unguarded
from support.verification import assert_intact, kinds

HISTORY = "CREATE TABLE h (n int, t text); SELECT seal.attach('h'); INSERT INTO h VALUES (1, 'x')"


def test_off_in_a_replicas_session(db: Database) -> None:
    db.run(HISTORY)
    forget(db)
    for statement in [
        "CREATE INDEX i ON h (n)", "ALTER TABLE h DISABLE TRIGGER ALL", "DROP INDEX h_seal_chain_seal_seq_idx",
        "DROP TRIGGER zzz_pgseal_seal ON h", "DROP TABLE h",
    ]:  # fmt: skip
        db.run(unguarded(statement))
    assert sentences(db) == []
    assert kinds(db) == ["configuration_altered"]


def test_the_next_command_journals_only_what_it_does_itself(db: Database) -> None:
    db.run(HISTORY)
    forget(db)
    db.run(unguarded("CREATE INDEX secret ON h (n); ALTER TABLE h ALTER t SET DEFAULT 'bad'"))
    db.run("CREATE INDEX honest ON h (t)")
    db.run("ALTER TABLE h RENAME TO g")
    db.run("ALTER TABLE g ALTER n SET DEFAULT 7")
    assert sentences(db) == [
        "CREATE INDEX changed public.h: index honest was added",
        "ALTER TABLE changed public.h: it is called public.g now",
        "ALTER TABLE changed public.g: default of column n was added",
    ]


def test_a_guard_that_was_disabled_is_no_obstacle_and_stays_visible(db: Database) -> None:
    db.run(HISTORY)
    db.run(unguarded("ALTER TABLE h DISABLE TRIGGER zzz_pgseal_guard"))
    db.run("CREATE INDEX i ON h (n); ALTER TABLE h ALTER n SET DEFAULT 7")
    assert kinds(db) == ["configuration_altered"]
    db.run("ALTER TABLE h ENABLE ALWAYS TRIGGER zzz_pgseal_guard")
    assert_intact(db, 1)


@pytest.mark.parametrize("trigger", ["pgseal_before_ddl", "pgseal_after_ddl"])
def test_an_event_trigger_that_is_off_is_found(db: Database, trigger: str) -> None:
    db.run(HISTORY)
    for mode in ["DISABLE", "ENABLE REPLICA"]:
        db.run(f"ALTER EVENT TRIGGER {trigger} {mode}")
        ((kind, detail),) = db.rows("SELECT kind, detail FROM seal.findings()")
        assert kind == "configuration_altered" and f"event trigger {trigger}" in detail
    db.run(f"ALTER EVENT TRIGGER {trigger} ENABLE")
    assert_intact(db, 1)


@pytest.mark.parametrize("trigger", ["before", "after"])
def test_an_event_trigger_that_was_replaced_is_found(db: Database, trigger: str) -> None:
    db.run(HISTORY)
    event = {"before": "ddl_command_start", "after": "ddl_command_end"}[trigger]
    db.run(f"ALTER EXTENSION pgseal DROP EVENT TRIGGER pgseal_{trigger}_ddl; DROP EVENT TRIGGER pgseal_{trigger}_ddl")
    assert kinds(db) == ["configuration_altered"]
    db.run(f"CREATE EVENT TRIGGER pgseal_{trigger}_ddl ON {event} WHEN TAG IN ('ALTER TABLE')"
           f" EXECUTE FUNCTION seal.{trigger}_ddl()")  # fmt: skip
    assert kinds(db) == ["configuration_altered"]


def test_a_database_without_pgseal(db: Database) -> None:
    with db.cluster.database(extension=False) as other:
        db.run(HISTORY)
        other.run("""CREATE TABLE h (n int PRIMARY KEY, t text); CREATE INDEX i ON h (t);
                     ALTER TABLE h DISABLE TRIGGER ALL; CREATE SCHEMA seal; CREATE TABLE seal.t (a int)""")
        other.run("DROP TABLE h; DROP SCHEMA seal CASCADE")
        other.run("CREATE EXTENSION pgseal; CREATE TABLE h (n int); DROP TABLE h; DROP EXTENSION pgseal")


def test_temporary_tables_and_other_peoples_ddl(db: Database) -> None:
    db.run(HISTORY)
    forget(db)
    other = db.connect()
    for statement in [
        "CREATE TEMP TABLE h (n int) ON COMMIT DROP", "CREATE TEMP TABLE h (n int)",
        "ALTER TABLE h DISABLE TRIGGER ALL", "ALTER TABLE h DROP COLUMN n", "DROP TABLE h",
        "CREATE TEMP TABLE t1 (n int PRIMARY KEY)", "CREATE UNLOGGED TABLE u (n int)", "ALTER TABLE u RENAME TO u2",
        "DROP TABLE u2", "CREATE TABLE p (n int) PARTITION BY RANGE (n)", "CREATE TABLE p1 PARTITION OF p DEFAULT",
        "INSERT INTO p VALUES (1)", "DROP TABLE p1", "DROP TABLE p", "DISCARD ALL",
    ]:  # fmt: skip
        other.execute(statement.encode())
    other.close()
    assert sentences(db) == []
    assert_intact(db, 1)


def test_a_history_that_is_being_changed_does_not_hold_up_other_ddl(db: Database) -> None:
    db.run(f"{HISTORY}; CREATE TABLE g (n int); SELECT seal.attach('g')")
    forget(db)
    with db.connect(autocommit=False) as session:
        session.execute("ALTER TABLE h ALTER n SET DEFAULT 5")
        db.run("SET statement_timeout = '5s'; CREATE INDEX i ON g (n); CREATE TABLE o (a int); ALTER TABLE o ADD b int;"
               "DROP TABLE o; RESET statement_timeout")  # fmt: skip
        session.commit()
    assert sorted(sentences(db)) == [
        "ALTER TABLE changed public.h: default of column n was added",
        "CREATE INDEX changed public.g: index i was added",
    ]


def test_two_sessions_change_the_same_history(db: Database) -> None:
    db.run(HISTORY)
    forget(db)
    second = db.connect()
    with background() as start, db.connect(autocommit=False) as first:
        first.execute("ALTER TABLE h ALTER n SET DEFAULT 5")
        waiting = start(second, "ALTER TABLE h ALTER t SET DEFAULT 'y'")
        wait_for(db, "SELECT count(*) > 0 FROM pg_locks WHERE pid = %s AND NOT granted", [second.info.backend_pid])
        first.commit()
        waiting.result(20)
    assert sentences(db) == [
        "ALTER TABLE changed public.h: default of column n was added",
        "ALTER TABLE changed public.h: default of column t was added",
    ]


def test_without_the_key_what_must_be_journaled_is_refused(db: Database) -> None:
    db.run(HISTORY)
    cluster = db.cluster
    refused = "cannot follow a change of history"
    db.close()
    key_file = cluster.settings["pgseal.key_file"]
    cluster.configure(KEYLESS, restart=True)
    try:
        answer = refusal(db, "CREATE INDEX i ON h (n)")
        assert (answer.state, refused in answer.message, bool(answer.hint)) == ("55000", True, True)
        db.run("CREATE TABLE o (a int); ALTER TABLE h SET (fillfactor = 50); DROP TABLE o")
        db.run("SELECT seal.detach('h'); CREATE INDEX i ON h (n); DROP TABLE h")
    finally:
        db.close()
        cluster.configure({"pgseal.key_file": key_file, "pgseal.require_key": None}, restart=True)
