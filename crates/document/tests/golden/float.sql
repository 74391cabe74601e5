-- A negative zero is missing on purpose: there pgseal differs from to_jsonb.
CREATE TEMP TABLE golden_float8 (v float8);
INSERT INTO golden_float8 SELECT v::float8 FROM unnest(ARRAY[
  'NaN', 'Infinity', '-Infinity', '0', '1', '-1', '0.1', '-0.1', '1e300', '-1e300', '1.5e-07', '5e-324', '2.2250738585072014e-308', '1.7976931348623157e308',
  '1e14', '1e15', '1e16', '123456789012345', '1234567890123456', '12345678901234567', '9007199254740993', '0.0001', '0.00001', '0.00012345', '3.141592653589793'
]) AS v;
INSERT INTO golden_float8 SELECT ('1.25e' || e)::float8 FROM generate_series(-300, 300, 25) AS e;
INSERT INTO golden_float8 SELECT (random() - 0.5) * 10.0 ^ floor(random() * 60 - 30) + 0 * i FROM generate_series(1, 200) AS i;
CREATE TEMP TABLE golden_float4 (v float4);
INSERT INTO golden_float4 SELECT v::float4 FROM unnest(ARRAY[
  'NaN', 'Infinity', '-Infinity', '0', '1', '-1', '0.1', '1e38', '-3.4028235e38', '1e-45', '1.1754944e-38', '16777216', '1e6', '1e7', '123456.7', '0.0001', '0.00001'
]) AS v;
INSERT INTO golden_float4 SELECT ((random() - 0.5) * 10.0 ^ floor(random() * 40 - 20))::float4 + 0 * i FROM generate_series(1, 100) AS i;

SELECT v::text, to_jsonb(v)::text FROM golden_float8 UNION ALL SELECT v::text, to_jsonb(v)::text FROM golden_float4;
