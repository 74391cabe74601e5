-- What administrators do.

CREATE FUNCTION seal.attach(history regclass, tenant_column name DEFAULT NULL, max_chains integer DEFAULT NULL,
                            window_months integer DEFAULT NULL, existing text DEFAULT 'refuse', history_id uuid DEFAULT NULL)
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'attach_history_wrapper';
COMMENT ON FUNCTION seal.attach(regclass, name, integer, integer, text, uuid) IS
'Makes a table a history: adds the seal columns, an index and triggers. Locks the table (ACCESS EXCLUSIVE) until the transaction ends.
tenant_column: column whose value verification can be limited to. max_chains: at most so many chains are written at the same time;
1 gives one strict order, and writers queue. window_months: how many months must be intact (at least 12); what is older may be pruned.
existing: refuse a table with rows, or seal them as a labelled baseline. history_id: to be the same history on another node.
Only the table''s owner or a superuser may attach it.
Example: SELECT seal.attach(''history'', tenant_column => ''tenant'');';

CREATE FUNCTION seal.detach(history regclass) RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'detach_history_wrapper';
COMMENT ON FUNCTION seal.detach(regclass) IS
'Makes a history an ordinary table again: removes triggers and NOT NULL, keeps the seal columns. Works without a key, too.
Ends its window, schedule and holds: attached once more, it is another history.
Example: SELECT seal.detach(''history'');';

CREATE FUNCTION seal.set_schedule(history regclass, schedule text) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'set_schedule_wrapper';
COMMENT ON FUNCTION seal.set_schedule(regclass, text) IS
'When a history is verified by itself, and pruned if it has a window: a cron expression of five fields (minute, hour, day of month,
month, day of week), or of six with the second first. NULL: when pgseal.schedule says so. off: never.
Example: SELECT seal.set_schedule(''history'', ''30 2 * * SUN'');';

CREATE FUNCTION seal.open_epoch(history regclass) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'open_epoch_wrapper';
COMMENT ON FUNCTION seal.open_epoch(regclass) IS
'Signs the table''s present columns from now on. Runs by itself after ALTER TABLE; call it if that was done with event triggers disabled.
Example: SELECT seal.open_epoch(''history'');';

CREATE FUNCTION seal.table_changes(pg_ddl_command) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pgseal_table_changes';
COMMENT ON FUNCTION seal.table_changes(pg_ddl_command) IS
'Internal: what an ALTER TABLE did, line by line: attach, detach, drop COLUMN, retype COLUMN, constraint, other. NULL for other commands.';

-- It looks names up in the session's search path, as the command itself will.
CREATE FUNCTION seal.before_ddl() RETURNS event_trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'pgseal_before_ddl';
COMMENT ON FUNCTION seal.before_ddl() IS
'Event trigger function: refuses DDL that would take a history away, and remembers the histories that the command can change.';

-- SECURITY DEFINER: it runs for DDL commands of every role, and reads and writes pgseal's tables.
-- It takes nothing from the command but oids and names of columns.
CREATE FUNCTION seal.after_ddl() RETURNS event_trigger
    LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'pgseal_after_ddl';
COMMENT ON FUNCTION seal.after_ddl() IS
'Event trigger function: refuses what broke a history, follows changed columns with a new epoch, journals the rest.';

-- All that can change the definition of a history, directly or by CASCADE or by the name of something that it names.
-- A column of a table can be renamed by ALTER VIEW and the others, too; CREATE SCHEMA can contain CREATE TABLE.
DO LANGUAGE plpgsql $$
DECLARE
    watched CONSTANT text[] := ARRAY[
        'ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW', 'ALTER SEQUENCE', 'ALTER INDEX',
        'ALTER TRIGGER', 'ALTER RULE', 'ALTER POLICY', 'ALTER TYPE', 'ALTER DOMAIN', 'ALTER SCHEMA', 'ALTER EXTENSION',
        'ALTER FUNCTION', 'ALTER PROCEDURE', 'ALTER ROUTINE', 'ALTER AGGREGATE', 'ALTER OPERATOR',
        'ALTER OPERATOR CLASS', 'ALTER COLLATION', 'CREATE TABLE', 'CREATE FOREIGN TABLE', 'CREATE SCHEMA',
        'CREATE INDEX', 'CREATE TRIGGER', 'CREATE RULE', 'CREATE POLICY', 'DROP TABLE', 'DROP FOREIGN TABLE',
        'DROP VIEW', 'DROP MATERIALIZED VIEW', 'DROP SEQUENCE', 'DROP INDEX', 'DROP TRIGGER', 'DROP RULE',
        'DROP POLICY', 'DROP TYPE', 'DROP DOMAIN', 'DROP SCHEMA', 'DROP EXTENSION', 'DROP FUNCTION', 'DROP PROCEDURE',
        'DROP ROUTINE', 'DROP AGGREGATE', 'DROP OPERATOR', 'DROP OPERATOR CLASS', 'DROP OPERATOR FAMILY',
        'DROP COLLATION', 'DROP CAST', 'DROP LANGUAGE', 'DROP ACCESS METHOD', 'DROP OWNED'];
    tags CONSTANT text := (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(tag), ', ')
                             FROM pg_catalog.unnest(watched) AS tag);
BEGIN
    EXECUTE pg_catalog.format('CREATE EVENT TRIGGER pgseal_before_ddl ON ddl_command_start
                               WHEN TAG IN (%s) EXECUTE FUNCTION seal.before_ddl()', tags);
    EXECUTE pg_catalog.format('CREATE EVENT TRIGGER pgseal_after_ddl ON ddl_command_end
                               WHEN TAG IN (%s) EXECUTE FUNCTION seal.after_ddl()', tags);
END
$$;
