-- What a verification found, on a page for people.

CREATE FUNCTION seal.report(tenant text DEFAULT NULL, history regclass DEFAULT NULL, since timestamp with time zone DEFAULT NULL,
                            until timestamp with time zone DEFAULT NULL, format text DEFAULT 'text', previous text DEFAULT NULL)
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET row_security = off SET jit = off
    AS 'MODULE_PATHNAME', 'report_wrapper';
COMMENT ON FUNCTION seal.report(text, regclass, timestamp with time zone, timestamp with time zone, text, text) IS
'Verifies as seal.verify_history does and says on one page what an auditor wants on file: verdict, findings, runs done and missed,
what was pruned and changed by administrators, keys, what is not covered, and a mac by which seal.check_report knows the page again.
since (included) and until (not included) limit what is counted and listed, never what is verified. format: text or json.
previous: a former report, whole; the new one says whether everything that it saw is still there.
Writes nothing, and works on a standby. In psql: \pset format unaligned, so that the page comes as it is.
Example: SELECT seal.report(''acme'', since => ''2026-01-01'', until => ''2027-01-01'');';

CREATE FUNCTION seal.check_report(report text)
    RETURNS TABLE (authentic boolean, contained boolean, detail text, next_step text)
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET row_security = off SET jit = off
    AS 'MODULE_PATHNAME', 'check_report_wrapper';
COMMENT ON FUNCTION seal.check_report(text) IS
'Whether a report was made with this server''s key and is word for word as it was made (authentic), and whether this database still has
what the report saw (contained). NULL: that cannot be judged, for want of the key or because it was pruned.
Example: SELECT authentic, contained, detail FROM seal.check_report(pg_read_file(''/audit/report-2026.txt''));';
