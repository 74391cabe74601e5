\set VERBOSITY terse
\encoding UTF8
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL extra_float_digits = 1;
CREATE EXTENSION IF NOT EXISTS pageinspect;
DO $$ BEGIN PERFORM setseed(0.15); END $$;

-- The stored bytes of the only column of a temporary table without their length header, which has one byte if the value
-- is short (INSERT packs it, whatever the column's storage) and four otherwise. Assumes a little-endian server.
CREATE FUNCTION pg_temp.stored(rel regclass) RETURNS TABLE (item tid, payload text) LANGUAGE sql AS $$
  SELECT t_ctid, encode(substr(t_attrs[1], CASE get_byte(t_attrs[1], 0) & 1 WHEN 1 THEN 2 ELSE 5 END), 'hex')
    FROM generate_series(0, pg_relation_size(rel) / current_setting('block_size')::int - 1) AS block,
         heap_page_item_attrs(get_raw_page(rel::text, block::int), rel)
$$;
