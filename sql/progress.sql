-- What is being verified.

CREATE FUNCTION seal.progress_lines()
    RETURNS TABLE (pid integer, history text, phase text, entries_done bigint, entries_estimated bigint,
                   percent double precision, started timestamp with time zone)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'progress_lines_wrapper';
COMMENT ON FUNCTION seal.progress_lines() IS 'Internal: the rows of the view seal.verification_progress.';

CREATE VIEW seal.verification_progress AS SELECT * FROM seal.progress_lines();
COMMENT ON VIEW seal.verification_progress IS
'One row per history of this database that is being verified or pruned now, by whomever: a session or a scheduled run (pid, see pg_stat_activity).
phase: locking, reading the journal and anchors, checking entries, sorting entries, naming findings, checking generated columns, pruning.
entries_done, entries_estimated, percent: of this phase, parallel workers included; NULL where it is not known how many there will be.
Example: SELECT pid, history, phase, percent, now() - started AS since FROM seal.verification_progress;';
