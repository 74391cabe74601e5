-- The auditor's side.

-- The two passes over a history. They work only inside a run of verify_history or findings, and
-- nothing is granted on them.
CREATE FUNCTION seal.audit_add(internal, text, text, bigint, integer, bigint, timestamp with time zone, bytea, bytea, tid, VARIADIC "any")
    RETURNS internal LANGUAGE c STABLE PARALLEL SAFE COST 100 AS 'MODULE_PATHNAME', 'pgseal_audit_add';
CREATE FUNCTION seal.audit_merge(internal, internal)
    RETURNS internal LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'pgseal_audit_merge';
CREATE FUNCTION seal.audit_save(internal)
    RETURNS bytea LANGUAGE c STABLE PARALLEL SAFE STRICT AS 'MODULE_PATHNAME', 'pgseal_audit_save';
CREATE FUNCTION seal.audit_load(bytea, internal)
    RETURNS internal LANGUAGE c STABLE PARALLEL SAFE STRICT AS 'MODULE_PATHNAME', 'pgseal_audit_load';
CREATE FUNCTION seal.audit_finish(internal)
    RETURNS boolean LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'pgseal_audit_finish';
CREATE FUNCTION seal.locate_add(internal, text, text, bigint, integer, bigint, timestamp with time zone, bytea, bytea, tid, VARIADIC "any")
    RETURNS internal LANGUAGE c STABLE PARALLEL SAFE COST 100 AS 'MODULE_PATHNAME', 'pgseal_locate_add';
CREATE FUNCTION seal.locate_finish(internal)
    RETURNS boolean LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'pgseal_locate_finish';

CREATE AGGREGATE seal.audit(text, text, bigint, integer, bigint, timestamp with time zone, bytea, bytea, tid, VARIADIC "any") (
    SFUNC = seal.audit_add, STYPE = internal, SSPACE = 8192, FINALFUNC = seal.audit_finish,
    FINALFUNC_MODIFY = READ_WRITE, COMBINEFUNC = seal.audit_merge, SERIALFUNC = seal.audit_save,
    DESERIALFUNC = seal.audit_load, PARALLEL = SAFE);
COMMENT ON AGGREGATE seal.audit(text, text, bigint, integer, bigint, timestamp with time zone, bytea, bytea, tid, VARIADIC "any") IS
'Internal: the unordered pass of a verification.';

CREATE AGGREGATE seal.locate(text, text, bigint, integer, bigint, timestamp with time zone, bytea, bytea, tid, VARIADIC "any") (
    SFUNC = seal.locate_add, STYPE = internal, SSPACE = 8192, FINALFUNC = seal.locate_finish, FINALFUNC_MODIFY = READ_WRITE);
COMMENT ON AGGREGATE seal.locate(text, text, bigint, integer, bigint, timestamp with time zone, bytea, bytea, tid, VARIADIC "any") IS
'Internal: the ordered pass of a verification, which names what is wrong.';

