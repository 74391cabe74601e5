-- The ring of keys.

CREATE FUNCTION seal.rotate_key() RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'rotate_key_wrapper';
COMMENT ON FUNCTION seal.rotate_key() IS
'Puts the next key in force: fetches the one whose id is one higher from where keys come from (%k), and opens an epoch under it on every
history of this database, in one transaction. Writers go on; what was sealed before stays under the key that it was sealed with.
Run it in each database that has histories.
Example: SELECT seal.rotate_key();';

CREATE FUNCTION seal.retire_key(id text) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'retire_key_wrapper';
COMMENT ON FUNCTION seal.retire_key(text) IS
'Gives up a key that is not in force any more: wipes it from the server''s memory and journals that. To verify entries that it sealed
it is fetched again; without it they are unverifiable.
Example: SELECT seal.retire_key(''1'');';

CREATE FUNCTION seal.key_lines()
    RETURNS TABLE (id text, fingerprint text, source text, created timestamp with time zone,
                   retired timestamp with time zone, state text)
    LANGUAGE c STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'key_lines_wrapper';
COMMENT ON FUNCTION seal.key_lines() IS 'Internal: the rows of the view seal.keys.';

CREATE VIEW seal.keys AS SELECT * FROM seal.key_lines();
COMMENT ON VIEW seal.keys IS
'The keys that this database was ever sealed with, as its journal says; never a key itself.
Example: SELECT id, fingerprint, source, created, retired, state FROM seal.keys;';
COMMENT ON COLUMN seal.keys.fingerprint IS 'Names the key without telling it; another key under the same id has another one.';
COMMENT ON COLUMN seal.keys.source IS 'The setting, or the key provider, that it came from when it was put in force.';
COMMENT ON COLUMN seal.keys.state IS 'in force, verifies what it sealed, or retired; and whether it can be had now.';

CREATE FUNCTION seal.history_secret(history regclass) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS 'MODULE_PATHNAME', 'hand_out_history_secret_wrapper';
COMMENT ON FUNCTION seal.history_secret(regclass) IS
'What verifies this history, the journal and the anchors, and no other history: a line for pgseal.verification_file of a server that
shall verify and not seal. For superusers of a server that has the key. It is a secret: whoever has it could also forge this history.
Example: SELECT seal.history_secret(''history'');';
