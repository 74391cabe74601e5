-- Nothing for PUBLIC; each role gets what it needs.

REVOKE ALL ON SCHEMA seal FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA seal FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA seal FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA seal FROM PUBLIC;

GRANT USAGE ON SCHEMA seal TO pgseal_auditor, pgseal_operator, pgseal_admin;

-- Auditors verify. They need no right on the histories themselves.
GRANT EXECUTE ON FUNCTION seal.verify_history(text, regclass, text) TO pgseal_auditor, pgseal_operator, pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.verify_since_checkpoint(regclass) TO pgseal_auditor, pgseal_operator, pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.findings(text, regclass, bigint) TO pgseal_auditor, pgseal_operator, pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.is_intact(text, regclass) TO pgseal_auditor, pgseal_operator, pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.check_witness(text) TO pgseal_auditor, pgseal_operator, pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.report(text, regclass, timestamp with time zone, timestamp with time zone, text, text) TO pgseal_auditor, pgseal_operator, pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.check_report(text) TO pgseal_auditor, pgseal_operator, pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.acknowledge(text, regclass, text, text, bigint) TO pgseal_auditor, pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.document(record) TO pgseal_auditor, pgseal_operator, pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.status_lines() TO pgseal_auditor, pgseal_operator, pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.metrics_lines() TO pgseal_auditor, pgseal_operator, pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.database_metrics_line() TO pgseal_auditor, pgseal_operator, pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.progress_lines() TO pgseal_auditor, pgseal_operator, pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.check_setup() TO pgseal_auditor, pgseal_operator, pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.hold_lines(), seal.run_lines(), seal.key_lines() TO pgseal_auditor, pgseal_operator, pgseal_admin;
GRANT SELECT ON seal.status, seal.metrics, seal.database_metrics, seal.verification_progress, seal.history, seal.epoch, seal.journal, seal.anchor, seal.run, seal.checkpoint, seal.closing, seal.verification, seal.holds, seal.keys, seal.alert TO pgseal_auditor, pgseal_operator, pgseal_admin;

-- A monitoring system reads numbers and names of histories, nothing else.
GRANT USAGE ON SCHEMA seal TO pg_monitor;
GRANT EXECUTE ON FUNCTION seal.metrics_lines() TO pg_monitor;
GRANT EXECUTE ON FUNCTION seal.database_metrics_line() TO pg_monitor;
GRANT EXECUTE ON FUNCTION seal.progress_lines() TO pg_monitor;
GRANT SELECT ON seal.metrics, seal.database_metrics, seal.verification_progress TO pg_monitor;

-- Operators verify for the record, prune, and hold.
GRANT EXECUTE ON FUNCTION seal.verify_and_prune(regclass, boolean) TO pgseal_operator, pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.hold(regclass, text, text) TO pgseal_operator, pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.release(regclass, text, text) TO pgseal_operator, pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.accept_clock(text) TO pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.test_alert(), seal.deliver_alerts() TO pgseal_operator, pgseal_admin;

-- Administrators attach; each function also asks for ownership of the table.
GRANT EXECUTE ON FUNCTION seal.attach(regclass, name, integer, integer, text, uuid) TO pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.detach(regclass) TO pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.set_window(regclass, integer) TO pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.set_schedule(regclass, text) TO pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.open_epoch(regclass) TO pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.rotate_key(), seal.retire_key(text) TO pgseal_admin;
-- CREATE TRIGGER, which seal.attach runs with the owner's rights, asks for these two.
GRANT EXECUTE ON FUNCTION seal.seal_entry() TO pgseal_admin;
GRANT EXECUTE ON FUNCTION seal.refuse_change() TO pgseal_admin;