CREATE FUNCTION seal.verify_history(tenant text DEFAULT NULL, history regclass DEFAULT NULL, witness text DEFAULT NULL)
    RETURNS TABLE (verdict text, history text, node text, entries bigint,
                   first_sealed_at timestamp with time zone, last_sealed_at timestamp with time zone,
                   window_start timestamp with time zone, findings bigint, findings_new bigint,
                   findings_before_window bigint, basis text, next_step text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET row_security = off SET jit = off
    AS 'MODULE_PATHNAME', 'verify_history_wrapper';
COMMENT ON FUNCTION seal.verify_history(text, regclass, text) IS
'Verifies histories and answers with one row per history and node, never with none. Deletes nothing.
verdict: intact, intact_in_window, tampered, unverifiable or nothing_sealed (which is not a success).
tenant: count the entries of one tenant and report what concerns it. Where a run has left a checkpoint, only these and what was sealed since are read, see basis; otherwise the whole history.
Examples: SELECT * FROM seal.verify_history();
          SELECT verdict, entries, next_step FROM seal.verify_history(''acme'');
          SELECT * FROM seal.verify_history(history => ''public.history'');';

CREATE FUNCTION seal.verify_since_checkpoint(history regclass DEFAULT NULL)
    RETURNS TABLE (verdict text, history text, node text, entries bigint,
                   first_sealed_at timestamp with time zone, last_sealed_at timestamp with time zone,
                   window_start timestamp with time zone, findings bigint, findings_new bigint,
                   findings_before_window bigint, basis text, next_step text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET row_security = off SET jit = off
    AS 'MODULE_PATHNAME', 'verify_since_checkpoint_wrapper';
COMMENT ON FUNCTION seal.verify_since_checkpoint(regclass) IS
'Verifies what was sealed since the newest checkpoint of each history, for frequent checks; entries counts these only.
A change to what the checkpoint has is not seen here but by verify_history() and by the next recorded run; basis says so. Without a checkpoint, or if anything is wrong, the whole history is verified. Checkpoints are made by runs: seal.verify_and_prune() or a schedule.
Example: SELECT verdict, entries, basis FROM seal.verify_since_checkpoint(''public.history'');';

CREATE FUNCTION seal.findings(tenant text DEFAULT NULL, history regclass DEFAULT NULL, run bigint DEFAULT NULL)
    RETURNS TABLE (history text, chain text, "position" bigint, last_position bigint, kind text, in_window boolean,
                   row_key jsonb, expected text, found text, detail text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET row_security = off SET jit = off
    AS 'MODULE_PATHNAME', 'findings_wrapper';
COMMENT ON FUNCTION seal.findings(text, regclass, bigint) IS
'Verifies and lists what is wrong, one row per finding, with a sentence in detail. No row: nothing is wrong.
At most 100,000 are listed; verify_history counts all. With tenant, rows of other tenants are shown without their key.
run: what a recorded run has found instead, see seal.verification.
Example: SELECT chain, position, kind, row_key, detail FROM seal.findings();';

CREATE FUNCTION seal.is_intact(tenant text DEFAULT NULL, history regclass DEFAULT NULL)
    RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET row_security = off SET jit = off
    AS 'MODULE_PATHNAME', 'is_intact_wrapper';
COMMENT ON FUNCTION seal.is_intact(text, regclass) IS
'Yes or no for a health check: true only if every verdict is intact or intact_in_window. Nothing sealed is false.
Example: SELECT seal.is_intact();';

CREATE FUNCTION seal.check_witness(line text)
    RETURNS TABLE (contained boolean, chain text, number bigint, at timestamp with time zone, detail text, next_step text)
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET row_security = off SET jit = off
    AS 'MODULE_PATHNAME', 'check_witness_wrapper';
COMMENT ON FUNCTION seal.check_witness(text) IS
'Whether this database still contains what the line of a witness saw: that anchor, and each entry that was the newest of its chain then.
What lies between them is for verify_history(witness => line). A line of another key is an error. contained is NULL for an anchor that was pruned.
Example: SELECT contained, detail, next_step FROM seal.check_witness(''pgseal-anchor 1 database=…'');';

CREATE FUNCTION seal.acknowledge(reason text, history regclass, kind text DEFAULT NULL, chain text DEFAULT NULL, entry bigint DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET row_security = off SET jit = off
    AS 'MODULE_PATHNAME', 'acknowledge_findings_wrapper';
COMMENT ON FUNCTION seal.acknowledge(text, regclass, text, text, bigint) IS
'Files what verification finds now in a history as a known incident, with a reason that the journal keeps, and says how many findings that were.
kind, chain, entry (its position): only those. A filed finding is still counted and the verdict stays; it only is not new any more.
The same entry changed once more is a new finding.
Example: SELECT seal.acknowledge(''disk failure of 2026-11-02, ticket 4711'', ''history'', kind => ''missing'');';

CREATE FUNCTION seal.status_lines()
    RETURNS TABLE (history text, ok boolean, problem text, chains bigint, entries bigint, key_id text,
                   key_fingerprint text, epoch integer, window_months integer, last_anchor timestamp with time zone,
                   anchor bigint, unanchored bigint, worker text, not_covered text,
                   last_verified timestamp with time zone, last_verdict text, next_run timestamp with time zone)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'status_lines_wrapper';
COMMENT ON FUNCTION seal.status_lines() IS 'Internal: the rows of the view seal.status.';

CREATE VIEW seal.status AS
SELECT history, ok, problem, chains, entries, key_id, key_fingerprint, epoch, window_months, last_anchor, anchor, unanchored, worker,
       not_covered, last_verified, last_verdict, pg_catalog.now() - last_verified AS verified_age, next_run
  FROM seal.status_lines();
COMMENT ON VIEW seal.status IS
'One row per attached history, without reading it: whether it can be sealed, its chains and entries as far as the server remembers them, the key in force, what is not covered.
last_verified, verified_age: the last recorded verification that was intact or intact_in_window, with nothing new; last_verdict: that of the last one, whatever it found; next_run: what the schedule says.';

CREATE FUNCTION seal.check_setup()
    RETURNS TABLE (item text, ok boolean, problem text, fix text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'check_setup_wrapper';
COMMENT ON FUNCTION seal.check_setup() IS
'Line by line: what is set up, and for what is not, the command that mends it.
Example: SELECT * FROM seal.check_setup() WHERE NOT ok;';
