SELECT encode(convert_to(v, 'UTF8'), 'hex'), to_jsonb(v)::text FROM (
  SELECT chr(c) FROM generate_series(1, 160) AS c
  UNION ALL SELECT repeat('a', n) || '"' || repeat('b', n) FROM generate_series(0, 20) AS n
  UNION ALL SELECT unnest(ARRAY['', 'plain', E'line\nline\r\n', E'tab\tbell\x07', '\', '\\', '"', '""', 'é', '€', '😀', '𝄞', 'ключ', U&'\2028', U&'\FEFF'])
) AS strings (v);
