-- What administrators do.

CREATE FUNCTION seal.attach(history regclass, tenant_column name DEFAULT NULL, max_chains integer DEFAULT NULL,
                            window_months integer DEFAULT NULL, existing text DEFAULT 'refuse', history_id uuid DEFAULT NULL)
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'attach_history_wrapper';
COMMENT ON FUNCTION seal.attach(regclass, name, integer, integer, text, uuid) IS
'Makes a table a history: adds the seal columns, an index and triggers. Locks the table (ACCESS EXCLUSIVE) until the transaction ends.
tenant_column: column whose value verification can be limited to. max_chains: at most so many chains are written at the same time;
1 gives one strict order, and writers queue. window_months: verify so many months (at least 12). existing: refuse a table with rows,
or seal them as a labelled baseline. history_id: to be the same history on another node.
Only the table''s owner or a superuser may attach it.
Example: SELECT seal.attach(''history'', tenant_column => ''tenant'');';

CREATE FUNCTION seal.detach(history regclass) RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'detach_history_wrapper';
COMMENT ON FUNCTION seal.detach(regclass) IS
'Makes a history an ordinary table again: removes triggers and NOT NULL, keeps the seal columns. Works without a key, too.
Example: SELECT seal.detach(''history'');';

CREATE FUNCTION seal.open_epoch(history regclass) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'open_epoch_wrapper';
COMMENT ON FUNCTION seal.open_epoch(regclass) IS
'Signs the table''s present columns from now on. Runs by itself after ALTER TABLE; call it if that was done with event triggers disabled.
Example: SELECT seal.open_epoch(''history'');';

CREATE FUNCTION seal.follow_definition(relation oid, column_number integer, changes text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'follow_definition_wrapper';
COMMENT ON FUNCTION seal.follow_definition(oid, integer, text) IS 'Internal: called by the event trigger after a DDL command on a table.';

CREATE FUNCTION seal.follow_type_names() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'follow_type_names_wrapper';
COMMENT ON FUNCTION seal.follow_type_names() IS 'Internal: called by the event trigger after a type or a schema got another name.';

CREATE FUNCTION seal.table_changes(pg_ddl_command) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pgseal_table_changes';
COMMENT ON FUNCTION seal.table_changes(pg_ddl_command) IS
'Internal: what an ALTER TABLE did, line by line: attach, detach, drop COLUMN, retype COLUMN, constraint, other. NULL for other commands.';

-- SECURITY DEFINER: it runs for every DDL command of every role, and reads and writes pgseal's
-- tables. It takes nothing from the command but oids and names of columns.
CREATE FUNCTION seal.after_ddl() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    changed record;
BEGIN
    IF tg_tag IN ('ALTER SCHEMA', 'ALTER TYPE', 'ALTER DOMAIN') THEN
        PERFORM seal.follow_type_names();
        RETURN;
    END IF;
    FOR changed IN
        SELECT DISTINCT objid, objsubid,
               CASE WHEN command_tag LIKE 'CREATE%' THEN 'attach' ELSE seal.table_changes(command) END AS changes
          FROM pg_catalog.pg_event_trigger_ddl_commands()
         WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass
           AND object_type IN ('table', 'foreign table', 'table column')
    LOOP
        PERFORM seal.follow_definition(changed.objid, changed.objsubid, changed.changes);
    END LOOP;
END
$body$;
COMMENT ON FUNCTION seal.after_ddl() IS 'Event trigger function: follows changes of histories with a new epoch, refuses those that would make entries unverifiable.';

-- A column of a table can be renamed by ALTER VIEW and the others, too.
CREATE EVENT TRIGGER pgseal_after_ddl ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW',
                 'CREATE TABLE', 'CREATE FOREIGN TABLE', 'ALTER SCHEMA', 'ALTER TYPE', 'ALTER DOMAIN')
    EXECUTE FUNCTION seal.after_ddl();
