-- What a monitoring system reads. Names and types are those of metrics: docs/monitoring explains each.

CREATE FUNCTION seal.metrics_lines()
    RETURNS TABLE (database text, history text, key_usable bigint, chains bigint, entries bigint, unanchored_chains bigint,
                   verified bigint, verified_age_seconds double precision, run_age_seconds double precision,
                   last_verdict bigint, run_entries bigint, run_findings bigint, run_findings_new bigint,
                   run_findings_before_window bigint)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'metrics_lines_wrapper';
COMMENT ON FUNCTION seal.metrics_lines() IS 'Internal: the rows of the view seal.metrics.';

CREATE VIEW seal.metrics AS SELECT * FROM seal.metrics_lines();
COMMENT ON VIEW seal.metrics IS
'One row per attached history, for a monitoring system; verifies nothing and never fails. verified_age_seconds: since the last successful
verification, or since the table was attached; the others of a run: of the last recorded one, NULL before the first.
last_verdict: 0 no run, 1 intact, 2 intact_in_window, 3 nothing_sealed, 4 unverifiable, 5 tampered, 6 another.
Example: SELECT history, verified_age_seconds / 86400 AS days FROM seal.metrics WHERE last_verdict >= 4 OR verified = 0;';

CREATE FUNCTION seal.database_metrics_line()
    RETURNS TABLE (database text, up bigint, in_recovery bigint, key_usable bigint, histories bigint, scheduler_up bigint,
                   next_run_seconds double precision, running_seconds double precision, worker_ok bigint,
                   anchor_age_seconds double precision, anchor_wait_seconds double precision, unanchored_chains bigint,
                   alerts_waiting bigint, alerts_failed bigint, remembered_chains bigint, remembered_chains_limit bigint,
                   entries_sealed_total bigint, chain_waits_total bigint, chain_changes_total bigint,
                   chains_closed_total bigint, sealing_errors_total bigint, sealing_errors_key_total bigint,
                   sealing_errors_definition_total bigint, sealing_errors_record_total bigint,
                   sealing_errors_capacity_total bigint, sealing_errors_input_total bigint)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'database_metrics_line_wrapper';
COMMENT ON FUNCTION seal.database_metrics_line() IS 'Internal: the row of the view seal.database_metrics.';

CREATE VIEW seal.database_metrics AS SELECT * FROM seal.database_metrics_line();
COMMENT ON VIEW seal.database_metrics IS
'One row for this database, for a monitoring system; verifies nothing and never fails. Columns that end in _total count since the server''s start.
Example: SELECT * FROM seal.database_metrics;';
