-- What is stored of these three types is a number: days or microseconds since 2000-01-01.
CREATE TEMP TABLE golden_days (v date);
CREATE TEMP TABLE golden_times (v timestamp);

INSERT INTO golden_days SELECT v::date FROM unnest(ARRAY[
  '2000-01-01', '1999-12-31', '2000-02-29', '2000-03-01', '1900-02-28', '1900-03-01', '2100-02-28', '2100-03-01', '2024-02-29',
  '0001-01-01', '0001-12-31 BC', '0001-02-29 BC', '0004-02-28 BC', '0044-03-15 BC', '0100-01-01 BC', '0401-12-31 BC',
  '4714-11-24 BC', '4713-01-01 BC', '9999-12-31', '10000-01-01', '99999-12-31', '100000-01-01', '5874897-12-31', '5874897-01-01'
]) AS v;
INSERT INTO golden_days SELECT date '2000-01-01' + (random() * 8000000 - 2451545)::int FROM generate_series(1, 200);
INSERT INTO golden_days SELECT date '2000-01-01' + (random() * 2100000000)::int FROM generate_series(1, 100);

INSERT INTO golden_times SELECT v::timestamp FROM unnest(ARRAY[
  '2000-01-01 00:00:00', '2000-01-01 00:00:00.000001', '1999-12-31 23:59:59.999999', '2026-01-01 12:34:56.7', '2026-01-01 12:34:56.78',
  '2026-01-01 12:34:56.789', '2026-01-01 12:34:56.7891', '2026-01-01 12:34:56.78912', '2026-01-01 12:34:56.789123',
  '2026-01-01 12:34:56.000100', '2026-01-01 12:34:56.100000', '2026-01-01 23:59:60', '1969-12-31 23:59:59.5',
  '0001-01-01 00:00:00', '0001-12-31 23:59:59.999999 BC', '0044-03-15 11:30:00.25 BC', '4714-11-24 00:00:00 BC',
  '4714-11-24 00:00:00.000001 BC', '9999-12-31 23:59:59.999999', '10000-01-01', '294276-12-31 23:59:59.999999'
]) AS v;
INSERT INTO golden_times SELECT timestamp '2000-01-01' + (random() * 2e9 - 1e9) * interval '1 second' FROM generate_series(1, 200);
INSERT INTO golden_times SELECT timestamp '2000-01-01' + (random() * 9e12 - 2e11) * interval '1 second' FROM generate_series(1, 100);

INSERT INTO golden_days VALUES ('infinity'), ('-infinity');
INSERT INTO golden_times VALUES ('infinity'), ('-infinity');

SET LOCAL timezone = 'UTC';
SELECT 'date ' || ('x' || encode(date_send(v), 'hex'))::bit(32)::int, to_jsonb(v) FROM golden_days;
SELECT 'timestamp ' || ('x' || encode(timestamp_send(v), 'hex'))::bit(64)::bigint, to_jsonb(v) FROM golden_times;
SELECT 'timestamptz ' || ('x' || encode(timestamptz_send(v), 'hex'))::bit(64)::bigint, to_jsonb(v)
  FROM (SELECT v::timestamptz FROM golden_times) AS zoned;
