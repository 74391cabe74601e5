"""The public surface: whatever is new must be written down here, and nothing of it is anybody's by default."""

from __future__ import annotations

from support.database import Database

FUNCTIONS = {
    "seal.attach(regclass,name,integer,integer,text,uuid)",
    "seal.detach(regclass)",
    "seal.set_schedule(regclass,text)",
    "seal.open_epoch(regclass)",
    "seal.set_window(regclass,integer)",
    "seal.hold(regclass,text,text)",
    "seal.release(regclass,text,text)",
    "seal.hold_lines()",
    "seal.new_stream()",
    "seal.rotate_key()",
    "seal.retire_key(text)",
    "seal.key_lines()",
    "seal.history_secret(regclass)",
    "seal.accept_clock(text)",
    "seal.verify_and_prune(regclass,boolean)",
    "seal.run_lines()",
    "seal.lock_tables(text[],text)",
    "seal.table_changes(pg_ddl_command)",
    "seal.before_ddl()",
    "seal.after_ddl()",
    "seal.seal_entry()",
    "seal.refuse_change()",
    "seal.take_in()",
    "seal.document(record)",
    "seal.verify_history(text,regclass,text)",
    "seal.verify_since_checkpoint(regclass)",
    "seal.findings(text,regclass,bigint)",
    "seal.is_intact(text,regclass)",
    "seal.check_witness(text)",
    "seal.report(text,regclass,timestamp with time zone,timestamp with time zone,text,text)",
    "seal.check_report(text)",
    "seal.acknowledge(text,regclass,text,text,bigint)",
    "seal.status_lines()",
    "seal.metrics_lines()",
    "seal.database_metrics_line()",
    "seal.progress_lines()",
    "seal.check_setup()",
    "seal.test_alert()",
    "seal.deliver_alerts()",
    'seal.audit_add(internal,text,text,bigint,integer,bigint,timestamp with time zone,bytea,bytea,tid,"any")',
    "seal.audit_merge(internal,internal)",
    "seal.audit_save(internal)",
    "seal.audit_load(bytea,internal)",
    "seal.audit_finish(internal)",
    'seal.locate_add(internal,text,text,bigint,integer,bigint,timestamp with time zone,bytea,bytea,tid,"any")',
    "seal.locate_finish(internal)",
}
AGGREGATES = {
    'seal.audit(text,text,bigint,integer,bigint,timestamp with time zone,bytea,bytea,tid,"any")',
    'seal.locate(text,text,bigint,integer,bigint,timestamp with time zone,bytea,bytea,tid,"any")',
}
TABLES = {
    *("seal.history", "seal.epoch", "seal.journal", "seal.anchor", "seal.run", "seal.checkpoint", "seal.closing"),
    "seal.alert",
}
VIEWS = {
    *("seal.status", "seal.verification", "seal.holds", "seal.keys", "seal.metrics", "seal.database_metrics"),
    "seal.verification_progress",
}
SEQUENCES = {"seal.run_id", "seal.alert_id_seq"}
RELATIONS = {(table, "r") for table in TABLES} | {(view, "v") for view in VIEWS} | {
    (sequence, "S") for sequence in SEQUENCES
}
ROLES = {"pgseal_admin", "pgseal_auditor", "pgseal_operator"}
SETTINGS = {
    "pgseal.alert_command": "sighup",
    "pgseal.alert_retry_interval": "sighup",
    "pgseal.anchor_interval": "sighup",
    "pgseal.chain_name": "postmaster",
    "pgseal.checkpoint_interval": "sighup",
    "pgseal.key_command": "postmaster",
    "pgseal.key_command_timeout": "postmaster",
    "pgseal.verification_file": "postmaster",
    "pgseal.key_evolution": "postmaster",
    "pgseal.key_file": "postmaster",
    "pgseal.key_state_file": "postmaster",
    "pgseal.mail_cc": "sighup",
    "pgseal.mail_credentials_file": "sighup",
    "pgseal.mail_from": "sighup",
    "pgseal.mail_on_success": "sighup",
    "pgseal.mail_server": "sighup",
    "pgseal.mail_subject": "sighup",
    "pgseal.mail_text": "sighup",
    "pgseal.mail_tls_ca_file": "sighup",
    "pgseal.mail_to": "sighup",
    "pgseal.max_heads": "postmaster",
    "pgseal.require_key": "postmaster",
    "pgseal.schedule": "sighup",
    "pgseal.schedule_timezone": "sighup",
    "pgseal.witness_command": "sighup",
    "pgseal.witness_interval": "sighup",
}
STATUS = [
    *("history", "ok", "problem", "chains", "entries", "key_id", "key_fingerprint", "epoch", "window_months"),
    *("last_anchor", "anchor", "unanchored", "worker", "not_covered"),
    *("last_verified", "last_verdict", "verified_age", "next_run"),
]
MEMBERS = """SELECT {columns} FROM pg_depend d {join}
              WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
                AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pgseal')"""


def test_functions_and_aggregates(db: Database) -> None:
    join = "JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid"
    found = db.rows(MEMBERS.format(columns="p.oid::regprocedure::text, p.prokind", join=join))
    assert {name for name, kind in found if kind == "f"} == FUNCTIONS
    assert {name for name, kind in found if kind == "a"} == AGGREGATES
    assert len(found) == len(FUNCTIONS) + len(AGGREGATES)


def test_tables_and_views(db: Database) -> None:
    join = "JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid"
    assert set(db.rows(MEMBERS.format(columns="c.oid::regclass::text, c.relkind", join=join))) == RELATIONS


