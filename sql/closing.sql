-- What each period left behind. Empty after CREATE EXTENSION, so that dump and restore bring each row back exactly once.

CREATE TABLE seal.closing (
    history_id uuid NOT NULL,
    number     bigint NOT NULL,
    record     jsonb NOT NULL,
    mac        bytea NOT NULL,
    PRIMARY KEY (history_id, number)
);
COMMENT ON TABLE seal.closing IS
'Where the chains of each history, and the journal, stood at the end of each period of pgseal.key_evolution, signed under the secret of that period, which is erased afterwards; and at each rotation of the key. Written by pgseal only, never pruned.
Example: SELECT history_id, number, record ->> ''what'' AS what, record ->> ''period'' AS period FROM seal.closing ORDER BY 1, 2;';
COMMENT ON COLUMN seal.closing.history_id IS 'The history; of the journal it is 70677365-616c-206a-6f75-726e616c0000.';
COMMENT ON COLUMN seal.closing.number IS '1, 2, 3 ... of this history.';
COMMENT ON COLUMN seal.closing.record IS 'what (opening, closing, rotation), stream, kind, period, key, place, closed (microseconds since 2000), chains (position, signature, entries since the record before, time, whether a transaction was open in it), journal, anchor, previous.';
COMMENT ON COLUMN seal.closing.mac IS 'HMAC over number and record, under the secret of the period; of a rotation, under the key that ends.';

SELECT pg_catalog.pg_extension_config_dump('seal.closing', '');

CREATE FUNCTION seal.new_stream()
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'new_stream_wrapper';
COMMENT ON FUNCTION seal.new_stream() IS
'Draws a new stream of evolving secrets and prints the text of a state file (pgseal.key_state_file) for a server that has no root. For superusers, on a server whose key source gives the root (%p = verify). The text is a secret: write it to the file by \\o or COPY TO PROGRAM, and nowhere else. Changes nothing here.
Example: COPY (SELECT seal.new_stream()) TO ''/run/transfer/pgseal-state'';';
