-- What seals and guards: trigger functions, created on a history by seal.attach.

CREATE FUNCTION seal.seal_entry() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'pgseal_seal_entry';
COMMENT ON FUNCTION seal.seal_entry() IS 'Trigger function: seals an inserted row. seal.attach creates the trigger.';

CREATE FUNCTION seal.refuse_change() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'pgseal_refuse_change';
COMMENT ON FUNCTION seal.refuse_change() IS 'Trigger function: refuses UPDATE, DELETE and TRUNCATE of a history.';

CREATE FUNCTION seal.document(record) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'pgseal_document_of';
COMMENT ON FUNCTION seal.document(record) IS
'The exact text of a row that is signed: a JSON object of the columns that its epoch lists, NULLs absent, independent of all settings.
Example: SELECT seal.document(h) FROM history h LIMIT 1;';