def test_objects_of_no_other_kind(db: Database) -> None:
    found = dict(
        db.rows(
            "SELECT identity.type, count(*)"
            + MEMBERS.format(columns="d.classid, d.objid, d.objsubid", join="").join([" FROM (", ") m"])
            + " CROSS JOIN LATERAL pg_identify_object(m.classid, m.objid, m.objsubid) AS identity GROUP BY 1"
        )
    )
    # A row type and an array type for each relation come with it.
    for implied in ["type", "composite type"]:
        found.pop(implied, None)
    assert found == {
        "schema": 1, "table": len(TABLES), "view": len(VIEWS), "sequence": len(SEQUENCES), "function": len(FUNCTIONS), "aggregate": len(AGGREGATES),
        "event trigger": 2,
    }  # fmt: skip


def test_the_columns_of_the_status(db: Database) -> None:
    columns = "SELECT attname FROM pg_attribute WHERE attrelid = 'seal.status'::regclass AND attnum > 0 ORDER BY attnum"
    assert [name for (name,) in db.rows(columns)] == STATUS


def test_the_schema_holds_nothing_that_is_not_the_extensions(db: Database) -> None:
    for catalog, schema in [("pg_proc", "pronamespace"), ("pg_class", "relnamespace"), ("pg_type", "typnamespace")]:
        strays = db.rows(
            f"SELECT o.oid FROM {catalog} o WHERE {schema} = 'seal'::regnamespace AND NOT EXISTS"
            f" (SELECT FROM pg_depend d WHERE d.classid = '{catalog}'::regclass AND d.objid = o.oid"
            "   AND d.deptype IN ('e', 'i', 'a'))"
        )
        assert strays == [], catalog


def test_the_event_triggers(db: Database) -> None:
    found = db.rows("SELECT evtname, evtevent, evtenabled, evtfoid::regproc::text FROM pg_event_trigger")
    assert found == [
        ("pgseal_before_ddl", "ddl_command_start", "O", "seal.before_ddl"),
        ("pgseal_after_ddl", "ddl_command_end", "O", "seal.after_ddl"),
    ]
    assert len(set(db.rows("SELECT evttags::text FROM pg_event_trigger"))) == 1


def test_roles(db: Database) -> None:
    rows = db.rows(
        "SELECT rolname, rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
        "  FROM pg_roles WHERE rolname LIKE 'pgseal%'"
    )
    assert dict(rows) == dict.fromkeys(ROLES, False)
    groups = db.rows(
        "SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname LIKE 'pgseal\\_%'"
    )
    assert groups == []


def test_settings(db: Database) -> None:
    found = db.rows("SELECT name, context FROM pg_settings WHERE name LIKE 'pgseal%'")
    assert dict(found) == SETTINGS
    assert db.value("SHOW pgseal.key") == "(not shown)"


def test_everything_is_explained_by_a_comment(db: Database) -> None:
    silent = db.rows(
        "SELECT p.oid::regprocedure::text FROM pg_proc p WHERE pronamespace = 'seal'::regnamespace"
        " AND obj_description(p.oid, 'pg_proc') IS NULL"
    )
    internal = {name for name in FUNCTIONS if name.startswith(("seal.audit_", "seal.locate_"))}
    assert {name for (name,) in silent} <= internal
    assert (
        db.rows(
            "SELECT c.relname FROM pg_class c WHERE relnamespace = 'seal'::regnamespace AND relkind IN ('r', 'v')"
            " AND obj_description(c.oid, 'pg_class') IS NULL"
        )
        == []
    )


def test_nothing_is_granted_to_public(db: Database) -> None:
    assert db.value("SELECT has_schema_privilege('public', 'seal', 'USAGE, CREATE')") is False
    assert (
        db.rows(
            "SELECT p.oid::regprocedure::text FROM pg_proc p"
            " WHERE pronamespace = 'seal'::regnamespace AND has_function_privilege('public', p.oid, 'EXECUTE')"
        )
        == []
    )
    assert (
        db.rows(
            "SELECT c.relname FROM pg_class c WHERE relnamespace = 'seal'::regnamespace AND relkind IN ('r', 'v', 'S')"
            " AND has_table_privilege('public', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')"
        )
        == []
    )
    assert (
        db.rows(
            "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
            " WHERE c.relnamespace = 'seal'::regnamespace AND a.attacl IS NOT NULL"
        )
        == []
    )


def test_what_each_role_may(db: Database) -> None:
    questions = {"verify_history", "findings", "is_intact", "check_witness", "document", "check_setup"}
    questions |= {"verify_since_checkpoint", "status_lines", "run_lines", "hold_lines", "key_lines"}
    questions |= {"metrics_lines", "database_metrics_line", "progress_lines"}
    questions |= {"report", "check_report"}
    auditor = questions | {"acknowledge"}
    operator = questions | {"verify_and_prune", "hold", "release", "test_alert", "deliver_alerts"}
    admin = auditor | operator | {"attach", "detach", "open_epoch", "set_window", "set_schedule", "accept_clock"}
    admin |= {"rotate_key", "retire_key"}
    admin |= {"seal_entry", "refuse_change"}
    for role, expected in {"pgseal_auditor": auditor, "pgseal_operator": operator, "pgseal_admin": admin}.items():
        found = db.rows(
            "SELECT proname FROM pg_proc"
            " WHERE pronamespace = 'seal'::regnamespace AND has_function_privilege(%s, oid, 'EXECUTE')",
            [role],
        )
        assert {name for (name,) in found} == expected, role
        for relation in TABLES | VIEWS:
            assert db.value("SELECT has_table_privilege(%s, %s, 'SELECT')", [role, relation])
            assert not db.value(
                "SELECT has_table_privilege(%s, %s, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')",
                [role, relation],
            )
