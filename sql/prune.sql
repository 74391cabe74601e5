-- Recorded runs, pruning, and what keeps entries from being pruned.

-- A function, so that no view hangs on the columns of the tables.
CREATE FUNCTION seal.run_lines()
    RETURNS TABLE (run bigint, history text, started timestamp with time zone, finished timestamp with time zone, how text,
                   who text, verdict text, entries bigint, findings bigint, findings_new bigint, findings_before_window bigint,
                   window_months integer, window_start timestamp with time zone, pruned jsonb, pruned_entries bigint,
                   not_pruned text, found jsonb, keys jsonb, basis text, host text, version text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $lines$
    SELECT r.id,
           r.record ->> 'history',
           '2000-01-01 00:00:00+00'::timestamp with time zone + (r.record ->> 'started')::bigint * '1 microsecond'::interval,
           '2000-01-01 00:00:00+00'::timestamp with time zone + (r.record ->> 'finished')::bigint * '1 microsecond'::interval,
           r.record ->> 'how',
           r.record ->> 'who',
           r.record ->> 'verdict',
           (r.record ->> 'entries')::bigint,
           (r.record ->> 'findings')::bigint,
           (r.record ->> 'findings_new')::bigint,
           (r.record ->> 'findings_before_window')::bigint,
           (r.record ->> 'window_months')::integer,
           '2000-01-01 00:00:00+00'::timestamp with time zone + (r.record ->> 'window_start')::bigint * '1 microsecond'::interval,
           COALESCE(p.pruned, '{}'),
           COALESCE(p.entries, 0),
           r.record ->> 'not_pruned',
           r.record -> 'found',
           r.record -> 'keys',
           r.record ->> 'basis',
           r.record ->> 'host',
           r.record ->> 'version'
      FROM seal.run AS r
      LEFT JOIN (SELECT of_chain.run, pg_catalog.jsonb_object_agg(chain, pg_catalog.jsonb_build_array(first, last)) AS pruned,
                        pg_catalog.sum(last - first + 1)::bigint AS entries
                   FROM (SELECT (j.details ->> 'run')::bigint AS run, c.key AS chain,
                                pg_catalog.min((c.value ->> 'first')::bigint) AS first, pg_catalog.max((c.value ->> 'last')::bigint) AS last
                           FROM seal.journal AS j, pg_catalog.jsonb_each(j.details -> 'chains') AS c
                          WHERE j.kind = 'cut' AND j.history_id IS NOT NULL
                          GROUP BY 1, 2) AS of_chain
                  GROUP BY of_chain.run) AS p ON p.run = r.id
$lines$;
COMMENT ON FUNCTION seal.run_lines() IS 'Internal: the rows of the view seal.verification.';

CREATE VIEW seal.verification AS SELECT * FROM seal.run_lines();
COMMENT ON VIEW seal.verification IS
'Every recorded run of one history: when, asked for by whom (how: manual or schedule), the verdict, what was found and what was pruned after it.
seal.findings(run => …) lists what was found as seal.findings does.
Example: SELECT run, history, finished, how, verdict, findings_new, pruned_entries FROM seal.verification ORDER BY run DESC LIMIT 10;';
COMMENT ON COLUMN seal.verification.pruned IS 'By chain: first and last position of the entries that were deleted. As the journal has it.';
COMMENT ON COLUMN seal.verification.not_pruned IS 'Why nothing may be pruned after it; NULL: something may.';
COMMENT ON COLUMN seal.verification.found IS 'The first 1,000 findings.';
COMMENT ON COLUMN seal.verification.keys IS 'Ids of the keys under which the history''s epochs are sealed.';

CREATE FUNCTION seal.verify_and_prune(history regclass DEFAULT NULL, dry_run boolean DEFAULT false)
    RETURNS TABLE (run bigint, history text, verdict text, entries bigint, findings bigint, findings_new bigint,
                   window_start timestamp with time zone, pruned bigint, cuts jsonb, next_step text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET row_security = off SET jit = off
    SET max_parallel_workers_per_gather = 0
    AS 'MODULE_PATHNAME', 'verify_and_prune_wrapper';
COMMENT ON FUNCTION seal.verify_and_prune(regclass, boolean) IS
'Verifies, records the run in seal.verification, and deletes entries from before the window: only after a run without new findings, only
the oldest of each chain, each checked once more as it goes, none that has a finding or that a hold protects. Of a history partitioned by time
whole partitions are dropped. Histories without a window lose nothing. It works with one process, at a pace at which others can go on. dry_run shows what would go and changes nothing. next_step says why nothing
went. What is deleted cannot be brought back.
Example: SELECT history, verdict, pruned, next_step FROM seal.verify_and_prune(dry_run => true);';

CREATE FUNCTION seal.set_window(history regclass, months integer) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'set_window_wrapper';
COMMENT ON FUNCTION seal.set_window(regclass, integer) IS
'How many months back a history is to be intact; what is older may be pruned. At least 12; NULL: everything, and nothing is ever deleted.
Only the table''s owner or a superuser may set it. Example: SELECT seal.set_window(''history'', 24);';

CREATE FUNCTION seal.hold(history regclass, tenant text, reason text) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'hold_entries_wrapper';
COMMENT ON FUNCTION seal.hold(regclass, text, text) IS
'Legal hold: keeps the entries of a tenant, or with tenant NULL all of the history, from being pruned until they are released.
An entry that is kept also keeps what follows it in its chain. The reason stands in the journal.
Example: SELECT seal.hold(''history'', ''acme'', ''case 12/2026'');';

CREATE FUNCTION seal.release(history regclass, tenant text, reason text) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'release_entries_wrapper';
COMMENT ON FUNCTION seal.release(regclass, text, text) IS
'Ends a hold. Example: SELECT seal.release(''history'', ''acme'', ''case 12/2026 was closed'');';

CREATE FUNCTION seal.hold_lines()
    RETURNS TABLE (history text, tenant text, reason text, since timestamp with time zone, held_by text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'hold_lines_wrapper';
COMMENT ON FUNCTION seal.hold_lines() IS 'Internal: the rows of the view seal.holds.';

CREATE VIEW seal.holds AS SELECT * FROM seal.hold_lines();
COMMENT ON VIEW seal.holds IS
'What must not be pruned, as the journal has it. tenant NULL: the whole history.
Example: SELECT history, tenant, reason, since FROM seal.holds;';

CREATE FUNCTION seal.accept_clock(reason text) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'accept_clock_wrapper';
COMMENT ON FUNCTION seal.accept_clock(text) IS
'Says that the clock is right although it jumped, or although the machine was off for over a week: until then nothing is pruned.
Look at the clock first. The reason stands in the journal. Example: SELECT seal.accept_clock(''moved to the new data centre'');';

CREATE FUNCTION seal.lock_tables(tables text[], mode text) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms'
AS $lock$
BEGIN
    FOR attempt IN 1..20 LOOP
        BEGIN
            EXECUTE 'LOCK TABLE ONLY ' || pg_catalog.array_to_string(tables, ', ONLY ') || ' IN ' || mode || ' MODE';
            RETURN true;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_catalog.pg_sleep(0.5);
        END;
    END LOOP;
    RETURN false;
END
$lock$;
COMMENT ON FUNCTION seal.lock_tables(text[], text) IS
'Internal: locks tables as soon as that is possible without keeping others waiting for longer than 0.2 seconds; false after 14 seconds.';
