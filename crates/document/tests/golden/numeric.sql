CREATE TEMP TABLE golden_numeric (v numeric);
ALTER TABLE golden_numeric ALTER v SET STORAGE PLAIN;

INSERT INTO golden_numeric SELECT v::numeric FROM unnest(ARRAY[
  'NaN', 'Infinity', '-Infinity', '0', '-0', '0.0', '0.00', '0.00000', '1', '-1', '9', '10', '99', '100', '999', '1000', '9999', '10000', '10001',
  '-10000', '99999999', '100000000', '100000001', '0.1', '0.01', '0.001', '0.0001', '0.00001', '0.00010', '-0.0001', '0.99999999', '1.5', '-1.50',
  '1.10', '1.1000', '1.10000', '12345.6789', '12345.67890', '1234.5', '1234.0005', '10000.0001', '100000000.00000001', '1e30', '1e-30', '1.5e-30',
  '1e131071', '-9.99e131071', '1e16383', '1e-16383', '1e252', '1e256', '1e257', '1e-256', '1e-260', '-12e-257', '9007199254740993', '0e-63', '0e-64', '0e-100', '1e-63', '1e-64',
  '170141183460469231731687303715884105728', '3.14159265358979323846264338327950288419716939937510582097494459230781640628620899'
]) AS v;
-- Every width of a number with every scale up to nine, and the place of a single digit.
INSERT INTO golden_numeric SELECT (substr('9876543210123', 1, w) || '.' || substr('012345678', 1, s))::numeric FROM generate_series(1, 13) AS w, generate_series(0, 9) AS s;
INSERT INTO golden_numeric SELECT ('1e' || e)::numeric FROM generate_series(-70, 70) AS e;
INSERT INTO golden_numeric SELECT (repeat('1234567890', n) || '.' || repeat('0000100020', n))::numeric FROM unnest(ARRAY[1, 7, 40]) AS n;
INSERT INTO golden_numeric SELECT round(((random() - 0.5) * 10.0 ^ floor(random() * 40 - 15))::numeric, floor(random() * 30)::int) + 0 * i FROM generate_series(1, 300) AS i;

SELECT payload, CASE WHEN length(v::text) < 5000 OR v::text LIKE '%.%' THEN v::text
                     ELSE rtrim(v::text, '0') || '0{' || length(v::text) - length(rtrim(v::text, '0')) || '}' END
  FROM golden_numeric JOIN pg_temp.stored('golden_numeric') ON item = golden_numeric.ctid ORDER BY item;
